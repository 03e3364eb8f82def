//! `tollgate keys`: keys and their life, on a gate.

mod table;
mod wish;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Client, GateArgs, member};
use crate::key::read_stdin;
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
    /// End a key for good.
    Revoke {
        /// The key's id.
        id: String,
        /// Its rotations too, older and newer.
        #[arg(long)]
        family: bool,
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
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
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

/// The most keys that the gate gives at a time.
const PAGE: usize = 100;

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
        KeysCommand::Revoke { id, family } => {
            args.act(&client, id, "/revoke", &json!({ "family": family }))
        }
        KeysCommand::Verify(verify) => args.verify(&client, verify),
    }
}

impl KeysArgs {
    /// Prints the answer, and returns the exit code that tells it.
    fn tell(&self, answer: &Answer, shown: impl FnOnce(&Value) -> String) -> Result<ExitCode> {
        if self.json {
            println!("{}", serde_json::to_string(&answer.body)?);
        } else if answer.is_success() {
            print!("{}", shown(&answer.body));
        } else {
            eprint!("{}", table::problem(answer));
        }
        Ok(exit_code(answer))
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

    /// Follows the cursor to the end, or to as many as were asked for.
    fn list(&self, client: &Client, list: &ListArgs) -> Result<ExitCode> {
        let wanted = list.limit.unwrap_or(usize::MAX);
        let mut keys: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        while keys.len() < wanted {
            let page = wanted.saturating_sub(keys.len()).min(PAGE);
            let answer = client.call("GET", &list.query(page, cursor.as_deref()), None)?;
            if !answer.is_success() {
                return self.tell(&answer, |_| String::new());
            }
            let page = member(&answer.body, "keys").as_array();
            keys.extend(page.context("this is no gate: its list has no keys")?.iter().cloned());
            cursor = answer.text("nextCursor").map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let all = Answer { status: 200, body: json!({ "keys": keys, "nextCursor": cursor }) };
        self.tell(&all, |_| table::keys(&keys))
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
    fn query(&self, page: usize, cursor: Option<&str>) -> String {
        let mut query = format!("keys?limit={page}");
        for (name, value) in [
            ("tenant", self.tenant.as_deref()),
            ("owner", self.owner.as_deref()),
            ("tag", self.tag.as_deref()),
            ("kind", self.kind.as_deref()),
            ("state", self.state.as_deref()),
            ("cursor", cursor),
        ] {
            if let Some(value) = value {
                query.push_str(&format_args!("&{name}={}", encoded(value)).to_string());
            }
        }
        query
    }
}

/// 2 for what the caller has to say differently, 1 for a no.
fn exit_code(answer: &Answer) -> ExitCode {
    match answer.status {
        200..=299 => ExitCode::SUCCESS,
        400 | 413 => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

fn path(id: &str, action: &str) -> String {
    format!("keys/{}{action}", encoded(id))
}

/// Every byte that is not a letter, a digit, `-`, `_` or `.` encoded.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let each = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(each).collect()
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
    fn a_query_says_what_was_asked_and_nothing_more() {
        let list = ListArgs {
            tenant: Some("acme".into()),
            owner: None,
            tag: Some("a b&c".into()),
            kind: None,
            state: None,
            limit: None,
        };
        assert_eq!(list.query(100, None), "keys?limit=100&tenant=acme&tag=a%20b%26c");
        assert_eq!(list.query(3, Some("abc")), "keys?limit=3&tenant=acme&tag=a%20b%26c&cursor=abc");
        assert_eq!(path("../x", "/revoke"), "keys/..%2Fx/revoke");
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        assert_eq!(without_none(json!({ "a": null, "b": false })), json!({ "b": false }));
    }
}
