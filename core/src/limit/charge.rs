//! What is asked of an object about one request, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Kind, Measure};
use crate::time::{Millis, UnixMillis};

/// One measure's claim on one request: what the edge sends to an object. In one call each limit,
/// measure and bucket stands once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Charge {
    /// The name that it is told by: the limit's, and for a further measure of the same limit
    /// `NAME.quota` or `NAME.concurrency`.
    pub limit: String,
    /// What it is counted by, for this request: empty, an address block or a parameter's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// What is measured.
    #[serde(flatten)]
    pub measure: Measure,
    /// How many requests this one counts for; of those in flight it is always one. 0 asks for
    /// nothing and is always given.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cost: u32,
    /// In shadow mode a limit counts and tells, and refuses nothing.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
    /// It may be given ahead: see [`super::Mode::Leased`].
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub leased: bool,
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_one(cost: &u32) -> bool {
    *cost == 1
}

/// A request's place among those in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The request's id: what it is released by.
    pub id: String,
    /// After this time it can no longer be in flight, and the place is free.
    pub holds: Millis,
}

/// What an isolate may admit without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// So many requests with the very charges that were asked about, at least 1.
    pub requests: u32,
    /// For so long, from the moment at which it was asked for.
    pub lasts: Millis,
}

/// Where one limit stands after a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The limit's name, as in its [`Charge`].
    pub limit: String,
    /// What kind of a limit it is.
    #[serde(default, skip_serializing_if = "is_rate")]
    pub kind: Kind,
    /// Admissions in one window or period; what a bucket holds; the most in flight.
    pub quota: u32,
    /// The window's or period's length; for a bucket the time in which an empty one fills; zero
    /// for concurrency.
    pub window: Millis,
    /// Admissions left at this instant.
    pub remaining: u32,
    /// Time until more is left than now; zero when nothing is used. For concurrency an estimate.
    pub resets_in: Millis,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_rate(kind: &Kind) -> bool {
    matches!(kind, Kind::Rate)
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
        /// The object's time of this admission: what it is given back by.
        #[serde(default, skip_serializing_if = "is_zero")]
        at: UnixMillis,
        /// What may be admitted without asking, if that was asked for and there is some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<Grant>,
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

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
fn is_zero(at: &UnixMillis) -> bool {
    *at == UnixMillis::default()
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

    /// The kinds of the limits without room.
    pub fn exceeded_kinds(&self) -> impl Iterator<Item = Kind> {
        let without_room = self.standings().iter();
        without_room
            .filter(|standing| self.exceeded().contains(&standing.limit))
            .map(|standing| standing.kind)
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

    /// What may be admitted without asking.
    pub const fn grant(&self) -> Option<Grant> {
        match self {
            Self::Admitted { grant, .. } => *grant,
            Self::Limited { .. } => None,
        }
    }
}
