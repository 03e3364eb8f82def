//! The inbox of a source, or of one shard of it: events that are kept until their backend has them,
//! and what duplicates are known by. What becomes of an event is [`tollgate_core::inbox`]'s to say.

mod deliver;
mod flush;
mod look;
mod refused;
mod take;

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Uint8Array;
use tollgate_core::inbox::{InboxReply, InboxRequest, Pace, State as EventState};
use tollgate_core::policy::Source;
use tollgate_core::road::{Fault, Gate};
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, SqlStorageValue, State, durable_object};

use super::store::{Store, note_fault, one_count, refuse};
use super::told;
use crate::gate::gate;
use crate::platform::now;
use deliver::Signal;
use flush::Flush;

/// `due`: pending: not tried before it; else forgotten then. What changes with each attempt lies
/// apart from what never does. The list of what is to be done is an index, which also knows how
/// large it is.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
        due INTEGER NOT NULL, at INTEGER NOT NULL, size INTEGER NOT NULL,
        attempts INTEGER NOT NULL, tries TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS entry_due ON entry (state, due, size);
    CREATE TABLE IF NOT EXISTS content (
        seq INTEGER PRIMARY KEY, received TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS seen (
        name BLOB NOT NULL, content BLOB NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (name, content)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS seen_until ON seen (until);
    CREATE TABLE IF NOT EXISTS refusal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, told TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS notice (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL
    );";

/// While the alarm works, the next one is set this far ahead: if the gate stops, that one goes off.
const HELD: Millis = Millis::secs(5);
/// When to look again at what cannot go on: a source that the policy has no more, a store that
/// fails.
const LATER: Millis = Millis::minutes(1);

/// A source's inbox.
#[durable_object(alarm)]
pub struct InboxObject {
    inbox: Rc<Inbox>,
}

/// What deliveries go on with while the object is asked other things.
struct Inbox {
    store: Store,
    env: JsValue,
    pace: RefCell<Pace>,
    /// While the alarm works: deliveries are started until then.
    works_until: Cell<Option<UnixMillis>>,
    /// So many were started by this alarm.
    started: Cell<u32>,
    /// Storing what came of an attempt failed: nothing more is tried for a while.
    failed: Cell<bool>,
    /// More is due than was started.
    behind: Cell<bool>,
    /// The audit is being told.
    telling: Cell<bool>,
    /// The audit could not be told the last time.
    untellable: Cell<bool>,
    signal: Signal,
    flush: Flush,
}

impl core::fmt::Debug for InboxObject {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "InboxObject({} in flight)", self.inbox.pace.borrow().len())
    }
}

impl DurableObject for InboxObject {
    fn new(state: State, env: Env) -> Self {
        let inbox = Inbox {
            store: Store::new(state, SCHEMA),
            env: env.into(),
            pace: RefCell::default(),
            works_until: Cell::default(),
            started: Cell::default(),
            failed: Cell::default(),
            behind: Cell::default(),
            telling: Cell::default(),
            untellable: Cell::default(),
            signal: Signal::default(),
            flush: Flush::default(),
        };
        Self { inbox: Rc::new(inbox) }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }

