//! Twenty isolates and one key (SPEC section 4, leased mode): the pure transitions of object and
//! isolates, with messages that take their time or are lost, isolates that die, an object that
//! crashes, and clocks that do not agree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod play;

use std::collections::BTreeMap;

use play::{Admission, charge, highest_level, most_in_a_window, read_rate_limit};
use proptest::prelude::*;
use tollgate_core::limit::{
    Bucket, Charge, Counts, Grant, LeaseName, Leases, Measure, ObjectClock, Period, Quota, Rate,
    Standing, Verdict,
};
use tollgate_core::time::{Millis, UnixMillis};

/// Real time, in milliseconds, when a run begins: 2026-12-31T23:59:30Z.
const START: u64 = 1_798_761_570_000;
const ISOLATES: usize = 20;

/// How a run goes.
#[derive(Clone, Debug)]
struct Run {
    measures: Vec<Measure>,
    cost: u32,
    /// Requests that arrive: after how long, at which isolate.
    arrivals: Vec<(u64, usize)>,
    /// How long messages take, in turn; 0: it is lost.
    delays: Vec<u64>,
    /// Milliseconds that each isolate's clock is ahead of real time.
    offsets: Vec<u64>,
    /// How many times slower isolates' clocks go than real time: 1, or they break the rule.
    slower: u64,
    /// After so many arrivals an isolate dies, and is replaced by one that knows nothing.
    deaths: Vec<(usize, usize)>,
    /// After so many arrivals the object's memory goes.
    crashes: Vec<usize>,
}

/// What happens at a time.
#[derive(Clone, Debug)]
enum Event {
    Arrives {
        isolate: usize,
    },
    /// A question reaches the object. `request`: it also asks to be admitted.
    Asked {
        isolate: usize,
        life: u32,
        asked_at: u64,
        ahead: u32,
        request: bool,
    },
    /// The object's answer reaches the isolate that asked, if that is still alive.
    Answered {
        isolate: usize,
        life: u32,
        asked_at: u64,
        answer: Answer,
    },
}

#[derive(Clone, Debug)]
struct Answer {
    asked_ahead: bool,
    grant: Option<Grant>,
    standings: Vec<Standing>,
}

/// A grant as it arrived at an isolate: until when by the isolate's time and by real time, and
/// what is left of it.
#[derive(Clone, Copy, Debug)]
struct Given {
    ends: UnixMillis,
    ends_real: u64,
    left: u32,
}

struct Isolate {
    leases: Leases,
    life: u32,
    given: Vec<Given>,
}

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    admitted: Vec<Admission>,
    granted: u64,
    spent: u64,
    died: u64,
    calls: u64,
    /// Spent after the end, by real time.
    late: u64,
    faults: Vec<String>,
}

struct World {
    run: Run,
    charges: Vec<Charge>,
    name: LeaseName,
    isolates: Vec<Isolate>,
    counts: Counts,
    clock: ObjectClock,
    rows: BTreeMap<String, String>,
    /// By real time, and the order in which they were made.
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
    sent: usize,
    out: Outcome,
}

impl World {
    fn new(run: Run) -> Self {
        let charge = |(at, measure): (usize, &Measure)| Charge {
            leased: true,
            cost: run.cost,
            ..charge(&format!("limit{at}"), *measure)
        };
        let charges: Vec<Charge> = run.measures.iter().enumerate().map(charge).collect();
        let isolate = || Isolate { leases: Leases::default(), life: 0, given: Vec::new() };
        Self {
            name: LeaseName::new("key", Some(("key", 1)), &charges),
            charges,
            isolates: (0..ISOLATES).map(|_| isolate()).collect(),
            counts: Counts::default(),
            clock: ObjectClock::default(),
            rows: BTreeMap::new(),
            events: BTreeMap::new(),
            made: 0,
            sent: 0,
            out: Outcome::default(),
            run,
        }
    }

