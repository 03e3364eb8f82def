use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::delivery::{Attempt, Came, Fault};
use crate::policy::Platform;
use crate::webhook::destination::Home;

const NOW: UnixMillis = UnixMillis::from_secs(1_800_000_000);

fn endpoint() -> Endpoint {
    Endpoint {
        id: "ep_0123456789abcdef".to_owned(),
        url: destination("https://hooks.acme.com/x"),
        description: None,
        events: None,
        state: EndpointState::Enabled,
        why: None,
        version: 1,
        created_at: NOW,
        secrets: Secrets::first("one".to_owned()),
        since: 7,
        failing_since: None,
    }
}

fn destination(url: &str) -> Destination {
    Destination::parse(url, Home { hosts: &[], production: true }).unwrap()
}

/// An attempt at the place of [`endpoint`].
fn attempt(at: UnixMillis, came: Came) -> Ended {
    let attempt = Attempt { at, took: Millis::millis(5), came };
    Ended { attempt, url: endpoint().url, wish: None }
}

#[test]
fn every_event_of_the_contract_is_one() {
    assert_eq!(EVENTS.len(), 12);
    for kind in EVENTS {
        assert!(is_event(kind), "{kind}");
    }
    for kind in ["management.refused", "key.rehashed", "endpoint.disabled", TEST, ""] {
        assert!(!is_event(kind), "{kind}");
    }
    assert!(is_event(crate::audit::WEBHOOK_DEAD));
}

#[test]
fn an_entry_becomes_what_is_sent_and_nothing_of_the_chain_is_in_it() {
    let draft = Draft {
        key: Some("abcdefghij012345".to_owned()),
        fields: vec!["name".to_owned()],
        address: Some("192.0.2.1".to_owned()),
        request_id: Some("r".to_owned()),
        ..Draft::webhook_dead("stripe", "evt_1", "acme", 10, Some(503), NOW)
    };
    let mut tip = crate::audit::Tip::default();
    let line = tip.line("acme", &draft, NOW.plus(Millis::secs(9)), str::to_owned).unwrap();
    let event = event_of(&line).unwrap();
    assert_eq!((event.seq, event.kind.as_str(), event.at), (Some(1), "webhook.dead", NOW));
    assert_eq!(
        serde_json::from_str::<Value>(&event.body).unwrap(),
        json!({
            "type": "webhook.dead",
            "timestamp": NOW.to_rfc3339(),
            "data": {
                "seq": 1, "tenant": "acme", "actor": "gate", "key": "abcdefghij012345", "fields": ["name"],
                "request_id": "r", "source": "stripe", "event": "evt_1", "attempts": 10, "status": 503,
            },
        })
    );
    for none in ["", "{}", "[]", "{\"seq\":1}", "{\"seq\":1,\"type\":\"a\",\"at\":\"b\"}"] {
        assert_eq!(event_of(none), None, "{none}");
    }
    // What an entry says of itself does not come from its detail.
    let line = r#"{"seq":2,"at":"2027-01-15T08:00:00Z","type":"key.created","actor":"root","tenant":"acme","detail":{"tenant":"other","a":1}}"#;
    let body: Value = serde_json::from_str(&event_of(line).unwrap().body).unwrap();
    assert_eq!(body["data"], json!({ "seq": 2, "actor": "root", "tenant": "acme", "a": 1 }));
}

#[test]
fn an_endpoint_gets_the_types_that_it_names_or_all() {
    let some = Endpoint { events: Some(vec!["key.created".to_owned()]), ..endpoint() };
    assert_eq!((some.wants("key.created"), some.wants("key.revoked")), (true, false));
    assert_eq!((endpoint().wants("key.created"), endpoint().wants("key.revoked")), (true, true));
}

#[test]
fn ids_are_in_order_of_time_and_known_again() {
    let random = [7_u8; 32];
    let id = |at| event_id(at, &random).unwrap();
    assert!(id(NOW) < id(NOW.plus(Millis::millis(1))));
    assert!(is_event_id(&id(NOW)) && !is_endpoint_id(&id(NOW)));
    let endpoint = endpoint_id(NOW, &random).unwrap();
    assert!(is_endpoint_id(&endpoint) && !is_event_id(&endpoint));
    for bad in [
        "",
        "ep_",
        "ep_0123456789abcde",
        "ep_0123456789abcdefg",
        "ep_0123456789abcde.",
        "EP_0123456789abcdef",
    ] {
        assert!(!is_endpoint_id(bad), "{bad}");
    }
    assert_eq!(endpoint_id(NOW, &[255; 32]), None);
}

