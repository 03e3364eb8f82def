//! Asking the objects of families and the registries, as values.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::family::{Change, FamilyReply, FamilyRequest};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{Caller, Changed, RegistryRequest};
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;

use super::Context;
use super::answer::Refused;
use crate::bindings;
use crate::gate::{now, with_isolate};

/// Asks the object that `object` names.
pub(super) async fn ask_family(
    context: &Context,
    object: &KeyId,
    request: &FamilyRequest,
) -> Result<FamilyReply, Fault> {
    ask(context, bindings::KEY, object.as_str(), request).await
}

/// Asks a registry.
pub(super) async fn ask_registry<T: DeserializeOwned>(
    context: &Context,
    name: &str,
    request: &RegistryRequest,
) -> Result<T, Fault> {
    ask(context, bindings::TENANT, name, request).await
}

async fn ask<T: DeserializeOwned>(
    context: &Context,
    namespace: &str,
    name: &str,
    request: &impl Serialize,
) -> Result<T, Fault> {
    let fault = |error: serde_json::Error| Fault(format!("{namespace}: {error}"));
    let message = serde_json::to_string(request).map_err(fault)?;
    let reply = bindings::call_object(&context.env, namespace, name, &message).await?;
    serde_json::from_str(&reply).map_err(fault)
}

/// The record of a key, from its family's object; None for an id that the gate never made, which
/// asks no object, and for a key that is not there.
pub(super) async fn record_of(context: &Context, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
    if !context.ground().made(id) {
        return Ok(None);
    }
    let read = FamilyRequest::Read { id: id.clone() };
    let mut reply = ask_family(context, id, &read).await?;
    if let FamilyReply::Moved { family } = reply {
        reply = ask_family(context, &family, &read).await?;
    }
    match reply {
        FamilyReply::Record { record } => Ok(Some(*record)),
        FamilyReply::Unknown => Ok(None),
        other => Err(Fault(format!("a record was read, and {other:?} came back"))),
    }
}

/// The record of a key that exists for this caller.
pub(super) async fn visible_record(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
) -> Result<KeyRecord, Refused> {
    let record = record_of(context, id).await?.ok_or(Code::NotFound)?;
    caller.may_see(&record)?;
    Ok(record)
}

/// Changes a family, and has it tell KV and the registries before the caller is answered, so that
/// a list shows what was just made. Should that fail, the family's alarm tells them later. This
/// isolate knows at once, of keys that it knew.
pub(super) async fn change(
    context: &Context,
    caller: &Caller,
    family: &KeyId,
    change: Change,
) -> Result<Changed, Refused> {
    let actor = caller.name().to_owned();
    let request = FamilyRequest::Change { actor, change };
    let changed = Changed::read(Some(ask_family(context, family, &request).await?))?;
    with_isolate(|isolate| {
        for record in core::iter::once(&changed.record).chain(&changed.also) {
            if isolate.known(&record.id).is_some() {
                isolate.learn(record.clone(), now());
            }
        }
    });
    if let Err(Fault(fault)) = bindings::flush_object(&context.env, family.as_str()).await {
        worker::console_error!("{{\"fault\":{fault:?}}}");
    }
    Ok(changed)
}
