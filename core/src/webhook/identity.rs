//! Which event is this, and was it here before? (SPEC section 7, duplicates)

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::time::Millis;

use super::scheme::KnownBy;
use super::verify::{Covers, Verified};

/// How long an event is remembered by its signed id, or by its content and a delivery's id.
const BY_ID: Millis = Millis::hours(72);
/// The same by its content alone: an event that happens again soon after may look the same.
const BY_CONTENT: Millis = Millis::minutes(10);
/// The same where the policy says `dedupe = "strict"`.
const STRICT: Millis = Millis::days(30);

/// What an event is known by, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A name for it within its source: letters, digits and a colon, 66 characters.
    pub name: String,
    /// The SHA-256, in hex, of what tells it from another event of this name.
    pub content: String,
    /// How long it is to be remembered.
    pub remember: Millis,
}

/// What an event is beside those that are remembered under its name. The store looks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sighting {
    /// It was not here: deliver it.
    New,
    /// It was: acknowledge it, and deliver nothing.
    Duplicate,
    /// Its id was here with another content: deliver it, flagged `id_reused`.
    IdReused,
}

impl Identity {
    /// The identity of a verified event, which came in the request of this id.
    ///
    /// A signed id is the event's own, if the whole body is signed with it: where a signature covers
    /// some fields only, it is a field like the others, and events that differ in those have it in
    /// common. An unsigned one can be changed by whoever sends a captured event again, so it only
    /// narrows what the content says; with `strict` it does not count. What is not signed is no part
    /// of the content: changing it makes no new event.
    ///
    /// Without a signed time nothing but this memory keeps a captured event out: so with `strict` it
    /// lasts.
    pub fn of(verified: &Verified, request_id: &str, strict: bool) -> Self {
        let content = HEXLOWER.encode(&verified.content);
        let by_signed_id = if strict && verified.timestamp.is_none() { STRICT } else { BY_ID };
        let by_content = if strict { STRICT } else { BY_CONTENT };
        let whole = verified.covers == Covers::Body;
        let (name, remember) = match &verified.id {
            _ if verified.known_by == KnownBy::Request => (named("r", &[request_id]), BY_CONTENT),
            Some(id) if verified.id_signed && whole => (named("i", &[id]), by_signed_id),
            Some(id) if verified.id_signed => (named("d", &[&content, id]), by_signed_id),
            Some(id) if !strict => (named("d", &[&content, id]), BY_ID),
            _ => (named("c", &[&content]), by_content),
        };
        let content = match &verified.id {
            Some(id) if verified.known_by == KnownBy::Id && verified.id_signed => hash(&[id]),
            _ => content,
        };
        Self { name, content, remember }
    }

    /// The identity of an event that only shadow mode lets in. It is none that a genuine event can
    /// have: a stranger must not be able to have one taken for a duplicate.
    pub fn unverified(body: &[u8]) -> Self {
        let content = HEXLOWER.encode(&Sha256::digest(body));
        Self { name: named("u", &[&content]), content, remember: BY_CONTENT }
    }
}

fn named(kind: &str, parts: &[&str]) -> String {
    format!("{kind}:{}", hash(parts))
}

fn hash(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // No part holds a zero byte, so none can run into the next.
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    HEXLOWER.encode(&digest.finalize())
}
