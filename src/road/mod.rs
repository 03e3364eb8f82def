//! The road, driven from `driver/road.mjs`: values in, a command out, never waiting.
//!
//! A walk that waits lies here under a number; no Rust object is held in JavaScript across an
//! await, and no Rust future runs on the road.

// What wasm-bindgen exports must be `pub`, though nothing in Rust can reach it.
#![allow(unreachable_pub)]

mod memory;
mod wire;

use std::cell::RefCell;

use tollgate_core::header::name::CONTENT_LENGTH;
use tollgate_core::problem::{Code, Problem};
use tollgate_core::request::{Entropy, Head, HeadText};
use tollgate_core::road::forwarding::Forward;
use tollgate_core::road::log::LogLine;
use tollgate_core::road::{self, Errand, Isolate, Outcome, Paused, Record, Shelf, Supplied};
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::Sample;
use wasm_bindgen::prelude::*;

use crate::bindings;
use crate::gate::gate;
use crate::ledger::count;
use crate::platform::{instant, random};
use crate::point::Point;
use wire::{Command, FromUpstream, Left, messages};

thread_local! {
    static SHELL: RefCell<Shell> = RefCell::default();
}

/// What this instance of the Wasm module holds.
struct Shell {
    isolate: Isolate,
    walks: Shelf<Walk>,
    chance: Chance,
    /// True where Analytics Engine is bound; None until it was looked for.
    analytics: Option<bool>,
}

enum Walk {
    Paused(Box<Paused>, HeadText),
    Forward(Box<Forward>, UnixMillis),
}

/// Random bytes for requests' ids and traces, fetched for many at a time. Not for secrets: they lie
/// here until they are used.
#[derive(Default)]
struct Chance {
    bytes: Vec<u8>,
}

/// Requests that one fetch of random bytes is for.
const FETCHED_FOR: usize = 50;

impl Chance {
    /// Those of one request, each once; None when the platform gives none.
    fn take(&mut self) -> Option<Entropy> {
        if self.bytes.is_empty() {
            self.bytes = random::<{ FETCHED_FOR * size_of::<Entropy>() }>()?.to_vec();
        }
        let rest = self.bytes.len().checked_sub(size_of::<Entropy>())?;
        self.bytes.split_off(rest).try_into().ok()
    }
}

/// Walks at a time; at about 2 KiB each a third of an isolate's memory. An isolate has far fewer
/// requests at once, so that more of them are lost ones.
const MAX_WALKS: usize = 20_000;
/// Stores answer within seconds, or have failed.
const STORE_WAIT: Millis = Millis::minutes(1);
/// Beyond the time that an upstream has.
const SLACK: Millis = Millis::secs(5);

impl Default for Shell {
    fn default() -> Self {
        Self {
            isolate: Isolate::default(),
            walks: Shelf::new(MAX_WALKS),
            chance: Chance::default(),
            analytics: None,
        }
    }
}

/// Starts the walk of a request. `head`: as [`HeadText`] has it. `now`: milliseconds since the epoch.
#[wasm_bindgen(js_name = roadBegin)]
pub fn begin(head: String, env: &JsValue, now: f64) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let analytics = || bindings::property(env, bindings::ANALYTICS).is_some();
        shell.analytics.get_or_insert_with(analytics);
        let Ok(gate) = gate(env) else { return Command::fault() };
        let Some(entropy) = shell.chance.take() else { return Command::fault() };
        let head = HeadText::new(head);
        let outcome = road::begin(&gate, &mut shell.isolate, &head, now, &entropy, Record::Log);
        command(shell, outcome, head, now)
    })
}

/// Goes on with what the driver fetched. `ok`: false when the store could not be reached.
#[wasm_bindgen(js_name = roadStep)]
pub fn step(walk: u32, ok: bool, supplied: Option<String>, now: f64) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let Some(Walk::Paused(paused, head)) = shell.walks.take(walk) else {
            // The driver steps walks that it was told to fetch for, each once.
            return Command::fault();
        };
        let supplied = match (ok, paused.asks_cache(), supplied) {
            (true, true, entry) => Supplied::Cached(entry),
            (true, false, Some(answer)) => Supplied::Object(answer),
            (true, false, None) | (false, ..) => Supplied::Failed,
        };
        let outcome = road::resume(*paused, &mut shell.isolate, &head, &supplied, now);
        command(shell, outcome, head, now)
    })
}

