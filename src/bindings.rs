//! What the platform binds to the gate: its names, and what is read of it without waiting. What the
//! house alone uses is in its own `bindings`; no name stands twice.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

/// The global under which `worker.mjs` leaves the policy's JSON text.
pub(crate) const POLICY_GLOBAL: &str = "__tollgate_policy";
/// The variable that names the environment.
pub(crate) const ENVIRONMENT: &str = "ENVIRONMENT";
/// The secret that digests of keys are made under.
pub(crate) const KEY_PEPPER: &str = "KEY_PEPPER";
/// The secret that ids of keys are marked with.
pub(crate) const KEY_ID_SECRET: &str = "KEY_ID_SECRET";
/// The objects of key families.
pub(crate) const KEY: &str = "KEY";
/// The registries of keys: one per tenant, and `*`.
pub(crate) const TENANT: &str = "TENANT";
/// The objects of limits by address.
pub(crate) const COUNTER: &str = "COUNTER";
/// The dataset of Analytics Engine, where there is one.
pub(crate) const ANALYTICS: &str = "ANALYTICS";

/// A binding, variable or secret; None when it is not there.
pub(crate) fn property(env: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(env, &JsValue::from_str(name)).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

/// A variable or secret.
pub(crate) fn text(env: &JsValue, name: &str) -> Option<String> {
    property(env, name)?.as_string()
}
