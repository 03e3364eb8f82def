//! Step 10: several limits, charged together or not at all, and told to the client.

use super::world::*;
use crate::key::KeyKind;
use crate::limit::{Limit, LimitBy, Rate};
use crate::road::Answer;
use crate::time::Millis;

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn by_rate(name: &str, requests: u32, window: Millis) -> Limit {
    Limit::by_rate(name, Rate::new(requests, window).unwrap(), LimitBy::Key).unwrap()
}

#[test]
fn a_spent_limit_of_the_route_charges_nothing_of_the_key() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/tight").key(&key);
    for _ in 0..2 {
        assert_eq!(world.walk(&ask).told(), (0, "forward"));
    }
    let answer = world.walk(&ask).answer();
    assert_eq!((answer.status, answer.code.unwrap().as_str()), (429, "rate_limited"));
    assert_eq!(world.used(&key), 2, "all or nothing");
    assert_eq!(
        header(&answer, "RateLimit-Policy"),
        Some(r#""default";q=60;w=60, "tight";q=2;w=60"#)
    );
    assert_eq!(header(&answer, "Retry-After"), Some("60"));
    assert_eq!(header(&answer, "X-RateLimit-Remaining"), Some("0"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["violated-policies"], serde_json::json!(["tight"]));
    assert_eq!(body["retry_after"], 60);
    let again = world.walk(&ask);
    assert_eq!(
        (again.told().1, again.objects),
        ("rate_limited", 0),
        "a flood costs no object call"
    );
    world.pass(Millis::secs(60));
    assert_eq!(world.walk(&ask).told(), (0, "forward"), "Retry-After was true");
}

#[test]
fn a_denial_of_one_route_does_not_close_another() {
    let mut world = World::new();
    let key = world.server_key();
    for _ in 0..3 {
        world.walk(&get("/v1/tight").key(&key));
    }
    assert_eq!(world.walk(&get("/v1/tight").key(&key)).told(), (429, "rate_limited"));
    assert_eq!(world.walk(&get("/v1/invoices/1").key(&key)).told(), (0, "forward"));
}

#[test]
fn limits_by_parameter_count_each_value_apart() {
    let mut world = World::new();
    let key = world.server_key();
    let post = |id: &str| get(&format!("/v1/channels/{id}")).method("POST").key(&key);
    assert_eq!(world.walk(&post("a")).told(), (0, "forward"));
    assert_eq!(world.walk(&post("a")).told(), (429, "rate_limited"));
    assert_eq!(world.walk(&post("b")).told(), (0, "forward"));
    let (long, longer) = ("x".repeat(300), "x".repeat(301));
    assert_eq!(world.walk(&post(&long)).told(), (0, "forward"));
    assert_eq!(world.walk(&post(&longer)).told(), (0, "forward"), "long values differ too");
    assert_eq!(world.walk(&post(&long)).told(), (429, "rate_limited"));
}

#[test]
fn one_stranger_cannot_silence_a_site() {
    let mut world = World::new();
    let key = world.key(KeyKind::Pk, |record| {
        record.allow_any_origin = true;
        record.limits = vec![by_rate("site", 100, Millis::minutes(1))];
    });
    let ask = get("/v1/tight").with("origin", APP).key(&key);
    let mut ask = ask;
    ask.url = "https://api.example.com/v1/bykeys".into();
    let ask = ask;
    for round in 0..60 {
        assert_eq!(world.walk(&ask).told(), (0, "forward"), "{round}");
    }
    let answer = world.walk(&ask).answer();
    assert_eq!(answer.status, 429);
    assert_eq!(
        header(&answer, "RateLimit-Policy"),
        Some(r#""address";q=60;w=60, "site";q=100;w=60"#),
        "the address's limit is tested first"
    );
    for round in 0..40 {
        let other = ask.clone().from("198.51.100.1");
        assert_eq!(world.walk(&other).told(), (0, "forward"), "{round}");
    }
}

#[test]
fn routes_without_keys_are_limited_by_address() {
    let mut world = World::new();
    let site = get("/v1/site").with("origin", APP);
    for _ in 0..2 {
        assert_eq!(world.walk(&site).told(), (0, "forward"));
    }
    assert_eq!(world.walk(&site).told(), (429, "rate_limited"));
    assert_eq!(world.walk(&site.clone().from("198.51.100.1")).told(), (0, "forward"));
    let from_itself = get("/v1/site").with("sec-fetch-site", "same-origin").from("198.51.100.2");
    assert_eq!(world.walk(&from_itself).told(), (0, "forward"));
    let from_nowhere = get("/v1/site").from("198.51.100.2");
    assert_eq!(world.walk(&from_nowhere).told(), (403, "origin_not_allowed"));
}

#[test]
fn a_key_s_own_limit_of_the_route_s_name_keeps_its_name_everywhere() {
    let mut world = World::new();
    let own = |requests| vec![by_rate("tight", requests, Millis::minutes(1))];
    let same = world.key(KeyKind::Sk, |record| record.limits = own(2));
    let other = world.key(KeyKind::Sk, |record| record.limits = own(5));
    for (key, policy) in
        [(&same, r#""tight";q=2;w=60"#), (&other, r#""tight";q=5;w=60, "route-tight";q=2;w=60"#)]
    {
        let forward = world.walk(&get("/v1/tight").key(key)).forward();
        let relayed = forward.answered(200, &[]).unwrap();
        assert!(
            relayed.set.contains(&("RateLimit-Policy", policy.to_owned())),
            "{:?}",
            relayed.set
        );
    }
}

#[test]
fn answers_to_a_key_in_grace_announce_its_end() {
    let mut world = World::new();
    let successor = world.unknown_key(KeyKind::Sk);
    let since = world.now;
    let key = world.key(KeyKind::Sk, |record| {
        record.deprecated = Some(crate::key::Deprecated { since, successor: successor.id });
        record.expires_at = since.plus(Millis::hours(48));
    });
    let forward = world.walk(&get("/v1/tight").key(&key)).forward();
    let relayed = forward.answered(200, &[]).unwrap();
    assert!(relayed.set.contains(&("Deprecation", "@1795305600".to_owned())), "{:?}", relayed.set);
    assert!(relayed.set.contains(&("Sunset", "Tue, 24 Nov 2026 00:00:00 GMT".to_owned())));
    world.pass(Millis::hours(48));
    assert_eq!(world.walk(&get("/v1/tight").key(&key)).told(), (401, "key_expired"));
}

#[test]
fn no_name_of_a_key_s_own_limit_drops_a_limit_of_the_route() {
    let mut world = World::new();
    let own = |name: &str| by_rate(name, 1_000, Millis::secs(1));
    let key = world.key(KeyKind::Sk, |record| record.limits = vec![own("tight"), own("x")]);
    let ask = get("/v1/tight").key(&key);
    for _ in 0..2 {
        assert_eq!(world.walk(&ask).told(), (0, "forward"));
    }
    assert_eq!(world.walk(&ask).told(), (429, "rate_limited"));
    assert!(!crate::limit::valid_limit_name("route-tight"));
}
