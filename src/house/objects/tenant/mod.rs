//! The object of one tenant, and the one named `*` over all: the registry of keys, the audit, usage,
//! anomalies, the tenant as operators own it, jobs over many keys, and answers of management writes
//! that may be sent twice. Each is a file here with tables of its own.

mod anomalies;
mod audit;
mod jobs;
mod outbound;
mod registry;
mod repeats;
mod tenants;
mod usage;

use core::cell::Cell;

use tollgate_core::manage::RegistryRequest;
use tollgate_core::road::Fault;
use tollgate_core::road::origin::ORIGINS_MESSAGE;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::store::{Store, note_fault, refuse};
use crate::platform::now;
use registry::json;

/// Every table of the object, by part.
const SCHEMA: &[&str] = &[
    registry::SCHEMA,
    tenants::SCHEMA,
    jobs::SCHEMA,
    audit::SCHEMA,
    usage::SCHEMA,
    anomalies::SCHEMA,
    repeats::SCHEMA,
    outbound::SCHEMA,
];

/// How long a part that failed in the alarm waits for the next one.
const AGAIN: Millis = Millis::secs(30);

/// One tenant, or all of them.
#[durable_object(alarm)]
#[derive(Debug)]
pub struct TenantObject {
    store: Store,
    env: Env,
    /// True while jobs take a step.
    stepping: Cell<bool>,
    /// How often somebody said that events are wanted.
    wanted: Cell<u64>,
}

impl DurableObject for TenantObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            store: Store::of_parts(state, SCHEMA, registry::UPGRADES),
            env,
            stepping: Cell::default(),
            wanted: Cell::default(),
        }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Goes on with what waits. Never fails: each part says when it wants to be woken next, and one
    /// that fails is tried again, and keeps nobody else from their turn.
    async fn alarm(&self) -> worker::Result<Response> {
        self.store.woken();
        let now = now();
        let held = self.awaits(now).unwrap_or(true);
        if held {
            noted(self.store.hold(now.plus(AGAIN)));
        }
        for next in [self.tend_repeats(now), self.tend_anomalies(now)] {
            self.tended(next);
        }
        self.tended(self.tend_outbound(now).await);
        self.tended(self.tend_usage(now).await);
        self.tended(self.tend_tenants().await);
        // The last, because it may take long.
        self.tended(self.tend_jobs().await);
        if held {
            noted(self.store.release());
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl TenantObject {
    /// Answers a [`RegistryRequest`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        self.answer(message).map_err(|fault| refuse("tenant", &fault))
    }

    /// Tells the object over all tenants now what it is to be told; true if nothing is left.
    pub async fn flush(&self) -> bool {
        let told = self.tell_all().await;
        if let Err(fault) = &told {
            refuse("tenant", fault);
        }
        told.is_ok()
    }
}

impl TenantObject {
    /// True when something here does not wait for a time to come.
    fn awaits(&self, now: UnixMillis) -> Result<bool, Fault> {
        Ok(self.has_jobs()?
            || self.has_notices()?
            || self.has_outbound()?
            || self.has_to_tell()?
            || self.has_overdue(now)?)
    }

    /// Sets the alarm to when a part wants to be woken next.
    fn tended(&self, next: Result<Option<UnixMillis>, Fault>) {
        let at = match next {
            Ok(None) => return,
            Ok(Some(at)) => at,
            Err(fault) => {
                refuse("tenant", &fault);
                now().plus(AGAIN)
            }
        };
        noted(self.store.wake_at(at));
    }

    fn answer(&self, message: &str) -> Result<String, Fault> {
        let now = now();
        if message == ORIGINS_MESSAGE {
            return json(&self.origins(now)?);
        }
        match serde_json::from_str(message).map_err(|error| Fault(error.to_string()))? {
            RegistryRequest::Deliver { entries, events } => {
                for entry in entries {
                    // The object over all is told before the tenant's: a key that is here is there.
                    let (id, version) = (entry.id.clone(), entry.version);
                    self.apply(entry, now)?;
                    self.arrived(&id, version)?;
                }
                self.append(&events, now)?;
                Ok("{}".to_owned())
            }
            RegistryRequest::List(query) => self.list(&query, now),
            RegistryRequest::Counts { pepper } => json(&self.counts(pepper, now)?),
            RegistryRequest::Audit(request) => self.audit(request, now),
            RegistryRequest::Usage(request) => self.usage(request, now),
            RegistryRequest::Anomaly(request) => self.anomaly(request, now),
            RegistryRequest::Tenant(request) => self.tenant(request, now),
            RegistryRequest::Job(request) => self.job(request, now),
            RegistryRequest::Repeat(request) => self.repeat(request, now),
        }
    }
}

fn noted(done: Result<(), Fault>) {
    done.unwrap_or_else(|fault| note_fault("tenant", &fault));
}
