//! Step 10: which objects are asked for which limits, and what a refusal gives back.

use serde_json::{Value, json};

use super::world::*;
use crate::key::{Key, KeyKind, KeyState};
use crate::road::{Ask, Outcome, Record, begin};
use crate::time::Millis;

const ADDRESS: &str = "address/192.0.2.1";

fn rate(name: &str, requests: u32, by: &str) -> Value {
    json!({ "name": name, "rate": { "requests": requests, "window": "1m" }, "by": by })
}

/// A charge as it is sent.
fn charge(limit: &str, requests: u32) -> Value {
    json!({ "limit": limit, "rate": { "requests": requests, "window": "1m" } })
}

/// One limit of each kind of object.
fn everywhere(requests: u32) -> Value {
    json!([
        rate("own", requests, "key"),
        rate("visitor", requests, "address"),
        rate("all", requests, "route"),
        rate("team", requests, "tenant"),
    ])
}

fn counters() -> [&'static str; 3] {
    ["tenant/acme", "route/tight", ADDRESS]
}

#[test]
fn each_object_is_asked_once_in_this_order_and_nothing_more_is() {
    for (why, path, limits, asked) in [
        ("no limit but the key's own", "tight", json!([]), vec!["key admit"]),
        ("by key", "tight", json!([rate("a", 9, "key")]), vec!["key admit"]),
        (
            "all of a key in one call",
            "tight",
            json!([rate("a", 9, "key"), rate("b", 9, "key+address"), rate("c", 9, "key+param:id")]),
            vec!["key admit"],
        ),
        (
            "by tenant",
            "tight",
            json!([rate("a", 9, "tenant"), rate("b", 8, "tenant")]),
            vec!["tenant/acme charge", "key admit"],
        ),
        (
            "by route",
            "tight",
            json!([rate("a", 9, "route")]),
            vec!["route/tight charge", "key admit"],
        ),
        (
            "by address",
            "tight",
            json!([rate("a", 9, "address")]),
            vec!["address/192.0.2.1 charge", "key admit"],
        ),
        (
            "by everything, whatever the order in the policy",
            "tight",
            everywhere(9),
            vec![
                "tenant/acme charge",
                "route/tight charge",
                "address/192.0.2.1 charge",
                "key admit",
            ],
        ),
        ("nobody has a key", "open", json!([]), vec![]),
        (
            "nobody has a key, and there are limits",
            "open",
            json!([rate("a", 9, "address"), rate("b", 9, "route")]),
            vec!["route/open charge", "address/192.0.2.1 charge"],
        ),
    ] {
        let mut world = World::new();
        world.limit(path, 1, limits);
        let key = world.server_key();
        let mut ask = get(&format!("/v1/{path}"));
        if path == "tight" {
            ask = ask.key(&key);
        }
        let mut walked = world.walk(&ask);
        assert_eq!(walked.told(), (0, "forward"), "{why}");
        let asked: Vec<String> =
            asked.iter().map(|told| told.replace("key ", &format!("{} ", key.id))).collect();
        assert_eq!(walked.asked, asked, "{why}");
        assert_eq!(walked.take_errands(), [], "{why}");
        let mut relayed = walked.forward().answered(200, &[]).unwrap();
        assert_eq!((relayed.take_errands(), relayed.take_release()), (vec![], vec![]), "{why}");
    }
}

#[test]
fn the_messages_are_these_and_nothing_more() {
    let mut world = World::new();
    world.limit(
        "channel",
        3,
        json!([
            { "name": "team", "quota": { "requests": 100, "per": "day" }, "by": "tenant" },
            { "name": "chat", "by": "key+param:id", "concurrency": 2,
              "rate": { "requests": 9, "window": "1m" } },
        ]),
    );
    let key = world.key(KeyKind::Sk, |_| {});
    let ask = get("/v1/channels/a").method("POST").key(&key);
    let walked = world.walk(&ask);
    assert_eq!(walked.told(), (0, "forward"));
    let id = crate::request::RequestId::new(world.now, &[7; 40]).to_string();
    let team = json!([{ "limit": "team", "quota": { "requests": 100, "per": "day" }, "cost": 3 }]);
    let admit = json!({ "admit": {
        "id": key.id, "version": 1,
        "charges": [
            { "limit": "default", "rate": { "requests": 60, "window": "1m" }, "cost": 3 },
            { "limit": "chat", "bucket": "a", "rate": { "requests": 9, "window": "1m" }, "cost": 3 },
            { "limit": "chat.concurrency", "bucket": "a", "concurrency": 2 },
        ],
        "slot": { "id": id, "holds": 910_000 },
    } });
    let charge = json!({ "charge": { "charges": team, "slot": null } });
    let sent: Vec<(String, Value)> =
        vec![("tenant/acme".to_owned(), without_nulls(charge)), (key.id.to_string(), admit)];
    assert_eq!(walked.messages, sent);
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
        for member in members.values_mut() {
            *member = without_nulls(member.take());
        }
    }
    value
}

