//! The object of one tenant's endpoints, and the one named `*` of the operators': where events are
//! sent to, what is on its way, and what came of it.
//!
//! It stands beside the tenant's own object, because an endpoint that hangs holds up an alarm for as
//! long as an attempt may take: revoking a tenant's keys does not wait for somebody's server.

mod replay;
mod sending;
mod table;

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Promise;
use tollgate_core::endpoint::{
    Delivery, Endpoint, EndpointReply, EndpointRequest, Event, Flight, MAX_ENDPOINTS, Shown,
    event_id, test_event,
};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::store::{Store, note_fault, refuse};
use super::told;
use crate::platform::{now, random};

/// When a part that failed in the alarm is tried again.
const AGAIN: Millis = Millis::secs(30);

/// The endpoints of one tenant.
#[durable_object(alarm)]
pub struct EndpointObject {
    keeper: Rc<Keeper>,
}

/// What attempts go on with that outlive the alarm that started them.
struct Keeper {
    store: Store,
    env: JsValue,
    /// True while the alarm is at work.
    working: Cell<bool>,
    /// How often the audit was to be asked, whatever it has.
    asked: Cell<u64>,
    /// What is under way in this instance, whichever alarm started it.
    flight: RefCell<Flight>,
    /// Each of them, for whoever waits until one has ended: endpoint and event.
    attempts: RefCell<BTreeMap<(String, String), Promise>>,
}

impl core::fmt::Debug for EndpointObject {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "EndpointObject({} under way)", self.keeper.flight.borrow().len())
    }
}

impl DurableObject for EndpointObject {
    fn new(state: State, env: Env) -> Self {
        let keeper = Keeper {
            store: Store::of_parts(state, &[table::SCHEMA, told::SCHEMA], &[]),
            env: env.into(),
            working: Cell::default(),
            asked: Cell::default(),
            flight: RefCell::default(),
            attempts: RefCell::default(),
        };
        Self { keeper: Rc::new(keeper) }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Sends what is due. Never fails: what could not be done has its turn again.
    async fn alarm(&self) -> worker::Result<Response> {
        self.keeper.alarm().await;
        Response::empty()
    }
}

#[wasm_bindgen]
impl EndpointObject {
    /// Answers an [`EndpointRequest`] with an [`EndpointReply`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        let reply = self.keeper.answer(message).and_then(|reply| {
            serde_json::to_string(&reply).map_err(|error| Fault(error.to_string()))
        });
        reply.map_err(|fault| refuse("endpoint", &fault))
    }
}

impl Keeper {
    async fn alarm(self: &Rc<Self>) {
        self.store.woken();
        noted(self.store.hold(now().plus(AGAIN)));
        self.working.set(true);
        let sent = self.send_due().await;
        // What cannot be sent now is not tried in a circle.
        let earliest = if sent.is_err() { now().plus(AGAIN) } else { UnixMillis::default() };
        noted(sent);
        noted(told::tell(&self.store, &self.env).await);
        noted(self.forget_old(now()));
        self.working.set(false);
        match self.next_at(now()) {
            Ok(None) => {}
            Ok(Some(at)) => noted(self.store.wake_at(at.max(earliest))),
            Err(fault) => {
                noted(Err(fault));
                noted(self.store.wake_at(now().plus(AGAIN)));
            }
        }
        noted(self.store.release());
    }

    fn answer(&self, message: &str) -> Result<EndpointReply, Fault> {
        let now = now();
        let request = serde_json::from_str(message).map_err(|error| Fault(error.to_string()))?;
        let reply = self.reply(request, now)?;
        // Whoever asks sets an alarm going again that was lost.
        if !self.store.has_alarm() {
            self.arm()?;
        }
        Ok(reply)
    }

    /// Sets the alarm to when there is something to do next. One that is at work does so at its end.
    fn arm(&self) -> Result<(), Fault> {
        if self.working.get() {
            return Ok(());
        }
        self.next_at(now())?.map_or(Ok(()), |at| self.store.wake_at(at))
    }

