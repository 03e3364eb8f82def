//! Bringing events to their backend: so many at a time, until none is due.

use core::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise, Uint8Array};
use tollgate_core::audit::Draft;
use tollgate_core::delivery::{Attempt, Came, Fault as NoAnswer, Meaning, retry_after};
use tollgate_core::inbox::{EventId, Received, State, Turn};
use tollgate_core::manage::ALL_TENANTS;
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use worker::SqlStorageValue;

use super::super::store::{Row, damaged};
use super::flush::Done;
use super::take::read_received;
use super::{Inbox, instant, integer, told};
use crate::house::bindings::{aborted_after, within};
use crate::house::hooks::send::{discard, send};
use crate::platform::{now, random};

/// The alarm starts nothing more after this time and comes again, well within what platforms allow
/// one.
const WORKS: Millis = Millis::minutes(5);
/// Between two looks for what is not to be kept any longer.
const TIDIES: Millis = Millis::secs(1);
/// Between two looks for what became due, in milliseconds, while something is on its way.
const LOOKS: i32 = 250;
/// After the last delivery the alarm waits so long for another event, in milliseconds: else each of
/// a quick backend's would set an alarm of its own.
const LINGERS: i32 = 250;

/// An event that is to be delivered now.
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) id: EventId,
    pub(super) turn: Turn,
    pub(super) received: Received,
    pub(super) body: Uint8Array,
}

/// Wakes whoever waits: the alarm.
#[derive(Default)]
pub(super) struct Signal(RefCell<Option<Function>>);

impl Signal {
    /// Waits for it, so many milliseconds at the most.
    async fn wait(&self, most: i32) {
        let mut wake = None;
        let woken = Promise::new(&mut |resolve, _| wake = Some(resolve));
        self.0.replace(wake);
        // Either is as good.
        let _ = within(Ok(woken.into()), most).await;
    }

    pub(super) fn give(&self) {
        if let Some(wake) = self.0.take() {
            let _ = wake.call0(&JsValue::UNDEFINED);
        }
    }
}

impl Inbox {
    /// Delivers until nothing is due and nothing on its way, or its time is over.
    pub(super) async fn work(self: &Rc<Self>) -> Result<(), Fault> {
        let until = now().plus(WORKS);
        self.works_until.set(Some(until));
        let worked = self.work_until(until).await;
        self.works_until.set(None);
        worked
    }

    async fn work_until(self: &Rc<Self>, until: UnixMillis) -> Result<(), Fault> {
        let mut lingered = false;
        let mut tidied = None;
        loop {
            let now = now();
            if tidied.is_none_or(|at| now.since(at) >= TIDIES) {
                // What is left over has its turn in a second, or with the next alarm.
                self.tidy(now)?;
                tidied = Some(now);
            }
            self.pump()?;
            if !self.pace.borrow().is_empty() {
                lingered = false;
                self.signal.wait(LOOKS).await;
            } else if lingered || now >= until {
                return Ok(());
            } else {
                lingered = true;
                self.signal.wait(LINGERS).await;
            }
        }
    }

    /// Starts what is due, as far as there is room.
    pub(super) fn pump(self: &Rc<Self>) -> Result<(), Fault> {
        let now = now();
        if self.works_until.get().is_none_or(|until| now >= until) {
            return Ok(());
        }
        let gate = self.gate()?;
        let Some(queue) = self.source(&gate)?.and_then(|source| source.queue()) else {
            return Ok(());
        };
        let free = self.pace.borrow().free(queue.concurrency);
        if free == 0 {
            self.behind.set(true);
            return Ok(());
        }
        let on_their_way: Vec<u64> = self.pace.borrow().in_flight().collect();
        let on_their_way =
            serde_json::to_string(&on_their_way).map_err(|error| Fault(error.to_string()))?;
        let rows = self.store.rows(
            "SELECT seq, id, due, attempts, tries, received, body \
             FROM entry JOIN content USING (seq) \
             WHERE state = ? AND due <= ? AND seq NOT IN (SELECT value FROM json_each(?)) \
             ORDER BY due LIMIT ?",
            vec![
                integer(State::Pending.number().into()),
                instant(now),
                on_their_way.into(),
                integer(free.into()),
            ],
        )?;
        self.behind.set(rows.len() == usize::try_from(free).unwrap_or(usize::MAX));
        for row in rows {
            self.start(event(row)?);
        }
        Ok(())
    }

    /// Starts one delivery, unless that event is on its way.
    pub(super) fn start(self: &Rc<Self>, event: Event) {
        if !self.pace.borrow_mut().start(event.seq) {
            return;
        }
        let inbox = Rc::clone(self);
        spawn_local(async move {
            let Event { seq, id, turn, received, body } = event;
            let turn = inbox.tried(&id, turn, &received, &body).await;
            inbox.ended(Done { seq, id, turn });
        });
    }

