//! Sessions ask the key's object on each request, and end with the key.

use super::*;
use crate::people::{Asked, Attempt, PeopleReply, PeopleRequest, Proof, SessionKind, Shown};

fn ask(key: &str, request: PeopleRequest) -> FamilyRequest {
    FamilyRequest::People(Asked { key: id(key), request })
}

fn open(key: &str, token: &str) -> FamilyRequest {
    let (digest, kind) = (digest(1, token), SessionKind::Console);
    ask(key, PeopleRequest::Open { digest, kind, proof: Proof::Key })
}

/// By somebody who was judged by these versions.
fn invite(key: &str, judged: &[(&str, u64)]) -> FamilyRequest {
    let judged = judged.iter().map(|(name, version)| (id(name), *version)).collect();
    ask(key, PeopleRequest::Invite { digest: digest(1, "i"), judged })
}

fn shown(token: &str) -> Shown {
    Shown { kind: SessionKind::Console, digests: vec![digest(1, token)] }
}

fn find(key: &str, token: &str) -> FamilyRequest {
    ask(key, PeopleRequest::Find(shown(token)))
}

fn admitted(key: &str, token: &str, version: u64) -> FamilyRequest {
    let FamilyRequest::Admit { charges, .. } = admit(key, version) else { panic!("an admission") };
    ask(key, PeopleRequest::Admit { shown: shown(token), version, charges })
}

/// What became of a request, in one word.
fn told(reply: &FamilyReply) -> &'static str {
    match reply {
        FamilyReply::People(PeopleReply::Session { .. }) => "session",
        FamilyReply::People(PeopleReply::Opened { .. }) => "opened",
        FamilyReply::People(PeopleReply::NoSession) => "no session",
        FamilyReply::People(PeopleReply::Over) => "over",
        FamilyReply::People(PeopleReply::Nothing) => "nothing",
        FamilyReply::Unknown => "unknown",
        FamilyReply::People(PeopleReply::Invited { .. }) => "invited",
        FamilyReply::People(PeopleReply::Unjudged(_)) => "unjudged",
        FamilyReply::Moved { .. } => "moved",
        other => word(other),
    }
}

fn say(state: &mut FamilyState, request: FamilyRequest, ms: u64) -> &'static str {
    told(&state.apply(request, at(ms)).0)
}

#[test]
fn a_session_is_charged_like_its_key_and_with_it() {
    let mut state = family(&[open(FIRST, "t")]);
    assert_eq!(say(&mut state, find(FIRST, "t"), 10_000), "session");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 1), 10_000), "admitted");
    assert_eq!(say(&mut state, admit(FIRST, 1), 10_001), "admitted");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 1), 10_002), "admitted");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 1), 10_003), "limited");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 2), 10_004), "stale");
    assert_eq!(say(&mut state, admitted(FIRST, "u", 1), 10_005), "no session");
    assert_eq!(say(&mut state, admitted(SECOND, "t", 1), 10_006), "unknown");
}

#[test]
fn a_session_dies_with_its_key_at_once_and_for_good() {
    for (end, back) in [
        (disable(FIRST), Some(enable(FIRST))),
        (revoke(FIRST, false), None),
        (change(Change::Suspend { id: id(FIRST) }), Some(change(Change::Resume { id: id(FIRST) }))),
    ] {
        let mut state = family(&[open(FIRST, "t")]);
        let (_, writes) = state.apply(end.clone(), at(10_000));
        assert!(written(&writes).contains(&"people".to_owned()), "{writes:?}");
        let mut state = restored(&state, &writes);
        assert_eq!(say(&mut state, find(FIRST, "t"), 10_001), "refused", "{end:?}");
        assert_eq!(say(&mut state, admitted(FIRST, "t", 2), 10_001), "refused", "{end:?}");
        // A stranger learns nothing of the key.
        assert_eq!(say(&mut state, find(FIRST, "u"), 10_001), "no session", "{end:?}");
        assert_eq!(say(&mut state, open(FIRST, "v"), 10_002), "refused", "{end:?}");
        if let Some(back) = back {
            state.apply(back, at(10_003));
            assert_eq!(say(&mut state, find(FIRST, "t"), 10_004), "over");
            assert_eq!(say(&mut state, admitted(FIRST, "t", 3), 10_004), "over");
        }
    }
}

/// The same read back from what was stored, which is all that a restart leaves.
fn restored(state: &FamilyState, writes: &[Write]) -> FamilyState {
    let rows = state.records().map(|record| Write::PutRecord(Box::new(record.clone())));
    let rows: Vec<Write> = rows.chain(writes.iter().cloned()).collect();
    let rows = rows.iter().map(Write::row).filter_map(|(name, text)| Some((name, text?)));
    FamilyState::restore(rows, at(10_000)).unwrap()
}

#[test]
fn a_session_ends_with_the_grace_of_its_key() {
    let grace = Millis::hours(1);
    let mut state = family(&[open(FIRST, "t"), rotate(FIRST, SECOND, grace), open(SECOND, "u")]);
    assert_eq!(say(&mut state, find(FIRST, "t"), HOUR), "session");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 2), HOUR), "admitted");
    assert_eq!(say(&mut state, find(FIRST, "u"), HOUR), "no session", "it is another key's");
    assert_eq!(say(&mut state, find(FIRST, "t"), HOUR + 2_000), "refused");
    assert_eq!(say(&mut state, find(SECOND, "u"), HOUR + 2_000), "session");
    let mut early = family(&[open(FIRST, "t"), rotate(FIRST, SECOND, grace), end_grace(FIRST)]);
    assert_eq!(say(&mut early, find(FIRST, "t"), 10_000), "refused");
}

