//! What a family tells its tenant: the registry and the audit follow from it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::Draft;
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
    /// The `X-Request-Id` of the call that changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The address that the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What happened.
    pub kind: EventKind,
    /// The names of the fields that an update changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Of a notice: days until its end, or days that it is old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u64>,
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
    /// It went off with its tenant.
    #[serde(rename = "key.suspended")]
    Suspended,
    /// It went on with its tenant.
    #[serde(rename = "key.resumed")]
    Resumed,
    /// Its end is near.
    #[serde(rename = "key.expiring")]
    Expiring,
    /// It is old enough to be rotated.
    #[serde(rename = "key.rotation_due")]
    RotationDue,
}

impl EventKind {
    /// True when the key is another one since; false for what it is only told of.
    pub const fn is_change(self) -> bool {
        !matches!(self, Self::Expiring | Self::RotationDue)
    }

    /// The event's type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "key.created",
            Self::Updated => "key.updated",
            Self::Rotated => "key.rotated",
            Self::GraceEnded => "key.grace_ended",
            Self::Disabled => "key.disabled",
            Self::Enabled => "key.enabled",
            Self::Revoked => "key.revoked",
            Self::Rehashed => "key.rehashed",
            Self::Suspended => "key.suspended",
            Self::Resumed => "key.resumed",
            Self::Expiring => "key.expiring",
            Self::RotationDue => "key.rotation_due",
        }
    }
}

impl From<&Event> for Draft {
    /// The event as it goes into the audit. Its `once` is the family's id and the event's number.
    fn from(event: &Event) -> Self {
        let Event { key, .. } = event;
        Self {
            at: event.at,
            kind: event.kind.as_str().to_owned(),
            actor: event.actor.clone(),
            tenant: key.tenant.clone(),
            key: Some(key.id.to_string()),
            call: None,
            code: None,
            request_id: event.request_id.clone(),
            address: event.address.clone(),
            fields: event.fields.clone(),
            detail: event.detail(),
            once: Some(format!("{}/{}", key.family, event.seq)),
        }
    }
}

impl Event {
    /// What belongs to this kind of event alone. Of what people wrote there are no values.
    fn detail(&self) -> Map<String, Value> {
        let key = &self.key;
        let end = || json!(key.expires_at.to_rfc3339());
        let successor = || json!(key.deprecated.as_ref().map(|rotated| &rotated.successor));
        let members = match self.kind {
            EventKind::Created => vec![("kind", json!(key.kind)), ("expires_at", end())],
            EventKind::Updated if self.fields.iter().any(|field| field == "expires_at") => {
                vec![("expires_at", end())]
            }
            EventKind::Rotated => vec![("successor", successor()), ("grace_ends_at", end())],
            EventKind::GraceEnded => vec![("successor", successor())],
            EventKind::Rehashed => vec![("pepper", json!(key.pepper))],
            EventKind::Expiring | EventKind::RotationDue => {
                vec![("days", json!(self.days)), ("expires_at", end())]
            }
            EventKind::Updated
            | EventKind::Disabled
            | EventKind::Enabled
            | EventKind::Revoked
            | EventKind::Suspended
            | EventKind::Resumed => Vec::new(),
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
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
