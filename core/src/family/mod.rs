//! A key and its rotations: what their one object knows, and every change to it (SPEC section 3).
//!
//! Scope: records, their limits' counts, the object's clock and the outbox, as a pure transition:
//! [`FamilyState::apply`] takes a request and gives the reply and the [`Write`]s that the object
//! stores in one transaction before the reply leaves. Out of scope: who may ask for what (the
//! management API has decided that), and making ids, secrets and digests (which takes randomness).

mod care;
mod change;
mod outbox;
mod patch;
mod people;
mod state;
mod store;
mod tally;

pub use care::{Due, Notice, Told, due};
pub use outbox::{Event, EventKind, KeySummary};
pub use patch::KeyPatch;
pub use state::FamilyState;
pub use store::{DamagedRow, Meta, Write};
pub use tally::Count;

use serde::{Deserialize, Serialize};

use crate::key::{Digest, KeyId, KeyRecord};
use crate::limit::{Charge, Slot, Verdict};
use crate::people::{Asked, PeopleReply};
use crate::time::Millis;

/// What a family's object is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyRequest {
    /// May this key make a request now? If so, it is charged.
    Admit {
        /// The key.
        id: KeyId,
        /// The version of the record that steps 7 to 9 were decided on.
        version: u64,
        /// The limits of the request.
        charges: Vec<Charge>,
        /// The digest of the secret that was presented, under a newer pepper than the record's: if
        /// the request is admitted, the key moves to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rehash: Option<Digest>,
        /// Where a limit of those in flight is among the charges: the request's place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Slot>,
        /// So many further requests with these charges are wanted ahead; 0: none.
        #[serde(default, skip_serializing_if = "is_none_ahead")]
        ahead: u32,
    },
    /// May so many requests be made without asking? Admits none by itself.
    Lease {
        /// The key.
        id: KeyId,
        /// The version of the record that steps 7 to 9 were decided on.
        version: u64,
        /// The limits of each request.
        charges: Vec<Charge>,
        /// So many requests, at least 1.
        ahead: u32,
    },
    /// A request is no longer in flight. Answered with [`FamilyReply::Released`].
    Release {
        /// The limits that it has a place in.
        charges: Vec<Charge>,
        /// What its place was taken under.
        slot: String,
    },
    /// Something about the holder of an admin key.
    People(Asked),
    /// The record of a key.
    Read {
        /// The key.
        id: KeyId,
    },
    /// To the object that a new key's id names: this key belongs to another object.
    Claim {
        /// The id that names the family's object.
        family: KeyId,
    },
    /// A change to a key.
    Change {
        /// Who changes it: the id of an admin key, or `root`. Goes into the audit.
        actor: String,
        /// The `X-Request-Id` of the call that brought it. Goes into the audit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// The address that the call came from. Goes into the audit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// What to change.
        change: Change,
    },
}

impl FamilyRequest {
    /// A change that no call brought, or none that is known.
    pub fn change(actor: impl Into<String>, change: Change) -> Self {
        Self::Change { actor: actor.into(), request_id: None, address: None, change }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_none_ahead(ahead: &u32) -> bool {
    *ahead == 0
}

/// A change to a key. Where it has a `version`, that must be the record's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A first key: its record begins the family. To be asked of the object that its id names.
    Create {
        /// The record; its version becomes 1.
        record: Box<KeyRecord>,
    },
    /// A new key in place of this one, which works on for a grace period. The new key's object
    /// must be claimed for the family before.
    Rotate {
        /// The key to be replaced.
        id: KeyId,
        /// The id of the new key.
        new_id: KeyId,
        /// What is kept of the new key's secret.
        digest: Digest,
        /// How long the old key works on; never past its expiry.
        grace: Millis,
        /// The longest life of a key, by policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_lifetime: Option<Millis>,
        /// The version of the old key's record, where the caller knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// The end of a rotated key's grace period, now.
    EndGrace {
        /// The key that was rotated.
        id: KeyId,
        /// The record's version, where the caller knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Other values for some fields.
    Update {
        /// The key.
        id: KeyId,
        /// The version of the record that the patch was made for.
        version: u64,
        /// The fields.
        patch: Box<KeyPatch>,
    },
    /// Off, until it is enabled.
    Disable {
        /// The key.
        id: KeyId,
        /// The record's version, where the caller knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// On again.
    Enable {
        /// The key.
        id: KeyId,
        /// The record's version, where the caller knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// The end of a key, for good. Needs no version.
    Revoke {
        /// The key.
        id: KeyId,
        /// Its rotations as well, older and newer.
        #[serde(default)]
        whole_family: bool,
    },
    /// Off with its tenant, all keys of the family that are not revoked. Needs no version.
    Suspend {
        /// Any key of the family.
        id: KeyId,
    },
    /// On with its tenant again, as far as the keys themselves are on.
    Resume {
        /// Any key of the family.
        id: KeyId,
    },
    /// The digest of the same secret under a newer pepper.
    Rehash {
        /// The key.
        id: KeyId,
        /// The new digest.
        digest: Digest,
    },
}

/// What a family's object answers, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyReply {
    /// To `Admit` and `Lease`: the key is good, and this is what its limits say.
    Verdict(Verdict),
    /// To `Admit` and `Lease`: the key is revoked, disabled, suspended or expired, by the object's
    /// clock. Not charged.
    Refused {
        /// Its record.
        record: Box<KeyRecord>,
    },
    /// To `Admit` and `Lease`: decided on another version than this one. Not charged.
    Stale {
        /// The present record.
        record: Box<KeyRecord>,
    },
    /// To `People`, as far as the key is good.
    People(PeopleReply),
    /// To `Read`.
    Record {
        /// The record.
        record: Box<KeyRecord>,
    },
    /// To `Claim`.
    Claimed,
    /// To `Release`.
    Released,
    /// To `Change`: done, or so already.
    Changed {
        /// The key that was asked about; to `Rotate` the new one.
        record: Box<KeyRecord>,
        /// Other keys of the family that changed with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<KeyRecord>,
    },
    /// To `Change`: made for another version.
    VersionConflict {
        /// The present version.
        current: u64,
    },
    /// To `Change` and `Claim`: not as things are.
    Impossible {
        /// Why.
        obstacle: Obstacle,
    },
    /// This object knows no such key.
    Unknown,
    /// The key is with the object of this name.
    Moved {
        /// The id that names the family's object.
        family: KeyId,
    },
}

/// Why a change cannot be made. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A revoked key stays as it is.
    #[error("the key is revoked, which is for good")]
    Revoked,
    /// A disabled key is not rotated.
    #[error("the key is disabled: enable it first")]
    Disabled,
    /// An expired key is not rotated.
    #[error("the key has expired")]
    Expired,
    /// It was rotated already; its successor can be.
    #[error("the key was rotated already: rotate its successor {0}")]
    Rotated(KeyId),
    /// There is no grace period to end.
    #[error("the key was not rotated: it has no grace period")]
    NotRotated,
    /// A rotated key lives until the end of its grace period at the longest.
    #[error("the key was rotated: its end can only be brought forward")]
    LongerGrace,
    /// The id is taken.
    #[error("a key of this id exists")]
    Exists,
}

#[cfg(test)]
mod tests;
