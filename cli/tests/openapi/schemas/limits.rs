//! Limits of a key's own, as they are asked for and as they are told.

use serde_json::{Value, json};

use crate::shape::{about, number, object, one_of, or_null, reference, text, with};

/// What the mode of a key means.
pub(super) const MODE: &str = "Leased: an isolate of the edge may be given some requests ahead, of \
    every limit of the key that can be leased.";
const MODES: [&str; 2] = ["exact", "leased"];
const PERIODS: [&str; 3] = ["hour", "day", "month"];

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Mode", one_of(&MODES)),
        ("BucketAsked", bucket_asked()),
        ("Quota", quota()),
        ("LimitAsked", json!({ "oneOf": asked(false) })),
        ("AdminLimitAsked", json!({ "oneOf": asked(true) })),
        ("Limit", told()),
    ]
}

/// What may be said of how a key is limited.
pub(super) fn of_keys() -> Vec<(&'static str, Value)> {
    let mode = or_null(&about(reference("Mode"), MODE));
    vec![("limits?", limits("LimitAsked")), ("mode?", mode)]
}

/// The same of an admin key, which is asked about at every call.
pub(super) fn of_admins() -> Vec<(&'static str, Value)> {
    vec![("limits?", limits("AdminLimitAsked")), ("mode?", no_lease())]
}

fn limits(item: &str) -> Value {
    or_null(&json!({
        "type": "array",
        "items": reference(item),
        "maxItems": 8,
        "description": "Empty: 60 a minute.",
    }))
}

fn no_lease() -> Value {
    json!({ "enum": ["exact", null] })
}

fn requests() -> Value {
    number(1, 1_000_000)
}

fn window() -> Value {
    with(
        text("^[0-9]+(?:ms|s|m|h|d)$"),
        &json!({
            "format": "tollgate-window",
            "description": "1s to 24h, in whole seconds.",
            "examples": ["1m"],
        }),
    )
}

fn bucket_asked() -> Value {
    let bucket = object(&[
        ("requests", about(requests(), "So many flow in, in each window.")),
        ("window", window()),
        ("burst", about(requests(), "So many it holds.")),
    ]);
    about(
        bucket,
        "A token bucket. A leased one holds more than what flows in during a second, or during a \
         fiftieth of its window if that is shorter.",
    )
}

fn quota() -> Value {
    let quota = object(&[("requests", number(1, u64::from(u32::MAX))), ("per", one_of(&PERIODS))]);
    about(quota, "Of each period of the calendar, in UTC.")
}

/// Every form of a limit: what it measures first, and whether it counts requests in flight. Those
/// cannot be leased, and those of admin keys are not counted so.
fn asked(of_admins: bool) -> Vec<Value> {
    let none = || json!({ "type": "null" });
    let rate = [("requests", requests()), ("window", window()), ("bucket?", none())];
    let bucket = [("requests?", none()), ("window?", none()), ("bucket", reference("BucketAsked"))];
    let neither = [("requests?", none()), ("window?", none()), ("bucket?", none())];
    let needed = ("quota", reference("Quota"));
    let also = ("quota?", or_null(&reference("Quota")));
    let form = |title: &str, first: &[(&'static str, Value)], more: &[_]| {
        let members = [&[name()], first, more, &[by()]].concat();
        with(object(&members), &json!({ "title": title }))
    };

    let leases = if of_admins { no_lease() } else { or_null(&reference("Mode")) };
    let counted = |quota: &(&'static str, Value)| {
        [quota.clone(), ("concurrency?", none()), ("mode?", leases.clone())]
    };
    let in_flight = [
        also.clone(),
        ("concurrency", about(requests(), "At most so many in flight.")),
        ("mode?", no_lease()),
    ];
    let mut forms = vec![
        form("A rate: at most so many requests in any window", &rate, &counted(&also)),
        form("A token bucket", &bucket, &counted(&also)),
        form("A quota", &neither, &counted(&needed)),
    ];
    if !of_admins {
        forms.extend([
            form("A rate, and how many in flight", &rate, &in_flight),
            form("A token bucket, and how many in flight", &bucket, &in_flight),
            form("How many in flight", &neither, &in_flight),
        ]);
    }
    forms
}

fn name() -> (&'static str, Value) {
    let name = with(
        text("^(?!route-)[a-z0-9_-]{1,32}$"),
        &json!({ "description": "`default` where it is not said. Each limit of a key has another \
            one." }),
    );
    ("name?", or_null(&name))
}

fn by() -> (&'static str, Value) {
    let by = text(r"^(?:key|key\+address|key\+param:[A-Za-z0-9_-]{1,64})$");
    ("by?", or_null(&about(by, "What it is counted by.")))
}

/// A limit as it is told: what it does not measure is left out.
fn told() -> Value {
    let bucket = object(&[
        ("requests", requests()),
        ("window", reference("Duration")),
        ("burst", requests()),
    ]);
    let limit = object(&[
        ("name", text("^[a-z0-9_-]{1,32}$")),
        ("requests?", requests()),
        ("window?", reference("Duration")),
        ("bucket?", bucket),
        ("quota?", reference("Quota")),
        ("concurrency?", requests()),
        ("by", json!({ "type": "string" })),
        ("mode?", about(json!({ "const": "leased" }), "Left out: exact.")),
    ]);
    let any = ["requests", "bucket", "quota", "concurrency"].map(|it| json!({ "required": [it] }));
    let rate = json!({ "requests": ["window"], "window": ["requests"] });
    with(limit, &json!({ "anyOf": any, "dependentRequired": rate }))
}
