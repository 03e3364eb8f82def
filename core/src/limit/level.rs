//! One token bucket, counted by what was taken out of it: a level that rises with every request
//! and falls as time goes by. There is room while it stays within what the bucket holds.
//!
//! **Exact integers.** A request is as many ticks as the rate's window has milliseconds, and in
//! each millisecond as many ticks drain as the rate has requests. Nothing is ever rounded. In any
//! span of time at most the burst and what drains meanwhile is admitted.
//!
//! **Given ahead.** What an isolate may spend later than it was counted could come on top of a
//! full burst. So a leased bucket holds less by what drains during a lease, and that is all it
//! takes: what is spent in a span was counted in that span or less than a lease before it. A bucket
//! that was leased stays so until it has been empty for a lease's time.
//!
//! **Written ahead.** What is stored is the level, and a reservation: requests that need no write
//! of their own up to an instant. Whoever reads it back adds the reservation at that instant, or
//! earlier at his own, for whatever was admitted under it was admitted before he reads.

use super::{Bucket, Measure, Rate};
use crate::time::{Millis, UnixMillis};

/// A level about which nothing is known but that there was one: as much as the bucket holds.
const FULL: u64 = u64::MAX;
/// How long such a level is kept, for buckets that are not asked for: 30 days.
const FULL_FOR: Millis = Millis::days(30);

/// Requests that need no write, because what is stored covers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reservation {
    left: u32,
    /// The last instant of an admission under it.
    until: UnixMillis,
}

/// What was taken out of one bucket and has not flowed back.
///
/// A changed rate counts from the last request on: what drained since is judged by the new one. One
/// of another window is a count of its own, because its ticks are of another size.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Level {
    /// In ticks, at `at`.
    ticks: u64,
    at: UnixMillis,
    /// The rate that it was last charged with.
    rate: Option<Rate>,
    /// Some of it was given ahead, and may be spent later.
    leased: bool,
    reserved: Option<Reservation>,
}

impl Level {
    /// Requests for which there is room at `now`.
    pub(super) fn left(&self, bucket: Bucket, leased: bool, now: UnixMillis) -> u32 {
        let holds = self.holds(bucket, leased, now);
        let left = holds.saturating_sub(self.used(bucket, now));
        let requests = left.checked_div(bucket.rate().window().as_millis()).unwrap_or(0);
        u32::try_from(requests).unwrap_or(u32::MAX)
    }

    /// Time until there is room for `cost`: zero if there is now. At exactly that time there is,
    /// and a millisecond before there is not, unless others come between. A cost above what it
    /// holds never has room; it is told to wait until an empty bucket is full.
    pub(super) fn wait(&self, bucket: Bucket, leased: bool, cost: u32, now: UnixMillis) -> Millis {
        let asked = in_ticks(bucket, cost);
        if asked == 0 {
            return Millis::ZERO;
        }
        let holds = self.holds(bucket, leased, now);
        if asked <= holds {
            let over = self.used(bucket, now).saturating_add(asked).saturating_sub(holds);
            return draining(bucket.rate(), over);
        }
        // It may hold more once nothing of it is given ahead any more.
        if !leased && asked <= in_ticks(bucket, bucket.burst()) {
            return self.leased_until(bucket).since(now);
        }
        bucket.fills_in()
    }

    /// Counts `cost` at `now`. The caller has asked [`Self::wait`]. True when the level must be
    /// stored before anybody learns of it; then there is a new reservation.
    #[must_use]
    pub(super) fn admit(
        &mut self,
        bucket: Bucket,
        leased: bool,
        cost: u32,
        now: UnixMillis,
    ) -> bool {
        let leased = leased || self.is_leased(bucket, now);
        if self.rate != Some(bucket.rate()) || self.leased != leased {
            // What is stored must not go on saying the old.
            self.reserved = None;
        }
        self.ticks = self.used(bucket, now).saturating_add(in_ticks(bucket, cost));
        self.at = now;
        self.rate = Some(bucket.rate());
        self.leased = leased;
        if let Some(reserved) = &mut self.reserved
            && reserved.left >= cost
            && now <= reserved.until
        {
            reserved.left = reserved.left.saturating_sub(cost);
            return false;
        }
        let until = now.plus(Millis::millis(bucket.fills_in().as_millis() / 8));
        // No more than can be admitted until then: a full bucket reserves only what comes free.
        let room = self.left(bucket, leased, until);
        let left = room.min(Measure::TokenBucket(bucket).reserve());
        self.reserved = (left > 0).then_some(Reservation { left, until });
        true
    }

