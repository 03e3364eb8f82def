//! What limits promise (SPEC section 4), for any measures, arrivals, costs, clocks, crashes, leases
//! and give-backs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod play;

use play::{
    Play, START, Step, anything, calm, charge, costs, exact, leasable, measure, rate,
    read_rate_limit,
};
use proptest::prelude::*;
use tollgate_core::limit::{Counts, Kind, Measure, Slot};
use tollgate_core::time::{Millis, UnixMillis};

fn three(of: impl Strategy<Value = Measure>) -> impl Strategy<Value = Vec<Measure>> {
    prop::collection::vec(of, 3)
}

/// What may be refused too early, in units, where nothing was given ahead or back: an exact model
/// of each limit, with what each crash may have lost. None: it was refused in time.
fn early(play: &Play, place: usize, cost: u32) -> Option<String> {
    let measure = play.limits[place].measure;
    let now = play.clock.last().as_millis();
    let all = u64::from(measure.most());
    let reserve = (all / 50).max(1);
    let crashes = |felt: u64| {
        let felt = play.crashes.iter().filter(|crash| now.saturating_sub(**crash) <= felt);
        u64::try_from(felt.count()).unwrap()
    };
    let cost = u64::from(cost);
    let (used, lost) = match measure {
        Measure::Rate(rate) => {
            let window = rate.window().as_millis();
            // A reservation is given for an eighth of a window and then counts for one.
            let lost = crashes(window + window / 8) * reserve + (all - 1) / 64;
            (play.admitted_after(place, now.saturating_sub(window)), lost)
        }
        Measure::TokenBucket(bucket) => {
            let (window, drains) =
                (bucket.rate().window().as_millis(), u64::from(bucket.rate().requests()));
            // What a crash took drains like what was admitted.
            let taken = play.admitted[place].iter().map(|it| (it.object, u64::from(it.cost)));
            let reserved = play.crashes.iter().map(|crash| (*crash, reserve));
            let taken = taken.chain(reserved).map(|(at, cost)| (at.min(now), cost));
            let mut taken: Vec<(u64, u64)> = taken.collect();
            taken.sort_unstable();
            let (mut level, mut since) = (0_u64, 0);
            for (at, cost) in taken {
                level = level.saturating_sub(drains * (at - since)) + cost * window;
                since = at;
            }
            level = level.saturating_sub(drains * (now - since));
            // Ticks are not rounded: less than a request may be left.
            (level.div_ceil(window), 0)
        }
        Measure::Quota(quota) => {
            let (start, _) = quota.per().around(play.clock.last());
            let felt = now - start.as_millis();
            (play.admitted_after(place, start.as_millis() - 1), crashes(felt) * reserve)
        }
        Measure::Concurrency(_) => {
            // After a crash nobody knows when those that it left behind began.
            let latest = play.crashes.last().copied().unwrap_or_default();
            let held = |flight: &play::Flight| {
                flight.ends > now || (flight.at <= latest && latest + play::HOLDS > now)
            };
            (u64::from(play.in_flight(place, held)), crashes(play::HOLDS + 5_000) * reserve)
        }
    };
    let cost = if matches!(measure, Measure::Concurrency(_)) { cost.min(1) } else { cost };
    (used + cost + lost <= all)
        .then(|| format!("{measure:?}: {used} used, {lost} lost, {cost} asked for"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// Never more than N in any window, by the object's clock and in real time; never more than the
    /// burst and what flowed in, in any span; never more than the quota in a period; never more in
    /// flight: whatever crashes, is given ahead or back, and however the wall is set back.
    #[test]
    fn never_more_than_the_limit(measures in three(measure()), steps in anything()) {
        let mut play = Play::new(&measures);
        let mut crowded = None;
        for step in &steps {
            play.step(step, &mut |play, _, _, verdict| {
                if verdict.is_admitted() && crowded.is_none() {
                    let in_flight = |place: &usize| {
                        matches!(play.limits[*place].measure, Measure::Concurrency(_))
                    };
                    crowded = (0..3).filter(in_flight).find_map(|place| play.excess(place));
                }
            });
        }
        prop_assert_eq!(crowded, None);
        for place in 0..3 {
            prop_assert_eq!(play.excess(place), None);
        }
    }

    /// Who is refused had at least what the limit allows less 2 %, and after a crash less what that
    /// crash lost: max(1, 2 %) each.
    #[test]
    fn a_refusal_is_never_more_than_two_percent_early(
        measures in three(measure()),
        steps in exact(),
    ) {
        let mut play = Play::new(&measures);
        let mut found = Vec::new();
        for step in &steps {
            play.step(step, &mut |play, _, cost, verdict| {
                let exceeded = verdict.exceeded().iter().map(|name| play.place(name));
                found.extend(exceeded.filter_map(|place| early(play, place, cost)));
            });
        }
        prop_assert!(found.is_empty(), "refused early: {found:?}");
    }

    /// A request counts for each of its limits or for none; a refusal changes nothing at all.
    #[test]
    fn charged_together_or_not_at_all(measures in three(measure()), steps in anything()) {
        let mut play = Play::new(&measures);
        let mut wrong = 0;
        for step in &steps {
            let mut before = play.counts.clone();
            play.step(step, &mut |play, _, _, verdict| {
                wrong += usize::from(!verdict.is_admitted() && play.counts != before);
                before = play.counts.clone();
            });
        }
        prop_assert_eq!(wrong, 0);
    }

    /// Refused until the very millisecond that `retry_after` tells, and then admitted; also where
    /// something was given ahead or back.
    #[test]
    fn retry_after_is_exact(measures in three(leasable()), steps in anything()) {
        let mut play = Play::new(&measures);
        let mut wrong = Vec::new();
        for step in &steps {
            play.step(step, &mut |play, limits, cost, verdict| {
                let charges = play.charges(limits, cost);
                let possible = charges.iter().all(|charge| cost <= charge.measure.most());
                if let (Some(wait), true) = (verdict.retry_after(), possible) {
                    let now = play.clock.last();
                    let then = |time: UnixMillis| {
                        play.counts.clone().charge(&charges, None, time).is_admitted()
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

    /// Who is alone, waits for `Retry-After` and tries again, passes; with places in flight once
    /// those of his own are over, which is all that an estimate can promise.
    #[test]
    fn who_obeys_retry_after_passes(
        measures in three(measure()),
        steps in calm(costs()),
        cost in 1..=5_u32,
    ) {
        let mut play = Play::new(&measures);
        play.play(&steps);
        while !play.flights.is_empty() {
            play.release(0);
        }
        for _ in 0..20 {
            let verdict = play.request(0, cost);
            if let (Some(wait), true) =
                (verdict.retry_after(), measures.iter().all(|it| cost <= it.most()))
            {
                play.wait(wait.ceil_secs().max(1) * 1_000);
                prop_assert!(play.request(0, cost).is_admitted(), "after {wait}: {verdict:?}");
            }
            while !play.flights.is_empty() {
                play.release(0);
            }
        }
    }

    /// Who sends what `RateLimit` leaves, at any time within `t`, and one more after `t`, is not
    /// refused, alone and with no crash in between.
    #[test]
    fn who_obeys_the_headers_is_never_refused(
        measures in three(measure()),
        steps in calm(costs()),
        thousandths in prop::collection::vec(0..1_000_u64, 1..30),
    ) {
        let mut play = Play::new(&measures);
        play.play(&steps);
        while !play.flights.is_empty() {
            play.release(0);
        }
        let (mut left, mut wait) = (0, 32 * 86_400);
        for gap in thousandths {
            let pause = if left == 0 { wait * 1_000 } else { wait * gap };
            play.wait(pause);
            let verdict = play.request(0, 1);
            let waited = format!("{left} left, {wait} s, waited {pause} ms");
            prop_assert!(verdict.is_admitted(), "{waited}: {verdict:?}");
            (left, wait) = read_rate_limit(&verdict);
            while !play.flights.is_empty() {
                play.release(0);
            }
        }
    }

    /// `r` requests within `t` pass without a look at the answers in between.
    #[test]
    fn what_is_left_is_there_for_the_taking(
        measures in three(measure()),
        steps in calm(costs()),
        thousandths in 0..1_000_u64,
    ) {
        let mut play = Play::new(&measures);
        play.play(&steps);
        let (left, wait) = read_rate_limit(&play.request(0, 1));
        play.wait(wait * thousandths);
        for _ in 0..left {
            prop_assert!(play.request(0, 1).is_admitted());
        }
    }

    /// Without a crash a row is written again only after 2 % of the limit, or an eighth of the time
    /// in which it comes back, or in another period.
    #[test]
    fn a_busy_limit_writes_once_per_many_admissions(
        measures in three(leasable()),
        steps in calm(Just(1)),
    ) {
        let mut play = Play::new(&measures);
        play.play(&steps);
        for (place, measure) in measures.iter().enumerate() {
            let prefix = format!("limit{place}:");
            let writes: Vec<_> =
                play.writes.iter().filter(|it| it.row.starts_with(&prefix)).collect();
            for pair in writes.windows(2) {
                let admissions = pair[1].admitted - pair[0].admitted;
                let at = |end: usize| UnixMillis::from_millis(pair[end].at);
                let long = match measure {
                    Measure::Rate(rate) => pair[1].at - pair[0].at > rate.window().as_millis() / 8,
                    Measure::TokenBucket(bucket) => {
                        pair[1].at - pair[0].at > bucket.fills_in().as_millis() / 8
                    }
                    Measure::Quota(quota) => {
                        quota.per().around(at(0)) != quota.per().around(at(1))
                    }
                    Measure::Concurrency(_) => true,
                };
                let many = usize::try_from(measure.reserve()).unwrap();
                prop_assert!(admissions > many || long, "{measure:?}: {admissions}: {pair:?}");
            }
        }
    }

    /// At any moment, what is stored counts for all that was admitted, and for no more than
    /// max(1, 2 %) besides. But for places that ended by themselves: nobody told the object, and
    /// they stay stored for some seconds longer. And but for less than a 64th of a rate, which memory
    /// holds back with later ones that joined it, and what is stored lets end on its own instant.
    #[test]
    fn what_is_stored_is_at_most_the_reserve_ahead(
        measures in three(measure()),
        steps in exact(),
    ) {
        let mut play = Play::new(&measures);
        let mut wrong = Vec::new();
        for step in steps.iter().filter(|step| !matches!(step, Step::WallBack(_))) {
            play.step(step, &mut |_, _, _, _| {});
            let now = play.now();
            let mut stored = Counts::restore(play.rows.clone(), now);
            let told = stored.look(&play.limits, now).into_iter();
            for (after, before) in told.zip(play.counts.look(&play.limits, now)) {
                let reserve = (before.quota / 50).max(1);
                let now = now.as_millis();
                let ended = play.flights.iter().any(|flight| flight.ends <= now)
                    || play.crashes.iter().any(|crash| crash + play::HOLDS <= now);
                if before.kind == Kind::Concurrency && ended {
                    continue;
                }
                let joined = match before.kind {
                    Kind::Rate => before.quota.div_ceil(64) - 1,
                    _ => 0,
                };
                let all = before.remaining.saturating_add(joined);
                let least = before.remaining.saturating_sub(reserve);
                if !(least..=all).contains(&after.remaining) {
                    wrong.push((before, after));
                }
            }
        }
        prop_assert!(wrong.is_empty(), "alive, and after a crash: {wrong:?}");
    }

    /// No snapshot makes the gate panic, and what is written is read back as it was.
    #[test]
    fn any_row_can_be_read(
        rows in prop::collection::vec(
            (
                "[a-z]{0,2}:(60|level60|hour|day|month|slots|[a-z]{0,6}):[a-z:#]{0,4}|[a-z:#]{0,8}",
                "\\[[0-9]{1,20}(,-?[0-9]{1,20}){0,8}\\]|[-0-9,\\[\\]. e]{0,40}|.{0,20}",
            ),
            0..5,
        ),
        measures in three(measure()),
    ) {
        let now = UnixMillis::from_millis(START);
        let _ = Counts::stored_at(rows.iter().map(|(_, row)| row.as_str()));
        let mut counts = Counts::restore(rows.clone(), now);
        let slot = Slot { id: "a".to_owned(), holds: Millis::secs(1) };
        for (key, _) in &rows {
            let limit = key.split(':').next().unwrap_or_default();
            let charges: Vec<_> = measures.iter().map(|measure| charge(limit, *measure)).collect();
            let _ = counts.charge(&charges, Some(&slot), now);
            let _ = counts.lease(&charges, 5, now);
            counts.give_back(&charges, now, now);
            counts.release(&charges, "b", now);
        }
        counts.settle(now);
    }
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
        let mut play = Play::new(&[rate_of(requests, secs)]);
        let windows = 10;
        while play.real < windows * secs * 1_000 {
            let _ = play.request(0, 1);
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

fn rate_of(requests: u32, secs: u64) -> Measure {
    Measure::Rate(tollgate_core::limit::Rate::new(requests, Millis::secs(secs)).unwrap())
}

/// The same, with a crash in every window: each may cost max(1, 2 %), and no more.
#[test]
fn a_crash_costs_at_most_its_reservation() {
    for (requests, secs, gap) in
        [(10, 1, 7), (60, 60, 50), (100, 10, 9), (1_000, 10, 3), (6_000, 60, 5)]
    {
        let mut play = Play::new(&[rate_of(requests, secs)]);
        let windows = 10;
        let mut crash_at = secs * 300;
        while play.real < windows * secs * 1_000 {
            let _ = play.request(0, 1);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An object of the earlier version knew rates alone, and nothing given ahead: its rows are
    /// read as they were written.
    #[test]
    fn rows_of_rates_are_as_they_were(rate in rate(), steps in calm(Just(1))) {
        let mut play = Play::new(&[Measure::Rate(rate)]);
        play.play(&steps);
        for (row, snapshot) in &play.rows {
            let window = rate.window().as_millis();
            prop_assert_eq!(row, &format!("limit0:{}:", window / 1_000));
            let numbers: Vec<i64> = serde_json::from_str(snapshot).unwrap();
            prop_assert_eq!(numbers[1], i64::try_from(window).unwrap());
            prop_assert!(numbers.len().is_multiple_of(2) && numbers.len() >= 4);
        }
    }
}
