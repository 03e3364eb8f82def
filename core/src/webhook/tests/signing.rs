//! What is signed verifies, whatever the scheme.

use super::*;
use crate::webhook::components;

/// RFC 8032 section 7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// The same request, signed by its first secret once more.
pub(super) fn signed_again(sent: &Sent) -> Sent {
    let own = sent.scheme.headers();
    let mut headers = sent.headers.clone();
    headers.retain(|(name, _)| !own.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let url = Some(sent.url.as_str()).filter(|url| !url.is_empty());
    let event =
        Event { method: &sent.method, url, id: "evt_2", headers: &headers, body: &sent.body };
    let now = UnixMillis::from_millis(sent.now);
    let signed = sign(sent.scheme, &secret_of(sent), &event, now, &Ring);
    let signed = signed.unwrap_or_else(|error| panic!("{}: {error}", sent.scheme.name));
    let url = signed.url.unwrap_or_default();
    Sent { url, headers: signed.headers, body: signed.body, ..sent.clone() }
}

pub(super) fn secret_of(sent: &Sent) -> Secret {
    let seed = sent.scheme.algorithm == Algorithm::Ed25519;
    Secret::new(if seed { SEED } else { &sent.secrets[0] })
}

/// The same request with a message signature over what `input` lists.
pub(super) fn components_again(sent: &Sent, input: &str) -> Sent {
    let list = input.split(')').next().unwrap_or_default();
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    // What cannot be signed is sent with some signature all the same.
    let base = components::lines(&sent.request(), &names, input).unwrap_or_default().concat();
    let key = encoding::key(KeyForm::Base64, &secret_of(sent), 1).unwrap();
    let message = [std::borrow::Cow::Owned(base.into_bytes())];
    let mac = portable_mac(Algorithm::HmacSha256, &key, &message).unwrap();
    let sent = sent.clone().with("Signature-Input", &format!("a={input}"));
    sent.with("Signature", &format!("a=:{}:", base64(&mac)))
}

#[test]
fn a_signed_event_of_any_scheme_verifies() {
    for right in RIGHT.iter() {
        let mut sent = Sent::of(right);
        // The places of the time that stand in the body are its own.
        sent.now = sent.verify().unwrap().timestamp.map_or(sent.now, UnixMillis::as_millis);
        let again = signed_again(&sent);
        let verified = again.verify();
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", right.scheme));
        assert_eq!(verified.timestamp.is_some(), sent.scheme.signs_time(), "{}", right.scheme);
        let mut other = again;
        other.secrets = vec![other_secret(other.scheme)];
        assert_eq!(other.verify().unwrap_err(), Failure::Mismatch, "{}", right.scheme);
    }
}

#[test]
fn a_sample_of_any_scheme_verifies_and_has_its_id_where_the_scheme_has_one() {
    let now = UnixMillis::from_secs(1_800_000_000);
    for scheme in TABLE {
        let (body, content_type) = sample(scheme, "evt_9", now);
        let sent = Sent {
            body,
            headers: vec![("Content-Type".to_owned(), content_type)],
            now: now.as_millis(),
            url: "https://api.example.com/hooks?a=b".to_owned(),
            method: "POST".to_owned(),
            ..Sent::first(scheme.name)
        };
        let verified = signed_again(&sent).verify();
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", scheme.name));
        assert_eq!(verified.reply, None, "{}: a test event is no challenge", scheme.name);
        let expected = match scheme.form.id {
            Some(Place::Header(_)) => Some("evt_2"),
            Some(_) if scheme.name != "discord" => Some("evt_9"),
            _ => None,
        };
        assert_eq!(verified.id.as_deref(), expected, "{}", scheme.name);
    }
}

#[test]
fn what_cannot_be_signed_is_told() {
    let event = Event { method: "POST", url: None, id: "evt_1", headers: &[], body: b"{}" };
    let try_it = |scheme: &str, secret: &str, event: Event<'_>| {
        let now = UnixMillis::from_secs(1_700_000_000);
        sign(named(scheme).unwrap(), &Secret::new(secret), &event, now, &Ring).unwrap_err()
    };
    for scheme in ["twilio", "square", "hubspot", "rfc9421"] {
        let secret = if scheme == "rfc9421" { "AAAB" } else { "s" };
        assert_eq!(try_it(scheme, secret, event), SignError::NeedsUrl, "{scheme}");
    }
    let time = SignError::NeedsTime("webhookTimestamp".to_owned());
    assert_eq!(try_it("linear", "s", event), time);
    assert_eq!(try_it("github", " ", event), SignError::Key(KeyError::Empty(1)));
    assert_eq!(try_it("github", "s", Event { id: "a b", ..event }), SignError::Id);
    let dotted = try_it("standard-webhooks", "AAAB", Event { id: "a.b", ..event });
    assert!(matches!(dotted, SignError::Refused(Failure::Malformed { part: Part::Id, .. })));
}
