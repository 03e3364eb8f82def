//! One count: at most N admissions in any window of length W, never more, at most 2 % fewer.
//!
//! A log of admissions, in entries of an instant and a count. An admission counts for exactly W
//! from its entry's instant on, so in any W milliseconds there are at most N.
//!
//! **Bounded memory.** Up to 64 a window each admission has an entry of its own, and the log is
//! exact. Above, admissions join the newest entry while it holds fewer than N/64, and that entry
//! takes the latest instant: it ends late, never early. Only the oldest entry that still counts can
//! hold admissions that should have ended, because the next one begins after its instant; so less
//! than N/64 (1.6 % of N) is ever held back. An entry is closed after W/16 as well, so that a slow
//! client does not see its remainder drift.
//!
//! **Given ahead.** What an isolate may admit without asking counts as admitted at the last instant
//! at which it may do so. Such an entry lies ahead of now.
//!
//! **Given back.** Every admission is counted in an entry that ends no earlier than its instant
//! says. So the earliest such entry may lose as much as is given back, whichever entry really holds
//! it: what the others then count for ends no earlier than before.
//!
//! **Written ahead.** What is stored is the log and a reservation: room for admissions that need no
//! write of their own, valid for W/8. Stored as an entry at the reservation's last instant, it
//! covers whatever was admitted under it before the memory went, and no clock or count is needed to
//! read it back: a crash can lose up to max(1, 2 % of N), and gives nothing twice.

use std::collections::VecDeque;

use super::{Measure, Rate};
use crate::time::{Millis, UnixMillis};

/// Entries of a full log, for requests that cost one each.
const FULL_LOG: u32 = 64;
/// A bound that no client reaches: 64 full entries, 16 closed by time, twice that for costs that
/// do not fit together, and room for as many reservations of restarts.
const MAX_ENTRIES: usize = 256;

/// Admissions that end together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The first admission. Not stored: an entry that was read back began when it ended.
    opened: UnixMillis,
    /// The last admission: W after it, all of them stop counting.
    at: UnixMillis,
    count: u32,
}

/// Admissions that need no write, because what is stored covers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reservation {
    left: u32,
    /// The last instant of an admission under it.
    until: UnixMillis,
}

/// The admissions of one limit and bucket that still count.
///
/// When a rate changes, the log goes on: what was counted stays counted, for as long as the new
/// window says. A longer window knows nothing of what the shorter one had forgotten already.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// By `at`, oldest first.
    log: VecDeque<Entry>,
    reserved: Option<Reservation>,
    /// The length it was last charged with.
    length: Millis,
}

impl Window {
    /// Admissions that count at `now`; more than the rate allows after it was lowered, or while a
    /// reservation is held that a crash left behind.
    pub(super) fn used(&self, rate: Rate, now: UnixMillis) -> u32 {
        self.live(rate.window(), now).fold(0, |sum, entry| sum.saturating_add(entry.count))
    }

    /// Time until there is room for `cost`: zero if there is now. At exactly that time there is,
    /// and a millisecond before there is not, unless others come between. A cost above the limit
    /// never has room; it is told to wait a window.
    pub(super) fn wait(&self, rate: Rate, cost: u32, now: UnixMillis) -> Millis {
        if cost == 0 {
            return Millis::ZERO;
        }
        if cost > rate.requests() {
            return rate.window();
        }
        let asked = u64::from(self.used(rate, now)).saturating_add(u64::from(cost));
        let mut over = asked.saturating_sub(u64::from(rate.requests()));
        let mut wait = Millis::ZERO;
        for entry in self.live(rate.window(), now) {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(u64::from(entry.count));
            wait = entry.at.plus(rate.window()).since(now);
        }
        wait
    }

    /// Counts `cost` for an admission at `last`: now, or for what is given ahead the last instant
    /// at which it may be spent. The caller has asked [`Self::wait`]. True when the window must be
    /// stored before anybody learns of it; then there is a new reservation.
    #[must_use]
    pub(super) fn admit(
        &mut self,
        rate: Rate,
        cost: u32,
        last: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let window = rate.window();
        if self.length != window {
            // What is stored says how long it is kept: it must not go on saying the old length.
            self.length = window;
            self.reserved = None;
        }
        while self.log.front().is_some_and(|entry| entry.at.plus(window) <= now) {
            self.log.pop_front();
        }
        self.count(rate, cost, last, now);
        if let Some(reserved) = &mut self.reserved
            && reserved.left >= cost
            && last <= reserved.until
        {
            reserved.left = reserved.left.saturating_sub(cost);
            return false;
        }
        let until = last.max(now.plus(Millis::millis(window.as_millis() / 8)));
        // No more than can be admitted until then: a full window reserves only what comes free.
        let room = rate.requests().saturating_sub(self.used(rate, until));
        let left = room.min(Measure::Rate(rate).reserve());
        self.reserved = (left > 0).then_some(Reservation { left, until });
        true
    }

