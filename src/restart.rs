//! Panics, and a fresh instance after one. Each module has its own.

// What wasm-bindgen exports must be `pub`, though nothing in Rust can reach it.
#![allow(unreachable_pub)]

use wasm_bindgen::prelude::*;

#[cfg(feature = "road")]
mod hook;

/// Panics. Only the tests' own entry calls it: `worker.mjs` does not, and passes on no export of
/// the module, so that nobody outside can.
#[wasm_bindgen(js_name = panicOnPurpose)]
#[allow(clippy::panic)] // what it is for
pub fn panic_on_purpose() {
    panic!("on purpose");
}

/// A class of its own for the driver to make: worker-build's wrapper resets the module after a
/// panic only when a class is constructed.
#[wasm_bindgen(js_name = Restart)]
#[derive(Debug, Default)]
pub struct Restart;

#[wasm_bindgen(js_class = Restart)]
impl Restart {
    /// Does nothing; its caller's wrapper does.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self
    }
}
