//! From the audit to the endpoints: what is new is read, and what is due is sent.

use std::rc::Rc;

use js_sys::{Array, Promise};
use tollgate_core::audit::{AuditRequest, Reply, Watched};
use tollgate_core::delivery::{Attempt, Came, Fault as Why, TIMEOUT, retry_after};
use tollgate_core::endpoint::{
    Delivery, EVENTS, Ended, Endpoint, Event, Outcome, Places, event_of,
};
use tollgate_core::manage::{RegistryRequest, own_hosts};
use tollgate_core::policy::Platform;
use tollgate_core::road::Fault;
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::webhook::Portable;
use tollgate_core::webhook::destination::{Destination, Home};
use tollgate_core::webhook::uniform::Signers;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;

use super::super::store::note_fault;
use super::table::ASK;
use super::{Keeper, fresh_event_id, noted, told};
use crate::gate::gate;
use crate::house::bindings::{self, Unanswered, settle};
use crate::house::crypto::aes;
use crate::platform::{now, random};

/// Entries of the audit that are read at a time.
const READ: u64 = 100;
/// An alarm begins nothing new after this time; the next one does.
const TURN: Millis = Millis::minutes(1);
/// How often it is looked for what has become due while others are under way, in milliseconds.
const LOOK: i32 = 1_000;
/// When a delivery is due again whose attempt the gate's end cut off.
const LEASE: Millis = Millis::minutes(2);

/// What an attempt takes.
struct Parcel {
    env: JsValue,
    tenant: String,
    endpoint: Endpoint,
    event: String,
    body: String,
}

impl Keeper {
    /// Reads what is new, and sends what is due, until nothing is under way or its time is over. What
    /// is under way then goes on by itself: an object that waits for an answer stays, on Cloudflare for
    /// at least 70 s, and an attempt is over after [`TIMEOUT`].
    pub(super) async fn send_due(self: &Rc<Self>) -> Result<(), Fault> {
        let until = now().plus(TURN);
        while now() < until {
            // What cannot be read now keeps nothing from being sent.
            noted(self.read_on().await);
            self.begin_due()?;
            let all: Array = self.attempts.borrow().values().collect();
            if all.length() == 0 {
                return Ok(());
            }
            // That the look comes first is no fault.
            let _ = settle(Ok(Promise::race(&all).into()), LOOK).await;
        }
        Ok(())
    }

