//! The headers that answers of the gate's own bring along.

use crate::header::name;
use crate::problem::{FieldError, MEDIA_TYPE, Problem};
use crate::road::{HSTS, challenge, redacted};

/// The longest that a field's name or what is wrong with it is told, in characters.
const MOST_TOLD: usize = 200;

/// The problem as it may be told: its texts repeat what the caller sent, and somebody who puts a
/// key into the wrong field does not find it in logs of answers.
#[must_use]
pub fn shown(problem: Problem, brand: &str) -> Problem {
    let brief = |text: &str| redacted(brand, text).chars().take(MOST_TOLD).collect();
    let errors = problem
        .errors
        .iter()
        .map(|error| FieldError { field: brief(&error.field), message: brief(&error.message) });
    let scopes = problem.required_scopes.iter().map(|scope| redacted(brand, scope));
    Problem {
        errors: errors.collect(),
        required_scopes: scopes.collect(),
        detail: redacted(brand, &problem.detail),
        ..problem
    }
}

/// The headers of every answer of the gate's own; those in `own` come first, and replace these.
pub fn stamp(own: Vec<(&'static str, String)>, request_id: &str) -> Vec<(&'static str, String)> {
    let mut headers = own;
    for (header, value) in [
        (name::X_REQUEST_ID, request_id),
        (name::STRICT_TRANSPORT_SECURITY, HSTS),
        ("X-Content-Type-Options", "nosniff"),
        (name::CACHE_CONTROL, "no-store"),
    ] {
        if !headers.iter().any(|(known, _)| *known == header) {
            headers.push((header, value.to_owned()));
        }
    }
    headers
}

/// Every header that is due to the problem itself: its media type, `WWW-Authenticate` as on the
/// road, and `Retry-After`.
pub fn refusal_headers(problem: &Problem, realm: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Content-Type", MEDIA_TYPE.to_owned())];
    headers.extend(challenge(problem, realm));
    if let Some(seconds) = problem.retry_after {
        headers.push((name::RETRY_AFTER, seconds.to_string()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manage::tests::{BOUNDS, body, made, made_by};
    use crate::manage::{Caller, ExplainAsk, VerifyAsk, query_pairs};
    use crate::problem::Code;

    #[test]
    fn a_key_in_the_wrong_place_is_not_told_again() {
        let secret = made(&body("sk", json!({}))).secret;
        let key = secret.expose();
        let create = |with| made_by(&Caller::Root, &body("sk", with)).err();
        let request = |with: (&str, serde_json::Value)| {
            let mut request = json!({ "method": "GET", "url": "https://a/b" });
            request[with.0] = with.1;
            ExplainAsk::read(&json!({ "request": request })).err()
        };
        for (place, problem) in [
            ("a field's name", create(json!({ key: 1 }))),
            ("a scope", create(json!({ "scopes": [key] }))),
            ("part of a scope", create(json!({ "scopes": [format!("a:{key}:b:c")] }))),
            ("an origin", create(json!({ "origins": [key] }))),
            ("an address", create(json!({ "addresses": [key] }))),
            ("an end", create(json!({ "expires_in": key }))),
            ("a limit's name", create(json!({ "limits": [{ key: 1 }] }))),
            ("a scope to verify", VerifyAsk::read(&json!({ "key": key, "scope": key })).err()),
            ("a query", query_pairs(&format!("{key}=%zz")).err()),
            ("a request's field", request((key, json!(1)))),
            ("a request's headers", request(("headers", json!([key])))),
            ("a header too long", request(("headers", json!([[key, key, key]])))),
            ("a request's method", request(("method", json!([key])))),
            ("a request that is none", ExplainAsk::read(&json!({ "request": key })).err()),
        ] {
            let problem = shown(*problem.unwrap(), BOUNDS.brand);
            assert!(!problem.errors.is_empty(), "{place}");
            let told = problem.document("", "r").to_string();
            assert!(!told.contains(&key[30..60]), "{place}: {told}");
        }
        let long = create(json!({ "x".repeat(10_000): 1 })).unwrap();
        let shown = shown(*long, BOUNDS.brand);
        let lengths = shown.errors.iter().map(|error| error.field.len()).collect::<Vec<_>>();
        assert_eq!(lengths, [MOST_TOLD]);
    }

    #[test]
    fn a_refusal_has_its_headers_and_nothing_more() {
        let media = ("Content-Type", "application/problem+json".to_owned());
        let challenge = |text: &str| ("WWW-Authenticate", text.to_owned());
        let mut scope = Problem::new(Code::InsufficientScope);
        scope.required_scopes = vec!["keys:read".to_owned(), "keys:write".to_owned()];
        let mut late = Problem::new(Code::TooManyFailures);
        late.retry_after = Some(7);
        for (problem, more) in [
            (Code::NotFound.into(), vec![]),
            (Code::KeyMissing.into(), vec![challenge(r#"Bearer realm="acme""#)]),
            (
                Code::KeyRevoked.into(),
                vec![challenge(
                    r#"Bearer realm="acme", error="invalid_token", error_description="The key is revoked""#,
                )],
            ),
            (
                scope,
                vec![challenge(
                    r#"Bearer realm="acme", error="insufficient_scope", scope="keys:read keys:write""#,
                )],
            ),
            (late, vec![("Retry-After", "7".to_owned())]),
        ] {
            let expected: Vec<_> = std::iter::once(media.clone()).chain(more).collect();
            assert_eq!(refusal_headers(&problem, "acme"), expected, "{:?}", problem.code);
        }
    }
}
