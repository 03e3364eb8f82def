//! The management API as values: what a request asks for, who may have it, and what is answered
//! (SPEC section 8).
//!
//! Scope: paths to calls, bodies to checked commands with every field error at once, rights, the
//! key resource, pages about errors. Out of scope: HTTP, stores and randomness, which are the
//! edge's; and what a change does to a family, which is [`crate::family`]'s.

mod anomaly;
mod audit;
mod call;
mod caller;
mod create;
mod credential;
mod der;
mod endpoint;
mod explain;
mod field;
mod hook;
mod job;
mod leak;
mod limit;
mod list;
mod outcome;
mod page;
mod pattern;
mod place;
mod ready;
mod refusal;
mod registry;
mod resource;
mod rules;
mod session;
mod tenant;
mod token;
mod update;
mod usage;
mod verify;
mod wish;

pub use anomaly::anomaly_query;
pub use audit::{AuditAsk, AuditPart, after_the_end, audit_cursor, without_keys};
pub use call::{Action, BASE, CALLS, Call, CallRow, EndpointAct, Unrouted};
pub use caller::{Caller, Right, root_token_fits};
pub use create::{Bounds, MadeKey, Making, NewKey, fresh_key};
pub use credential::{
    Credential, Failed, Ground, SESSION_COOKIE, Sent, admin_charges, may_be_used,
};
pub use der::{p256_key, p256_signature};
pub use endpoint::{
    EndpointQuery, Ground as EndpointGround, NewEndpoint, delivery_query, delivery_resource,
    endpoint_keeper, endpoint_query, endpoint_replay, endpoint_resource, endpoint_secret,
    endpoint_update, own_hosts, rotation_grace, told_endpoint,
};
pub use explain::{AskedKey, ExplainAsk};
pub use field::{object_of, query_pairs};
pub use hook::{
    event_query, event_resource, event_whole, listed_sources, merged, read_replay, refusal_query,
    refusal_resource, sees, source_resource, visible_source,
};
pub use job::{RevokeMany, is_job_id, job_id, job_query, job_resource};
pub use leak::{
    Finding, KEY_IDENTIFIER, KEY_SIGNATURE, LEAK_INTAKE, MAX_REPORT, ScannerKeys, Signer, Suspect,
    UnprovedReports, bad_signature, read_report, report_signature,
};
pub use list::{Cursor, KeyState as ListedState, ListQuery};
pub use outcome::{Changed, rehearsed, version_conflict};
pub use page::{
    Asset, asset, console_policy, error_index, error_index_json, error_json, error_page,
    error_page_policy, page_policy, wants_json,
};
pub use pattern::key_pattern;
pub use place::{LEAKS, Place};
pub use ready::{Readiness, Store};
pub use refusal::{refusal_headers, shown, stamp};
pub use registry::{ALL_TENANTS, Entry, Found, Listed, Origins, Page, RegistryRequest};
pub use resource::KeyView;
pub use session::{
    OpenAsk, With, caller_resource, ended_cookie, read_confirm, read_enrol, read_renewal,
    session_cookie, session_resource,
};
pub use tenant::{
    TenantUpdate, announced, asked_of, asked_of_change, may_own_tenants, new_tenant, place_after,
    tenant_query, tenant_resource, told_tenant,
};
pub use token::{Grant, MAX_FORM, TokenAsk, TokenSent, UsedAt, deprecation, error_type, oauth};
pub use update::{ActionBody, Patched, Update, read_action};
pub use usage::UsageQuery;
pub use verify::{Verdict, VerifyAsk};

use crate::time::Millis;

/// The largest body of a management request, in bytes; the largest real one is a few KiB.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a key lives when nobody says (SPEC section 3).
pub const DEFAULT_LIFETIME: Millis = Millis::days(365);
/// The longest a key lives when the policy sets no bound of its own.
pub const MAX_LIFETIME: Millis = Millis::days(3_650);
/// How long a rotated key goes on working when nobody says (SPEC section 3).
pub const DEFAULT_GRACE: Millis = Millis::hours(48);

#[cfg(test)]
pub(crate) mod tests;
