//! Anomalies: what a key does that it never did, or far more of it than it used to.
//!
//! What is told is decided from what the edge gathered of a key and from what is remembered of it
//! ([`Watched`]); the keeper of a tenant's anomalies stores both. Each is told once for a key, a
//! kind and a thing, in a period that the kind states.

mod query;
mod refusals;
mod watched;
mod week;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::audit::Draft;
use crate::key::KeyId;
use crate::text::base62;
use crate::time::{Millis, UnixMillis};

pub use query::{AnomalyQuery, Cursor, Page};
pub use watched::Watched;

/// How long an anomaly is listed.
pub const KEPT: Millis = Millis::days(90);
/// How long a key is remembered after its last use: longer than keys live by default, so that one
/// that comes back is not taken for a new one.
pub const REMEMBERED: Millis = Millis::days(400);

/// The type of the event that an anomaly is.
const DETECTED: &str = "anomaly.detected";
/// The type of the event that a key was used for the first time, or from another country.
const ACCESSED: &str = "key.accessed";

/// What the keeper of a tenant's anomalies is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyRequest {
    /// From a tenant's keeper to the one over all: what was told there. Each may come twice.
    /// Answered with `{}`.
    Told(Vec<Draft>),
    /// One page of a list. Answered with a [`Page`].
    List(AnomalyQuery),
}

/// What an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Many requests of one key were refused with 401 or 403. Told once an hour.
    RepeatedRefusals,
    /// An hour far busier than the key's busiest in its last 7 days. Told once for an hour.
    SuddenVolume,
    /// A route that the key never used. Told once for a route.
    NewRoute,
    /// A country that the key was never used from. Told once for a country.
    NewCountry,
    /// A key that was rotated, and is still in use. Told once a day.
    OldKeyInGrace,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::RepeatedRefusals,
        Self::SuddenVolume,
        Self::NewRoute,
        Self::NewCountry,
        Self::OldKeyInGrace,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedRefusals => "repeated_refusals",
            Self::SuddenVolume => "sudden_volume",
            Self::NewRoute => "new_route",
            Self::NewCountry => "new_country",
            Self::OldKeyInGrace => "old_key_in_grace",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One anomaly, as it is kept and listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Its name: the same for the same key, kind, thing and period.
    pub id: String,
    /// When it was told.
    pub at: UnixMillis,
    /// The tenant of the key.
    pub tenant: String,
    /// The key.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// What belongs to its kind.
    pub detail: Map<String, Value>,
}

impl Anomaly {
    /// The anomaly that an event tells of; None for other events.
    pub fn of(event: &Draft) -> Option<Self> {
        let mut detail = event.detail.clone();
        let kind = Kind::parse(detail.remove("kind")?.as_str()?)?;
        let key = event.key.clone().filter(|_| event.kind == DETECTED)?;
        let id = id_of(event.once.as_deref()?);
        Some(Self { id, at: event.at, tenant: event.tenant.clone(), key, kind, detail })
    }

    /// As the API shows it.
    pub fn resource(&self) -> Value {
        json!({
            "id": self.id,
            "at": self.at.to_rfc3339(),
            "tenant": self.tenant,
            "key": self.key,
            "kind": self.kind,
            "detail": self.detail,
        })
    }
}

/// Short, and the same for the same occurrence: 22 characters of its hash.
fn id_of(once: &str) -> String {
    let hash = Sha256::digest(once.as_bytes());
    let mut halves = hash.chunks_exact(8).take(2).map(|half| {
        let half: [u8; 8] = half.try_into().unwrap_or_default();
        base62(u64::from_be_bytes(half), 11)
    });
    [halves.next().unwrap_or_default(), halves.next().unwrap_or_default()].concat()
}

/// Whose use it is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The key.
    pub key: &'a KeyId,
    /// Its tenant.
    pub tenant: &'a str,
    /// The time of this moment.
    pub now: UnixMillis,
}

impl Subject<'_> {
    /// An anomaly, as an event. `what` and the kind name it among all of this key.
    fn anomaly(&self, kind: Kind, what: &str, mut detail: Map<String, Value>) -> Draft {
        detail.insert("kind".to_owned(), kind.as_str().into());
        let once = format!("anomaly/{}/{}/{what}", self.key, kind.as_str());
        self.event(DETECTED, once, detail)
    }

    /// That a key was used for the first time, or from another country.
    fn accessed(&self, first: bool, country: Option<&str>) -> Draft {
        let mut detail = Map::new();
        if first {
            detail.insert("first".to_owned(), true.into());
        }
        if let Some(country) = country {
            detail.insert("country".to_owned(), country.into());
        }
        let once = format!("accessed/{}/{}", self.key, country.unwrap_or_default());
        self.event(ACCESSED, once, detail)
    }

    fn event(&self, kind: &str, once: String, detail: Map<String, Value>) -> Draft {
        Draft {
            at: self.now,
            kind: kind.to_owned(),
            actor: "gate".to_owned(),
            tenant: self.tenant.to_owned(),
            key: Some(self.key.to_string()),
            call: None,
            code: None,
            request_id: None,
            address: None,
            fields: Vec::new(),
            detail,
            once: Some(once),
        }
    }
}
