//! What requests and answers are made of.

mod endpoints;
mod explain;
mod keys;
mod limits;
mod log;
mod people;
mod sources;
mod tenants;

use serde_json::{Map, Value, json};
use tollgate_core::problem::{Code, ERROR_PAGES};

use crate::shape::{about, list, object, reference, text, with};

/// A time in a request: in UTC, with milliseconds or none; a date alone means its first instant.
pub(crate) const TIME_ASKED: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z)?$";

/// Every component.
pub(crate) fn all() -> Value {
    let mut all = Map::new();
    let parts = [
        basic(),
        keys::all(),
        limits::all(),
        tenants::all(),
        log::all(),
        endpoints::all(),
        sources::all(),
        people::all(),
        explain::all(),
    ];
    for (name, schema) in parts.into_iter().flatten() {
        let before = all.insert(name.to_owned(), schema);
        assert!(before.is_none(), "{name} stands twice");
    }
    Value::Object(all)
}

fn basic() -> Vec<(&'static str, Value)> {
    let name = r"[a-z0-9][a-z0-9-]{0,62}";
    let part = r"[A-Za-z0-9_.-]{1,64}";
    let date = r"[0-9]{4}-[0-9]{2}-[0-9]{2}";
    vec![
        (
            "Time",
            json!({
                "type": "string",
                "format": "date-time",
                "pattern": format!(r"^{date}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{3}})?Z$"),
                "examples": ["2026-11-22T03:43:49Z"],
            }),
        ),
        (
            "TimeAsked",
            with(
                text(TIME_ASKED),
                &json!({
                    "format": "tollgate-time",
                    "description": "In UTC, from 1970 on, with milliseconds or none. A date alone \
                        means its first instant.",
                    "examples": ["2026-11-22T03:43:49Z", "2026-11-22"],
                }),
            ),
        ),
        (
            "Duration",
            with(
                text("^[0-9]+(?:ms|s|m|h|d)$"),
                &json!({ "format": "tollgate-duration", "examples": ["48h", "365d"] }),
            ),
        ),
        (
            "NextCursor",
            json!({
                "type": ["string", "null"],
                "pattern": "^[A-Za-z0-9_-]+$",
                "description": "The `cursor` of the next page; null on the last one.",
            }),
        ),
        ("TenantName", with(text(&format!("^{name}$")), &json!({ "examples": ["acme"] }))),
        (
            "TenantOrAll",
            about(text(&format!(r"^(?:\*|{name})$")), "A tenant, or `*` for all of them."),
        ),
        ("KeyId", with(text("^[0-9A-Za-z]{16}$"), &json!({ "examples": ["abcdefghij012345"] }))),
        ("KeyKind", json!({ "type": "string", "enum": ["pk", "sk", "rk", "ak"] })),
        (
            "Scope",
            with(
                text(&format!(r"^(?:\*|{part})(?::(?:\*|{part})){{1,2}}$")),
                &json!({
                    "description": "`resource:action` or `resource:action:id`; `*` stands for \
                        exactly one part.",
                    "examples": ["invoices:read", "invoices:read:7"],
                }),
            ),
        ),
        (
            "RequiredScope",
            with(
                text(&format!("^{part}(?::{part}){{1,2}}$")),
                &json!({ "description": "One permission: no `*`." }),
            ),
        ),
        (
            "ErrorCode",
            json!({ "type": "string", "enum": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>() }),
        ),
        ("Problem", problem()),
        ("ErrorPage", error_page()),
    ]
}

/// A problem document. Which members it has besides the usual ones hangs on its code.
fn problem() -> Value {
    let field = object(&[
        ("field", about(json!({ "type": "string" }), "Such as `origins[1]`; empty for the whole.")),
        ("message", json!({ "type": "string" })),
    ]);
    let whole = || json!({ "type": "integer", "minimum": 1 });
    let texts = || with(list(&json!({ "type": "string" })), &json!({ "minItems": 1 }));
    let base = object(&[
        ("type", about(json!({ "type": "string" }), "The address of a page about the code.")),
        ("title", json!({ "type": "string" })),
        ("status", json!({ "type": "integer" })),
        ("detail", json!({ "type": "string" })),
        ("code", reference("ErrorCode")),
        ("correlationId", about(json!({ "type": "string" }), "The value of `X-Request-Id`.")),
        ("required_scopes?", texts()),
        ("retry_after?", about(whole(), "Seconds until it may be sent again.")),
        ("violated-policies?", about(texts(), "The limits without room.")),
        ("errors?", with(list(&field), &json!({ "minItems": 1 }))),
        ("version?", about(whole(), "The present one.")),
        ("max_keys?", about(json!({ "type": "integer" }), "As many as the tenant may have.")),
        ("error?", about(json!({ "type": "string" }), "For OAuth clients (RFC 6749).")),
        ("error_description?", json!({ "type": "string" })),
    ]);
    let of_code = |code: &Code| {
        let own = match code {
            Code::InsufficientScope => json!(["required_scopes"]),
            Code::RateLimited | Code::QuotaExceeded | Code::ConcurrencyExceeded => {
                json!(["retry_after", "violated-policies"])
            }
            Code::TooManyFailures | Code::IdempotencyInProgress => json!(["retry_after"]),
            Code::VersionConflict => json!(["version"]),
            _ => json!([]),
        };
        let (name, status) = (code.as_str(), code.status());
        let page = format!("{ERROR_PAGES}{name}$");
        json!({
            "properties": {
                "code": { "const": name },
                "status": { "const": status },
                "type": { "pattern": page },
            },
            "required": own,
        })
    };
    let codes: Vec<Value> = Code::ALL.iter().map(of_code).collect();
    let example = tollgate_core::problem::Problem::new(Code::NotFound)
        .document("https://gate.example.com", "0VbfsOCvQ1mYx8aT4Zk");
    with(base, &json!({ "oneOf": codes, "examples": [example] }))
}

fn error_page() -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    object(&[
        ("code", reference("ErrorCode")),
        ("status", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
        ("title", text()),
        ("cause", text()),
        ("fix", text()),
        ("retry", text()),
    ])
}