#[test]
fn two_secrets_sign_until_the_grace_is_over() {
    let first = Secrets::first("one".to_owned());
    assert_eq!(first.at(NOW), ["one"]);
    let second = first.rotated("two".to_owned(), Millis::hours(1), NOW);
    let end = NOW.plus(Millis::hours(1));
    assert_eq!(second.at(NOW), ["two", "one"]);
    assert_eq!(second.at(end.minus(Millis::millis(1))), ["two", "one"]);
    assert_eq!(second.at(end), ["two"]);
    let third = second.rotated("three".to_owned(), Millis::hours(2), NOW);
    assert_eq!(third.at(NOW), ["three", "two"]);
    assert_eq!(third.rotated("four".to_owned(), Millis::ZERO, NOW).at(NOW), ["four"]);
}

#[test]
fn a_change_says_what_it_changes_and_nothing_more() {
    use crate::word::Word;
    let before = Endpoint {
        description: Some("a".to_owned()),
        events: Some(vec!["key.created".to_owned()]),
        state: EndpointState::Disabled,
        why: Some(Why::Gone),
        failing_since: Some(NOW),
        ..endpoint()
    };
    let nothing = EndpointUpdate {
        version: 1,
        url: None,
        description: Word::None,
        events: Word::None,
        state: None,
    };
    let version_2 = Endpoint { version: 2, ..before.clone() };
    assert_eq!(nothing.clone().of(before.clone()), version_2);
    let off = EndpointUpdate { state: Some(EndpointState::Disabled), ..nothing.clone() };
    assert_eq!(off.clone().of(before.clone()), version_2, "it stays off, and why");
    assert_eq!(off.of(endpoint()).state, EndpointState::Disabled);
    let on = EndpointUpdate { state: Some(EndpointState::Enabled), ..nothing.clone() };
    let mended = on.of(before.clone());
    assert_eq!(
        (mended.state, mended.why, mended.failing_since),
        (EndpointState::Enabled, None, None)
    );
    // Its failures are those of a place.
    let to = |url: &str| EndpointUpdate { url: Some(destination(url)), ..nothing.clone() };
    assert_eq!(to("https://hooks.acme.com/x").of(before.clone()).failing_since, Some(NOW));
    let moved = to("https://hooks.acme.com/y").of(before.clone());
    assert_eq!((moved.failing_since, moved.why), (None, Some(Why::Gone)));
    let emptied =
        EndpointUpdate { description: Word::Null, events: Word::Null, ..nothing }.of(before);
    assert_eq!((emptied.description, emptied.events), (None, None));
}

#[test]
fn an_attempt_does_to_its_delivery_what_its_answer_means() {
    use DeliveryState::{Dead, Delivered, Pending};
    for (came, state, on, outcome) in [
        (Came::Status(200), Delivered, true, Outcome::Nothing),
        (Came::Status(204), Delivered, true, Outcome::Nothing),
        (Came::Status(301), Pending, true, Outcome::Changed),
        (Came::Status(404), Pending, true, Outcome::Changed),
        (Came::Status(410), Dead, false, Outcome::Off),
        (Came::Status(500), Pending, true, Outcome::Changed),
        (Came::Fault(Fault::TimedOut), Pending, true, Outcome::Changed),
        (Came::Fault(Fault::NotAllowed), Pending, true, Outcome::Changed),
    ] {
        let mut endpoint = endpoint();
        let mut delivery = Delivery::new(&endpoint, NOW);
        let told = delivery.attempted(&mut endpoint, &attempt(NOW, came), NOW, 0);
        assert_eq!((delivery.state, endpoint.is_on(), told), (state, on, outcome), "{came:?}");
        assert_eq!(endpoint.why, (!on).then_some(Why::Gone));
        assert_eq!(endpoint.version, if on { 1 } else { 2 });
        let fails = came != Came::Status(200) && came != Came::Status(204);
        assert_eq!(endpoint.failing_since, fails.then_some(NOW));
    }
}

