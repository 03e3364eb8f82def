//! The gate answers those who ask whether it is there, and signs for no stranger.

use super::*;
use crate::webhook::crypto::portable_mac;

const TOKEN: &str = "qgg8vlvZRS6UYooatFL8Aw";

/// A scheme, headers and a body, and the status and the body of the answer.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], &'r str, u16, &'r str);

/// A challenge of each scheme that has one.
const CHALLENGES: &[Row] = &[
    (
        "slack",
        &[],
        r#"{"token":"x","challenge":"qgg8vlvZRS6UYooatFL8Aw","type":"url_verification"}"#,
        200,
        TOKEN,
    ),
    (
        "zoom",
        &[],
        r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#,
        200,
        // Python: hmac.new(b"zs", token, "sha256").hexdigest()
        concat!(
            r#"{"encryptedToken":""#,
            "919c8d631501ac88985e6974686104158326f1efea623a711669656bfbea9d88",
            r#"","#,
            r#""plainToken":"qgg8vlvZRS6UYooatFL8Aw"}"#
        ),
    ),
    (
        "twitch",
        &[("Twitch-Eventsub-Message-Type", "webhook_callback_verification")],
        r#"{"challenge":"qgg8vlvZRS6UYooatFL8Aw","subscription":{}}"#,
        200,
        TOKEN,
    ),
    (
        "xero",
        &[],
        r#"{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}"#,
        200,
        "",
    ),
    ("discord", &[], r#"{"version":1,"application_id":"1","type":0}"#, 204, ""),
    ("discord", &[], r#"{"id":"1","type":1,"token":"x"}"#, 200, r#"{"type":1}"#),
];

fn challenge((scheme, headers, body, _, _): &Row<'_>) -> Sent {
    let mut sent = Sent::first(scheme);
    sent.body = body.as_bytes().to_vec();
    sent.headers.clear();
    for (name, value) in *headers {
        sent = sent.with(name, value);
    }
    signing::signed_again(&sent)
}

#[test]
fn a_signed_challenge_is_answered() {
    for row in CHALLENGES {
        let (scheme, _, _, status, body) = row;
        let reply = challenge(row).verify().unwrap().reply.unwrap_or_else(|| panic!("{scheme}"));
        assert_eq!((reply.status, reply.body.as_str()), (*status, *body), "{scheme}");
        // Nobody takes it for a page, whatever the token.
        let has = |name: &str, value: &str| reply.headers.contains(&(name, value));
        assert!(has("X-Content-Type-Options", "nosniff"), "{scheme}");
        assert!(has("Content-Security-Policy", "sandbox"), "{scheme}");
        let html = reply.headers.iter().any(|(_, value)| value.contains("html"));
        assert!(!html, "{scheme}");
        // Discord wants the type of an answer, be it empty.
        let json = has("Content-Type", "application/json");
        assert_eq!(json, matches!(*scheme, "discord" | "zoom"), "{scheme}");
    }
    // Every scheme that answers a signed challenge is in the table above.
    for scheme in TABLE.iter().filter(|scheme| scheme.challenges.iter().any(|c| c.signed)) {
        assert!(CHALLENGES.iter().any(|row| row.0 == scheme.name), "{}", scheme.name);
    }
}

#[test]
fn the_gate_signs_and_repeats_nothing_for_strangers() {
    for row in CHALLENGES {
        let scheme = row.0;
        let good = challenge(row);
        let mut forged = vec![("no signature", Sent { headers: Vec::new(), ..good.clone() })];
        let stranger = Sent { secrets: vec![other_secret(good.scheme)], ..good.clone() };
        forged.push(("another's signature", stranger));
        let mut changed = good.clone();
        changed.body.push(b' ');
        forged.push(("another body", changed));
        if good.scheme.signs_time() {
            forged.push(("long ago", Sent { now: good.now + 3_600_000, ..good.clone() }));
        }
        for (why, sent) in forged {
            let failure = sent.verify().unwrap_err();
            assert!(!failure.to_string().contains(TOKEN), "{scheme}: {why}");
            assert_eq!(failure.code().status(), 401, "{scheme}: {why}");
            assert!(unsigned(sent.scheme, &sent.request()).is_none(), "{scheme}: {why}");
        }
    }
}

#[test]
fn a_token_is_a_word_even_if_it_is_signed() {
    let long = "a".repeat(129);
    for token in [
        "",
        "a b",
        "a.b",
        "a:b",
        "v0:1700000000:{}",
        "<script>",
        "a\\nb",
        "\u{e9}",
        "=",
        "a/b",
        "a+b",
        long.as_str(),
    ] {
        for row in CHALLENGES.iter().filter(|row| row.2.contains(TOKEN)) {
            let body = row.2.replace(TOKEN, token);
            let sent = challenge(&(row.0, row.1, &body, row.3, row.4));
            let failure = sent.verify().unwrap_err();
            let of_it = matches!(failure, Failure::Malformed { part: Part::Challenge, .. });
            assert!(of_it, "{} {token:?}: {failure}", row.0);
        }
    }
    let longest = "a".repeat(128);
    for row in CHALLENGES.iter().filter(|row| row.2.contains(TOKEN)) {
        let body = row.2.replace(TOKEN, &longest);
        let sent = challenge(&(row.0, row.1, &body, row.3, row.4));
        assert!(sent.verify().unwrap().reply.unwrap().body.contains(&longest), "{}", row.0);
    }
}

#[test]
fn a_mac_in_an_answer_is_no_signature_of_an_event() {
    // The longest answer a stranger could hope for signs a token; the shortest event has a colon.
    let zoom = named("zoom").unwrap();
    let Signed::Template(template) = zoom.form.signed else { panic!("zoom signs a template") };
    assert!(template.contains(':'));
    let token = [std::borrow::Cow::Borrowed(TOKEN.as_bytes())];
    let mac = portable_mac(zoom.algorithm, b"zs", &token).unwrap();
    let mut sent = Sent::first("zoom").with("x-zm-signature", &format!("v0={}", hex(&mac)));
    sent.body = TOKEN.as_bytes().to_vec();
    assert_eq!(sent.verify().unwrap_err(), Failure::Mismatch);
}

#[test]
fn an_event_that_looks_like_a_challenge_is_an_event() {
    for (scheme, headers, body) in [
        ("slack", &[][..], r#"{"type":"event_callback","challenge":"a"}"#),
        ("slack", &[], r#"{"type":["url_verification"],"challenge":"a"}"#),
        ("zoom", &[], r#"{"event":"meeting.started","payload":{"plainToken":"a"}}"#),
        ("twitch", &[], r#"{"challenge":"a","subscription":{}}"#),
        (
            "twitch",
            &[("Twitch-Eventsub-Message-Type", "webhook_callback_verification")],
            r#"{"challenge":"a","subscription":{},"event":{}}"#,
        ),
        ("xero", &[], r#"{"events":[{}]}"#),
        ("discord", &[], r#"{"version":1,"type":1,"event":{"type":"X"}}"#),
        ("discord", &[], r#"{"type":2,"id":"1"}"#),
        ("discord", &[], r#"{"type":1,"type":1}"#),
        ("stripe", &[], r#"{"type":"url_verification","challenge":"a"}"#),
    ] {
        let sent = challenge(&(scheme, headers, body, 0, ""));
        assert_eq!(sent.verify().unwrap().reply, None, "{scheme} {body}");
    }
}

#[test]
fn what_is_never_signed_gets_back_its_token_or_nothing() {
    let open = |scheme: &str, method: &str, url: &str, body: &str| {
        let scheme = named(scheme).unwrap();
        let request = Request { method, url, headers: &[], body: body.as_bytes() };
        unsigned(scheme, &request)
    };
    let at = |query: &str| format!("https://api.example.com/hooks{query}");
    let reply = open("dropbox", "GET", &at("?challenge=Ff8kkvp-_1"), "").unwrap().unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "Ff8kkvp-_1"));
    assert_eq!(
        reply.headers,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "sandbox"),
        ]
    );
    for query in ["?challenge=", "?challenge=%3Cscript%3E", "?challenge=a.b", "?challenge=a%00"] {
        assert!(open("dropbox", "GET", &at(query), "").unwrap().is_err(), "{query}");
    }
    for (method, query) in
        [("POST", "?challenge=a"), ("GET", ""), ("GET", "?challenge=a&challenge=b")]
    {
        assert!(open("dropbox", method, &at(query), "").is_none(), "{method} {query}");
    }
    let ping = open("woocommerce", "POST", &at(""), "webhook_id=12").unwrap().unwrap();
    assert_eq!((ping.status, ping.body.as_str()), (200, ""));
    for (method, body) in [
        ("POST", ""),
        ("POST", "webhook_id="),
        ("POST", "webhook_id=12&a=b"),
        ("POST", "webhook_id=1x"),
        ("POST", "{\"webhook_id\":12}"),
        ("GET", "webhook_id=12"),
    ] {
        assert!(open("woocommerce", method, &at(""), body).is_none(), "{method} {body}");
    }
    for scheme in TABLE.iter().filter(|scheme| !matches!(scheme.name, "dropbox" | "woocommerce")) {
        let url = at("?challenge=a&hub.challenge=b&crc_token=c&validationToken=d");
        for method in ["GET", "POST"] {
            assert!(open(scheme.name, method, &url, "").is_none(), "{}", scheme.name);
        }
    }
}
