//! The family as rows and as JSON.

use serde_json::Value;

use super::*;
use crate::audit::Draft;

#[test]
fn what_is_stored_brings_the_family_back() {
    let mut rows = std::collections::BTreeMap::new();
    let mut state = FamilyState::default();
    let mut store = |writes: Vec<Write>| {
        for write in writes {
            match write.row() {
                (name, Some(text)) => rows.insert(name, text),
                (name, None) => rows.remove(&name),
            };
        }
        rows.clone()
    };
    for request in
        [create(), admit(FIRST, 1), rotate(FIRST, SECOND, Millis::hours(1)), admit(SECOND, 1)]
    {
        store(state.apply(request, at(0)).1);
    }
    let rows = store(state.settle(at(1_000)));
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "key/AAAAAAAAAAAAAAA1",
            "key/AAAAAAAAAAAAAAA2",
            "meta",
            "outbox/00000000000000000001",
            "outbox/00000000000000000002",
            "outbox/00000000000000000003",
            "tally/1800000000/AAAAAAAAAAAAAAA1",
            "tally/1800000000/AAAAAAAAAAAAAAA2",
            "window/default:60:",
        ]
    );
    // The wall went back meanwhile: the object's time does not.
    let mut restored = FamilyState::restore(rows.clone(), at(0)).unwrap();
    assert_eq!(restored.clock.last(), at(1_000));
    assert_eq!(restored.settle(at(0)), [], "settled already");
    let (records, windows) = (restored.records, restored.counts);
    assert_eq!((records, windows, restored.seq), (state.records, state.counts, 3));

    let later = store(FamilyState::restore(rows, at(HOUR)).unwrap().settle(at(HOUR)));
    assert!(!later.contains_key("window/default:60:"), "an empty count is deleted");
    let restored = FamilyState::restore(later, at(0)).unwrap();
    assert_eq!(restored.clock.last(), at(HOUR), "and the clock stored with it");
}

#[test]
fn a_damaged_row_stops_the_object() {
    let good = serde_json::to_string(&record(FIRST)).unwrap();
    for (name, text) in [
        ("meta", ""),
        ("meta", "{}"),
        ("key/AAAAAAAAAAAAAAA1", "{"),
        ("key/AAAAAAAAAAAAAAA2", good.as_str()),
        ("key/", good.as_str()),
    ] {
        let rows = [(name.to_owned(), text.to_owned())];
        let error = FamilyState::restore(rows, at(0)).unwrap_err();
        assert_eq!(error.to_string(), format!("the stored row `{name}` cannot be read"));
    }
    let others = [("outbox/1".to_owned(), String::new()), ("other".to_owned(), String::new())];
    assert_eq!(FamilyState::restore(others, at(0)).unwrap().records.len(), 0);
}

#[test]
fn an_event_says_who_did_what_and_nothing_of_the_secret() {
    let mut state = FamilyState::default();
    let _ = state.apply(create(), at(0));
    let (_, writes) = state.apply(update(FIRST, 1, json!({ "owner": null, "tags": ["a"] })), at(7));
    let Some(Write::Outbox(event)) = writes.get(1) else { panic!("{writes:?}") };
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({
            "seq": 2,
            "at": at(7),
            "actor": "root",
            "kind": "key.updated",
            "fields": ["owner"],
            "key": {
                "id": FIRST,
                "family": FIRST,
                "tenant": "acme",
                "kind": "sk",
                "name": "backend",
                "tags": ["a"],
                "state": "active",
                "version": 2,
                "created_at": at(0),
                "expires_at": at(YEAR.as_millis()),
                "pepper": 1,
            },
        })
    );
}

