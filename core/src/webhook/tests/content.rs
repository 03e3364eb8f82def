//! What is signed besides the body tells events apart; when and how it was signed does not.

use super::*;
use crate::time::Millis;

const URL: &str = "https://api.example.com/hooks";

/// A request signed anew: at another time, and with another id where the scheme has one for it.
fn signed(sent: &Sent, id: &str, now: u64) -> Sent {
    let own = sent.scheme.headers();
    let mut headers = sent.headers.clone();
    headers.retain(|(name, _)| !own.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let url = Some(sent.url.as_str()).filter(|url| !url.is_empty());
    let event = Event { method: &sent.method, url, id, headers: &headers, body: &sent.body };
    let now_at = UnixMillis::from_millis(now);
    let secret = signing::secret_of(sent);
    let signed = sign(sent.scheme, &secret, &event, now_at, &Ring).unwrap();
    let url = signed.url.unwrap_or_default();
    Sent { url, headers: signed.headers, body: signed.body, now, ..sent.clone() }
}

fn identity(sent: &Sent) -> Identity {
    let verified = sent.verify().unwrap_or_else(|error| panic!("{}: {error}", sent.scheme.name));
    Identity::of(&verified, "request_1", false)
}

#[test]
fn what_a_provider_sends_again_is_the_same_event_at_another_time() {
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        let at = sent.verify().unwrap().timestamp.map_or(sent.now, UnixMillis::as_millis);
        // Linear's time is in the body.
        let later = if sent.scheme.name == "linear" { at } else { at + 3_600_000 };
        let (one, other) = (signed(&sent, "evt_2", at), signed(&sent, "evt_2", later));
        if sent.scheme.signs_time() && later != at {
            assert_ne!(one.headers, other.headers, "{}", right.scheme);
        }
        assert_eq!(identity(&one), identity(&other), "{}", right.scheme);
    }
}

#[test]
fn another_signature_of_a_message_is_no_other_event() {
    let sent = Sent::first("rfc9421");
    let cover = "(\"@method\" \"@target-uri\" \"content-digest\" \"date\")";
    let at = |date: &str, input: &str| {
        let sent = sent.clone().with("Date", date);
        identity(&signing::components_again(&sent, &format!("{cover}{input}")))
    };
    let one = at("1", ";created=1700000000;nonce=\"a\"");
    for (date, input) in [
        ("1", ";created=1700000000;nonce=\"b\""),
        ("1", ";created=1700000000"),
        ("2", ";created=1700000009;expires=1700000099;nonce=\"b b\";keyid=\"k\";tag=\"t\""),
    ] {
        assert_eq!(at(date, input), one, "{input}");
    }
    assert_eq!((one.name.split(':').next(), one.remember), (Some("c"), Millis::minutes(10)));
    // As long as the signature holds, so that it cannot be sent again.
    assert!(one.remember.as_millis() >= 2 * sent.scheme.tolerance.as_millis());
    let verified = sent.verify().unwrap();
    assert_eq!((verified.id, verified.id_signed), (None, false), "a nonce is no id");
}

#[test]
fn what_is_signed_besides_the_body_makes_another_event() {
    // Components, with an empty body.
    let empty = Sent { body: Vec::new(), ..Sent::first("rfc9421") };
    let of = |sent: &Sent, query: &str| {
        let sent = Sent { url: format!("{URL}{query}"), ..sent.clone() };
        identity(&signed(&sent, "evt_2", sent.now))
    };
    for (scheme, sent) in [
        ("rfc9421", empty),
        ("twilio", Sent::first("twilio")),
        ("hubspot", Sent::first("hubspot")),
        ("square", Sent::first("square")),
    ] {
        let [one, other] = ["?order=1", "?order=2"].map(|query| of(&sent, query));
        assert_ne!(one.content, other.content, "{scheme}");
        // Square has an id in its body: the second event is delivered, and flagged.
        assert_eq!(one.name == other.name, scheme == "square", "{scheme}");
        assert_eq!(of(&sent, "?order=1"), one, "{scheme}");
    }
    // A header of a described scheme.
    let fields = [
        ("header", "X-Sig"),
        ("algorithm", "sha256"),
        ("encoding", "hex"),
        ("template", "{header:X-Topic}\n{timestamp}\n{body}"),
        ("timestamp", "X-Time"),
    ];
    let fields = fields.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let described = Description::read(&fields).unwrap();
    let scheme = described.scheme();
    let keys = Keys::read(&scheme, &[Secret::new("secret")]).unwrap();
    let of = |topic: &str, seconds: u64| {
        let headers = [("X-Topic".to_owned(), topic.to_owned())];
        let event =
            Event { method: "POST", url: None, id: "e", headers: &headers, body: b"{\"order\":1}" };
        let now = UnixMillis::from_secs(seconds);
        let signed = sign(&scheme, &Secret::new("secret"), &event, now, &Ring).unwrap();
        let request =
            Request { method: "POST", url: "", headers: &signed.headers, body: &signed.body };
        let verified = verify(&scheme, &keys, &request, BODY_LIMIT, now, &Ring).unwrap();
        Identity::of(&verified, "request_1", false)
    };
    assert_ne!(of("paid", 1_700_000_000), of("cancelled", 1_700_000_000));
    assert_eq!(of("paid", 1_700_000_000), of("paid", 1_700_000_009));
}

