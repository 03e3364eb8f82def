//! Sessions and second factors.

use serde_json::{Value, json};

use crate::shape::{
    about, count, flag, list, nullable, object, one_of, or_null, reference, text, with,
};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Session", session()),
        ("SessionAnswer", object(&[("session", reference("Session"))])),
        ("OpenedSession", opened()),
        ("OpenSession", open()),
        ("Enrol", object(&[("enrolment_code", code())])),
        ("Enrolling", enrolling()),
        ("ConfirmEnrolment", object(&[("code", code())])),
        ("Enrolled", enrolled()),
        ("Enrolment", enrolment()),
        ("EnrolmentAnswer", object(&[("enrolment", reference("Enrolment"))])),
        ("AskToken", ask_token()),
        ("Token", token()),
        ("LeakReport", leak_report()),
        ("LeakVerdicts", leak_verdicts()),
        ("KeyPattern", key_pattern()),
    ]
}

fn code() -> Value {
    json!({ "type": "string", "maxLength": 64 })
}

fn session() -> Value {
    object(&[
        (
            "kind",
            about(
                one_of(&["console", "cli", "key", "root"]),
                "Of a session; or what the credential is instead.",
            ),
        ),
        ("key", nullable("KeyId")),
        ("name", json!({ "type": "string" })),
        ("tenant", reference("TenantOrAll")),
        ("scopes", list(&reference("Scope"))),
        ("expires_at", nullable("Time")),
        ("second_factor", flag()),
        ("recovery_codes_left?", about(count(), "Where one of them opened it.")),
    ])
}

fn opened() -> Value {
    object(&[
        ("session", reference("Session")),
        ("token?", about(json!({ "type": "string" }), "Of a session of the command line.")),
    ])
}

fn open() -> Value {
    let schema = object(&[
        ("kind", one_of(&["console", "cli"])),
        ("code?", about(or_null(&code()), "The authenticator app's present code.")),
        ("recovery_code?", or_null(&code())),
    ]);
    let one = json!({ "anyOf": [
        { "properties": { "code": { "type": "null" } } },
        { "properties": { "recovery_code": { "type": "null" } } },
    ] });
    with(schema, &one)
}

fn enrolling() -> Value {
    object(&[
        ("otpauth_uri", text("^otpauth://totp/")),
        ("secret", text("^[A-Z2-7]+$")),
        ("qr_svg", text("^<svg ")),
    ])
}

fn enrolled() -> Value {
    let codes =
        json!({ "type": "array", "items": { "type": "string" }, "minItems": 10, "maxItems": 10 });
    object(&[("recovery_codes", about(codes, "Each opens one session. They are shown once."))])
}

fn enrolment() -> Value {
    object(&[
        ("code", about(json!({ "type": "string" }), "For the holder of the key, shown once.")),
        ("expires_at", reference("Time")),
    ])
}

fn ask_token() -> Value {
    let part = r"(?:\*|[A-Za-z0-9_.-]{1,64})";
    let scope = format!("{part}(?::{part}){{1,2}}");
    let scopes = format!("^ *(?:{scope}(?: +{scope})*)? *$");
    let form = object(&[
        ("grant_type", json!({ "const": "client_credentials" })),
        (
            "client_id?",
            about(json!({ "type": "string" }), "`{brand}_{env}_{kind}_{id}`; not beside Basic."),
        ),
        ("client_secret?", about(json!({ "type": "string" }), "The rest of the key.")),
        (
            "scope?",
            about(text(&scopes), "With blanks between them; all of the key's where none is said."),
        ),
    ]);
    // What a client says besides means nothing here (RFC 6749 section 3.2).
    with(form, &json!({ "additionalProperties": true }))
}

fn token() -> Value {
    object(&[
        ("access_token", json!({ "type": "string" })),
        ("token_type", json!({ "const": "Bearer" })),
        ("expires_in", json!({ "type": "integer", "minimum": 0, "maximum": 300 })),
        ("scope?", json!({ "type": "string" })),
    ])
}

fn leak_report() -> Value {
    let finding = json!({
        "type": "object",
        "required": ["token"],
        "properties": {
            "token": { "type": "string" },
            "type": { "type": "string" },
            "url": { "type": ["string", "null"] },
            "source": { "type": ["string", "null"] },
        },
        "additionalProperties": true,
    });
    json!({ "type": "array", "items": finding, "maxItems": 1000 })
}

fn leak_verdicts() -> Value {
    let verdict = object(&[
        ("token_hash?", json!({ "type": "string" })),
        ("token_raw?", json!({ "type": "string" })),
        ("token_type", json!({ "type": "string" })),
        ("label", one_of(&["true_positive", "false_positive"])),
    ]);
    json!({ "type": "array", "items": verdict })
}

fn key_pattern() -> Value {
    let kind = object(&[
        ("kind", json!({ "type": "string" })),
        ("title", json!({ "type": "string" })),
        ("secret", flag()),
        ("pattern", json!({ "type": "string", "format": "regex" })),
    ]);
    let whole = |of: &[&str]| {
        let members: Vec<(&str, Value)> =
            of.iter().map(|name| (*name, json!({ "type": ["string", "integer"] }))).collect();
        object(&members)
    };
    object(&[
        ("brand", json!({ "type": "string" })),
        ("environment", json!({ "type": "string" })),
        ("environments", json!({ "type": "array", "items": { "type": "string" } })),
        ("kinds", json!({ "type": "array", "items": kind })),
        (
            "checksum",
            whole(&["algorithm", "parameters", "over", "encoding", "alphabet", "characters"]),
        ),
        ("example", json!({ "type": ["string", "null"] })),
        ("report_to", json!({ "type": ["string", "null"] })),
    ])
}