#[test]
fn every_measure_by_everything_refuses_with_its_code_and_then_without_a_call() {
    let measures = [
        (json!({ "rate": { "requests": 2, "window": "1m" } }), "rate_limited", "l", Some("60")),
        (
            json!({ "bucket": { "rate": { "requests": 2, "window": "1m" }, "burst": 2 } }),
            "rate_limited",
            "l",
            Some("30"),
        ),
        (json!({ "quota": { "requests": 2, "per": "hour" } }), "quota_exceeded", "l", Some("3600")),
        (json!({ "concurrency": 2 }), "concurrency_exceeded", "l", Some("1")),
        (
            json!({ "rate": { "requests": 9, "window": "1m" },
                    "quota": { "requests": 2, "per": "day" } }),
            "quota_exceeded",
            "l.quota",
            Some("86400"),
        ),
        (
            json!({ "rate": { "requests": 9, "window": "1m" }, "concurrency": 2 }),
            "concurrency_exceeded",
            "l.concurrency",
            Some("1"),
        ),
        (
            json!({ "rate": { "requests": 2, "window": "1m" }, "concurrency": 2 }),
            "rate_limited",
            "l",
            Some("60"),
        ),
    ];
    for (measure, code, name, retry) in measures {
        for by in ["key", "key+address", "key+param:id", "tenant", "route", "address"] {
            let mut world = World::new();
            let mut limit = json!({ "name": "l", "by": by });
            let members = limit.as_object_mut().unwrap();
            members.extend(measure.as_object().unwrap().clone());
            world.limit("channel", 1, json!([limit]));
            let key = world.key(KeyKind::Sk, |_| {});
            let ask = get("/v1/channels/a").method("POST").key(&key);
            for entropy in 1..=2 {
                world.entropy = entropy;
                assert_eq!(world.walk(&ask).told(), (0, "forward"), "{limit}");
            }
            world.entropy = 3;
            let refused = world.walk(&ask);
            assert_eq!(refused.told(), (429, code), "{limit}");
            let answer = refused.answer();
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(body["violated-policies"].as_array().unwrap().contains(&json!(name)), "{body}");
            let headers: Vec<&str> =
                answer.headers.iter().filter(|h| h.0 == "Retry-After").map(|h| &*h.1).collect();
            assert_eq!(headers, Vec::from_iter(retry), "{limit}");
            let again = world.walk(&ask);
            assert_eq!((again.told(), again.objects), ((429, code), 0), "{limit}");
            let mut again = again;
            assert_eq!(again.take_errands(), [], "nothing was taken: {limit}");
        }
    }
}

/// What makes the key's object, or a counter, refuse; and with what.
type Refusal = (&'static str, fn(&mut World, &Key), (u16, &'static str), Vec<&'static str>);

