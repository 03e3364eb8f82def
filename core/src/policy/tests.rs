//! Policies as JSON: a good one, and what each change to it makes wrong, exactly.

mod bad_gate;
mod bad_limit;
mod bad_origins;
mod bad_route;
mod bad_source;
mod bad_upstream;
mod checked;
mod forms;
#[cfg(not(target_arch = "wasm32"))]
mod properties;
mod templates;

use serde_json::{Value as Json, json};

use super::{CheckedFile, Node, Policy, PolicyError};
use crate::origin::SingleLabels;
use crate::time::UnixMillis;

/// 2026-06-01, for shadow mode.
const NOW: UnixMillis = UnixMillis::from_secs(1_780_272_000);

/// A change: the path of a value and the value to put there; `null` takes it away.
type Edit<'a> = (&'a str, Json);

/// Why, the changes to the good policy, and every error they cause: path and message.
type Row<'a> = (&'a str, &'a [Edit<'a>], &'a [(&'a str, &'a str)]);

fn base() -> Json {
    serde_json::from_str(include_str!("tests/base.json")).unwrap()
}

fn edited(edits: &[Edit<'_>]) -> Json {
    let mut policy = base();
    for (path, value) in edits {
        set(&mut policy, path, value.clone());
    }
    policy
}

fn set(json: &mut Json, path: &str, value: Json) {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let (key, index) = match first.strip_suffix(']').and_then(|first| first.split_once('[')) {
        Some((key, index)) => (key, Some(index.parse::<usize>().unwrap())),
        None => (first, None),
    };
    if json.is_null() {
        *json = json!({});
    }
    let table = json.as_object_mut().unwrap();
    if value.is_null() && rest.is_none() && index.is_none() {
        table.remove(key);
        return;
    }
    let mut at = table.entry(key).or_insert(Json::Null);
    if let Some(index) = index {
        if at.is_null() {
            *at = json!([]);
        }
        let list = at.as_array_mut().unwrap();
        if index == list.len() {
            list.push(Json::Null);
        }
        at = &mut list[index];
    }
    match rest {
        Some(rest) => set(at, rest, value),
        None => *at = value,
    }
}

fn check(json: &Json) -> Result<CheckedFile, Vec<PolicyError>> {
    Policy::check(&Node::from_json(json), &SingleLabels, NOW)
}

fn good(edits: &[Edit<'_>], environment: &str) -> Policy {
    check(&edited(edits)).unwrap().select(environment).unwrap()
}

/// Holds every row against exactly the errors that it names.
fn judge(rows: &[Row<'_>]) {
    for (reason, edits, expected) in rows {
        let found = match check(&edited(edits)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        let mut found: Vec<(&str, &str)> =
            found.iter().map(|error| (error.path.as_str(), error.message.as_str())).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{reason}");
    }
}
