//! Typed access to the tree. What does not fit is put on the list of errors and read as absent,
//! so a checker is a plain list of its fields and never stops at the first mistake.

use core::ops::RangeInclusive;

use crate::text;
use crate::time::Millis;

use super::error::{Errors, Spot, Wrong};
use super::node::{Entry, Node, Value};
use super::size;

/// The fields that a table of the policy may have: nothing is read that is not named here, and
/// `docs/policy.md` is held against it by a test.
#[derive(Debug)]
pub struct Shape {
    /// Where such tables stand: `route[].cors`; `*` is a name the operator chose. A table that
    /// takes another shape by its `type` says so in brackets: `upstream.*.credential(header)`.
    pub at: &'static str,
    /// The names of its fields.
    pub fields: &'static [&'static str],
}

/// A value that may be there, and where it is or would be.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    node: Option<&'a Node>,
    spot: Spot,
    errors: &'a Errors,
}

/// A table whose fields are known.
#[derive(Debug)]
pub(super) struct Table<'a> {
    entries: &'a [Entry],
    shape: &'static Shape,
    spot: Spot,
    errors: &'a Errors,
}

impl<'a> Table<'a> {
    /// The field of that name, there or not.
    pub(super) fn field(&self, name: &'static str) -> Field<'a> {
        debug_assert!(self.shape.fields.contains(&name), "{}: {name}", self.shape.at);
        let entry = self.entries.iter().find(|entry| entry.key == name);
        Field {
            node: entry.map(|entry| &entry.node),
            spot: Spot {
                place: entry.map_or(self.spot.place, |entry| entry.node.place),
                path: joined(&self.spot.path, name),
            },
            errors: self.errors,
        }
    }

    pub(super) fn wrong(&self, wrong: Wrong) {
        self.errors.push(&self.spot, wrong);
    }

    fn report_unknown_fields(&self) {
        for entry in self.entries {
            if self.shape.fields.contains(&entry.key.as_str()) {
                continue;
            }
            let spot = Spot { place: entry.place, path: joined(&self.spot.path, &entry.key) };
            let known = self.shape.fields.iter().copied();
            let suggestion = match text::closest(&entry.key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the fields here are {}", listed(self.shape.fields)),
            };
            self.errors.push(&spot, Wrong::help("unknown field", suggestion));
        }
    }
}

impl<'a> Field<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node, errors: &'a Errors) -> Self {
        let spot = Spot { place: node.place, path: String::new() };
        Self { node: Some(node), spot, errors }
    }

    pub(super) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    pub(super) fn errors(&self) -> &'a Errors {
        self.errors
    }

    pub(super) fn wrong(&self, wrong: Wrong) {
        self.errors.push(&self.spot, wrong);
    }

    /// Reports a field that is not there.
    #[must_use]
    pub(super) fn required(self) -> Self {
        if !self.is_given() {
            self.wrong(Wrong::new("is missing"));
        }
        self
    }

    /// The text, for a field that may be a text or something else: no error if it is not.
    pub(super) fn word(&self) -> Option<&'a str> {
        match self.node {
            Some(Node { value: Value::Text(text), .. }) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.typed("a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.typed("`true` or `false`", |value| match value {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A date, as TOML's own or as text.
    pub(super) fn date(&self) -> Option<&'a str> {
        self.typed("a date", |value| match value {
            Value::Text(text) | Value::Datetime(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn integer(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        let number = self.typed("a whole number", |value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        })?;
        let number = u64::try_from(number).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.wrong(Wrong::new(format!("must be from {least} to {most}")));
        }
        number
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        parse(self.text()?).map_err(|wrong| self.wrong(wrong)).ok()
    }

    pub(super) fn duration(&self, range: &RangeInclusive<Millis>) -> Option<Millis> {
        self.parsed(|text| {
            let span = Millis::parse(text).map_err(Wrong::told)?;
            if range.contains(&span) {
                return Ok(span);
            }
            let (least, most) = (range.start(), range.end());
            Err(Wrong::new(format!("must be from {least} to {most}, not {span}")))
        })
    }

    /// A number of bytes such as `1MiB`, at most `most`.
    pub(super) fn size(&self, most: u64) -> Option<u64> {
        self.parsed(|text| size::parse(text, most))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        self.parsed(|text| {
            let found = choices.iter().find(|(word, _)| *word == text);
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                unknown_word(text, &words)
            })
        })
    }

    /// The items of a list: an absent one has none; None for what is no list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let items: &'a [Node] = match self.node {
            Some(_) => self.typed("a list", |value| match value {
                Value::Array(items) => Some(items),
                _ => None,
            })?,
            None => &[],
        };
        let item = |(index, node): (usize, &'a Node)| Self {
            node: Some(node),
            spot: Spot { place: node.place, path: format!("{}[{index}]", self.spot.path) },
            errors: self.errors,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list of texts, each understood by `parse` and none twice; empty if the field is absent.
    /// None if anything is wrong with it.
    pub(super) fn list<T: PartialEq>(
        &self,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let items = self.items()?;
        let read: Vec<Option<T>> = items.iter().map(|item| item.parsed(&parse)).collect();
        for (at, item) in items.iter().enumerate() {
            let value = read.get(at).and_then(Option::as_ref);
            if value.is_some() && read.iter().take(at).any(|earlier| earlier.as_ref() == value) {
                item.wrong(Wrong::new("stands in the list twice"));
            }
        }
        read.into_iter().collect()
    }

    /// The entries of a table whose keys are names that the operator chose.
    pub(super) fn named(&self, check: fn(&str) -> Result<(), Wrong>) -> Vec<(&'a str, Self)> {
        let entries = self.typed("a table", |value| match value {
            Value::Table(entries) => Some(entries),
            _ => None,
        });
        let mut named = Vec::new();
        for entry in entries.into_iter().flatten() {
            let path = joined(&self.spot.path, &entry.key);
            if let Err(wrong) = check(&entry.key) {
                self.errors.push(&Spot { place: entry.place, path }, wrong);
                continue;
            }
            // The table's own place may be far from its name, where several headings add to it.
            let spot = Spot { place: entry.place, path };
            let field = Self { node: Some(&entry.node), spot, errors: self.errors };
            named.push((entry.key.as_str(), field));
        }
        named
    }

    /// The table that this field is, with its unknown fields reported.
    pub(super) fn table(&self, shape: &'static Shape) -> Option<Table<'a>> {
        let entries = self.typed("a table", |value| match value {
            Value::Table(entries) => Some(entries),
            _ => None,
        })?;
        let table = Table { entries, shape, spot: self.spot.clone(), errors: self.errors };
        table.report_unknown_fields();
        Some(table)
    }

    /// The field `key` of a table whose shape hangs on it; nothing if this is no table.
    pub(super) fn tag(&self, key: &'static str) -> Option<Self> {
        let entry = self.typed("a table", |value| match value {
            Value::Table(entries) => Some(entries.iter().find(|entry| entry.key == key)),
            _ => None,
        })?;
        let place = entry.map_or(self.spot.place, |entry| entry.node.place);
        let spot = Spot { place, path: joined(&self.spot.path, key) };
        Some(Self { node: entry.map(|entry| &entry.node), spot, errors: self.errors }.required())
    }

    fn typed<T>(&self, kind: &str, pick: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = &self.node?.value;
        let picked = pick(value);
        if picked.is_none() {
            self.wrong(Wrong::new(format!("must be {kind}, not {}", value.kind())));
        }
        picked
    }
}

/// The longest name: it travels in headers and log lines.
const NAME_LEN: usize = 64;

/// Names of routes, limits, upstreams and environments.
///
/// # Errors
/// For anything but a letter followed by letters, digits, `-` and `_`.
pub(super) fn name(text: &str) -> Result<(), Wrong> {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let good = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(of_a_name)
        && text.len() <= NAME_LEN;
    if good {
        return Ok(());
    }
    Err(Wrong::help(
        format!("{text:?} is not a name"),
        format!("a letter, then letters, digits, `-` and `_`, at most {NAME_LEN} in all"),
    ))
}

/// The error for a word that is none of the known ones.
pub(super) fn unknown_word(text: &str, known: &[&str]) -> Wrong {
    Wrong { message: format!("{text:?} is unknown"), suggestion: nearest(text, known) }
}

/// The error for a reference to something that is nowhere described; `noun` says what.
pub(super) fn unknown_name(noun: &str, text: &str, known: &[&str]) -> Wrong {
    Wrong { message: format!("there is no {noun} {text:?}"), suggestion: nearest(text, known) }
}

/// The one that was likely meant, or all of them.
fn nearest(text: &str, known: &[&str]) -> Option<String> {
    if let Some(near) = text::closest(text, known.iter().copied()) {
        return Some(format!("did you mean {near:?}?"));
    }
    let quoted: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
    (!quoted.is_empty()).then(|| format!("one of {}", quoted.join(", ")))
}

/// `a`, `b`, `c`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn joined(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match (path, bare) {
        ("", true) => key.to_owned(),
        ("", false) => format!("{key:?}"),
        (path, true) => format!("{path}.{key}"),
        (path, false) => format!("{path}.{key:?}"),
    }
}
