//! Bringing events to their backend: so many at a time, until none is due.

use core::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise, Uint8Array};
use tollgate_core::audit::Draft;
use tollgate_core::delivery::{Attempt, Came, Fault as NoAnswer, Meaning, retry_after};
use tollgate_core::inbox::{EventId, Received, Room, State, Turn};
use tollgate_core::manage::ALL_TENANTS;
use tollgate_core::policy::{Queue, Source};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use worker::SqlStorageValue;

use super::super::store::{Row, damaged, note_fault, one_count};
use super::flush::Done;
use super::take::read_received;
use super::{Inbox, LATER, instant, integer, told};
use crate::house::bindings::{aborted_after, within};
use crate::house::hooks::send::{discard, send};
use crate::platform::{now, random};

/// The alarm starts nothing more after this time and comes again, well within what platforms allow
/// one.
const WORKS: Millis = Millis::minutes(5);
/// So many deliveries one alarm starts at the most, for the same reason: of what one sends platforms
/// allow some thousands, and of CPU 30 s, of which a delivery takes 1 to 2 ms.
const STARTS: u32 = 5_000;
/// So many bytes of bodies are on their way at a time: they are in memory then, of which platforms
/// give 128 MB, to several objects together.
const ON_THE_WAY: u64 = 16 << 20;
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
    /// Delivers until nothing is due and nothing on its way, or its time is over. What is on its way
    /// then goes on by itself, and counts on.
    pub(super) async fn work(self: &Rc<Self>) -> Result<(), Fault> {
        // A delivery that ended after its alarm may have said so.
        self.has_failed()?;
        let until = now().plus(WORKS);
        self.works_until.set(Some(until));
        self.started.set(0);
        let worked = self.work_on().await;
        self.works_until.set(None);
        self.has_failed()?;
        worked
    }

    /// Says once that storing failed.
    fn has_failed(&self) -> Result<(), Fault> {
        if self.failed.take() {
            return Err(Fault("what came of attempts could not be stored".to_owned()));
        }
        Ok(())
    }

    async fn work_on(self: &Rc<Self>) -> Result<(), Fault> {
        let mut lingers = false;
        let mut tidied = None;
        loop {
            let now = now();
            if tidied.is_none_or(|at| now.since(at) >= TIDIES) {
                // What is left over has its turn in a second, or with the next alarm.
                self.tidy(now).unwrap_or_else(|fault| note_fault("inbox", &fault));
                self.tell_beside();
                tidied = Some(now);
            }
            self.pump()?;
            if !self.may_start(now) {
                return Ok(());
            }
            let started = self.started.get();
            if !self.pace.borrow().is_empty() {
                lingers = false;
                self.signal.wait(LOOKS).await;
            } else if lingers || started == 0 {
                return Ok(());
            } else {
                self.signal.wait(LINGERS).await;
                // What came meanwhile may be followed by more.
                lingers = self.started.get() == started;
            }
        }
    }

    fn tell_beside(self: &Rc<Self>) {
        let inbox = Rc::clone(self);
        spawn_local(async move { inbox.tell().await });
    }

    /// True while deliveries may be started.
    pub(super) fn may_start(&self, now: UnixMillis) -> bool {
        self.works_until.get().is_some_and(|until| now < until) && self.started.get() < STARTS
    }

    /// What may be on its way at a time; None for a source that is gone.
    pub(super) fn room(&self) -> Result<Option<Room>, Fault> {
        let gate = self.gate()?;
        let most = gate.policy.gate.platform.connections();
        let room =
            |queue: Queue| Room { deliveries: queue.concurrency.min(most), bytes: ON_THE_WAY };
        Ok(self.source(&gate)?.map(|source| room(source.drain())))
    }

    /// Starts what is due, as far as there is room.
    pub(super) fn pump(self: &Rc<Self>) -> Result<(), Fault> {
        let now = now();
        if !self.may_start(now) {
            return Ok(());
        }
        let Some(room) = self.room()? else { return self.say_that_it_is_gone() };
        let free = self.pace.borrow().free(room);
        if free == 0 {
            self.behind.set(true);
            return Ok(());
        }
        let on_their_way: Vec<u64> = self.pace.borrow().in_flight().collect();
        let due = self.store.rows(
            "SELECT seq, size FROM entry \
             WHERE state = ? AND due <= ? AND seq NOT IN (SELECT value FROM json_each(?)) \
             ORDER BY due LIMIT ?",
            vec![
                integer(State::Pending.number().into()),
                instant(now),
                list(&on_their_way)?,
                integer(free.into()),
            ],
        )?;
        let mut behind = due.len() == usize::try_from(free).unwrap_or(usize::MAX);
        // Bodies are read once there is room for them.
        let mut pace = self.pace.borrow().clone();
        let mut chosen = Vec::new();
        for row in due {
            let (seq, size) = two_counts(row).ok_or_else(damaged)?;
            if !pace.has_room(room, size) {
                behind = true;
                break;
            }
            let _ = pace.start(seq, size);
            chosen.push(seq);
        }
        self.behind.set(behind);
        if chosen.is_empty() {
            return Ok(());
        }
        let rows = self.store.rows(
            "SELECT seq, id, due, attempts, tries, received, body \
             FROM entry JOIN content USING (seq) \
             WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY due",
            vec![list(&chosen)?],
        )?;
        for row in rows {
            match event(row) {
                Ok(event) => self.start(event),
                Err(fault) => note_fault("inbox", &fault),
            }
        }
        // One that cannot be read holds up no other.
        let unread: Vec<u64> = {
            let pace = self.pace.borrow();
            chosen.into_iter().filter(|seq| !pace.has(*seq)).collect()
        };
        if unread.is_empty() {
            return Ok(());
        }
        self.store.write(
            "UPDATE entry SET due = ? WHERE seq IN (SELECT value FROM json_each(?))",
            vec![instant(now.plus(LATER)), list(&unread)?],
        )
    }

    /// Events of a source that the policy has no more wait for it. The operator is told, each time
    /// that the alarm looks.
    fn say_that_it_is_gone(&self) -> Result<(), Fault> {
        let waiting = "SELECT count(*) FROM entry WHERE state = ?";
        let waiting = self.store.rows(waiting, vec![integer(State::Pending.number().into())])?;
        let waiting = waiting.into_iter().next().and_then(one_count).unwrap_or(0);
        if waiting > 0 {
            let name = self.store.name()?;
            note_fault(&name, &Fault(format!("{waiting} events wait for a source that is gone")));
        }
        Ok(())
    }

    /// Starts one delivery, unless that event is on its way.
    pub(super) fn start(self: &Rc<Self>, event: Event) {
        if !self.pace.borrow_mut().start(event.seq, u64::from(event.body.length())) {
            return;
        }
        self.started.set(self.started.get().saturating_add(1));
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
        let queue = self.gate().and_then(|gate| Ok(self.source(&gate)?.map(Source::drain)));
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
        // An alarm that works looks for it by itself.
        if self.works_until.get().is_some() { Ok(()) } else { self.store.wake_at(now()) }
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

/// Numbers, as one value of a statement.
fn list(numbers: &[u64]) -> Result<SqlStorageValue, Fault> {
    let text = serde_json::to_string(numbers).map_err(|error| Fault(error.to_string()))?;
    Ok(text.into())
}

fn two_counts(row: Row) -> Option<(u64, u64)> {
    match <[SqlStorageValue; 2]>::try_from(row) {
        Ok([SqlStorageValue::Integer(first), SqlStorageValue::Integer(second)]) => {
            Some((first.try_into().ok()?, second.try_into().ok()?))
        }
        _ => None,
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
