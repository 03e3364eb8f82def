//! Keys: their text, their secrets at rest, and the record that says what a key may do.
//!
//! `{brand}_{env}_{kind}_{id}_{secret}{check}` (SPEC section 3), for instance
//! `tg_prod_pk_…`. Letters, digits and underscores only, so that a double click selects it.

mod digest;
mod present;
mod record;
mod store;
mod token;

pub use digest::{Digest, IdSecret, Peppers, PeppersError};
pub use present::{Presented, PresentedError};
pub use record::{Deprecated, KeyRecord, KeyState};
pub use store::{NONCE_BYTES, Sealed, StoreKeys, StoreKeysError};
pub use token::{Claims, MAX_TOKEN, TOKEN_KIND, TOKEN_LIFE, TOKEN_RANDOM, Token};

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::text::{Secret, base62, is_base62};

/// Random base62 characters at the front of an id.
pub const ID_RANDOM: usize = 10;
/// Base62 characters of the HMAC that proves that the gate made the id.
pub const ID_TAG: usize = 6;
/// Base62 characters of a secret: 32 * log2(62) = 190 bits.
pub const SECRET_CHARS: usize = 32;
/// Base62 characters of the CRC-32: 62^6 > 2^32.
pub const CHECK_CHARS: usize = 6;

/// What stands in place of the kind in the token of a session, which has the form of a key.
pub const SESSION_KIND: &str = "ss";
/// What stands in place of the kind in everything that is found like a key.
const SHAPED_LIKE_KEYS: [&str; 6] = ["pk", "sk", "rk", "ak", TOKEN_KIND, SESSION_KIND];

/// Which side of the wall a key is for. An environment whose name is not `production` is `dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEnvironment {
    /// Every environment but production.
    Dev,
    /// The environment named `production`.
    Prod,
}

impl KeyEnvironment {
    /// The side that an environment of this name is on.
    pub fn of(environment: &str) -> Self {
        if environment == "production" { Self::Prod } else { Self::Dev }
    }

    /// `dev` or `prod`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Prod => "prod",
        }
    }

    /// The side with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dev, Self::Prod].into_iter().find(|side| side.as_str() == text)
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Publishable: in pages, bound to origins.
    Pk,
    /// Secret: on servers.
    Sk,
    /// Restricted: on servers, every scope names one resource.
    Rk,
    /// Admin: for the management API alone.
    Ak,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Pk, Self::Sk, Self::Rk, Self::Ak];

    /// `pk`, `sk`, `rk` or `ak`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pk => "pk",
            Self::Sk => "sk",
            Self::Rk => "rk",
            Self::Ak => "ak",
        }
    }

    /// The kind with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The public name of a key: 16 base62 characters. Used in logs, URLs and as an object's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

/// A text is not a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 16 letters and digits")]
pub struct KeyIdError;

impl KeyId {
    /// Reads an id; whether the gate made it is another question ([`IdSecret::made`]).
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        let fits = text.len() == ID_RANDOM.saturating_add(ID_TAG) && is_base62(text);
        if fits { Ok(Self(text.to_owned())) } else { Err(KeyIdError) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;
    fn try_from(text: String) -> Result<Self, KeyIdError> {
        Self::parse(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// The words before the id, which say where a key belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix {
    /// First part of every key of a gate: a lower-case letter, then letters and digits.
    pub brand: String,
    /// Which side of the wall.
    pub environment: KeyEnvironment,
    /// What it is for.
    pub kind: KeyKind,
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}_{}_{}", self.brand, self.environment.as_str(), self.kind.as_str())
    }
}

/// A whole key whose check agrees: it was copied right, which says nothing about its being valid.
#[derive(Clone, Debug)]
pub struct Key {
    /// Brand, environment and kind.
    pub prefix: KeyPrefix,
    /// The public id.
    pub id: KeyId,
    /// The 32 secret characters.
    pub secret: Secret,
}

/// Why a text is no key. All of them are `key_invalid` on the wire; `tollgate key inspect` tells
/// them apart, offline, to somebody who holds the text anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not `brand_env_kind_id_secretcheck`.
    #[error("it does not have the form brand_env_kind_id_secret")]
    Form,
    /// Another brand than this gate's.
    #[error("its first part is not the brand of this gate")]
    Brand,
    /// The last six characters do not fit the rest.
    #[error("its checksum does not fit: a character is missing, added or changed")]
    Check,
}

