//! Requests in flight: each has a place until it is released, or until it can no longer be in
//! flight.
//!
//! **Written ahead.** Ids are in memory alone. What is stored is a cover: so many places until such
//! a time, at least as many and as long as are held at any moment until it is written again. It is
//! written when a new place does not fit under it, and when one is released and it covers more than
//! the reserve beyond what is held. Read back after a crash, all of its places are held: no fewer
//! than were, and at most the reserve more (and those that nobody released, for some seconds).
//!
//! **Released after a crash.** A request from before it is known by nothing but that its id is new.
//! Its release frees the restored place that ends first: whichever was its own, the others then
//! still end no earlier than the requests that they stand for. Each id frees one, and none that was
//! seen since the crash. A request is broken off before its place ends, so that no release comes
//! later than that.

use std::collections::{BTreeMap, BTreeSet};

use super::{Concurrency, Measure, Slot};
use crate::time::{Millis, UnixMillis};

/// The estimate of when a place comes free.
const ESTIMATE: Millis = Millis::secs(1);
/// The longest that a request can be in flight: the longest timeout and `max_stream` of a policy.
pub(super) const LONGEST: Millis = Millis::hours(48);
/// For so long a cover is good for requests that come after it was written; then it is written
/// again. After a crash places are held for so much longer at most.
const COVER_LASTS: Millis = Millis::secs(5);
/// More crashes than leave places behind at the same time; beyond, those that end last do so
/// together.
const MAX_RESTORED: usize = 16;
/// Ids that are remembered while places of before a crash are held. Beyond, those places are not
/// released any more, and end by themselves.
const MAX_SEEN: usize = 10_000;

/// So many places until this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Places {
    count: u32,
    until: UnixMillis,
}

/// The places of one limit of those in flight.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Slots {
    /// By request id. A request that asks twice has two, and each release frees one.
    live: BTreeMap<String, Places>,
    /// All live places.
    taken: u32,
    /// Before this instant no live place ends.
    first_end: UnixMillis,
    /// The longest that one of the places holds from its beginning.
    longest: Millis,
    /// What of it is stored: to restore a place with less would end it under a live stream.
    longest_stored: Millis,
    /// Places of before a crash, by their end.
    restored: Vec<Places>,
    /// While there are some: ids that have no right to them.
    seen: BTreeSet<String>,
    /// What is stored for live places, and for restored ones.
    cover: Places,
    stored: Vec<Places>,
}

impl Slots {
    /// Requests that may be in flight at `now`.
    pub(super) fn used(&self, now: UnixMillis) -> u32 {
        let live = if now < self.first_end {
            self.taken
        } else {
            sum(self.live.values().filter(|place| place.until > now))
        };
        live.saturating_add(held(&self.restored, now))
    }

    /// Zero if there are so many places at `now`, else an estimate of when there will be.
    pub(super) fn wait(&self, most: Concurrency, places: u32, now: UnixMillis) -> Millis {
        let fits = self.used(now).saturating_add(places) <= most.most();
        if fits || places == 0 { Millis::ZERO } else { ESTIMATE }
    }

    /// Takes a place at `now`. The caller has asked [`Self::wait`]. True when the cover must be
    /// stored before anybody learns of it.
    #[must_use]
    pub(super) fn admit(&mut self, most: Concurrency, slot: &Slot, now: UnixMillis) -> bool {
        self.expire(now);
        if self.live.is_empty() && self.restored.is_empty() {
            self.longest = Millis::ZERO;
        }
        let until = now.plus(slot.holds);
        self.longest = self.longest.max(slot.holds);
        self.first_end = if self.live.is_empty() { until } else { self.first_end.min(until) };
        let place = self.live.entry(slot.id.clone()).or_default();
        place.count = place.count.saturating_add(1);
        place.until = place.until.max(until);
        self.taken = self.taken.saturating_add(1);
        self.remember(&slot.id);
        let is_longer = until > self.cover.until || slot.holds > self.longest_stored;
        is_longer && self.cover(most, now) || self.recover(most, now)
    }

    /// Frees one place of the request with this id. True when the cover must be stored.
    #[must_use]
    pub(super) fn release(&mut self, most: Concurrency, id: &str, now: UnixMillis) -> bool {
        self.expire(now);
        if let Some(place) = self.live.get_mut(id) {
            place.count = place.count.saturating_sub(1);
            if place.count == 0 {
                self.live.remove(id);
            }
            self.taken = self.taken.saturating_sub(1);
        } else if self.seen.len() < MAX_SEEN && !self.seen.contains(id) {
            self.remember(id);
            if let Some(first) = self.restored.first_mut() {
                first.count = first.count.saturating_sub(1);
            }
            self.restored.retain(|place| place.count > 0);
            if self.restored.is_empty() {
                self.seen.clear();
            }
        }
        self.recover(most, now)
    }

    /// Makes the cover what is held. True when it was more: then it is to be stored again.
    pub(super) fn settle(&mut self, now: UnixMillis) -> bool {
        self.expire(now);
        let until = self.live.values().map(|place| place.until).max().unwrap_or_default();
        let cover = Places { count: self.taken, until };
        let settled = self.cover == cover && self.stored == self.restored;
        self.cover = cover;
        self.stored.clone_from(&self.restored);
        self.longest_stored = self.longest;
        !settled
    }

