//! What the gate serves of its own: the management API, health, pages. Async, because it is not on
//! the road; it fetches and stores, and [`tollgate_core::manage`] decides.

mod access;
mod anomalies;
mod answer;
mod audit;
mod auth;
mod body;
mod counted;
mod endpoints;
mod events;
mod explain;
mod health;
mod jobs;
mod keys;
mod leaks;
mod objects;
mod pages;
mod repeat;
mod session;
mod tenants;
mod token;
mod usage;
mod verify;

use core::cell::Cell;
use std::rc::Rc;

use serde_json::Value;
use tollgate_core::address::failure_block;
use tollgate_core::header::name;
use tollgate_core::key::KeyId;
use tollgate_core::manage::{
    Bounds, Call, CallRow, Caller, Ground, ListQuery, Place, Unrouted, object_of, query_pairs,
};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::repeat::IdempotencyKey;
use tollgate_core::request::HeadText;
use tollgate_core::road::arrive::ForGate;
use tollgate_core::road::{self, Fault, Gate, Isolate, Outcome, Record};
use wasm_bindgen::prelude::*;

use crate::gate::gate;
use crate::house::bindings::write_point;
use crate::house::{hooks, memory};
use crate::platform::{now, random};
use crate::point::Point;
use answer::{Answer, Refused};

pub(super) use body::collect;

/// Answers a request that `roadBegin` found to be for the gate itself, or a webhook. `head`: as
/// [`HeadText`] has it.
///
/// # Errors
/// When it is neither, or the platform makes no answer: the driver then says `internal_error`.
#[wasm_bindgen(js_name = gateAnswer)]
#[allow(unreachable_pub)] // it is reached from JavaScript
pub async fn gate_answer(
    head: String,
    request: web_sys::Request,
    env: JsValue,
) -> Result<web_sys::Response, JsValue> {
    let gate = gate(&env).map_err(|Fault(fault)| fault)?;
    let head = HeadText::new(head);
    let own = match arrive(&gate, &head).ok_or("the platform gives no randomness")? {
        Outcome::Gate(own) => *own,
        Outcome::Source(webhook) => {
            return hooks::answer(gate, *webhook, &head, request, env).await;
        }
        _ => return Err("it is not for the gate itself".into()),
    };
    let context = Context { request, env, gate, own, changed: Cell::default() };
    let answer = match handle(&context).await {
        Ok(answer) => answer,
        Err(refused) => Answer::refusal(&context, refused),
    };
    let line = answer.log(&context);
    worker::console_log!("{}", line.to_json());
    write_point(&context.env, || Point::of(&line).to_json());
    answer.count(&context);
    answer.into_response(&context)
}

/// Steps 1 to 3 once more: the road's module took them as well, and told of them only that they ended
/// here. The id of the request is made now, and nobody was told another.
fn arrive(gate: &Rc<Gate>, head: &HeadText) -> Option<Outcome> {
    let entropy = random()?;
    Some(road::begin(gate, &mut Isolate::default(), head, now(), &entropy, Record::Log))
}

/// One request, and what it is answered from.
struct Context {
    request: web_sys::Request,
    env: JsValue,
    gate: Rc<Gate>,
    own: ForGate,
    /// True once a store was told to change something.
    changed: Cell<bool>,
}

impl Context {
    fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    fn method(&self) -> String {
        self.request.method()
    }

    /// A store is told to change something: whether it did may remain unknown.
    fn changes(&self) {
        self.changed.set(true);
    }

    fn has_changed(&self) -> bool {
        self.changed.get()
    }

