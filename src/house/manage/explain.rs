//! `POST explain`: the road as a dry run.

use serde_json::{Value, json};
use tollgate_core::explain::{self, Asks, Explained, Explanation, Signed};
use tollgate_core::key::KeyRecord;
use tollgate_core::manage::{AskedKey, Caller, ExplainAsk, sees};
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{record_of, visible_record};
use crate::house::hooks::verify::verified;
use crate::platform::{now, random};

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
        Some(presented) => {
            context.may_look_up(caller)?;
            let record = holder_of(context, caller, presented).await?;
            if record.is_none() {
                context.looked_up(caller);
            }
            record
        }
    };
    let entropy = random().ok_or(Code::InternalError)?;
    let policy = context.gate.policy.clone();
    let asks = Asks { now: now(), sees: &|source| sees(caller, source) };
    let told = match explain::explain(policy, record.as_ref(), &ask.request, &asks, &entropy) {
        Explained::Told(told) => *told,
        Explained::Signed(webhook) => signed(context, *webhook).await,
    };
    Ok(Answer::json(200, &json!(told)))
}

/// A webhook, with the gate's own secrets: for those who see its source, who learn no more than
/// whoever sends it.
async fn signed(context: &Context, webhook: Signed) -> Explanation {
    let name = webhook.source().map(|source| source.name.clone()).unwrap_or_default();
    let Some(source) = context.gate.policy.source_named(&name) else {
        return webhook.untold("it has no source");
    };
    let keys = match context.gate.keys_of(source) {
        Ok(keys) => keys,
        Err(error) => return webhook.unavailable(&error.to_string()),
    };
    let scheme = source.scheme.scheme();
    let limit = usize::try_from(source.body_limit).unwrap_or(usize::MAX);
    let found = verified(&scheme, &keys, &webhook.request(), limit).await;
    webhook.told(&found)
}

/// The record of a presented key or token, for its rightful holder alone: in a dry run it is taken
/// for right, so a wrong one must not get there.
async fn holder_of(
    context: &Context,
    caller: &Caller,
    presented: &AskedKey,
) -> Result<Option<KeyRecord>, Refused> {
    let ground = context.ground();
    let (id, refused) = match presented {
        AskedKey::Id(_) => return Ok(None),
        AskedKey::Presented(key) => (&key.id, ground.refuses(key, false)),
        AskedKey::Token(token) => (&token.id, ground.refuses_token(token)),
    };
    let token = matches!(presented, AskedKey::Token(_));
    // What the road says of another environment's key it says without its record.
    if refused == Some(Code::KeyInvalid) || (token && refused.is_some()) {
        return Ok(None);
    }
    let record = record_of(context, id).await?;
    Ok(record.filter(|record| {
        let holds = match presented {
            AskedKey::Id(_) => false,
            AskedKey::Presented(key) => ground.holds(key, record),
            AskedKey::Token(token) => ground.traded(token, record),
        };
        holds && caller.sees(&record.tenant)
    }))
}
