//! What a family's object tells the road.

use serde::Deserialize;

use super::Supplied;
use crate::key::{KeyId, KeyRecord};
use crate::limit::Verdict;

/// As much of [`crate::family::FamilyReply`] as the road asks for. To read the rest of it as well takes
/// a thirtieth of the Wasm that every request waits for.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Verdict(Verdict),
    Refused { record: Box<KeyRecord> },
    Stale { record: Box<KeyRecord> },
    Record { record: Box<KeyRecord> },
    Unknown,
    Moved { family: KeyId },
}

impl Told {
    /// None for what makes no sense here.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// None also when the object was not reached.
    pub(super) fn of(supplied: &Supplied) -> Option<Self> {
        match supplied {
            Supplied::Object(text) => Self::read(text),
            Supplied::Cached(_) | Supplied::Failed => None,
        }
    }
}
