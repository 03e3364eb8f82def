//! The leak guard: a net for backends that echo, by accident, the credential they were sent.
//!
//! Scope: header values of an answer, against whole injected values in the spellings that
//! accidents take: raw, base64, base64url, hex, percent-encoded and JSON-escaped. Out of scope: a
//! backend that hides a secret on purpose.

use core::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use percent_encoding::percent_decode_str;

use crate::text::Secret;

/// Shorter values would be found in innocent headers; the policy does not allow them.
pub(crate) const MIN_SECRET: usize = 16;

/// What must not stand in an answer.
#[derive(Clone, Default)]
pub struct LeakGuard(Vec<Secret>);

impl fmt::Debug for LeakGuard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LeakGuard({} spellings)", self.0.len())
    }
}

impl LeakGuard {
    /// Watches for these values. Those under 16 bytes are not watched for.
    pub fn new<'s>(values: impl IntoIterator<Item = &'s Secret>) -> Self {
        let values = values.into_iter().filter(|value| value.expose().len() >= MIN_SECRET);
        Self(values.flat_map(spellings).collect())
    }

    /// True when a header value holds a watched value in any spelling.
    pub fn finds(&self, value: &str) -> bool {
        if self.0.is_empty() || value.len() < MIN_SECRET {
            return false;
        }
        let holds = |text: &str| self.0.iter().any(|needle| text.contains(needle.expose()));
        if holds(value) {
            return true;
        }
        value.contains('%') && holds(&percent_decode_str(value).decode_utf8_lossy())
    }
}

fn spellings(value: &Secret) -> Vec<Secret> {
    let (text, bytes) = (value.expose(), value.expose().as_bytes());
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut spellings = vec![
        text.to_owned(),
        BASE64_NOPAD.encode(bytes),
        BASE64URL_NOPAD.encode(bytes),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
        json.trim_matches('"').to_owned(),
    ];
    // `Basic` credentials: what is behind the scheme is a base64 of its own.
    if let Some((_, credentials)) = text.split_once(' ')
        && let Ok(plain) = BASE64.decode(credentials.as_bytes())
        && let Ok(plain) = String::from_utf8(plain)
    {
        spellings.push(credentials.trim_end_matches('=').to_owned());
        spellings.push(plain);
    }
    spellings.sort_unstable();
    spellings.dedup();
    spellings.into_iter().map(Secret::new).collect()
}
