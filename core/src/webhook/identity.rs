//! Which event is this, and was it here before? (SPEC section 7, duplicates)

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::time::Millis;

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
    /// The SHA-256, in hex, of what the signature vouches for: the body, or what of it is signed.
    pub content: String,
    /// How long it is to be remembered.
    pub remember: Millis,
}

/// What an event is beside the one that was remembered under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It was not here: deliver it.
    New,
    /// It was: acknowledge it, and deliver nothing.
    Duplicate,
    /// Its id was here with another content: deliver it, flagged `id_reused`.
    IdReused,
}

impl Identity {
    /// The identity of a verified event.
    ///
    /// A signed id is the event's own. An unsigned one can be changed by whoever sends a captured
    /// event again, so it only narrows what the content says; with `strict` it does not count.
    /// Where a signature covers some of the body only, the rest of it is no part of the content:
    /// changing it makes no new event.
    pub fn of(verified: &Verified, body: &[u8], strict: bool) -> Self {
        let content = match verified.covers {
            Covers::Body => HEXLOWER.encode(&Sha256::digest(body)),
            Covers::Message(digest) => HEXLOWER.encode(&digest),
        };
        let named = |kind: &str, parts: &[&str]| {
            let mut digest = Sha256::new();
            for part in parts {
                // No part holds a zero byte, so none can run into the next.
                digest.update(part.as_bytes());
                digest.update([0]);
            }
            format!("{kind}:{}", HEXLOWER.encode(&digest.finalize()))
        };
        let (name, remember) = match &verified.id {
            Some(id) if verified.id_signed => (named("i", &[id]), BY_ID),
            Some(id) if !strict => (named("d", &[&content, id]), BY_ID),
            _ => (named("c", &[&content]), if strict { STRICT } else { BY_CONTENT }),
        };
        Self { name, content, remember }
    }

    /// What this event is, given the content that was remembered under its name.
    pub fn seen(&self, remembered: Option<&str>) -> Sighting {
        match remembered {
            None => Sighting::New,
            Some(content) if content == self.content => Sighting::Duplicate,
            Some(_) => Sighting::IdReused,
        }
    }
}
