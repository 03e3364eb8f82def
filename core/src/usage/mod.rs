//! Usage: what is counted of requests, where, and how it comes together.
//!
//! Two sources. The object of a key's family counts exactly what it admitted ([`Tally`]). Each
//! isolate of the edge gathers the rest, refusals above all, which no object sees ([`Ledger`]). Both
//! go to the object of the tenant, which keeps hours and days ([`Stretch`]) and tells of them
//! ([`report`]).

mod counts;
mod histogram;
mod ledger;
mod report;
mod upkeep;

pub use counts::Counts;
pub use histogram::{Histogram, HistogramError, LATENCY_ERROR};
pub use ledger::{Gathered, HourBatch, KeyBatch, LastUse, Ledger, Sample, Seen};
pub use report::{
    By, DAYS_TOLD, Frame, FrameError, HOURS_TOLD, Stretch, report, start_of_hour, still_counted,
};
pub use upkeep::{Adding, Upkeep, oldest};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::KeyId;
use crate::time::{Millis, UnixMillis};

/// A key that was not used for so long is told as stale.
pub const STALE: Millis = Millis::days(90);

/// What the keeper of a tenant's usage is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageRequest {
    /// From a key family's object: how many requests of each key were admitted in each hour so far.
    /// Of two counts of one hour the larger counts, so each may come twice and late. Answered with
    /// `{}`.
    Counted(Vec<Tally>),
    /// From an isolate of the edge: what it gathered. Comes once or is lost. Answered with `{}`.
    Gathered(Gathered),
    /// From a tenant's object to the one over all tenants: its sums of some hours so far, which
    /// replace those that came before, and when keys were used. Answered with `{}`.
    Summed(Summed),
    /// What was there in this frame. Answered with `usage`, and with `tenants` and `stale` if they are
    /// asked for.
    Report(ReportRequest),
}

/// Admitted requests of one key in one hour so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The key.
    pub key: KeyId,
    /// The tenant it belongs to.
    pub tenant: String,
    /// When the hour began.
    pub hour: UnixMillis,
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests that a limit refused, by limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limited: BTreeMap<String, u64>,
}

/// One tenant's sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summed {
    /// The tenant.
    pub tenant: String,
    /// Hours that changed.
    pub hours: Vec<Stretch>,
    /// The last use of any of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastUse>,
    /// Keys that were used since the last time, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<(KeyId, UnixMillis)>,
}

/// What to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// Of this key; None: of all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Over this time.
    pub frame: Frame,
    /// With the keys that were not used since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<UnixMillis>,
    /// With the sums of each tenant.
    #[serde(default)]
    pub tenants: bool,
}
