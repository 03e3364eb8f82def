//! The tree a policy is read from, with the place of every value in the file.
//!
//! The command line makes it from TOML (the reader of TOML is too large for the edge), the edge
//! from the JSON of the built module. Both are checked by the very same code.

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// Where a value begins in the file; 0 and 0 when that is not known (a built module).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

/// One value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub place: Place,
    /// The value itself.
    pub value: Value,
}

/// The kinds of value that TOML and JSON have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A table; the order of its entries means nothing.
    Table(Vec<Entry>),
    /// A list.
    Array(Vec<Node>),
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number. No field of a policy takes one.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or time of TOML, as it was written; JSON has them as text.
    Datetime(String),
    /// JSON's `null`. No field of a policy takes it.
    Null,
}

/// One entry of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name before the `=`.
    pub key: String,
    /// Where that name stands.
    pub place: Place,
    /// What follows the `=`.
    pub node: Node,
}

impl Node {
    /// A value whose place is not known.
    pub fn unplaced(value: Value) -> Self {
        Self { place: Place::default(), value }
    }

    /// The tree of a JSON value. A number beyond 64 bits becomes a float, which no field takes.
    pub fn from_json(json: &Json) -> Self {
        Self::unplaced(match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Boolean(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::Array(items.iter().map(Self::from_json).collect()),
            Json::Object(entries) => Value::Table(
                entries
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        place: Place::default(),
                        node: Self::from_json(value),
                    })
                    .collect(),
            ),
        })
    }

    /// The tree as JSON, for the built module: places are left out, dates become text.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Table(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
            Value::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Text(text) | Value::Datetime(text) => Json::String(text.clone()),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::Boolean(flag) => Json::Bool(*flag),
            Value::Null => Json::Null,
        }
    }

    /// The entry of that name, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

impl Value {
    /// The kind in the words of an error message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "a list",
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(true) => "`true`",
            Self::Boolean(false) => "`false`",
            Self::Datetime(_) => "a date",
            Self::Null => "nothing",
        }
    }
}

/// The version of the built module's own form, not of the policy's language.
const MODULE_VERSION: u64 = 1;
const MODULE_MARK: &str = "tollgate_policy";
const MODULE_SOURCE: &str = "source";

/// The text of the module that the Worker is deployed with. One tree gives one text: a module
/// that did not change is byte for byte the same.
pub(super) fn write_module(root: &Node) -> String {
    let mut module = Map::new();
    module.insert(MODULE_MARK.to_owned(), Json::from(MODULE_VERSION));
    module.insert(MODULE_SOURCE.to_owned(), root.to_json());
    format!("{}\n", Json::Object(module))
}

/// Reads what [`write_module`] wrote.
///
/// # Errors
/// A sentence for the log of an operator: no JSON, not a module, or one of another version.
pub(super) fn read_module(text: &str) -> Result<Node, String> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| format!("the module is not JSON: {error}"))?;
    let version = json.get(MODULE_MARK).ok_or("the module is not one that `policy build` made")?;
    if version.as_u64() != Some(MODULE_VERSION) {
        return Err(format!(
            "the module is of version {version}, this gate reads {MODULE_VERSION}"
        ));
    }
    json.get(MODULE_SOURCE).map(Node::from_json).ok_or("the module has no `source`".to_owned())
}
