//! What is told of a key, batch by batch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::limit::Rate;
use crate::policy::{Anomalies, Volume};
use crate::problem::Code;
use crate::usage::{Counts, HourBatch, KeyBatch, Seen};

/// 2026-06-01T00:00:00Z.
const START: UnixMillis = UnixMillis::from_secs(1_780_272_000);

const NOTHING: [Value; 0] = [];

fn key() -> KeyId {
    KeyId::parse("abcdefghij012345").unwrap()
}

fn after(span: Millis) -> UnixMillis {
    START.plus(span)
}

/// Detectors with low thresholds; a key is known after an hour.
fn rules() -> Anomalies {
    Anomalies {
        refusals: Rate::new(5, Millis::minutes(5)).ok(),
        volume: Some(Volume { factor: 3, at_least: 10 }),
        learn: Millis::hours(1),
        ..Anomalies::default()
    }
}

/// So many requests for a route from a country, all of them admitted.
fn used(at: UnixMillis, requests: u64, route: &str, country: Option<&str>) -> KeyBatch {
    let mut batch = batch(at, requests, &[]);
    let seen = Seen { admitted: requests, refused: 0 };
    batch.routes.insert(route.to_owned(), seen);
    batch.countries.extend(country.map(|country| (country.to_owned(), seen)));
    batch
}

fn batch(at: UnixMillis, admitted: u64, refused: &[(Code, u64)]) -> KeyBatch {
    let mut counts = Counts { admitted, ..Counts::default() };
    for (code, count) in refused {
        counts.refused += count;
        counts.errors.insert(code.as_str().into(), *count);
    }
    let hour = UnixMillis::from_millis(at.as_millis() / 3_600_000 * 3_600_000);
    let hours = vec![HourBatch { hour, counts }];
    KeyBatch { key: Some(key()), hours, ..KeyBatch::default() }
}

/// What was told, as kind and facts.
fn see(watched: &mut Watched, batch: &KeyBatch, rules: &Anomalies, now: UnixMillis) -> Vec<Value> {
    // It is stored between any two batches.
    let stored = serde_json::to_string(watched).unwrap();
    *watched = serde_json::from_str(&stored).unwrap();
    let key = key();
    let events = watched.see(batch, rules, Subject { key: &key, tenant: "acme", now });
    for event in &events {
        assert_eq!((event.at, event.tenant.as_str(), event.actor.as_str()), (now, "acme", "gate"));
        assert_eq!(event.key.as_deref(), Some(key.as_str()));
    }
    events
        .into_iter()
        .map(|event| match Anomaly::of(&event) {
            Some(anomaly) => json!([anomaly.kind, anomaly.detail]),
            None => json!([event.kind, event.detail]),
        })
        .collect()
}

/// A key that is used for `read` from Germany since [`START`], and known by now.
fn known() -> Watched {
    let mut watched = Watched::default();
    let told = see(&mut watched, &used(START, 4, "read", Some("DE")), &rules(), START);
    assert_eq!(told, [json!(["key.accessed", { "first": true, "country": "DE" }])]);
    watched
}

#[test]
fn a_key_that_does_what_it_did_is_nobodys_concern() {
    let mut watched = known();
    for hours in 0..400 {
        let now = after(Millis::hours(hours));
        assert_eq!(see(&mut watched, &used(now, 4, "read", Some("DE")), &rules(), now), NOTHING);
    }
}

#[test]
fn routes_and_countries_are_told_once_and_not_while_the_key_is_learned() {
    let mut watched = known();
    let early = after(Millis::minutes(59));
    assert_eq!(
        see(&mut watched, &used(early, 1, "list", Some("FR")), &rules(), early),
        [json!(["key.accessed", { "country": "FR" }])],
        "an access, and no anomaly yet"
    );
    let late = after(Millis::hours(1));
    for (reason, batch, told) in [
        ("what it learned", used(late, 1, "list", Some("FR")), vec![]),
        ("a route", used(late, 1, "write", None), vec![json!(["new_route", { "route": "write" }])]),
        ("the same again", used(late, 1, "write", Some("DE")), vec![]),
        (
            "a country",
            used(late, 1, "read", Some("NL")),
            vec![
                json!(["key.accessed", { "country": "NL" }]),
                json!(["new_country", { "country": "NL" }]),
            ],
        ),
        ("the same again", used(late, 1, "read", Some("NL")), vec![]),
        ("what the edge no longer tells apart", used(late, 1, "*", Some("*")), vec![]),
        ("a country that nobody knows", used(late, 1, "read", Some("XX")), vec![]),
    ] {
        assert_eq!(see(&mut watched, &batch, &rules(), late), told, "{reason}");
    }
}

