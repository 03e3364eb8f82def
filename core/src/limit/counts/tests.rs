use super::*;
use crate::limit::{Bucket, Concurrency, Kind, Measure, Period, Quota, Rate};

fn of(limit: &str, measure: Measure) -> Charge {
    Charge { measure, ..charge(limit, "", 1) }
}

fn token_bucket(requests: u32, burst: u32) -> Measure {
    let rate = Rate::new(requests, Millis::minutes(1)).unwrap();
    Measure::TokenBucket(Bucket::new(rate, burst).unwrap())
}

fn quota(requests: u32, per: Period) -> Measure {
    Measure::Quota(Quota::new(requests, per).unwrap())
}

fn in_flight(most: u32) -> Measure {
    Measure::Concurrency(Concurrency::new(most).unwrap())
}

fn slot(id: &str) -> Slot {
    Slot { id: id.to_owned(), holds: Millis::minutes(1) }
}

fn leased(charge: Charge) -> Charge {
    Charge { leased: true, ..charge }
}

/// One of each kind.
fn mixed() -> [Charge; 4] {
    [
        charge("rate", "", 10),
        of("bucket", token_bucket(60, 5)),
        of("quota", quota(100, Period::Day)),
        of("flight", in_flight(4)),
    ]
}

fn charge(limit: &str, bucket: &str, requests: u32) -> Charge {
    Charge {
        limit: limit.to_owned(),
        bucket: bucket.to_owned(),
        measure: Measure::Rate(Rate::new(requests, Millis::minutes(1)).unwrap()),
        cost: 1,
        shadow: false,
        leased: false,
    }
}

