//! What this module counted and did not bring to the tenants' objects yet.

// What wasm-bindgen exports must be `pub`, though nothing in Rust can reach it.
#![allow(unreachable_pub)]

use std::cell::RefCell;

use serde::Serialize;
use tollgate_core::usage::{Gathered, Ledger, Sample};
use wasm_bindgen::prelude::*;

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

/// `RegistryRequest::Usage(UsageRequest::Gathered(_))` as it is written. Those have all that
/// management says as well, which would double what the road's module has of messages.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Message<'g> {
    Usage(Usage<'g>),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Usage<'g> {
    Gathered(&'g Gathered),
}

/// Counts a request. What comes back: [`usage_take`] is to be called in so many milliseconds.
pub(crate) fn count(sample: &Sample<'_>) -> Option<u32> {
    let due = LEDGER.with_borrow_mut(|ledger| ledger.record(sample))?;
    Some(due.as_millis().try_into().unwrap_or(u32::MAX))
}

/// What was counted since the last time, as a JSON list: the object of each tenant, and the message
/// for it.
#[wasm_bindgen(js_name = usageTake)]
pub fn usage_take() -> String {
    let gathered = LEDGER.with_borrow_mut(Ledger::take);
    let each = gathered.into_iter().map(|gathered| {
        let message = Message::Usage(Usage::Gathered(&gathered));
        let message = serde_json::to_string(&message).unwrap_or_default();
        (gathered.tenant, message)
    });
    serde_json::to_string(&each.collect::<Vec<_>>()).unwrap_or_default()
}
