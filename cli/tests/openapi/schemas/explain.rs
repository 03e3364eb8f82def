//! The road as a dry run; health.

use serde_json::{Value, json};

use crate::shape::{flag, list, nullable, object, one_of, or_null, reference};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Explain", ask()),
        ("Explanation", explanation()),
        ("Health", object(&[("status", json!({ "const": "ok" }))])),
        ("Readiness", readiness()),
        ("ErrorPages", object(&[("codes", list(&reference("ErrorPage")))])),
    ]
}

fn headers(most: Option<u64>) -> Value {
    let pair = json!({
        "type": "array",
        "items": { "type": "string" },
        "minItems": 2,
        "maxItems": 2,
    });
    let mut headers = list(&pair);
    if let Some(most) = most {
        headers["maxItems"] = json!(most);
    }
    headers
}

fn ask() -> Value {
    let text = || json!({ "type": "string" });
    let request = object(&[
        ("method", text()),
        ("url", text()),
        ("headers?", or_null(&headers(Some(200)))),
        ("client_ip?", or_null(&text())),
        ("body?", or_null(&body())),
    ]);
    object(&[("request", request), ("key_id?", nullable("KeyId"))])
}

/// A body: only webhooks need one.
fn body() -> Value {
    let encoded = json!({ "type": "string", "contentEncoding": "base64" });
    json!({ "oneOf": [{ "type": "string" }, object(&[("base64", encoded)])] })
}

fn explanation() -> Value {
    let text = || json!({ "type": "string" });
    let upstream = object(&[("method", text()), ("url", text()), ("headers", headers(None))]);
    let step = object(&[
        ("step", text()),
        ("result", one_of(&["passed", "refused", "would_refuse", "skipped"])),
        ("detail", text()),
    ]);
    object(&[
        ("outcome", one_of(&["preflight", "refuse", "forward", "answer", "gate", "webhook"])),
        ("status", json!({ "type": ["integer", "null"] })),
        ("code", nullable("ErrorCode")),
        ("response_headers", headers(None)),
        ("upstream", or_null(&upstream)),
        ("steps", list(&step)),
    ])
}

fn readiness() -> Value {
    let texts = || list(&json!({ "type": "string" }));
    object(&[("ready", flag()), ("reasons?", texts()), ("warnings?", texts())])
}
