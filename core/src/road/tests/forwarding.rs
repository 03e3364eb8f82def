//! Steps 11 and 12: what the upstream gets, what comes back, and nothing more.

use super::world::*;
use crate::road::forwarding::UpstreamFault;
use crate::time::Millis;

#[test]
fn the_upstream_gets_these_headers_and_nothing_more() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/a%20b?company=evil&COMPANY=evil&x=1")
        .key(&key)
        .with("accept", "application/json")
        .with("cookie", "session=1")
        .with("x-company-id", "evil")
        .with("x_company_id", "evil")
        .with("x-tollgate-tenant", "evil")
        .with("x-forwarded-for", "203.0.113.9")
        .with("connection", "x-hop")
        .with("x-hop", "1");
    let forward = world.walk(&ask).forward();
    let sent = forward.request(&ask).unwrap();
    let mut left: Vec<(String, String)> =
        ask.headers.iter().filter(|(n, _)| !sent.edits.remove.contains(n)).cloned().collect();
    for (name, value) in sent
        .edits
        .set
        .iter()
        .chain(&sent.credential.map(|(name, value)| (name, value.expose().to_owned())))
    {
        let name = name.to_ascii_lowercase();
        left.retain(|(known, _)| *known != name);
        left.push((name, value.clone()));
    }
    left.sort_unstable();
    let id = crate::request::RequestId::new(world.now, &[7; 40]).to_string();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        left,
        [
            own("accept", "application/json"),
            own("authorization", &format!("Bearer {UPSTREAM_SECRET}")),
            own("traceparent", &format!("00-{}-{}-02", "07".repeat(16), "07".repeat(8))),
            own("via", "1.1 tollgate"),
            own("x-company-id", "acme"),
            own("x-forwarded-for", "192.0.2.1"),
            own("x-forwarded-host", "api.example.com"),
            own("x-forwarded-proto", "https"),
            own("x-request-id", &id),
            own("x-tollgate-key", key.id.as_str()),
            own("x-tollgate-scopes", "invoices:read:*"),
            own("x-tollgate-tenant", "acme"),
        ]
    );
    let url = sent.url.expose();
    assert_eq!(url, "https://billing.example.com/v1/invoices/a%20b?x=1&company=acme");
    assert_eq!((sent.timeout, sent.max_stream), (Millis::secs(10), Millis::minutes(15)));
}

#[test]
fn no_tenant_of_the_client_s_passes_in_the_path() {
    let mut world = World::new();
    let key = world.key(crate::key::KeyKind::Sk, |record| {
        record.scopes = vec!["companies:read:acme".to_owned().try_into().unwrap()];
    });
    for company in ["acme", "other", "a%20b"] {
        let ask = get(&format!("/v1/companies/{company}/x")).key(&key);
        let sent = world.walk(&ask).forward().request(&ask).unwrap();
        let url = sent.url.expose();
        assert_eq!(url, "https://billing.example.com/v1/v1/companies/acme/x", "{company}");
    }
}

#[test]
fn the_caller_gets_the_gate_s_headers_in_place_of_the_upstream_s() {
    let mut world = World::new();
    let key = world.page_key();
    let ask = get("/v1/invoices/1").with("origin", APP).key(&key);
    let forward = world.walk(&ask).forward();
    let upstream: Vec<(String, String)> = [
        ("content-type", "application/json"),
        ("cache-control", "public, max-age=600"),
        ("access-control-allow-origin", "*"),
        ("ratelimit", "theirs"),
        ("vary", "Accept"),
    ]
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .to_vec();
    let relayed = forward.answered(200, &upstream).unwrap();
    assert_eq!(relayed.remove, ["access-control-allow-origin", "ratelimit"]);
    let vary = [("Vary", "Origin".to_owned())];
    assert_eq!(relayed.append, vary, "added to the upstream's own words");
    let mut names: Vec<&str> = relayed.set.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Access-Control-Allow-Origin",
            "Access-Control-Expose-Headers",
            "Cache-Control",
            "RateLimit",
            "RateLimit-Policy",
            "Strict-Transport-Security",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
            "X-Request-Id",
        ]
    );
    assert!(relayed.set.contains(&("Cache-Control", "no-store".to_owned())));
    let any: Vec<_> = [("vary".to_owned(), "*".to_owned())].to_vec();
    let forward = world.walk(&ask).forward();
    assert_eq!(forward.answered(200, &any).unwrap().append, []);
}

#[test]
fn a_leaked_secret_stops_the_answer() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/1").key(&key);
    for value in [UPSTREAM_SECRET.to_owned(), format!("Bearer {UPSTREAM_SECRET}; x")] {
        let forward = world.walk(&ask).forward();
        let answer = forward.answered(200, &[("x-debug".to_owned(), value)]).unwrap_err();
        assert_eq!((answer.status, answer.code.unwrap().as_str()), (502, "secret_leak_blocked"));
        assert!(!answer.body.contains(UPSTREAM_SECRET));
        assert!(!format!("{:?}", answer.headers).contains(UPSTREAM_SECRET));
    }
}

