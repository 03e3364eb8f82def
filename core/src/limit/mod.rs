//! Limits: what a limit is, what is asked of an object, and what it answers (SPEC section 4).
//!
//! Scope: `rate` limits, which admit at most N requests in any window of their length, kept by
//! [`Windows`] on the time of an [`ObjectClock`], and the headers that tell a client about them.
//! Out of scope, and refused by name: limits that have objects of their own (`tenant`, `route`).

mod clock;
mod headers;
mod rate;
mod windows;

pub use clock::ObjectClock;
pub use headers::rate_limit_headers;
pub use rate::Window;
pub use windows::{MAX_BUCKETS, Windows, Writes};

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::text::closest;
use crate::time::{DurationError, Millis};

/// The most requests a rate may allow in one window.
const MAX_REQUESTS: u32 = 1_000_000;
/// The shortest window; headers tell windows in whole seconds.
const MIN_WINDOW: Millis = Millis::secs(1);
/// The longest window. Beyond a day people mean calendar days: a quota.
const MAX_WINDOW: Millis = Millis::hours(24);
/// The longest name of a limit, in bytes.
const MAX_NAME: usize = 32;
/// The longest name of a path parameter in `key+param:NAME`, in bytes.
const MAX_PARAM: usize = 64;

/// At most so many requests in any window of this length. Written
/// `{"requests":60,"window":"1m"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RateText", into = "RateText")]
pub struct Rate {
    requests: u32,
    window: Millis,
}

/// A [`Rate`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateText {
    requests: u32,
    window: String,
}

/// Why there is no such rate. Display is meant for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// None at all, or too many.
    #[error("requests = {0}: a rate allows 1 to 1000000 requests in its window")]
    Requests(u32),
    /// Too short, too long, or not in whole seconds.
    #[error("window = \"{0}\": a window is 1s to 24h long, in whole seconds")]
    Window(Millis),
    /// The window is no span of time.
    #[error(transparent)]
    Duration(#[from] DurationError),
}

impl Rate {
    /// A rate of 1 to 1 000 000 requests in a window of 1 s to 24 h, in whole seconds.
    pub fn new(requests: u32, window: Millis) -> Result<Self, RateError> {
        if !(1..=MAX_REQUESTS).contains(&requests) {
            return Err(RateError::Requests(requests));
        }
        let whole = window.as_millis().is_multiple_of(1_000);
        if !whole || !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(RateError::Window(window));
        }
        Ok(Self { requests, window })
    }

    /// Admissions in one window, 1 to 1 000 000.
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// The window's length, 1 s to 24 h.
    pub const fn window(self) -> Millis {
        self.window
    }
}

impl TryFrom<RateText> for Rate {
    type Error = RateError;
    fn try_from(text: RateText) -> Result<Self, RateError> {
        Self::new(text.requests, Millis::parse(&text.window)?)
    }
}

impl From<Rate> for RateText {
    fn from(rate: Rate) -> Self {
        Self { requests: rate.requests, window: rate.window.to_string() }
    }
}

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
    /// The client's address, whatever key it uses: the only one for routes without keys.
    Address,
}

/// Why a text does not say what a limit is counted by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitByError {
    /// Part of the contract, and to come.
    #[error("by = \"{0}\" is not built yet: use key, key+address, key+param:NAME or address")]
    NotBuilt(&'static str),
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
const BY: [&str; 3] = ["key", "key+address", "address"];

fn suggestion(text: &str) -> String {
    match closest(text, BY) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "use key, key+address, key+param:NAME or address".to_owned(),
    }
}

