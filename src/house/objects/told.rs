//! What an object has to have written into the audit, whatever happens to it: a row that stays until
//! the chains have it. Each entry names its occurrence, so that one that is told twice is there once.

use std::collections::BTreeMap;

use serde_json::Error;
use tollgate_core::audit::{AuditRequest, Draft};
use tollgate_core::manage::{ALL_TENANTS, RegistryRequest};
use tollgate_core::road::Fault;
use wasm_bindgen::JsValue;
use worker::SqlStorageValue;

use super::store::{Store, damaged};
use crate::house::bindings;

/// The table, which is part of the schema of every object that tells.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS notice (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL
    );";

/// Keeps what happened, in the same turn in which it did.
pub(super) fn keep(store: &Store, event: &Draft) -> Result<(), Fault> {
    let text = serde_json::to_string(event).map_err(|error| told(&error))?;
    store.write("INSERT INTO notice (message) VALUES (?)", vec![text.into()])
}

/// True while something waits to be told.
pub(super) fn waits(store: &Store) -> Result<bool, Fault> {
    Ok(!store.rows("SELECT 1 FROM notice LIMIT 1", Vec::new())?.is_empty())
}

/// So many are told at a time.
const TOGETHER: u64 = 100;
/// So often at the most in one turn: what else the object has to do waits behind it.
const ROUNDS: u32 = 20;

/// Tells what waits, in order: to the chain of each one's tenant, and to the one over all. There may
/// be more than has its turn: [`waits`].
pub(super) async fn tell(store: &Store, env: &JsValue) -> Result<(), Fault> {
    for _ in 0..ROUNDS {
        let (last, events) = first(store)?;
        let Some(last) = last else { return Ok(()) };
        let mut chains: BTreeMap<&str, Vec<Draft>> = BTreeMap::new();
        for event in &events {
            chains.entry(event.tenant.as_str()).or_default().push(event.clone());
        }
        chains.insert(ALL_TENANTS, events.clone());
        for (chain, events) in chains {
            let append = RegistryRequest::Audit(AuditRequest::Append(events));
            let append = serde_json::to_string(&append).map_err(|error| told(&error))?;
            bindings::call_object(env, bindings::TENANT, chain, &append).await?;
        }
        let done = vec![SqlStorageValue::Integer(last)];
        store.write("DELETE FROM notice WHERE seq <= ?", done)?;
    }
    Ok(())
}

/// The first that wait, and the number of the last of them.
fn first(store: &Store) -> Result<(Option<i64>, Vec<Draft>), Fault> {
    let first = format!("SELECT seq, message FROM notice ORDER BY seq LIMIT {TOGETHER}");
    let (mut last, mut events) = (None, Vec::new());
    for row in store.rows(&first, Vec::new())? {
        let Ok([SqlStorageValue::Integer(seq), SqlStorageValue::String(message)]) =
            <[_; 2]>::try_from(row)
        else {
            return Err(damaged());
        };
        last = Some(seq);
        events.push(serde_json::from_str(&message).map_err(|error| told(&error))?);
    }
    Ok((last, events))
}

fn told(error: &Error) -> Fault {
    Fault(error.to_string())
}
