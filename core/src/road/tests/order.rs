//! The order of the steps: the first that refuses ends the walk, and says so with its own code;
//! nothing before step 10 costs the key anything.

use super::world::*;
use crate::key::{KeyKind, KeyState};
use crate::time::Millis;

/// Each row breaks one thing more than the row below it, so that the order itself is shown: the
/// request is wrong in every later way as well, and yet the code is that of the earliest.
#[test]
fn the_first_step_that_refuses_ends_the_walk() {
    let mut world = World::new();
    let key = world.key(KeyKind::Sk, |record| record.state = KeyState::Revoked);
    let text = key.text().expose().to_owned();
    let bad = get("/v1/invoices/42").with("origin", "https://evil.com").key(&key);
    let rows = [
        ("transport", (403, "https_required"), {
            let mut ask = bad.clone();
            ask.url = format!("http://nowhere.example//{text}");
            ask
        }),
        ("host", (421, "misdirected_request"), {
            let mut ask = bad.clone();
            ask.url = format!("https://nowhere.example//{text}");
            ask
        }),
        ("key in the URL", (400, "credential_in_url"), {
            let mut ask = bad.clone();
            ask.url = format!("https://api.example.com//{text}");
            ask
        }),
        ("framing", (400, "malformed_request"), {
            let mut ask = bad.clone();
            ask.url = "https://api.example.com/nothing//here".into();
            ask
        }),
        ("route", (404, "route_not_found"), {
            let mut ask = bad.clone().method("DELETE");
            ask.url = "https://api.example.com/nothing".into();
            ask
        }),
        ("method", (405, "method_not_allowed"), bad.clone().method("DELETE")),
        ("origin", (403, "origin_not_allowed"), bad.clone().with("content-length", "9999")),
        (
            "length",
            (413, "body_too_large"),
            get("/v1/invoices/42").with("origin", APP).with("content-length", "9999"),
        ),
        ("no credential", (401, "key_missing"), get("/v1/invoices/42")),
        (
            "state",
            (401, "key_revoked"),
            get("/v1/invoices/42").key(&key).with("sec-fetch-site", "none"),
        ),
    ];
    for (why, expected, ask) in rows {
        assert_eq!(world.walk(&ask).told(), expected, "{why}");
    }
}

#[test]
fn a_refusal_before_admission_costs_the_key_nothing() {
    let mut world = World::new();
    let key = world.page_key();
    let wrong = {
        let mut other = key.clone();
        other.secret = crate::text::Secret::new("x".repeat(32));
        other
    };
    let narrow = world.key(KeyKind::Sk, |record| {
        record.scopes = vec!["invoices:read:1".to_owned().try_into().unwrap()];
        record.addresses = vec![crate::address::Cidr::parse("192.0.2.0/24").unwrap()];
    });
    let ours = || get("/v1/invoices/42").with("origin", APP);
    for (ask, whose, expected) in [
        (ours().key(&key).with("content-type", "a, b"), &key, (400, "malformed_request")),
        (ours().key(&key).with("x-api-key", "x"), &key, (400, "malformed_request")),
        (get("/v1/invoices/42").with("origin", OTHER).key(&key), &key, (403, "origin_not_allowed")),
        (get("/v1/invoices/42").key(&key), &key, (403, "origin_not_allowed")),
        (ours().key(&wrong), &key, (401, "key_invalid")),
        (get("/v1/invoices/42").key(&narrow), &narrow, (403, "insufficient_scope")),
        (get("/v1/invoices/1").from("198.51.100.1").key(&narrow), &narrow, (403, "ip_not_allowed")),
        (get("/v1/invoices/1").from("nonsense").key(&narrow), &narrow, (403, "ip_not_allowed")),
        (ours().key(&narrow), &narrow, (403, "secret_key_in_browser")),
        (
            get("/v1/invoices/1").with("sec-fetch-site", "cross-site").key(&narrow),
            &narrow,
            (403, "secret_key_in_browser"),
        ),
        (get("/v1/invoices/1%252f2").key(&narrow), &narrow, (400, "malformed_request")),
    ] {
        assert_eq!(world.walk(&ask).told(), expected);
        assert_eq!(world.used(whose), 0, "{expected:?}");
    }
    assert_eq!(world.walk(&ours().key(&key)).told(), (0, "forward"));
    assert_eq!(world.used(&key), 1, "an admitted request is charged");
    let from_node = get("/v1/invoices/1").key(&narrow).with("sec-fetch-mode", "cors");
    assert_eq!(world.walk(&from_node).told(), (0, "forward"), "Sec-Fetch-Mode proves nothing");
}