    /// True for the methods that pages and health answer.
    fn reads(&self) -> bool {
        matches!(self.method().as_str(), "GET" | "HEAD")
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            brand: &self.gate.policy.gate.key_brand,
            environment: &self.gate.policy.environment.name,
            trust: &self.gate.trust,
        }
    }

    fn bounds(&self) -> Bounds<'_> {
        Bounds {
            brand: &self.gate.policy.gate.key_brand,
            environment: &self.gate.policy.environment.name,
            max_lifetime: self.gate.policy.gate.max_key_lifetime,
        }
    }

    /// Nothing, while the caller's address has failures left to make.
    fn may_fail(&self) -> Result<(), Refused> {
        let rate = self.gate.policy.gate.failures;
        unspent(memory::failures_spent(&self.block(), rate))
    }

    /// A credential that failed costs the caller's address one of its failures.
    fn failed(&self) {
        let rate = self.gate.policy.gate.failures;
        memory::spend_failure(&self.block(), rate);
    }

    /// Nothing, while this caller may bring bad keys to be looked at. They are not its own, so they
    /// are counted apart from what its address fails in.
    fn may_look_up(&self, caller: &Caller) -> Result<(), Refused> {
        let rate = self.gate.policy.gate.failures;
        unspent(memory::lookups_spent(caller.name(), rate))
    }

    /// A bad key that this caller brought.
    fn looked_up(&self, caller: &Caller) {
        let rate = self.gate.policy.gate.failures;
        memory::spend_lookup(caller.name(), rate);
    }

    /// Nothing, while steps 7 to 9 may refuse this key to the caller's address.
    fn may_be_refused(&self, id: &KeyId) -> Result<(), Refused> {
        unspent(memory::refusals_spent(id, &self.block()))
    }

    /// Steps 7 to 9 refused this key.
    fn refused(&self, id: &KeyId) {
        memory::spend_refusal(id, &self.block());
    }

    fn block(&self) -> String {
        failure_block(self.own.address())
    }
}

/// What is said to somebody whose budget has something again in `wait` seconds.
fn unspent(wait: Option<u64>) -> Result<(), Refused> {
    let Some(seconds) = wait else { return Ok(()) };
    let mut problem = Problem::new(Code::TooManyFailures);
    problem.retry_after = Some(seconds.max(1));
    Err(problem.into())
}

async fn handle(context: &Context) -> Result<Answer, Refused> {
    let place = Place::of(&context.own.url().path, context.own.on_admin_host);
    match place {
        Place::Api => api(context).await,
        Place::Nowhere => Err(Code::NotFound.into()),
        Place::Token => token::answer(context).await,
        Place::Leaks => leaks::take(context).await,
        _ if !context.reads() => {
            Err(Refused::from(Code::MethodNotAllowed).with(name::ALLOW, "GET, HEAD"))
        }
        Place::Health => Ok(health::health()),
        Place::KeyPattern => Ok(leaks::pattern(context)),
        Place::Ready => health::ready(context).await,
        Place::Errors => Ok(pages::errors(context)),
        Place::Error(code) => Ok(pages::error(context, code)),
        Place::File(asset) => pages::file(context, &asset).await,
        Place::Folder(path) => Ok(Answer::moved(path)),
    }
}

/// The management API: what is meant, who asks, what is said, whether they may, and then the call.
/// The body is read before the caller is admitted, so that a key that is revoked while its body
/// trickles in does nothing any more.
async fn api(context: &Context) -> Result<Answer, Refused> {
    let (row, call) =
        CallRow::read(&context.method(), &context.own.url().path).map_err(unrouted)?;
    let once = repeat::key_of(context, row)?;
    let holder = auth::identify(context, row.rights).await?;
    let act = audit::Act::new(holder.caller(), row, &call);
    act.answered(context, admit_and_answer(context, row, call, holder, once).await).await
}

