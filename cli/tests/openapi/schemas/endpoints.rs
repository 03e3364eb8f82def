//! Endpoints: where a tenant has events sent to.

use serde_json::{Value, json};
use tollgate_core::endpoint::EVENTS;

use crate::shape::{
    about, count, flag, line, list, nullable, number, object, one_of, or_null, page, reference,
    set, text, with,
};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("EventType", one_of(&EVENTS)),
        ("EndpointId", id("ep_", "ep_0VbfsOCvQ1mYx8aT")),
        ("EventId", id("evt_", "evt_0VbfsOCvQ1mYx8aT")),
        ("EndpointUrl", url()),
        ("EndpointState", one_of(&["enabled", "disabled"])),
        ("Endpoint", endpoint()),
        ("EndpointAnswer", object(&[("endpoint", reference("Endpoint"))])),
        ("EndpointPage", page("endpoints", "Endpoint")),
        ("MadeEndpoint", made()),
        ("CreateEndpoint", create()),
        ("UpdateEndpoint", update()),
        ("RotateEndpoint", rotate()),
        ("Attempt", attempt()),
        ("Delivery", delivery()),
        ("DeliveryAnswer", object(&[("delivery", reference("Delivery"))])),
        ("DeliveryPage", page("deliveries", "Delivery")),
        ("ReplayDeliveries", replay()),
        ("Replayed", object(&[("dry_run", flag()), ("count", count())])),
    ]
}

fn id(prefix: &str, example: &str) -> Value {
    with(text(&format!("^{prefix}[0-9A-Za-z]{{16}}$")), &json!({ "examples": [example] }))
}

fn url() -> Value {
    with(
        json!({ "type": "string", "minLength": 1, "maxLength": 2048, "format": "tollgate-hook-url" }),
        &json!({
            "description": "https, on port 443 and the public internet: no user, no fragment, no \
                host of the gate, no private, loopback or metadata address. Outside production \
                this machine as well.",
            "examples": ["https://hooks.example.com/tollgate"],
        }),
    )
}

fn endpoint() -> Value {
    let events = or_null(&list(&reference("EventType")));
    let because = or_null(&one_of(&["gone", "dead"]));
    object(&[
        ("id", reference("EndpointId")),
        ("tenant", reference("TenantOrAll")),
        ("url", reference("EndpointUrl")),
        ("description", json!({ "type": ["string", "null"] })),
        ("events", about(events, "Null: all of them.")),
        ("state", reference("EndpointState")),
        (
            "disabled_because",
            about(because, "Why the gate switched it off: it answered 410, or nothing arrived."),
        ),
        ("version", number(1, 1 << 53)),
        ("created_at", reference("Time")),
        ("failing_since", about(nullable("Time"), "The first failure since the last success.")),
        ("previous_secret_until", about(nullable("Time"), "Until then it signs as well.")),
    ])
}

fn made() -> Value {
    let secret = about(text("^whsec_[A-Za-z0-9+/]{43}=$"), "Shown this once.");
    object(&[("endpoint", reference("Endpoint")), ("secret", secret)])
}

fn wishes() -> Vec<(&'static str, Value)> {
    let most = u64::try_from(EVENTS.len()).unwrap();
    let events = with(set(&reference("EventType"), most), &json!({ "minItems": 1 }));
    vec![
        ("events?", or_null(&about(events, "Null: all of them."))),
        ("description?", or_null(&line(0, 100))),
    ]
}

fn create() -> Value {
    let tenant = about(or_null(&reference("TenantOrAll")), "For operators; `*` if left out.");
    let mut members = vec![("tenant?", tenant), ("url", reference("EndpointUrl"))];
    members.extend(wishes());
    object(&members)
}

fn update() -> Value {
    let mut members = vec![
        ("version", about(number(0, u64::MAX), "The one that the caller has seen.")),
        ("url?", or_null(&reference("EndpointUrl"))),
        ("state?", or_null(&reference("EndpointState"))),
    ];
    members.extend(wishes());
    object(&members)
}

fn rotate() -> Value {
    let grace = with(
        text("^[0-9]+(?:ms|s|m|h|d)$"),
        &json!({ "format": "tollgate-grace", "description": "At most 7d; 24h if left out." }),
    );
    object(&[("grace?", or_null(&grace))])
}

fn attempt() -> Value {
    let faults = ["unreachable", "timed_out", "no_credential", "not_allowed"];
    object(&[
        ("at", reference("Time")),
        ("duration_ms", count()),
        ("status", or_null(&number(100, 999))),
        ("fault", about(or_null(&one_of(&faults)), "Why there was no answer.")),
    ])
}

fn delivery() -> Value {
    object(&[
        ("id", about(reference("EventId"), "`webhook-id` of every attempt.")),
        ("type", json!({ "type": "string" })),
        ("at", about(reference("Time"), "When it happened.")),
        ("state", one_of(&["pending", "delivered", "dead", "held"])),
        ("next_attempt_at", nullable("Time")),
        ("attempts", with(list(&reference("Attempt")), &json!({ "maxItems": 30 }))),
    ])
}

fn replay() -> Value {
    let nothing = || json!({ "type": "null" });
    let dry_run = || ("dry_run?", about(or_null(&flag()), "Only tell how many."));
    let ids = with(set(&reference("EventId"), 100), &json!({}));
    let some = object(&[("ids", ids), ("since?", nothing()), ("state?", nothing()), dry_run()]);
    let all = object(&[
        ("ids?", nothing()),
        ("since", about(reference("TimeAsked"), "Of events that happened then or later.")),
        ("state?", or_null(&one_of(&["delivered", "dead", "held"]))),
        dry_run(),
    ]);
    json!({ "oneOf": [about(some, "These."), about(all, "All since a time.")] })
}
