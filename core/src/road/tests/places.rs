//! Places among the requests in flight: taken once, and free again on every way out.

use serde_json::{Value, json};

use super::world::*;
use crate::forward::Edits;
use crate::key::KeyKind;
use crate::policy::Mock;
use crate::road::forwarding::UpstreamFault;
use crate::road::{Ask, Outcome, Record, begin};
use crate::time::Millis;

const ROUTE: &str = "route/tight";

fn in_flight(most: u32, by: &str) -> Value {
    json!([{ "name": "busy", "concurrency": most, "by": by }])
}

fn busy(most: u32) -> Value {
    json!({ "limit": "busy", "concurrency": most })
}

/// A world of a limit by route, a request of a key, and its place taken.
fn forwarded() -> (World, Box<crate::road::forwarding::Forward>) {
    let mut world = World::new();
    world.limit("tight", 1, in_flight(5, "route"));
    let key = world.server_key();
    let mut walked = world.walk(&get("/v1/tight").key(&key));
    assert_eq!(walked.take_errands(), [], "nothing is due while it is in flight");
    assert_eq!(world.left(ROUTE, &busy(5)), 4);
    (world, walked.forward())
}

#[test]
fn a_place_is_held_until_the_answer_s_stream_has_ended() {
    let (mut world, forward) = forwarded();
    let mut relayed = forward.answered(200, &[]).unwrap();
    assert_eq!(relayed.take_errands(), []);
    assert_eq!(world.left(ROUTE, &busy(5)), 4, "its stream goes on");
    let release = relayed.take_release();
    assert_eq!(world.run(release), ["route/tight release"]);
    assert_eq!(world.left(ROUTE, &busy(5)), 5);
    assert_eq!(relayed.take_release(), [], "once");
}

#[test]
fn whatever_ends_it_frees_its_place_at_once() {
    for fault in [UpstreamFault::Unreachable, UpstreamFault::Timeout, UpstreamFault::BodyTooLarge] {
        let (mut world, forward) = forwarded();
        let errands = forward.failed(fault).take_errands();
        assert_eq!(world.run(errands), ["route/tight release"], "{fault:?}");
        assert_eq!(world.left(ROUTE, &busy(5)), 5);
    }
    let (mut world, forward) = forwarded();
    let leak = [("x-debug".to_owned(), UPSTREAM_SECRET.to_owned())];
    let mut answer = forward.answered(200, &leak).err().unwrap();
    assert_eq!(answer.code.unwrap().as_str(), "secret_leak_blocked");
    let errands = answer.take_errands();
    assert_eq!(world.run(errands), ["route/tight release"]);
    assert_eq!(world.left(ROUTE, &busy(5)), 5);

    let (mut world, forward) = forwarded();
    let errands = forward.given_up();
    assert_eq!(world.run(errands), ["route/tight release"], "nobody waits for it");
    assert_eq!(world.left(ROUTE, &busy(5)), 5);
}

#[test]
fn what_the_gate_answers_itself_frees_its_place_with_the_answer() {
    let mocked = |gate: &mut crate::road::Gate| {
        let mut routes = gate.policy.routes.iter_mut();
        let route = routes.find(|route| route.name == "tight").unwrap();
        let (status, content_type, body) = (200, "text/plain".to_owned(), "hi".to_owned());
        route.target = crate::policy::Target::Mock(Mock { status, content_type, body });
    };
    let mut mock = World::new();
    mocked(std::rc::Rc::get_mut(&mut mock.gate).unwrap());
    let poor = World::with(&policy_json(), "production", &[]);
    for (mut world, expected, holds) in
        [(mock, (200, ""), 60_000), (poor, (503, "upstream_credential_unavailable"), 910_000)]
    {
        world.limit("tight", 1, in_flight(5, "route"));
        let key = world.server_key();
        let mut walked = world.walk(&get("/v1/tight").key(&key));
        assert_eq!(walked.told(), expected);
        assert_eq!(walked.messages[0].1["charge"]["slot"]["holds"], holds);
        assert_eq!(world.left(ROUTE, &busy(5)), 4);
        let errands = walked.take_errands();
        assert_eq!(world.run(errands), ["route/tight release"]);
        assert_eq!(world.left(ROUTE, &busy(5)), 5);
    }
}

#[test]
fn every_object_that_has_a_place_is_told_and_no_other() {
    let mut world = World::new();
    world.limit(
        "tight",
        1,
        json!([
            { "name": "a", "concurrency": 5, "by": "tenant" },
            { "name": "b", "rate": { "requests": 5, "window": "1m" }, "by": "route" },
            { "name": "c", "concurrency": 5, "by": "address" },
            { "name": "d", "concurrency": 5, "by": "key", "rate": { "requests": 5, "window": "1m" } },
        ]),
    );
    let key = world.server_key();
    let walked = world.walk(&get("/v1/tight").key(&key));
    let slots: Vec<Value> = walked
        .messages
        .iter()
        .map(|(_, message)| message.as_object().unwrap().values().next().unwrap()["slot"].clone())
        .collect();
    let id = crate::request::RequestId::new(world.now, &[7; 40]).to_string();
    let slot = json!({ "id": id, "holds": 910_000 });
    assert_eq!(slots, [slot.clone(), Value::Null, slot.clone(), slot]);
    let release = walked.forward().answered(200, &[]).unwrap().take_release();
    let messages: Vec<Value> =
        release.iter().map(|errand| serde_json::from_str(&errand.message).unwrap()).collect();
    let of = |charge: Value| json!({ "release": { "charges": [charge], "slot": id } });
    assert_eq!(
        messages,
        [
            of(json!({ "limit": "a", "concurrency": 5 })),
            of(json!({ "limit": "c", "concurrency": 5, "bucket": "192.0.2.1" })),
            of(json!({ "limit": "d.concurrency", "concurrency": 5 })),
        ]
    );
    let told = world.run(release);
    let own = format!("{} release", key.id);
    assert_eq!(told, ["tenant/acme release", "address/192.0.2.1 release", &own]);
}

