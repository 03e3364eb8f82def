//! The tables of usage, row by row.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate_core::chunk::chunks;
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use tollgate_core::usage::{By, LastUse, Stretch, Upkeep};
use worker::SqlStorageValue;

use super::super::super::store::{MOST_BYTES, Row, Store, damaged, one_count, one_text};
use super::super::registry::{instant, integer, json};

/// `usage` has one row for each hour and each day of each name; `reached` is set once a limit refused
/// in that hour. `usage_key` says when each name was used last, what the registry was told of it, and
/// whether the object over all still has to be. `usage_changed`: hours of the sum that it has to be
/// told of. `usage_state` is one row.
pub(in super::super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS usage (
        span INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
        admitted INTEGER NOT NULL, reached INTEGER NOT NULL, gathered TEXT NOT NULL,
        PRIMARY KEY (name, span, at)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS usage_key (
        name TEXT PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, country TEXT,
        told_at INTEGER NOT NULL, fresh INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS usage_fresh ON usage_key (name) WHERE fresh = 1;
    CREATE TABLE IF NOT EXISTS usage_changed (at INTEGER PRIMARY KEY, changes INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS usage_state (one INTEGER PRIMARY KEY, state TEXT NOT NULL);";

/// The name of everything together.
pub(super) const SUM: &str = "*";
/// The name of what is not told apart by key: requests without one, above all.
pub(super) const NO_KEY: &str = "-";
/// Before the name of a tenant, in the object over all. Names of tenants lie between these.
pub(super) const TENANTS: (&str, &str) = ("@", "A");

/// Rows that go into one statement.
const CHUNK: usize = 500;

/// One row of `usage`.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) stretch: Stretch,
    pub(super) reached: bool,
}

/// Rows by name and time.
pub(super) type Rows = BTreeMap<(String, UnixMillis), Kept>;

const fn span(by: By) -> i64 {
    match by {
        By::Hour => 0,
        By::Day => 1,
    }
}

/// The rows of these hours; those that are not there are empty.
pub(super) fn hours(
    store: &Store,
    wanted: impl Iterator<Item = (String, UnixMillis)>,
) -> Result<Rows, Fault> {
    let empty = |(name, at): (String, UnixMillis)| {
        let stretch = Stretch { at, ..Stretch::default() };
        ((name, at), Kept { stretch, reached: false })
    };
    let mut rows: Rows = wanted.map(empty).collect();
    let keys: Vec<_> = rows.keys().cloned().collect();
    for chunk in keys.chunks(CHUNK) {
        let found = store.rows(
            "SELECT name, at, admitted, gathered, reached FROM json_each(?) AS wanted CROSS JOIN usage \
             ON span = ? AND name = json_extract(wanted.value, '$[0]') \
             AND at = json_extract(wanted.value, '$[1]')",
            vec![json(&chunk)?.into(), SqlStorageValue::Integer(span(By::Hour))],
        )?;
        for row in found {
            let (name, kept) = kept(row).ok_or_else(damaged)?;
            rows.insert((name, kept.stretch.at), kept);
        }
    }
    Ok(rows)
}

/// The rows of one name that begin in `from` to `to`, without the latter.
pub(super) fn between(
    store: &Store,
    by: By,
    name: &str,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<Stretch>, Fault> {
    let rows = store.rows(
        "SELECT name, at, admitted, gathered, reached FROM usage \
         WHERE span = ? AND name = ? AND at >= ? AND at < ? ORDER BY at",
        vec![SqlStorageValue::Integer(span(by)), name.into(), instant(from), instant(to)],
    )?;
    rows.into_iter()
        .map(|row| kept(row).map(|(_, kept)| kept.stretch).ok_or_else(damaged))
        .collect()
}

/// Stores rows, over those that are there.
pub(super) fn put(store: &Store, by: By, rows: &Rows) -> Result<(), Fault> {
    let mut values = Vec::new();
    for ((name, at), Kept { stretch, reached }) in rows {
        let gathered = json(&stretch.gathered)?;
        values.push((name, at, stretch.admitted, gathered, u8::from(*reached)));
    }
    let size = |(name, _, _, gathered, _): &(&String, _, _, String, _)| {
        name.len().saturating_add(gathered.len())
    };
    for chunk in chunks(&values, CHUNK, MOST_BYTES, size) {
        store.write(
            "INSERT OR REPLACE INTO usage (span, name, at, admitted, gathered, reached) \
             SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), \
             json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]') \
             FROM json_each(?)",
            vec![SqlStorageValue::Integer(span(by)), json(&chunk)?.into()],
        )?;
    }
    Ok(())
}

/// Deletes what began before `oldest`.
pub(super) fn forget(store: &Store, by: By, name: &str, oldest: UnixMillis) -> Result<(), Fault> {
    store.write(
        "DELETE FROM usage WHERE span = ? AND name = ? AND at < ?",
        vec![SqlStorageValue::Integer(span(by)), name.into(), instant(oldest)],
    )
}

/// Names of rows, after this one, in order.
pub(super) fn names_after(store: &Store, after: &str, most: u64) -> Result<Vec<String>, Fault> {
    // Each step finds the next name in the primary key: no row of a name is read but its first.
    let rows = store.rows(
        "WITH RECURSIVE found (name) AS ( \
             SELECT min(name) FROM usage WHERE name > ? UNION ALL \
             SELECT (SELECT min(name) FROM usage WHERE name > found.name) FROM found \
             WHERE found.name IS NOT NULL LIMIT ? \
         ) SELECT name FROM found WHERE name IS NOT NULL",
        vec![after.into(), integer(most)],
    )?;
    rows.into_iter().map(|row| one_text(row).ok_or_else(damaged)).collect()
}

/// Admitted and refused requests of each tenant in `from` to `to`, in the object over all. Hours from
/// `counting` on may not have all of their counts yet.
pub(super) fn by_tenant(
    store: &Store,
    by: By,
    (from, to): (UnixMillis, UnixMillis),
    counting: UnixMillis,
) -> Result<Vec<(String, u64, u64)>, Fault> {
    let rows = store.rows(
        "SELECT substr(usage_key.name, 2), \
             sum(coalesce(json_extract(gathered, '$.p'), 0) + CASE WHEN at >= ? \
                 THEN max(admitted, json_extract(gathered, '$.a') \
                     - coalesce(json_extract(gathered, '$.p'), 0)) \
                 ELSE admitted END), \
             sum(json_extract(gathered, '$.r')) \
         FROM usage_key CROSS JOIN usage ON span = ? AND usage.name = usage_key.name \
             AND at >= ? AND at < ? \
         WHERE usage_key.name >= ? AND usage_key.name < ? GROUP BY usage_key.name",
        vec![
            instant(counting),
            SqlStorageValue::Integer(span(by)),
            instant(from),
            instant(to),
            TENANTS.0.into(),
            TENANTS.1.into(),
        ],
    )?;
    let read = |row: Row| match <[SqlStorageValue; 3]>::try_from(row).ok()? {
        [SqlStorageValue::String(name), admitted, refused] => {
            Some((name, number(&admitted)?, number(&refused)?))
        }
        _ => None,
    };
    rows.into_iter().map(|row| read(row).ok_or_else(damaged)).collect()
}

/// Codes of each of these tenants in `from` to `to`, in the object over all.
pub(super) fn codes_by_tenant(
    store: &Store,
    tenants: &[&String],
    by: By,
    (from, to): (UnixMillis, UnixMillis),
) -> Result<Vec<(String, String, u64)>, Fault> {
    let rows = store.rows(
        "SELECT wanted.value, code.key, sum(code.value) FROM json_each(?) AS wanted \
         CROSS JOIN usage ON usage.name = ? || wanted.value AND span = ? AND at >= ? AND at < ? \
         CROSS JOIN json_each(gathered, '$.e') AS code GROUP BY wanted.value, code.key",
        vec![
            json(&tenants)?.into(),
            TENANTS.0.into(),
            SqlStorageValue::Integer(span(by)),
            instant(from),
            instant(to),
        ],
    )?;
    let read = |row: Row| match <[SqlStorageValue; 3]>::try_from(row).ok()? {
        [SqlStorageValue::String(tenant), SqlStorageValue::String(code), count] => {
            Some((tenant, code, number(&count)?))
        }
        _ => None,
    };
    rows.into_iter().map(|row| read(row).ok_or_else(damaged)).collect()
}

/// These names were used: each with when, and from where.
pub(super) fn used(store: &Store, uses: &[(String, &LastUse)]) -> Result<(), Fault> {
    let uses: Vec<_> = uses.iter().map(|(name, last)| (name, last.at, &last.country)).collect();
    for chunk in uses.chunks(CHUNK) {
        store.write(
            "INSERT INTO usage_key (name, first_at, last_at, country, told_at, fresh) \
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), \
             json_extract(value, '$[1]'), json_extract(value, '$[2]'), 0, 0 FROM json_each(?) WHERE true \
             ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at, country = excluded.country \
             WHERE excluded.last_at >= usage_key.last_at",
            vec![json(&chunk)?.into()],
        )?;
    }
    Ok(())
}

/// When and from where this name was used last.
pub(super) fn last_use(store: &Store, name: &str) -> Result<Option<LastUse>, Fault> {
    let query = "SELECT last_at, country FROM usage_key WHERE name = ?";
    let row = store.rows(query, vec![name.into()])?.into_iter().next();
    let read = |row: Row| match <[SqlStorageValue; 2]>::try_from(row).ok()? {
        [SqlStorageValue::Integer(at), country] => {
            let country = match country {
                SqlStorageValue::String(country) => Some(country),
                _ => None,
            };
            Some(LastUse { at: UnixMillis::from_millis(at.try_into().ok()?), country })
        }
        _ => None,
    };
    row.map(|row| read(row).ok_or_else(damaged)).transpose()
}

/// Of these names those whose use the registry was last told more than `step` ago, with when they were
/// used; the registry counts as told of them.
pub(super) fn to_tell(
    store: &Store,
    names: &[String],
    step: u64,
) -> Result<Vec<(String, UnixMillis)>, Fault> {
    let rows = store.rows(
        "SELECT usage_key.name, last_at FROM json_each(?) AS wanted CROSS JOIN usage_key \
         ON usage_key.name = wanted.value WHERE last_at >= told_at + ?",
        vec![json(&names)?.into(), integer(step)],
    )?;
    let read = |row| name_and_time(row).ok_or_else(damaged);
    let found = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if !found.is_empty() {
        let told: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        store.write(
            "UPDATE usage_key SET told_at = last_at, fresh = 1 \
             WHERE name IN (SELECT value FROM json_each(?))",
            vec![json(&told)?.into()],
        )?;
    }
    Ok(found)
}

/// Names whose use the object over all was not told of, and what the registry was told.
pub(super) fn fresh(store: &Store, most: u64) -> Result<Vec<(String, UnixMillis)>, Fault> {
    let query = "SELECT name, told_at FROM usage_key WHERE fresh = 1 LIMIT ?";
    let rows = store.rows(query, vec![integer(most)])?;
    rows.into_iter().map(|row| name_and_time(row).ok_or_else(damaged)).collect()
}

/// The object over all was told these.
pub(super) fn not_fresh(store: &Store, told: &impl Serialize) -> Result<(), Fault> {
    store.write(
        "UPDATE usage_key SET fresh = 0 WHERE (name, told_at) IN \
         (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
        vec![json(told)?.into()],
    )
}

/// The sum of these hours changed.
pub(super) fn changed(store: &Store, hours: &[UnixMillis]) -> Result<(), Fault> {
    store.write(
        "INSERT INTO usage_changed SELECT value, 1 FROM json_each(?) WHERE true \
         ON CONFLICT (at) DO UPDATE SET changes = changes + 1",
        vec![json(&hours)?.into()],
    )
}

/// Hours whose sum changed, and how often by now.
pub(super) fn changes(store: &Store, most: u64) -> Result<Vec<(UnixMillis, u64)>, Fault> {
    let query = "SELECT at, changes FROM usage_changed ORDER BY at LIMIT ?";
    let rows = store.rows(query, vec![integer(most)])?;
    let read = |row: Row| match <[SqlStorageValue; 2]>::try_from(row).ok()? {
        [at, changes] => Some((UnixMillis::from_millis(number(&at)?), number(&changes)?)),
    };
    rows.into_iter().map(|row| read(row).ok_or_else(damaged)).collect()
}

/// The object over all has these, unless they have changed again.
pub(super) fn unchanged(store: &Store, told: &[(UnixMillis, u64)]) -> Result<(), Fault> {
    store.write(
        "DELETE FROM usage_changed WHERE (at, changes) IN \
         (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
        vec![json(&told)?.into()],
    )
}

/// How far the upkeep has come.
pub(super) fn upkeep(store: &Store) -> Result<Upkeep, Fault> {
    let row = store.rows("SELECT state FROM usage_state", Vec::new())?.into_iter().next();
    let Some(text) = row.and_then(one_text) else { return Ok(Upkeep::default()) };
    serde_json::from_str(&text).map_err(|error| Fault(error.to_string()))
}

pub(super) fn put_upkeep(store: &Store, upkeep: &Upkeep) -> Result<(), Fault> {
    store.write("INSERT OR REPLACE INTO usage_state VALUES (1, ?)", vec![json(upkeep)?.into()])
}

/// How many keys of the registry are in use by what it knows, and were not used since then.
pub(super) fn count_stale(store: &Store, since: UnixMillis, now: UnixMillis) -> Result<u64, Fault> {
    let rows = store.rows(
        "SELECT count(*) FROM entry WHERE state = 'active' AND expires_at > ? \
         AND coalesce(last_used_at, created_at) < ?",
        vec![instant(now), instant(since)],
    )?;
    Ok(rows.into_iter().next().and_then(one_count).unwrap_or(0))
}

fn kept(row: Row) -> Option<(String, Kept)> {
    match <[SqlStorageValue; 5]>::try_from(row).ok()? {
        [
            SqlStorageValue::String(name),
            at,
            admitted,
            SqlStorageValue::String(gathered),
            reached,
        ] => {
            let stretch = Stretch {
                at: UnixMillis::from_millis(number(&at)?),
                admitted: number(&admitted)?,
                gathered: serde_json::from_str(&gathered).ok()?,
            };
            Some((name, Kept { stretch, reached: number(&reached)? != 0 }))
        }
        _ => None,
    }
}

fn name_and_time(row: Row) -> Option<(String, UnixMillis)> {
    match <[SqlStorageValue; 2]>::try_from(row).ok()? {
        [SqlStorageValue::String(name), at] => Some((name, UnixMillis::from_millis(number(&at)?))),
        _ => None,
    }
}

fn number(value: &SqlStorageValue) -> Option<u64> {
    match value {
        SqlStorageValue::Integer(number) => (*number).try_into().ok(),
        _ => None,
    }
}
