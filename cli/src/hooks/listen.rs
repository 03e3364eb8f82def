//! `tollgate hooks listen`: the events of a source for a program on this machine, while it is written.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use tollgate_core::request::RequestUrl;
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};

use super::forward::{Came, Forwarder};
use super::source::{one, path};
use crate::client::{Answer, Client, GateArgs, member};
use crate::clock;
use crate::table;

/// The shortest pause between two looks.
const SHORTEST: Millis = Millis::millis(100);
/// The longest one that comes of failures alone; a gate may ask for more.
const LONGEST: Millis = Millis::minutes(1);
/// Events of one second are not in order: so far back it is looked each time.
const OVERLAP: Millis = Millis::secs(30);

/// Forward the events of a source to a program on this machine, while it runs.
///
/// Every event that comes in from now on is sent there as the backend gets it, but for the backend's
/// credential, and told in one line. An event is done with once the program had it: a gate that is
/// busy and a program that is not up yet are waited for. The gate delivers to the backend all the
/// same. Ctrl-C ends it.
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
    /// Sign as the gate does for the backend: `whsec_` and base64, two while it is being changed.
    /// Other processes can read arguments: the variable takes both with a blank between them.
    #[arg(
        long = "secret",
        value_name = "SECRET",
        env = "TOLLGATE_WEBHOOK_SECRET",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    secrets: Vec<String>,
    /// How often the gate is asked. Every look and every event is a call: an admin key has 60 in a
    /// minute unless it has a limit of its own.
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = pause)]
    every: Millis,
    /// Also those that came since then, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "COUNT")]
    count: Option<usize>,
}

fn pause(text: &str) -> Result<Millis, String> {
    let span = Millis::parse(text).map_err(|error| error.to_string())?;
    if span < SHORTEST {
        return Err(format!("is shorter than {SHORTEST}"));
    }
    Ok(span)
}

impl ListenArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let to = RequestUrl::split(&self.forward_to).ok();
        let to = to.with_context(|| format!("{} is no http(s) address", self.forward_to))?;
        ensure!(to.is_loopback(), "{}: it forwards to this machine only", self.forward_to);
        let since = self.since.as_deref().map(|text| {
            UnixMillis::parse_rfc3339(text)
                .with_context(|| format!("--since {text} is no time such as 2030-01-31T12:00:00Z"))
        });
        let since = since.transpose()?;
        let secrets: Vec<Secret> = self.secrets.iter().map(Secret::new).collect();
        let forwarder = Forwarder::new(&self.forward_to, &secrets)?;
        let client = self.gate.client()?;
        // The first answer tells whether there is such a source at all, and what came last.
        let first = client.list(&path(&self.source, "events"), &[], "events", Some(1))?;
        if !first.is_success() {
            return first.tell(self.json, |_| String::new());
        }
        let pace = Pace { every: self.every, now: self.every };
        let mut listener = Listener { args: self, client, pace, said: String::new() };
        let mut seen = match since {
            Some(since) => Seen::from(since),
            None => listener.present(&first)?,
        };
        eprintln!("listening to {}, forwarding to {}", self.source, self.forward_to);
        let mut left = self.count.unwrap_or(usize::MAX);
        while left > 0 {
            for event in listener.events(seen.look_back())? {
                let Some((at, id)) = seen.new_one(&event).filter(|_| left > 0) else { continue };
                listener.forward(&forwarder, &id)?;
                seen.done(at, id);
                left = left.saturating_sub(1);
            }
            if left > 0 {
                sleep(listener.pace.went_well());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, id: &str, came: Result<u16, &str>) {
        let now = clock::now().to_rfc3339();
        if self.json {
            let (status, error) = (came.ok(), came.err());
            println!("{}", json!({ "at": now, "id": id, "status": status, "error": error }));
            return;
        }
        let came = came.map_or_else(str::to_owned, |status| status.to_string());
        println!("{now}  {id}  {came}");
    }
}

/// Whoever asks the gate, for as long as it takes.
struct Listener<'a> {
    args: &'a ListenArgs,
    client: Client,
    pace: Pace,
    /// What was said last of something that does not go on, to say it once.
    said: String,
}