fn shadow(charge: Charge) -> Charge {
    Charge { shadow: true, ..charge }
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

/// What is left of each limit.
fn left(verdict: &Verdict) -> Vec<u32> {
    verdict.standings().iter().map(|standing| standing.remaining).collect()
}

#[test]
fn charges_are_counted_together_or_not_at_all() {
    let mut counts = Counts::default();
    let both = [charge("visitor", "192.0.2.1", 2), charge("default", "", 3)];
    assert_eq!(left(&counts.charge(&both, None, at(0))), [1, 2]);
    assert_eq!(left(&counts.charge(&both, None, at(10))), [0, 1]);
    let _ = counts.take_writes();

    let before = counts.clone();
    let refused = counts.charge(&both, None, at(20));
    assert_eq!(refused.exceeded(), ["visitor"]);
    assert_eq!(refused.retry_after(), Some(Millis::millis(59_980)));
    assert_eq!(left(&refused), [0, 1], "the other limit keeps what it has");
    assert_eq!(counts, before, "nothing is counted and nothing is to be stored");

    let other = [charge("visitor", "192.0.2.2", 2), charge("default", "", 3)];
    assert_eq!(left(&counts.charge(&other, None, at(30))), [1, 0], "another bucket, the same key");
    let refused = counts.charge(&both, None, at(40));
    assert_eq!(refused.exceeded(), ["visitor", "default"]);
    assert_eq!(refused.retry_after(), Some(Millis::millis(59_960)), "when both have room");
}

#[test]
fn a_limit_in_shadow_counts_and_tells_and_never_refuses() {
    let mut counts = Counts::default();
    let charges = [shadow(charge("new", "", 1)), charge("default", "", 3)];
    let first = counts.charge(&charges, None, at(0));
    assert_eq!((left(&first), first.would_limit()), (vec![2], &[][..]), "and is not announced");
    let second = counts.charge(&charges, None, at(1));
    assert_eq!((left(&second), second.would_limit()), (vec![1], &["new".to_owned()][..]));
    assert!(second.is_admitted());
    let _ = counts.charge(&charges, None, at(2));
    let refused = counts.charge(&charges, None, at(3));
    assert_eq!(
        (refused.exceeded(), refused.would_limit()),
        (&["default".to_owned()][..], &["new".to_owned()][..])
    );
    let _ = counts.take_writes();

    let later = counts.charge(&charges, None, at(60_000));
    assert_eq!(later.would_limit(), [] as [String; 0], "it counted only what it had room for");
}

#[test]
fn costs_are_charged_whole() {
    let mut counts = Counts::default();
    let costly = |cost| [Charge { cost, ..charge("default", "", 10) }];
    assert_eq!(left(&counts.charge(&costly(7), None, at(0))), [3]);
    let refused = counts.charge(&costly(4), None, at(1));
    assert_eq!((left(&refused), refused.retry_after()), (vec![3], Some(Millis::millis(59_999))));
    assert_eq!(left(&counts.charge(&costly(3), None, at(2))), [0]);
    assert!(counts.charge(&costly(0), None, at(3)).is_admitted(), "nothing always fits");
    assert_eq!(
        counts.charge(&costly(11), None, at(4)).retry_after(),
        Some(Millis::minutes(1)),
        "more than there ever is: refused, with a wait that does not hammer"
    );

    let mut counts = Counts::default();
    assert!(counts.charge(&costly(0), None, at(0)).is_admitted());
    assert!(counts.is_empty(), "and needs no count");
}

#[test]
fn a_bucket_that_stands_twice_must_have_room_for_both() {
    let mut counts = Counts::default();
    let twice = [charge("default", "", 3), charge("default", "", 3)];
    assert_eq!(left(&counts.charge(&twice, None, at(0))), [1, 1]);
    assert!(!counts.charge(&twice, None, at(1)).is_admitted());
    assert!(counts.charge(&twice[..1], None, at(1)).is_admitted());
}

#[test]
fn standings_say_when_more_is_left() {
    let mut counts = Counts::default();
    let charges = [charge("default", "", 2)];
    for (now, remaining, resets_in) in
        [(0, 1, 60_000), (20_000, 0, 40_000), (30_000, 0, 30_000), (60_000, 0, 20_000)]
    {
        let verdict = counts.charge(&charges, None, at(now));
        let Standing { remaining: left, resets_in: time, .. } = &verdict.standings()[0];
        assert_eq!((*left, time.as_millis()), (remaining, resets_in), "{now}");
    }
    // Lowered while full: more is left only once there is less than the new limit.
    let _ = counts.charge(&charges, None, at(90_000));
    let lower = counts.charge(&[charge("default", "", 1)], None, at(90_000));
    assert_eq!(lower.standings()[0].resets_in, Millis::millis(60_000));
    assert_eq!(lower.retry_after(), Some(Millis::millis(60_000)));
}

#[test]
fn rows_are_named_by_limit_and_bucket() {
    for (bucket, row) in [
        ("", "default:60:"),
        ("192.0.2.1", "default:60:192.0.2.1"),
        ("2001:db8:1:2::/64", "default:60:2001:db8:1:2::/64"),
        (
            "1234567890123456789012345678901234567890123",
            "default:60:1234567890123456789012345678901234567890123",
        ),
        // What is longer, or would look like a hash, stands as its SHA-256.
        (
            "12345678901234567890123456789012345678901234",
            "default:60:#ltWBENPDEHeXCuEZfPUaO1FS27JBfHnemlm_L2K21Dw",
        ),
        ("#", "default:60:#M0NZuQ7-112l8K2h1eayVvSmvQrufrOcD5AYKgIf_Is"),
    ] {
        assert_eq!(charge("default", bucket, 1).row(), row);
    }
    let long = |end: &str| charge("default", &("x".repeat(10_000) + end), 1).row();
    assert_ne!(long("a"), long("b"));
}

#[test]
fn what_is_stored_brings_everything_back() {
    let mut counts = Counts::default();
    let charges = [charge("default", "", 60), charge("visitor", "a", 60)];
    let _ = counts.charge(&charges, None, at(1_000));
    let writes = counts.take_writes();
    assert_eq!(
        writes,
        [
            ("default:60:".to_owned(), Some("[1000,60000,0,1,-7500,1]".to_owned())),
            ("visitor:60:a".to_owned(), Some("[1000,60000,0,1,-7500,1]".to_owned())),
        ]
    );
    assert_eq!(counts.take_writes(), [], "once");
    let rows = |writes: Writes| writes.into_iter().filter_map(|(key, row)| Some((key, row?)));

    let mut restored = Counts::restore(rows(writes), at(1_000));
    assert_eq!(
        left(&restored.charge(&charges, None, at(2_000))),
        [57, 57],
        "one each, and one reserved"
    );

    counts.settle(at(2_000));
    let writes = counts.take_writes();
    assert_eq!(Counts::stored_at(writes.iter().filter_map(|(_, row)| row.as_deref())), at(2_000));
    let mut restored = Counts::restore(rows(writes), at(2_000));
    assert_eq!(
        left(&restored.charge(&charges, None, at(3_000))),
        [58, 58],
        "settled: nothing is lost"
    );
    counts.settle(at(2_001));
    assert_eq!(counts.take_writes(), [], "settled already");
}

#[test]
fn a_damaged_row_has_no_room_for_one_window() {
    let rows = [("default:60:".to_owned(), "[".to_owned())];
    let mut counts = Counts::restore(rows, at(1_000));
    let refused = counts.charge(&[charge("default", "", 60)], None, at(1_000));
    assert_eq!((left(&refused), refused.retry_after()), (vec![0], Some(Millis::minutes(1))));
    assert!(counts.charge(&[charge("default", "", 60)], None, at(61_000)).is_admitted());
}

#[test]
fn empty_counts_are_forgotten_and_their_rows_deleted() {
    let mut counts = Counts::default();
    let _ = counts.charge(&[charge("default", "", 60)], None, at(0));
    let _ = counts.charge(&[charge("visitor", "a", 60)], None, at(10));
    let _ = counts.take_writes();
    counts.sweep(at(60_000));
    assert_eq!(counts.take_writes(), [("default:60:".to_owned(), None)]);
    assert_eq!(counts.len(), 1);
    counts.settle(at(60_010));
    assert_eq!(counts.take_writes(), [("visitor:60:a".to_owned(), None)], "and not written again");
    assert!(counts.is_empty());
}

#[test]
fn a_full_object_refuses_new_buckets_until_one_is_empty() {
    let mut counts = Counts::default();
    for n in 0..MAX_BUCKETS {
        let now = at(u64::try_from(n / 100).unwrap());
        assert!(counts.charge(&[charge("visitor", &n.to_string(), 2)], None, now).is_admitted());
    }
    let _ = counts.take_writes();
    let newcomer = [charge("visitor", "new", 2), charge("default", "", 60)];
    let refused = counts.charge(&newcomer, None, at(200));
    assert_eq!(refused.exceeded(), ["visitor", "default"]);
    assert_eq!((left(&refused), refused.retry_after()), (vec![0, 0], Some(Millis::millis(59_800))));
    assert_eq!(counts.take_writes(), []);
    assert!(
        counts.charge(&[charge("visitor", "7", 2)], None, at(201)).is_admitted(),
        "known ones go on"
    );
    let shadowed =
        counts.charge(&[shadow(charge("new", "", 1)), charge("visitor", "8", 2)], None, at(202));
    assert_eq!(shadowed.would_limit(), ["new"], "shadow never refuses");

    assert!(counts.charge(&newcomer, None, at(60_000)).is_admitted());
    let writes = counts.take_writes();
    assert_eq!(
        writes.iter().filter(|(_, row)| row.is_none()).count(),
        98,
        "100 less two used since"
    );
    assert_eq!(writes.len(), 100);
}

#[test]
fn every_kind_is_charged_with_the_others_or_not_at_all() {
    let mut counts = Counts::default();
    let charges = mixed().map(|charge| Charge { cost: 2, ..charge });
    let first = counts.charge(&charges, Some(&slot("a")), at(0));
    assert_eq!(left(&first), [8, 3, 98, 3], "of those in flight one request is one");
    let told: Vec<_> = first
        .standings()
        .iter()
        .map(|it| (it.kind, it.quota, it.window.ceil_secs(), it.resets_in.as_millis()))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::Rate, 10, 60, 60_000),
            (Kind::TokenBucket, 5, 5, 1_000),
            (Kind::Quota, 100, 86_400, 86_400_000),
            (Kind::Concurrency, 4, 0, 1_000),
        ]
    );
    let _ = counts.charge(&charges, Some(&slot("b")), at(0));
    let before = counts.clone();
    let refused = counts.charge(&charges, Some(&slot("c")), at(500));
    assert_eq!(
        (refused.exceeded(), left(&refused)),
        (&["bucket".to_owned()][..], vec![6, 1, 96, 2])
    );
    assert_eq!(refused.retry_after(), Some(Millis::millis(500)));
    assert_eq!(counts, before, "nothing is counted and nothing is to be stored");
    let kinds: Vec<_> = refused.exceeded_kinds().collect();
    assert_eq!(kinds, [Kind::TokenBucket]);
}