    /// When the last place ends by itself.
    pub(super) fn empty_at(&self) -> UnixMillis {
        let all = self.live.values().chain(&self.restored);
        all.map(|place| place.until).max().unwrap_or_default()
    }

    /// What is stored at `now`: a JSON array of this instant, the longest that a place holds, the
    /// places covered and for how long from now, and the same two for those of before a crash.
    pub(super) fn snapshot(&self, now: UnixMillis) -> Option<String> {
        let mut numbers = vec![now.as_millis(), self.longest.as_millis()];
        for Places { count, until } in core::iter::once(&self.cover).chain(&self.stored) {
            numbers.extend([u64::from(*count), until.since(now).as_millis()]);
        }
        serde_json::to_string(&numbers).ok()
    }

    /// Reads a snapshot back, at `now`. Whoever was in flight began before, so his place ends at
    /// the latest when one that began now would.
    pub(super) fn restore(snapshot: &str, now: UnixMillis) -> Option<Self> {
        let numbers: Vec<u64> = serde_json::from_str(snapshot).ok()?;
        let (head, places) = numbers.split_at_checked(2)?;
        let (stored, longest) = (*head.first()?, Millis::millis(*head.last()?));
        let (pairs, rest) = places.as_chunks::<2>();
        let mut slots = Self::default();
        for [count, lasts] in pairs {
            let until = UnixMillis::from_millis(stored.checked_add(*lasts)?);
            let count = u32::try_from(*count).ok()?;
            // A cover of nothing: no release is meant for it.
            if count == 0 {
                continue;
            }
            slots.stored.push(Places { count, until });
            slots.restored.push(Places { count, until: until.min(now.plus(longest)) });
        }
        (slots.longest, slots.longest_stored) = (longest, longest);
        slots.restored.sort_unstable_by_key(|place| place.until);
        while slots.restored.len() > MAX_RESTORED {
            let Some(Places { count, until }) = slots.restored.pop() else { break };
            if let Some(last) = slots.restored.last_mut() {
                *last = Places { count: last.count.saturating_add(count), until };
            }
        }
        (rest.is_empty() && !pairs.is_empty()).then_some(slots)
    }

    /// Places about which nothing is known but that there were some: as many as can be, for as
    /// long as can be.
    pub(super) fn unreadable(now: UnixMillis) -> Self {
        let all = Places { count: u32::MAX, until: now.plus(LONGEST) };
        Self {
            restored: vec![all],
            stored: vec![all],
            longest: LONGEST,
            longest_stored: LONGEST,
            ..Self::default()
        }
    }

    /// Forgets places that have ended.
    fn expire(&mut self, now: UnixMillis) {
        if now >= self.first_end {
            self.live.retain(|_, place| place.until > now);
            self.taken = sum(self.live.values());
            self.first_end = self.live.values().map(|place| place.until).min().unwrap_or_default();
        }
        self.restored.retain(|place| place.until > now);
        self.stored.retain(|place| place.until > now);
        if self.restored.is_empty() {
            self.seen.clear();
        }
    }

    /// An id that has no right to a restored place: it began since, or has freed one.
    fn remember(&mut self, id: &str) {
        if !self.restored.is_empty() && self.seen.len() < MAX_SEEN {
            self.seen.insert(id.to_owned());
        }
    }

    /// Writes the cover again if it is too small, or larger than what is held by more than the
    /// reserve.
    fn recover(&mut self, most: Concurrency, now: UnixMillis) -> bool {
        !self.is_covered(most, now) && self.cover(most, now)
    }

    fn is_covered(&self, most: Concurrency, now: UnixMillis) -> bool {
        let covered = if self.cover.until > now { self.cover.count } else { 0 };
        let stored = covered.saturating_add(held(&self.stored, now));
        let held = self.taken.saturating_add(held(&self.restored, now));
        self.taken <= covered && stored.saturating_sub(held) <= reserve(most)
    }

    /// A new cover, for longer, and if the old one does not fit, half of the reserve beyond what is
    /// held: so it takes as many changes in either direction until the next.
    fn cover(&mut self, most: Concurrency, now: UnixMillis) -> bool {
        if !self.is_covered(most, now) {
            let held = self.taken.saturating_add(held(&self.restored, now));
            let room = most.most().saturating_sub(held);
            self.cover.count = self.taken.saturating_add(room.min(reserve(most).div_ceil(2)));
        }
        self.cover.until = now.plus(self.longest).plus(COVER_LASTS);
        self.longest_stored = self.longest;
        self.stored.clone_from(&self.restored);
        true
    }
}

/// The most places that are covered beyond those that are held. A crash must not take the only
/// place there is.
fn reserve(most: Concurrency) -> u32 {
    if most.most() == 1 { 0 } else { Measure::Concurrency(most).reserve() }
}

fn sum<'p>(places: impl IntoIterator<Item = &'p Places>) -> u32 {
    places.into_iter().fold(0, |sum, place| sum.saturating_add(place.count))
}

fn held(places: &[Places], now: UnixMillis) -> u32 {
    sum(places.iter().filter(|place| place.until > now))
}

#[cfg(test)]
mod tests;
