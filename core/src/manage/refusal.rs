//! The headers that answers of the gate's own bring along.

use crate::header::name;
use crate::problem::{Code, MEDIA_TYPE, Problem};

/// One year (SPEC section 10).
const HSTS: &str = "max-age=31536000";

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

/// Every header that is due to the problem itself: its media type, `WWW-Authenticate` (RFC 6750
/// section 3; without any credential it carries no error, section 3.1), and `Retry-After`.
pub fn refusal_headers(problem: &Problem, realm: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Content-Type", MEDIA_TYPE.to_owned())];
    let error = match problem.code {
        Code::KeyMissing => Some(String::new()),
        Code::InsufficientScope => {
            let scope = problem.required_scopes.join(" ");
            Some(format!(r#", error="insufficient_scope", scope="{scope}""#))
        }
        code if code.status() == 401 => {
            let title = code.title();
            Some(format!(r#", error="invalid_token", error_description="{title}""#))
        }
        _ => None,
    };
    if let Some(error) = error {
        headers.push((name::WWW_AUTHENTICATE, format!(r#"Bearer realm="{realm}"{error}"#)));
    }
    if let Some(seconds) = problem.retry_after {
        headers.push((name::RETRY_AFTER, seconds.to_string()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

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
