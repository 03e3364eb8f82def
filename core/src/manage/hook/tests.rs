use serde_json::json;

use super::*;
use crate::delivery::{Came, Fault};
use crate::inbox::{Received, Turn};
use crate::manage::tests::{body, made};
use crate::origin::SingleLabels;
use crate::policy::Node;
use crate::request::RequestId;
use crate::time::{Millis, UnixMillis};

fn id(secs: u64, shard: u8) -> EventId {
    EventId::new(RequestId::new(UnixMillis::from_secs(secs), &[7; 40]).as_str(), shard)
}

fn view(secs: u64, shard: u8) -> EventView {
    let received = Received {
        at: UnixMillis::from_secs(secs),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        query: None,
        provider_id: None,
        id_reused: false,
        unverified: false,
    };
    let turn = Turn::new(UnixMillis::from_secs(secs));
    EventView { id: id(secs, shard), received, size: 3, turn }
}

fn policy() -> Policy {
    let shop = |name: &str, tenant: Option<&str>| {
        let mut source = json!({
            "name": name, "path": format!("/hooks/{name}"), "scheme": "stripe",
            "secrets": ["${secret:SHOP}"], "upstream": "main",
        });
        if let Some(tenant) = tenant {
            source["tenant"] = tenant.into();
        }
        source
    };
    let file = json!({
        "version": 1,
        "gate": {"realm": "acme"},
        "environment": {"dev": {"upstream": {"main": "http://127.0.0.1:9090"}}},
        "upstream": {"main": {}},
        "source": [shop("shop", Some("acme")), shop("open", None)],
    });
    let now = UnixMillis::from_secs(1_780_272_000);
    let checked = Policy::check(&Node::from_json(&file), &SingleLabels, now);
    checked.unwrap().select("dev").unwrap()
}

fn admin_of(tenant: &str) -> Caller {
    let wish = json!({"tenant": tenant, "scopes": ["hooks:read"]});
    Caller::Key(Box::new(made(&body("ak", wish)).record))
}

#[test]
fn a_query_is_read_whole_or_told_what_is_wrong() {
    let read = |pairs: Value| event_query(pairs.as_object().unwrap());
    let least = EventQuery { limit: 50, before: None, state: None, since: None };
    assert_eq!(read(json!({})).unwrap(), least);
    let pairs = json!({
        "limit": "7", "cursor": id(1, 2).as_str(), "state": "dead", "since": "1970-01-01T00:00:07Z",
    });
    let whole = EventQuery {
        limit: 7,
        before: Some(id(1, 2)),
        state: Some(State::Dead),
        since: Some(UnixMillis::from_secs(7)),
    };
    assert_eq!(read(pairs).unwrap(), whole);
    let wrong = json!({"limit": "0", "cursor": "x", "state": "gone", "since": "1", "tenant": "a"});
    let problem = read(wrong).unwrap_err();
    let mut fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["cursor", "limit", "since", "state", "tenant"]);
}

#[test]
fn a_replay_says_which_events() {
    let since = json!("1970-01-01T00:00:07Z");
    let of_all = Replay {
        ids: None,
        state: WhichState::Dead,
        since: Some(UnixMillis::from_secs(7)),
        dry_run: false,
    };
    for (body, replay) in [
        (json!({"since": since}), of_all.clone()),
        (
            json!({"since": since, "state": "all", "dry_run": true}),
            Replay { state: WhichState::All, dry_run: true, ..of_all.clone() },
        ),
        (
            json!({"ids": [id(1, 0).as_str()]}),
            Replay { ids: Some(vec![id(1, 0)]), since: None, ..of_all },
        ),
    ] {
        assert_eq!(read_replay(&body).unwrap(), replay, "{body}");
    }
    for (body, fields) in [
        (json!({}), vec![""]),
        (json!({"state": "all"}), vec![""]),
        (json!({"ids": []}), vec!["ids"]),
        (json!({"ids": vec![id(1, 0).as_str(); 2]}), vec!["ids[1]"]),
        (json!({"ids": vec!["x"; 101]}), vec!["ids"]),
        (json!({"ids": [id(1, 0).as_str()], "since": since}), vec!["ids"]),
        (json!({"since": 7, "state": "pending", "dryRun": true}), vec!["dryRun", "since", "state"]),
    ] {
        let problem = read_replay(&body).unwrap_err();
        let mut found: Vec<&str> = problem.errors.iter().map(|it| it.field.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, fields, "{body}");
    }
}

