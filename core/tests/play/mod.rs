//! A script of steps is played against an object's counts as the shell drives them: what is to be
//! stored is stored before the verdict is believed, and a crash leaves nothing but the rows. Real
//! time goes on apart from the wall clock, so that promises can be held against both.
#![allow(dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::limit::{
    Bucket, Charge, Concurrency, Counts, Grant, Kind, Measure, ObjectClock, Period, Quota, Rate,
    Slot, Verdict, rate_limit_headers,
};
use tollgate_core::time::{Millis, UnixMillis};

/// The wall's time when a script begins: 2026-12-31T23:59:00Z, so that hours, days and months end.
pub(crate) const START: u64 = 1_798_761_540_000;
/// How long a place in flight holds.
pub(crate) const HOLDS: u64 = 20_000;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Real time and the wall go on by so many milliseconds.
    Wait(u64),
    /// The wall is set back by so many milliseconds.
    WallBack(u64),
    /// So many requests, so many milliseconds apart, of this cost, to these limits (by bits).
    Requests { count: u32, gap: u64, cost: u32, limits: u8 },
    /// So many of the requests in flight are over; the oldest first, or the newest.
    Release { count: usize, oldest: bool },
    /// The last so many requests are given back, after a while.
    GiveBack { count: usize, after: u64 },
    /// So many requests of a cost are leased, and spent so far into the lease (in 1/256).
    Lease { want: u32, cost: u32, limits: u8, spent: u8 },
    /// The memory goes; what was stored is there.
    Crash,
    /// The object was idle for some seconds.
    Settle,
}

/// One admission to one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) real: u64,
    pub(crate) object: u64,
    pub(crate) cost: u32,
}

/// One request that was admitted.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) id: String,
    pub(crate) charges: Vec<Charge>,
    pub(crate) at: u64,
    pub(crate) cost: u32,
}

/// A request in flight.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) id: String,
    pub(crate) charges: Vec<Charge>,
    pub(crate) at: u64,
    /// By the object's clock, and in real time.
    pub(crate) ends: u64,
    pub(crate) ends_real: u64,
}

/// A write of a row: which, the admissions of its limit so far, and the object's time.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) row: String,
    pub(crate) admitted: usize,
    pub(crate) at: u64,
}

/// An object, the clocks around it, and everything it ever admitted.
pub(crate) struct Play {
    pub(crate) limits: Vec<Charge>,
    pub(crate) real: u64,
    pub(crate) wall: u64,
    pub(crate) clock: ObjectClock,
    pub(crate) counts: Counts,
    pub(crate) rows: BTreeMap<String, String>,
    /// The object's time, stored whenever a row is deleted.
    stored_clock: UnixMillis,
    pub(crate) admitted: Vec<Vec<Admission>>,
    pub(crate) passed: Vec<Passed>,
    pub(crate) flights: Vec<Flight>,
    /// The object's times after crashes.
    pub(crate) crashes: Vec<u64>,
    pub(crate) writes: Vec<Written>,
    pub(crate) granted: Vec<Grant>,
    ids: u32,
}

impl Play {
    pub(crate) fn new(measures: &[Measure]) -> Self {
        let limits = measures.iter().enumerate();
        Self {
            limits: limits.map(|(at, measure)| charge(&format!("limit{at}"), *measure)).collect(),
            real: 0,
            wall: START,
            clock: ObjectClock::default(),
            counts: Counts::default(),
            rows: BTreeMap::new(),
            stored_clock: UnixMillis::default(),
            admitted: vec![Vec::new(); measures.len()],
            passed: Vec::new(),
            flights: Vec::new(),
            crashes: Vec::new(),
            writes: Vec::new(),
            granted: Vec::new(),
            ids: 0,
        }
    }

    pub(crate) fn now(&mut self) -> UnixMillis {
        self.clock.read(UnixMillis::from_millis(self.wall))
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.real += ms;
        self.wall += ms;
    }

    /// The limits whose bits are set; of none all.
    pub(crate) fn charges(&self, limits: u8, cost: u32) -> Vec<Charge> {
        let all = limits.trailing_zeros() >= u32::try_from(self.limits.len()).unwrap();
        let picked = self.limits.iter().enumerate().filter(|(at, _)| all || limits >> at & 1 == 1);
        picked.map(|(_, charge)| Charge { cost, ..charge.clone() }).collect()
    }

    pub(crate) fn place(&self, name: &str) -> usize {
        self.limits.iter().position(|charge| charge.limit == name).unwrap()
    }

