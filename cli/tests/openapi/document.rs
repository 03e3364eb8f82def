//! The whole document.

use serde_json::{Map, Value, json};
use tollgate_core::manage::{BASE, CALLS, CallRow};

use crate::operation::{OF_STRANGERS, Operation, of_call, of_its_own};
use crate::shape::{put, text};
use crate::{operations, schemas};

/// What is described besides the calls of the table.
pub(crate) const BESIDE_THE_TABLE: &[(&str, &str)] = &[
    ("GET", "/_tollgate/health"),
    ("GET", "/_tollgate/ready"),
    ("GET", "/_tollgate/errors/"),
    ("GET", "/_tollgate/errors/{code}"),
    ("GET", "/_tollgate/key-pattern.json"),
    ("POST", "/_tollgate/token"),
    ("POST", "/_tollgate/leaks"),
    ("GET", "/_tollgate/v1/openapi.json"),
];

/// Paths on the hosts of the API and not, or not only, on the admin host.
const ON_API_HOSTS: [&str; 2] = ["/_tollgate/token", "/_tollgate/leaks"];

const ABOUT: &str = "Keys, their life, their limits and what became of them, for operators and for \
    scripts.\n\n\
    Every call asks for a credential: an admin key (`ak`), the session that somebody opened with one, \
    or the root token. An admin key acts inside its tenant: what belongs to another one is 404.\n\n\
    Every refusal is a problem document (RFC 9457) with one of the codes that stand in the answer's \
    description. A code has one meaning; titles and texts may change. Times are RFC 3339 in UTC, spans \
    of time such as `90s`, `15m`, `48h` or `365d`. A member that is `null` in a request is as good as \
    one that is not there, unless it is said otherwise; one that is not described is refused.\n\n\
    Writes take an `Idempotency-Key`: the same write under the same value is done once, and its first \
    answer comes again for a day. An answer that shows a secret comes again for ten minutes, and only \
    for the very credential that it was given to.\n\n\
    Every `GET` is answered for `HEAD` as well.";

pub(crate) fn document() -> Value {
    let mut paths = paths();
    let responses = shared_responses(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The admin host: the one that serves this document." }],
        "tags": operations::TAGS
            .iter()
            .map(|(name, about)| json!({ "name": name, "description": about }))
            .collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "responses": responses,
            "securitySchemes": security_schemes(),
            "parameters": { "IdempotencyKey": idempotency_key() },
            "headers": headers(),
            "schemas": schemas::all(),
        },
    })
}

fn paths() -> Value {
    let mut described = operations::all();
    let mut paths = Map::new();
    for row in CALLS {
        let operation = take(&mut described, row.method, row.path)
            .unwrap_or_else(|| panic!("{} {} is not described", row.method, row.path));
        let path = format!("{BASE}{}", row.path);
        put_in(&mut paths, &path, row.method, of_call(row, &operation, path_parameters(row)));
    }
    for (method, path) in BESIDE_THE_TABLE {
        let operation = take(&mut described, method, path)
            .unwrap_or_else(|| panic!("{method} {path} is not described"));
        put_in(&mut paths, path, method, of_its_own(&operation, OF_STRANGERS));
    }
    let left: Vec<String> = described
        .iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert!(left.is_empty(), "described, and not there: {left:?}");
    for path in ON_API_HOSTS {
        let server = json!({
            "url": "https://{api_host}",
            "description": "A host of the API: one of `gate.hosts` in the policy.",
            "variables": { "api_host": { "default": "api.example.com" } },
        });
        put(paths.get_mut(path).unwrap(), "servers", json!([server]));
    }
    Value::Object(paths)
}

/// Takes the refusals out of the operations: most of them are the same everywhere.
fn shared_responses(paths: &mut Value) -> Value {
    let mut shared: Map<String, Value> = Map::new();
    for item in paths.as_object_mut().unwrap().values_mut() {
        let operations = item.as_object_mut().unwrap().iter_mut();
        for (_, operation) in operations.filter(|(name, _)| *name != "servers") {
            for (status, response) in operation["responses"].as_object_mut().unwrap() {
                let content = response.get("content").and_then(Value::as_object);
                let refusal = |content: &Map<String, Value>| {
                    content.len() == 1 && content.contains_key("application/problem+json")
                };
                if !content.is_some_and(refusal) {
                    continue;
                }
                let name = (1..100)
                    .map(|at| format!("{status}-{at}"))
                    .find(|name| shared.get(name).is_none_or(|known| known == response))
                    .unwrap();
                let reference = json!({ "$ref": format!("#/components/responses/{name}") });
                shared.insert(name, core::mem::replace(response, reference));
            }
        }
    }
    Value::Object(shared)
}

