//! What a limit is counted by.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::text::closest;

/// The longest name of a path parameter in `key+param:NAME`, in bytes.
const MAX_PARAM: usize = 64;

/// What a limit is counted by: everything with the same bucket shares one count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LimitBy {
    /// The key and its rotations.
    #[default]
    Key,
    /// The key, for each client address apart.
    KeyAddress,
    /// The key, for each value of a path parameter apart.
    KeyParam(String),
    /// All keys of the caller's tenant together.
    Tenant,
    /// All requests of the route together, whoever sends them.
    Route,
    /// The client's address, whatever key it uses.
    Address,
}

/// Why a text does not say what a limit is counted by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitByError {
    /// `key+param:` with a name that no path parameter can have.
    #[error("by = \"{0}\": after key+param: comes the name of a parameter of the route's path")]
    Param(String),
    /// Anything else.
    #[error("by = \"{text}\" is unknown: {}", suggestion(.text))]
    Unknown {
        /// What was written.
        text: String,
    },
}

/// The spellings without an argument.
const BY: [&str; 5] = ["key", "key+address", "tenant", "route", "address"];

fn suggestion(text: &str) -> String {
    match closest(text, BY) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "use key, key+address, key+param:NAME, tenant, route or address".to_owned(),
    }
}

impl LimitBy {
    /// Reads `key`, `key+address`, `key+param:NAME`, `tenant`, `route` or `address`.
    pub fn parse(text: &str) -> Result<Self, LimitByError> {
        match text {
            "key" => Ok(Self::Key),
            "key+address" => Ok(Self::KeyAddress),
            "tenant" => Ok(Self::Tenant),
            "route" => Ok(Self::Route),
            "address" => Ok(Self::Address),
            _ => match text.strip_prefix("key+param:") {
                Some(name) if is_param(name) => Ok(Self::KeyParam(name.to_owned())),
                Some(_) => Err(LimitByError::Param(text.to_owned())),
                None => Err(LimitByError::Unknown { text: text.to_owned() }),
            },
        }
    }

    /// True when it is counted in the object of the key's family: in the one call that admits. The
    /// others have objects of their own.
    pub const fn is_of_key(&self) -> bool {
        matches!(self, Self::Key | Self::KeyAddress | Self::KeyParam(_))
    }
}

fn is_param(name: &str) -> bool {
    (1..=MAX_PARAM).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

impl fmt::Display for LimitBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => out.write_str("key"),
            Self::KeyAddress => out.write_str("key+address"),
            Self::KeyParam(name) => write!(out, "key+param:{name}"),
            Self::Tenant => out.write_str("tenant"),
            Self::Route => out.write_str("route"),
            Self::Address => out.write_str("address"),
        }
    }
}

impl TryFrom<String> for LimitBy {
    type Error = LimitByError;
    fn try_from(text: String) -> Result<Self, LimitByError> {
        Self::parse(&text)
    }
}

impl From<LimitBy> for String {
    fn from(by: LimitBy) -> Self {
        by.to_string()
    }
}
