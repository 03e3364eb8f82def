//! What an isolate was given ahead, and spends without a call (SPEC section 4, leased mode).
//!
//! **Never over.** What an object granted it counts as admitted at the last instant at which it may
//! be spent, and it tells how long that is. An isolate counts that time from the moment at which it
//! asked, so that the two clocks need not agree, but only go equally fast. A clock that is seen to
//! step back ends all leases; what was not spent is lost.
//!
//! **As much as is needed.** Whoever is asked for seldom is not leased: it would save no call, and
//! what is not spent is lost to others. Else so many are asked for as were needed during the last
//! second, scaled to a lease's time; while the demand still grows, twice as many as in this one so
//! far; and always less by what is left and can still be spent.
//!
//! **In time.** One question of a kind is under way at a time. It is asked in the background, while
//! a third of a grant is left, or an eighth of its time.

use std::collections::BTreeMap;

use super::{Charge, Grant, MAX_LEASE, Standing};
use crate::time::{Millis, UnixMillis};

/// Fewer requests in a lease's time are not worth one.
const WORTH: u32 = 4;
/// Grants of one name at a time; of more, the one with the least is lost.
const MAX_GRANTS: usize = 8;
/// An answer that takes longer is not waited for.
const PATIENCE: Millis = Millis::secs(3);
/// Kinds of requests whose demand is known at a time. One takes about 500 bytes.
const MAX_NAMES: usize = 4_000;
/// A name that nobody asked for in so long is forgotten when there is no room.
const FORGOTTEN: Millis = Millis::secs(3);
/// A question is asked before so much of a lease's time is left, but not more than a third of it:
/// an object answers sooner.
const LATEST: Millis = Millis::millis(100);
/// The shortest time between two searches for names to forget.
const SWEEP_PAUSE: Millis = Millis::secs(1);

/// What a lease is for: an object, the version of a key that was decided on, and the very charges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName {
    name: String,
    /// How long a lease of it lasts, but at the end of a quota's period.
    lasts: Millis,
}

impl LeaseName {
    /// The lease of requests with these charges at this object. `key`: the key's id and the
    /// version of its record, where it is a key's object, so that a key that was changed asks
    /// again. Keys of one family have their counts in common and no lease: what renews that of
    /// one says nothing of whether the other is still good.
    pub fn new(object: &str, key: Option<(&str, u64)>, charges: &[Charge]) -> Self {
        let rows: Vec<String> =
            charges.iter().map(|charge| format!("{}*{}", charge.row(), charge.cost)).collect();
        let lasts = charges.iter().map(|charge| charge.measure.lease()).min();
        let key = key.map(|(id, version)| format!("{id} {version}")).unwrap_or_default();
        let name = format!("{object} {key} {}", rows.join(" "));
        Self { name, lasts: lasts.unwrap_or(MAX_LEASE) }
    }
}

/// A request that was paid for from a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Where the limits stand, as far as the isolate knows.
    pub standings: Vec<Standing>,
    /// More is to be asked for in the background now, so many requests.
    pub renew: Option<u32>,
    /// When the grant ends that it was paid from: what it can be given back by.
    pub ends: UnixMillis,
}

/// All leases of one isolate. They may vanish at any moment: what was not spent is lost.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    held: BTreeMap<LeaseName, Held>,
    /// The latest time that was told.
    last: UnixMillis,
    /// Before this instant it is not worth looking for names to forget.
    sweep_at: UnixMillis,
}

/// What is known of one name.
#[derive(Clone, Debug, Default)]
struct Held {
    /// By their ends.
    grants: Vec<Live>,
    demand: Demand,
    /// When the question was asked that is under way.
    asked_at: Option<UnixMillis>,
    /// Until then it is not asked again: there was nothing to be had.
    pause_until: UnixMillis,
    /// What the object said of the limits, and when it was asked.
    standings: Vec<Standing>,
    told_at: UnixMillis,
}

/// A grant that is being spent.
#[derive(Clone, Copy, Debug)]
struct Live {
    left: u32,
    of: u32,
    begins: UnixMillis,
    ends: UnixMillis,
}

/// Requests of one name: in the second that began at `start`, and in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    start: UnixMillis,
    now: u32,
    before: u32,
}

