//! Webhooks in: from a request that the road recognised to what its provider hears. The core
//! decides; this collects the body, has hashes made, and asks the inbox or the backend.

mod body;
mod forward;
pub(crate) mod refused;
pub(crate) mod send;
pub(crate) mod verify;

use std::rc::Rc;

use js_sys::Uint8Array;
use tollgate_core::header::name;
use tollgate_core::inbox::{EventId, InboxReply, InboxRequest, Take, Taken, shard_of};
use tollgate_core::policy::{Delivery, Source};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::request::{Head, HeadText};
use tollgate_core::road::source::{ForSource, Outcome};
use tollgate_core::road::{Fault, Gate};
use tollgate_core::webhook::{Identity, Reply, Scheme};
use wasm_bindgen::prelude::*;
use web_sys::{Headers, Response};

use crate::house::bindings::{self, write_point};
use crate::house::count;
use crate::house::response::{Body, response};
use crate::platform::now;
use crate::point::Point;
use verify::Judged;

/// One webhook, and what it is answered from.
struct Hook {
    gate: Rc<Gate>,
    webhook: ForSource,
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
    request: web_sys::Request,
    env: JsValue,
}

/// What its provider hears.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    code: Option<Code>,
    outcome: Outcome,
}

/// A refusal.
struct Refused {
    problem: Problem,
    headers: Vec<(&'static str, String)>,
    outcome: Outcome,
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { problem: Problem::new(code), headers: Vec::new(), outcome: Outcome::default() }
    }
}

/// A store that fails: the reason is for the operator's log alone.
impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        worker::console_error!("{{\"fault\":{:?}}}", fault.0);
        Code::AdmissionUnavailable.into()
    }
}

/// Answers a webhook. `head` is the request's as [`HeadText`] has it.
pub(crate) async fn answer(
    gate: Rc<Gate>,
    webhook: ForSource,
    head: &HeadText,
    request: web_sys::Request,
    env: JsValue,
) -> Result<Response, JsValue> {
    let value = |name: String| head.header(&name).map(|value| (name, value));
    let headers = head.header_names().into_iter().filter_map(value).collect();
    let hook = Hook { gate, webhook, headers, request, env };
    let answer = match hook.handle().await {
        Ok(answer) => answer,
        Err(refused) => hook.refusal(refused),
    };
    if let Some(failure) = &answer.outcome.failed {
        hook.note(failure, answer.outcome.would_refuse.is_some()).await;
    }
    let line = hook.webhook.log(answer.status, answer.code, &answer.outcome, now());
    worker::console_log!("{}", line.to_json());
    write_point(&hook.env, || Point::of(&line).to_json());
    count(&hook.webhook.sample(answer.status, answer.code, now()));
    answer.into_response()
}

impl Hook {
    fn source(&self) -> Result<&Source, Refused> {
        self.gate.policy.sources.get(self.webhook.source).ok_or(Code::InternalError.into())
    }

    async fn handle(&self) -> Result<Answer, Refused> {
        let source = self.source()?;
        let scheme = source.scheme.scheme();
        let methods = scheme.methods();
        if !methods.contains(&self.webhook.method()) {
            let allow = vec![(name::ALLOW, methods.join(", "))];
            return Err(Refused { headers: allow, ..Code::MethodNotAllowed.into() });
        }
        if !source.addresses.allows(self.webhook.address()) {
            return Err(Code::IpNotAllowed.into());
        }
        let (bytes, body) = body::read(&self.request, &self.headers, source.body_limit).await?;
        match verify::judge(self, source, &scheme, &body).await? {
            Judged::Reply(reply) => Ok(self.replied(&reply, "challenge")),
            Judged::Event { identity, provider_id, outcome } => {
                let mut received = self.webhook.received(source, &self.headers);
                received.provider_id = provider_id;
                received.unverified = outcome.would_refuse.is_some();
                let event = Event { identity, received, bytes, body, outcome };
                match source.delivery {
                    Delivery::Queue(_) => self.queued(source, &scheme, event).await,
                    Delivery::Forward => self.forwarded(source, &scheme, event).await,
                }
            }
        }
    }

