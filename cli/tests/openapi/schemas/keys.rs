//! Keys, and what is said of them.

use serde_json::{Value, json};

use super::limits;
use crate::shape::{
    about, flag, line, list, nullable, number, object, one_of, or_null, page, put, reference, set,
    text, with,
};

const ADMIN_SCOPES: [&str; 7] = [
    "keys:read",
    "keys:write",
    "keys:admin",
    "audit:read",
    "hooks:read",
    "hooks:write",
    "usage:read",
];
const ADMIN_READS: [&str; 4] = ["keys:read", "audit:read", "hooks:read", "usage:read"];

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let part = r"[A-Za-z0-9_.-]{1,64}";
    vec![
        ("KeyName", line(1, 100)),
        ("Owner", line(0, 100)),
        ("Tags", set(&line(1, 50), 20)),
        (
            "Metadata",
            json!({
                "type": "object",
                "additionalProperties": true,
                "description": "Anything that the tenant keeps with it: at most 1024 bytes of JSON.",
            }),
        ),
        (
            "OriginPattern",
            with(
                text(r"^[a-z][a-z0-9+.-]*://[!-~]+$"),
                &json!({
                    "format": "tollgate-origin",
                    "description": "An origin, or `https://*.example.com` for the names below \
                        one; `:*` for every port. http for loopback hosts alone.",
                    "examples": ["https://app.example.com", "https://*.example.com"],
                }),
            ),
        ),
        (
            "Network",
            with(
                text(r"^[0-9a-fA-F:.]+(?:/[0-9]{1,3})?$"),
                &json!({
                    "format": "tollgate-network",
                    "description": "A network of IPv4 or IPv6 with no bits set beyond its prefix, \
                        or one address.",
                    "examples": ["192.0.2.0/24", "2001:db8::/32"],
                }),
            ),
        ),
        ("RestrictedScope", text(&format!("^{part}(?::{part}){{2}}$"))),
        (
            "ReadScope",
            about(
                text(&format!(r"^(?:\*|{part}):(?:read|list)(?::(?:\*|{part}))?$")),
                "A scope that is no write: its action is `read` or `list`.",
            ),
        ),
        ("AdminScope", one_of(&ADMIN_SCOPES)),
        ("Key", key()),
        ("KeyAnswer", object(&[("key", reference("Key"))])),
        ("KeyPage", page("keys", "Key")),
        ("MadeKey", made_key()),
        ("RotatedKey", rotated_key()),
        ("CreateKey", create()),
        ("UpdateKey", update()),
        ("RotateKey", object(&[("grace?", or_null(&reference("Duration")))])),
        (
            "RevokeKey",
            object(&[("family?", about(or_null(&flag()), "Its predecessors and successors too."))]),
        ),
        ("Nothing", object(&[])),
        ("VerifyKey", verify()),
        ("Verdict", verdict()),
    ]
}

fn key() -> Value {
    let origins = json!({
        "type": "array",
        "items": { "anyOf": [{ "const": "*" }, reference("OriginPattern")] },
    });
    let deprecated = object(&[("since", reference("Time")), ("successor", reference("KeyId"))]);
    let key = object(&[
        ("id", reference("KeyId")),
        ("family", about(reference("KeyId"), "The first of it and its rotations.")),
        ("kind", reference("KeyKind")),
        ("tenant", reference("TenantOrAll")),
        ("environment", json!({ "type": "string" })),
        ("name", reference("KeyName")),
        ("owner", nullable("Owner")),
        ("tags", reference("Tags")),
        ("metadata", reference("Metadata")),
        ("state", one_of(&["active", "disabled", "revoked", "expired"])),
        ("version", number(1, 1 << 53)),
        ("created_at", reference("Time")),
        ("expires_at", reference("Time")),
        ("origins", about(origins, "`*` alone: every origin.")),
        ("allow_any_origin", flag()),
        ("addresses", list(&reference("Network"))),
        ("scopes", list(&reference("Scope"))),
        ("limits", list(&reference("Limit"))),
        ("mode", about(reference("Mode"), limits::MODE)),
        ("mfa", about(flag(), "It writes only from a session with a second factor.")),
        (
            "suspended?",
            about(json!({ "const": true }), "Its tenant is suspended, and it opens nothing."),
        ),
        ("deprecated?", about(deprecated, "It was rotated: its end is the end of its grace.")),
        ("last_used_at?", about(nullable("Time"), "As far as the registry knows; only in lists.")),
    ]);
    let example = json!({
        "id": "abcdefghij012345",
        "family": "abcdefghij012345",
        "kind": "sk",
        "tenant": "acme",
        "environment": "production",
        "name": "billing",
        "owner": "ana",
        "tags": ["eu"],
        "metadata": { "ticket": 7 },
        "state": "active",
        "version": 1,
        "created_at": "2026-11-22T03:43:49.007Z",
        "expires_at": "2027-11-22T03:43:49.007Z",
        "origins": [],
        "allow_any_origin": false,
        "addresses": ["192.0.2.0/24"],
        "scopes": ["invoices:read"],
        "limits": [{ "name": "default", "requests": 60, "window": "1m", "by": "key" }],
        "mode": "exact",
        "mfa": false,
    });
    with(key, &json!({ "examples": [example] }))
}

