//! Host names and ports as a policy writes them: strict, lower case, one spelling each.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::Wrong;

/// The longest host name in bytes (RFC 1035 section 2.3.4, without the final dot).
const MAX_HOST: usize = 253;
/// The longest label in bytes (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host name in lower case, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn check(text: &str) -> Result<(), Wrong> {
    if !text.is_ascii() {
        return Err(Wrong::help(format!("{text:?} is not ASCII"), "write it as xn--…"));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Err(Wrong::help("hosts are written in lower case", format!("write {lower:?}")));
    }
    let wrong = || Err(Wrong::new(format!("{text:?} is not a host name")));
    if let Some(inside) = text.strip_prefix('[') {
        let inside = inside.strip_suffix(']').unwrap_or_default();
        return if inside.parse::<Ipv6Addr>().is_ok() { Ok(()) } else { wrong() };
    }
    if text.len() > MAX_HOST || !text.split('.').all(is_label) {
        return wrong();
    }
    // URL parsers take a name whose last label is a number for an IPv4 address (WHATWG URL
    // section 3.5, "ends in a number"), in any of its old spellings.
    let last = text.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|first: char| first.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    if numeric && text.parse::<Ipv4Addr>().is_err() { wrong() } else { Ok(()) }
}

fn is_label(label: &str) -> bool {
    let of_a_label = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(of_a_label)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A port from 1 to 65535 without a sign or leading zeros.
pub(super) fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// The host of a `Host` header or of a URL's authority: without its port, in lower case.
/// None when what stands there is neither.
pub(super) fn of_authority(text: &str) -> Option<String> {
    let end = match text.strip_prefix('[') {
        Some(inside) => inside.find(']')?.checked_add(2)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(end)?;
    let port_fits =
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|rest| port(rest).is_some());
    (port_fits && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// True for this machine: `localhost` and names below it (RFC 6761 section 6.3), 127.0.0.0/8 and
/// `[::1]`. `host` is in lower case, without a port.
pub(super) fn is_loopback(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || inside.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok_and(|at| at.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_spelling() {
        for good in [
            "api.example.com",
            "localhost",
            "gate.localhost",
            "xn--bcher-kva.example",
            "under_score.internal",
            "127.0.0.1",
            "[::1]",
            "a1.2b",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("", "empty"),
            ("API.example.com", "capitals"),
            ("api.example.com.", "a final dot"),
            ("api..example.com", "an empty label"),
            ("-api.example.com", "a hyphen first"),
            ("api-.example.com", "a hyphen last"),
            ("bücher.example", "not ASCII"),
            ("*.example.com", "a wildcard"),
            ("api.example.com:8443", "a port"),
            ("https://api.example.com", "a scheme"),
            ("127.1", "an old spelling of IPv4"),
            ("127.0.0.01", "a leading zero"),
            ("1.2.3.0x7f", "hexadecimal"),
            ("256.0.0.1", "beyond a byte"),
            ("[::1", "no closing bracket"),
            ("[fe80::1%eth0]", "a zone"),
            ("::1", "no brackets"),
        ] {
            assert!(check(bad).is_err(), "{bad}: {reason}");
        }
    }

    #[test]
    fn the_host_of_an_authority_loses_its_port_and_its_case() {
        for (text, host) in [
            ("API.example.com", Some("api.example.com")),
            ("api.example.com:8443", Some("api.example.com")),
            ("[::1]:8787", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a:b", None),
            ("a:", None),
            ("a:080", None),
            ("[::1]x", None),
            ("[::1", None),
        ] {
            assert_eq!(of_authority(text).as_deref(), host, "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (host, loopback) in [
            ("localhost", true),
            ("a.b.localhost", true),
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("[::1]", true),
            ("notlocalhost", false),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("[::2]", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
