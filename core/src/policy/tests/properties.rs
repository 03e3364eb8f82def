//! Whatever is read, the checker answers; it never panics.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::super::path::PathTemplate;
use super::super::template::Template;
use super::super::{Entry, Node, Place, Policy, SHAPES, Value, parse_module, write_module};
use super::{NOW, base, check};
use crate::origin::SingleLabels;

/// Names that mean something, and a few that do not.
fn key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = SHAPES.iter().flat_map(|shape| shape.fields.iter().copied()).collect();
    prop_oneof![
        4 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => proptest::sample::select(vec!["dev", "production", "billing", "invoice", "default"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let known = vec![
        "*",
        "keys",
        "key",
        "origin",
        "public",
        "https://a.example",
        "http://localhost:1",
        "10s",
        "1MiB",
        "${secret:A}",
        "/v1/{id}",
        "/{*rest}",
        "header",
        "GET",
        "default",
        "billing",
        "2026-06-01",
        "cf-connecting-ip",
        "workerd",
        "a:b",
        "key+param:id",
    ];
    prop_oneof![proptest::sample::select(known).prop_map(str::to_owned), any::<String>()]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((key(), inner), 0..8)
                .prop_map(|entries| Json::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Like TOML's, with places, dates, and keys that stand twice, which no JSON value has.
fn node() -> impl Strategy<Value = Node> {
    let place = (0u32..9, 0u32..9).prop_map(|(line, column)| Place { line, column });
    let leaf = prop_oneof![
        text().prop_map(Value::Text),
        text().prop_map(Value::Datetime),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Boolean),
        Just(Value::Null),
    ];
    let leaf = (place.clone(), leaf).prop_map(|(place, value)| Node { place, value });
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let entry = (key(), place.clone(), inner.clone()).prop_map(|(key, place, node)| Entry {
            key,
            place,
            node,
        });
        let value = prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
            proptest::collection::vec(entry, 0..8).prop_map(Value::Table),
        ];
        (place.clone(), value).prop_map(|(place, value)| Node { place, value })
    })
}

/// Every place in a JSON value.
fn pointers(json: &Json, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match json {
        Json::Object(entries) => {
            entries.iter().for_each(|(key, it)| pointers(it, &format!("{at}/{key}"), found));
        }
        Json::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(key, it)| pointers(it, &format!("{at}/{key}"), found));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_json_is_judged(json in json()) {
        let errors = check(&json).err().unwrap_or_default();
        prop_assert!(errors.iter().all(|error| !error.to_string().is_empty()));
    }

    #[test]
    fn any_tree_is_judged(node in node()) {
        let errors = Policy::check(&node, &SingleLabels, NOW).err().unwrap_or_default();
        prop_assert!(errors.iter().all(|error| !error.in_file("tollgate.toml").is_empty()));
        let _ = parse_module(&write_module(&node), NOW);
    }

    #[test]
    fn a_good_policy_with_anything_anywhere_is_judged(at in any::<prop::sample::Index>(), json in json()) {
        let mut policy = base();
        let mut places = Vec::new();
        pointers(&policy, "", &mut places);
        let place = &places[at.index(places.len())];
        *policy.pointer_mut(place).unwrap() = json;
        if let Ok(file) = check(&policy) {
            let read = parse_module(&write_module(&Node::from_json(&policy)), NOW).unwrap();
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", file));
        }
    }

    #[test]
    fn any_module_is_judged(text in any::<String>()) {
        prop_assert!(parse_module(&text, NOW).is_err());
    }

    /// What a path template accepts, the router takes.
    #[test]
    fn every_path_is_one_for_the_router(text in "(/([a-z{}*.%0-9_ ]|\\{[a-z*]+\\}){0,8}){1,4}") {
        if let Ok(path) = PathTemplate::parse(&text) {
            prop_assert!(matchit::Router::new().insert(path.matcher(), ()).is_ok());
        }
    }

    #[test]
    fn a_template_is_shown_as_it_was_written(text in any::<String>()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.redacted(), text);
        }
    }
}
