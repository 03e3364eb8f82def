//! From a route's `cors` table to a checked [`CorsPolicy`]: every error at once, with its mend.

use core::fmt;

use super::{ALWAYS_EXPOSED, AllowedOrigins, CorsPolicy};
use crate::time::Millis;

pub use crate::header::is_token as valid_token;

/// Two hours: how long a browser keeps a granted preflight unless the route says otherwise.
const DEFAULT_MAX_AGE: Millis = Millis::hours(2);
/// A day: Firefox keeps none longer, others less.
const LONGEST_MAX_AGE: Millis = Millis::hours(24);

/// Names that a script cannot set (Fetch section 2.2.2, "forbidden request-header"), besides those
/// that start with `proxy-`, `sec-` or `access-control-`.
const FORBIDDEN_REQUEST_HEADERS: [&str; 19] = [
    "accept-charset",
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// A route's `cors` table as written (SPEC section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsConfig {
    /// Whether pages may send cookies.
    pub credentials: bool,
    /// Names of headers that pages may send, in any case; `*` for all but `authorization`.
    pub headers: Vec<String>,
    /// Names of headers that pages may read besides [`ALWAYS_EXPOSED`]; `*` for all but
    /// `authorization`.
    pub expose: Vec<String>,
    /// How long a browser may keep a granted preflight: whole seconds, at most a day; 2 h if none.
    pub max_age: Option<Millis>,
}

/// One thing that is wrong with a route's CORS settings. Its Display says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsConfigError {
    /// `credentials`, `headers`, `expose` or `max_age` of the table, or the route's `methods` or
    /// `origins`.
    pub field: &'static str,
    text: String,
}

impl fmt::Display for CorsConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl core::error::Error for CorsConfigError {}

/// True for `CONNECT`, `TRACE` and `TRACK` in any case: no script can send them (Fetch section
/// 2.2.1), and a route that answers them shows a caller what others had better not see.
pub fn forbidden_method(method: &str) -> bool {
    ["CONNECT", "TRACE", "TRACK"].iter().any(|name| name.eq_ignore_ascii_case(method))
}

impl CorsPolicy {
    /// Checks a route's CORS settings. `methods` are the route's; `implicit_headers`, in lower
    /// case, are those that the gate itself reads on this route (`authorization`, `x-api-key`,
    /// `idempotency-key`).
    ///
    /// # Errors
    /// Everything that is wrong: names that are none or that no page can send or read, a
    /// `max_age` out of range, an empty list of origins or methods, forbidden methods, and a
    /// wildcard together with credentials. Single origin patterns are checked when they are read.
    pub fn build(
        origins: AllowedOrigins,
        methods: Vec<String>,
        config: CorsConfig,
        implicit_headers: &[&str],
    ) -> Result<Self, Vec<CorsConfigError>> {
        let mut errors = Errors::default();
        errors.origins(&origins);
        errors.methods(&methods);
        for name in &config.headers {
            errors.request_header(name);
        }
        for name in &config.expose {
            errors.exposed_header(name);
        }
        if config.credentials {
            errors.wildcards(&origins, &methods, &config);
        }
        let max_age = config.max_age.unwrap_or(DEFAULT_MAX_AGE);
        errors.max_age(max_age);
        if !errors.0.is_empty() {
            return Err(errors.0);
        }
        let mut allow_headers: Vec<String> = Vec::new();
        let implicit = implicit_headers.iter().map(|name| (*name).to_owned());
        for name in implicit.chain(config.headers.into_iter().map(|name| name.to_ascii_lowercase()))
        {
            if !allow_headers.contains(&name) {
                allow_headers.push(name);
            }
        }
        Ok(Self {
            origins,
            credentials: config.credentials,
            methods,
            allow_headers,
            expose: exposed(&config.expose),
            max_age: max_age.ceil_secs(),
        })
    }
}

/// The value of `Access-Control-Expose-Headers`: what is always exposed, then what the route adds.
fn exposed(added: &[String]) -> String {
    let mut names: Vec<&str> = ALWAYS_EXPOSED.to_vec();
    for name in added {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[derive(Default)]
struct Errors(Vec<CorsConfigError>);

impl Errors {
    fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push(CorsConfigError { field, text: text.into() });
    }

    fn origins(&mut self, origins: &AllowedOrigins) {
        if matches!(origins, AllowedOrigins::List(list) if list.is_empty()) {
            let text = "an empty list lets no page in: name an origin, or leave `origins` out to \
                        refuse every browser";
            self.add("origins", text);
        }
    }

    fn methods(&mut self, methods: &[String]) {
        if methods.is_empty() {
            self.add("methods", "a route has at least one method: name it, or write [\"*\"]");
        }
        if methods.len() > 1 && methods.iter().any(|method| method == "*") {
            self.add("methods", "`*` stands for all methods: write it alone, or name each");
        }
        for method in methods {
            if !valid_token(method) {
                self.add("methods", format!("{method:?} is no method name"));
            } else if forbidden_method(method) {
                self.add("methods", format!("no page can send `{method}`: leave it out"));
            }
        }
    }

    fn request_header(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        let prefixes = ["proxy-", "sec-", "access-control-"];
        if !valid_token(name) {
            self.add("headers", format!("{name:?} is no header name"));
        } else if lower == "cookie" {
            let text = "browsers add `Cookie` by themselves: leave it out and set \
                        `credentials = true` if pages are to send cookies";
            self.add("headers", text);
        } else if FORBIDDEN_REQUEST_HEADERS.contains(&lower.as_str())
            || prefixes.iter().any(|prefix| lower.starts_with(prefix))
        {
            self.add("headers", format!("no page can set the header `{name}`: leave it out"));
        }
    }

    fn exposed_header(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        if !valid_token(name) {
            self.add("expose", format!("{name:?} is no header name"));
        } else if lower == "set-cookie"
            || lower == "set-cookie2"
            || lower.starts_with("access-control-")
        {
            self.add("expose", format!("no page can read the header `{name}`: leave it out"));
        }
    }

    /// With credentials a `*` is an ordinary name to browsers (Fetch section 3.3.4), so that it
    /// would not do what it says.
    fn wildcards(&mut self, origins: &AllowedOrigins, methods: &[String], config: &CorsConfig) {
        let star = |list: &[String]| list.iter().any(|name| name == "*");
        if *origins == AllowedOrigins::Any {
            let text = "credentials are not for every origin: name the origins, or leave \
                        `credentials` out";
            self.add("credentials", text);
        }
        for (field, list) in
            [("methods", methods), ("headers", &config.headers), ("expose", &config.expose)]
        {
            if star(list) {
                let text = "`*` has no meaning together with `credentials = true`: name each";
                self.add(field, text);
            }
        }
    }

    fn max_age(&mut self, max_age: Millis) {
        if max_age > LONGEST_MAX_AGE {
            self.add("max_age", "browsers keep no preflight longer than a day: write 24h or less");
        }
        if !max_age.as_millis().is_multiple_of(1_000) {
            self.add("max_age", "browsers count whole seconds: write 1s or more, or 0s for none");
        }
    }
}
