//! The road, driven from `worker.mjs`: values in, a command out, never waiting.
//!
//! A walk that waits lies here under a number; no Rust object is held in JavaScript across an
//! await, and no Rust future runs on the road.

// What wasm-bindgen exports must be `pub`, though nothing in Rust can reach it.
#![allow(unreachable_pub)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Date, Reflect};
use tollgate_core::header::name::CONTENT_LENGTH;
use tollgate_core::key::{IdSecret, Peppers};
use tollgate_core::manage::RegistryRequest;
use tollgate_core::policy::{Credential, parse_module};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::request::{Entropy, Head};
use tollgate_core::road::arrive::ForGate;
use tollgate_core::road::forwarding::{Forward, UpstreamFault};
use tollgate_core::road::log::LogLine;
use tollgate_core::road::{
    self, Fault, Gate, Isolate, Outcome, Paused, Record, Shelf, Supplied, Trust,
};
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::{Ledger, Sample, UsageRequest};
use wasm_bindgen::prelude::*;

use crate::bindings::{self, text};
use crate::head::JsHead;
use crate::wire::{Command, FromUpstream, Left, Point};

thread_local! {
    static SHELL: RefCell<Shell> = RefCell::default();
}

/// What this instance of the Wasm module holds.
struct Shell {
    /// Built at the first request; a policy that cannot stand stays an error until the next deploy.
    gate: Option<Result<Rc<Gate>, Fault>>,
    isolate: Isolate,
    walks: Shelf<Walk>,
    /// What was counted and not brought to the tenants' objects yet.
    ledger: Ledger,
    /// A management call asked for it to be brought, after so many milliseconds.
    due: Option<u32>,
    /// True where Analytics Engine is bound; None until it was looked for.
    analytics: Option<bool>,
}

enum Walk {
    Paused(Box<Paused>),
    Forward(Box<Forward>, UnixMillis),
    ForGate(Box<ForGate>),
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
            gate: None,
            isolate: Isolate::default(),
            walks: Shelf::new(MAX_WALKS),
            ledger: Ledger::default(),
            due: None,
            analytics: None,
        }
    }
}

/// Starts the walk of a request. `now`: milliseconds since the epoch.
#[wasm_bindgen(js_name = roadBegin)]
pub fn begin(request: &web_sys::Request, env: &JsValue, now: f64) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let analytics = || bindings::property(env, bindings::ANALYTICS).is_some();
        shell.analytics.get_or_insert_with(analytics);
        let gate = match shell.gate.get_or_insert_with(|| build(env)) {
            Ok(gate) => Rc::clone(gate),
            Err(_) => return Command::Fault.to_json(),
        };
        let Some(entropy) = entropy() else { return Command::Fault.to_json() };
        let head = JsHead::new(request);
        let outcome = road::begin(&gate, &mut shell.isolate, &head, now, &entropy, Record::Log);
        command(shell, outcome, &head, now).to_json()
    })
}

/// Goes on with what the driver fetched. `ok`: false when the store could not be reached.
#[wasm_bindgen(js_name = roadStep)]
pub fn step(
    walk: u32,
    request: &web_sys::Request,
    ok: bool,
    supplied: Option<String>,
    now: f64,
) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let head = JsHead::new(request);
        let outcome = match shell.walks.take(walk) {
            Some(Walk::Paused(paused)) => {
                let supplied = match (ok, paused.asks_cache(), supplied) {
                    (true, true, entry) => Supplied::Cached(entry),
                    (true, false, Some(answer)) => Supplied::Object(answer),
                    (true, false, None) | (false, ..) => Supplied::Failed,
                };
                road::resume(*paused, &mut shell.isolate, &head, &supplied, now)
            }
            // The driver steps walks that it was told to fetch for, each once.
            Some(Walk::Forward(..) | Walk::ForGate(_)) | None => return Command::Fault.to_json(),
        };
        command(shell, outcome, &head, now).to_json()
    })
}

