//! What a family tells its tenant: the registry and the audit follow from it.

use serde::{Deserialize, Serialize};

use crate::key::{Deprecated, KeyId, KeyKind, KeyRecord, KeyState};
use crate::origin::OriginPattern;
use crate::time::UnixMillis;

/// One change of one key, stored in the same transaction as the change itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 and so on within the family, without a gap: a receiver sees what it misses.
    pub seq: u64,
    /// When, by the object's clock.
    pub at: UnixMillis,
    /// Who changed it.
    pub actor: String,
    /// What happened.
    pub kind: EventKind,
    /// The names of the fields that an update changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The key after the change.
    pub key: KeySummary,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// It was made, as a first key or by a rotation.
    #[serde(rename = "key.created")]
    Created,
    /// Some of its fields changed.
    #[serde(rename = "key.updated")]
    Updated,
    /// Another key took its place.
    #[serde(rename = "key.rotated")]
    Rotated,
    /// Its grace period was ended early.
    #[serde(rename = "key.grace_ended")]
    GraceEnded,
    /// It was switched off.
    #[serde(rename = "key.disabled")]
    Disabled,
    /// It was switched on again.
    #[serde(rename = "key.enabled")]
    Enabled,
    /// It was ended for good.
    #[serde(rename = "key.revoked")]
    Revoked,
    /// Its digest moved to a newer pepper.
    #[serde(rename = "key.rehashed")]
    Rehashed,
}

/// What the registry keeps of a key: enough to list, filter and count, and nothing of its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySummary {
    /// Its public id.
    pub id: KeyId,
    /// The id that names its object.
    pub family: KeyId,
    /// The tenant it belongs to.
    pub tenant: String,
    /// What it is for.
    pub kind: KeyKind,
    /// What people call it.
    pub name: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Free words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Active, disabled or revoked.
    pub state: KeyState,
    /// Goes up by one with every change: of two summaries the one with the higher counts.
    pub version: u64,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: UnixMillis,
    /// Set once it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// Origins it may be used from: the index of `origins = "keys"` is made of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<OriginPattern>,
    /// It may be used from any origin.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub allow_any_origin: bool,
    /// The version of the pepper that its digest is under.
    pub pepper: u32,
}

impl From<&KeyRecord> for KeySummary {
    fn from(record: &KeyRecord) -> Self {
        Self {
            id: record.id.clone(),
            family: record.family.clone(),
            tenant: record.tenant.clone(),
            kind: record.kind,
            name: record.name.clone(),
            owner: record.owner.clone(),
            tags: record.tags.clone(),
            state: record.state,
            version: record.version,
            created_at: record.created_at,
            expires_at: record.expires_at,
            deprecated: record.deprecated.clone(),
            origins: record.origins.clone(),
            allow_any_origin: record.allow_any_origin,
            pepper: record.digest.pepper,
        }
    }
}