#[test]
fn pages_of_several_objects_are_one() {
    let events = [view(1, 0), view(5, 0), view(3, 1), view(4, 2)];
    let times = |events: &[EventView]| -> Vec<u64> {
        events.iter().map(|event| event.received.at.as_secs()).collect()
    };
    let pages = |more, looked_to: Option<EventId>| {
        let of = |shard: u8| events.iter().filter(move |it| it.id.shard() == shard).cloned();
        let page = |shard| EventPage { events: of(shard).collect(), more: false, looked_to: None };
        vec![EventPage { more, looked_to, ..page(0) }, page(1), page(2)]
    };
    let (page, next) = merged(pages(false, None), 4);
    assert_eq!((times(&page), next), (vec![5, 4, 3, 1], None));
    let (page, next) = merged(pages(false, None), 3);
    assert_eq!((times(&page), next.as_deref()), (vec![5, 4, 3], Some(id(3, 1).as_str())));
    let (page, next) = merged(pages(true, None), 4);
    assert_eq!((times(&page).len(), next.as_deref()), (4, Some(id(1, 0).as_str())));
    // One object looked to an event of the time 4 and no further.
    let (page, next) = merged(pages(false, Some(id(4, 0))), 4);
    assert_eq!((times(&page), next.as_deref()), (vec![5, 4], Some(id(4, 0).as_str())));
    let (page, next) = merged(pages(false, Some(id(4, 0))), 1);
    assert_eq!((times(&page), next.as_deref()), (vec![5], Some(id(5, 0).as_str())));
    let (page, next) = merged(pages(false, Some(id(9, 0))), 4);
    assert_eq!((times(&page), next.as_deref()), (vec![], Some(id(9, 0).as_str())));
    assert_eq!(merged(Vec::new(), 4), (Vec::new(), None));
}

#[test]
fn an_event_is_shown_with_what_became_of_it() {
    let policy = policy();
    let source = policy.source_named("shop").unwrap();
    let mut event = view(7, 1);
    let shown = event_resource(source, &event);
    assert_eq!(shown["next_attempt_at"], "1970-01-01T00:00:07Z");
    assert_eq!((&shown["kept_until"], &shown["last_attempt"]), (&Value::Null, &Value::Null));
    let attempt = Attempt {
        at: UnixMillis::from_secs(8),
        took: Millis::millis(9),
        came: Came::Fault(Fault::TimedOut),
    };
    let done = Attempt { came: Came::Status(204), ..attempt };
    for attempt in [attempt, done] {
        let now = UnixMillis::from_secs(9);
        event.turn.tried(attempt, crate::delivery::Schedule::STANDARD, None, Millis::ZERO, now, 0);
    }
    let whole = event_whole(source, &event, "e30=");
    let tries = json!([
        {"at": "1970-01-01T00:00:08Z", "duration_ms": 9, "status": null, "fault": "timed_out"},
        {"at": "1970-01-01T00:00:08Z", "duration_ms": 9, "status": 204, "fault": null},
    ]);
    assert_eq!(whole["tries"], tries);
    assert_eq!((&whole["state"], &whole["attempts"]), (&json!("delivered"), &json!(2)));
    assert_eq!(whole["headers"], json!([["content-type", "text/plain"]]));
    assert_eq!((&whole["body"], &whole["source"]), (&json!("e30="), &json!("shop")));
}

#[test]
fn a_source_is_seen_by_its_tenant_and_by_operators() {
    let policy = policy();
    assert!(visible_source(&policy, &Caller::Root, "shop").is_ok());
    let refused = visible_source(&policy, &Caller::Root, "shops").unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    for (tenant, seen) in [("acme", true), ("other", false)] {
        let caller = admin_of(tenant);
        assert_eq!(visible_source(&policy, &caller, "shop").is_ok(), seen, "{tenant}");
        assert!(visible_source(&policy, &caller, "open").is_err(), "it is nobody's");
    }
}