#[test]
fn what_was_charged_before_a_refusal_is_given_back_once_each() {
    let all = || counters().to_vec();
    let table: [Refusal; 8] = [
        ("admitted", |_, _| {}, (0, "forward"), vec![]),
        (
            "the key's own limit",
            |world, key| world.change_unseen(key, |family, now| spend(family, key, 60, now)),
            (429, "rate_limited"),
            all(),
        ),
        (
            "revoked",
            |world, key| world.change(key, |record| record.state = KeyState::Revoked),
            (401, "key_revoked"),
            all(),
        ),
        (
            "disabled",
            |world, key| world.change(key, |record| record.state = KeyState::Disabled),
            (401, "key_disabled"),
            all(),
        ),
        (
            "narrowed",
            |world, key| {
                world.change(key, |record| {
                    record.addresses =
                        vec![crate::address::Cidr::parse("198.51.100.0/24").unwrap()];
                });
            },
            (403, "ip_not_allowed"),
            all(),
        ),
        (
            "unknown",
            |world, key| {
                world.families.remove(key.id.as_str());
            },
            (401, "key_invalid"),
            all(),
        ),
        (
            "the address's limit",
            |world, _| world.spend_counter(ADDRESS, "visitor", "192.0.2.1", 9),
            (429, "rate_limited"),
            vec!["tenant/acme", "route/tight"],
        ),
        (
            "the tenant's limit",
            |world, _| world.spend_counter("tenant/acme", "team", "", 9),
            (429, "rate_limited"),
            vec![],
        ),
    ];
    for (why, refuse, expected, given_back) in table {
        let mut world = World::new();
        world.limit("tight", 1, everywhere(9));
        let key = world.server_key();
        let ask = get("/v1/tight").key(&key);
        // The isolate has the record as it is before.
        assert_eq!(world.walk(&ask).told(), (0, "forward"), "{why}");
        refuse(&mut world, &key);
        let before = counts(&mut world);
        let mut walked = world.walk(&ask);
        assert_eq!(walked.told(), expected, "{why}");
        let errands = walked.take_errands();
        let given_back: Vec<String> =
            given_back.iter().map(|object| format!("{object} give_back")).collect();
        assert!(errands.iter().all(|errand| errand.reply.is_none()), "{why}");
        assert_eq!(world.run(errands), given_back, "{why}");
        let charged = u32::from(expected.0 == 0);
        assert_eq!(counts(&mut world), before.map(|left| left - charged), "{why}");
    }
}

/// What is left at each counter.
fn counts(world: &mut World) -> [u32; 3] {
    let mut visitor = charge("visitor", 9);
    visitor["bucket"] = json!("192.0.2.1");
    [
        world.left("tenant/acme", &charge("team", 9)),
        world.left("route/tight", &charge("all", 9)),
        world.left(ADDRESS, &visitor),
    ]
}

fn spend(
    family: &mut crate::family::FamilyState,
    key: &Key,
    cost: u32,
    now: crate::time::UnixMillis,
) {
    let request = json!({ "admit": { "id": key.id, "version": 1, "charges": [
        { "limit": "default", "rate": { "requests": 60, "window": "1m" }, "cost": cost - 1 },
    ] } });
    let reply = family.apply(serde_json::from_value(request).unwrap(), now).0;
    assert!(format!("{reply:?}").contains("Admitted"), "{reply:?}");
}

impl World {
    fn change_unseen(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut crate::family::FamilyState, crate::time::UnixMillis),
    ) {
        let family = self.families.get_mut(key.id.as_str()).unwrap();
        change(family, self.now);
    }

    /// Uses up a limit by requests of others.
    fn spend_counter(&mut self, object: &str, limit: &str, bucket: &str, requests: u32) {
        let mut charge = charge(limit, requests);
        charge["bucket"] = json!(bucket);
        charge["cost"] = json!(requests - 1);
        let charges = [serde_json::from_value(charge).unwrap()];
        let counts = self.counters.entry(object.to_owned()).or_default();
        assert!(counts.charge(&charges, None, self.now).is_admitted());
    }
}

#[test]
fn a_store_that_is_out_of_reach_costs_the_others_nothing() {
    for (at, given_back) in
        [(0, vec![]), (1, vec!["tenant/acme"]), (2, vec!["tenant/acme", "route/tight"])]
    {
        let mut world = World::new();
        world.limit("tight", 1, everywhere(9));
        let key = world.server_key();
        let ask = get("/v1/tight").key(&key);
        assert_eq!(world.walk(&ask).told(), (0, "forward"));
        world.breaks_after = Some(at);
        let mut walked = world.walk(&ask);
        assert_eq!(walked.told(), (503, "admission_unavailable"));
        world.breaks_after = None;
        let errands = walked.take_errands();
        let given_back: Vec<String> =
            given_back.iter().map(|object| format!("{object} give_back")).collect();
        assert_eq!(world.run(errands), given_back);
    }
}

#[test]
fn a_stale_record_is_asked_again_and_what_is_charged_as_before_stays_paid() {
    let mut world = World::new();
    world.limit("tight", 1, everywhere(9));
    let key = world.server_key();
    let ask = get("/v1/tight").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    world.change(&key, |record| record.name = "other".into());
    let before = counts(&mut world);
    let mut walked = world.walk(&ask);
    let admit = format!("{} admit", key.id);
    let asked = [
        "tenant/acme charge",
        "route/tight charge",
        "address/192.0.2.1 charge",
        admit.as_str(),
        admit.as_str(),
    ];
    assert_eq!(
        (walked.told(), walked.asked.clone()),
        ((0, "forward"), asked.map(str::to_owned).into())
    );
    assert_eq!(walked.take_errands(), []);
    assert_eq!(counts(&mut world), before.map(|left| left - 1), "charged once");
    let relayed = walked.forward().answered(200, &[]).unwrap();
    let policy = relayed.set.iter().find(|(name, _)| *name == "RateLimit-Policy").unwrap();
    let told = r#""team";q=9;w=60, "all";q=9;w=60, "visitor";q=9;w=60, "default";q=60;w=60, "own";q=9;w=60"#;
    assert_eq!(policy.1, told, "and all are told");
}

