//! `scheme = "hmac"`: a scheme that a policy, or somebody on the command line, describes.

use crate::text::closest;
use crate::time::Millis;

use super::scheme::{
    Algorithm, Encoding, Form, KeyForm, Place, Scheme, Signed, Unit, is_header_name,
};
use super::table::{BASE, DESCRIBED};
use super::template::{Piece, check_unambiguous, pieces};

/// The fields of a description, as they are written.
pub const FIELDS: [&str; 11] = [
    "header",
    "algorithm",
    "encoding",
    "template",
    "tolerance",
    "prefix",
    "separator",
    "timestamp",
    "unit",
    "id",
    "key",
];
/// The longest window that a described scheme may have.
const MAX_TOLERANCE: Millis = Millis::hours(24);

/// A scheme in somebody's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The header with the signature.
    header: String,
    algorithm: Algorithm,
    encoding: Encoding,
    template: String,
    tolerance: Millis,
    /// What stands before the signature: `sha256=`.
    prefix: String,
    separator: Option<char>,
    /// The header with the time, or `t=` for an entry of the signature's header.
    timestamp: Option<String>,
    unit: Unit,
    /// The header with the id.
    id: Option<String>,
    key: KeyForm,
}

/// What is wrong with a field of a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct DescriptionError {
    /// The field.
    pub field: String,
    /// What is wrong with it, and what to write instead.
    pub problem: String,
}

impl Description {
    /// Reads fields and their texts; every error at once.
    pub fn read(fields: &[(String, String)]) -> Result<Self, Vec<DescriptionError>> {
        let mut errors = Vec::new();
        for (at, (name, _)) in fields.iter().enumerate() {
            if !FIELDS.contains(&name.as_str()) {
                let near = closest(name, FIELDS);
                let help = near.map(|near| format!(": did you mean `{near}`?"));
                errors.push(wrong(name, format!("is not known{}", help.unwrap_or_default())));
            }
            if fields.iter().take(at).any(|(earlier, _)| earlier == name) {
                errors.push(wrong(name, "stands there twice".to_owned()));
            }
        }
        let mut texts = Texts { fields, errors };
        let found = Self {
            header: texts.header("header", true).unwrap_or_default(),
            algorithm: texts.choice("algorithm", None, &ALGORITHMS, Algorithm::HmacSha256),
            encoding: texts.choice("encoding", None, &ENCODINGS, Encoding::Hex),
            template: texts.get("template", true).unwrap_or_default(),
            tolerance: texts.tolerance(),
            prefix: texts.get("prefix", false).unwrap_or_default(),
            separator: texts.separator(),
            timestamp: texts.timestamp(),
            unit: texts.choice("unit", Some(Unit::Seconds), &UNITS, Unit::Seconds),
            id: texts.header("id", false),
            key: texts.choice("key", Some(KeyForm::Text), &KEYS, KeyForm::Text),
        };
        found.check(&mut texts);
        if texts.errors.is_empty() { Ok(found) } else { Err(texts.errors) }
    }

