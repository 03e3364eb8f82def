//! The header, and what it is bound to.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::text::Secret;

/// The longest value, in characters.
const MAX_VALUE: usize = 255;

/// What a caller chose to call its write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A header that is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key has to be 1 to {MAX_VALUE} visible characters, bare or in double quotes")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Reads the header: bare, or as a string in double quotes, in which `\` stands before a quote
    /// and before itself (RFC 9651 section 3.3.3). Both spellings of a value are the same value.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] for anything else.
    pub fn parse(header: &str) -> Result<Self, IdempotencyKeyError> {
        let header = header.trim_matches([' ', '\t']);
        let value = match header.strip_prefix('"') {
            Some(rest) => unquoted(rest).ok_or(IdempotencyKeyError)?,
            None if header.contains('"') => return Err(IdempotencyKeyError),
            None => header.to_owned(),
        };
        let visible = value.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=MAX_VALUE).contains(&value.len()) {
            return Ok(Self(value));
        }
        Err(IdempotencyKeyError)
    }
}

/// What stands between the quotes; `rest` begins after the first one.
fn unquoted(rest: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(value),
            '\\' => value.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => value.push(other),
        }
    }
}

/// A write that carries an `Idempotency-Key`.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'r> {
    /// Who asks: the family of its key, or `root`.
    pub actor: &'r str,
    /// What it calls the write.
    pub key: &'r IdempotencyKey,
    /// The method.
    pub method: &'r str,
    /// The path in its one form.
    pub path: &'r str,
    /// The query as it was sent.
    pub query: &'r str,
    /// The body as it was sent.
    pub body: &'r [u8],
}

impl Ask<'_> {
    /// Under what the keeper knows the attempt. Of what the caller chose it shows nothing.
    pub fn name(&self) -> String {
        digest(&[b"tollgate repeat", self.actor.as_bytes(), self.key.0.as_bytes()])
    }

    /// What has to be the same the second time.
    pub fn fingerprint(&self) -> String {
        let text = [self.method, self.path, self.query].map(str::as_bytes);
        let [method, path, query] = text;
        digest(&[b"tollgate repeated request", method, path, query, self.body])
    }
}

/// The key that an answer is sealed under: made of the caller's own credential, which the gate does
/// not keep, so that the store alone opens nothing; and of the attempt's name, so that an answer
/// that is moved to another attempt does not open. None never happens: HMAC takes any length.
pub fn answer_key(credential: &Secret, name: &str) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(credential.expose().as_bytes()).ok()?;
    mac.update(b"tollgate repeat answer\0");
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// SHA-256 over parts that none of their neighbours can run into: each comes after its length.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    BASE64URL_NOPAD.encode(&hash.finalize())
}
