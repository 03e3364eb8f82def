//! Webhooks: which requests are some, and what their backend gets, and nothing more.

use super::world::*;
use crate::policy::Template;
use crate::problem::Problem;
use crate::road::source::{ForSource, Outcome as Came, Unsendable};
use crate::road::{Gate, Outcome};
use crate::webhook::{Failure, KeyError, Portable, uniform::Signers};

const PATH: &str = "/hooks/shop";
const BODY: &[u8] = b"{}";

fn post(path: &str) -> Ask2 {
    get(path).method("POST").with("content-length", "2")
}

fn webhook(ask: &Ask2) -> ForSource {
    match World::new().walk(ask).outcome {
        Outcome::Source(webhook) => *webhook,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_is_its_path_whatever_the_method() {
    let too_long = get(PATH).method("POST").with("content-length", "1025");
    for (ask, status, told, why) in [
        (post(PATH), 0, "webhook", "its path"),
        (get(PATH), 0, "webhook", "which methods it takes is its scheme's to say"),
        (post("/hooks/shop?a=1"), 0, "webhook", "with a query"),
        (post("/v1/site/hook"), 0, "webhook", "below a route"),
        (post("/hooks/shop/"), 404, "route_not_found", "another path"),
        (post("/hooks/Shop"), 404, "route_not_found", "another case"),
        (post("/hooks"), 404, "route_not_found", "above it"),
        (post("/hooks//shop"), 400, "malformed_request", "an empty segment"),
        (too_long, 413, "body_too_large", "declared too long"),
        (
            get(PATH).method("POST").with("content-length", "1e3"),
            400,
            "malformed_request",
            "no number",
        ),
        (
            get(PATH).method("POST").with("content-length", "1024"),
            0,
            "webhook",
            "just short enough",
        ),
        (
            post(PATH).with("content-type", "text/plain").with("content-type", "text/html"),
            400,
            "malformed_request",
            "two types",
        ),
        (
            post(PATH).with("origin", OTHER).with("authorization", "Bearer nonsense"),
            0,
            "webhook",
            "neither origins nor keys say anything about it",
        ),
    ] {
        let walked = World::new().walk(&ask);
        assert_eq!(walked.told(), (status, told), "{why}");
        assert_eq!((walked.kv, walked.objects), (0, 0), "{why}: no store is asked");
    }
    let http = Ask2 { url: "http://api.example.com/hooks/shop".into(), ..post(PATH) };
    assert_eq!(World::new().walk(&http).told(), (403, "https_required"));
}

fn sent(ask: &Ask2, gate: &Gate, now: crate::time::UnixMillis) -> (String, Vec<(String, String)>) {
    let webhook = webhook(ask);
    let source = &gate.policy.sources[webhook.source];
    let received = webhook.received(source, &ask.headers);
    let sent = gate.webhook_request(source, &received, "id_1", BODY, now).unwrap();
    let mut headers = sent.headers;
    headers.extend(sent.credential.map(|(name, value)| (name, value.expose().to_owned())));
    headers.sort_unstable();
    (sent.url.expose().to_owned(), headers)
}

#[test]
fn the_backend_gets_these_headers_and_nothing_more() {
    let world = World::new();
    let ask = post("/hooks/shop?x=1")
        .with("content-type", "application/json")
        .with("webhook-id", "msg_1")
        .with("webhook-timestamp", "1")
        .with("webhook_signature", "v1,a")
        .with("webhook-signature", "v1,x")
        .with("host", "api.example.com")
        .with("authorization", "Basic abc")
        .with("cookie", "a=b")
        .with("accept-encoding", "gzip")
        .with("connection", "x-hop")
        .with("x-hop", "1")
        .with("x-forwarded-for", "203.0.113.9")
        .with("x-tollgate-webhook", "evil")
        .with("x_tollgate_webhook_flag", "evil");
    let (url, headers) = sent(&ask, &world.gate, world.now);
    let id = crate::request::RequestId::new(world.now, &[7; 40]).to_string();
    let secret = crate::text::Secret::new(SIGN.to_owned());
    let signed = Signers::read(&[secret]).unwrap().sign("id_1", world.now, BODY, &Portable);
    let [_, (_, at), (_, signature)] = signed.unwrap();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers,
        [
            own("X-Request-Id", &id),
            own("X-Tollgate-Original-webhook-id", "msg_1"),
            own("X-Tollgate-Original-webhook-signature", "v1,x"),
            own("X-Tollgate-Original-webhook-timestamp", "1"),
            own("X-Tollgate-Webhook", "shop"),
            own("accept-encoding", "identity"),
            own("authorization", &format!("Bearer {UPSTREAM_SECRET}")),
            own("content-type", "application/json"),
            own("traceparent", &format!("00-{}-{}-02", "07".repeat(16), "07".repeat(8))),
            own("via", "1.1 tollgate"),
            own("webhook-id", "id_1"),
            own("webhook-signature", &signature),
            own("webhook-timestamp", &at),
            own("x-forwarded-for", "192.0.2.1"),
            own("x-forwarded-host", "api.example.com"),
            own("x-forwarded-proto", "https"),
        ]
    );
    assert_eq!(url, "https://billing.example.com/v1/in?x=1");
    // Where the gate does not sign, its names are anybody's.
    let ask = post("/v1/site/hook").with("webhook-id", "1");
    let (url, headers) = sent(&ask, &world.gate, world.now);
    assert_eq!(url, "https://billing.example.com/v1/v1/site/hook");
    assert!(headers.contains(&own("webhook-id", "1")), "{headers:?}");
}

#[test]
fn what_is_flagged_says_so_and_what_is_unverified_is_not_signed() {
    let world = World::new();
    let ask = post(PATH);
    let webhook = webhook(&ask);
    let source = &world.gate.policy.sources[0];
    // The second one does not sign: nothing else tells its backend what was forged.
    for source in [source, &world.gate.policy.sources[1]] {
        let signs = !source.sign.is_empty();
        for (id_reused, unverified, flag) in [
            (false, false, None),
            (true, false, Some("id_reused")),
            (false, true, Some("unverified")),
            (true, true, Some("id_reused, unverified")),
        ] {
            let mut received = webhook.received(source, &ask.headers);
            received.id_reused = id_reused;
            received.unverified = unverified;
            let sent = world.gate.webhook_request(source, &received, "id_1", BODY, world.now);
            let sent = sent.unwrap();
            let flags: Vec<&str> = sent
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("X-Tollgate-Webhook-Flag"))
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(flags, Vec::from_iter(flag), "{}", source.name);
            let signed = sent.headers.iter().any(|(name, _)| name.starts_with("webhook-"));
            assert_eq!(signed, signs && !unverified, "{}", source.name);
        }
    }
}

