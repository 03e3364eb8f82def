//! What the gate answers when it refuses: one table of codes, and the problem document made of it.
//!
//! Codes are the contract, wording is not (SPEC section 9). The status, the title, the page at
//! `/_tollgate/errors/{code}` and the list in the docs all come from [`Code`]'s table.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the request itself has to change.
    Never,
    /// Yes, after the time in `Retry-After`.
    After,
    /// Yes, with backoff: nothing was decided about the request itself.
    Backoff,
}

impl Retry {
    /// One sentence for the error page and the docs.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Never => "Sending the same request again will not help.",
            Self::After => "Send it again after the number of seconds in Retry-After.",
            Self::Backoff => "Sending it again later can help: wait longer after each try.",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal $retry:ident
        cause $cause:literal fix $fix:literal;)+) => {
        /// Every code the gate answers with. The order is the order of the road.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the road.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The HTTP status it is always sent with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The title of its problem document and page.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// Whether a retry helps.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry),+ }
            }

            /// Why it happens, for the error page.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
            }

            /// What mends it, for the error page.
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix),+ }
            }
        }
    };
}

codes! {
    HttpsRequired 403 "https_required" "HTTPS is required" Never
        cause "The request came over plain HTTP, where anyone on the way can read a key."
        fix "Call the same address with https://. If a key was sent over plain HTTP, rotate it. The gate does not redirect, because a redirect would hide the leak.";
    MisdirectedRequest 421 "misdirected_request" "This gate does not serve that host" Never
        cause "The host in the request is not one of the hosts of the gate's policy."
        fix "Check the host name. Operators: add it to hosts in the policy's [gate].";
    MalformedRequest 400 "malformed_request" "The request is malformed" Never
        cause "A header that may stand once was sent twice, two credentials were sent at once, or the path has a form that two readers could understand differently (dot segments, empty segments, a backslash, an encoded slash or dot, broken percent-encoding)."
        fix "Send each of Origin, Authorization, Content-Type and Idempotency-Key at most once, one credential, and a plain path.";
    CredentialInUrl 400 "credential_in_url" "A credential is in the URL" Never
        cause "Something shaped like a key of this gate stands in the path or the query. URLs end up in logs, histories and Referer headers."
        fix "Send the key in the Authorization or X-Api-Key header, and rotate the one that was in the URL.";
    RouteNotFound 404 "route_not_found" "No such route" Never
        cause "No route of the policy has this path."
        fix "Check the path, its case and its trailing slash.";
    MethodNotAllowed 405 "method_not_allowed" "Method not allowed" Never
        cause "The path exists, but not with this method."
        fix "Use one of the methods in the Allow header.";
    BodyTooLarge 413 "body_too_large" "The body is too large" Never
        cause "The request body is larger than the route or the source allows."
        fix "Send less, or in parts. Operators: body_limit of the route or source.";
    OriginNotAllowed 403 "origin_not_allowed" "This origin may not call here" Never
        cause "The page that made the call is not on the list of allowed origins of the route or of the key. The backend was not called."
        fix "Call from an allowed origin, or have the exact origin (scheme, host and port) added to the route or the key.";
    HeaderNotAllowed 403 "header_not_allowed" "The preflight asks for a header or method that is not allowed" Never
        cause "The browser asked to send a header or to use a method that the route does not allow across origins."
        fix "Do not send that header, or have it added to cors.headers of the route.";
    KeyMissing 401 "key_missing" "No key was sent" Never
        cause "The route needs a key, and the request has none."
        fix "Send the key as Authorization: Bearer KEY or as X-Api-Key: KEY.";
    KeyInvalid 401 "key_invalid" "The key is not valid" Never
        cause "What was sent is not a key of this gate, has a typing error, is unknown, or has a wrong secret. One code for all four, so that nobody can probe for keys."
        fix "Copy the whole key again. `tollgate key inspect` tells offline whether it is whole.";
    WrongEnvironment 403 "wrong_environment" "The key is of another environment" Never
        cause "A dev key was sent to production, or a prod key to another environment."
        fix "Use a key made for this environment.";
    WrongKind 403 "wrong_kind" "This kind of key cannot be used here" Never
        cause "Admin keys (ak) work for the management API only, and the other kinds, and tokens, for routes only. Tokens are made for sk and rk keys. Some calls take the admin key itself, not a session of it and not the root token."
        fix "Use a pk, sk or rk key on routes, an ak key for management, and an sk or rk key to fetch a token.";
    KeyExpired 401 "key_expired" "The key has expired" Never
        cause "The key's expiry, or the end of its grace period after a rotation, has passed."
        fix "Use its successor, or have a new key made.";
    KeyRevoked 401 "key_revoked" "The key is revoked" Never
        cause "Somebody ended this key for good."
        fix "Have a new key made.";
    KeyDisabled 401 "key_disabled" "The key is disabled" Never
        cause "The key is switched off for the time being."
        fix "Have it enabled again.";
    TokenExpired 401 "token_expired" "The token or session has expired" Never
        cause "A token lives at most 300 seconds, a session 15 minutes on the command line and 12 hours in the console, and neither longer than its key."
        fix "Fetch a new token once, or open a new session, then send the request again.";
    IpNotAllowed 403 "ip_not_allowed" "This address may not call here" Never
        cause "The key, or the source of webhooks, has an address list, and the caller's address is not on it."
        fix "Call from a listed address, or have the address added to the key or the source.";
    SecretKeyInBrowser 403 "secret_key_in_browser" "A secret key was used in a browser" Never
        cause "The request carries Origin or Sec-Fetch-Site, so it comes from a browser, but its key is for servers. A secret in a page is readable by everyone who opens the page."
        fix "Use a publishable key (pk) in pages, and rotate this one.";
    InsufficientScope 403 "insufficient_scope" "The key lacks a scope" Never
        cause "The key does not have a permission that the route requires: see required_scopes."
        fix "Use a key with these scopes.";
    IdempotencyRequired 400 "idempotency_required" "An Idempotency-Key is required" Never
        cause "The route takes writes only with an Idempotency-Key."
        fix "Send a fresh random value in Idempotency-Key, and the same one when repeating the same write.";
    IdempotencyInProgress 409 "idempotency_in_progress" "The first attempt is still running" After
        cause "A request with the same Idempotency-Key has not been answered yet."
        fix "Wait, then repeat it with the same value.";
    IdempotencyMismatch 422 "idempotency_mismatch" "The Idempotency-Key was used for another request" Never
        cause "The value was used before with another method, path, query or body."
        fix "Use a fresh value for a new request.";
    IdempotencyOutcomeUnknown 409 "idempotency_outcome_unknown" "The outcome of the first attempt is unknown" Never
        cause "The first attempt was cut off, and the gate cannot know whether it was carried out."
        fix "Look whether it was done, at the backend or in the management API, then use a fresh value.";
    IdempotencyResultNotKept 409 "idempotency_result_not_kept" "The first result is not kept" Never
        cause "The first attempt was carried out, but its answer cannot be given again: it was too large, it showed a secret more than ten minutes ago, or another credential was used."
        fix "Read what the first attempt made. A secret that is lost is not shown again: rotate the key.";
    RateLimited 429 "rate_limited" "Too many requests" After
        cause "A rate limit of the key, the address or the route is used up: see violated-policies."
        fix "Wait for Retry-After. Clients that obey the RateLimit header never see this.";
    QuotaExceeded 429 "quota_exceeded" "The quota is used up" After
        cause "A quota of the calendar hour, day or month is used up."
        fix "Wait for Retry-After, or have the quota raised.";
    ConcurrencyExceeded 429 "concurrency_exceeded" "Too many requests at once" After
        cause "As many requests as allowed are running at this moment."
        fix "Wait for one of them to end.";
    TooManyFailures 429 "too_many_failures" "Too many failed credentials" After
        cause "This address presented too many credentials that failed, or this key too many wrong codes."
        fix "Stop, check the key or the clock that its codes come from, and wait for Retry-After.";
    AdmissionUnavailable 503 "admission_unavailable" "Admission cannot be decided right now" Backoff
        cause "The store that counts and revokes could not be reached. The gate stays shut rather than let an uncounted request pass."
        fix "Try again.";
    UpstreamUnreachable 502 "upstream_unreachable" "The backend cannot be reached" Backoff
        cause "No connection to the backend, or it broke off before it answered."
        fix "Try again. Operators: check the upstream's address and that it runs.";
    UpstreamTimeout 504 "upstream_timeout" "The backend did not answer in time" Backoff
        cause "The first byte of the backend's answer did not come within the upstream's timeout."
        fix "Try again; a write may have been carried out all the same.";
    UpstreamCredentialUnavailable 503 "upstream_credential_unavailable" "The backend's credential is not set" Backoff
        cause "A secret that this route's upstream needs is missing or too short."
        fix "Operators: set the secret named in `ready` (wrangler secret put NAME).";
    UpstreamCircuitOpen 503 "upstream_circuit_open" "The backend is failing" After
        cause "The backend failed for several callers, so the gate rests it for a moment."
        fix "Wait for Retry-After.";
    UpstreamThrottled 503 "upstream_throttled" "The backend is at its own limit" After
        cause "The backend announced that it takes no more requests for now."
        fix "Wait for Retry-After.";
    SecretLeakBlocked 502 "secret_leak_blocked" "The backend's answer held its own secret" Never
        cause "The backend's answer contained the credential that the gate had added. The answer was dropped."
        fix "Operators: find out why the backend echoes its credential, then rotate it.";
    SignatureMissing 401 "signature_missing" "No signature was sent" Never
        cause "The webhook has no signature header of its scheme, or the report of leaked keys has none."
        fix "Check the provider's settings and the source's scheme.";
    SignatureInvalid 401 "signature_invalid" "The signature is not valid" Never
        cause "No listed secret makes the signature that was sent; of a report, no published key of the scanner."
        fix "Check the secret or key, and that nothing on the way changed the body.";
    TimestampOutOfRange 401 "timestamp_out_of_range" "The signed time is too far off" Never
        cause "The signature is right, but its time is outside the window."
        fix "Check the sender's clock, and that deliveries are not held back.";
    SourceUnavailable 503 "source_unavailable" "The source is not ready" Backoff
        cause "A secret that the source's webhooks are verified or signed with is missing, or has not the form of its scheme. Nothing is let in unverified."
        fix "Operators: set the secret named in `ready` (wrangler secret put NAME). Providers send the event again by themselves.";
    InboxFull 503 "inbox_full" "The inbox of the source is full" Backoff
        cause "As many undelivered events as the policy allows are kept for the source's backend. The event was not taken."
        fix "Operators: mend the backend, replay or wait for dead events to go, or raise store_limit of the source.";
    NotFound 404 "not_found" "No such resource" Never
        cause "The resource does not exist, or belongs to another tenant."
        fix "Check the id.";
    InvalidField 400 "invalid_field" "A field is not valid" Never
        cause "The body, or the query, has fields that are unknown or whose value is not allowed: see errors."
        fix "Correct each field listed in errors.";
    VersionConflict 409 "version_conflict" "The resource has changed meanwhile" Never
        cause "The version that was sent is not the current one: somebody else changed the resource."
        fix "Read it again, apply your change to what is there now, and send its version.";
    StateConflict 409 "state_conflict" "The resource is in a state that does not allow this" Never
        cause "For example: a revoked key cannot be rotated or enabled."
        fix "Read the resource; its state tells what is possible.";
    NotGrantable 403 "not_grantable" "You cannot grant what you do not have" Never
        cause "An admin key grants at most its own scopes, addresses and tenant, and cannot change itself."
        fix "Use an admin key with these rights, or ask for less.";
    SecondFactorRequired 403 "second_factor_required" "A second factor is required" Never
        cause "The admin key writes only from a session that was opened with a second factor."
        fix "Open a session with the key and a code: in the console, or with `tollgate session open`. For automation use an admin key that was made with an address list.";
    SecondFactorInvalid 401 "second_factor_invalid" "The code is not valid" Never
        cause "The code is wrong, too old, or was used before."
        fix "Wait for the next code of the authenticator app. Check the clock of the device that shows it.";
    InternalError 500 "internal_error" "Internal error" Backoff
        cause "A fault of the gate itself. It was logged under the correlation id; nothing was let through."
        fix "Try again, and report the correlation id.";
}

