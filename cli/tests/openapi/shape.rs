//! Small pieces of JSON Schema.

use serde_json::{Value, json};

/// No control characters, as the gate reads names, owners and tags.
pub(crate) const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// A component by its name.
pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A component, or `null`.
pub(crate) fn nullable(name: &str) -> Value {
    json!({ "anyOf": [reference(name), { "type": "null" }] })
}

/// An object with these members and no others. A `?` at the end of a name: it may be missing.
pub(crate) fn object(members: &[(&str, Value)]) -> Value {
    let required: Vec<&str> =
        members.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
    let properties: serde_json::Map<String, Value> = members
        .iter()
        .map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone()))
        .collect();
    let mut object =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        put(&mut object, "required", json!(required));
    }
    object
}

/// Sets a member.
pub(crate) fn put(schema: &mut Value, name: &str, value: Value) {
    schema.as_object_mut().unwrap().insert(name.to_owned(), value);
}

/// The schema with more members.
pub(crate) fn with(mut schema: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        put(&mut schema, name, value.clone());
    }
    schema
}

/// The schema with a sentence about it.
pub(crate) fn about(schema: Value, text: &str) -> Value {
    with(schema, &json!({ "description": text }))
}

/// A text of this pattern.
pub(crate) fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// A text of `least` to `most` characters, none of them a control character.
pub(crate) fn line(least: u64, most: u64) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most, "pattern": PLAIN })
}

/// One of these texts.
pub(crate) fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts })
}

/// A whole number in these bounds.
pub(crate) fn number(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// A count of something.
pub(crate) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(crate) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// A list of at most `most` different items.
pub(crate) fn set(items: &Value, most: u64) -> Value {
    json!({ "type": "array", "items": items, "maxItems": most, "uniqueItems": true })
}

/// A list.
pub(crate) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// The schema, or `null`, which is as good as leaving the member out.
pub(crate) fn or_null(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A page of a list.
pub(crate) fn page(noun: &str, item: &str) -> Value {
    let items = with(list(&reference(item)), &json!({ "maxItems": 100 }));
    object(&[(noun, items), ("nextCursor", reference("NextCursor"))])
}

/// A parameter of the query.
pub(crate) fn query(name: &str, schema: &Value, about: &str) -> Value {
    json!({ "name": name, "in": "query", "description": about, "schema": schema })
}
