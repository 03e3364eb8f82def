//! `tollgate tenants`: tenants as operators own them.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Client, GateArgs, encoded, member};
use crate::jobs;
use crate::table::{self, text};

/// The columns of a list.
const COLUMNS: [&str; 6] = ["name", "state", "keys", "max_keys", "created_at", "title"];
/// The lines of one tenant.
const FIELDS: [&str; 10] = [
    "name",
    "title",
    "state",
    "keys",
    "max_keys",
    "allowed_scopes",
    "largest_limits",
    "created_at",
    "metadata",
    "version",
];

/// Make, list and change tenants. An admin key of one tenant sees its own.
///
/// Exits with 0 when the gate did it, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct TenantsArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: TenantsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum TenantsCommand {
    /// List tenants by name.
    List {
        /// In this state: active or suspended.
        #[arg(long)]
        state: Option<String>,
        /// At most so many; all of them if left out.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one tenant.
    Show {
        /// Its name.
        name: String,
    },
    /// Make a tenant. One that nobody made comes to be with its first key, without bounds.
    Create {
        /// Its name: lower-case letters, digits and `-`.
        name: String,
        #[command(flatten)]
        wish: WishArgs,
    },
    /// Change a tenant; what is not said stays.
    Update(Box<UpdateArgs>),
}

#[derive(Args, Clone, Debug)]
struct UpdateArgs {
    /// Its name.
    name: String,
    /// The version that was seen; without it, the one that is there now.
    #[arg(long)]
    version: Option<u64>,
    #[command(flatten)]
    wish: WishArgs,
    /// active or suspended: while it is suspended none of its keys works.
    #[arg(long)]
    state: Option<String>,
    /// Take this away; may stand several times.
    #[arg(long, value_name = "FIELD")]
    clear: Vec<Clearable>,
    /// Wait until a changed state has come to every key.
    #[arg(long)]
    wait: bool,
}

/// A field that can be taken away.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clearable {
    Title,
    AllowedScopes,
    LargestLimits,
    MaxKeys,
    Metadata,
}

#[derive(Args, Clone, Debug)]
struct WishArgs {
    /// What people call it.
    #[arg(long)]
    title: Option<String>,
    /// A scope that its keys may have, such as `invoices:*`; may stand several times.
    #[arg(long = "allow-scope", value_name = "SCOPE")]
    allowed_scopes: Vec<String>,
    /// No key may have more than this, such as 600/1m; may stand several times.
    #[arg(long = "largest-limit", value_name = "N/WINDOW")]
    largest_limits: Vec<String>,
    /// The most keys that are neither revoked nor expired.
    #[arg(long)]
    max_keys: Option<u64>,
    /// Free data, as a JSON object of at most 1 KiB.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

pub(crate) fn run(args: &TenantsArgs) -> Result<ExitCode> {
    let client = args.gate.client()?;
    let one = |answer: &Answer| answer.tell(args.json, |body| shown(member(body, "tenant")));
    match &args.command {
        TenantsCommand::List { state, limit } => {
            let query = [("state", state.as_deref())];
            let answer = client.list("tenants", &query, "tenants", *limit)?;
            let tenants = member(&answer.body, "tenants").as_array();
            let tenants = tenants.map_or(&[][..], Vec::as_slice);
            answer.tell(args.json, |_| listed(tenants))
        }
        TenantsCommand::Show { name } => one(&client.call("GET", &path(name), None)?),
        TenantsCommand::Create { name, wish } => {
            let mut body = wish.members()?;
            body.insert("name".to_owned(), json!(name));
            one(&client.call("POST", "tenants", Some(&Value::Object(body)))?)
        }
        TenantsCommand::Update(update) => update.run(&client, args.json),
    }
}

impl UpdateArgs {
    fn run(&self, client: &Client, as_json: bool) -> Result<ExitCode> {
        let version = if let Some(version) = self.version {
            version
        } else {
            let now = client.call("GET", &path(&self.name), None)?;
            match member(member(&now.body, "tenant"), "version").as_u64() {
                Some(version) if now.is_success() => version,
                _ => return now.tell(as_json, |_| String::new()),
            }
        };
        let answer = client.call("PATCH", &path(&self.name), Some(&self.body(version)?))?;
        if self.wait && !member(&answer.body, "job").is_null() {
            let job =
                Answer { status: answer.status, body: answer.body.clone(), retry_after: None };
            let done = jobs::waited(client, job)?;
            if !done.is_success() {
                return done.tell(as_json, |_| String::new());
            }
        }
        answer.tell(as_json, |body| shown(member(body, "tenant")))
    }

