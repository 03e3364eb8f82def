//! Commands to the driver and what it brings back, as text: one string each way is the cheapest
//! crossing there is, and lines are read with a tenth of what JSON takes.
//!
//! A command is its kind and its fields, a line each; lists begin with their length. What may hold
//! line breaks, the body of an answer and a message to an object, stands last and reaches to the end.

use core::fmt::Write as _;

use serde::Serialize;
use tollgate_core::header::name;
use tollgate_core::road::forwarding::{Relayed, UpstreamFault, UpstreamRequest};
use tollgate_core::road::{Answer, Ask, Errand, ObjectClass};
use tollgate_core::time::Millis;

use crate::bindings;
use crate::point::Point;

/// What the driver is to do next: the makers of its text.
pub(crate) struct Command;

/// What is left of a request once it is answered.
pub(crate) struct Left {
    /// Its log line.
    pub(crate) log: String,
    /// Where Analytics Engine is bound: its data point.
    pub(crate) point: Option<Point>,
    /// Bring what was counted to the tenants' objects, after so many milliseconds.
    pub(crate) flush: Option<u32>,
}

/// Headers whose values are those of one request. The others of a refusal are the same for many, and
/// the driver makes them once.
const PASSING: [&str; 8] = [
    name::X_REQUEST_ID,
    name::RATE_LIMIT,
    name::X_RATE_LIMIT_REMAINING,
    name::X_RATE_LIMIT_RESET,
    name::RETRY_AFTER,
    name::DEPRECATION,
    name::SUNSET,
    name::SET_COOKIE,
];

impl Command {
    /// Answer `internal_error`.
    pub(crate) fn fault() -> String {
        Self::fault_after(Vec::new())
    }

    /// Answer `internal_error`, and send these: of what was begun nothing is lost.
    pub(crate) fn fault_after(errands: Vec<Errand>) -> String {
        let mut lines = Lines::default();
        lines.line("fault").messages(errands);
        lines.end("")
    }

    /// The request is for the gate itself, or a webhook: the house answers it.
    pub(crate) fn gate() -> String {
        "gate\n".to_owned()
    }

    /// Read an entry of KV, or call an object, then step. `held`: the request may have a place in
    /// flight from then on, and is brought to its end though its client is gone.
    pub(crate) fn ask(walk: u32, ask: Ask, held: bool) -> String {
        let mut lines = Lines::default();
        match ask {
            Ask::Cached { name } => {
                lines.line("kv").number(walk).line(&name);
                lines.end("")
            }
            Ask::Object { class, name, message } => {
                lines.line("object").number(walk).line(binding(class)).line(&name).flag(held);
                lines.end(&message)
            }
        }
    }

    /// Answer with this.
    pub(crate) fn answer(mut answer: Answer, left: &Left) -> String {
        let errands = answer.take_errands();
        let Answer { status, headers, body, .. } = answer;
        let passes = |name: &str| PASSING.iter().any(|known| known.eq_ignore_ascii_case(name));
        let (passing, lasting): (Vec<_>, Vec<_>) =
            headers.into_iter().partition(|(name, _)| passes(name));
        let mut lines = Lines::default();
        lines.line("answer").number(status).left(left).messages(errands);
        // One line, by which the driver knows them again.
        lines.line(&json(&lasting)).pairs(&passing);
        lines.end(&body)
    }

    /// Send the request to its upstream, then tell its answer.
    pub(crate) fn forward(walk: u32, request: UpstreamRequest, errands: Vec<Errand>) -> String {
        let UpstreamRequest { url, edits, credential, body_cap, timeout, max_stream, .. } = request;
        let mut set = edits.set;
        set.extend(credential.map(|(name, value)| (name, value.expose().to_owned())));
        let mut lines = Lines::default();
        lines.line("forward").number(walk).line(url.expose());
        lines.optional(body_cap).number(timeout.as_millis()).number(max_stream.as_millis());
        lines.optional(request.ends_within.map(Millis::as_millis)).flag(request.passes_cache);
        lines.messages(errands).names(&edits.remove).pairs(&set);
        lines.end("")
    }

