//! What is taken off a request and an answer on the way through, and what is put on
//! (SPEC section 6).
//!
//! Scope: header and query hygiene in both directions, the trace, and the net for leaked secrets.
//! Out of scope: which credential goes to which upstream; that is the policy's, joined in `road`.

mod answer;
mod leak;
mod query;
mod trace;

pub use answer::{Relay, answer_edits};
pub use leak::LeakGuard;
pub(crate) use leak::MIN_SECRET;
pub use query::{clean_query, encode_query_value};
pub use trace::Trace;

use crate::header::{HOP_BY_HOP, has_prefix, name, same_name};

/// Cookies of the gate itself begin so; they never reach a backend, and no backend sets them.
pub const GATE_COOKIE: &str = "__Host-tollgate";

/// Changes to a set of headers: first the removals, then the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names to remove, as they stand in the message.
    pub remove: Vec<String>,
    /// Names and values to set, replacing what is there.
    pub set: Vec<(String, String)>,
}

/// Names that no client may bring along, with a dash for each `_` (SPEC section 6).
const NEVER_FORWARDED: [&str; 22] = [
    "client-ip",
    "x-forwarded",
    "x-original-forwarded-for",
    "x-original-uri",
    "x-override-url",
    "x-http-host-override",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-host",
    name::X_API_KEY,
    "x-request-id",
    "cdn-loop",
];

/// Beginnings of such names.
const NEVER_FORWARDED_PREFIXES: [&str; 3] = ["x-forwarded-", "cf-", "x-tollgate-"];

/// What a route leaves to its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// `Authorization` is the backend's; the gate's key stands in `X-Api-Key` only.
    pub authorization: bool,
    /// Cookies but for the gate's own.
    pub cookies: bool,
}

/// What comes off a request before the gate adds anything.
///
/// `names`: every header of the request. `connection` and `cookie`: the values of these two.
/// `protected`: names that the gate itself sets for this upstream, its credential's and the
/// tenant's, so that no spelling of them gets past it.
pub fn request_edits(
    names: &[String],
    connection: Option<&str>,
    cookie: Option<&str>,
    keep: Keep,
    protected: &[&str],
) -> Edits {
    let nominated: Vec<&str> = nominated(connection);
    let comes_off = |header: &str| {
        let is = |other: &&str| same_name(header, other);
        HOP_BY_HOP.iter().any(is)
            || nominated.iter().any(is)
            || NEVER_FORWARDED.iter().any(is)
            || NEVER_FORWARDED_PREFIXES.iter().any(|prefix| has_prefix(header, prefix))
            || protected.iter().any(is)
            || (same_name(header, name::AUTHORIZATION) && !keep.authorization)
            || (same_name(header, name::COOKIE) && !keep.cookies)
            // A trace is set anew from what was read of it; an underscore spelling is a second one.
            || same_name(header, name::TRACEPARENT)
    };
    let remove = names.iter().filter(|header| comes_off(header)).cloned().collect();
    let mut set = Vec::new();
    if let Some(kept) = cookie.filter(|_| keep.cookies).map(without_gate_cookies) {
        set.push((name::COOKIE.to_owned(), kept));
    }
    Edits { remove, set }
}

/// The fields that `Connection` names (RFC 9110 section 7.6.1).
fn nominated(connection: Option<&str>) -> Vec<&str> {
    let named = connection.unwrap_or_default().split(',').map(str::trim);
    named.filter(|field| !field.is_empty()).collect()
}

fn without_gate_cookies(cookies: &str) -> String {
    let kept = cookies.split(';').map(str::trim).filter(|pair| !is_gate_cookie(pair));
    kept.collect::<Vec<_>>().join("; ")
}

fn is_gate_cookie(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().trim();
    has_prefix(name, GATE_COOKIE)
}

#[cfg(test)]
mod tests;
