//! Every scheme: what is right passes, and each change of it is refused for its own reason.

mod challenges;
mod content;
mod described;
mod memory;
mod parts;
mod secrecy;
mod signing;
mod strict;
mod templates;
mod vectors;

use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

use super::table::{DESCRIBED, TABLE, is_for_sources, named};
use super::*;
use crate::problem::Code;
use crate::text::Secret;
use crate::time::UnixMillis;
use vectors::{RIGHT, Right};

/// HMAC as on the edge, Ed25519 by `ring`.
pub(super) struct Ring;

impl Crypto for Ring {
    fn ed25519_fits(&self, key: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(&message.concat(), signature).is_ok()
    }

    fn ed25519_sign(&self, seed: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(pair.sign(&message.concat()).as_ref().to_vec())
    }
}

/// A request that can be changed.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) scheme: &'static Scheme<'static>,
    pub(super) secrets: Vec<String>,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Milliseconds since 1970.
    pub(super) now: u64,
}

impl Sent {
    fn of(right: &Right) -> Self {
        Self {
            scheme: named(&right.scheme).unwrap(),
            secrets: vec![right.secret.clone()],
            method: right.method.clone(),
            url: right.url.clone(),
            headers: right.headers.clone(),
            body: right.body.as_bytes().to_vec(),
            now: right.now * 1_000,
        }
    }

    /// The first right request of a scheme.
    pub(super) fn first(scheme: &str) -> Self {
        Self::of(RIGHT.iter().find(|right| right.scheme == scheme).unwrap())
    }

    pub(super) fn keys(&self) -> Result<Keys, KeyError> {
        let secrets: Vec<Secret> = self.secrets.iter().map(Secret::new).collect();
        Keys::read(self.scheme, &secrets)
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request { method: &self.method, url: &self.url, headers: &self.headers, body: &self.body }
    }

    pub(super) fn verify(&self) -> Result<Verified, Failure> {
        let now = UnixMillis::from_millis(self.now);
        verify(self.scheme, &self.keys().unwrap(), &self.request(), BODY_LIMIT, now, &Ring)
    }

    /// Sets a header, in place of one of that name.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }
}

#[test]
fn what_is_right_passes_and_tells_its_id() {
    for right in RIGHT.iter() {
        let told = format!("{} ({})", right.scheme, right.from);
        let verified = Sent::of(right).verify().unwrap_or_else(|error| panic!("{told}: {error}"));
        assert_eq!(verified.id, right.id, "{told}");
        assert_eq!(verified.id_signed, right.id_signed, "{told}");
        assert_eq!(verified.covers == Covers::Body, right.whole, "{told}");
        assert_eq!(verified.secret, 0, "{told}");
        assert_eq!(verified.reply, None, "{told}");
        let scheme = named(&right.scheme).unwrap();
        let near = verified.timestamp.is_none_or(|at| at.as_secs().abs_diff(right.now) <= 5);
        assert!(near, "{told}");
        assert_eq!(verified.timestamp.is_some(), scheme.signs_time(), "{told}");
    }
}

#[test]
fn the_schemes_are_those_of_the_contract() {
    let names: Vec<&str> = TABLE.iter().map(|scheme| scheme.name).collect();
    assert_eq!(
        [names, vec![DESCRIBED]].concat(),
        [
            "standard-webhooks",
            "svix",
            "stripe",
            "github",
            "slack",
            "shopify",
            "twilio",
            "square",
            "paddle",
            "hubspot",
            "linear",
            "zoom",
            "razorpay",
            "coinbase-commerce",
            "pagerduty",
            "mux",
            "adyen",
            "workos",
            "notion",
            "zendesk",
            "dropbox",
            "lemon-squeezy",
            "typeform",
            "calendly",
            "docusign",
            "bitbucket",
            "twitch",
            "sentry",
            "xero",
            "woocommerce",
            "paystack",
            "discord",
            "rfc9421",
            "rfc9421-hmac-sha256",
            "hmac",
        ]
    );
    for scheme in TABLE {
        assert!(RIGHT.iter().any(|right| right.scheme == scheme.name), "{}", scheme.name);
        assert!(scheme.docs.starts_with("https://"), "{}", scheme.name);
        assert_eq!(is_for_sources(scheme.name), scheme.name != "rfc9421-hmac-sha256");
        assert_eq!(named(scheme.name).map(|found| found.name), Some(scheme.name));
    }
    assert!(is_for_sources("hmac") && !is_for_sources("gitlab"));
    assert!(named("hmac").is_none() && named("").is_none());
}

