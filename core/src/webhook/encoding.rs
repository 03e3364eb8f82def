//! Signatures and secrets as bytes.

use core::fmt;

use data_encoding::{
    BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE,
};

use crate::text::Secret;

use super::MAX_SECRETS;
use super::scheme::{Encoding, KeyForm, Scheme};

/// What stands before the base64 of a Standard Webhooks secret.
const WHSEC: &str = "whsec_";

/// The fewest bytes of a key that is not to be guessed.
pub const SHORT_KEY: usize = 16;

/// A signature as bytes, if it is one of `len` bytes in this encoding.
pub(super) fn decode(encoding: Encoding, text: &str, len: usize) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let bytes = match encoding {
        Encoding::Hex => HEXLOWER.decode(text),
        Encoding::HexAnyCase => HEXLOWER_PERMISSIVE.decode(text),
        Encoding::Base64 => BASE64.decode(text),
        Encoding::Base64Url => BASE64URL.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text)),
    };
    bytes.ok().filter(|bytes| bytes.len() == len)
}

/// A signature as text.
pub(super) fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex | Encoding::HexAnyCase => HEXLOWER.encode(bytes),
        Encoding::Base64 => BASE64.encode(bytes),
        Encoding::Base64Url => BASE64URL.encode(bytes),
    }
}

/// Bytes as base64, for showing what is no text.
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes as hex.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes of a text of hex in either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// The keys of a source, in the order of its secrets.
#[derive(Clone)]
pub struct Keys(Vec<Vec<u8>>);

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keys({})", self.0.len())
    }
}

/// Why a list of secrets makes no keys. Never tells any of their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No secret at all.
    #[error("there is no secret")]
    None,
    /// More than may be tried.
    #[error("there are more than {MAX_SECRETS} secrets")]
    TooMany,
    /// An HMAC under an empty key is one that anybody can make.
    #[error("secret {0} is empty")]
    Empty(usize),
    /// HMAC fills a short key up with zero bytes: a key of nothing else is the empty one.
    #[error("secret {0} is nothing but zero bytes, which is the same as empty")]
    Zero(usize),
    /// Not in the form of the scheme.
    #[error("secret {at} is not {wanted}")]
    Form {
        /// Which one, from 1 on.
        at: usize,
        /// What it would have to be.
        wanted: &'static str,
    },
}

impl Keys {
    /// Reads the secrets of a scheme. An empty one is an error, in whatever spelling.
    pub fn read(scheme: &Scheme<'_>, secrets: &[Secret]) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            return Err(KeyError::None);
        }
        if secrets.len() > MAX_SECRETS {
            return Err(KeyError::TooMany);
        }
        let each = secrets.iter().enumerate();
        let keys = each.map(|(at, secret)| key(scheme.key, secret, at.saturating_add(1)));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The places of those that are shorter than [`SHORT_KEY`], counted from 1. A text is none of
    /// them: it is as the provider, or its user, made it up.
    pub fn short(&self, scheme: &Scheme<'_>) -> Vec<usize> {
        if scheme.key == KeyForm::Text {
            return Vec::new();
        }
        let short = (1..).zip(&self.0).filter(|(_, key)| key.len() < SHORT_KEY);
        short.map(|(at, _)| at).collect()
    }

    /// The keys as bytes, in the order of the secrets.
    pub(super) fn all(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// The key in a secret.
pub(super) fn key(form: KeyForm, secret: &Secret, at: usize) -> Result<Vec<u8>, KeyError> {
    let text = secret.expose();
    if text.trim().is_empty() {
        return Err(KeyError::Empty(at));
    }
    let wrong = |wanted| KeyError::Form { at, wanted };
    let base64 = |text: &str| {
        let text = text.as_bytes();
        BASE64.decode(text).or_else(|_| BASE64_NOPAD.decode(text)).ok()
    };
    let key = match form {
        KeyForm::Text => text.as_bytes().to_vec(),
        KeyForm::Whsec => base64(text.strip_prefix(WHSEC).unwrap_or(text))
            .ok_or_else(|| wrong("base64, with or without `whsec_` before it"))?,
        KeyForm::Base64 => base64(text).ok_or_else(|| wrong("base64"))?,
        KeyForm::Hex => unhex(text).ok_or_else(|| wrong("hex"))?,
        KeyForm::PublicKey => unhex(text)
            .filter(|key| key.len() == 32)
            .ok_or_else(|| wrong("the hex of an Ed25519 key, 64 digits"))?,
    };
    match key.iter().all(|byte| *byte == 0) {
        _ if key.is_empty() => Err(KeyError::Empty(at)),
        true => Err(KeyError::Zero(at)),
        false => Ok(key),
    }
}