impl Leases {
    /// Pays for one request, if something is left for it.
    pub fn spend(&mut self, name: &LeaseName, now: UnixMillis) -> Option<Leased> {
        self.tick(now);
        let held = self.held.get_mut(name)?;
        held.grants.retain(|grant| now < grant.ends);
        let first = held.grants.iter_mut().find(|grant| grant.left > 0)?;
        first.left = first.left.saturating_sub(1);
        let ends = first.ends;
        held.demand.count(now);
        let renew = if held.is_short(now) { held.ask(name.lasts, now) } else { None };
        Some(Leased { standings: held.standings(now), renew, ends })
    }

    /// True when [`Self::spend`] would pay for one.
    pub fn is_left(&self, name: &LeaseName, now: UnixMillis) -> bool {
        let grants = self.held.get(name).map(|held| held.grants.as_slice());
        let mut grants = grants.unwrap_or_default().iter();
        now >= self.last && grants.any(|grant| grant.left > 0 && now < grant.ends)
    }

    /// How many requests are to be asked for ahead, with a request that asks the object: 0 while
    /// somebody else of this isolate is asking, or where it is not worth it. Where it is more than
    /// 0, [`Self::take`] or [`Self::end`] is to follow.
    pub fn wish(&mut self, name: &LeaseName, now: UnixMillis) -> u32 {
        self.tick(now);
        if !self.held.contains_key(name) && !self.has_room(now) {
            return 0;
        }
        let held = match self.held.get_mut(name) {
            Some(held) => held,
            None => self.held.entry(name.clone()).or_default(),
        };
        held.demand.count(now);
        held.ask(name.lasts, now).unwrap_or(0)
    }

    /// Takes what the object granted. `asked_at`: when the message was sent, by this isolate's
    /// clock; `standings`: what it said of the limits.
    pub fn take(
        &mut self,
        name: &LeaseName,
        grant: Option<Grant>,
        standings: &[Standing],
        asked_at: UnixMillis,
        now: UnixMillis,
    ) {
        self.tick(now);
        let Some(held) = self.held.get_mut(name) else { return };
        // A question of before the clock stepped back, or before the lease was ended, is unknown:
        // nobody can say how long ago it was asked.
        if held.asked_at != Some(asked_at) {
            return;
        }
        held.asked_at = None;
        held.learn(standings, asked_at);
        match grant {
            Some(Grant { requests, lasts }) => {
                held.add(Live {
                    left: requests,
                    of: requests,
                    begins: asked_at,
                    ends: asked_at.plus(lasts),
                });
            }
            None => held.pause_until = now.plus(name.lasts),
        }
    }

    /// What the object said of the limits to a request that asked it, without asking ahead.
    pub fn learn(&mut self, name: &LeaseName, standings: &[Standing], now: UnixMillis) {
        self.tick(now);
        if let Some(held) = self.held.get_mut(name) {
            held.learn(standings, now);
        }
    }

    /// Gives back one request that was paid for and did not pass. `ends`: as [`Leased`] said.
    pub fn give_back(&mut self, name: &LeaseName, ends: UnixMillis, now: UnixMillis) {
        self.tick(now);
        let grants = self.held.get_mut(name).map(|held| held.grants.as_mut_slice());
        let mut grants = grants.unwrap_or_default().iter_mut();
        if let Some(grant) = grants.find(|grant| grant.ends == ends && now < ends) {
            grant.left = grant.left.saturating_add(1).min(grant.of);
        }
    }

    /// Ends a lease: the object said that what it was for is no more.
    pub fn end(&mut self, name: &LeaseName) {
        self.held.remove(name);
    }

    /// A clock that stepped back cannot tell for how long a lease has lasted.
    fn tick(&mut self, now: UnixMillis) {
        if now < self.last {
            self.held.clear();
            self.sweep_at = now;
        }
        self.last = now;
    }

    fn has_room(&mut self, now: UnixMillis) -> bool {
        if self.held.len() >= MAX_NAMES && now >= self.sweep_at {
            self.sweep_at = now.plus(SWEEP_PAUSE);
            self.held.retain(|_, held| now < held.demand.start.plus(FORGOTTEN));
        }
        self.held.len() < MAX_NAMES
    }
}

