//! Client addresses: reading them, networks they lie in, and where a client's address stands.
//!
//! Everything fails closed: a text that is not exactly one address is no address, and no address
//! lies in a list that names any. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is the IPv4
//! address, in a rule as well as in a request, so that no spelling slips past a list.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

#[cfg(test)]
#[rustfmt::skip] // a row of a table stays on its line
mod tests;

/// The address itself: an IPv4-mapped IPv6 address becomes the IPv4 address it means.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Reads one address, strictly: no blanks, port, brackets, zone, leading zeros or short forms.
/// The answer is [`canonical`].
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(canonical)
}

/// A network: all addresses that share its first bits. As JSON it is its text.
///
/// A network of IPv4 contains no IPv6 address and the other way round, even `::/0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    /// Canonical, and no bit set after the prefix.
    network: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    prefix: u8,
}

/// Why a text is no network. Its Display says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// What stands before the slash is no address.
    #[error("this is no address: write 192.0.2.0/24, 2001:db8::/32, or one address")]
    Address,
    /// What stands after the slash is no number of bits of such an address.
    #[error("what follows the slash is a number from 0 to {0} without leading zeros")]
    Prefix(u8),
    /// Bits are set that the prefix does not cover: the writer meant one of two things.
    #[error(
        "bits are set beyond the prefix: write {network} for the network or {address} for one address"
    )]
    HostBits {
        /// The network that the address lies in.
        network: Cidr,
        /// The address alone.
        address: Cidr,
    },
}

impl Cidr {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or one address, which means that address alone.
    ///
    /// `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
    ///
    /// # Errors
    /// [`CidrError`] for anything else; a mask, a range or a glob too.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let bits = width(written);
        let prefix = match prefix {
            Some(digits) => short_number(digits)
                .filter(|prefix| *prefix <= bits)
                .ok_or(CidrError::Prefix(bits))?,
            None => bits,
        };
        let network = masked(written, prefix);
        if network != written {
            let (network, address) = (Self::made(network, prefix), Self::made(written, bits));
            return Err(CidrError::HostBits { network, address });
        }
        Ok(Self::made(written, prefix))
    }

    /// True when `address` lies in this network; both as [`canonical`] addresses.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.prefix) == self.network
    }

    /// A mapped network has at least 96 bits: with fewer, bits of `ffff` stand beyond the prefix.
    fn made(network: IpAddr, prefix: u8) -> Self {
        match canonical(network) {
            short @ IpAddr::V4(_) if network.is_ipv6() => {
                Self { network: short, prefix: prefix.saturating_sub(96) }
            }
            same => Self { network: same, prefix },
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Cidr> for String {
    fn from(network: Cidr) -> Self {
        network.to_string()
    }
}

/// The bits of an address as written.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with every bit after `prefix` cleared; a prefix of the full width or more keeps all.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let rest = u32::from(width(address).saturating_sub(prefix));
    // A shift by the full width is none in Rust; the network of no bits is 0.
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// A number of one to three digits without a sign or a leading zero.
fn short_number(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let leading = digits.len() > 1 && digits.starts_with('0');
    if plain && !leading { digits.parse().ok() } else { None }
}

/// An address list: of a key, of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cidrs(pub Vec<Cidr>);

impl Cidrs {
    /// True when the list is empty, which means every address, or when `address` lies in one of
    /// its networks. An address that could not be read (None) lies in none (SPEC section 3).
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        self.0.is_empty()
            || address.is_some_and(|address| self.0.iter().any(|cidr| cidr.contains(address)))
    }
}

/// Where the client's address stands (SPEC section 2, `gate.client_ip`). As JSON it is its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClientIpSource {
    /// `cf-connecting-ip`: the header that Cloudflare sets. Elsewhere a client can write it.
    CfConnectingIp,
    /// `x-forwarded-for:N`: behind N proxies of one's own, each of which appends the address that
    /// it was called from. The N-th entry from the right is then the client's, as the outermost
    /// of them saw it; all further left is what the client wrote.
    XForwardedFor {
        /// How many proxies append an entry, 1 to 255.
        trusted_hops: u8,
    },
    /// `socket`: the other end of the connection.
    Socket,
}

/// The text names no place of a client's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write cf-connecting-ip, socket, or x-forwarded-for:1 with the number of proxies of your own"
)]
pub struct ClientIpSourceError;

impl ClientIpSource {
    /// The client's address, None when it is missing or not readable.
    ///
    /// `header` gives the value of a header by its lower-case name, several lines joined by
    /// commas; `socket` is the other end as `192.0.2.1:443` or `[2001:db8::1]:443`.
    pub fn read(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        socket: Option<&str>,
    ) -> Option<IpAddr> {
        match self {
            Self::CfConnectingIp => parse_address(&header("cf-connecting-ip")?),
            Self::XForwardedFor { trusted_hops } => {
                let list = header("x-forwarded-for")?;
                let from_the_right = usize::from(trusted_hops.checked_sub(1)?);
                let entry = list.rsplit(',').nth(from_the_right)?.trim_matches([' ', '\t']);
                parse_address(entry).or_else(|| socket_address(entry))
            }
            Self::Socket => socket_address(socket?),
        }
    }
}

/// The address of `192.0.2.1:443` or `[2001:db8::1]:443`; a zone has no meaning here.
fn socket_address(text: &str) -> Option<IpAddr> {
    let socket: SocketAddr = text.parse().ok().filter(|_| !text.contains('%'))?;
    Some(canonical(socket.ip()))
}

impl FromStr for ClientIpSource {
    type Err = ClientIpSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cf-connecting-ip" => Ok(Self::CfConnectingIp),
            "socket" => Ok(Self::Socket),
            _ => {
                let hops = text.strip_prefix("x-forwarded-for:").and_then(short_number);
                let trusted_hops = hops.filter(|hops| *hops > 0).ok_or(ClientIpSourceError)?;
                Ok(Self::XForwardedFor { trusted_hops })
            }
        }
    }
}

impl fmt::Display for ClientIpSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CfConnectingIp => out.write_str("cf-connecting-ip"),
            Self::XForwardedFor { trusted_hops } => write!(out, "x-forwarded-for:{trusted_hops}"),
            Self::Socket => out.write_str("socket"),
        }
    }
}

impl TryFrom<String> for ClientIpSource {
    type Error = ClientIpSourceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClientIpSource> for String {
    fn from(source: ClientIpSource) -> Self {
        source.to_string()
    }
}

/// The name under which failures of a client are counted (SPEC section 1): an IPv4 address whole,
/// of IPv6 the /64, because one subscriber owns all of it, and `unreadable` for all others.
pub fn failure_block(address: Option<IpAddr>) -> String {
    match address.map(canonical) {
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(v6 @ IpAddr::V6(_)) => format!("{}/64", masked(v6, 64)),
        None => "unreadable".to_owned(),
    }
}