    /// Takes back `cost` that was counted at `at`, as far as it certainly still counts. True when
    /// the window must be stored.
    #[must_use]
    pub(super) fn give_back(
        &mut self,
        rate: Rate,
        cost: u32,
        at: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        if at > now || at.plus(rate.window()) <= now {
            return false;
        }
        let mut left = cost;
        let first = self.log.partition_point(|entry| entry.at < at);
        for entry in self.log.iter_mut().skip(first) {
            let taken = left.min(entry.count);
            entry.count = entry.count.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
        self.log.retain(|entry| entry.count > 0);
        left < cost
    }

    /// Gives the reservation back. True when one is stored: then the window is to be stored again.
    pub(super) fn settle(&mut self) -> bool {
        self.reserved.take().is_some()
    }

    /// When nothing counts any more.
    pub(super) fn empty_at(&self) -> UnixMillis {
        self.log.back().map_or(UnixMillis::default(), |entry| entry.at.plus(self.length))
    }

    /// What is stored at `now`: a JSON array of this instant, the window's length, and for each
    /// entry its age (negative for a reservation, which lies ahead) and its count.
    pub(super) fn snapshot(&self, now: UnixMillis) -> String {
        let mut stored = self.clone();
        if let Some(Reservation { left, until }) = self.reserved.filter(|held| held.left > 0) {
            stored.insert(until, left);
        }
        let mut numbers = vec![signed(now.as_millis()), signed(self.length.as_millis())];
        for entry in &stored.log {
            let age = signed(now.as_millis()).saturating_sub(signed(entry.at.as_millis()));
            numbers.extend([age, i64::from(entry.count)]);
        }
        serde_json::to_string(&numbers).unwrap_or_default()
    }

    /// Reads a snapshot back, with the instant at which it was stored.
    pub(super) fn restore(snapshot: &str) -> Option<(Self, UnixMillis)> {
        let numbers: Vec<i64> = serde_json::from_str(snapshot).ok()?;
        let (head, entries) = numbers.split_at_checked(2)?;
        let (stored, length) = (*head.first()?, *head.last()?);
        let mut window =
            Self { length: Millis::millis(length.try_into().ok()?), ..Self::default() };
        let (pairs, rest) = entries.as_chunks::<2>();
        for [age, count] in pairs {
            let at = UnixMillis::from_millis(stored.checked_sub(*age)?.try_into().ok()?);
            window.insert(at, u32::try_from(*count).ok()?);
        }
        let stored = UnixMillis::from_millis(stored.try_into().ok()?);
        rest.is_empty().then_some((window, stored))
    }

    /// A window about which nothing is known but that there was one: full until `length` from now.
    pub(super) fn unreadable(now: UnixMillis, length: Millis) -> Self {
        let mut window = Self { length, ..Self::default() };
        window.insert(now, u32::MAX);
        window
    }

    fn live(&self, window: Millis, now: UnixMillis) -> impl Iterator<Item = &Entry> {
        self.log.iter().skip_while(move |entry| entry.at.plus(window) <= now)
    }

    /// Joins the newest entry up to `at`, or makes one. Entries after `now` are given ahead, or
    /// are reservations that a crash left behind: what is admitted now does not join them.
    fn count(&mut self, rate: Rate, cost: u32, at: UnixMillis, now: UnixMillis) {
        let most = rate.requests().div_ceil(FULL_LOG);
        let longest = Millis::millis(rate.window().as_millis() / 16);
        let newest = self.position(at).checked_sub(1).and_then(|at| self.log.get_mut(at));
        match newest {
            Some(entry)
                if entry.count.saturating_add(cost) <= most
                    && at.since(entry.opened) < longest
                    && (entry.at > now) == (at > now) =>
            {
                entry.at = at;
                entry.count = entry.count.saturating_add(cost);
            }
            _ => self.insert(at, cost),
        }
    }

    fn insert(&mut self, at: UnixMillis, count: u32) {
        self.log.insert(self.position(at), Entry { opened: at, at, count });
        if self.log.len() > MAX_ENTRIES {
            self.join_smallest();
        }
    }

    /// The place after all entries up to `at`.
    fn position(&self, at: UnixMillis) -> usize {
        self.log.partition_point(|entry| entry.at <= at)
    }

    /// Joins the two neighbours that hold the least; they end with the later of them.
    fn join_smallest(&mut self) {
        let sums = self.log.iter().zip(self.log.iter().skip(1));
        let sums = sums.map(|(a, b)| a.count.saturating_add(b.count));
        let smallest = sums.enumerate().min_by_key(|(_, sum)| *sum);
        let Some((at, sum)) = smallest else { return };
        let Some(first) = self.log.remove(at) else { return };
        if let Some(entry) = self.log.get_mut(at) {
            entry.opened = entry.opened.min(first.opened);
            entry.count = sum;
        }
    }
}

/// Instants and spans far beyond any clock stay at the end of the range.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
