use super::*;

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse_rfc3339(text).unwrap()
}

fn quota(requests: u32, per: Period) -> Quota {
    Quota::new(requests, per).unwrap()
}

/// Admits `cost` at `now`, which there must be room for.
fn admit(spent: &mut Spent, quota: Quota, cost: u32, now: &str) -> bool {
    assert_eq!(spent.wait(quota, cost, at(now)), Millis::ZERO, "no room at {now}");
    spent.admit(quota, cost, at(now))
}

#[test]
fn a_period_is_used_up_until_it_ends() {
    for (per, first, last, next) in [
        (Period::Hour, "2026-11-22T03:00:00Z", "2026-11-22T03:59:59.999Z", "2026-11-22T04:00:00Z"),
        (Period::Day, "2026-11-22T12:00:00Z", "2026-11-22T23:59:59.999Z", "2026-11-23"),
        (Period::Month, "2028-02-03", "2028-02-29T23:59:59.999Z", "2028-03-01"),
    ] {
        let of = quota(3, per);
        let mut spent = Spent::default();
        let _ = admit(&mut spent, of, 2, first);
        let _ = admit(&mut spent, of, 1, last);
        assert_eq!((spent.used(at(last)), spent.used(at(next))), (3, 0), "{per}");
        assert_eq!(spent.wait(of, 1, at(first)), at(next).since(at(first)), "{per}");
        assert_eq!(spent.wait(of, 1, at(last)), Millis::millis(1), "{per}");
        assert_eq!(spent.wait(of, 3, at(next)), Millis::ZERO, "{per}");
        assert_eq!(spent.wait(of, 0, at(last)), Millis::ZERO, "nothing always fits");
        assert_eq!(spent.empty_at(), at(next));
        let _ = admit(&mut spent, of, 3, next);
        assert_eq!(spent.used(at(next)), 3, "{per}: anew");
    }
    let never = Spent::default().wait(quota(3, Period::Day), 4, at("2026-11-22T23:00:00Z"));
    assert_eq!(never, Millis::hours(1), "more than there ever is");
}

#[test]
fn a_write_covers_what_it_reserves_until_the_period_ends() {
    let of = quota(1_000, Period::Day);
    let mut spent = Spent::default();
    let morning = "2026-11-22T08:00:00Z";
    let written = |spent: &mut Spent| (0..43).filter(|_| admit(spent, of, 1, morning)).count();
    assert_eq!(written(&mut spent), 3, "once per 2 % and one");
    assert!(admit(&mut spent, of, 21, morning), "costs count against it");
    assert!(!admit(&mut spent, of, 20, "2026-11-22T23:59:59Z"), "the whole day");
    assert!(admit(&mut spent, of, 1, "2026-11-23"), "and not the next");

    let mut spent = Spent::default();
    let few = quota(3, Period::Hour);
    let writes: Vec<bool> = (0..3).map(|_| admit(&mut spent, few, 1, morning)).collect();
    assert_eq!(writes, [true, false, true], "one at least, and none of a full one");
}

#[test]
fn a_crash_loses_the_reservation_and_gives_nothing_twice() {
    let of = quota(100, Period::Day);
    let now = at("2026-11-22T08:00:00Z");
    let mut spent = Spent::default();
    assert!(spent.admit(of, 50, now));
    let stored = spent.snapshot(now).unwrap();
    assert_eq!(stored, "[1795334400000,1795305600000,52]");
    assert!(!spent.admit(of, 2, now), "covered by what is stored");
    let restored = Spent::restore(Period::Day, &stored).unwrap();
    assert_eq!((restored.used(now), restored.used(at("2026-11-23"))), (52, 0));
    assert_eq!(restored.snapshot(now).unwrap(), stored, "reading it twice loses nothing more");

    assert!(!spent.settle(), "all of it was used");
    assert!(spent.admit(of, 1, now));
    assert!(spent.settle());
    assert_eq!(spent.snapshot(now).unwrap(), "[1795334400000,1795305600000,53]");
}

#[test]
fn what_is_given_back_was_used_in_this_period() {
    let of = quota(10, Period::Hour);
    for (cost, instant, now, used, why) in [
        (2, "2026-11-22T03:10:00Z", "2026-11-22T03:50:00Z", 3, "the same hour"),
        (9, "2026-11-22T03:10:00Z", "2026-11-22T03:50:00Z", 0, "no more than there is"),
        (2, "2026-11-22T02:59:59Z", "2026-11-22T03:50:00Z", 5, "the hour before"),
        (2, "2026-11-22T03:10:00Z", "2026-11-22T04:00:00Z", 0, "an hour of which nothing is"),
        (2, "2026-11-22T03:51:00Z", "2026-11-22T03:50:00Z", 5, "not yet"),
    ] {
        let mut spent = Spent::default();
        let _ = admit(&mut spent, of, 5, "2026-11-22T03:10:00Z");
        let before = spent.used(at(now));
        let changed = spent.give_back(cost, at(instant), at(now));
        assert_eq!(spent.used(at(now)), used, "{why}");
        assert_eq!(changed, used != before, "{why}");
    }
}

#[test]
fn rows_are_read_whole_or_not_at_all() {
    for bad in
        ["", "[]", "null", "[1,2]", "[1,2,3,4]", "[1,2,-3]", "[1,2,4294967296]", "[1,2,\"3\"]"]
    {
        assert!(Spent::restore(Period::Day, bad).is_none(), "{bad}");
    }
    let now = at("2026-11-22T23:00:00Z");
    let unreadable = Spent::unreadable(Period::Day, now);
    assert_eq!(unreadable.wait(quota(u32::MAX, Period::Day), 1, now), Millis::hours(1));
    assert_eq!(unreadable.used(at("2026-11-23")), 0);
}
