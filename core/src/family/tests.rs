mod ahead;
mod care;
mod people;
mod stored;
mod suspended;
mod tally;

use serde_json::json;

use super::*;
use crate::key::{Deprecated, KeyState};
use crate::limit::{Charge, Measure, Rate};
use crate::time::UnixMillis;

const FIRST: &str = "AAAAAAAAAAAAAAA1";
const SECOND: &str = "AAAAAAAAAAAAAAA2";
const THIRD: &str = "AAAAAAAAAAAAAAA3";
const HOUR: u64 = 3_600_000;
const YEAR: Millis = Millis::days(365);

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(1_800_000_000_000 + ms)
}

fn digest(pepper: u32, mac: &str) -> Digest {
    serde_json::from_value(json!({ "pepper": pepper, "mac": mac })).unwrap()
}

/// A key made at the beginning, for a year.
fn record(name: &str) -> KeyRecord {
    serde_json::from_value(json!({
        "id": name,
        "family": FIRST,
        "kind": "sk",
        "environment": "dev",
        "tenant": "acme",
        "name": "backend",
        "owner": "ops@example.com",
        "tags": ["a"],
        "state": "active",
        "version": 1,
        "created_at": at(0),
        "expires_at": at(YEAR.as_millis()),
        "lifetime": YEAR,
        "scopes": ["invoices:read"],
        "digest": { "pepper": 1, "mac": name },
    }))
    .unwrap()
}

fn change(change: Change) -> FamilyRequest {
    FamilyRequest::change("root", change)
}

fn create() -> FamilyRequest {
    change(Change::Create { record: Box::new(record(FIRST)) })
}

fn rotate(old: &str, new: &str, grace: Millis) -> FamilyRequest {
    let (id, new_id, digest) = (id(old), id(new), digest(1, new));
    change(Change::Rotate { id, new_id, digest, grace, max_lifetime: None, version: None })
}

fn revoke(name: &str, whole_family: bool) -> FamilyRequest {
    change(Change::Revoke { id: id(name), whole_family })
}

fn disable(name: &str) -> FamilyRequest {
    change(Change::Disable { id: id(name), version: None })
}

fn enable(name: &str) -> FamilyRequest {
    change(Change::Enable { id: id(name), version: None })
}

fn end_grace(name: &str) -> FamilyRequest {
    change(Change::EndGrace { id: id(name), version: None })
}

fn update(name: &str, version: u64, patch: serde_json::Value) -> FamilyRequest {
    let patch = Box::new(serde_json::from_value(patch).unwrap());
    change(Change::Update { id: id(name), version, patch })
}

fn admit(name: &str, version: u64) -> FamilyRequest {
    let rate = Rate::new(3, Millis::minutes(1)).unwrap();
    let charges = vec![charge(Measure::Rate(rate))];
    FamilyRequest::Admit { id: id(name), version, charges, rehash: None, slot: None, ahead: 0 }
}

fn charge(measure: Measure) -> Charge {
    Charge {
        limit: "default".to_owned(),
        bucket: String::new(),
        measure,
        cost: 1,
        shadow: false,
        leased: false,
    }
}

/// A family with one key, after these requests in the first seconds.
fn family(requests: &[FamilyRequest]) -> FamilyState {
    let mut state = FamilyState::default();
    for (request, n) in [create()].iter().chain(requests).zip(0..) {
        let (reply, _) = state.apply(request.clone(), at(n * 1_000));
        let refused = matches!(
            reply,
            FamilyReply::Impossible { .. }
                | FamilyReply::VersionConflict { .. }
                | FamilyReply::Unknown
        );
        assert!(!refused, "{request:?}: {reply:?}");
    }
    state
}

