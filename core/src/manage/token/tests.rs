use data_encoding::BASE64;
use serde_json::json;

use super::*;
use crate::key::{Deprecated, KeyState};
use crate::manage::MadeKey;
use crate::manage::credential::tests::trust;
use crate::manage::tests::{BOUNDS, NOW, body, made};
use crate::road::Trust;
use crate::time::Millis;

const HERE: UsedAt = UsedAt { address: None, in_browser: false };

fn ground(trust: &Trust) -> Ground<'_> {
    Ground { brand: BOUNDS.brand, environment: "dev", trust }
}

fn key() -> MadeKey {
    made(&body("sk", json!({ "scopes": ["a:b", "invoices:read:*"] })))
}

/// The halves that OAuth calls id and secret.
fn halves(key: &MadeKey) -> (String, String) {
    let (id, secret) = key.secret.expose().rsplit_once('_').unwrap();
    (id.to_owned(), secret.to_owned())
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes()))
}

/// The code of a refusal, OAuth's name for it, and whether it costs the address.
fn read(authorization: Option<&str>, body: &str) -> Result<TokenAsk, (Code, String, bool)> {
    let sent = TokenSent {
        authorization,
        x_api_key: None,
        content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
        body: body.as_bytes(),
    };
    TokenAsk::read(sent, ground(&trust())).map_err(|failed| {
        let Failed { problem, counts } = failed;
        let told = oauth(*problem);
        (told.code, told.extra["error"].as_str().unwrap().to_owned(), counts)
    })
}

const GRANT: &str = "grant_type=client_credentials";

#[test]
fn a_client_shows_itself_by_basic_or_in_the_form() {
    let key = key();
    let (id, secret) = halves(&key);
    // As strict clients encode it.
    let encoded = id.replace('_', "%5F");
    for (authorization, body) in [
        (Some(basic(&id, &secret)), GRANT.to_owned()),
        (Some(basic(&encoded, &secret)), GRANT.to_owned()),
        (Some(basic(&id, &secret).replace("Basic", "bASIC")), format!("{GRANT}&client_id=")),
        (None, format!("{GRANT}&client_id={id}&client_secret={secret}")),
        (None, format!("client_secret={secret}&client_id={encoded}&{GRANT}&resource=x")),
    ] {
        let ask = read(authorization.as_deref(), &body).unwrap();
        assert_eq!(ask.key.id, key.record.id);
        assert_eq!(ask.scopes, None);
    }
}

#[test]
fn what_is_no_request_is_told_by_oauths_names() {
    let key = key();
    let (id, secret) = halves(&key);
    let with = |rest: &str| format!("{GRANT}&client_id={id}&client_secret={secret}{rest}");
    let wrong = format!("{}0", &secret[..secret.len() - 1]);
    let wrong = if wrong == secret { format!("{}1", &secret[..secret.len() - 1]) } else { wrong };
    let invalid = |code| (code, "invalid_request", false);
    let pk = halves(&made(&body("pk", json!({}))));
    let ak = halves(&made(&body("ak", json!({}))));
    for (why, authorization, body, told) in [
        ("nothing", None, String::new(), invalid(Code::InvalidField)),
        ("no grant", None, with("").replacen(GRANT, "x=y", 1), invalid(Code::InvalidField)),
        (
            "another grant",
            None,
            with("").replacen("client_credentials", "password", 1),
            (Code::InvalidField, "unsupported_grant_type", false),
        ),
        ("a parameter twice", None, with("&scope=a:b&scope=a:b"), invalid(Code::InvalidField)),
        ("broken encoding", None, with("&x=%zz"), invalid(Code::InvalidField)),
        ("both", Some(basic(&id, &secret)), with(""), invalid(Code::MalformedRequest)),
        (
            "its id twice",
            Some(basic(&id, &secret)),
            format!("{GRANT}&client_id={id}"),
            invalid(Code::MalformedRequest),
        ),
        (
            "bearer",
            Some(format!("Bearer {id}_{secret}")),
            GRANT.to_owned(),
            invalid(Code::MalformedRequest),
        ),
        ("nobody", None, GRANT.to_owned(), (Code::KeyMissing, "invalid_client", false)),
        (
            "half of it",
            None,
            format!("{GRANT}&client_id={id}"),
            (Code::KeyMissing, "invalid_client", false),
        ),
        (
            "no base64",
            Some("Basic !".to_owned()),
            GRANT.to_owned(),
            (Code::KeyInvalid, "invalid_client", true),
        ),
        (
            "a wrong check",
            Some(basic(&id, &wrong)),
            GRANT.to_owned(),
            (Code::KeyInvalid, "invalid_client", true),
        ),
        (
            "a page's key",
            Some(basic(&pk.0, &pk.1)),
            GRANT.to_owned(),
            (Code::WrongKind, "unauthorized_client", true),
        ),
        (
            "an admin key",
            Some(basic(&ak.0, &ak.1)),
            GRANT.to_owned(),
            (Code::WrongKind, "unauthorized_client", true),
        ),
        (
            "what is no scope",
            None,
            with("&scope=everything"),
            (Code::InvalidField, "invalid_scope", false),
        ),
    ] {
        let (code, error, counts) = read(authorization.as_deref(), &body).expect_err(why);
        assert_eq!((code, error.as_str(), counts), told, "{why}");
    }
}