#[test]
fn what_was_refused_teaches_nothing_and_is_no_use() {
    let mut watched = Watched::default();
    let mut strangers = batch(START, 0, &[(Code::KeyInvalid, 1)]);
    let seen = Seen { admitted: 0, refused: 1 };
    strangers.routes.insert("write".to_owned(), seen);
    strangers.countries.insert("KP".to_owned(), seen);
    assert_eq!(see(&mut watched, &strangers, &rules(), START), NOTHING);
    let later = after(Millis::hours(100));
    assert_eq!(
        see(&mut watched, &used(later, 1, "read", None), &rules(), later),
        [json!(["key.accessed", { "first": true }])]
    );
    let later = after(Millis::hours(200));
    assert_eq!(
        see(&mut watched, &used(later, 1, "write", Some("KP")), &rules(), later).len(),
        3,
        "both are new to it"
    );
}

#[test]
fn refusals_are_told_when_they_repeat_within_the_window() {
    let told = |refused, codes: Value| {
        vec![json!(["repeated_refusals", { "refused": refused, "window": "5m", "codes": codes }])]
    };
    let minute = Millis::minutes;
    let mut watched = Watched::default();
    for (reason, at, codes, expected) in [
        ("too few", minute(0), &[(Code::InsufficientScope, 4)][..], vec![]),
        ("other refusals do not count", minute(1), &[(Code::RateLimited, 90)], vec![]),
        (
            "the fifth in five minutes, of another code",
            minute(4),
            &[(Code::KeyExpired, 1)],
            told(5, json!({ "insufficient_scope": 4, "key_expired": 1 })),
        ),
        ("told a moment ago", minute(5), &[(Code::KeyExpired, 500)], vec![]),
        ("told less than an hour ago", minute(63), &[(Code::KeyExpired, 500)], vec![]),
        (
            "an hour later",
            minute(64),
            &[(Code::KeyInvalid, 9)],
            told(509, json!({ "key_expired": 500, "key_invalid": 9 })),
        ),
        ("the window is over", minute(200), &[(Code::KeyInvalid, 4)], vec![]),
        ("by the minute", minute(205), &[(Code::KeyInvalid, 4)], vec![]),
    ] {
        let (at, mut watching) = (after(at), watched);
        assert_eq!(see(&mut watching, &batch(at, 0, codes), &rules(), at), expected, "{reason}");
        watched = watching;
    }
}

#[test]
fn an_hour_is_held_against_the_busiest_of_seven_days() {
    let day = |days: u64, requests| {
        let now = after(Millis::days(days));
        (now, used(now, requests, "read", Some("DE")))
    };
    let mut watched = known();
    for (reason, (now, batch), expected) in [
        ("three times the busiest, but under the least", day(1, 9), None),
        ("less than three times the busiest", day(2, 26), None),
        ("the rest of it, in the same hour", day(2, 1), Some((27, 9))),
        ("still the same hour", day(2, 500), None),
        ("that hour is a busy one now", day(3, 1_000), None),
        ("three times that", day(4, 3_000), Some((3_000, 1_000))),
        ("seven days after the busiest", day(11, 3_000), None),
        ("all of that is more than seven days ago", day(19, 10), Some((10, 0))),
    ] {
        let told = see(&mut watched, &batch, &rules(), now);
        let hour = now.to_rfc3339();
        let expected: Vec<Value> = expected
            .into_iter()
            .map(|(requests, busiest)| {
                let detail = json!({ "hour": hour, "requests": requests, "busiest": busiest });
                json!(["sudden_volume", detail])
            })
            .collect();
        assert_eq!(told, expected, "{reason}");
    }
    let mut fresh = Watched::default();
    let told = see(&mut fresh, &used(START, 1_000_000, "read", None), &rules(), START);
    assert_eq!(told.len(), 1, "the first hour of a key is its measure: {told:?}");
}

