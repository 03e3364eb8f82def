//! What is refused although some verifiers take it.

use super::*;
use crate::webhook::verify::read_time;

/// A request of a scheme, with one header changed, and why it is refused.
type Change = (&'static str, &'static str, &'static str, &'static str);

#[test]
fn a_signature_has_one_spelling() {
    let github = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let upper = github.to_uppercase();
    let shopify = Sent::first("shopify").header("x-shopify-hmac-sha256").to_owned();
    let unpadded = shopify.trim_end_matches('=').to_owned();
    // 32 bytes whose base64 has both signs that the other alphabet spells in another way.
    let urlsafe = base64(&[0xfb; 32]).replace('+', "-").replace('/', "_");
    assert!(urlsafe.contains('-') && urlsafe.contains('_'));
    for (scheme, name, value, why) in [
        ("github", "X-Hub-Signature-256", format!("sha256={upper}"), "capitals"),
        ("github", "X-Hub-Signature-256", github.to_owned(), "no label"),
        ("github", "X-Hub-Signature-256", format!("sha1={github}"), "another label"),
        ("github", "X-Hub-Signature-256", "sha256=".to_owned(), "nothing"),
        ("github", "X-Hub-Signature-256", format!("sha256={}", &github[..62]), "too short"),
        ("github", "X-Hub-Signature-256", format!("sha256={github}00"), "too long"),
        ("github", "X-Hub-Signature-256", format!("sha256={}", "z".repeat(64)), "no hex"),
        ("github", "X-Hub-Signature-256", format!("sha256= {github}"), "a blank"),
        ("github", "X-Hub-Signature-256", format!("sha256={github},sha256={github}"), "a list"),
        ("shopify", "X-Shopify-Hmac-Sha256", unpadded, "no padding"),
        ("shopify", "X-Shopify-Hmac-Sha256", format!("{shopify}="), "too much padding"),
        ("shopify", "X-Shopify-Hmac-Sha256", hex(&[0; 32]), "hex"),
        ("shopify", "X-Shopify-Hmac-Sha256", urlsafe, "another alphabet"),
        ("adyen", "HmacSignature", "A".repeat(44), "33 bytes"),
        ("pagerduty", "X-PagerDuty-Signature", format!("v2={github}"), "another version"),
        ("standard-webhooks", "webhook-signature", format!("v1a,{shopify}"), "asymmetric"),
        ("standard-webhooks", "webhook-signature", "v1,".to_owned(), "nothing"),
        ("standard-webhooks", "webhook-signature", format!("v1,{shopify},v1,{shopify}"), "commas"),
        ("discord", "X-Signature-Ed25519", "00".repeat(32), "half of it"),
    ] {
        let failure = Sent::first(scheme).with(name, &value).verify().unwrap_err();
        let malformed = matches!(failure, Failure::Malformed { part: Part::Signature, .. });
        assert!(malformed, "{scheme}: {why}: {failure}");
        assert_eq!((failure.reason(), failure.code()), ("malformed", Code::SignatureInvalid));
    }
}

#[test]
fn a_time_is_written_in_one_way() {
    let malformed = |scheme: &str, name: &str, value: &str| {
        let failure = Sent::first(scheme).with(name, value).verify().unwrap_err();
        let time = matches!(failure, Failure::Malformed { part: Part::Timestamp, .. });
        assert!(time, "{scheme} {value:?}: {failure}");
    };
    for value in [
        "+1531420618",
        "-1531420618",
        "01531420618",
        "1531420618.0",
        "1531420618 1",
        "0x5b47",
        "1e9",
        "Infinity",
        "NaN",
        "15314206180000000000",
        "99999999999999999999",
        "١٥٣١٤٢٠٦١٨",
        "2018-07-12T18:36:58Z",
    ] {
        malformed("slack", "X-Slack-Request-Timestamp", value);
        malformed("hubspot", "X-HubSpot-Request-Timestamp", value);
    }
    for value in [
        "1700000000",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13:20+00:00",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20.1234567890Z",
        "2023-11-14T22:13:20.+1Z",
        "2023-02-30T22:13:20Z",
        "12023-11-14T22:13:20Z",
        "Z",
        ".Z",
    ] {
        malformed("zendesk", "X-Zendesk-Webhook-Signature-Timestamp", value);
        malformed("twitch", "Twitch-Eventsub-Message-Timestamp", value);
    }
    let stripe = Sent::first("stripe");
    let signature = stripe.header("stripe-signature").to_owned();
    for value in [
        signature.replace("t=1700000000,", ""),
        signature.replace("t=", "t=+"),
        signature.replace("t=", "t=0"),
        signature.replace("t=1700000000", "t="),
        signature.replace("t=1700000000", "t=1700000000,t=1700000600"),
        signature.replace("t=1700000000", "t=1700000000,t=1700000000"),
    ] {
        malformed("stripe", "Stripe-Signature", &value);
    }
    // A time that is missing in a header of its own is missing, and so is an empty one.
    for value in ["", " "] {
        let failure = Sent::first("slack").with("X-Slack-Request-Timestamp", value).verify();
        assert_eq!(failure.unwrap_err(), Failure::Missing("X-Slack-Request-Timestamp".to_owned()));
    }
    assert_eq!(
        read_time(Unit::Rfc3339, "2023-11-14T22:13:20.999999999Z"),
        Ok(UnixMillis::from_millis(1_700_000_000_999))
    );
    assert_eq!(
        read_time(Unit::Rfc3339, "2023-11-14T22:13:20.5Z"),
        Ok(UnixMillis::from_millis(1_700_000_000_500))
    );
    assert_eq!(read_time(Unit::Seconds, "0"), Ok(UnixMillis::from_secs(0)));
}

