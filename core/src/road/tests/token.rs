//! Tokens in a key's place: without a secret, and never more or longer than their key.

use super::world::*;
use crate::key::{Claims, Deprecated, Key, KeyKind, KeyState, TOKEN_LIFE, Token, checksum};
use crate::scope::Scope;
use crate::time::Millis;

const TWO: &str =
    "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ONLY_TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
}

impl World {
    /// A token of this key, made now.
    fn token(&self, key: &Key, allowed: &[&str]) -> String {
        let claims = Claims {
            issued_at: self.now,
            expires_at: self.now.plus(TOKEN_LIFE),
            scopes: scopes(allowed),
        };
        let made = self.gate.trust.issue(&key.prefix, &key.id, &claims, [1; 8]);
        made.unwrap().expose().to_owned()
    }
}

fn bearer(path: &str, token: &str) -> Ask2 {
    get(path).with("authorization", &format!("Bearer {token}"))
}

fn invoice(token: &str) -> Ask2 {
    bearer("/v1/invoices/42", token)
}

#[test]
fn a_token_passes_as_its_key_and_costs_its_keys_limit() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    let forward = world.walk(&invoice(&token)).forward();
    let sent = forward.request(&invoice(&token)).unwrap().edits;
    let header = |name: &str| {
        sent.set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    assert_eq!(header("X-Tollgate-Key").as_deref(), Some(key.id.as_str()));
    assert_eq!(header("X-Tollgate-Scopes").as_deref(), Some("invoices:read:*"));
    assert!(sent.remove.contains(&"authorization".to_owned()));
    assert_eq!(world.used(&key), 1);
    let cached = world.walk(&invoice(&token));
    assert_eq!((cached.told().1, cached.kv, cached.objects), ("forward", 0, 1));
}

#[test]
fn a_forged_token_is_no_key_and_asks_no_store() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    let again = |body: String| format!("{body}{}", checksum(&body));
    let body = &token[..token.len() - 6];
    let last = if body.ends_with('0') { "1" } else { "0" };
    let forged = again(format!("{}{last}", &body[..body.len() - 1]));
    let other = world.unknown_key(KeyKind::Sk);
    let moved = again(body.replace(key.id.as_str(), other.id.as_str()));
    for (why, text, told) in [
        ("another MAC", forged, (401, "key_invalid")),
        ("another key", moved, (401, "key_invalid")),
        ("another brand", again(body.replacen("tg_", "xx_", 1)), (401, "key_invalid")),
        ("another environment", again(body.replacen("prod", "dev", 1)), (403, "wrong_environment")),
        ("cut short", token[..token.len() - 1].to_owned(), (401, "key_invalid")),
    ] {
        let mut elsewhere = World::new();
        let walked = elsewhere.walk(&invoice(&text));
        assert_eq!((walked.told(), walked.kv, walked.objects), (told, 0, 0), "{why}");
    }
    let genuine = Token::parse(&token).unwrap();
    assert!(world.gate.trust.is_genuine(&genuine));
}

#[test]
fn a_token_comes_as_bearer_alone() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    let (name, rest) = token.rsplit_once('_').unwrap();
    let basic = data_encoding::BASE64.encode(format!("{name}:{rest}").as_bytes());
    for ask in [
        get("/v1/invoices/42").with("x-api-key", &token),
        get("/v1/invoices/42").with("authorization", &format!("Basic {basic}")),
    ] {
        assert_eq!(world.walk(&ask).told(), (401, "key_invalid"));
    }
    let url = world.walk(&get(&format!("/v1/invoices/{token}")));
    assert_eq!(url.told(), (400, "credential_in_url"));
    assert_eq!(url.answer().log(start()).path, "/v1/invoices/[key]");
}

#[test]
fn failed_tokens_spend_the_failures_of_their_address() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &[]);
    let bad = invoice(&token[..token.len() - 1]);
    for _ in 0..3 {
        assert_eq!(world.walk(&bad).told(), (401, "key_invalid"));
    }
    assert_eq!(world.walk(&bad).told(), (429, "too_many_failures"));
    assert_eq!(world.walk(&invoice(&token)).told(), (429, "too_many_failures"), "asks a store");
}

#[test]
fn a_token_ends_to_the_millisecond_and_is_told_so_without_a_store() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    world.pass(Millis::millis(TOKEN_LIFE.as_millis() - 1));
    assert_eq!(world.walk(&invoice(&token)).told(), (0, "forward"));
    world.pass(Millis::millis(1));
    world.elsewhere();
    let walked = world.walk(&invoice(&token));
    assert_eq!((walked.told(), walked.kv, walked.objects), ((401, "token_expired"), 0, 0));
    // A key that was revoked meanwhile makes no difference to who cannot see it any more.
    world.change(&key, |record| record.state = KeyState::Revoked);
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "token_expired"));
}

#[test]
fn refusing_ended_tokens_has_a_budget() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &[]);
    world.pass(TOKEN_LIFE);
    for _ in 0..300 {
        assert_eq!(world.walk(&invoice(&token)).told(), (401, "token_expired"));
    }
    assert_eq!(world.walk(&invoice(&token)).told(), (429, "too_many_failures"));
    assert_eq!(world.walk(&invoice(&token).from("192.0.2.9")).told(), (401, "token_expired"));
}

