//! What one isolate counts by itself, so that floods cost no store call (SPEC sections 1 and 4).
//!
//! Scope: budgets of failed credentials and of refusals, which are approximate and told so, and
//! denials of exact limits that are remembered until they end. All of it is bounded in memory, and
//! all of it may vanish at any moment: then the stores are asked again.

use std::collections::BTreeMap;

use crate::limit::{Charge, Kind, Measure, Rate, Standing, Verdict};
use crate::time::{Millis, UnixMillis};

/// The shortest time between two searches for counts that have ended.
const SWEEP_PAUSE: Millis = Millis::secs(1);
/// The longest that a denial is believed without asking: a limit that was raised is felt then.
const BELIEVED: Millis = Millis::secs(60);

/// Budgets by name, for instance one for the failed credentials of each address block.
///
/// **Which count.** Two numbers, this window's and the last one's, the latter weighed by how much
/// of it the sliding window still covers. Up to twice the rate can pass in the worst window, where
/// an exact log would pass the rate; but a name costs 100 bytes instead of 1 KB, and it is the
/// number of names that a flood is made of. What must be exact is counted by objects.
///
/// **When it is full.** Nobody is evicted before his count has ended: else whoever has more
/// addresses than there is room would push out his own failures, or anybody's, and never run out
/// of budget. Names that find no room share one budget among them instead. To bring that about
/// takes a failure from as many addresses as there is room within two windows, and all it does is
/// that in this isolate newcomers whose credential is not known yet are asked to wait.
#[derive(Clone, Debug)]
pub struct Budgets {
    counts: BTreeMap<String, Count>,
    capacity: usize,
    /// Before this instant it is not worth looking for counts that have ended.
    sweep_at: UnixMillis,
}

/// What one name spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    rate: Rate,
    /// When the present window began.
    start: UnixMillis,
    /// Spent in the window before it.
    before: u32,
    /// Spent since it began.
    spent: u32,
}

impl Budgets {
    /// Room for so many names at a time; at most a few more are kept, one for each rate in use.
    pub const fn new(capacity: usize) -> Self {
        Self { counts: BTreeMap::new(), capacity, sweep_at: UnixMillis::from_millis(0) }
    }

    /// Time until the budget of `name` has something left; None while it has.
    pub fn spent(&self, name: &str, rate: Rate, now: UnixMillis) -> Option<Millis> {
        let full = self.counts.len() >= self.capacity;
        let own = self.counts.get(name);
        let shared = || full.then(|| self.counts.get(&shared_name(rate))).flatten();
        own.or_else(shared)?.at(rate, now).wait(now)
    }

    /// Spends one of the budget of `name`.
    pub fn spend(&mut self, name: &str, rate: Rate, now: UnixMillis) {
        if self.counts.len() >= self.capacity && now >= self.sweep_at {
            self.sweep(now);
        }
        let room = self.counts.len() < self.capacity || self.counts.contains_key(name);
        let name = if room { name.to_owned() } else { shared_name(rate) };
        let count = self.counts.entry(name).or_insert_with(|| Count::new(rate, now));
        *count = count.at(rate, now);
        count.spent = count.spent.saturating_add(1);
    }

    /// The number of names with something spent.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True when nobody has spent anything.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn sweep(&mut self, now: UnixMillis) {
        self.counts.retain(|_, count| count.ends() > now);
        let next = self.counts.values().map(Count::ends).min().unwrap_or_default();
        self.sweep_at = next.max(now.plus(SWEEP_PAUSE));
    }
}

/// The name of the budget of those without room. No caller's name begins with a blank.
fn shared_name(rate: Rate) -> String {
    format!(" {} in {}", rate.requests(), rate.window())
}

impl Count {
    const fn new(rate: Rate, start: UnixMillis) -> Self {
        Self { rate, start, before: 0, spent: 0 }
    }

    /// The same count at a later time. Under another rate it begins anew.
    fn at(self, rate: Rate, now: UnixMillis) -> Self {
        let next = self.start.plus(rate.window());
        if rate != self.rate || now >= next.plus(rate.window()) {
            Self::new(rate, now)
        } else if now >= next {
            Self { start: next, before: self.spent, spent: 0, ..self }
        } else {
            self
        }
    }

    /// Time until something is left, for a count of this time ([`Self::at`]).
    fn wait(self, now: UnixMillis) -> Option<Millis> {
        let (window, gone) = (self.rate.window(), now.since(self.start));
        let wait = match self.rate.requests().checked_sub(self.spent) {
            None | Some(0) => {
                let fits = faded(self.spent, self.rate.requests(), window);
                window.as_millis().saturating_add(fits).saturating_sub(gone.as_millis())
            }
            Some(left) => faded(self.before, left, window).saturating_sub(gone.as_millis()),
        };
        (wait > 0).then(|| Millis::millis(wait))
    }

    /// When nothing of it counts any more.
    fn ends(&self) -> UnixMillis {
        self.start.plus(self.rate.window()).plus(self.rate.window())
    }
}

/// Milliseconds into a window after which what was spent in the one before weighs less than
/// `left`, which is at least 1: `before * (window - t) / window`, rounded up, is below it.
fn faded(before: u32, left: u32, window: Millis) -> u64 {
    let weighs = u64::from(left.saturating_sub(1)).saturating_mul(window.as_millis());
    match weighs.checked_div(u64::from(before)) {
        Some(covered) => window.as_millis().saturating_sub(covered),
        None => 0,
    }
}

