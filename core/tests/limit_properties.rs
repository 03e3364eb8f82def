//! What limits promise (SPEC section 4), for any arrivals, costs, clocks and crashes.
//!
//! A script of steps is played against an object as the shell drives it: what is to be stored is
//! stored before the verdict is believed, and a crash leaves nothing but the rows. Real time goes
//! on apart from the wall clock, so that promises can be held against both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::limit::{Charge, ObjectClock, Rate, Verdict, Windows, rate_limit_headers};
use tollgate_core::time::{Millis, UnixMillis};

/// The wall's time when a script begins, in milliseconds.
const START: u64 = 1_800_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// Real time and the wall go on by so many milliseconds.
    Wait(u64),
    /// The wall is set back by so many milliseconds.
    WallBack(u64),
    /// So many requests, so many milliseconds apart, of this cost.
    Requests { count: u32, gap: u64, cost: u32, limits: Limits },
    /// The memory goes; what was stored is there.
    Crash,
    /// The object was idle for some seconds.
    Settle,
}

/// Which of the two limits a request is charged to.
#[derive(Clone, Copy, Debug)]
enum Limits {
    First,
    Second,
    Both,
}

/// One admission to one limit.
#[derive(Clone, Copy, Debug)]
struct Admission {
    real: u64,
    object: u64,
    cost: u32,
}

/// An object, the clocks around it, and everything it ever admitted.
struct Play {
    rates: [Rate; 2],
    real: u64,
    wall: u64,
    clock: ObjectClock,
    windows: Windows,
    rows: BTreeMap<String, String>,
    /// The object's time, stored whenever a row is deleted.
    stored_clock: UnixMillis,
    admitted: [Vec<Admission>; 2],
    /// The object's times after crashes.
    crashes: Vec<u64>,
    /// Writes by row, with the admissions of its limit so far and the object's time.
    writes: Vec<(String, usize, u64)>,
}

const NAMES: [&str; 2] = ["first", "second"];

impl Play {
    fn new(rates: [Rate; 2]) -> Self {
        Self {
            rates,
            real: 0,
            wall: START,
            clock: ObjectClock::default(),
            windows: Windows::default(),
            rows: BTreeMap::new(),
            stored_clock: UnixMillis::default(),
            admitted: [Vec::new(), Vec::new()],
            crashes: Vec::new(),
            writes: Vec::new(),
        }
    }

    fn wait(&mut self, ms: u64) {
        self.real += ms;
        self.wall += ms;
    }

    fn charges(&self, limits: Limits, cost: u32) -> Vec<Charge> {
        let picked: &[usize] = match limits {
            Limits::First => &[0],
            Limits::Second => &[1],
            Limits::Both => &[0, 1],
        };
        picked.iter().map(|at| charge(NAMES[*at], self.rates[*at], cost)).collect()
    }

    fn request(&mut self, limits: Limits, cost: u32) -> Verdict {
        let now = self.clock.read(UnixMillis::from_millis(self.wall));
        let charges = self.charges(limits, cost);
        let verdict = self.windows.charge(&charges, now);
        if verdict.is_admitted() {
            let object = now.as_millis();
            for charge in &charges {
                let at = usize::from(charge.limit == NAMES[1]);
                self.admitted[at].push(Admission { real: self.real, object, cost });
            }
        }
        self.store();
        verdict
    }

    fn store(&mut self) {
        for (key, row) in self.windows.take_writes() {
            let at = usize::from(key.starts_with(NAMES[1]));
            self.writes.push((key.clone(), self.admitted[at].len(), self.clock.last().as_millis()));
            if let Some(row) = row {
                self.rows.insert(key, row);
            } else {
                self.rows.remove(&key);
                self.stored_clock = self.clock.last();
            }
        }
    }

    fn crash(&mut self) {
        let stored = Windows::stored_at(self.rows.values().map(String::as_str));
        self.clock = ObjectClock::restore(stored.max(self.stored_clock));
        let now = self.clock.read(UnixMillis::from_millis(self.wall));
        self.windows = Windows::restore(self.rows.clone(), now);
        self.crashes.push(now.as_millis());
    }