    pub(crate) fn request(&mut self, limits: u8, cost: u32) -> Verdict {
        let now = self.now();
        let charges = self.charges(limits, cost);
        self.ids += 1;
        let slot = Slot { id: self.ids.to_string(), holds: Millis::millis(HOLDS) };
        let verdict = self.counts.charge(&charges, Some(&slot), now);
        if verdict.is_admitted() {
            let (id, at) = (slot.id, now.as_millis());
            for charge in &charges {
                let place = self.place(&charge.limit);
                let cost = if is_in_flight(charge) { cost.min(1) } else { cost };
                self.admitted[place].push(Admission { real: self.real, object: at, cost });
            }
            if charges.iter().any(is_in_flight) && cost > 0 {
                let (id, charges) = (id.clone(), charges.clone());
                let (ends, ends_real) = (at + HOLDS, self.real + HOLDS);
                self.flights.push(Flight { id, charges, at, ends, ends_real });
            }
            self.passed.push(Passed { id, charges, at, cost });
        }
        self.store();
        verdict
    }

    pub(crate) fn release(&mut self, at: usize) {
        let now = self.now();
        let Flight { id, charges, .. } = self.flights.remove(at);
        self.counts.release(&charges, &id, now);
        self.store();
    }

    /// The last request did not pass in the end.
    pub(crate) fn give_back(&mut self, after: u64) {
        let Some(Passed { id, charges, at, cost }) = self.passed.pop() else { return };
        self.wait(after);
        let now = self.now();
        self.counts.give_back(&charges, UnixMillis::from_millis(at), now);
        for charge in charges.iter().filter(|charge| !is_in_flight(charge)) {
            let place = self.place(&charge.limit);
            let all = &mut self.admitted[place];
            let found = all.iter().rposition(|it| it.object == at && it.cost == cost);
            all.remove(found.unwrap());
        }
        let lives = |flight: &Flight| flight.id == id && flight.ends_real > self.real;
        if let Some(at) = self.flights.iter().position(lives) {
            self.flights.remove(at);
            self.counts.release(&charges, &id, now);
        }
        self.store();
    }

    pub(crate) fn lease(&mut self, limits: u8, cost: u32, want: u32, spent: u8) -> Option<Grant> {
        let now = self.now();
        let charges = self.charges(limits, cost);
        let charges: Vec<Charge> =
            charges.into_iter().map(|it| Charge { leased: true, ..it }).collect();
        let grant = self.counts.lease(&charges, want, now);
        self.store();
        let Grant { requests, lasts } = grant?;
        let into = (lasts.as_millis() - 1) * u64::from(spent) / 255;
        for charge in &charges {
            let place = self.place(&charge.limit);
            let (real, object) = (self.real + into, now.as_millis() + into);
            for _ in 0..requests {
                self.admitted[place].push(Admission { real, object, cost });
            }
        }
        self.granted.extend(grant);
        grant
    }

    pub(crate) fn store(&mut self) {
        for (row, value) in self.counts.take_writes() {
            let place = self.place(row.split(':').next().unwrap());
            let (admitted, at) = (self.admitted[place].len(), self.clock.last().as_millis());
            self.writes.push(Written { row: row.clone(), admitted, at });
            if let Some(value) = value {
                self.rows.insert(row, value);
            } else {
                self.rows.remove(&row);
                self.stored_clock = self.clock.last();
            }
        }
    }

    pub(crate) fn crash(&mut self) {
        let stored = Counts::stored_at(self.rows.values().map(String::as_str));
        self.clock = ObjectClock::restore(stored.max(self.stored_clock));
        let now = self.now();
        self.counts = Counts::restore(self.rows.clone(), now);
        self.crashes.push(now.as_millis());
    }

    pub(crate) fn settle(&mut self) {
        let now = self.now();
        self.counts.settle(now);
        self.store();
    }