const SECRET: &str = "The whole key. It is shown here and never again.";

fn secret() -> Value {
    about(
        text("^[a-z][a-z0-9]*_(?:dev|prod)_(?:pk|sk|rk|ak)_[0-9A-Za-z]{16}_[0-9A-Za-z]{38}$"),
        SECRET,
    )
}

fn made_key() -> Value {
    object(&[
        ("key", reference("Key")),
        ("secret", secret()),
        (
            "enrolment?",
            about(
                nullable("Enrolment"),
                "Of a key with `mfa`: what its holder enrols a second factor with. Null if there was \
                 no making one: ask for a fresh one.",
            ),
        ),
    ])
}

fn rotated_key() -> Value {
    object(&[("key", reference("Key")), ("secret", secret()), ("previous?", reference("Key"))])
}

/// What may be said of every kind of key but of how it is limited. `null` empties it.
fn wishes() -> Vec<(&'static str, Value)> {
    vec![
        ("owner?", or_null(&reference("Owner"))),
        ("tags?", or_null(&reference("Tags"))),
        ("metadata?", or_null(&reference("Metadata"))),
        ("addresses?", or_null(&about(set(&reference("Network"), 64), "Empty: all."))),
        (
            "expires_in?",
            or_null(&about(
                reference("Duration"),
                "From now on. 365d where neither it nor `expires_at` is said.",
            )),
        ),
        (
            "expires_at?",
            or_null(&with(
                text(super::TIME_ASKED),
                &json!({ "format": "tollgate-time-ahead", "description": "In the future." }),
            )),
        ),
    ]
}

/// Not both ends at once.
fn one_end(schema: Value) -> Value {
    with(
        schema,
        &json!({ "anyOf": [
            { "properties": { "expires_in": { "type": "null" } } },
            { "properties": { "expires_at": { "type": "null" } } },
        ] }),
    )
}