#[test]
fn every_row_is_sound() {
    for scheme in TABLE {
        for form in scheme.forms() {
            let Signed::Template(text) = form.signed else { continue };
            let pieces = pieces(text).unwrap();
            // Three providers sign the body right behind the URL.
            let open = matches!(scheme.name, "twilio" | "square" | "hubspot");
            let expected = if open { Err(TemplateError::OpenUrl) } else { Ok(()) };
            assert_eq!(check_unambiguous(&pieces, scheme.unit), expected, "{}", scheme.name);
            assert!(!open || scheme.note.contains("not where"), "{}", scheme.name);
            assert!(!matches!(form.signature, Place::Entry(_)), "{}", scheme.name);
            let has = |piece: Piece<'_>| pieces.contains(&piece);
            // What is signed is the body, or named parts of it.
            let part = pieces.iter().any(|piece| matches!(piece, Piece::Form | Piece::Field(_)));
            assert!(has(Piece::Body) || part, "{}", scheme.name);
            // A time that is not signed is never looked at.
            let signed = match form.timestamp {
                Some(Place::Json(_)) => has(Piece::Body),
                Some(_) => has(Piece::Timestamp),
                None => !has(Piece::Timestamp),
            };
            assert!(signed, "{}", scheme.name);
            let entry = matches!(form.timestamp, Some(Place::Entry(_)));
            assert!(!entry || form.separator.is_some(), "{}", scheme.name);
            assert!(!has(Piece::Id) || form.signs_id(), "{}", scheme.name);
        }
        for challenge in scheme.challenges {
            let secret = matches!(challenge.answer, Answer::Mac { .. });
            assert!(!secret || challenge.signed, "{} signs for strangers", scheme.name);
        }
    }
}

#[test]
fn the_names_that_the_gate_needs_itself_are_kept_apart() {
    for (scheme, colliding) in [
        ("standard-webhooks", &["webhook-signature", "webhook-timestamp", "webhook-id"][..]),
        ("svix", &["webhook-signature", "webhook-timestamp", "webhook-id"]),
        ("stripe", &[]),
        ("docusign", &[]),
    ] {
        assert_eq!(named(scheme).unwrap().colliding_headers(), colliding, "{scheme}");
    }
    let bare: Vec<_> =
        TABLE.iter().filter(|s| s.bare).map(|s| (s.name, s.acknowledgement)).collect();
    assert_eq!(bare, [("xero", Fixed::empty(200))]);
    assert_eq!(named("docusign").unwrap().headers(), ["X-DocuSign-Signature-1"]);
    assert_eq!(named("rfc9421").unwrap().headers(), ["Signature-Input", "Signature"]);
    assert_eq!(named("adyen").unwrap().headers(), ["HmacSignature"]);
}

#[test]
fn another_secret_makes_another_signature() {
    for right in RIGHT.iter() {
        let mut sent = Sent::of(right);
        sent.secrets = vec![other_secret(sent.scheme)];
        assert_eq!(sent.verify().unwrap_err(), Failure::Mismatch, "{}", right.scheme);
        // Any of several will do, and the one that did is told.
        sent.secrets.push(right.secret.clone());
        assert_eq!(sent.verify().unwrap().secret, 1, "{}", right.scheme);
    }
}

/// A secret of the scheme's form that signed nothing.
pub(super) fn other_secret(scheme: &Scheme<'_>) -> String {
    match scheme.key {
        KeyForm::Text => "another".to_owned(),
        KeyForm::Whsec => format!("whsec_{}", base64(&[7; 32])),
        KeyForm::Base64 => base64(&[7; 32]),
        KeyForm::Hex => hex(&[7; 32]),
        // RFC 8032 section 7.1, test 2.
        KeyForm::PublicKey => {
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".to_owned()
        }
    }
}

