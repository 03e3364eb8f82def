//! A limit as a policy or a key states it: a name, what it measures, what it is counted by.

use serde::{Deserialize, Serialize};

use super::{Bucket, Concurrency, LimitBy, Measure, Quota, Rate};

/// The longest name of a limit, in bytes.
const MAX_NAME: usize = 32;

/// Whether each request asks the object, or an isolate of the edge may be given some ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One call for each request: revocation and limits hold at once.
    #[default]
    Exact,
    /// An isolate spends what it was given ahead without a call, for at most a second and a
    /// fiftieth of the window (SPEC section 4).
    Leased,
}

impl Mode {
    /// True for the default: it need not be written.
    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
    pub const fn is_exact(&self) -> bool {
        matches!(self, Self::Exact)
    }
}

/// A limit as a policy or a key states it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LimitText", into = "LimitText")]
pub struct Limit {
    name: String,
    by: LimitBy,
    mode: Mode,
    /// At least one; of each kind at most one, and not both a rate and a bucket; a rate or bucket
    /// first, then a quota, then concurrency.
    measures: Vec<Measure>,
}

/// A [`Limit`] as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitText {
    /// Its name, which clients see.
    pub name: String,
    /// Requests in any window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Tokens of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Requests in a period of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// What it is counted by.
    #[serde(default)]
    pub by: LimitBy,
    /// Exact or leased.
    #[serde(default, skip_serializing_if = "Mode::is_exact")]
    pub mode: Mode,
}

/// Why there is no such limit. Display is meant for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No name of a limit.
    #[error(
        "`{0}` is not a limit's name: use 1 to 32 lower-case letters, digits, `_` and `-`, not beginning with `route-`"
    )]
    Name(String),
    /// It measures nothing.
    #[error("a limit has a `rate`, a `bucket`, a `quota` or a `concurrency`")]
    Empty,
    /// Two words for how fast.
    #[error("a limit has a `rate` or a `bucket`, not both")]
    RateAndBucket,
    /// What is in flight is known to its object alone.
    #[error("a limit with `concurrency` cannot be leased: each request has to ask")]
    LeasedConcurrency,
    /// Everything that it holds could be under way.
    #[error(
        "a bucket with burst = {} cannot be leased: {} may be given ahead while it fills",
        .0.burst(),
        .0.ahead()
    )]
    LeasedBucket(Bucket),
}

impl Limit {
    /// A limit by one rate, exact.
    pub fn by_rate(name: &str, rate: Rate, by: LimitBy) -> Result<Self, LimitError> {
        let name = name.to_owned();
        Self::try_from(LimitText { name, rate: Some(rate), by, ..LimitText::default() })
    }

    /// Its name, which clients see: [`valid_limit_name`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is counted by.
    pub const fn by(&self) -> &LimitBy {
        &self.by
    }

    /// Exact or leased.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What it measures: at least one.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Its rate, where it has one.
    pub fn rate(&self) -> Option<Rate> {
        self.measures.iter().find_map(|measure| match measure {
            Measure::Rate(rate) => Some(*rate),
            _ => None,
        })
    }

    /// As it is written.
    pub fn text(&self) -> LimitText {
        let (name, by, mode) = (self.name.clone(), self.by.clone(), self.mode);
        let mut text = LimitText { name, by, mode, ..LimitText::default() };
        for measure in &self.measures {
            match *measure {
                Measure::Rate(rate) => text.rate = Some(rate),
                Measure::TokenBucket(bucket) => text.bucket = Some(bucket),
                Measure::Quota(quota) => text.quota = Some(quota),
                Measure::Concurrency(most) => text.concurrency = Some(most),
            }
        }
        text
    }
}

impl TryFrom<LimitText> for Limit {
    type Error = LimitError;
    fn try_from(text: LimitText) -> Result<Self, LimitError> {
        let LimitText { name, rate, bucket, quota, concurrency, by, mode } = text;
        if !valid_limit_name(&name) {
            return Err(LimitError::Name(name));
        }
        if rate.is_some() && bucket.is_some() {
            return Err(LimitError::RateAndBucket);
        }
        if concurrency.is_some() && mode == Mode::Leased {
            return Err(LimitError::LeasedConcurrency);
        }
        if let Some(bucket) = bucket.filter(|it| mode == Mode::Leased && it.leased_burst() == 0) {
            return Err(LimitError::LeasedBucket(bucket));
        }
        let measures: Vec<Measure> = rate
            .map(Measure::Rate)
            .into_iter()
            .chain(bucket.map(Measure::TokenBucket))
            .chain(quota.map(Measure::Quota))
            .chain(concurrency.map(Measure::Concurrency))
            .collect();
        if measures.is_empty() {
            return Err(LimitError::Empty);
        }
        Ok(Self { name, by, mode, measures })
    }
}

impl From<Limit> for LimitText {
    fn from(limit: Limit) -> Self {
        limit.text()
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
