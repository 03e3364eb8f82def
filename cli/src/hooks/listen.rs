//! `tollgate hooks listen`: the events of a source for a program on this machine, while it is written.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tollgate_core::header::HOP_BY_HOP;
use tollgate_core::request::RequestUrl;
use tollgate_core::time::{Millis, UnixMillis};
use ureq::Agent;
use ureq::http::Request;

use super::source::{one, path};
use super::{event_body, event_headers};
use crate::client::{Client, GateArgs, member};
use crate::clock;
use crate::table;

/// How often the gate is asked.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that the program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events of one second are not in order: so far back it is looked each time.
const OVERLAP: Millis = Millis::secs(30);

/// Forward the events of a source to a program on this machine, while it runs.
///
/// Every event that comes in from now on is sent there with the headers and the body that the backend
/// gets, and told in one line. The gate delivers it to the backend all the same. Ctrl-C ends it.
#[derive(Args, Clone, Debug)]
pub(super) struct ListenArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print one JSON object for each event.
    #[arg(long)]
    json: bool,
    /// The source, as the policy names it.
    source: String,
    /// Where to, such as <http://127.0.0.1:3000/hooks>.
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// Also those that came since then, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "COUNT")]
    count: Option<usize>,
}

impl ListenArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let to = RequestUrl::split(&self.forward_to).ok();
        let to = to.with_context(|| format!("{} is no http(s) address", self.forward_to))?;
        ensure!(to.is_loopback(), "{}: it forwards to this machine only", self.forward_to);
        let since = match &self.since {
            None => clock::now(),
            Some(text) => UnixMillis::parse_rfc3339(text).with_context(|| {
                format!("--since {text} is no time such as 2030-01-31T12:00:00Z")
            })?,
        };
        let client = self.gate.client()?;
        let mut seen = Seen::from(since);
        let mut left = self.count.unwrap_or(usize::MAX);
        // The first answer tells whether there is such a source at all.
        let query = [("since", Some(since.to_rfc3339()))];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_deref()));
        let first = client.list(&path(&self.source, "events"), &query, "events", Some(1))?;
        if !first.is_success() {
            return first.tell(self.json, |_| String::new());
        }
        eprintln!("listening to {}, forwarding to {}", self.source, self.forward_to);
        let agent = local_agent();
        loop {
            for id in self.new_events(&client, &mut seen)? {
                let event = client.call("GET", &one(&self.source, &id), None)?;
                if event.is_success() {
                    self.tell(
                        &id,
                        &forward(&agent, &self.forward_to, member(&event.body, "event")),
                    );
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            sleep(PAUSE);
        }
    }

    /// The ids of events that were not told of, the oldest first. A gate that does not answer for a
    /// while is asked again.
    fn new_events(&self, client: &Client, seen: &mut Seen) -> Result<Vec<String>> {
        let since = seen.look_back().to_rfc3339();
        let query = [("since", Some(since.as_str()))];
        let listed = client.list(&path(&self.source, "events"), &query, "events", None);
        let answer = match listed {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) if answer.status < 500 && answer.status != 429 => {
                eprint!("{}", table::problem(&answer));
                anyhow::bail!("the gate gives no events of {}", self.source);
            }
            Ok(answer) => {
                eprint!("{}", table::problem(&answer));
                return Ok(Vec::new());
            }
            Err(error) => {
                eprintln!("tollgate: {error:#}");
                return Ok(Vec::new());
            }
        };
        let events = member(&answer.body, "events").as_array().cloned().unwrap_or_default();
        Ok(events.iter().rev().filter_map(|event| seen.new_one(event)).collect())
    }

    fn tell(&self, id: &str, forwarded: &Result<u16>) {
        let now = clock::now().to_rfc3339();
        let (status, error) = match forwarded {
            Ok(status) => (Some(*status), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        if self.json {
            println!("{}", json!({ "at": now, "id": id, "status": status, "error": error }));
            return;
        }
        let came = status.map_or_else(|| error.unwrap_or_default(), |status| status.to_string());
        println!("{now}  {id}  {came}");
    }
}

/// What was told of already.
struct Seen {
    /// Not before this.
    from: UnixMillis,
    latest: UnixMillis,
    ids: BTreeSet<(UnixMillis, String)>,
}

impl Seen {
    fn from(since: UnixMillis) -> Self {
        Self { from: since, latest: since, ids: BTreeSet::new() }
    }

    /// Since when to ask.
    fn look_back(&self) -> UnixMillis {
        self.latest.minus(OVERLAP).max(self.from)
    }

    /// The id of an event that is new.
    fn new_one(&mut self, event: &Value) -> Option<String> {
        let id = member(event, "id").as_str()?.to_owned();
        let at = UnixMillis::parse_rfc3339(member(event, "received_at").as_str()?)?;
        self.latest = self.latest.max(at);
        // What is older is not asked for again.
        let oldest = self.look_back();
        self.ids.retain(|(at, _)| *at >= oldest);
        self.ids.insert((at, id.clone())).then_some(id)
    }
}

fn local_agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(PATIENCE));
    config.build().into()
}

/// Sends an event to the program; the status of its answer.
fn forward(agent: &Agent, to: &str, event: &Value) -> Result<u16> {
    let body = event_body(event).context("the gate told no body")?;
    let to = match member(event, "query").as_str() {
        Some(query) if to.contains('?') => format!("{to}&{query}"),
        Some(query) => format!("{to}?{query}"),
        None => to.to_owned(),
    };
    let mut request = Request::builder().method("POST").uri(&to);
    for (name, value) in event_headers(event) {
        let lower = name.to_ascii_lowercase();
        let own = matches!(lower.as_str(), "host" | "content-length");
        if !own && !HOP_BY_HOP.contains(&lower.as_str()) {
            request = request.header(name, value);
        }
    }
    let request = request.body(body.as_slice()).context("the event makes no request")?;
    let answer = agent.run(request).with_context(|| format!("nobody answers at {to}"))?;
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_new_once_and_no_more_is_remembered_than_is_asked_for_again() {
        let at = |secs: u64| UnixMillis::from_secs(1_000_000).plus(Millis::secs(secs));
        let event = |id: &str, secs| json!({ "id": id, "received_at": at(secs).to_rfc3339() });
        let mut seen = Seen::from(at(0));
        assert_eq!(seen.look_back(), at(0));
        assert_eq!(seen.new_one(&event("a", 5)).as_deref(), Some("a"));
        assert_eq!(seen.new_one(&event("a", 5)), None);
        // One that comes late, and two of one instant.
        assert_eq!(seen.new_one(&event("b", 3)).as_deref(), Some("b"));
        assert_eq!(seen.new_one(&event("c", 5)).as_deref(), Some("c"));
        assert_eq!(seen.new_one(&event("d", 100)).as_deref(), Some("d"));
        assert_eq!(seen.look_back(), at(70));
        assert_eq!(seen.ids.len(), 1);
        assert_eq!(seen.new_one(&event("d", 100)), None);
        for no in [json!({}), json!({ "id": "x" }), json!({ "id": "x", "received_at": "y" })] {
            assert_eq!(seen.new_one(&no), None);
        }
    }
}
