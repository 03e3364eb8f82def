use serde_json::json;

use super::super::Update;
use super::super::tests::{BOUNDS, NOW, body, made};
use super::super::{Caller, KeyView, NewKey};
use crate::key::KeyRecord;
use crate::limit::Mode;

/// The fields that are wrong with a key of these members.
fn wrong(kind: &str, with: serde_json::Value) -> Vec<(String, String)> {
    let problem = NewKey::read(&body(kind, with), &BOUNDS, &Caller::Root, NOW).unwrap_err();
    problem.errors.iter().map(|it| (it.field.clone(), it.message.clone())).collect()
}

#[test]
fn every_form_is_told_back_as_it_was_written() {
    for limit in [
        json!({ "name": "default", "requests": 60, "window": "1m", "by": "key" }),
        json!({ "name": "fast", "requests": 60, "window": "1m", "by": "key", "mode": "leased" }),
        json!({
            "name": "filled", "bucket": { "requests": 10, "window": "1s", "burst": 100 },
            "by": "key+address",
        }),
        json!({
            "name": "ahead", "bucket": { "requests": 10, "window": "1s", "burst": 2 }, "by": "key",
            "mode": "leased",
        }),
        json!({
            "name": "daily", "quota": { "requests": u32::MAX, "per": "day" }, "by": "key+param:id",
        }),
        json!({ "name": "busy", "concurrency": 1_000_000, "by": "key" }),
        json!({
            "name": "all", "requests": 1, "window": "24h", "concurrency": 1, "by": "key",
            "quota": { "requests": 1, "per": "hour" },
        }),
        json!({
            "name": "both", "bucket": { "requests": 1_000_000, "window": "2s", "burst": 1 },
            "quota": { "requests": 1, "per": "month" }, "concurrency": 1, "by": "key",
        }),
    ] {
        let record = made(&body("sk", json!({ "limits": [limit] }))).record;
        let view = KeyView::from(&record);
        assert_eq!(view.resource(NOW)["limits"], json!([limit]));
        let stored = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<KeyRecord>(&stored).unwrap(), record, "{limit}");
    }
    let least = made(&body("sk", json!({ "limits": [{ "concurrency": 5, "mode": null }] }))).record;
    assert_eq!(
        KeyView::from(&least).resource(NOW)["limits"],
        json!([{ "name": "default", "concurrency": 5, "by": "key" }])
    );
}

#[test]
fn what_is_wrong_is_told_by_its_field() {
    let own = "a key's own limits are counted by key, key+address or key+param:NAME";
    for (limit, told) in [
        (
            json!({}),
            &[("", "has `requests` and a `window`, a `bucket`, a `quota` or a `concurrency`")][..],
        ),
        (
            json!({ "requests": null, "bucket": null, "by": "key" }),
            &[("", "has `requests` and a `window`, a `bucket`, a `quota` or a `concurrency`")],
        ),
        (json!({ "window": "1m" }), &[(".requests", "is missing")]),
        (json!({ "requests": 1, "quota": null }), &[(".window", "is missing")]),
        (json!({ "concurrency": 1, "by": "tenant" }), &[(".by", own)]),
        (json!({ "concurrency": 1, "by": "route" }), &[(".by", own)]),
        (json!({ "concurrency": 1, "by": "address" }), &[(".by", own)]),
        (
            json!({ "concurrency": 1, "by": "keys" }),
            &[(".by", "by = \"keys\" is unknown: did you mean \"key\"?")],
        ),
        (json!({ "concurrency": 1, "mode": "fast" }), &[(".mode", "has to be exact or leased")]),
        (
            json!({ "concurrency": 1, "mode": "leased" }),
            &[(".mode", "a limit with `concurrency` cannot be leased: each request has to ask")],
        ),
        (
            json!({ "bucket": { "requests": 100, "window": "1s", "burst": 2 }, "mode": "leased" }),
            &[(
                ".mode",
                "a bucket with burst = 2 cannot be leased: 2 may be given ahead while it fills",
            )],
        ),
        (
            json!({
                "requests": 1, "window": "1s",
                "bucket": { "requests": 1, "window": "1s", "burst": 1 },
            }),
            &[(".bucket", "a limit has a `rate` or a `bucket`, not both")],
        ),
        (
            json!({ "bucket": {}, "quota": {}, "concurrency": 0 }),
            &[
                (".bucket.requests", "is missing"),
                (".bucket.window", "is missing"),
                (".bucket.burst", "is missing"),
                (".quota.requests", "is missing"),
                (".quota.per", "is missing"),
                (".concurrency", "concurrency = 0: 1 to 1000000 requests can be in flight"),
            ],
        ),
        (
            json!({
                "bucket": { "requests": 0, "window": "1s", "burst": 1, "rate": 3 },
                "quota": { "requests": 0, "per": "day" }, "concurrency": 1_000_001,
            }),
            &[
                (".bucket.rate", "is unknown"),
                (
                    ".bucket.requests",
                    "requests = 0: a rate allows 1 to 1000000 requests in its window",
                ),
                (
                    ".quota.requests",
                    "requests = 0: a quota allows 1 to 4294967295 requests in its period",
                ),
                (".concurrency", "concurrency = 1000001: 1 to 1000000 requests can be in flight"),
            ],
        ),
        (
            json!({
                "bucket": { "requests": 1, "window": "1s", "burst": 1_000_001 },
                "quota": { "requests": 4_294_967_296_u64, "per": "week" },
            }),
            &[
                (".bucket.burst", "burst = 1000001: a bucket holds 1 to 1000000 requests"),
                (".quota.requests", "requests = 4294967296: at most 4294967295"),
                (".quota.per", "has to be hour, day or month"),
            ],
        ),
    ] {
        let mut told: Vec<(String, String)> = told
            .iter()
            .map(|(field, message)| (format!("limits[0]{field}"), (*message).to_owned()))
            .collect();
        let mut found = wrong("sk", json!({ "limits": [limit] }));
        told.sort();
        found.sort();
        assert_eq!(found, told, "{limit}");
    }
}