#[test]
fn what_can_be_refused_by_looking_costs_no_store() {
    let mut world = World::new();
    let key = world.server_key();
    let text = key.text().expose().to_owned();
    let tampered =
        format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
    let stranger = {
        let prefix = key.prefix.clone();
        let id = crate::key::KeyId::parse("AAAAAAAAAAAAAAAA").unwrap();
        crate::key::Key::assemble(prefix, id, key.secret.clone())
    };
    let mut foreign = key.clone();
    foreign.prefix.environment = crate::key::KeyEnvironment::Dev;
    let mut brand = key.clone();
    brand.prefix.brand = "other".into();
    let admin = world.unknown_key(KeyKind::Ak);
    for (why, value, expected) in [
        ("bad checksum", tampered, (401, "key_invalid")),
        ("nonsense", "hello".into(), (401, "key_invalid")),
        ("an id the gate never made", stranger.text().expose().into(), (401, "key_invalid")),
        ("another brand", brand.text().expose().into(), (401, "key_invalid")),
        ("another environment", foreign.text().expose().into(), (403, "wrong_environment")),
        ("an admin key", admin.text().expose().into(), (403, "wrong_kind")),
    ] {
        // Each from an address of its own: failures have a budget.
        let ask = get("/v1/invoices/42")
            .with("x-api-key", &value)
            .from(&format!("192.0.2.{}", why.len()));
        let walked = world.walk(&ask);
        assert_eq!(walked.told(), expected, "{why}");
        assert_eq!((walked.kv, walked.objects), (0, 0), "{why}");
    }
}

#[test]
fn preflights_are_answered_before_any_key_limit_or_store() {
    let mut world = World::new();
    let preflight = |path: &str, origin: &str, method: &str, headers: &str| {
        get(path)
            .method("OPTIONS")
            .with("origin", origin)
            .with("access-control-request-method", method)
            .with("access-control-request-headers", headers)
    };
    let walked = world.walk(&preflight("/v1/invoices/42", APP, "POST", "authorization,x-api-key"));
    assert_eq!((walked.kv, walked.objects), (0, 0));
    let answer = walked.answer();
    assert_eq!(answer.status, 204);
    let mut names: Vec<&str> = answer.headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Access-Control-Allow-Headers",
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Origin",
            "Access-Control-Max-Age",
            "Strict-Transport-Security",
            "Vary",
            "X-Request-Id",
        ]
    );
    for (why, ask, expected) in [
        ("origin", preflight("/v1/invoices/42", OTHER, "POST", ""), (403, "origin_not_allowed")),
        ("null", preflight("/v1/invoices/42", "null", "POST", ""), (403, "origin_not_allowed")),
        (
            "header",
            preflight("/v1/invoices/42", APP, "POST", "x-evil"),
            (403, "header_not_allowed"),
        ),
        ("method", preflight("/v1/invoices/42", APP, "DELETE", ""), (403, "header_not_allowed")),
        (
            "no browser here",
            preflight("/v1/channels/1", APP, "POST", ""),
            (403, "origin_not_allowed"),
        ),
    ] {
        let answer = world.walk(&ask);
        assert_eq!(answer.told(), expected, "{why}");
        let granted = answer.answer().headers.iter().any(|(name, _)| name.starts_with("Access-"));
        assert!(!granted, "{why}: no grant on a refusal");
    }
    let ordinary = get("/v1/invoices/42").method("OPTIONS").with("origin", APP);
    assert_eq!(
        world.walk(&ordinary).told(),
        (405, "method_not_allowed"),
        "no preflight without its header"
    );
}

#[test]
fn a_page_can_read_its_own_refusals_from_step_five_on() {
    let mut world = World::new();
    let key = world.page_key();
    let readable = |answer: &crate::road::Answer| {
        let find = |name: &str| {
            answer.headers.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone())
        };
        (find("Access-Control-Allow-Origin").as_deref() == Some(APP), find("Vary"))
    };
    let ours = |path: &str| get(path).with("origin", APP);
    for (ask, code, expected) in [
        (ours("/v1/invoices/42"), "key_missing", true),
        (ours("/v1/invoices/42").with("x-api-key", "x"), "key_invalid", true),
        (ours("/v1/invoices/42").with("content-length", "9999"), "body_too_large", true),
        (ours("/v1/invoices/42").with("origin", "x"), "malformed_request", false),
        (ours("/v1/nothing"), "route_not_found", false),
        (ours("/v1/tight").method("POST"), "method_not_allowed", false),
    ] {
        let answer = world.walk(&ask).answer();
        assert_eq!(answer.code.map(crate::problem::Code::as_str), Some(code));
        let (granted, vary) = readable(&answer);
        assert_eq!(granted, expected, "{code}");
        assert_eq!(vary.as_deref(), expected.then_some("Origin"), "{code}");
    }
    for _ in 0..2 {
        assert_eq!(world.walk(&ours("/v1/tight").key(&key)).told(), (0, "forward"));
    }
    let limited = world.walk(&ours("/v1/tight").key(&key)).answer();
    assert_eq!(limited.status, 429);
    assert!(readable(&limited).0, "a page can read its own 429");
}

