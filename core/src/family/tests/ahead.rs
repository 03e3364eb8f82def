//! What the object gives ahead, and places among the requests in flight.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::limit::{Concurrency, Grant, Slot, Verdict};

/// So many in a minute, which may be given ahead.
fn leased(requests: u32) -> Charge {
    let rate = Rate::new(requests, Millis::minutes(1)).unwrap();
    Charge { leased: true, ..charge(Measure::Rate(rate)) }
}

fn lease(name: &str, version: u64, ahead: u32) -> FamilyRequest {
    FamilyRequest::Lease { id: id(name), version, charges: vec![leased(600)], ahead }
}

fn admit_ahead(charges: Vec<Charge>, ahead: u32) -> FamilyRequest {
    FamilyRequest::Admit { id: id(FIRST), version: 1, charges, rehash: None, slot: None, ahead }
}

fn grant(reply: &FamilyReply) -> Option<Grant> {
    match reply {
        FamilyReply::Verdict(verdict) => verdict.grant(),
        other => panic!("{other:?}"),
    }
}

fn left(reply: &FamilyReply) -> u32 {
    match reply {
        FamilyReply::Verdict(verdict) => verdict.standings()[0].remaining,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_is_given_for_a_good_key_of_this_version_alone() {
    let hour = Millis::hours(1);
    for (why, requests, name, version, told) in [
        ("good", vec![], FIRST, 1, "verdict"),
        ("another version", vec![], FIRST, 2, "stale"),
        ("changed since", vec![update(FIRST, 1, json!({ "name": "x" }))], FIRST, 1, "stale"),
        ("revoked", vec![revoke(FIRST, false)], FIRST, 2, "refused"),
        ("disabled", vec![disable(FIRST)], FIRST, 2, "refused"),
        ("suspended", vec![change(Change::Suspend { id: id(FIRST) })], FIRST, 2, "refused"),
        ("in its grace", vec![rotate(FIRST, SECOND, hour)], FIRST, 2, "verdict"),
        ("its successor", vec![rotate(FIRST, SECOND, hour)], SECOND, 1, "verdict"),
        ("unknown", vec![], THIRD, 1, "unknown"),
    ] {
        let mut state = family(&requests);
        let (reply, writes) = state.apply(lease(name, version, 40), at(10_000));
        let kind = match serde_json::to_value(&reply).unwrap() {
            Value::Object(members) => members.keys().next().unwrap().clone(),
            word => word.as_str().unwrap().to_owned(),
        };
        assert_eq!(kind, told, "{why}");
        if told == "verdict" {
            let given = Grant { requests: 40, lasts: Millis::secs(1) };
            assert_eq!((grant(&reply), left(&reply)), (Some(given), 560), "{why}");
            assert!(!writes.is_empty(), "{why}: stored before it is given");
        } else {
            assert_eq!(writes, [], "{why}");
        }
    }
    let mut past = family(&[]);
    let (reply, _) = past.apply(lease(FIRST, 1, 40), at(YEAR.as_millis()));
    assert!(matches!(reply, FamilyReply::Refused { .. }), "past its end");
    let mut elsewhere = FamilyState::default();
    let _ = elsewhere.apply(FamilyRequest::Claim { family: id(FIRST) }, at(0));
    let (reply, _) = elsewhere.apply(lease(SECOND, 1, 40), at(0));
    assert_eq!(reply, FamilyReply::Moved { family: id(FIRST) });
}

#[test]
fn what_is_given_ahead_is_no_request_yet() {
    let mut state = family(&[]);
    let (reply, writes) = state.apply(admit_ahead(vec![leased(600)], 40), at(10_000));
    assert_eq!((grant(&reply).map(|grant| grant.requests), left(&reply)), (Some(40), 559));
    let rows =
        |writes: &[Write]| -> Vec<String> { writes.iter().map(|write| write.row().0).collect() };
    let (window, tally) = ("window/default:60:", "tally/1800000000/AAAAAAAAAAAAAAA1");
    assert_eq!(rows(&writes), [window, tally], "in one transaction");
    let (reply, writes) = state.apply(lease(FIRST, 1, 100), at(10_001));
    assert_eq!((grant(&reply).map(|grant| grant.requests), left(&reply)), (Some(100), 459));
    assert_eq!(rows(&writes), [window]);
    let (tallies, _) = state.tally();
    assert_eq!(tallies.iter().map(|tally| tally.admitted).sum::<u64>(), 1);
    // Nobody asked for it: an object whose limit is spent gives nothing, and refused nobody.
    let (reply, _) =
        state.apply(admit_ahead(vec![Charge { cost: 459, ..leased(600) }], 9), at(10_002));
    assert_eq!((grant(&reply), left(&reply)), (None, 0));
    let (reply, _) = state.apply(lease(FIRST, 1, 9), at(10_003));
    assert!(matches!(&reply, FamilyReply::Verdict(Verdict::Admitted { .. })), "{reply:?}");
    assert_eq!((grant(&reply), left(&reply)), (None, 0));
    let (tallies, _) = state.tally();
    assert_eq!((tallies[0].admitted, tallies[0].limited.len()), (2, 0));
}

#[test]
fn only_what_is_leased_for_real_is_given_ahead() {
    let concurrency = Measure::Concurrency(Concurrency::new(5).unwrap());
    for (why, charges) in [
        ("exact", vec![Charge { leased: false, ..leased(600) }]),
        ("one of two is exact", vec![leased(600), charge(concurrency)]),
        ("in shadow", vec![Charge { shadow: true, ..leased(600) }]),
    ] {
        let mut state = family(&[]);
        let (reply, _) = state.apply(admit_ahead(charges.clone(), 40), at(10_000));
        assert_eq!(grant(&reply), None, "{why}");
        let before = state.clone();
        let request = FamilyRequest::Lease { id: id(FIRST), version: 1, charges, ahead: 40 };
        let (reply, writes) = state.apply(request, at(10_000));
        assert_eq!((grant(&reply), writes), (None, vec![]), "{why}");
        assert_eq!(state, before, "{why}");
    }
    // The request that brings a new digest changes the version: a lease would be of the old one.
    let mut state = family(&[]);
    let request = FamilyRequest::Admit {
        id: id(FIRST),
        version: 1,
        charges: vec![leased(600)],
        rehash: Some(digest(2, "y")),
        slot: None,
        ahead: 40,
    };
    let (reply, _) = state.apply(request, at(10_000));
    assert_eq!((grant(&reply), left(&reply)), (None, 599));
}

fn busy(most: u32) -> Charge {
    charge(Measure::Concurrency(Concurrency::new(most).unwrap()))
}

fn enter(slot: &str, ms: u64, state: &mut FamilyState) -> (bool, Vec<Write>) {
    let slot = Slot { id: slot.to_owned(), holds: Millis::secs(60) };
    let request = FamilyRequest::Admit {
        id: id(FIRST),
        version: 1,
        charges: vec![busy(2)],
        rehash: None,
        slot: Some(slot),
        ahead: 0,
    };
    let (reply, writes) = state.apply(request, at(ms));
    let FamilyReply::Verdict(verdict) = reply else { panic!("{reply:?}") };
    (verdict.is_admitted(), writes)
}

fn release(slot: &str, ms: u64, state: &mut FamilyState) -> Vec<Write> {
    let request = FamilyRequest::Release { charges: vec![busy(2)], slot: slot.to_owned() };
    let (reply, writes) = state.apply(request, at(ms));
    assert_eq!(reply, FamilyReply::Released);
    writes
}

#[test]
fn places_are_taken_released_and_survive_the_object_s_memory() {
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
    for (slot, enters) in [("a", true), ("b", true), ("c", false)] {
        let (entered, writes) = enter(slot, 1_000, &mut state);
        assert_eq!(entered, enters, "{slot}");
        store(writes);
    }
    store(release("a", 2_000, &mut state));
    store(release("a", 2_000, &mut state));
    store(release("nobody", 2_000, &mut state));
    let (entered, writes) = enter("d", 3_000, &mut state);
    assert!(entered, "one place came free, and but one");
    store(writes);
    assert!(!enter("e", 3_000, &mut state).0);
    // Idle, evicted, and back: b and d are still in flight.
    let stored = store(state.settle(at(9_000)));
    let mut state = FamilyState::restore(stored, at(20_000)).unwrap();
    assert!(!enter("e", 20_000, &mut state).0);
    store(release("b", 21_000, &mut state));
    let (entered, writes) = enter("e", 22_000, &mut state);
    assert!(entered, "a request from before it went is released too");
    store(writes);
    assert!(!enter("f", 22_000, &mut state).0);
    // Whoever never releases: in the end the place is free again, and the row is gone.
    let mut state = FamilyState::restore(store(Vec::new()), at(23_000)).unwrap();
    let rows = store(state.settle(at(200_000)));
    assert!(!rows.keys().any(|row| row.starts_with("window/")), "{rows:?}");
}

#[test]
fn the_messages_have_this_form() {
    let rate = json!({ "requests": 600, "window": "1m" });
    let charges = json!([{ "limit": "default", "rate": rate, "leased": true }]);
    for (request, told) in [
        (
            lease(FIRST, 1, 40),
            json!({ "lease": { "id": FIRST, "version": 1, "charges": charges, "ahead": 40 } }),
        ),
        (
            admit_ahead(vec![leased(600)], 40),
            json!({ "admit": { "id": FIRST, "version": 1, "charges": charges, "ahead": 40 } }),
        ),
        (
            FamilyRequest::Release { charges: vec![busy(2)], slot: "s".to_owned() },
            json!({ "release": {
                "charges": [{ "limit": "default", "concurrency": 2 }], "slot": "s" } }),
        ),
    ] {
        assert_eq!(serde_json::to_value(&request).unwrap(), told);
        assert_eq!(serde_json::from_value::<FamilyRequest>(told).unwrap(), request);
    }
    // An object of the version before is asked so, and answers so.
    let old = json!({ "admit": { "id": FIRST, "version": 1, "charges": [
        { "limit": "default", "rate": { "requests": 3, "window": "1m" } }] } });
    let request = serde_json::from_value::<FamilyRequest>(old.clone()).unwrap();
    assert_eq!(request, admit(FIRST, 1));
    assert_eq!(serde_json::to_value(&request).unwrap(), old);
}
