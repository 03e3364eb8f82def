//! A key as the management API shows it: everything but what is kept of its secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::limit;
use crate::address::Cidr;
use crate::key::{Deprecated, KeyId, KeyKind, KeyRecord, KeyState};
use crate::limit::{Limit, Mode};
use crate::origin::OriginPattern;
use crate::scope::Scope;
use crate::time::UnixMillis;

/// What may be shown of a key. The registries keep this and never a digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are those of `KeyRecord`
pub struct KeyView {
    pub id: KeyId,
    pub family: KeyId,
    pub kind: KeyKind,
    pub environment: String,
    pub tenant: String,
    pub name: String,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    pub state: KeyState,
    pub version: u64,
    pub created_at: UnixMillis,
    pub expires_at: UnixMillis,
    #[serde(default)]
    pub deprecated: Option<Deprecated>,
    #[serde(default)]
    pub origins: Vec<OriginPattern>,
    #[serde(default)]
    pub allow_any_origin: bool,
    #[serde(default)]
    pub addresses: Vec<Cidr>,
    #[serde(default)]
    pub scopes: Vec<Scope>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default, skip_serializing_if = "Mode::is_exact")]
    pub mode: Mode,
    #[serde(default)]
    pub mfa: bool,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub suspended: bool,
}

impl From<&KeyRecord> for KeyView {
    fn from(record: &KeyRecord) -> Self {
        let record = record.clone();
        Self {
            id: record.id,
            family: record.family,
            kind: record.kind,
            environment: record.environment,
            tenant: record.tenant,
            name: record.name,
            owner: record.owner,
            tags: record.tags,
            metadata: record.metadata,
            state: record.state,
            version: record.version,
            created_at: record.created_at,
            expires_at: record.expires_at,
            deprecated: record.deprecated,
            origins: record.origins,
            allow_any_origin: record.allow_any_origin,
            addresses: record.addresses,
            scopes: record.scopes,
            limits: record.limits,
            mode: record.mode,
            mfa: record.mfa,
            suspended: record.suspended,
        }
    }
}

impl KeyView {
    /// The state as people understand it: also `expired`, which comes by itself. What was revoked
    /// stays so; of the rest, the end counts for more than the switch.
    pub fn state_at(&self, now: UnixMillis) -> &'static str {
        match self.state {
            KeyState::Revoked => "revoked",
            _ if now >= self.expires_at => "expired",
            KeyState::Disabled => "disabled",
            KeyState::Active => "active",
        }
    }

    /// The resource at `now`, as JSON.
    pub fn resource(&self, now: UnixMillis) -> Value {
        let origins = if self.allow_any_origin { json!(["*"]) } else { json!(self.origins) };
        let mut resource = json!({
            "id": self.id,
            "family": self.family,
            "kind": self.kind,
            "tenant": self.tenant,
            "environment": self.environment,
            "name": self.name,
            "owner": self.owner,
            "tags": self.tags,
            "metadata": self.metadata,
            "state": self.state_at(now),
            "version": self.version,
            "created_at": self.created_at.to_rfc3339(),
            "expires_at": self.expires_at.to_rfc3339(),
            "origins": origins,
            "allow_any_origin": self.allow_any_origin,
            "addresses": self.addresses,
            "scopes": self.scopes,
            "limits": self.limits.iter().map(limit::shown).collect::<Vec<_>>(),
            "mode": self.mode,
            "mfa": self.mfa,
        });
        if let (true, Value::Object(members)) = (self.suspended, &mut resource) {
            members.insert("suspended".to_owned(), json!(true));
        }
        if let (Some(deprecated), Value::Object(members)) = (&self.deprecated, &mut resource) {
            let since = deprecated.since.to_rfc3339();
            let told = json!({ "since": since, "successor": deprecated.successor });
            members.insert("deprecated".to_owned(), told);
        }
        resource
    }
}
