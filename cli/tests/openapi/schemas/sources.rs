//! Events that came in.

use serde_json::{Value, json};

use crate::shape::{
    about, count, flag, list, nullable, object, one_of, or_null, page, reference, set, text, with,
};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let id = text("^[0-9A-Za-z]{19}[a-p]$");
    let name = text("^[A-Za-z][A-Za-z0-9_-]{0,63}$");
    vec![
        ("SourceName", with(name, &json!({ "examples": ["stripe"] }))),
        ("HookEventId", with(id, &json!({ "examples": ["0Vbfu4rRxUBt34a5rnOa"] }))),
        ("Source", object(&source())),
        ("SourcePage", page("sources", "Source")),
        ("Refusal", object(&refusal())),
        ("RefusalPage", page("refusals", "Refusal")),
        ("HookEvent", object(&event())),
        ("HookEventPage", page("events", "HookEvent")),
        ("HookEventAnswer", object(&[("event", whole())])),
        ("ReplayEvents", replay()),
    ]
}

fn source() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    vec![
        ("name", reference("SourceName")),
        ("tenant", json!({ "type": ["string", "null"] })),
        ("path", text()),
        ("scheme", text()),
        ("delivery", one_of(&["queue", "forward"])),
        ("upstream", text()),
        ("shadow_until", nullable("Time")),
    ]
}

fn refusal() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let steps = ["header", "encoding", "size", "signature", "body", "time"];
    vec![
        ("at", reference("Time")),
        ("request_id", text()),
        ("step", about(one_of(&steps), "At which it failed.")),
        ("code", about(reference("ErrorCode"), "What its sender was told.")),
        ("detail", text()),
        ("shadow", about(flag(), "Shadow mode let it pass.")),
        ("others", about(count(), "So many came before it that were only counted.")),
    ]
}

fn event() -> Vec<(&'static str, Value)> {
    let text_or_null = || json!({ "type": ["string", "null"] });
    vec![
        ("id", reference("HookEventId")),
        ("source", reference("SourceName")),
        ("received_at", reference("Time")),
        ("provider_id", about(text_or_null(), "The id that the provider gave it.")),
        ("id_reused", about(flag(), "Its id was here before, with another content.")),
        ("unverified", about(flag(), "Shadow mode let it in; the gate does not sign for it.")),
        ("size", about(count(), "Bytes of the body.")),
        ("state", one_of(&["pending", "delivered", "dead"])),
        ("attempts", about(count(), "Since it came or was last replayed.")),
        ("next_attempt_at", nullable("Time")),
        ("kept_until", nullable("Time")),
        ("last_attempt", nullable("Attempt")),
    ]
}

fn whole() -> Value {
    let pair =
        json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 });
    let body = json!({ "type": "string", "contentEncoding": "base64" });
    let tries = with(list(&reference("Attempt")), &json!({ "maxItems": 20 }));
    let mut members = event();
    members.extend([
        ("headers", list(&pair)),
        ("query", json!({ "type": ["string", "null"] })),
        ("body", body),
        ("tries", about(tries, "The oldest first, the last 20.")),
    ]);
    object(&members)
}

fn replay() -> Value {
    let nothing = || json!({ "type": "null" });
    let dry_run = || ("dry_run?", about(or_null(&flag()), "Only tell how many."));
    let ids = with(set(&reference("HookEventId"), 100), &json!({ "minItems": 1 }));
    let some = object(&[("ids", ids), ("since?", nothing()), ("state?", nothing()), dry_run()]);
    let all = object(&[
        ("ids?", nothing()),
        ("since", about(reference("TimeAsked"), "Of events that arrived then or later.")),
        ("state?", or_null(&one_of(&["dead", "all"]))),
        dry_run(),
    ]);
    json!({ "oneOf": [about(some, "These."), about(all, "All since a time.")] })
}
