//! What a tenant's registry is told and asked. There is one for each tenant, and one named `*`
//! over all of them; both follow from the families' outboxes.
//!
//! The road asks it one more thing, [`crate::road::origin::ORIGINS_MESSAGE`], which is answered
//! with [`Origins`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::list::{Cursor, ListQuery};
use super::resource::KeyView;
use crate::anomaly::AnomalyRequest;
use crate::audit::{AuditRequest, Draft};
use crate::key::{KeyKind, KeyRecord, KeyState};
use crate::origin::OriginPattern;
use crate::repeat::RepeatRequest;
pub use crate::tenant::ALL_TENANTS;
use crate::tenant::{JobRequest, TenantRequest};
use crate::time::UnixMillis;
use crate::usage::UsageRequest;

/// A message to a registry, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// From a family's outbox: keys that are so now, and what happened to them. Answered with `{}`.
    Deliver {
        /// The keys.
        entries: Vec<Entry>,
        /// What happened, in order.
        events: Vec<Draft>,
    },
    /// One page of a list. Answered with a [`Page`].
    List(ListQuery),
    /// What `ready` wants to know. Answered with a [`super::Store`].
    Counts {
        /// The newest version of the pepper.
        pepper: u32,
    },
    /// The audit.
    Audit(AuditRequest),
    /// Usage.
    Usage(UsageRequest),
    /// Anomalies.
    Anomaly(AnomalyRequest),
    /// The tenant itself.
    Tenant(TenantRequest),
    /// Jobs over many keys.
    Job(JobRequest),
    /// Management writes that may be sent twice.
    Repeat(RepeatRequest),
}

/// One key, as the registry keeps it: what it looks for, and a text that it only hands on. Of two
/// entries of one key the one with the higher version counts, whichever comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are those of `KeyRecord`
pub struct Entry {
    pub id: String,
    pub family: String,
    pub tenant: String,
    pub kind: KeyKind,
    pub owner: Option<String>,
    /// A JSON list.
    pub tags: String,
    /// A JSON list.
    pub origins: String,
    pub allow_any_origin: bool,
    pub state: KeyState,
    pub created_at: UnixMillis,
    pub expires_at: UnixMillis,
    pub version: u64,
    /// The version of the pepper that its digest is under.
    pub pepper: u32,
    /// A [`KeyView`] as JSON: what is shown of it, and nothing of its secret.
    pub view: String,
}

impl TryFrom<&KeyRecord> for Entry {
    type Error = serde_json::Error;

    fn try_from(record: &KeyRecord) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: record.id.to_string(),
            family: record.family.to_string(),
            tenant: record.tenant.clone(),
            kind: record.kind,
            owner: record.owner.clone(),
            tags: serde_json::to_string(&record.tags)?,
            origins: serde_json::to_string(&record.origins)?,
            allow_any_origin: record.allow_any_origin,
            state: record.state,
            created_at: record.created_at,
            expires_at: record.expires_at,
            version: record.version,
            pepper: record.digest.pepper,
            view: serde_json::to_string(&KeyView::from(record))?,
        })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Page {
    /// The keys.
    pub keys: Vec<Listed>,
    /// Where the next page begins; None on the last one.
    pub next: Option<Cursor>,
}

/// One key of a page.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Listed {
    /// The key.
    pub key: KeyView,
    /// When it was last used, as far as the registry has heard.
    pub last_used_at: Option<UnixMillis>,
}

impl Listed {
    /// The resource at `now`, as JSON.
    pub fn resource(&self, now: UnixMillis) -> Value {
        let mut resource = self.key.resource(now);
        if let Value::Object(members) = &mut resource {
            let used = self.last_used_at.map(UnixMillis::to_rfc3339);
            members.insert("last_used_at".to_owned(), json!(used));
        }
        resource
    }
}

/// One key that a registry found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the list would go on after it.
    pub at: Cursor,
    /// Its [`Entry::view`].
    pub view: String,
    /// When it was last used.
    pub last_used_at: Option<UnixMillis>,
}

impl Page {
    /// How many keys to look for: one more than the page holds tells whether there is a next one.
    pub const fn wanted(query: &ListQuery) -> u64 {
        query.limit.saturating_add(1)
    }

    /// The page of the keys that were found, in order, as JSON. The registry does not look into
    /// what it hands on.
    pub fn write(found: &[Found], query: &ListQuery) -> Result<String, serde_json::Error> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let shown = found.get(..limit).unwrap_or(found);
        let next = shown.last().filter(|_| shown.len() < found.len()).map(|last| &last.at);
        let mut keys = Vec::new();
        for found in shown {
            let used = serde_json::to_string(&found.last_used_at)?;
            keys.push(format!(r#"{{"key":{},"last_used_at":{used}}}"#, found.view));
        }
        let next = serde_json::to_string(&next)?;
        Ok(format!(r#"{{"keys":[{}],"next":{next}}}"#, keys.join(",")))
    }
}

/// The origins of live keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origins {
    /// Each pattern once.
    pub origins: Vec<OriginPattern>,
    /// A live key may be used from any origin.
    pub any: bool,
}
