//! The object of one key family: the truth about its keys, and the counts of their limits.
//!
//! Named by the family's id. The object that a rotated key's id names knows only where its family
//! is. The object is the only writer of its keys' entries in KV, and writes them one after the
//! other, so that an older record never comes to lie over a newer one.
//!
//! **Its alarm.** What waits for it for seconds, the outbox and the counts, sets it when it comes up.
//! What waits for months, the notices before a key's end, is set at the end of every alarm, when
//! nothing else is left. So a far alarm that a near one took the place of comes back with it: a
//! change is followed by an alarm to deliver it, and use of a key by one to settle its counts.

use core::cell::{Cell, RefCell};

use js_sys::{Function, Promise};
use tollgate_core::audit::Draft;
use tollgate_core::family::{Event, FamilyReply, FamilyRequest, FamilyState, Write};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::limit::Verdict;
use tollgate_core::manage::{ALL_TENANTS, Entry, RegistryRequest};
use tollgate_core::road::credential::kv_name;
use tollgate_core::road::{Fault, Trust};
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::UsageRequest;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::rows::{self, SCHEMA};
use super::store::{Store, refuse};
use crate::gate::gate;
use crate::house::bindings;
use crate::platform::now;

/// An object's memory goes after 10 s without a call; before that, what was reserved ahead of the
/// counts is given back.
const IDLE: Millis = Millis::secs(6);
/// How long the tenant's object may go without the counts of a key that is in use.
const TELL: Millis = Millis::minutes(1);
/// How long a change waits for its caller to have it delivered, before the alarm does.
const DELIVERY: Millis = Millis::secs(2);
/// The longest pause between two tries.
const LONGEST_PAUSE: Millis = Millis::minutes(10);
/// Events delivered at a time.
const BATCH: u32 = 50;
/// Names of the outbox's rows lie between these.
const OUTBOX: (&str, &str) = ("outbox/", "outbox0");

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
    /// When the tenant's object was last told the counts.
    told: Cell<UnixMillis>,
    /// Settles when the delivery that is under way ends.
    delivery: RefCell<Option<Promise>>,
    /// Alarms and deliveries that failed since the last alarm that did not.
    failures: Cell<u32>,
}

