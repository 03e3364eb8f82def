//! What the gate serves of its own: the management API, health, pages. Async, because it is not on
//! the road; it fetches and stores, and [`tollgate_core::manage`] decides.

mod answer;
mod auth;
mod body;
mod explain;
mod health;
mod keys;
mod objects;
mod pages;
mod verify;

use std::rc::Rc;

use serde_json::Value;
use tollgate_core::address::failure_block;
use tollgate_core::header::name;
use tollgate_core::manage::{
    Bounds, Call, Ground, ListQuery, Place, Right, Unrouted, object_of, query_pairs,
};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::arrive::ForGate;
use tollgate_core::road::{Fault, Gate};
use wasm_bindgen::prelude::*;

use crate::gate::{gate, now, take_for_gate, with_isolate};
use answer::{Answer, Refused};

/// Answers a request for the gate itself, which `roadBegin` left under this number.
///
/// # Errors
/// When there is none, or the platform makes no answer: the driver then says `internal_error`.
#[wasm_bindgen(js_name = gateAnswer)]
#[allow(unreachable_pub)] // it is reached from JavaScript
pub async fn gate_answer(
    walk: u32,
    request: web_sys::Request,
    env: JsValue,
) -> Result<web_sys::Response, JsValue> {
    let own = take_for_gate(walk).ok_or("there is no such walk")?;
    let gate = gate(&env).map_err(|Fault(fault)| fault)?;
    let context = Context { request, env, gate, own };
    let answer = match handle(&context).await {
        Ok(answer) => answer,
        Err(refused) => Answer::refusal(&context, refused),
    };
    worker::console_log!("{}", answer.log(&context));
    answer.into_response(&context)
}

/// One request, and what it is answered from.
struct Context {
    request: web_sys::Request,
    env: JsValue,
    gate: Rc<Gate>,
    own: ForGate,
}

impl Context {
    fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    fn method(&self) -> String {
        self.request.method()
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
        let block = failure_block(self.own.address());
        let rate = self.gate.policy.gate.failures;
        match with_isolate(|isolate| isolate.failures_spent_by(&block, rate, now())) {
            None => Ok(()),
            Some(seconds) => {
                let mut problem = Problem::new(Code::TooManyFailures);
                problem.retry_after = Some(seconds.max(1));
                Err(problem.into())
            }
        }
    }

    /// A credential that failed costs the caller's address one of its failures.
    fn failed(&self) {
        let block = failure_block(self.own.address());
        let rate = self.gate.policy.gate.failures;
        with_isolate(|isolate| isolate.spend_failure_of(&block, rate, now()));
    }
}

async fn handle(context: &Context) -> Result<Answer, Refused> {
    let place = Place::of(&context.own.url().path, context.own.on_admin_host);
    match place {
        Place::Api => api(context).await,
        Place::Nowhere => Err(Code::NotFound.into()),
        _ if !context.reads() => {
            Err(Refused::from(Code::MethodNotAllowed).with(name::ALLOW, "GET, HEAD"))
        }
        Place::Health => Ok(health::health()),
        Place::Ready => health::ready(context).await,
        Place::Errors => Ok(pages::errors(context)),
        Place::Error(code) => Ok(pages::error(context, code)),
        Place::File(asset) => pages::file(context, &asset).await,
        Place::Folder(path) => Ok(Answer::moved(path)),
    }
}

/// The management API: what is meant, who asks, what is said, and then the call.
async fn api(context: &Context) -> Result<Answer, Refused> {
    let call = Call::read(&context.method(), &context.own.url().path).map_err(unrouted)?;
    if call.is_write() && context.header(name::IDEMPOTENCY_KEY).is_some() {
        let detail = "Idempotency-Key is not built yet for management calls: send none.";
        return Err(Problem::new(Code::NotBuiltYet).detail(detail).into());
    }
    let rights: &[Right] = match &call {
        Call::List | Call::Show(_) | Call::Verify | Call::Explain => &[Right::ReadKeys],
        Call::Create | Call::Update(_) | Call::Act(..) => &[Right::WriteKeys, Right::AdminKeys],
    };
    let admitted = auth::authenticate(context, rights).await?;
    let answered = answer_call(context, &admitted.caller, call).await;
    // What the caller's limits say goes with every answer that was paid for.
    match answered {
        Ok(answer) => Ok(answer.by(&admitted)),
        Err(refused) => Err(refused.by(&admitted)),
    }
}

async fn answer_call(
    context: &Context,
    caller: &tollgate_core::manage::Caller,
    call: Call,
) -> Result<Answer, Refused> {
    let body = if call.has_body() { object_of(&body::read(context).await?)? } else { Value::Null };
    match call {
        Call::Create => keys::create(context, caller, &body).await,
        Call::List => {
            let query = context.own.url().query.as_deref().unwrap_or_default();
            keys::list(context, caller, &ListQuery::read(&query_pairs(query)?, caller)?).await
        }
        Call::Show(id) => keys::show(context, caller, &id).await,
        Call::Update(id) => keys::update(context, caller, &id, &body).await,
        Call::Act(id, action) => keys::act(context, caller, &id, action, &body).await,
        Call::Verify => verify::verify(context, caller, &body).await,
        Call::Explain => explain::explain(context, caller, &body).await,
    }
}

fn unrouted(unrouted: Unrouted) -> Refused {
    let refused = Refused::from(unrouted.problem);
    match unrouted.allow {
        Some(allow) => refused.with(name::ALLOW, allow),
        None => refused,
    }
}
