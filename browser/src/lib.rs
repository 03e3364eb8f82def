//! The core's decisions for pages: the very code of the edge, run where a person can play with it.
//!
//! Every function takes texts and gives JSON, so that a page needs no types of Rust. None of them
//! panics, whatever it is given.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use serde_json::{Value, json};
use tollgate_core::address::{Cidr, parse_address};
use tollgate_core::explain::{Asks, Request, explain};
use tollgate_core::key::{Key, KeyRecord};
use tollgate_core::origin::{OriginPattern, SingleLabels};
use tollgate_core::policy::parse_module;
use tollgate_core::time::UnixMillis;
use wasm_bindgen::prelude::*;

/// Tells a key from a lookalike, offline: `{"whole":true,"environment","kind","id"}` or
/// `{"whole":false,"reason"}`. Never repeats the secret.
#[wasm_bindgen(js_name = inspectKey)]
pub fn inspect_key(text: &str) -> String {
    let told = match Key::parse(text.trim()) {
        Ok(key) => json!({
            "whole": true,
            "brand": key.prefix.brand,
            "environment": key.prefix.environment.as_str(),
            "kind": key.prefix.kind.as_str(),
            "id": key.id.as_str(),
        }),
        Err(error) => json!({ "whole": false, "reason": error.to_string() }),
    };
    told.to_string()
}

/// Would a page of `origin` match the allow-list entry `pattern`? `{"match":bool}` or
/// `{"error":why the entry is invalid}`.
#[wasm_bindgen(js_name = matchOrigin)]
pub fn match_origin(pattern: &str, origin: &str) -> String {
    let told = match OriginPattern::parse(pattern, &SingleLabels) {
        Ok(pattern) => json!({ "match": pattern.matches(origin) }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    told.to_string()
}

/// Would a caller at `address` match the allow-list entry `entry`? `{"match":bool}` or
/// `{"error":why the entry is invalid}`. An address that cannot be read matches nothing.
#[wasm_bindgen(js_name = matchAddress)]
pub fn match_address(entry: &str, address: &str) -> String {
    let told = match Cidr::parse(entry) {
        Ok(cidr) => {
            json!({ "match": parse_address(address).is_some_and(|address| cidr.contains(address)) })
        }
        Err(error) => json!({ "error": error.to_string() }),
    };
    told.to_string()
}

/// The road as a dry run. `module`: what `tollgate policy build` writes; `record`: a key's record,
/// or empty; `request`: as `tollgate explain` takes it; `now`: milliseconds since 1970. Gives the
/// explanation, or `{"error"}`.
#[wasm_bindgen(js_name = explainRequest)]
pub fn explain_request(
    module: &str,
    environment: &str,
    record: &str,
    request: &str,
    now: f64,
) -> String {
    let told = explained(module, environment, record, request, now);
    told.unwrap_or_else(|error| json!({ "error": error })).to_string()
}

fn explained(
    module: &str,
    environment: &str,
    record: &str,
    request: &str,
    now: f64,
) -> Result<Value, String> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a clock after 1970
    let now = UnixMillis::from_millis(now.max(0.0) as u64);
    let file = parse_module(module, now)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let policy = file.select(environment).map_err(|error| error.to_string())?;
    let record = match record.trim() {
        "" => None,
        text => Some(
            serde_json::from_str::<KeyRecord>(text)
                .map_err(|error| format!("the key's record: {error}"))?,
        ),
    };
    let request: Request =
        serde_json::from_str(request).map_err(|error| format!("the request: {error}"))?;
    let explained =
        explain(policy, record.as_ref(), &request, &Asks::with_the_policy(now), &[7; 40]);
    let told = explained.without_secrets("a page has no secret to look at it with");
    serde_json::to_value(told).map_err(|error| error.to_string())
}