    fn reply(&self, request: EndpointRequest, now: UnixMillis) -> Result<EndpointReply, Fault> {
        match request {
            EndpointRequest::Wake { last } => {
                if self.endpoint_ids()?.is_empty() {
                    return Ok(EndpointReply::Unwanted);
                }
                self.known(last)?;
                self.store.wake_at(now)?;
                Ok(EndpointReply::Done)
            }
            EndpointRequest::Create(endpoint) => self.create(*endpoint, now),
            EndpointRequest::List { limit, after } => self.list(limit, after.as_deref()),
            EndpointRequest::Read { id } => self.with(&id, |endpoint| Ok(shown(endpoint))),
            EndpointRequest::Update { id, update } => self.with(&id, |endpoint| {
                if update.version != endpoint.version {
                    return Ok(EndpointReply::VersionConflict { current: endpoint.version });
                }
                self.change(update.of(endpoint))
            }),
            EndpointRequest::Rotate { id, secret, grace } => self.with(&id, |mut endpoint| {
                endpoint.secrets = endpoint.secrets.rotated(secret, grace, now);
                endpoint.version = endpoint.version.saturating_add(1);
                self.change(endpoint)
            }),
            EndpointRequest::Delete { id } => self.with(&id, |endpoint| {
                self.store.transaction(&mut || self.delete(&endpoint.id))?;
                self.flight.borrow_mut().forget(&endpoint.id);
                Ok(EndpointReply::Done)
            }),
            EndpointRequest::Test { id, tenant } => self.with(&id, |endpoint| {
                if !endpoint.is_on() {
                    return Ok(EndpointReply::Disabled);
                }
                let event = test_event(&endpoint.id, &tenant, now);
                self.send_one(&endpoint, &event, now)
            }),
            EndpointRequest::Deliveries { id, query } => {
                self.with(&id, |endpoint| self.deliveries(&endpoint.id, &query))
            }
            EndpointRequest::Replay { id, replay, from } => {
                self.with(&id, |endpoint| self.replay(&endpoint, &replay, from, now))
            }
        }
    }

    fn with(
        &self,
        id: &str,
        of: impl FnOnce(Endpoint) -> Result<EndpointReply, Fault>,
    ) -> Result<EndpointReply, Fault> {
        self.endpoint(id)?.map_or(Ok(EndpointReply::Unknown), of)
    }

    fn create(&self, endpoint: Endpoint, now: UnixMillis) -> Result<EndpointReply, Fault> {
        if let Some(known) = self.endpoint(&endpoint.id)? {
            return Ok(shown(known));
        }
        let count = self.endpoints()?.len();
        if count >= MAX_ENDPOINTS {
            return Ok(EndpointReply::Full);
        }
        self.store.transaction(&mut || {
            if count == 0 {
                // Nobody wanted what came before. The audit may have been told so since it was asked
                // to tell of events, and is asked once more.
                self.begin_after(endpoint.since)?;
                self.asked.set(self.asked.get().saturating_add(1));
                self.mark(table::ASK, 1)?;
            }
            self.keep(&endpoint)
        })?;
        if count == 0 {
            self.store.wake_at(now)?;
        }
        Ok(shown(endpoint))
    }

    /// What waits for an endpoint that is off is held.
    fn change(&self, endpoint: Endpoint) -> Result<EndpointReply, Fault> {
        self.store.transaction(&mut || {
            self.keep(&endpoint)?;
            if endpoint.is_on() { Ok(()) } else { self.hold_pending(&endpoint.id) }
        })?;
        Ok(shown(endpoint))
    }

    fn send_one(
        &self,
        endpoint: &Endpoint,
        event: &Event,
        now: UnixMillis,
    ) -> Result<EndpointReply, Fault> {
        let id = fresh_event_id(now)?;
        let delivery = Delivery::new(endpoint, now);
        self.store.transaction(&mut || {
            self.keep_event(&id, event, now)?;
            self.keep_delivery(&endpoint.id, &id, &delivery)
        })?;
        self.store.wake_at(now)?;
        let (kind, at) = (event.kind.clone(), event.at);
        Ok(EndpointReply::Sent(Box::new(Shown { event: id, kind, at, delivery })))
    }
}

fn fresh_event_id(now: UnixMillis) -> Result<String, Fault> {
    let random: Option<[u8; 32]> = random();
    random
        .and_then(|random| event_id(now, &random))
        .ok_or_else(|| Fault("the platform gives no randomness".to_owned()))
}

fn shown(endpoint: Endpoint) -> EndpointReply {
    EndpointReply::Endpoint(Box::new(endpoint))
}

fn noted(done: Result<(), Fault>) {
    done.unwrap_or_else(|fault| note_fault("endpoint", &fault));
}