/// Tries a delivery to its end, every attempt failing, and returns when that is.
fn to_the_end(delivery: &mut Delivery, endpoint: &mut Endpoint) -> (UnixMillis, Outcome) {
    loop {
        let at = delivery.next_at;
        let came = Came::Status(500);
        let told = delivery.attempted(endpoint, &attempt(at, came), at, 0);
        if delivery.state != DeliveryState::Pending {
            return (at, told);
        }
    }
}

#[test]
fn an_endpoint_where_nothing_arrives_for_as_long_as_one_event_is_tried_is_dead() {
    let mut endpoint = endpoint();
    let mut delivery = Delivery::new(&endpoint, NOW);
    let (end, told) = to_the_end(&mut delivery, &mut endpoint);
    assert_eq!((delivery.state, told), (DeliveryState::Dead, Outcome::Off));
    assert_eq!((endpoint.state, endpoint.why), (EndpointState::Disabled, Some(Why::Dead)));
    assert_eq!(delivery.attempts.len(), 10);
    assert_eq!(end.since(NOW), Millis::secs(75 * 3_600 + 2_105));

    // Something else arrived meanwhile: the event is dead, and the endpoint is not.
    let mut endpoint = self::endpoint();
    let mut delivery = Delivery::new(&endpoint, NOW);
    let failed = Came::Status(500);
    delivery.attempted(&mut endpoint, &attempt(NOW, failed), NOW, 0);
    let mut other = Delivery::new(&endpoint, NOW);
    let came = Came::Status(200);
    let told = other.attempted(&mut endpoint, &attempt(NOW, came), NOW, 0);
    assert_eq!((told, endpoint.failing_since), (Outcome::Changed, None));
    let (_, told) = to_the_end(&mut delivery, &mut endpoint);
    assert_eq!((delivery.state, told), (DeliveryState::Dead, Outcome::Nothing));
    assert!(endpoint.is_on());

    // One that is sent again begins anew, also in what it says of the endpoint.
    delivery.replay(NOW.plus(Millis::days(10)));
    assert_eq!((delivery.state, delivery.tries), (DeliveryState::Pending, 0));
    let (_, told) = to_the_end(&mut delivery, &mut endpoint);
    assert_eq!(told, Outcome::Off);
    assert_eq!(delivery.attempts.len(), 20);
}

#[test]
fn what_the_place_of_before_says_is_of_the_delivery_alone() {
    use DeliveryState::{Delivered, Pending};
    let since = NOW.minus(Millis::days(9));
    let moved = Endpoint { url: destination("https://new.acme.com/"), ..endpoint() };
    for failing_since in [None, Some(since)] {
        let moved = Endpoint { failing_since, ..moved.clone() };
        for (status, state) in [(410, Pending), (500, Pending), (200, Delivered)] {
            let mut endpoint = moved.clone();
            let mut delivery = Delivery::new(&endpoint, NOW);
            let came = attempt(NOW, Came::Status(status));
            let told = delivery.attempted(&mut endpoint, &came, NOW, 0);
            assert_eq!((delivery.state, told), (state, Outcome::Nothing), "{status}");
            assert_eq!(endpoint, moved, "{status}");
        }
        // The last attempt: the event is dead, and the new place has not been tried once.
        let mut endpoint = moved.clone();
        let mut delivery = Delivery { tries: 9, ..Delivery::new(&endpoint, NOW) };
        let came = attempt(NOW, Came::Status(410));
        assert_eq!(delivery.attempted(&mut endpoint, &came, NOW, 0), Outcome::Nothing);
        assert_eq!((delivery.state, endpoint), (DeliveryState::Dead, moved));
    }
}

#[test]
fn places_go_round_and_no_delivery_has_two() {
    let places = Places { all: 3, of_one: 2 };
    let mut flight = Flight::default();
    let names = |flight: &Flight| flight.in_turn(["a", "b", "c"].map(str::to_owned).to_vec());
    assert!(flight.start("a", "1") && !flight.start("a", "1") && flight.start("a", "2"));
    assert_eq!((flight.of("a"), flight.is_free("a", places)), (2, false));
    assert_eq!(names(&flight), ["b", "c", "a"]);
    assert!(flight.is_free("b", places) && flight.start("b", "1"));
    assert_eq!(names(&flight), ["c", "a", "b"]);
    assert!(!flight.is_free("c", places), "all are taken");
    flight.end("a", "2");
    assert!(flight.is_free("c", places) && flight.has("a", "1") && !flight.has("a", "2"));
    flight.forget("b");
    assert_eq!(names(&flight), ["b", "c", "a"], "as one that never had a place");
    assert_eq!((flight.len(), flight.is_empty()), (2, false));
    assert_eq!(Places::on(Platform::Cloudflare), Places { all: 6, of_one: 2 });
    assert_eq!(Places::on(Platform::Workerd), Places { all: 32, of_one: 4 });
}

