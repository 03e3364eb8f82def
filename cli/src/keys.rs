//! `tollgate keys`: keys and their life, on a gate.

mod limit;
mod table;
mod wish;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Client, GateArgs, encoded, member};
use crate::jobs;
use crate::key::read_stdin;
use crate::usage::{self, FrameArgs};
use wish::{NewArgs, UpdateArgs};

/// Make, list and change the keys of a gate.
///
/// Exits with 0 when the gate did it (or the key verified), with 1 when it refused, and with 2 when
/// the request makes no sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeysCommand {
    /// Make a key. Its secret is printed once, and never again.
    Create(Box<NewArgs>),
    /// List keys, newest first.
    List(ListArgs),
    /// Show one key.
    Show {
        /// The key's id.
        id: String,
    },
    /// Change some fields of a key.
    Update(Box<UpdateArgs>),
    /// Make a key in place of another one, which works on for a grace period.
    Rotate {
        /// The key's id.
        id: String,
        /// How long the old key works on, such as 48h; 0s ends it at once.
        #[arg(long)]
        grace: Option<String>,
    },
    /// End the grace period of a rotated key now.
    EndGrace {
        /// The key's id.
        id: String,
    },
    /// Switch a key off.
    Disable {
        /// The key's id.
        id: String,
    },
    /// Switch a key on again.
    Enable {
        /// The key's id.
        id: String,
    },
    /// End a key for good, or all keys of a tenant, of a tag, of a family.
    Revoke(RevokeArgs),
    /// Show how much a key is used: requests, errors, latency.
    Usage {
        /// The key's id.
        id: String,
        #[command(flatten)]
        frame: FrameArgs,
    },
    /// Ask whether a key is good, for a scope, an origin, an address.
    Verify(VerifyArgs),
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Of this owner.
    #[arg(long)]
    owner: Option<String>,
    /// With this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Of this kind: pk, sk, rk or ak.
    #[arg(long)]
    kind: Option<String>,
    /// In this state: active, disabled, revoked or expired.
    #[arg(long)]
    state: Option<String>,
    /// Not used since this time, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    unused_since: Option<String>,
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Args, Clone, Debug)]
struct RevokeArgs {
    /// The key's id. Without one: many keys, as a job of the gate.
    #[arg(conflicts_with_all = ["tenant", "tag", "dry_run", "wait"])]
    id: Option<String>,
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// With this tag.
    #[arg(long)]
    tag: Option<String>,
    /// The key's rotations too, older and newer; without an id before it, of the family of this key.
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["tenant", "tag"])]
    family: Option<String>,
    /// Only tell which keys that would be.
    #[arg(long)]
    dry_run: bool,
    /// Wait until every one of them is revoked.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

#[derive(Args, Clone, Debug)]
struct VerifyArgs {
    /// The permission that it is to have.
    #[arg(long)]
    scope: Option<String>,
    /// The origin that it is to be used from.
    #[arg(long)]
    origin: Option<String>,
    /// The address that it is to be used from.
    #[arg(long)]
    address: Option<String>,
    /// The key; - reads it from standard input, where no other process sees it.
    key: String,
}

pub(crate) fn run(args: &KeysArgs) -> Result<ExitCode> {
    // Before any of it is read.
    let key_on_stdin = matches!(&args.command, KeysCommand::Verify(verify) if verify.key == "-");
    ensure!(
        !(key_on_stdin && args.gate.takes_stdin()),
        "standard input holds either the key or the credential: put that one into a variable"
    );
    let client = args.gate.client()?;
    match &args.command {
        KeysCommand::Create(new) => {
            let answer = client.call("POST", "keys", Some(&new.body()?))?;
            args.tell(&answer, table::made)
        }
        KeysCommand::List(list) => args.list(&client, list),
        KeysCommand::Show { id } => {
            let answer = client.call("GET", &path(id, ""), None)?;
            args.tell(&answer, |body| table::key(member(body, "key")))
        }
        KeysCommand::Update(update) => args.update(&client, update),
        KeysCommand::Rotate { id, grace } => {
            let body = without_none(json!({ "grace": grace }));
            let answer = client.call("POST", &path(id, "/rotate"), Some(&body))?;
            args.tell(&answer, table::made)
        }
        KeysCommand::EndGrace { id } => args.act(&client, id, "/end-grace", &json!({})),
        KeysCommand::Disable { id } => args.act(&client, id, "/disable", &json!({})),
        KeysCommand::Enable { id } => args.act(&client, id, "/enable", &json!({})),
        KeysCommand::Revoke(revoke) => match &revoke.id {
            Some(id) => {
                let body = json!({ "family": revoke.family.is_some() });
                args.act(&client, id, "/revoke", &body)
            }
            None => args.revoke_many(&client, revoke),
        },
        KeysCommand::Usage { id, frame } => {
            usage::show(&client, &path(id, "/usage"), None, frame, args.json)
        }
        KeysCommand::Verify(verify) => args.verify(&client, verify),
    }
}