#[test]
fn a_token_dies_with_its_key_at_once() {
    for (state, told) in
        [(KeyState::Revoked, (401, "key_revoked")), (KeyState::Disabled, (401, "key_disabled"))]
    {
        let mut world = World::new();
        let key = world.server_key();
        let token = world.token(&key, &["invoices:read:*"]);
        assert_eq!(world.walk(&invoice(&token)).told(), (0, "forward"), "known by heart");
        world.change(&key, |record| record.state = state);
        assert_eq!(world.walk(&invoice(&token)).told(), told);
    }
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    assert_eq!(world.walk(&invoice(&token)).told(), (0, "forward"));
    world.change(&key, |record| record.suspended = true);
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_disabled"), "its tenant is off");
}

#[test]
fn a_token_of_a_rotated_key_ends_with_its_grace() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    let (now, successor) = (world.now, world.unknown_key(KeyKind::Sk).id);
    world.change(&key, |record| {
        record.deprecated = Some(Deprecated { since: now, successor });
        record.expires_at = now.plus(Millis::secs(60));
    });
    world.pass(Millis::secs(59));
    let forward = world.walk(&invoice(&token)).forward();
    let set = forward.answered(200, &[]).unwrap().set;
    assert!(set.iter().any(|(name, _)| *name == "Sunset"), "{set:?}");
    world.pass(Millis::secs(1));
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_expired"));
}

#[test]
fn a_token_does_what_it_and_its_key_both_may_at_this_moment() {
    let mut world = World::new();
    let key = world.server_key();
    let one = world.token(&key, &["invoices:read:42"]);
    assert_eq!(world.walk(&invoice(&one)).told(), (0, "forward"));
    let answer = world.walk(&bearer("/v1/invoices/43", &one));
    assert_eq!(answer.told(), (403, "insufficient_scope"), "less than its key");
    let all = world.token(&key, &["invoices:read:*"]);
    assert_eq!(world.walk(&bearer("/v1/invoices/43", &all)).told(), (0, "forward"));
    world.change(&key, |record| record.scopes = scopes(&["invoices:read:42"]));
    let used = world.used(&key);
    let refused = world.walk(&bearer("/v1/invoices/43", &all));
    assert_eq!(refused.told(), (403, "insufficient_scope"), "narrowed at once");
    assert_eq!(world.used(&key), used, "and not charged");
    let forward = world.walk(&invoice(&all)).forward();
    let sent = forward.request(&invoice(&all)).unwrap().edits.set;
    let told = sent.iter().find(|(name, _)| name == "X-Tollgate-Scopes");
    assert_eq!(told.map(|(_, value)| value.as_str()), Some("invoices:read:42"));
    // The isolate keeps the key's own record, not that of one token.
    world.change(&key, |record| record.scopes = scopes(&["invoices:read:*"]));
    assert_eq!(world.walk(&get("/v1/invoices/42").key(&key)).told(), (0, "forward"));
    assert_eq!(world.walk(&get("/v1/invoices/43").key(&key)).told(), (0, "forward"));
    assert_eq!(world.walk(&bearer("/v1/invoices/43", &one)).told(), (403, "insufficient_scope"));
}

#[test]
fn a_token_is_used_where_its_key_may_be() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    for ask in [invoice(&token).with("origin", APP), invoice(&token).with("sec-fetch-site", "none")]
    {
        assert_eq!(world.walk(&ask).told(), (403, "secret_key_in_browser"));
    }
    world.change(&key, |record| {
        record.addresses = vec!["192.0.2.0/24".to_owned().try_into().unwrap()];
    });
    assert_eq!(world.walk(&invoice(&token)).told(), (0, "forward"));
    assert_eq!(world.walk(&invoice(&token).from("198.51.100.1")).told(), (403, "ip_not_allowed"));
}

#[test]
fn no_token_stands_for_a_key_that_makes_none() {
    for kind in [KeyKind::Pk, KeyKind::Ak] {
        let mut world = World::new();
        let key = world.key(kind, |record| record.scopes = scopes(&["invoices:read:*"]));
        let token = world.token(&key, &["invoices:read:*"]);
        assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_invalid"));
    }
    let mut world = World::new();
    let key = world.key(KeyKind::Sk, |record| record.environment = "staging".into());
    let token = world.token(&key, &[]);
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_invalid"), "another environment");
    let unknown = world.unknown_key(KeyKind::Sk);
    let token = world.token(&unknown, &[]);
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_invalid"), "no such key");
}

#[test]
fn a_token_outlives_a_new_pepper_and_moves_no_key() {
    let mut world = World::new();
    let key = world.server_key();
    let token = world.token(&key, &["invoices:read:*"]);
    world.pepper(TWO);
    assert_eq!(world.walk(&invoice(&token)).told(), (0, "forward"));
    assert_eq!(world.record(&key).digest.pepper, 1, "only the key's secret can move it");
    world.pepper(ONLY_TWO);
    assert_eq!(world.walk(&invoice(&token)).told(), (401, "key_invalid"));
}