#[test]
fn another_spelling_that_fits_the_same_signature_is_no_other_event() {
    let twilio = RIGHT.iter().find(|right| right.url.contains("Jo%20O'B")).map(Sent::of).unwrap();
    let turned = Sent { url: twilio.url.replace("%20", "+"), ..twilio.clone() };
    assert_ne!(turned.url, twilio.url);
    assert_eq!(identity(&turned), identity(&twilio));
    let hubspot = RIGHT.iter().find(|right| right.url.contains("b%3Ac")).map(Sent::of).unwrap();
    let turned = Sent { url: hubspot.url.replace("%3A", ":"), ..hubspot.clone() };
    assert_eq!(identity(&turned), identity(&hubspot));
    // Bytes that move from the query into the body and leave the signature as it is.
    let sent = Sent { url: format!("{URL}?a=b"), body: b"[1]".to_vec(), ..hubspot };
    let sent = signed(&sent, "evt_2", sent.now);
    let moved = Sent { url: URL.to_owned(), body: b"?a=b[1]".to_vec(), ..sent.clone() };
    assert_eq!(identity(&moved), identity(&sent));
}

#[test]
fn notifications_of_dropbox_are_told_apart_by_their_requests_alone() {
    let verified = Sent::first("dropbox").verify().unwrap();
    let of = |request: &str, strict| Identity::of(&verified, request, strict);
    assert_ne!(of("request_1", false).name, of("request_2", false).name);
    assert_eq!(of("request_1", false).name, of("request_1", false).name);
    assert_eq!(of("request_1", false).name.split(':').next(), Some("r"));
    let others = TABLE.iter().filter(|scheme| scheme.known_by == KnownBy::Request);
    assert_eq!(others.map(|scheme| scheme.name).collect::<Vec<_>>(), ["dropbox"]);
}

#[test]
fn bodies_that_count_their_attempts_are_known_by_their_id() {
    for (scheme, body) in [
        ("coinbase-commerce", r#"{"id":"$","attempt_number":$,"event":{"id":"evt_1","type":"t"}}"#),
        ("notion", r#"{"id":"evt_1","attempt_number":$,"type":"t"}"#),
    ] {
        let of = |body: String| {
            let sent = Sent { body: body.into_bytes(), ..Sent::first(scheme) };
            identity(&signed(&sent, "evt_2", sent.now))
        };
        let [one, other] = ["1", "2"].map(|attempt| of(body.replace('$', attempt)));
        assert_eq!(one, other, "{scheme}");
        let next = of(body.replace("evt_1", "evt_2").replace('$', "1"));
        assert_ne!(next.name, one.name, "{scheme}");
        // Without its id the content is all there is.
        let nameless = of(body.replace("evt_1", "").replace('$', "1"));
        assert_eq!(nameless.name.split(':').next(), Some("c"), "{scheme}");
    }
    let of_id = TABLE.iter().filter(|scheme| scheme.known_by == KnownBy::Id);
    let of_id: Vec<&str> = of_id.map(|scheme| scheme.name).collect();
    assert_eq!(of_id, ["coinbase-commerce", "notion"]);
}

#[test]
fn events_of_one_dispute_are_several() {
    let sent = RIGHT.iter().filter(|right| right.scheme == "adyen").nth(1).map(Sent::of).unwrap();
    let of = |from: &str, to: &str| {
        let body = String::from_utf8(sent.body.clone()).unwrap().replace(from, to);
        identity(&signed(&Sent { body: body.into_bytes(), ..sent.clone() }, "e", sent.now))
    };
    let one = of("CAPTURE", "NOTIFICATION_OF_CHARGEBACK");
    let other = of("CAPTURE", "CHARGEBACK");
    assert_ne!(one.name, other.name);
    assert_eq!(one.remember, Millis::hours(72));
    // Sent again it is the same, whatever stands where nothing is signed.
    let again = of("CAPTURE\"", "CHARGEBACK\",\"attempt\":2");
    assert_eq!(again, other);
}

#[test]
fn nothing_above_a_mebibyte_is_read_as_json_or_as_a_form() {
    let blank = |sent: &Sent, filler: u8| {
        let mut sent = sent.clone();
        sent.body.resize(BODY_LIMIT + 1, filler);
        sent
    };
    let at = |sent: &Sent| {
        let now = UnixMillis::from_millis(sent.now);
        let keys = sent.keys().unwrap();
        verify(sent.scheme, &keys, &sent.request(), FORWARD_LIMIT, now, &Ring)
    };
    let stripe = Sent::first("stripe");
    assert!(at(&stripe).unwrap().id.is_some());
    let long = at(&signed(&blank(&stripe, b' '), "e", stripe.now)).unwrap();
    assert_eq!((long.id, long.id_signed), (None, false));
    let whole = signed(&blank(&Sent::first("adyen"), b' '), "e", stripe.now);
    assert!(matches!(at(&whole), Err(Failure::Malformed { part: Part::Body, .. })));
    let payment =
        RIGHT.iter().filter(|right| right.scheme == "adyen").nth(1).map(Sent::of).unwrap();
    assert!(matches!(at(&blank(&payment, b' ')), Err(Failure::Missing(_))));
    let form = blank(&Sent::first("twilio"), b'x');
    assert!(matches!(at(&form), Err(Failure::Malformed { part: Part::Body, .. })));
    assert!(json::parse(&[b"[]".to_vec(), vec![b' '; BODY_LIMIT - 2]].concat()).is_some());
}
