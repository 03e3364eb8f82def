//! The gate's answers as people read them.

use serde_json::Value;

use crate::client::{Answer, member};

/// The columns of a list.
const COLUMNS: [&str; 6] = ["id", "kind", "state", "tenant", "expires_at", "name"];

/// A made key, and its secret, which is there this once.
pub(super) fn made(body: &Value) -> String {
    let secret = text(member(body, "secret"));
    format!("{}\n{secret}\n\nThis is the key. It is not shown again.\n", key(member(body, "key")))
}

/// One key, a line for each of its fields that say something.
pub(super) fn key(key: &Value) -> String {
    const FIELDS: [&str; 18] = [
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
        "mfa",
        "created_at",
        "expires_at",
        "deprecated",
        "metadata",
        "version",
    ];
    let lines = FIELDS.iter().filter_map(|name| {
        let value = text(member(key, name));
        (!value.is_empty()).then(|| format!("{:<12} {value}\n", name.replace('_', " ")))
    });
    lines.collect()
}

/// Keys, a line for each.
pub(super) fn keys(keys: &[Value]) -> String {
    if keys.is_empty() {
        return "no keys\n".to_owned();
    }
    let mut rows = vec![COLUMNS.map(|name| name.replace('_', " ").to_uppercase()).to_vec()];
    rows.extend(keys.iter().map(|key| COLUMNS.map(|name| text(member(key, name))).to_vec()));
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The answer of a verify.
pub(super) fn verdict(body: &Value) -> String {
    match member(body, "valid").as_bool() {
        Some(true) => format!("valid\n{}", key(member(body, "key"))),
        _ => format!("not valid: {}\n", text(member(body, "code"))),
    }
}

/// Why the gate refused.
pub(super) fn problem(answer: &Answer) -> String {
    let body = &answer.body;
    let told_of = |name: &str| text(member(body, name));
    let mut told = format!("{} {}: {}\n", answer.status, told_of("code"), told_of("detail"));
    for error in member(body, "errors").as_array().into_iter().flatten() {
        let field = text(member(error, "field"));
        let field = if field.is_empty() { "body" } else { &field };
        told.push_str(&[field, " ", &text(member(error, "message")), "\n"].concat());
    }
    told.push_str(&["request ", &told_of("correlationId"), "\n"].concat());
    told
}

/// A value in one line; empty for what says nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::String(text) => printable(text),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let pairs = members.iter().filter(|(_, value)| !value.is_null());
            let pairs = pairs.map(|(name, value)| format!("{} {}", printable(name), text(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        number @ Value::Number(_) => number.to_string(),
    }
}

/// The text with what a terminal obeys instead of showing it, and what makes text read in another
/// order than it stands (Unicode's bidirectional and invisible characters), as `\u{…}`. Whoever
/// names a key chooses these texts.
fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let shown = |c: char| if hidden(c) { c.escape_unicode().collect() } else { c.to_string() };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_does_nothing_to_the_terminal() {
        for (name, shown) in [
            ("shop – Überblick", "shop – Überblick"),
            ("日本 🔑", "日本 🔑"),
            ("red\u{1b}[31m", r"red\u{1b}[31m"),
            ("two\nlines\r", r"two\u{a}lines\u{d}"),
            ("c1\u{9b}2J", r"c1\u{9b}2J"),
            ("abc\u{202e}fdp", r"abc\u{202e}fdp"),
            ("\u{2066}a\u{2069}\u{200f}", r"\u{2066}a\u{2069}\u{200f}"),
            ("no\u{200b}thing", r"no\u{200b}thing"),
        ] {
            let body = json!({ "code": name, "detail": name, "correlationId": name,
                "errors": [{ "field": name, "message": name }] });
            let told = problem(&Answer { status: 400, body });
            assert_eq!(told, format!("400 {shown}: {shown}\n{shown} {shown}\nrequest {shown}\n"));
            let row = json!({ "name": name, "metadata": { name: 1 } });
            let shown_row = format!("name         {shown}\nmetadata     {shown} 1\n");
            assert_eq!(key(&row), shown_row);
            assert!(keys(&[row]).ends_with(&format!("{shown}\n")));
        }
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
            "limits": [{ "name": "default", "requests": 60, "window": "1m", "by": "key" }],
        }));
        assert_eq!(
            shown,
            "id           a1\n\
             tags         x, y\n\
             limits       by key name default requests 60 window 1m\n\
             version      3\n"
        );
    }

    #[test]
    fn a_refusal_tells_each_field() {
        let body = json!({
            "code": "invalid_field", "detail": "d.", "correlationId": "r1",
            "errors": [{ "field": "name", "message": "is missing" }, { "field": "", "message": "no" }],
        });
        assert_eq!(
            problem(&Answer { status: 400, body }),
            "400 invalid_field: d.\nname is missing\nbody no\nrequest r1\n"
        );
    }
}
