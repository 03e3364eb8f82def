//! `www/openapi.json` is what the tables of the code say, and nothing else: the calls, their rights,
//! the codes. What requests and answers look like stands here, by hand.
//!
//! To write it anew: `UPDATE_DOCS=1 cargo test -p tollgate-cli --test openapi`
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)]

mod document;
mod operation;
mod operations;
mod schemas;
mod shape;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;
use tollgate_core::manage::{BASE, CALLS};
use tollgate_core::problem::Code;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/openapi.json");
const REGENERATE: &str = "UPDATE_DOCS=1 cargo test -p tollgate-cli --test openapi";

#[test]
fn the_file_is_what_the_tables_say() {
    let mut expected = serde_json::to_string_pretty(&document::document()).unwrap();
    expected.push('\n');
    let path = Path::new(FILE);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, &expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "www/openapi.json is not what the tables say. Run: {REGENERATE}");
}

/// Method and path of everything that the document describes.
fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys().filter(|name| *name != "servers");
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn every_call_is_described_and_nothing_else() {
    let described = described(&document::document());
    let calls = CALLS.iter().map(|row| (row.method.to_owned(), format!("{BASE}{}", row.path)));
    let beside = document::BESIDE_THE_TABLE;
    let beside = beside.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    let expected: BTreeSet<_> = calls.chain(beside).collect();
    assert_eq!(described, expected);
}

/// Every value of the document, with the way to it.
fn walk<'v>(value: &'v Value, way: &str, see: &mut dyn FnMut(&str, &'v Value)) {
    see(way, value);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                walk(value, &format!("{way}/{name}"), see);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                walk(value, &format!("{way}/{at}"), see);
            }
        }
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document::document();
    let mut used = BTreeSet::new();
    walk(&document, "", &mut |way, value| {
        if let Some(to) = value.get("$ref").and_then(Value::as_str) {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{way} leads to {to}");
            used.insert(pointer.to_owned());
        }
    });
    for kind in ["schemas", "headers", "parameters", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(&pointer), "nothing uses {pointer}");
        }
    }
}

#[test]
fn objects_say_what_else_they_may_have() {
    let document = document::document();
    walk(&document, "", &mut |way, value| {
        if value.get("type").and_then(Value::as_str) == Some("object") {
            let says = value.get("additionalProperties").is_some();
            assert!(says, "{way} does not say whether it may have other members");
        }
    });
}

#[test]
fn every_status_has_the_codes_of_that_status() {
    let document = document::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(n, _)| *n != "servers")
        {
            let place = format!("{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let response = match response.get("$ref").and_then(Value::as_str) {
                    Some(to) => document.pointer(to.strip_prefix('#').unwrap()).unwrap(),
                    None => response,
                };
                let problem = response.pointer("/content/application~1problem+json/schema");
                let Some(problem) = problem else { continue };
                let codes = problem["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
                assert!(!codes.is_empty(), "{place} {status}");
                for code in codes {
                    let code = Code::parse(code.as_str().unwrap()).unwrap();
                    assert_eq!(code.status().to_string(), *status, "{place}");
                }
            }
        }
    }
}