impl Held {
    /// What is left would be gone before an answer could come.
    fn is_short(&self, now: UnixMillis) -> bool {
        let left = self.grants.iter().fold(0_u32, |sum, grant| sum.saturating_add(grant.left));
        let Some(last) = self.grants.last() else { return true };
        let lasts = last.ends.since(last.begins).as_millis();
        let in_time = (lasts / 8).max(LATEST.as_millis()).min(lasts.div_ceil(3));
        left < last.of.div_ceil(3) || last.ends.since(now).as_millis() < in_time
    }

    /// Asks for as much as is needed, if it is worth it and nobody does already.
    fn ask(&mut self, lasts: Millis, now: UnixMillis) -> Option<u32> {
        let waits = self.asked_at.is_some_and(|asked_at| now < asked_at.plus(PATIENCE));
        let wanted = self.demand.wanted(lasts);
        if waits || now < self.pause_until || wanted < WORTH {
            return None;
        }
        self.asked_at = Some(now);
        Some(wanted.saturating_sub(self.usable(wanted, lasts, now)).max(1))
    }

    /// What is left and will be spent before it ends, if so many are needed in a lease's time.
    fn usable(&self, wanted: u32, lasts: Millis, now: UnixMillis) -> u32 {
        let mut usable = 0_u64;
        for grant in &self.grants {
            let time = grant.ends.since(now).as_millis();
            let needed = u64::from(wanted).saturating_mul(time);
            let needed = needed.checked_div(lasts.as_millis()).unwrap_or(0);
            usable = usable.saturating_add(u64::from(grant.left)).min(needed.max(usable));
        }
        u32::try_from(usable).unwrap_or(u32::MAX)
    }

    fn add(&mut self, grant: Live) {
        let at = self.grants.partition_point(|known| known.ends <= grant.ends);
        self.grants.insert(at, grant);
        if self.grants.len() > MAX_GRANTS {
            let least = self.grants.iter().enumerate().min_by_key(|(_, grant)| grant.left);
            if let Some((at, _)) = least {
                self.grants.remove(at);
            }
        }
    }

    /// Takes what the object said. Of two answers that cross, the one that has less left counts.
    fn learn(&mut self, standings: &[Standing], at: UnixMillis) {
        if standings.is_empty() {
            return;
        }
        let known = core::mem::replace(&mut self.standings, standings.to_vec());
        if at < self.told_at {
            for standing in &mut self.standings {
                let same = known.iter().find(|known| known.limit == standing.limit);
                let less = same.map_or(u32::MAX, |known| known.remaining);
                standing.remaining = standing.remaining.min(less);
            }
        }
        self.told_at = self.told_at.max(at);
    }

    /// What is left beside the leases. While more is being asked for, less what that may take, a
    /// fourth: it may be lost, so nobody may count on it.
    fn standings(&self, now: UnixMillis) -> Vec<Standing> {
        let gone = now.since(self.told_at).as_millis();
        let told = |standing: &Standing| {
            let taken = if self.asked_at.is_some() { standing.remaining.div_ceil(4) } else { 0 };
            let left = standing.resets_in.as_millis().saturating_sub(gone);
            Standing {
                remaining: standing.remaining.saturating_sub(taken),
                resets_in: Millis::millis(left),
                ..standing.clone()
            }
        };
        self.standings.iter().map(told).collect()
    }
}

impl Demand {
    fn count(&mut self, now: UnixMillis) {
        let next = self.start.plus(MAX_LEASE);
        if now >= next {
            let follows = now < next.plus(MAX_LEASE);
            self.before = if follows { self.now } else { 0 };
            self.start = if follows { next } else { now };
            self.now = 0;
        }
        self.now = self.now.saturating_add(1);
    }

    /// What the next lease is expected to need, if it lasts so long.
    fn wanted(&self, lasts: Millis) -> u32 {
        let usual = self.before.saturating_add(self.before / 8);
        let second = if self.now > usual { self.now.saturating_mul(2) } else { self.before };
        let wanted = u64::from(second).saturating_mul(lasts.as_millis());
        u32::try_from(wanted / 1_000).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