    fn body(&self, version: u64) -> Result<Value> {
        let mut body = self.wish.members()?;
        body.insert("version".to_owned(), json!(version));
        if let Some(state) = &self.state {
            body.insert("state".to_owned(), json!(state));
        }
        for field in &self.clear {
            let name = field.to_possible_value().map(|value| value.get_name().replace('-', "_"));
            let name = name.unwrap_or_default();
            if body.insert(name.clone(), Value::Null).is_some() {
                bail!("{name} is both set and cleared");
            }
        }
        Ok(Value::Object(body))
    }
}

impl WishArgs {
    /// What was said, by the names that the API has for it.
    fn members(&self) -> Result<Map<String, Value>> {
        let mut members = Map::new();
        if let Some(title) = &self.title {
            members.insert("title".to_owned(), json!(title));
        }
        if !self.allowed_scopes.is_empty() {
            members.insert("allowed_scopes".to_owned(), json!(self.allowed_scopes));
        }
        if !self.largest_limits.is_empty() {
            let limits = self.largest_limits.iter().map(|text| largest(text));
            let limits = limits.collect::<Result<Vec<_>>>()?;
            members.insert("largest_limits".to_owned(), json!(limits));
        }
        if let Some(max_keys) = self.max_keys {
            members.insert("max_keys".to_owned(), json!(max_keys));
        }
        if let Some(metadata) = &self.metadata {
            let metadata: Value =
                serde_json::from_str(metadata).context("--metadata is not JSON")?;
            members.insert("metadata".to_owned(), metadata);
        }
        Ok(members)
    }
}

/// `600/1m`.
fn largest(text: &str) -> Result<Value> {
    let wrong = || format!("--largest-limit {text}: write it as 600/1m");
    let (requests, window) = text.split_once('/').with_context(wrong)?;
    let requests: u64 = requests.parse().ok().with_context(wrong)?;
    Ok(json!({ "requests": requests, "window": window }))
}

fn path(name: &str) -> String {
    ["tenants/", &encoded(name)].concat()
}

/// One tenant, a line for each of its fields that say something.
fn shown(tenant: &Value) -> String {
    let lines = FIELDS.iter().filter_map(|name| {
        let value = text(member(tenant, name));
        (!value.is_empty()).then(|| format!("{:<14} {value}\n", name.replace('_', " ")))
    });
    lines.collect()
}

fn listed(tenants: &[Value]) -> String {
    if tenants.is_empty() {
        return "no tenants\n".to_owned();
    }
    table::columns(&COLUMNS, tenants)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Changed {
        #[command(flatten)]
        args: UpdateArgs,
    }

    #[test]
    fn an_update_says_what_was_said_and_nothing_more() {
        let read = |args: &[&str]| {
            let all = ["x", "acme"].iter().chain(args).copied();
            Changed::parse_from(all.collect::<Vec<_>>()).args.body(3)
        };
        assert_eq!(read(&[]).unwrap(), json!({ "version": 3 }));
        let all = [
            "--title",
            "Acme",
            "--allow-scope",
            "a:read",
            "--allow-scope",
            "b:*",
            "--largest-limit",
            "600/1m",
            "--max-keys",
            "5",
            "--metadata",
            r#"{"a":1}"#,
            "--state",
            "suspended",
        ];
        assert_eq!(
            read(&all).unwrap(),
            json!({
                "version": 3, "title": "Acme", "allowed_scopes": ["a:read", "b:*"],
                "largest_limits": [{ "requests": 600, "window": "1m" }], "max_keys": 5,
                "metadata": { "a": 1 }, "state": "suspended",
            })
        );
        let bare = read(&["--clear", "max-keys", "--clear", "allowed-scopes"]).unwrap();
        assert_eq!(bare, json!({ "version": 3, "max_keys": null, "allowed_scopes": null }));
        assert!(read(&["--max-keys", "1", "--clear", "max-keys"]).is_err());
        for text in ["600", "x/1m", "-1/1m"] {
            assert!(largest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenant_shows_what_it_has() {
        let tenant = json!({
            "name": "acme", "title": null, "state": "active", "version": 2,
            "created_at": "2026-11-22T03:00:00Z", "allowed_scopes": null, "largest_limits": null,
            "max_keys": 0, "keys": { "live": 3, "total": 9 }, "metadata": {},
        });
        assert_eq!(
            shown(&tenant),
            "name           acme\n\
             state          active\n\
             keys           live 3 total 9\n\
             max keys       0\n\
             created at     2026-11-22T03:00:00Z\n\
             version        2\n"
        );
        assert!(listed(&[tenant]).starts_with("NAME  STATE   KEYS            MAX KEYS"));
        assert_eq!(listed(&[]), "no tenants\n");
    }
}
