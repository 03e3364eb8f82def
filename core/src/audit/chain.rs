//! Lines of a chain, and the head that ends an export.
//!
//! A line is a JSON object in one line of text. Its last member is `"hash"`, and what stands before
//! the comma in front of that member is the line's body. The hash is SHA-256, in lower-case hex,
//! over the hash of the line before it, a line feed, and the body, byte by byte: nobody has to agree
//! on how JSON is written to check it.

use core::fmt::Write;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Draft;
use crate::problem::Code;
use crate::time::UnixMillis;

/// What the signing key is derived for.
const SIGNING_LABEL: &[u8] = b"tollgate audit head";

/// Between a line's body and its hash.
const BEFORE_HASH: &[u8] = br#","hash":""#;
/// After its hash.
const AFTER_HASH: &[u8] = br#""}"#;
/// Characters of a hash.
const HASH: usize = 64;
/// Characters of an Ed25519 signature in base64url without padding.
const SIGNATURE: usize = 86;
/// Characters of an Ed25519 public key.
const PUBLIC_KEY: usize = 43;

/// An end of a chain: what the next line stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The number of the line; 0 where there is none yet.
    pub seq: u64,
    /// Its hash; zeros where there is none yet.
    pub hash: String,
}

/// The members of a line in their order, without its hash.
#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    prev: &'a str,
    chain: &'a str,
    at: String,
    recorded_at: String,
    #[serde(rename = "type")]
    kind: &'a str,
    actor: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [String],
    #[serde(skip_serializing_if = "Map::is_empty")]
    detail: &'a Map<String, Value>,
}

impl Default for Tip {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(HASH) }
    }
}

impl Tip {
    /// The end of a chain whose last line is this one.
    pub fn of(seq: u64, line: &str) -> Option<Self> {
        let (_, hash) = parts(line.as_bytes())?;
        Some(Self { seq, hash: hash.to_owned() })
    }

    /// The next line of the chain of this name, recorded at `now`, without a line break; the tip
    /// becomes its own. `clean` takes out of it what must not be written down.
    ///
    /// # Errors
    /// When the draft cannot be written as JSON.
    pub fn line(
        &mut self,
        chain: &str,
        draft: &Draft,
        now: UnixMillis,
        clean: impl FnOnce(&str) -> String,
    ) -> Result<String, serde_json::Error> {
        let seq = self.seq.saturating_add(1);
        let body = Body {
            seq,
            prev: &self.hash,
            chain,
            at: draft.at.to_rfc3339(),
            recorded_at: now.to_rfc3339(),
            kind: &draft.kind,
            actor: &draft.actor,
            tenant: &draft.tenant,
            key: draft.key.as_deref(),
            call: draft.call.as_deref(),
            code: draft.code.map(Code::as_str),
            request_id: draft.request_id.as_deref(),
            address: draft.address.as_deref(),
            fields: &draft.fields,
            detail: &draft.detail,
        };
        let mut line = clean(&serde_json::to_string(&body)?);
        // The brace at the end comes after the hash.
        line.pop();
        let hash = hash_of(&self.hash, line.as_bytes());
        // Writing into a text does not fail.
        let _ = write!(line, r#","hash":"{hash}"}}"#);
        *self = Self { seq, hash };
        Ok(line)
    }
}

/// The hash of a line.
pub(super) fn hash_of(prev: &str, body: &[u8]) -> String {
    let mut sha = Sha256::new();
    sha.update(prev.as_bytes());
    sha.update(b"\n");
    sha.update(body);
    HEXLOWER.encode(&sha.finalize())
}

/// The body and the hash of a line; None for what does not end as a line ends.
pub(super) fn parts(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    let body = rest.strip_suffix(BEFORE_HASH)?;
    let hex = hash.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let hash = core::str::from_utf8(hash).ok().filter(|_| hex)?;
    Some((body, hash))
}

/// What is signed at the end of an export: which lines stand before it, and how many more there
/// were. The signature is over exactly this text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The tenant of the chain; `*` is the one over all.
    pub chain: String,
    /// The number of the last entry before the first line; 0: the export has the chain's beginning.
    pub after: u64,
    /// The hash of that entry.
    pub prev: String,
    /// The number of the last line.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    /// How many lines there are.
    pub count: u64,
    /// The number of the chain's last entry at that moment: more than `seq` where the export goes on.
    pub last: u64,
    /// When the head was signed.
    pub at: String,
}

impl Head {
    /// The text that is signed.
    ///
    /// # Errors
    /// Never: it is texts and numbers.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The last line of an export: a head's text with its signature, and the key that it is checked
    /// with, in base64url without padding.
    pub fn line(text: &str, signature: &[u8], public_key: &str) -> String {
        let signature = BASE64URL_NOPAD.encode(signature);
        format!(
            r#"{{"head":{text},"signature":"{signature}","public_key":"{public_key}","algorithm":"Ed25519"}}"#
        )
    }
}

/// The Ed25519 private key (RFC 8032: 32 bytes) that signs heads, as it follows from a version of
/// `STORE_KEY`: HMAC-SHA-256 under it.
pub fn signing_seed(store_key: &[u8; 32]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(store_key).ok()?;
    mac.update(SIGNING_LABEL);
    Some(mac.finalize().into_bytes().into())
}

/// A line that [`Head::line`] made, taken apart.
pub(super) struct SignedHead<'l> {
    pub(super) text: &'l [u8],
    pub(super) signature: &'l [u8],
    pub(super) public_key: &'l [u8],
}

impl<'l> SignedHead<'l> {
    /// True when the line says that it is a head.
    pub(super) fn begins(line: &[u8]) -> bool {
        line.starts_with(br#"{"head":"#)
    }

    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let rest = line.strip_prefix(br#"{"head":"#)?;
        let rest = rest.strip_suffix(br#"","algorithm":"Ed25519"}"#)?;
        let (rest, public_key) = rest.split_at_checked(rest.len().checked_sub(PUBLIC_KEY)?)?;
        let rest = rest.strip_suffix(br#"","public_key":""#)?;
        let (rest, signature) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE)?)?;
        let text = rest.strip_suffix(br#","signature":""#)?;
        Some(Self { text, signature, public_key })
    }
}