impl DurableObject for KeyObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            store: Store::new(state, SCHEMA),
            env,
            family: RefCell::default(),
            unsettled: Cell::default(),
            last_call: Cell::default(),
            told: Cell::default(),
            delivery: RefCell::default(),
            failures: Cell::default(),
        }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Tells what is due, delivers what waits in the outbox, and settles and delivers the counts of
    /// an idle object. Never fails: it sets its own next alarm, where the platform would give up
    /// after a few.
    async fn alarm(&self) -> worker::Result<Response> {
        self.store.woken();
        let mut fine = self.in_order(&self.care());
        fine &= self.in_order(&self.settle());
        fine &= self.flush().await;
        let told = self.tell().await;
        fine &= self.in_order(&told);
        fine &= self.in_order(&self.wake_for_care());
        if fine {
            self.failures.set(0);
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
        if let Err(fault) = &delivered {
            refuse("key", fault);
            self.try_again();
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
        let (reply, writes, counted) = self.with_family(now, |family| {
            let (reply, writes) = family.apply(request, now);
            (reply, writes, family.has_unstored())
        })?;
        self.store_writes(&writes, now)?;
        // What was given ahead or released may lie within what is reserved, and is then settled.
        let moved =
            matches!(reply, FamilyReply::Verdict(Verdict::Admitted { .. }) | FamilyReply::Released);
        if counted || moved {
            self.unsettled.set(true);
            self.store.wake_at(now.plus(IDLE))?;
        }
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
        let wakes = |write: &Write| match write {
            Write::Outbox(_) => Some(DELIVERY),
            Write::PutWindow { .. } | Write::PutTally { .. } => Some(IDLE),
            _ => None,
        };
        if writes.iter().any(|write| wakes(write) == Some(IDLE)) {
            self.unsettled.set(true);
        }
        if let Some(pause) = writes.iter().filter_map(wakes).min() {
            self.store.wake_at(now.plus(pause)).inspect_err(|_| self.forget())?;
        }
        self.write(writes)
    }

    /// Stores, or forgets what could not be stored.
    fn write(&self, writes: &[Write]) -> Result<(), Fault> {
        let written = rows::write(&self.store, writes.iter().map(Write::row).collect());
        written.inspect_err(|_| self.forget())
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
        self.write(&writes)?;
        self.unsettled.set(false);
        Ok(())
    }

    /// Tells the tenant's object how many requests there were: when the object is idle, and once a
    /// minute when it is not.
    async fn tell(&self) -> Result<(), Fault> {
        let start = now();
        if self.unsettled.get() && start < self.told.get().plus(TELL) {
            return Ok(());
        }
        let (tallies, writes) = self.with_family(start, FamilyState::tally)?;
        self.write(&writes)?;
        // All keys of a family are of one tenant.
        if let Some(tenant) = tallies.first().map(|tally| tally.tenant.clone()) {
            let counted = RegistryRequest::Usage(UsageRequest::Counted(tallies.clone()));
            self.ask_tenant(&tenant, &counted).await?;
        }
        self.told.set(start);
        let now = now();
        let writes = self.with_family(now, |family| family.tallied(&tallies, now))?;
        self.store_writes(&writes, now)
    }

    /// Puts what is due to be told into the outbox.
    fn care(&self) -> Result<(), Fault> {
        let (rotate_after, now) = (self.rotate_after()?, now());
        let (writes, _) = self.with_family(now, |family| family.care(rotate_after, now))?;
        self.store_writes(&writes, now)
    }

    /// Has the alarm go off when something is due next. Only an alarm may call this: a new instance
    /// does not know of one that is set for an earlier time.
    fn wake_for_care(&self) -> Result<(), Fault> {
        let (rotate_after, now) = (self.rotate_after()?, now());
        let (writes, next) = self.with_family(now, |family| family.care(rotate_after, now))?;
        self.store_writes(&writes, now)?;
        next.map_or(Ok(()), |next| self.store.wake_at(next))
    }

    fn rotate_after(&self) -> Result<Option<Millis>, Fault> {
        Ok(gate(&self.env)?.policy.gate.rotate_after)
    }

    /// True unless a part of an alarm failed: then the next one does it.
    fn in_order(&self, done: &Result<(), Fault>) -> bool {
        if let Err(fault) = done {
            refuse("key", fault);
            self.try_again();
        }
        done.is_ok()
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
            let mut drafts: Vec<Draft> = Vec::new();
            for (_, event) in &batch {
                let event: Event =
                    serde_json::from_str(event).map_err(|error| Fault(error.to_string()))?;
                drafts.push(Draft::from(&event));
                if event.kind.is_change() && !changed.contains(&event.key.id) {
                    changed.push(event.key.id);
                }
            }
            let mut records = Vec::new();
            for id in changed {
                records.extend(self.cache(&id).await?);
            }
            self.register(&records, &drafts).await?;
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

    /// Tells the tenant's object, and the one over all, how the keys are and what happened to them.
    async fn register(&self, records: &[KeyRecord], drafts: &[Draft]) -> Result<(), Fault> {
        let mut registries: Vec<&str> = drafts.iter().map(|draft| draft.tenant.as_str()).collect();
        registries.push(ALL_TENANTS);
        registries.sort_unstable();
        registries.dedup();
        for registry in registries {
            let here = |tenant: &str| registry == ALL_TENANTS || tenant == registry;
            let entries = records.iter().filter(|record| here(&record.tenant)).map(Entry::try_from);
            let events = drafts.iter().filter(|draft| here(&draft.tenant)).cloned().collect();
            let entries = entries.collect::<Result<_, _>>();
            let entries = entries.map_err(|error| Fault(error.to_string()))?;
            self.ask_tenant(registry, &RegistryRequest::Deliver { entries, events }).await?;
        }
        Ok(())
    }

    async fn ask_tenant(&self, tenant: &str, request: &RegistryRequest) -> Result<(), Fault> {
        let message = serde_json::to_string(request).map_err(|error| Fault(error.to_string()))?;
        bindings::call_object(&self.env, bindings::TENANT, tenant, &message).await.map(|_| ())
    }

    /// The alarm does what could not be done, after a pause that doubles each time.
    fn try_again(&self) {
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        let pause = DELIVERY.as_millis().saturating_mul(1 << failures.min(16));
        let pause = Millis::millis(pause).min(LONGEST_PAUSE);
        if let Err(fault) = self.store.wake_at(now().plus(pause)) {
            refuse("key", &fault);
        }
    }
}