    /// Holds the fields against each other.
    fn check(&self, texts: &mut Texts<'_>) {
        let by_entry = self.timestamp.as_ref().is_some_and(|place| place.ends_with('='));
        if by_entry && self.separator.is_none() {
            texts.wrong("separator", "is missing: it divides the time from the signature");
        }
        if self.template.is_empty() {
            return;
        }
        let pieces = match pieces(&self.template) {
            Ok(pieces) => pieces,
            Err(error) => return texts.wrong("template", &error.to_string()),
        };
        if let Err(error) = check_unambiguous(&pieces, self.unit) {
            texts.wrong("template", &error.to_string());
        }
        let own =
            |piece: &Piece<'_>| matches!(piece, Piece::Form | Piece::Field(_) | Piece::Text(_));
        if pieces.iter().any(own) {
            texts.wrong("template", "has a place that only schemes of the table have");
        }
        let has = |wanted: Piece<'_>| pieces.contains(&wanted);
        if !has(Piece::Body) {
            texts.wrong("template", "has no {body}: anyone could send another one");
        }
        match (has(Piece::Timestamp), self.timestamp.is_some()) {
            (true, false) => texts.wrong("timestamp", "is missing: the template has {timestamp}"),
            (false, true) => {
                texts.wrong(
                    "template",
                    "has no {timestamp}: a time that is not signed proves nothing",
                );
            }
            _ => {}
        }
        if has(Piece::Id) && self.id.is_none() {
            texts.wrong("id", "is missing: the template has {id}");
        }
        if texts.get("tolerance", false).is_some() && self.timestamp.is_none() {
            texts.wrong("tolerance", "has no signed time to be held against");
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme<'_> {
        let timestamp = self.timestamp.as_deref().map(|place| {
            if place.ends_with('=') { Place::Entry(place) } else { Place::Header(place) }
        });
        Scheme {
            name: DESCRIBED,
            algorithm: self.algorithm,
            encoding: self.encoding,
            key: self.key,
            form: Form {
                signature: Place::Header(&self.header),
                separator: self.separator,
                tag: &self.prefix,
                timestamp,
                id: self.id.as_deref().map(Place::Header),
                signed: Signed::Template(&self.template),
                of_objects: false,
            },
            unit: self.unit,
            tolerance: self.tolerance,
            ..BASE
        }
    }
}

const ALGORITHMS: [(&str, Algorithm); 3] = [
    ("sha256", Algorithm::HmacSha256),
    ("sha512", Algorithm::HmacSha512),
    ("sha1", Algorithm::HmacSha1),
];
const ENCODINGS: [(&str, Encoding); 3] =
    [("hex", Encoding::Hex), ("base64", Encoding::Base64), ("base64url", Encoding::Base64Url)];
const UNITS: [(&str, Unit); 3] =
    [("seconds", Unit::Seconds), ("milliseconds", Unit::Millis), ("rfc3339", Unit::Rfc3339)];
const KEYS: [(&str, KeyForm); 4] = [
    ("text", KeyForm::Text),
    ("base64", KeyForm::Base64),
    ("hex", KeyForm::Hex),
    ("whsec", KeyForm::Whsec),
];

fn wrong(field: &str, problem: String) -> DescriptionError {
    DescriptionError { field: field.to_owned(), problem }
}

/// The texts that were written, and what is wrong with them.
struct Texts<'t> {
    fields: &'t [(String, String)],
    errors: Vec<DescriptionError>,
}

impl Texts<'_> {
    fn wrong(&mut self, field: &str, problem: &str) {
        self.errors.push(wrong(field, problem.to_owned()));
    }

    fn get(&mut self, name: &str, required: bool) -> Option<String> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        match found {
            Some((_, text)) if !text.is_empty() => return Some(text.clone()),
            Some(_) => self.wrong(name, "is empty"),
            None if required => self.wrong(name, "is missing"),
            None => {}
        }
        None
    }

    fn header(&mut self, name: &str, required: bool) -> Option<String> {
        let text = self.get(name, required)?;
        if !is_header_name(&text) {
            self.wrong(name, "is no header's name");
        }
        Some(text)
    }

    /// One of some words; the first of them stands for a wrong one, which is told.
    fn choice<T: Copy>(
        &mut self,
        name: &str,
        default: Option<T>,
        words: &[(&str, T)],
        first: T,
    ) -> T {
        let text = self.get(name, default.is_none());
        let Some(text) = text else { return default.unwrap_or(first) };
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
            return *found;
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.wrong(name, &format!("is none of {}", words.join(", ")));
        first
    }

    fn tolerance(&mut self) -> Millis {
        let default = Millis::secs(300);
        let Some(text) = self.get("tolerance", false) else { return default };
        match Millis::parse(&text) {
            Ok(span) if (Millis::secs(1)..=MAX_TOLERANCE).contains(&span) => span,
            Ok(_) => {
                self.wrong("tolerance", "is not between 1s and 24h");
                default
            }
            Err(error) => {
                self.wrong("tolerance", &error.to_string());
                default
            }
        }
    }

    fn separator(&mut self) -> Option<char> {
        let text = self.get("separator", false)?;
        let mut signs = text.chars();
        match (signs.next(), signs.next()) {
            (Some(sign), None) if sign == ' ' || sign.is_ascii_punctuation() => Some(sign),
            _ => {
                self.wrong("separator", "is not one sign, such as , or ;");
                None
            }
        }
    }

    fn timestamp(&mut self) -> Option<String> {
        let text = self.get("timestamp", false)?;
        if !is_header_name(text.strip_suffix('=').unwrap_or(&text)) {
            self.wrong("timestamp", "is neither a header's name nor an entry such as t=");
        }
        Some(text)
    }
}