#[test]
fn rows_say_what_kind_they_are() {
    let rows: Vec<String> = mixed().iter().map(Charge::row).collect();
    assert_eq!(rows, ["rate:60:", "bucket:level60:", "quota:day:", "flight:slots:"]);
    let hour = Charge { bucket: "2001:db8::/64".to_owned(), ..of("a", quota(1, Period::Hour)) };
    assert_eq!(hour.row(), "a:hour:2001:db8::/64");
    assert_eq!(of("a", quota(1, Period::Month)).row(), "a:month:");
}

#[test]
fn every_kind_is_brought_back_by_its_row() {
    let mut counts = Counts::default();
    let _ = counts.charge(&mixed(), Some(&slot("a")), at(1_000));
    let writes = counts.take_writes();
    let rows: Vec<(String, String)> =
        writes.into_iter().filter_map(|(key, row)| Some((key, row?))).collect();
    let text: Vec<String> = rows.iter().map(|(key, row)| format!("{key} {row}")).collect();
    assert_eq!(
        text,
        [
            "bucket:level60: [1000,60000,60,60000,1,625,0]",
            "flight:slots: [1000,60000,2,65000]",
            "quota:day: [1000,0,3]",
            "rate:60: [1000,60000,0,1,-7500,1]",
        ]
    );
    assert_eq!(Counts::stored_at(text.iter().map(|row| row.split(' ').nth(1).unwrap())), at(1_000));
    let mut restored = Counts::restore(rows, at(1_000));
    let told: Vec<u32> = restored.look(&mixed(), at(1_000)).iter().map(|it| it.remaining).collect();
    assert_eq!(told, [8, 3, 97, 2], "one each, and one reserved");
    assert_eq!(restored.take_writes(), []);

    counts.settle(at(2_000));
    let settled: Vec<String> =
        counts.take_writes().into_iter().filter_map(|(key, row)| Some(key + " " + &row?)).collect();
    assert_eq!(
        settled,
        [
            "flight:slots: [2000,60000,1,59000]",
            "quota:day: [2000,0,1]",
            "rate:60: [2000,60000,1000,1]"
        ],
        "the bucket is full again and was forgotten"
    );
}

