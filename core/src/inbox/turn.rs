//! Where an event stands, and what an attempt does to it.

use serde::{Deserialize, Serialize};

use crate::delivery::{Attempt, DEAD_KEPT, Next, Schedule};
use crate::time::{Millis, UnixMillis};

/// The last attempts that are kept of an event: those of the schedule twice over.
pub const KEPT_ATTEMPTS: usize = 20;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is to be delivered, or on its way.
    Pending,
    /// It arrived.
    Delivered,
    /// It will not be tried again by itself.
    Dead,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// As it stands in a row.
    pub const fn number(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Delivered => 1,
            Self::Dead => 2,
        }
    }

    /// Reads its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Reads its number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// An event's life as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Where it stands.
    pub state: State,
    /// Pending: not tried before it. Else: forgotten then.
    pub due: UnixMillis,
    /// Attempts since it came or was last replayed.
    pub attempts: u32,
    /// What they came to, the oldest first; [`KEPT_ATTEMPTS`] at most.
    pub tries: Vec<Attempt>,
}

impl Turn {
    /// Of an event that has just come.
    pub const fn new(now: UnixMillis) -> Self {
        Self { state: State::Pending, due: now, attempts: 0, tries: Vec::new() }
    }

    /// After an attempt that has ended at `now`. `wish`: the receiver's `Retry-After`; `keep`: how long
    /// an event that arrived is kept.
    pub fn tried(
        &mut self,
        attempt: Attempt,
        schedule: Schedule,
        wish: Option<UnixMillis>,
        keep: Millis,
        now: UnixMillis,
        chance: u32,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        let more = self.tries.len().saturating_add(1).saturating_sub(KEPT_ATTEMPTS);
        self.tries.drain(..more.min(self.tries.len()));
        self.tries.push(attempt);
        (self.state, self.due) =
            match schedule.after(self.attempts, attempt.came, wish, now, chance) {
                Next::Delivered => (State::Delivered, now.plus(keep)),
                Next::Again(at) => (State::Pending, at),
                Next::Gone | Next::Dead => (State::Dead, now.plus(DEAD_KEPT)),
            };
    }
}