/// What a change stored, in short: each key's version, each event, the number of the last.
fn written(writes: &[Write]) -> Vec<String> {
    let last = |id: &KeyId| id.as_str().chars().last().unwrap();
    let short = |write: &Write| match write {
        Write::PutRecord(record) => format!("{} v{}", last(&record.id), record.version),
        Write::Outbox(event) => {
            format!("{} {} {}", event.seq, event.kind.as_str(), last(&event.key.id))
        }
        Write::PutMeta(meta) => format!("meta {}", meta.seq),
        Write::PutWindow { row, .. } => format!("put {row}"),
        Write::DeleteWindow { row } => format!("delete {row}"),
        Write::PutTally { row, count } => {
            format!("tally {} {}", row.chars().last().unwrap(), count.admitted)
        }
        Write::DeleteTally { row } => format!("delete tally {}", row.chars().last().unwrap()),
        Write::PutTold { id, told } => format!("told {} {:?}", last(id), told.days),
        Write::PutPeople(_) => "people".to_owned(),
    };
    writes.iter().map(short).collect()
}

fn obstacle(reply: &FamilyReply) -> Option<&Obstacle> {
    match reply {
        FamilyReply::Impossible { obstacle } => Some(obstacle),
        _ => None,
    }
}

#[test]
fn every_change_stores_the_record_and_its_event_and_nothing_more() {
    let patch = json!({ "name": "other", "tags": [] });
    let mut state = FamilyState::default();
    for (now, request, stored) in [
        (0, create(), &["1 v1", "1 key.created 1", "meta 1"][..]),
        (1, create(), &[]),
        (2, disable(FIRST), &["1 v2", "2 key.disabled 1", "meta 2"]),
        (3, disable(FIRST), &[]),
        (4, enable(FIRST), &["1 v3", "3 key.enabled 1", "meta 3"]),
        (5, enable(FIRST), &[]),
        (6, update(FIRST, 3, patch.clone()), &["1 v4", "4 key.updated 1", "meta 4"]),
        (7, update(FIRST, 4, patch), &[]),
        (8, admit(FIRST, 4), &["put default:60:", "tally 1 1"]),
        (9, admit(FIRST, 4), &[]),
        (
            10,
            rotate(FIRST, SECOND, Millis::hours(48)),
            &["1 v5", "5 key.rotated 1", "2 v1", "6 key.created 2", "meta 6"],
        ),
        (
            11,
            rotate(SECOND, THIRD, Millis::hours(48)),
            &[
                "1 v6",
                "7 key.grace_ended 1",
                "2 v2",
                "8 key.rotated 2",
                "3 v1",
                "9 key.created 3",
                "meta 9",
            ],
        ),
        (12, end_grace(SECOND), &["2 v3", "10 key.grace_ended 2", "meta 10"]),
        (13, end_grace(SECOND), &[]),
        (
            14,
            change(Change::Rehash { id: id(THIRD), digest: digest(2, "x") }),
            &["3 v2", "11 key.rehashed 3", "meta 11"],
        ),
        (15, change(Change::Rehash { id: id(THIRD), digest: digest(2, "y") }), &[]),
        (16, revoke(THIRD, false), &["3 v3", "12 key.revoked 3", "meta 12"]),
        (17, revoke(THIRD, false), &[]),
        (
            18,
            revoke(SECOND, true),
            &["1 v7", "13 key.revoked 1", "2 v4", "14 key.revoked 2", "meta 14"],
        ),
    ] {
        let (reply, writes) = state.apply(request.clone(), at(now));
        assert_eq!(written(&writes), stored, "{request:?}");
        let done = matches!(reply, FamilyReply::Changed { .. } | FamilyReply::Verdict(_));
        assert!(done, "{request:?}: {reply:?}");
    }
}

