//! What a limit measures: requests in a window, tokens of a bucket, requests of a calendar period,
//! or requests in flight.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{DurationError, Millis, UnixMillis};

/// The most requests a rate or a bucket may allow, and the most that may be in flight.
pub const MAX_REQUESTS: u32 = 1_000_000;
/// The reservation: a fiftieth of the limit, 2 %.
const RESERVE: u32 = 50;
/// A store that writes once in so many admissions has nothing left to save.
const MAX_RESERVE: u32 = 1_000;
/// The shortest window; headers tell windows in whole seconds.
const MIN_WINDOW: Millis = Millis::secs(1);
/// Leases in a window, at least.
const LEASES: u64 = 50;
/// The longest lease (SPEC section 4).
pub const MAX_LEASE: Millis = Millis::secs(1);
/// The longest window. Beyond a day people mean calendar days: a quota.
pub const MAX_WINDOW: Millis = Millis::hours(24);

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

/// Why there is no such measure. Display is meant for the person who wrote it.
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

    /// The longest that a lease of it lasts: a second, or a fiftieth of a shorter window than that
    /// makes (SPEC section 4).
    pub fn lease(self) -> Millis {
        MAX_LEASE.min(Millis::millis(self.window.as_millis() / LEASES))
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

/// A token bucket: it holds `burst` tokens, and `rate` fills it. In any span of time it gives at
/// most its burst and what flows in meanwhile. Written
/// `{"rate":{"requests":10,"window":"1s"},"burst":100}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BucketText", into = "BucketText")]
pub struct Bucket {
    rate: Rate,
    burst: u32,
}

/// A [`Bucket`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketText {
    rate: Rate,
    burst: u32,
}

/// A burst of none, or of too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("burst = {0}: a bucket holds 1 to 1000000 requests")]
pub struct BurstError(pub u32);

impl Bucket {
    /// A bucket of 1 to 1 000 000 tokens.
    pub fn new(rate: Rate, burst: u32) -> Result<Self, BurstError> {
        if (1..=MAX_REQUESTS).contains(&burst) {
            Ok(Self { rate, burst })
        } else {
            Err(BurstError(burst))
        }
    }

    /// How fast it fills.
    pub const fn rate(self) -> Rate {
        self.rate
    }

    /// What it holds when it is full, 1 to 1 000 000.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which an empty bucket fills, rounded up.
    pub fn fills_in(self) -> Millis {
        let ticks = u64::from(self.burst).saturating_mul(self.rate.window().as_millis());
        Millis::millis(ticks.div_ceil(u64::from(self.rate.requests()).max(1)))
    }

    /// What flows in while a lease lasts, rounded up. Isolates may spend so much of what they were
    /// given before, so a leased bucket holds that much less.
    pub fn ahead(self) -> u32 {
        let lasts = self.rate.lease().as_millis();
        let flows = u64::from(self.rate.requests()).saturating_mul(lasts);
        let ahead = flows.div_ceil(self.rate.window().as_millis().max(1));
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    /// What it holds when it is full and leased; 0: it cannot be leased.
    pub fn leased_burst(self) -> u32 {
        self.burst.saturating_sub(self.ahead())
    }
}

impl TryFrom<BucketText> for Bucket {
    type Error = BurstError;
    fn try_from(text: BucketText) -> Result<Self, BurstError> {
        Self::new(text.rate, text.burst)
    }
}

impl From<Bucket> for BucketText {
    fn from(bucket: Bucket) -> Self {
        Self { rate: bucket.rate, burst: bucket.burst }
    }
}

/// What a [`Quota`] begins anew with: hours, days and months of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From minute 0 to minute 59.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first to the last day of a month.
    Month,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == text)
    }
}