#[test]
fn an_upstream_that_fails_is_told_apart_from_one_that_is_late() {
    let mut world = World::new();
    let key = world.page_key();
    let ask = get("/v1/invoices/1").with("origin", APP).key(&key);
    for (fault, status, code) in [
        (UpstreamFault::Unreachable, 502, "upstream_unreachable"),
        (UpstreamFault::Timeout, 504, "upstream_timeout"),
        (UpstreamFault::BodyTooLarge, 413, "body_too_large"),
    ] {
        let answer = world.walk(&ask).forward().failed(fault);
        assert_eq!((answer.status, answer.code.unwrap().as_str()), (status, code));
        let granted = answer.headers.iter().any(|(n, _)| *n == "Access-Control-Allow-Origin");
        assert!(granted, "{code}: readable in the page");
    }
}

#[test]
fn a_missing_or_short_secret_refuses_only_the_routes_that_need_it() {
    let (broken, blank) = ("a-secret-with\na-line-break", "a-secret-with-a-blank ");
    for secret in [None, Some("short"), Some(broken), Some(blank)] {
        let secrets: Vec<_> = secret.map(|secret| ("BILLING_TOKEN", secret)).into_iter().collect();
        let mut world = World::with(&policy_json(), "production", &secrets);
        let key = world.server_key();
        let walked = world.walk(&get("/v1/invoices/1").key(&key));
        assert_eq!(walked.told(), (503, "upstream_credential_unavailable"));
        let reasons = world.gate.unready();
        let of_upstream = reasons.iter().filter(|reason| reason.contains("of upstream"));
        assert_eq!(of_upstream.count(), 1);
    }
}

#[test]
fn a_cache_is_passed_by_where_the_platform_has_one() {
    for (platform, passes) in [("cloudflare", true), ("workerd", false)] {
        let mut policy = policy_json();
        policy["gate"]["platform"] = platform.into();
        let secrets = [("BILLING_TOKEN", UPSTREAM_SECRET)];
        let mut world = World::with(&policy, "production", &secrets);
        let ask = get("/v1/invoices/1").key(&world.server_key());
        let sent = world.walk(&ask).forward().request(&ask).unwrap();
        assert_eq!(sent.passes_cache, passes, "{platform}");
    }
}

#[test]
fn a_body_of_undeclared_length_is_counted_on_the_way() {
    let mut world = World::new();
    let key = world.server_key();
    let mut ask = get("/v1/invoices/1").method("POST").key(&key);
    ask.body = true;
    let sent = world.walk(&ask).forward().request(&ask).unwrap();
    assert_eq!(sent.body_cap, Some(1024));
    let declared = ask.with("content-length", "1024");
    let sent = world.walk(&declared).forward().request(&declared).unwrap();
    assert_eq!(sent.body_cap, None, "the platform holds it to what it declared");
    for (length, expected) in [
        ("1025", (413, "body_too_large")),
        ("99999999999999999999999", (413, "body_too_large")),
        ("-1", (400, "malformed_request")),
        ("1, 1", (400, "malformed_request")),
        ("", (400, "malformed_request")),
    ] {
        let ask = get("/v1/invoices/1").method("POST").key(&key).with("content-length", length);
        assert_eq!(world.walk(&ask).told(), expected, "{length}");
    }
}

#[test]
fn a_route_that_is_to_go_says_so() {
    let mut world = World::new();
    let relayed = world.walk(&get("/v1/old")).forward().answered(200, &[]).unwrap();
    for header in [
        ("Deprecation", "@1780272000"),
        ("Sunset", "Tue, 01 Jun 2027 00:00:00 GMT"),
        ("Link", "<https://docs.example.com/v2>; rel=\"deprecation\""),
    ] {
        let told = relayed.set.iter().chain(&relayed.append);
        assert!(told.clone().any(|(n, v)| (*n, v.as_str()) == header), "{:?}", relayed.set);
    }
    let cached = relayed.set.iter().any(|(name, _)| *name == "Cache-Control");
    assert!(!cached, "an answer that depended on no key is the upstream's to cache");
}

#[test]
fn the_log_line_has_these_fields_and_never_a_credential() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/1?token=abc").key(&key);
    let forward = world.walk(&ask).forward();
    world.pass(Millis::millis(12));
    let log = forward.answered(200, &[]).unwrap().log(Millis::millis(9), world.now).to_json();
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "time": "2026-11-22T00:00:00Z",
            "request_id": line["request_id"],
            "method": "GET",
            "route": "invoice",
            "path": "/v1/invoices/1",
            "status": 200,
            "key": key.id.as_str(),
            "tenant": "acme",
            "duration_ms": 12,
            "upstream_ms": 9,
        })
    );
    let in_url = get(&format!("/x/{}/y?key={0}", key.text().expose()));
    let answer = world.walk(&in_url).answer();
    let log = answer.log(world.now).to_json();
    assert!(log.contains("/x/[key]/y") && !log.contains(key.secret.expose()), "{log}");
    assert!(!answer.body.contains(key.secret.expose()));
}
