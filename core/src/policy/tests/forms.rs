//! The parser, `docs/policy.md` and a policy with every field in it know the same fields.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::SHAPES;
use super::check;

/// Every field that there is, the ones that are not built yet too.
fn every_field() -> Json {
    serde_json::from_str(include_str!("every_field.json")).unwrap()
}

/// `route[].cors.max_age` of the parser, for every table.
fn known_fields() -> BTreeSet<String> {
    let fields = SHAPES.iter().flat_map(|shape| shape.fields.iter().map(|name| (shape.at, *name)));
    fields
        .map(|(at, name)| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") })
        .collect()
}

#[test]
fn no_table_is_listed_twice() {
    let places: BTreeSet<&str> = SHAPES.iter().map(|shape| shape.at).collect();
    assert_eq!(places.len(), SHAPES.len());
}

/// A field that is declared and never read would be silently ignored: a wrong type in it would
/// pass. So each one is given a wrong type, and must be told.
#[test]
fn every_field_is_read() {
    let whole = every_field();
    let unknown: Vec<String> = check(&whole)
        .unwrap_err()
        .into_iter()
        .filter(|error| !error.message.ends_with("is not built yet"))
        .map(|error| format!("{}: {}", error.path, error.message))
        .collect();
    assert_eq!(unknown, [""; 0], "nothing else is wrong with it");

    let mut seen = BTreeSet::new();
    walk(&whole, "", "", &mut |path, pointer, pattern| {
        seen.insert(pattern.to_owned());
        let mut wrong = whole.clone();
        *wrong.pointer_mut(pointer).unwrap() = json!(null);
        let told = check(&wrong).unwrap_err();
        let told = told.iter().any(|it| it.path == path && it.message.ends_with("not nothing"));
        assert!(told, "{path} is not read");
    });
    let missing: Vec<String> = known_fields().difference(&seen).cloned().collect();
    assert_eq!(missing, [""; 0], "fields that every_field.json lacks");
}

/// Calls `see` with the path, the JSON pointer and the pattern of every field of a table whose
/// fields are known.
fn walk(json: &Json, path: &str, pointer: &str, see: &mut dyn FnMut(&str, &str, &str)) {
    let Json::Object(entries) = json else {
        for (at, item) in json.as_array().into_iter().flatten().enumerate() {
            walk(item, &format!("{path}[{at}]"), &format!("{pointer}/{at}"), see);
        }
        return;
    };
    for (key, value) in entries {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let pointer = format!("{pointer}/{key}");
        let pattern = pattern(&path, json);
        if known_fields().contains(&pattern) {
            see(&path, &pointer, &pattern);
        }
        walk(value, &path, &pointer, see);
    }
}

/// `route[2].cors.max_age` is `route[].cors.max_age`; names become `*`.
fn pattern(path: &str, table: &Json) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.') {
        let plain = part.split_once('[').map(|(name, _)| format!("{name}[]"));
        let named = matches!(
            parts.join(".").as_str(),
            "environment"
                | "upstream"
                | "limit"
                | "environment.*.route"
                | "environment.*.source"
                | "environment.*.upstream"
        );
        parts.push(if named { "*".to_owned() } else { plain.unwrap_or_else(|| part.to_owned()) });
    }
    let pattern = parts.join(".");
    let kind = table.get("type").and_then(Json::as_str).unwrap_or_default();
    pattern.replace("upstream.*.credential.", &format!("upstream.*.credential({kind})."))
}

/// The doc has one heading per table with its place in it, and one row per field.
#[test]
fn the_reference_has_every_field_and_no_other() {
    let doc = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md"));
    let mut written = BTreeSet::new();
    let mut at: Option<&str> = None;
    for line in doc.lines() {
        if line.starts_with('#') {
            at = None;
            if let Some((_, rest)) = line.split_once('`') {
                at = rest.split_once('`').map(|(place, _)| place);
            }
            if line.contains("The file") {
                at = Some("");
            }
        } else if let (Some(at), Some(rest)) = (at, line.strip_prefix("| `")) {
            let (name, _) = rest.split_once('`').unwrap();
            written.insert(if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") });
        }
    }
    let known = known_fields();
    let missing: Vec<_> = known.difference(&written).collect();
    let invented: Vec<_> = written.difference(&known).collect();
    assert_eq!((missing, invented), (Vec::new(), Vec::new()), "missing there, unknown here");
}