#[test]
fn transport_is_refused_and_never_redirected() {
    let mut world = World::new();
    for (url, tls, expected) in [
        ("http://api.example.com/v1/open", None, (403, "https_required")),
        ("http://localhost/v1/open", None, (403, "https_required")),
        ("https://api.example.com/v1/open", Some("TLSv1.1"), (403, "https_required")),
        ("https://api.example.com/v1/open", Some("TLSv1.2"), (0, "forward")),
        ("https://API.EXAMPLE.COM:443/v1/open", Some("TLSv1.3"), (0, "forward")),
        ("https://localhost/v1/open", None, (421, "misdirected_request")),
        ("https://api.example.com.evil.com/v1/open", None, (421, "misdirected_request")),
        ("https://gate.example.com/v1/open", None, (0, "gate")),
        ("https://api.example.com/_tollgate/health", None, (0, "gate")),
    ] {
        let mut ask = get("");
        ask.url = url.into();
        if let Some(tls) = tls {
            ask = ask.with("test-tls", tls);
        }
        let walked = world.walk(&ask);
        assert_eq!(walked.told(), expected, "{url} {tls:?}");
        if walked.told().0 != 0 {
            let headers = walked.answer().headers;
            assert!(headers.iter().all(|(name, _)| *name != "Location"), "{url}");
        }
    }
}

#[test]
fn failed_credentials_have_a_budget_and_a_verified_key_passes_over_it() {
    let mut world = World::new();
    let key = world.server_key();
    let good = get("/v1/invoices/42").key(&key);
    let bad = get("/v1/invoices/42").with("x-api-key", "nonsense");
    assert_eq!(world.walk(&good).told(), (0, "forward"));
    for _ in 0..3 {
        assert_eq!(world.walk(&bad).told(), (401, "key_invalid"));
    }
    assert_eq!(world.walk(&bad).told(), (429, "too_many_failures"));
    assert_eq!(world.walk(&good).told(), (0, "forward"), "its record is in the isolate");
    let newcomer = world.server_key();
    let walked = world.walk(&get("/v1/invoices/42").key(&newcomer));
    assert_eq!(walked.told(), (429, "too_many_failures"));
    assert_eq!((walked.kv, walked.objects), (0, 0), "no store call for a spent address");
    let elsewhere = get("/v1/invoices/42").key(&newcomer).from("198.51.100.7");
    assert_eq!(world.walk(&elsewhere).told(), (0, "forward"), "another address");
    world.pass(Millis::minutes(3));
    assert_eq!(world.walk(&bad).told(), (401, "key_invalid"), "the budget comes back");
    let six = |host: u32| {
        get("/v1/invoices/42").with("x-api-key", "x").from(&format!("2001:db8:0:1::{host}"))
    };
    for host in 0..3 {
        assert_eq!(world.walk(&six(host)).told(), (401, "key_invalid"));
    }
    assert_eq!(world.walk(&six(9)).told(), (429, "too_many_failures"), "IPv6 counts by /64");
}

#[test]
fn shadow_lets_pass_writes_down_and_ends_by_itself() {
    let mut world = World::new();
    let key = world.key(KeyKind::Pk, |record| {
        record.origins =
            vec![crate::origin::OriginPattern::parse(APP, &crate::origin::SingleLabels).unwrap()];
        record.addresses = vec![crate::address::Cidr::parse("198.51.100.0/24").unwrap()];
    });
    let ask = get("/v1/shadowed").with("origin", OTHER).key(&key);
    for round in 0..4 {
        let forward = world.walk(&ask).forward();
        let relayed = forward.answered(200, &[]).unwrap();
        let log = relayed.log(Millis::ZERO, world.now);
        let mut expected = vec!["ip_not_allowed", "origin_not_allowed", "insufficient_scope"];
        if round >= 2 {
            expected.push("rate_limited");
        }
        let told: Vec<&str> = log.would_refuse.iter().map(|code| code.as_str()).collect();
        assert_eq!(told, expected);
    }
    let before = world.now;
    world.now = crate::time::UnixMillis::parse_rfc3339("2026-12-01").unwrap();
    assert!(world.now > before);
    assert_eq!(world.walk(&ask).told(), (403, "ip_not_allowed"));
}
