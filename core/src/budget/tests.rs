use super::*;
use crate::limit::{Bucket, Concurrency, Counts, Period, Quota, Slot};

fn rate(requests: u32) -> Rate {
    Rate::new(requests, Millis::minutes(1)).unwrap()
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(1_800_000_000_000 + ms)
}

fn ms(ms: u64) -> Millis {
    Millis::millis(ms)
}

#[test]
fn a_budget_is_spent_and_comes_back_bit_by_bit() {
    let mut budgets = Budgets::new(10);
    for n in 0..20 {
        assert_eq!(budgets.spent("a", rate(20), at(n)), None, "{n}");
        budgets.spend("a", rate(20), at(n));
    }
    for (now, wait, why) in [
        (20, Some(ms(62_980)), "the next window, less what is still covered of this one"),
        (62_999, Some(ms(1)), "until the very millisecond"),
        (63_000, None, "19 of 20 are still covered"),
        (120_000, None, "nothing is"),
    ] {
        assert_eq!(budgets.spent("a", rate(20), at(now)), wait, "{now}: {why}");
    }
    budgets.spend("a", rate(20), at(63_000));
    assert_eq!(
        budgets.spent("a", rate(20), at(63_000)),
        Some(ms(3_000)),
        "one, and the next is on its way"
    );
    assert_eq!(budgets.spent("b", rate(20), at(63_000)), None, "another name");
    assert_eq!(budgets.spent("a", rate(21), at(63_000)), None, "another rate begins anew");
}

#[test]
fn the_wait_is_told_to_the_millisecond() {
    for requests in [1, 2, 7, 20, 300] {
        let rate = rate(requests);
        let mut budgets = Budgets::new(10);
        let mut now = 0;
        for n in 0..requests * 5 {
            if let Some(wait) = budgets.spent("a", rate, at(now)) {
                now += wait.as_millis();
                assert!(
                    budgets.spent("a", rate, at(now - 1)).is_some(),
                    "{requests}: early at {now}"
                );
                assert_eq!(budgets.spent("a", rate, at(now)), None, "{requests}: late at {now}");
            }
            budgets.spend("a", rate, at(now));
            now += u64::from(n % 3) * 100;
        }
    }
}

#[test]
fn a_clock_that_goes_back_gives_nothing_back() {
    let mut budgets = Budgets::new(10);
    budgets.spend("a", rate(1), at(50_000));
    assert!(budgets.spent("a", rate(1), at(0)).is_some());
}

#[test]
fn nobody_is_pushed_out_by_a_flood_of_names() {
    let mut budgets = Budgets::new(100);
    for n in 0..20 {
        budgets.spend("attacker", rate(20), at(n));
    }
    for n in 0..10_000_u64 {
        let name = format!("address {n}");
        if budgets.spent(&name, rate(20), at(n)).is_none() {
            budgets.spend(&name, rate(20), at(n));
        }
    }
    assert!(budgets.spent("attacker", rate(20), at(10_000)).is_some(), "still without budget");
    assert_eq!(budgets.len(), 101, "bounded: the names, and one budget for all others");
    assert!(
        budgets.spent("newcomer", rate(20), at(10_000)).is_some(),
        "shares what the flood spent"
    );
    assert_eq!(budgets.spent("newcomer", rate(300), at(10_000)), None, "of its own rate only");
    assert_eq!(budgets.spent("address 7", rate(20), at(10_000)), None, "the known keep their own");

    budgets.spend("newcomer", rate(20), at(200_000));
    assert_eq!(budgets.len(), 1, "what has ended makes room");
    assert_eq!(budgets.spent("another", rate(20), at(200_000)), None);
}

fn charge(limit: &str, bucket: &str, requests: u32) -> Charge {
    let (limit, bucket) = (limit.to_owned(), bucket.to_owned());
    let measure = Measure::Rate(rate(requests));
    Charge { limit, bucket, measure, cost: 1, shadow: false, leased: false }
}

