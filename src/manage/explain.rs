//! `POST explain`: the road as a dry run.

use serde_json::{Value, json};
use tollgate_core::explain;
use tollgate_core::key::KeyRecord;
use tollgate_core::manage::{AskedKey, Caller, ExplainAsk};
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{record_of, visible_record};
use crate::gate::{now, random};

/// Explains a request of a key that exists for the caller.
pub(super) async fn explain(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let ask = ExplainAsk::read(body)?;
    let record = match &ask.key {
        None => None,
        Some(AskedKey::Id(id)) => Some(visible_record(context, caller, id).await?),
        Some(AskedKey::Presented(key)) => {
            context.may_look_up(caller)?;
            let record = holder_of(context, caller, key).await?;
            if record.is_none() {
                context.looked_up(caller);
            }
            record
        }
    };
    let entropy = random().ok_or(Code::InternalError)?;
    let policy = context.gate.policy.clone();
    let told = explain::explain(policy, record.as_ref(), &ask.request, now(), &entropy);
    Ok(Answer::json(200, &json!(told)))
}

/// The record of a presented key, for the holder of its secret alone: in a dry run the secret is
/// taken for right, so a wrong one must not get there.
async fn holder_of(
    context: &Context,
    caller: &Caller,
    key: &tollgate_core::key::Key,
) -> Result<Option<KeyRecord>, Refused> {
    let ground = context.ground();
    if ground.refuses(key, false) == Some(Code::KeyInvalid) {
        return Ok(None);
    }
    let record = record_of(context, &key.id).await?;
    Ok(record.filter(|record| ground.holds(key, record) && caller.sees(&record.tenant)))
}