#[test]
fn what_cannot_be_done_leaves_no_trace() {
    let grace = Millis::hours(48);
    let version = |version| Some(version);
    let conflict = |current| FamilyReply::VersionConflict { current };
    let suspend = |name| change(Change::Suspend { id: id(name) });
    let impossible = |obstacle| FamilyReply::Impossible { obstacle };
    let stranger = change(Change::Create { record: Box::new(record(SECOND)) });
    let disable_v = change(Change::Disable { id: id(FIRST), version: version(9) });
    let enable_v = change(Change::Enable { id: id(FIRST), version: version(9) });
    let end_grace_v = change(Change::EndGrace { id: id(FIRST), version: version(9) });
    let rotate_v = change(Change::Rotate {
        id: id(FIRST),
        new_id: id(SECOND),
        digest: digest(1, "x"),
        grace,
        max_lifetime: None,
        version: version(9),
    });
    let rehash = |name| change(Change::Rehash { id: id(name), digest: digest(2, "x") });
    let name = json!({ "name": "x" });
    let later = json!({ "expires_at": at(49 * HOUR) });
    for (before, request, reply) in [
        (vec![], stranger, impossible(Obstacle::Exists)),
        (vec![disable(FIRST)], create(), impossible(Obstacle::Exists)),
        (vec![], FamilyRequest::Claim { family: id(THIRD) }, impossible(Obstacle::Exists)),
        (vec![], FamilyRequest::Read { id: id(SECOND) }, FamilyReply::Unknown),
        (vec![], admit(SECOND, 1), FamilyReply::Unknown),
        (vec![], rotate(SECOND, THIRD, grace), FamilyReply::Unknown),
        (vec![], end_grace(SECOND), FamilyReply::Unknown),
        (vec![], update(SECOND, 1, name.clone()), FamilyReply::Unknown),
        (vec![], disable(SECOND), FamilyReply::Unknown),
        (vec![], enable(SECOND), FamilyReply::Unknown),
        (vec![], revoke(SECOND, true), FamilyReply::Unknown),
        (vec![], rehash(SECOND), FamilyReply::Unknown),
        (vec![], suspend(SECOND), FamilyReply::Unknown),
        (vec![], update(FIRST, 2, name.clone()), conflict(1)),
        (vec![disable(FIRST)], update(FIRST, 1, name.clone()), conflict(2)),
        (vec![], disable_v, conflict(1)),
        (vec![disable(FIRST)], enable_v, conflict(2)),
        (vec![rotate(FIRST, SECOND, grace)], end_grace_v, conflict(2)),
        (vec![], rotate_v, conflict(1)),
        (vec![revoke(FIRST, false)], rotate(FIRST, SECOND, grace), impossible(Obstacle::Revoked)),
        (vec![revoke(FIRST, false)], update(FIRST, 2, name), impossible(Obstacle::Revoked)),
        (vec![revoke(FIRST, false)], enable(FIRST), impossible(Obstacle::Revoked)),
        (vec![revoke(FIRST, false)], disable(FIRST), impossible(Obstacle::Revoked)),
        (vec![revoke(FIRST, false)], rehash(FIRST), impossible(Obstacle::Revoked)),
        (
            vec![rotate(FIRST, SECOND, grace), revoke(FIRST, false)],
            end_grace(FIRST),
            impossible(Obstacle::Revoked),
        ),
        (vec![disable(FIRST)], rotate(FIRST, SECOND, grace), impossible(Obstacle::Disabled)),
        (
            vec![update(FIRST, 1, json!({ "expires_at": at(1_500) }))],
            rotate(FIRST, SECOND, grace),
            impossible(Obstacle::Expired),
        ),
        (
            vec![rotate(FIRST, SECOND, Millis::ZERO)],
            rotate(FIRST, THIRD, grace),
            impossible(Obstacle::Expired),
        ),
        (
            vec![rotate(FIRST, SECOND, grace)],
            rotate(FIRST, THIRD, grace),
            impossible(Obstacle::Rotated(id(SECOND))),
        ),
        (
            vec![rotate(FIRST, SECOND, grace)],
            rotate(SECOND, FIRST, grace),
            impossible(Obstacle::Exists),
        ),
        (vec![], end_grace(FIRST), impossible(Obstacle::NotRotated)),
        (
            vec![rotate(FIRST, SECOND, grace)],
            update(FIRST, 2, later),
            impossible(Obstacle::LongerGrace),
        ),
    ] {
        let mut state = family(&before);
        let mut same = state.clone();
        assert_eq!(
            state.apply(request.clone(), at(60_000)),
            (reply, vec![]),
            "{before:?} {request:?}"
        );
        let _ = same.clock.read(at(60_000));
        assert_eq!(state, same, "{before:?} {request:?}");
    }
}

