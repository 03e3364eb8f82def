//! Caches make the gate fast and never right: narrowing is felt at once, widening is not lost, and
//! nothing that is slow or forged brings a key back.

use super::world::*;
use crate::key::{KeyKind, KeyState};
use crate::scope::Scope;
use crate::time::Millis;

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
}

#[test]
fn an_admitted_request_costs_one_object_call_and_kv_only_the_first_time() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    let first = world.walk(&ask);
    assert_eq!((first.told().1, first.kv, first.objects), ("forward", 1, 1));
    let second = world.walk(&ask);
    assert_eq!((second.told().1, second.kv, second.objects), ("forward", 0, 1));
    let narrow = get("/v1/tight").method("GET").with("origin", APP).key(&key);
    let refused = world.walk(&narrow);
    assert_eq!((refused.told().1, refused.kv, refused.objects), ("secret_key_in_browser", 0, 0));
}

#[test]
fn a_revoked_key_is_refused_whatever_the_caches_say() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    world.change(&key, |record| record.state = KeyState::Revoked);
    assert_eq!(world.walk(&ask).told(), (401, "key_revoked"), "cached in the isolate");
    world.elsewhere();
    assert_eq!(world.walk(&ask).told(), (401, "key_revoked"), "cached in KV");
    let again = world.walk(&ask);
    assert_eq!((again.told().1, again.objects), ("key_revoked", 0), "and now it is known here");
}

#[test]
fn a_slow_cache_fill_never_brings_a_revoked_key_back() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    let old = world.record(&key);
    world.change(&key, |record| record.state = KeyState::Revoked);
    let revoked = world.record(&key);
    world.isolate.keep(revoked, Some(world.now));
    world.isolate.keep(old.clone(), None);
    world.put_in_kv(&old);
    let walked = world.walk(&ask);
    assert_eq!((walked.told().1, walked.kv, walked.objects), ("key_revoked", 0, 0));
}

#[test]
fn narrowing_is_felt_at_once_and_charges_nothing() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    world.change(&key, |record| record.scopes = scopes(&["invoices:read:1"]));
    let used = world.used(&key);
    let walked = world.walk(&ask);
    assert_eq!(walked.told(), (403, "insufficient_scope"));
    assert_eq!(walked.objects, 1);
    assert_eq!(world.used(&key), used);
}

#[test]
fn widening_is_not_lost_a_stale_refusal_is_confirmed_once_a_minute() {
    let mut world = World::new();
    let key = world.key(KeyKind::Sk, |record| record.scopes = scopes(&["invoices:read:1"]));
    let ask = get("/v1/invoices/42").key(&key);
    let refused = world.walk(&ask);
    assert_eq!((refused.told().1, refused.kv, refused.objects), ("insufficient_scope", 1, 1));
    let refused = world.walk(&ask);
    assert_eq!((refused.told().1, refused.kv, refused.objects), ("insufficient_scope", 0, 0));
    world.change(&key, |record| record.scopes = scopes(&["invoices:read:*"]));
    assert_eq!(world.walk(&ask).told(), (403, "insufficient_scope"), "believed for a minute");
    world.pass(Millis::secs(60));
    let passed = world.walk(&ask);
    assert_eq!((passed.told().1, passed.objects), ("forward", 2), "confirmed, then admitted");
}

#[test]
fn refusals_of_a_known_key_have_a_budget_of_their_own() {
    let mut world = World::new();
    let key = world.key(KeyKind::Sk, |record| record.scopes = scopes(&["invoices:read:1"]));
    let bad = get("/v1/invoices/42").key(&key);
    for round in 0..300 {
        assert_eq!(world.walk(&bad).told(), (403, "insufficient_scope"), "{round}");
    }
    assert_eq!(world.walk(&bad).told(), (429, "too_many_failures"));
    let good = get("/v1/invoices/1").key(&key);
    assert_eq!(world.walk(&good).told(), (0, "forward"), "what is allowed still passes");
    let elsewhere = bad.clone().from("198.51.100.9");
    assert_eq!(world.walk(&elsewhere).told(), (403, "insufficient_scope"), "per address");
}

#[test]
fn a_miss_in_kv_asks_the_object_and_follows_a_rotation_to_its_family() {
    let mut world = World::new();
    let key = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    world.kv.clear();
    let walked = world.walk(&ask);
    assert_eq!((walked.told().1, walked.kv, walked.objects), ("forward", 1, 2));
    // The same key, but its record lives in the object of another id: that of its family.
    let mut family = world.unknown_key(KeyKind::Sk);
    family.secret = key.secret.clone();
    let mut record = world.record(&key);
    record.family = family.id.clone();
    world.families.remove(key.id.as_str());
    world.families.insert(family.id.to_string(), crate::family::FamilyState::of(record));
    world.moved.insert(key.id.to_string(), family.id.clone());
    world.elsewhere();
    let walked = world.walk(&ask);
    assert_eq!((walked.told().1, walked.kv, walked.objects), ("forward", 1, 3));
}

