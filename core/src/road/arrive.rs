//! Steps 1 to 4: the request's id, its transport, its framing, its route.

use std::rc::Rc;

use super::source::ForSource;
use super::walk::{Step, Walk};
use super::{Gate, Next, Record};
use crate::header::{is_repeated, name};
use crate::key::find_key;
use crate::policy::{HostKind, Platform};
use crate::problem::{Code, Problem};
use crate::request::{Entropy, Head, RequestUrl, UrlError, decode_value};
use crate::scope::is_fit_value;
use crate::time::UnixMillis;
use crate::usage::Sample;

/// Where a well-formed request goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// To the gate itself.
    Gate(Box<ForGate>),
    /// To a route.
    Route(Box<Arrived>),
    /// To a source of webhooks.
    Source(Box<ForSource>),
}

/// A well-formed request for the gate itself: its admin host, or `/_tollgate/` on any host.
#[derive(Debug)]
pub struct ForGate {
    /// True on the admin host, where management and the console are.
    pub on_admin_host: bool,
    walk: Walk,
}

/// A well-formed request for a served host, over a transport that keeps a key secret.
#[derive(Debug)]
pub struct Arrived(Walk);

/// A request whose route, method and declared length are known and allowed.
#[derive(Debug)]
pub struct Routed {
    pub(super) walk: Walk,
    /// The declared length is over the route's cap: refused once the origin is known, so that a
    /// page can read the refusal.
    pub(super) too_large: bool,
    /// The body's length was not declared: it is counted on the way.
    pub(super) undeclared: bool,
}

impl ForGate {
    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.walk.id.as_str()
    }

    /// The URL in its one form.
    pub fn url(&self) -> &RequestUrl {
        &self.walk.url
    }

    /// The caller's address; None when it cannot be read.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        self.walk.address
    }

    /// The log line for an answer of this status and code.
    pub fn log(&self, status: u16, code: Option<Code>, now: UnixMillis) -> super::log::LogLine {
        self.walk.log_line(status, code, now)
    }

    /// The request as it is counted, for an answer of this status and code. Who called, and what
    /// for, is for the caller of this to say.
    pub fn sample(&self, status: u16, code: Option<Code>, now: UnixMillis) -> Sample<'_> {
        self.walk.sample(status, code, now)
    }
}

/// Headers of which a request has one at most.
const SINGLE: [&str; 4] =
    [name::ORIGIN, name::AUTHORIZATION, name::CONTENT_TYPE, name::IDEMPOTENCY_KEY];

/// Paths of the gate itself, on every host it serves.
const OWN_PATHS: &str = "/_tollgate/";

pub(super) fn arrive(
    gate: &Rc<Gate>,
    head: &dyn Head,
    now: UnixMillis,
    entropy: &Entropy,
    record: Record,
) -> Next<Destination> {
    let mut walk = Walk::new(gate, now, entropy, head.method(), record);
    let url = match RequestUrl::split(&head.url()) {
        Ok(url) => url,
        Err(error) => return Err(walk.refuse(Step::Framing, malformed(&error.to_string()))),
    };
    walk.url = url;
    walk.country = head.country();
    let kind = gate.policy.host(&walk.url.authority);
    let mut walk = transport(walk, head, kind)?;
    let socket = head.socket();
    let read = |name: &str| head.header(name);
    walk.address = gate.policy.gate.client_ip.read(&read, socket.as_deref());
    let walk = framing(walk, head)?;
    let on_admin_host = kind == HostKind::Admin;
    Ok(if on_admin_host || walk.url.path.starts_with(OWN_PATHS) {
        Destination::Gate(Box::new(ForGate { on_admin_host, walk }))
    } else if let Some(source) = gate.policy.source_at(&walk.url.path) {
        Destination::Source(Box::new(ForSource::new(walk, source, head)?))
    } else {
        Destination::Route(Box::new(Arrived(walk)))
    })
}

/// Step 2. Plain HTTP is refused, never redirected: a redirect would hide that a key was already
/// sent in the clear.
fn transport(mut walk: Walk, head: &dyn Head, kind: HostKind) -> Next<Walk> {
    let policy = &walk.gate.policy;
    let at_home = policy.environment.is_dev() && walk.url.is_loopback();
    if !walk.url.secure && !at_home {
        return Err(walk.refuse(Step::Transport, Code::HttpsRequired));
    }
    if walk.url.secure && policy.gate.platform == Platform::Cloudflare {
        let old = head
            .tls_version()
            .filter(|tls| matches!(tls.as_str(), "TLSv1" | "TLSv1.0" | "TLSv1.1" | "SSLv3"));
        if let Some(version) = old {
            let detail = format!("{version} is too old: TLS 1.2 or newer is required.");
            let problem = Problem::new(Code::HttpsRequired).detail(detail);
            return Err(walk.refuse(Step::Transport, problem));
        }
    }
    if kind == HostKind::Unknown {
        return Err(walk.refuse(Step::Transport, Code::MisdirectedRequest));
    }
    walk.passed(Step::Transport, |walk| walk.url.base());
    Ok(walk)
}

