//! The house beside the road: the objects that keep what the gate knows, and what the gate serves of
//! its own. A module apart, so that the road's is small; it decides nothing either.

// What wasm-bindgen exports must be `pub`, though nothing in Rust can reach it.
#![allow(unreachable_pub)]

mod bindings;
mod crypto;
mod hooks;
mod manage;
mod memory;
mod objects;
mod response;

use core::cell::Cell;

use tollgate_core::usage::Sample;
use wasm_bindgen::prelude::*;

use crate::ledger;

thread_local! {
    /// A management call asked for what was counted to be brought, after so many milliseconds.
    static DUE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Counts a management call.
fn count(sample: &Sample<'_>) {
    if let Some(due) = ledger::count(sample) {
        DUE.set(Some(DUE.get().map_or(due, |before| before.min(due))));
    }
}

/// After how many milliseconds [`ledger::usage_take`] is to be called, if a management call asked for
/// that since the last time. On the road the command says so.
#[wasm_bindgen(js_name = usageDue)]
pub fn usage_due() -> Option<u32> {
    DUE.take()
}
