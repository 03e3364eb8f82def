//! Reading JSON and queries field by field. What does not fit is noted and read as absent, so that
//! a caller learns of every problem at once.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::problem::{Code, FieldError, Problem};
use crate::request::decode_value;
use crate::text::closest;
use crate::word::Word;

/// Everything that is wrong with one request so far.
#[derive(Debug, Default)]
pub(super) struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    pub(super) fn note(&self, field: &str, message: impl Into<String>) {
        let error = FieldError { field: field.to_owned(), message: message.into() };
        self.0.borrow_mut().push(error);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The value if nothing is wrong; else the problem with every error, by field.
    pub(super) fn settle<T>(self, value: Option<T>) -> Result<T, Box<Problem>> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(Box::new(self.into())),
        }
    }
}

impl From<Errors> for Problem {
    fn from(errors: Errors) -> Self {
        let mut problem = Self::new(Code::InvalidField);
        problem.errors = errors.0.into_inner();
        problem
    }
}

/// Reads a body that has to be a JSON object; an empty body is an empty object.
///
/// # Errors
/// `invalid_field` for anything else.
pub fn object_of(body: &[u8]) -> Result<Value, Box<Problem>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let errors = Errors::default();
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => return Ok(value),
        Ok(_) => errors.note("", "the body has to be a JSON object"),
        Err(error) => errors.note("", format!("the body is no JSON: {error}")),
    }
    Err(Box::new(errors.into()))
}

/// The pairs of a query, decoded: `+` is a blank, as in forms.
///
/// # Errors
/// `invalid_field` for broken percent-encoding and for a name that stands twice.
pub fn query_pairs(query: &str) -> Result<Map<String, Value>, Box<Problem>> {
    let errors = Errors::default();
    let mut pairs = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| decode_value(&text.replace('+', " "));
        match (decoded(name), decoded(value)) {
            (Some(name), Some(value)) => {
                if pairs.insert(name.clone(), Value::String(value)).is_some() {
                    errors.note(&name, "stands twice");
                }
            }
            _ => errors.note(name, "has broken percent-encoding"),
        }
    }
    errors.settle(Some(pairs))
}

/// The number, if it is whole, not negative, and none that stands for its neighbours as well.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it fits
fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_991.0;
    ((0.0..=MOST).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A JSON object whose fields are known.
#[derive(Debug)]
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
    errors: &'a Errors,
}

impl<'a> Object<'a> {
    /// The whole body, which may have these fields and no others. `fixed` are fields that the
    /// resource has and nobody can write.
    pub(super) fn body(
        body: &'a Value,
        known: &[&str],
        fixed: &[&str],
        errors: &'a Errors,
    ) -> Option<Self> {
        let field = Field { value: Some(body), path: String::new(), errors };
        field.object(known, fixed)
    }

    /// The pairs of a query, which may have these names and no others.
    pub(super) fn query(pairs: &'a Map<String, Value>, known: &[&str], errors: &'a Errors) -> Self {
        let query = Self { fields: pairs, path: String::new(), errors };
        query.note_unknown(known, &[]);
        query
    }

    pub(super) fn field(&self, name: &str) -> Field<'a> {
        Field {
            value: self.fields.get(name).filter(|value| !value.is_null()),
            path: joined(&self.path, name),
            errors: self.errors,
        }
    }

    /// True when the field stands there as `null`, which empties it.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_null)
    }

    /// What is said of a field that `null` empties; what could not be read has been noted.
    pub(super) fn word<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Word<T> {
        if self.is_null(name) {
            return Word::Null;
        }
        read(&self.field(name)).map_or(Word::None, Word::This)
    }

    fn note_unknown(&self, known: &[&str], fixed: &[&str]) {
        for name in self.fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = match closest(name, known.iter().copied()) {
                _ if fixed.contains(&name.as_str()) => "cannot be changed".to_owned(),
                Some(near) => format!("is unknown: did you mean `{near}`?"),
                None => "is unknown".to_owned(),
            };
            self.errors.note(&joined(&self.path, name), message);
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A value that may be there. `null` is as good as absent.
#[derive(Debug)]
pub(super) struct Field<'a> {
    value: Option<&'a Value>,
    path: String,
    errors: &'a Errors,
}

impl<'a> Field<'a> {
    pub(super) fn is_given(&self) -> bool {
        self.value.is_some()
    }

    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.errors.note(&self.path, message);
    }

    /// Notes a field that is not there.
    #[must_use]
    pub(super) fn required(self) -> Self {
        if !self.is_given() {
            self.wrong("is missing");
        }
        self
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.typed("a text", Value::as_str)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.typed("true or false", Value::as_bool)
    }

    /// A whole number, however it is written: `7.0` is 7 in JSON.
    pub(super) fn number(&self) -> Option<u64> {
        self.typed("a whole number", |value| value.as_u64().or_else(|| whole(value.as_f64()?)))
    }

    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.typed("an object", Value::as_object)
    }

    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// A text that `read` understands; its error is told to the caller.
    pub(super) fn read<T, E: core::fmt::Display>(
        &self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        read(self.text()?).map_err(|error| self.wrong(error.to_string())).ok()
    }

    /// A text of `least` to `most` characters, none of them a control character.
    pub(super) fn line(&self, least: usize, most: usize) -> Option<String> {
        self.read(|text| {
            let fits = (least..=most).contains(&text.chars().count());
            if fits && !text.chars().any(char::is_control) {
                return Ok(text.to_owned());
            }
            Err(format!("has to be {least} to {most} characters without control characters"))
        })
    }

    /// The items of a list of at most `most`.
    pub(super) fn items(&self, most: usize) -> Option<Vec<Self>> {
        let items = self.typed("a list", Value::as_array)?;
        if items.len() > most {
            self.wrong(format!("has {} entries; {most} is the most", items.len()));
            return None;
        }
        let item = |(at, value): (usize, &'a Value)| Self {
            value: Some(value),
            path: format!("{}[{at}]", self.path),
            errors: self.errors,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The items of a list of texts that `read` understands, none of them twice.
    pub(super) fn list<T: PartialEq>(
        &self,
        most: usize,
        mut read: impl FnMut(&Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for item in self.items(most)? {
            match read(&item) {
                Some(value) if values.contains(&value) => item.wrong("stands in the list twice"),
                Some(value) => values.push(value),
                None => {}
            }
        }
        Some(values)
    }

    /// The object that this field is, with its unknown fields noted.
    pub(super) fn object(&self, known: &[&str], fixed: &[&str]) -> Option<Object<'a>> {
        let fields = self.typed("an object", Value::as_object)?;
        let object = Object { fields, path: self.path.clone(), errors: self.errors };
        object.note_unknown(known, fixed);
        Some(object)
    }

    fn typed<T>(&self, kind: &str, pick: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let picked = pick(self.value?);
        if picked.is_none() {
            self.wrong(format!("has to be {kind}"));
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        for (value, number) in [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!(0.0), Some(0)),
            (json!(1e3), Some(1_000)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(9_007_199_254_740_991.0), Some(9_007_199_254_740_991)),
            (json!(9_007_199_254_740_992.0), None),
            (json!(7.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!("7"), None),
            (json!(true), None),
        ] {
            let errors = Errors::default();
            let field = Field { value: Some(&value), path: "n".to_owned(), errors: &errors };
            assert_eq!((field.number(), errors.is_empty()), (number, number.is_some()), "{value}");
        }
    }
}