#[test]
fn an_old_key_in_use_is_told_once_a_day() {
    let mut watched = known();
    for (hours, told) in [(2, true), (3, false), (25, false), (26, true), (50, true)] {
        let now = after(Millis::hours(hours));
        let batch = KeyBatch { in_grace: 3, ..used(now, 3, "read", Some("DE")) };
        let expected = [json!(["old_key_in_grace", { "requests": 3 }])];
        let expected = if told { &expected[..] } else { &[] };
        assert_eq!(see(&mut watched, &batch, &rules(), now), expected, "{hours}");
    }
}

#[test]
fn a_detector_that_is_off_tells_nothing_and_goes_on_learning() {
    let off = Anomalies {
        refusals: None,
        volume: None,
        routes: false,
        countries: false,
        old_keys: false,
        ..rules()
    };
    let mut watched = known();
    let now = after(Millis::days(2));
    let refused = [(Code::KeyExpired, 900)];
    let everything = KeyBatch {
        routes: BTreeMap::from([("write".to_owned(), Seen { admitted: 9, refused: 0 })]),
        countries: BTreeMap::from([("FR".to_owned(), Seen { admitted: 9, refused: 0 })]),
        in_grace: 9,
        ..batch(now, 9_000, &refused)
    };
    let access = json!(["key.accessed", { "country": "FR" }]);
    assert_eq!(see(&mut watched, &everything, &off, now), [access]);
    let told = see(&mut watched, &everything, &rules(), now);
    let kinds: Vec<&Value> = told.iter().map(|told| &told[0]).collect();
    assert_eq!(kinds, ["repeated_refusals", "sudden_volume", "old_key_in_grace"], "both are known");
}

#[test]
fn what_a_key_may_fill_has_an_end() {
    let mut watched = known();
    let late = after(Millis::hours(2));
    let mut told = 0;
    for number in 0..1_000 {
        let batch = used(late, 1, &format!("route-{number}"), Some("DE"));
        told += see(&mut watched, &batch, &rules(), late).len();
    }
    assert_eq!(told, 200, "then it may use what it likes");
    assert!(serde_json::to_string(&watched).unwrap().len() < 10_000);
}

#[test]
fn an_anomaly_has_one_name_and_its_event_tells_all_of_it() {
    let key = key();
    let subject = Subject { key: &key, tenant: "acme", now: START };
    let detail = || Map::from_iter([("country".to_owned(), json!("DE"))]);
    let event = subject.anomaly(Kind::NewCountry, "DE", detail());
    let anomaly = Anomaly::of(&event).unwrap();
    assert_eq!(
        anomaly.resource(),
        json!({
            "id": anomaly.id, "at": "2026-06-01T00:00:00Z", "tenant": "acme",
            "key": "abcdefghij012345", "kind": "new_country", "detail": { "country": "DE" },
        })
    );
    assert_eq!(anomaly.id.len(), 22);
    let later = Subject { now: after(Millis::days(1)), ..subject };
    let again = Anomaly::of(&later.anomaly(Kind::NewCountry, "DE", detail())).unwrap();
    assert_eq!(again.id, anomaly.id);
    let other = Anomaly::of(&later.anomaly(Kind::NewCountry, "FR", detail())).unwrap();
    assert_ne!(other.id, anomaly.id);
    assert_eq!(Anomaly::of(&subject.accessed(true, Some("DE"))), None, "no anomaly");
    for kind in Kind::ALL {
        assert_eq!(json!(kind), json!(kind.as_str()));
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
}

#[test]
fn a_page_ends_where_the_next_begins() {
    let anomaly = |number: u64| Anomaly {
        id: format!("id{number}"),
        at: after(Millis::secs(number)),
        tenant: "acme".to_owned(),
        key: key().to_string(),
        kind: Kind::NewRoute,
        detail: Map::new(),
    };
    let query =
        AnomalyQuery { limit: 2, cursor: None, tenant: None, key: None, kind: None, since: None };
    assert_eq!(Page::wanted(&query), 3);
    let page = Page::of(vec![anomaly(3), anomaly(2), anomaly(1)], &query);
    assert_eq!(page.anomalies.len(), 2);
    let next = page.next.unwrap();
    assert_eq!(next, Cursor { at: after(Millis::secs(2)), id: "id2".to_owned() });
    assert_eq!(Cursor::parse(&next.to_text()), Some(next));
    assert_eq!(Page::of(vec![anomaly(3), anomaly(2)], &query).next, None);
    for text in ["", "x", "MS4xLg", "MS54LmE", "Mi4xLmE"] {
        assert_eq!(Cursor::parse(text), None, "{text}");
    }
}
