//! A request as it arrives: what the gate reads of it, its URL, and its id.

mod head;
mod url;

pub use head::HeadText;
pub use url::{RequestUrl, UrlError, decode_value, encode_segment};

use core::fmt;

use crate::text::{BASE62, base62};
use crate::time::UnixMillis;

/// What the gate reads of a request, one thing at a time.
pub trait Head {
    /// The method, as sent.
    fn method(&self) -> String;
    /// The URL, as sent.
    fn url(&self) -> String;
    /// A header's value; lines that were repeated are joined by `, `.
    fn header(&self, name: &str) -> Option<String>;
    /// The names of all headers, in lower case.
    fn header_names(&self) -> Vec<String>;
    /// The socket's address, `ip:port`, where the platform tells it.
    fn socket(&self) -> Option<String>;
    /// The TLS version of the connection, such as `TLSv1.2`, where the platform tells it.
    fn tls_version(&self) -> Option<String>;
    /// The caller's country (ISO 3166-1 alpha-2), where the platform tells it.
    fn country(&self) -> Option<String>;
    /// True when a body comes with it.
    fn has_body(&self) -> bool;
}

/// Random bytes of one request: its id, and the trace it may start.
pub type Entropy = [u8; 40];

/// The id of one request: time-ordered, opaque, 19 base62 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

/// Base62 digits for milliseconds: 62^8 ms is the year 8888.
const TIME_DIGITS: usize = 8;
/// Base62 digits of chance behind the time: 65 bits.
const RANDOM_DIGITS: usize = 11;

impl RequestId {
    /// The id of a request that arrived at `now`.
    pub fn new(now: UnixMillis, entropy: &Entropy) -> Self {
        let mut text = base62(now.as_millis(), TIME_DIGITS);
        for byte in entropy.iter().take(RANDOM_DIGITS) {
            // Four of 62 digits are a quarter likelier than the rest: fine for a name.
            let digit = BASE62.get(usize::from(byte % 62)).copied().unwrap_or(b'0');
            text.push(char::from(digit));
        }
        Self(text)
    }

    /// The first id that a request which arrived at `now` could have, in the order of texts.
    pub fn first_of(now: UnixMillis) -> Self {
        let mut text = base62(now.as_millis(), TIME_DIGITS);
        text.extend(core::iter::repeat_n('0', RANDOM_DIGITS));
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