    /// Takes back `cost` that was counted at `at`, as far as it certainly has not drained since.
    /// True when the level must be stored.
    #[must_use]
    pub(super) fn give_back(
        &mut self,
        bucket: Bucket,
        cost: u32,
        at: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        if at > now || self.ticks == FULL {
            return false;
        }
        let gone = drained(bucket.rate(), now.since(at));
        let back = in_ticks(bucket, cost).saturating_sub(gone);
        let used = self.used(bucket, now);
        (self.ticks, self.at) = (used.saturating_sub(back), now);
        back.min(used) > 0
    }

    /// Gives the reservation back. True when one is stored: then the level is to be stored again.
    pub(super) fn settle(&mut self) -> bool {
        self.reserved.take().is_some()
    }

    /// When nothing counts any more.
    pub(super) fn empty_at(&self) -> UnixMillis {
        match self.rate {
            None => self.at.plus(if self.ticks == FULL { FULL_FOR } else { Millis::ZERO }),
            Some(rate) => {
                let lease = if self.leased { rate.lease() } else { Millis::ZERO };
                self.at.plus(draining(rate, self.ticks)).plus(lease)
            }
        }
    }

    /// What is stored at `now`: a JSON array of this instant, the rate's window and requests, the
    /// level, the requests that are reserved, for how long from now, and 1 if some of it was given
    /// ahead.
    pub(super) fn snapshot(&self, now: UnixMillis) -> Option<String> {
        let rate = self.rate?;
        let Reservation { left, until } =
            self.reserved.unwrap_or(Reservation { left: 0, until: now });
        let numbers = [
            now.as_millis(),
            rate.window().as_millis(),
            u64::from(rate.requests()),
            self.ticks.saturating_sub(drained(rate, now.since(self.at))),
            u64::from(left),
            until.since(now).as_millis(),
            u64::from(self.leased),
        ];
        serde_json::to_string(&numbers).ok()
    }

    /// Reads a snapshot back, at `now`.
    pub(super) fn restore(snapshot: &str, now: UnixMillis) -> Option<Self> {
        let [stored, window, requests, level, left, lasts, leased]: [u64; 7] =
            serde_json::from_str(snapshot).ok()?;
        let rate = Rate::new(u32::try_from(requests).ok()?, Millis::millis(window)).ok()?;
        let leased = [false, true].get(usize::try_from(leased).ok()?).copied()?;
        let stored = UnixMillis::from_millis(stored);
        let at = now.clamp(stored, stored.plus(Millis::millis(lasts)));
        let level = level.saturating_sub(drained(rate, at.since(stored)));
        let level = level.checked_add(left.checked_mul(window)?).filter(|level| *level < FULL)?;
        Some(Self { ticks: level, at, rate: Some(rate), leased, reserved: None })
    }

    /// A bucket about which nothing is known but that there was one: empty at `now`.
    pub(super) fn unreadable(now: UnixMillis) -> Self {
        Self { ticks: FULL, at: now, leased: true, ..Self::default() }
    }

    /// What is taken out at `now`, in ticks.
    fn used(&self, bucket: Bucket, now: UnixMillis) -> u64 {
        let level = if self.ticks == FULL { in_ticks(bucket, bucket.burst()) } else { self.ticks };
        level.saturating_sub(drained(bucket.rate(), now.since(self.at)))
    }

    /// What it holds, in ticks.
    fn holds(&self, bucket: Bucket, leased: bool, now: UnixMillis) -> u64 {
        let all = in_ticks(bucket, bucket.burst());
        if leased || self.is_leased(bucket, now) {
            all.saturating_sub(drained(bucket.rate(), bucket.rate().lease()))
        } else {
            all
        }
    }

    fn is_leased(&self, bucket: Bucket, now: UnixMillis) -> bool {
        self.leased && now < self.leased_until(bucket)
    }

    /// When it has been empty for a lease's time.
    fn leased_until(&self, bucket: Bucket) -> UnixMillis {
        let empty = self.at.plus(draining(bucket.rate(), self.used(bucket, self.at)));
        empty.plus(bucket.rate().lease())
    }
}

/// Requests in ticks.
fn in_ticks(bucket: Bucket, requests: u32) -> u64 {
    u64::from(requests).saturating_mul(bucket.rate().window().as_millis())
}

/// Ticks that drain in a span.
fn drained(rate: Rate, span: Millis) -> u64 {
    u64::from(rate.requests()).saturating_mul(span.as_millis())
}

/// The span in which so many ticks have drained.
fn draining(rate: Rate, ticks: u64) -> Millis {
    Millis::millis(ticks.div_ceil(u64::from(rate.requests()).max(1)))
}

#[cfg(test)]
mod tests;
