//! One attempt at a delivery, and what came of it.

use serde::{Deserialize, Serialize};

use crate::time::{Millis, UnixMillis};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// An answer of this HTTP status.
    Status(u16),
    /// No answer.
    Fault(Fault),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nobody there, or the connection broke.
    Unreachable,
    /// Nothing came in time.
    TimedOut,
    /// Nothing was sent: the credential or the secret to sign with is missing.
    NoCredential,
    /// Nothing was sent: the address is one that events may not be sent to.
    NotAllowed,
}

/// What an attempt means for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It arrived: 2xx.
    Delivered,
    /// Whoever is there wants no more of it, ever: 410.
    Gone,
    /// It did not arrive, or nobody knows; a redirect is not followed and counts as this.
    Failed,
}

/// An attempt as it is kept and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was begun.
    pub at: UnixMillis,
    /// How long it took until its answer, or until there would be none, in milliseconds.
    pub took: Millis,
    /// What came of it.
    pub came: Came,
}

impl Came {
    /// What it means. Standard Webhooks, "Operational considerations": any 2xx is a success, 410 ends
    /// it, everything else is a failure.
    pub const fn meaning(self) -> Meaning {
        match self {
            Self::Status(200..=299) => Meaning::Delivered,
            Self::Status(410) => Meaning::Gone,
            Self::Status(_) | Self::Fault(_) => Meaning::Failed,
        }
    }

    /// The status of the answer, if there was one.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::Fault(_) => None,
        }
    }

    /// Why there was no answer, if there was none.
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Status(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl Fault {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::NoCredential => "no_credential",
            Self::NotAllowed => "not_allowed",
        }
    }
}
