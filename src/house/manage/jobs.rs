//! `/_tollgate/v1/jobs`, and `POST keys/revoke`, which starts one.

use serde_json::{Map, Value, json};
use tollgate_core::manage::{
    ALL_TENANTS, BASE, Caller, RegistryRequest, RevokeMany, is_job_id, job_query, job_resource,
    place_after,
};
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;
use tollgate_core::tenant::{Job, JobKind, JobReply, JobRequest, JobState};

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{ask_registry, draft, visible_record};
use super::tenants::{job_seed, tell_all};
use crate::platform::now;

/// `POST keys/revoke`
pub(super) async fn revoke_keys(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let RevokeMany { mut target, mandate, dry_run } = RevokeMany::read(body, caller)?;
    if let Some(id) = &target.family {
        let record = visible_record(context, caller, id).await?;
        caller.may_change(&record)?;
        target.family = Some(record.family);
        target.tenant = Some(record.tenant);
    }
    let keeper = target.keeper().to_owned();
    if dry_run {
        let rehearse = JobRequest::Rehearse { target, mandate };
        let JobReply::Rehearsed { count, skipped, keys } = ask(context, &keeper, rehearse).await?
        else {
            return Err(Code::AdmissionUnavailable.into());
        };
        let told = json!({ "dry_run": true, "count": count, "skipped": skipped, "keys": keys });
        return Ok(Answer::json(200, &told));
    }
    let job = Job::new(job_seed(caller)?, JobKind::Revoke, target, mandate, now());
    let event = Box::new(draft(context, caller, "job.started"));
    context.changes();
    let job = told(ask(context, &keeper, JobRequest::Start { job: Box::new(job), event }).await?)?;
    if keeper != ALL_TENANTS {
        tell_all(context, &keeper).await;
    }
    let answer = Answer::json(202, &json!({ "job": job_resource(&job) }));
    Ok(answer.with("Location", format!("{BASE}jobs/{}", job.id)))
}

/// `GET jobs`
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let query = job_query(query, caller)?;
    let registry = caller.tenant().unwrap_or(ALL_TENANTS);
    let JobReply::Page(page) = ask(context, registry, JobRequest::List(query)).await? else {
        return Err(Code::AdmissionUnavailable.into());
    };
    let next = page.jobs.last().filter(|_| page.more).map(|last| place_after(&last.id));
    let jobs: Vec<Value> = page.jobs.iter().map(job_resource).collect();
    Ok(Answer::json(200, &json!({ "jobs": jobs, "nextCursor": next })))
}

/// `GET jobs/{id}`, from the object that does the job.
pub(super) async fn show(context: &Context, caller: &Caller, id: &str) -> Result<Answer, Refused> {
    if !is_job_id(id) {
        return Err(Code::NotFound.into());
    }
    let registry = caller.tenant().unwrap_or(ALL_TENANTS);
    let read = JobRequest::Read { id: id.to_owned() };
    let mut job = told(ask(context, registry, read.clone()).await?)?;
    if job.state() == JobState::Running && job.target.keeper() != registry {
        job = told(ask(context, job.target.keeper(), read).await?)?;
    }
    Ok(Answer::json(200, &json!({ "job": job_resource(&job) })))
}

fn told(reply: JobReply) -> Result<Job, Refused> {
    match reply {
        JobReply::Job(job) => Ok(*job),
        JobReply::Unknown => Err(Code::NotFound.into()),
        _ => Err(Code::AdmissionUnavailable.into()),
    }
}

async fn ask(context: &Context, name: &str, request: JobRequest) -> Result<JobReply, Fault> {
    ask_registry(context, name, &RegistryRequest::Job(request)).await
}
