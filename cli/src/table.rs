//! The gate's answers as people read them.

use serde_json::Value;

use crate::client::{Answer, member};

/// Members of objects, a line for each object and a column for each member.
pub(crate) fn columns(names: &[&str], objects: &[Value]) -> String {
    let mut lines = vec![names.iter().map(|name| name.replace('_', " ").to_uppercase()).collect()];
    let cells = |object| names.iter().map(|name| text(member(object, name))).collect();
    lines.extend(objects.iter().map(cells));
    rows(&lines)
}

/// Rows of cells, each column as wide as its widest cell.
pub(crate) fn rows(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Why the gate refused.
pub(crate) fn problem(answer: &Answer) -> String {
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
pub(crate) fn text(value: &Value) -> String {
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
pub(crate) fn printable(text: &str) -> String {
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
            let told = problem(&Answer { status: 400, body, retry_after: None });
            assert_eq!(told, format!("400 {shown}: {shown}\n{shown} {shown}\nrequest {shown}\n"));
            let row = json!({ "name": name, "metadata": { name: 1 } });
            assert_eq!(text(&row["metadata"]), format!("{shown} 1"));
            assert_eq!(text(&row["name"]), shown);
            assert!(columns(&["name"], &[row]).ends_with(&format!("{shown}\n")));
        }
    }

    #[test]
    fn a_refusal_tells_each_field() {
        let body = json!({
            "code": "invalid_field", "detail": "d.", "correlationId": "r1",
            "errors": [{ "field": "name", "message": "is missing" }, { "field": "", "message": "no" }],
        });
        assert_eq!(
            problem(&Answer { status: 400, body, retry_after: None }),
            "400 invalid_field: d.\nname is missing\nbody no\nrequest r1\n"
        );
    }
}
