//! From arguments to the body of a create or an update.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::limit;

/// What a key is to be; the gate knows the defaults.
#[derive(Args, Clone, Debug)]
pub(crate) struct NewArgs {
    /// The tenant it belongs to; an admin key of one tenant need not say it.
    #[arg(long)]
    tenant: Option<String>,
    /// pk (for pages), sk or rk (for servers), ak (for management).
    #[arg(long)]
    kind: String,
    /// What people call it.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    wish: WishArgs,
}

/// What is to change; what is not said stays.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpdateArgs {
    /// The key's id.
    pub(crate) id: String,
    /// The version that was seen; without it, the one that is there now.
    #[arg(long)]
    pub(crate) version: Option<u64>,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    wish: WishArgs,
    /// Empty this field; may stand several times.
    #[arg(long, value_name = "FIELD")]
    clear: Vec<Clearable>,
}

/// A field that can be emptied.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clearable {
    Owner,
    Tags,
    Metadata,
    Scopes,
    Origins,
    Addresses,
    Limits,
}

#[derive(Args, Clone, Debug, Default)]
struct WishArgs {
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// A word to find it by; may stand several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Free data, as a JSON object of at most 1 KiB.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// A permission, such as invoices:read; may stand several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An origin that it may be used from, or `*`; may stand several times.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Say yes to `--origin '*'`.
    #[arg(long)]
    allow_any_origin: bool,
    /// A network that it may be used from, such as 192.0.2.0/24; may stand several times.
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<String>,
    /// A limit, such as 60/1m, or visitor=5/10s,key+address; may stand several times. Parts, with
    /// commas between: 60/1m (in any window), burst:100 (a bucket that 60/1m fills), 200/day (also
    /// hour, month), concurrency:5, what it is counted by, leased.
    #[arg(long = "limit", value_name = "[NAME=]PART[,PART]...")]
    limits: Vec<String>,
    /// exact: each request asks; leased: an edge isolate may be given some ahead.
    #[arg(long, value_parser = ["exact", "leased"])]
    mode: Option<String>,
    /// How long it lives, such as 365d.
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    expires_in: Option<String>,
    /// When it ends, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Whether an admin key writes only from a session with a second factor.
    #[arg(long, value_name = "true|false")]
    mfa: Option<bool>,
}

impl NewArgs {
    pub(crate) fn body(&self) -> Result<Value> {
        let mut body = self.wish.members()?;
        body.insert("kind".into(), json!(self.kind));
        body.insert("name".into(), json!(self.name));
        if let Some(tenant) = &self.tenant {
            body.insert("tenant".into(), json!(tenant));
        }
        Ok(Value::Object(body))
    }
}

impl UpdateArgs {
    pub(crate) fn body(&self, version: u64) -> Result<Value> {
        let mut body = self.wish.members()?;
        body.insert("version".into(), json!(version));
        if let Some(name) = &self.name {
            body.insert("name".into(), json!(name));
        }
        for field in &self.clear {
            let name = field.to_possible_value().map(|value| value.get_name().to_owned());
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
        for (name, text) in [
            ("owner", &self.owner),
            ("mode", &self.mode),
            ("expires_in", &self.expires_in),
            ("expires_at", &self.expires_at),
        ] {
            if let Some(text) = text {
                members.insert(name.into(), json!(text));
            }
        }
        for (name, list) in [
            ("tags", &self.tags),
            ("scopes", &self.scopes),
            ("origins", &self.origins),
            ("addresses", &self.addresses),
        ] {
            if !list.is_empty() {
                members.insert(name.into(), json!(list));
            }
        }
        if !self.limits.is_empty() {
            let limits = self.limits.iter().map(|text| limit::read(text));
            let limits = limits.collect::<Result<Vec<_>>>()?;
            members.insert("limits".into(), json!(limits));
        }
        if let Some(metadata) = &self.metadata {
            let metadata: Value =
                serde_json::from_str(metadata).context("--metadata is not JSON")?;
            members.insert("metadata".into(), metadata);
        }
        if self.allow_any_origin {
            members.insert("allow_any_origin".into(), json!(true));
        }
        if let Some(mfa) = self.mfa {
            members.insert("mfa".into(), json!(mfa));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct New {
        #[command(flatten)]
        args: NewArgs,
    }

    #[derive(Parser)]
    struct Changed {
        #[command(flatten)]
        args: UpdateArgs,
    }

    #[test]
    fn a_create_says_what_was_said_and_nothing_more() {
        let least = New::parse_from(["x", "--kind", "sk", "--name", "n"]);
        assert_eq!(least.args.body().unwrap(), json!({ "kind": "sk", "name": "n" }));
        let all = New::parse_from([
            "x",
            "--tenant",
            "acme",
            "--kind",
            "pk",
            "--name",
            "n",
            "--owner",
            "ana",
            "--tag",
            "a",
            "--tag",
            "b",
            "--metadata",
            r#"{"k":1}"#,
            "--scope",
            "a:read",
            "--origin",
            "*",
            "--allow-any-origin",
            "--address",
            "::1",
            "--limit",
            "60/1m",
            "--limit",
            "visitor=5/10s,key+address",
            "--mode",
            "leased",
            "--expires-in",
            "30d",
            "--mfa",
            "false",
        ]);
        assert_eq!(
            all.args.body().unwrap(),
            json!({
                "tenant": "acme", "kind": "pk", "name": "n", "owner": "ana", "tags": ["a", "b"],
                "metadata": { "k": 1 }, "scopes": ["a:read"], "origins": ["*"],
                "allow_any_origin": true, "addresses": ["::1"],
                "limits": [
                    { "requests": 60, "window": "1m" },
                    { "name": "visitor", "requests": 5, "window": "10s", "by": "key+address" },
                ],
                "mode": "leased", "expires_in": "30d", "mfa": false,
            })
        );
    }

    #[test]
    fn an_update_empties_what_is_to_be_empty() {
        let update = Changed::parse_from(["x", "id", "--name", "n", "--clear", "tags"]);
        let body = update.args.body(3).unwrap();
        assert_eq!(body, json!({ "version": 3, "name": "n", "tags": null }));
        let both = Changed::parse_from(["x", "id", "--tag", "a", "--clear", "tags"]);
        assert!(both.args.body(3).is_err());
    }
}