#[test]
fn damaged_rows_are_full() {
    let rows = mixed().map(|charge| (charge.row(), "[1".to_owned()));
    let mut counts = Counts::restore(rows, at(0));
    let refused = counts.charge(&mixed(), Some(&slot("a")), at(0));
    assert_eq!(refused.exceeded(), ["rate", "bucket", "quota", "flight"]);
    assert_eq!(left(&refused), [0, 0, 0, 0]);
    for (now, exceeded) in [
        (1_000, &["rate", "bucket", "quota", "flight"][..]),
        (2_000, &["rate", "quota", "flight"]),
        (60_000, &["quota", "flight"]),
        (86_400_000, &["flight"]),
        (172_800_000, &[]),
    ] {
        let verdict = counts.clone().charge(&mixed(), Some(&slot("a")), at(now));
        assert_eq!(verdict.exceeded(), exceeded, "{now}");
    }
    counts.sweep(at(172_800_000));
    assert_eq!(counts.len(), 1, "how long the bucket takes to fill is not known");
}

#[test]
fn a_lease_takes_a_fourth_of_what_is_left_at_most() {
    let rate = leased(charge("default", "", 100));
    let bucket = leased(of("flow", token_bucket(60, 21)));
    let daily = leased(of("daily", quota(1_000, Period::Day)));
    let costly = Charge { cost: 3, ..rate.clone() };
    let free = Charge { cost: 0, ..rate.clone() };
    let of_one_second = leased(Charge {
        measure: Measure::Rate(Rate::new(100, Millis::secs(1)).unwrap()),
        ..charge("quick", "", 1)
    });
    for (charges, want, granted, lasts, left, why) in [
        (vec![rate.clone()], 10, 10, 1_000, vec![90], "what was asked for"),
        (vec![rate.clone()], 99, 25, 1_000, vec![75], "a fourth"),
        (vec![costly], 99, 8, 1_000, vec![76], "24 of 25"),
        (vec![bucket.clone()], 99, 5, 1_000, vec![15], "of 20: one flows in during a lease"),
        (vec![rate.clone(), bucket, daily.clone()], 99, 5, 1_000, vec![95, 15, 995], "the least"),
        (vec![of_one_second, daily], 99, 25, 20, vec![75, 975], "a fiftieth of the window"),
        (vec![rate.clone(), rate.clone()], 99, 12, 1_000, vec![76, 76], "what stands twice"),
        (vec![free], 7, 7, 1_000, vec![100], "what costs nothing"),
    ] {
        let mut counts = Counts::default();
        let grant = counts.lease(&charges, want, at(0)).unwrap();
        assert_eq!((grant.requests, grant.lasts.as_millis()), (granted, lasts), "{why}");
        let told: Vec<u32> = counts.look(&charges, at(0)).iter().map(|it| it.remaining).collect();
        assert_eq!(told, left, "{why}");
    }
}