    fn go(mut self) -> Outcome {
        let mut at = START;
        for (wait, isolate) in self.run.arrivals.clone() {
            at += wait;
            self.at(at, Event::Arrives { isolate: isolate % ISOLATES });
        }
        let mut arrived = 0;
        while let Some(((now, _), event)) = self.events.pop_first() {
            if matches!(event, Event::Arrives { .. }) {
                arrived += 1;
                self.misfortunes(arrived, now);
            }
            match event {
                Event::Arrives { isolate } => self.arrives(isolate, now),
                Event::Asked { isolate, life, asked_at, ahead, request } => {
                    let answer = self.asked(ahead, request, now);
                    self.send(now, Event::Answered { isolate, life, asked_at, answer });
                }
                Event::Answered { isolate, life, asked_at, answer } => {
                    self.answered(isolate, life, asked_at, &answer, now);
                }
            }
        }
        let left = self.isolates.iter().flat_map(|isolate| &isolate.given);
        self.out.died += left.map(|given| u64::from(given.left)).sum::<u64>();
        self.out
    }

    fn at(&mut self, when: u64, event: Event) {
        self.made += 1;
        self.events.insert((when, self.made), event);
    }

    /// A message is under way, or is lost.
    fn send(&mut self, now: u64, event: Event) {
        self.sent += 1;
        let delay = self.run.delays[self.sent % self.run.delays.len()];
        if delay > 0 {
            self.at(now + delay, event);
        } else if let Event::Answered { answer, .. } = event {
            self.out.died += answer.grant.map_or(0, |grant| u64::from(grant.requests));
        }
    }

    fn misfortunes(&mut self, arrived: usize, now: u64) {
        for (_, isolate) in self.run.deaths.iter().filter(|(after, _)| *after == arrived) {
            let isolate = &mut self.isolates[isolate % ISOLATES];
            let left = isolate.given.drain(..).map(|given| u64::from(given.left));
            self.out.died += left.sum::<u64>();
            isolate.leases = Leases::default();
            isolate.life += 1;
        }
        if self.run.crashes.contains(&arrived) {
            let stored = Counts::stored_at(self.rows.values().map(String::as_str));
            self.clock = ObjectClock::restore(stored);
            let now = self.clock.read(UnixMillis::from_millis(now));
            self.counts = Counts::restore(self.rows.clone(), now);
        }
    }

    /// An isolate's time.
    fn of(&self, isolate: usize, now: u64) -> UnixMillis {
        let gone = (now - START) / self.run.slower;
        UnixMillis::from_millis(START + gone + self.run.offsets[isolate % self.run.offsets.len()])
    }

    fn arrives(&mut self, isolate: usize, now: u64) {
        let time = self.of(isolate, now);
        let Isolate { leases, life, given } = &mut self.isolates[isolate];
        let life = *life;
        if let Some(spent) = leases.spend(&self.name, time) {
            self.out.spent += 1;
            match given.iter_mut().find(|it| it.ends == spent.ends && it.left > 0) {
                Some(given) => {
                    given.left -= 1;
                    self.out.late += u64::from(now >= given.ends_real);
                }
                None => self.out.faults.push(format!("spent at {now} of nothing: {spent:?}")),
            }
            self.admit(now);
            if let Some(ahead) = spent.renew {
                let asked_at = now;
                self.send(now, Event::Asked { isolate, life, asked_at, ahead, request: false });
            }
        } else {
            let ahead = leases.wish(&self.name, time);
            let asked_at = now;
            self.send(now, Event::Asked { isolate, life, asked_at, ahead, request: true });
        }
    }

    fn asked(&mut self, ahead: u32, request: bool, now: u64) -> Answer {
        self.out.calls += 1;
        let time = self.clock.read(UnixMillis::from_millis(now));
        let mut verdict = None;
        if request {
            let answer = self.counts.admit(&self.charges, None, ahead, time);
            if answer.is_admitted() {
                self.admit(now);
            }
            verdict = Some(answer);
        }
        let verdict = verdict.unwrap_or_else(|| self.counts.grant(&self.charges, ahead, time));
        let grant = verdict.grant();
        self.out.granted += grant.map_or(0, |grant| u64::from(grant.requests));
        for (row, value) in self.counts.take_writes() {
            match value {
                Some(value) => self.rows.insert(row, value),
                None => self.rows.remove(&row),
            };
        }
        Answer { asked_ahead: ahead > 0, grant, standings: verdict.standings().to_vec() }
    }