/// Step 3.
fn framing(mut walk: Walk, head: &dyn Head) -> Next<Walk> {
    // The key comes first: a URL that holds one is logged without it, whatever else is wrong.
    if let Some(shown) = key_in_url(&walk) {
        walk.url.path = shown;
        return Err(walk.refuse(Step::Framing, Code::CredentialInUrl));
    }
    for header in SINGLE {
        let value = head.header(header);
        if value.as_deref().is_some_and(is_repeated) {
            let problem = malformed(&format!("{header} was sent more than once"));
            return Err(walk.refuse(Step::Framing, problem));
        }
        if header == name::ORIGIN {
            walk.origin = value;
        }
    }
    let url = walk.url.clone();
    match url.normalised() {
        Ok(url) => walk.url = url,
        Err(error) => {
            // What cannot be read in one way is not written down as if it could.
            return Err(walk.refuse(Step::Framing, malformed(&error.to_string())));
        }
    }
    walk.site = head.header(name::SEC_FETCH_SITE);
    walk.passed(Step::Framing, |walk| format!("path {}", walk.path_for_log()));
    Ok(walk)
}

/// The path to log when the URL holds something shaped like a key, plain or encoded.
fn key_in_url(walk: &Walk) -> Option<String> {
    let brand = &walk.gate.policy.gate.key_brand;
    let RequestUrl { path, query, .. } = &walk.url;
    let query = query.as_deref().unwrap_or_default();
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let found = |text: &str| find_key(brand, text).is_some();
    if found(path) || found(query) {
        return Some(super::walk::redacted(brand, path));
    }
    let encoded = path.contains('%') || query.contains('%');
    (encoded && (found(&decoded(path)) || found(&decoded(query))))
        .then(|| super::walk::redacted(brand, &decoded(path)))
}

pub(super) fn malformed(detail: &str) -> Problem {
    Problem::new(Code::MalformedRequest).detail(detail)
}

impl Arrived {
    /// Step 4: by path, then by method. A preflight takes its method from
    /// `Access-Control-Request-Method`, so that it finds the route it asks about.
    pub(super) fn route(self, head: &dyn Head) -> Next<Routed> {
        let Self(mut walk) = self;
        let gate = Rc::clone(&walk.gate);
        let Some(found) = gate.policy.route_path(&walk.url.path) else {
            return Err(walk.refuse(Step::Route, Code::RouteNotFound));
        };
        let asked = (walk.method == "OPTIONS" && walk.origin.is_some())
            .then(|| head.header(name::ACCESS_CONTROL_REQUEST_METHOD))
            .flatten();
        let method = asked.as_deref().unwrap_or(&walk.method);
        let Some(route) = found.routes().find(|route| route.methods.allows(method)) else {
            // An unknown method of a preflight is refused as a preflight, at step 5, because a
            // browser shows nothing of any other answer; any route of the path can say so.
            let first = found.routes().next().filter(|_| asked.is_some());
            if let Some(route) = first {
                walk.route = Some(route.index);
                return Ok(Routed { walk, too_large: false, undeclared: false });
            }
            let allow = found.allow();
            return Err(walk.refuse_with(
                Step::Route,
                Code::MethodNotAllowed,
                vec![(name::ALLOW, allow)],
            ));
        };
        walk.route = Some(route.index);
        for (name, raw) in found.params(route) {
            let Some(value) = path_value(route.path.tail() == Some(name), raw) else {
                let detail = format!("the value of {{{name}}} in the path is not allowed");
                return Err(walk.refuse(Step::Route, malformed(&detail)));
            };
            walk.params.push((name.to_owned(), value));
        }
        let (too_large, undeclared) = match declared_length(head) {
            Ok(Some(length)) => (length > route.body_limit, false),
            Ok(None) => (false, head.has_body()),
            Err(()) => {
                let problem = malformed("Content-Length is not a number");
                return Err(walk.refuse(Step::Route, problem));
            }
        };
        if undeclared && matches!(walk.method.as_str(), "GET" | "HEAD") {
            // Its content means nothing (RFC 9110 section 9.3.1), and no fetch could send it on.
            let problem = malformed("a GET request has a body of undeclared length");
            return Err(walk.refuse(Step::Route, problem));
        }
        walk.passed(Step::Route, |_| format!("route {} ({})", route.name, route.path));
        Ok(Routed { walk, too_large, undeclared })
    }
}

/// The decoded value of a parameter. A tail may hold slashes, but each of its segments is held to
/// the same rule as a value of one segment.
fn path_value(tail: bool, raw: &str) -> Option<String> {
    let value = decode_value(raw)?;
    let fit = if tail {
        value.split('/').all(|part| part.is_empty() || is_fit_value(part))
    } else {
        is_fit_value(&value)
    };
    fit.then_some(value)
}

pub(super) fn declared_length(head: &dyn Head) -> Result<Option<u64>, ()> {
    let Some(text) = head.header(name::CONTENT_LENGTH) else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number beyond u64 is a length all the same: too large.
    if digits { Ok(Some(text.parse().unwrap_or(u64::MAX))) } else { Err(()) }
}

impl From<UrlError> for Problem {
    fn from(error: UrlError) -> Self {
        malformed(&error.to_string())
    }
}
