//! Header names, once each, and what kind of header a name is.

/// Names the gate reads or writes, in lower case, as the platform hands them over.
pub mod name {
    #![allow(missing_docs)] // each constant is its own text
    pub const ACCESS_CONTROL_REQUEST_HEADERS: &str = "access-control-request-headers";
    pub const ACCESS_CONTROL_REQUEST_METHOD: &str = "access-control-request-method";
    pub const ALLOW: &str = "Allow";
    pub const AUTHORIZATION: &str = "authorization";
    pub const CACHE_CONTROL: &str = "Cache-Control";
    pub const CF_ACCESS_JWT_ASSERTION: &str = "cf-access-jwt-assertion";
    pub const CF_CONNECTING_IP: &str = "cf-connecting-ip";
    pub const CONNECTION: &str = "connection";
    pub const CONTENT_LENGTH: &str = "content-length";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const COOKIE: &str = "cookie";
    pub const DEPRECATION: &str = "Deprecation";
    pub const HOST: &str = "host";
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    pub const LINK: &str = "Link";
    pub const ORIGIN: &str = "origin";
    pub const RATE_LIMIT: &str = "RateLimit";
    pub const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
    pub const RETRY_AFTER: &str = "Retry-After";
    pub const SEC_FETCH_SITE: &str = "sec-fetch-site";
    pub const SET_COOKIE: &str = "Set-Cookie";
    pub const STRICT_TRANSPORT_SECURITY: &str = "Strict-Transport-Security";
    pub const SUNSET: &str = "Sunset";
    pub const TRACEPARENT: &str = "traceparent";
    pub const TRACESTATE: &str = "tracestate";
    pub const VARY: &str = "Vary";
    pub const VIA: &str = "via";
    pub const WWW_AUTHENTICATE: &str = "WWW-Authenticate";
    pub const X_API_KEY: &str = "x-api-key";
    pub const X_FORWARDED_FOR: &str = "x-forwarded-for";
    pub const X_RATE_LIMIT_LIMIT: &str = "X-RateLimit-Limit";
    pub const X_RATE_LIMIT_REMAINING: &str = "X-RateLimit-Remaining";
    pub const X_RATE_LIMIT_RESET: &str = "X-RateLimit-Reset";
    pub const X_REQUEST_ID: &str = "X-Request-Id";
    pub const X_TOLLGATE_KEY: &str = "X-Tollgate-Key";
    pub const X_TOLLGATE_SCOPES: &str = "X-Tollgate-Scopes";
    pub const X_TOLLGATE_TENANT: &str = "X-Tollgate-Tenant";
    pub const X_TOLLGATE_WEBHOOK: &str = "X-Tollgate-Webhook";
    pub const X_TOLLGATE_WEBHOOK_FLAG: &str = "X-Tollgate-Webhook-Flag";
}

/// What `X-Tollgate-Webhook-Flag` can say, as a list.
pub mod flag {
    /// The event's id was here before, with another content.
    pub const ID_REUSED: &str = "id_reused";
    /// Its signature was refused, and only shadow mode let it pass.
    pub const UNVERIFIED: &str = "unverified";

    /// What it says of an event; None: it is not sent.
    pub fn of(id_reused: bool, unverified: bool) -> Option<String> {
        let flags = [(id_reused, ID_REUSED), (unverified, UNVERIFIED)];
        let set: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
        (!set.is_empty()).then(|| set.join(", "))
    }
}

/// Fields that end at the next hop (RFC 9110 section 7.6.1 and 11.7): never forwarded, either way.
pub const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "proxy-authentication-info",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// True when two names are the same to a backend: letters without case, and `_` equal to `-`,
/// because CGI-like servers fold both (SPEC section 6).
pub fn same_name(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| folded(a) == folded(b))
}

/// True when `name` begins with `prefix` under the folding of [`same_name`].
pub fn has_prefix(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name.bytes().zip(prefix.bytes()).all(|(a, b)| folded(a) == folded(b))
}

fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// True for a token of RFC 9110 section 5.6.2, the alphabet of field names and methods.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// True when the platform joined several field lines: a comma that stands outside quotes
/// (SPEC section 1, step 3).
pub fn is_repeated(value: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    for byte in value.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
    }
    // A quote that nobody closes hides nothing: its commas count.
    quoted && value.contains(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_case_and_underscore() {
        assert!(same_name("X-Forwarded-For", "x_forwarded_for"));
        assert!(!same_name("x-forwarded-for", "x-forwarded-fo"));
        assert!(has_prefix("X_TOLLGATE_Anything", "x-tollgate-"));
        assert!(!has_prefix("x-toll", "x-tollgate-"));
    }

    #[test]
    fn a_comma_outside_quotes_means_two_lines() {
        for (value, repeated) in [
            ("https://a.example", false),
            ("https://a.example, https://b.example", true),
            ("multipart/form-data; boundary=\"a,b\"", false),
            ("\"a\\\",b\"", false),
            ("\"a\", \"b\"", true),
            ("", false),
            ("a; x=\", text/html", true),
            ("a; x=\"b", false),
        ] {
            assert_eq!(is_repeated(value), repeated, "{value}");
        }
    }
}
