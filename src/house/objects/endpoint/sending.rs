//! From the audit to the endpoints: what is new is read, and what is due is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Promise};
use tollgate_core::audit::{AuditRequest, Reply, Watched};
use tollgate_core::delivery::{Attempt, Came, Fault as Why, TIMEOUT, retry_after};
use tollgate_core::endpoint::{Delivery, EVENTS, Endpoint, Event, Outcome, event_of};
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
use super::table::Due;
use super::{EndpointObject, fresh_event_id, told};
use crate::gate::gate;
use crate::house::bindings::{self, Unanswered, settle};
use crate::house::crypto::aes;
use crate::platform::{now, random};

/// Entries of the audit that are read at a time.
const READ: u64 = 100;
/// Deliveries that are under way at once, of all endpoints and of one: one that hangs leaves places
/// to the others.
const MOST: usize = 32;
const MOST_OF_ONE: usize = 4;
/// An alarm begins nothing new after this time; the next one does.
const TURN: Millis = Millis::minutes(1);
/// How often it is looked for what has become due while others are under way, in milliseconds.
const LOOK: i32 = 1_000;
/// When a delivery is due again whose attempt the gate's end cut off.
const LEASE: Millis = Millis::minutes(2);

/// An attempt that has ended.
struct Ended {
    due: Due,
    attempt: Attempt,
    wish: Option<UnixMillis>,
}

/// What an attempt takes.
struct Parcel {
    env: JsValue,
    tenant: String,
    endpoint: Endpoint,
    event: String,
    body: String,
}

impl EndpointObject {
    /// Reads what is new, and sends what is due, until nothing is under way.
    pub(super) async fn send_due(&self) -> Result<(), Fault> {
        let until = now().plus(TURN);
        let ended: Rc<RefCell<Vec<Ended>>> = Rc::default();
        let mut under_way: BTreeMap<(String, String), Promise> = BTreeMap::new();
        loop {
            for done in ended.take() {
                under_way.remove(&(done.due.endpoint.clone(), done.due.event.clone()));
                self.ended(&done).unwrap_or_else(|fault| note_fault("endpoint", &fault));
            }
            if now() < until {
                // What cannot be read now keeps nothing from being sent.
                self.read_on().await.unwrap_or_else(|fault| note_fault("endpoint", &fault));
                self.begin_due(&mut under_way, &ended)?;
            }
            if under_way.is_empty() && ended.borrow().is_empty() {
                return Ok(());
            }
            let all: Array = under_way.values().collect();
            // That the look comes first is no fault.
            let _ = settle(Ok(Promise::race(&all).into()), LOOK).await;
        }
    }

    /// Takes what the audit has of events, and puts it on its way to each endpoint that wants it. A
    /// page of it and how far was read are stored in one turn.
    async fn read_on(&self) -> Result<(), Fault> {
        while let Some(after) = self.unread()? {
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
            self.take(&events, now())?;
            self.read_up_to(read)?;
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

    fn begin_due(
        &self,
        under_way: &mut BTreeMap<(String, String), Promise>,
        ended: &Rc<RefCell<Vec<Ended>>>,
    ) -> Result<(), Fault> {
        let tenant = self.store.name()?;
        let most = u64::try_from(MOST.saturating_mul(8)).unwrap_or(u64::MAX);
        for due in self.due(now(), most)? {
            let of_one = under_way.keys().filter(|(endpoint, _)| *endpoint == due.endpoint).count();
            if under_way.len() >= MOST || of_one >= MOST_OF_ONE {
                continue;
            }
            let (endpoint, body) = (self.endpoint(&due.endpoint)?, self.body(&due.event)?);
            let (Some(endpoint), Some(body)) = (endpoint, body) else { continue };
            self.begun(&due, now().plus(LEASE))?;
            let parcel = Parcel {
                env: JsValue::clone(&self.env),
                tenant: tenant.clone(),
                endpoint,
                event: due.event.clone(),
                body,
            };
            let name = (due.endpoint.clone(), due.event.clone());
            let ended = Rc::clone(ended);
            let sending = future_to_promise(async move {
                let at = now();
                let (came, wish) = parcel.send().await;
                let attempt = Attempt { at, took: now().since(at), came };
                ended.borrow_mut().push(Ended { due, attempt, wish });
                Ok(JsValue::UNDEFINED)
            });
            under_way.insert(name, sending);
        }
        Ok(())
    }

    /// Stores what came of an attempt. The endpoint may be another one by now, or gone.
    fn ended(&self, Ended { due, attempt, wish }: &Ended) -> Result<(), Fault> {
        let endpoint = self.endpoint(&due.endpoint)?;
        let delivery = self.delivery(&due.endpoint, &due.event)?;
        let (Some(mut endpoint), Some(mut delivery)) = (endpoint, delivery) else { return Ok(()) };
        let chance = random().map_or(0, u32::from_le_bytes);
        let now = now();
        let outcome = delivery.attempted(&mut endpoint, *attempt, *wish, now, chance);
        self.keep_delivery(&due.endpoint, &due.event, &delivery)?;
        match outcome {
            Outcome::Nothing => Ok(()),
            Outcome::Changed => self.keep(&endpoint),
            Outcome::Off => {
                let tenant = self.store.name()?;
                self.keep(&endpoint)?;
                self.hold_pending(&endpoint.id)?;
                told::keep(&self.store, &endpoint.disabled_event(&tenant, now))
            }
        }
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