#[test]
fn no_byte_of_the_body_can_be_another() {
    for right in RIGHT.iter().filter(|right| right.whole && !right.body.is_empty()) {
        let sent = Sent::of(right);
        for at in 0..sent.body.len() {
            let mut sent = sent.clone();
            sent.body[at] ^= 1;
            let failure = sent.verify().unwrap_err();
            let expected = matches!(failure, Failure::Mismatch | Failure::BodyChanged);
            assert!(expected, "{}: byte {at}: {failure}", right.scheme);
            assert_eq!(failure.code(), Code::SignatureInvalid);
        }
        let mut longer = sent.clone();
        longer.body.push(b'\n');
        assert!(longer.verify().is_err(), "{}", right.scheme);
    }
}

#[test]
fn a_missing_signature_is_told_as_missing_and_an_empty_one_too() {
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        for name in sent.scheme.headers() {
            let signature = sent.scheme.forms().any(|form| match form.signature {
                Place::Header(header) => header.eq_ignore_ascii_case(&name),
                Place::Numbered(_) => true,
                _ => false,
            });
            if !signature || sent.header(&name).is_empty() {
                continue;
            }
            for value in ["", " "] {
                let mut sent = sent.clone().with(&name, value);
                sent.headers.retain(|(name, _)| !name.ends_with("Signature-2"));
                let failure = sent.verify().unwrap_err();
                let missing = matches!(failure, Failure::Missing(_))
                    || matches!(sent.scheme.form.signed, Signed::Components { .. });
                assert!(missing, "{}: {name}: {failure}", right.scheme);
            }
        }
        let mut bare = sent;
        bare.headers.clear();
        if bare.scheme.forms().all(|form| !matches!(form.signature, Place::Json(_))) {
            let failure = bare.verify().unwrap_err();
            assert!(matches!(failure, Failure::Missing(_)), "{}: {failure}", right.scheme);
            assert_eq!(
                (failure.reason(), failure.code()),
                ("signature_missing", Code::SignatureMissing)
            );
        }
    }
}

#[test]
fn a_signed_time_holds_as_long_as_the_scheme_says_in_both_directions() {
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        let window = sent.scheme.tolerance.as_millis();
        let at = sent.verify().unwrap().timestamp;
        let Some(at) = at.map(UnixMillis::as_millis) else {
            // Without a signed time the same request is as right in a year.
            let later = Sent { now: sent.now + 31_536_000_000, ..sent };
            assert!(later.verify().is_ok(), "{}", right.scheme);
            continue;
        };
        for (now, passes) in [
            (at - window, true),
            (at + window, true),
            (at - window - 1, false),
            (at + window + 1, false),
        ] {
            let verdict = Sent { now, ..sent.clone() }.verify();
            match verdict {
                Ok(_) => assert!(passes, "{} at {now}", right.scheme),
                Err(failure) => {
                    assert!(!passes, "{} at {now}: {failure}", right.scheme);
                    let told = (failure.reason(), failure.step(), failure.code());
                    assert_eq!(told, ("timestamp_out_of_range", "time", Code::TimestampOutOfRange));
                    // A time is only told to who signed it.
                    let mut stranger = Sent { now, ..sent.clone() };
                    stranger.secrets = vec![other_secret(stranger.scheme)];
                    assert_eq!(stranger.verify().unwrap_err(), Failure::Mismatch);
                }
            }
        }
    }
}

#[test]
fn the_platform_can_hash() {
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        let (keys, request) = (sent.keys().unwrap(), sent.request());
        let pending = prepare(sent.scheme, &keys, &request, BODY_LIMIT).unwrap();
        let tasks = pending.tasks();
        assert!((1..=5).contains(&tasks.len()), "{}: {}", right.scheme, tasks.len());
        let done: Vec<Done> = tasks.into_iter().map(|task| Ring.run(task)).collect();
        let now = UnixMillis::from_secs(right.now);
        assert!(pending.finish(&done, now).is_ok(), "{}", right.scheme);
        // What did not hash, and what is left out, fits nothing.
        let failed = vec![Done::Failed; done.len()];
        for done in [&failed[..], &[], &[Done::Mac(Vec::new())], &[Done::Fits(false)]] {
            assert_eq!(pending.finish(done, now).unwrap_err(), Failure::Mismatch);
        }
    }
    // Without Ed25519 such a signature fits nothing.
    let sent = Sent::first("discord");
    let now = UnixMillis::from_millis(sent.now);
    let verdict =
        verify(sent.scheme, &sent.keys().unwrap(), &sent.request(), BODY_LIMIT, now, &Portable);
    assert_eq!(verdict.unwrap_err(), Failure::Mismatch);
}
