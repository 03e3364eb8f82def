//! CORS of a route (Fetch section 3.3; SPEC section 5): who is asking, whether the route lets that
//! origin in, and the exact headers that say so.
//!
//! A refusal grants nothing at all: its answer has `Vary` only. A [`CorsPolicy`] can be had only
//! through [`CorsPolicy::build`], so that a wildcard together with credentials does not exist.

use crate::header::name::{
    DEPRECATION, LINK, RATE_LIMIT, RATE_LIMIT_POLICY, RETRY_AFTER, SUNSET, VARY, WWW_AUTHENTICATE,
    X_RATE_LIMIT_LIMIT, X_RATE_LIMIT_REMAINING, X_RATE_LIMIT_RESET, X_REQUEST_ID,
};
use crate::origin::OriginPattern;

mod build;
mod requested;
#[cfg(test)]
#[rustfmt::skip] // a row of a table stays on its line
mod tests;

pub use build::{CorsConfig, CorsConfigError, forbidden_method, valid_token};

/// The one value of `Access-Control-Allow-Credentials`, in this case (Fetch section 3.3.4).
const TRUE: &str = "true";
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const EXPOSE_HEADERS: &str = "Access-Control-Expose-Headers";
const MAX_AGE: &str = "Access-Control-Max-Age";
const VARY_PREFLIGHT: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// What a page may read from every answer of the gate: how much is left, what to report to support,
/// whether an answer is a repetition, what goes away, and what was missing.
pub const ALWAYS_EXPOSED: [&str; 12] = [
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    X_RATE_LIMIT_LIMIT,
    X_RATE_LIMIT_REMAINING,
    X_RATE_LIMIT_RESET,
    X_REQUEST_ID,
    RETRY_AFTER,
    "Idempotency-Replayed",
    DEPRECATION,
    SUNSET,
    LINK,
    WWW_AUTHENTICATE,
];

/// How a request stands to CORS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// No `Origin`: not from a page of another origin.
    NoOrigin,
    /// A browser asks whether it may send the real request. It carries no credentials.
    Preflight {
        /// The `Origin` as received.
        origin: &'a str,
        /// The method of the real request, as received.
        method: &'a str,
        /// `Access-Control-Request-Headers` as received, where there is one.
        headers: Option<&'a str>,
    },
    /// The real request. Also same-origin requests other than GET and HEAD have an `Origin`.
    Actual {
        /// The `Origin` as received.
        origin: &'a str,
    },
}

/// Tells a preflight from an actual request (Fetch section 3.3.2): without
/// `Access-Control-Request-Method` an OPTIONS request is one like any other.
///
/// `asked_method` and `asked_headers` are `Access-Control-Request-Method` and `-Headers` as
/// received.
pub fn classify<'a>(
    method: &str,
    origin: Option<&'a str>,
    asked_method: Option<&'a str>,
    asked_headers: Option<&'a str>,
) -> Arrival<'a> {
    match (origin, asked_method) {
        (None, _) => Arrival::NoOrigin,
        (Some(origin), Some(method_asked)) if method == "OPTIONS" => {
            Arrival::Preflight { origin, method: method_asked, headers: asked_headers }
        }
        (Some(origin), _) => Arrival::Actual { origin },
    }
}

/// Which origins a route lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// No browser: every `Origin` is refused.
    None,
    /// `*`, on public routes only.
    Any,
    /// Those that one of these patterns means.
    List(Vec<OriginPattern>),
    /// Those that a live key lists. Who asks knows the keys, this does not.
    Keys,
}

impl AllowedOrigins {
    /// True when a page of `origin` may call; `listed_by_a_key` decides for [`Self::Keys`] alone.
    pub fn allow(&self, origin: &str, listed_by_a_key: bool) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::List(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
            Self::Keys => listed_by_a_key,
        }
    }
}

/// The checked CORS settings of a route, built once and asked for every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsPolicy {
    origins: AllowedOrigins,
    credentials: bool,
    /// As browsers send them, or `*` alone.
    methods: Vec<String>,
    /// In lower case, the implicit ones too; `*` stands for all but `authorization`.
    allow_headers: Vec<String>,
    /// The value of `Access-Control-Expose-Headers`.
    expose: String,
    /// Seconds that a browser may keep a granted preflight.
    max_age: u64,
}

/// The headers to put on an answer, `Vary` included, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Names in their usual case, and their values.
    pub headers: Vec<(&'static str, String)>,
}