#[test]
fn what_a_newer_record_is_not_charged_is_given_back_at_once() {
    let mut world = World::new();
    let other = json!({ "name": "team", "rate": { "requests": 9, "window": "1m" },
                        "by": "tenant", "concurrency": 5 });
    world.limit("tight", 1, json!([other]));
    let key = world.server_key();
    let ask = get("/v1/tight").key(&key);
    assert_eq!(world.walk(&ask).told(), (0, "forward"));
    // Nothing of a record moves a key to another tenant; should it be so all the same, the first
    // one is not charged.
    world.change(&key, |record| record.tenant = "globex".into());
    let mut walked = world.walk(&ask);
    let admit = format!("{} admit", key.id);
    let asked = ["tenant/acme charge", &admit, "tenant/globex charge", &admit];
    assert_eq!(
        (walked.told(), walked.asked.clone()),
        ((0, "forward"), asked.map(str::to_owned).into())
    );
    let errands = walked.take_errands();
    assert_eq!(world.run(errands), ["tenant/acme give_back"]);
    let release = walked.forward().answered(200, &[]).unwrap().take_release();
    assert_eq!(world.run(release), ["tenant/globex release"]);
}

#[test]
fn the_count_of_a_tenant_is_one_whatever_its_keys_call_their_own() {
    let mut world = World::new();
    world.limit("tight", 1, json!([rate("team", 3, "tenant")]));
    let own: Vec<crate::limit::Limit> =
        serde_json::from_value(json!([rate("team", 50, "key")])).unwrap();
    let named_so = world.key(KeyKind::Sk, |record| record.limits = own.clone());
    let other = world.key(KeyKind::Sk, |_| {});
    let policy = |walked: Walked| {
        let relayed = walked.forward().answered(200, &[]).unwrap();
        let find =
            |wanted: &str| relayed.set.iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
        (find("RateLimit-Policy"), find("RateLimit"))
    };
    let told = |policy: &str, state: &str| (policy.to_owned(), state.to_owned());
    assert_eq!(
        policy(world.walk(&get("/v1/tight").key(&named_so))),
        told(
            r#""route-team";q=3;w=60, "team";q=50;w=60"#,
            r#""route-team";r=2;t=60, "team";r=49;t=60"#
        )
    );
    assert_eq!(
        policy(world.walk(&get("/v1/tight").key(&other))),
        told(r#""team";q=3;w=60, "default";q=60;w=60"#, r#""team";r=1;t=60, "default";r=59;t=60"#)
    );
    assert_eq!(world.walk(&get("/v1/tight").key(&named_so)).told(), (0, "forward"));
    for (key, name) in [(&named_so, "route-team"), (&other, "team")] {
        for calls in [1, 0] {
            world.entropy += 1;
            let walked = world.walk(&get("/v1/tight").key(key));
            assert_eq!(walked.told(), (429, "rate_limited"));
            assert!(walked.objects <= calls, "a denial is known by what is counted");
            let body: Value = serde_json::from_str(&walked.answer().body).unwrap();
            assert_eq!(body["violated-policies"], json!([name]));
        }
    }
}

#[test]
fn a_cost_counts_for_so_many_requests_but_one_in_flight() {
    let mut world = World::new();
    world.limit(
        "tight",
        3,
        json!([
            rate("team", 7, "tenant"),
            { "name": "all", "concurrency": 3, "by": "route" },
        ]),
    );
    let key = world.server_key();
    let ask = get("/v1/tight").key(&key);
    for entropy in 1..=2 {
        world.entropy = entropy;
        assert_eq!(world.walk(&ask).told(), (0, "forward"));
    }
    assert_eq!(world.left("tenant/acme", &charge("team", 7)), 1);
    assert_eq!(world.left("route/tight", &json!({ "limit": "all", "concurrency": 3 })), 1);
    assert_eq!(world.used(&key), 6);
    assert_eq!(world.walk(&ask).told(), (429, "rate_limited"), "one is left, and three are asked");
}

#[test]
fn limits_in_shadow_tell_their_code_and_give_back_only_what_they_counted() {
    let mut world = World::new();
    world.limit(
        "shadowed",
        1,
        json!([
            { "name": "team", "quota": { "requests": 1, "per": "day" }, "by": "tenant" },
            { "name": "all", "concurrency": 1, "by": "route" },
        ]),
    );
    let key = world.key(KeyKind::Sk, |_| {});
    let ask = get("/v1/shadowed").key(&key);
    let refusals = |world: &mut World| {
        world.entropy += 1;
        let relayed = world.walk(&ask).forward().answered(200, &[]).unwrap();
        let log = relayed.log(Millis::ZERO, world.now);
        log.would_refuse.iter().map(|code| code.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(refusals(&mut world), ["insufficient_scope"]);
    assert_eq!(refusals(&mut world), ["insufficient_scope", "quota_exceeded"]);
    world.families.remove(key.id.as_str());
    world.entropy += 1;
    let mut refused = world.walk(&ask);
    assert_eq!(refused.told(), (401, "key_invalid"));
    let errands = refused.take_errands();
    assert_eq!(world.run(errands), [""; 0], "neither had room for it");
}

#[test]
fn whoever_gives_up_a_walk_gives_back_what_it_paid() {
    for (stops_at, errands) in [
        ("key", vec!["tenant/acme give_back", "route/tight give_back"]),
        ("route/tight", vec!["tenant/acme give_back"]),
        ("tenant/acme", vec![]),
    ] {
        let mut world = World::new();
        world.limit("tight", 1, json!([rate("a", 9, "tenant"), rate("b", 9, "route")]));
        let key = world.server_key();
        let ask = get("/v1/tight").key(&key);
        let stops_at = stops_at.replace("key", key.id.as_str());
        let gate = std::rc::Rc::clone(&world.gate);
        let mut outcome = begin(&gate, &mut world.isolate, &ask, world.now, &[7; 40], Record::Log);
        let given_up = loop {
            let Outcome::Ask(question, paused) = outcome else { panic!("{outcome:?}") };
            match &question {
                Ask::Object { name, .. } if *name == stops_at => {
                    break paused.given_up(&mut world.isolate, world.now);
                }
                _ => outcome = world.answer(&question, *paused, &ask),
            }
        };
        assert_eq!(world.run(given_up), errands, "{stops_at}");
    }
}

#[test]
fn a_measure_counts_on_when_its_limit_gets_another_or_loses_one() {
    let quota = json!({ "name": "team", "quota": { "requests": 2, "per": "day" }, "by": "tenant" });
    let mut both = quota.clone();
    both["rate"] = json!({ "requests": 10, "window": "1m" });
    for (why, before, after) in [("one more", &quota, &both), ("one less", &both, &quota)] {
        let mut world = World::new();
        let ask = get("/v1/tight").key(&world.server_key());
        world.limit("tight", 1, json!([before]));
        for _ in 0..2 {
            assert_eq!(world.walk(&ask).told(), (0, "forward"), "{why}");
        }
        world.limit("tight", 1, json!([after]));
        assert_eq!(world.walk(&ask).told(), (429, "quota_exceeded"), "{why}");
    }
}

#[test]
fn of_several_that_are_known_to_have_no_room_the_longest_wait_is_told() {
    let mut world = World::new();
    let team = json!({ "name": "team", "rate": { "requests": 1, "window": "1m" }, "by": "tenant" });
    world.limit("tight", 1, json!([team]));
    let daily = json!({ "name": "own", "quota": { "requests": 1, "per": "day" } });
    let daily = vec![serde_json::from_value(daily).unwrap()];
    let key = world.key(KeyKind::Sk, |record| {
        record.limits = daily;
        record.scopes = vec!["invoices:read:*".to_owned().try_into().unwrap()];
    });
    let colleague = world.server_key();
    let tight = get("/v1/tight");
    assert_eq!(world.walk(&tight.clone().key(&key)).told(), (0, "forward"));
    let refused = (429, "rate_limited");
    assert_eq!(world.walk(&tight.clone().key(&colleague)).told(), refused, "the tenant's");
    let elsewhere = get("/v1/invoices/42").key(&key);
    assert_eq!(world.walk(&elsewhere).told(), (429, "quota_exceeded"), "the key's");
    let both = world.walk(&tight.key(&key));
    assert_eq!((both.told(), both.objects), ((429, "quota_exceeded"), 0));
}
