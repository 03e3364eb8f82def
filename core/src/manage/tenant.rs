//! `/_tollgate/v1/tenants`: tenants as operators own them, and what their bounds say to a key.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::field::{Errors, Field, Object};
use super::limit::rate;
use super::list::{DEFAULT_PAGE, page_size};
use super::rules::is_tenant;
use super::wish::{MAX_ENTRIES, MAX_LIMITS, MAX_NAME, emptied, metadata};
use crate::key::KeyRecord;
use crate::limit::Rate;
use crate::policy::Policy;
use crate::problem::{Code, Problem};
use crate::road::admission::own_limits;
use crate::scope::Scope;
use crate::tenant::{
    Asked, Bounds, Counted, Stop, Takes, Tenant, TenantQuery, TenantReply, TenantState,
};
use crate::time::UnixMillis;
use crate::word::Word;

/// Fields that making and changing a tenant have in common.
const FIELDS: [&str; 5] = ["title", "allowed_scopes", "largest_limits", "max_keys", "metadata"];
/// Fields of the resource that nobody writes.
const FIXED: [&str; 3] = ["name", "created_at", "keys"];

/// Reads the body of `POST tenants`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn new_tenant(body: &Value, now: UnixMillis) -> Result<Tenant, Box<Problem>> {
    let errors = Errors::default();
    let known: Vec<&str> = ["name"].into_iter().chain(FIELDS).collect();
    let tenant = Object::body(body, &known, &["state", "version", "created_at", "keys"], &errors)
        .and_then(|body| {
            let name = body.field("name").required().read(|text| {
                let wrong = "has to be 1 to 63 lower-case letters, digits and `-`, not first a `-`";
                if is_tenant(text) { Ok(text.to_owned()) } else { Err(wrong) }
            });
            let said = Said::read(&body);
            Some(said.put_into(Tenant::unmade(&name?, now)))
        });
    errors.settle(tenant)
}

/// What `PATCH tenants/{name}` asks for.
#[derive(Clone, Debug)]
pub struct TenantUpdate {
    version: u64,
    state: Option<TenantState>,
    said: Said,
}

impl TenantUpdate {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn read(body: &Value) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let known: Vec<&str> = ["version", "state"].into_iter().chain(FIELDS).collect();
        let update = Object::body(body, &known, &FIXED, &errors).and_then(|body| {
            let version = body.field("version").required().number();
            let state = body.field("state").read(state);
            let said = Said::read(&body);
            Some(Self { version: version?, state, said })
        });
        errors.settle(update)
    }

    /// The tenant as it is to be; its version is still that of `tenant`.
    ///
    /// # Errors
    /// `version_conflict`.
    pub fn of(self, tenant: Tenant) -> Result<Tenant, Box<Problem>> {
        if self.version != tenant.version {
            return Err(Box::new(tenant_conflict(tenant.version)));
        }
        let state = self.state.unwrap_or(tenant.state);
        Ok(Tenant { state, ..self.said.put_into(tenant) })
    }
}

/// What a body says of a tenant.
#[derive(Clone, Debug, Default)]
struct Said {
    title: Word<String>,
    allowed_scopes: Word<Vec<Scope>>,
    largest_limits: Word<Vec<Rate>>,
    max_keys: Word<u64>,
    metadata: Option<Map<String, Value>>,
}

impl Said {
    fn read(body: &Object<'_>) -> Self {
        let scope = |item: &Field<'_>| item.read(Scope::parse);
        let largest = |item: &Field<'_>| rate(&item.object(&["requests", "window"], &[])?);
        Self {
            title: body.word("title", |field| field.line(0, MAX_NAME)),
            allowed_scopes: body.word("allowed_scopes", |f| f.list(MAX_ENTRIES, scope)),
            largest_limits: body.word("largest_limits", |f| f.list(MAX_LIMITS, largest)),
            max_keys: body.word("max_keys", Field::number),
            metadata: emptied(body, "metadata").or_else(|| metadata(&body.field("metadata"))),
        }
    }

    fn put_into(self, tenant: Tenant) -> Tenant {
        let Bounds { allowed_scopes, largest_limits, max_keys } = tenant.bounds;
        Tenant {
            title: self.title.over(tenant.title).filter(|title| !title.is_empty()),
            bounds: Bounds {
                allowed_scopes: self.allowed_scopes.over(allowed_scopes),
                largest_limits: self.largest_limits.over(largest_limits),
                max_keys: self.max_keys.over(max_keys),
            },
            metadata: self.metadata.unwrap_or(tenant.metadata),
            ..tenant
        }
    }
}

/// Reads the query of `GET tenants`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn tenant_query(pairs: &Map<String, Value>) -> Result<TenantQuery, Box<Problem>> {
    let errors = Errors::default();
    let query = Object::query(pairs, &["limit", "cursor", "state"], &errors);
    let read = TenantQuery {
        limit: query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE),
        after: query.field("cursor").read(place),
        state: query.field("state").read(state),
    };
    errors.settle(Some(read))
}

/// `nextCursor` of a list that goes on after what is named so.
pub fn place_after(name: &str) -> String {
    BASE64URL_NOPAD.encode(["1.", name].concat().as_bytes())
}

