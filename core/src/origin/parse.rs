//! Reading an entry of an origin list, and finding what its writer meant.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::punycode::is_punycode;
use super::{
    Host, MAX_HOST, OriginPattern, OriginPatternError, Port, PublicSuffixes, is_host_byte,
};

/// Longer than `https://`, the longest host, and a port: nothing beyond this is looked at.
const MAX_TEXT: usize = 300;

/// Schemes that never stand in an `Origin` header, or stand for every file or frame at once.
/// `ftp`, `ws` and `wss` are no places that a page comes from.
const NO_ORIGIN: [&str; 9] =
    ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "ws", "wss"];

const NO_NAMES_BELOW: &str = "an address has no names before it: write the address alone";

/// The reason, and perhaps a text nearer to a pattern; it need not be one yet.
struct Fault {
    reason: &'static str,
    nearer: Option<String>,
}

type Parsed<T> = Result<T, Fault>;

impl Fault {
    fn plain(reason: &'static str) -> Self {
        Self { reason, nearer: None }
    }

    fn nearer(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, nearer: Some(text.into()) }
    }
}

pub(super) fn pattern(
    text: &str,
    suffixes: &dyn PublicSuffixes,
) -> Result<OriginPattern, OriginPatternError> {
    strict(text, suffixes).map_err(|fault| OriginPatternError {
        reason: fault.reason,
        suggestion: fault.nearer.and_then(|text| mended(text, suffixes)),
    })
}

/// Follows the mends until they make a pattern: each takes away one kind of fault.
fn mended(mut text: String, suffixes: &dyn PublicSuffixes) -> Option<String> {
    for _ in 0..8 {
        match strict(&text, suffixes) {
            Ok(_) => return Some(text),
            Err(fault) => text = fault.nearer?,
        }
    }
    None
}

fn strict(text: &str, suffixes: &dyn PublicSuffixes) -> Parsed<OriginPattern> {
    let (scheme, authority) = split(text)?;
    let (host, port) = split_port(text, scheme, authority)?;
    let port = read_port(scheme, host, port)?;
    let app = scheme != "http" && scheme != "https";
    let (host, loopback) = if app {
        (app_host(host, &port)?, false)
    } else {
        web_host(scheme, host, &port, suffixes)?
    };
    if scheme == "http" && !loopback {
        let secure = text.replacen("http", "https", 1);
        return Err(Fault::nearer("http is for loopback hosts only", secure));
    }
    Ok(OriginPattern {
        text: text.to_owned(),
        scheme: format!("{scheme}://"),
        host,
        port,
        loopback,
    })
}

/// The scheme and what follows `://`, once both are free of what no origin has.
fn split(text: &str) -> Parsed<(&str, &str)> {
    if text.len() > MAX_TEXT {
        return Err(Fault::plain("no origin is this long"));
    }
    match text {
        "" => return Err(Fault::plain("an empty text is no origin")),
        "*" => return Err(Fault::plain("`*` is not a pattern here: name the origins")),
        "null" => {
            let reason = "`null` is what every sandboxed frame and local file sends, so it can \
                          not be allowed: serve the page from an origin of its own";
            return Err(Fault::plain(reason));
        }
        _ => {}
    }
    if text.trim() != text {
        return Err(Fault::nearer("no blanks around an origin", text.trim()));
    }
    if !text.is_ascii() {
        let reason = "an origin is ASCII: write the host as browsers send it (xn--…)";
        return Err(Fault::plain(reason));
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        let scheme = ["https:", "http:"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let host = scheme.unwrap_or(text).trim_start_matches('/');
        let reason = "an origin starts with its scheme and ://";
        return Err(Fault::nearer(reason, format!("https://{host}")));
    };
    let mut letters = scheme.bytes();
    if !letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        || !letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        return Err(Fault::plain("an origin starts with its scheme, such as https://"));
    }
    if scheme.bytes().any(|b| b.is_ascii_uppercase()) {
        let lower = format!("{}://{authority}", scheme.to_ascii_lowercase());
        return Err(Fault::nearer("browsers send the scheme in lower case", lower));
    }
    if NO_ORIGIN.contains(&scheme) {
        return Err(Fault::plain("no page has an origin of this scheme: use https"));
    }
    if let Some((before, _)) = authority.split_once(['/', '?', '#', '\\']) {
        let reason = "an origin ends before the path";
        return Err(Fault::nearer(reason, format!("{scheme}://{before}")));
    }
    if let Some((_, after)) = authority.rsplit_once('@') {
        let reason = "an origin names no user";
        return Err(Fault::nearer(reason, format!("{scheme}://{after}")));
    }
    Ok((scheme, authority))
}

/// The host, and what follows its colon where there is one.
fn split_port<'a>(
    text: &str,
    scheme: &str,
    authority: &'a str,
) -> Parsed<(&'a str, Option<&'a str>)> {
    if authority.starts_with('[') {
        let Some((inside, after)) = authority.split_once(']') else {
            return Err(Fault::plain("the bracket of an IPv6 address is not closed"));
        };
        let host = authority.get(..inside.len().saturating_add(1)).unwrap_or_default();
        return match (after, after.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            _ => Err(Fault::plain("only a port may follow an IPv6 address")),
        };
    }
    if authority.contains('[') {
        return Err(Fault::plain(NO_NAMES_BELOW));
    }
    match authority.split_once(':') {
        None => Ok((authority, None)),
        Some((_, rest)) if rest.contains(':') => {
            let whole = format!("{scheme}://[{authority}]");
            Err(Fault::nearer("an IPv6 address stands in brackets", whole))
        }
        Some((_, "")) => {
            let without = text.strip_suffix(':').unwrap_or(text);
            Err(Fault::nearer("a port is missing after the colon", without))
        }
        Some((host, port)) => Ok((host, Some(port))),
    }
}

