//! What happened: the audit, usage, anomalies.

use serde_json::{Value, json};

use crate::shape::{about, count, list, number, object, one_of, page, reference, text, with};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("AuditHash", text("^[0-9a-f]{64}$")),
        ("AuditEntry", entry()),
        ("AuditPage", page("entries", "AuditEntry")),
        ("AuditExport", export()),
        ("AuditKey", object(&[("key", audit_key())])),
        ("Latency", latency(true)),
        ("BucketLatency", latency(false)),
        ("ErrorCounts", error_counts()),
        ("LastUse", last_use()),
        ("KeyUsage", object(&[("usage", usage(&[]))])),
        ("Usage", all_usage()),
        ("Anomaly", anomaly()),
        ("AnomalyPage", page("anomalies", "Anomaly")),
    ]
}

fn entry() -> Value {
    let any_text = || json!({ "type": "string" });
    object(&[
        ("seq", about(number(1, 1 << 53), "Counts up in a chain without a gap.")),
        ("prev", about(reference("AuditHash"), "The hash of the entry before it.")),
        ("chain", reference("TenantOrAll")),
        ("at", about(reference("Time"), "When it happened.")),
        (
            "recorded_at",
            about(reference("Time"), "When it was written down: the lag lies between."),
        ),
        ("type", about(any_text(), "Such as `key.created` or `management.refused`.")),
        ("actor", about(any_text(), "The id of an admin key, `root`, or `gate`.")),
        ("tenant", any_text()),
        ("key?", any_text()),
        ("call?", about(any_text(), "Such as `POST keys/{id}/rotate`.")),
        ("code?", about(reference("ErrorCode"), "Why it was refused.")),
        ("request_id?", any_text()),
        ("address?", any_text()),
        ("fields?", about(list(&any_text()), "The names of the fields that changed.")),
        ("detail?", json!({ "type": "object", "additionalProperties": true })),
        ("hash", reference("AuditHash")),
    ])
}

fn export() -> Value {
    json!({
        "type": "string",
        "description": "One entry a line, byte by byte as it is in the chain, oldest first. The last \
            line is the signed head: `{\"head\":{…},\"signature\":…,\"public_key\":…,\"algorithm\":\
            \"Ed25519\"}`.",
    })
}

fn audit_key() -> Value {
    object(&[
        ("algorithm", json!({ "const": "Ed25519" })),
        ("public_key", about(text("^[A-Za-z0-9_-]{43}$"), "In base64url without padding.")),
    ])
}

fn latency(with_error: bool) -> Value {
    let ms = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let mut members = vec![
        ("count", count()),
        ("p50", about(ms(), "Milliseconds; null without a request.")),
        ("p95", ms()),
        ("p99", ms()),
    ];
    if with_error {
        members.push(("error", about(json!({ "type": "string" }), "How exact it is.")));
    }
    object(&members)
}

fn error_counts() -> Value {
    json!({
        "type": "object",
        "additionalProperties": count(),
        "description": "How many refusals of each code.",
    })
}

fn last_use() -> Value {
    object(&[("at", reference("Time")), ("country", json!({ "type": ["string", "null"] }))])
}

fn counts() -> Vec<(&'static str, Value)> {
    vec![
        ("requests", count()),
        ("admitted", count()),
        ("refused", count()),
        ("errors", reference("ErrorCounts")),
    ]
}

fn usage(more: &[(&'static str, Value)]) -> Value {
    let mut bucket = vec![("at", reference("Time"))];
    bucket.extend(counts());
    bucket.push(("latency", reference("BucketLatency")));
    let statuses = json!({
        "type": "object",
        "additionalProperties": count(),
        "propertyNames": { "pattern": "^[1-5]xx$" },
    });
    let mut members = vec![
        ("from", reference("Time")),
        ("to", reference("Time")),
        ("by", one_of(&["hour", "day"])),
    ];
    members.extend(counts());
    members.extend([
        ("statuses", statuses),
        ("latency", reference("Latency")),
        ("last_used", json!({ "anyOf": [reference("LastUse"), { "type": "null" }] })),
        ("buckets", list(&object(&bucket))),
    ]);
    members.extend(more.iter().cloned());
    object(&members)
}

fn all_usage() -> Value {
    let mut of_tenant = vec![("tenant", json!({ "type": "string" }))];
    of_tenant.extend(counts());
    let stale = object(&[
        ("unused_since", reference("Time")),
        ("count", count()),
        ("keys", with(list(&reference("Key")), &json!({ "maxItems": 100 }))),
    ]);
    object(&[
        ("usage", usage(&[])),
        ("tenants?", about(list(&object(&of_tenant)), "For operators who asked about no tenant.")),
        ("stale", about(stale, "Active keys that nobody used for 90 days; the first hundred.")),
    ])
}

fn anomaly() -> Value {
    object(&[
        ("id", text("^[0-9A-Za-z]{1,64}$")),
        ("at", reference("Time")),
        ("tenant", reference("TenantOrAll")),
        ("key", reference("KeyId")),
        (
            "kind",
            one_of(&[
                "repeated_refusals",
                "sudden_volume",
                "new_route",
                "new_country",
                "old_key_in_grace",
            ]),
        ),
        ("detail", json!({ "type": "object", "additionalProperties": true })),
    ])
}