#[test]
fn a_time_in_the_body_is_a_whole_number_there() {
    for (time, why) in [
        ("\"webhookTimestamp\":1700000000000.5", "a fraction"),
        ("\"webhookTimestamp\":-1", "a sign"),
        ("\"webhookTimestamp\":null", "nothing"),
        ("\"webhookTimestamp\":[1700000000000]", "a list"),
        ("\"other\":1700000000000", "missing"),
        ("\"webhookTimestamp\":1700000000000,\"webhookTimestamp\":1700000000000", "twice"),
    ] {
        let mut sent = Sent::first("linear");
        sent.body = format!("{{{time}}}").into_bytes();
        let body = [std::borrow::Cow::Borrowed(sent.body.as_slice())];
        let mac = portable_mac(Algorithm::HmacSha256, b"s", &body).unwrap();
        let failure = sent.clone().with("Linear-Signature", &hex(&mac)).verify().unwrap_err();
        let time = matches!(failure, Failure::Malformed { part: Part::Timestamp, .. });
        assert!(time, "{why}: {failure}");
    }
    // The header beside it is not signed, and changes nothing.
    let forged = Sent::first("linear").with("Linear-Timestamp", "1800000000000");
    assert!(forged.verify().is_ok());
    assert!(Sent { now: 1_800_000_000_000, ..forged }.verify().is_err());
}

#[test]
fn an_id_that_could_lend_bytes_to_the_time_is_refused() {
    // `msg.1700000000` and `{…}` make the same text as `msg` and `1700000000.{…}`.
    for id in ["msg.1", ".", "msg_1.1700000000", "msg 1", "msg\u{7f}", "é", &"x".repeat(257)] {
        for (scheme, name) in [("standard-webhooks", "webhook-id"), ("svix", "svix-id")] {
            let failure = Sent::first(scheme).with(name, id).verify().unwrap_err();
            let of_id = matches!(failure, Failure::Malformed { part: Part::Id, .. });
            assert!(of_id, "{scheme} {id:?}: {failure}");
        }
    }
    // Without a sign between them, the time's form says where the id ends.
    let sent = Sent::first("twitch");
    let time = sent.header("Twitch-Eventsub-Message-Timestamp").to_owned();
    for (id, time) in [
        (format!("e76c6bd4{}", &time[..1]), &time[1..]),
        ("e76c6bd".to_owned(), format!("4{time}").as_str()),
    ] {
        let moved = Sent::first("twitch").with("Twitch-Eventsub-Message-Id", &id);
        let moved = moved.with("Twitch-Eventsub-Message-Timestamp", time);
        assert!(matches!(moved.verify(), Err(Failure::Malformed { .. })), "{id} {time}");
    }
    // Digits that move from the time into the body leave a time of long ago.
    let mut hubspot = Sent::first("hubspot");
    hubspot.body.extend(b"17");
    let moved = hubspot.with("X-HubSpot-Request-Timestamp", "00000000123");
    assert!(matches!(moved.verify(), Err(Failure::Malformed { part: Part::Timestamp, .. })));
}

