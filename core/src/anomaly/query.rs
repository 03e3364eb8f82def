//! Which anomalies to list, and where to go on.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::{Anomaly, Kind};
use crate::text::is_base62;
use crate::time::UnixMillis;

/// The place after one anomaly in the order of the list: newest first, and by id within one
/// millisecond. It names an anomaly and no number, so it stays right while more of them come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last one that was shown was told.
    pub at: UnixMillis,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// As it stands in `nextCursor`.
    pub fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(format!("1.{}.{}", self.at.as_millis(), self.id).as_bytes())
    }

    /// Reads what [`Self::to_text`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (at, id) = text.strip_prefix("1.")?.split_once('.')?;
        let digits = !at.is_empty() && at.bytes().all(|b| b.is_ascii_digit());
        let at = at.parse().ok().filter(|_| digits)?;
        let id = Some(id.to_owned()).filter(|id| is_base62(id) && (1..=64).contains(&id.len()))?;
        Some(Self { at: UnixMillis::from_millis(at), id })
    }
}

/// Which anomalies to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalyQuery {
    /// At most so many.
    pub limit: u64,
    /// After this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Told at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The anomalies.
    pub anomalies: Vec<Anomaly>,
    /// Where the next page begins; None on the last one.
    pub next: Option<Cursor>,
}

impl Page {
    /// How many anomalies to look for: one more than the page holds tells whether there is a next
    /// one.
    pub const fn wanted(query: &AnomalyQuery) -> u64 {
        query.limit.saturating_add(1)
    }

    /// The page of the anomalies that were found, in order.
    pub fn of(mut found: Vec<Anomaly>, query: &AnomalyQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| Cursor { at: last.at, id: last.id.clone() });
        Self { anomalies: found, next }
    }
}