    /// Relay the upstream's answer with these changes. What it holds in flight is released once the
    /// answer has ended, broken off, or its client is gone.
    pub(crate) fn relay(mut relayed: Relayed, left: &Left) -> String {
        let (errands, release) = (relayed.take_errands(), relayed.take_release());
        let Relayed { remove, set, append, .. } = relayed;
        let mut lines = Lines::default();
        lines.line("relay").left(left).messages(errands).messages(release);
        lines.names(&remove).pairs(&set).pairs(&append);
        lines.end("")
    }
}

/// What came of an upstream.
pub(crate) enum FromUpstream {
    /// It answered: its status, and its headers in order.
    Answered(u16, Vec<(String, String)>),
    /// It did not.
    Failed(UpstreamFault),
}

impl FromUpstream {
    /// Reads the word for what failed, or a status and then names and values, a line each.
    pub(crate) fn read(text: &str) -> Self {
        let mut lines = text.split('\n');
        match lines.next().unwrap_or_default() {
            "timeout" => Self::Failed(UpstreamFault::Timeout),
            "body_too_large" => Self::Failed(UpstreamFault::BodyTooLarge),
            first => match first.parse() {
                Ok(status) => {
                    let pair = || Some((lines.next()?.to_owned(), lines.next()?.to_owned()));
                    Self::Answered(status, core::iter::from_fn(pair).collect())
                }
                Err(_) => Self::Failed(UpstreamFault::Unreachable),
            },
        }
    }
}

/// A message to an object that no request waits for: sent once.
#[derive(Serialize)]
struct Message {
    binding: &'static str,
    name: String,
    #[serde(rename = "message")]
    text: String,
    /// The number that its reply is told under, where it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<u32>,
}

impl From<Errand> for Message {
    fn from(Errand { class, name, message, reply }: Errand) -> Self {
        Self { binding: binding(class), name, text: message, reply }
    }
}

/// Messages as the driver takes them, in JSON; empty for none.
pub(crate) fn messages(errands: Vec<Errand>) -> String {
    if errands.is_empty() {
        return String::new();
    }
    json(&errands.into_iter().map(Message::from).collect::<Vec<_>>())
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

const fn binding(class: ObjectClass) -> &'static str {
    match class {
        ObjectClass::Key => bindings::KEY,
        ObjectClass::Tenant => bindings::TENANT,
        ObjectClass::Counter => bindings::COUNTER,
    }
}

/// A command as it is written.
#[derive(Default)]
struct Lines {
    text: String,
    /// A field held a line break, and what comes after it would be read as something else.
    broken: bool,
}

impl Lines {
    fn line(&mut self, field: &str) -> &mut Self {
        self.broken |= field.contains('\n');
        self.text.push_str(field);
        self.text.push('\n');
        self
    }

    fn number(&mut self, number: impl core::fmt::Display) -> &mut Self {
        // Writing to a text never fails.
        let _ = writeln!(self.text, "{number}");
        self
    }

    fn optional(&mut self, number: Option<impl core::fmt::Display>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.line(""),
        }
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.line(if flag { "1" } else { "" })
    }

    fn names(&mut self, names: &[String]) -> &mut Self {
        self.number(names.len());
        names.iter().fold(self, |lines, name| lines.line(name))
    }

    fn pairs<N: AsRef<str>>(&mut self, pairs: &[(N, String)]) -> &mut Self {
        self.number(pairs.len());
        pairs.iter().fold(self, |lines, (name, value)| lines.line(name.as_ref()).line(value))
    }

    fn messages(&mut self, errands: Vec<Errand>) -> &mut Self {
        self.line(&messages(errands))
    }

    fn left(&mut self, left: &Left) -> &mut Self {
        let point = left.point.as_ref().map(json).unwrap_or_default();
        self.line(&left.log).line(&point).optional(left.flush)
    }

    /// The whole command: with what stands last, as it is.
    fn end(&mut self, last: &str) -> String {
        if self.broken {
            return Command::fault();
        }
        self.text.push_str(last);
        core::mem::take(&mut self.text)
    }
}
