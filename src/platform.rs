//! Time and chance, as the platform gives them, and its log.

use js_sys::Date;
use tollgate_core::time::UnixMillis;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A line of the operator's log.
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub(crate) fn log_error(line: &str);
}

/// The time of this moment, as the platform tells it.
pub(crate) fn now() -> UnixMillis {
    instant(Date::now())
}

/// An instant as JavaScript has it: milliseconds since the epoch.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a clock after 1970
pub(crate) fn instant(ms: f64) -> UnixMillis {
    UnixMillis::from_millis(ms.max(0.0) as u64)
}

/// Fresh random bytes; None when the platform gives none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}