#[test]
fn a_rotation_hands_on_all_but_secret_id_and_expiry() {
    let mut state =
        family(&[update(FIRST, 1, json!({ "name": "renamed", "metadata": { "a": 1 } }))]);
    let (reply, _) = state.apply(rotate(FIRST, SECOND, Millis::hours(48)), at(HOUR));
    let FamilyReply::Changed { record: new, also } = reply else { panic!("{reply:?}") };
    let old = KeyRecord {
        name: "renamed".to_owned(),
        metadata: json!({ "a": 1 }).as_object().unwrap().clone(),
        version: 2,
        ..record(FIRST)
    };
    assert_eq!(
        *new,
        KeyRecord {
            id: id(SECOND),
            version: 1,
            created_at: at(HOUR),
            expires_at: at(HOUR + YEAR.as_millis()),
            digest: digest(1, SECOND),
            ..old.clone()
        }
    );
    assert_eq!(
        also,
        [KeyRecord {
            version: 3,
            expires_at: at(49 * HOUR),
            deprecated: Some(Deprecated { since: at(HOUR), successor: id(SECOND) }),
            ..old
        }]
    );
}

#[test]
fn a_lifetime_is_that_of_the_old_key_and_capped() {
    let day = Millis::days(1);
    for (expires, max_lifetime, lifetime, why) in [
        (None, None, YEAR, "as it was made"),
        (None, Some(day), day, "capped by policy"),
        (None, Some(Millis::days(1_000)), YEAR, "the cap gives nothing"),
        (Some(at(day.as_millis() * 30)), None, Millis::days(30), "as it was changed"),
    ] {
        let patch = expires.map(|end| update(FIRST, 1, json!({ "expires_at": end })));
        let mut state = family(&patch.into_iter().collect::<Vec<_>>());
        let request = change(Change::Rotate {
            id: id(FIRST),
            new_id: id(SECOND),
            digest: digest(1, "x"),
            grace: Millis::ZERO,
            max_lifetime,
            version: None,
        });
        let _ = state.apply(request, at(HOUR));
        let new = state.record(&id(SECOND)).unwrap();
        assert_eq!((new.lifetime, new.expires_at), (lifetime, at(HOUR).plus(lifetime)), "{why}");
    }
}

#[test]
fn a_grace_period_lasts_as_long_as_it_was_given() {
    let soon = update(FIRST, 1, json!({ "expires_at": at(10 * HOUR) }));
    for (before, grace, then, end, why) in [
        (vec![], Millis::hours(48), vec![], 49 * HOUR, "two days from the rotation"),
        (vec![], Millis::ZERO, vec![], HOUR, "an emergency"),
        (vec![soon], Millis::hours(48), vec![], 10 * HOUR, "never past the old expiry"),
        (vec![], Millis::hours(48), vec![end_grace(FIRST)], 2 * HOUR, "ended early"),
        (
            vec![],
            Millis::hours(48),
            vec![rotate(SECOND, THIRD, Millis::hours(1))],
            2 * HOUR,
            "a second rotation ends the older",
        ),
    ] {
        let mut state = family(&before);
        let _ = state.apply(rotate(FIRST, SECOND, grace), at(HOUR));
        for request in then {
            let _ = state.apply(request, at(2 * HOUR));
        }
        let version = state.record(&id(FIRST)).unwrap().version;
        assert_eq!(state.record(&id(FIRST)).unwrap().expires_at, at(end), "{why}");
        if end > 2 * HOUR {
            assert_eq!(
                word(&state.apply(admit(FIRST, version), at(end - 1)).0),
                "admitted",
                "{why}"
            );
        }
        let (reply, writes) = state.apply(admit(FIRST, version), at(end));
        assert_eq!((word(&reply), writes), ("refused", vec![]), "{why}");
    }
}

/// What an admission was answered, in a word.
fn word(reply: &FamilyReply) -> &'static str {
    match reply {
        FamilyReply::Verdict(verdict) if verdict.is_admitted() => "admitted",
        FamilyReply::Verdict(_) => "limited",
        FamilyReply::Refused { .. } => "refused",
        FamilyReply::Stale { .. } => "stale",
        _ => "something else",
    }
}

