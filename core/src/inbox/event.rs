//! One event: its id, and what is kept of the request that brought it.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::MAX_SHARDS;
use crate::request::RequestId;
use crate::text::is_base62;
use crate::time::UnixMillis;

/// The id of an event: that of the request that brought it, so that its log line is found by it,
/// and a letter for the object that keeps it. Later ones come after it in the order of texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

/// Characters of a request's id ([`crate::request::RequestId`]).
const REQUEST_ID: usize = 19;
/// The letter of the first object.
const FIRST: u8 = b'a';

impl EventId {
    /// The id of the event that this request brought, in this object of its source.
    pub fn new(request_id: &str, shard: u8) -> Self {
        let letter = FIRST.saturating_add(shard.min(MAX_SHARDS.saturating_sub(1)));
        Self(format!("{request_id}{}", char::from(letter)))
    }

    /// Before every id of an event that arrived at `at` or later, and behind all others.
    pub fn first_of(at: UnixMillis) -> Self {
        Self::new(RequestId::first_of(at).as_str(), 0)
    }

    /// Reads an id; None for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (request, letter) = text.split_at_checked(REQUEST_ID)?;
        let &[letter] = letter.as_bytes() else { return None };
        let known = letter.checked_sub(FIRST).is_some_and(|shard| shard < MAX_SHARDS);
        (known && is_base62(request)).then(|| Self(text.to_owned()))
    }

    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The object that keeps it, counted from 0.
    pub fn shard(&self) -> u8 {
        self.0.bytes().next_back().map_or(0, |letter| letter.saturating_sub(FIRST))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for EventId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("is no id of an event")
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}

/// Which of a source's objects keeps an event of this name ([`crate::webhook::Identity`]): always
/// the same one, so that a duplicate is found.
pub fn shard_of(name: &str, shards: u8) -> u8 {
    // Names end in the hex of a hash: any of its digits is as good as another.
    let hash = name
        .bytes()
        .rev()
        .take(8)
        .fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    u8::try_from(hash.checked_rem(shards.into()).unwrap_or(0)).unwrap_or(0)
}

/// What is kept of a request beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// When it arrived.
    pub at: UnixMillis,
    /// Its headers as the backend gets them, before what belongs to one attempt.
    pub headers: Vec<(String, String)>,
    /// Its query, as the backend gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The id that the provider gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Its id was here before, with another content.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub id_reused: bool,
    /// It was let in by shadow mode: the gate does not sign for it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unverified: bool,
}
