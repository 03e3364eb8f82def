//! The tables of a tenant's endpoints.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::delivery::DEAD_KEPT;
use tollgate_core::endpoint::{Delivery, DeliveryQuery, Endpoint, EndpointReply, Event, Shown};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use worker::SqlStorageValue;

use super::super::store::{Row, damaged, one_count, one_text};
use super::Keeper;
use super::told;

/// `entry`: the endpoints. `event`: what is sent, once for all of them; `made` is when it came here.
/// `delivery`: one event and one endpoint; `record` is the delivery, the other columns are what is
/// looked for in it. `place`: the last event that the audit is known to have, and the last entry of
/// it that was read. `mark`: [`TIDIED`] and [`ASK`].
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS event (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, made INTEGER NOT NULL,
        body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS event_made ON event (made);
    CREATE TABLE IF NOT EXISTS delivery (
        endpoint TEXT NOT NULL, event TEXT NOT NULL, state TEXT NOT NULL, next_at INTEGER NOT NULL,
        record TEXT NOT NULL, PRIMARY KEY (endpoint, event)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS delivery_due ON delivery (next_at) WHERE state = 'pending';
    CREATE INDEX IF NOT EXISTS delivery_next ON delivery (endpoint, next_at)
        WHERE state = 'pending';
    CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event);
    CREATE TABLE IF NOT EXISTS place (
        one INTEGER PRIMARY KEY, known INTEGER NOT NULL, read INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/// The mark of when it was last looked for what is too old.
const TIDIED: &str = "tidied";
/// The mark of that the audit is to be asked, whatever it is known to have.
pub(super) const ASK: &str = "ask";

/// What is too old goes this often at the most.
const TIDY: Millis = Millis::hours(1);
/// Events that go in one turn, each with what was sent of it.
const TIDIED_AT_ONCE: u64 = 250;

impl Keeper {
    pub(super) fn endpoint(&self, id: &str) -> Result<Option<Endpoint>, Fault> {
        let rows = self.store.rows("SELECT record FROM entry WHERE id = ?", vec![id.into()])?;
        rows.into_iter().next().map(record).transpose()
    }

    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>, Fault> {
        let rows = self.store.rows("SELECT record FROM entry ORDER BY id", Vec::new())?;
        rows.into_iter().map(record).collect()
    }

    pub(super) fn list(&self, limit: u64, after: Option<&str>) -> Result<EndpointReply, Fault> {
        let rows = self.store.rows(
            "SELECT record FROM entry WHERE id > ? ORDER BY id LIMIT ?",
            vec![after.unwrap_or_default().into(), integer(limit.saturating_add(1))],
        )?;
        let (rows, more) = first(rows, limit);
        let endpoints = rows.into_iter().map(record).collect::<Result<_, _>>()?;
        Ok(EndpointReply::Page { endpoints, more })
    }

    pub(super) fn keep(&self, endpoint: &Endpoint) -> Result<(), Fault> {
        self.store.write(
            "INSERT OR REPLACE INTO entry VALUES (?, ?)",
            vec![endpoint.id.as_str().into(), json(endpoint)?.into()],
        )
    }

    /// Their ids.
    pub(super) fn endpoint_ids(&self) -> Result<Vec<String>, Fault> {
        texts(self.store.rows("SELECT id FROM entry ORDER BY id", Vec::new())?)
    }

    /// With all that was sent to it. Events that nobody else got go when they are old.
    pub(super) fn delete(&self, id: &str) -> Result<(), Fault> {
        self.store.write("DELETE FROM delivery WHERE endpoint = ?", vec![id.into()])?;
        self.store.write("DELETE FROM entry WHERE id = ?", vec![id.into()])
    }

    pub(super) fn keep_event(&self, id: &str, event: &Event, now: UnixMillis) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
            vec![
                id.into(),
                event.kind.as_str().into(),
                instant(event.at),
                instant(now),
                event.body.as_str().into(),
            ],
        )
    }

    /// What is sent of an event.
    pub(super) fn body(&self, event: &str) -> Result<Option<String>, Fault> {
        let rows = self.store.rows("SELECT body FROM event WHERE id = ?", vec![event.into()])?;
        rows.into_iter().next().map(|row| one_text(row).ok_or_else(damaged)).transpose()
    }

    pub(super) fn delivery(&self, endpoint: &str, event: &str) -> Result<Option<Delivery>, Fault> {
        let rows = self.store.rows(
            "SELECT record FROM delivery WHERE endpoint = ? AND event = ?",
            vec![endpoint.into(), event.into()],
        )?;
        rows.into_iter().next().map(record).transpose()
    }

    pub(super) fn keep_delivery(
        &self,
        endpoint: &str,
        event: &str,
        delivery: &Delivery,
    ) -> Result<(), Fault> {
        self.store.write(
            "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?, ?)",
            vec![
                endpoint.into(),
                event.into(),
                delivery.state.as_str().into(),
                instant(delivery.next_at),
                json(delivery)?.into(),
            ],
        )
    }

    /// Nothing is sent any more to an endpoint that is off.
    pub(super) fn hold_pending(&self, endpoint: &str) -> Result<(), Fault> {
        self.store.write(
            "UPDATE delivery SET state = 'held', record = json_set(record, '$.state', 'held') \
             WHERE endpoint = ? AND state = 'pending'",
            vec![endpoint.into()],
        )
    }

    /// Events for an endpoint that are due, the longest due first.
    pub(super) fn due(
        &self,
        endpoint: &str,
        now: UnixMillis,
        most: usize,
    ) -> Result<Vec<String>, Fault> {
        texts(self.store.rows(
            "SELECT event FROM delivery WHERE endpoint = ? AND state = 'pending' \
             AND next_at <= ? ORDER BY next_at LIMIT ?",
            vec![endpoint.into(), instant(now), integer(u64::try_from(most).unwrap_or(u64::MAX))],
        )?)
    }

    /// Its attempt begins: should it never end, it is due again then.
    pub(super) fn begun(
        &self,
        endpoint: &str,
        event: &str,
        again: UnixMillis,
    ) -> Result<(), Fault> {
        self.store.write(
            "UPDATE delivery SET next_at = ? WHERE endpoint = ? AND event = ?",
            vec![instant(again), endpoint.into(), event.into()],
        )
    }

    /// Nothing is known any more of what it was of.
    pub(super) fn drop_delivery(&self, endpoint: &str, event: &str) -> Result<(), Fault> {
        self.store.write(
            "DELETE FROM delivery WHERE endpoint = ? AND event = ?",
            vec![endpoint.into(), event.into()],
        )
    }

    pub(super) fn deliveries(
        &self,
        endpoint: &str,
        query: &DeliveryQuery,
    ) -> Result<EndpointReply, Fault> {
        let rows = self.store.rows(
            "SELECT event.id, event.kind, event.at, delivery.record FROM delivery \
             JOIN event ON event.id = delivery.event WHERE delivery.endpoint = ?1 \
             AND (?2 IS NULL OR delivery.event < ?2) AND (?3 IS NULL OR delivery.state = ?3) \
             AND (?4 IS NULL OR event.at >= ?4) ORDER BY delivery.event DESC LIMIT ?5",
            vec![
                endpoint.into(),
                query.before.clone().into(),
                query.state.map(|state| state.as_str().to_owned()).into(),
                query.since.map_or(SqlStorageValue::Null, instant),
                integer(query.limit.saturating_add(1)),
            ],
        )?;
        let (rows, more) = first(rows, query.limit);
        let deliveries = rows.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok(EndpointReply::Deliveries { deliveries, more })
    }

    /// The audit has an event of this number.
    pub(super) fn known(&self, last: u64) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO place VALUES (1, ?1, 0) \
             ON CONFLICT (one) DO UPDATE SET known = max(known, excluded.known)",
            vec![integer(last)],
        )
    }

    /// What the audit has up to this number is nobody's.
    pub(super) fn begin_after(&self, seq: u64) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO place VALUES (1, ?1, ?1) \
             ON CONFLICT (one) DO UPDATE SET read = max(read, excluded.read)",
            vec![integer(seq)],
        )
    }

    /// The audit was read up to this number.
    pub(super) fn read_up_to(&self, seq: u64) -> Result<(), Fault> {
        let read = "UPDATE place SET read = max(read, ?)";
        self.store.write(read, vec![integer(seq)])
    }

    /// Where reading the audit goes on, if it has more or is to be asked.
    pub(super) fn unread(&self) -> Result<Option<u64>, Fault> {
        let unread = "SELECT read FROM place WHERE known > read \
             OR EXISTS (SELECT 1 FROM mark WHERE name = ?)";
        let row = self.store.rows(unread, vec![ASK.into()])?.into_iter().next();
        row.map(|row| one_count(row).ok_or_else(damaged)).transpose()
    }

    pub(super) fn mark(&self, name: &str, value: u64) -> Result<(), Fault> {
        self.store
            .write("INSERT OR REPLACE INTO mark VALUES (?, ?)", vec![name.into(), integer(value)])
    }

    pub(super) fn unmark(&self, name: &str) -> Result<(), Fault> {
        self.store.write("DELETE FROM mark WHERE name = ?", vec![name.into()])
    }

    /// Forgets what is too old, so many at a time, and nothing that is still on its way.
    pub(super) fn forget_old(&self, now: UnixMillis) -> Result<(), Fault> {
        if now < self.tidies_at()? {
            return Ok(());
        }
        let old = texts(self.store.rows(
            "SELECT id FROM event WHERE made < ? AND NOT EXISTS (SELECT 1 FROM delivery \
             WHERE delivery.event = event.id AND delivery.state = 'pending') \
             ORDER BY made LIMIT ?",
            vec![instant(now.minus(DEAD_KEPT)), integer(TIDIED_AT_ONCE)],
        )?)?;
        let all = u64::try_from(old.len()).is_ok_and(|count| count < TIDIED_AT_ONCE);
        let old = json(&old)?;
        self.store.transaction(&mut || {
            let ids = || vec![old.as_str().into()];
            let named = "IN (SELECT value FROM json_each(?))";
            self.store.write(&format!("DELETE FROM delivery WHERE event {named}"), ids())?;
            self.store.write(&format!("DELETE FROM event WHERE id {named}"), ids())?;
            if all { self.mark(TIDIED, now.as_millis()) } else { Ok(()) }
        })
    }

    /// When it is looked next for what is too old.
    fn tidies_at(&self) -> Result<UnixMillis, Fault> {
        let tidied = "SELECT value FROM mark WHERE name = ?";
        let row = self.store.rows(tidied, vec![TIDIED.into()])?.into_iter().next();
        let at = row.and_then(one_count).map(|at| UnixMillis::from_millis(at).plus(TIDY));
        Ok(at.unwrap_or_default())
    }

    /// When there is something to do next.
    pub(super) fn next_at(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        let least = |query: &str| {
            let rows = self.store.rows(query, Vec::new())?;
            Ok::<_, Fault>(rows.into_iter().next().and_then(one_count).map(UnixMillis::from_millis))
        };
        let due = least("SELECT min(next_at) FROM delivery WHERE state = 'pending'")?;
        let old = least("SELECT min(made) FROM event")?;
        let tidies_at = self.tidies_at()?;
        let old = old.map(|made| made.plus(DEAD_KEPT).plus(Millis::millis(1)).max(tidies_at));
        let undone = self.unread()?.is_some() || told::waits(&self.store)?;
        let again = undone.then(|| now.plus(super::AGAIN));
        Ok(due.into_iter().chain(old).chain(again).min())
    }
}

