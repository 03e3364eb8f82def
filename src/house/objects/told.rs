//! What an object has to have written into the audit, whatever happens to it: a row that stays until
//! the chains have it. Each entry names its occurrence, so that one that is told twice is there once.

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

/// Tells all of it, in order: to the chain of each one's tenant, and to the one over all.
pub(super) async fn tell(store: &Store, env: &JsValue) -> Result<(), Fault> {
    while let Some((seq, event)) = first(store)? {
        let mut chains = vec![event.tenant.clone()];
        if event.tenant != ALL_TENANTS {
            chains.push(ALL_TENANTS.to_owned());
        }
        let append = RegistryRequest::Audit(AuditRequest::Append(vec![event]));
        let append = serde_json::to_string(&append).map_err(|error| told(&error))?;
        for chain in chains {
            bindings::call_object(env, bindings::TENANT, &chain, &append).await?;
        }
        let done = vec![SqlStorageValue::Integer(seq)];
        store.write("DELETE FROM notice WHERE seq = ?", done)?;
    }
    Ok(())
}

fn first(store: &Store) -> Result<Option<(i64, Draft)>, Fault> {
    let first = "SELECT seq, message FROM notice ORDER BY seq LIMIT 1";
    let Some(row) = store.rows(first, Vec::new())?.into_iter().next() else { return Ok(None) };
    let Ok([SqlStorageValue::Integer(seq), SqlStorageValue::String(message)]) =
        <[_; 2]>::try_from(row)
    else {
        return Err(damaged());
    };
    Ok(Some((seq, serde_json::from_str(&message).map_err(|error| told(&error))?)))
}

fn told(error: &Error) -> Fault {
    Fault(error.to_string())
}
