//! Every count of one object: charged together or not at all, bounded, and written ahead.

use std::collections::BTreeMap;

use super::count::{Count, Taken};
use super::slots::LONGEST;
use super::{Charge, Grant, Slot, Standing, Verdict};
use crate::time::{Millis, UnixMillis};

/// The most limits and buckets that one object counts at the same time.
///
/// A count in use takes about 200 bytes, and 6 KB when it is full of admissions of a large limit;
/// 10 000 of them are 2 MB, and 60 MB if strangers could fill them all, which the key's own limit
/// does not let them: an isolate has 128 MB and may hold several objects.
pub const MAX_BUCKETS: usize = 10_000;

/// What is to be stored: a key, and a snapshot, or None where the row is to be deleted.
pub type Writes = Vec<(String, Option<String>)>;

/// The counts of one object, by limit and bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    by_row: BTreeMap<String, Count>,
    /// What was decided and is not stored yet. The later value of a row is the one that counts.
    writes: BTreeMap<String, Option<String>>,
    /// Before this instant no count becomes empty, so that nothing needs to be looked for.
    full_until: UnixMillis,
}

/// One charge, looked at and not yet counted.
struct Asked<'c> {
    charge: &'c Charge,
    key: String,
    wait: Millis,
}

impl Counts {
    /// Reads the stored rows back, without order. A row that cannot be read is a count without
    /// room for as long as its kind can be full: nothing is given twice because a store was
    /// damaged.
    pub fn restore(rows: impl IntoIterator<Item = (String, String)>, now: UnixMillis) -> Self {
        let read = |(key, snapshot): (String, String)| {
            let count = Count::restore(&key, &snapshot, now);
            (key, count)
        };
        Self { by_row: rows.into_iter().map(read).collect(), ..Self::default() }
    }