fn texts(rows: Vec<Row>) -> Result<Vec<String>, Fault> {
    rows.into_iter().map(|row| one_text(row).ok_or_else(damaged)).collect()
}

/// The rows of a page, and whether there are more.
fn first(rows: Vec<Row>, limit: u64) -> (Vec<Row>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    (rows.into_iter().take(limit).collect(), more)
}

fn shown(row: Row) -> Result<Shown, Fault> {
    use SqlStorageValue::{Integer, String};
    let Ok([String(event), String(kind), Integer(at), String(delivery)]) = <[_; 4]>::try_from(row)
    else {
        return Err(damaged());
    };
    let at = UnixMillis::from_millis(at.try_into().map_err(|_| damaged())?);
    Ok(Shown { event, kind, at, delivery: parse(&delivery)? })
}

fn record<T: DeserializeOwned>(row: Row) -> Result<T, Fault> {
    parse(&one_text(row).ok_or_else(damaged)?)
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault(error.to_string()))
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault(error.to_string()))
}

pub(super) fn instant(at: UnixMillis) -> SqlStorageValue {
    integer(at.as_millis())
}

/// Beyond what JavaScript's numbers hold, the largest that they do.
pub(super) fn integer(number: u64) -> SqlStorageValue {
    const MAX_SAFE: i64 = (1 << 53) - 1;
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(MAX_SAFE).min(MAX_SAFE))
}
