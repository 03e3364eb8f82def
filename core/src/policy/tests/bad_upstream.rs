//! What can be wrong with `[upstream]`, and what is not built yet.

use serde_json::json;

use super::super::not_built::NotBuilt;
use super::{check, edited, judge};

#[test]
fn credentials() {
    judge(&[
        (
            "an unknown kind",
            &[("upstream.billing.credential.type", json!("heade"))],
            &[("upstream.billing.credential.type", "\"heade\" is unknown")],
        ),
        (
            "no kind",
            &[("upstream.billing.credential.type", json!(null))],
            &[("upstream.billing.credential.type", "is missing")],
        ),
        (
            "a field of another kind",
            &[("upstream.billing.credential.password", json!("${secret:P}"))],
            &[("upstream.billing.credential.password", "unknown field")],
        ),
        (
            "no table",
            &[("upstream.billing.credential", json!("Bearer ${secret:T}"))],
            &[("upstream.billing.credential", "must be a table, not a text")],
        ),
        (
            "a secret that everybody with the file knows",
            &[("upstream.billing.credential.value", json!("Bearer 0123456789abcdef"))],
            &[(
                "upstream.billing.credential.value",
                "has no secret in it: what stands in a policy can be read by many",
            )],
        ),
        (
            "the gate's own secret",
            &[("upstream.billing.credential.value", json!("${secret:KEY_PEPPER}"))],
            &[("upstream.billing.credential.value", "`KEY_PEPPER` belongs to the gate itself")],
        ),
        (
            "a header that belongs to the connection",
            &[("upstream.billing.credential.name", json!("Transfer_Encoding"))],
            &[(
                "upstream.billing.credential.name",
                "`Transfer_Encoding` is not for a policy to set",
            )],
        ),
        (
            "a header that tells the backend whom to believe",
            &[("upstream.billing.credential.name", json!("X-Tollgate-Tenant"))],
            &[(
                "upstream.billing.credential.name",
                "`X-Tollgate-Tenant` is not for a policy to set",
            )],
        ),
        (
            "no header at all",
            &[("upstream.billing.credential.name", json!("x api"))],
            &[("upstream.billing.credential.name", "\"x api\" is not the name of a header")],
        ),
        (
            "a user name that would end early, and a password that is none",
            &[(
                "upstream.billing.credential",
                json!({"type": "basic", "username": "a:b", "password": "hunter2"}),
            )],
            &[
                ("upstream.billing.credential.username", "a user name has no colon"),
                (
                    "upstream.billing.credential.password",
                    "has no secret in it: what stands in a policy can be read by many",
                ),
            ],
        ),
        (
            "a query parameter with two spellings",
            &[(
                "upstream.billing.credential",
                json!({"type": "query", "name": "api key", "value": "${secret:T}"}),
            )],
            &[(
                "upstream.billing.credential.name",
                "\"api key\" is not a name for a query parameter",
            )],
        ),
    ]);
}

#[test]
fn times_and_guards() {
    judge(&[
        (
            "too short to answer, too long to wait",
            &[
                ("upstream.billing.timeout", json!("50ms")),
                ("upstream.billing.max_stream", json!("25h")),
            ],
            &[
                ("upstream.billing.timeout", "must be from 100ms to 5m, not 50ms"),
                ("upstream.billing.max_stream", "must be from 1s to 24h, not 25h"),
            ],
        ),
        (
            "the whole is shorter than its part",
            &[("upstream.billing.max_stream", json!("5s"))],
            &[("upstream.billing.max_stream", "must be at least the timeout, 10s")],
        ),
        (
            "an unknown guard",
            &[("upstream.billing.leak_guard", json!("header"))],
            &[("upstream.billing.leak_guard", "\"header\" is unknown")],
        ),
        (
            "a name with a dot, which is another table in TOML",
            &[("upstream", json!({"billing.eu": {}, "billing": {}}))],
            &[("upstream.\"billing.eu\"", "\"billing.eu\" is not a name")],
        ),
    ]);
}