#[test]
fn an_empty_secret_is_none_whatever_stands_around_it() {
    let world = World::new();
    for (around, sign) in [("x${secret:SHOP}", false), ("whsec_AAAB${secret:SHOP}", true)] {
        for (value, usable) in
            [("", false), (" ", false), ("cGVwcGVycGVwcGVycGVwcGVycGVwcGVy", true)]
        {
            let mut policy = world.gate.policy.clone();
            let source = &mut policy.sources[0];
            let template = Template::of_secret(around).unwrap();
            if sign {
                source.sign = vec![template];
            } else {
                source.scheme = crate::policy::SourceScheme::Named("github");
                source.secrets = vec![template];
            }
            let mut secrets = world.gate.secrets.clone();
            secrets.insert("SHOP".to_owned(), crate::text::Secret::new(value.to_owned()));
            let gate = Gate::new(policy, world.gate.trust.clone(), secrets);
            let source = &gate.policy.sources[0];
            if sign {
                assert_eq!(gate.signers_of(source).is_ok(), usable, "{around} {value:?}");
            } else {
                let expected = if usable { None } else { Some(KeyError::Empty(1)) };
                assert_eq!(gate.keys_of(source).err(), expected, "{around} {value:?}");
            }
        }
    }
}

#[test]
fn a_key_that_could_be_guessed_is_a_warning_and_no_reason() {
    let world = World::new();
    for (scheme, value, warned) in [
        ("standard-webhooks", "whsec_AAAAAAAAAAAAAAAAAAAB", true),
        ("standard-webhooks", "whsec_AAAAAAAAAAAAAAAAAAAAAQ==", false),
        ("adyen", "0102", true),
        ("rfc9421", "AAAB", true),
        // A text is as the provider made it up.
        ("github", "short", false),
    ] {
        let mut policy = world.gate.policy.clone();
        policy.sources[0].scheme = crate::policy::SourceScheme::Named(scheme);
        let mut secrets = world.gate.secrets.clone();
        secrets.insert("SHOP".to_owned(), crate::text::Secret::new(value.to_owned()));
        let gate = Gate::new(policy, world.gate.trust.clone(), secrets);
        let warning = "source shop: secret 1 is a key of fewer than 16 bytes";
        let expected = if warned { vec![warning] } else { vec![] };
        assert_eq!(gate.short_keys(), expected, "{scheme} {value}");
        assert!(!gate.unready().iter().any(|reason| reason.contains("shop")), "{scheme} {value}");
    }
}