#[test]
fn what_is_for_an_endpoint_that_is_off_is_held() {
    let off = Endpoint { state: EndpointState::Disabled, ..endpoint() };
    assert_eq!(Delivery::new(&off, NOW).state, DeliveryState::Held);
    // Switched off while an attempt was under way.
    let mut delivery = Delivery::new(&endpoint(), NOW);
    let mut off = off;
    delivery.attempted(&mut off, &attempt(NOW, Came::Status(500)), NOW, 0);
    assert_eq!(delivery.state, DeliveryState::Held);
    let event = Endpoint { why: Some(Why::Dead), version: 4, ..off }.disabled_event("acme", NOW);
    assert_eq!(event.once.as_deref(), Some("endpoint.disabled/ep_0123456789abcdef/4"));
    assert_eq!(event.detail["why"], "dead");
}

proptest! {
    /// Whatever is answered, and whenever: a delivery ends after ten attempts of one round at most,
    /// is never tried before it may be, and what is delivered stays so.
    #[test]
    fn every_delivery_comes_to_an_end(
        answers in prop::collection::vec((0_usize..6, any::<u32>(), prop::option::of(0_u64..200_000)), 1..40),
    ) {
        let mut endpoint = endpoint();
        let mut delivery = Delivery::new(&endpoint, NOW);
        let mut now = NOW;
        for (kind, chance, wish) in answers {
            let came = [200, 204, 302, 410, 500, 503].map(Came::Status)[kind];
            if delivery.state != DeliveryState::Pending {
                let meant = delivery.clone();
                prop_assert_eq!(&meant, &delivery);
                delivery.replay(now);
                if !endpoint.is_on() {
                    break;
                }
            }
            now = delivery.next_at.max(now);
            let tries = delivery.tries;
            let wish = wish.map(|secs| now.plus(Millis::secs(secs)));
            delivery.attempted(&mut endpoint, &Ended { wish, ..attempt(now, came) }, now, chance);
            prop_assert_eq!(delivery.tries, tries + 1);
            prop_assert!(delivery.tries <= 10);
            prop_assert!(delivery.attempts.len() <= 30);
            if delivery.state == DeliveryState::Pending {
                prop_assert!(delivery.next_at > now);
                prop_assert!(delivery.next_at <= now.plus(Millis::hours(27)));
            }
            let text = serde_json::to_string(&delivery).unwrap();
            prop_assert_eq!(serde_json::from_str::<Delivery>(&text).unwrap(), delivery.clone());
        }
    }
}

proptest! {
    /// However many endpoints hang: one that answers has a place again after every other had one.
    #[test]
    fn nobody_who_answers_waits_for_more_than_one_turn_of_each(
        hanging in 1_usize..20, all in 1_usize..8, of_one in 1_usize..4,
    ) {
        let places = Places { all, of_one };
        let mut flight = Flight::default();
        let endpoints: Vec<String> = (0..=hanging).map(|i| format!("ep_{i:02}")).collect();
        // Every endpoint has more due than is ever sent; each place is given back in its turn.
        let mut served = BTreeMap::new();
        let mut under_way = VecDeque::new();
        for event in 0..200_usize {
            let free = |at: &&String| flight.is_free(at, places);
            let order = flight.in_turn(endpoints.clone());
            if let Some(next) = order.iter().find(free).cloned() {
                prop_assert!(flight.start(&next, &event.to_string()));
                prop_assert!(flight.len() <= all && flight.of(&next) <= of_one);
                *served.entry(next.clone()).or_insert(0_u32) += 1;
                under_way.push_back((next, event.to_string()));
            } else if let Some((endpoint, event)) = under_way.pop_front() {
                flight.end(&endpoint, &event);
            }
        }
        let least = endpoints.iter().map(|at| served.get(at).copied().unwrap_or(0)).min().unwrap();
        let most = served.values().copied().max().unwrap();
        prop_assert!(most - least <= 1, "{served:?}");
    }
}
