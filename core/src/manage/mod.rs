//! The management API as values: what a request asks for, who may have it, and what is answered
//! (SPEC section 8).
//!
//! Scope: paths to calls, bodies to checked commands with every field error at once, rights, the
//! key resource, pages about errors. Out of scope: HTTP, stores and randomness, which are the
//! edge's; and what a change does to a family, which is [`crate::family`]'s.

mod call;
mod caller;
mod create;
mod credential;
mod explain;
mod field;
mod list;
mod outcome;
mod page;
mod place;
mod ready;
mod refusal;
mod registry;
mod resource;
mod rules;
mod update;
mod verify;
mod wish;

pub use call::{Action, BASE, Call, Unrouted};
pub use caller::{Caller, Right, root_token_fits};
pub use create::{Bounds, MadeKey, Making, NewKey, fresh_key};
pub use credential::{Credential, Failed, Ground, Sent, admin_charges, may_be_used};
pub use explain::{AskedKey, ExplainAsk};
pub use field::{object_of, query_pairs};
pub use list::{Cursor, KeyState as ListedState, ListQuery};
pub use outcome::{Changed, rehearsed, version_conflict};
pub use page::{
    Asset, asset, error_index, error_index_json, error_json, error_page, error_page_policy,
    page_policy, wants_json,
};
pub use place::Place;
pub use ready::{Readiness, Store};
pub use refusal::{refusal_headers, shown, stamp};
pub use registry::{ALL_TENANTS, Entry, Found, Origins, Page, RegistryRequest};
pub use resource::KeyView;
pub use update::{ActionBody, Patched, Update, read_action};
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
