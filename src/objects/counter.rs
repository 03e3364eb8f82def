//! The object of the limits of one client address: counts that belong to no key. It forgets itself
//! once nothing in it counts any more.

use core::cell::{Cell, RefCell};

use tollgate_core::limit::{Charge, ObjectClock, Verdict, Windows};
use tollgate_core::road::Fault;
use tollgate_core::road::admission::CounterRequest;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::rows::{self, SCHEMA};
use super::store::{Store, refuse};
use crate::gate::now;

/// An object's memory goes after 10 s without a call; before that, what was reserved ahead of the
/// counts is given back.
const IDLE: Millis = Millis::secs(6);
/// When to look again whether anything still counts, if the windows' lengths are not known.
const LATER: Millis = Millis::hours(1);
/// When to try again what could not be stored.
const AGAIN: Millis = Millis::minutes(1);
/// The row that says how far the object's clock had come. Counts' rows have a colon in their name.
const CLOCK: &str = "clock";

/// The limits of one address.
#[durable_object(alarm)]
#[derive(Debug)]
pub struct CounterObject {
    store: Store,
    /// None until it is needed, and after storing failed.
    counts: RefCell<Option<Counts>>,
    unsettled: Cell<bool>,
    last_call: Cell<UnixMillis>,
    /// The longest window that was charged.
    longest: Cell<Millis>,
}

#[derive(Debug)]
struct Counts {
    windows: Windows,
    clock: ObjectClock,
}

impl DurableObject for CounterObject {
    fn new(state: State, _: Env) -> Self {
        Self {
            store: Store::new(state, SCHEMA),
            counts: RefCell::default(),
            unsettled: Cell::default(),
            last_call: Cell::default(),
            longest: Cell::default(),
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
            self.counts.replace(None);
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
    /// Answers a [`CounterRequest`] with a [`Verdict`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        let reply = self.answer(message).and_then(|verdict| {
            serde_json::to_string(&verdict).map_err(|error| Fault(error.to_string()))
        });
        reply.map_err(|fault| {
            self.counts.replace(None);
            refuse("counter", &fault)
        })
    }
}

impl CounterObject {
    fn answer(&self, message: &str) -> Result<Verdict, Fault> {
        let request: CounterRequest =
            serde_json::from_str(message).map_err(|error| Fault(error.to_string()))?;
        let CounterRequest::Charge { charges } = request;
        let now = now();
        self.last_call.set(now);
        self.remember_longest(&charges);
        let verdict = self.with_counts(now, |counts, now| counts.windows.charge(&charges, now))?;
        if self.store_writes(now)? {
            self.unsettled.set(true);
            self.store.wake_at(now.plus(IDLE))?;
        }
        Ok(verdict)
    }

    /// Works on the counts, which are read from storage first if they are not here.
    fn with_counts<T>(
        &self,
        wall: UnixMillis,
        work: impl FnOnce(&mut Counts, UnixMillis) -> T,
    ) -> Result<T, Fault> {
        let mut counts = self.counts.borrow_mut();
        let counts = match &mut *counts {
            Some(counts) => counts,
            none => none.insert(self.load(wall)?),
        };
        let now = counts.clock.read(wall);
        Ok(work(counts, now))
    }

    fn load(&self, wall: UnixMillis) -> Result<Counts, Fault> {
        let (clock, rows): (Vec<_>, Vec<_>) =
            rows::all(&self.store)?.into_iter().partition(|(name, _)| name == CLOCK);
        let stored = Windows::stored_at(rows.iter().map(|(_, snapshot)| snapshot.as_str()));
        let last = clock.iter().filter_map(|(_, text)| text.parse().ok()).max().unwrap_or(0);
        let mut clock = ObjectClock::restore(stored.max(UnixMillis::from_millis(last)));
        let now = clock.read(wall);
        Ok(Counts { windows: Windows::restore(rows, now), clock })
    }

    /// Stores what changed; true if anything did.
    fn store_writes(&self, wall: UnixMillis) -> Result<bool, Fault> {
        let (mut writes, now) =
            self.with_counts(wall, |counts, now| (counts.windows.take_writes(), now))?;
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
        let empty = self.with_counts(now, |counts, now| {
            counts.windows.settle(now);
            counts.windows.is_empty()
        })?;
        self.unsettled.set(false);
        if empty {
            self.counts.replace(None);
            return self.store.delete_all().await;
        }
        self.store_writes(now)?;
        let longest = self.longest.get();
        let pause = if longest == Millis::ZERO { LATER } else { longest };
        self.store.wake_at(now.plus(pause))
    }

    fn remember_longest(&self, charges: &[Charge]) {
        let longest = charges.iter().map(|charge| charge.rate.window()).max();
        self.longest.set(self.longest.get().max(longest.unwrap_or_default()));
    }
}
