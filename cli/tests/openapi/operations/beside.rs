//! What is asked of the gate beside the management API.

use serde_json::{Value, json};
use tollgate_core::problem::Code;

use crate::operation::{Answer, Body, OF_EVERYBODY, Operation};
use crate::shape::{reference, text};

/// Refusals of step 6 to 9 for a key that asks for a token, and of its limits.
const OF_TOKENS: &[Code] = &[
    Code::InvalidField,
    Code::BodyTooLarge,
    Code::KeyMissing,
    Code::KeyInvalid,
    Code::WrongEnvironment,
    Code::WrongKind,
    Code::KeyExpired,
    Code::KeyRevoked,
    Code::KeyDisabled,
    Code::IpNotAllowed,
    Code::SecretKeyInBrowser,
    Code::InsufficientScope,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::TooManyFailures,
    Code::AdmissionUnavailable,
];

pub(super) fn all() -> Vec<Operation> {
    let gate = || Operation { method: "GET", tag: "gate", ..Operation::default() };
    let page = |about, schema: Value| Answer {
        content: vec![("application/json", schema), ("text/html", json!({ "type": "string" }))],
        headers: vec![
            ("Vary", true),
            ("Content-Security-Policy", false),
            ("Referrer-Policy", false),
        ],
        ..Answer::ok(about, Value::Null)
    };
    vec![
        Operation {
            path: "/_tollgate/health",
            id: "health",
            summary: "Is the gate alive?",
            about: "On every host that the gate serves.",
            answers: vec![Answer::ok("It is.", reference("Health"))],
            ..gate()
        },
        Operation {
            path: "/_tollgate/ready",
            id: "ready",
            summary: "Is everything there that the gate needs?",
            about: "On every host. Operators with a credential learn the reasons, on the admin host.",
            answers: vec![
                Answer::ok("It is.", reference("Readiness")),
                Answer::json(503, "It is not.", reference("Readiness")),
            ],
            codes: OF_EVERYBODY,
            security: &["", "bearer", "apiKey", "basic", "session"],
            ..gate()
        },
        Operation {
            path: "/_tollgate/errors/",
            id: "errors",
            summary: "Every error code",
            about: "JSON for a caller that accepts it, else a page.",
            answers: vec![page("The codes.", reference("ErrorPages"))],
            ..gate()
        },
        Operation {
            path: "/_tollgate/errors/{code}",
            id: "errorCode",
            summary: "One error code",
            about: "Its cause, its mend, and whether sending the request again helps.",
            parameters: vec![json!({
                "name": "code",
                "in": "path",
                "required": true,
                "description": "The code.",
                "schema": reference("ErrorCode"),
            })],
            answers: vec![page("The code.", reference("ErrorPage"))],
            codes: &[Code::NotFound],
            ..gate()
        },
        Operation {
            path: "/_tollgate/key-pattern.json",
            id: "keyPattern",
            summary: "What keys look like",
            about: "For whoever scans for keys that leaked.",
            answers: vec![Answer::ok("The patterns and the checksum.", reference("KeyPattern"))],
            ..gate()
        },
        Operation {
            method: "POST",
            path: "/_tollgate/token",
            id: "token",
            summary: "Trade a key for a token",
            about: "OAuth 2 client credentials (RFC 6749 section 4.4), on the hosts of the API, for \
                secret and restricted keys. The token lives for 300 s at most and is dead with its key.",
            body: Some(Body {
                media: "application/x-www-form-urlencoded",
                schema: reference("AskToken"),
                required: true,
                examples: vec![("all scopes", json!({ "grant_type": "client_credentials" }))],
            }),
            answers: vec![Answer::ok("The token.", reference("Token"))],
            codes: OF_TOKENS,
            security: &["basic", ""],
            ..gate()
        },
        Operation {
            method: "POST",
            path: "/_tollgate/leaks",
            id: "reportLeaks",
            summary: "Report keys that leaked",
            about: "In the shape of GitHub's secret scanning partner programme. A key that is reported \
                whole is switched off.",
            parameters: ["Github-Public-Key-Identifier", "Github-Public-Key-Signature"]
                .map(|name| {
                    json!({
                        "name": name,
                        "in": "header",
                        "required": true,
                        "description": "Of the signature over the body.",
                        "schema": text("^[!-~]+$"),
                    })
                })
                .to_vec(),
            body: Some(Body::json(reference("LeakReport"), true, &[])),
            answers: vec![Answer::ok("What each finding was.", reference("LeakVerdicts"))],
            codes: &[
                Code::InvalidField,
                Code::BodyTooLarge,
                Code::SignatureMissing,
                Code::SignatureInvalid,
                Code::TooManyFailures,
                Code::AdmissionUnavailable,
                Code::NotFound,
            ],
            ..gate()
        },
        Operation {
            path: "/_tollgate/v1/openapi.json",
            id: "openapi",
            summary: "This document",
            about: "Without a credential.",
            answers: vec![Answer::ok(
                "OpenAPI 3.1.",
                json!({ "type": "object", "additionalProperties": true }),
            )],
            ..gate()
        },
    ]
}
