//! What comes off a backend's answer.

use super::{Edits, LeakGuard, is_gate_cookie, nominated};
use crate::header::{HOP_BY_HOP, has_prefix, name, same_name};

/// Names that no backend may send to the gate's callers (SPEC section 6).
/// `Alt-Svc` would send clients past the gate.
const NEVER_RELAYED: [&str; 4] =
    ["alt-svc", "clear-site-data", "service-worker-allowed", "x-request-id"];

/// Beginnings of such names. `ratelimit` covers `RateLimit`, `-Policy` and the older `-Limit`.
const NEVER_RELAYED_PREFIXES: [&str; 4] =
    ["access-control-", "ratelimit", "x-ratelimit-", "x-tollgate-"];

/// What happens to a backend's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// It passes, with these changes, and these `Set-Cookie` lines appended.
    Pass {
        /// Removals and sets.
        edits: Edits,
        /// Cookie lines that stay, when `set-cookie` is among the removals.
        cookies: Vec<String>,
    },
    /// It holds a secret and is dropped. The name of the header says where; never the value.
    Leak {
        /// The header.
        header: String,
    },
}

/// Judges the headers of an answer. `own`: the addresses to which a redirect may point, which are
/// those of the gate; a `Location` elsewhere comes off, because a client that follows it would
/// carry its key there (browsers drop `Authorization` on the way, but not `X-Api-Key`).
pub fn answer_edits(headers: &[(String, String)], guard: &LeakGuard, own: &str) -> Relay {
    if let Some((header, _)) = headers.iter().find(|(_, value)| guard.finds(value)) {
        return Relay::Leak { header: header.clone() };
    }
    let connection: Vec<&str> = headers
        .iter()
        .filter(|(header, _)| same_name(header, name::CONNECTION))
        .flat_map(|(_, value)| nominated(Some(value)))
        .collect();
    let gate_cookie = |header: &str, value: &str| {
        header.eq_ignore_ascii_case("set-cookie") && is_gate_cookie(value)
    };
    let cookie_clash = headers.iter().any(|(header, value)| gate_cookie(header, value));
    let comes_off = |header: &str, value: &str| {
        let is = |other: &&str| same_name(header, other);
        HOP_BY_HOP.iter().any(is)
            || connection.iter().any(is)
            || NEVER_RELAYED.iter().any(is)
            || NEVER_RELAYED_PREFIXES.iter().any(|prefix| has_prefix(header, prefix))
            || (header.eq_ignore_ascii_case("set-cookie") && cookie_clash)
            || (is(&"location") && leads_away(value, own))
            || (is(&"refresh") && value.contains("//"))
    };
    let mut remove: Vec<String> = headers
        .iter()
        .filter(|(header, value)| comes_off(header, value))
        .map(|(header, _)| header.clone())
        .collect();
    remove.dedup();
    let cookies = headers
        .iter()
        .filter(|(header, value)| {
            cookie_clash && header.eq_ignore_ascii_case("set-cookie") && !is_gate_cookie(value)
        })
        .map(|(_, value)| value.clone())
        .collect();
    Relay::Pass { edits: Edits { remove, set: Vec::new() }, cookies }
}

/// True for a `Location` that is neither a path nor an address of the gate itself. Browsers read
/// `\` as `/`, and `//host` as an address.
fn leads_away(location: &str, own: &str) -> bool {
    let location = location.trim();
    // Browsers drop tabs and line breaks, and then read what is left.
    if location.chars().any(|c| c.is_control() || c == '\\') {
        return true;
    }
    let path = location.starts_with('/') && !location.starts_with("//");
    let relative = !location.contains(':') && !location.starts_with('/');
    let rest = location.strip_prefix(own);
    let at_home = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    !(path || relative || at_home)
}
