//! Management calls as usage counts them: by the admin key that called, under the name of the call.

use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{CallRow, Caller};
use tollgate_core::problem::Code;
use tollgate_core::usage::Sample;

use super::Context;
use crate::house::count;
use crate::platform::now;

/// Whose call it was. Root has no key, and stands in the audit alone.
#[derive(Clone)]
pub(super) struct Counted {
    key: KeyId,
    tenant: String,
    admitted: bool,
    in_grace: bool,
}

impl Counted {
    /// Of a caller that is known.
    pub(super) fn of(caller: &Caller, admitted: bool) -> Option<Self> {
        let record = caller.key()?;
        let in_grace = admitted && record.deprecated.is_some();
        Some(Self { admitted, in_grace, ..Self::tried(record) })
    }

    /// Of somebody who named this key with a wrong secret.
    pub(super) fn tried(record: &KeyRecord) -> Self {
        let (key, tenant) = (record.id.clone(), record.tenant.clone());
        Self { key, tenant, admitted: false, in_grace: false }
    }

    /// Counts it, with the status and code that it was answered with.
    pub(super) fn count(&self, context: &Context, status: u16, code: Option<Code>) {
        let path = &context.own.url().path;
        let route = CallRow::read(&context.method(), path).map_or_else(
            |_| path.trim_start_matches("/_tollgate/").to_owned(),
            |(row, _)| format!("{} {}", row.method, row.path),
        );
        let Self { key, tenant, admitted, in_grace } = self;
        count(&Sample {
            key: Some((key, tenant)),
            route: Some(&route),
            admitted: *admitted,
            in_grace: *in_grace,
            leased: false,
            ..context.own.sample(status, code, now())
        });
    }
}