#[test]
fn without_its_secrets_a_source_takes_and_sends_nothing() {
    let world = World::new();
    let [shop, plain] = [0, 1].map(|at| &world.gate.policy.sources[at]);
    assert!(world.gate.keys_of(shop).is_ok());
    assert!(world.gate.keys_of(plain).is_err(), "one of its two is missing");
    assert_eq!(world.gate.unready(), ["secret GONE of source plain is not set"]);
    for (name, value, reason) in [
        (
            "SHOP",
            "whsec_!",
            "source shop: secret 1 is not base64, with or without `whsec_` before it",
        ),
        ("SHOP", " ", "source shop: secret 1 is empty"),
        (
            "SHOP",
            "whsec_AAAA",
            "source shop: secret 1 is nothing but zero bytes, which is the same as empty",
        ),
        ("SIGN", "whsec_AAAA", "source shop: `sign` needs whsec_ and the base64 of 24 to 64 bytes"),
    ] {
        let mut secrets = world.gate.secrets.clone();
        secrets.insert(name.to_owned(), crate::text::Secret::new(value.to_owned()));
        secrets.insert("GONE".to_owned(), crate::text::Secret::new("there".to_owned()));
        let gate = Gate::new(world.gate.policy.clone(), world.gate.trust.clone(), secrets);
        assert!(gate.unready().contains(&reason.to_owned()), "{:?}", gate.unready());
        let ask = post(PATH);
        let received = webhook(&ask).received(&gate.policy.sources[0], &ask.headers);
        let sent = gate.webhook_request(&gate.policy.sources[0], &received, "id", BODY, world.now);
        assert_eq!(sent.is_err(), name == "SIGN", "{value}");
    }
    let mut secrets = world.gate.secrets.clone();
    secrets.remove("BILLING_TOKEN");
    let gate = Gate::new(world.gate.policy.clone(), world.gate.trust.clone(), secrets);
    let ask = post(PATH);
    let received = webhook(&ask).received(&gate.policy.sources[0], &ask.headers);
    let sent = gate.webhook_request(&gate.policy.sources[0], &received, "id", BODY, world.now);
    assert_eq!(sent.err(), Some(Unsendable));
}

#[test]
fn a_refusal_is_a_problem_document_or_bare() {
    let webhook = webhook(&post(PATH));
    let problem = Problem::new(crate::problem::Code::SignatureInvalid);
    let (headers, body) = webhook.refusal(&problem, Vec::new(), false);
    assert!(body.contains("\"signature_invalid\""));
    assert!(headers.iter().any(|(name, _)| *name == "Content-Type"));
    let (headers, body) = webhook.refusal(&problem, Vec::new(), true);
    assert_eq!(body, "");
    assert!(headers.iter().all(|(name, _)| *name != "Content-Type"));
    let came =
        Came { webhook: None, failed: Some(Failure::Mismatch), would_refuse: None, upstream: None };
    let now = webhook.arrived_at();
    let line = webhook.log(401, Some(problem.code), &came, now).to_json();
    for part in
        ["\"route\":\"shop\"", "\"failed\":\"signature\"", "\"tenant\":\"acme\"", "\"status\":401"]
    {
        assert!(line.contains(part), "{line}");
    }
}
