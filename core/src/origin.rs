//! Origin allow-lists: which `Origin` values an entry of a list stands for (SPEC section 5).
//!
//! An entry is an exact origin (`https://app.example.com`), or `https://*.example.com` for one or
//! more further labels and never the bare domain, as in CSP; `:*` for any port. A received origin
//! is compared byte by byte and never parsed into a URL, because URL parsers mend what they read:
//! `https:app.example.com`, `HTTPS://APP.EXAMPLE.COM:443` and `http://2130706433` all come out of
//! one as an origin that the sender did not write. An entry must therefore be written as browsers
//! serialise origins (Fetch section 3.2); whatever they could never send is an error that says
//! what to write instead.
//!
//! `*` is no pattern. Where a list may hold it, its reader looks for it first.

use core::fmt;

use serde::{Deserialize, Serialize};

mod parse;
mod punycode;
#[cfg(test)]
#[rustfmt::skip] // a row of a table stays on its line
mod tests;

/// The longest host name, in bytes (RFC 1035 section 2.3.4, without the final dot).
const MAX_HOST: usize = 253;

/// Tells which domains have no owner, so that names below them belong to different people.
pub trait PublicSuffixes {
    /// True when `domain` (lower case, no leading dot) is a public suffix, such as `co.uk`.
    fn is_public_suffix(&self, domain: &str) -> bool;
}

/// The least knowledge of public suffixes: every domain of a single label is one.
///
/// For the edge, where the whole list is too big; the command line has checked against that.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleLabels;

impl PublicSuffixes for SingleLabels {
    fn is_public_suffix(&self, domain: &str) -> bool {
        !domain.contains('.')
    }
}

/// One entry of an allow-list. As JSON it is its own text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginPattern {
    text: String,
    /// With the separator: `https://`.
    scheme: String,
    host: Host,
    port: Port,
    loopback: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// One or more labels before this base, which starts with its dot: `.example.com`.
    Below(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    /// As it stands in an origin: empty, or with its colon.
    Fixed(String),
    Any,
}

impl OriginPattern {
    /// Reads one entry as written in a policy or a key record.
    ///
    /// # Errors
    /// [`OriginPatternError`] for anything a browser never sends as an origin, for `null`, for
    /// `http` to another host than this machine, and for a wildcard below a public suffix.
    pub fn parse(text: &str, suffixes: &dyn PublicSuffixes) -> Result<Self, OriginPatternError> {
        parse::pattern(text, suffixes)
    }

    /// True when `origin`, the value of an `Origin` header as received, is one this entry means.
    pub fn matches(&self, origin: &str) -> bool {
        self.matches_within(origin).unwrap_or(false)
    }

    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the pages it lets in are served by the user's own machine: `localhost` and names
    /// below it (RFC 6761 section 6.3), 127.0.0.0/8, `[::1]`. A production policy refuses these.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    fn matches_within(&self, origin: &str) -> Option<bool> {
        let rest = origin.strip_prefix(self.scheme.as_str())?;
        let (host, port) = match &self.host {
            // An IPv6 literal holds colons of its own, so an exact host is cut off as a whole.
            Host::Exact(host) => (host.as_str(), rest.strip_prefix(host.as_str())?),
            Host::Below(_) => rest.split_at_checked(rest.find(':').unwrap_or(rest.len()))?,
        };
        let host_fits = match &self.host {
            Host::Exact(_) => true,
            Host::Below(base) => {
                host.len() <= MAX_HOST && are_labels(host.strip_suffix(base.as_str())?)
            }
        };
        let port_fits = match &self.port {
            Port::Fixed(fixed) => port == fixed,
            Port::Any => port.is_empty() || is_serialised_port(port, &self.scheme),
        };
        Some(host_fits && port_fits)
    }
}

/// One or more labels of what a browser leaves in a host name: lower-case letters, digits,
/// hyphens and, common below wildcard DNS, underscores. Labels over 63 bytes cannot be resolved,
/// so that a page can have none; they are not counted here.
fn are_labels(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_host_byte))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
}

/// `:` and a port from 1 to 65535 without leading zeros, and not the one that `scheme` implies.
fn is_serialised_port(port: &str, scheme: &str) -> bool {
    let Some(digits) = port.strip_prefix(':') else {
        return false;
    };
    parse::port_number(digits).is_some() && parse::default_port(scheme) != Some(digits)
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Reads with [`SingleLabels`]: stored patterns were checked against the whole list when made.
impl TryFrom<String> for OriginPattern {
    type Error = OriginPatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text, &SingleLabels)
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> Self {
        pattern.text
    }
}

/// Why a text is no entry of an origin list. Its Display says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPatternError {
    reason: &'static str,
    suggestion: Option<String>,
}

impl OriginPatternError {
    /// A pattern that is valid and near to what was written, where there is one.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for OriginPatternError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(out, ": write {suggestion}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for OriginPatternError {}

/// Reads a list, and tells every entry that is wrong by its place, counted from 0.
///
/// # Errors
/// All wrong entries, in the order of the list.
pub fn parse_list<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    suffixes: &dyn PublicSuffixes,
) -> Result<Vec<OriginPattern>, Vec<(usize, OriginPatternError)>> {
    let mut patterns = Vec::new();
    let mut errors = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match OriginPattern::parse(text, suffixes) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => errors.push((at, error)),
        }
    }
    if errors.is_empty() { Ok(patterns) } else { Err(errors) }
}