/// Goes on with what came of the upstream, as [`FromUpstream`] reads it.
#[wasm_bindgen(js_name = roadUpstream)]
pub fn upstream(walk: u32, came: &str, now: f64) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let Some(Walk::Forward(forward, sent_at)) = shell.walks.take(walk) else {
            return Command::fault();
        };
        let took = now.since(sent_at);
        let answer = match FromUpstream::read(came) {
            FromUpstream::Answered(status, headers) => match forward.answered(status, &headers) {
                Ok(relayed) => {
                    let left = shell.left(&relayed.log(took, now), &relayed.sample(now));
                    return Command::relay(relayed, &left);
                }
                Err(answer) => *answer,
            },
            FromUpstream::Failed(fault) => forward.failed(fault),
        };
        let left = shell.left(&answer.log(now).upstream(took), &answer.sample(now));
        Command::answer(answer, &left)
    })
}

impl Shell {
    /// What is to be sent to objects for a walk that does not go on.
    fn given_up(&mut self, walk: Walk, now: UnixMillis) -> Vec<Errand> {
        match walk {
            Walk::Paused(paused, _) => paused.given_up(&mut self.isolate, now),
            Walk::Forward(forward, _) => forward.given_up(),
        }
    }

    /// Counts an answered request, and tells what is left of it for the driver.
    fn left(&self, line: &LogLine, sample: &Sample<'_>) -> Left {
        Left {
            log: line.to_json(),
            point: (self.analytics == Some(true)).then(|| Point::of(line)),
            flush: count(sample),
        }
    }
}

/// Ends a walk that the driver gave up: what is to be sent to objects because of that, as a JSON list.
#[wasm_bindgen(js_name = roadDrop)]
pub fn drop_walk(walk: u32, now: f64) -> Option<String> {
    let now = instant(now);
    let errands = SHELL.with_borrow_mut(|shell| match shell.walks.take(walk) {
        Some(walk) => shell.given_up(walk, now),
        None => Vec::new(),
    });
    (!errands.is_empty()).then(|| messages(errands))
}

/// Tells what came of a message whose reply has a number; `reply`: None when there was none.
#[wasm_bindgen(js_name = roadErrand)]
// An optional `&str` is nothing that wasm-bindgen takes.
#[allow(clippy::needless_pass_by_value)]
pub fn errand(number: u32, reply: Option<String>, now: f64) {
    let (reply, now) = (reply.as_deref(), instant(now));
    SHELL.with_borrow_mut(|shell| shell.isolate.errand_done(number, reply, now));
}

/// The body of `internal_error`, for the driver to keep: when it needs it, nothing here runs.
#[wasm_bindgen(js_name = faultDocument)]
pub fn fault_document(correlation_id: &str) -> String {
    Problem::new(Code::InternalError).document("", correlation_id).to_string()
}

fn command(shell: &mut Shell, outcome: Outcome, head: HeadText, now: UnixMillis) -> String {
    match outcome {
        Outcome::Answer(answer) => {
            let left = shell.left(&answer.log(now), &answer.sample(now));
            Command::answer(*answer, &left)
        }
        Outcome::Ask(ask, paused) => {
            let has_place = paused.has_place();
            match shell.walks.put(Walk::Paused(paused, head), STORE_WAIT, now) {
                Ok(walk) => Command::ask(walk, ask, has_place),
                Err(walk) => Command::fault_after(shell.given_up(walk, now)),
            }
        }
        Outcome::Gate(_) | Outcome::Source(_) => Command::gate(),
        Outcome::Forward(mut forward) => {
            let Some(request) = forward.request(&head) else {
                return Command::fault_after(forward.given_up());
            };
            let errands = forward.take_errands();
            // The upstream's time runs once the body is sent, which takes `max_stream` at most.
            let sends = request.body_cap.is_some() || head.header(CONTENT_LENGTH).is_some();
            let wait = if sends { request.max_stream } else { request.timeout };
            let wait = Millis::millis(wait.as_millis().saturating_add(SLACK.as_millis()));
            match shell.walks.put(Walk::Forward(forward, now), wait, now) {
                Ok(walk) => Command::forward(walk, request, errands),
                Err(walk) => {
                    let gone = shell.given_up(walk, now);
                    Command::fault_after(errands.into_iter().chain(gone).collect())
                }
            }
        }
    }
}
