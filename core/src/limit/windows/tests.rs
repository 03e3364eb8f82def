use super::*;

fn charge(limit: &str, bucket: &str, requests: u32) -> Charge {
    Charge {
        limit: limit.to_owned(),
        bucket: bucket.to_owned(),
        rate: Rate::new(requests, Millis::minutes(1)).unwrap(),
        cost: 1,
        shadow: false,
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
    let mut windows = Windows::default();
    let both = [charge("visitor", "192.0.2.1", 2), charge("default", "", 3)];
    assert_eq!(left(&windows.charge(&both, at(0))), [1, 2]);
    assert_eq!(left(&windows.charge(&both, at(10))), [0, 1]);
    let _ = windows.take_writes();

    let before = windows.clone();
    let refused = windows.charge(&both, at(20));
    assert_eq!(refused.exceeded(), ["visitor"]);
    assert_eq!(refused.retry_after(), Some(Millis::millis(59_980)));
    assert_eq!(left(&refused), [0, 1], "the other limit keeps what it has");
    assert_eq!(windows, before, "nothing is counted and nothing is to be stored");

    let other = [charge("visitor", "192.0.2.2", 2), charge("default", "", 3)];
    assert_eq!(left(&windows.charge(&other, at(30))), [1, 0], "another bucket, the same key");
    let refused = windows.charge(&both, at(40));
    assert_eq!(refused.exceeded(), ["visitor", "default"]);
    assert_eq!(refused.retry_after(), Some(Millis::millis(59_960)), "when both have room");
}

#[test]
fn a_limit_in_shadow_counts_and_tells_and_never_refuses() {
    let mut windows = Windows::default();
    let charges = [shadow(charge("new", "", 1)), charge("default", "", 3)];
    let first = windows.charge(&charges, at(0));
    assert_eq!((left(&first), first.would_limit()), (vec![2], &[][..]), "and is not announced");
    let second = windows.charge(&charges, at(1));
    assert_eq!((left(&second), second.would_limit()), (vec![1], &["new".to_owned()][..]));
    assert!(second.is_admitted());
    let _ = windows.charge(&charges, at(2));
    let refused = windows.charge(&charges, at(3));
    assert_eq!(
        (refused.exceeded(), refused.would_limit()),
        (&["default".to_owned()][..], &["new".to_owned()][..])
    );
    let _ = windows.take_writes();

    let later = windows.charge(&charges, at(60_000));
    assert_eq!(later.would_limit(), [] as [String; 0], "it counted only what it had room for");
}

#[test]
fn costs_are_charged_whole() {
    let mut windows = Windows::default();
    let costly = |cost| [Charge { cost, ..charge("default", "", 10) }];
    assert_eq!(left(&windows.charge(&costly(7), at(0))), [3]);
    let refused = windows.charge(&costly(4), at(1));
    assert_eq!((left(&refused), refused.retry_after()), (vec![3], Some(Millis::millis(59_999))));
    assert_eq!(left(&windows.charge(&costly(3), at(2))), [0]);
    assert!(windows.charge(&costly(0), at(3)).is_admitted(), "nothing always fits");
    assert_eq!(
        windows.charge(&costly(11), at(4)).retry_after(),
        Some(Millis::minutes(1)),
        "more than there ever is: refused, with a wait that does not hammer"
    );

    let mut windows = Windows::default();
    assert!(windows.charge(&costly(0), at(0)).is_admitted());
    assert!(windows.is_empty(), "and needs no count");
}

#[test]
fn a_bucket_that_stands_twice_must_have_room_for_both() {
    let mut windows = Windows::default();
    let twice = [charge("default", "", 3), charge("default", "", 3)];
    assert_eq!(left(&windows.charge(&twice, at(0))), [1, 1]);
    assert!(!windows.charge(&twice, at(1)).is_admitted());
    assert!(windows.charge(&twice[..1], at(1)).is_admitted());
}

#[test]
fn standings_say_when_more_is_left() {
    let mut windows = Windows::default();
    let charges = [charge("default", "", 2)];
    for (now, remaining, resets_in) in
        [(0, 1, 60_000), (20_000, 0, 40_000), (30_000, 0, 30_000), (60_000, 0, 20_000)]
    {
        let verdict = windows.charge(&charges, at(now));
        let Standing { remaining: left, resets_in: time, .. } = &verdict.standings()[0];
        assert_eq!((*left, time.as_millis()), (remaining, resets_in), "{now}");
    }
    // Lowered while full: more is left only once there is less than the new limit.
    let _ = windows.charge(&charges, at(90_000));
    let lower = windows.charge(&[charge("default", "", 1)], at(90_000));
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
    let mut windows = Windows::default();
    let charges = [charge("default", "", 60), charge("visitor", "a", 60)];
    let _ = windows.charge(&charges, at(1_000));
    let writes = windows.take_writes();
    assert_eq!(
        writes,
        [
            ("default:60:".to_owned(), Some("[1000,60000,0,1,-7500,1]".to_owned())),
            ("visitor:60:a".to_owned(), Some("[1000,60000,0,1,-7500,1]".to_owned())),
        ]
    );
    assert_eq!(windows.take_writes(), [], "once");
    let rows = |writes: Writes| writes.into_iter().filter_map(|(key, row)| Some((key, row?)));

    let mut restored = Windows::restore(rows(writes), at(1_000));
    assert_eq!(left(&restored.charge(&charges, at(2_000))), [57, 57], "one each, and one reserved");

    windows.settle(at(2_000));
    let writes = windows.take_writes();
    assert_eq!(Windows::stored_at(writes.iter().filter_map(|(_, row)| row.as_deref())), at(2_000));
    let mut restored = Windows::restore(rows(writes), at(2_000));
    assert_eq!(left(&restored.charge(&charges, at(3_000))), [58, 58], "settled: nothing is lost");
    windows.settle(at(2_001));
    assert_eq!(windows.take_writes(), [], "settled already");
}

#[test]
fn a_damaged_row_has_no_room_for_one_window() {
    let rows = [("default:60:".to_owned(), "[".to_owned())];
    let mut windows = Windows::restore(rows, at(1_000));
    let refused = windows.charge(&[charge("default", "", 60)], at(1_000));
    assert_eq!((left(&refused), refused.retry_after()), (vec![0], Some(Millis::minutes(1))));
    assert!(windows.charge(&[charge("default", "", 60)], at(61_000)).is_admitted());
}

#[test]
fn empty_counts_are_forgotten_and_their_rows_deleted() {
    let mut windows = Windows::default();
    let _ = windows.charge(&[charge("default", "", 60)], at(0));
    let _ = windows.charge(&[charge("visitor", "a", 60)], at(10));
    let _ = windows.take_writes();
    windows.sweep(at(60_000));
    assert_eq!(windows.take_writes(), [("default:60:".to_owned(), None)]);
    assert_eq!(windows.len(), 1);
    windows.settle(at(60_010));
    assert_eq!(windows.take_writes(), [("visitor:60:a".to_owned(), None)], "and not written again");
    assert!(windows.is_empty());
}

#[test]
fn a_full_object_refuses_new_buckets_until_one_is_empty() {
    let mut windows = Windows::default();
    for n in 0..MAX_BUCKETS {
        let now = at(u64::try_from(n / 100).unwrap());
        assert!(windows.charge(&[charge("visitor", &n.to_string(), 2)], now).is_admitted());
    }
    let _ = windows.take_writes();
    let newcomer = [charge("visitor", "new", 2), charge("default", "", 60)];
    let refused = windows.charge(&newcomer, at(200));
    assert_eq!(refused.exceeded(), ["visitor", "default"]);
    assert_eq!((left(&refused), refused.retry_after()), (vec![0, 0], Some(Millis::millis(59_800))));
    assert_eq!(windows.take_writes(), []);
    assert!(
        windows.charge(&[charge("visitor", "7", 2)], at(201)).is_admitted(),
        "known ones go on"
    );
    let shadowed =
        windows.charge(&[shadow(charge("new", "", 1)), charge("visitor", "8", 2)], at(202));
    assert_eq!(shadowed.would_limit(), ["new"], "shadow never refuses");

    assert!(windows.charge(&newcomer, at(60_000)).is_admitted());
    let writes = windows.take_writes();
    assert_eq!(
        writes.iter().filter(|(_, row)| row.is_none()).count(),
        98,
        "100 less two used since"
    );
    assert_eq!(writes.len(), 100);
}