#[test]
fn a_denial_answers_for_its_limit_and_bucket_until_it_ends() {
    let mut object = Counts::default();
    let charges = [charge("visitor", "a", 1), charge("default", "", 60)];
    assert!(object.charge(&charges, None, at(0)).is_admitted());
    let refused = object.charge(&charges, None, at(10_000));

    let mut cache = DenialCache::new(10);
    assert_eq!(cache.denied("key", &charges, at(10_000)), None);
    cache.deny("key", &charges, &refused, at(10_000));

    let cached = cache.denied("key", &charges, at(30_000)).unwrap();
    assert_eq!(cached.exceeded(), ["visitor"]);
    assert_eq!(cached.retry_after(), Some(ms(30_000)), "what is left of the wait");
    let told: Vec<_> =
        cached.standings().iter().map(|told| (told.limit.as_str(), told.remaining)).collect();
    assert_eq!(told, [("visitor", 0)], "and nothing of limits that others may share");

    for (charges, now, why) in [
        (vec![charge("visitor", "b", 1)], 30_000, "another bucket"),
        (vec![charge("visitor", "a", 1)], 9_999, "the clock stepped back"),
        (vec![charge("default", "", 60)], 30_000, "a limit that had room"),
        (vec![charge("visitor", "a", 2)], 30_000, "the limit was raised"),
        (
            vec![Charge { shadow: true, ..charge("visitor", "a", 1) }],
            30_000,
            "shadow never refuses",
        ),
        (vec![Charge { cost: 0, ..charge("visitor", "a", 1) }], 30_000, "it asks for nothing"),
        (
            vec![Charge { leased: true, ..charge("visitor", "a", 1) }],
            30_000,
            "the limit is another one now",
        ),
        (charges.to_vec(), 60_000, "there is room again"),
    ] {
        assert_eq!(cache.denied("key", &charges, at(now)), None, "{why}");
    }
    assert_eq!(cache.denied("another key", &charges, at(30_000)), None);
    assert!(cache.denied("key", &charges, at(59_999)).is_some());
}

#[test]
fn an_admission_is_no_denial() {
    let mut cache = DenialCache::new(10);
    let charges = [charge("default", "", 1)];
    let admitted = Counts::default().charge(&charges, None, at(0));
    cache.deny("key", &charges, &admitted, at(0));
    assert!(cache.is_empty());
}

#[test]
fn a_costly_request_is_denied_without_denying_cheap_ones() {
    let mut object = Counts::default();
    let costing = |cost| [Charge { cost, ..charge("default", "", 10) }];
    let _ = object.charge(&costing(4), None, at(0));
    let _ = object.charge(&costing(4), None, at(20_000));
    let refused = object.charge(&costing(7), None, at(30_000));
    assert_eq!(refused.retry_after(), Some(ms(50_000)));

    let mut cache = DenialCache::new(10);
    cache.deny("key", &costing(7), &refused, at(30_000));
    for (cost, wait) in [(2, None), (3, Some(ms(29_000))), (7, Some(ms(49_000)))] {
        let cached = cache.denied("key", &costing(cost), at(31_000));
        assert_eq!(cached.and_then(|cached| cached.retry_after()), wait, "{cost}");
    }
    assert_eq!(cache.denied("key", &costing(7), at(60_000)), None, "something came back: ask");
}

#[test]
fn a_long_denial_is_asked_about_every_minute() {
    let day = Rate::new(1, Millis::hours(24)).unwrap();
    let charges = [Charge { measure: Measure::Rate(day), ..charge("daily", "", 1) }];
    let mut object = Counts::default();
    let _ = object.charge(&charges, None, at(0));
    let mut cache = DenialCache::new(10);
    cache.deny("key", &charges, &object.charge(&charges, None, at(0)), at(0));
    let cached = cache.denied("key", &charges, at(59_999)).unwrap();
    assert_eq!(cached.retry_after(), Some(ms(86_400_000 - 59_999)), "the whole wait is told");
    assert_eq!(cache.denied("key", &charges, at(60_000)), None, "the limit may have been raised");
}