impl Code {
    /// The code with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("unknown code"))
    }
}

/// One thing that is wrong with one field of a management request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `origins[1]`, or empty for the body as a whole.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A refusal, ready to be written: the code, and what this one occurrence adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which refusal it is.
    pub code: Code,
    /// For this occurrence; empty means the code's cause says it all.
    pub detail: String,
    /// The scopes that the route requires (`insufficient_scope`).
    pub required_scopes: Vec<String>,
    /// Whole seconds until a retry can help.
    pub retry_after: Option<u64>,
    /// The limits that were used up (`violated-policies` of the `RateLimit` draft).
    pub violated_policies: Vec<String>,
    /// Every field that is wrong (`invalid_field`).
    pub errors: Vec<FieldError>,
    /// Further members of one code, such as the current `version` of a conflict.
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem with nothing but its code.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: String::new(),
            required_scopes: Vec::new(),
            retry_after: None,
            violated_policies: Vec::new(),
            errors: Vec::new(),
            extra: Map::new(),
        }
    }

    /// Says what happened this time. Never holds a credential or anything of the gate's insides.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds a member of this code's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The RFC 9457 document. `gate` is the address of the gate itself, such as
    /// `https://api.example.com`, or empty for a relative `type`; `correlation_id` is the value of
    /// `X-Request-Id`.
    pub fn document(&self, gate: &str, correlation_id: &str) -> Value {
        let code = self.code.as_str();
        let detail = if self.detail.is_empty() { self.code.cause() } else { self.detail.as_str() };
        let mut document = json!({
            "type": format!("{gate}{ERROR_PAGES}{code}"),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": detail,
            "code": code,
            "correlationId": correlation_id,
        });
        if let Value::Object(members) = &mut document {
            if !self.required_scopes.is_empty() {
                members.insert("required_scopes".into(), json!(self.required_scopes));
            }
            if let Some(seconds) = self.retry_after {
                members.insert("retry_after".into(), json!(seconds));
            }
            if !self.violated_policies.is_empty() {
                members.insert("violated-policies".into(), json!(self.violated_policies));
            }
            if !self.errors.is_empty() {
                members.insert("errors".into(), json!(self.errors));
            }
            members.extend(self.extra.clone());
        }
        document
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// Where the page of each code stands on the gate.
pub const ERROR_PAGES: &str = "/_tollgate/errors/";

/// The media type of a problem document (RFC 9457 section 3).
pub const MEDIA_TYPE: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (at, code) in Code::ALL.iter().enumerate() {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(
                Code::ALL[..at].iter().all(|other| other.as_str() != code.as_str()),
                "{code:?}"
            );
            for text in [code.title(), code.cause(), code.fix()] {
                assert!(!text.is_empty() && !text.contains('<'), "{code:?}: {text}");
            }
            let snake = code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(snake, "{code:?}");
        }
        assert_eq!(Code::parse("nonsense"), None);
    }

    #[test]
    fn a_document_has_its_members_and_nothing_more() {
        let bare = Problem::new(Code::KeyMissing).document("https://api.example.com", "r1");
        assert_eq!(
            bare,
            json!({
                "type": "https://api.example.com/_tollgate/errors/key_missing",
                "title": "No key was sent",
                "status": 401,
                "detail": "The route needs a key, and the request has none.",
                "code": "key_missing",
                "correlationId": "r1",
            })
        );
        let mut full = Problem::new(Code::RateLimited).detail("d").with("version", 3);
        full.retry_after = Some(7);
        full.violated_policies = vec!["default".into()];
        full.required_scopes = vec!["a:b".into()];
        full.errors = vec![FieldError { field: "f".into(), message: "m".into() }];
        assert_eq!(
            full.document("", "r2"),
            json!({
                "type": "/_tollgate/errors/rate_limited",
                "title": "Too many requests",
                "status": 429,
                "detail": "d",
                "code": "rate_limited",
                "correlationId": "r2",
                "required_scopes": ["a:b"],
                "retry_after": 7,
                "violated-policies": ["default"],
                "errors": [{"field": "f", "message": "m"}],
                "version": 3,
            })
        );
    }
}
