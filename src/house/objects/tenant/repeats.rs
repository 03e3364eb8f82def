//! Answers of management writes that may be sent twice. What is stored is sealed, and names neither
//! the caller nor what it chose as its `Idempotency-Key`.

use tollgate_core::repeat::{Attempt, RepeatRequest};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;

use super::super::store::{damaged, note_fault, one_count, one_text, two_texts};
use super::TenantObject;
use super::registry::{instant, integer, json};

/// `changes_at` is when the attempt is to be looked at again: a secret goes before the rest of it.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS repeat (
        name TEXT PRIMARY KEY, attempt TEXT NOT NULL, changes_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS repeat_order ON repeat (changes_at);";

/// How many attempts are looked at in one turn.
const BATCH: u64 = 500;

impl TenantObject {
    pub(super) fn repeat(&self, request: RepeatRequest, now: UnixMillis) -> Result<String, Fault> {
        let name = request.name().to_owned();
        let rows = self
            .store
            .rows("SELECT attempt FROM repeat WHERE name = ?", vec![name.as_str().into()])?;
        let stored = match rows.into_iter().next() {
            Some(row) => Some(parse(&one_text(row).ok_or_else(damaged)?)?),
            None => None,
        };
        let was_there = stored.is_some();
        let (reply, after) = Attempt::apply(stored.clone(), request, now);
        if after != stored {
            self.keep(&name, after.as_ref(), was_there)?;
        }
        json(&reply)
    }

    /// Forgets what is not to be kept any longer, secrets first; returns when there is more to
    /// forget.
    pub(super) fn tend_repeats(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        let due = self.store.rows(
            "SELECT name, attempt FROM repeat WHERE changes_at <= ? ORDER BY changes_at LIMIT ?",
            vec![instant(now), integer(BATCH)],
        )?;
        for row in due {
            let (name, attempt) = two_texts(row).ok_or_else(damaged)?;
            // One that cannot be read keeps no other from its turn.
            let attempt = parse(&attempt).inspect_err(|fault| note_fault("repeats", fault)).ok();
            self.keep(&name, attempt.and_then(|attempt| attempt.at(now)).as_ref(), true)?;
        }
        let next = self
            .store
            .rows("SELECT changes_at FROM repeat ORDER BY changes_at LIMIT 1", Vec::new())?;
        Ok(next.into_iter().next().and_then(one_count).map(UnixMillis::from_millis))
    }

    fn keep(&self, name: &str, attempt: Option<&Attempt>, was_there: bool) -> Result<(), Fault> {
        match attempt {
            Some(attempt) => {
                let changes_at = attempt.changes_at();
                self.store.wake_at(changes_at)?;
                let values = vec![name.into(), json(attempt)?.into(), instant(changes_at)];
                self.store.write("INSERT OR REPLACE INTO repeat VALUES (?, ?, ?)", values)
            }
            None if was_there => {
                self.store.write("DELETE FROM repeat WHERE name = ?", vec![name.into()])
            }
            None => Ok(()),
        }
    }
}

fn parse(attempt: &str) -> Result<Attempt, Fault> {
    serde_json::from_str(attempt).map_err(|error| Fault(error.to_string()))
}