#[test]
fn a_place_that_was_not_taken_for_certain_is_not_released() {
    let mut world = World::new();
    world.limit("tight", 1, in_flight(5, "key"));
    let key = world.server_key();
    world.walk(&get("/v1/open"));
    world.breaks_after = Some(0);
    let mut walked = world.walk(&get("/v1/tight").key(&key));
    assert_eq!(walked.told(), (503, "admission_unavailable"));
    assert_eq!(walked.take_errands(), [], "it could be another's place that came free");
}

#[test]
fn what_was_full_is_asked_again_once_a_place_came_free_here() {
    for by in ["key", "tenant", "route", "address"] {
        let mut world = World::new();
        world.limit("tight", 1, in_flight(1, by));
        let key = world.server_key();
        let ask = get("/v1/tight").key(&key);
        let forward = world.walk(&ask).forward();
        world.entropy = 8;
        for objects in [1, 0] {
            let refused = world.walk(&ask);
            assert_eq!((refused.told(), refused.objects), ((429, "concurrency_exceeded"), objects));
        }
        let mut relayed = forward.answered(200, &[]).unwrap();
        let release = relayed.take_release();
        // The reply does not come: then it is asked when the estimate is over.
        let number = release[0].reply.unwrap();
        world.isolate.errand_done(number, None, world.now);
        assert_eq!(world.walk(&ask).objects, 0);
        world.run(release);
        assert_eq!(world.walk(&ask).objects, 0, "its number was used up");
        world.pass(Millis::secs(1));
        assert_eq!(world.walk(&ask).told(), (0, "forward"), "{by}");
    }
    for by in ["key", "tenant", "route", "address"] {
        let mut world = World::new();
        world.limit("tight", 1, in_flight(1, by));
        let key = world.server_key();
        let ask = get("/v1/tight").key(&key);
        let forward = world.walk(&ask).forward();
        world.entropy = 8;
        assert_eq!(world.walk(&ask).told(), (429, "concurrency_exceeded"));
        let release = forward.answered(200, &[]).unwrap().take_release();
        world.run(release);
        assert_eq!(world.walk(&ask).told(), (0, "forward"), "{by}: at once");
    }
}

#[test]
fn a_request_with_a_place_is_over_before_its_place_is() {
    let mut world = World::new();
    world.limit(
        "tight",
        1,
        json!([
            { "name": "a", "concurrency": 5, "by": "tenant" },
            { "name": "b", "concurrency": 5, "by": "key" },
        ]),
    );
    let key = world.server_key();
    let ask = get("/v1/tight").key(&key);
    let gate = std::rc::Rc::clone(&world.gate);
    let mut outcome = begin(&gate, &mut world.isolate, &ask, world.now, &[7; 40], Record::Log);
    let forward = loop {
        match outcome {
            Outcome::Ask(question, paused) => {
                // Each store takes its time; what comes before the first place does not count.
                world.pass(Millis::secs(if matches!(question, Ask::Cached { .. }) {
                    9
                } else {
                    2
                }));
                outcome = world.answer(&question, *paused, &ask);
            }
            Outcome::Forward(forward) => break forward,
            other => panic!("{other:?}"),
        }
    };
    let request = forward.request(&ask).unwrap();
    assert_eq!(request.ends_within, Some(Millis::millis(910_000 - 4_000)));
    assert_eq!((request.timeout, request.max_stream), (Millis::secs(10), Millis::minutes(15)));
    let free = world.walk(&get("/v1/open")).forward();
    let edits: &Edits = &free.request(&get("/v1/open")).unwrap().edits;
    assert!(!edits.set.is_empty());
    assert_eq!(free.request(&get("/v1/open")).unwrap().ends_within, None);
}

#[test]
fn a_place_in_shadow_is_taken_and_released_like_any_other() {
    let mut world = World::new();
    world.limit("shadowed", 1, json!([{ "name": "busy", "concurrency": 1, "by": "route" }]));
    let key = world.key(KeyKind::Sk, |_| {});
    let ask = get("/v1/shadowed").key(&key);
    let first = world.walk(&ask).forward();
    world.entropy = 8;
    let second = world.walk(&ask).forward();
    let relayed = second.answered(200, &[]);
    let mut relayed = relayed.unwrap();
    let log = relayed.log(Millis::ZERO, world.now);
    let codes: Vec<&str> = log.would_refuse.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes, ["insufficient_scope", "concurrency_exceeded"]);
    assert_eq!(relayed.take_release(), [], "it had no place");
    let release = first.answered(200, &[]).unwrap().take_release();
    assert_eq!(world.run(release), ["route/shadowed release"]);
}