async fn admit_and_answer(
    context: &Context,
    row: &CallRow,
    call: Call,
    holder: auth::Holder,
    once: Option<IdempotencyKey>,
) -> Result<Answer, Refused> {
    let body = if row.has_body() {
        let read = body::read(context).await;
        read.map_err(|refused| refused.of(&holder.caller()))?
    } else {
        Vec::new()
    };
    let credential = holder.credential(context);
    let admitted = holder.admit(context, row.rights).await?;
    let shows_secret = call.shows_secret();
    let call = read_and_answer(context, &admitted.caller, call, row.has_body(), &body);
    let answered = match &once {
        None => call.await,
        Some(key) => {
            let (caller, credential) = (&admitted.caller, &credential);
            let once = repeat::Once { caller, credential, key, body: &body, shows_secret };
            once.run(context, call).await
        }
    };
    // What the caller's limits say goes with every answer that was paid for.
    match answered {
        Ok(answer) => Ok(answer.by(&admitted)),
        Err(refused) => Err(refused.by(&admitted)),
    }
}

async fn read_and_answer(
    context: &Context,
    caller: &Caller,
    call: Call,
    has_body: bool,
    body: &[u8],
) -> Result<Answer, Refused> {
    let body = if has_body { object_of(body)? } else { Value::Null };
    answer_call(context, caller, call, &body).await
}

async fn answer_call(
    context: &Context,
    caller: &Caller,
    call: Call,
    body: &Value,
) -> Result<Answer, Refused> {
    let query = || query_pairs(context.own.url().query.as_deref().unwrap_or_default());
    match call {
        Call::CreateKey => keys::create(context, caller, body).await,
        Call::ListKeys => keys::list(context, caller, &ListQuery::read(&query()?, caller)?).await,
        Call::ShowKey(id) => keys::show(context, caller, &id).await,
        Call::UpdateKey(id) => keys::update(context, caller, &id, body).await,
        Call::Act(id, action) => keys::act(context, caller, &id, action, body).await,
        Call::Verify => verify::verify(context, caller, body).await,
        Call::Explain => explain::explain(context, caller, body).await,
        Call::RevokeKeys => jobs::revoke_keys(context, caller, body).await,
        Call::ListJobs => jobs::list(context, caller, &query()?).await,
        Call::ShowJob(id) => jobs::show(context, caller, &id).await,
        Call::ListTenants => tenants::list(context, caller, &query()?).await,
        Call::CreateTenant => tenants::create(context, caller, body).await,
        Call::ShowTenant(name) => tenants::show(context, caller, &name).await,
        Call::UpdateTenant(name) => tenants::update(context, caller, &name, body).await,
        Call::Audit => audit::read(context, caller, &query()?).await,
        Call::AuditKey => audit::key(context).await,
        Call::KeyUsage(id) => usage::of_key(context, caller, &id, &query()?).await,
        Call::Usage => usage::of_tenant(context, caller, &query()?).await,
        Call::Anomalies => anomalies::list(context, caller, &query()?).await,
        Call::ListEndpoints => endpoints::list(context, caller, &query()?).await,
        Call::CreateEndpoint => endpoints::create(context, caller, body).await,
        Call::Endpoint(id, act) => endpoints::act(context, caller, &id, act, &query()?, body).await,
        Call::ListSources => events::sources(context, caller, &query()?),
        Call::ListRefusals(source) => events::refusals(context, caller, &source, &query()?).await,
        Call::ListEvents(source) => events::list(context, caller, &source, &query()?).await,
        Call::ShowEvent(source, id) => events::show(context, caller, &source, &id).await,
        Call::ReplayEvent(source, id) => events::replay_one(context, caller, &source, &id).await,
        Call::ReplayEvents(source) => events::replay(context, caller, &source, body).await,
        Call::ShowSession => Ok(session::show(caller)),
        Call::OpenSession => session::open(context, caller, body).await,
        Call::CloseSession => session::close(context, caller).await,
        Call::Enrol => session::enrol(context, caller, body).await,
        Call::ConfirmEnrolment => session::confirm(context, caller, body).await,
        Call::RenewEnrolment(id) => session::renew_enrolment(context, caller, &id, body).await,
    }
}

fn unrouted(unrouted: Unrouted) -> Refused {
    let refused = Refused::from(unrouted.problem);
    match unrouted.allow {
        Some(allow) => refused.with(name::ALLOW, allow),
        None => refused,
    }
}
