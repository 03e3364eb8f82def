//! Where events may be sent (SPEC section 7): to a server on the public internet, and nowhere near
//! the gate.
//!
//! A text is read strictly: what a URL parser would mend, decode or reinterpret is refused, so that
//! what was checked here is what is fetched. This is the first of two walls. A public name may lead
//! to a private address, today or later; the platform's egress is what refuses that.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::address::Cidr;

#[cfg(test)]
#[rustfmt::skip] // a row of a table stays on its line
mod tests;

/// The longest URL, in bytes.
pub const MAX_URL: usize = 2_048;
/// The longest host name in bytes (RFC 1035 section 2.3.4, without the final dot).
const MAX_HOST: usize = 253;
/// The longest label in bytes (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// IPv4 networks that are not the public internet: IANA's special-purpose registry, multicast, and
/// the one public address behind which a cloud keeps its metadata.
const NOT_PUBLIC_V4: [&str; 17] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];
/// The only part of IPv6 that is handed out for the public internet. Loopback, mapped and
/// translated IPv4 (`::ffff:0:0/96`, `64:ff9b::/96`), unique local, link-local and multicast
/// addresses lie outside it.
const PUBLIC_V6: &str = "2000::/3";
/// Networks inside [`PUBLIC_V6`] that are something else: protocol assignments with Teredo,
/// documentation, 6to4, and sinks for reverse look-ups.
const NOT_PUBLIC_V6: [&str; 6] = [
    "2001::/23",
    "2001:db8::/32",
    "2001:4:112::/48",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];
/// Names, and all names below them, that no public server has: special use (RFC 6761, 6762, 7686,
/// 8375, 9476), private use (ICANN's `internal`, and what networks at home and at work use), and
/// names of metadata services.
const NOT_PUBLIC_NAMES: [&str; 19] = [
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "metadata.goog",
    "onion",
    "private",
    "svc",
    "test",
    "workgroup",
];

/// A URL that events may be sent to. As JSON it is its text; whoever reads it back from storage has
/// written it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Destination(String);

/// Where the gate itself stands.
#[derive(Clone, Copy, Debug)]
pub struct Home<'h> {
    /// The hosts that it serves, in lower case and without ports: no event goes to one of them.
    pub hosts: &'h [&'h str],
    /// It is in production: nothing on this machine, and nothing in the clear.
    pub production: bool,
}

/// Why a URL is no destination. Its Display says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum DestinationError {
    #[error("has to be a URL such as https://hooks.example.com/tollgate, in at most 2048 bytes")]
    Form,
    #[error("has to begin with https://")]
    Scheme,
    #[error("has a character that is not plain ASCII: write it percent-encoded, a host as xn--…")]
    Character,
    #[error("has a user or a password: events are signed, so that no credential is needed")]
    Userinfo,
    #[error("has a fragment, which no server would get")]
    Fragment,
    #[error("has another port than 443")]
    Port,
    #[error("has no host in its one plain spelling")]
    Host,
    #[error("is not on the public internet")]
    NotPublic,
    #[error("is the gate itself")]
    Gate,
}

impl Destination {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`DestinationError`] for one that events may not be sent to.
    pub fn parse(text: &str, home: Home<'_>) -> Result<Self, DestinationError> {
        if text.is_empty() || text.len() > MAX_URL {
            return Err(DestinationError::Form);
        }
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(DestinationError::Scheme),
        };
        if !text.bytes().all(is_plain) {
            return Err(DestinationError::Character);
        }
        if text.contains('#') {
            return Err(DestinationError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(DestinationError::Userinfo);
        }
        let (host, port) = host_and_port(authority)?;
        let host = host.to_ascii_lowercase();
        let place = place(&host)?;
        if !home.production && place == Place::Loopback {
            let scheme = if https { "https" } else { "http" };
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            return Ok(Self(format!("{scheme}://{host}{port}{path}")));
        }
        if !https {
            return Err(DestinationError::Scheme);
        }
        if port.is_some_and(|port| port != 443) {
            return Err(DestinationError::Port);
        }
        if home.hosts.contains(&host.as_str()) {
            return Err(DestinationError::Gate);
        }
        match place {
            Place::Public => Ok(Self(format!("https://{host}{path}"))),
            Place::Loopback | Place::Elsewhere => Err(DestinationError::NotPublic),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Loopback,
    Elsewhere,
}

/// Visible ASCII that URL parsers leave as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte)
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), DestinationError> {
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']').and_then(|at| at.checked_add(2)),
        None => Some(authority.find(':').unwrap_or(authority.len())),
    };
    let split = end.and_then(|end| authority.split_at_checked(end));
    let (host, rest) = split.ok_or(DestinationError::Host)?;
    if rest.is_empty() {
        return Ok((host, None));
    }
    let digits = rest.strip_prefix(':').ok_or(DestinationError::Host)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().ok().filter(|_| plain).ok_or(DestinationError::Port)?;
    Ok((host, Some(port)))
}

/// Where a host in lower case is: an address in its one spelling, or a name.
fn place(host: &str) -> Result<Place, DestinationError> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or(DestinationError::Host)?;
        let address: Ipv6Addr = inside.parse().map_err(|_| DestinationError::Host)?;
        return Ok(place_v6(address));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(place_v4(address));
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    // URL parsers take a name whose last label is a number for an IPv4 address (WHATWG URL section
    // 3.5, "ends in a number"), in any of its old spellings.
    let numeric = last.starts_with(|first: char| first.is_ascii_digit())
        && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    if host.len() > MAX_HOST || numeric || !labels.iter().all(|label| is_label(label)) {
        return Err(DestinationError::Host);
    }
    Ok(if host == "localhost" || host.ends_with(".localhost") {
        Place::Loopback
    } else if labels.len() < 2 || NOT_PUBLIC_NAMES.iter().any(|name| is_below(host, name)) {
        Place::Elsewhere
    } else {
        Place::Public
    })
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_label(label: &str) -> bool {
    let of_a_label =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(of_a_label)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn place_v4(address: Ipv4Addr) -> Place {
    if address.is_loopback() {
        Place::Loopback
    } else if lies_in(IpAddr::V4(address), &NOT_PUBLIC_V4) {
        Place::Elsewhere
    } else {
        Place::Public
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    // An IPv4 address inside IPv6 is not looked at: nobody who means well writes one.
    if address.to_ipv4_mapped().is_some() {
        return Place::Elsewhere;
    }
    let address = IpAddr::V6(address);
    if address.is_loopback() {
        Place::Loopback
    } else if lies_in(address, &[PUBLIC_V6]) && !lies_in(address, &NOT_PUBLIC_V6) {
        Place::Public
    } else {
        Place::Elsewhere
    }
}

/// A network that could not be read would contain everything; a test reads them all.
fn lies_in(address: IpAddr, networks: &[&str]) -> bool {
    networks.iter().any(|text| Cidr::parse(text).map_or(true, |network| network.contains(address)))
}