fn of_kind(kind: &str, tenant: &str, own: &[(&'static str, Value)]) -> Value {
    let mut members = vec![
        ("kind", json!({ "const": kind })),
        (
            "tenant",
            about(reference(tenant), "A caller that is bound to one tenant may leave it out."),
        ),
        ("name", reference("KeyName")),
    ];
    members.extend(wishes());
    members.extend(if kind == "ak" { limits::of_admins() } else { limits::of_keys() });
    members.extend(own.iter().cloned());
    one_end(object(&members))
}

fn create() -> Value {
    let no = || json!({ "enum": [false, null] });
    let none = || json!({ "type": ["array", "null"], "maxItems": 0 });
    let scopes = || or_null(&set(&reference("Scope"), 64));
    let least = |schema: Value| with(schema, &json!({ "minItems": 1 }));
    let listed = of_kind(
        "pk",
        "TenantName",
        &[
            ("origins", least(set(&reference("OriginPattern"), 64))),
            ("allow_any_origin?", no()),
            ("scopes?", scopes()),
            ("mfa?", no()),
        ],
    );
    let any_origin = of_kind(
        "pk",
        "TenantName",
        &[
            ("origins?", json!({ "enum": [["*"], [], null] })),
            ("allow_any_origin", json!({ "const": true })),
            ("scopes?", or_null(&set(&reference("ReadScope"), 64))),
            ("mfa?", no()),
        ],
    );
    let secret = of_kind(
        "sk",
        "TenantName",
        &[("origins?", none()), ("allow_any_origin?", no()), ("scopes?", scopes()), ("mfa?", no())],
    );
    let restricted = of_kind(
        "rk",
        "TenantName",
        &[
            ("origins?", none()),
            ("allow_any_origin?", no()),
            ("scopes", least(set(&reference("RestrictedScope"), 64))),
            ("mfa?", no()),
        ],
    );
    let admin = |title: &str, own: &[(&'static str, Value)]| {
        let mut members = vec![("origins?", none()), ("allow_any_origin?", no())];
        members.extend(own.iter().cloned());
        titled(title, of_kind("ak", "TenantOrAll", &members))
    };
    let admin_scopes = || least(set(&reference("AdminScope"), 7));
    let reads = || least(set(&one_of(&ADMIN_READS), 4));
    let with_factor = admin(
        "An admin key; with a second factor if it writes from no listed address",
        &[("scopes", admin_scopes()), ("mfa?", json!({ "enum": [true, null] }))],
    );
    let by_address = admin(
        "An admin key without a second factor, bound to addresses",
        &[
            ("scopes", admin_scopes()),
            ("mfa", json!({ "const": false })),
            ("addresses", least(set(&reference("Network"), 64))),
        ],
    );
    let that_reads = admin(
        "An admin key without a second factor that changes nothing",
        &[("scopes", reads()), ("mfa", json!({ "const": false })), ("addresses?", none())],
    );
    json!({ "oneOf": [
        titled("A publishable key, for pages of the origins that it lists", listed),
        titled("A publishable key for pages of every origin, which cannot write", any_origin),
        titled("A secret key, for servers", secret),
        titled("A restricted key, for servers", restricted),
        with_factor,
        by_address,
        that_reads,
    ] })
}

fn titled(title: &str, mut schema: Value) -> Value {
    put(&mut schema, "title", json!(title));
    schema
}

fn update() -> Value {
    let mut members = vec![
        ("version", about(number(0, u64::MAX), "The one that the caller has seen.")),
        ("name?", reference("KeyName")),
        ("scopes?", or_null(&set(&reference("Scope"), 64))),
        (
            "origins?",
            or_null(&json!({ "anyOf": [
                { "const": ["*"] },
                set(&reference("OriginPattern"), 64),
            ] })),
        ),
        ("allow_any_origin?", or_null(&flag())),
        ("mfa?", or_null(&flag())),
    ];
    members.extend(wishes());
    members.extend(limits::of_keys());
    let text = "What is not said stays; `null` empties what may be empty. The key as a whole has to \
        go on fitting its kind.";
    about(one_end(object(&members)), text)
}

fn verify() -> Value {
    object(&[
        (
            "key",
            about(
                json!({ "type": "string", "maxLength": 8192 }),
                "The whole key, or a token that was traded for one, as its holder presents it.",
            ),
        ),
        ("scope?", or_null(&reference("RequiredScope"))),
        ("origin?", or_null(&json!({ "type": "string" }))),
        (
            "address?",
            or_null(&with(
                text("^[0-9a-fA-F:.]{2,45}$"),
                &json!({ "format": "tollgate-address", "examples": ["192.0.2.7"] }),
            )),
        ),
    ])
}

fn verdict() -> Value {
    let token = object(&[
        ("issued_at", reference("Time")),
        ("expires_at", reference("Time")),
        ("scopes", about(list(&reference("Scope")), "What it may still do.")),
    ]);
    let good = object(&[
        ("valid", json!({ "const": true })),
        ("key", reference("Key")),
        ("token?", about(token, "Of a token: what it says of itself.")),
    ]);
    let token = object(&[
        ("issued_at", reference("Time")),
        ("expires_at", reference("Time")),
        ("scopes", about(list(&reference("Scope")), "What it may still do.")),
    ]);
    let traded = object(&[
        ("valid", json!({ "const": true })),
        ("key", about(reference("Key"), "The one that it was traded for.")),
        ("token", token),
    ]);
    let bad = object(&[("valid", json!({ "const": false })), ("code", reference("ErrorCode"))]);
    json!({ "oneOf": [good, traded, bad] })
}
