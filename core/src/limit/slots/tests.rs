use super::*;

fn most(n: u32) -> Concurrency {
    Concurrency::new(n).unwrap()
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn slot(id: &str, holds: u64) -> Slot {
    Slot { id: id.to_owned(), holds: Millis::millis(holds) }
}

/// Takes a place that holds 60 s.
fn take(slots: &mut Slots, of: Concurrency, id: &str, now: u64) -> bool {
    assert_eq!(slots.wait(of, 1, at(now)), Millis::ZERO, "no place at {now}");
    slots.admit(of, &slot(id, 60_000), at(now))
}

#[test]
fn a_place_is_held_until_it_is_released_or_ends() {
    let mut slots = Slots::default();
    let of = most(2);
    let _ = take(&mut slots, of, "a", 0);
    let _ = take(&mut slots, of, "b", 10_000);
    for (now, used, wait) in
        [(10_000, 2, 1_000), (59_999, 2, 1_000), (60_000, 1, 0), (69_999, 1, 0), (70_000, 0, 0)]
    {
        let told = (slots.used(at(now)), slots.wait(of, 1, at(now)).as_millis());
        assert_eq!(told, (used, wait), "{now}");
    }
    assert_eq!(slots.empty_at(), at(70_000));
    let _ = slots.release(of, "a", at(20_000));
    assert_eq!((slots.used(at(20_000)), slots.empty_at()), (1, at(70_000)));
    for stranger in ["a", "x", ""] {
        assert!(!slots.release(of, stranger, at(20_000)), "{stranger:?}: nothing is to be stored");
        assert_eq!(slots.used(at(20_000)), 1, "{stranger:?}: once, and only its own");
    }
    let _ = slots.release(of, "b", at(20_000));
    assert_eq!((slots.used(at(20_000)), slots.empty_at()), (0, at(0)));
    assert_eq!(slots.wait(of, 3, at(20_000)), Millis::secs(1), "never");
    assert_eq!(slots.wait(of, 0, at(20_000)), Millis::ZERO);
}

#[test]
fn who_asks_twice_has_two_places_until_the_later_end() {
    let mut slots = Slots::default();
    let of = most(5);
    let _ = slots.admit(of, &slot("a", 60_000), at(0));
    let _ = slots.admit(of, &slot("a", 10_000), at(1_000));
    assert_eq!(slots.used(at(1_000)), 2);
    let _ = slots.release(of, "a", at(2_000));
    assert_eq!((slots.used(at(59_999)), slots.used(at(60_000))), (1, 0));
}

#[test]
fn a_steady_stream_of_requests_writes_every_five_seconds() {
    let mut slots = Slots::default();
    let of = most(10);
    let mut writes = Vec::new();
    for n in 0..1_200 {
        let (now, id) = (n * 10, n.to_string());
        writes.extend(take(&mut slots, of, &id, now).then_some(now));
        writes.extend(slots.release(of, &id, at(now + 5)).then_some(now + 5));
    }
    assert_eq!(writes, [0, 5, 5_010, 10_020], "the first, its end, and then by time");
}

#[test]
fn many_writes_are_one_in_a_rush() {
    let mut slots = Slots::default();
    let of = most(6_000);
    let takes = (0..6_000).filter(|n| take(&mut slots, of, &n.to_string(), 0)).count();
    assert_eq!(takes, 99, "one for each 61");
    let ends = (0..6_000).filter(|n| slots.release(of, &n.to_string(), at(1))).count();
    assert_eq!(ends, 97, "the same on the way down, but for the first 121");

    let mut one = Slots::default();
    assert!(take(&mut one, most(1), "a", 0));
    assert!(one.release(most(1), "a", at(1)), "a crash must not take the only place");
    assert!(Slots::restore(&one.snapshot(at(1)).unwrap(), at(2)).unwrap().used(at(2)) == 0);
}

#[test]
fn what_is_stored_covers_whoever_is_in_flight() {
    let mut slots = Slots::default();
    let of = most(200);
    assert!(take(&mut slots, of, "a", 1_000));
    let stored = slots.snapshot(at(1_000)).unwrap();
    assert_eq!(stored, "[1000,60000,3,65000]", "half of 2 %, and five seconds");
    assert!(!take(&mut slots, of, "b", 2_000), "both are covered");
    assert!(!take(&mut slots, of, "c", 6_000), "until its place ends");

    let restored = Slots::restore(&stored, at(7_000)).unwrap();
    for (now, used) in [(7_000, 3), (65_999, 3), (66_000, 0)] {
        assert_eq!(restored.used(at(now)), used, "{now}");
    }
    let restored = Slots::restore(&stored, at(1_000)).unwrap();
    assert_eq!(restored.used(at(60_999)), 3);
    assert_eq!(restored.used(at(61_000)), 0, "whoever it was began before the crash");
    assert!(take(&mut slots, of, "d", 6_001), "would end after the cover");
}

#[test]
fn after_a_crash_each_release_frees_one_place_once() {
    let of = most(5);
    let mut slots = Slots::restore("[0,60000,3,65000]", at(0)).unwrap();
    let _ = take(&mut slots, of, "new", 10);
    let _ = slots.release(of, "old", at(20));
    assert_eq!(slots.used(at(20)), 3);
    for again in ["old", "new", "new", "old"] {
        let _ = slots.release(of, again, at(30));
    }
    assert_eq!(slots.used(at(30)), 2, "the new one's own, and no other");
    let _ = slots.release(of, "older", at(40));
    let _ = slots.release(of, "oldest", at(40));
    assert_eq!(slots.used(at(40)), 0);
    assert!(slots.seen.is_empty(), "nothing to remember any more");
    let _ = slots.release(of, "stranger", at(50));
    assert_eq!(slots.used(at(50)), 0);
}

#[test]
fn a_second_crash_lets_no_place_end_sooner_than_it_may() {
    let of = most(5);
    let mut slots = Slots::restore("[0,60000,3,65000]", at(0)).unwrap();
    assert!(slots.admit(of, &slot("short", 1_000), at(10)));
    let stored = slots.snapshot(at(10)).unwrap();
    assert_eq!(stored, "[10,60000,2,65000,3,59990]");
    let again = Slots::restore(&stored, at(20)).unwrap();
    for (now, used) in [(20, 5), (59_999, 5), (60_000, 2), (60_020, 0)] {
        assert_eq!(again.used(at(now)), used, "{now}");
    }
    let mut again = again;
    let _ = again.release(of, "x", at(20));
    let _ = again.release(of, "y", at(20));
    let _ = again.release(of, "z", at(20));
    let _ = again.release(of, "short", at(20));
    assert_eq!((again.used(at(20)), again.used(at(60_000))), (1, 1), "those that end first go");
}

#[test]
fn settled_means_that_nothing_is_lost() {
    let of = most(10);
    let mut slots = Slots::default();
    let _ = take(&mut slots, of, "a", 0);
    assert!(slots.settle(at(5_000)));
    assert_eq!(slots.snapshot(at(5_000)).unwrap(), "[5000,60000,1,55000]");
    assert!(!slots.settle(at(6_000)), "once");
    let restored = Slots::restore("[5000,60000,1,55000]", at(50_000)).unwrap();
    assert_eq!((restored.used(at(59_999)), restored.used(at(60_000))), (1, 0));
    assert!(take(&mut slots, of, "b", 7_000), "the next is written");
}

#[test]
fn rows_are_read_whole_or_not_at_all() {
    for bad in
        ["", "[]", "null", "[1,2]", "[1,2,3]", "[1,2,3,4,5]", "[1,2,-3,4]", "[1,2,4294967296,4]"]
    {
        assert!(Slots::restore(bad, at(1)).is_none(), "{bad}");
    }
    let mut unreadable = Slots::unreadable(at(0));
    let all = most(1_000_000);
    assert_eq!(unreadable.wait(all, 1, at(0)), Millis::secs(1));
    let _ = unreadable.release(all, "a", at(0));
    assert_eq!(unreadable.wait(all, 1, at(172_799_999)), Millis::secs(1), "it frees nothing");
    assert_eq!(unreadable.wait(all, 1, at(172_800_000)), Millis::ZERO);

    let pairs: Vec<String> = (1..100).map(|n| format!("1,{}", n * 100)).collect();
    let many = Slots::restore(&format!("[0,60000,{}]", pairs.join(",")), at(0)).unwrap();
    assert_eq!(many.restored.len(), MAX_RESTORED);
    assert_eq!((many.used(at(0)), many.used(at(9_899)), many.used(at(9_900))), (99, 84, 0));
}

#[test]
fn a_restored_cover_of_nothing_takes_no_release() {
    let mut slots = Slots::restore("[0,60000,0,50000,1,60000]", at(0)).unwrap();
    assert_eq!(slots.used(at(0)), 1);
    let _ = slots.release(most(1), "of before", at(1));
    assert_eq!(slots.used(at(1)), 0);
}

#[test]
fn who_may_stay_longer_than_anybody_stored_is_stored() {
    let (mut slots, of) = (Slots::default(), most(200));
    assert!(slots.admit(of, &slot("a", 60_000), at(0)));
    assert!(!slots.admit(of, &slot("b", 60_000), at(1_000)));
    assert!(slots.admit(of, &slot("c", 64_000), at(1_000)), "though its end is covered");
    let stored = slots.snapshot(at(1_000)).unwrap();
    assert_eq!(Slots::restore(&stored, at(1_000)).unwrap().used(at(64_999)), 3);
    let _ = slots.release(of, "a", at(1_001));
    assert!(!slots.admit(of, &slot("d", 64_000), at(1_001)), "once");
}

#[test]
fn places_that_could_not_be_read_are_held_after_the_next_crash_too() {
    let mut slots = Slots::unreadable(at(0));
    assert!(slots.release(most(1), "of before", at(1)));
    let again = Slots::restore(&slots.snapshot(at(1)).unwrap(), at(2)).unwrap();
    assert_eq!(again.used(at(Millis::hours(48).as_millis() - 1)), u32::MAX - 1);
}