    fn settle(&mut self) {
        let now = self.clock.read(UnixMillis::from_millis(self.wall));
        self.windows.settle(now);
        self.store();
    }

    /// Plays a step, with `check` after every request.
    fn step(&mut self, step: &Step, check: &mut dyn FnMut(&mut Self, Limits, u32, &Verdict)) {
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
            Step::Crash => self.crash(),
            Step::Settle => self.settle(),
        }
    }

    /// Units admitted to a limit in the window that ends now, by the object's clock.
    fn in_window(&self, at: usize) -> u64 {
        let now = self.clock.last().as_millis();
        let from = now.saturating_sub(self.rates[at].window().as_millis());
        let counted = self.admitted[at].iter().rev().filter(|admission| admission.object > from);
        counted.map(|admission| u64::from(admission.cost)).sum()
    }
}

fn charge(limit: &str, rate: Rate, cost: u32) -> Charge {
    Charge { limit: limit.to_owned(), bucket: String::new(), rate, cost, shadow: false }
}

/// The most units in any window: of `length` consecutive milliseconds of the time `by`.
fn most_in_a_window(admitted: &[Admission], length: u64, by: fn(&Admission) -> u64) -> u64 {
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

fn rates() -> impl Strategy<Value = Rate> {
    let requests =
        prop_oneof![4 => 1..=10_u32, 4 => 11..=64_u32, 3 => 65..=400_u32, 1 => 1_000..=3_000_u32];
    let secs = prop_oneof![1..=3_u64, Just(10), Just(60)];
    (requests, secs).prop_map(|(requests, secs)| Rate::new(requests, Millis::secs(secs)).unwrap())
}

fn requests(costs: impl Strategy<Value = u32>) -> impl Strategy<Value = Step> {
    let limits = prop_oneof![Just(Limits::First), Just(Limits::Second), Just(Limits::Both)];
    let counts = prop_oneof![4 => 1..=5_u32, 2 => 6..=100_u32, 1 => 101..=600_u32];
    let gaps = prop_oneof![3 => Just(0_u64), 3 => 1..=20_u64, 1 => 21..=2_000_u64];
    (counts, gaps, costs, limits).prop_map(|(count, gap, cost, limits)| Step::Requests {
        count,
        gap,
        cost,
        limits,
    })
}

fn waits() -> impl Strategy<Value = Step> {
    prop_oneof![1..=100_u64, 101..=5_000_u64, 5_001..=70_000_u64].prop_map(Step::Wait)
}

fn costs() -> impl Strategy<Value = u32> {
    prop_oneof![6 => Just(1_u32), 2 => 0..=4_u32, 1 => 5..=200_u32]
}

/// Everything that can happen, and the wall only goes back.
fn anything() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => requests(costs()),
        4 => waits(),
        1 => prop_oneof![1..=50_u64, 51..=90_000_u64].prop_map(Step::WallBack),
        2 => Just(Step::Crash),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..40)
}

/// No crash and a true clock.
fn calm(costs: impl Strategy<Value = u32>) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![3 => requests(costs), 2 => waits()], 1..40)
}