#[test]
fn a_body_is_a_form_and_x_api_key_is_for_routes() {
    let key = key();
    let (id, secret) = halves(&key);
    let form = format!("{GRANT}&client_id={id}&client_secret={secret}");
    let sent = TokenSent {
        content_type: Some("application/x-www-form-urlencoded"),
        body: form.as_bytes(),
        ..TokenSent::default()
    };
    let trust = trust();
    let code = |sent| TokenAsk::read(sent, ground(&trust)).map_err(|failed| failed.problem.code);
    assert!(code(sent).is_ok());
    for bad in [
        TokenSent { content_type: None, ..sent },
        TokenSent { content_type: Some("application/json"), ..sent },
        TokenSent { x_api_key: Some(key.secret.expose()), ..sent },
        TokenSent { body: &[0xff], ..sent },
    ] {
        assert_eq!(code(bad).err(), Some(Code::MalformedRequest));
    }
}

fn asked(scope: &str) -> TokenAsk {
    let (id, secret) = halves(&key());
    read(Some(&basic(&id, &secret)), &format!("{GRANT}&scope={scope}")).unwrap()
}

#[test]
fn a_token_has_at_most_the_scopes_of_its_key() {
    let record = key().record;
    let scopes = |ask: &str| asked(ask).permit(&record, HERE, NOW).map(|scopes| joined(&scopes));
    for (ask, given) in [
        ("", "a:b invoices:read:*"),
        ("a:b", "a:b"),
        ("invoices:read:42+a:b", "invoices:read:42 a:b"),
        ("invoices:read:*", "invoices:read:*"),
    ] {
        assert_eq!(scopes(ask).unwrap(), given);
    }
    for (ask, lacking) in [
        ("a:c", vec!["a:c"]),
        ("a:b%20c:d%20e:f", vec!["c:d", "e:f"]),
        ("a:*", vec!["a:*"]),
        ("invoices:*:42", vec!["invoices:*:42"]),
    ] {
        let problem = oauth(scopes(ask).unwrap_err());
        assert_eq!(
            (problem.code, problem.required_scopes),
            (Code::InsufficientScope, {
                lacking.into_iter().map(str::to_owned).collect::<Vec<_>>()
            })
        );
        assert_eq!(problem.extra["error"], "invalid_scope");
    }
}

#[test]
fn a_token_is_made_where_its_key_may_be_used() {
    let record = key().record;
    let listed = KeyRecord {
        addresses: vec!["192.0.2.0/24".to_owned().try_into().unwrap()],
        ..record.clone()
    };
    let at = |address: &str| UsedAt { address: address.parse().ok(), ..HERE };
    let in_browser = UsedAt { in_browser: true, ..HERE };
    let off = KeyRecord { state: KeyState::Disabled, ..record.clone() };
    for (record, place, now, code) in [
        (&record, HERE, NOW, None),
        (&listed, at("192.0.2.7"), NOW, None),
        (&listed, at("198.51.100.7"), NOW, Some(Code::IpNotAllowed)),
        (&listed, HERE, NOW, Some(Code::IpNotAllowed)),
        (&record, in_browser, NOW, Some(Code::SecretKeyInBrowser)),
        (&off, in_browser, NOW, Some(Code::KeyDisabled)),
        (&record, HERE, record.expires_at, Some(Code::KeyExpired)),
    ] {
        let told = asked("").permit(record, place, now).err().map(|problem| problem.code);
        assert_eq!(told, code);
    }
}

