//! The one table of objects whose state is rows of a name and a text.

use tollgate_core::chunk::chunks;
use tollgate_core::road::Fault;
use worker::SqlStorageValue;

use super::store::{MOST_BYTES, Store, damaged, two_texts};

/// Rows that go into one statement.
const CHUNK: usize = 500;

/// Makes the table.
pub(super) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS entry (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

/// Rows whose names lie in `from` to `to`, without the latter, by name.
pub(super) fn between(
    store: &Store,
    from: &str,
    to: &str,
    most: u32,
) -> Result<Vec<(String, String)>, Fault> {
    let rows = store.rows(
        "SELECT name, value FROM entry WHERE name >= ? AND name < ? ORDER BY name LIMIT ?",
        vec![from.into(), to.into(), SqlStorageValue::Integer(most.into())],
    )?;
    rows.into_iter().map(|row| two_texts(row).ok_or_else(damaged)).collect()
}

/// Every row.
pub(super) fn all(store: &Store) -> Result<Vec<(String, String)>, Fault> {
    let rows = store.rows("SELECT name, value FROM entry", Vec::new())?;
    rows.into_iter().map(|row| two_texts(row).ok_or_else(damaged)).collect()
}

/// Stores and deletes. What is stored is one statement, so it is there whole or not at all, but for
/// the settled counts of a very busy object, each of which stands for itself, and for more records at
/// once than a statement takes, of which each is whole; deletions come after
/// it, because a row too many is harmless and one too few is not.
pub(super) fn write(store: &Store, rows: Vec<(String, Option<String>)>) -> Result<(), Fault> {
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    for (name, value) in rows {
        match value {
            Some(value) => kept.push((name, value)),
            None => gone.push(name),
        }
    }
    let size = |(name, value): &(String, String)| name.len().saturating_add(value.len());
    for chunk in chunks(&kept, CHUNK, MOST_BYTES, size) {
        match chunk {
            // By far the most frequent write: one count of one limit.
            [(name, value)] => store.write(
                "INSERT OR REPLACE INTO entry VALUES (?, ?)",
                vec![name.as_str().into(), value.as_str().into()],
            )?,
            // The same, with the tally of its key.
            [(name, value), (other, text)] => store.write(
                "INSERT OR REPLACE INTO entry VALUES (?, ?), (?, ?)",
                [name, value, other, text].map(|text| text.as_str().into()).to_vec(),
            )?,
            many => store.write(
                "INSERT OR REPLACE INTO entry \
                 SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
                vec![json(&many)?.into()],
            )?,
        }
    }
    delete(store, &gone)
}

/// Deletes rows by their names.
pub(super) fn delete(store: &Store, names: &[String]) -> Result<(), Fault> {
    for chunk in chunks(names, CHUNK, MOST_BYTES, String::len) {
        store.write(
            "DELETE FROM entry WHERE name IN (SELECT value FROM json_each(?))",
            vec![json(&chunk)?.into()],
        )?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault(error.to_string()))
}
