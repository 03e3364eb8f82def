use serde_json::json;

use super::*;
use crate::key::{IdSecret, Peppers};
use crate::manage::tests::{BOUNDS, NOW, body, made};

const ROOT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The secrets that the keys of these tests are made under.
pub(in crate::manage) fn trust() -> Trust {
    let peppers = Peppers::parse(&Secret::new("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    let ids = IdSecret::new(&Secret::new("an id secret of at least 32 bytes"));
    Trust::Secrets { peppers: peppers.unwrap(), ids: ids.unwrap() }
}

fn read(
    authorization: Option<&str>,
    x_api_key: Option<&str>,
    origin: Option<&str>,
    sec_fetch_site: Option<&str>,
    environment: &str,
) -> Result<&'static str, (Code, bool)> {
    let trust = trust();
    let ground = Ground { brand: BOUNDS.brand, environment, trust: &trust };
    let root = Secret::new(ROOT);
    match Credential::read(
        Sent { authorization, x_api_key, origin, sec_fetch_site, ..Sent::default() },
        Some(&root),
        ground,
    ) {
        Ok(Credential::Root) => Ok("root"),
        Ok(Credential::Key(_)) => Ok("key"),
        Ok(Credential::Session(..)) => Ok("session"),
        Err(failed) => Err((failed.problem.code, failed.counts)),
    }
}

#[test]
fn credentials_are_told_apart_without_a_store() {
    let root = format!("Bearer {ROOT}");
    let ak = made(&body("ak", json!({}))).secret;
    let sk = made(&body("sk", json!({}))).secret;
    let bearer = format!("Bearer {}", ak.expose());
    let lower = format!("bearer {ROOT}");
    let wrong = format!("Bearer {ROOT}x");
    let foreign = ak.expose().replacen("tg_", "xy_", 1);
    for (authorization, x_api_key, origin, expected, reason) in [
        (Some(lower.as_str()), None, None, Ok("root"), "a scheme has no case"),
        (Some(root.as_str()), None, None, Ok("root"), "the root token"),
        (
            Some(root.as_str()),
            None,
            Some("https://a.example"),
            Err((Code::SecretKeyInBrowser, false)),
            "in a page",
        ),
        (
            Some(root.as_str()),
            Some(ak.expose()),
            None,
            Err((Code::MalformedRequest, false)),
            "two at once",
        ),
        (None, Some(ROOT), None, Err((Code::KeyInvalid, true)), "root is a bearer token"),
        (
            Some(wrong.as_str()),
            None,
            None,
            Err((Code::KeyInvalid, true)),
            "not quite the root token",
        ),
        (Some(bearer.as_str()), None, None, Ok("key"), "an admin key"),
        (None, Some(ak.expose()), None, Ok("key"), "an admin key"),
        (None, Some(sk.expose()), None, Err((Code::WrongKind, true)), "a key for routes"),
        (None, Some(foreign.as_str()), None, Err((Code::KeyInvalid, true)), "another gate's"),
        (Some("Digest x"), None, None, Err((Code::KeyInvalid, true)), "no scheme of ours"),
        (None, None, None, Err((Code::KeyMissing, false)), "none"),
        (None, None, Some("https://a.example"), Err((Code::KeyMissing, false)), "none"),
    ] {
        assert_eq!(read(authorization, x_api_key, origin, None, "dev"), expected, "{reason}");
    }
    for (site, expected) in [
        (None, Ok("root")),
        (Some("cross-site"), Err((Code::SecretKeyInBrowser, false))),
        (Some("same-origin"), Err((Code::SecretKeyInBrowser, false))),
        (Some("none"), Err((Code::SecretKeyInBrowser, false))),
    ] {
        assert_eq!(read(Some(&root), None, None, site, "dev"), expected, "root with {site:?}");
    }
    let other = read(Some(&bearer), None, None, None, "production");
    assert_eq!(other, Err((Code::WrongEnvironment, true)));
}

#[test]
fn only_ids_that_the_gate_made_reach_a_store() {
    let trust = trust();
    let ground = Ground { brand: "tg", environment: "dev", trust: &trust };
    for kind in ["pk", "sk", "rk", "ak"] {
        assert!(ground.made(&made(&body(kind, json!({}))).record.id), "{kind}");
    }
    assert!(!ground.made(&KeyId::parse("abcdefghij012345").unwrap()));
    let elsewhere = Ground { environment: "production", ..ground };
    assert!(!elsewhere.made(&made(&body("sk", json!({}))).record.id), "another environment's");
}

#[test]
fn a_record_belongs_to_the_holder_of_its_secret_alone() {
    let trust = trust();
    let ground = Ground { brand: "tg", environment: "dev", trust: &trust };
    let (one, two) = (made(&body("sk", json!({}))), made(&body("sk", json!({ "name": "two" }))));
    let key = Key::parse(one.secret.expose()).unwrap();
    assert!(ground.holds(&key, &one.record));
    assert!(!ground.holds(&key, &two.record), "another key's record");
    let elsewhere = Ground { environment: "staging", ..ground };
    assert!(!elsewhere.holds(&key, &one.record), "a record of another environment");
}

#[test]
fn an_admin_key_is_used_while_it_is_good_and_from_where_it_may() {
    let bound = made(&body("ak", json!({ "addresses": ["192.0.2.0/24"] }))).record;
    let here = "192.0.2.7".parse().ok();
    let end = bound.expires_at;
    for (address, now, code) in [
        (here, NOW, None),
        ("192.0.3.7".parse().ok(), NOW, Some(Code::IpNotAllowed)),
        (None, NOW, Some(Code::IpNotAllowed)),
        (here, end, Some(Code::KeyExpired)),
    ] {
        let answer = may_be_used(&bound, address, now).err().map(|problem| problem.code);
        assert_eq!(answer, code, "{address:?}");
    }
}

const OWN: &str = "https://gate.example.com";

/// A token of a session of a key that this gate made.
fn token() -> SessionToken {
    let key = made(&body("ak", json!({}))).record.id;
    let secret = Secret::new("0123456789ABCDEFGHIJKLMNOPQRSTUV");
    SessionToken::new(BOUNDS.brand, KeyEnvironment::of(BOUNDS.environment), key, secret)
}

fn shown(sent: Sent<'_>, environment: &str) -> Result<&'static str, (Code, bool)> {
    let trust = trust();
    let ground = Ground { brand: BOUNDS.brand, environment, trust: &trust };
    match Credential::read(Sent { own_origin: OWN, ..sent }, None, ground) {
        Ok(Credential::Session(_, SessionKind::Console)) => Ok("console"),
        Ok(Credential::Session(_, SessionKind::Cli)) => Ok("cli"),
        Ok(Credential::Key(_)) => Ok("key"),
        Ok(Credential::Root) => Ok("root"),
        Err(failed) => Err((failed.problem.code, failed.counts)),
    }
}

#[test]
fn a_cookie_is_believed_from_the_consoles_own_page_alone() {
    let cookie = format!("a=b; {SESSION_COOKIE}={}; c=d", token().text().expose());
    let (own, refused) = (Ok("console"), Err((Code::OriginNotAllowed, false)));
    for (method, origin, site, expected, reason) in [
        ("GET", None, None, own, "an old browser"),
        ("GET", None, Some("same-origin"), own, "the page itself"),
        ("HEAD", None, Some("none"), own, "typed"),
        ("GET", Some(OWN), Some("same-origin"), own, "the page itself"),
        ("GET", None, Some("same-site"), refused, "a sister host"),
        ("GET", None, Some("cross-site"), refused, "anybody"),
        ("GET", Some("https://app.example.com"), None, refused, "a sister host"),
        ("POST", Some(OWN), Some("same-origin"), own, "the page itself"),
        ("PATCH", Some(OWN), None, own, "an old browser"),
        ("DELETE", None, None, refused, "nobody says from where"),
        ("POST", None, Some("same-origin"), refused, "a browser says the origin as well"),
        ("POST", None, Some("none"), refused, "nothing is typed that writes"),
        ("POST", Some(OWN), Some("none"), refused, "nothing is typed that writes"),
        ("POST", Some(OWN), Some("same-site"), refused, "they do not agree"),
        ("POST", Some("null"), Some("same-origin"), refused, "a sandbox"),
        ("POST", Some("https://gate.example.com:444"), None, refused, "another port"),
        ("POST", Some("http://gate.example.com"), None, refused, "without TLS"),
        ("POST", Some("https://gate.example.com.evil.example"), None, refused, "another host"),
        ("POST", Some("https://GATE.example.com"), None, refused, "no browser writes it so"),
        ("POST", Some(""), None, refused, "none"),
    ] {
        let sent =
            Sent { method, cookie: Some(&cookie), origin, sec_fetch_site: site, ..Sent::default() };
        assert_eq!(shown(sent, BOUNDS.environment), expected, "{method} {reason}");
    }
}

#[test]
fn a_session_is_shown_as_it_was_given() {
    let text = token().text();
    let text = text.expose();
    let cookie = |value: &str| format!("{SESSION_COOKIE}={value}");
    let (good, empty) = (cookie(text), cookie(""));
    let twice = format!("{good}; {good}");
    let other = good.replace(SESSION_COOKIE, "__host-tollgate");
    let broken = cookie(&text[..text.len() - 1]);
    let bearer = format!("Bearer {text}");
    let basic = format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()));
    let ak = made(&body("ak", json!({}))).secret;
    let key = format!("Bearer {}", ak.expose());
    let foreign = SessionToken::parse(text).map(|mut token| {
        token.brand = "xy".to_owned();
        format!("Bearer {}", token.text().expose())
    });
    let foreign = foreign.unwrap();
    let made_up = SessionToken::parse(text).map(|mut token| {
        token.key = KeyId::parse("AAAAAAAAAAAAAAAA").unwrap();
        format!("Bearer {}", token.text().expose())
    });
    let made_up = made_up.unwrap();
    let invalid = Err((Code::KeyInvalid, true));
    let none = Sent { method: "GET", ..Sent::default() };
    for (sent, expected, reason) in [
        (Sent { cookie: Some(&good), ..none }, Ok("console"), "a cookie"),
        (Sent { cookie: Some(&empty), ..none }, Err((Code::KeyMissing, false)), "an ended one"),
        (Sent { cookie: Some(&twice), ..none }, Err((Code::MalformedRequest, false)), "two"),
        (Sent { cookie: Some(&other), ..none }, Err((Code::KeyMissing, false)), "another name"),
        (Sent { cookie: Some(&broken), ..none }, invalid, "a part of one"),
        (Sent { authorization: Some(&bearer), ..none }, Ok("cli"), "a bearer token"),
        (
            Sent { authorization: Some(&bearer), cookie: Some(&good), ..none },
            Ok("cli"),
            "what was said counts, not what came along",
        ),
        (
            Sent { authorization: Some(&key), cookie: Some(&good), origin: Some(OWN), ..none },
            Ok("key"),
            "signing in again",
        ),
        (
            Sent { authorization: Some(&bearer), x_api_key: Some(text), ..none },
            Err((Code::MalformedRequest, false)),
            "two at once",
        ),
        (
            Sent { authorization: Some(&bearer), origin: Some(OWN), ..none },
            Err((Code::SecretKeyInBrowser, false)),
            "in a page",
        ),
        (
            Sent { authorization: Some(&bearer), sec_fetch_site: Some("none"), ..none },
            Err((Code::SecretKeyInBrowser, false)),
            "in a browser",
        ),
        (Sent { x_api_key: Some(text), ..none }, invalid, "no key"),
        (Sent { authorization: Some(&basic), ..none }, invalid, "no client"),
        (Sent { authorization: Some(&foreign), ..none }, invalid, "another gate's"),
        (Sent { authorization: Some(&made_up), ..none }, invalid, "of a key that never was"),
    ] {
        assert_eq!(shown(sent, BOUNDS.environment), expected, "{reason}");
    }
    let elsewhere = Sent { authorization: Some(&bearer), ..none };
    assert_eq!(shown(elsewhere, "production"), Err((Code::WrongEnvironment, true)));
}
