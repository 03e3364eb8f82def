//! How a walk is counted: whose it was, and whether it was admitted.

use super::world::*;
use crate::key::{Deprecated, Key, KeyKind, KeyState};
use crate::road::Outcome;
use crate::road::forwarding::UpstreamFault;
use crate::text::Secret;
use crate::usage::Sample;

/// What a sample says, without its times.
type Told = (Option<(String, String)>, Option<String>, u16, &'static str, bool, bool);

fn told(sample: &Sample<'_>) -> Told {
    let key = sample.key.map(|(id, tenant)| (id.to_string(), tenant.to_owned()));
    let code = sample.code.map_or("", |code| code.as_str());
    let route = sample.route.map(str::to_owned);
    (key, route, sample.status, code, sample.admitted, sample.in_grace)
}

/// Walks, with a backend that does not answer.
fn counted(world: &mut World, ask: &Ask2) -> Told {
    let now = world.now;
    let answer = match world.walk(ask).outcome {
        Outcome::Forward(forward) => forward.failed(UpstreamFault::Timeout),
        Outcome::Answer(answer) => *answer,
        other => panic!("{other:?}"),
    };
    told(&answer.sample(now))
}

#[test]
fn each_walk_is_counted_by_whose_it_was_and_by_how_it_ended() {
    let mut world = World::new();
    let key = world.server_key();
    let of = |key: &Key| Some((key.id.to_string(), "acme".to_owned()));
    let wrong = Key { secret: Secret::new("x".repeat(32)), ..key.clone() };
    let unknown = world.unknown_key(KeyKind::Sk);
    let revoked = world.key(KeyKind::Sk, |record| record.state = KeyState::Revoked);
    let unscoped = world.key(KeyKind::Sk, |_| {});
    let successor = world.unknown_key(KeyKind::Sk).id;
    let since = world.now;
    let old = world.key(KeyKind::Sk, |record| {
        record.scopes = vec!["invoices:read:*".to_owned().try_into().unwrap()];
        record.deprecated = Some(Deprecated { since, successor });
    });
    let invoice = || get("/v1/invoices/42");
    let route = || Some("invoice".to_owned());
    for (why, ask, expected) in [
        (
            "passed, and the backend did not answer",
            invoice().key(&key),
            (of(&key), route(), 504, "upstream_timeout", true, false),
        ),
        (
            "an old key in its grace period",
            invoice().key(&old),
            (of(&old), route(), 504, "upstream_timeout", true, true),
        ),
        (
            "a wrong secret: what was tried is known",
            invoice().key(&wrong),
            (of(&key), route(), 401, "key_invalid", false, false),
        ),
        (
            "an unknown key",
            invoice().key(&unknown),
            (None, route(), 401, "key_invalid", false, false),
        ),
        (
            "a revoked key",
            invoice().key(&revoked),
            (of(&revoked), route(), 401, "key_revoked", false, false),
        ),
        (
            "a key without the scope",
            invoice().key(&unscoped),
            (of(&unscoped), route(), 403, "insufficient_scope", false, false),
        ),
        ("no key", invoice(), (None, route(), 401, "key_missing", false, false)),
        ("no route", get("/nowhere"), (None, None, 404, "route_not_found", false, false)),
        (
            "a route without keys",
            get("/v1/open"),
            (None, Some("open".to_owned()), 504, "upstream_timeout", true, false),
        ),
    ] {
        assert_eq!(counted(&mut world, &ask), expected, "{why}");
    }
}

#[test]
fn a_limit_refuses_in_the_object_and_from_memory_alike() {
    let mut world = World::new();
    let key = world.server_key();
    let ends: Vec<_> = (0..4).map(|_| counted(&mut world, &get("/v1/tight").key(&key))).collect();
    let told: Vec<_> = ends.iter().map(|end| (end.3, end.4)).collect();
    let (passed, limited) = (("upstream_timeout", true), ("rate_limited", false));
    assert_eq!(told, [passed, passed, limited, limited]);
    assert!(ends.iter().all(|end| end.0.is_some()));
}

#[test]
fn a_granted_preflight_is_no_request_yet() {
    let mut world = World::new();
    let ask = get("/v1/invoices/42")
        .method("OPTIONS")
        .with("origin", APP)
        .with("access-control-request-method", "GET");
    let (key, _, status, code, admitted, _) = counted(&mut world, &ask);
    assert_eq!((key, status, code, admitted), (None, 204, "", false));
    let mut ledger = crate::usage::Ledger::default();
    let answer = world.walk(&ask).answer();
    assert_eq!(ledger.record(&answer.sample(world.now)), None);
    assert!(ledger.take().is_empty());
}
