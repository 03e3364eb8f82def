use super::*;

fn rate(requests: u32, secs: u64) -> Rate {
    Rate::new(requests, Millis::secs(secs)).unwrap()
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn ms(ms: u64) -> Millis {
    Millis::millis(ms)
}

/// Admits `cost` at `now`, which there must be room for.
fn admit(window: &mut Window, rate: Rate, cost: u32, now: u64) -> bool {
    assert_eq!(window.wait(rate, cost, at(now)), Millis::ZERO, "no room at {now}");
    window.admit(rate, cost, at(now), at(now))
}

#[test]
fn a_small_limit_is_exact() {
    let limit = rate(3, 60);
    let mut window = Window::default();
    for now in [0, 10_000, 20_000] {
        let _ = admit(&mut window, limit, 1, now);
    }
    for (now, used, wait) in [
        (20_000, 3, 40_000),
        (59_999, 3, 1),
        (60_000, 2, 0),
        (69_999, 2, 0),
        (70_000, 1, 0),
        (80_000, 0, 0),
    ] {
        assert_eq!(
            (window.used(limit, at(now)), window.wait(limit, 1, at(now))),
            (used, ms(wait)),
            "{now}"
        );
    }
    assert_eq!(window.wait(limit, 2, at(20_000)), ms(50_000), "two leave with the second");
    assert_eq!(window.wait(limit, 3, at(20_000)), ms(60_000), "three leave with the third");
    assert_eq!(window.wait(limit, 4, at(20_000)), ms(60_000), "never: told to wait a window");
    assert_eq!(window.wait(limit, 0, at(20_000)), ms(0), "nothing always fits");
}

#[test]
fn a_large_limit_holds_back_less_than_a_sixty_fourth() {
    let limit = rate(6_400, 60);
    let mut window = Window::default();
    for now in 0..6_400_u64 {
        let _ = admit(&mut window, limit, 1, now / 10);
    }
    assert_eq!(window.used(limit, at(640)), 6_400);
    assert!(window.log.len() <= 65, "{} entries", window.log.len());
    // The first entry holds 100 admissions of 10 ms: 0 to 9.
    for (now, used) in [(60_000, 6_400), (60_008, 6_400), (60_009, 6_300), (60_639, 0)] {
        assert_eq!(window.used(limit, at(now)), used, "{now}");
    }
}

#[test]
fn a_slow_client_gets_everything_back_within_a_sixteenth() {
    let limit = rate(6_400, 64);
    let mut window = Window::default();
    for second in 0..64 {
        let _ = admit(&mut window, limit, 1, second * 1_000);
    }
    // Entries of four seconds: 0 to 3 s end at 3 s.
    for (now, used) in [(64_000, 64), (66_999, 64), (67_000, 60), (71_000, 56), (127_000, 0)] {
        assert_eq!(window.used(limit, at(now)), used, "{now}");
    }
}

#[test]
fn a_write_covers_the_admissions_of_its_reservation() {
    let big = rate(6_000, 60);
    let mut window = Window::default();
    let writes: Vec<u64> = (0..364).filter(|now| admit(&mut window, big, 1, *now)).collect();
    assert_eq!(writes, [0, 121, 242, 363], "once per 2 % and one");

    let mut window = Window::default();
    let writes: Vec<u64> =
        (0..5).map(|n| n * 7_000).filter(|now| admit(&mut window, big, 1, *now)).collect();
    assert_eq!(writes, [0, 14_000, 28_000], "a reservation is valid for an eighth of the window");

    let mut window = Window::default();
    let small = rate(60, 60);
    let writes: Vec<u64> = (0..6).filter(|now| admit(&mut window, small, 1, *now)).collect();
    assert_eq!(writes, [0, 2, 4], "one at least");

    let mut window = Window::default();
    let writes: Vec<u64> = (0..4).filter(|now| admit(&mut window, big, 50, *now)).collect();
    assert_eq!(writes, [0, 3], "costs count against it");
}

#[test]
fn a_full_window_reserves_only_what_comes_free() {
    let limit = rate(1, 60);
    let mut window = Window::default();
    assert!(admit(&mut window, limit, 1, 0));
    assert_eq!(window.snapshot(at(0)), "[0,60000,0,1]", "so a retry after a crash passes");

    let limit = rate(100, 60);
    let mut window = Window::default();
    assert!(admit(&mut window, limit, 99, 0));
    assert_eq!(window.snapshot(at(0)), "[0,60000,0,99,-7500,1]", "one is left of two");
}

#[test]
fn a_crash_loses_the_reservation_and_gives_nothing_twice() {
    let limit = rate(100, 60);
    let mut window = Window::default();
    assert!(admit(&mut window, limit, 50, 1_000));
    let stored = window.snapshot(at(1_000));
    assert_eq!(stored, "[1000,60000,0,50,-7500,2]");
    assert!(!admit(&mut window, limit, 1, 2_000), "covered by what is stored");

    let (restored, written) = Window::restore(&stored).unwrap();
    assert_eq!(written, at(1_000));
    for (now, used) in [(2_000, 52), (60_999, 52), (61_000, 2), (68_499, 2), (68_500, 0)] {
        assert_eq!(restored.used(limit, at(now)), used, "{now}");
    }
    assert_eq!(restored.empty_at(), at(68_500));
    assert_eq!(restored.snapshot(at(1_000)), stored, "reading it twice loses nothing more");

    let mut settled = window.clone();
    assert!(settled.settle());
    assert_eq!(settled.snapshot(at(3_000)), "[3000,60000,2000,50,1000,1]", "what was, and no more");
    assert!(!settled.settle(), "once");
    assert!(admit(&mut settled, limit, 1, 3_000), "the next admission is written again");
}

#[test]
fn admissions_beside_a_reservation_that_lies_ahead_stay_in_order() {
    let limit = rate(100, 60);
    let (mut window, _) = Window::restore("[0,60000,0,2,-7500,2]").unwrap();
    let _ = admit(&mut window, limit, 1, 100);
    let _ = admit(&mut window, limit, 1, 200);
    assert_eq!(window.used(limit, at(200)), 6);
    for (now, used) in [(60_000, 4), (60_199, 4), (60_200, 2), (67_499, 2), (67_500, 0)] {
        assert_eq!(window.used(limit, at(now)), used, "{now}");
    }
}

#[test]
fn a_changed_rate_goes_on_from_what_was_counted() {
    let mut window = Window::default();
    for now in 0..50 {
        let _ = admit(&mut window, rate(60, 60), 1, now);
    }
    assert_eq!(window.wait(rate(20, 60), 1, at(50)), ms(59_980), "30 too many, and one more");
    assert_eq!(window.wait(rate(50, 10), 1, at(50)), ms(9_950), "a shorter window");
    assert_eq!(window.wait(rate(51, 60), 1, at(50)), ms(0), "a larger limit");

    let mut window = Window::default();
    assert!(admit(&mut window, rate(600, 60), 1, 0));
    assert!(!admit(&mut window, rate(500, 60), 1, 1), "covered by the reservation");
    assert!(admit(&mut window, rate(500, 90), 1, 2), "kept for longer: to be stored");
}

#[test]
fn snapshots_are_read_whole_or_not_at_all() {
    for bad in [
        "",
        "[]",
        "[1]",
        "{}",
        "null",
        "[1,2,3]",
        "[1,2,0,-1]",
        "[-1,2,0,1]",
        "[1,-2,0,1]",
        "[1,60000,2,1]",
        "[1,60000,0,4294967296]",
        "[1.5,60000]",
        "[1,60000,0,\"1\"]",
        "[1,60000,0,1",
        "[9223372036854775807,1,-9223372036854775807,1]",
    ] {
        assert!(Window::restore(bad).is_none(), "{bad}");
    }
    let (empty, stored) = Window::restore("[5,60000]").unwrap();
    assert_eq!((empty.used(rate(1, 60), at(5)), stored), (0, at(5)));

    let unreadable = Window::unreadable(at(1_000), Millis::hours(24));
    assert_eq!(unreadable.wait(rate(60, 60), 1, at(1_000)), ms(60_000));
    assert_eq!(unreadable.wait(rate(60, 60), 1, at(61_000)), ms(0));
}

#[test]
fn memory_is_bounded_whatever_is_written() {
    let limit = rate(1_000_000, 60);
    let numbers: Vec<String> = (0..2_000).map(|n| format!("{},{}", 2_000 - n, 1 + n % 3)).collect();
    let (mut window, _) = Window::restore(&format!("[9000,60000,{}]", numbers.join(","))).unwrap();
    assert_eq!(window.log.len(), MAX_ENTRIES);
    assert_eq!(window.used(limit, at(9_000)), (0..2_000).map(|n| 1 + n % 3).sum::<u32>());
    assert!(window.log.iter().is_sorted_by_key(|entry| entry.at));
    assert_eq!(window.empty_at(), at(9_000 - 1 + 60_000), "late, never early");
    let _ = admit(&mut window, limit, 20_000, 9_000);
    assert_eq!(window.log.len(), MAX_ENTRIES);
}

#[test]
fn what_is_given_ahead_counts_from_its_last_instant_on() {
    let limit = rate(100, 60);
    let mut window = Window::default();
    assert!(window.admit(limit, 20, at(1_000), at(0)));
    assert_eq!(window.snapshot(at(0)), "[0,60000,-1000,20,-7500,2]");
    let _ = admit(&mut window, limit, 80, 10);
    for (now, used, wait) in
        [(10, 100, 60_000), (60_009, 100, 1), (60_010, 20, 0), (60_999, 20, 0), (61_000, 0, 0)]
    {
        let told = (window.used(limit, at(now)), window.wait(limit, 1, at(now)));
        assert_eq!(told, (used, ms(wait)), "{now}");
    }
}

#[test]
fn what_is_given_ahead_is_covered_by_the_reservation_and_does_not_mix() {
    let limit = rate(6_400, 64);
    let mut window = Window::default();
    assert!(admit(&mut window, limit, 1, 0));
    assert!(!window.admit(limit, 50, at(1_100), at(100)), "128 are reserved, for 8 s");
    assert!(!window.admit(limit, 50, at(1_200), at(200)), "and these end with those before");
    assert!(!admit(&mut window, limit, 1, 300));
    let log: Vec<_> = window.log.iter().map(|it| (it.at.as_millis(), it.count)).collect();
    assert_eq!(log, [(300, 2), (1_200, 100)]);
    assert!(window.admit(limit, 50, at(1_400), at(400)), "more than the rest of it");
    assert!(window.admit(limit, 1, at(9_000), at(8_000)), "after its last instant");
}

#[test]
fn what_is_given_back_was_certainly_still_counted() {
    let limit = rate(10, 60);
    let fill = || {
        let mut window = Window::default();
        for (now, cost) in [(0, 2), (10_000, 3), (20_000, 4)] {
            let _ = admit(&mut window, limit, cost, now);
        }
        window
    };
    for (back, instant, now, left, why) in [
        (3, 10_000, 30_000, vec![(0, 2), (20_000, 4)], "the entry of that very instant"),
        (1, 10_000, 30_000, vec![(0, 2), (10_000, 2), (20_000, 4)], "as much as it was"),
        (1, 5_000, 30_000, vec![(0, 2), (10_000, 2), (20_000, 4)], "it counts until then"),
        (5, 10_000, 30_000, vec![(0, 2), (20_000, 2)], "more than that entry has"),
        (1, 20_001, 30_000, vec![(0, 2), (10_000, 3), (20_000, 4)], "nothing of then is here"),
        (1, 0, 60_000, vec![(0, 2), (10_000, 3), (20_000, 4)], "it does not count any more"),
        (1, 30_001, 30_000, vec![(0, 2), (10_000, 3), (20_000, 4)], "not yet"),
    ] {
        let (mut window, before) = (fill(), fill());
        let changed = window.give_back(limit, back, at(instant), at(now));
        let log: Vec<_> = window.log.iter().map(|it| (it.at.as_millis(), it.count)).collect();
        assert_eq!((log, changed), (left, window != before), "{back} of {instant}: {why}");
    }
}
