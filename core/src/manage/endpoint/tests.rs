use serde_json::json;

use super::*;
use crate::manage::query_pairs;
use crate::manage::tests::{body, made};

fn of_tenant() -> Caller {
    let record = made(&body("sk", json!({}))).record;
    assert_eq!(record.tenant, "acme");
    Caller::Key(Box::new(record))
}

const GROUND: Ground<'static> = Ground { brand: "tg", hosts: &["api.acme.com"], production: true };
const URL: &str = "https://hooks.acme.com/x";

fn fields(problem: &Problem) -> Vec<&str> {
    assert_eq!(problem.code, Code::InvalidField);
    problem.errors.iter().map(|error| error.field.as_str()).collect()
}

#[test]
fn an_endpoint_is_of_the_callers_tenant_or_of_the_one_that_an_operator_names() {
    for (caller, said, tenant) in [
        (Caller::Root, None, Some("*")),
        (Caller::Root, Some("*"), Some("*")),
        (Caller::Root, Some("acme"), Some("acme")),
        (of_tenant(), None, Some("acme")),
        (of_tenant(), Some("acme"), Some("acme")),
        (of_tenant(), Some("other"), None),
        (of_tenant(), Some("*"), None),
    ] {
        let mut body = json!({ "url": URL });
        if let Some(said) = said {
            body["tenant"] = json!(said);
        }
        let query = said.map(|said| format!("tenant={said}")).unwrap_or_default();
        let pairs = query_pairs(&query).unwrap();
        for got in [
            NewEndpoint::read(&body, &caller, GROUND).map(|new| new.tenant),
            endpoint_keeper(&pairs, &caller),
            endpoint_query(&pairs, &caller).map(|query| query.tenant),
            delivery_query(&pairs, &caller).map(|(tenant, _)| tenant),
        ] {
            if let Err(problem) = &got {
                assert_eq!(problem.code, Code::NotFound, "{said:?}");
            }
            assert_eq!(got.ok().as_deref(), tenant, "{said:?}");
        }
    }
}

#[test]
fn a_body_makes_the_endpoint_that_it_says() {
    let body = json!({ "url": URL, "events": ["key.created"], "description": "a" });
    let new = NewEndpoint::read(&body, &Caller::Root, GROUND).unwrap();
    let now = UnixMillis::from_secs(5);
    let endpoint = new.endpoint("ep_1".to_owned(), "hidden".to_owned(), 9, now);
    assert_eq!(
        endpoint_resource(&endpoint, "acme", now),
        json!({
            "id": "ep_1", "tenant": "acme", "url": URL, "description": "a", "events": ["key.created"],
            "state": "enabled", "disabled_because": null, "version": 1,
            "created_at": "1970-01-01T00:00:05Z", "failing_since": null, "previous_secret_until": null,
        })
    );
    assert_eq!(endpoint.since, 9);
    assert!(!endpoint_resource(&endpoint, "acme", now).to_string().contains("hidden"));
}

#[test]
fn every_mistake_is_told_by_its_field() {
    let secret = made(&body("sk", json!({}))).secret;
    for (body, wrong) in [
        (json!({}), vec!["url"]),
        (json!({ "url": "http://hooks.acme.com" }), vec!["url"]),
        (json!({ "url": "https://api.acme.com" }), vec!["url"]),
        (json!({ "url": format!("{URL}?key={}", secret.expose()) }), vec!["url"]),
        (
            json!({ "url": 7, "events": "all", "description": [] }),
            vec!["url", "events", "description"],
        ),
        (json!({ "url": URL, "events": ["key.creatd", "x"] }), vec!["events[0]", "events[1]"]),
        (json!({ "url": URL, "events": [] }), vec!["events"]),
        (json!({ "url": URL, "state": "enabled", "tenant": "A b" }), vec!["state", "tenant"]),
    ] {
        let problem = NewEndpoint::read(&body, &Caller::Root, GROUND).unwrap_err();
        assert_eq!(fields(&problem), wrong, "{body}");
    }
    for (body, wrong) in [
        (json!({}), vec!["version"]),
        (json!({ "version": 1, "state": "on", "url": "x" }), vec!["state", "url"]),
        (json!({ "version": 1, "secret": "x", "stat": 1 }), vec!["secret", "stat"]),
    ] {
        assert_eq!(fields(&endpoint_update(&body, GROUND).unwrap_err()), wrong, "{body}");
    }
    let near = json!({ "url": URL, "events": ["key.creatd"] });
    let problem = NewEndpoint::read(&near, &Caller::Root, GROUND).unwrap_err();
    assert!(problem.errors[0].message.contains("did you mean key.created"));
}

#[test]
fn a_replay_names_events_or_a_time() {
    let since = UnixMillis::from_secs(1);
    let id = "evt_0123456789abcdef";
    for (body, replay) in [
        (json!({ "ids": [id] }), Ok((ReplayWhich::Ids(vec![id.to_owned()]), false))),
        (
            json!({ "since": "1970-01-01T00:00:01Z", "dry_run": true }),
            Ok((ReplayWhich::Since { since, state: None }, true)),
        ),
        (
            json!({ "since": "1970-01-01T00:00:01Z", "state": "dead" }),
            Ok((ReplayWhich::Since { since, state: Some(DeliveryState::Dead) }, false)),
        ),
        (json!({}), Err(vec![""])),
        (json!({ "ids": [id], "since": "1970-01-01T00:00:01Z" }), Err(vec![""])),
        (json!({ "ids": [id], "state": "dead" }), Err(vec!["state"])),
        (json!({ "ids": ["x", id, id] }), Err(vec!["ids[0]", "ids[2]"])),
        (json!({ "since": "yesterday", "state": "pending" }), Err(vec!["state", "since"])),
    ] {
        let read = endpoint_replay(&body);
        let told = match &read {
            Ok(replay) => Ok((replay.which.clone(), replay.dry_run)),
            Err(problem) => Err(fields(problem)),
        };
        assert_eq!(told, replay, "{body}");
    }
}

#[test]
fn a_grace_is_a_day_unless_said_and_a_week_at_the_most() {
    for (body, grace) in [
        (json!({}), Some(Millis::hours(24))),
        (json!({ "grace": "0s" }), Some(Millis::ZERO)),
        (json!({ "grace": "7d" }), Some(Millis::days(7))),
        (json!({ "grace": "8d" }), None),
        (json!({ "grace": "soon" }), None),
    ] {
        assert_eq!(rotation_grace(&body).ok(), grace, "{body}");
    }
}

#[test]
fn a_secret_is_one_of_standard_webhooks() {
    use crate::webhook::uniform::Signers;
    let secret = endpoint_secret(&[7; 32]);
    assert!(secret.expose().starts_with("whsec_"));
    assert!(Signers::read(&[secret]).is_ok());
}