/// Goes on with what came of the upstream, as `FromUpstream`.
#[wasm_bindgen(js_name = roadUpstream)]
pub fn upstream(walk: u32, came: &str, now: f64) -> String {
    let now = instant(now);
    SHELL.with_borrow_mut(|shell| {
        let Some(Walk::Forward(forward, sent_at)) = shell.walks.take(walk) else {
            return Command::Fault.to_json();
        };
        let took = now.since(sent_at);
        let fault = match serde_json::from_str::<FromUpstream>(came) {
            Ok(FromUpstream::Answered { status, headers }) => {
                return match forward.answered(status, &headers) {
                    Ok(relayed) => {
                        let left = shell.left(&relayed.log(took, now), &relayed.sample(now));
                        Command::relay(relayed, left).to_json()
                    }
                    Err(answer) => {
                        let left = shell.left(&answer.log(now), &answer.sample(now));
                        Command::answer(*answer, left).to_json()
                    }
                };
            }
            Ok(FromUpstream::Timeout) => UpstreamFault::Timeout,
            Ok(FromUpstream::BodyTooLarge) => UpstreamFault::BodyTooLarge,
            Ok(FromUpstream::Unreachable) | Err(_) => UpstreamFault::Unreachable,
        };
        let answer = forward.failed(fault);
        let left = shell.left(&answer.log(now).upstream(took), &answer.sample(now));
        Command::answer(answer, left).to_json()
    })
}

impl Shell {
    /// Counts an answered request, and tells what is left of it for the driver.
    fn left(&mut self, line: &LogLine, sample: &Sample<'_>) -> Left {
        Left {
            log: line.to_json(),
            point: (self.analytics == Some(true)).then(|| Point::of(line)),
            flush: self.ledger.record(sample).map(in_timer),
        }
    }
}

/// What was counted since the last time, as a JSON list: the object of each tenant, and the message
/// for it.
#[wasm_bindgen(js_name = usageTake)]
pub fn usage_take() -> String {
    let gathered = SHELL.with_borrow_mut(|shell| shell.ledger.take());
    let each = gathered.into_iter().map(|gathered| {
        let name = gathered.tenant.clone();
        let message = RegistryRequest::Usage(UsageRequest::Gathered(gathered));
        (name, serde_json::to_string(&message).unwrap_or_default())
    });
    serde_json::to_string(&each.collect::<Vec<_>>()).unwrap_or_default()
}

/// After how many milliseconds [`usage_take`] is to be called, if a management call asked for that
/// since the last time. On the road the command says so.
#[wasm_bindgen(js_name = usageDue)]
pub fn usage_due() -> Option<u32> {
    SHELL.with_borrow_mut(|shell| shell.due.take())
}

/// Counts a management call.
pub(crate) fn count(sample: &Sample<'_>) {
    SHELL.with_borrow_mut(|shell| {
        let due = shell.ledger.record(sample).map(in_timer);
        shell.due = shell.due.into_iter().chain(due).min();
    });
}

/// A span as timers take it.
fn in_timer(span: Millis) -> u32 {
    span.as_millis().try_into().unwrap_or(u32::MAX)
}

/// Forgets a walk that the driver gave up.
#[wasm_bindgen(js_name = roadDrop)]
pub fn drop_walk(walk: u32) {
    SHELL.with_borrow_mut(|shell| shell.walks.take(walk));
}

/// The body of `internal_error`, for the driver to keep: when it needs it, nothing here runs.
#[wasm_bindgen(js_name = faultDocument)]
pub fn fault_document(correlation_id: &str) -> String {
    Problem::new(Code::InternalError).document("", correlation_id).to_string()
}

/// Panics. Only the tests' own entry calls it: `worker.mjs` does not, and passes on no export of
/// the module, so that nobody outside can.
#[wasm_bindgen(js_name = panicOnPurpose)]
#[allow(clippy::panic)] // what it is for
pub fn panic_on_purpose() {
    panic!("on purpose");
}

/// A class of its own for the driver to make: worker-build's wrapper resets the module after a
/// panic only when a class is constructed.
#[wasm_bindgen(js_name = Restart)]
#[derive(Debug, Default)]
pub struct Restart;

#[wasm_bindgen(js_class = Restart)]
impl Restart {
    /// Does nothing; its caller's wrapper does.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self
    }
}

/// The gate of this isolate; built at the first call.
pub(crate) fn gate(env: &JsValue) -> Result<Rc<Gate>, Fault> {
    SHELL.with_borrow_mut(|shell| match shell.gate.get_or_insert_with(|| build(env)) {
        Ok(gate) => Ok(Rc::clone(gate)),
        Err(fault) => Err(fault.clone()),
    })
}