impl Key {
    /// Reads a key's text. Looks at nothing but the text.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let (prefix, id, rest) = split(text).ok_or(KeyTextError::Form)?;
        let (secret, check) = rest.split_at_checked(SECRET_CHARS).ok_or(KeyTextError::Form)?;
        let body = text.strip_suffix(check).ok_or(KeyTextError::Form)?;
        if check != checksum(body) {
            return Err(KeyTextError::Check);
        }
        Ok(Self { prefix, id, secret: Secret::new(secret) })
    }

    /// A new key of this prefix from fresh random base62 characters.
    pub fn assemble(prefix: KeyPrefix, id: KeyId, secret: Secret) -> Self {
        Self { prefix, id, secret }
    }

    /// The whole key as its holder keeps it: shown once, when it is made.
    pub fn text(&self) -> Secret {
        let body = format!("{}_{}_{}", self.prefix, self.id, self.secret.expose());
        let check = checksum(&body);
        Secret::new(body + &check)
    }
}

/// CRC-32 of everything before it, in base62: it finds typing errors and proves nothing.
pub fn checksum(body: &str) -> String {
    base62(u64::from(crc32fast::hash(body.as_bytes())), CHECK_CHARS)
}

/// True for a brand that keys may begin with: `[a-z][a-z0-9]{0,11}`.
pub fn is_brand(text: &str) -> bool {
    (1..=12).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Takes a key's text apart; the rest is secret and check, of the right length and alphabet.
fn split(text: &str) -> Option<(KeyPrefix, KeyId, &str)> {
    let mut parts = text.split('_');
    let brand = parts.next().filter(|brand| is_brand(brand))?.to_owned();
    let environment = KeyEnvironment::parse(parts.next()?)?;
    let kind = KeyKind::parse(parts.next()?)?;
    let id = KeyId::parse(parts.next()?).ok()?;
    let rest = parts.next()?;
    let whole = rest.len() == SECRET_CHARS.saturating_add(CHECK_CHARS) && is_base62(rest);
    (whole && parts.next().is_none()).then_some((KeyPrefix { brand, environment, kind }, id, rest))
}

/// Where something shaped like a key of `brand` begins and ends in a text: what must not stand in
/// a URL, and what a log shows as `[key]` (SPEC section 1, step 3).
///
/// Shaped: the prefix, an id, and the first 16 characters of a secret. The check is not asked, so
/// that a truncated or mistyped key is found as well.
pub fn find_key(brand: &str, text: &str) -> Option<core::ops::Range<usize>> {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(brand)) {
        let start = from.saturating_add(at);
        let rest = text.get(start..).unwrap_or_default();
        if let Some(length) = key_shape(brand, rest) {
            return Some(start..start.saturating_add(length));
        }
        // A brand begins with one byte of ASCII; it may begin again within itself (`aa` in `aaa`).
        from = start.saturating_add(1);
    }
    None
}

/// The length of the key-shaped beginning of `text`.
fn key_shape(brand: &str, text: &str) -> Option<usize> {
    const SECRET_SHOWN: usize = 16;
    let rest = text.strip_prefix(brand)?.strip_prefix('_')?;
    let rest = rest.strip_prefix("dev_").or_else(|| rest.strip_prefix("prod_"))?;
    let rest =
        SHAPED_LIKE_KEYS.iter().find_map(|kind| rest.strip_prefix(kind)?.strip_prefix('_'))?;
    let (id, rest) = rest.split_at_checked(ID_RANDOM.saturating_add(ID_TAG))?;
    let rest = rest.strip_prefix('_').filter(|_| is_base62(id))?;
    let secret = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let left = rest.len().saturating_sub(secret);
    (secret >= SECRET_SHOWN).then_some(text.len().saturating_sub(left))
}

#[cfg(test)]
mod tests;