#[test]
fn a_lease_ends_with_its_period() {
    let daily = [leased(of("daily", quota(1_000, Period::Day)))];
    for (now, lasts) in [(0, 1_000), (86_399_000, 1_000), (86_399_400, 600), (86_399_999, 1)] {
        let grant = Counts::default().lease(&daily, 5, at(now)).unwrap();
        assert_eq!((grant.requests, grant.lasts.as_millis()), (5, lasts), "{now}");
    }
}

#[test]
fn what_cannot_be_leased_is_not() {
    let rate = leased(charge("default", "", 100));
    for (charges, want, why) in [
        (vec![], 9, "no limit, no lease"),
        (vec![rate.clone(), charge("exact", "", 100)], 9, "one of them is exact"),
        (vec![shadow(rate.clone())], 9, "in shadow"),
        (vec![rate.clone(), leased(of("flight", in_flight(9)))], 9, "in flight"),
        (vec![leased(charge("default", "", 3))], 9, "a fourth of three"),
        (vec![Charge { cost: 26, ..rate.clone() }], 9, "a fourth of it is less than one costs"),
        (vec![leased(of("flow", token_bucket(6_000, 100)))], 9, "all of it flows in in a second"),
        (vec![rate.clone()], 0, "nothing is asked for"),
    ] {
        let mut counts = Counts::default();
        assert_eq!(counts.lease(&charges, want, at(0)), None, "{why}");
        assert!(counts.is_empty() && counts.take_writes().is_empty(), "{why}");
    }
}

#[test]
fn a_lease_counts_until_its_last_instant() {
    let charges = [leased(charge("default", "", 100))];
    let mut counts = Counts::default();
    assert!(counts.charge(&charges, None, at(0)).is_admitted());
    assert!(counts.lease(&charges, 20, at(500)).is_some());
    let mut left = |now| counts.look(&charges, at(now))[0].remaining;
    assert_eq!([left(500), left(60_000), left(61_499), left(61_500)], [79, 80, 80, 100]);
}

#[test]
fn what_is_given_back_is_there_again_and_stored() {
    let mut counts = Counts::default();
    let charges = mixed().map(|charge| Charge { cost: 2, ..charge });
    let _ = counts.charge(&charges, Some(&slot("a")), at(1_000));
    let _ = counts.charge(&charges, Some(&slot("b")), at(1_000));
    let _ = counts.take_writes();
    counts.give_back(&charges, at(1_000), at(1_500));
    counts.release(&charges, "a", at(1_500));
    let told: Vec<u32> = counts.look(&charges, at(1_500)).iter().map(|it| it.remaining).collect();
    assert_eq!(told, [8, 3, 98, 3], "of the bucket a half has drained");
    let written: Vec<String> = counts.take_writes().into_iter().map(|(key, _)| key).collect();
    assert_eq!(written, ["bucket:level60:", "quota:day:", "rate:60:"], "the place was covered");

    let before = counts.clone();
    let stranger = charges.clone().map(|it| Charge { bucket: "x".to_owned(), ..it });
    counts.give_back(&stranger, at(1_000), at(1_500));
    counts.release(&stranger, "b", at(1_500));
    counts.give_back(&charges.clone().map(shadow), at(1_000), at(1_500));
    counts.release(&charges, "c", at(1_500));
    counts.give_back(&charges, at(1_501), at(1_500));
    assert_eq!(counts, before, "what is not known is not given back");
}

#[test]
fn a_place_comes_free_with_its_release_and_its_row_goes() {
    let charges = [of("flight", in_flight(1))];
    let mut counts = Counts::default();
    assert!(counts.charge(&charges, Some(&slot("a")), at(0)).is_admitted());
    let refused = counts.charge(&charges, Some(&slot("b")), at(10));
    assert_eq!(refused.retry_after(), Some(Millis::secs(1)), "an estimate");
    assert_eq!(counts.next_end(), Some(at(60_000)));
    counts.release(&charges, "a", at(20));
    assert_eq!(
        counts.take_writes(),
        [("flight:slots:".to_owned(), Some("[20,60000,0,65000]".to_owned()))]
    );
    counts.settle(at(30));
    assert_eq!(counts.take_writes(), [("flight:slots:".to_owned(), None)]);
    assert_eq!(counts.next_end(), None);

    assert!(counts.charge(&charges, None, at(40)).is_admitted());
    counts.release(&charges, "x", at(50));
    assert!(!counts.charge(&charges, None, at(50)).is_admitted(), "nobody can release it");
}
