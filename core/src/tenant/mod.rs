//! Tenants as operators own them, and jobs over all keys of a tenant or a tag (SPEC section 8).
//!
//! Scope: the tenant's record and its bounds on keys, what its object is asked, and the course of a
//! job over many keys. Out of scope: who may ask, and bodies ([`crate::manage`] has both), and the
//! registry of keys, which the object keeps beside it.

mod bounds;
mod job;

pub use bounds::{Asked, Bounds, Stop, Takes};
pub use job::{
    Job, JobKind, JobPage, JobQuery, JobReply, JobRequest, JobSeed, JobState, Listed, Mandate,
    STEP, Settling, Step, Tally, Target, pause,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audit::Draft;
use crate::key::KeyId;
use crate::time::{Millis, UnixMillis};

/// The name of the object over all tenants, and the tenant of the operators' own keys.
pub const ALL_TENANTS: &str = "*";

/// After this time a change of a key that was announced and never arrived is asked about.
pub const OVERDUE: Millis = Millis::minutes(10);

/// Whether the keys of a tenant work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    /// They do.
    #[default]
    Active,
    /// None of them does, and none can be made.
    Suspended,
}

impl TenantState {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// Reads `active` or `suspended`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|state| state.as_str() == text)
    }
}

/// One tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name, which stands in its keys.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether its keys work.
    #[serde(default)]
    pub state: TenantState,
    /// Goes up by one with every change.
    pub version: u64,
    /// When it was made, or came to be with its first key.
    pub created_at: UnixMillis,
    /// What its keys may be.
    #[serde(default)]
    pub bounds: Bounds,
    /// Free data, at most 1 KiB as JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Tenant {
    /// A tenant that nobody made: it comes to be with its first key, and nothing bounds it.
    pub fn unmade(name: &str, created_at: UnixMillis) -> Self {
        Self {
            name: name.to_owned(),
            title: None,
            state: TenantState::Active,
            version: 1,
            created_at,
            bounds: Bounds::default(),
            metadata: Map::new(),
        }
    }

    /// The names of the fields in which `other` differs.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let (mine, others) = (&self.bounds, &other.bounds);
        [
            ("title", self.title != other.title),
            ("state", self.state != other.state),
            ("allowed_scopes", mine.allowed_scopes != others.allowed_scopes),
            ("largest_limits", mine.largest_limits != others.largest_limits),
            ("max_keys", mine.max_keys != others.max_keys),
            ("metadata", self.metadata != other.metadata),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// What the keeper of a tenant is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantRequest {
    /// A key is about to be so: may it? If so it is remembered until the registry has the key in
    /// this version, so that what is on its way counts as much as what has arrived. Answered with
    /// `Announced` or `Stopped`.
    Announce {
        /// The tenant; `*` has no bounds.
        tenant: String,
        /// The key.
        id: KeyId,
        /// The version of its record to come.
        version: u64,
        /// The attempt to make it so, by which it can be withdrawn.
        attempt: String,
        /// Whether there is one more live key by it.
        takes: Takes,
        /// What of it the tenant's bounds are about.
        asked: Asked,
    },
    /// What was announced will not be. Answered with `Done`.
    Withdraw {
        /// The key.
        id: KeyId,
        /// The version that was announced.
        version: u64,
        /// The attempt.
        attempt: String,
    },
    /// Keys whose announced changes have not arrived. Answered with `OnTheWay`.
    OnTheWay {
        /// Those that were announced up to this instant.
        until: UnixMillis,
    },
    /// The tenant. Answered with `Tenant` or `Unknown`.
    Read {
        /// Its name.
        name: String,
    },
    /// A new tenant. Answered with `Tenant` or `Exists`.
    Create {
        /// The tenant; its version becomes 1.
        tenant: Box<Tenant>,
        /// For the audit.
        event: Box<Draft>,
    },
    /// Other values for its fields. Answered with `Tenant`, `Unknown` or `VersionConflict`.
    Update {
        /// The tenant as it is to be. Its version is that of the record it was made from.
        tenant: Box<Tenant>,
        /// What the job is called that switches its keys off or on, if its state changes.
        job: JobSeed,
        /// For the audit; the names of the fields are put in.
        event: Box<Draft>,
    },
    /// To the keeper of all tenants: this one is so now. Of two copies the one with the higher
    /// version counts. Answered with `Done`.
    Copy {
        /// The tenant.
        tenant: Box<Tenant>,
        /// What happened to it.
        event: Option<Box<Draft>>,
    },
    /// To the keeper of all tenants: a page of them. Answered with `Page`.
    List(TenantQuery),
}

/// Which tenants to list, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantQuery {
    /// At most so many.
    pub limit: u64,
    /// After the one of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TenantState>,
}

/// A tenant and the number of its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// The tenant.
    pub tenant: Tenant,
    /// Keys that are neither revoked nor expired.
    pub live: u64,
    /// Keys.
    pub total: u64,
}

/// What the keeper of a tenant answers, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantReply {
    /// Done.
    Done,
    /// To `Announce`: it may.
    Announced {
        /// The tenant has just come to be, and the keeper of all tenants does not know it yet.
        untold: bool,
    },
    /// To `Announce`: it may not. Nothing was remembered.
    Stopped(Stop),
    /// Keys, each with the version that was announced and when.
    OnTheWay(Vec<OnTheWay>),
    /// The tenant.
    Tenant {
        /// With the number of its keys.
        counted: Box<Counted>,
        /// The job that the change has started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<Box<Job>>,
    },
    /// There is no such tenant.
    Unknown,
    /// There is one of this name.
    Exists,
    /// Made for another version than the present one.
    VersionConflict {
        /// The present version.
        current: u64,
    },
    /// One page.
    Page {
        /// The tenants, by name.
        tenants: Vec<Counted>,
        /// True when there are more.
        more: bool,
    },
}

/// A change of a key that was announced and has not arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnTheWay {
    /// The key.
    pub id: KeyId,
    /// The version of its record to come.
    pub version: u64,
    /// When it was announced.
    pub at: UnixMillis,
}

#[cfg(test)]
mod tests;
