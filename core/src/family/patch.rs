//! The fields of a record that can be changed after the key was made.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::address::Cidr;
use crate::key::KeyRecord;
use crate::limit::{Limit, Mode};
use crate::origin::OriginPattern;
use crate::scope::Scope;
use crate::time::UnixMillis;

/// New values; a field that is absent stays. Whether they fit the key's kind and the caller's
/// rights is decided on [`Self::apply_to`] the record of the same version, before it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who answers for it; null for nobody.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub owner: Option<Option<String>>,
    /// All its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// All its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// All its origins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<OriginPattern>>,
    /// Whether `*` was said on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_any_origin: Option<bool>,
    /// All its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Cidr>>,
    /// All its scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// All its limits; empty for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
    /// Whether its limits may be given ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Its end. The lifetime that a rotation hands on changes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Whether an admin key writes only from a session with a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa: Option<bool>,
}

/// A field that is there, be it null: to be told from one that is absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl KeyPatch {
    /// The record with these values, and the names of the fields that differ now. The version is
    /// the record's own: it goes up when the change is made.
    pub fn apply_to(&self, record: &KeyRecord) -> (KeyRecord, Vec<&'static str>) {
        let mut new = record.clone();
        let mut fields = Vec::new();
        let changed = &mut fields;
        set(&mut new.name, self.name.as_ref(), "name", changed);
        set(&mut new.owner, self.owner.as_ref(), "owner", changed);
        set(&mut new.tags, self.tags.as_ref(), "tags", changed);
        set(&mut new.metadata, self.metadata.as_ref(), "metadata", changed);
        set(&mut new.origins, self.origins.as_ref(), "origins", changed);
        let any = self.allow_any_origin.as_ref();
        set(&mut new.allow_any_origin, any, "allow_any_origin", changed);
        set(&mut new.addresses, self.addresses.as_ref(), "addresses", changed);
        set(&mut new.scopes, self.scopes.as_ref(), "scopes", changed);
        set(&mut new.limits, self.limits.as_ref(), "limits", changed);
        set(&mut new.mode, self.mode.as_ref(), "mode", changed);
        set(&mut new.mfa, self.mfa.as_ref(), "mfa", changed);
        if set(&mut new.expires_at, self.expires_at.as_ref(), "expires_at", changed) {
            new.lifetime = new.expires_at.since(new.created_at);
        }
        (new, fields)
    }
}

/// Sets a field, and notes its name if that made a difference.
fn set<T: Clone + PartialEq>(
    field: &mut T,
    value: Option<&T>,
    name: &'static str,
    changed: &mut Vec<&'static str>,
) -> bool {
    let differs = value.is_some_and(|value| value != field);
    if let Some(value) = value.filter(|_| differs) {
        field.clone_from(value);
        changed.push(name);
    }
    differs
}
