//! Permissions: what a key holds, what a route requires, and whether the one covers the other.
//!
//! `a:b` and `a:b:id` are different permissions. In a key `*` stands for exactly one part; a route
//! may take a part from its path (`invoices:read:{id}`) (SPEC section 3).

use core::fmt;

use serde::{Deserialize, Serialize};

/// The longest part of a scope, in bytes: room for a UUID and a prefix.
const MAX_PART: usize = 64;

/// A permission that a key holds: two or three parts, each a name or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

/// A permission that a route requires: two or three parts, each a name or `{parameter}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredScope(Vec<RequiredPart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum RequiredPart {
    Name(String),
    Parameter(String),
}

/// What a route asks of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// Every one of these; none at all if the list is empty.
    All(Vec<RequiredScope>),
    /// At least one of these.
    Any(Vec<RequiredScope>),
}

/// Why a text is no scope, with the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not two or three parts.
    #[error("`{0}` is not a scope: write resource:action or resource:action:id")]
    Parts(String),
    /// A part with other characters, empty, or too long.
    #[error(
        "`{part}` in `{scope}` is not a scope part: use 1 to 64 letters, digits, `_`, `-` or `.`"
    )]
    Part {
        /// The whole text.
        scope: String,
        /// The part that is wrong.
        part: String,
    },
    /// `*` where a route requires something.
    #[error("`*` in `{0}`: a route requires one permission; only keys hold `*`")]
    Wildcard(String),
}

/// Why a value of the path cannot stand in a scope; always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfitValue;

impl Scope {
    /// Reads a key's scope.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        for part in parts(text)? {
            if part != "*" && !is_part(part) {
                return Err(ScopeError::Part { scope: text.to_owned(), part: part.to_owned() });
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when it covers `concrete`: as many parts, each equal or `*` here.
    pub fn covers(&self, concrete: &str) -> bool {
        let mut held = self.0.split(':');
        let mut asked = concrete.split(':');
        loop {
            match (held.next(), asked.next()) {
                (None, None) => return true,
                (Some(held), Some(asked)) if held == asked || held == "*" => {}
                _ => return false,
            }
        }
    }

    /// True when it covers everything that `other` covers: what one may grant on to others.
    pub fn includes(&self, other: &Self) -> bool {
        // A `*` in `other` is covered by `*` alone, which `covers` says already, because no name
        // is spelled `*`.
        self.covers(&other.0)
    }

    /// What it and `other` both cover; None when that is nothing.
    pub fn common(&self, other: &Self) -> Option<Self> {
        let (mut one, mut two) = (self.0.split(':'), other.0.split(':'));
        let mut parts = Vec::new();
        loop {
            match (one.next(), two.next()) {
                (None, None) => return Some(Self(parts.join(":"))),
                (Some(part), Some(same)) if part == same || same == "*" => parts.push(part),
                (Some("*"), Some(part)) => parts.push(part),
                _ => return None,
            }
        }
    }

    /// True for a write: every action outside `read` and `list`, and `*` (SPEC section 3).
    pub fn is_write(&self) -> bool {
        !matches!(self.0.split(':').nth(1), Some("read" | "list"))
    }

    /// True for the only form that a restricted key may hold: three parts, no `*`.
    pub fn is_restricted(&self) -> bool {
        let mut parts = self.0.split(':');
        parts.all(|part| part != "*") && self.0.split(':').count() == 3
    }
}

/// Scopes in one text, as OAuth writes them (RFC 6749 section 3.3).
pub fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl RequiredScope {
    /// Reads a route's scope; `{name}` takes the path's parameter of that name.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        parts(text)?
            .into_iter()
            .map(|part| {
                let wrong = || ScopeError::Part { scope: text.to_owned(), part: part.to_owned() };
                let parameter = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                match parameter {
                    _ if part == "*" => Err(ScopeError::Wildcard(text.to_owned())),
                    Some(name) if is_part(name) => Ok(RequiredPart::Parameter(name.to_owned())),
                    None if is_part(part) => Ok(RequiredPart::Name(part.to_owned())),
                    _ => Err(wrong()),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The path parameters it needs.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            RequiredPart::Parameter(name) => Some(name.as_str()),
            RequiredPart::Name(_) => None,
        })
    }

    /// The permission for one request. `value` gives the decoded value of a path parameter.
    ///
    /// # Errors
    /// [`UnfitValue`] when a value could be read as anything but one part (SPEC section 3).
    pub fn concrete<'v>(
        &self,
        value: &dyn Fn(&str) -> Option<&'v str>,
    ) -> Result<String, UnfitValue> {
        let mut text = String::new();
        for (at, part) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(':');
            }
            text.push_str(match part {
                RequiredPart::Name(name) => name,
                RequiredPart::Parameter(name) => {
                    value(name).filter(|value| is_fit_value(value)).ok_or(UnfitValue)?
                }
            });
        }
        Ok(text)
    }
}

impl fmt::Display for RequiredScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            if at > 0 {
                out.write_str(":")?;
            }
            match part {
                RequiredPart::Name(name) => out.write_str(name)?,
                RequiredPart::Parameter(name) => write!(out, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Required {
    /// Every scope that is named.
    pub fn scopes(&self) -> &[RequiredScope] {
        match self {
            Self::All(scopes) | Self::Any(scopes) => scopes,
        }
    }

    /// True when keys with `held` may pass a route that requires these concrete permissions.
    pub fn satisfied(&self, concrete: &[String], held: &[Scope]) -> bool {
        let covered = |asked: &String| held.iter().any(|scope| scope.covers(asked));
        match self {
            Self::All(_) => concrete.iter().all(covered),
            Self::Any(_) => concrete.iter().any(covered),
        }
    }
}

/// True for a decoded path value that may stand in a scope and be forwarded: it cannot be read as
/// more than one part, more than one segment, or a wildcard (SPEC section 3).
pub fn is_fit_value(value: &str) -> bool {
    !matches!(value, "" | "*")
        && !matches!(value.split(';').next(), Some("." | ".."))
        && !value.chars().any(|c| matches!(c, '/' | '\\' | ':' | '%') || c.is_control())
}

fn parts(text: &str) -> Result<Vec<&str>, ScopeError> {
    let parts: Vec<&str> = text.split(':').collect();
    if matches!(parts.len(), 2 | 3) { Ok(parts) } else { Err(ScopeError::Parts(text.to_owned())) }
}

fn is_part(text: &str) -> bool {
    (1..=MAX_PART).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests;