    /// Takes what the audit has of events, and puts it on its way to each endpoint that wants it. A
    /// page of it and how far was read are stored together or not at all.
    async fn read_on(&self) -> Result<(), Fault> {
        while let Some(after) = self.unread()? {
            let asked = self.asked.get();
            let types = EVENTS.map(str::to_owned).to_vec();
            let follow = AuditRequest::Follow { after, types, limit: READ };
            let message = serde_json::to_string(&RegistryRequest::Audit(follow))
                .map_err(|error| Fault(error.to_string()))?;
            let name = self.store.name()?;
            let reply = bindings::call_object(&self.env, bindings::TENANT, &name, &message).await?;
            let (Watched { last }, lines) = Reply::read(&reply)
                .ok_or_else(|| Fault("the audit answered what cannot be read".to_owned()))?;
            let events: Vec<Event> = lines.lines().filter_map(event_of).collect();
            let whole = u64::try_from(lines.lines().count()).is_ok_and(|count| count >= READ);
            let read = match events.last().and_then(|event| event.seq) {
                Some(seq) if whole => seq,
                _ => last.max(after),
            };
            self.store.transaction(&mut || {
                self.take(&events, now())?;
                self.read_up_to(read)?;
                // Somebody may have wanted it anew while it was asked, and of a full page there is more.
                if !whole && asked == self.asked.get() { self.unmark(ASK) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    fn take(&self, events: &[Event], now: UnixMillis) -> Result<(), Fault> {
        let endpoints = self.endpoints()?;
        for event in events {
            let wants = |endpoint: &&Endpoint| {
                endpoint.wants(&event.kind) && event.seq.is_none_or(|seq| seq > endpoint.since)
            };
            let mut id = None;
            for endpoint in endpoints.iter().filter(wants) {
                if id.is_none() {
                    let fresh = fresh_event_id(now)?;
                    self.keep_event(&fresh, event, now)?;
                    id = Some(fresh);
                }
                if let Some(id) = &id {
                    self.keep_delivery(&endpoint.id, id, &Delivery::new(endpoint, now))?;
                }
            }
        }
        Ok(())
    }

    /// Gives away the places that are free, to each endpoint in its turn.
    fn begin_due(self: &Rc<Self>) -> Result<(), Fault> {
        let places = Places::on(gate(&self.env)?.policy.gate.platform);
        let endpoints = self.endpoint_ids()?;
        let mut begun = true;
        while begun {
            begun = false;
            let order = self.flight.borrow().in_turn(endpoints.clone());
            for endpoint in order {
                if self.flight.borrow().is_free(&endpoint, places) {
                    begun |= self.begin_one(&endpoint)?;
                }
            }
        }
        Ok(())
    }

    /// Begins the delivery to this endpoint that has been due the longest; false if there is none.
    fn begin_one(self: &Rc<Self>, id: &str) -> Result<bool, Fault> {
        // One that was sent again while an attempt of before is under way is due and has to wait.
        let most = self.flight.borrow().of(id).saturating_add(1);
        let due = self.due(id, now(), most)?;
        let free = |event: &String| !self.flight.borrow().has(id, event);
        let Some(event) = due.into_iter().find(free) else { return Ok(false) };
        let (Some(endpoint), Some(body)) = (self.endpoint(id)?, self.body(&event)?) else {
            self.drop_delivery(id, &event)?;
            return Ok(true);
        };
        self.begun(id, &event, now().plus(LEASE))?;
        if !self.flight.borrow_mut().start(id, &event) {
            return Ok(false);
        }
        let url = endpoint.url.clone();
        let (env, tenant) = (self.env.clone(), self.store.name()?);
        let parcel = Parcel { env, tenant, endpoint, event: event.clone(), body };
        let name = (id.to_owned(), event);
        let keeper = Rc::clone(self);
        let (id, event) = name.clone();
        let sending = future_to_promise(async move {
            let at = now();
            let (came, wish) = parcel.send().await;
            let attempt = Attempt { at, took: now().since(at), came };
            noted(keeper.ended(&id, &event, &Ended { attempt, url, wish }));
            keeper.flight.borrow_mut().end(&id, &event);
            keeper.attempts.borrow_mut().remove(&(id, event));
            // No alarm is at work any more that would look what is next.
            noted(keeper.arm());
            Ok(JsValue::UNDEFINED)
        });
        self.attempts.borrow_mut().insert(name, sending);
        Ok(true)
    }

    /// Stores what came of an attempt. The endpoint may be another one by now, or gone.
    fn ended(&self, id: &str, event: &str, ended: &Ended) -> Result<(), Fault> {
        let (endpoint, delivery) = (self.endpoint(id)?, self.delivery(id, event)?);
        let (Some(mut endpoint), Some(mut delivery)) = (endpoint, delivery) else { return Ok(()) };
        let chance = random().map_or(0, u32::from_le_bytes);
        let (now, tenant) = (now(), self.store.name()?);
        let outcome = delivery.attempted(&mut endpoint, ended, now, chance);
        self.store.transaction(&mut || {
            self.keep_delivery(id, event, &delivery)?;
            match outcome {
                Outcome::Nothing => Ok(()),
                Outcome::Changed => self.keep(&endpoint),
                Outcome::Off => {
                    self.keep(&endpoint)?;
                    self.hold_pending(id)?;
                    told::keep(&self.store, &endpoint.disabled_event(&tenant, now))
                }
            }
        })
    }
}

impl Parcel {
    /// One attempt. What the endpoint answers besides status and `Retry-After` is not read.
    async fn send(self) -> (Came, Option<UnixMillis>) {
        let failed = |why: Why| (Came::Fault(why), None);
        let prepared = self.prepared().await;
        let (apart, headers) = match prepared {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return failed(Why::NotAllowed),
            Err(fault) => {
                note_fault(&self.endpoint.id, &fault);
                return failed(Why::NoCredential);
            }
        };
        let url = self.endpoint.url.as_str();
        let timeout = i32::try_from(TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let sent = bindings::send_event(&self.env, url, &headers, &self.body, apart, timeout);
        match sent.await {
            Ok(answer) => {
                let wish = answer.headers().get("retry-after").ok().flatten();
                let wish = wish.and_then(|text| retry_after(&text, now()));
                if let Some(body) = answer.body() {
                    let _ = body.cancel();
                }
                (Came::Status(answer.status()), wish)
            }
            Err(Unanswered::Late) => failed(Why::TimedOut),
            Err(Unanswered::Broken) => failed(Why::Unreachable),
            Err(Unanswered::NotApart) => failed(Why::NotAllowed),
        }
    }

    /// Whether there has to be a network apart for events, and the headers. None: events may not be
    /// sent there, by the policy of today.
    async fn prepared(&self) -> Result<Option<(bool, Vec<(&'static str, String)>)>, Fault> {
        let gate = gate(&self.env)?;
        let policy = &gate.policy;
        let production = !policy.environment.is_dev();
        let home = Home { hosts: &own_hosts(policy), production };
        if Destination::parse(self.endpoint.url.as_str(), home).is_err() {
            return Ok(None);
        }
        let keys = aes::store_keys(&self.env)?;
        let row = Endpoint::row(&self.tenant, &self.endpoint.id);
        let mut secrets = Vec::new();
        for hidden in self.endpoint.secrets.at(now()) {
            secrets.push(Secret::new(aes::kept(&keys, &row, hidden).await?));
        }
        let signers = Signers::read(&secrets).map_err(|error| Fault(error.to_string()))?;
        let signed = signers
            .sign(&self.event, now(), self.body.as_bytes(), &Portable)
            .map_err(|error| Fault(error.to_string()))?;
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "tollgate".to_owned()),
        ];
        headers.extend(signed);
        Ok(Some((policy.gate.platform == Platform::Workerd, headers)))
    }
}
