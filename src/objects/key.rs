//! The object of one key family: the truth about its keys, and the counts of their limits.
//!
//! Named by the family's id. The object that a rotated key's id names knows only where its family
//! is. The object is the only writer of its keys' entries in KV, and writes them one after the
//! other, so that an older record never comes to lie over a newer one.

use core::cell::{Cell, RefCell};

use js_sys::{Function, Promise};
use serde::Deserialize;
use tollgate_core::family::{FamilyReply, FamilyRequest, FamilyState, Write};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{ALL_TENANTS, Entry, RegistryRequest};
use tollgate_core::road::credential::kv_name;
use tollgate_core::road::{Fault, Trust};
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::rows::{self, SCHEMA};
use super::store::{Store, refuse};
use crate::bindings;
use crate::gate::{gate, now};

/// An object's memory goes after 10 s without a call; before that, what was reserved ahead of the
/// counts is given back.
const IDLE: Millis = Millis::secs(6);
/// How long a change waits for its caller to have it delivered, before the alarm does.
const DELIVERY: Millis = Millis::secs(2);
/// The longest pause between two tries to deliver.
const LONGEST_PAUSE: Millis = Millis::minutes(10);
/// Events delivered at a time.
const BATCH: u32 = 50;
/// Names of the outbox's rows lie between these.
const OUTBOX: (&str, &str) = ("outbox/", "outbox0");

/// What delivery needs of an event: which key changed. It delivers how the key is now, not how it
/// was then.
#[derive(Deserialize)]
struct Event {
    key: Changed,
}

#[derive(Deserialize)]
struct Changed {
    id: KeyId,
}

/// One key family.
#[durable_object(alarm)]
#[derive(Debug)]
pub struct KeyObject {
    store: Store,
    env: Env,
    /// None until it is needed, and after storing failed.
    family: RefCell<Option<FamilyState>>,
    /// True while the counts have something reserved, as far as is known.
    unsettled: Cell<bool>,
    last_call: Cell<UnixMillis>,
    /// Settles when the delivery that is under way ends.
    delivery: RefCell<Option<Promise>>,
    failed_deliveries: Cell<u32>,
}

impl DurableObject for KeyObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            store: Store::new(state, SCHEMA),
            env,
            family: RefCell::default(),
            unsettled: Cell::default(),
            last_call: Cell::default(),
            delivery: RefCell::default(),
            failed_deliveries: Cell::default(),
        }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Delivers what waits in the outbox, and settles the counts of an idle object. Never fails:
    /// it sets its own next alarm, where the platform would give up after a few.
    async fn alarm(&self) -> worker::Result<Response> {
        self.store.woken();
        self.flush().await;
        if let Err(fault) = self.settle() {
            self.forget();
            refuse("key", &fault);
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl KeyObject {
    /// Answers a [`FamilyRequest`] with a [`FamilyReply`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        let reply = self.answer(message).and_then(|reply| {
            serde_json::to_string(&reply).map_err(|error| Fault(error.to_string()))
        });
        reply.map_err(|fault| {
            self.forget();
            refuse("key", &fault)
        })
    }

    /// Delivers the outbox now, to KV and to the registries, in order; true if nothing is left.
    pub async fn flush(&self) -> bool {
        // One at a time: whoever comes later waits, and then delivers what came meanwhile.
        while let Some(under_way) = self.under_way() {
            if JsFuture::from(under_way).await.is_err() {
                return false;
            }
        }
        let mut done: Option<Function> = None;
        let promise = Promise::new(&mut |resolve, _| done = Some(resolve));
        self.delivery.replace(Some(promise));
        let delivered = self.deliver().await;
        self.delivery.take();
        if let Some(done) = done {
            let _ = done.call0(&JsValue::NULL);
        }
        match delivered {
            Ok(()) => self.failed_deliveries.set(0),
            Err(ref fault) => {
                refuse("key", fault);
                self.try_again();
            }
        }
        delivered.is_ok()
    }
}

impl KeyObject {
    fn answer(&self, message: &str) -> Result<FamilyReply, Fault> {
        let request: FamilyRequest =
            serde_json::from_str(message).map_err(|error| Fault(error.to_string()))?;
        let now = now();
        self.last_call.set(now);
        let (reply, writes) = self.with_family(now, |family| family.apply(request, now))?;
        self.store_writes(&writes, now)?;
        Ok(reply)
    }

    /// Works on the family, which is read from storage first if it is not here.
    fn with_family<T>(
        &self,
        now: UnixMillis,
        work: impl FnOnce(&mut FamilyState) -> T,
    ) -> Result<T, Fault> {
        let mut family = self.family.borrow_mut();
        let family = match &mut *family {
            Some(family) => family,
            none => none.insert(self.load(now)?),
        };
        Ok(work(family))
    }