fn take(from: &mut Vec<Operation>, method: &str, path: &str) -> Option<Operation> {
    let is_it = |operation: &Operation| operation.method == method && operation.path == path;
    let at = from.iter().position(is_it)?;
    Some(from.remove(at))
}

fn put_in(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    put(item, &method.to_lowercase(), operation);
}

fn path_parameters(row: &CallRow) -> Vec<Value> {
    let named = |name: &str, schema: &str, about: &str| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": about,
            "schema": crate::shape::reference(schema),
        })
    };
    let parameters = row.path.split('/').filter(|part| part.starts_with('{'));
    let each = parameters.map(|part| match part {
        "{name}" => named("name", "TenantName", "The tenant."),
        "{source}" => named("source", "SourceName", "The source, as the policy calls it."),
        "{id}" if row.path.starts_with("jobs/") => named("id", "JobId", "The job."),
        "{id}" if row.path.starts_with("hooks/endpoints/") => {
            named("id", "EndpointId", "The endpoint.")
        }
        "{id}" if row.path.starts_with("hooks/") => named("id", "HookEventId", "The event."),
        "{id}" => named("id", "KeyId", "The key."),
        other => panic!("no parameter is known as {other}"),
    });
    each.collect()
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "What the caller calls this write: 1 to 255 visible characters, bare or as a \
            string in double quotes. Fresh for each write, the same when one is sent again.",
        "schema": text(r#"^(?:[!#-+\-.-~]{1,255}|"(?:[!#-\[\]-~]|\\["\\]){1,255}")$"#),
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An admin key (`ak`), the token of a session of the command line, or the \
                root token. The root token may do everything, from no browser.",
        },
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Api-Key",
            "description": "An admin key.",
        },
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "A key in its two halves: `{brand}_{env}_{kind}_{id}` as the name, the \
                rest as the password.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-tollgate",
            "description": "A session of the console, opened by `POST session`. Writes with it carry \
                the `Origin` of the admin host.",
        },
    })
}

/// A header that is always there, and its twin that is there where it fits.
fn headers() -> Value {
    let whole = || json!({ "type": "integer", "minimum": 0 });
    let always = [
        ("X-Request-Id", text("^[0-9A-Za-z]{19}$"), "Finds the request in the log."),
        (
            "Strict-Transport-Security",
            json!({ "const": "max-age=31536000" }),
            "One year (RFC 6797).",
        ),
        (
            "X-Content-Type-Options",
            json!({ "const": "nosniff" }),
            "The media type is what it says.",
        ),
        ("Cache-Control", json!({ "type": "string" }), "Whether the answer may be kept."),
        ("WWW-Authenticate", text("^Bearer realm="), "How to show a credential (RFC 6750)."),
        ("Retry-After", json!({ "type": "integer", "minimum": 1 }), "Seconds to wait."),
        ("Location", json!({ "type": "string" }), "Where the new resource is."),
        ("Vary", json!({ "type": "string" }), "What else the answer depends on."),
    ];
    let where_it_fits = [
        ("WWW-Authenticate", text("^Bearer realm="), "The scopes that would do (RFC 6750)."),
        ("Retry-After", json!({ "type": "integer", "minimum": 1 }), "Seconds to wait."),
        (
            "Idempotency-Replayed",
            json!({ "const": "true" }),
            "The write was done before; this is its first answer.",
        ),
        (
            "RateLimit-Policy",
            text(r#"^"[a-z0-9_-]+";q=[0-9]+;w=[0-9]+(, "[a-z0-9_-]+";q=[0-9]+;w=[0-9]+)*$"#),
            "The limits of the admin key.",
        ),
        (
            "RateLimit",
            text(r#"^"[a-z0-9_-]+";r=[0-9]+;t=[0-9]+(, "[a-z0-9_-]+";r=[0-9]+;t=[0-9]+)*$"#),
            "What is left of them.",
        ),
        ("X-RateLimit-Limit", whole(), "Of the tightest limit."),
        ("X-RateLimit-Remaining", whole(), "Of the tightest limit."),
        ("X-RateLimit-Reset", whole(), "Seconds until more is left of the tightest limit."),
        ("Set-Cookie", text("^__Host-tollgate="), "The session of a console."),
        ("Content-Security-Policy", json!({ "type": "string" }), "What a page may do."),
        ("Referrer-Policy", json!({ "const": "no-referrer" }), "What a page tells others."),
    ];
    let mut headers = Map::new();
    for (required, suffix, list) in
        [(true, "", always.as_slice()), (false, "-if-any", where_it_fits.as_slice())]
    {
        for (name, schema, about) in list {
            let header = json!({ "description": about, "required": required, "schema": schema });
            headers.insert(format!("{name}{suffix}"), header);
        }
    }
    Value::Object(headers)
}