    pub(crate) fn play(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step, &mut |_, _, _, _| {});
        }
    }

    /// Plays a step, with `check` after every request.
    pub(crate) fn step(
        &mut self,
        step: &Step,
        check: &mut dyn FnMut(&mut Self, u8, u32, &Verdict),
    ) {
        match *step {
            Step::Wait(ms) => self.wait(ms),
            Step::WallBack(ms) => self.wall -= ms,
            Step::Requests { count, gap, cost, limits } => {
                for _ in 0..count {
                    let verdict = self.request(limits, cost);
                    check(self, limits, cost, &verdict);
                    self.wait(gap);
                }
            }
            Step::Release { count, oldest } => {
                // A request is broken off before its place ends: no release comes later.
                for _ in 0..count {
                    let mut live = (0..self.flights.len())
                        .filter(|at| self.flights[*at].ends_real > self.real);
                    let picked = if oldest { live.next() } else { live.next_back() };
                    let Some(at) = picked else { break };
                    self.release(at);
                }
            }
            Step::GiveBack { count, after } => {
                for _ in 0..count {
                    self.give_back(after);
                }
            }
            Step::Lease { want, cost, limits, spent } => {
                let _ = self.lease(limits, cost, want, spent);
            }
            Step::Crash => self.crash(),
            Step::Settle => self.settle(),
        }
    }

    /// Units admitted to a limit after this instant of the object's clock.
    pub(crate) fn admitted_after(&self, place: usize, from: u64) -> u64 {
        let counted = self.admitted[place].iter().filter(|admission| admission.object > from);
        counted.map(|admission| u64::from(admission.cost)).sum()
    }

    /// Requests in flight in a limit of which this is true.
    pub(crate) fn in_flight(&self, place: usize, counts: impl Fn(&Flight) -> bool) -> u32 {
        let name = &self.limits[place].limit;
        let here = self.flights.iter().filter(|it| it.charges.iter().any(|c| c.limit == *name));
        u32::try_from(here.filter(|flight| counts(flight)).count()).unwrap()
    }

    /// What a limit admitted beyond what it may ever admit, by the object's clock or in real time.
    pub(crate) fn excess(&self, place: usize) -> Option<String> {
        let admitted = &self.admitted[place];
        let told = |found: u64, most: u64, by: &str| {
            (found > most).then(|| format!("limit{place}: {found} instead of {most} {by}"))
        };
        let object: fn(&Admission) -> u64 = |it| it.object;
        let real: fn(&Admission) -> u64 = |it| it.real;
        match self.limits[place].measure {
            Measure::Rate(rate) => {
                [(object, "object time"), (real, "real time")].into_iter().find_map(|(by, name)| {
                    let found = most_in_a_window(admitted, rate.window().as_millis(), by);
                    told(found, u64::from(rate.requests()), name)
                })
            }
            // The wall may go back with a crash; then the object's time does, by as much as was
            // reserved for at most. Real time does not.
            Measure::TokenBucket(bucket) => {
                let most = u64::from(bucket.burst()) * bucket.rate().window().as_millis();
                told(highest_level(admitted, bucket.rate(), real), most, "ticks in real time")
            }
            Measure::Quota(quota) => {
                let mut periods: BTreeMap<u64, u64> = BTreeMap::new();
                for it in admitted {
                    let (start, _) = quota.per().around(UnixMillis::from_millis(it.object));
                    *periods.entry(start.as_millis()).or_default() += u64::from(it.cost);
                }
                let most = u64::from(quota.requests());
                periods.into_values().find_map(|found| told(found, most, "in a period"))
            }
            Measure::Concurrency(most) => {
                let live = self.in_flight(place, |flight| flight.ends_real > self.real);
                told(u64::from(live), u64::from(most.most()), "in flight")
            }
        }
    }
}

pub(crate) fn charge(limit: &str, measure: Measure) -> Charge {
    let (limit, bucket) = (limit.to_owned(), String::new());
    Charge { limit, bucket, measure, cost: 1, shadow: false, leased: false }
}

fn is_in_flight(charge: &Charge) -> bool {
    charge.measure.kind() == Kind::Concurrency
}

