//! `/_tollgate/v1/usage`, and that of one key.

use serde_json::{Map, Value};
use tollgate_core::key::KeyId;
use tollgate_core::manage::{Caller, RegistryRequest, UsageQuery};
use tollgate_core::usage::UsageRequest;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{ask_registry, visible_record};
use crate::platform::now;

/// `GET keys/{id}/usage`
pub(super) async fn of_key(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let record = visible_record(context, caller, id).await?;
    tell(context, UsageQuery::of_key(query, id, &record.tenant, now())?).await
}

/// `GET usage`
pub(super) async fn of_tenant(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    tell(context, UsageQuery::of_tenant(query, caller, now())?).await
}

async fn tell(context: &Context, query: UsageQuery) -> Result<Answer, Refused> {
    let UsageQuery { tenant, request } = query;
    let request = RegistryRequest::Usage(UsageRequest::Report(request));
    let body: Value = ask_registry(context, &tenant, &request).await?;
    Ok(Answer::json(200, &body))
}
