//! `/_tollgate/v1/jobs`, and `POST keys/revoke`, which starts one.

use serde_json::{Map, Value, json};

use super::caller::{Caller, Right};
use super::field::{Errors, Object};
use super::list::{DEFAULT_PAGE, page_size};
use super::rules::is_tenant;
use super::tenant::place;
use super::wish::MAX_TAG;
use crate::key::{KeyId, KeyKind};
use crate::problem::{Code, Problem};
use crate::tenant::{ALL_TENANTS, Job, JobQuery, JobState, Mandate, Target};
use crate::text::{base62, random_base62};
use crate::time::UnixMillis;

/// What `POST keys/revoke` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeMany {
    /// Which keys. Of a family its id is what was said: any key of it.
    pub target: Target,
    /// Which of them the caller may.
    pub mandate: Mandate,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl RevokeMany {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong; `not_found` for another tenant.
    pub fn read(body: &Value, caller: &Caller) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let read = Object::body(body, &["tenant", "tag", "family", "dry_run"], &[], &errors);
        let read = read.map(|body| {
            let (tenant, tag, family) =
                (body.field("tenant"), body.field("tag"), body.field("family"));
            if !(tenant.is_given() || tag.is_given() || family.is_given()) {
                errors.note("", "say which keys: tenant, tag or family");
            }
            if family.is_given() && (tenant.is_given() || tag.is_given()) {
                family.wrong("stands alone, without tenant and tag");
            }
            Self {
                target: Target {
                    tenant: tenant.read(|text| match text {
                        ALL_TENANTS => Ok(text.to_owned()),
                        _ if is_tenant(text) => Ok(text.to_owned()),
                        _ => Err("is no name of a tenant"),
                    }),
                    tag: tag.line(1, MAX_TAG),
                    family: family.read(|text| KeyId::parse(text).map_err(|_| "is no id of a key")),
                },
                mandate: mandate(caller),
                dry_run: body.field("dry_run").boolean().unwrap_or(false),
            }
        });
        let mut read = errors.settle(read)?;
        match (caller.tenant(), &read.target.tenant) {
            (Some(own), Some(tenant)) if own != tenant => {
                return Err(Box::new(Code::NotFound.into()));
            }
            (Some(own), _) => read.target.tenant = Some(own.to_owned()),
            (None, _) => {}
        }
        Ok(read)
    }
}

/// The keys that this caller may change.
fn mandate(caller: &Caller) -> Mandate {
    let all = [KeyKind::Pk, KeyKind::Sk, KeyKind::Rk, KeyKind::Ak];
    let may = |kind: &KeyKind| caller.require(&[Right::to_change(*kind)]).is_ok();
    let spared = caller.key().map(|own| own.family.clone());
    Mandate { kinds: all.into_iter().filter(may).collect(), spared }
}

/// Reads the query of `GET jobs`.
///
/// # Errors
/// `invalid_field` with everything that is wrong; `not_found` for another tenant.
pub fn job_query(pairs: &Map<String, Value>, caller: &Caller) -> Result<JobQuery, Box<Problem>> {
    let errors = Errors::default();
    let query = Object::query(pairs, &["limit", "cursor", "tenant", "state"], &errors);
    let state = |text: &str| JobState::parse(text).ok_or("has to be running or done");
    let read = JobQuery {
        limit: query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE),
        after: query.field("cursor").read(place),
        tenant: query.field("tenant").line(1, 100),
        state: query.field("state").read(state),
    };
    let read = errors.settle(Some(read))?;
    match (caller.tenant(), &read.tenant) {
        (Some(own), Some(tenant)) if own != tenant => Err(Box::new(Code::NotFound.into())),
        _ => Ok(read),
    }
}

/// A fresh id of a job: later ones come after it in the order of texts. None when the random bytes
/// are unusable, which never happens with real ones.
pub fn job_id(now: UnixMillis, random: &[u8]) -> Option<String> {
    Some(base62(now.as_millis(), 8) + &random_base62(random, 8)?)
}

/// True for what [`job_id`] makes.
pub fn is_job_id(text: &str) -> bool {
    text.len() == 16 && crate::text::is_base62(text)
}

/// The resource, as JSON.
pub fn job_resource(job: &Job) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "tenant": job.target.tenant,
        "tag": job.target.tag,
        "family": job.target.family,
        "state": job.state(),
        "total": job.tally.total,
        "done": job.tally.done,
        "failed": job.tally.failed,
        "skipped": job.tally.skipped,
        "actor": job.actor,
        "started_at": job.started_at.to_rfc3339(),
        "finished_at": job.finished_at.map(UnixMillis::to_rfc3339),
        "superseded_by": job.superseded_by,
    })
}

#[cfg(test)]
mod tests;
