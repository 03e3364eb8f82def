//! What is out of the ordinary: what is remembered of each key, and what was told of it.

use std::collections::BTreeMap;

use tollgate_core::anomaly::{
    Anomaly, AnomalyQuery, AnomalyRequest, KEPT, Kind, Page, REMEMBERED, Subject, Watched,
};
use tollgate_core::audit::Draft;
use tollgate_core::chunk::chunks;
use tollgate_core::manage::{ALL_TENANTS, RegistryRequest};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::Gathered;
use worker::SqlStorageValue;

use super::super::store::{MOST_BYTES, Row, damaged, one_count, two_texts};
use super::TenantObject;
use super::registry::{instant, integer, json};
use crate::gate::gate;

/// `day` is when a key was used last, in days since 1970.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS watched (
        key TEXT PRIMARY KEY, day INTEGER NOT NULL, state TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS watched_day ON watched (day);
    CREATE TABLE IF NOT EXISTS anomaly (
        id TEXT PRIMARY KEY, at INTEGER NOT NULL, tenant TEXT NOT NULL, key TEXT NOT NULL,
        kind TEXT NOT NULL, detail TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS anomaly_order ON anomaly (at DESC, id DESC);
    CREATE INDEX IF NOT EXISTS anomaly_key ON anomaly (key, at DESC, id DESC);
    CREATE INDEX IF NOT EXISTS anomaly_tenant ON anomaly (tenant, at DESC, id DESC);";

/// Keys that go into one statement.
const CHUNK: usize = 100;
/// What is too old goes this often at the most.
const TIDY: Millis = Millis::hours(1);
/// The length of a day, in milliseconds.
const DAY: u64 = Millis::days(1).as_millis();

impl TenantObject {
    pub(super) fn anomaly(
        &self,
        request: AnomalyRequest,
        now: UnixMillis,
    ) -> Result<String, Fault> {
        match request {
            AnomalyRequest::Told(events) => {
                self.append(&events, now)?;
                self.keep_anomalies(&events, now)?;
                Ok("{}".to_owned())
            }
            AnomalyRequest::List(query) => json(&self.anomalies(&query)?),
        }
    }

    /// Looks at what an isolate gathered of the tenant's keys, and tells what is worth it.
    pub(super) fn watch(&self, gathered: &Gathered, now: UnixMillis) -> Result<(), Fault> {
        let gate = gate(&self.env)?;
        let rules = &gate.policy.anomalies;
        for batches in gathered.keys.chunks(CHUNK) {
            let keys: Vec<_> = batches.iter().filter_map(|batch| batch.key.as_ref()).collect();
            let mut watched = self.watched(&json(&keys)?)?;
            let mut told = Vec::new();
            for batch in batches {
                let Some(key) = &batch.key else { continue };
                let state = watched.entry(key.to_string()).or_default();
                let subject = Subject { key, tenant: &gathered.tenant, now };
                told.extend(state.see(batch, rules, subject));
            }
            self.remember(&watched, now)?;
            self.raise(&told, now)?;
        }
        Ok(())
    }

    /// Puts what happened here into the tenant's chain, and has the object over all told of it.
    pub(super) fn raise(&self, events: &[Draft], now: UnixMillis) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        self.append(events, now)?;
        self.keep_anomalies(events, now)?;
        if self.store.name()? == ALL_TENANTS {
            return Ok(());
        }
        let told = AnomalyRequest::Told(events.to_vec());
        self.tell(&RegistryRequest::Anomaly(told), now)
    }

    /// Forgets what is too old; when there is more to forget.
    pub(super) fn tend_anomalies(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        let old = vec![instant(now.minus(KEPT))];
        self.forget_old("SELECT min(at) FROM anomaly", "DELETE FROM anomaly WHERE at < ?", old)?;
        let old = vec![integer(day(now.minus(REMEMBERED)))];
        self.forget_old("SELECT min(day) FROM watched", "DELETE FROM watched WHERE day < ?", old)?;
        let told = self.least_of("SELECT min(at) FROM anomaly")?;
        let told = told.map(|at| UnixMillis::from_millis(at).plus(KEPT));
        let used = self.least_of("SELECT min(day) FROM watched")?.map(|day| {
            let day = UnixMillis::from_millis(day.saturating_mul(DAY));
            day.plus(REMEMBERED).plus(Millis::days(1))
        });
        Ok(told.into_iter().chain(used).min().map(|next| next.max(now.plus(TIDY))))
    }

    fn watched(&self, keys: &str) -> Result<BTreeMap<String, Watched>, Fault> {
        let rows = self.store.rows(
            "SELECT key, state FROM watched WHERE key IN (SELECT value FROM json_each(?))",
            vec![keys.into()],
        )?;
        let known = rows.into_iter().map(|row| {
            let (key, state) = two_texts(row).ok_or_else(damaged)?;
            // One that cannot be read is learned anew.
            Ok((key, serde_json::from_str(&state).unwrap_or_default()))
        });
        known.collect()
    }

    fn remember(&self, watched: &BTreeMap<String, Watched>, now: UnixMillis) -> Result<(), Fault> {
        if watched.is_empty() {
            return Ok(());
        }
        let rows = watched.iter().map(|(key, state)| Ok((key, day(now), json(state)?)));
        let rows: Vec<(&String, u64, String)> = rows.collect::<Result<_, Fault>>()?;
        let size = |(key, _, state): &(&String, u64, String)| key.len().saturating_add(state.len());
        for rows in chunks(&rows, CHUNK, MOST_BYTES, size) {
            self.store.write(
                "INSERT OR REPLACE INTO watched \
                 SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), \
                 json_extract(value, '$[2]') FROM json_each(?)",
                vec![json(&rows)?.into()],
            )?;
        }
        Ok(())
    }

    /// Keeps the anomalies among these events for the list.
    fn keep_anomalies(&self, events: &[Draft], now: UnixMillis) -> Result<(), Fault> {
        for anomaly in events.iter().filter_map(Anomaly::of) {
            let values = vec![
                anomaly.id.into(),
                instant(anomaly.at),
                anomaly.tenant.into(),
                anomaly.key.into(),
                anomaly.kind.as_str().into(),
                json(&anomaly.detail)?.into(),
            ];
            self.store.write("INSERT OR IGNORE INTO anomaly VALUES (?, ?, ?, ?, ?, ?)", values)?;
            self.store.wake_at(now.plus(KEPT))?;
        }
        Ok(())
    }

    fn anomalies(&self, query: &AnomalyQuery) -> Result<Page, Fault> {
        let mut conditions = "TRUE".to_owned();
        let mut values = Vec::new();
        if let Some(cursor) = &query.cursor {
            conditions.push_str(" AND (at, id) < (?, ?)");
            values.extend([instant(cursor.at), cursor.id.as_str().into()]);
        }
        for (condition, value) in [
            (" AND tenant = ?", query.tenant.as_deref().map(Into::into)),
            (" AND key = ?", query.key.as_deref().map(Into::into)),
            (" AND kind = ?", query.kind.map(|kind| kind.as_str().into())),
            (" AND at >= ?", query.since.map(instant)),
        ] {
            if let Some(value) = value {
                conditions.push_str(condition);
                values.push(value);
            }
        }
        values.push(integer(Page::wanted(query)));
        let statement = format!(
            "SELECT id, at, tenant, key, kind, detail FROM anomaly WHERE {conditions} \
             ORDER BY at DESC, id DESC LIMIT ?"
        );
        let rows = self.store.rows(&statement, values)?;
        let found = rows.into_iter().map(|row| stored(row).ok_or_else(damaged));
        Ok(Page::of(found.collect::<Result<_, _>>()?, query))
    }

    /// Deletes nothing, not even in vain, from an object that has nothing.
    fn forget_old(
        &self,
        least: &str,
        delete: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<(), Fault> {
        match self.least_of(least)? {
            Some(_) => self.store.write(delete, values),
            None => Ok(()),
        }
    }

    /// The number that a query finds; None where there is no row for it.
    fn least_of(&self, query: &str) -> Result<Option<u64>, Fault> {
        let found = self.store.rows(query, Vec::new())?.into_iter().next();
        Ok(found.and_then(one_count))
    }
}

fn stored(row: Row) -> Option<Anomaly> {
    use SqlStorageValue::{Integer, String};
    let Ok([String(id), Integer(at), String(tenant), String(key), String(kind), String(detail)]) =
        <[_; 6]>::try_from(row)
    else {
        return None;
    };
    let at = UnixMillis::from_millis(at.try_into().ok()?);
    let detail = serde_json::from_str(&detail).ok()?;
    Some(Anomaly { id, at, tenant, key, kind: Kind::parse(&kind)?, detail })
}

/// Days since 1970.
fn day(at: UnixMillis) -> u64 {
    at.as_millis() / DAY
}
