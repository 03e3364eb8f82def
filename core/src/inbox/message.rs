//! What an inbox is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::event::{EventId, Received};
use super::refusal::{Refusal, RefusalPage};
use super::turn::{State, Turn};
use crate::time::{Millis, UnixMillis};
use crate::webhook::Sighting;

/// An event to keep. Its body goes beside it, as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Its id, if it is new.
    pub id: EventId,
    /// What duplicates of it are found by ([`crate::webhook::Identity`]): its name,
    pub name: String,
    /// its content,
    pub content: String,
    /// and how long it is to be remembered.
    pub remember: Millis,
    /// What is kept of it.
    pub received: Received,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It is stored.
    Stored,
    /// It is stored, and flagged: its id was here before with another content.
    StoredAgain,
    /// It was here before: nothing is to be done.
    Duplicate,
    /// It was not stored: there is no room.
    Full,
}

/// What an inbox is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxRequest {
    /// Keep this event.
    Take(Take),
    /// Was this here before?
    Sighting {
        /// The name.
        name: String,
        /// The content.
        content: String,
    },
    /// Remember this: it has arrived without ever lying here.
    Remember {
        /// The name.
        name: String,
        /// The content.
        content: String,
        /// How long.
        remember: Millis,
    },
    /// A page of events, the latest first.
    List(EventQuery),
    /// One event, with its body.
    Show {
        /// Which.
        id: EventId,
    },
    /// Deliver these again, some thousands at a time.
    Replay {
        /// Which.
        replay: Replay,
        /// Only those that were stored after the one of this number: how far the call before came.
        after: u64,
        /// Only those that arrived before it was asked for: what comes meanwhile is not meant.
        asked: UnixMillis,
    },
    /// Keep this refusal.
    Refused(Refusal),
    /// A page of refusals, the latest first.
    Refusals {
        /// How many at most.
        limit: u32,
        /// Only those before this one.
        before: Option<u64>,
    },
}

/// Which events to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventQuery {
    /// How many at most.
    pub limit: u32,
    /// Only those before this one.
    pub before: Option<EventId>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that arrived then or later.
    pub since: Option<UnixMillis>,
}

/// Which events to deliver again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// These; none: all that the rest says.
    pub ids: Option<Vec<EventId>>,
    /// Only those in this state.
    pub state: WhichState,
    /// Only those that arrived then or later.
    pub since: Option<UnixMillis>,
    /// Only tell how many they are.
    pub dry_run: bool,
}

/// Of which states events are delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichState {
    /// Dead ones.
    Dead,
    /// Those that arrived, too.
    All,
}

/// What an inbox answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxReply {
    /// What became of a [`Take`].
    Taken(Taken),
    /// What an event is.
    Sighting(Sighting),
    /// It is done.
    Done,
    /// Some events.
    Page(EventPage),
    /// One event, and its body in base64.
    Event(Box<EventView>, String),
    /// Some refusals.
    Refusals(RefusalPage),
    /// There is no such event.
    Unknown,
    /// So many are delivered again, or would be.
    Replayed {
        /// How many.
        count: u64,
        /// The number of the last one, if there may be others after it.
        next: Option<u64>,
    },
}

/// Some events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// The latest first.
    pub events: Vec<EventView>,
    /// There are others.
    pub more: bool,
    /// It was looked no further than to this one: whatever comes after it is for the next page.
    pub looked_to: Option<EventId>,
}

/// An event as it can be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// What is kept of its request.
    pub received: Received,
    /// The bytes of its body.
    pub size: u64,
    /// Where it stands.
    pub turn: Turn,
}
