//! `tollgate hooks endpoints`: where a tenant has events sent to.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Client, GateArgs, encoded, member, with_query};
use crate::table::{self, text};

/// The columns of a list.
const COLUMNS: [&str; 5] = ["id", "state", "disabled_because", "events", "url"];
/// The lines of one endpoint.
const FIELDS: [&str; 11] = [
    "id",
    "tenant",
    "url",
    "description",
    "events",
    "state",
    "disabled_because",
    "failing_since",
    "created_at",
    "previous_secret_until",
    "version",
];
/// The columns of what was sent.
const DELIVERIES: [&str; 6] = ["id", "type", "at", "state", "next_attempt_at", "attempts"];

/// Where a tenant has events sent to: keys that are made, changed and about to end, limits that are
/// reached, anomalies and more.
///
/// Exits with 0 when the gate did it, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(super) struct EndpointsArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Whose, for operators: of all tenants if left out. An admin key of one tenant has its own.
    #[arg(long, value_name = "NAME", global = true)]
    tenant: Option<String>,
    #[command(subcommand)]
    command: EndpointsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum EndpointsCommand {
    /// Have events sent to a URL. The secret that signs them is printed once, and never again.
    Create {
        /// An https address on the public internet.
        url: String,
        #[command(flatten)]
        wish: WishArgs,
    },
    /// List endpoints.
    List {
        /// At most so many; all of them if left out.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one endpoint.
    Show {
        /// Its id.
        id: String,
    },
    /// Change an endpoint; what is not said stays.
    Update(Box<UpdateArgs>),
    /// Make a new secret, which is printed once. The old one signs beside it for a while.
    Rotate {
        /// Its id.
        id: String,
        /// For how long, such as 24h; 0s ends it at once.
        #[arg(long)]
        grace: Option<String>,
    },
    /// Forget an endpoint and all that was sent to it.
    Delete {
        /// Its id.
        id: String,
    },
    /// Send it a test event.
    Test {
        /// Its id.
        id: String,
    },
    /// List what was sent to it, the newest first, with every attempt.
    Deliveries {
        /// Its id.
        id: String,
        /// In this state: pending, delivered, dead or held.
        #[arg(long)]
        state: Option<String>,
        /// Of events that happened then or later, such as 2030-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// At most so many; all of them if left out.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Send it events again: some, or all since a time.
    Replay {
        /// Its id.
        id: String,
        /// The ids of the events.
        #[arg(required_unless_present = "since", conflicts_with_all = ["since", "state"])]
        events: Vec<String>,
        /// All that happened then or later.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only those in this state: delivered, dead or held.
        #[arg(long)]
        state: Option<String>,
        /// Only tell how many that would be.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args, Clone, Debug)]
struct WishArgs {
    /// A type of events, such as key.revoked; may stand several times. All of them if left out.
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// What people call it.
    #[arg(long)]
    description: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct UpdateArgs {
    /// Its id.
    id: String,
    /// The version that was seen; without it, the one that is there now.
    #[arg(long)]
    version: Option<u64>,
    /// Where events are sent from now on.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    wish: WishArgs,
    /// On or off: enabled or disabled. While it is off events are kept for it, and not sent.
    #[arg(long)]
    state: Option<String>,
    /// Take this away: without events it gets all of them; may stand several times.
    #[arg(long, value_name = "FIELD")]
    clear: Vec<Clearable>,
}

/// A field that can be taken away.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clearable {
    Events,
    Description,
}

impl EndpointsArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let client = self.gate.client()?;
        let post = |id: &str, action: &str, body: &Value| {
            client.call("POST", &self.path(id, action), Some(body))
        };
        match &self.command {
            EndpointsCommand::Create { url, wish } => {
                let mut body = wish.members();
                body.insert("url".to_owned(), json!(url));
                if let Some(tenant) = &self.tenant {
                    body.insert("tenant".to_owned(), json!(tenant));
                }
                let body = Value::Object(body);
                client.call("POST", "hooks/endpoints", Some(&body))?.tell(self.json, made)
            }
            EndpointsCommand::List { limit } => {
                let query = [("tenant", self.tenant.as_deref())];
                let answer = client.list("hooks/endpoints", &query, "endpoints", *limit)?;
                answer.tell(self.json, |body| listed(member(body, "endpoints"), &COLUMNS))
            }
            EndpointsCommand::Show { id } => {
                self.one(&client.call("GET", &self.path(id, ""), None)?)
            }
            EndpointsCommand::Update(update) => self.update(&client, update),
            EndpointsCommand::Rotate { id, grace } => {
                let body =
                    grace.as_ref().map_or_else(|| json!({}), |grace| json!({ "grace": grace }));
                post(id, "/rotate", &body)?.tell(self.json, made)
            }
            EndpointsCommand::Delete { id } => {
                let answer = client.call("DELETE", &self.path(id, ""), None)?;
                answer.tell(self.json, |_| "deleted\n".to_owned())
            }
            EndpointsCommand::Test { id } => {
                let answer = post(id, "/test", &json!({}))?;
                answer.tell(self.json, |body| {
                    format!("on its way: {}\n", text(member(member(body, "delivery"), "id")))
                })
            }
            EndpointsCommand::Deliveries { id, state, since, limit } => {
                let query = [
                    ("tenant", self.tenant.as_deref()),
                    ("state", state.as_deref()),
                    ("since", since.as_deref()),
                ];
                let path = path_of(id, "/deliveries");
                let answer = client.list(&path, &query, "deliveries", *limit)?;
                answer.tell(self.json, |body| sent(member(body, "deliveries")))
            }
            EndpointsCommand::Replay { id, events, since, state, dry_run } => {
                let mut body = match since {
                    Some(since) => json!({ "since": since, "dry_run": dry_run }),
                    None => json!({ "ids": events, "dry_run": dry_run }),
                };
                if let (Some(state), Some(members)) = (state, body.as_object_mut()) {
                    members.insert("state".to_owned(), json!(state));
                }
                post(id, "/replay", &body)?.tell(self.json, super::replayed)
            }
        }
    }

    fn path(&self, id: &str, action: &str) -> String {
        with_query(&path_of(id, action), &[("tenant", self.tenant.as_deref())])
    }

    fn one(&self, answer: &Answer) -> Result<ExitCode> {
        answer.tell(self.json, |body| shown(member(body, "endpoint")))
    }

    /// Without a version it takes the one that is there now, and says so by failing when somebody
    /// else comes between.
    fn update(&self, client: &Client, update: &UpdateArgs) -> Result<ExitCode> {
        let path = self.path(&update.id, "");
        let version = if let Some(version) = update.version {
            version
        } else {
            let now = client.call("GET", &path, None)?;
            match member(member(&now.body, "endpoint"), "version").as_u64() {
                Some(version) if now.is_success() => version,
                _ => return self.one(&now),
            }
        };
        self.one(&client.call("PATCH", &path, Some(&update.body(version)?))?)
    }
}

impl WishArgs {
    /// What was said, by the names that the API has for it.
    fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        if !self.events.is_empty() {
            members.insert("events".to_owned(), json!(self.events));
        }
        if let Some(description) = &self.description {
            members.insert("description".to_owned(), json!(description));
        }
        members
    }
}

impl UpdateArgs {
    fn body(&self, version: u64) -> Result<Value> {
        let mut body = self.wish.members();
        body.insert("version".to_owned(), json!(version));
        for (name, value) in [("url", &self.url), ("state", &self.state)] {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        }
        for field in &self.clear {
            let name = match field {
                Clearable::Events => "events",
                Clearable::Description => "description",
            };
            let before = body.insert(name.to_owned(), Value::Null);
            ensure!(before.is_none(), "{name} is both set and cleared");
        }
        Ok(Value::Object(body))
    }
}

fn path_of(id: &str, action: &str) -> String {
    ["hooks/endpoints/", &encoded(id), action].concat()
}

/// An endpoint with its secret, which is there this once.
fn made(body: &Value) -> String {
    let secret = text(member(body, "secret"));
    let endpoint = shown(member(body, "endpoint"));
    format!("{endpoint}\n{secret}\n\nThis is the secret. It is not shown again.\n")
}

/// One endpoint, a line for each of its fields that say something.
fn shown(endpoint: &Value) -> String {
    let lines = FIELDS.iter().filter_map(|name| {
        let value = text(member(endpoint, name));
        (!value.is_empty()).then(|| format!("{:<21} {value}\n", name.replace('_', " ")))
    });
    lines.collect()
}

fn listed(objects: &Value, columns: &[&str]) -> String {
    match objects.as_array() {
        Some(objects) if !objects.is_empty() => table::columns(columns, objects),
        _ => "none\n".to_owned(),
    }
}

/// Deliveries, a line for each; of an attempt its status, or why it has none.
fn sent(deliveries: &Value) -> String {
    let mut deliveries = deliveries.clone();
    for delivery in deliveries.as_array_mut().into_iter().flatten() {
        let came = |attempt: &Value| match member(attempt, "status") {
            Value::Null => text(member(attempt, "fault")),
            status => text(status),
        };
        let attempts = member(delivery, "attempts").as_array();
        let attempts = attempts.into_iter().flatten().map(came).collect::<Vec<_>>().join(" ");
        if let Some(members) = delivery.as_object_mut() {
            members.insert("attempts".to_owned(), json!(attempts));
        }
    }
    listed(&deliveries, &DELIVERIES)
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
            let all = ["x", "ep_1"].iter().chain(args).copied();
            Changed::parse_from(all.collect::<Vec<_>>()).args.body(3)
        };
        assert_eq!(read(&[]).unwrap(), json!({ "version": 3 }));
        let all = ["--url", "https://a.b", "--event", "key.created", "--event", "key.revoked"];
        let more = ["--description", "a", "--state", "disabled"];
        assert_eq!(
            read(&[&all[..], &more].concat()).unwrap(),
            json!({
                "version": 3, "url": "https://a.b", "events": ["key.created", "key.revoked"],
                "description": "a", "state": "disabled",
            })
        );
        let bare = read(&["--clear", "events", "--clear", "description"]).unwrap();
        assert_eq!(bare, json!({ "version": 3, "events": null, "description": null }));
        assert!(read(&["--event", "key.created", "--clear", "events"]).is_err());
    }

    #[test]
    fn an_endpoint_shows_what_it_has_and_its_secret_once() {
        let endpoint = json!({
            "id": "ep_1", "tenant": "acme", "url": "https://a.b/", "description": null, "events": null,
            "state": "disabled", "disabled_because": "gone", "failing_since": null, "version": 2,
            "created_at": "2026-11-22T03:00:00Z", "previous_secret_until": null,
        });
        let lines = "id                    ep_1\n\
             tenant                acme\n\
             url                   https://a.b/\n\
             state                 disabled\n\
             disabled because      gone\n\
             created at            2026-11-22T03:00:00Z\n\
             version               2\n";
        assert_eq!(shown(&endpoint), lines);
        let told = made(&json!({ "endpoint": endpoint, "secret": "whsec_x" }));
        assert!(told.starts_with(lines) && told.contains("\nwhsec_x\n"));
        assert_eq!(listed(&json!([]), &COLUMNS), "none\n");
        let deliveries = json!([{
            "id": "evt_1", "type": "key.created", "at": "2026-11-22T03:00:00Z", "state": "delivered",
            "next_attempt_at": null,
            "attempts": [{ "status": null, "fault": "timed_out" }, { "status": 200, "fault": null }],
        }]);
        assert_eq!(
            sent(&deliveries),
            "ID     TYPE         AT                    STATE      NEXT ATTEMPT AT  ATTEMPTS\n\
             evt_1  key.created  2026-11-22T03:00:00Z  delivered                   timed_out 200\n"
        );
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(path_of("../x", "/test"), "hooks/endpoints/..%2Fx/test");
    }
}
