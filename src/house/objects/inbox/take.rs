//! Taking an event: it is stored and remembered in one transaction, or not at all.

use js_sys::Uint8Array;
use std::rc::Rc;
use tollgate_core::inbox::{Received, State, Take, Taken, Turn, fingerprint};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::Sighting;
use wasm_bindgen::JsValue;
use worker::SqlStorageValue;

use super::super::store::{damaged, one_count};
use super::deliver::Event;
use super::{Inbox, instant, integer};
use crate::platform::now;

/// So many of the oldest events that arrived are forgotten at a time to make room.
const MAKE_ROOM: u64 = 200;
/// So often at the most for one event: a limit that was lowered by much is kept to step by step.
const ROUNDS: u32 = 50;
/// So much is forgotten in one turn of the alarm.
const FORGET: u64 = 2_000;

impl Inbox {
    /// Stores an event that is new, within a transaction that is open: what became of it, and, if
    /// it is stored, the event.
    pub(super) fn take(
        &self,
        take: &Take,
        body: &Uint8Array,
    ) -> Result<(Taken, Option<Event>), Fault> {
        let now = now();
        let gate = self.gate()?;
        let Some(queue) = self.source(&gate)?.and_then(|source| source.queue()) else {
            return Err(Fault("an event for a source without an inbox".to_owned()));
        };
        let sighting = self.sighting(&take.name, &take.content)?;
        if sighting == Sighting::Duplicate {
            return Ok((Taken::Duplicate, None));
        }
        let mut received = take.received.clone();
        received.id_reused = sighting == Sighting::IdReused;
        let told = serde_json::to_string(&received).map_err(|error| Fault(error.to_string()))?;
        let size = u64::from(body.length()).saturating_add(told.len().try_into().unwrap_or(0));
        if !self.makes_room(size, queue.store_limit)? {
            return Ok((Taken::Full, None));
        }
        let turn = Turn::new(now);
        let seq = self.insert(take, &turn, &told, body, size)?;
        self.remember(&take.name, &take.content, now.plus(take.remember))?;
        let event = Event { seq, id: take.id.clone(), turn, received, body: body.clone() };
        let taken = if event.received.id_reused { Taken::StoredAgain } else { Taken::Stored };
        Ok((taken, Some(event)))
    }

    fn insert(
        &self,
        take: &Take,
        turn: &Turn,
        received: &str,
        body: &Uint8Array,
        size: u64,
    ) -> Result<u64, Fault> {
        let rows = self.store.write_rows(
            "INSERT INTO entry (id, state, due, at, size, attempts, tries) \
             VALUES (?, ?, ?, ?, ?, 0, '[]') RETURNING seq",
            vec![
                take.id.as_str().into(),
                integer(turn.state.number().into()),
                instant(turn.due),
                instant(take.received.at),
                integer(size),
            ],
        )?;
        let number = rows.into_iter().next().and_then(one_count).ok_or_else(damaged)?;
        #[allow(clippy::cast_precision_loss)] // 2^53 events are more than there will be
        let seq = JsValue::from_f64(number as f64);
        // The bytes go as they came, without a copy in here.
        self.store.write_raw(
            "INSERT OR REPLACE INTO content VALUES (?, ?, ?)",
            vec![seq, JsValue::from_str(received), body.clone().into()],
        )?;
        Ok(number)
    }

    /// Starts what has just been stored: it is at hand, so nothing is to be read. What there is no
    /// room for waits, and without the alarm at work all of it does.
    pub(super) fn begin(self: &Rc<Self>, fresh: Vec<Event>) -> Result<(), Fault> {
        if fresh.is_empty() {
            return Ok(());
        }
        let now = now();
        if self.works_until.get().is_none() {
            return self.store.wake_at(now);
        }
        let Some(room) = self.room()? else { return Ok(()) };
        for event in fresh {
            let free = self.pace.borrow().has_room(room, u64::from(event.body.length()));
            if free && !self.behind.get() && self.may_start(now) {
                self.start(event);
            } else {
                self.behind.set(true);
            }
        }
        Ok(())
    }

    /// Whether this was here before. Of one name all contents are remembered: what was here with
    /// another one in between was here all the same.
    pub(super) fn sighting(&self, name: &str, content: &str) -> Result<Sighting, Fault> {
        let rows = self.store.rows(
            "SELECT content = ?3 FROM seen WHERE name = ?1 AND until > ?2 ORDER BY 1 DESC LIMIT 1",
            vec![print(name), instant(now()), print(content)],
        )?;
        match rows.into_iter().next().map(one_count) {
            None => Ok(Sighting::New),
            Some(Some(0)) => Ok(Sighting::IdReused),
            Some(Some(_)) => Ok(Sighting::Duplicate),
            Some(None) => Err(damaged()),
        }
    }

    pub(super) fn remember(
        &self,
        name: &str,
        content: &str,
        until: UnixMillis,
    ) -> Result<(), Fault> {
        self.store.write(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
            vec![print(name), print(content), instant(until)],
        )
    }

    /// True if there is room for so many bytes more. What has arrived goes first, the oldest before
    /// the others; what has not is never dropped for it.
    fn makes_room(&self, size: u64, limit: u64) -> Result<bool, Fault> {
        for _ in 0..ROUNDS {
            if self.store.size().saturating_add(size) <= limit {
                return Ok(true);
            }
            let delivered = State::Delivered.number();
            let whenever = UnixMillis::from_millis(i64::MAX.unsigned_abs());
            if self.forget(delivered, whenever, MAKE_ROOM)? == 0 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Forgets events of this state that are due by then; returns how many. Of an event that is
    /// half forgotten nothing but its content is left, which nobody looks for: so this needs no
    /// transaction.
    fn forget(&self, state: u8, by: UnixMillis, most: u64) -> Result<u64, Fault> {
        let rows = self.store.rows(
            "SELECT seq FROM entry WHERE state = ? AND due <= ? ORDER BY due LIMIT ?",
            vec![integer(state.into()), instant(by), integer(most)],
        )?;
        let seqs: Option<Vec<u64>> = rows.into_iter().map(one_count).collect();
        let seqs = seqs.ok_or_else(damaged)?;
        if seqs.is_empty() {
            return Ok(0);
        }
        let list = serde_json::to_string(&seqs).map_err(|error| Fault(error.to_string()))?;
        for statement in [
            "DELETE FROM entry WHERE seq IN (SELECT value FROM json_each(?))",
            "DELETE FROM content WHERE seq IN (SELECT value FROM json_each(?))",
        ] {
            self.store.write(statement, vec![list.as_str().into()])?;
        }
        Ok(u64::try_from(seqs.len()).unwrap_or(0))
    }

    /// Forgets what is not to be kept any longer, or some of it.
    pub(super) fn tidy(&self, now: UnixMillis) -> Result<(), Fault> {
        self.store.rows(
            "DELETE FROM seen WHERE (name, content) IN \
             (SELECT name, content FROM seen WHERE until <= ? ORDER BY until LIMIT ?)",
            vec![instant(now), integer(FORGET)],
        )?;
        for state in [State::Delivered, State::Dead] {
            self.forget(state.number(), now, FORGET)?;
        }
        Ok(())
    }
}

/// A name or a content, as it is remembered.
fn print(text: &str) -> SqlStorageValue {
    SqlStorageValue::Blob(fingerprint(text).to_vec())
}

/// What is kept of a request, as it lies in its row.
pub(super) fn read_received(text: &str) -> Result<Received, Fault> {
    serde_json::from_str(text).map_err(|error| Fault(error.to_string()))
}