    /// Stores the event, then acknowledges it.
    async fn queued(
        &self,
        source: &Source,
        scheme: &Scheme<'_>,
        event: Event,
    ) -> Result<Answer, Refused> {
        let Identity { name, content, remember } = event.identity;
        let shard = shard_of(&name, source.shards);
        let id = EventId::new(self.webhook.request_id(), shard);
        let take =
            InboxRequest::Take(Take { id, name, content, remember, received: event.received });
        let reply = ask(&self.env, source, shard, &take, Some(&event.bytes)).await?;
        let webhook = match reply {
            InboxReply::Taken(Taken::Stored) => "stored",
            InboxReply::Taken(Taken::StoredAgain) => "id_reused",
            InboxReply::Taken(Taken::Duplicate) => "duplicate",
            InboxReply::Taken(Taken::Full) => {
                return Err(Refused { outcome: event.outcome, ..Code::InboxFull.into() });
            }
            _ => return Err(Code::AdmissionUnavailable.into()),
        };
        let mut answer = self.acknowledged(scheme, webhook);
        answer.outcome = Outcome { webhook: Some(webhook), ..event.outcome };
        Ok(answer)
    }

    fn acknowledged(&self, scheme: &Scheme<'_>, webhook: &'static str) -> Answer {
        let fixed = scheme.acknowledgement;
        let reply = Reply::new(fixed.status, fixed.content_type, fixed.body.to_owned());
        self.replied(&reply, webhook)
    }

    fn replied(&self, reply: &Reply, webhook: &'static str) -> Answer {
        let own = reply.headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let no_store = (name::CACHE_CONTROL, "no-store".to_owned());
        let headers = self.webhook.stamp().into_iter().chain(own).chain([no_store]);
        Answer {
            status: reply.status,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
            body: if reply.body.is_empty() { Body::None } else { Body::Text(reply.body.clone()) },
            code: None,
            outcome: Outcome { webhook: Some(webhook), ..Outcome::default() },
        }
    }

    fn refusal(&self, refused: Refused) -> Answer {
        let Refused { problem, headers, outcome } = refused;
        let bare = self.source().is_ok_and(|source| source.scheme.scheme().bare);
        let (headers, body) = self.webhook.refusal(&problem, headers, bare);
        Answer {
            status: problem.code.status(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: if body.is_empty() { Body::None } else { Body::Text(body) },
            code: Some(problem.code),
            outcome,
        }
    }
}

/// A webhook that may go on to its backend.
struct Event {
    identity: Identity,
    received: tollgate_core::inbox::Received,
    /// The body, as the platform has it and as Rust has it.
    bytes: Uint8Array,
    body: Vec<u8>,
    outcome: Outcome,
}

/// Asks one of a source's objects.
pub(crate) async fn ask(
    env: &JsValue,
    source: &Source,
    shard: u8,
    request: &InboxRequest,
    body: Option<&Uint8Array>,
) -> Result<InboxReply, Fault> {
    let told = |error: serde_json::Error| Fault(format!("{}: {error}", bindings::INBOX));
    let message = serde_json::to_string(request).map_err(told)?;
    let object = object_name(&source.name, shard);
    let reply = bindings::call_with(env, bindings::INBOX, &object, &message, body).await?;
    serde_json::from_str(&reply).map_err(told)
}

/// The name of one of a source's objects.
pub(crate) fn object_name(source: &str, shard: u8) -> String {
    format!("{source}/{shard}")
}

impl Answer {
    fn into_response(self) -> Result<Response, JsValue> {
        let headers = Headers::new()?;
        for (name, value) in &self.headers {
            headers.append(name, value)?;
        }
        response(self.status, &headers, self.body)
    }
}
