//! What is kept instead of a secret, and the secrets that this takes.

use core::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{ID_RANDOM, ID_TAG, Key, KeyId, KeyPrefix};
use crate::text::{Secret, base62};

/// The fewest bytes a secret of the gate may have: as many as HMAC-SHA256 puts out.
const MIN_SECRET_BYTES: usize = 32;

/// What is stored of a key's secret: an HMAC-SHA256 under a pepper that is not in the store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The pepper's version.
    pub pepper: u32,
    /// The HMAC in base64url without padding.
    mac: String,
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest(pepper {})", self.pepper)
    }
}

impl Digest {
    /// True for the same version and the same HMAC, in constant time.
    pub fn same(&self, other: &Self) -> bool {
        self.pepper == other.pepper && bool::from(self.mac.as_bytes().ct_eq(other.mac.as_bytes()))
    }
}

/// The Worker secret `KEY_PEPPER` in all the versions that are still in use, newest first.
#[derive(Clone)]
pub struct Peppers(Vec<(u32, Vec<u8>)>);

/// Why `KEY_PEPPER` cannot be used. Never tells any of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "KEY_PEPPER is not a list such as `2:BASE64,1:BASE64`, newest first, of at least 32 bytes each"
)]
pub struct PeppersError;

impl fmt::Debug for Peppers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|(version, _)| version)).finish()
    }
}

impl Peppers {
    /// Reads `2:BASE64,1:BASE64`: versions from 1 on, each once, newest first.
    pub fn parse(secret: &Secret) -> Result<Self, PeppersError> {
        let peppers = versions(secret).ok_or(PeppersError)?;
        Ok(Self(peppers))
    }

    /// The version that new digests are made under.
    pub fn current(&self) -> u32 {
        self.0.first().map_or(0, |(version, _)| *version)
    }

    /// The pepper of this version.
    pub(super) fn of(&self, version: u32) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == version).map(|(_, pepper)| pepper.as_slice())
    }

    /// The digest of a key's secret under the current pepper. The id is in it, so that a digest
    /// that is moved to another record fits nothing.
    pub fn digest(&self, key: &Key) -> Option<Digest> {
        let (version, pepper) = self.0.first()?;
        Some(Digest { pepper: *version, mac: BASE64URL_NOPAD.encode(&secret_mac(pepper, key)?) })
    }

    /// True when `key` has the secret that `digest` was made of; in constant time.
    pub fn verify(&self, key: &Key, digest: &Digest) -> bool {
        let pepper = self.0.iter().find(|(version, _)| *version == digest.pepper);
        let made = pepper.and_then(|(_, pepper)| secret_mac(pepper, key));
        let kept = BASE64URL_NOPAD.decode(digest.mac.as_bytes()).ok();
        match (made, kept) {
            (Some(made), Some(kept)) => made.ct_eq(kept.as_slice()).into(),
            _ => false,
        }
    }

    /// What is kept of a secret that is no key's, under the current pepper. The first part says
    /// what it is, so that one sort never fits another.
    pub fn mark(&self, parts: &[&str]) -> Option<Digest> {
        self.0.first().and_then(|pepper| mark_under(pepper, parts))
    }

    /// The same under each pepper: one of them is what was kept, if the secret is the one.
    pub fn marks(&self, parts: &[&str]) -> Vec<Digest> {
        self.0.iter().filter_map(|pepper| mark_under(pepper, parts)).collect()
    }

    /// A record as it lies in KV: under a MAC that names the entry, so that whoever can write
    /// to KV can neither make a record nor move one.
    pub fn seal(&self, name: &str, text: &str) -> Option<String> {
        let (version, pepper) = self.0.first()?;
        let mac = mac(pepper, &["tollgate kv entry", name, text])?;
        Some(format!("1.{version}.{}.{text}", BASE64URL_NOPAD.encode(&mac)))
    }

    /// The text that [`Self::seal`] put in, if its MAC fits `name`.
    pub fn open<'t>(&self, name: &str, sealed: &'t str) -> Option<&'t str> {
        let mut parts = sealed.splitn(4, '.');
        let (form, version) = (parts.next()?, parts.next()?);
        let (kept, text) = (parts.next()?, parts.next()?);
        let version: u32 = version.parse().ok().filter(|_| form == "1")?;
        let (_, pepper) = self.0.iter().find(|(known, _)| *known == version)?;
        let made = mac(pepper, &["tollgate kv entry", name, text])?;
        let kept = BASE64URL_NOPAD.decode(kept.as_bytes()).ok()?;
        bool::from(made.ct_eq(kept.as_slice())).then_some(text)
    }
}

