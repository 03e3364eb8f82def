//! The gate's answers as people read them.

use serde_json::Value;

use super::limit;
use crate::client::member;
use crate::table::{self, text};

/// The columns of a list.
const COLUMNS: [&str; 6] = ["id", "kind", "state", "tenant", "expires_at", "name"];

/// A made key, and its secret, which is there this once.
pub(super) fn made(body: &Value) -> String {
    let secret = text(member(body, "secret"));
    format!("{}\n{secret}\n\nThis is the key. It is not shown again.\n", key(member(body, "key")))
}

/// One key, a line for each of its fields that say something.
pub(super) fn key(key: &Value) -> String {
    const FIELDS: [&str; 19] = [
        "id",
        "name",
        "state",
        "kind",
        "tenant",
        "environment",
        "owner",
        "tags",
        "scopes",
        "origins",
        "addresses",
        "limits",
        "mode",
        "mfa",
        "created_at",
        "expires_at",
        "deprecated",
        "metadata",
        "version",
    ];
    let lines = FIELDS.iter().filter_map(|name| {
        let value = match *name {
            "limits" => limit::shown(member(key, name)),
            name => text(member(key, name)),
        };
        (!value.is_empty()).then(|| format!("{:<12} {value}\n", name.replace('_', " ")))
    });
    lines.collect()
}

/// Keys, a line for each.
pub(super) fn keys(keys: &[Value]) -> String {
    if keys.is_empty() {
        return "no keys\n".to_owned();
    }
    table::columns(&COLUMNS, keys)
}

/// What a bulk revoke would do.
pub(super) fn rehearsed(body: &Value) -> String {
    let keys = member(body, "keys").as_array().map_or(&[][..], Vec::as_slice);
    let lines = keys.iter().map(|id| [&text(id), "\n"].concat());
    let (count, skipped) = (text(member(body, "count")), text(member(body, "skipped")));
    let head = format!("would revoke {count} keys, and leave out {skipped} that you may not\n");
    core::iter::once(head).chain(lines).collect()
}

/// The answer of a verify.
pub(super) fn verdict(body: &Value) -> String {
    match member(body, "valid").as_bool() {
        Some(true) => format!("valid\n{}", key(member(body, "key"))),
        _ => format!("not valid: {}\n", text(member(body, "code"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dry_run_names_the_first_keys() {
        let body = json!({ "dry_run": true, "count": 2, "skipped": 1, "keys": ["a1", "b2"] });
        let told = "would revoke 2 keys, and leave out 1 that you may not\na1\nb2\n";
        assert_eq!(rehearsed(&body), told);
    }

    #[test]
    fn keys_stand_in_columns() {
        let list = [
            json!({ "id": "a1", "kind": "pk", "state": "active", "tenant": "acme", "expires_at": "2030", "name": "one" }),
            json!({ "id": "b2", "kind": "sk", "state": "revoked", "tenant": "b", "expires_at": "2031", "name": "two" }),
        ];
        assert_eq!(
            keys(&list),
            "ID  KIND  STATE    TENANT  EXPIRES AT  NAME\n\
             a1  pk    active   acme    2030        one\n\
             b2  sk    revoked  b       2031        two\n"
        );
        assert_eq!(keys(&[]), "no keys\n");
    }

    #[test]
    fn a_key_shows_what_it_has() {
        let shown = key(&json!({
            "id": "a1", "owner": null, "tags": ["x", "y"], "mfa": false, "version": 3,
            "limits": [
                { "name": "default", "requests": 60, "window": "1m", "by": "key" },
                { "name": "each", "concurrency": 2, "by": "key+address" },
            ],
            "mode": "leased",
        }));
        assert_eq!(
            shown,
            "id           a1\n\
             tags         x, y\n\
             limits       default=60/1m,key each=concurrency:2,key+address\n\
             mode         leased\n\
             version      3\n"
        );
    }
}