/// What the isolate remembers. Not to be called from inside itself.
pub(crate) fn with_isolate<T>(work: impl FnOnce(&mut Isolate) -> T) -> T {
    SHELL.with_borrow_mut(|shell| work(&mut shell.isolate))
}

/// The walk of a request for the gate itself, which `roadBegin` put aside.
pub(crate) fn take_for_gate(walk: u32) -> Option<ForGate> {
    SHELL.with_borrow_mut(|shell| match shell.walks.take(walk) {
        Some(Walk::ForGate(own)) => Some(*own),
        _ => None,
    })
}

/// The time of this moment, as the platform tells it.
pub(crate) fn now() -> UnixMillis {
    instant(Date::now())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a clock after 1970
fn instant(ms: f64) -> UnixMillis {
    UnixMillis::from_millis(ms.max(0.0) as u64)
}

/// Fresh random bytes; None when the platform gives none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

fn entropy() -> Option<Entropy> {
    random()
}

fn command(shell: &mut Shell, outcome: Outcome, head: &JsHead<'_>, now: UnixMillis) -> Command {
    let command = match outcome {
        Outcome::Answer(answer) => {
            let left = shell.left(&answer.log(now), &answer.sample(now));
            Some(Command::answer(*answer, left))
        }
        Outcome::Ask(ask, paused) => shell
            .walks
            .put(Walk::Paused(paused), STORE_WAIT, now)
            .map(|walk| Command::ask(walk, ask)),
        Outcome::Gate(own) => {
            shell.walks.put(Walk::ForGate(own), STORE_WAIT, now).map(|walk| Command::Gate { walk })
        }
        Outcome::Forward(forward) => forward.request(head).and_then(|request| {
            // The upstream's time runs once the body is sent, which takes `max_stream` at most.
            let sends = request.body_cap.is_some() || head.header(CONTENT_LENGTH).is_some();
            let wait = if sends { request.max_stream } else { request.timeout };
            let wait = Millis::millis(wait.as_millis().saturating_add(SLACK.as_millis()));
            let walk = shell.walks.put(Walk::Forward(forward, now), wait, now)?;
            Some(Command::forward(walk, request))
        }),
    };
    command.unwrap_or(Command::Fault)
}

/// Reads the policy that the driver left, and the secrets that it names. What is wrong is logged
/// once; clients learn nothing of it.
fn build(env: &JsValue) -> Result<Rc<Gate>, Fault> {
    let built = assemble(env);
    if let Err(fault) = &built {
        worker::console_error!("the gate refuses everything: {fault}");
    }
    built.map(Rc::new)
}

fn assemble(env: &JsValue) -> Result<Gate, Fault> {
    let fault = |text: &str| Fault(text.to_owned());
    let module = Reflect::get(&js_sys::global(), &JsValue::from_str(bindings::POLICY_GLOBAL))
        .ok()
        .and_then(|value| value.as_string())
        .ok_or_else(|| fault("no policy was deployed"))?;
    let checked = parse_module(&module, now()).map_err(|errors| {
        Fault(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let name = text(env, bindings::ENVIRONMENT)
        .ok_or_else(|| fault("the variable ENVIRONMENT is not set"))?;
    let policy = checked.select(&name).map_err(|error| Fault(error.to_string()))?;
    let secret = |name: &str| text(env, name).map(Secret::new);
    let missing = |name: &str| Fault(format!("the secret {name} is not set"));
    let peppers = secret(bindings::KEY_PEPPER).ok_or_else(|| missing(bindings::KEY_PEPPER))?;
    let peppers = Peppers::parse(&peppers).map_err(|error| Fault(error.to_string()))?;
    let ids = secret(bindings::KEY_ID_SECRET)
        .and_then(|secret| IdSecret::new(&secret))
        .ok_or_else(|| fault("the secret KEY_ID_SECRET is not set or shorter than 32 bytes"))?;
    let named = policy
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.credential.iter().flat_map(Credential::secrets));
    let secrets: BTreeMap<String, Secret> =
        named.filter_map(|name| Some((name.to_owned(), secret(name)?))).collect();
    Ok(Gate::new(policy, Trust::Secrets { peppers, ids }, secrets))
}