impl LimitBy {
    /// Reads `key`, `key+address`, `key+param:NAME` or `address`.
    pub fn parse(text: &str) -> Result<Self, LimitByError> {
        match text {
            "key" => Ok(Self::Key),
            "key+address" => Ok(Self::KeyAddress),
            "address" => Ok(Self::Address),
            "tenant" => Err(LimitByError::NotBuilt("tenant")),
            "route" => Err(LimitByError::NotBuilt("route")),
            _ => match text.strip_prefix("key+param:") {
                Some(name) if is_param(name) => Ok(Self::KeyParam(name.to_owned())),
                Some(_) => Err(LimitByError::Param(text.to_owned())),
                None => Err(LimitByError::Unknown { text: text.to_owned() }),
            },
        }
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

/// A limit as a policy or a key states it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LimitText")]
pub struct Limit {
    /// Its name, which clients see: [`valid_limit_name`].
    pub name: String,
    /// How many requests in which time.
    pub rate: Rate,
    /// What it is counted by.
    pub by: LimitBy,
}

/// A [`Limit`] as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitText {
    name: String,
    rate: Rate,
    #[serde(default)]
    by: LimitBy,
}

/// A text is no name of a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a limit's name: use 1 to 32 lower-case letters, digits, `_` and `-`, not beginning with `route-`"
)]
pub struct LimitNameError(String);

impl TryFrom<LimitText> for Limit {
    type Error = LimitNameError;
    fn try_from(text: LimitText) -> Result<Self, LimitNameError> {
        let LimitText { name, rate, by } = text;
        if valid_limit_name(&name) {
            Ok(Self { name, rate, by })
        } else {
            Err(LimitNameError(name))
        }
    }
}

/// What a route's limit is told with when the key has one of the same name. No limit's own name
/// begins so.
pub const ROUTE_PREFIX: &str = "route-";

/// True for 1 to 32 of `[a-z0-9_-]`, not beginning with [`ROUTE_PREFIX`]: what can stand in a header
/// and in a storage key as it is.
pub fn valid_limit_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(ROUTE_PREFIX)
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// One limit's claim on one request: what the edge sends to an object. In one call each limit and
/// bucket stands once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The limit's name.
    pub limit: String,
    /// What it is counted by, for this request: empty, an address block or a parameter's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// How many requests in which time.
    pub rate: Rate,
    /// How many requests this one counts for. 0 asks for nothing and is always given.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cost: u32,
    /// In shadow mode a limit counts and tells, and refuses nothing.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_one(cost: &u32) -> bool {
    *cost == 1
}

/// Where one limit stands after a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The limit's name.
    pub limit: String,
    /// Admissions in one window.
    pub quota: u32,
    /// The window's length.
    pub window: Millis,
    /// Admissions left at this instant.
    pub remaining: u32,
    /// Time until more is left than now; zero when nothing is used.
    pub resets_in: Millis,
}

/// What an object says to the charges of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every charge is counted.
    Admitted {
        /// The limits that count, in the order of the charges; those in shadow are not told.
        standings: Vec<Standing>,
        /// Limits in shadow that would have refused.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        would_limit: Vec<String>,
    },
    /// Nothing is counted.
    Limited {
        /// The limits that count, in the order of the charges; those in shadow are not told.
        standings: Vec<Standing>,
        /// The names of those without room.
        exceeded: Vec<String>,
        /// After this time the same charges pass, unless others came between.
        retry_after: Millis,
        /// Limits in shadow that would have refused as well.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        would_limit: Vec<String>,
    },
}

impl Verdict {
    /// True when the request may pass.
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted { .. })
    }

    /// Where the limits stand.
    pub fn standings(&self) -> &[Standing] {
        match self {
            Self::Admitted { standings, .. } | Self::Limited { standings, .. } => standings,
        }
    }

    /// The names of the limits without room: the problem document's `violated-policies`.
    pub fn exceeded(&self) -> &[String] {
        match self {
            Self::Admitted { .. } => &[],
            Self::Limited { exceeded, .. } => exceeded,
        }
    }

    /// The names of the limits in shadow that would have refused.
    pub fn would_limit(&self) -> &[String] {
        match self {
            Self::Admitted { would_limit, .. } | Self::Limited { would_limit, .. } => would_limit,
        }
    }

    /// The time to wait, for a request that may not pass.
    pub const fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::Admitted { .. } => None,
            Self::Limited { retry_after, .. } => Some(*retry_after),
        }
    }
}

#[cfg(test)]
mod tests;