fn read_port(scheme: &str, host: &str, port: Option<&str>) -> Parsed<Port> {
    let Some(digits) = port else {
        return Ok(Port::Fixed(String::new()));
    };
    if digits == "*" {
        return Ok(Port::Any);
    }
    if default_port(scheme) == Some(digits) {
        let without = format!("{scheme}://{host}");
        return Err(Fault::nearer("browsers omit the default port", without));
    }
    if port_number(digits).is_some() {
        return Ok(Port::Fixed(format!(":{digits}")));
    }
    let short = digits.trim_start_matches('0');
    if short != digits && port_number(short).is_some() {
        let reason = "a port has no leading zeros";
        return Err(Fault::nearer(reason, format!("{scheme}://{host}:{short}")));
    }
    Err(Fault::plain("a port is a number from 1 to 65535, or `*` for any"))
}

/// The port that a scheme implies and that is therefore never sent; the scheme with or without
/// its separator.
pub(super) fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme.strip_suffix("://").unwrap_or(scheme) {
        "https" => Some("443"),
        "http" => Some("80"),
        _ => None,
    }
}

/// A port as it is serialised: 1 to 65535, digits only, no leading zero.
pub(super) fn port_number(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// The host of an application's own scheme, such as `capacitor://localhost` or
/// `chrome-extension://…`. It is an opaque name to a URL parser and keeps its case, so it is
/// compared as written; a family of them has no owner, so there is no wildcard.
fn app_host(host: &str, port: &Port) -> Parsed<Host> {
    if host.contains('*') || *port == Port::Any {
        return Err(Fault::plain("wildcards are for https and loopback origins only"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(plain) {
        return Err(Fault::plain("a host of letters, digits, hyphens and dots is missing"));
    }
    Ok(Host::Exact(host.to_owned()))
}

/// A host of `http` or `https`, and whether it is this machine's own.
fn web_host(
    scheme: &str,
    host: &str,
    port: &Port,
    suffixes: &dyn PublicSuffixes,
) -> Parsed<(Host, bool)> {
    let with = |host: &str| match port {
        Port::Fixed(port) => format!("{scheme}://{host}{port}"),
        Port::Any => format!("{scheme}://{host}:*"),
    };
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        let lower = with(&host.to_ascii_lowercase());
        return Err(Fault::nearer("browsers send the host in lower case", lower));
    }
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address = ipv6(inside, &with)?;
        return Ok((Host::Exact(host.to_owned()), address.to_canonical().is_loopback()));
    }
    if host.ends_with('.') {
        let reason = "a host with a final dot is another host to browsers";
        return Err(Fault::nearer(reason, with(host.trim_end_matches('.'))));
    }
    if host.is_empty() || host == "*" {
        return Err(Fault::plain("the host is missing: name a domain of your own"));
    }
    let base = host.strip_prefix("*.").unwrap_or(host);
    if base.contains('*') {
        let reason = "`*` stands for the first labels only, as in https://*.example.com";
        let one = format!("*.{}", base.trim_start_matches(['*', '.']));
        return Err(Fault::nearer(reason, with(&one)));
    }
    if base.split('.').next_back().is_some_and(is_number) {
        ipv4(base)?;
        if base != host {
            return Err(Fault::plain(NO_NAMES_BELOW));
        }
        return Ok((Host::Exact(host.to_owned()), base.starts_with("127.")));
    }
    domain(base)?;
    let loopback = base == "localhost" || base.ends_with(".localhost");
    if base == host {
        return Ok((Host::Exact(host.to_owned()), loopback));
    }
    // Every name below localhost is the user's own machine, whoever asks.
    if !loopback && suffixes.is_public_suffix(base) {
        let reason = "anyone can own a name below this public suffix: name a domain of your own";
        return Err(Fault::plain(reason));
    }
    Ok((Host::Below(format!(".{base}")), loopback))
}

/// The host of a URL is an IPv4 address or nothing when its last label is a number (WHATWG URL,
/// "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal =
        label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || (!label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()))
}

fn ipv4(host: &str) -> Parsed<Ipv4Addr> {
    let reason = "browsers send an IPv4 address as four decimal numbers without leading zeros";
    host.parse().map_err(|_| Fault::plain(reason))
}

fn ipv6(inside: &str, with: &dyn Fn(&str) -> String) -> Parsed<Ipv6Addr> {
    if inside.contains('%') {
        return Err(Fault::plain("an origin has no zone (`%…`)"));
    }
    let address: Ipv6Addr = inside.parse().map_err(|_| Fault::plain("this is no IPv6 address"))?;
    let canonical = serialised(address);
    if canonical == inside {
        return Ok(address);
    }
    let reason = "browsers send an IPv6 address in its shortest form";
    Err(Fault::nearer(reason, with(&format!("[{canonical}]"))))
}

/// RFC 5952 as Fetch has it: also a mapped address is written in hexadecimal.
fn serialised(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

fn domain(host: &str) -> Parsed<()> {
    if host.len() > MAX_HOST {
        return Err(Fault::plain("no host name is longer than 253 bytes"));
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err(Fault::plain("a host has no empty labels"));
        }
        if label.len() > 63 {
            return Err(Fault::plain("no label of a host is longer than 63 bytes"));
        }
        if !label.bytes().all(is_host_byte) {
            return Err(Fault::plain("a host is made of letters, digits, hyphens and dots"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Fault::plain("no label of a host starts or ends with a hyphen"));
        }
        if label.strip_prefix("xn--").is_some_and(|rest| !is_punycode(rest)) {
            return Err(Fault::plain("this label starts with xn-- but encodes no name"));
        }
    }
    Ok(())
}