#[test]
fn a_header_stands_there_once_and_is_short() {
    for right in RIGHT.iter().filter(|right| !right.scheme.starts_with("rfc9421")) {
        let sent = Sent::of(right);
        for form in sent.scheme.forms() {
            let Place::Header(name) = form.signature else { continue };
            if sent.header(name).is_empty() {
                continue;
            }
            let mut twice = sent.clone();
            twice.headers.push((name.to_uppercase(), sent.header(name).to_owned()));
            assert!(matches!(twice.verify(), Err(Failure::Malformed { .. })), "{}", right.scheme);
            let long = sent.clone().with(name, &"v1=".repeat(4_000));
            assert!(matches!(long.verify(), Err(Failure::Malformed { .. })), "{}", right.scheme);
        }
    }
}

#[test]
fn eight_signatures_are_tried_and_no_more() {
    let (sent, wrong) = (Sent::first("pagerduty"), format!("v1={}", "0".repeat(64)));
    let right = sent.header("x-pagerduty-signature").split(',').nth(1).unwrap().to_owned();
    for (before, passes) in [(0, true), (7, true), (8, false), (60, false)] {
        let list = [vec![wrong.clone(); before], vec![right.clone()]].concat().join(",");
        let sent = sent.clone().with("X-PagerDuty-Signature", &list);
        assert_eq!(sent.verify().is_ok(), passes, "{before} wrong ones before it");
    }
    let docusign = Sent::first("docusign");
    let right = docusign.header("x-docusign-signature-2").to_owned();
    for (number, passes) in [("1", true), ("8", true), ("9", false), ("0", false), ("01", false)] {
        let mut sent = docusign.clone();
        sent.headers = vec![(format!("x-docusign-signature-{number}"), right.clone())];
        assert_eq!(sent.verify().is_ok(), passes, "{number}");
    }
}

#[test]
fn secrets_are_read_strictly_and_never_told() {
    let long = "whsec_".to_owned() + &base64(&[1; 24]);
    for (scheme, secrets, error) in [
        ("github", &[][..], KeyError::None),
        ("github", &[""], KeyError::Empty(1)),
        ("github", &["a", " \t"], KeyError::Empty(2)),
        ("github", &["a"; 9], KeyError::TooMany),
        ("standard-webhooks", &["whsec_"], KeyError::Empty(1)),
        ("standard-webhooks", &[""], KeyError::Empty(1)),
        // The keys that HMAC makes of these are the one that it makes of nothing.
        ("standard-webhooks", &["whsec_AAAA"], KeyError::Zero(1)),
        ("rfc9421", &["AAAB", "AA=="], KeyError::Zero(2)),
        ("adyen", &["0000"], KeyError::Zero(1)),
        ("github", &["\0\0"], KeyError::Zero(1)),
        ("rfc9421", &["===="], KeyError::Form { at: 1, wanted: "base64" }),
        ("adyen", &["xyz"], KeyError::Form { at: 1, wanted: "hex" }),
        (
            "standard-webhooks",
            &[long.as_str(), "whsec_hunter2!"],
            KeyError::Form { at: 2, wanted: "base64, with or without `whsec_` before it" },
        ),
        (
            "discord",
            &["abcd"],
            KeyError::Form { at: 1, wanted: "the hex of an Ed25519 key, 64 digits" },
        ),
    ] {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        let found = Keys::read(named(scheme).unwrap(), &secrets).unwrap_err();
        assert_eq!(found, error, "{scheme}");
        assert!(!found.to_string().contains("hunter2"));
    }
    let keys = Keys::read(named("github").unwrap(), &[Secret::new("hunter2")]).unwrap();
    assert_eq!(format!("{keys:?}"), "Keys(1)");
}

#[test]
fn a_body_over_the_cap_is_not_hashed() {
    let sent = Sent::first("github");
    let (keys, request) = (sent.keys().unwrap(), sent.request());
    let limit = sent.body.len();
    assert!(prepare(sent.scheme, &keys, &request, limit).is_ok());
    let failure = prepare(sent.scheme, &keys, &request, limit - 1).unwrap_err();
    assert_eq!(failure, Failure::TooLarge(limit - 1));
    assert_eq!((failure.code(), failure.step()), (Code::BodyTooLarge, "size"));
}

#[test]
fn no_failure_tells_a_signature() {
    for right in RIGHT.iter() {
        let mut sent = Sent::of(right);
        sent.secrets = vec![other_secret(sent.scheme)];
        let (keys, request) = (sent.keys().unwrap(), sent.request());
        let pending = prepare(sent.scheme, &keys, &request, BODY_LIMIT).unwrap();
        let failure = sent.verify().unwrap_err();
        let told = format!("{failure} {failure:?}");
        for done in pending.tasks().into_iter().map(|task| Ring.run(task)) {
            let Done::Mac(expected) = done else { continue };
            assert!(!told.contains(&hex(&expected)) && !told.contains(&base64(&expected)));
        }
        for (_, value) in right.headers.iter().filter(|(_, value)| value.len() > 20) {
            assert!(!told.contains(value.as_str()), "{told}");
        }
    }
}

