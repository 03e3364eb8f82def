//! The URL of a request, in the one form that is matched, logged and forwarded.
//!
//! URL parsers disagree on dot segments, backslashes and encoded slashes, and a gate that matches
//! one reading and forwards another is no gate. So such paths are refused, and every other path is
//! brought into one spelling: each segment decoded once and encoded again (SPEC section 1, step 3).

use core::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// A request's URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestUrl {
    /// True for `https`.
    pub secure: bool,
    /// Host, and port where one was sent.
    pub authority: String,
    /// The path: in its one form once it is [`Self::normalised`].
    pub path: String,
    /// What stands behind `?`, as sent.
    pub query: Option<String>,
}

/// Why a URL is refused; always `malformed_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not `http(s)://host/...`.
    #[error("the URL has no plain http or https address")]
    Address,
    /// `.` or `..`, plain or encoded.
    #[error("the path has a dot segment or an encoded dot")]
    Dot,
    /// `//`.
    #[error("the path has an empty segment")]
    Empty,
    /// `\`, plain or encoded.
    #[error("the path has a backslash")]
    Backslash,
    /// `%2F`.
    #[error("the path has an encoded slash")]
    Slash,
    /// `%` without two hex digits, or bytes that are no UTF-8, or an encoded control character.
    #[error("the path has broken percent-encoding")]
    Encoding,
}

/// What a segment does not need to encode is `pchar` of RFC 3986; everything else is encoded.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl RequestUrl {
    /// Takes an absolute URL apart and brings its path into the one form.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        Self::split(url)?.normalised()
    }

    /// Takes an absolute URL apart; the path stays as it was sent.
    pub fn split(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Address)?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Address),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).ok_or(UrlError::Address)?;
        if authority.is_empty() || authority.contains('@') {
            return Err(UrlError::Address);
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let authority = authority.to_ascii_lowercase();
        Ok(Self { secure, authority, path: path.to_owned(), query })
    }

    /// The same with its path in the one form.
    pub fn normalised(self) -> Result<Self, UrlError> {
        Ok(Self { path: one_form(&self.path)?, ..self })
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        let end = self.authority.rfind(']').map_or(0, |at| at.saturating_add(1));
        let port = self.authority.get(end..).and_then(|rest| rest.find(':'));
        let cut = port.map_or(self.authority.len(), |at| end.saturating_add(at));
        self.authority.get(..cut).unwrap_or(&self.authority)
    }

    /// The address of this gate as the caller wrote it: `https://api.example.com`.
    pub fn base(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// True for a host that can only be this very machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host == "[::1]"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for RequestUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.base(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(out, "?{query}"))
    }
}

/// A path value decoded once; None for broken encoding or bytes that are no text.
pub fn decode_value(raw: &str) -> Option<String> {
    check_encoding(raw).ok()?;
    percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A value as one segment of a path.
pub fn encode_segment(value: &str) -> String {
    utf8_percent_encode(value, SEGMENT).to_string()
}

/// The one spelling of a path, or why it has none.
fn one_form(path: &str) -> Result<String, UrlError> {
    if path.is_empty() || path == "/" {
        return Ok("/".to_owned());
    }
    let path = path.strip_prefix('/').ok_or(UrlError::Backslash)?;
    let mut whole = String::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        // An empty last segment is a trailing slash, which is a path of its own.
        if segment.is_empty() && segments.peek().is_some() {
            return Err(UrlError::Empty);
        }
        whole.push('/');
        whole.push_str(&one_segment(segment)?);
    }
    Ok(whole)
}

fn one_segment(raw: &str) -> Result<String, UrlError> {
    if raw.contains('\\') {
        return Err(UrlError::Backslash);
    }
    check_encoding(raw)?;
    for (encoded, error) in
        [("%2e", UrlError::Dot), ("%2f", UrlError::Slash), ("%5c", UrlError::Backslash)]
    {
        if raw.contains('%') && raw.to_ascii_lowercase().contains(encoded) {
            return Err(error);
        }
    }
    // Some servers cut path parameters off first: `..;x` is `..` to them.
    if matches!(raw.split(';').next(), Some("." | "..")) {
        return Err(UrlError::Dot);
    }
    let value = percent_decode_str(raw).decode_utf8().map_err(|_| UrlError::Encoding)?;
    if value.chars().any(char::is_control) {
        return Err(UrlError::Encoding);
    }
    Ok(encode_segment(&value))
}

/// Every `%` is followed by two hex digits.
fn check_encoding(raw: &str) -> Result<(), UrlError> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_hexdigit());
            if !(hex(bytes.next()) && hex(bytes.next())) {
                return Err(UrlError::Encoding);
            }
        }
    }
    Ok(())
}
