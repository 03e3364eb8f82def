//! What makes two events one, and the gate's own signature.

use super::*;
use crate::time::Millis;
use crate::webhook::uniform::{SignerError, Signers};

/// An event of this signed text, in a request that verified.
fn verified(id: Option<&str>, id_signed: bool, text: &str) -> Verified {
    let mut content = [0; 32];
    content[..text.len()].copy_from_slice(text.as_bytes());
    Verified {
        id: id.map(str::to_owned),
        id_signed,
        timestamp: None,
        secret: 0,
        covers: Covers::Body,
        content,
        known_by: KnownBy::All,
        reply: None,
    }
}

#[test]
fn an_event_is_known_by_the_surest_thing_it_has() {
    let of = |id: Option<&str>, signed, body: &str, strict| {
        Identity::of(&verified(id, signed, body), "request_1", strict)
    };
    for (id, signed, strict, kind, remember) in [
        (Some("e"), true, false, "i", Millis::hours(72)),
        (Some("e"), true, true, "i", Millis::days(30)),
        (Some("e"), false, false, "d", Millis::hours(72)),
        (Some("e"), false, true, "c", Millis::days(30)),
        (None, false, false, "c", Millis::minutes(10)),
        (None, false, true, "c", Millis::days(30)),
    ] {
        let identity = of(id, signed, "body", strict);
        assert_eq!(identity.name.split(':').next(), Some(kind), "{id:?} {signed} {strict}");
        assert_eq!((identity.remember, identity.name.len()), (remember, 66));
    }
    // A signed id is the same event whatever the body; the body tells whether it was used again.
    let (one, other) = (of(Some("e"), true, "a", false), of(Some("e"), true, "b", false));
    assert_eq!(one.name, other.name);
    assert_ne!(one.content, other.content);
    // An unsigned one counts only beside the body.
    assert_ne!(of(Some("e"), false, "a", false).name, of(Some("e"), false, "b", false).name);
    assert_ne!(of(Some("e"), false, "a", false).name, of(Some("f"), false, "a", false).name);
    // With `strict` a new delivery id makes no new event.
    assert_eq!(of(Some("e"), false, "a", true), of(Some("f"), false, "a", true));
    // The sorts never meet, and what nobody signed is a sort of its own.
    assert_ne!(of(Some("e"), true, "a", false).name, of(Some("e"), false, "a", false).name);
    let stranger = Identity::unverified(b"a");
    assert_eq!((stranger.name.split(':').next(), stranger.name.len()), (Some("u"), 66));
}

#[test]
fn what_a_signed_time_keeps_out_needs_no_long_memory() {
    let mut event = verified(Some("e"), true, "body");
    assert_eq!(Identity::of(&event, "r", true).remember, Millis::days(30));
    event.timestamp = Some(UnixMillis::from_secs(1));
    assert_eq!(Identity::of(&event, "r", true).remember, Millis::hours(72));
    // Every scheme with a signed id and no signed time is remembered that long.
    let mut long = Vec::new();
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        let found = sent.verify().unwrap();
        if found.id_signed && found.timestamp.is_none() && !long.contains(&sent.scheme.name) {
            long.push(sent.scheme.name);
            assert_eq!(Identity::of(&found, "r", true).remember, Millis::days(30));
            assert_eq!(Identity::of(&found, "r", false).remember, Millis::hours(72));
        }
    }
    assert_eq!(long, ["square", "coinbase-commerce", "pagerduty", "adyen", "notion", "typeform"]);
}

#[test]
fn what_is_not_signed_makes_no_new_event() {
    let sent = RIGHT.iter().filter(|right| right.scheme == "adyen").nth(1).map(Sent::of).unwrap();
    let identity = |body: &str| {
        let sent = Sent { body: body.as_bytes().to_vec(), ..sent.clone() };
        Identity::of(&sent.verify().unwrap(), "r", false)
    };
    let body = String::from_utf8(sent.body.clone()).unwrap();
    let (one, other) =
        (identity(&body), identity(&body.replace("\"reason\":\"reason\"", "\"x\":1")));
    assert_eq!(one, other);
    // Twilio's fields in another order, with another token that nobody signed.
    let twilio = Sent::first("twilio");
    let mut fields: Vec<&str> = std::str::from_utf8(&twilio.body).unwrap().split('&').collect();
    fields.reverse();
    let turned = Sent { body: fields.join("&").into_bytes(), ..twilio.clone() };
    let of = |sent: &Sent| Identity::of(&sent.verify().unwrap(), "r", true);
    assert_eq!(of(&twilio), of(&turned.with("I-Twilio-Idempotency-Token", "other")));
}

#[test]
fn the_gates_signature_is_one_that_standard_webhooks_verifies() {
    // Published: standard-webhooks, libraries/javascript/src/index.test.ts.
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let signers = Signers::read(std::slice::from_ref(&secret)).unwrap();
    let now = UnixMillis::from_secs(1_614_265_330);
    let body = br#"{"test": 2432232314}"#;
    let headers = signers.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body, &Portable).unwrap();
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(
        headers.each_ref().map(|(name, value)| (*name, value.as_str())),
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", expected),
        ]
    );
    // During a rotation either secret verifies it.
    let new = Secret::new(other_secret(named("standard-webhooks").unwrap()));
    let both = Signers::read(&[new.clone(), secret.clone()]).unwrap();
    let headers = both.sign("msg_1", now, body, &Portable).unwrap();
    let headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let scheme = named("standard-webhooks").unwrap();
    let request = Request { method: "POST", url: "", headers: &headers, body };
    for secret in [new, secret] {
        let keys = Keys::read(scheme, &[secret]).unwrap();
        let verified = verify(scheme, &keys, &request, BODY_LIMIT, now, &Portable).unwrap();
        assert_eq!(verified.id.as_deref(), Some("msg_1"));
    }
}

#[test]
fn the_gate_signs_with_good_secrets_and_plain_ids_only() {
    let of = |bytes: usize| Secret::new(format!("whsec_{}", base64(&vec![1; bytes])));
    let read = |secrets: &[Secret]| Signers::read(secrets).map(|_| ());
    for (secrets, expected) in [
        (vec![of(24)], Ok(())),
        (vec![of(64), of(32)], Ok(())),
        (vec![], Err(SignerError::Key(KeyError::None))),
        (vec![Secret::new("whsec_")], Err(SignerError::Key(KeyError::Empty(1)))),
        (vec![of(32), of(23)], Err(SignerError::Length(2))),
        (vec![of(65)], Err(SignerError::Length(1))),
        (vec![of(32); 3], Err(SignerError::TooMany)),
    ] {
        assert_eq!(read(&secrets), expected, "{}", secrets.len());
    }
    let signers = Signers::read(&[of(32)]).unwrap();
    for id in ["", "a.b", "a b", "é", &"x".repeat(257)] {
        let now = UnixMillis::from_secs(0);
        assert_eq!(signers.sign(id, now, b"", &Portable), Err(SignerError::Id), "{id:?}");
    }
}
