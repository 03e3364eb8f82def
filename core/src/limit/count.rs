//! One count of whatever kind, as its row's name says.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::level::Level;
use super::period::Spent;
use super::slots::Slots;
use super::window::Window;
use super::{Charge, MAX_WINDOW, Measure, Period, Slot, Standing};
use crate::time::{Millis, UnixMillis};

/// The longest bucket that stands in a storage key as it is: an IPv6 block is shorter. Others come
/// from a URL and stand as their SHA-256, so that nobody can fill the memory with them.
const MAX_BUCKET: usize = 43;
/// What the name of a token bucket's row has before its window.
const LEVEL: &str = "level";
/// What the name of a row of those in flight has.
const SLOTS: &str = "slots";

/// What is counted of one limit and bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Window(Window),
    Level(Level),
    Spent(Spent),
    Slots(Slots),
}

/// What of a request a count takes: so many, by a request in this place, up to this instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'s> {
    pub(super) units: u32,
    pub(super) slot: &'s Slot,
    /// Now, or the last instant at which it may be spent.
    pub(super) last: UnixMillis,
}

impl Charge {
    /// What it takes: of those in flight one request is one, whatever it costs elsewhere.
    pub(crate) fn units(&self) -> u32 {
        match self.measure {
            Measure::Concurrency(_) => self.cost.min(1),
            _ => self.cost,
        }
    }

    /// The name of its row: the limit's name, which has no colon, what is counted, and the bucket.
    /// A measure counts on when its limit gets another beside it or loses one: so the row has the
    /// limit's name without what tells its measures apart, and no limit's name has a dot.
    pub(crate) fn row(&self) -> String {
        let Self { limit, bucket, measure, .. } = self;
        let limit = limit.split_once('.').map_or(limit.as_str(), |(limit, _)| limit);
        let counted = match measure {
            Measure::Rate(rate) => rate.window().ceil_secs().to_string(),
            Measure::TokenBucket(it) => format!("{LEVEL}{}", it.rate().window().ceil_secs()),
            Measure::Quota(quota) => quota.per().to_string(),
            Measure::Concurrency(_) => SLOTS.to_owned(),
        };
        if bucket.len() <= MAX_BUCKET && !bucket.starts_with('#') {
            return format!("{limit}:{counted}:{bucket}");
        }
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(bucket.as_bytes()));
        format!("{limit}:{counted}:#{hash}")
    }

    /// The longest that a lease of it lasts from `now`; None where it cannot be leased.
    pub(super) fn lease(&self, now: UnixMillis) -> Option<Millis> {
        if !self.leased || self.shadow {
            return None;
        }
        let longest = self.measure.lease();
        match self.measure {
            Measure::Rate(_) | Measure::TokenBucket(_) => Some(longest),
            Measure::Quota(quota) => Some(longest.min(quota.per().around(now).1.since(now))),
            Measure::Concurrency(_) => None,
        }
    }
}

impl Count {
    /// Nothing counted yet.
    pub(super) fn new(measure: Measure) -> Self {
        match measure {
            Measure::Rate(_) => Self::Window(Window::default()),
            Measure::TokenBucket(_) => Self::Level(Level::default()),
            Measure::Quota(_) => Self::Spent(Spent::default()),
            Measure::Concurrency(_) => Self::Slots(Slots::default()),
        }
    }

    /// Reads a row back. One that cannot be read has no room: nothing is given twice because a
    /// store was damaged.
    pub(super) fn restore(row: &str, snapshot: &str, now: UnixMillis) -> Self {
        let counted = row.split(':').nth(1).unwrap_or_default();
        let per = match counted {
            "hour" => Some(Period::Hour),
            "day" => Some(Period::Day),
            "month" => Some(Period::Month),
            _ => None,
        };
        if let Some(per) = per {
            let spent = Spent::restore(per, snapshot);
            return Self::Spent(spent.unwrap_or_else(|| Spent::unreadable(per, now)));
        }
        if counted == SLOTS {
            let slots = Slots::restore(snapshot, now);
            return Self::Slots(slots.unwrap_or_else(|| Slots::unreadable(now)));
        }
        if counted.starts_with(LEVEL) {
            let level = Level::restore(snapshot, now);
            return Self::Level(level.unwrap_or_else(|| Level::unreadable(now)));
        }
        let window = Window::restore(snapshot).map(|(window, _)| window);
        Self::Window(window.unwrap_or_else(|| Window::unreadable(now, MAX_WINDOW)))
    }

    /// What is left at `now`.
    pub(super) fn left(&self, charge: &Charge, now: UnixMillis) -> u32 {
        match (self, charge.measure) {
            (Self::Window(it), Measure::Rate(rate)) => {
                rate.requests().saturating_sub(it.used(rate, now))
            }
            (Self::Level(it), Measure::TokenBucket(bucket)) => it.left(bucket, charge.leased, now),
            (Self::Spent(it), Measure::Quota(quota)) => {
                quota.requests().saturating_sub(it.used(now))
            }
            (Self::Slots(it), Measure::Concurrency(most)) => {
                most.most().saturating_sub(it.used(now))
            }
            // The row's name says what kind it is.
            _ => 0,
        }
    }

