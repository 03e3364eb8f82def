use serde_json::json;

use super::*;
use crate::key::{Claims, TOKEN_LIFE};
use crate::manage::credential::tests::trust;
use crate::manage::tests::{BOUNDS, NOW, body, made};
use crate::road::Trust;

const SIGNATURE: &str = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdxjji410VQV4xg==";
/// A point of P-256, as a scanner publishes it.
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\nHzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n-----END PUBLIC KEY-----\n";

fn ground(trust: &Trust) -> Ground<'_> {
    Ground { brand: BOUNDS.brand, environment: "dev", trust }
}

fn finding(of: &Value) -> Finding {
    read_report(json!([of]).to_string().as_bytes()).unwrap().remove(0)
}

fn published(identifiers: &[&str]) -> Vec<u8> {
    let keys = identifiers.iter().map(|identifier| {
        json!({ "key_identifier": identifier, "key": PEM, "is_current": false, "more": 1 })
    });
    json!({ "public_keys": keys.collect::<Vec<_>>() }).to_string().into_bytes()
}

#[test]
fn a_few_reports_are_held_unproved_and_none_for_long() {
    let at = |secs| NOW.plus(Millis::secs(secs));
    let mut reports = UnprovedReports::default();
    let begun: Vec<UnixMillis> = (0..8).map(|n| reports.begin(at(n / 2)).unwrap()).collect();
    let refused = reports.begin(at(4)).unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (Code::AdmissionUnavailable, Some(11)));
    reports.done(begun[7]);
    reports.done(at(3_000));
    let again = reports.begin(at(4)).unwrap();
    assert!(reports.begin(at(4)).is_err());
    reports.done(again);
    reports.begin(at(4)).unwrap();
    // Two were never said to be done.
    assert!(reports.begin(at(14)).is_err());
    for _ in 0..2 {
        reports.begin(at(15)).unwrap();
    }
    assert!(reports.begin(at(15)).is_err());
}

#[test]
fn a_report_is_signed_or_refused() {
    assert!(report_signature(Some("k"), Some(SIGNATURE)).is_ok());
    for (identifier, signature, code) in [
        (None, None, Code::SignatureMissing),
        (None, Some(SIGNATURE), Code::SignatureMissing),
        (Some("k"), None, Code::SignatureMissing),
        (Some("k"), Some(""), Code::SignatureInvalid),
        (Some("k"), Some("!"), Code::SignatureInvalid),
        (Some("k"), Some(&SIGNATURE[..40]), Code::SignatureInvalid),
    ] {
        let problem = report_signature(identifier, signature).unwrap_err();
        assert_eq!(problem.code, code, "{identifier:?} {signature:?}");
    }
}

#[test]
fn keys_are_fetched_when_they_are_needed_and_once_a_minute_at_most() {
    let mut keys = ScannerKeys::default();
    assert_eq!(keys.signer("a", NOW), Signer::Unreachable);
    assert!(keys.start_fetch("a", NOW));
    assert!(!keys.start_fetch("a", NOW), "somebody is at it");
    assert!(keys.start_fetch("a", NOW.plus(FIRST_PAUSE)), "without any, soon again");
    assert!(keys.learn(&published(&["a"]), NOW));
    assert_eq!(keys.signer("a", NOW), Signer::Known(p256_key(PEM).unwrap()));
    assert_eq!(keys.signer("b", NOW), Signer::Unknown);
    let at = |span| NOW.plus(FIRST_PAUSE).plus(span);
    assert!(!keys.start_fetch("a", at(Millis::minutes(2))), "known and fresh");
    assert!(keys.start_fetch("b", at(Millis::minutes(2))), "a new one?");
    for _ in 0..3 {
        assert!(!keys.start_fetch("c", at(Millis::millis(179_999))), "not for every stranger");
    }
    assert!(keys.start_fetch("c", at(Millis::minutes(3))));
    assert!(keys.start_fetch("a", NOW.plus(FRESH)), "old");
    assert_eq!(keys.signer("a", NOW.plus(FRESH)), Signer::Known(p256_key(PEM).unwrap()));
    assert_eq!(keys.signer("a", NOW.plus(BELIEVED)), Signer::Unreachable, "too old");
}

