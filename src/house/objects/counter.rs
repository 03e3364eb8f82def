//! The object of the limits of one tenant, route or client address: counts that belong to no key. It
//! forgets itself once nothing in it counts any more.

use core::cell::{Cell, RefCell};

use tollgate_core::limit::{Counts, ObjectClock};
use tollgate_core::road::Fault;
use tollgate_core::road::admission::{CounterReply, CounterRequest};
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::rows::{self, SCHEMA};
use super::store::{Store, refuse};
use crate::platform::now;

/// An object's memory goes after 10 s without a call; before that, what was reserved ahead of the
/// counts is given back.
const IDLE: Millis = Millis::secs(6);
/// The shortest time until the object looks again whether anything still counts.
const LATER: Millis = Millis::minutes(1);
/// When to try again what could not be stored.
const AGAIN: Millis = Millis::minutes(1);
/// The row that says how far the object's clock had come. Counts' rows have a colon in their name.
const CLOCK: &str = "clock";

/// The limits of one tenant, route or address.
#[durable_object(alarm)]
#[derive(Debug)]
pub struct CounterObject {
    store: Store,
    /// None until it is needed, and after storing failed.
    counted: RefCell<Option<Counted>>,
    /// True while the counts have something that is not stored as it is, as far as is known.
    unsettled: Cell<bool>,
    last_call: Cell<UnixMillis>,
}

#[derive(Debug)]
struct Counted {
    counts: Counts,
    clock: ObjectClock,
}

impl DurableObject for CounterObject {
    fn new(state: State, _: Env) -> Self {
        Self {
            store: Store::new(state, SCHEMA),
            counted: RefCell::default(),
            unsettled: Cell::default(),
            last_call: Cell::default(),
        }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Settles the counts of an idle object, and in the end deletes it. What could not be stored is
    /// tried again by an alarm of its own: the platform would give up after a few.
    async fn alarm(&self) -> worker::Result<Response> {
        self.store.woken();
        if let Err(fault) = self.tidy().await {
            self.counted.replace(None);
            refuse("counter", &fault);
            if let Err(fault) = self.store.wake_at(now().plus(AGAIN)) {
                refuse("counter", &fault);
                // Without an alarm of its own, the platform's tries are better than none.
                return Err(worker::Error::RustError("the counter could not be stored".to_owned()));
            }
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl CounterObject {
    /// Answers a [`CounterRequest`] with a [`CounterReply`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        let reply = self.answer(message).and_then(|reply| {
            serde_json::to_string(&reply).map_err(|error| Fault(error.to_string()))
        });
        reply.map_err(|fault| {
            self.counted.replace(None);
            refuse("counter", &fault)
        })
    }
}

impl CounterObject {
    fn answer(&self, message: &str) -> Result<CounterReply, Fault> {
        let request: CounterRequest =
            serde_json::from_str(message).map_err(|error| Fault(error.to_string()))?;
        let now = now();
        self.last_call.set(now);
        let reply = self.with_counts(now, |counts, now| request.answer(counts, now))?;
        let wrote = self.store_writes(now)?;
        // What is given back or released changes what is stored only when it is settled.
        let is_empty = self.with_counts(now, |counts, _| counts.is_empty())?;
        if wrote || (reply == CounterReply::Done {} && !is_empty) {
            self.unsettled.set(true);
            self.store.wake_at(now.plus(IDLE))?;
        }
        Ok(reply)
    }

    /// Works on the counts, which are read from storage first if they are not here.
    fn with_counts<T>(
        &self,
        wall: UnixMillis,
        work: impl FnOnce(&mut Counts, UnixMillis) -> T,
    ) -> Result<T, Fault> {
        let mut counted = self.counted.borrow_mut();
        let Counted { counts, clock } = match &mut *counted {
            Some(counted) => counted,
            none => none.insert(self.load(wall)?),
        };
        let now = clock.read(wall);
        Ok(work(counts, now))
    }

    fn load(&self, wall: UnixMillis) -> Result<Counted, Fault> {
        let (clock, rows): (Vec<_>, Vec<_>) =
            rows::all(&self.store)?.into_iter().partition(|(name, _)| name == CLOCK);
        let stored = Counts::stored_at(rows.iter().map(|(_, snapshot)| snapshot.as_str()));
        let last = clock.iter().filter_map(|(_, text)| text.parse().ok()).max().unwrap_or(0);
        let mut clock = ObjectClock::restore(stored.max(UnixMillis::from_millis(last)));
        let now = clock.read(wall);
        Ok(Counted { counts: Counts::restore(rows, now), clock })
    }

    /// Stores what changed; true if anything did.
    fn store_writes(&self, wall: UnixMillis) -> Result<bool, Fault> {
        let (mut writes, now) =
            self.with_counts(wall, |counts, now| (counts.take_writes(), now))?;
        // What is deleted no longer says how far the clock had come.
        if writes.iter().any(|(_, snapshot)| snapshot.is_none()) {
            writes.push((CLOCK.to_owned(), Some(now.as_millis().to_string())));
        }
        let any = !writes.is_empty();
        rows::write(&self.store, writes)?;
        Ok(any)
    }

    async fn tidy(&self) -> Result<(), Fault> {
        let (now, idle_at) = (now(), self.last_call.get().plus(IDLE));
        if self.unsettled.get() && now < idle_at {
            return self.store.wake_at(idle_at);
        }
        let (empty, next_end) = self.with_counts(now, |counts, now| {
            counts.settle(now);
            (counts.is_empty(), counts.next_end().unwrap_or_default())
        })?;
        self.unsettled.set(false);
        if empty {
            self.counted.replace(None);
            return self.store.delete_all().await;
        }
        self.store_writes(now)?;
        // With the counts goes what the clock had come to: not while it could step back before their end.
        self.store.wake_at(next_end.max(now).plus(LATER))
    }
}