#[test]
fn message_signatures_have_to_make_the_whole_request_sure() {
    let sent = Sent::first("rfc9421");
    let any = named("rfc9421-hmac-sha256").unwrap();
    let again = |input: &str| signing::components_again(&sent, input);
    let base = ";created=1700000000";
    for (input, whole, why) in [
        (format!("(\"@method\" \"@target-uri\" \"content-digest\"){base}"), true, "all of it"),
        (
            format!("(\"@method\" \"@authority\" \"@request-target\" \"content-digest\"){base}"),
            true,
            "in parts",
        ),
        (format!("(\"@method\" \"@target-uri\"){base}"), false, "no body"),
        (format!("(\"@target-uri\" \"content-digest\"){base}"), false, "no method"),
        (
            format!("(\"@method\" \"@authority\" \"@path\" \"content-digest\"){base}"),
            false,
            "no query",
        ),
        (format!("(\"@method\" \"@path\" \"@query\" \"content-digest\"){base}"), false, "no host"),
        (format!("(){base}"), false, "nothing"),
    ] {
        let signed = again(&input);
        assert_eq!(signed.verify().is_ok(), whole, "{why}");
        assert!(Sent { scheme: any, ..signed }.verify().is_ok(), "{why}");
    }
    let cover = "(\"@method\" \"@target-uri\" \"content-digest\")";
    for (input, why) in [
        (cover.to_owned(), "no time"),
        (format!("{cover};created=+1700000000"), "a sign"),
        (format!("{cover};created=01700000000"), "a zero in front"),
        (format!("{cover};created=1700000000.5"), "a fraction"),
        (format!("{cover};created=\"1700000000\""), "a text"),
        (format!("{cover};created=1700000000;created=1700000000"), "two times"),
        (format!("{cover}{base};alg=\"rsa-pss-sha512\""), "another algorithm"),
        (format!("{cover}{base};alg=hmac-sha256"), "no text"),
        (format!("{cover}{base};expires=1699999999"), "ended"),
        (format!("(\"@method\" \"@method\" \"@target-uri\" \"content-digest\"){base}"), "twice"),
        (format!("(\"@method\";req \"@target-uri\" \"content-digest\"){base}"), "parameters"),
        (format!("(\"@method\"  \"@target-uri\" \"content-digest\"){base}"), "two blanks"),
        (format!("(\"@method\" \"@target-uri\" \"content-digest\" \"@status\"){base}"), "unknown"),
        (format!("(\"@method\" \"@target-uri\" \"content-digest\" \"x-none\"){base}"), "not there"),
        (format!("(\"@method\" \"@target-uri\" \"content-digest\"{base}"), "open"),
    ] {
        assert!(again(&input).verify().is_err(), "{why}");
    }
    let ahead = again(&format!("{cover}{base};expires=1700000001"));
    assert!(ahead.verify().is_ok());
    let digest = sent.header("content-digest").to_owned();
    for (digest, why) in [
        (digest.replace("sha-256", "md5"), "an unknown digest"),
        (format!("{digest}, sha-512=:AAAA:"), "one of two is wrong"),
        ("sha-256=:AAAA:".to_owned(), "another body's"),
    ] {
        let signed = signing::components_again(
            &sent.clone().with("Content-Digest", &digest),
            &format!("{cover}{base}"),
        );
        assert!(signed.verify().is_err(), "{why}");
    }
}

/// Places that are not signed, and what they would have to say to matter.
const UNSIGNED: [Change; 3] = [
    ("sentry", "Sentry-Hook-Timestamp", "9999999999", "a time"),
    ("linear", "Linear-Timestamp", "1", "a time"),
    ("github", "X-Hub-Signature", "sha1=0", "an older signature"),
];

#[test]
fn what_is_not_signed_is_not_looked_at() {
    for (scheme, name, value, why) in UNSIGNED {
        assert!(Sent::first(scheme).with(name, value).verify().is_ok(), "{scheme}: {why}");
    }
    let mut only_old = Sent::first("github");
    only_old.headers = vec![("X-Hub-Signature".to_owned(), "sha1=01dc10d0".to_owned())];
    assert!(matches!(only_old.verify(), Err(Failure::Missing(_))));
}