#[test]
fn unknown_and_wrong_secret_have_one_answer() {
    let mut world = World::new();
    let key = world.server_key();
    let unknown = world.unknown_key(KeyKind::Sk);
    let mut wrong = key.clone();
    wrong.secret = crate::text::Secret::new("y".repeat(32));
    let answer = |world: &mut World, key: &crate::key::Key, address: &str| {
        let answer = world.walk(&get("/v1/invoices/42").key(key).from(address)).answer();
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, answer.headers.clone(), body)
    };
    assert_eq!(answer(&mut world, &unknown, "192.0.2.7"), answer(&mut world, &wrong, "192.0.2.8"));
}

#[test]
fn a_forged_or_moved_entry_of_kv_is_no_entry() {
    let mut world = World::new();
    let key = world.server_key();
    let other = world.server_key();
    let ask = get("/v1/invoices/42").key(&key);
    let name = |key: &crate::key::Key| crate::road::credential::kv_name(&key.id);
    let mut wide = world.record(&key);
    wide.scopes = scopes(&["*:*"]);
    let forged = format!("1.1.AAAA.{}", serde_json::to_string(&wide).unwrap());
    let moved = world.kv[&name(&other)].clone();
    for entry in [forged, moved, "rubbish".to_owned(), String::new()] {
        world.elsewhere();
        world.kv.insert(name(&key), entry);
        let walked = world.walk(&ask);
        assert_eq!((walked.told().1, walked.kv, walked.objects), ("forward", 1, 2));
    }
}

#[test]
fn without_its_stores_the_gate_stays_shut() {
    let mut world = World::new();
    let (key, page) = (world.server_key(), world.page_key());
    world.down = true;
    for ask in [
        get("/v1/invoices/42").key(&key),
        get("/v1/bykeys").with("origin", APP).key(&page),
        get("/v1/site").with("origin", APP),
    ] {
        assert_eq!(world.walk(&ask).told(), (503, "admission_unavailable"));
    }
    assert_eq!(world.walk(&get("/v1/open")).told(), (0, "forward"), "what asks no store goes on");
}

#[test]
fn a_key_of_another_environment_name_is_no_key() {
    let mut world = World::new();
    let key = world.key(KeyKind::Sk, |record| record.environment = "staging".into());
    assert_eq!(world.walk(&get("/v1/tight").key(&key)).told(), (401, "key_invalid"));
}

#[test]
fn routes_can_take_the_origins_of_live_keys() {
    let mut world = World::new();
    let page = world.page_key();
    let preflight = |origin: &str| {
        get("/v1/bykeys")
            .method("OPTIONS")
            .with("origin", origin)
            .with("access-control-request-method", "GET")
            .with("access-control-request-headers", "x-api-key")
    };
    let walked = world.walk(&preflight(APP));
    assert_eq!((walked.told(), walked.objects), ((204, ""), 1));
    let walked = world.walk(&preflight(OTHER));
    assert_eq!((walked.told(), walked.objects), ((403, "origin_not_allowed"), 0), "kept a minute");
    // A key made meanwhile works at once, though the list is old.
    let late = world.key(KeyKind::Pk, |record| {
        let pattern = crate::origin::OriginPattern::parse(OTHER, &crate::origin::SingleLabels);
        record.origins = vec![pattern.unwrap()];
    });
    let forward = world.walk(&get("/v1/bykeys").with("origin", OTHER).key(&late)).forward();
    let relayed = forward.answered(200, &[]).unwrap();
    assert!(relayed.set.contains(&("Access-Control-Allow-Origin", OTHER.to_owned())));
    let wrong = get("/v1/bykeys").with("origin", OTHER).key(&page);
    assert_eq!(world.walk(&wrong).told(), (403, "origin_not_allowed"));
    world.key(KeyKind::Pk, |record| record.allow_any_origin = true);
    world.pass(Millis::secs(60));
    assert_eq!(
        world.walk(&preflight("https://anywhere.example")).told(),
        (204, ""),
        "one lists all"
    );
}

#[test]
fn a_key_moves_to_a_newer_pepper_at_its_next_use() {
    let mut world = World::new();
    let key = world.server_key();
    let two = format!("2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,{PEPPER}");
    world.pepper(&two);
    let ask = get("/v1/invoices/42").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    assert_eq!((world.record(&key).digest.pepper, world.record(&key).version), (2, 2));
    assert_eq!(world.walk(&ask).told(), (0, "forward"), "the version is new: looked at again");
    assert_eq!(world.record(&key).version, 2, "once is enough");
    let two = two.split_once(',').unwrap().0.to_owned();
    world.pepper(&two);
    world.elsewhere();
    assert_eq!(world.walk(&ask).told(), (0, "forward"), "the old pepper can go");
    let record = world.record(&key);
    let refused = world.key(KeyKind::Sk, |key| {
        key.limits = vec![];
        key.digest = record.digest;
    });
    assert_eq!(world.walk(&get("/v1/tight").key(&refused)).told(), (401, "key_invalid"));
}