    fn answered(&mut self, isolate: usize, life: u32, asked_at: u64, answer: &Answer, now: u64) {
        let (sent, time) = (self.of(isolate, asked_at), self.of(isolate, now));
        let Isolate { leases, life: alive, given } = &mut self.isolates[isolate];
        let granted = answer.grant.map_or(0, |grant| u64::from(grant.requests));
        if life != *alive {
            self.out.died += granted;
            return;
        }
        if answer.asked_ahead {
            leases.take(&self.name, answer.grant, &answer.standings, sent, time);
        } else {
            leases.learn(&self.name, &answer.standings, time);
        }
        if let Some(Grant { requests, lasts }) = answer.grant {
            let ends_real = asked_at + lasts.as_millis();
            given.push(Given { ends: sent.plus(lasts), ends_real, left: requests });
        }
    }

    fn admit(&mut self, now: u64) {
        let cost = self.run.cost;
        self.out.admitted.push(Admission { real: now, object: now, cost });
    }
}

/// What was admitted beyond a limit.
fn excess(measure: Measure, admitted: &[Admission]) -> Option<(u64, u64)> {
    let by: fn(&Admission) -> u64 = |it| it.real;
    let (found, most) = match measure {
        Measure::Rate(rate) => {
            (most_in_a_window(admitted, rate.window().as_millis(), by), u64::from(rate.requests()))
        }
        Measure::TokenBucket(bucket) => (
            highest_level(admitted, bucket.rate(), by),
            u64::from(bucket.burst()) * bucket.rate().window().as_millis(),
        ),
        Measure::Quota(quota) => {
            let mut periods: BTreeMap<UnixMillis, u64> = BTreeMap::new();
            for it in admitted {
                let (start, _) = quota.per().around(UnixMillis::from_millis(it.real));
                *periods.entry(start).or_default() += u64::from(it.cost);
            }
            (periods.into_values().max().unwrap_or_default(), u64::from(quota.requests()))
        }
        Measure::Concurrency(_) => return None,
    };
    (found > most).then_some((found, most))
}

fn rate(requests: u32, secs: u64) -> Rate {
    Rate::new(requests, Millis::secs(secs)).unwrap()
}

fn measures() -> impl Strategy<Value = Vec<Measure>> {
    let requests = prop_oneof![4..=60_u32, 100..=3_000_u32];
    let secs = prop_oneof![Just(1_u64), Just(10), Just(60)];
    let rates = (requests, secs).prop_map(|(requests, secs)| rate(requests, secs)).boxed();
    let buckets = (rates.clone(), 5..=500_u32)
        .prop_map(|(rate, burst)| Measure::TokenBucket(Bucket::new(rate, burst).unwrap()));
    let quotas = (20..=2_000_u32)
        .prop_map(|requests| Measure::Quota(Quota::new(requests, Period::Month).unwrap()));
    prop_oneof![
        2 => rates.clone().prop_map(|rate| vec![Measure::Rate(rate)]),
        2 => buckets.prop_map(|bucket| vec![bucket]),
        1 => (rates, quotas).prop_map(|(rate, quota)| vec![Measure::Rate(rate), quota]),
    ]
}

/// Bursts and pauses, over all isolates or few of them.
fn arrivals() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let gaps = prop_oneof![4 => Just(0_u64), 8 => 1..=8_u64, 1 => 100..=1_500_u64];
    let all = prop::collection::vec((gaps, 0..ISOLATES), 1..1_500);
    (all, 1..=ISOLATES).prop_map(|(all, some)| {
        all.into_iter().map(|(wait, isolate)| (wait, isolate % some)).collect()
    })
}