    /// Time until there is room for `units`; zero if there is now.
    pub(super) fn wait(&self, charge: &Charge, units: u32, now: UnixMillis) -> Millis {
        match (self, charge.measure) {
            (Self::Window(it), Measure::Rate(rate)) => it.wait(rate, units, now),
            (Self::Level(it), Measure::TokenBucket(bucket)) => {
                it.wait(bucket, charge.leased, units, now)
            }
            (Self::Spent(it), Measure::Quota(quota)) => it.wait(quota, units, now),
            (Self::Slots(it), Measure::Concurrency(most)) => it.wait(most, units, now),
            _ => MAX_WINDOW,
        }
    }

    /// Counts what there is room for. True when it must be stored.
    pub(super) fn admit(&mut self, charge: &Charge, taken: Taken<'_>, now: UnixMillis) -> bool {
        let Taken { units, slot, last } = taken;
        match (self, charge.measure) {
            (Self::Window(it), Measure::Rate(rate)) => it.admit(rate, units, last, now),
            (Self::Level(it), Measure::TokenBucket(bucket)) => {
                it.admit(bucket, charge.leased, units, now)
            }
            (Self::Spent(it), Measure::Quota(quota)) => it.admit(quota, units, now),
            (Self::Slots(it), Measure::Concurrency(most)) => it.admit(most, slot, now),
            _ => false,
        }
    }

    /// Takes back what was counted at `at`. True when it must be stored.
    pub(super) fn give_back(&mut self, charge: &Charge, at: UnixMillis, now: UnixMillis) -> bool {
        match (self, charge.measure) {
            (Self::Window(it), Measure::Rate(rate)) => it.give_back(rate, charge.cost, at, now),
            (Self::Level(it), Measure::TokenBucket(bucket)) => {
                it.give_back(bucket, charge.cost, at, now)
            }
            (Self::Spent(it), Measure::Quota(_)) => it.give_back(charge.cost, at, now),
            _ => false,
        }
    }

    /// Frees a place. True when it must be stored.
    pub(super) fn release(&mut self, charge: &Charge, slot: &str, now: UnixMillis) -> bool {
        match (self, charge.measure) {
            (Self::Slots(it), Measure::Concurrency(most)) => it.release(most, slot, now),
            _ => false,
        }
    }

    /// Gives reservations back. True when it must be stored.
    pub(super) fn settle(&mut self, now: UnixMillis) -> bool {
        match self {
            Self::Window(it) => it.settle(),
            Self::Level(it) => it.settle(),
            Self::Spent(it) => it.settle(),
            Self::Slots(it) => it.settle(now),
        }
    }

    /// When nothing of it counts any more.
    pub(super) fn empty_at(&self) -> UnixMillis {
        match self {
            Self::Window(it) => it.empty_at(),
            Self::Level(it) => it.empty_at(),
            Self::Spent(it) => it.empty_at(),
            Self::Slots(it) => it.empty_at(),
        }
    }

    /// What is stored of it.
    pub(super) fn snapshot(&self, now: UnixMillis) -> Option<String> {
        match self {
            Self::Window(it) => Some(it.snapshot(now)),
            Self::Level(it) => it.snapshot(now),
            Self::Spent(it) => it.snapshot(now),
            Self::Slots(it) => it.snapshot(now),
        }
    }

    /// Where a limit stands; `wait`: the time until there is room for the request that asks, if
    /// there is no count because there is no space for one.
    pub(super) fn standing(
        count: Option<&Self>,
        charge: &Charge,
        wait: Millis,
        now: UnixMillis,
    ) -> Standing {
        let measure = charge.measure;
        let fresh = Self::new(measure);
        let (remaining, resets_in) = match count {
            None if wait > Millis::ZERO => (0, wait),
            count => {
                let count = count.unwrap_or(&fresh);
                let left = count.left(charge, now);
                let whole = left >= fresh.left(charge, now);
                let more = left.saturating_add(1);
                (left, if whole { Millis::ZERO } else { count.wait(charge, more, now) })
            }
        };
        let window = match measure {
            Measure::Rate(rate) => rate.window(),
            Measure::TokenBucket(bucket) => bucket.fills_in(),
            Measure::Quota(quota) => {
                let (start, end) = quota.per().around(now);
                end.since(start)
            }
            Measure::Concurrency(_) => Millis::ZERO,
        };
        Standing {
            limit: charge.limit.clone(),
            kind: charge.measure.kind(),
            quota: measure.most(),
            window,
            remaining,
            resets_in,
        }
    }
}