#[test]
fn a_second_factor_stays_when_its_key_is_rotated() {
    let enrol = PeopleRequest::Enrol { digest: digest(1, "i"), seed: "sealed".to_owned() };
    let confirm =
        PeopleRequest::Confirm { seed: "sealed".to_owned(), step: 1, recovery: Vec::new() };
    let mut state = family(&[invite(FIRST, &[(FIRST, 1)]), ask(FIRST, enrol), ask(FIRST, confirm)]);
    state.apply(rotate(FIRST, SECOND, Millis::default()), at(10_000));
    let attempt = |name: &str| ask(name, PeopleRequest::Attempt(Attempt::Totp));
    let (reply, writes) = state.apply(attempt(SECOND), at(11_000));
    let against = PeopleReply::Totp { seed: "sealed".to_owned(), last: Some(1) };
    assert_eq!(reply, FamilyReply::People(against));
    assert_eq!(written(&writes), ["people", "meta 3"], "the failure is stored first");
    assert_eq!(say(&mut state, attempt(FIRST), 11_000), "refused");
    assert_eq!(say(&mut state, attempt(THIRD), 11_000), "unknown");
    assert_eq!(say(&mut state, invite(FIRST, &[(SECOND, 1)]), 11_000), "refused");
    assert_eq!(say(&mut state, invite(SECOND, &[(SECOND, 1)]), 11_000), "invited");
    assert_eq!(say(&mut state, attempt(SECOND), 11_000), "nothing");
}

#[test]
fn a_second_factor_is_reset_by_whoever_was_judged_for_each_key_that_it_is_of() {
    let unjudged = |state: &mut FamilyState, request, ms| match state.apply(request, at(ms)) {
        (FamilyReply::People(PeopleReply::Unjudged(records)), writes) => {
            assert!(writes.is_empty(), "{writes:?}");
            let told = |record: KeyRecord| (record.id.to_string(), record.version);
            records.into_iter().map(told).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let listed =
        |keys: &[(&str, u64)]| keys.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<Vec<_>>();
    let grace = Millis::hours(1);
    let mut state = family(&[open(FIRST, "t"), rotate(FIRST, SECOND, grace)]);
    let both = [(FIRST, 2), (SECOND, 1)];
    for (name, judged, left) in [
        (FIRST, &both[..1], &both[1..]),
        (SECOND, &both[1..], &both[..1]),
        (SECOND, &[(FIRST, 1), (SECOND, 1)], &both[..1]),
        (SECOND, &[], &both[..]),
    ] {
        assert_eq!(unjudged(&mut state, invite(name, judged), 10_000), listed(left), "{judged:?}");
    }
    assert_eq!(say(&mut state, find(FIRST, "t"), 10_000), "session", "nothing was done");
    // What is off can come on again.
    state.apply(disable(FIRST), at(10_001));
    let first = [(FIRST, 3)];
    assert_eq!(unjudged(&mut state, invite(SECOND, &both), 10_002), listed(&first));
    assert_eq!(say(&mut state, invite(SECOND, &[(FIRST, 3), (SECOND, 1)]), 10_003), "invited");
    // What its grace has ended for cannot.
    assert_eq!(say(&mut state, invite(SECOND, &both[1..]), HOUR + 10_000), "invited");
    state.apply(revoke(FIRST, false), at(10_004));
    assert_eq!(say(&mut state, invite(SECOND, &both[1..]), 10_005), "invited");
}

#[test]
fn a_session_stays_over_when_the_end_of_its_key_is_moved_out_again() {
    let ends =
        |version, secs: u64| update(FIRST, version, json!({ "expires_at": at(secs * 1_000) }));
    let mut state = family(&[open(FIRST, "t"), ends(1, 60)]);
    assert_eq!(say(&mut state, find(FIRST, "t"), 59_999), "session");
    // Before its end there is nothing to come back from.
    state.apply(ends(2, 90), at(59_999));
    assert_eq!(say(&mut state, find(FIRST, "t"), 60_000), "session");
    assert_eq!(say(&mut state, find(FIRST, "t"), 90_000), "refused");
    let (_, writes) = state.apply(ends(3, 7_200), at(90_000));
    assert!(written(&writes).contains(&"people".to_owned()), "{writes:?}");
    let mut state = restored(&state, &writes);
    assert_eq!(say(&mut state, find(FIRST, "t"), 90_001), "over");
    assert_eq!(say(&mut state, admitted(FIRST, "t", 4), 90_001), "over");
    assert_eq!(say(&mut state, admit(FIRST, 4), 90_001), "admitted");
}

#[test]
fn a_pause_outlives_a_restart() {
    let mut state = family(&[invite(FIRST, &[(FIRST, 1)])]);
    let attempt = || ask(FIRST, PeopleRequest::Attempt(Attempt::Enrolment));
    for _ in 0..4 {
        state.apply(attempt(), at(10_000));
    }
    let (_, writes) = state.apply(attempt(), at(10_000));
    let mut state = restored(&state, &writes);
    let (reply, writes) = state.apply(attempt(), at(10_001));
    let paused = PeopleReply::Paused { until: at(40_000) };
    assert_eq!((reply, writes), (FamilyReply::People(paused), Vec::new()));
}

#[test]
fn what_is_known_of_people_must_be_readable() {
    let rows = [("people".to_owned(), "{".to_owned())];
    assert!(FamilyState::restore(rows, at(0)).is_err());
}
