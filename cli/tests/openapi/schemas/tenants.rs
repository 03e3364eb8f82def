//! Tenants, and jobs over many keys.

use serde_json::{Value, json};

use crate::shape::{
    about, count, line, list, nullable, number, object, one_of, or_null, page, reference, set,
    text, with,
};

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("TenantState", one_of(&["active", "suspended"])),
        ("Rate", rate()),
        ("RateAsked", rate_asked()),
        ("Tenant", tenant()),
        ("TenantAnswer", object(&[("tenant", reference("Tenant")), ("job?", reference("Job"))])),
        ("TenantPage", page("tenants", "Tenant")),
        ("CreateTenant", create()),
        ("UpdateTenant", update()),
        ("JobId", with(text("^[0-9A-Za-z]{16}$"), &json!({ "examples": ["0VbfsOCvQ1mYx8aT"] }))),
        ("Job", job()),
        ("JobAnswer", object(&[("job", reference("Job"))])),
        ("JobPage", page("jobs", "Job")),
        ("RevokeKeys", revoke_keys()),
        ("Rehearsal", rehearsal()),
    ]
}

fn rate() -> Value {
    object(&[("requests", number(1, 1_000_000)), ("window", reference("Duration"))])
}

fn rate_asked() -> Value {
    let window = with(
        text("^[0-9]+(?:ms|s|m|h|d)$"),
        &json!({ "format": "tollgate-window", "description": "1s to 24h, in whole seconds." }),
    );
    object(&[("requests", number(1, 1_000_000)), ("window", window)])
}

fn tenant() -> Value {
    let keys =
        object(&[("live", about(count(), "Neither revoked nor expired.")), ("total", count())]);
    let scopes = or_null(&list(&reference("Scope")));
    let limits = or_null(&list(&reference("Rate")));
    object(&[
        ("name", reference("TenantName")),
        ("title", json!({ "type": ["string", "null"] })),
        ("state", about(reference("TenantState"), "No key of a suspended tenant works.")),
        ("version", number(1, 1 << 53)),
        ("created_at", reference("Time")),
        ("allowed_scopes", about(scopes, "Null: every scope.")),
        ("largest_limits", about(limits, "Null: no bound.")),
        ("max_keys", about(or_null(&count()), "Of live keys. Null: no bound.")),
        ("keys", keys),
        ("metadata", reference("Metadata")),
    ])
}

fn wishes() -> Vec<(&'static str, Value)> {
    let scopes = set(&reference("Scope"), 64);
    let limits = set(&reference("RateAsked"), 8);
    vec![
        ("title?", or_null(&line(0, 100))),
        ("allowed_scopes?", or_null(&about(scopes, "Every scope of a key lies in one of these."))),
        ("largest_limits?", or_null(&about(limits, "Every key keeps within all of these."))),
        ("max_keys?", or_null(&number(0, u64::MAX))),
        ("metadata?", or_null(&reference("Metadata"))),
    ]
}

fn create() -> Value {
    let mut members = vec![("name", reference("TenantName"))];
    members.extend(wishes());
    object(&members)
}

fn update() -> Value {
    let mut members = vec![
        ("version", about(number(0, u64::MAX), "The one that the caller has seen.")),
        ("state?", or_null(&reference("TenantState"))),
    ];
    members.extend(wishes());
    about(object(&members), "What is not said stays; `null` takes a bound away.")
}

fn job() -> Value {
    object(&[
        ("id", reference("JobId")),
        ("kind", one_of(&["revoke", "suspend", "resume"])),
        ("tenant", nullable("TenantOrAll")),
        ("tag", json!({ "type": ["string", "null"] })),
        ("family", nullable("KeyId")),
        ("state", one_of(&["running", "done"])),
        ("total", about(count(), "Keys on its list so far.")),
        ("done", count()),
        ("failed", about(count(), "They are tried again, while it goes on.")),
        ("skipped", about(count(), "Keys that its starter may not change.")),
        ("actor", json!({ "type": "string" })),
        ("started_at", reference("Time")),
        ("finished_at", nullable("Time")),
        ("superseded_by", about(nullable("JobId"), "The job that has taken its place.")),
    ])
}

fn revoke_keys() -> Value {
    let nothing = || json!({ "type": "null" });
    let rehearse = || {
        let text = "Only tell which keys it would end.";
        ("dry_run?", about(or_null(&json!({ "type": "boolean" })), text))
    };
    let of_all = object(&[
        ("tenant?", or_null(&reference("TenantOrAll"))),
        ("tag?", or_null(&line(1, 50))),
        ("family?", nothing()),
        rehearse(),
    ]);
    let of_family = object(&[
        ("tenant?", nothing()),
        ("tag?", nothing()),
        ("family", about(reference("KeyId"), "Any key of it.")),
        rehearse(),
    ]);
    let said =
        |name: &str, schema: Value| json!({ "required": [name], "properties": { name: schema } });
    let any = json!({ "anyOf": [
        said("tenant", json!({ "type": "string" })),
        said("tag", json!({ "type": "string" })),
    ] });
    json!({ "oneOf": [
        about(with(of_all, &any), "Of a tenant, with a tag, or both."),
        about(of_family, "Of a family."),
    ] })
}

fn rehearsal() -> Value {
    let keys = with(list(&reference("KeyId")), &json!({ "maxItems": 100 }));
    object(&[
        ("dry_run", json!({ "const": true })),
        ("count", count()),
        ("skipped", about(count(), "Keys that the caller may not change.")),
        ("keys", about(keys, "The first hundred of them.")),
    ])
}