/// Why a page gets no grant. Its Display is fit for a problem document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorsRefusal {
    /// The route does not let this origin in.
    #[error("pages of this origin may not call this route")]
    Origin,
    /// The route does not have the asked method; methods are compared with their case.
    #[error("this route does not allow the requested method to pages")]
    Method,
    /// A header that the page wants to send and the route does not allow, or one entry of a
    /// malformed `Access-Control-Request-Headers`: printable, at most 64 characters.
    #[error("this route does not allow pages to send the header `{0}`")]
    Header(String),
}

impl CorsPolicy {
    /// Answers a preflight: 204 with these headers, or a refusal with those of [`Self::refused`].
    ///
    /// # Errors
    /// The first of origin, method and headers that the route does not allow.
    pub fn preflight(
        &self,
        origin: &str,
        method: &str,
        headers: Option<&str>,
        listed_by_a_key: bool,
    ) -> Result<Grant, CorsRefusal> {
        if !self.origins.allow(origin, listed_by_a_key) {
            return Err(CorsRefusal::Origin);
        }
        if !self.allows_method(method) {
            return Err(CorsRefusal::Method);
        }
        let asked = requested::names(headers.unwrap_or_default()).map_err(CorsRefusal::Header)?;
        if let Some(refused) = asked.iter().find(|name| !self.allows_header(name)) {
            return Err(CorsRefusal::Header(requested::shown(refused)));
        }
        let mut grant = self.shared_with(origin);
        grant.push((ALLOW_METHODS, self.methods.join(", ")));
        if !asked.is_empty() {
            grant.push((ALLOW_HEADERS, asked.join(", ")));
        }
        grant.push((MAX_AGE, self.max_age.to_string()));
        grant.push((VARY, VARY_PREFLIGHT.to_owned()));
        Ok(Grant { headers: grant })
    }

    /// The headers of every answer to an actual request, whoever makes the answer and whatever
    /// its status.
    ///
    /// # Errors
    /// [`CorsRefusal::Origin`] when the route does not let this origin in.
    pub fn actual(&self, origin: &str, listed_by_a_key: bool) -> Result<Grant, CorsRefusal> {
        if !self.origins.allow(origin, listed_by_a_key) {
            return Err(CorsRefusal::Origin);
        }
        let mut grant = self.shared_with(origin);
        grant.push((EXPOSE_HEADERS, self.expose.clone()));
        if !self.same_for_all() {
            grant.push((VARY, "Origin".to_owned()));
        }
        Ok(Grant { headers: grant })
    }

    /// The headers of an answer to a request without `Origin`: a cache may hand it to a page later
    /// on, so that it says what that depends on, or grants to all what all are granted.
    pub fn without_origin(&self) -> Grant {
        if self.same_for_all() {
            return self.actual("", false).unwrap_or_default();
        }
        self.refused()
    }

    /// The headers of a refusal: what the decision depended on, and no grant.
    pub fn refused(&self) -> Grant {
        Grant { headers: vec![(VARY, "Origin".to_owned())] }
    }

    /// Which origins the route lets in.
    pub fn origins(&self) -> &AllowedOrigins {
        &self.origins
    }

    /// True when pages may send cookies.
    pub fn credentials(&self) -> bool {
        self.credentials
    }

    /// The origin's part of a grant: `*` where all have the same, the very bytes received else.
    fn shared_with(&self, origin: &str) -> Vec<(&'static str, String)> {
        let origin = if self.same_for_all() { "*" } else { origin };
        let mut headers = Vec::with_capacity(6);
        headers.push((ALLOW_ORIGIN, origin.to_owned()));
        if self.credentials {
            headers.push((ALLOW_CREDENTIALS, TRUE.to_owned()));
        }
        headers
    }

    fn same_for_all(&self) -> bool {
        self.origins == AllowedOrigins::Any
    }

    fn allows_method(&self, asked: &str) -> bool {
        valid_token(asked)
            && !forbidden_method(asked)
            && self.methods.iter().any(|method| method == asked || method == "*")
    }

    /// `name` in lower case. `*` never covers `authorization` (Fetch section 2.2.2, "CORS
    /// non-wildcard request-header name").
    fn allows_header(&self, name: &str) -> bool {
        self.allow_headers
            .iter()
            .any(|allowed| allowed == name || (allowed == "*" && name != "authorization"))
    }
}
