//! Tokens, reports of leaks and the forms that they come in: any text is one or an error.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, clippy::unwrap_used)]

use data_encoding::BASE64;
use proptest::prelude::*;
use tollgate_core::key::{
    Claims, IdSecret, KeyEnvironment, KeyKind, KeyPrefix, Peppers, Presented, Token, checksum,
    find_key,
};
use tollgate_core::manage::{
    Ground, ScannerKeys, Suspect, TokenAsk, TokenSent, error_type, oauth, p256_key, p256_signature,
    read_report, report_signature,
};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::Trust;
use tollgate_core::scope::{Scope, joined};
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};

fn ids() -> IdSecret {
    IdSecret::new(&Secret::new("an id secret of at least 32 bytes")).unwrap()
}

fn peppers() -> Peppers {
    Peppers::parse(&Secret::new("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap()
}

fn trust() -> Trust {
    Trust::Secrets { peppers: peppers(), ids: ids() }
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{1,2}", 1 => Just("*".to_owned())]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop::collection::vec(part(), 2..=3).prop_map(|parts| Scope::parse(&parts.join(":")).unwrap())
}

fn claims() -> impl Strategy<Value = Claims> {
    let scopes = prop::collection::vec(scope(), 0..6);
    (0..u64::from(u32::MAX), 0..300_000_u64, scopes).prop_map(|(issued_at, life, scopes)| {
        let issued_at = UnixMillis::from_secs(issued_at);
        Claims { issued_at, expires_at: issued_at.plus(Millis::millis(life)), scopes }
    })
}

fn token(claims: &Claims, random: [u8; 8]) -> String {
    let prefix =
        KeyPrefix { brand: "tg".into(), environment: KeyEnvironment::Dev, kind: KeyKind::Sk };
    let id = ids().id(&prefix, "0123456789").unwrap();
    trust().issue(&prefix, &id, claims, random).unwrap().expose().to_owned()
}

/// Texts near to tokens: their words, in any order, with a check that fits or not.
fn near_tokens() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("tg".to_owned()),
        Just("dev".to_owned()),
        Just("tk".to_owned()),
        Just("0123456789abcdef".to_owned()),
        "[0-9a-v]{0,200}",
        ".{0,5}",
    ];
    (prop::collection::vec(word, 0..7), any::<bool>()).prop_map(|(words, whole)| {
        let body = words.join("_");
        if whole { format!("{body}{}", checksum(&body)) } else { body }
    })
}