/// What such a cursor names.
pub(super) fn place(text: &str) -> Result<String, &'static str> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let name = text.as_deref().and_then(|text| text.strip_prefix("1."));
    name.map(str::to_owned).ok_or("is not a nextCursor of this list")
}

fn state(text: &str) -> Result<TenantState, &'static str> {
    TenantState::parse(text).ok_or("has to be active or suspended")
}

/// Nothing, if the caller may make and change tenants.
///
/// # Errors
/// `not_grantable`.
pub fn may_own_tenants(caller: &Caller) -> Result<(), Box<Problem>> {
    if caller.is_operator() {
        return Ok(());
    }
    let detail = "Tenants are made and changed by operators.";
    Err(Box::new(Problem::new(Code::NotGrantable).detail(detail)))
}

/// The resource, as JSON.
pub fn tenant_resource(counted: &Counted) -> Value {
    let Counted { tenant, live, total } = counted;
    let largest = tenant.bounds.largest_limits.as_ref().map(|largest| {
        let shown = |rate: &Rate| json!({ "requests": rate.requests(), "window": rate.window().to_string() });
        largest.iter().map(shown).collect::<Vec<_>>()
    });
    json!({
        "name": tenant.name,
        "title": tenant.title,
        "state": tenant.state,
        "version": tenant.version,
        "created_at": tenant.created_at.to_rfc3339(),
        "allowed_scopes": tenant.bounds.allowed_scopes,
        "largest_limits": largest,
        "max_keys": tenant.bounds.max_keys,
        "keys": { "live": live, "total": total },
        "metadata": tenant.metadata,
    })
}

/// What of a key its tenant's bounds are about.
pub fn asked_of(record: &KeyRecord, policy: &Policy) -> Asked {
    Asked {
        kind: record.kind,
        scopes: Some(record.scopes.clone()),
        limits: Some(own_limits(record, policy)),
    }
}

/// The same for a change from one record to the next: what stays as it is is not judged again, and
/// a key that comes back from its end takes room.
pub fn asked_of_change(
    before: &KeyRecord,
    after: &KeyRecord,
    policy: &Policy,
    now: UnixMillis,
) -> (Asked, Takes) {
    let Asked { kind, scopes, limits } = asked_of(after, policy);
    let asked = Asked {
        kind,
        scopes: scopes.filter(|_| before.scopes != after.scopes),
        limits: limits.filter(|_| before.limits != after.limits),
    };
    let comes_back = before.is_expired(now) && !after.is_expired(now);
    (asked, if comes_back { Takes::Room } else { Takes::Nothing })
}

/// Reads the reply to an announcement. True when the tenant has just come to be.
///
/// # Errors
/// `state_conflict`, `not_grantable` with everything that is too much, `admission_unavailable`.
pub fn announced(tenant: &str, reply: TenantReply) -> Result<bool, Box<Problem>> {
    match reply {
        TenantReply::Announced { untold } => Ok(untold),
        TenantReply::Stopped(stop) => Err(Box::new(stopped(tenant, &stop))),
        _ => Err(Box::new(Code::AdmissionUnavailable.into())),
    }
}

/// Reads the reply about one tenant.
///
/// # Errors
/// `not_found`, `state_conflict`, `version_conflict`, `admission_unavailable`.
pub fn told_tenant(
    reply: TenantReply,
) -> Result<(Counted, Option<crate::tenant::Job>), Box<Problem>> {
    Err(Box::new(match reply {
        TenantReply::Tenant { counted, job } => return Ok((*counted, job.map(|job| *job))),
        TenantReply::Unknown => Code::NotFound.into(),
        TenantReply::Exists => Problem::new(Code::StateConflict)
            .detail("There is a tenant of this name: change it with PATCH."),
        TenantReply::VersionConflict { current } => tenant_conflict(current),
        _ => Code::AdmissionUnavailable.into(),
    }))
}

fn tenant_conflict(current: u64) -> Problem {
    let detail = format!("The tenant has version {current} now.");
    Problem::new(Code::VersionConflict).detail(detail).with("version", current)
}

fn stopped(tenant: &str, stop: &Stop) -> Problem {
    match stop {
        Stop::Suspended => {
            let detail = format!("The tenant `{tenant}` is suspended.");
            Problem::new(Code::StateConflict).detail(detail)
        }
        Stop::Full { max } => {
            let detail = format!(
                "The tenant `{tenant}` has as many keys as it may: {max} that are neither revoked \
                 nor expired."
            );
            Problem::new(Code::StateConflict).detail(detail).with("max_keys", *max)
        }
        Stop::Excess { scopes, limits } => {
            let mut excess: Vec<String> =
                scopes.iter().map(|scope| format!("the scope `{scope}`")).collect();
            excess.extend(limits.iter().map(|rate| {
                let (requests, window) = (rate.requests(), rate.window());
                format!("more than {requests} requests in {window} (counted by key)")
            }));
            let detail = format!("Beyond the tenant `{tenant}`: {}.", excess.join("; "));
            Problem::new(Code::NotGrantable).detail(detail)
        }
    }
}

#[cfg(test)]
mod tests;