#[test]
fn a_token_never_outlives_its_key() {
    let key = key();
    let (ask, trust) = (asked(""), trust());
    for (left, seconds) in [(400_000, 300), (300_000, 300), (10_999, 10), (999, 0)] {
        let expires_at = NOW.plus(Millis::millis(left));
        let record = KeyRecord { expires_at, ..key.record.clone() };
        let scopes = record.scopes.clone();
        let grant = Grant::new(ground(&trust), &ask.key, &record, scopes, (NOW, [0; 8])).unwrap();
        let body = grant.body();
        assert_eq!(body["expires_in"], seconds);
        let token = Token::parse(body["access_token"].as_str().unwrap()).unwrap();
        assert!(!token.claims.is_expired(NOW));
        assert_eq!(token.claims.expires_at, expires_at.min(NOW.plus(TOKEN_LIFE)));
        assert_eq!(ground(&trust).refuses_token(&token), None);
    }
}

#[test]
fn an_answer_has_its_members_and_nothing_more() {
    let key = key();
    let (ask, trust) = (asked(""), trust());
    let grant = |scopes| {
        let grant = Grant::new(ground(&trust), &ask.key, &key.record, scopes, (NOW, [0; 8]));
        let mut body = grant.unwrap().body();
        assert!(body["access_token"].as_str().unwrap().starts_with("tg_dev_tk_"));
        body["access_token"] = json!("…");
        body
    };
    assert_eq!(
        grant(key.record.scopes.clone()),
        json!({ "access_token": "…", "token_type": "Bearer", "expires_in": 300, "scope": "a:b invoices:read:*" })
    );
    assert_eq!(
        grant(vec![]),
        json!({ "access_token": "…", "token_type": "Bearer", "expires_in": 300 })
    );
}

#[test]
fn every_code_has_oauths_name_and_a_plain_description() {
    for code in Code::ALL {
        let problem = oauth(Problem::new(*code).detail("say \"no\" \\ né"));
        assert_eq!(problem.extra["error_description"], "say no  n");
        assert!(oauth(Problem::new(*code)).extra["error_description"] != "");
    }
    for (code, error) in [
        (Code::KeyRevoked, "invalid_client"),
        (Code::IpNotAllowed, "unauthorized_client"),
        (Code::RateLimited, "temporarily_unavailable"),
        (Code::TooManyFailures, "temporarily_unavailable"),
        (Code::AdmissionUnavailable, "temporarily_unavailable"),
        (Code::InternalError, "server_error"),
        (Code::BodyTooLarge, "invalid_request"),
        (Code::MethodNotAllowed, "invalid_request"),
    ] {
        assert_eq!(oauth(code.into()).extra["error"], error, "{code:?}");
    }
}

#[test]
fn an_error_is_json_for_who_asks_for_json() {
    for (accept, kind) in [
        (None, "application/problem+json"),
        (Some("*/*"), "application/problem+json"),
        (Some("application/json"), "application/json"),
        (Some("text/html, Application/JSON;q=0.9"), "application/json"),
        (Some("application/json, application/problem+json"), "application/problem+json"),
    ] {
        assert_eq!(error_type(accept), kind, "{accept:?}");
    }
}

#[test]
fn an_answer_to_a_rotated_key_says_so() {
    let record = key().record;
    assert_eq!(deprecation(&record), []);
    let successor = record.id.clone();
    let rotated = KeyRecord { deprecated: Some(Deprecated { since: NOW, successor }), ..record };
    let names: Vec<&str> = deprecation(&rotated).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Deprecation", "Sunset"]);
}

#[test]
fn a_token_is_no_credential_for_management() {
    let key = key();
    let trust = trust();
    let prefix = asked("").key.prefix;
    let claims = Claims { issued_at: NOW, expires_at: NOW.plus(TOKEN_LIFE), scopes: vec![] };
    let token = trust.issue(&prefix, &key.record.id, &claims, [0; 8]).unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let sent = super::super::Sent { authorization: Some(&bearer), ..Default::default() };
    let failed = super::super::Credential::read(sent, None, ground(&trust)).unwrap_err();
    assert_eq!((failed.problem.code, failed.counts), (Code::WrongKind, true));
}
