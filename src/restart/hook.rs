//! What worker-build's wrapper expects of a module that panics. The crate `worker` brings the same to the
//! house; the road needs nothing else of it, and all that it exports is a tenth of the road's size.

use std::panic;

use wasm_bindgen::handler::{schedule_reinit, set_on_abort};
use wasm_bindgen::prelude::*;

use crate::platform::log_error;

#[wasm_bindgen(inline_js = "
export const state = globalThis.__worker_init_state = { criticalError: false, instanceId: 0 };
")]
extern "C" {
    type State;
    #[wasm_bindgen(thread_local_v2, js_name = state)]
    static STATE: State;
    /// From now on the instance is of no use.
    #[wasm_bindgen(method, setter, js_name = criticalError)]
    fn set_critical_error(this: &State, value: bool);
    /// Which instance it is, counted from 1.
    #[wasm_bindgen(method, getter, js_name = instanceId)]
    fn instance_id(this: &State) -> u32;
    #[wasm_bindgen(method, setter, js_name = instanceId)]
    fn set_instance_id(this: &State, value: u32);
}

#[wasm_bindgen(start, private)]
fn start() {
    panic::set_hook(Box::new(|info| {
        log_error(&format!("Rust panic: {info}"));
        STATE.with(|state| state.set_critical_error(true));
    }));
    STATE.with(|state| state.set_instance_id(state.instance_id().wrapping_add(1)));
    set_on_abort(schedule_reinit);
}

/// The state, for the wrapper.
#[wasm_bindgen(js_name = __worker_init_state)]
pub fn state() -> JsValue {
    STATE.with(|state| JsValue::from(state))
}
