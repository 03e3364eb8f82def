//! What the object of a tenant, a route or an address is asked, and what it answers.

use serde::{Deserialize, Serialize};

use crate::limit::{Charge, Counts, Slot, Verdict};
use crate::time::UnixMillis;

/// What a counter is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterRequest {
    /// Charge all of these, or none. Answered with a [`Verdict`].
    Charge {
        /// The limits of one request.
        charges: Vec<Charge>,
        /// Where a limit of those in flight is among the charges: the request's place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Slot>,
        /// So many further requests with these charges are wanted ahead; 0: none.
        #[serde(default, skip_serializing_if = "is_none")]
        ahead: u32,
    },
    /// May so many requests be made without asking? Admits none by itself. Answered with a
    /// [`Verdict`].
    Lease {
        /// The limits of each request.
        charges: Vec<Charge>,
        /// So many requests, at least 1.
        ahead: u32,
    },
    /// A request did not pass in the end: what it was charged at `at` is given back. Answered with
    /// `{}`.
    GiveBack {
        /// What it was charged.
        charges: Vec<Charge>,
        /// When, as the verdict said.
        at: UnixMillis,
        /// Its place, where it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<String>,
    },
    /// A request is no longer in flight. Answered with `{}`.
    Release {
        /// The limits that it has a place in.
        charges: Vec<Charge>,
        /// What its place was taken under.
        slot: String,
    },
}

/// What a counter answers, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CounterReply {
    /// To `Charge` and `Lease`.
    Verdict(Verdict),
    /// To `GiveBack` and `Release`: `{}`.
    Done {},
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_none(ahead: &u32) -> bool {
    *ahead == 0
}

impl CounterRequest {
    /// Answers with these counts. What they then want written must be stored before the reply
    /// leaves.
    pub fn answer(&self, counts: &mut Counts, now: UnixMillis) -> CounterReply {
        match self {
            Self::Charge { charges, slot, ahead } => {
                CounterReply::Verdict(counts.admit(charges, slot.as_ref(), *ahead, now))
            }
            Self::Lease { charges, ahead } => {
                CounterReply::Verdict(counts.grant(charges, *ahead, now))
            }
            Self::GiveBack { charges, at, slot } => {
                counts.give_back(charges, *at, now);
                if let Some(slot) = slot {
                    counts.release(charges, slot, now);
                }
                CounterReply::Done {}
            }
            Self::Release { charges, slot } => {
                counts.release(charges, slot, now);
                CounterReply::Done {}
            }
        }
    }
}
