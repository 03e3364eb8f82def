//! Keys that go off and on with their tenant.

use super::*;

fn suspend(name: &str) -> FamilyRequest {
    change(Change::Suspend { id: id(name) })
}

fn resume(name: &str) -> FamilyRequest {
    change(Change::Resume { id: id(name) })
}

#[test]
fn all_keys_of_a_family_go_off_and_on_but_for_revoked_ones() {
    let mut state = family(&[
        rotate(FIRST, SECOND, Millis::hours(48)),
        rotate(SECOND, THIRD, Millis::hours(48)),
        revoke(FIRST, false),
    ]);
    let (reply, writes) = state.apply(suspend(SECOND), at(10_000));
    assert_eq!(
        written(&writes),
        ["2 v3", "8 key.suspended 2", "3 v2", "9 key.suspended 3", "meta 9"]
    );
    let FamilyReply::Changed { record: named, also } = reply else { panic!("{reply:?}") };
    assert_eq!((named.id.as_str(), named.suspended, named.state), (SECOND, true, KeyState::Active));
    assert_eq!(also.iter().map(|other| other.id.as_str()).collect::<Vec<_>>(), [THIRD]);
    assert_eq!(state.apply(suspend(THIRD), at(10_001)).1, [], "again");
    assert_eq!(word(&state.apply(admit(THIRD, 2), at(10_002)).0), "refused");
    assert_eq!(word(&state.apply(admit(THIRD, 1), at(10_002)).0), "refused", "and the edge knows");
    let (_, writes) = state.apply(resume(FIRST), at(10_003));
    assert_eq!(
        written(&writes),
        ["2 v4", "10 key.resumed 2", "3 v3", "11 key.resumed 3", "meta 11"]
    );
    assert_eq!(word(&state.apply(admit(THIRD, 3), at(10_004)).0), "admitted");
    assert_eq!(state.apply(resume(SECOND), at(10_005)).1, [], "again");
}

#[test]
fn a_switch_is_not_a_suspension() {
    let mut state = family(&[disable(FIRST), suspend(FIRST), resume(FIRST)]);
    assert_eq!(state.record(&id(FIRST)).unwrap().state, KeyState::Disabled, "off before, off now");
    let mut state2 = family(&[suspend(FIRST), disable(FIRST), enable(FIRST)]);
    assert_eq!(word(&state2.apply(admit(FIRST, 4), at(9_000)).0), "refused", "still suspended");
    let _ = state.apply(enable(FIRST), at(9_000));
    assert_eq!(word(&state.apply(admit(FIRST, 5), at(9_001)).0), "admitted");
}

#[test]
fn a_rotation_inherits_it_and_a_revoke_still_ends_it() {
    let mut state = family(&[suspend(FIRST), rotate(FIRST, SECOND, Millis::hours(48))]);
    assert!(state.record(&id(SECOND)).unwrap().suspended);
    assert_eq!(word(&state.apply(admit(SECOND, 1), at(9_000)).0), "refused");
    let _ = state.apply(revoke(SECOND, false), at(9_001));
    assert_eq!(state.record(&id(SECOND)).unwrap().state, KeyState::Revoked);
    let text = serde_json::to_string(&record(FIRST)).unwrap();
    assert!(!text.contains("suspended"), "a record that is not says nothing of it");
}