/// The most units in any window: of `length` consecutive milliseconds of the time `by`.
pub(crate) fn most_in_a_window(
    admitted: &[Admission],
    length: u64,
    by: fn(&Admission) -> u64,
) -> u64 {
    let mut sorted: Vec<(u64, u64)> =
        admitted.iter().map(|admission| (by(admission), u64::from(admission.cost))).collect();
    sorted.sort_unstable();
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (at, cost) in &sorted {
        sum += cost;
        while sorted[first].0 + length <= *at {
            sum -= sorted[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// The highest level that a bucket of this rate, whatever it holds, comes to, in ticks: above what
/// it holds, there is a span in which more was admitted than the burst and what flowed in.
pub(crate) fn highest_level(admitted: &[Admission], rate: Rate, by: fn(&Admission) -> u64) -> u64 {
    let mut sorted: Vec<(u64, u64)> =
        admitted.iter().map(|admission| (by(admission), u64::from(admission.cost))).collect();
    sorted.sort_unstable();
    let (mut level, mut last, mut highest) = (0_u64, 0, 0);
    for (at, cost) in sorted {
        level = level.saturating_sub(u64::from(rate.requests()) * (at - last));
        level += cost * rate.window().as_millis();
        last = at;
        highest = highest.max(level);
    }
    highest
}

pub(crate) fn rate() -> impl Strategy<Value = Rate> {
    let requests =
        prop_oneof![4 => 1..=10_u32, 4 => 11..=64_u32, 3 => 65..=400_u32, 1 => 1_000..=3_000_u32];
    let secs = prop_oneof![1..=3_u64, Just(10), Just(60)];
    (requests, secs).prop_map(|(requests, secs)| Rate::new(requests, Millis::secs(secs)).unwrap())
}

pub(crate) fn bucket() -> impl Strategy<Value = Measure> {
    let burst = prop_oneof![4 => 1..=10_u32, 3 => 11..=100_u32, 1 => 101..=2_000_u32];
    (rate(), burst)
        .prop_map(|(rate, burst)| Measure::TokenBucket(Bucket::new(rate, burst).unwrap()))
}

pub(crate) fn quota() -> impl Strategy<Value = Measure> {
    let requests = prop_oneof![1..=10_u32, 11..=300_u32];
    let per = prop_oneof![Just(Period::Hour), Just(Period::Day), Just(Period::Month)];
    (requests, per).prop_map(|(requests, per)| Measure::Quota(Quota::new(requests, per).unwrap()))
}

pub(crate) fn concurrency() -> impl Strategy<Value = Measure> {
    let most = prop_oneof![1..=10_u32, 50..=300_u32];
    most.prop_map(|most| Measure::Concurrency(Concurrency::new(most).unwrap()))
}

/// What can be leased.
pub(crate) fn leasable() -> impl Strategy<Value = Measure> {
    prop_oneof![rate().prop_map(Measure::Rate), bucket(), quota()]
}

pub(crate) fn measure() -> impl Strategy<Value = Measure> {
    prop_oneof![3 => leasable(), 1 => concurrency()]
}

pub(crate) fn requests(costs: impl Strategy<Value = u32>) -> impl Strategy<Value = Step> {
    let counts = prop_oneof![4 => 1..=5_u32, 2 => 6..=100_u32, 1 => 101..=600_u32];
    let gaps = prop_oneof![3 => Just(0_u64), 3 => 1..=20_u64, 1 => 21..=2_000_u64];
    (counts, gaps, costs, 0..8_u8).prop_map(|(count, gap, cost, limits)| Step::Requests {
        count,
        gap,
        cost,
        limits,
    })
}

pub(crate) fn waits() -> impl Strategy<Value = Step> {
    prop_oneof![1..=100_u64, 101..=5_000_u64, 5_001..=70_000_u64].prop_map(Step::Wait)
}

pub(crate) fn costs() -> impl Strategy<Value = u32> {
    prop_oneof![6 => Just(1_u32), 2 => 0..=4_u32, 1 => 5..=200_u32]
}

fn releases() -> impl Strategy<Value = Step> {
    (1..=100_usize, any::<bool>()).prop_map(|(count, oldest)| Step::Release { count, oldest })
}

fn give_backs() -> impl Strategy<Value = Step> {
    let after = prop_oneof![Just(0_u64), 1..=200_u64, 201..=20_000_u64];
    (1..=3_usize, after).prop_map(|(count, after)| Step::GiveBack { count, after })
}

fn leases() -> impl Strategy<Value = Step> {
    (1..=200_u32, 1..=3_u32, 0..8_u8, prop_oneof![Just(0_u8), Just(255), any::<u8>()])
        .prop_map(|(want, cost, limits, spent)| Step::Lease { want, cost, limits, spent })
}

/// Everything that can happen, and the wall only goes back.
pub(crate) fn anything() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => requests(costs()),
        4 => waits(),
        2 => releases(),
        2 => give_backs(),
        3 => leases(),
        1 => prop_oneof![1..=50_u64, 51..=90_000_u64].prop_map(Step::WallBack),
        2 => Just(Step::Crash),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..40)
}

/// Everything but leases and what is given back.
pub(crate) fn exact() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => requests(costs()),
        4 => waits(),
        2 => releases(),
        1 => prop_oneof![1..=50_u64, 51..=90_000_u64].prop_map(Step::WallBack),
        2 => Just(Step::Crash),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..40)
}

/// No crash and a true clock.
pub(crate) fn calm(costs: impl Strategy<Value = u32>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![3 => requests(costs), 2 => waits(), 1 => releases()];
    prop::collection::vec(step, 1..40)
}

/// The tightest of `RateLimit`: requests left, and the longest wait of those with that many.
pub(crate) fn read_rate_limit(verdict: &Verdict) -> (u32, u64) {
    let headers = rate_limit_headers(verdict);
    let (_, value) = headers.iter().find(|(name, _)| *name == "RateLimit").unwrap();
    let items = value.split(", ").map(|item| {
        let number = |name: &str| {
            let found = item.split(';').find_map(|part| part.strip_prefix(name));
            found.unwrap().parse::<u64>().unwrap()
        };
        (u32::try_from(number("r=")).unwrap(), number("t="))
    });
    items.min_by_key(|(left, wait)| (*left, core::cmp::Reverse(*wait))).unwrap()
}