impl Period {
    /// The first instant of the period that this one is in, and the first of the next.
    pub fn around(self, at: UnixMillis) -> (UnixMillis, UnixMillis) {
        match self {
            Self::Hour => (at.start_of_hour(), at.start_of_hour().plus(Millis::hours(1))),
            Self::Day => (at.start_of_day(), at.start_of_day().plus(Millis::days(1))),
            Self::Month => (at.start_of_month(), at.start_of_next_month()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// At most so many requests in each period of the calendar. Written
/// `{"requests":200,"per":"day"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "QuotaText", into = "QuotaText")]
pub struct Quota {
    requests: u32,
    per: Period,
}

/// A [`Quota`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaText {
    requests: u32,
    per: Period,
}

/// A quota of nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("requests = 0: a quota allows 1 to 4294967295 requests in its period")]
pub struct QuotaError;

impl Quota {
    /// A quota of 1 to 4 294 967 295 requests.
    pub const fn new(requests: u32, per: Period) -> Result<Self, QuotaError> {
        if requests == 0 { Err(QuotaError) } else { Ok(Self { requests, per }) }
    }

    /// Admissions in one period, at least 1.
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// The period.
    pub const fn per(self) -> Period {
        self.per
    }
}

impl TryFrom<QuotaText> for Quota {
    type Error = QuotaError;
    fn try_from(text: QuotaText) -> Result<Self, QuotaError> {
        Self::new(text.requests, text.per)
    }
}

impl From<Quota> for QuotaText {
    fn from(quota: Quota) -> Self {
        Self { requests: quota.requests, per: quota.per }
    }
}

/// At most so many requests in flight. Written as their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Concurrency(u32);

/// None in flight, or too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("concurrency = {0}: 1 to 1000000 requests can be in flight")]
pub struct ConcurrencyError(pub u32);

impl Concurrency {
    /// 1 to 1 000 000 in flight.
    pub fn new(most: u32) -> Result<Self, ConcurrencyError> {
        if (1..=MAX_REQUESTS).contains(&most) {
            Ok(Self(most))
        } else {
            Err(ConcurrencyError(most))
        }
    }

    /// The most in flight.
    pub const fn most(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Concurrency {
    type Error = ConcurrencyError;
    fn try_from(most: u32) -> Result<Self, ConcurrencyError> {
        Self::new(most)
    }
}

impl From<Concurrency> for u32 {
    fn from(concurrency: Concurrency) -> Self {
        concurrency.0
    }
}

/// One thing that a limit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Requests in any window.
    Rate(Rate),
    /// Tokens of a bucket. Its name keeps apart what a charge is counted under, its `bucket`.
    TokenBucket(Bucket),
    /// Requests in a period of the calendar.
    Quota(Quota),
    /// Requests in flight.
    Concurrency(Concurrency),
}

/// The kinds of [`Measure`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Requests in any window.
    #[default]
    Rate,
    /// Tokens of a bucket.
    TokenBucket,
    /// Requests in a period of the calendar.
    Quota,
    /// Requests in flight.
    Concurrency,
}

impl Measure {
    /// What kind it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Rate(_) => Kind::Rate,
            Self::TokenBucket(_) => Kind::TokenBucket,
            Self::Quota(_) => Kind::Quota,
            Self::Concurrency(_) => Kind::Concurrency,
        }
    }

    /// The most admissions that are reserved ahead of what is stored: a fiftieth, 2 %, and of very
    /// large ones no more than saves a write worth saving; at least 1 (SPEC section 4).
    pub const fn reserve(self) -> u32 {
        let reserve = self.most() / RESERVE;
        if reserve == 0 {
            1
        } else if reserve > MAX_RESERVE {
            MAX_RESERVE
        } else {
            reserve
        }
    }

    /// The most that one request may cost and still pass at some time.
    pub const fn most(self) -> u32 {
        match self {
            Self::Rate(rate) => rate.requests(),
            Self::TokenBucket(bucket) => bucket.burst(),
            Self::Quota(quota) => quota.requests(),
            Self::Concurrency(concurrency) => concurrency.most(),
        }
    }

    /// The longest that a lease of it lasts, but for the end of a quota's period.
    pub fn lease(self) -> Millis {
        match self {
            Self::Rate(rate) => rate.lease(),
            Self::TokenBucket(bucket) => bucket.rate().lease(),
            Self::Quota(_) | Self::Concurrency(_) => MAX_LEASE,
        }
    }

    /// The same at a limit that is leased; 0: it cannot be.
    pub fn most_leased(self) -> u32 {
        match self {
            Self::TokenBucket(bucket) => bucket.leased_burst(),
            Self::Concurrency(_) => 0,
            _ => self.most(),
        }
    }
}
