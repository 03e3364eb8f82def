use serde_json::json;

use super::*;
use crate::key::{IdSecret, Peppers};
use crate::manage::tests::{BOUNDS, NOW, body, made};

const ROOT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The secrets that the keys of these tests are made under.
fn trust() -> Trust {
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
        Sent { authorization, x_api_key, origin, sec_fetch_site },
        Some(&root),
        ground,
    ) {
        Ok(Credential::Root) => Ok("root"),
        Ok(Credential::Key(_)) => Ok("key"),
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