    /// Delivers what is due, and forgets what is not to be kept. Never fails: what could not be
    /// done has its next turn.
    async fn alarm(&self) -> worker::Result<Response> {
        let inbox = &self.inbox;
        inbox.store.woken();
        let worked = match inbox.store.hold(now().plus(HELD)) {
            Ok(()) => inbox.work().await,
            Err(fault) => Err(fault),
        };
        inbox.tell().await;
        let next = worked.and_then(|()| inbox.next_alarm());
        let next = next.unwrap_or_else(|fault| {
            refuse("inbox", &fault);
            Some(now().plus(LATER))
        });
        let set = next.map_or(Ok(()), |at| inbox.store.wake_at(at));
        if let Err(fault) = set.and_then(|()| inbox.store.release()) {
            refuse("inbox", &fault);
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl InboxObject {
    /// Answers an [`InboxRequest`] with an [`InboxReply`], both as JSON; the body of an event is
    /// beside it. What is to be stored is answered by a promise: those that come together are
    /// stored together.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str, body: Option<Uint8Array>) -> Result<JsValue, JsValue> {
        let request = serde_json::from_str(message).map_err(|error| Fault(error.to_string()));
        let reply = request.and_then(|request| match (request, body) {
            (InboxRequest::Take(take), Some(body)) => Ok(self.inbox.stored_soon(take, body)),
            (request, _) => to_text(&self.inbox.answer(request)?).map(JsValue::from),
        });
        reply.map_err(|fault| refuse("inbox", &fault))
    }
}

fn to_text(reply: &InboxReply) -> Result<String, Fault> {
    serde_json::to_string(reply).map_err(|error| Fault(error.to_string()))
}

impl Inbox {
    fn answer(&self, request: InboxRequest) -> Result<InboxReply, Fault> {
        let reply = match request {
            InboxRequest::Take(_) => return Err(Fault("an event without a body".to_owned())),
            InboxRequest::Sighting { name, content } => {
                InboxReply::Sighting(self.sighting(&name, &content)?)
            }
            InboxRequest::Remember { name, content, remember } => {
                let until = now().plus(remember);
                self.remember(&name, &content, until)?;
                // Something else may wait for an alarm that this instance does not know.
                self.arm()?;
                self.store.wake_at(until)?;
                InboxReply::Done
            }
            InboxRequest::List(query) => InboxReply::Page(self.list(&query)?),
            InboxRequest::Show { id } => self.show(&id)?,
            InboxRequest::Replay { replay, after, asked } => self.replay(&replay, after, asked)?,
            InboxRequest::Refused(refusal) => {
                self.keep_refusal(&refusal)?;
                InboxReply::Done
            }
            InboxRequest::Refusals { limit, before } => {
                InboxReply::Refusals(self.refusals(limit, before)?)
            }
        };
        self.arm()?;
        Ok(reply)
    }

    /// An instance that knows of no alarm sets the one that is needed: one may have been missed.
    fn arm(&self) -> Result<(), Fault> {
        if self.works_until.get().is_some() || self.store.has_alarm() {
            return Ok(());
        }
        self.next_alarm()?.map_or(Ok(()), |at| self.store.wake_at(at))
    }

    /// The gate, and this object's source in its policy; None if that has it no more.
    fn source<'g>(&self, gate: &'g Gate) -> Result<Option<&'g Source>, Fault> {
        let name = self.store.name()?;
        let name = name.rsplit_once('/').map_or(name.as_str(), |(source, _)| source);
        Ok(gate.policy.source_named(name))
    }

    fn gate(&self) -> Result<Rc<Gate>, Fault> {
        gate(&self.env)
    }

    /// When there is something to do next.
    fn next_alarm(&self) -> Result<Option<UnixMillis>, Fault> {
        let first = |query: &str, values| {
            let rows = self.store.rows(query, values)?;
            let at = rows.into_iter().next().and_then(one_count);
            Ok::<_, Fault>(at.map(UnixMillis::from_millis))
        };
        let due = |state: EventState| {
            let number = SqlStorageValue::Integer(state.number().into());
            first("SELECT due FROM entry WHERE state = ? ORDER BY due LIMIT 1", vec![number])
        };
        let seen = first("SELECT until FROM seen ORDER BY until LIMIT 1", Vec::new())?;
        let over = [seen, due(EventState::Delivered)?, due(EventState::Dead)?];
        // Of a source that is gone nothing can be delivered, and to forget has time.
        let gate = self.gate()?;
        let gone = self.source(&gate)?.is_none();
        let later = now().plus(LATER);
        let pending = due(EventState::Pending)?.map(|at| if gone { at.max(later) } else { at });
        let over = over.into_iter().flatten().min().map(|at| at.max(later));
        let next = pending.into_iter().chain(over).min();
        let waits = self.untellable.get() || self.telling.get();
        let soon = if waits { later } else { now() };
        let untold = told::waits(&self.store)?.then_some(soon);
        Ok(next.into_iter().chain(untold).min())
    }

    /// Tells the audit of dead events, beside whatever else is done.
    async fn tell(&self) {
        if self.telling.replace(true) {
            return;
        }
        let told = told::tell(&self.store, &self.env).await;
        self.untellable.set(told.is_err());
        told.unwrap_or_else(|fault| note_fault("inbox", &fault));
        self.telling.set(false);
    }
}

fn integer(number: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn instant(at: UnixMillis) -> SqlStorageValue {
    integer(at.as_millis())
}