#[test]
fn a_list_of_keys_replaces_the_one_before_or_is_none() {
    let mut keys = ScannerKeys::default();
    assert!(keys.learn(&published(&["a"]), NOW));
    for bad in [&b""[..], b"[]", b"{}", br#"{"public_keys":[]}"#, br#"{"public_keys":[{"key":1}]}"#]
    {
        assert!(!keys.learn(bad, NOW));
        assert!(matches!(keys.signer("a", NOW), Signer::Known(_)));
    }
    let many: Vec<String> = (0..=MAX_KEYS).map(|at| at.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(!keys.learn(&published(&many), NOW));
    assert!(keys.learn(&published(&["b"]), NOW));
    assert_eq!(keys.signer("a", NOW), Signer::Unknown, "taken back");
    let other = String::from_utf8(published(&["b"])).unwrap().replace("PUBLIC KEY", "RSA KEY");
    assert!(keys.learn(other.as_bytes(), NOW));
    assert_eq!(keys.signer("b", NOW), Signer::Unknown, "a key of another form signs nothing");
}

#[test]
fn a_report_is_a_list_and_not_too_long() {
    let one = json!({ "token": "t", "type": "x", "url": "u", "source": "commit", "new": [] });
    for (report, length) in [
        (json!([]), Some(0)),
        (json!([one]), Some(1)),
        (json!([{ "token": "t" }]), Some(1)),
        (json!([{ "token": "t", "type": null, "url": null, "source": null }]), Some(1)),
        (json!(vec![one.clone(); 1_000]), Some(1_000)),
        (json!(vec![one.clone(); 1_001]), None),
        (json!({ "token": "t" }), None),
        (json!([{ "type": "x" }]), None),
        (json!([{ "token": 1 }]), None),
        (json!(["t"]), None),
    ] {
        let read = read_report(report.to_string().as_bytes());
        assert_eq!(read.as_ref().ok().map(Vec::len), length);
        let problem = read.err();
        assert!(problem.is_none_or(|problem| problem.code == Code::InvalidField));
    }
    let secret = made(&body("sk", json!({}))).secret;
    let bad = format!(r#"[{{"token":"t","type":{{"{}":1}}}}]"#, secret.expose());
    let told = read_report(bad.as_bytes()).unwrap_err().document("", "r").to_string();
    assert!(!told.contains(&secret.expose()[30..60]));
}

#[test]
fn only_whole_secrets_of_this_gate_are_looked_at() {
    let trust = trust();
    let suspect = |text: &str| match finding(&json!({ "token": text })).suspect(ground(&trust)) {
        Suspect::Key(key) => key.prefix.kind.as_str(),
        Suspect::Token(_) => "tk",
        Suspect::Session(_) => "ss",
        Suspect::Nothing => "nothing",
    };
    for (kind, is) in [("sk", "sk"), ("rk", "rk"), ("ak", "ak"), ("pk", "nothing")] {
        let text = made(&body(kind, json!({}))).secret.expose().to_owned();
        assert_eq!(suspect(&text), is);
        let again = |body: String| format!("{body}{}", crate::key::checksum(&body));
        let whole = &text[..text.len() - 6];
        let unmade = whole.replacen(&whole[10..15], "00000", 1);
        for other in [
            text[..text.len() - 1].to_owned(),
            format!(" {text}"),
            text.replacen("dev", "prod", 1),
            again(whole.replacen("dev", "prod", 1)),
            again(whole.replacen("tg_", "xx_", 1)),
            again(unmade),
        ] {
            assert_eq!(suspect(&other), "nothing", "{other}");
        }
    }
    let key = Key::parse(made(&body("sk", json!({}))).secret.expose()).unwrap();
    let claims = Claims { issued_at: NOW, expires_at: NOW.plus(TOKEN_LIFE), scopes: vec![] };
    let token = trust.issue(&key.prefix, &key.id, &claims, [0; 8]).unwrap().expose().to_owned();
    assert_eq!(suspect(&token), "tk");
    assert_eq!(suspect(&token[..token.len() - 1]), "nothing");
}

#[test]
fn the_finder_is_told_a_hash_and_never_the_secret() {
    let found = finding(&json!({ "token": "abc", "type": "tollgate_sk" }));
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        found.answer(true),
        json!({ "token_hash": hash, "token_type": "tollgate_sk", "label": "true_positive" })
    );
    assert_eq!(found.answer(false)["label"], "false_positive");
    assert!(!format!("{found:?}").contains("abc"));
}

#[test]
fn the_audit_says_where_and_nothing_that_opens_anything() {
    let secret = made(&body("sk", json!({}))).secret.expose().to_owned();
    let told = |url: &str| {
        let found = finding(&json!({ "token": "t", "type": "x", "source": "commit", "url": url }));
        found.detail("sk", "tg").get("url").map(|url| url.as_str().unwrap().to_owned())
    };
    for (url, shown) in [
        ("https://github.com/o/r/blob/1/f.txt", Some("https://github.com/o/r/blob/1/f.txt".into())),
        ("https://u:p@h.example/a?token=1#L3", Some("https://h.example/a".into())),
        ("https://h.example#a", Some("https://h.example".into())),
        ("https://h.example?a@b/c", Some("https://h.example".into())),
        (&format!("https://h.example/{secret}"), Some("https://h.example/[key]".into())),
        ("https://h.example/a\nb\u{7f}é", Some("https://h.example/ab".into())),
        ("ftp://h.example/a", None),
        ("javascript:alert(1)", None),
        ("", None),
    ] {
        assert_eq!(told(url), shown, "{url}");
    }
    assert_eq!(told(&format!("https://h.example/{}", "a".repeat(9_999))).unwrap().len(), MOST_TOLD);
    let bare = finding(&json!({ "token": "t" })).detail("ak", "tg");
    assert_eq!(Value::Object(bare), json!({ "kind": "ak" }));
}

#[test]
fn a_finding_is_named_by_secret_and_place() {
    let once = |token: &str, url: &str| finding(&json!({ "token": token, "url": url })).once();
    assert_eq!(once("a", "u"), once("a", "u"));
    assert_ne!(once("a", "u"), once("a", "v"));
    assert_ne!(once("a", "u"), once("b", "u"));
}
