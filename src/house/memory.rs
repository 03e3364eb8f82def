//! What this isolate remembers between requests. It lies in the road's module, so that a failure
//! counts once, whichever module saw it (SPEC section 1), and so that a key's change made here is known
//! on the road at once.
//!
//! A road that panics in the middle of a question has lost all of it; then nothing is remembered.

use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::limit::Rate;
use wasm_bindgen::prelude::*;

// `driver/road.mjs` leaves these functions of the road's module in a global. They never throw: the trap of
// one module goes through the other like an axe.
#[wasm_bindgen(js_namespace = __tollgate_memory)]
extern "C" {
    #[wasm_bindgen(js_name = knownRecord)]
    fn known_record(id: &str) -> Option<String>;
    #[wasm_bindgen(js_name = learnRecord)]
    fn learn_record(record: &str);
    #[wasm_bindgen(js_name = failuresSpent)]
    fn road_failures_spent(block: &str, requests: u32, window: u32) -> Option<u32>;
    #[wasm_bindgen(js_name = spendFailure)]
    fn road_spend_failure(block: &str, requests: u32, window: u32);
    #[wasm_bindgen(js_name = lookupsSpent)]
    fn road_lookups_spent(caller: &str, requests: u32, window: u32) -> Option<u32>;
    #[wasm_bindgen(js_name = spendLookup)]
    fn road_spend_lookup(caller: &str, requests: u32, window: u32);
    #[wasm_bindgen(js_name = refusalsSpent)]
    fn road_refusals_spent(id: &str, block: &str) -> Option<u32>;
    #[wasm_bindgen(js_name = spendRefusal)]
    fn road_spend_refusal(id: &str, block: &str);
}

/// The record of a key, as it was when this isolate last heard of it.
pub(super) fn known(id: &KeyId) -> Option<KeyRecord> {
    let record = known_record(id.as_str())?;
    serde_json::from_str(&record).ok()
}

/// Keeps a record that its object just told.
pub(super) fn learn(record: &KeyRecord) {
    if let Ok(record) = serde_json::to_string(record) {
        learn_record(&record);
    }
}

/// Whole seconds until an address block may fail again; None while it may.
pub(super) fn failures_spent(block: &str, rate: Rate) -> Option<u64> {
    let (requests, window) = numbers(rate);
    road_failures_spent(block, requests, window).map(u64::from)
}

/// One failed credential of an address block.
pub(super) fn spend_failure(block: &str, rate: Rate) {
    let (requests, window) = numbers(rate);
    road_spend_failure(block, requests, window);
}

/// Whole seconds until `caller` may bring another bad key to be looked at; None while it may.
pub(super) fn lookups_spent(caller: &str, rate: Rate) -> Option<u64> {
    let (requests, window) = numbers(rate);
    road_lookups_spent(caller, requests, window).map(u64::from)
}

/// One bad key that `caller` brought to be looked at.
pub(super) fn spend_lookup(caller: &str, rate: Rate) {
    let (requests, window) = numbers(rate);
    road_spend_lookup(caller, requests, window);
}

/// Whole seconds until steps 7 to 9 may refuse this key to this address block again.
pub(super) fn refusals_spent(id: &KeyId, block: &str) -> Option<u64> {
    road_refusals_spent(id.as_str(), block).map(u64::from)
}

/// One refusal of this key to this address block in steps 7 to 9.
pub(super) fn spend_refusal(id: &KeyId, block: &str) {
    road_spend_refusal(id.as_str(), block);
}

/// Requests, and the milliseconds that they are counted in: a day at most.
fn numbers(rate: Rate) -> (u32, u32) {
    (rate.requests(), rate.window().as_millis().try_into().unwrap_or(u32::MAX))
}