/// The Worker secret `KEY_ID_SECRET`: proves that the gate made an id, so that strangers cannot
/// make it address stores and objects. It opens nothing, and is never rotated: ids carry its mark.
#[derive(Clone)]
pub struct IdSecret(Vec<u8>);

impl fmt::Debug for IdSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IdSecret(..)")
    }
}

impl IdSecret {
    /// Takes the secret; None when it is shorter than 32 bytes.
    pub fn new(secret: &Secret) -> Option<Self> {
        let bytes = secret.expose().as_bytes();
        (bytes.len() >= MIN_SECRET_BYTES).then(|| Self(bytes.to_vec()))
    }

    /// The id that begins with these ten random base62 characters.
    pub fn id(&self, prefix: &KeyPrefix, random: &str) -> Option<KeyId> {
        let tag = self.tag(prefix, random)?;
        KeyId::parse(&format!("{random}{tag}")).ok()
    }

    /// True when the gate made this id for this prefix.
    pub fn made(&self, prefix: &KeyPrefix, id: &KeyId) -> bool {
        let Some((random, tag)) = id.as_str().split_at_checked(ID_RANDOM) else { return false };
        self.tag(prefix, random).is_some_and(|made| made.as_bytes().ct_eq(tag.as_bytes()).into())
    }

    /// A secret that comes of this one and says nothing about it.
    pub(super) fn derived(&self, label: &str) -> Option<[u8; 32]> {
        mac(&self.0, &[label])
    }

    fn tag(&self, prefix: &KeyPrefix, random: &str) -> Option<String> {
        let mac = mac(&self.0, &["tollgate key id", &prefix.to_string(), random])?;
        let first = mac.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))?;
        Some(base62(first, ID_TAG))
    }
}

/// Reads `2:BASE64,1:BASE64`: versions from 1 on, each once, newest first, of at least 32 bytes.
pub(super) fn versions(secret: &Secret) -> Option<Vec<(u32, Vec<u8>)>> {
    let mut versions: Vec<(u32, Vec<u8>)> = Vec::new();
    for item in secret.expose().split(',') {
        let (version, bytes) = item.trim().split_once(':')?;
        let version = version.parse().ok().filter(|version| *version > 0)?;
        let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
        let older = versions.last().is_none_or(|(newer, _)| version < *newer);
        if bytes.len() < MIN_SECRET_BYTES || !older {
            return None;
        }
        versions.push((version, bytes));
    }
    Some(versions)
}

fn secret_mac(pepper: &[u8], key: &Key) -> Option<[u8; 32]> {
    mac(pepper, &["tollgate key secret", key.id.as_str(), key.secret.expose()])
}

fn mark_under((version, pepper): &(u32, Vec<u8>), parts: &[&str]) -> Option<Digest> {
    let mac = mac(pepper, parts)?;
    Some(Digest { pepper: *version, mac: BASE64URL_NOPAD.encode(&mac) })
}

/// HMAC-SHA256 over parts that none of their neighbours can run into: each ends with a zero byte,
/// which none of them holds.
pub(super) fn mac(key: &[u8], parts: &[&str]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    Some(mac.finalize().into_bytes().into())
}
