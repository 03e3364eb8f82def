//! One event on its way to one endpoint.

use serde::{Deserialize, Serialize};

use super::{Endpoint, Why};
use crate::delivery::{Attempt, Meaning, Next, Schedule};
use crate::time::UnixMillis;
use crate::webhook::destination::Destination;

/// The most attempts that are kept of one delivery, the latest: replays add to them.
const MAX_ATTEMPTS: usize = 30;

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits for its next attempt.
    Pending,
    /// It arrived.
    Delivered,
    /// It was given up.
    Dead,
    /// It was not sent, because the endpoint was off.
    Held,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How far it is.
    pub state: DeliveryState,
    /// When it is tried next, while it is pending.
    pub next_at: UnixMillis,
    /// Attempts since it was put on its way, or on its way again.
    pub tries: u32,
    /// What came of them, the oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The attempt.
    pub attempt: Attempt,
    /// Where it was sent to: the endpoint may be at another place by now.
    pub url: Destination,
    /// When the next one is wanted, by `Retry-After`.
    pub wish: Option<UnixMillis>,
}

/// What an attempt did besides to its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// The endpoint is another one: how long it has failed.
    Changed,
    /// The endpoint is off: what waits for it is held.
    Off,
}

impl DeliveryState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Held];

    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Held => "held",
        }
    }

    /// The state with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Delivery {
    /// One that begins at `now`, if the endpoint is on.
    pub fn new(endpoint: &Endpoint, now: UnixMillis) -> Self {
        let state = if endpoint.is_on() { DeliveryState::Pending } else { DeliveryState::Held };
        Self { state, next_at: now, tries: 0, attempts: Vec::new() }
    }

    /// On its way again from the beginning. What is on its way already stays as it is.
    pub fn replay(&mut self, now: UnixMillis) {
        if self.state != DeliveryState::Pending {
            self.state = DeliveryState::Pending;
            self.next_at = now;
            self.tries = 0;
        }
    }

    /// What comes of an attempt that ended at `now`. `chance` is any number.
    ///
    /// An endpoint is switched off when it says so (410), and when an event was tried to the end and
    /// nothing at all arrived there since its first attempt. What the place says that it was at before
    /// is of the delivery alone.
    pub fn attempted(
        &mut self,
        endpoint: &mut Endpoint,
        ended: &Ended,
        now: UnixMillis,
        chance: u32,
    ) -> Outcome {
        let Ended { attempt, ref url, wish } = *ended;
        let begun = self.begun(attempt);
        let moved = endpoint.url != *url;
        self.tries = self.tries.saturating_add(1);
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(MAX_ATTEMPTS);
        self.attempts.drain(..surplus);
        let meaning = match attempt.came.meaning() {
            Meaning::Gone if moved => Meaning::Failed,
            meaning => meaning,
        };
        let next = Schedule::STANDARD.after_that(self.tries, meaning, wish, now, chance);
        self.state = match next {
            Next::Delivered => DeliveryState::Delivered,
            // It may have been switched off meanwhile.
            Next::Again(_) if !endpoint.is_on() => DeliveryState::Held,
            Next::Again(at) => {
                self.next_at = at;
                DeliveryState::Pending
            }
            Next::Gone | Next::Dead => DeliveryState::Dead,
        };
        if moved {
            return Outcome::Nothing;
        }
        let failed_before = endpoint.failing_since;
        if next == Next::Delivered {
            endpoint.failing_since = None;
            return if failed_before.is_some() { Outcome::Changed } else { Outcome::Nothing };
        }
        let failing_since = *endpoint.failing_since.get_or_insert(attempt.at);
        let why = match next {
            Next::Gone => Some(Why::Gone),
            Next::Dead if failing_since <= begun => Some(Why::Dead),
            Next::Delivered | Next::Again(_) | Next::Dead => None,
        };
        match why {
            Some(why) if endpoint.is_on() => {
                endpoint.switch_off(why);
                Outcome::Off
            }
            _ if failed_before.is_none() => Outcome::Changed,
            _ => Outcome::Nothing,
        }
    }

    /// When the first attempt of this round began, of which `attempt` is the latest.
    fn begun(&self, attempt: Attempt) -> UnixMillis {
        let tries = usize::try_from(self.tries).unwrap_or(usize::MAX);
        let first = self.attempts.len().saturating_sub(tries);
        self.attempts.get(first).map_or(attempt.at, |first| first.at)
    }
}
