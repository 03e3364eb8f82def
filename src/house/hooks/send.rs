//! One request to a source's backend.

use js_sys::{Object, Promise, Reflect, Uint8Array};
use serde_json::{Map, Value, json};
use tollgate_core::delivery::Fault as NoAnswer;
use tollgate_core::road::Fault;
use tollgate_core::road::source::WebhookRequest;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use crate::house::bindings::{fault, fetch, is_timeout};

/// So many bytes of an answer that nobody wants are read, so that its connection can be used again.
const READ: u64 = 64 * 1024;

/// Sends a webhook; a redirect is an answer like any other. `signal` bounds all of it.
pub(crate) async fn send(
    request: &WebhookRequest,
    body: &Uint8Array,
    signal: &JsValue,
) -> Result<Response, NoAnswer> {
    let unreachable = |_| NoAnswer::Unreachable;
    let init = init(request, body, signal).map_err(|Fault(_)| NoAnswer::Unreachable)?;
    let sent = fetch(request.url.expose(), &init).map_err(unreachable)?;
    match JsFuture::from(Promise::resolve(&sent)).await {
        Ok(answer) => answer.dyn_into().map_err(unreachable),
        Err(error) if is_timeout(&error) => Err(NoAnswer::TimedOut),
        Err(_) => Err(NoAnswer::Unreachable),
    }
}

fn init(request: &WebhookRequest, body: &Uint8Array, signal: &JsValue) -> Result<Object, Fault> {
    let mut headers = Map::new();
    let credential = request.credential.iter();
    let credential = credential.map(|(name, value)| (name.as_str(), value.expose()));
    let own = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in own.chain(credential) {
        headers.insert(name.to_owned(), Value::from(value));
    }
    let init = json!({ "method": "POST", "redirect": "manual", "headers": headers });
    // One crossing for all of it.
    let init = js_sys::JSON::parse(&init.to_string()).map_err(|error| fault(&error))?;
    let set = |name: &str, value: &JsValue| {
        Reflect::set(&init, &JsValue::from_str(name), value).map_err(|error| fault(&error))
    };
    if request.passes_cache {
        set("cache", &JsValue::from_str("no-store"))?;
    }
    set("body", body)?;
    set("signal", signal)?;
    Ok(init.unchecked_into())
}

/// Is done with an answer whose body nobody wants.
pub(crate) async fn discard(answer: &Response) {
    let Some(body) = answer.body() else { return };
    let length = answer.headers().get("content-length").ok().flatten();
    let short = length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|n| n <= READ);
    // Whatever comes of it, the answer is known. To ask for the rest is to read it, so only a short one
    // is asked for.
    let end = if short { answer.array_buffer() } else { Ok(body.cancel()) };
    if let Ok(end) = end {
        let _ = JsFuture::from(end).await;
    }
}
