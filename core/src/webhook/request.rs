//! A webhook as it arrived.

use super::failure::{Failure, Part};

/// The longest value of a header that is looked into.
const MAX_HEADER: usize = 8 * 1024;

/// A webhook as it arrived: bytes are looked at as they were sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The method, as sent.
    pub method: &'r str,
    /// The URL that the sender was given, with the query of this request: the configured one, never
    /// made from `Host` or `X-Forwarded-*`. Empty where no scheme needs it.
    pub url: &'r str,
    /// Names and values in the order they came.
    pub headers: &'r [(String, String)],
    /// The body, byte by byte.
    pub body: &'r [u8],
}

impl<'r> Request<'r> {
    /// All values of a header, in their order, without the blanks around them.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'r str> {
        let named = move |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value.trim_matches([' ', '\t']))
    }

    /// The value of a header that may stand in a request once. An empty one is none.
    pub(super) fn only(&self, name: &str) -> Result<Option<&'r str>, Failure> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Failure::malformed(Part::Signature, "stands in the request twice"));
        }
        match first {
            Some(value) if value.len() > MAX_HEADER => {
                Err(Failure::malformed(Part::Signature, "is longer than 8 KiB"))
            }
            Some("") | None => Ok(None),
            value => Ok(value),
        }
    }

    /// All lines of a header as one list (RFC 9110 section 5.2).
    pub(super) fn joined(&self, name: &str) -> Result<Option<String>, Failure> {
        let values: Vec<&str> = self.all(name).collect();
        if values.is_empty() {
            return Ok(None);
        }
        let joined = values.join(", ");
        if joined.len() > MAX_HEADER {
            return Err(Failure::malformed(Part::Header, "is longer than 8 KiB"));
        }
        Ok(Some(joined))
    }

    /// The query of the public URL.
    pub(super) fn query(&self) -> Option<&'r str> {
        let url = self.url.split_once('#').map_or(self.url, |(before, _)| before);
        url.split_once('?').map(|(_, query)| query)
    }

    /// True for a body that says it is a form.
    pub(super) fn is_form(&self) -> bool {
        self.all("content-type").any(|value| {
            let media = value.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
            media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
    }
}
