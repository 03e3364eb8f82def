//! `/_tollgate/v1/keys`: keys and their life.

use serde_json::{Value, json};
use tollgate_core::family::{Change, FamilyReply, FamilyRequest};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{
    ALL_TENANTS, Action, ActionBody, BASE, Caller, KeyView, ListQuery, Making, NewKey, Page,
    RegistryRequest, Update, asked_of_change, fresh_key, read_action, rehearsed,
};
use tollgate_core::problem::Code;
use tollgate_core::road::{Fault, Trust};
use tollgate_core::tenant::Takes;
use tollgate_core::text::Secret;
use tollgate_core::time::Millis;

use super::answer::{Answer, Refused};
use super::objects::{ask_family, ask_registry, change, visible_record};
use super::tenants::Coming;
use super::{Context, session};
use crate::platform::{now, random};

/// `POST keys`
pub(super) async fn create(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let bounds = context.bounds();
    let new = NewKey::read(body, &bounds, caller, now())?;
    let random = randomness()?;
    let made = new.make(&bounds, &making(context, &random)?).ok_or_else(no_key)?;
    let family = made.record.family.clone();
    let coming = Coming::key(context, &made.record, Takes::Room);
    let attempt = coming.announce(context).await?;
    let create = Change::Create { record: Box::new(made.record.clone()) };
    let changed = change(context, caller, &family, create).await;
    let changed = coming.unless_failed(context, attempt, changed).await?;
    let enrolment = if changed.record.mfa {
        // The key is there: whoever made it can have another code.
        session::invite(context, caller, &changed.record).await.ok()
    } else {
        None
    };
    Ok(made_answer(&changed.record, &made.secret, None, enrolment))
}

/// `GET keys`
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Answer, Refused> {
    let registry = caller.tenant().unwrap_or(ALL_TENANTS);
    let request = RegistryRequest::List(query.clone());
    let page: Page = ask_registry(context, registry, &request).await?;
    let now = now();
    let keys: Vec<Value> = page.keys.iter().map(|listed| listed.resource(now)).collect();
    let next = page.next.map(|cursor| cursor.to_text());
    Ok(Answer::json(200, &json!({ "keys": keys, "nextCursor": next })))
}

/// `GET keys/{id}`
pub(super) async fn show(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
) -> Result<Answer, Refused> {
    let record = visible_record(context, caller, id).await?;
    Ok(Answer::json(200, &json!({ "key": resource(&record) })))
}

/// `PATCH keys/{id}`
pub(super) async fn update(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
    body: &Value,
) -> Result<Answer, Refused> {
    let record = visible_record(context, caller, id).await?;
    caller.may_change(&record)?;
    let patched = Update::read(body)?.patch(&record, &context.bounds(), now())?;
    caller.may_grant(&patched.after)?;
    let policy = &context.gate.policy;
    let (asked, takes) = asked_of_change(&record, &patched.after, policy, now());
    let version = record.version.saturating_add(1);
    let coming = Coming { tenant: &record.tenant, id, version, takes, asked };
    let attempt = coming.announce(context).await?;
    let update =
        Change::Update { id: id.clone(), version: record.version, patch: Box::new(patched.patch) };
    let changed = match change(context, caller, &record.family, update).await {
        Ok(changed) if changed.record.version < version => {
            coming.withdraw(context, attempt).await;
            changed
        }
        changed => coming.unless_failed(context, attempt, changed).await?,
    };
    Ok(Answer::json(200, &json!({ "key": resource(&changed.record) })))
}

/// `POST keys/{id}/{action}`
pub(super) async fn act(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
    action: Action,
    body: &Value,
) -> Result<Answer, Refused> {
    let asked = read_action(action, body)?;
    match judged_and_done(context, caller, id, asked).await {
        // What was judged is not what is there any more: it is judged once more.
        Err(refused) if refused.code() == Code::VersionConflict => {
            judged_and_done(context, caller, id, asked).await
        }
        done => done,
    }
}