#[test]
fn an_event_goes_into_the_audit_with_what_belongs_to_it() {
    let mut state = FamilyState::default();
    let patch = json!({ "name": "secret plan", "expires_at": at(9 * HOUR) });
    let grace = Millis::hours(1);
    let end = at(YEAR.as_millis()).to_rfc3339();
    let grace_end = at(7_000 + HOUR).to_rfc3339();
    for (request, kind, expected) in [
        (create(), "key.created", json!({ "kind": "sk", "expires_at": end })),
        (update(FIRST, 1, json!({ "name": "x" })), "key.updated", json!({})),
        (disable(FIRST), "key.disabled", json!({})),
        (enable(FIRST), "key.enabled", json!({})),
        (change(Change::Suspend { id: id(FIRST) }), "key.suspended", json!({})),
        (change(Change::Resume { id: id(FIRST) }), "key.resumed", json!({})),
        (
            change(Change::Rehash { id: id(FIRST), digest: digest(2, "x") }),
            "key.rehashed",
            json!({ "pepper": 2 }),
        ),
        (
            rotate(FIRST, SECOND, grace),
            "key.rotated",
            json!({ "successor": SECOND, "grace_ends_at": grace_end }),
        ),
        (end_grace(FIRST), "key.grace_ended", json!({ "successor": SECOND })),
        (
            update(SECOND, 1, patch),
            "key.updated",
            json!({ "expires_at": at(9 * HOUR).to_rfc3339() }),
        ),
        (revoke(SECOND, false), "key.revoked", json!({})),
    ] {
        let (_, writes) = state.apply(request, at(state.seq * 1_000));
        let events = writes.iter().filter_map(|write| match write {
            Write::Outbox(event) => Some(event),
            _ => None,
        });
        let event = events.clone().next().unwrap();
        let draft = Draft::from(&**event);
        assert_eq!(draft.kind, kind);
        assert_eq!(Value::Object(draft.detail), expected, "{kind}");
        assert_eq!(draft.once, Some(format!("{FIRST}/{}", event.seq)));
        assert_eq!((draft.at, draft.tenant.as_str()), (event.at, "acme"), "{kind}");
        assert_eq!(draft.key, Some(event.key.id.to_string()), "{kind}");
    }
    let asked = FamilyRequest::Change {
        actor: "AAAAAAAAAAAAAAA9".to_owned(),
        request_id: Some("r".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        change: Change::Revoke { id: id(FIRST), whole_family: false },
    };
    let (_, writes) = state.apply(asked, at(60_000));
    let Some(Write::Outbox(event)) = writes.get(1) else { panic!("{writes:?}") };
    let Draft { actor, request_id, address, fields, .. } = Draft::from(&**event);
    assert_eq!(actor, "AAAAAAAAAAAAAAA9");
    assert_eq!((request_id.as_deref(), address.as_deref()), (Some("r"), Some("192.0.2.1")));
    assert!(fields.is_empty());
}

#[test]
fn an_event_of_an_older_gate_is_read() {
    let mut state = FamilyState::default();
    let (_, writes) = state.apply(create(), at(0));
    let Some(Write::Outbox(event)) = writes.get(1) else { panic!("{writes:?}") };
    let text = serde_json::to_string(event).unwrap();
    assert!(!text.contains("request_id") && !text.contains("days"), "{text}");
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), **event);
}

#[test]
fn a_patch_tells_null_from_absent_and_knows_its_fields() {
    let patch = |text: &str| serde_json::from_str::<KeyPatch>(text);
    assert_eq!(patch("{}").unwrap(), KeyPatch::default());
    assert_eq!(patch(r#"{"owner":null}"#).unwrap().owner, Some(None));
    assert_eq!(patch(r#"{"owner":"x"}"#).unwrap().owner, Some(Some("x".to_owned())));
    for text in [r#"{"owner":null}"#, r#"{"owner":"x"}"#, "{}", r#"{"expires_at":5,"limits":[]}"#] {
        let read = patch(text).unwrap();
        assert_eq!(patch(&serde_json::to_string(&read).unwrap()).unwrap(), read, "{text}");
    }
    for text in
        [r#"{"state":"active"}"#, r#"{"tenant":"x"}"#, r#"{"scopes":["a"]}"#, r#"{"kind":"ak"}"#]
    {
        assert!(patch(text).is_err(), "{text}");
    }
}

#[test]
fn requests_and_replies_go_over_the_wire() {
    let patch = json!({ "owner": null, "limits": [] });
    let requests = [
        create(),
        admit(FIRST, 1),
        FamilyRequest::Read { id: id(FIRST) },
        FamilyRequest::Claim { family: id(FIRST) },
        rotate(FIRST, SECOND, Millis::hours(48)),
        end_grace(FIRST),
        update(FIRST, 2, patch),
        disable(FIRST),
        enable(FIRST),
        revoke(FIRST, true),
        change(Change::Rehash { id: id(FIRST), digest: digest(2, "x") }),
        change(Change::Suspend { id: id(FIRST) }),
        change(Change::Resume { id: id(FIRST) }),
        FamilyRequest::Change {
            actor: "root".to_owned(),
            request_id: Some("r".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            change: Change::Suspend { id: id(FIRST) },
        },
    ];
    for request in requests {
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<FamilyRequest>(&text).unwrap(), request, "{text}");
    }
    let boxed = || Box::new(record(FIRST));
    let mut state = family(&[]);
    let replies = [
        state.apply(admit(FIRST, 1), at(0)).0,
        FamilyReply::Refused { record: boxed() },
        FamilyReply::Stale { record: boxed() },
        FamilyReply::Record { record: boxed() },
        FamilyReply::Claimed,
        FamilyReply::Changed { record: boxed(), also: vec![record(SECOND)] },
        FamilyReply::VersionConflict { current: 3 },
        FamilyReply::Impossible { obstacle: Obstacle::Rotated(id(SECOND)) },
        FamilyReply::Impossible { obstacle: Obstacle::Exists },
        FamilyReply::Unknown,
        FamilyReply::Moved { family: id(FIRST) },
    ];
    for reply in replies {
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<FamilyReply>(&text).unwrap(), reply, "{text}");
    }
    let text = r#"{"read":{"id":"AAAAAAAAAAAAAAA1"}}"#;
    let read = FamilyRequest::Read { id: id(FIRST) };
    assert_eq!(serde_json::to_string(&read).unwrap(), text, "short where the road asks");
}
