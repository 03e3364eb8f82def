//! Limits that are given ahead: a hot key is served without a call, and never for longer than its
//! lease.

use serde_json::{Value, json};

use super::world::*;
use crate::key::{Key, KeyKind, KeyRecord, KeyState};
use crate::limit::{Limit, Mode};
use crate::road::Errand;
use crate::time::Millis;

/// Requests of one isolate, and how each was served.
#[derive(Default)]
struct Served {
    forwarded: u32,
    limited: u32,
    /// Those that waited for an object.
    waited: u32,
    /// Counted by the edge alone.
    leased: u32,
    errands: Vec<String>,
}

fn leased(limit: &Value) -> Limit {
    serde_json::from_value(limit.clone()).unwrap()
}

/// A key whose own limit is this one.
fn key_with(world: &mut World, limit: &Value) -> Key {
    let limit = leased(limit);
    world.key(KeyKind::Sk, |record| record.limits = vec![limit])
}

fn hot(requests: u32) -> Value {
    json!({ "name": "hot", "rate": { "requests": requests, "window": "1m" }, "mode": "leased" })
}

/// One request every 10 ms, whose errands are run before the next.
fn serve(world: &mut World, ask: &Ask2, requests: u32) -> Served {
    let mut served = Served::default();
    for _ in 0..requests {
        world.pass(Millis::millis(10));
        let mut walked = world.walk(ask);
        let errands = walked.take_errands();
        served.errands.extend(world.run(errands));
        served.waited += walked.objects;
        let now = world.now;
        match walked.told() {
            (0, "forward") => {
                let relayed = walked.forward().answered(200, &[]).unwrap();
                served.forwarded += 1;
                served.leased += u32::from(relayed.sample(now).leased);
            }
            (429, _) => {
                assert!(!walked.answer().sample(now).leased);
                served.limited += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    served
}

#[test]
fn a_hot_key_is_served_without_a_call_and_renewed_in_the_background() {
    let mut world = World::new();
    let key = key_with(&mut world, &hot(60_000));
    let ask = get("/v1/tight").key(&key);
    world.limit("tight", 1, json!([]));
    let first = serve(&mut world, &ask, 100);
    assert!(first.waited < 30, "{} waited while it became hot", first.waited);
    let then = serve(&mut world, &ask, 1_000);
    assert_eq!((then.forwarded, then.waited), (1_000, 0), "nobody waits any more");
    assert_eq!(then.leased, 1_000);
    let renewal = format!("{} lease", key.id);
    assert!(then.errands.iter().all(|errand| *errand == renewal), "{:?}", then.errands);
    assert!((5..=40).contains(&then.errands.len()), "{}", then.errands.len());
}

#[test]
fn each_request_is_counted_by_the_object_or_by_the_edge_and_never_by_both() {
    let mut world = World::new();
    world.limit("tight", 1, json!([]));
    let key = key_with(&mut world, &hot(600));
    let ask = get("/v1/tight").key(&key);
    let served = serve(&mut world, &ask, 2_000);
    assert!(served.leased > 100 && served.limited > 0, "{} leased", served.leased);
    assert!(served.forwarded <= 600, "{} in one window", served.forwarded);
    let family = world.families.get_mut(key.id.as_str()).unwrap();
    let admitted: u64 = family.tally().0.iter().map(|tally| tally.admitted).sum();
    assert_eq!(u64::from(served.forwarded), admitted + u64::from(served.leased));
}

#[test]
fn these_are_leased_and_nothing_more() {
    let exact = json!({ "name": "own", "rate": { "requests": 6_000, "window": "1m" } });
    let route = |limit: Value| json!([limit]);
    let rate = json!({ "requests": 6_000, "window": "1m" });
    for (why, own, mode, limits, is_leased) in [
        ("a leased limit", hot(6_000), Mode::Exact, json!([]), true),
        ("an exact limit", exact.clone(), Mode::Exact, json!([]), false),
        ("a leased key", exact.clone(), Mode::Leased, json!([]), true),
        (
            "an exact limit beside it",
            hot(6_000),
            Mode::Exact,
            route(json!({ "name": "b", "rate": rate })),
            false,
        ),
        (
            "a leased one beside it",
            hot(6_000),
            Mode::Exact,
            route(json!({ "name": "b", "rate": rate, "mode": "leased" })),
            true,
        ),
        (
            "a leased key's limit of the route",
            exact.clone(),
            Mode::Leased,
            route(json!({ "name": "b", "quota": { "requests": 9_000, "per": "day" } })),
            true,
        ),
        (
            "what is in flight, of a leased key",
            exact.clone(),
            Mode::Leased,
            route(json!({ "name": "b", "concurrency": 9 })),
            false,
        ),
        (
            "a leased key, beside what is in flight at another object",
            exact.clone(),
            Mode::Leased,
            route(json!({ "name": "b", "concurrency": 9, "by": "route" })),
            false,
        ),
        (
            "a bucket too small to be leased, of a leased key",
            exact.clone(),
            Mode::Leased,
            route(json!({ "name": "b", "bucket": {
                "rate": { "requests": 1_000, "window": "1s" }, "burst": 10 } })),
            false,
        ),
        (
            "an exact limit of another object",
            hot(6_000),
            Mode::Exact,
            route(json!({ "name": "b", "rate": rate, "by": "tenant" })),
            true,
        ),
    ] {
        let mut world = World::new();
        world.limit("tight", 1, limits);
        let own = leased(&own);
        let key = world.key(KeyKind::Sk, |record| {
            record.limits = vec![own];
            record.mode = mode;
        });
        let ask = get("/v1/tight").key(&key);
        let served = serve(&mut world, &ask, 300);
        assert_eq!(served.leased > 0, is_leased, "{why}: {}", served.leased);
    }
}

#[test]
fn a_key_is_never_leased_while_its_limits_are_in_shadow_or_its_digest_is_old() {
    let mut world = World::new();
    let key = key_with(&mut world, &hot(6_000));
    world.limit("shadowed", 1, json!([]));
    let ask = get("/v1/shadowed").key(&key);
    assert_eq!(serve(&mut world, &ask, 200).leased, 0, "in shadow");

    let mut world = World::new();
    world.limit("tight", 1, json!([]));
    let key = key_with(&mut world, &hot(6_000));
    let ask = get("/v1/tight").key(&key);
    world.pepper(&format!("2:{},{PEPPER}", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="));
    let first = world.walk(&ask);
    let admit = &first.messages[0].1["admit"];
    assert!(admit["rehash"].is_object() && admit.get("ahead").is_none(), "{admit}");
}

#[test]
fn counters_are_leased_too_and_a_refusal_gives_back_without_a_call() {
    let mut world = World::new();
    let team = json!({ "name": "team", "rate": { "requests": 6_000, "window": "1m" },
                       "by": "tenant", "mode": "leased" });
    world.limit("tight", 1, json!([team]));
    let key = world.key(KeyKind::Sk, |_| {});
    let ask = get("/v1/tight").key(&key);
    let served = serve(&mut world, &ask, 55);
    assert_eq!(served.leased, 0, "the key's object knows of each");
    let renewals = served.errands.iter().filter(|errand| *errand == "tenant/acme lease").count();
    assert_eq!(renewals, served.errands.len());
    // The key's own limit of 60 is reached: what the tenant's lease paid goes back into it.
    let one = |world: &mut World| {
        let mut walked = world.walk(&ask);
        let errands = walked.take_errands();
        (walked.told().1, walked.asked.len(), world.run(errands))
    };
    let admit = ("forward", 1, vec![]);
    let before = world.isolate.leases.clone();
    for _ in 0..5 {
        assert_eq!(one(&mut world), admit, "by the key's object alone");
    }
    let spent = world.isolate.leases.clone();
    assert_ne!(format!("{before:?}"), format!("{spent:?}"));
    assert_eq!(one(&mut world), ("rate_limited", 1, vec![]), "nothing is sent");
    let lefts = |leases: &crate::limit::Leases| {
        format!("{leases:?}")
            .split("left: ")
            .skip(1)
            .map(|text| text.split(',').next().unwrap().parse::<u32>().unwrap())
            .sum::<u32>()
    };
    assert_eq!(lefts(&world.isolate.leases), lefts(&spent), "and nothing is lost");
}

#[test]
fn a_key_never_spends_the_lease_of_another_key_of_its_family() {
    let (mut world, first, ask) = heated(100);
    assert_eq!(world.walk(&ask).objects, 0, "it is leased");
    // The same version and limits, as those of a key and its successor may be.
    let limits = world.record(&first).limits;
    let second = world.key(KeyKind::Sk, |record| {
        record.family = first.id.clone();
        record.limits = limits;
    });
    let walked = world.walk(&get("/v1/tight").key(&second));
    let told = (walked.told(), walked.objects);
    assert_eq!(told, ((401, "key_invalid"), 1), "it asks, and this family does not know it");
}

/// Makes a key hot, and gives what is asked for so.
fn heated(requests: u32) -> (World, Key, Ask2) {
    let mut world = World::new();
    world.limit("tight", 1, json!([]));
    let key = key_with(&mut world, &hot(60_000));
    let ask = get("/v1/tight").key(&key);
    serve(&mut world, &ask, requests);
    (world, key, ask)
}

/// Requests until one waits or asks for more in the background: its errands.
fn until_renewal(world: &mut World, ask: &Ask2) -> Vec<Errand> {
    for _ in 0..300 {
        world.pass(Millis::millis(10));
        let mut walked = world.walk(ask);
        assert_eq!((walked.told(), walked.objects), ((0, "forward"), 0));
        let errands = walked.take_errands();
        if !errands.is_empty() {
            return errands;
        }
    }
    panic!("no renewal")
}

fn reply(reply: &Value) -> String {
    reply.to_string()
}

#[test]
fn a_renewal_that_tells_of_another_key_ends_the_lease_at_once() {
    let revoked = |record: &KeyRecord| {
        let mut record = record.clone();
        record.state = KeyState::Revoked;
        record.version += 1;
        record
    };
    let renamed = |record: &KeyRecord| {
        let mut record = record.clone();
        record.name = "other".into();
        record.version += 1;
        record
    };
    for (why, make, told, objects) in [
        (
            "revoked",
            (|key, change| reply(&json!({ "refused": { "record": change(key) } })))
                as fn(&KeyRecord, fn(&KeyRecord) -> KeyRecord) -> String,
            (401, "key_revoked"),
            0,
        ),
        (
            "stale",
            |key, change| reply(&json!({ "stale": { "record": change(key) } })),
            (0, "forward"),
            1,
        ),
        ("unknown", |_, _| reply(&json!("unknown")), (401, "key_invalid"), 1),
    ] {
        let (mut world, key, ask) = heated(200);
        let change: fn(&KeyRecord) -> KeyRecord = if why == "revoked" { revoked } else { renamed };
        let record = world.record(&key);
        if why == "unknown" {
            world.families.remove(key.id.as_str());
        } else {
            let changed = change(&record);
            world.change(&key, |record| *record = KeyRecord { version: 1, ..changed });
        }
        let errands = until_renewal(&mut world, &ask);
        let [renewal] = errands.as_slice() else { panic!("{errands:?}") };
        let text = make(&record, change);
        world.isolate.errand_done(renewal.reply.unwrap(), Some(&text), world.now);
        let walked = world.walk(&ask);
        assert_eq!((walked.told(), walked.objects), (told, objects), "{why}");
    }
}

#[test]
fn a_renewal_that_brings_nothing_leaves_what_is_there() {
    let nothing = json!({ "verdict": { "admitted": { "standings": [] } } });
    let limited = json!({ "verdict": { "limited": {
        "standings": [], "exceeded": ["hot"], "retry_after": 1_000 } } });
    for text in [None, Some(reply(&nothing)), Some(reply(&limited)), Some("{".to_owned())] {
        let (mut world, _, ask) = heated(200);
        let errands = until_renewal(&mut world, &ask);
        world.isolate.errand_done(errands[0].reply.unwrap(), text.as_deref(), world.now);
        let walked = world.walk(&ask);
        assert_eq!((walked.told(), walked.objects), ((0, "forward"), 0), "{text:?}");
        // Once the rest is spent or over, the object is asked again.
        world.pass(Millis::secs(1));
        let walked = world.walk(&ask);
        assert_eq!((walked.told(), walked.objects), ((0, "forward"), 1), "{text:?}");
    }
}

#[test]
fn a_lease_of_an_older_record_is_not_spent_once_a_newer_one_is_known() {
    let (mut world, key, ask) = heated(200);
    let walked = world.walk(&ask);
    assert_eq!((walked.told(), walked.objects), ((0, "forward"), 0), "served ahead");
    world.change(&key, |record| record.name = "other".into());
    let record = world.record(&key);
    world.isolate.keep(record, Some(world.now));
    let walked = world.walk(&ask);
    assert_eq!((walked.told(), walked.objects), ((0, "forward"), 1), "it asks for the new version");
    world.change(&key, |record| record.state = KeyState::Revoked);
    let record = world.record(&key);
    world.isolate.keep(record, Some(world.now));
    let walked = world.walk(&ask);
    assert_eq!((walked.told(), walked.objects), ((401, "key_revoked"), 0));
}

#[test]
fn a_record_that_grew_old_while_a_counter_was_asked_spends_no_lease() {
    let (mut world, key, _) = heated(200);
    let team = json!({ "name": "team", "rate": { "requests": 9, "window": "1m" }, "by": "tenant" });
    world.limit("tight", 1, json!([team]));
    let ask = get("/v1/tight").key(&key);
    let walked = world.walk(&ask);
    assert_eq!(walked.asked, ["tenant/acme charge"], "and the lease");
    let gate = std::rc::Rc::clone(&world.gate);
    let outcome = crate::road::begin(
        &gate,
        &mut world.isolate,
        &ask,
        world.now,
        &[7; 40],
        crate::road::Record::Log,
    );
    let crate::road::Outcome::Ask(question, paused) = outcome else { panic!("{outcome:?}") };
    world.change(&key, |record| record.state = KeyState::Revoked);
    let record = world.record(&key);
    world.isolate.keep(record, Some(world.now));
    let outcome = world.answer(&question, *paused, &ask);
    let crate::road::Outcome::Ask(question, paused) = outcome else { panic!("{outcome:?}") };
    let outcome = world.answer(&question, *paused, &ask);
    let crate::road::Outcome::Answer(mut answer) = outcome else { panic!("{outcome:?}") };
    assert_eq!(answer.code.unwrap().as_str(), "key_revoked");
    let errands = answer.take_errands();
    assert_eq!(world.run(errands), ["tenant/acme give_back"]);
}

#[test]
fn a_revocation_is_felt_within_the_lease() {
    let (mut world, key, ask) = heated(200);
    let mut walked = world.walk(&ask);
    let _ = walked.take_errands();
    assert_eq!(walked.objects, 0);
    world.change(&key, |record| record.state = KeyState::Revoked);
    let revoked_at = world.now;
    let mut last = revoked_at;
    loop {
        world.pass(Millis::millis(1));
        // The renewals are lost: nothing but its end stops the lease.
        let walked = world.walk(&ask);
        match walked.told() {
            (0, "forward") => {
                assert_eq!(walked.objects, 0);
                last = world.now;
            }
            (401, "key_revoked") => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(last.since(revoked_at) < Millis::secs(1), "{}", last.since(revoked_at));
    assert_eq!(world.now.since(last), Millis::millis(1));
}

#[test]
fn answers_of_a_lease_tell_the_limits_as_others_do() {
    let (mut world, _, ask) = heated(200);
    let walked = world.walk(&ask);
    assert_eq!(walked.objects, 0);
    let relayed = walked.forward().answered(200, &[]).unwrap();
    let told: Vec<&str> = relayed
        .set
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.contains("RateLimit"))
        .collect();
    assert_eq!(
        told,
        [
            "RateLimit-Policy",
            "RateLimit",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset"
        ]
    );
    let policy = relayed.set.iter().find(|(name, _)| *name == "RateLimit-Policy").unwrap();
    assert_eq!(policy.1, r#""hot";q=60000;w=60"#);
}

#[test]
fn two_isolates_together_never_pass_the_limit() {
    let mut world = World::new();
    world.limit("tight", 1, json!([]));
    let key = key_with(&mut world, &hot(300));
    let ask = get("/v1/tight").key(&key);
    let mut other = crate::road::Isolate::default();
    let mut forwarded = 0;
    for _ in 0..50 {
        forwarded += serve(&mut world, &ask, 20).forwarded;
        core::mem::swap(&mut world.isolate, &mut other);
    }
    assert!((250..=300).contains(&forwarded), "{forwarded} in ten seconds");
}

#[test]
fn a_crowd_that_asks_at_once_gets_all_that_was_told_to_be_left() {
    let mut world = World::new();
    world.limit("tight", 1, json!([]));
    let key = key_with(&mut world, &hot(60));
    let ask = get("/v1/tight").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    let gate = std::rc::Rc::clone(&world.gate);
    // All of them ask before the first is answered, and the object keeps some for the isolate.
    let crowd: Vec<_> = (0..60)
        .map(|_| {
            let log = crate::road::Record::Log;
            crate::road::begin(&gate, &mut world.isolate, &ask, world.now, &[7; 40], log)
        })
        .collect();
    let mut passed = 0;
    for mut outcome in crowd {
        while let crate::road::Outcome::Ask(question, paused) = outcome {
            outcome = world.answer(&question, *paused, &ask);
        }
        passed += u32::from(matches!(outcome, crate::road::Outcome::Forward(_)));
    }
    assert_eq!(passed, 59, "one had passed before");
    drop(gate);
    assert_eq!(world.walk(&ask).told(), (429, "rate_limited"));
}

#[test]
fn what_was_given_ahead_is_spent_though_the_object_has_no_more() {
    let (mut world, _, ask) = heated(200);
    let lease = std::mem::take(&mut world.isolate);
    while world.walk(&ask).told() == (0, "forward") {}
    world.isolate = lease;
    // A request that costs more asks by itself, and is refused for a minute.
    world.limit("tight", 2, json!([]));
    assert_eq!((world.walk(&ask).told(), world.walk(&ask).objects), ((429, "rate_limited"), 0));
    world.limit("tight", 1, json!([]));
    let mut spent = 0;
    loop {
        let walked = world.walk(&ask);
        assert_eq!(walked.objects, 0);
        match walked.told() {
            (0, "forward") => spent += 1,
            told => break assert_eq!(told, (429, "rate_limited")),
        }
    }
    assert!(spent > 0);
}