impl KeysArgs {
    /// Prints the answer, and returns the exit code that tells it.
    fn tell(&self, answer: &Answer, shown: impl FnOnce(&Value) -> String) -> Result<ExitCode> {
        answer.tell(self.json, shown)
    }

    fn act(&self, client: &Client, id: &str, action: &str, body: &Value) -> Result<ExitCode> {
        let answer = client.call("POST", &path(id, action), Some(body))?;
        self.tell(&answer, |body| table::key(member(body, "key")))
    }

    /// Without a version it takes the one that is there now, and says so by failing when somebody
    /// else comes between.
    fn update(&self, client: &Client, update: &UpdateArgs) -> Result<ExitCode> {
        let version = if let Some(version) = update.version {
            version
        } else {
            let now = client.call("GET", &path(&update.id, ""), None)?;
            match member(member(&now.body, "key"), "version").as_u64() {
                Some(version) if now.is_success() => version,
                _ => return self.tell(&now, |_| String::new()),
            }
        };
        let answer = client.call("PATCH", &path(&update.id, ""), Some(&update.body(version)?))?;
        self.tell(&answer, |body| table::key(member(body, "key")))
    }

    fn revoke_many(&self, client: &Client, revoke: &RevokeArgs) -> Result<ExitCode> {
        let RevokeArgs { tenant, tag, family, dry_run, .. } = revoke;
        let family = family.as_deref().filter(|family| !family.is_empty());
        ensure!(
            tenant.is_some() || tag.is_some() || family.is_some(),
            "which keys? Say an id, or --tenant, --tag or --family ID"
        );
        let asked = json!({ "tenant": tenant, "tag": tag, "family": family, "dry_run": dry_run });
        let answer = client.call("POST", "keys/revoke", Some(&without_none(asked)))?;
        let answer = if revoke.wait { jobs::waited(client, answer)? } else { answer };
        self.tell(&answer, |body| match member(body, "job") {
            Value::Null => table::rehearsed(body),
            job => jobs::shown(job),
        })
    }

    fn list(&self, client: &Client, list: &ListArgs) -> Result<ExitCode> {
        let answer = client.list("keys", &list.query(), "keys", list.limit)?;
        let keys = member(&answer.body, "keys").as_array().map_or(&[][..], Vec::as_slice);
        self.tell(&answer, |_| table::keys(keys))
    }

    fn verify(&self, client: &Client, verify: &VerifyArgs) -> Result<ExitCode> {
        let key = if verify.key == "-" { read_stdin()? } else { verify.key.clone() };
        let VerifyArgs { scope, origin, address, .. } = verify;
        let ask =
            json!({ "key": key.trim(), "scope": scope, "origin": origin, "address": address });
        let answer = client.call("POST", "keys/verify", Some(&without_none(ask)))?;
        let told = self.tell(&answer, table::verdict)?;
        let valid = member(&answer.body, "valid").as_bool();
        Ok(if answer.is_success() && valid != Some(true) { ExitCode::FAILURE } else { told })
    }
}

impl ListArgs {
    fn query(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("tenant", self.tenant.as_deref()),
            ("owner", self.owner.as_deref()),
            ("tag", self.tag.as_deref()),
            ("kind", self.kind.as_deref()),
            ("state", self.state.as_deref()),
            ("unused_since", self.unused_since.as_deref()),
        ]
    }
}

fn path(id: &str, action: &str) -> String {
    format!("keys/{}{action}", encoded(id))
}

/// An object without the members that were not said.
fn without_none(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let said = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(path("../x", "/revoke"), "keys/..%2Fx/revoke");
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        assert_eq!(without_none(json!({ "a": null, "b": false })), json!({ "b": false }));
    }
}