    /// Nothing more is started before the next alarm.
    pub(super) fn stop_working(&self) {
        if self.works_until.get().is_some() {
            self.works_until.set(Some(UnixMillis::default()));
        }
    }

    /// One attempt, and where the event stands after it.
    async fn tried(
        &self,
        id: &EventId,
        mut turn: Turn,
        received: &Received,
        body: &Uint8Array,
    ) -> Turn {
        let begun = now();
        let (came, wish) = self.attempt(id, received, body, begun).await;
        let ended = now();
        let queue = self.gate().and_then(|gate| {
            let source = self.source(&gate)?;
            Ok(source.and_then(|source| source.queue()).copied())
        });
        // Without its source it stays as it is.
        if let Ok(Some(queue)) = queue {
            let attempt = Attempt { at: begun, took: ended.since(begun), came };
            let chance = random().map_or(0, u32::from_le_bytes);
            turn.tried(attempt, queue.schedule, wish, queue.keep, ended, chance);
        }
        turn
    }

    /// Stores where an event stands. Of one that is dead the audit is told, and by it whoever wants
    /// the tenant's events.
    pub(super) fn keep_turn(&self, seq: u64, id: &EventId, turn: &Turn) -> Result<(), Fault> {
        let tries = serde_json::to_string(&turn.tries).map_err(|error| Fault(error.to_string()))?;
        self.store.write(
            "UPDATE entry SET state = ?, due = ?, attempts = ?, tries = ? WHERE seq = ?",
            vec![
                integer(turn.state.number().into()),
                instant(turn.due),
                integer(turn.attempts.into()),
                tries.into(),
                integer(seq),
            ],
        )?;
        match turn.tries.last() {
            Some(last) if turn.state == State::Dead => self.died(id, turn.attempts, *last),
            _ => Ok(()),
        }
    }

    fn died(&self, id: &EventId, attempts: u32, last: Attempt) -> Result<(), Fault> {
        let gate = self.gate()?;
        let Some(source) = self.source(&gate)? else { return Ok(()) };
        let tenant = source.tenant.as_deref().unwrap_or(ALL_TENANTS);
        let (name, at) = (&source.name, last.at.plus(last.took));
        let status = last.came.status();
        let event = Draft::webhook_dead(name, id.as_str(), tenant, attempts, status, at);
        told::keep(&self.store, &event)?;
        self.store.wake_at(now())
    }

    async fn attempt(
        &self,
        id: &EventId,
        received: &Received,
        body: &Uint8Array,
        now: UnixMillis,
    ) -> (Came, Option<UnixMillis>) {
        let unsent = |fault| (Came::Fault(fault), None);
        let request = self.gate().and_then(|gate| {
            let source = self.source(&gate)?.ok_or_else(|| Fault("no such source".to_owned()))?;
            Ok(gate.webhook_request(source, received, id.as_str(), &body.to_vec(), now))
        });
        let Ok(Ok(request)) = request else { return unsent(NoAnswer::NoCredential) };
        match send(&request, body, &aborted_after(request.timeout)).await {
            Err(fault) => unsent(fault),
            Ok(response) => {
                let came = Came::Status(response.status());
                let wish = match came.meaning() {
                    Meaning::Failed => response.headers().get("retry-after").ok().flatten(),
                    Meaning::Delivered | Meaning::Gone => None,
                };
                let wish = wish.and_then(|text| retry_after(&text, crate::platform::now()));
                discard(&response).await;
                (came, wish)
            }
        }
    }
}

fn event(row: Row) -> Result<Event, Fault> {
    use SqlStorageValue::{Blob, Integer, String};
    let row = <[SqlStorageValue; 7]>::try_from(row);
    let Ok(
        [
            Integer(seq),
            String(id),
            Integer(due),
            Integer(attempts),
            String(tries),
            String(received),
            Blob(body),
        ],
    ) = row
    else {
        return Err(damaged());
    };
    let number = |number: i64| u64::try_from(number).map_err(|_| damaged());
    Ok(Event {
        seq: number(seq)?,
        id: EventId::parse(&id).ok_or_else(damaged)?,
        turn: Turn {
            state: State::Pending,
            due: UnixMillis::from_millis(number(due)?),
            attempts: u32::try_from(attempts).map_err(|_| damaged())?,
            tries: serde_json::from_str(&tries).map_err(|error| Fault(error.to_string()))?,
        },
        received: read_received(&received)?,
        body: Uint8Array::from(body.as_slice()),
    })
}