    /// The latest instant at which one of these rows was stored: the object's clock must not go on
    /// from before it. Every snapshot is an array of whole numbers, and this is the first of them.
    pub fn stored_at<'r>(snapshots: impl IntoIterator<Item = &'r str>) -> UnixMillis {
        let stored = |snapshot: &str| {
            let numbers: Vec<i64> = serde_json::from_str(snapshot).ok()?;
            u64::try_from(*numbers.first()?).ok().map(UnixMillis::from_millis)
        };
        snapshots.into_iter().filter_map(stored).max().unwrap_or_default()
    }

    /// Counts every charge, or none if one of those that are not in shadow has no room. What
    /// [`Self::take_writes`] then gives must be stored before anybody learns of the verdict.
    /// `slot`: the request's place, where a charge is for one of those in flight.
    pub fn charge(&mut self, charges: &[Charge], slot: Option<&Slot>, now: UnixMillis) -> Verdict {
        let asked = self.ask(charges, now);
        let without_room = |shadow: bool| {
            let waiting = asked.iter().filter(move |asked| asked.charge.shadow == shadow);
            waiting.filter(|asked| asked.wait > Millis::ZERO)
        };
        let names = |shadow| without_room(shadow).map(|asked| asked.charge.limit.clone()).collect();
        let would_limit: Vec<String> = names(true);
        let exceeded: Vec<String> = names(false);
        if let Some(retry_after) = without_room(false).map(|asked| asked.wait).max() {
            let standings = self.standings(&asked, now);
            return Verdict::Limited { standings, exceeded, retry_after, would_limit };
        }
        // A request that nobody can release has its place for as long as one can be in flight.
        let nameless = Slot { id: String::new(), holds: LONGEST };
        let slot = slot.unwrap_or(&nameless);
        for asked in asked.iter().filter(|asked| asked.wait == Millis::ZERO) {
            let taken = Taken { units: asked.charge.units(), slot, last: now };
            self.count(asked.charge, &asked.key, taken, now);
        }
        let standings = self.standings(&asked, now);
        Verdict::Admitted { standings, would_limit, at: now, grant: None }
    }

    /// Grants up to `want` further requests with these charges, to be spent by an isolate without
    /// asking, and counts them all; None where nothing can be granted: one of the charges is not
    /// leased, is in shadow, or little is left. It takes at most a fourth of what is left, so that
    /// other isolates find some too. What it gives ends within a second, a fiftieth of every
    /// window, and the period of every quota.
    pub fn lease(&mut self, charges: &[Charge], want: u32, now: UnixMillis) -> Option<Grant> {
        let leases = charges.iter().map(|charge| charge.lease(now));
        let lasts = leases.collect::<Option<Vec<Millis>>>()?.into_iter().min()?;
        let asked = self.ask(charges, now);
        let mut requests = want;
        for one in asked.iter().filter(|one| one.charge.cost > 0) {
            let left = match self.by_row.get(&one.key) {
                Some(count) => count.left(one.charge, now),
                None if one.wait > Millis::ZERO => 0,
                None => Count::new(one.charge.measure).left(one.charge, now),
            };
            // A bucket that stands twice must have room for both.
            let same = asked.iter().filter(|other| other.key == one.key);
            let cost = same.fold(0_u32, |sum, other| sum.saturating_add(other.charge.cost));
            requests = requests.min((left / 4).checked_div(cost).unwrap_or(0));
        }
        if requests == 0 || lasts == Millis::ZERO {
            return None;
        }
        let nameless = Slot { id: String::new(), holds: LONGEST };
        for one in &asked {
            let units = one.charge.cost.saturating_mul(requests);
            let taken = Taken { units, slot: &nameless, last: now.plus(lasts) };
            self.count(one.charge, &one.key, taken, now);
        }
        Some(Grant { requests, lasts })
    }

    /// Where the limits of these charges stand, without counting anything.
    pub fn look(&mut self, charges: &[Charge], now: UnixMillis) -> Vec<Standing> {
        let asked = self.ask(charges, now);
        self.standings(&asked, now)
    }

    /// Takes back what was counted at `at` for a request that did not pass in the end. Never more
    /// than is certainly still counted: of the rest, and of charges in shadow, which may not have
    /// counted it, nothing. Its place is freed by [`Self::release`].
    pub fn give_back(&mut self, charges: &[Charge], at: UnixMillis, now: UnixMillis) {
        for charge in charges.iter().filter(|charge| !charge.shadow) {
            self.change(charge, now, |count| count.give_back(charge, at, now));
        }
    }

    /// Frees the places that a request had in these charges, once it is no longer in flight.
    pub fn release(&mut self, charges: &[Charge], slot: &str, now: UnixMillis) {
        for charge in charges {
            self.change(charge, now, |count| count.release(charge, slot, now));
        }
    }

    /// What must be stored before the answer leaves; then it counts as stored.
    #[must_use]
    pub fn take_writes(&mut self) -> Writes {
        core::mem::take(&mut self.writes).into_iter().collect()
    }

    /// Forgets counts in which nothing counts any more; their rows are among the writes.
    pub fn sweep(&mut self, now: UnixMillis) {
        let Self { by_row, writes, .. } = self;
        by_row.retain(|key, count| {
            let keep = count.empty_at() > now;
            if !keep {
                writes.insert(key.clone(), None);
            }
            keep
        });
        self.full_until = self.by_row.values().map(Count::empty_at).min().unwrap_or_default();
    }

    /// Sweeps, and gives every reservation back: once the writes are stored, the memory may go
    /// without loss. To be called when an object has been idle for some seconds.
    pub fn settle(&mut self, now: UnixMillis) {
        self.sweep(now);
        for (key, count) in &mut self.by_row {
            if count.settle(now) {
                store(&mut self.writes, key, count, now);
            }
        }
    }

    /// When the next count becomes empty by itself: then [`Self::settle`] frees its row. None while
    /// nothing is counted.
    pub fn next_end(&self) -> Option<UnixMillis> {
        self.by_row.values().map(Count::empty_at).min()
    }

    /// The number of limits and buckets with a count.
    pub fn len(&self) -> usize {
        self.by_row.len()
    }

    /// True when nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.by_row.is_empty()
    }

    /// Looks at every charge as if those before it in this call were counted.
    fn ask<'c>(&mut self, charges: &'c [Charge], now: UnixMillis) -> Vec<Asked<'c>> {
        let mut space = self.space_for(charges, now);
        let mut asked: Vec<Asked<'c>> = Vec::with_capacity(charges.len());
        for charge in charges {
            let (key, units) = (charge.row(), charge.units());
            // A bucket that stands twice must have room for both.
            let before = asked.iter().filter(|before| before.key == key);
            let all = before.fold(units, |sum, before| sum.saturating_add(before.charge.units()));
            let wait = match self.by_row.get(&key) {
                Some(count) => count.wait(charge, all, now),
                None if units > 0 && space == 0 => self.wait_for_space(now),
                None => {
                    space = space.saturating_sub(usize::from(units > 0));
                    Count::new(charge.measure).wait(charge, all, now)
                }
            };
            asked.push(Asked { charge, key, wait });
        }
        asked
    }

    /// How many new counts fit, after looking for empty ones if these charges might not.
    fn space_for(&mut self, charges: &[Charge], now: UnixMillis) -> usize {
        let space = |counts: &Self| MAX_BUCKETS.saturating_sub(counts.len());
        if space(self) < charges.len() && self.full_until <= now {
            self.sweep(now);
        }
        space(self)
    }

    fn wait_for_space(&self, now: UnixMillis) -> Millis {
        self.full_until.since(now).max(Millis::millis(1))
    }

    fn count(&mut self, charge: &Charge, key: &str, taken: Taken<'_>, now: UnixMillis) {
        if taken.units == 0 {
            return;
        }
        let fresh = || Count::new(charge.measure);
        let count = match self.by_row.get_mut(key) {
            Some(count) => count,
            None => self.by_row.entry(key.to_owned()).or_insert_with(fresh),
        };
        if count.admit(charge, taken, now) {
            store(&mut self.writes, key, count, now);
        }
        self.full_until = self.full_until.min(count.empty_at());
    }

    /// Takes something out of a count, if there is one.
    fn change(&mut self, charge: &Charge, now: UnixMillis, work: impl Fn(&mut Count) -> bool) {
        let key = charge.row();
        let Some(count) = self.by_row.get_mut(&key) else { return };
        if work(count) {
            store(&mut self.writes, &key, count, now);
        }
        self.full_until = self.full_until.min(count.empty_at());
    }

    fn standings(&self, asked: &[Asked<'_>], now: UnixMillis) -> Vec<Standing> {
        let told = asked.iter().filter(|asked| !asked.charge.shadow);
        told.map(|Asked { charge, key, wait }| {
            Count::standing(self.by_row.get(key), charge, *wait, now)
        })
        .collect()
    }
}

fn store(writes: &mut BTreeMap<String, Option<String>>, key: &str, count: &Count, now: UnixMillis) {
    if let Some(snapshot) = count.snapshot(now) {
        writes.insert(key.to_owned(), Some(snapshot));
    }
}

#[cfg(test)]
mod tests;
