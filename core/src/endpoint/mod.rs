//! Events to a tenant's own servers: endpoints, what is sent to them, and what becomes of it (SPEC
//! section 7, outbound).
//!
//! The tenant's audit is the log of events. The keeper of its endpoints reads it by number, so that
//! nothing that was written down is lost on the way, and keeps a delivery for each endpoint and
//! event. All here is a pure transition; time, chance and the answers are arguments.
//!
//! Scope: which event goes to which endpoint, what is sent and when it is its turn, what an attempt
//! does to the delivery and to the endpoint. Out of scope: the schedule ([`crate::delivery`]), signing
//! ([`crate::webhook::uniform`]), and storing.

mod ask;
mod delivery;
mod event;
mod flight;

pub use ask::{
    DeliveryQuery, EndpointReply, EndpointRequest, EndpointUpdate, Place, Replay, ReplayWhich,
    Shown,
};
pub use delivery::{Delivery, DeliveryState, Ended, Outcome};
pub use event::{EVENTS, Event, TEST, event_of, is_event, test_event};
pub use flight::{Flight, Places};

use serde::{Deserialize, Serialize};

use crate::audit::Draft;
use crate::text::{base62, is_base62, random_base62};
use crate::time::{Millis, UnixMillis};
use crate::webhook::destination::Destination;

/// The most endpoints of one tenant.
pub const MAX_ENDPOINTS: usize = 20;
/// How long the secret before a rotation goes on signing when nobody says.
pub const DEFAULT_GRACE: Millis = Millis::hours(24);
/// The longest that it may.
pub const MAX_GRACE: Millis = Millis::days(7);
/// Bytes of a secret (Standard Webhooks: 24 to 64).
pub const SECRET_BYTES: usize = 32;
/// What stands in front of a secret.
pub const SECRET_PREFIX: &str = "whsec_";
/// What stands in front of an endpoint's id.
const ID_PREFIX: &str = "ep_";
/// What stands in front of an event's id.
const EVENT_PREFIX: &str = "evt_";
/// Characters of an id after that: eight of the time, eight at random.
const ID_LENGTH: usize = 16;

/// Whether events are sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// They are.
    Enabled,
    /// They are kept for it, and not sent.
    Disabled,
}

/// Why the gate itself switched an endpoint off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It answered 410: it wants no more events.
    Gone,
    /// Nothing arrived there for as long as one event was tried.
    Dead,
}

/// A place that a tenant has events sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Where.
    pub url: Destination,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The types of events; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// On or off.
    pub state: EndpointState,
    /// Why it is off, if nobody switched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Goes up by one with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What signs.
    pub secrets: Secrets,
    /// The last entry of the audit that it was made after.
    pub since: u64,
    /// When the attempts began that failed, all of them since the last that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<UnixMillis>,
}

/// The secrets of an endpoint, each hidden under `STORE_KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The present one.
    pub current: String,
    /// The one before it, and until when that signs as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<(String, UnixMillis)>,
}

impl Secrets {
    /// With a new one. The present one signs for `grace` beside it; one that was before is gone.
    #[must_use]
    pub fn rotated(self, new: String, grace: Millis, now: UnixMillis) -> Self {
        let previous = (grace > Millis::ZERO).then(|| (self.current, now.plus(grace)));
        Self { current: new, previous }
    }

    /// Those that sign at `now`, the present one first.
    pub fn at(&self, now: UnixMillis) -> Vec<&str> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        core::iter::once(self.current.as_str())
            .chain(previous.map(|(hidden, _)| hidden.as_str()))
            .collect()
    }
}

impl EndpointState {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// Reads `enabled` or `disabled`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled].into_iter().find(|state| state.as_str() == text)
    }
}

impl Endpoint {
    /// True when it gets events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|event| event == kind))
    }

    /// True when events are sent to it.
    pub fn is_on(&self) -> bool {
        self.state == EndpointState::Enabled
    }

    /// Where a secret of it is kept, as whoever hides and opens it says: moved to another tenant or
    /// endpoint it does not open.
    pub fn row(tenant: &str, id: &str) -> String {
        format!("endpoint/{tenant}/{id}")
    }

    /// It is off for this reason.
    fn switch_off(&mut self, why: Why) {
        self.state = EndpointState::Disabled;
        self.why = Some(why);
        self.version = self.version.saturating_add(1);
    }

    /// What the audit is told once the gate switched it off.
    pub fn disabled_event(&self, tenant: &str, now: UnixMillis) -> Draft {
        let mut event = Draft::by_gate("endpoint.disabled", tenant, now);
        event.detail.insert("endpoint".to_owned(), self.id.as_str().into());
        event.detail.insert("why".to_owned(), serde_json::json!(self.why));
        event.once = Some(format!("endpoint.disabled/{}/{}", self.id, self.version));
        event
    }
}

/// A fresh id of an endpoint. None when the random bytes are unusable.
pub fn endpoint_id(now: UnixMillis, random: &[u8]) -> Option<String> {
    fresh(ID_PREFIX, now, random)
}

/// True for what [`endpoint_id`] makes.
pub fn is_endpoint_id(text: &str) -> bool {
    is_fresh(ID_PREFIX, text)
}

/// A fresh id of an event, the same for every endpoint and attempt: later ones come after it in the
/// order of texts. None when the random bytes are unusable.
pub fn event_id(now: UnixMillis, random: &[u8]) -> Option<String> {
    fresh(EVENT_PREFIX, now, random)
}

/// True for what [`event_id`] makes.
pub fn is_event_id(text: &str) -> bool {
    is_fresh(EVENT_PREFIX, text)
}

fn fresh(prefix: &str, now: UnixMillis, random: &[u8]) -> Option<String> {
    Some([prefix, &base62(now.as_millis(), 8), &random_base62(random, 8)?].concat())
}

fn is_fresh(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == ID_LENGTH && is_base62(rest))
}

#[cfg(test)]
mod tests;