/// Each thing that is not built yet, in its right form.
const FORMS: &[(NotBuilt, &str, &str)] = &[
    (NotBuilt::Cache, "route[0].cache", r#""tenant""#),
    (
        NotBuilt::CircuitBreaker,
        "upstream.billing.circuit_breaker",
        r#"{"failures": 5, "window": "10s", "pause": "30s"}"#,
    ),
    (
        NotBuilt::CredentialHmac,
        "upstream.billing.credential",
        r#"{"type": "hmac", "key_id": "a", "secret": "${secret:S}", "components": ["@method"]}"#,
    ),
    (
        NotBuilt::CredentialOauth2,
        "upstream.billing.credential",
        r#"{"type": "oauth2_client_credentials", "token_url": "https://id.example.com/token",
            "client_id": "a", "client_secret": "${secret:S}", "scopes": ["x"], "audience": "y"}"#,
    ),
    (NotBuilt::HonoursIdempotencyKey, "upstream.billing.honours_idempotency_key", "true"),
    (NotBuilt::Idempotency, "route[0].idempotency", r#""required""#),
    (NotBuilt::IdempotencyField, "route[0].idempotency_field", r#""payment_id""#),
    (NotBuilt::LeakGuardBody, "upstream.billing.leak_guard", r#""body""#),
    (NotBuilt::OnUnknown, "route[0].on_unknown", r#""retry""#),
    (
        NotBuilt::Retry,
        "upstream.billing.retry",
        r#"{"attempts": 3, "budget": "20s", "body": "64KiB"}"#,
    ),
    (NotBuilt::TenantJson, "route[0].tenant[0].json", r#""/company/id""#),
];

#[test]
fn what_is_not_built_is_refused_by_name_and_nothing_else_is_said() {
    for (what, path, value) in FORMS {
        let policy = edited(&[(path, serde_json::from_str(value).unwrap())]);
        let errors = check(&policy).unwrap_err();
        let (name, until_then) = what.told();
        let found: Vec<_> = errors.iter().map(|it| (it.message.as_str(), &it.suggestion)).collect();
        let expected = format!("{name} is not built yet");
        assert_eq!(found, [(expected.as_str(), &Some(until_then.to_owned()))], "{path}");
        assert!(errors[0].path.starts_with(path), "{path}: {}", errors[0].path);
    }
}

/// The table above has a row for each of them: this match must be extended with the enum.
#[test]
fn everything_not_built_has_a_row() {
    let count = |what: NotBuilt| match what {
        NotBuilt::Cache
        | NotBuilt::CircuitBreaker
        | NotBuilt::CredentialHmac
        | NotBuilt::CredentialOauth2
        | NotBuilt::HonoursIdempotencyKey
        | NotBuilt::Idempotency
        | NotBuilt::IdempotencyField
        | NotBuilt::LeakGuardBody
        | NotBuilt::OnUnknown
        | NotBuilt::Retry
        | NotBuilt::TenantJson => FORMS.iter().filter(|(row, _, _)| *row == what).count(),
    };
    assert!(FORMS.iter().all(|(what, _, _)| count(*what) == 1));
    assert_eq!(FORMS.len(), NotBuilt::TenantJson as usize + 1);
}

#[test]
fn a_typo_in_what_is_not_built_is_a_typo() {
    judge(&[
        (
            "the field",
            &[("upstream.billing.retri", json!({"attempts": 3}))],
            &[("upstream.billing.retri", "unknown field")],
        ),
        (
            "a field of it",
            &[("upstream.billing.retry", json!({"atempts": 3}))],
            &[
                ("upstream.billing.retry", "`retry` is not built yet"),
                ("upstream.billing.retry.atempts", "unknown field"),
                ("upstream.billing.retry.attempts", "is missing"),
            ],
        ),
        (
            "its values",
            &[("upstream.billing.retry", json!({"attempts": 1, "body": "2MiB"}))],
            &[
                ("upstream.billing.retry", "`retry` is not built yet"),
                ("upstream.billing.retry.attempts", "must be from 2 to 10"),
                ("upstream.billing.retry.body", "must be at most 1MiB"),
            ],
        ),
        ("what is off is built", &[("route[0].idempotency", json!("off"))], &[]),
        (
            "what is not honoured is built",
            &[
                ("upstream.billing.honours_idempotency_key", json!(false)),
                ("route[0].cache", json!("off")),
            ],
            &[],
        ),
    ]);
}
