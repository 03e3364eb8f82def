//! What this isolate remembers, for the house: its failure budgets and the records that it knows are
//! one, whichever module asks. Texts and numbers only, through `driver/road.mjs`.

use tollgate_core::key::KeyId;
use tollgate_core::limit::Rate;
use tollgate_core::road::Isolate;
use tollgate_core::time::Millis;
use wasm_bindgen::prelude::*;

use super::SHELL;
use crate::platform::now;

/// The record of a key as JSON, if this isolate knows it.
#[wasm_bindgen(js_name = knownRecord)]
pub fn known_record(id: &str) -> Option<String> {
    let id = KeyId::parse(id).ok()?;
    let record = isolate(|isolate| isolate.known(&id))?;
    serde_json::to_string(&*record).ok()
}

/// Keeps a record that its object just told.
#[wasm_bindgen(js_name = learnRecord)]
pub fn learn_record(record: &str) {
    if let Ok(record) = serde_json::from_str(record) {
        isolate(|isolate| isolate.learn(record, now()));
    }
}

/// Whole seconds until this address block may fail again; None while it may.
#[wasm_bindgen(js_name = failuresSpent)]
pub fn failures_spent(block: &str, requests: u32, window: u32) -> Option<u32> {
    let rate = rate(requests, window)?;
    isolate(|isolate| isolate.failures_spent_by(block, rate, now())).map(seconds)
}

/// One failed credential of this address block.
#[wasm_bindgen(js_name = spendFailure)]
pub fn spend_failure(block: &str, requests: u32, window: u32) {
    if let Some(rate) = rate(requests, window) {
        isolate(|isolate| isolate.spend_failure_of(block, rate, now()));
    }
}

/// Whole seconds until this caller may bring another bad key to be looked at; None while it may.
#[wasm_bindgen(js_name = lookupsSpent)]
pub fn lookups_spent(caller: &str, requests: u32, window: u32) -> Option<u32> {
    let rate = rate(requests, window)?;
    isolate(|isolate| isolate.lookups_spent_by(caller, rate, now())).map(seconds)
}

/// One bad key that this caller brought.
#[wasm_bindgen(js_name = spendLookup)]
pub fn spend_lookup(caller: &str, requests: u32, window: u32) {
    if let Some(rate) = rate(requests, window) {
        isolate(|isolate| isolate.spend_lookup_of(caller, rate, now()));
    }
}

/// Whole seconds until steps 7 to 9 may refuse this key to this address block; None while they may.
#[wasm_bindgen(js_name = refusalsSpent)]
pub fn refusals_spent(id: &str, block: &str) -> Option<u32> {
    let id = KeyId::parse(id).ok()?;
    isolate(|isolate| isolate.refusals_spent_by(&id, block, now())).map(seconds)
}

/// One refusal of this key to this address block in steps 7 to 9.
#[wasm_bindgen(js_name = spendRefusal)]
pub fn spend_refusal(id: &str, block: &str) {
    if let Ok(id) = KeyId::parse(id) {
        isolate(|isolate| isolate.spend_refusal_of(&id, block, now()));
    }
}

fn isolate<T>(work: impl FnOnce(&mut Isolate) -> T) -> T {
    SHELL.with_borrow_mut(|shell| work(&mut shell.isolate))
}

/// A rate of so many requests in so many milliseconds.
fn rate(requests: u32, window: u32) -> Option<Rate> {
    Rate::new(requests, Millis::millis(window.into())).ok()
}

fn seconds(seconds: u64) -> u32 {
    seconds.try_into().unwrap_or(u32::MAX)
}
