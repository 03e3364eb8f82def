//! What a tenant's registry is told and asked. There is one for each tenant, and one named `*`
//! over all of them; both follow from the families' outboxes.

use serde::{Deserialize, Serialize};

use super::list::{Cursor, ListQuery};
use super::resource::KeyView;
use crate::key::KeyRecord;
use crate::origin::OriginPattern;

/// The name of the registry over all tenants.
pub const ALL_TENANTS: &str = "*";

/// A message to a registry, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// These keys are so now. Answered with `{}`.
    Apply {
        /// Of two entries of one key the one with the higher version counts, whichever comes first.
        keys: Vec<Entry>,
    },
    /// One page of a list. Answered with a [`Page`].
    List(ListQuery),
    /// Every origin that a live key lists. Answered with [`Origins`].
    Origins,
    /// What `ready` wants to know. Answered with a [`super::Store`].
    Counts {
        /// The newest version of the pepper.
        pepper: u32,
    },
}

/// One key, as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is shown of it.
    pub key: KeyView,
    /// The version of the pepper that its digest is under.
    pub pepper: u32,
}

impl From<&KeyRecord> for Entry {
    fn from(record: &KeyRecord) -> Self {
        Self { key: record.into(), pepper: record.digest.pepper }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The keys.
    pub keys: Vec<KeyView>,
    /// Where the next page begins; None on the last one.
    pub next: Option<Cursor>,
}

impl Page {
    /// How many keys to look for: one more than the page holds tells whether there is a next one.
    pub const fn wanted(query: &ListQuery) -> u64 {
        query.limit.saturating_add(1)
    }

    /// The page of the keys that were found, in order.
    pub fn of(mut found: Vec<KeyView>, query: &ListQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|key| Cursor { created_at: key.created_at, id: key.id.clone() });
        Self { keys: found, next }
    }
}

/// The origins of live keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// Each pattern once.
    pub origins: Vec<OriginPattern>,
    /// A live key may be used from any origin.
    #[serde(default)]
    pub any: bool,
}
