//! One quota: what was used in the present hour, day or month, UTC.
//!
//! **Written ahead.** What is stored is what was used, and a reservation of requests that need no
//! write of their own until the period ends. Read back, all of it is used.

use super::{Measure, Period, Quota};
use crate::time::{Millis, UnixMillis};

/// What was used of one quota.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Spent {
    used: u32,
    /// The period that it was used in: its first instant, and the first after it.
    start: UnixMillis,
    end: UnixMillis,
    /// Requests that need no write, because what is stored covers them.
    reserved: u32,
}

impl Spent {
    /// Requests used in the period of `now`.
    pub(super) fn used(&self, now: UnixMillis) -> u32 {
        if now < self.end { self.used } else { 0 }
    }

    /// Time until there is room for `cost`: zero if there is now, else the rest of the period. A
    /// cost above the quota never has room; it is told the same.
    pub(super) fn wait(&self, quota: Quota, cost: u32, now: UnixMillis) -> Millis {
        let room = quota.requests().checked_sub(self.used(now));
        if cost == 0 || room.is_some_and(|room| room >= cost) {
            return Millis::ZERO;
        }
        let end = if now < self.end { self.end } else { quota.per().around(now).1 };
        end.since(now).max(Millis::millis(1))
    }

    /// Counts `cost` at `now`. The caller has asked [`Self::wait`]. True when it must be stored
    /// before anybody learns of it; then there is a new reservation.
    #[must_use]
    pub(super) fn admit(&mut self, quota: Quota, cost: u32, now: UnixMillis) -> bool {
        if now >= self.end {
            let (start, end) = quota.per().around(now);
            *self = Self { used: 0, start, end, reserved: 0 };
        }
        self.used = self.used.saturating_add(cost);
        if let Some(left) = self.reserved.checked_sub(cost) {
            self.reserved = left;
            return false;
        }
        let room = quota.requests().saturating_sub(self.used);
        self.reserved = room.min(Measure::Quota(quota).reserve());
        true
    }

    /// Takes back `cost` that was counted at `at`, if that was in this period. True when it must
    /// be stored.
    #[must_use]
    pub(super) fn give_back(&mut self, cost: u32, at: UnixMillis, now: UnixMillis) -> bool {
        if at > now || at < self.start || now >= self.end {
            return false;
        }
        let back = cost.min(self.used);
        self.used = self.used.saturating_sub(back);
        back > 0
    }

    /// Gives the reservation back. True when there was one: then it is to be stored again.
    pub(super) fn settle(&mut self) -> bool {
        core::mem::take(&mut self.reserved) > 0
    }

    /// When nothing counts any more.
    pub(super) fn empty_at(&self) -> UnixMillis {
        self.end
    }

    /// What is stored at `now`: a JSON array of this instant, the period's first one, and what is
    /// used or reserved.
    pub(super) fn snapshot(&self, now: UnixMillis) -> Option<String> {
        let used = self.used.saturating_add(self.reserved);
        serde_json::to_string(&[now.as_millis(), self.start.as_millis(), u64::from(used)]).ok()
    }

    /// Reads a snapshot back.
    pub(super) fn restore(per: Period, snapshot: &str) -> Option<Self> {
        let [_, start, used]: [u64; 3] = serde_json::from_str(snapshot).ok()?;
        let (start, end) = per.around(UnixMillis::from_millis(start));
        Some(Self { used: u32::try_from(used).ok()?, start, end, reserved: 0 })
    }

    /// A quota about which nothing is known but that there was one: used up until its period ends.
    pub(super) fn unreadable(per: Period, now: UnixMillis) -> Self {
        let (start, end) = per.around(now);
        Self { used: u32::MAX, start, end, reserved: 0 }
    }
}

#[cfg(test)]
mod tests;
