//! Every count of one object: charged together or not at all, bounded, and written ahead.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::{Charge, MAX_WINDOW, Rate, Standing, Verdict, Window};
use crate::time::{Millis, UnixMillis};

/// The most limits and buckets that one object counts at the same time.
///
/// A count in use takes about 200 bytes, and 6 KB when it is full of admissions of a large limit;
/// 10 000 of them are 2 MB, and 60 MB if strangers could fill them all, which the key's own limit
/// does not let them: an isolate has 128 MB and may hold several objects.
pub const MAX_BUCKETS: usize = 10_000;

/// The longest bucket that stands in a storage key as it is: an IPv6 block is shorter. Others come
/// from a URL and stand as their SHA-256, so that nobody can fill the memory with them.
const MAX_BUCKET: usize = 43;

/// What is to be stored: a key, and a snapshot, or None where the row is to be deleted.
pub type Writes = Vec<(String, Option<String>)>;

/// The counts of one object, by limit and bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Windows {
    counts: BTreeMap<String, Window>,
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

impl Windows {
    /// Reads the stored rows back, without order. A row that cannot be read is a count without
    /// room for a window from now on: nothing is given twice because a store was damaged.
    pub fn restore(rows: impl IntoIterator<Item = (String, String)>, now: UnixMillis) -> Self {
        let read = |(key, snapshot): (String, String)| {
            let window = Window::restore(&snapshot).map(|(window, _)| window);
            (key, window.unwrap_or_else(|| Window::unreadable(now, MAX_WINDOW)))
        };
        Self { counts: rows.into_iter().map(read).collect(), ..Self::default() }
    }

    /// The latest instant at which one of these rows was stored: the object's clock must not go on
    /// from before it.
    pub fn stored_at<'r>(snapshots: impl IntoIterator<Item = &'r str>) -> UnixMillis {
        let stored = snapshots.into_iter().filter_map(Window::restore).map(|(_, stored)| stored);
        stored.max().unwrap_or_default()
    }

    /// Counts every charge, or none if one of those that are not in shadow has no room. What
    /// [`Self::take_writes`] then gives must be stored before anybody learns of the verdict.
    pub fn charge(&mut self, charges: &[Charge], now: UnixMillis) -> Verdict {
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
        for asked in asked.iter().filter(|asked| asked.wait == Millis::ZERO) {
            self.count(asked, now);
        }
        Verdict::Admitted { standings: self.standings(&asked, now), would_limit }
    }

    /// What must be stored before the answer leaves; then it counts as stored.
    #[must_use]
    pub fn take_writes(&mut self) -> Writes {
        core::mem::take(&mut self.writes).into_iter().collect()
    }

    /// Forgets counts in which nothing counts any more; their rows are among the writes.
    pub fn sweep(&mut self, now: UnixMillis) {
        let Self { counts, writes, .. } = self;
        counts.retain(|key, window| {
            let keep = window.empty_at() > now;
            if !keep {
                writes.insert(key.clone(), None);
            }
            keep
        });
        self.full_until = self.counts.values().map(Window::empty_at).min().unwrap_or_default();
    }

    /// Sweeps, and gives every reservation back: once the writes are stored, the memory may go
    /// without loss. To be called when an object has been idle for some seconds.
    pub fn settle(&mut self, now: UnixMillis) {
        self.sweep(now);
        for (key, window) in &mut self.counts {
            if window.settle() {
                self.writes.insert(key.clone(), Some(window.snapshot(now)));
            }
        }
    }

    /// The number of limits and buckets with a count.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True when nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Looks at every charge as if those before it in this call were counted.
    fn ask<'c>(&mut self, charges: &'c [Charge], now: UnixMillis) -> Vec<Asked<'c>> {
        let mut space = self.space_for(charges, now);
        let mut asked: Vec<Asked<'c>> = Vec::with_capacity(charges.len());
        for charge in charges {
            let key = charge.row();
            // A bucket that stands twice must have room for both.
            let before = asked.iter().filter(|before| before.key == key);
            let cost =
                before.fold(charge.cost, |sum, before| sum.saturating_add(before.charge.cost));
            let wait = match self.counts.get(&key) {
                Some(window) => window.wait(charge.rate, cost, now),
                None if cost > 0 && space == 0 => self.wait_for_space(now),
                None => {
                    space = space.saturating_sub(usize::from(cost > 0));
                    Window::default().wait(charge.rate, cost, now)
                }
            };
            asked.push(Asked { charge, key, wait });
        }
        asked
    }

    /// How many new counts fit, after looking for empty ones if these charges might not.
    fn space_for(&mut self, charges: &[Charge], now: UnixMillis) -> usize {
        let space = |windows: &Self| MAX_BUCKETS.saturating_sub(windows.len());
        if space(self) < charges.len() && self.full_until <= now {
            self.sweep(now);
        }
        space(self)
    }

    fn wait_for_space(&self, now: UnixMillis) -> Millis {
        self.full_until.since(now).max(Millis::millis(1))
    }

    fn count(&mut self, asked: &Asked<'_>, now: UnixMillis) {
        let Charge { rate, cost, .. } = *asked.charge;
        if cost == 0 {
            return;
        }
        let window = self.counts.entry(asked.key.clone()).or_default();
        if window.admit(rate, cost, now) {
            self.writes.insert(asked.key.clone(), Some(window.snapshot(now)));
        }
        self.full_until = self.full_until.min(window.empty_at());
    }

    fn standings(&self, asked: &[Asked<'_>], now: UnixMillis) -> Vec<Standing> {
        let told = asked.iter().filter(|asked| !asked.charge.shadow);
        told.map(|asked| self.standing(asked, now)).collect()
    }

    fn standing(&self, asked: &Asked<'_>, now: UnixMillis) -> Standing {
        let rate: Rate = asked.charge.rate;
        let (remaining, resets_in) = match self.counts.get(&asked.key) {
            Some(window) => {
                let remaining = rate.requests().saturating_sub(window.used(rate, now));
                let more = remaining.saturating_add(1);
                let whole = more > rate.requests();
                (remaining, if whole { Millis::ZERO } else { window.wait(rate, more, now) })
            }
            // No count: all is left, or there is no space for a count.
            None if asked.wait > Millis::ZERO => (0, asked.wait),
            None => (rate.requests(), Millis::ZERO),
        };
        Standing {
            limit: asked.charge.limit.clone(),
            quota: rate.requests(),
            window: rate.window(),
            remaining,
            resets_in,
        }
    }
}

impl Charge {
    /// The name of its row: the limit's name, which has no colon, and the bucket.
    pub(crate) fn row(&self) -> String {
        let Self { limit, bucket, rate, .. } = self;
        let window = rate.window().ceil_secs();
        if bucket.len() <= MAX_BUCKET && !bucket.starts_with('#') {
            return format!("{limit}:{window}:{bucket}");
        }
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(bucket.as_bytes()));
        format!("{limit}:{window}:#{hash}")
    }
}

#[cfg(test)]
mod tests;
