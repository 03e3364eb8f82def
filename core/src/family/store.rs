//! How a family lies in its object's storage: rows of a name and a text.

use serde::{Deserialize, Serialize};

use super::{Count, Event, FamilyState, Told};
use crate::key::{KeyId, KeyRecord};
use crate::limit::{Counts, ObjectClock};
use crate::people::People;
use crate::time::UnixMillis;

const META: &str = "meta";
const PEOPLE: &str = "people";
const KEY: &str = "key/";
const WINDOW: &str = "window/";
const TALLY: &str = "tally/";
const TOLD: &str = "told/";
/// What the outbox's rows are named by; the number behind it has 20 digits, so that names sort.
const OUTBOX: &str = "outbox/";

/// One row to be stored. All of one call belong into one transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A key's record.
    PutRecord(Box<KeyRecord>),
    /// A count of a limit.
    PutWindow {
        /// Its row's name.
        row: String,
        /// What it is.
        snapshot: String,
    },
    /// A count in which nothing counts any more. Comes with a [`Self::PutMeta`]: what was deleted
    /// is no longer there to say how far the object's clock had come.
    DeleteWindow {
        /// Its row's name.
        row: String,
    },
    /// How many requests of one key there were in one hour.
    PutTally {
        /// Its row's name.
        row: String,
        /// What was counted.
        count: Count,
    },
    /// The count of an hour that is over and delivered. Comes with a [`Self::PutMeta`], as above.
    DeleteTally {
        /// Its row's name.
        row: String,
    },
    /// What was told of a key.
    PutTold {
        /// The key.
        id: KeyId,
        /// What was told.
        told: Told,
    },
    /// What is known of the keys' holder.
    PutPeople(Box<People>),
    /// The object's own state.
    PutMeta(Meta),
    /// An event, to be delivered to the tenant's object, in order, and then deleted.
    Outbox(Box<Event>),
}

/// What an object knows besides keys and counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// How far its clock had come.
    pub clock: UnixMillis,
    /// The number of the last event.
    pub seq: u64,
    /// Set in the object that a rotated key's id names: the family is in another object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<KeyId>,
}

/// A row that cannot be read: the object refuses all requests, because it cannot know what it
/// forgot. Tells the row's name, never its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored row `{0}` cannot be read")]
pub struct DamagedRow(String);

impl Write {
    /// The row's name, and its text; None where it is to be deleted.
    pub fn row(&self) -> (String, Option<String>) {
        match self {
            Self::PutRecord(record) => (format!("{KEY}{}", record.id), Some(json(record))),
            Self::PutWindow { row, snapshot } => (format!("{WINDOW}{row}"), Some(snapshot.clone())),
            Self::DeleteWindow { row } => (format!("{WINDOW}{row}"), None),
            Self::PutTally { row, count } => (format!("{TALLY}{row}"), Some(json(count))),
            Self::DeleteTally { row } => (format!("{TALLY}{row}"), None),
            Self::PutTold { id, told } => (format!("{TOLD}{id}"), Some(json(told))),
            Self::PutPeople(people) => (PEOPLE.to_owned(), Some(json(people))),
            Self::PutMeta(meta) => (META.to_owned(), Some(json(meta))),
            Self::Outbox(event) => (outbox_row(event.seq), Some(json(event))),
        }
    }
}

/// The name of an event's row: in the order of the events.
fn outbox_row(seq: u64) -> String {
    format!("{OUTBOX}{seq:020}")
}

/// These types have string keys only, so they always have a JSON text; an empty one would be found
/// as damaged.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl FamilyState {
    /// Reads the stored rows back, in any order; rows of the outbox and names of others' are
    /// passed over. `wall` is the time now.
    ///
    /// # Errors
    /// [`DamagedRow`] for a record or the object's own state. A count that cannot be read is a full
    /// one.
    pub fn restore(
        rows: impl IntoIterator<Item = (String, String)>,
        wall: UnixMillis,
    ) -> Result<Self, DamagedRow> {
        let mut state = Self::default();
        let mut windows: Vec<(String, String)> = Vec::new();
        let mut clock = UnixMillis::default();
        for (name, text) in rows {
            let damaged = || DamagedRow(name.clone());
            if name == META {
                let meta: Meta = serde_json::from_str(&text).map_err(|_| damaged())?;
                clock = clock.max(meta.clock);
                state.seq = meta.seq;
                state.alias = meta.alias;
            } else if name == PEOPLE {
                // Without it nobody would be paused, and used codes would be good again.
                state.people = serde_json::from_str(&text).map_err(|_| damaged())?;
            } else if let Some(id) = name.strip_prefix(KEY) {
                let record: KeyRecord = serde_json::from_str(&text).map_err(|_| damaged())?;
                if record.id.as_str() != id {
                    return Err(damaged());
                }
                state.records.insert(record.id.clone(), record);
            } else if let Some(row) = name.strip_prefix(WINDOW) {
                windows.push((row.to_owned(), text));
            } else if let Some(row) = name.strip_prefix(TALLY) {
                state.tallies.restore(row, &text);
            } else if let Some(id) = name.strip_prefix(TOLD) {
                // One that cannot be read is as none: a notice twice is better than no object.
                let read = KeyId::parse(id).ok().zip(serde_json::from_str(&text).ok());
                state.told.extend(read);
            }
        }
        let stored = Counts::stored_at(windows.iter().map(|(_, snapshot)| snapshot.as_str()));
        state.clock = ObjectClock::restore(clock.max(stored));
        let now = state.clock.read(wall);
        state.counts = Counts::restore(windows, now);
        Ok(state)
    }
}