proptest! {
    /// Never more than N in any window, by the object's clock and in real time, whatever crashes
    /// and however the wall is set back.
    #[test]
    fn any_window_admits_at_most_n(rates in [rates(), rates()], steps in anything()) {
        let mut play = Play::new(rates);
        for step in &steps {
            play.step(step, &mut |_, _, _, _| {});
        }
        for (rate, admitted) in rates.iter().zip(&play.admitted) {
            let (length, most) = (rate.window().as_millis(), u64::from(rate.requests()));
            prop_assert!(most_in_a_window(admitted, length, |admission| admission.object) <= most);
            prop_assert!(most_in_a_window(admitted, length, |admission| admission.real) <= most);
        }
    }

    /// Who is refused had, in the window up to that instant, at least what the limit allows less
    /// 2 %, and after a crash less what that crash lost: max(1, 2 %) each.
    #[test]
    fn a_refusal_is_never_more_than_two_percent_early(rates in [rates(), rates()], steps in anything()) {
        let mut play = Play::new(rates);
        let mut early = Vec::new();
        for step in &steps {
            play.step(step, &mut |play, _, cost, verdict| {
                for name in verdict.exceeded() {
                    let at = usize::from(name == NAMES[1]);
                    let (rate, now) = (rates[at], play.clock.last().as_millis());
                    let (all, window) = (u64::from(rate.requests()), rate.window().as_millis());
                    // A reservation is given for an eighth of a window and then counts for one.
                    let felt = |crash: &&u64| now.saturating_sub(**crash) <= window + window / 8;
                    let crashes = u64::try_from(play.crashes.iter().filter(felt).count()).unwrap();
                    let lost = crashes * (all / 50).max(1);
                    let held_back = (all - 1) / 64;
                    if play.in_window(at) + u64::from(cost) + held_back + lost <= all {
                        early.push((name.clone(), play.in_window(at), cost, all));
                    }
                }
            });
        }
        prop_assert!(early.is_empty(), "refused early: limit, in its window, cost, allowed: {early:?}");
    }

    /// A request counts for each of its limits or for none; a refusal changes nothing at all.
    #[test]
    fn charged_together_or_not_at_all(rates in [rates(), rates()], steps in anything()) {
        let mut play = Play::new(rates);
        let mut wrong = 0;
        for step in &steps {
            let mut before = play.windows.clone();
            play.step(step, &mut |play, _, _, verdict| {
                wrong += usize::from(!verdict.is_admitted() && play.windows != before);
                before = play.windows.clone();
            });
        }
        prop_assert_eq!(wrong, 0);
    }

    /// Refused until the very millisecond that `retry_after` tells, and then admitted.
    #[test]
    fn retry_after_is_exact(rates in [rates(), rates()], steps in anything()) {
        let mut play = Play::new(rates);
        let mut wrong = Vec::new();
        for step in &steps {
            play.step(step, &mut |play, limits, cost, verdict| {
                let possible = play.charges(limits, cost).iter().all(|charge| cost <= charge.rate.requests());
                if let (Some(wait), true) = (verdict.retry_after(), possible) {
                    let now = play.clock.last();
                    let then = |time: UnixMillis| {
                        play.windows.clone().charge(&play.charges(limits, cost), time).is_admitted()
                    };
                    let early = now.plus(wait).minus(Millis::millis(1));
                    if wait == Millis::ZERO || then(early) || !then(now.plus(wait)) {
                        wrong.push((now, wait));
                    }
                }
            });
        }
        prop_assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// Who sends what `RateLimit` leaves, at any time within `t`, and one more after `t`, is not
    /// refused, alone and with no crash in between.
    #[test]
    fn who_obeys_the_headers_is_never_refused(
        rates in [rates(), rates()],
        steps in calm(costs()),
        gaps in prop::collection::vec(0.0..1.0_f64, 1..30),
    ) {
        let mut play = Play::new(rates);
        for step in &steps {
            play.step(step, &mut |_, _, _, _| {});
        }
        let (mut left, mut wait) = (0, rates[0].window().ceil_secs().max(rates[1].window().ceil_secs()));
        for gap in gaps {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let pause = if left == 0 { wait * 1_000 } else { (gap * wait as f64 * 1_000.0) as u64 };
            play.wait(pause);
            let verdict = play.request(Limits::Both, 1);
            prop_assert!(verdict.is_admitted(), "{left} left, {wait} s, waited {pause} ms: {verdict:?}");
            (left, wait) = read_rate_limit(&verdict);
        }
    }

    /// `r` requests within `t` pass without a look at the answers in between.
    #[test]
    fn what_is_left_is_there_for_the_taking(
        rates in [rates(), rates()],
        steps in calm(costs()),
        at in 0.0..1.0_f64,
    ) {
        let mut play = Play::new(rates);
        for step in &steps {
            play.step(step, &mut |_, _, _, _| {});
        }
        let (left, wait) = read_rate_limit(&play.request(Limits::Both, 1));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        play.wait((at * wait as f64 * 1_000.0) as u64);
        for _ in 0..left {
            prop_assert!(play.request(Limits::Both, 1).is_admitted());
        }
    }

    /// Without a crash a row is written again only after 2 % of the limit, or an eighth of a window.
    #[test]
    fn a_busy_limit_writes_once_per_many_admissions(rates in [rates(), rates()], steps in calm(Just(1))) {
        let mut play = Play::new(rates);
        for step in &steps {
            play.step(step, &mut |_, _, _, _| {});
        }
        for (name, rate) in NAMES.iter().zip(rates) {
            let writes: Vec<_> = play.writes.iter().filter(|(row, ..)| row.starts_with(name)).collect();
            for pair in writes.windows(2) {
                let admissions = pair[1].1 - pair[0].1;
                let time = pair[1].2 - pair[0].2;
                let many = usize::try_from((rate.requests() / 50).max(1)).unwrap();
                prop_assert!(
                    admissions > many || time > rate.window().as_millis() / 8,
                    "written after {admissions} admissions and {time} ms"
                );
            }
        }
    }

    /// No snapshot makes the gate panic, and what is written is read back as it was.
    #[test]
    fn any_row_can_be_read(rows in prop::collection::vec(("[a-z:#]{0,8}", "[-0-9,\\[\\]. e]{0,40}|.{0,20}"), 0..5)) {
        let now = UnixMillis::from_millis(START);
        let _ = Windows::stored_at(rows.iter().map(|(_, row)| row.as_str()));
        let mut windows = Windows::restore(rows.clone(), now);
        for (key, _) in &rows {
            let limit = key.trim_end_matches(':');
            let _ = windows.charge(&[charge(limit, Rate::new(60, Millis::secs(60)).unwrap(), 1)], now);
        }
        windows.settle(now);
    }
}

/// The tightest of `RateLimit`: requests left, and the longest wait of those with that many.
fn read_rate_limit(verdict: &Verdict) -> (u32, u64) {
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

/// A client that always asks: over ten windows it gets all but 2 %, and the store little to do.
#[test]
fn a_greedy_client_gets_at_least_98_percent() {
    for (requests, secs, gap) in [
        (1, 1, 1),
        (10, 1, 7),
        (60, 60, 50),
        (64, 1, 1),
        (65, 2, 3),
        (100, 10, 9),
        (1_000, 10, 3),
        (6_000, 60, 5),
    ] {
        let rate = Rate::new(requests, Millis::secs(secs)).unwrap();
        let mut play = Play::new([rate, rate]);
        let windows = 10;
        while play.real < windows * secs * 1_000 {
            let _ = play.request(Limits::First, 1);
            play.wait(gap);
        }
        let admitted = u64::try_from(play.admitted[0].len()).unwrap();
        let due = u64::from(requests) * windows;
        assert!(admitted * 100 >= due * 98, "{requests} in {secs} s: {admitted} of {due}");
        assert!(admitted <= due, "{requests} in {secs} s: {admitted} of {due}");
        if requests == 6_000 {
            assert!(
                play.writes.len() * 100 <= play.admitted[0].len(),
                "{} writes",
                play.writes.len()
            );
        }
    }
}

/// The same, with a crash in every window: each may cost max(1, 2 %), and no more.
#[test]
fn a_crash_costs_at_most_its_reservation() {
    for (requests, secs, gap) in
        [(10, 1, 7), (60, 60, 50), (100, 10, 9), (1_000, 10, 3), (6_000, 60, 5)]
    {
        let rate = Rate::new(requests, Millis::secs(secs)).unwrap();
        let mut play = Play::new([rate, rate]);
        let windows = 10;
        let mut crash_at = secs * 300;
        while play.real < windows * secs * 1_000 {
            let _ = play.request(Limits::First, 1);
            if play.real >= crash_at {
                play.crash();
                crash_at += secs * 1_000;
            }
            play.wait(gap);
        }
        let admitted = u64::try_from(play.admitted[0].len()).unwrap();
        let all = u64::from(requests);
        // Ten crashes, and the reservation of each counts in at most two windows.
        let lost = 10 * 2 * (all / 50).max(1);
        assert!(admitted + lost >= all * windows * 98 / 100, "{requests} in {secs} s: {admitted}");
    }
}