#[test]
fn denials_are_bounded() {
    let mut cache = DenialCache::new(3);
    let mut object = Counts::default();
    for n in 0..10 {
        let charges = [charge("visitor", &n.to_string(), 1)];
        let _ = object.charge(&charges, None, at(n));
        cache.deny("key", &charges, &object.charge(&charges, None, at(n)), at(n));
    }
    assert_eq!(cache.len(), 3);
    assert!(cache.denied("key", &[charge("visitor", "9", 1)], at(10)).is_some(), "the last to end");
    assert!(cache.denied("key", &[charge("visitor", "0", 1)], at(10)).is_none());
    let charges = [charge("visitor", "new", 1)];
    let _ = object.charge(&charges, None, at(90_000));
    cache.deny("key", &charges, &object.charge(&charges, None, at(90_000)), at(90_000));
    assert_eq!(cache.len(), 1, "what has ended makes room first");
}

#[test]
fn a_denial_is_of_the_very_measure() {
    let of = |measure| [Charge { measure, ..charge("default", "", 1) }];
    let bucket = |requests, burst| {
        let rate = Rate::new(requests, Millis::minutes(1)).unwrap();
        Measure::TokenBucket(Bucket::new(rate, burst).unwrap())
    };
    let quota = |requests| Measure::Quota(Quota::new(requests, Period::Day).unwrap());
    for (measure, kept, others) in [
        (bucket(1, 1), 60_000, [bucket(2, 1), bucket(1, 2)]),
        (quota(1), 60_000, [quota(2), Measure::Quota(Quota::new(1, Period::Hour).unwrap())]),
        (Measure::Rate(rate(1)), 60_000, [Measure::Rate(rate(2)), bucket(1, 1)]),
    ] {
        let mut object = Counts::default();
        let mut cache = DenialCache::new(10);
        let _ = object.charge(&of(measure), None, at(0));
        let refused = object.charge(&of(measure), None, at(0));
        cache.deny("key", &of(measure), &refused, at(0));
        let until = |measure, now| cache.denied("key", &of(measure), at(now)).is_some();
        let told = (until(measure, kept - 1), until(measure, kept));
        assert_eq!(told, (true, false), "{measure:?}: for as long as it lasts, a minute at most");
        assert!(others.iter().all(|other| !until(*other, 1)), "{measure:?}");
    }
}

#[test]
fn a_full_limit_in_flight_is_believed_for_a_second_or_until_a_place_is_freed_here() {
    let in_flight = Measure::Concurrency(Concurrency::new(1).unwrap());
    let charges =
        [charge("default", "", 1), Charge { measure: in_flight, ..charge("flight", "", 1) }];
    let slot = Slot { id: "a".to_owned(), holds: Millis::minutes(1) };
    let refused = |object: &mut Counts| {
        let _ = object.charge(&charges, Some(&slot), at(0));
        object.charge(&charges, Some(&slot), at(1))
    };
    let refused = refused(&mut Counts::default());
    assert_eq!(refused.exceeded(), ["default", "flight"]);

    let mut cache = DenialCache::new(10);
    for object in ["key", "key2", "ke"] {
        cache.deny(object, &charges, &refused, at(1));
    }
    let denied = |cache: &DenialCache, object: &str, now| {
        let cached = cache.denied(object, &charges, at(now));
        cached.map_or(vec![], |cached| cached.exceeded().to_vec())
    };
    assert_eq!(denied(&cache, "key", 1_000), ["default", "flight"]);
    assert_eq!(denied(&cache, "key", 1_001), ["default"], "an estimate");
    cache.forget("key");
    assert_eq!(denied(&cache, "key", 2), ["default"], "and the window is as full as before");
    for other in ["key2", "ke"] {
        assert_eq!(denied(&cache, other, 2), ["default", "flight"], "another object");
    }
    let costly = [Charge { cost: 5, ..charges[1].clone() }];
    assert!(cache.denied("ke", &costly, at(2)).is_some());
    let free = [Charge { cost: 0, ..charges[1].clone() }];
    assert!(cache.denied("ke", &free, at(2)).is_none());
}
