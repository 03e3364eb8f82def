use super::*;

/// 60 in a minute, so that a request drains in a second, and so many at once.
fn bucket(burst: u32) -> Bucket {
    Bucket::new(Rate::new(60, Millis::minutes(1)).unwrap(), burst).unwrap()
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn ms(ms: u64) -> Millis {
    Millis::millis(ms)
}

/// Admits `cost` at `now`, which there must be room for.
fn admit(level: &mut Level, bucket: Bucket, cost: u32, now: u64) -> bool {
    assert_eq!(level.wait(bucket, false, cost, at(now)), Millis::ZERO, "no room at {now}");
    level.admit(bucket, false, cost, at(now))
}

#[test]
fn a_burst_and_then_what_flows_in() {
    let of = bucket(3);
    let mut level = Level::default();
    assert_eq!(level.left(of, false, at(0)), 3);
    for _ in 0..3 {
        let _ = admit(&mut level, of, 1, 0);
    }
    for (now, left, one, three) in
        [(0, 0, 1_000, 3_000), (999, 0, 1, 2_001), (1_000, 1, 0, 2_000), (2_999, 2, 0, 1)]
    {
        let waits = (level.wait(of, false, 1, at(now)), level.wait(of, false, 3, at(now)));
        assert_eq!((level.left(of, false, at(now)), waits), (left, (ms(one), ms(three))), "{now}");
    }
    assert_eq!(level.left(of, false, at(3_000)), 3);
    assert_eq!(level.left(of, false, at(1_000_000)), 3, "never more");
    assert_eq!(level.wait(of, false, 0, at(0)), ms(0), "nothing always fits");
    assert_eq!(level.wait(of, false, 4, at(0)), ms(3_000), "never: told to wait for all");
}

#[test]
fn nothing_is_rounded() {
    // Seven in three seconds: one drains in 428.57 ms.
    let of = Bucket::new(Rate::new(7, Millis::secs(3)).unwrap(), 1).unwrap();
    let mut level = Level::default();
    let mut now = 0;
    for _ in 0..21 {
        let _ = admit(&mut level, of, 1, now);
        let wait = level.wait(of, false, 1, at(now)).as_millis();
        assert!((428..=429).contains(&wait), "{wait} at {now}");
        assert!(level.wait(of, false, 1, at(now + wait - 1)) > Millis::ZERO);
        now += wait;
    }
    let due = 21_u64 * 3_000 / 7;
    assert!(now >= due && now < due + 21, "21 took {now} ms");
}

#[test]
fn a_write_covers_the_admissions_of_its_reservation() {
    let rate = Rate::new(6_000, Millis::minutes(1)).unwrap();
    let of = Bucket::new(rate, 6_000).unwrap();
    let mut level = Level::default();
    let writes: Vec<u64> = (0..364).filter(|now| admit(&mut level, of, 1, *now)).collect();
    assert_eq!(writes, [0, 121, 242, 363], "once per 2 % and one");

    let mut level = Level::default();
    let writes: Vec<u64> =
        (0..5).map(|n| n * 7_000).filter(|now| admit(&mut level, of, 1, *now)).collect();
    assert_eq!(writes, [0, 14_000, 28_000], "it is valid for an eighth of the time to fill");

    let mut level = Level::default();
    let writes: Vec<u64> = (0..6).filter(|now| admit(&mut level, bucket(60), 1, *now)).collect();
    assert_eq!(writes, [0, 2, 4], "one at least");

    let mut level = Level::default();
    assert!(admit(&mut level, bucket(1), 1, 0));
    assert_eq!(
        level.snapshot(at(0)).unwrap(),
        "[0,60000,60,60000,0,0,0]",
        "what is empty reserves nothing"
    );
}

#[test]
fn a_crash_loses_the_reservation_and_gives_nothing_twice() {
    let of = bucket(100);
    let mut level = Level::default();
    assert!(admit(&mut level, of, 50, 1_000));
    let stored = level.snapshot(at(1_000)).unwrap();
    assert_eq!(stored, "[1000,60000,60,3000000,2,12500,0]");
    assert!(!admit(&mut level, of, 1, 2_000), "covered by what is stored");
    assert!(!admit(&mut level, of, 1, 2_000), "covered by what is stored");
    for (now, left, lived, why) in [
        (2_000, 49, 49, "all of it was used"),
        (9_000, 56, 56, "and drains as it would have"),
        (13_500, 60, 60, "until its last instant (a half is not told)"),
        (23_500, 70, 70, "as before"),
    ] {
        let restored = Level::restore(&stored, at(now)).unwrap();
        let told = (restored.left(of, false, at(now)), level.left(of, false, at(now)));
        assert_eq!(told, (left, lived), "{now}: {why}");
    }
    let late = Level::restore(&stored, at(100_000)).unwrap();
    assert_eq!(late.left(of, false, at(100_000)), 100, "what was reserved has drained too");
    assert_eq!(Level::restore(&stored, at(0)).unwrap().left(of, false, at(1_000)), 48);

    let mut settled = level.clone();
    assert!(settled.settle());
    assert_eq!(settled.snapshot(at(3_000)).unwrap(), "[3000,60000,60,3000000,0,0,0]");
    assert!(!settled.settle(), "once");
    assert!(admit(&mut settled, of, 1, 3_000), "the next is written again");
}

#[test]
fn what_is_given_back_had_certainly_not_drained() {
    let of = bucket(10);
    for (cost, instant, now, left, why) in [
        (4, 1_000, 1_000, 8, "all of it"),
        (4, 1_000, 3_000, 8, "two of it have drained"),
        (4, 1_000, 6_000, 9, "all of it has"),
        (9, 1_000, 1_000, 10, "no more than there is"),
        (4, 1_001, 1_000, 4, "not yet"),
    ] {
        let mut level = Level::default();
        let _ = admit(&mut level, of, 2, 1_000);
        let _ = admit(&mut level, of, 4, 1_000);
        let before = level.left(of, false, at(now));
        let changed = level.give_back(of, cost, at(instant), at(now));
        let after = level.left(of, false, at(now));
        assert_eq!(
            (after, changed),
            (left, after != before),
            "{cost} of {instant} at {now}: {why}"
        );
    }
}

#[test]
fn a_leased_bucket_holds_less_until_it_was_empty_for_a_lease() {
    // A lease lasts a second, in which one flows in.
    let of = bucket(10);
    let mut level = Level::default();
    assert_eq!((level.left(of, true, at(0)), level.left(of, false, at(0))), (9, 10));
    assert_eq!(level.wait(of, true, 10, at(0)), ms(10_000), "never");
    assert!(level.admit(of, true, 5, at(0)));
    for (now, left) in [(0, 4), (1_000, 5), (4_999, 8), (5_000, 9), (5_999, 9), (6_000, 10)] {
        assert_eq!(level.left(of, false, at(now)), left, "{now}");
    }
    assert_eq!(level.wait(of, false, 10, at(1_000)), ms(5_000), "the last one comes with the end");
    assert_eq!(level.wait(of, false, 5, at(500)), ms(500), "others as they flow in");
    assert_eq!(level.empty_at(), at(6_000), "it is known until then");

    assert!(level.admit(of, false, 3, at(1_000)), "goes on in exact mode: still leased");
    for (now, left) in [(7_999, 8), (8_000, 9), (8_999, 9), (9_000, 10)] {
        assert_eq!(level.left(of, false, at(now)), left, "{now}");
    }
    assert!(level.admit(of, false, 1, at(9_000)), "not any more: to be stored");
    assert_eq!(level.snapshot(at(9_000)).unwrap(), "[9000,60000,60,60000,1,1250,0]");

    let stored = "[0,60000,60,300000,0,0,1]";
    let restored = Level::restore(stored, at(1_000)).unwrap();
    assert_eq!(restored.left(of, false, at(5_999)), 9, "after a crash as well");
}

#[test]
fn a_changed_rate_counts_from_the_last_request_on() {
    let mut level = Level::default();
    let _ = admit(&mut level, bucket(10), 10, 0);
    let faster = Bucket::new(Rate::new(120, Millis::minutes(1)).unwrap(), 10).unwrap();
    assert_eq!(level.left(faster, false, at(1_000)), 2);
    assert_eq!(level.left(bucket(5), false, at(5_000)), 0, "lowered: what was used stays used");
    assert_eq!(level.wait(bucket(5), false, 1, at(0)), ms(6_000));
    assert!(admit(&mut level, faster, 1, 1_000), "to be stored");
}

#[test]
fn snapshots_are_read_whole_or_not_at_all() {
    for bad in [
        "",
        "[]",
        "{}",
        "null",
        "[1,60000,60,0,0,0]",
        "[1,60000,60,0,0,0,0,0]",
        "[1,60000,60,0,0,0,2]",
        "[1,60000,0,0,0,0,0]",
        "[1,0,60,0,0,0,0]",
        "[1,60001,60,0,0,0,0]",
        "[-1,60000,60,0,0,0,0]",
        "[1,60000,60,-1,0,0,0]",
        "[1,60000,60,18446744073709551615,0,0,0]",
        "[1,60000,60,1,18446744073709551615,0,0]",
        "[1,60000,60,1.5,0,0,0]",
        "[1,60000,60,\"1\",0,0,0]",
    ] {
        assert!(Level::restore(bad, at(1)).is_none(), "{bad}");
    }
    let unreadable = Level::unreadable(at(1_000));
    assert_eq!(unreadable.left(bucket(10), false, at(1_000)), 0);
    assert_eq!(unreadable.wait(bucket(10), false, 1, at(1_000)), ms(2_000), "taken for leased");
    assert_eq!(unreadable.left(bucket(10), false, at(11_999)), 9);
    assert_eq!(unreadable.left(bucket(10), false, at(12_000)), 10);
    let mut unreadable = unreadable;
    assert!(!unreadable.give_back(bucket(10), 5, at(1_000), at(1_000)), "nothing is certain");
    assert!(unreadable.admit(bucket(10), false, 1, at(5_000)));
    assert_eq!(unreadable.snapshot(at(5_000)).unwrap(), "[5000,60000,60,420000,1,1250,1]");
}
