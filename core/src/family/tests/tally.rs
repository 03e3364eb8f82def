//! How many requests there were.

use std::collections::BTreeMap;

use super::*;
use crate::usage::Tally;

fn tally(key: &str, hour: u64, admitted: u64, limited: &[(&str, u64)]) -> Tally {
    let limited = limited.iter().map(|(limit, n)| ((*limit).to_owned(), *n)).collect();
    let hour = at(hour * HOUR);
    Tally { key: id(key), tenant: "acme".to_owned(), hour, admitted, limited }
}

#[test]
fn requests_are_counted_by_key_and_hour() {
    let mut state = family(&[rotate(FIRST, SECOND, Millis::hours(48))]);
    for (name, version, ms) in [
        (FIRST, 2, 10_000),
        (FIRST, 2, 10_001),
        (SECOND, 1, 10_002),
        (SECOND, 1, 10_003),
        (SECOND, 1, 10_004),
        (SECOND, 1, HOUR - 1),
        (SECOND, 1, HOUR),
        // What steps before admission refuse is not seen here.
        (SECOND, 9, HOUR + 1),
        (THIRD, 1, HOUR + 1),
    ] {
        let _ = state.apply(admit(name, version), at(ms));
    }
    let (tallies, _) = state.tally();
    let first = tally(FIRST, 0, 2, &[]);
    let second = tally(SECOND, 0, 2, &[("default", 2)]);
    let later = tally(SECOND, 1, 1, &[]);
    assert_eq!(tallies, [first, second, later]);
}

#[test]
fn a_count_is_stored_where_a_limit_is_and_at_the_end() {
    let mut state = family(&[]);
    let mut stored = |request, ms| written(&state.apply(request, at(ms)).1);
    assert_eq!(stored(admit(FIRST, 1), 10_000), ["put default:60:", "tally 1 1"]);
    assert_eq!(stored(admit(FIRST, 1), 10_001), [""; 0], "under the reservation");
    assert_eq!(stored(admit(FIRST, 1), 10_002), ["put default:60:", "tally 1 3"]);
    assert_eq!(stored(admit(FIRST, 1), 10_003), [""; 0], "a refusal is worth no write");
    assert!(state.has_unstored());
    assert_eq!(written(&state.settle(at(20_000))), ["tally 1 3"]);
    assert!(!state.has_unstored());
    assert_eq!(state.settle(at(20_000)), []);
}

#[test]
fn a_count_without_any_limit_is_bounded_too() {
    let rate = Rate::new(100, Millis::minutes(1)).unwrap();
    let shadowed = |cost| Charge { cost, shadow: true, ..charge(Measure::Rate(rate)) };
    let ask = || FamilyRequest::Admit {
        id: id(FIRST),
        version: 1,
        charges: vec![shadowed(101)],
        rehash: None,
        slot: None,
        ahead: 0,
    };
    let mut state = family(&[]);
    let writes: usize = (0..90).map(|_| state.apply(ask(), at(10_000)).1.len()).sum();
    assert_eq!(writes, 30, "a fiftieth of the limit goes without a write");
}

#[test]
fn what_is_delivered_is_told_once_and_rows_of_the_past_go() {
    let mut state = family(&[admit(FIRST, 1)]);
    let (tallies, _) = state.tally();
    assert_eq!(tallies, [tally(FIRST, 0, 1, &[])]);
    assert_eq!(state.tally().0, tallies, "not delivered yet: told again");
    // One more while the first was on its way.
    let _ = state.apply(admit(FIRST, 1), at(2_000));
    assert_eq!(state.tallied(&tallies, at(3_000)), [], "the hour is not over");
    let (tallies, writes) = state.tally();
    assert_eq!(tallies, [tally(FIRST, 0, 2, &[])], "cumulative");
    assert_eq!(written(&writes), ["tally 1 2"]);
    assert_eq!(state.tallied(&tallies, at(HOUR - 1)), []);
    assert_eq!(state.tally(), (vec![], vec![]));
    assert_eq!(written(&state.tallied(&[], at(HOUR))), ["delete tally 1", "meta 1"]);
    assert_eq!(state.tallied(&[], at(HOUR)), []);
}

#[test]
fn an_hour_that_is_over_stays_until_it_is_delivered() {
    let mut state = family(&[admit(FIRST, 1)]);
    let _ = state.apply(admit(FIRST, 1), at(2 * HOUR));
    // One more in the last moment of the hour, while the count before it was on its way.
    let sent = tally(FIRST, 0, 0, &[]);
    assert_eq!(state.tallied(&[sent], at(2 * HOUR)), []);
    let (tallies, _) = state.tally();
    assert_eq!(tallies, [tally(FIRST, 0, 1, &[]), tally(FIRST, 2, 1, &[])]);
    let writes = state.tallied(&tallies[..1], at(2 * HOUR));
    assert_eq!(written(&writes), ["delete tally 1", "meta 1"]);
    assert_eq!(state.tally().0, tallies[1..]);
}

#[test]
fn a_crash_loses_a_reservation_and_counts_nothing_twice() {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    let mut store = |writes: Vec<Write>| {
        for write in writes {
            match write.row() {
                (name, Some(text)) => rows.insert(name, text),
                (name, None) => rows.remove(&name),
            };
        }
        rows.clone()
    };
    let mut state = FamilyState::default();
    store(state.apply(create(), at(0)).1);
    store(state.apply(admit(FIRST, 1), at(1)).1);
    let rows = store(state.apply(admit(FIRST, 1), at(2)).1);
    let mut restored = FamilyState::restore(rows, at(3)).unwrap();
    let (tallies, writes) = restored.tally();
    assert_eq!((tallies, writes), (vec![tally(FIRST, 0, 1, &[])], vec![]), "two were true");
    // A row that cannot be read is none.
    for (name, text) in [("tally/x/AAAAAAAAAAAAAAA1", "{}"), ("tally/1", "{}"), ("tally/1/x", "")] {
        let rows = [(name.to_owned(), text.to_owned())];
        assert_eq!(FamilyState::restore(rows, at(0)).unwrap().tally(), (vec![], vec![]));
    }
}