fn run() -> impl Strategy<Value = Run> {
    let delay = prop_oneof![8 => 1..=40_u64, 2 => 41..=900_u64, 1 => Just(0_u64)];
    let misfortunes = (
        prop::collection::vec((1..1_500_usize, 0..ISOLATES), 0..8),
        prop::collection::vec(1..1_500_usize, 0..4),
    );
    (
        measures(),
        prop_oneof![3 => Just(1_u32), 1 => 2..=3_u32],
        arrivals(),
        prop::collection::vec(delay, 2..40),
        prop::collection::vec(0..7_200_000_u64, ISOLATES),
        misfortunes,
    )
        .prop_map(|(measures, cost, arrivals, delays, offsets, (deaths, crashes))| Run {
            measures,
            cost,
            arrivals,
            delays,
            offsets,
            slower: 1,
            deaths,
            crashes,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// Never more than the limit, in real time, whatever is lost, dies or crashes. And whatever was
    /// granted was spent by the isolate that has it, before its end, or died.
    #[test]
    fn twenty_isolates_never_admit_more_than_the_limit(run in run()) {
        let measures = run.measures.clone();
        let Outcome { admitted, granted, spent, died, late, faults, .. } = World::new(run).go();
        prop_assert_eq!((late, faults), (0, Vec::new()));
        prop_assert_eq!(granted, spent + died);
        for measure in measures {
            prop_assert_eq!(excess(measure, &admitted), None, "{:?}", measure);
        }
    }
}

fn steady(measures: Vec<Measure>, gap: u64, isolates: usize, requests: usize) -> Run {
    Run {
        measures,
        cost: 1,
        arrivals: (0..requests).map(|n| (gap, n % isolates)).collect(),
        delays: vec![4, 6],
        offsets: vec![0, 5_000],
        slower: 1,
        deaths: vec![],
        crashes: vec![],
    }
}

/// The simulation finds it when isolates break the rule that their clocks go as fast as others.
#[test]
fn a_clock_that_goes_slower_is_found_out() {
    let arrivals = |n: u64| (if n.is_multiple_of(500) { 1_900 } else { 1 }, 0);
    let run = |slower| Run {
        slower,
        arrivals: (1..30_000).map(arrivals).collect(),
        ..steady(vec![Measure::Rate(rate(20_000, 10))], 1, 1, 0)
    };
    let fair = World::new(run(1)).go();
    assert_eq!((fair.late, excess(Measure::Rate(rate(20_000, 10)), &fair.admitted)), (0, None));
    assert!(World::new(run(20)).go().late > 0);
}

/// A leased bucket whose isolates spend all they hold at the last moment, and then as much as the
/// object still gives: not more than the burst and what flowed in, and to the last one as much.
#[test]
fn what_is_held_back_is_needed() {
    let bucket = Bucket::new(rate(6_000, 60), 300).unwrap();
    let lease = |leased: bool| {
        let charges = [Charge { leased, ..charge("flow", Measure::TokenBucket(bucket)) }];
        let mut counts = Counts::default();
        let mut admitted = Vec::new();
        // As many leases as there are to be had, each spent at its last millisecond, and then
        // whatever the object still gives.
        let now = UnixMillis::from_millis(START);
        let leased = charges.clone().map(|charge| Charge { leased: true, ..charge });
        for n in 0..20 {
            let at = now.plus(Millis::millis(n * 10));
            if let Some(grant) = counts.lease(&leased, 1_000, at) {
                let spent = at.plus(grant.lasts).as_millis() - 1;
                for _ in 0..grant.requests {
                    admitted.push(Admission { real: spent, object: spent, cost: 1 });
                }
            }
        }
        let later = now.plus(Millis::millis(1_200));
        while counts.charge(&charges, None, later).is_admitted() {
            let real = later.as_millis();
            admitted.push(Admission { real, object: real, cost: 1 });
        }
        (admitted.len(), excess(Measure::TokenBucket(bucket), &admitted))
    };
    assert_eq!(lease(true), (320, None), "300, and what flows in from the first to the last");
    assert_eq!(lease(false), (320, None), "also when it is exact from now on");
}

/// A hot key is served without a call: 1 000 requests a second at one isolate, or at four.
#[test]
fn a_hot_key_makes_few_calls() {
    let plenty = || vec![Measure::Rate(rate(1_000_000, 60))];
    for (isolates, gap, most) in [(1, 1, 60), (4, 1, 250), (1, 10, 150)] {
        let requests = 10_000;
        let run = steady(plenty(), gap, isolates, requests);
        let Outcome { admitted, calls, granted, spent, died, .. } = World::new(run).go();
        assert_eq!(admitted.len(), requests, "{isolates} isolates, every {gap} ms");
        assert!(calls <= most, "{isolates} isolates, every {gap} ms: {calls} calls");
        assert_eq!(granted, spent + died);
        assert!(
            died * 2 <= spent,
            "{isolates} isolates, every {gap} ms: {died} died, {spent} spent"
        );
    }
}

/// A key that is asked for seldom is not leased: nothing dies.
#[test]
fn a_cold_key_loses_nothing() {
    let run = steady(vec![Measure::Rate(rate(60, 60))], 1_000, 1, 600);
    let Outcome { admitted, granted, calls, .. } = World::new(run).go();
    assert_eq!((admitted.len(), granted, calls), (600, 0, 600));
}

/// A client that always asks gets nearly all of its limit in leased mode too: a lease's time in
/// each window less, and what dies.
#[test]
fn a_greedy_client_gets_nearly_all() {
    for (requests, secs, gap, isolates) in
        [(6_000, 60, 5, 1), (6_000, 60, 5, 4), (600, 10, 5, 2), (1_000, 10, 3, 20)]
    {
        let windows = 5;
        let many = usize::try_from(windows * secs * 1_000 / gap).unwrap();
        let run = steady(vec![Measure::Rate(rate(requests, secs))], gap, isolates, many);
        let Outcome { admitted, .. } = World::new(run).go();
        let due = u64::from(requests) * windows;
        let got = u64::try_from(admitted.len()).unwrap();
        assert!(
            got <= due && got * 100 >= due * 93,
            "{requests} in {secs} s, {isolates} isolates: {got} of {due}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A client alone, one request after the other through one isolate, that sends only what
    /// `RateLimit` leaves and else waits for `t`, is never refused in leased mode either.
    #[test]
    fn who_obeys_the_headers_is_never_refused(
        measures in measures(),
        trips in prop::collection::vec(1..30_u64, 2..20),
        pauses in prop::collection::vec(prop_oneof![9 => Just(0_u64), 1 => 0..1_000_u64], 1..50),
    ) {
        let charge = |(at, measure): (usize, &Measure)| Charge {
            leased: true,
            ..charge(&format!("limit{at}"), *measure)
        };
        let charges: Vec<Charge> = measures.iter().enumerate().map(charge).collect();
        prop_assume!(charges.iter().all(|charge| charge.measure.most_leased() > 0));
        let name = LeaseName::new("key", Some(("key", 1)), &charges);
        let (mut counts, mut leases) = (Counts::default(), Leases::default());
        let mut now = START;
        let mut renewal: Option<(u64, u32)> = None;
        for turn in 0..2_000 {
            let at = UnixMillis::from_millis(now);
            // The question in the background is answered before the next request.
            if let Some((asked_at, ahead)) = renewal.take() {
                let verdict = counts.grant(&charges, ahead, at);
                let sent = UnixMillis::from_millis(asked_at);
                leases.take(&name, verdict.grant(), verdict.standings(), sent, at);
            }
            let verdict = if let Some(spent) = leases.spend(&name, at) {
                renewal = spent.renew.map(|ahead| (now, ahead));
                let (would_limit, grant) = (Vec::new(), None);
                Verdict::Admitted { standings: spent.standings, would_limit, at, grant }
            } else {
                let ahead = leases.wish(&name, at);
                let verdict = counts.admit(&charges, None, ahead, at);
                now += trips[turn % trips.len()];
                let then = UnixMillis::from_millis(now);
                if ahead > 0 {
                    leases.take(&name, verdict.grant(), verdict.standings(), at, then);
                } else {
                    leases.learn(&name, verdict.standings(), then);
                }
                verdict
            };
            prop_assert!(verdict.is_admitted(), "turn {turn}: {verdict:?}");
            let (left, wait) = read_rate_limit(&verdict);
            let pause = if left == 0 { wait * 1_000 } else { wait * pauses[turn % pauses.len()] };
            now += 1 + pause;
        }
    }
}