#[test]
fn an_admission_asks_state_then_version_then_limits() {
    let spend = || vec![admit(FIRST, 1), admit(FIRST, 1), admit(FIRST, 1)];
    let expired = update(FIRST, 1, json!({ "expires_at": at(4_000) }));
    for (before, version, answer, why) in [
        (vec![], 1, "admitted", "good"),
        (spend(), 1, "limited", "over its limit"),
        (spend(), 2, "stale", "another version is not even counted"),
        (vec![disable(FIRST)], 1, "refused", "disabled"),
        (vec![disable(FIRST)], 2, "refused", "disabled, and the edge knows"),
        (vec![disable(FIRST), enable(FIRST)], 1, "stale", "it may be narrower since"),
        (vec![disable(FIRST), enable(FIRST)], 3, "admitted", "enabled again"),
        (vec![revoke(FIRST, false)], 1, "refused", "revoked"),
        (vec![expired], 2, "refused", "expired by the object's clock"),
        (vec![update(FIRST, 1, json!({ "scopes": [] }))], 1, "stale", "narrowed"),
    ] {
        let mut family = family(&before);
        assert_eq!(word(&family.apply(admit(FIRST, version), at(5_000)).0), answer, "{why}");
    }
}

#[test]
fn a_family_shares_its_limits() {
    let mut state = family(&[rotate(FIRST, SECOND, Millis::hours(48))]);
    for (name, version, answer) in [
        (FIRST, 2, "admitted"),
        (SECOND, 1, "admitted"),
        (FIRST, 2, "admitted"),
        (SECOND, 1, "limited"),
    ] {
        assert_eq!(word(&state.apply(admit(name, version), at(5_000)).0), answer, "{name}");
    }
}

#[test]
fn a_revoke_ends_one_key_or_all() {
    for (whole_family, ended) in [(false, [true, false]), (true, [true, true])] {
        let mut state = family(&[rotate(FIRST, SECOND, Millis::hours(48))]);
        let (reply, _) = state.apply(revoke(FIRST, whole_family), at(5_000));
        let FamilyReply::Changed { record, also } = reply else { panic!("{reply:?}") };
        assert_eq!((record.id.as_str(), record.state), (FIRST, KeyState::Revoked));
        assert_eq!(also.len(), usize::from(whole_family));
        let revoked =
            [FIRST, SECOND].map(|name| state.record(&id(name)).unwrap().state == KeyState::Revoked);
        assert_eq!(revoked, ended);
    }
}

#[test]
fn the_object_of_a_rotated_key_knows_where_its_family_is() {
    let mut alias = FamilyState::default();
    let claim = FamilyRequest::Claim { family: id(FIRST) };
    let (reply, writes) = alias.apply(claim.clone(), at(0));
    assert_eq!(reply, FamilyReply::Claimed);
    let meta = Meta { clock: at(0), seq: 0, alias: Some(id(FIRST)) };
    assert_eq!(writes, [Write::PutMeta(meta)]);
    assert_eq!(alias.apply(claim, at(1)), (FamilyReply::Claimed, vec![]), "again");
    let moved = FamilyReply::Moved { family: id(FIRST) };
    for request in
        [FamilyRequest::Read { id: id(SECOND) }, admit(SECOND, 1), create(), revoke(SECOND, true)]
    {
        assert_eq!(alias.apply(request, at(2)), (moved.clone(), vec![]));
    }
    let other = FamilyRequest::Claim { family: id(THIRD) };
    assert_eq!(obstacle(&alias.apply(other, at(3)).0), Some(&Obstacle::Exists));

    let rows = writes.iter().filter_map(|write| Some((write.row().0, write.row().1?)));
    let mut restored = FamilyState::restore(rows, at(4)).unwrap();
    assert_eq!(restored.apply(FamilyRequest::Read { id: id(SECOND) }, at(5)).0, moved);
}
