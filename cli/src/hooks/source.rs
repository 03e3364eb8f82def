//! `tollgate hooks sources`, `events`, `refusals` and `replay`: what came in for a source, what it
//! refused, and delivering events again.

use core::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::client::{GateArgs, encoded, member};
use crate::table;

/// The columns of a list.
const COLUMNS: [&str; 6] =
    ["id", "received_at", "state", "attempts", "next_attempt_at", "provider_id"];

/// The columns of a list of sources.
const SOURCE_COLUMNS: [&str; 6] = ["name", "tenant", "scheme", "path", "delivery", "upstream"];
/// The columns of a list of refusals.
const REFUSAL_COLUMNS: [&str; 6] = ["at", "step", "code", "detail", "request_id", "others"];

/// List the events that came in for a source, the newest first, or show one.
///
/// Exits with 0 when the gate answered, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
    /// The source, as the policy names it.
    source: String,
    /// Show this event with its headers, attempts and body.
    #[arg(conflicts_with_all = ["state", "since", "limit"])]
    id: Option<String>,
    /// In this state: pending, delivered or dead.
    #[arg(long)]
    state: Option<String>,
    /// That came then or later, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
}

/// List the sources of webhooks.
#[derive(Args, Clone, Debug)]
pub(super) struct SourcesArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
}

/// List the webhooks that a source refused lately, the newest first, and the step at which each
/// failed.
#[derive(Args, Clone, Debug)]
pub(super) struct RefusalsArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
    /// The source, as the policy names it.
    source: String,
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
}

/// Deliver events of a source again: some, or all since a time.
#[derive(Args, Clone, Debug)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
    /// The source, as the policy names it.
    source: String,
    /// The ids of the events.
    #[arg(required_unless_present = "since", conflicts_with_all = ["since", "state"])]
    ids: Vec<String>,
    /// All that came then or later.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// dead or all; dead ones if left out.
    #[arg(long)]
    state: Option<String>,
    /// Only tell how many that would be.
    #[arg(long)]
    dry_run: bool,
}

impl SourcesArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let answer = self.gate.client()?.list("hooks", &[], "sources", None)?;
        answer.tell(self.json, |body| listed(body, "sources", &SOURCE_COLUMNS))
    }
}

impl RefusalsArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let client = self.gate.client()?;
        let answer = client.list(&path(&self.source, "refusals"), &[], "refusals", self.limit)?;
        answer.tell(self.json, |body| listed(body, "refusals", &REFUSAL_COLUMNS))
    }
}

impl EventsArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let client = self.gate.client()?;
        if let Some(id) = &self.id {
            let answer = client.call("GET", &one(&self.source, id), None)?;
            return answer.tell(self.json, |body| shown(member(body, "event")));
        }
        let query = [("state", self.state.as_deref()), ("since", self.since.as_deref())];
        let answer = client.list(&path(&self.source, "events"), &query, "events", self.limit)?;
        answer.tell(self.json, |body| listed(body, "events", &COLUMNS))
    }
}

impl ReplayArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut body = match &self.since {
            Some(since) => json!({ "since": since, "dry_run": self.dry_run }),
            None => json!({ "ids": self.ids, "dry_run": self.dry_run }),
        };
        if let (Some(state), Some(members)) = (&self.state, body.as_object_mut()) {
            members.insert("state".to_owned(), json!(state));
        }
        let client = self.gate.client()?;
        let answer = client.call("POST", &path(&self.source, "replay"), Some(&body))?;
        answer.tell(self.json, super::replayed)
    }
}

pub(super) fn path(source: &str, what: &str) -> String {
    ["hooks/", &encoded(source), "/", what].concat()
}

pub(super) fn one(source: &str, id: &str) -> String {
    [&path(source, "events/"), encoded(id).as_str()].concat()
}

fn listed(body: &Value, what: &str, columns: &[&str]) -> String {
    match member(body, what).as_array().map(Vec::as_slice) {
        None | Some([]) => format!("no {what}\n"),
        Some(rows) => table::columns(columns, rows),
    }
}

/// One event: its fields, its headers, and its body as it came.
fn shown(event: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        let value = table::text(value);
        let apart = ["headers", "body", "tries", "last_attempt"].contains(&name.as_str());
        if !value.is_empty() && !apart {
            let _ = writeln!(lines, "{:<16} {value}", name.replace('_', " "));
        }
    }
    for attempt in member(event, "tries").as_array().into_iter().flatten() {
        let _ = writeln!(lines, "{:<16} {}", "attempt", table::text(attempt));
    }
    lines.push('\n');
    for (name, value) in super::event_headers(event) {
        let _ = writeln!(lines, "{name}: {}", table::printable(&value));
    }
    lines.push('\n');
    let body = super::event_body(event).unwrap_or_default();
    lines.push_str(&table::printable(&String::from_utf8_lossy(&body)));
    lines.push('\n');
    lines
}
