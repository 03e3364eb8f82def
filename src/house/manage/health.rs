//! `health` and `ready`: is the gate alive, and is everything there that it needs?

use serde_json::json;
use tollgate_core::manage::{
    ALL_TENANTS, Caller, Readiness, RegistryRequest, Right, Store, root_token_fits,
};
use tollgate_core::road::{Fault, Trust};

use super::Context;
use super::answer::{Answer, Refused};
use super::auth::{identify, is_presented, root_token};
use super::objects::ask_registry;
use crate::house::bindings;
use crate::house::crypto::aes;

pub(super) fn health() -> Answer {
    Answer::json(200, &json!({ "status": "ok" }))
}

/// Strangers learn whether, operators why. Strangers cause no store call. Off the admin host
/// everybody is a stranger, and no credential is looked at.
pub(super) async fn ready(context: &Context) -> Result<Answer, Refused> {
    let rights = &[Right::ReadKeys];
    let caller = if context.own.on_admin_host && is_presented(context) {
        Some(identify(context, rights).await?.admit(context, rights).await?.caller)
    } else {
        None
    };
    let for_operator = caller.as_ref().is_some_and(Caller::is_operator);
    let mut readiness = Readiness::default();
    for reason in context.gate.unready() {
        readiness.lacks(reason);
    }
    for binding in bindings::STORES {
        if bindings::property(&context.env, binding).is_none() {
            readiness.lacks(format!("the binding {binding} is missing"));
        }
    }
    if let Err(Fault(reason)) = aes::store_keys(&context.env) {
        readiness.lacks(reason);
    }
    if for_operator {
        look_further(context, &mut readiness).await;
    }
    Ok(Answer::json(readiness.status(), &readiness.body(for_operator)))
}

async fn look_further(context: &Context, readiness: &mut Readiness) {
    if bindings::property(&context.env, bindings::ASSETS).is_none() {
        readiness.warns("the binding ASSETS is missing: there are no pages");
    }
    for warning in context.gate.short_keys() {
        readiness.warns(warning);
    }
    let root = root_token(context);
    // A token that does not even fit itself is too short.
    let usable = root.as_ref().is_some_and(|root| root_token_fits(root, root.expose()));
    if root.is_some() && !usable {
        readiness.warns("ROOT_TOKEN is shorter than 32 bytes in base64url, and is ignored");
    }
    let pepper = match &context.gate.trust {
        Trust::Secrets { peppers, .. } => peppers.current(),
        Trust::Assumed => 0,
    };
    let request = RegistryRequest::Counts { pepper };
    let counts = ask_registry::<Store>(context, ALL_TENANTS, &request).await;
    readiness.registry(counts.ok(), usable);
}
