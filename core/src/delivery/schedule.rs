//! When a delivery that failed is tried again.

use core::num::NonZeroU32;

use super::attempt::{Came, Meaning};
use crate::time::{Millis, UnixMillis};

/// The pause after each failed attempt but the last (Standard Webhooks, "Delivery attempts"): ten
/// attempts within about three days.
pub const PAUSES: [Millis; 9] = [
    Millis::secs(5),
    Millis::minutes(5),
    Millis::minutes(30),
    Millis::hours(2),
    Millis::hours(5),
    Millis::hours(10),
    Millis::hours(14),
    Millis::hours(20),
    Millis::hours(24),
];
/// The longest that a receiver may have an event wait by `Retry-After`.
const LONGEST_WISH: Millis = Millis::hours(24);
/// By how much of itself a pause is made longer at most: a tenth.
const JITTER: u64 = 10;
/// The most times faster that a schedule can be.
pub const MAX_SPEED: u32 = 1_000_000;

/// When a delivery is tried, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    speed: NonZeroU32,
}

/// What becomes of an event after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it arrived.
    Delivered,
    /// It is dead, and whoever is there wants no others either (410).
    Gone,
    /// It is tried again then.
    Again(UnixMillis),
    /// It is dead: that was the last attempt.
    Dead,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Schedule {
    /// That of Standard Webhooks.
    pub const STANDARD: Self = Self { speed: NonZeroU32::MIN };

    /// The same, so many times faster: for tests.
    pub fn faster(speed: NonZeroU32) -> Self {
        Self { speed: speed.min(NonZeroU32::MIN.saturating_add(MAX_SPEED.saturating_sub(1))) }
    }

    /// The most attempts at one delivery.
    pub const fn attempts(self) -> u32 {
        // The array has nine.
        10
    }

    /// The pause after the attempt of this number, counted from 1; none after the last.
    /// `chance` makes it longer, by a tenth at most: what failed together is not tried again
    /// together.
    pub fn pause(self, attempt: u32, chance: u32) -> Option<Millis> {
        let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let pause = PAUSES.get(at)?.as_millis().checked_div(self.speed.get().into())?.max(1);
        // Both factors are below 2^33.
        let jitter = (pause / JITTER).saturating_mul(chance.into()) >> 32;
        Some(Millis::millis(pause.saturating_add(jitter)))
    }

    /// What becomes of an event whose attempt of this number, counted from 1, ended at `now`.
    ///
    /// `wish` is the receiver's `Retry-After`, as [`retry_after`] reads it: the next attempt is not
    /// before it, unless it is more than a day away. It is never sooner than the schedule says.
    pub fn after(
        self,
        attempt: u32,
        came: Came,
        wish: Option<UnixMillis>,
        now: UnixMillis,
        chance: u32,
    ) -> Next {
        self.after_that(attempt, came.meaning(), wish, now, chance)
    }

    /// The same, for whoever knows better than the answer alone what it means.
    pub fn after_that(
        self,
        attempt: u32,
        meaning: Meaning,
        wish: Option<UnixMillis>,
        now: UnixMillis,
        chance: u32,
    ) -> Next {
        match meaning {
            Meaning::Delivered => Next::Delivered,
            Meaning::Gone => Next::Gone,
            Meaning::Failed => match self.pause(attempt, chance) {
                None => Next::Dead,
                Some(pause) => {
                    let wished = wish.map_or(now, |at| at.min(now.plus(LONGEST_WISH)));
                    Next::Again(now.plus(pause).max(wished))
                }
            },
        }
    }
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3): whole seconds, or an HTTP date. None for a text
/// that is neither, which is as good as none.
pub fn retry_after(text: &str, now: UnixMillis) -> Option<UnixMillis> {
    let text = text.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a very long time.
        let secs = text.parse().unwrap_or(u64::MAX);
        return Some(now.plus(Millis::secs(secs)));
    }
    UnixMillis::parse_http_date(text)
}