/// Denials of exact limits, kept until they end: a flood over a limit asks no object.
///
/// A denial is kept for one limit and bucket of one object, and answers for every request that
/// is charged to it with more than was left, until the limit gives something back. It never
/// refuses what the object would admit, but for a limit that was raised within the last minute,
/// one that was given something back, and one of requests in flight: when a place comes free is
/// not known, so that is kept for its estimate, or until this isolate frees a place there.
#[derive(Clone, Debug)]
pub struct DenialCache {
    denials: BTreeMap<String, Denial>,
    capacity: usize,
}

/// One limit and bucket without room.
#[derive(Clone, Debug)]
struct Denial {
    /// Which limit: another one of the same name is asked about anew.
    measure: Measure,
    leased: bool,
    /// Where it stood.
    standing: Standing,
    noted_at: UnixMillis,
    /// Until then nothing comes back, or nobody was asked for too long.
    until: UnixMillis,
    /// When the charges that were refused have room.
    retry_at: UnixMillis,
}

impl DenialCache {
    /// Room for so many limits and buckets.
    pub const fn new(capacity: usize) -> Self {
        Self { denials: BTreeMap::new(), capacity }
    }

    /// Keeps what an object refused. `charges` are those that it was asked about, and its name is
    /// one that no other object has, of whatever class.
    pub fn deny(&mut self, object: &str, charges: &[Charge], verdict: &Verdict, now: UnixMillis) {
        let Some(wait) = verdict.retry_after() else { return };
        // Standings come in the order of the charges, without those in shadow.
        let told = charges.iter().filter(|charge| !charge.shadow).zip(verdict.standings());
        for (charge, standing) in
            told.filter(|(charge, _)| verdict.exceeded().contains(&charge.limit))
        {
            let denial = Denial {
                measure: charge.measure,
                leased: charge.leased,
                standing: standing.clone(),
                noted_at: now,
                until: now.plus(standing.resets_in.min(BELIEVED)),
                retry_at: now.plus(wait),
            };
            if denial.until > now {
                self.keep(name(object, charge), denial, now);
            }
        }
    }

    /// The refusal of charges of which one is known to have no room; None when the object has to
    /// be asked.
    pub fn denied(&self, object: &str, charges: &[Charge], now: UnixMillis) -> Option<Verdict> {
        if self.denials.is_empty() {
            return None;
        }
        let known = charges.iter().filter(|charge| !charge.shadow).filter_map(|charge| {
            let denial = self.denials.get(&name(object, charge))?;
            denial.refuses(charge, now).then_some((charge, denial))
        });
        let (mut standings, mut exceeded, mut retry_after) = (Vec::new(), Vec::new(), Millis::ZERO);
        for (charge, denial) in known {
            let standing = denial.standing_at(now);
            let one_more = charge.units() == standing.remaining.saturating_add(1);
            let wait = if one_more { standing.resets_in } else { denial.retry_at.since(now) };
            retry_after = retry_after.max(wait);
            exceeded.push(charge.limit.clone());
            standings.push(standing);
        }
        (!exceeded.is_empty()).then(|| Verdict::Limited {
            standings,
            exceeded,
            retry_after,
            would_limit: vec![],
        })
    }

    /// This isolate released a place in flight at this object: what was full there need not be.
    pub fn forget(&mut self, object: &str) {
        if self.denials.is_empty() {
            return;
        }
        let prefix = prefix(object);
        let here = self.denials.range(prefix.clone()..);
        let here = here.take_while(|(name, _)| name.starts_with(&prefix));
        let in_flight = here.filter(|(_, denial)| denial.measure.kind() == Kind::Concurrency);
        let gone: Vec<String> = in_flight.map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.denials.remove(&name);
        }
    }

    /// The number of denials kept, ended ones among them.
    pub fn len(&self) -> usize {
        self.denials.len()
    }

    /// True when nothing is denied.
    pub fn is_empty(&self) -> bool {
        self.denials.is_empty()
    }

    /// When it is full, those that have ended go, and else the one that ends first: it would have
    /// saved the fewest calls.
    fn keep(&mut self, name: String, denial: Denial, now: UnixMillis) {
        if self.denials.len() >= self.capacity && !self.denials.contains_key(&name) {
            self.denials.retain(|_, denial| denial.until > now);
            if self.denials.len() >= self.capacity {
                let first = self.denials.iter().min_by_key(|(_, denial)| denial.until);
                if let Some(first) = first.map(|(name, _)| name.clone()) {
                    self.denials.remove(&first);
                }
            }
        }
        self.denials.insert(name, denial);
    }
}

impl Denial {
    /// True when this charge wants more than is left of the same limit.
    fn refuses(&self, charge: &Charge, now: UnixMillis) -> bool {
        let same = (self.measure, self.leased) == (charge.measure, charge.leased);
        // A clock that stepped back says nothing of how long it is still true.
        let is_known = (self.noted_at..self.until).contains(&now);
        same && charge.units() > self.standing.remaining && is_known
    }

    fn standing_at(&self, now: UnixMillis) -> Standing {
        let gone = now.since(self.noted_at).as_millis();
        let left = self.standing.resets_in.as_millis().saturating_sub(gone);
        Standing { resets_in: Millis::millis(left), ..self.standing.clone() }
    }
}

fn name(object: &str, charge: &Charge) -> String {
    prefix(object) + &charge.row()
}

/// Objects' names have no blank.
fn prefix(object: &str) -> String {
    format!("{object} ")
}

#[cfg(test)]
mod tests;