proptest! {
    #[test]
    fn every_token_is_read_back_proven_and_found(claims in claims(), random: [u8; 8]) {
        let text = token(&claims, random);
        let read = Token::parse(&text).unwrap();
        prop_assert_eq!(&read.claims, &claims);
        prop_assert!(read.is_genuine(&peppers(), &ids()));
        prop_assert_eq!(find_key("tg", &text), Some(0..text.len()));
        let bearer = Presented::read(Some(&format!("Bearer {text}")), None);
        prop_assert!(matches!(bearer, Ok(Presented::Token(_))));
    }

    #[test]
    fn a_token_with_other_words_is_not_genuine(claims in claims(), at in 0_usize..400, other in "[0-9a-v_]") {
        let text = token(&claims, [0; 8]);
        let end = text.len().checked_sub(6).unwrap();
        let mut body: Vec<char> = text.chars().take(end).collect();
        prop_assume!(at < end && body.get(at).is_some_and(|old| other != old.to_string()));
        body.splice(at..=at, other.chars());
        let body: String = body.into_iter().collect();
        if let Ok(read) = Token::parse(&format!("{body}{}", checksum(&body))) {
            prop_assert!(!read.is_genuine(&peppers(), &ids()));
        }
    }

    #[test]
    fn any_text_is_a_token_or_an_error(text in prop_oneof![any::<String>(), near_tokens()]) {
        if let Ok(read) = Token::parse(&text) {
            prop_assert!(!read.is_genuine(&peppers(), &ids()));
        }
    }

    /// Against the rule itself: what both cover.
    #[test]
    fn a_narrowed_scope_covers_what_both_cover(one in scope(), two in scope(), asked in prop::collection::vec("[a-c]{1,2}", 2..=3)) {
        let asked = asked.join(":");
        let both = one.common(&two).is_some_and(|both| both.covers(&asked));
        prop_assert_eq!(both, one.covers(&asked) && two.covers(&asked));
        prop_assert_eq!(one.common(&two), two.common(&one));
    }

    #[test]
    fn a_token_never_does_more_than_its_key(claims in claims(), held in prop::collection::vec(scope(), 0..6), asked in prop::collection::vec("[a-c]{1,2}", 2..=3)) {
        let asked = asked.join(":");
        let covers = |scopes: &[Scope]| scopes.iter().any(|scope| scope.covers(&asked));
        let expected = covers(&claims.scopes) && covers(&held);
        prop_assert_eq!(covers(&claims.narrow(&held)), expected);
    }

    #[test]
    fn any_form_is_a_request_or_a_refusal_with_oauths_members(
        body in prop_oneof![any::<Vec<u8>>(), "[a-z_=&%+0-9: ]{0,60}".prop_map(String::into_bytes),
            ("(grant_type|client_id|client_secret|scope)=[a-z_%2:+]{0,20}").prop_map(String::into_bytes)],
        authorization in prop::option::of(prop_oneof![".{0,40}", ".{0,40}".prop_map(|pair| format!("Basic {}", BASE64.encode(pair.as_bytes())))]),
        accept in prop::option::of(".{0,40}"),
    ) {
        let trust = trust();
        let ground = Ground { brand: "tg", environment: "dev", trust: &trust };
        let sent = TokenSent {
            authorization: authorization.as_deref(),
            x_api_key: None,
            content_type: Some("application/x-www-form-urlencoded"),
            body: &body,
        };
        if let Err(failed) = TokenAsk::read(sent, ground) {
            let told = oauth(*failed.problem).document("", "r");
            for name in ["error", "error_description"] {
                let text = told.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
                let plain = text.chars().all(|c| matches!(c, ' '..='~') && !"\"\\".contains(c));
                prop_assert!(!text.is_empty() && plain, "{}: {}", name, text);
            }
        }
        prop_assert!(error_type(accept.as_deref()).ends_with("json"));
    }

    #[test]
    fn any_bytes_are_a_signature_or_none(der in prop_oneof![any::<Vec<u8>>(), near_der()], text in any::<String>()) {
        if let Some(raw) = p256_signature(&der) {
            // There is one spelling of it: what was read is what is written.
            prop_assert_eq!(written(&raw), der);
        }
        prop_assert!(p256_key(&text).is_none());
        prop_assert!(report_signature(Some("k"), Some(&text)).is_err());
    }

    #[test]
    fn any_two_numbers_are_read_back(r: [u8; 32], s: [u8; 32]) {
        let raw: [u8; 64] = [r, s].concat().try_into().unwrap();
        let zero = [r, s].contains(&[0; 32]);
        prop_assert_eq!(p256_signature(&written(&raw)), (!zero).then_some(raw));
    }

    #[test]
    fn any_pem_is_a_key_or_none(base64 in "[A-Za-z0-9+/=\\r\\n ]{0,140}", label in prop::sample::select(vec!["PUBLIC KEY", "PRIVATE KEY", ""])) {
        let _ = p256_key(&format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----"));
    }

    #[test]
    fn any_report_is_read_or_refused(body in prop_oneof![any::<Vec<u8>>(), ".{0,80}".prop_map(String::into_bytes)], token in prop_oneof![any::<String>(), near_tokens()], url in any::<String>()) {
        let _ = read_report(&body);
        let now = UnixMillis::from_secs(1_800_000_000);
        let _ = ScannerKeys::default().learn(&body, now);
        let report = serde_json::json!([{ "token": token, "type": "t", "url": url, "source": url }]);
        let trust = trust();
        let ground = Ground { brand: "tg", environment: "dev", trust: &trust };
        for finding in read_report(report.to_string().as_bytes()).unwrap() {
            prop_assert!(matches!(finding.suspect(ground), Suspect::Nothing));
            let told = serde_json::Value::Object(finding.detail("sk", "tg")).to_string();
            prop_assert!(told.len() < 4_000 && find_key("tg", &told).is_none());
        }
    }

    #[test]
    fn a_url_is_told_without_what_opens_it(user in "[a-z]{8}", query in "[a-z]{8}", fragment in "[a-z]{8}") {
        let url = format!("https://{user}:{user}@h.example/p?{query}=1#{fragment}");
        let report = serde_json::json!([{ "token": "t", "url": url }]).to_string();
        for finding in read_report(report.as_bytes()).unwrap() {
            let told = finding.detail("sk", "tg");
            prop_assert_eq!(told.get("url"), Some(&serde_json::json!("https://h.example/p")));
        }
    }
}

/// Bytes near to signatures: elements with lengths that fit or not.
fn near_der() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![any::<Vec<u8>>(), prop::collection::vec(any::<u8>(), 30..36)];
    (number.clone(), number, -2_i16..3, any::<bool>()).prop_map(|(r, s, off, more)| {
        let element = |tag: u8, bytes: &[u8]| {
            let length = u8::try_from(bytes.len() % 128).unwrap();
            [&[tag, length], bytes].concat()
        };
        let mut der = element(0x30, &[element(2, &r), element(2, &s)].concat());
        if let Some(length) = der.get_mut(1) {
            *length = length.wrapping_add_signed(i8::try_from(off).unwrap());
        }
        der.extend(more.then_some(0));
        der
    })
}

/// The one spelling of two numbers.
fn written(raw: &[u8; 64]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let short = bytes.get(zeros..).unwrap_or_default();
        let sign = short.first().is_some_and(|first| *first >= 0x80);
        let bytes = [if sign { &[0][..] } else { &[] }, short].concat();
        [&[2, u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
    };
    let (r, s) = raw.split_at(32);
    let both = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

#[test]
fn scopes_in_one_text_have_one_blank_between_them() {
    let scopes = ["a:b", "c:d:e"].map(|text| Scope::parse(text).unwrap());
    assert_eq!(joined(&scopes), "a:b c:d:e");
    assert_eq!(oauth(Problem::new(Code::KeyMissing)).extra.len(), 2);
}
