//! `/_tollgate/v1/tenants`, and asking a tenant's object whether a key may be as it is to be.

use serde_json::{Map, Value, json};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{
    ALL_TENANTS, BASE, Caller, RegistryRequest, TenantUpdate, announced, asked_of, job_id,
    job_resource, may_own_tenants, new_tenant, place_after, tenant_query, tenant_resource,
    told_tenant,
};
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;
use tollgate_core::tenant::{Asked, JobSeed, Takes, Tenant, TenantReply, TenantRequest};
use tollgate_core::text::random_base62;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{ask_registry, draft};
use crate::house::bindings;
use crate::platform::{now, random};

/// `GET tenants`. A caller of one tenant sees its own.
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let query = tenant_query(query)?;
    let registry = caller.tenant().unwrap_or(ALL_TENANTS);
    let page = ask(context, registry, TenantRequest::List(query)).await?;
    let TenantReply::Page { tenants, more } = page else {
        return Err(Code::AdmissionUnavailable.into());
    };
    let next = tenants.last().filter(|_| more).map(|last| place_after(&last.tenant.name));
    let tenants: Vec<Value> = tenants.iter().map(tenant_resource).collect();
    Ok(Answer::json(200, &json!({ "tenants": tenants, "nextCursor": next })))
}

/// `POST tenants`
pub(super) async fn create(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    may_own_tenants(caller)?;
    let tenant = new_tenant(body, now())?;
    let name = tenant.name.clone();
    let event = Box::new(draft(context, caller, "tenant.created"));
    let request = TenantRequest::Create { tenant: Box::new(tenant), event };
    context.changes();
    let (counted, _) = told_tenant(ask(context, &name, request).await?)?;
    tell_all(context, &name).await;
    let answer = Answer::json(201, &json!({ "tenant": tenant_resource(&counted) }));
    Ok(answer.with("Location", format!("{BASE}tenants/{name}")))
}

/// `GET tenants/{name}`
pub(super) async fn show(
    context: &Context,
    caller: &Caller,
    name: &str,
) -> Result<Answer, Refused> {
    exists(context, caller, name).await?;
    let read = TenantRequest::Read { name: name.to_owned() };
    let (counted, _) = told_tenant(ask(context, name, read).await?)?;
    Ok(Answer::json(200, &json!({ "tenant": tenant_resource(&counted) })))
}

/// `PATCH tenants/{name}`
pub(super) async fn update(
    context: &Context,
    caller: &Caller,
    name: &str,
    body: &Value,
) -> Result<Answer, Refused> {
    exists(context, caller, name).await?;
    may_own_tenants(caller)?;
    let update = TenantUpdate::read(body)?;
    let read = TenantRequest::Read { name: name.to_owned() };
    let (counted, _) = told_tenant(ask(context, name, read).await?)?;
    let tenant: Tenant = update.of(counted.tenant)?;
    let request = TenantRequest::Update {
        tenant: Box::new(tenant),
        job: job_seed(caller)?,
        event: Box::new(draft(context, caller, "tenant.updated")),
    };
    context.changes();
    let (counted, job) = told_tenant(ask(context, name, request).await?)?;
    tell_all(context, name).await;
    let mut answer = json!({ "tenant": tenant_resource(&counted) });
    if let (Some(job), Value::Object(members)) = (&job, &mut answer) {
        members.insert("job".to_owned(), job_resource(job));
    }
    Ok(Answer::json(200, &answer))
}

/// A job that this caller starts.
pub(super) fn job_seed(caller: &Caller) -> Result<JobSeed, Refused> {
    let random: [u8; 32] = random().ok_or(Code::InternalError)?;
    let id = job_id(now(), &random).ok_or(Code::InternalError)?;
    Ok(JobSeed { id, actor: caller.name().to_owned() })
}

/// Has the tenant's object tell the object over all tenants, so that a list shows what was just
/// done. Should that fail, its alarm tells it later.
pub(super) async fn tell_all(context: &Context, name: &str) {
    if let Err(Fault(fault)) = bindings::flush_tenant(&context.env, name).await {
        worker::console_error!("{{\"fault\":{fault:?}}}");
    }
}

/// A key that is about to be, as its tenant's object is told.
pub(super) struct Coming<'k> {
    pub(super) tenant: &'k str,
    pub(super) id: &'k KeyId,
    /// The version of its record to come.
    pub(super) version: u64,
    pub(super) takes: Takes,
    pub(super) asked: Asked,
}

/// One attempt to make a key so, by which it is withdrawn: somebody else may have announced the same.
pub(super) struct Attempt(String);

impl<'k> Coming<'k> {
    /// All of a key.
    pub(super) fn key(context: &Context, record: &'k KeyRecord, takes: Takes) -> Self {
        Self {
            tenant: &record.tenant,
            id: &record.id,
            version: record.version,
            takes,
            asked: asked_of(record, &context.gate.policy),
        }
    }

    /// The attempt, if the tenant's bounds allow it; the tenant's object then counts it as if it
    /// were there, until it hears of it.
    pub(super) async fn announce(&self, context: &Context) -> Result<Attempt, Refused> {
        let random: [u8; 32] = random().ok_or(Code::InternalError)?;
        let attempt = Attempt(random_base62(&random, 12).ok_or(Code::InternalError)?);
        let announce = TenantRequest::Announce {
            tenant: self.tenant.to_owned(),
            id: self.id.clone(),
            version: self.version,
            attempt: attempt.0.clone(),
            takes: self.takes,
            asked: self.asked.clone(),
        };
        let untold = announced(self.tenant, ask(context, self.tenant, announce).await?)?;
        // No key of a tenant that the object over all has not heard of: a job over all tenants
        // would not know where to ask.
        if untold {
            let told = bindings::flush_tenant(&context.env, self.tenant).await;
            if !matches!(told, Ok(true)) {
                self.withdraw(context, attempt).await;
                return Err(told.err().map_or(Code::AdmissionUnavailable.into(), Refused::from));
            }
        }
        Ok(attempt)
    }

    /// What the change came to, if it failed: unless nobody knows, it will not be.
    pub(super) async fn unless_failed<T>(
        &self,
        context: &Context,
        attempt: Attempt,
        changed: Result<T, Refused>,
    ) -> Result<T, Refused> {
        if changed.as_ref().is_err_and(|refused| refused.code() != Code::AdmissionUnavailable) {
            self.withdraw(context, attempt).await;
        }
        changed
    }

    /// It will not be.
    pub(super) async fn withdraw(&self, context: &Context, attempt: Attempt) {
        let (id, version, Attempt(attempt)) = (self.id.clone(), self.version, attempt);
        let request = TenantRequest::Withdraw { id, version, attempt };
        if let Err(Fault(fault)) = ask(context, self.tenant, request).await {
            worker::console_error!("{{\"fault\":{fault:?}}}");
        }
    }
}

/// Nothing, if this tenant exists for the caller, as far as that is known without its object: an
/// object is never addressed for a name that nobody has used.
pub(super) async fn exists(context: &Context, caller: &Caller, name: &str) -> Result<(), Refused> {
    if let Some(own) = caller.tenant() {
        return if own == name { Ok(()) } else { Err(Code::NotFound.into()) };
    }
    let read = TenantRequest::Read { name: name.to_owned() };
    match ask(context, ALL_TENANTS, read).await? {
        TenantReply::Unknown => Err(Code::NotFound.into()),
        _ => Ok(()),
    }
}

async fn ask(context: &Context, name: &str, request: TenantRequest) -> Result<TenantReply, Fault> {
    ask_registry(context, name, &RegistryRequest::Tenant(request)).await
}
