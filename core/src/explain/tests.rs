use data_encoding::BASE64;
use serde_json::json;

use super::*;
use crate::manage::tests::{NOW, body, made};
use crate::origin::SingleLabels;
use crate::policy::Node;

mod webhook;

fn policy() -> Policy {
    policy_with(&json!({ "name": "hook", "path": "/hooks/shop", "scheme": "stripe",
        "secrets": ["${secret:SHOP}"], "upstream": "shop", "body_limit": "1KiB" }))
}

fn policy_with(source: &serde_json::Value) -> Policy {
    let policy = json!({
        "version": 1,
        "gate": { "realm": "acme", "hosts": ["api.example.com"], "admin_host": "gate.example.com" },
        "environment": { "dev": { "upstream": { "shop": "https://shop.example.com" } } },
        "upstream": { "shop": {} },
        "route": [
            { "name": "plain", "path": "/plain", "methods": ["GET"], "upstream": "shop", "auth": "key" },
            { "name": "left", "path": "/left", "methods": ["GET"], "upstream": "shop", "auth": "key",
              "passthrough": ["authorization"] },
        ],
        "source": [source],
    });
    let file = Policy::check(&Node::from_json(&policy), &SingleLabels, NOW)
        .unwrap_or_else(|errors| panic!("{errors:#?}"));
    file.select("dev").unwrap()
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let url = format!("https://api.example.com{path}");
    Request { method: "GET".into(), url, headers: headers.collect(), client_ip: None, body: None }
}

/// What is told of it by somebody who has no secrets.
fn told(policy: Policy, record: Option<&KeyRecord>, request: &Request) -> Explanation {
    explain(policy, record, request, &Asks::with_the_policy(NOW), &[7; 40])
        .without_secrets("no secret is known here")
}

#[test]
fn a_named_key_is_presented_where_the_request_brings_none() {
    let key = made(&body("sk", json!({})));
    let (secret, id) = (key.secret.expose(), key.record.id.as_str());
    let bearer = format!("Bearer {secret}");
    let (client, password) = secret.rsplit_once('_').unwrap();
    let basic = format!("Basic {}", BASE64.encode(format!("{client}:{password}").as_bytes()));
    let invalid = Some(Code::KeyInvalid);
    for (path, headers, code, reason) in [
        ("/plain", vec![], None, "it stands in"),
        ("/plain", vec![("authorization", bearer.as_str())], None, "it is there"),
        ("/plain", vec![("x-api-key", secret)], None, "it is there"),
        ("/plain", vec![("authorization", "Bearer other")], invalid, "another is there"),
        ("/left", vec![], None, "it stands in"),
        ("/left", vec![("authorization", "Bearer other")], None, "that one is the backend's"),
        ("/left", vec![("Authorization", "Basic dTpw")], None, "that one is the backend's"),
        ("/left", vec![("Authorization", "Digest x")], None, "that one is the backend's"),
        (
            "/left",
            vec![("authorization", bearer.as_str())],
            Some(Code::KeyMissing),
            "the gate does not look there",
        ),
        ("/left", vec![("authorization", basic.as_str())], Some(Code::KeyMissing), "nor as Basic"),
        ("/left", vec![("x-api-key", secret), ("authorization", "Bearer other")], None, "both"),
    ] {
        let told = told(policy(), Some(&key.record), &request(path, &headers));
        assert_eq!(told.code, code, "{path} {headers:?} of {id}: {reason}: {told:?}");
    }
}

#[test]
fn of_a_header_that_is_set_twice_the_last_stands() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [pair("A", "1"), pair("b", "2"), pair("B", "3"), pair("c", "4"), pair("c", "5")];
    let set = [pair("x", "1"), pair("B", "6"), pair("X", "2")];
    assert_eq!(
        edited(&headers, &["a".to_owned()], set.into_iter()),
        [pair("c", "4"), pair("c", "5"), pair("b", "6"), pair("x", "2")]
    );
}

#[test]
fn a_request_has_only_so_many_headers() {
    for (count, fits) in [(0, true), (MAX_HEADERS, true), (MAX_HEADERS + 1, false)] {
        let request =
            json!({ "method": "GET", "url": "https://a", "headers": vec![["a", "b"]; count] });
        assert_eq!(serde_json::from_value::<Request>(request).is_ok(), fits, "{count}");
    }
}

#[test]
fn every_measure_is_told_as_if_nobody_had_called_before_and_nothing_is_given_ahead() {
    let key = made(&body("sk", json!({})));
    let detail = |limits: serde_json::Value, cost: u32| {
        let mut policy = policy();
        policy.routes[0].limits = serde_json::from_value(limits).unwrap();
        policy.routes[0].cost = cost;
        let told = told(policy, Some(&key.record), &request("/plain", &[]));
        let step = told.steps.iter().find(|note| note.step == crate::road::Step::Admission);
        let note = step.unwrap();
        (told.code, note.result, note.detail.clone())
    };
    let rate = |requests: u32| json!({ "requests": requests, "window": "1m" });
    let all = json!([
        { "name": "team", "quota": { "requests": 9, "per": "day" }, "by": "tenant" },
        { "name": "all", "bucket": { "rate": rate(60), "burst": 5 }, "by": "route" },
        { "name": "visitor", "rate": rate(7), "by": "address", "mode": "leased" },
        { "name": "busy", "rate": rate(600), "concurrency": 4 },
        { "name": "ahead", "rate": rate(6_000), "mode": "leased" },
    ]);
    let passed = crate::road::Verdict::Passed;
    assert_eq!(
        detail(all, 2),
        (
            None,
            passed,
            "team 7/9 in a period of 24h, all 3/5, full after 5s, visitor 5/7 per 1m, \
             default 58/60 per 1m, busy 598/600 per 1m, busy.concurrency 3/4 in flight, \
             ahead 5998/6000 per 1m"
                .to_owned()
        )
    );
    let refused = crate::road::Verdict::Refused;
    let (code, result, told) =
        detail(json!([{ "name": "day", "quota": { "requests": 2, "per": "hour" } }]), 3);
    assert_eq!((code, result), (Some(Code::QuotaExceeded), refused));
    assert!(told.starts_with("quota_exceeded: no room left in day: "), "{told}");
}
