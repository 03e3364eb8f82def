//! Every scheme takes any request without a panic, lets in nothing that is not signed, and its
//! answers hold no signature.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use tollgate_core::text::Secret;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::table::TABLE;
use tollgate_core::webhook::{
    Algorithm, BODY_LIMIT, Crypto, Description, Done, Event, Identity, KeyForm, Keys, Message,
    Request, Scheme, base64, hex, pieces, prepare, sample, sign, unsigned, verify,
};

struct Ring;

impl Crypto for Ring {
    fn ed25519_fits(&self, key: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(&message.concat(), signature).is_ok()
    }

    fn ed25519_sign(&self, seed: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(pair.sign(&message.concat()).as_ref().to_vec())
    }
}

/// What signs, and what verifies. RFC 8032 section 7.1, test 1.
fn secrets(scheme: &Scheme<'_>) -> (Secret, Secret) {
    let same = |text: String| (Secret::new(text.clone()), Secret::new(text));
    match scheme.key {
        KeyForm::Text => same("hunter2hunter2".to_owned()),
        KeyForm::Whsec => same(format!("whsec_{}", base64(&[1; 32]))),
        KeyForm::Base64 => same(base64(&[1; 32])),
        KeyForm::Hex => same(hex(&[1; 32])),
        KeyForm::PublicKey => (
            Secret::new("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
            Secret::new("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        ),
    }
}

fn schemes() -> impl Strategy<Value = &'static Scheme<'static>> {
    prop::sample::select(TABLE.iter().collect::<Vec<_>>())
}

/// Values of the kind that stand in the headers of webhooks, and any others.
fn values() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "t=",
        "v1=",
        "v0=",
        "v1,",
        "h1=",
        "ts=",
        "sha256=",
        "sig1=",
        ":",
        ";",
        ",",
        " ",
        ".",
        "=",
        "(",
        ")",
        "\"@method\"",
        "\"",
        "created=",
        "1700000000",
        "1700000000000",
        "2023-11-14T22:13:20Z",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "é",
        "\u{0}",
        "-",
        "+",
        "msg_1",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

/// Bodies of the kind that webhooks have, and any others.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"id\"",
        "\"event\"",
        "\"type\"",
        ":",
        ",",
        "1",
        "1700000000000",
        "\"webhookTimestamp\"",
        "\"notificationItems\"",
        "\"NotificationRequestItem\"",
        "\"additionalData\"",
        "\"hmacSignature\"",
        "\"challenge\"",
        "\"url_verification\"",
        "a=b",
        "&",
        "=",
        "%",
        "%zz",
        "+",
        "webhook_id=1",
        "null",
        "\"a\"",
        "\\u0000",
        " ",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

prop_compose! {
    /// A request with some of the scheme's headers, and some others.
    fn requests()(
        scheme in schemes(), given in prop::collection::vec((any::<bool>(), values()), 4),
        others in prop::collection::vec((values(), values()), 0..3), body in bodies(),
        method in prop_oneof![Just("POST".to_owned()), Just("GET".to_owned()), any::<String>()],
        url in prop_oneof![
            Just("https://api.example.com/hooks?a=b".to_owned()), any::<String>(),
            values().prop_map(|t| format!("https://api.example.com:1/{t}?challenge={t}&{t}")),
        ],
        form in any::<bool>(),
    ) -> (&'static Scheme<'static>, String, String, Vec<(String, String)>, Vec<u8>) {
        let own = scheme.headers().into_iter().zip(given);
        let mut headers: Vec<(String, String)> =
            own.filter(|(_, (given, _))| *given).map(|(name, (_, value))| (name, value)).collect();
        headers.extend(others);
        if form {
            let media = "application/x-www-form-urlencoded";
            headers.push(("content-type".to_owned(), media.to_owned()));
        }
        (scheme, method, url, headers, body)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_unsigned_passes_and_nothing_panics(
        (scheme, method, url, headers, body) in requests(), now in any::<u64>()
    ) {
        let request = Request { method: &method, url: &url, headers: &headers, body: &body };
        let keys = Keys::read(scheme, &[secrets(scheme).1]).unwrap();
        let now = UnixMillis::from_millis(now);
        let verdict = verify(scheme, &keys, &request, BODY_LIMIT, now, &Ring);
        let failure = verdict.err().map(|failure| (failure.code().status(), failure.to_string()));
        let (status, told) = failure.expect("nobody signed it");
        prop_assert_eq!(status, 401);
        if let Ok(pending) = prepare(scheme, &keys, &request, BODY_LIMIT) {
            let tasks = pending.tasks();
            prop_assert!(tasks.len() <= 64);
            for task in tasks {
                if let Done::Mac(mac) = Ring.run(task) {
                    prop_assert!(!told.contains(&hex(&mac)) && !told.contains(&base64(&mac)));
                }
            }
        }
        // What strangers get is a word of their own, or nothing.
        if let Some(Ok(reply)) = unsigned(scheme, &request) {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            prop_assert!(reply.body.bytes().all(word) && reply.body.len() <= 128);
            prop_assert!(url.contains(&reply.body));
        }
    }

    #[test]
    fn what_is_signed_passes_and_any_other_byte_does_not(
        scheme in schemes(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        id in "[A-Za-z0-9_-]{1,40}",
        seconds in 1_000_000_000..4_000_000_000_u64, header in any::<bool>()
    ) {
        let (signing, verifying) = secrets(scheme);
        let now = UnixMillis::from_secs(seconds);
        let (body, content_type) = sample(scheme, &id, now);
        let headers = [("Content-Type".to_owned(), content_type)];
        let url = Some("https://api.example.com/hooks?a=b");
        let event = Event { method: "POST", url, id: &id, headers: &headers, body: &body };
        let mut signed = sign(scheme, &signing, &event, now, &Ring).unwrap();
        let keys = Keys::read(scheme, &[verifying]).unwrap();
        let url = signed.url.clone().unwrap();
        let check = |headers: &[(String, String)], body: &[u8]| {
            let request = Request { method: "POST", url: &url, headers, body };
            verify(scheme, &keys, &request, BODY_LIMIT, now, &Ring)
        };
        let verified = check(&signed.headers, &signed.body).unwrap();
        let known = Identity::of(&verified, "r", false);
        // One bit of a signature, or of the body, is another.
        let own = signed.headers.len();
        let named = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.contains("signature") && !name.ends_with("timestamp") && !name.ends_with("input")
                || name.contains("hmac")
        };
        let places: Vec<usize> = (0..own).filter(|at| named(&signed.headers[*at].0)).collect();
        if header && !places.is_empty() {
            let place = places[at.index(places.len())];
            let value = &mut signed.headers[place].1;
            let place = at.index(value.len());
            let changed = value.as_bytes()[place] ^ (1 << bit);
            prop_assume!(changed.is_ascii_graphic());
            value.replace_range(place..=place, &char::from(changed).to_string());
            // The hex of Notion may be in either case, and the label of a signature is any.
            let lenient = scheme.name == "notion" || scheme.name.starts_with("rfc9421");
            prop_assert!(lenient || check(&signed.headers, &signed.body).is_err());
        } else {
            let place = at.index(signed.body.len());
            signed.body[place] ^= 1 << bit;
            if let Ok(other) = check(&signed.headers, &signed.body) {
                // Where parts of a body are not signed, changing those makes no new event.
                let whole = matches!(other.covers, tollgate_core::webhook::Covers::Body);
                prop_assert!(!whole, "{}", scheme.name);
                prop_assert_eq!(Identity::of(&other, "r", false), known);
            }
        }
    }

    #[test]
    fn any_template_and_any_description_is_read_or_refused(
        template in prop_oneof![any::<String>(), "[{}a-z:.]{0,40}"],
        texts in prop::collection::vec(("[a-z]{1,9}|header|algorithm|template", values()), 0..6)
    ) {
        let _ = pieces(&template);
        let mut fields = texts;
        fields.push(("template".to_owned(), template));
        let whole = [
            ("header", "X-Sig"), ("algorithm", "sha256"), ("encoding", "hex"),
        ].map(|(name, text)| (name.to_owned(), text.to_owned()));
        for fields in [fields.clone(), [whole.to_vec(), fields].concat()] {
            if let Ok(description) = Description::read(&fields) {
                let scheme = description.scheme();
                let keys = Keys::read(&scheme, &[Secret::new("AAAB")]).unwrap();
                let request = Request { method: "POST", url: "", headers: &fields, body: b"{}" };
                let now = UnixMillis::from_secs(0);
                prop_assert!(verify(&scheme, &keys, &request, BODY_LIMIT, now, &Ring).is_err());
                prop_assert!(scheme.algorithm != Algorithm::Ed25519);
            }
        }
    }

    #[test]
    fn any_secret_is_a_key_or_refused(scheme in schemes(), text in any::<String>()) {
        if let Err(error) = Keys::read(scheme, &[Secret::new(text.clone())]) {
            prop_assert!(text.len() < 4 || !error.to_string().contains(&text));
        } else {
            prop_assert!(!text.trim().is_empty());
        }
    }
}
