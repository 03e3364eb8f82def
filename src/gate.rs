//! The gate of a module: its policy and the secrets that it names, read once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Reflect;
use tollgate_core::key::{IdSecret, Peppers};
use tollgate_core::policy::parse_module;
use tollgate_core::road::{Fault, Gate, Trust};
use tollgate_core::text::Secret;
use wasm_bindgen::prelude::*;

use crate::bindings::{self, text};
use crate::platform::{log_error, now};

thread_local! {
    /// Built at the first call; a policy that cannot stand stays an error until the next deploy.
    static GATE: RefCell<Option<Result<Rc<Gate>, Fault>>> = RefCell::default();
}

/// The gate of this instance of the module.
pub(crate) fn gate(env: &JsValue) -> Result<Rc<Gate>, Fault> {
    GATE.with_borrow_mut(|gate| match gate.get_or_insert_with(|| build(env)) {
        Ok(gate) => Ok(Rc::clone(gate)),
        Err(fault) => Err(fault.clone()),
    })
}

/// Reads the policy that the driver left, and the secrets that it names. What is wrong is logged
/// once; clients learn nothing of it.
fn build(env: &JsValue) -> Result<Rc<Gate>, Fault> {
    let built = assemble(env);
    if let Err(fault) = &built {
        log_error(&format!("the gate refuses everything: {fault}"));
    }
    built.map(Rc::new)
}

fn assemble(env: &JsValue) -> Result<Gate, Fault> {
    let fault = |text: &str| Fault(text.to_owned());
    let module = Reflect::get(&js_sys::global(), &JsValue::from_str(bindings::POLICY_GLOBAL))
        .ok()
        .and_then(|value| value.as_string())
        .ok_or_else(|| fault("no policy was deployed"))?;
    let checked = parse_module(&module, now()).map_err(|errors| {
        Fault(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let name = text(env, bindings::ENVIRONMENT)
        .ok_or_else(|| fault("the variable ENVIRONMENT is not set"))?;
    let policy = checked.select(&name).map_err(|error| Fault(error.to_string()))?;
    let secret = |name: &str| text(env, name).map(Secret::new);
    let missing = |name: &str| Fault(format!("the secret {name} is not set"));
    let peppers = secret(bindings::KEY_PEPPER).ok_or_else(|| missing(bindings::KEY_PEPPER))?;
    let peppers = Peppers::parse(&peppers).map_err(|error| Fault(error.to_string()))?;
    let ids = secret(bindings::KEY_ID_SECRET)
        .and_then(|secret| IdSecret::new(&secret))
        .ok_or_else(|| fault("the secret KEY_ID_SECRET is not set or shorter than 32 bytes"))?;
    let named = policy.secrets().into_iter();
    let secrets: BTreeMap<String, Secret> =
        named.filter_map(|name| Some((name.to_owned(), secret(name)?))).collect();
    Ok(Gate::new(policy, Trust::Secrets { peppers, ids }, secrets))
}
