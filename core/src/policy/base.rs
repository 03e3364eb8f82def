//! The address of an upstream: scheme, host, perhaps a port and a path to put in front.

use super::error::Wrong;
use super::{host, path};

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// TLS.
    Https,
    /// In the clear: outside production only (SPEC section 2).
    Http,
}

impl Scheme {
    /// `https` or `http`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// Where an upstream is reached in one environment. Nothing of a request can change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamBase {
    scheme: Scheme,
    authority: String,
    path_prefix: String,
}

impl UpstreamBase {
    /// Reads `https://billing.example.com:8443/v1`, strictly: what a URL parser would mend, drop
    /// or reinterpret is an error.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err(Wrong::new("must begin with https:// or http://"));
        };
        if let Some(sign) = rest.chars().find(|sign| matches!(sign, '?' | '#')) {
            return Err(Wrong::new(format!("must end with its path: no `{sign}`")));
        }
        let (authority, path_prefix) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (rest, ""),
        };
        if authority.contains('@') {
            let message = "must not hold a user or password: the policy is no place for secrets";
            return Err(Wrong::help(message, "use the upstream's credential, type = \"basic\""));
        }
        let authority = authority_of(scheme, authority)?;
        if let Some(plain) = path_prefix.strip_suffix('/') {
            let plain = format!("{}://{authority}{plain}", scheme.as_str());
            return Err(Wrong::help("must not end with `/`", format!("write {plain:?}")));
        }
        if !path_prefix.is_empty() {
            path::check_literal(path_prefix)?;
        }
        Ok(Self { scheme, authority, path_prefix: path_prefix.to_owned() })
    }

    /// How it is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, and the port unless it is the scheme's own: `billing.example.com:8443`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What is put in front of every path: empty, or `/v1` without a slash at its end.
    pub fn path_prefix(&self) -> &str {
        &self.path_prefix
    }

    /// The origin, for comparing where a redirect goes: `https://billing.example.com:8443`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }
}

/// The authority without a port that goes without saying.
fn authority_of(scheme: Scheme, text: &str) -> Result<String, Wrong> {
    let end_of_host = if text.starts_with('[') {
        text.find(']').and_then(|at| at.checked_add(1)).unwrap_or(text.len())
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (name, rest) = text.split_at_checked(end_of_host).unwrap_or((text, ""));
    host::check(name)?;
    if rest.is_empty() {
        return Ok(name.to_owned());
    }
    match rest.strip_prefix(':').and_then(host::port) {
        Some(port) if port == scheme.default_port() => Ok(name.to_owned()),
        Some(port) => Ok(format!("{name}:{port}")),
        None => Err(Wrong::new(format!("`{rest}` is not a port: from :1 to :65535"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_port_and_prefix() {
        for (text, origin, prefix) in [
            ("https://billing.example.com", "https://billing.example.com", ""),
            ("https://billing.example.com/v1", "https://billing.example.com", "/v1"),
            ("https://billing.example.com:443", "https://billing.example.com", ""),
            ("https://billing.example.com:80", "https://billing.example.com:80", ""),
            ("http://127.0.0.1:9090/a/b", "http://127.0.0.1:9090", "/a/b"),
            ("http://[::1]:9090", "http://[::1]:9090", ""),
            ("http://my_service", "http://my_service", ""),
        ] {
            let base = UpstreamBase::parse(text).unwrap();
            assert_eq!((base.origin().as_str(), base.path_prefix()), (origin, prefix), "{text}");
        }
    }

    #[test]
    fn what_a_url_parser_would_mend_is_refused() {
        for (text, reason) in [
            ("", "empty"),
            ("billing.example.com", "no scheme"),
            ("ftp://billing.example.com", "another scheme"),
            ("HTTPS://billing.example.com", "a scheme in capitals"),
            ("https:/billing.example.com", "one slash"),
            ("https:///v1", "no host"),
            ("https://", "no host"),
            ("https://Billing.example.com", "capitals"),
            ("https://u:p@billing.example.com", "a user"),
            ("https://@billing.example.com", "an empty user"),
            ("https://billing.example.com?x=1", "a query"),
            ("https://billing.example.com/v1?x=1", "a query"),
            ("https://billing.example.com/#a", "a fragment"),
            ("https://billing.example.com:", "an empty port"),
            ("https://billing.example.com:0", "port 0"),
            ("https://billing.example.com:65536", "beyond 16 bits"),
            ("https://billing.example.com:+1", "a sign"),
            ("https://billing.example.com/", "an empty segment"),
            ("https://billing.example.com/v1/", "an empty segment"),
            ("https://billing.example.com//v1", "an empty segment"),
            ("https://billing.example.com/../v1", "a dot segment"),
            ("https://billing.example.com/%2e/v1", "an encoded dot segment"),
            ("https://billing.example.com/a b", "a blank"),
            ("https://billing.example.com\\v1", "a backslash"),
            ("https://127.1", "an old spelling of IPv4"),
            ("https://[::1", "no closing bracket"),
            ("https://bücher.example", "not ASCII"),
            (" https://billing.example.com", "a blank in front"),
        ] {
            assert!(UpstreamBase::parse(text).is_err(), "{text}: {reason}");
        }
    }
}
