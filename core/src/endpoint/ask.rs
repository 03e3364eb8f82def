//! What the keeper of a tenant's endpoints is asked, and what it answers, as JSON.

use serde::{Deserialize, Serialize};

use super::{Delivery, DeliveryState, Endpoint, EndpointState, Secrets};
use crate::time::{Millis, UnixMillis};
use crate::webhook::destination::Destination;
use crate::word::Word;

/// A message to the keeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointRequest {
    /// The audit has an event of this number. Answered with `Done`, or with `Unwanted`.
    Wake {
        /// The number of its last entry that is an event.
        last: u64,
    },
    /// Make this one. Answered with `Endpoint` or `Full`.
    Create(Box<Endpoint>),
    /// Show them. Answered with `Page`.
    List {
        /// At most so many.
        limit: u64,
        /// After the one of this id.
        after: Option<String>,
    },
    /// Show one. Answered with `Endpoint` or `Unknown`.
    Read {
        /// Its id.
        id: String,
    },
    /// Change one. Answered with `Endpoint`, `Unknown` or `VersionConflict`.
    Update {
        /// Its id.
        id: String,
        /// What is to be.
        update: Box<EndpointUpdate>,
    },
    /// Give one a new secret. Answered as `Update`.
    Rotate {
        /// Its id.
        id: String,
        /// The secret, hidden.
        secret: String,
        /// How long the one before goes on signing.
        grace: Millis,
    },
    /// Forget one and all that was sent to it. Answered with `Done` or `Unknown`.
    Delete {
        /// Its id.
        id: String,
    },
    /// Send one a test. Answered with `Sent`, `Unknown` or `Disabled`.
    Test {
        /// Its id.
        id: String,
        /// The tenant, for what is sent.
        tenant: String,
    },
    /// What was sent to one. Answered with `Deliveries` or `Unknown`.
    Deliveries {
        /// Its id.
        id: String,
        /// Which.
        query: DeliveryQuery,
    },
    /// Send again, as many as are taken at a time. Answered with `Replayed`, `Unknown` or `Disabled`.
    Replay {
        /// The endpoint's id.
        id: String,
        /// What.
        replay: Replay,
        /// Where to go on, as the answer before said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Place>,
    },
}

/// What is to be of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointUpdate {
    /// The version that the change was made for.
    pub version: u64,
    /// Where.
    pub url: Option<Destination>,
    /// What people call it.
    pub description: Word<String>,
    /// The types of events; empty: all of them.
    pub events: Word<Vec<String>>,
    /// On or off.
    pub state: Option<EndpointState>,
}

impl EndpointUpdate {
    /// The endpoint after it. Whoever switches it on again takes its failures as mended.
    #[must_use]
    pub fn of(self, endpoint: Endpoint) -> Endpoint {
        let mut next = endpoint;
        if let Some(url) = self.url {
            // What failed elsewhere says nothing of this place.
            next.failing_since = next.failing_since.filter(|_| next.url == url);
            next.url = url;
        }
        next.description = self.description.over(next.description);
        next.events = self.events.over(next.events);
        match self.state {
            Some(EndpointState::Enabled) => {
                next.state = EndpointState::Enabled;
                next.why = None;
                next.failing_since = None;
            }
            Some(EndpointState::Disabled) if next.is_on() => {
                next.state = EndpointState::Disabled;
                next.why = None;
            }
            Some(EndpointState::Disabled) | None => {}
        }
        next.version = next.version.saturating_add(1);
        next
    }
}

/// Which deliveries to show, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryQuery {
    /// At most so many.
    pub limit: u64,
    /// Older than the one of this event.
    pub before: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of events that happened then or later.
    pub since: Option<UnixMillis>,
}

/// What to send again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Which events.
    pub which: ReplayWhich,
    /// Only count them.
    pub dry_run: bool,
}

/// Which events to send again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayWhich {
    /// These.
    Ids(Vec<String>),
    /// All that happened then or later, in this state if one is named.
    Since {
        /// Then.
        since: UnixMillis,
        /// In this state.
        state: Option<DeliveryState>,
    },
}

/// Where a replay of many events goes on, by their ids. Its end is fixed when it begins: what is sent
/// meanwhile, or arrives once more, is not chosen again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// After this event.
    pub after: String,
    /// Not after this one.
    pub last: String,
}

/// A delivery, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The event's id.
    pub event: String,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub at: UnixMillis,
    /// How far it is.
    pub delivery: Delivery,
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointReply {
    /// Done.
    Done,
    /// The endpoint.
    Endpoint(Box<Endpoint>),
    /// Some of them, by id.
    Page {
        /// The endpoints.
        endpoints: Vec<Endpoint>,
        /// True when there are more.
        more: bool,
    },
    /// What was sent.
    Deliveries {
        /// The newest first.
        deliveries: Vec<Shown>,
        /// True when there are more.
        more: bool,
    },
    /// It is on its way.
    Sent(Box<Shown>),
    /// So many are on their way again, or would be.
    Replayed {
        /// So many.
        count: u64,
        /// Where to go on; none: that were all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Place>,
    },
    /// There is no endpoint: nobody wants events.
    Unwanted,
    /// There is no such endpoint.
    Unknown,
    /// There are as many as there may be.
    Full,
    /// It is off.
    Disabled,
    /// The change was made for another version than the present one.
    VersionConflict {
        /// The present version.
        current: u64,
    },
}

impl Secrets {
    /// Of an endpoint that is new.
    pub fn first(hidden: String) -> Self {
        Self { current: hidden, previous: None }
    }
}
