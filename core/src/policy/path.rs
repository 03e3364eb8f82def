//! Path templates: what a route matches (`/v1/invoices/{id}`) and what it asks of its upstream
//! (`/invoices/{id}`), in the syntax of `matchit`.
//!
//! A path is matched as it arrives, byte by byte, and the form that matched is the one that is
//! forwarded (SPEC section 1, step 3). So a template is held to what can arrive: no empty segment
//! (a slash at the very end is none), no dot segment, no needless percent-encoding.

use core::fmt;

use crate::request::{decode_value, encode_segment};
use crate::text;

use super::error::Wrong;

/// The gate's own corner of the API's hosts: tokens, health, error pages.
const RESERVED: &str = "_tollgate";
/// The longest name of a parameter, as scopes and limits take it.
const PARAM_LEN: usize = 64;

/// The path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    parts: Vec<Part>,
}

/// The path that a route asks of its upstream, below the upstream's own prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// Part of one segment.
    Param(String),
    /// The rest of the path, slashes included.
    Tail(String),
}

impl PathTemplate {
    /// Reads a route's path.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let parts = parse(text)?;
        let first = text.split('/').nth(1).unwrap_or_default();
        if first.eq_ignore_ascii_case(RESERVED) {
            let message = format!("paths below /{RESERVED} belong to the gate itself");
            return Err(Wrong::new(message));
        }
        let template = Self { text: text.to_owned(), parts };
        let names: Vec<&str> = template.params().collect();
        let twice = names
            .iter()
            .enumerate()
            .find(|(at, name)| names.iter().take(*at).any(|earlier| earlier == *name));
        match twice {
            Some((_, name)) => Err(Wrong::new(format!("`{{{name}}}` stands in it twice"))),
            None => Ok(template),
        }
    }

    /// The template as it stands in the policy.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, a tail's too, in their order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(Part::name)
    }

    /// The name of its tail, which may hold slashes, if it has one.
    pub fn tail(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Tail(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The template with its parameters numbered. Two routes that match the same paths give the
    /// same text, whatever they call their parameters.
    pub(super) fn matcher(&self) -> String {
        let numbered = self.parts.iter().enumerate().map(|(at, part)| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Param(_) => format!("{{p{at}}}"),
            Part::Tail(_) => format!("{{*p{at}}}"),
        });
        numbered.collect()
    }

    /// Holds a parameter that another field names against this path.
    pub(super) fn check_param(&self, name: &str, one_segment: bool) -> Result<(), Wrong> {
        if !self.params().any(|param| param == name) {
            let message = format!("the path has no parameter `{{{name}}}`");
            let near = text::closest(name, self.params());
            return Err(match near {
                Some(near) => Wrong::help(message, format!("did you mean `{{{near}}}`?")),
                None => Wrong::help(message, format!("the route's path is {}", self.text)),
            });
        }
        if one_segment && self.tail() == Some(name) {
            let message = format!("`{{*{name}}}` may hold slashes");
            return Err(Wrong::help(message, "take a parameter of one segment"));
        }
        Ok(())
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl RewriteTemplate {
    /// The request's own path, with every parameter filled in.
    pub(super) fn of(path: &PathTemplate) -> Self {
        Self { text: path.text.clone(), parts: path.parts.clone() }
    }

    /// Reads the path to ask for; what it takes from the request must stand in `path`.
    pub(super) fn parse(text: &str, path: Option<&PathTemplate>) -> Result<Self, Wrong> {
        let parts = parse(text)?;
        let Some(path) = path else {
            return Ok(Self { text: text.to_owned(), parts });
        };
        for part in &parts {
            let Some(name) = part.name() else { continue };
            path.check_param(name, false)?;
            let is_tail = path.tail() == Some(name);
            let (wrong, right) = match part {
                Part::Param(_) if is_tail => (format!("{{{name}}}"), format!("{{*{name}}}")),
                Part::Tail(_) if !is_tail => (format!("{{*{name}}}"), format!("{{{name}}}")),
                _ => continue,
            };
            let message = format!("`{wrong}` is `{right}` in the path");
            return Err(Wrong::help(message, format!("write `{right}` here too")));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The template as it stands in the policy.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path to ask for. `value` gives a parameter's value percent-encoded, as it is to be
    /// forwarded. None for a value that is missing, or that would make a dot segment, which a
    /// backend resolves to another path than the one that was admitted.
    pub fn fill(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => path.push_str(literal),
                Part::Param(name) | Part::Tail(name) => path.push_str(&value(name)?),
            }
        }
        let moves = path.split('/').any(|segment| matches!(segment, "." | ".."));
        (!moves).then_some(path)
    }
}

impl Part {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Param(name) | Self::Tail(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

/// Checks a path without parameters.
pub(super) fn check_literal(path: &str) -> Result<(), Wrong> {
    match parse(path)?.iter().find_map(Part::name) {
        Some(name) => Err(Wrong::new(format!("no parameter can stand here, such as `{{{name}}}`"))),
        None => Ok(()),
    }
}

fn parse(text: &str) -> Result<Vec<Part>, Wrong> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(Wrong::help("a path begins with `/`", format!("write \"/{text}\"")));
    };
    let mut parts = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        push_literal(&mut parts, "/");
        match segment {
            "" if is_last => {}
            "" => return Err(Wrong::new("an empty segment: `//`")),
            "." | ".." => return Err(Wrong::new(format!("a dot segment: `{segment}`"))),
            _ => parse_segment(&mut parts, segment, is_last)?,
        }
    }
    Ok(parts)
}

/// A literal, or one parameter with literals around it, or a tail alone.
fn parse_segment(parts: &mut Vec<Part>, segment: &str, is_last: bool) -> Result<(), Wrong> {
    let Some((before, rest)) = segment.split_once('{') else {
        return parse_literal(parts, segment);
    };
    let Some((name, after)) = rest.split_once('}') else {
        return Err(Wrong::new(format!("`{segment}` has a `{{` without a `}}`")));
    };
    if let Some(name) = name.strip_prefix('*') {
        param_name(name)?;
        if !(is_last && before.is_empty() && after.is_empty()) {
            return Err(Wrong::new(format!("`{{*{name}}}` must be the whole last segment")));
        }
        parts.push(Part::Tail(name.to_owned()));
        return Ok(());
    }
    param_name(name)?;
    parse_literal(parts, before)?;
    parts.push(Part::Param(name.to_owned()));
    if after.contains('{') {
        return Err(Wrong::new(format!("`{segment}` has two parameters: one is the most")));
    }
    parse_literal(parts, after)
}

fn param_name(name: &str) -> Result<(), Wrong> {
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= PARAM_LEN;
    if good {
        return Ok(());
    }
    let message = format!("{name:?} is not the name of a parameter");
    Err(Wrong::help(message, "lower-case letters, digits and `_`, a letter first"))
}

/// Only the one spelling in which a request arrives here ([`encode_segment`]).
fn parse_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), Wrong> {
    let Some(value) = decode_value(text) else {
        return Err(Wrong::new(format!(
            "`{text}`: a `%` is followed by two digits of 0-9 and A-F"
        )));
    };
    if value.contains(['/', '\\']) || value.chars().any(char::is_control) {
        return Err(Wrong::new(format!("`{text}` never arrives: the gate refuses it")));
    }
    let arrives = encode_segment(&value);
    if arrives != text {
        let message = format!("`{text}` is not how it arrives");
        return Err(Wrong::help(message, format!("write `{arrives}`")));
    }
    push_literal(parts, text);
    Ok(())
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(literal)) => literal.push_str(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}