impl Listener<'_> {
    /// What was there before: no clock is asked, because that of this machine may be another one than
    /// the gate's.
    fn present(&mut self, first: &Answer) -> Result<Seen> {
        let newest = member(&first.body, "events").get(0).and_then(received_at);
        let Some(newest) = newest else { return Ok(Seen::from(UnixMillis::default())) };
        let mut seen = Seen::from(newest.minus(OVERLAP));
        for event in self.events(seen.look_back())? {
            if let Some((at, id)) = seen.new_one(&event) {
                seen.done(at, id);
            }
        }
        Ok(seen)
    }

    /// Events since then, the oldest first.
    fn events(&mut self, since: UnixMillis) -> Result<Vec<Value>> {
        let (path, since) = (path(&self.args.source, "events"), since.to_rfc3339());
        let query = [("since", Some(since.as_str()))];
        let listed = self.ask(|client| client.list(&path, &query, "events", None))?;
        let listed = listed.with_context(|| format!("the gate has no {}", self.args.source))?;
        let mut events = member(&listed.body, "events").as_array().cloned().unwrap_or_default();
        events.reverse();
        Ok(events)
    }

    /// Has the program get this event, and tells what it answered.
    fn forward(&mut self, forwarder: &Forwarder, id: &str) -> Result<()> {
        let path = one(&self.args.source, id);
        let Some(event) = self.ask(|client| client.call("GET", &path, None))? else {
            self.args.tell(id, Err("the gate has it no more"));
            return Ok(());
        };
        loop {
            match forwarder.forward(member(&event.body, "event"), clock::now()) {
                Came::Status(status) => self.args.tell(id, Ok(status)),
                Came::Failed(error) => self.args.tell(id, Err(&error)),
                Came::Nobody => {
                    let to = &self.args.forward_to;
                    self.say(format!("nobody answers at {to}: {id} waits for it\n"));
                    sleep(duration(self.args.every));
                    continue;
                }
            }
            self.said.clear();
            return Ok(());
        }
    }

    /// Asks until there is an answer; None: there is no such thing. A gate that does not answer for a
    /// while, or that has enough of us, is asked again.
    fn ask(&mut self, call: impl Fn(&Client) -> Result<Answer>) -> Result<Option<Answer>> {
        loop {
            let wish = match call(&self.client) {
                Ok(answer) if answer.is_success() => {
                    self.said.clear();
                    return Ok(Some(answer));
                }
                Ok(answer) if answer.status == 404 => return Ok(None),
                Ok(answer) if answer.status >= 500 || answer.status == 429 => {
                    self.say(table::problem(&answer));
                    answer.retry_after
                }
                Ok(answer) => {
                    eprint!("{}", table::problem(&answer));
                    bail!("the gate gives no events of {}", self.args.source);
                }
                Err(error) => {
                    self.say(format!("tollgate: {error:#}\n"));
                    None
                }
            };
            sleep(self.pace.refused(wish));
        }
    }

    fn say(&mut self, text: String) {
        if self.said != text {
            eprint!("{text}");
            self.said = text;
        }
    }
}

/// How long is waited between two looks.
struct Pace {
    every: Millis,
    now: Millis,
}

impl Pace {
    /// Back to what was wished for, a step at a time.
    fn went_well(&mut self) -> Duration {
        self.now = Millis::millis(self.now.as_millis() / 2).max(self.every);
        duration(self.now)
    }

    /// Twice as long as before from now on, and this time as long as the gate wishes.
    fn refused(&mut self, wish: Option<Millis>) -> Duration {
        let doubled = Millis::millis(self.now.as_millis().saturating_mul(2));
        self.now = doubled.min(LONGEST).max(self.every);
        duration(wish.map_or(self.now, |wish| wish.max(SHORTEST)))
    }
}

fn duration(span: Millis) -> Duration {
    Duration::from_millis(span.as_millis())
}

fn received_at(event: &Value) -> Option<UnixMillis> {
    UnixMillis::parse_rfc3339(member(event, "received_at").as_str()?)
}

/// What is done with.
struct Seen {
    /// Not before this.
    from: UnixMillis,
    /// Of what is done with.
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

    /// When an event that is not done with came, and its id.
    fn new_one(&self, event: &Value) -> Option<(UnixMillis, String)> {
        let id = member(event, "id").as_str()?.to_owned();
        let new = (received_at(event)?, id);
        (!self.ids.contains(&new)).then_some(new)
    }

    fn done(&mut self, at: UnixMillis, id: String) {
        self.ids.insert((at, id));
        self.latest = self.latest.max(at);
        // What is older is not asked for again.
        let oldest = self.look_back();
        self.ids.retain(|(at, _)| *at >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_new_until_it_is_done_with_and_no_more_is_remembered_than_is_asked_for_again() {
        let at = |secs: u64| UnixMillis::from_secs(1_000_000).plus(Millis::secs(secs));
        let event = |id: &str, secs| json!({ "id": id, "received_at": at(secs).to_rfc3339() });
        let mut seen = Seen::from(at(0));
        assert_eq!(seen.look_back(), at(0));
        for (id, secs) in [("a", 5), ("b", 3), ("c", 5), ("d", 100)] {
            // One that comes late, and two of one instant. It stays new until the program had it.
            for _ in 0..2 {
                let new = seen.new_one(&event(id, secs));
                assert_eq!(new, Some((at(secs), id.to_owned())));
            }
            let before = seen.look_back();
            assert!(before <= at(secs), "it is asked for again until then");
            seen.done(at(secs), id.to_owned());
            assert_eq!(seen.new_one(&event(id, secs)), None);
        }
        assert_eq!(seen.look_back(), at(70));
        assert_eq!(seen.ids.len(), 1);
        for no in [json!({}), json!({ "id": "x" }), json!({ "id": "x", "received_at": "y" })] {
            assert_eq!(seen.new_one(&no), None);
        }
    }

    #[test]
    fn a_gate_that_has_enough_is_asked_less_often_and_when_it_says() {
        let every = Millis::secs(2);
        let mut pace = Pace { every, now: every };
        assert_eq!(pace.went_well(), Duration::from_secs(2));
        assert_eq!(pace.refused(None), Duration::from_secs(4));
        assert_eq!(pace.refused(Some(Millis::secs(41))), Duration::from_secs(41));
        assert_eq!(pace.refused(Some(Millis::ZERO)), Duration::from_millis(100));
        assert_eq!(pace.refused(None), Duration::from_secs(32));
        for _ in 0..9 {
            pace.refused(None);
        }
        assert_eq!(pace.refused(None), Duration::from_mins(1));
        let back: Vec<u64> = (0..6).map(|_| pace.went_well().as_secs()).collect();
        assert_eq!(back, [30, 15, 7, 3, 2, 2]);
        assert!(pause("50ms").is_err() && pause("soon").is_err());
        assert_eq!(pause("100ms"), Ok(SHORTEST));
    }
}