/// Whether the caller may is decided on a record. What would make somebody stronger names its
/// version, so that it is done to that record or not at all.
async fn judged_and_done(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
    asked: ActionBody,
) -> Result<Answer, Refused> {
    let record = visible_record(context, caller, id).await?;
    caller.may_change(&record)?;
    let id = record.id.clone();
    let asked = match asked {
        ActionBody::Rotate { grace } => return rotate(context, caller, &record, grace).await,
        ActionBody::EndGrace => Change::EndGrace { id, version: None },
        ActionBody::Disable => Change::Disable { id, version: None },
        ActionBody::Enable => {
            // It comes out stronger than it went in.
            caller.may_grant(&record)?;
            Coming::key(context, &record, Takes::Nothing).announce(context).await?;
            Change::Enable { id, version: Some(record.version) }
        }
        ActionBody::Revoke { family } => Change::Revoke { id, whole_family: family },
    };
    let changed = change(context, caller, &record.family, asked).await?;
    Ok(Answer::json(200, &json!({ "key": resource(&changed.record) })))
}

async fn rotate(
    context: &Context,
    caller: &Caller,
    old: &KeyRecord,
    grace: Millis,
) -> Result<Answer, Refused> {
    // Whoever rotates a key gets to see a secret with all of its rights.
    caller.may_grant(old)?;
    let bounds = context.bounds();
    let random = randomness()?;
    let making = making(context, &random)?;
    let key = fresh_key(old.kind, &bounds, &making).ok_or_else(no_key)?;
    let rotation = Change::Rotate {
        id: old.id.clone(),
        new_id: key.id.clone(),
        digest: making.peppers.digest(&key).ok_or_else(no_key)?,
        grace,
        max_lifetime: Some(bounds.longest()),
        version: Some(old.version),
    };
    // What has to fail leaves nothing behind.
    rehearsed(old, &rotation, now())?;
    // A key that takes another one's place needs no room of its own: that one goes by itself.
    let new = KeyRecord { id: key.id.clone(), version: 1, ..old.clone() };
    let coming = Coming::key(context, &new, Takes::Anyway);
    let attempt = coming.announce(context).await?;
    // First the new id's object learns whose it is: a key that works can always be found.
    let claim = FamilyRequest::Claim { family: old.family.clone() };
    let claimed = match ask_family(context, &key.id, &claim).await {
        Ok(FamilyReply::Claimed) => Ok(()),
        Ok(other) => Err(Fault(format!("a new id was claimed, and {other:?} came back"))),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = claimed {
        coming.withdraw(context, attempt).await;
        return Err(fault.into());
    }
    let changed = change(context, caller, &old.family, rotation).await;
    let changed = coming.unless_failed(context, attempt, changed).await?;
    let previous = changed.also.iter().find(|record| record.id == old.id);
    Ok(made_answer(&changed.record, &key.text(), previous, None))
}

/// The one answer that shows a secret.
fn made_answer(
    record: &KeyRecord,
    secret: &Secret,
    previous: Option<&KeyRecord>,
    enrolment: Option<Value>,
) -> Answer {
    let mut body = json!({ "key": resource(record), "secret": secret.expose() });
    if let (Some(enrolment), Value::Object(members)) = (enrolment, &mut body) {
        members.insert("enrolment".to_owned(), enrolment);
    }
    if let (Some(previous), Value::Object(members)) = (previous, &mut body) {
        members.insert("previous".to_owned(), resource(previous));
    }
    Answer::json(201, &body).with("Location", format!("{BASE}keys/{}", record.id))
}

fn resource(record: &KeyRecord) -> Value {
    KeyView::from(record).resource(now())
}

fn randomness() -> Result<[u8; 128], Refused> {
    random().ok_or_else(|| Code::InternalError.into())
}

fn making<'g>(context: &'g Context, random: &'g [u8; 128]) -> Result<Making<'g>, Refused> {
    match &context.gate.trust {
        Trust::Secrets { peppers, ids } => Ok(Making { peppers, ids, random }),
        Trust::Assumed => Err(Code::InternalError.into()),
    }
}

/// Random bytes of which too many fall outside base62, which real ones never do.
fn no_key() -> Refused {
    Code::InternalError.into()
}