    fn load(&self, now: UnixMillis) -> Result<FamilyState, Fault> {
        let stored = rows::all(&self.store)?;
        if stored.iter().any(|(name, _)| name.starts_with(OUTBOX.0)) {
            self.store.wake_at(now.plus(DELIVERY))?;
        }
        FamilyState::restore(stored, now).map_err(|damaged| Fault(damaged.to_string()))
    }

    fn forget(&self) {
        self.family.replace(None);
    }

    fn store_writes(&self, writes: &[Write], now: UnixMillis) -> Result<(), Fault> {
        if writes.is_empty() {
            return Ok(());
        }
        if writes.iter().any(|write| matches!(write, Write::Outbox(_))) {
            self.store.wake_at(now.plus(DELIVERY))?;
        }
        if writes.iter().any(|write| matches!(write, Write::PutWindow { .. })) {
            self.unsettled.set(true);
            self.store.wake_at(now.plus(IDLE))?;
        }
        rows::write(&self.store, writes.iter().map(Write::row).collect())
    }

    /// Gives back what the counts have reserved, once nobody has called for a while.
    fn settle(&self) -> Result<(), Fault> {
        if !self.unsettled.get() {
            return Ok(());
        }
        let (now, idle_at) = (now(), self.last_call.get().plus(IDLE));
        if now < idle_at {
            return self.store.wake_at(idle_at);
        }
        let writes = self.with_family(now, |family| family.settle(now))?;
        self.unsettled.set(false);
        rows::write(&self.store, writes.iter().map(Write::row).collect())
    }

    fn under_way(&self) -> Option<Promise> {
        self.delivery.borrow().clone()
    }

    async fn deliver(&self) -> Result<(), Fault> {
        loop {
            let batch = rows::between(&self.store, OUTBOX.0, OUTBOX.1, BATCH)?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut changed: Vec<KeyId> = Vec::new();
            for (_, event) in &batch {
                let event: Event =
                    serde_json::from_str(event).map_err(|error| Fault(error.to_string()))?;
                if !changed.contains(&event.key.id) {
                    changed.push(event.key.id);
                }
            }
            let mut records = Vec::new();
            for id in changed {
                records.extend(self.cache(&id).await?);
            }
            self.register(&records).await?;
            let delivered: Vec<String> = batch.into_iter().map(|(name, _)| name).collect();
            rows::delete(&self.store, &delivered)?;
        }
    }

    /// Puts the present record into KV, whatever it was when the event came up.
    async fn cache(&self, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
        let record = self.with_family(now(), |family| family.record(id).cloned())?;
        let Some(record) = record else { return Ok(None) };
        let text = serde_json::to_string(&record).map_err(|error| Fault(error.to_string()))?;
        let name = kv_name(id);
        let gate = gate(&self.env)?;
        let Trust::Secrets { peppers, .. } = &gate.trust else {
            return Err(Fault("this gate has no peppers".to_owned()));
        };
        let sealed = peppers
            .seal(&name, &text)
            .ok_or_else(|| Fault("the record cannot be sealed".to_owned()))?;
        bindings::put_entry(&self.env, &name, &sealed).await?;
        Ok(Some(record))
    }

    async fn register(&self, records: &[KeyRecord]) -> Result<(), Fault> {
        let mut registries: Vec<&str> =
            records.iter().map(|record| record.tenant.as_str()).collect();
        registries.push(ALL_TENANTS);
        registries.sort_unstable();
        registries.dedup();
        for registry in registries {
            let here = |record: &&KeyRecord| registry == ALL_TENANTS || record.tenant == registry;
            let entries =
                records.iter().filter(here).map(Entry::try_from).collect::<Result<_, _>>();
            let message = entries
                .and_then(|entries| serde_json::to_string(&RegistryRequest::Apply(entries)))
                .map_err(|error| Fault(error.to_string()))?;
            bindings::call_object(&self.env, bindings::TENANT, registry, &message).await?;
        }
        Ok(())
    }

    /// The alarm delivers what could not be delivered, after a pause that doubles each time.
    fn try_again(&self) {
        let failed = self.failed_deliveries.get().saturating_add(1);
        self.failed_deliveries.set(failed);
        let pause = DELIVERY.as_millis().saturating_mul(1 << failed.min(16));
        let pause = Millis::millis(pause).min(LONGEST_PAUSE);
        if let Err(fault) = self.store.wake_at(now().plus(pause)) {
            refuse("key", &fault);
        }
    }
}