#[test]
fn a_key_is_exact_unless_it_says_leased() {
    for kind in ["pk", "sk", "rk"] {
        for (with, mode) in [
            (json!({}), Mode::Exact),
            (json!({ "mode": null }), Mode::Exact),
            (json!({ "mode": "exact" }), Mode::Exact),
            (json!({ "mode": "leased" }), Mode::Leased),
            // What cannot be leased of it stays exact.
            (json!({ "mode": "leased", "limits": [{ "concurrency": 3 }] }), Mode::Leased),
        ] {
            let record = made(&body(kind, with.clone())).record;
            assert_eq!(record.mode, mode, "{kind} {with}");
            assert_eq!(KeyView::from(&record).resource(NOW)["mode"], json!(mode), "{kind} {with}");
        }
    }
    let told = [("mode".to_owned(), "has to be exact or leased".to_owned())];
    assert_eq!(wrong("sk", json!({ "mode": "lease" })), told);
}

#[test]
fn a_change_of_mode_is_a_change_of_its_own() {
    let record = made(&body("sk", json!({ "limits": [{ "concurrency": 3 }] }))).record;
    let changed = |record: &KeyRecord, patch: serde_json::Value| {
        Update::read(&patch).unwrap().patch(record, &BOUNDS, NOW).unwrap().after
    };
    let leased = changed(&record, json!({ "version": 1, "mode": "leased" }));
    assert_eq!(leased, KeyRecord { mode: Mode::Leased, ..record.clone() });
    let same = changed(&leased, json!({ "version": 1, "limits": [{ "concurrency": 3 }] }));
    assert_eq!(same, leased, "what is not said stays");
    for back in [json!({ "version": 1, "mode": "exact" }), json!({ "version": 1, "mode": null })] {
        assert_eq!(changed(&leased, back), record);
    }
}

#[test]
fn an_admin_key_is_asked_about_at_every_call() {
    let leased = "an admin key is asked about at every call: it cannot be leased";
    let in_flight = "calls of admin keys are not counted in flight";
    for (with, told) in [
        (json!({ "mode": "leased" }), &[("mode", leased)][..]),
        (
            json!({ "limits": [
                { "requests": 1, "window": "1m", "mode": "leased" },
                { "name": "b", "requests": 1, "window": "1m", "concurrency": 3 },
            ] }),
            &[("limits[0].mode", leased), ("limits[1].concurrency", in_flight)],
        ),
    ] {
        let found = wrong("ak", with);
        let found: Vec<_> = found.iter().map(|(field, why)| (&**field, &**why)).collect();
        assert_eq!(found, told);
    }
    let daily =
        json!({ "limits": [{ "quota": { "requests": 9, "per": "day" } }], "mode": "exact" });
    assert_eq!(made(&body("ak", daily)).record.mode, Mode::Exact);
}
