//! What the gate knows of a key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Digest, KeyId, KeyKind};
use crate::address::Cidr;
use crate::limit::{Limit, Mode};
use crate::origin::OriginPattern;
use crate::scope::Scope;
use crate::time::{Millis, UnixMillis};

/// Where a key stands in its life. Expiry is not a state: it comes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// In use.
    Active,
    /// Switched off, and can be switched on again.
    Disabled,
    /// Ended for good.
    Revoked,
}

/// A key that was rotated out and still works for its grace period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deprecated {
    /// When it was rotated.
    pub since: UnixMillis,
    /// The key that took its place.
    pub successor: KeyId,
}

/// One key, as its family's object keeps it and KV caches it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its public id.
    pub id: KeyId,
    /// The family's id: that of the first key of a line of rotations. Names the object.
    pub family: KeyId,
    /// What it is for.
    pub kind: KeyKind,
    /// The environment it was made in. A record of another environment is no record.
    pub environment: String,
    /// The tenant it belongs to; `*` on admin keys of operators, which own all tenants.
    pub tenant: String,
    /// What people call it.
    pub name: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Free words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free data, at most 1 KiB as JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Active, disabled or revoked.
    pub state: KeyState,
    /// Goes up by one with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends; for a rotated key the end of its grace period.
    pub expires_at: UnixMillis,
    /// How long it was made for: what its successor gets from the day of the rotation on.
    pub lifetime: Millis,
    /// Set once it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// Origins it may be used from; empty: it lists none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<OriginPattern>,
    /// A publishable key that said `*` on purpose.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub allow_any_origin: bool,
    /// Addresses it may be used from; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Cidr>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Its own limits; empty: the policy's `default`, or 60 requests per minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Leased: all of its limits may be given ahead, as far as they can be.
    #[serde(default, skip_serializing_if = "Mode::is_exact")]
    pub mode: Mode,
    /// An admin key that writes only from a session with a second factor.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub mfa: bool,
    /// Off with its whole tenant, beside what `state` says, until the tenant goes on.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub suspended: bool,
    /// What is kept of its secret.
    pub digest: Digest,
}

impl KeyRecord {
    /// True while it opens anything: neither revoked nor off nor past its end.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.state == KeyState::Active && !self.suspended && !self.is_expired(now)
    }

    /// True from its last instant on.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires_at
    }
}
