//! Asking the objects of families and the registries, as values.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Map;
use tollgate_core::audit::{AuditRequest, Draft};
use tollgate_core::endpoint::{EndpointReply, EndpointRequest};
use tollgate_core::family::{Change, FamilyReply, FamilyRequest};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{ALL_TENANTS, Caller, Changed, RegistryRequest};
use tollgate_core::people::{Asked, PeopleRequest};
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;

use super::Context;
use super::answer::Refused;
use crate::house::bindings;
use crate::house::memory;
use crate::platform::now;

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

/// Asks the keeper of a tenant's endpoints.
pub(super) async fn ask_endpoints(
    context: &Context,
    tenant: &str,
    request: &EndpointRequest,
) -> Result<EndpointReply, Fault> {
    ask(context, bindings::ENDPOINT, tenant, request).await
}

/// Asks a registry what it answers with something else than JSON.
pub(super) async fn ask_registry_text(
    context: &Context,
    name: &str,
    request: &RegistryRequest,
) -> Result<String, Fault> {
    ask_text(context, bindings::TENANT, name, request).await
}

async fn ask<T: DeserializeOwned>(
    context: &Context,
    namespace: &str,
    name: &str,
    request: &impl Serialize,
) -> Result<T, Fault> {
    let reply = ask_text(context, namespace, name, request).await?;
    serde_json::from_str(&reply).map_err(|error| Fault(format!("{namespace}: {error}")))
}

async fn ask_text(
    context: &Context,
    namespace: &str,
    name: &str,
    request: &impl Serialize,
) -> Result<String, Fault> {
    let message = serde_json::to_string(request);
    let message = message.map_err(|error| Fault(format!("{namespace}: {error}")))?;
    bindings::call_object(&context.env, namespace, name, &message).await
}

/// Asks about the holder of `key`: the object of its family, or the one that its own id names, which
/// knows where that is.
pub(super) async fn ask_people(
    context: &Context,
    object: &KeyId,
    key: &KeyId,
    request: PeopleRequest,
) -> Result<FamilyReply, Fault> {
    match &request {
        PeopleRequest::Find(_) | PeopleRequest::Admit { .. } | PeopleRequest::Attempt(_) => {}
        PeopleRequest::Close(_)
        | PeopleRequest::Open { .. }
        | PeopleRequest::Invite { .. }
        | PeopleRequest::Enrol { .. }
        | PeopleRequest::Confirm { .. } => context.changes(),
    }
    let request = FamilyRequest::People(Asked { key: key.clone(), request });
    match ask_family(context, object, &request).await? {
        FamilyReply::Moved { family } => ask_family(context, &family, &request).await,
        reply => Ok(reply),
    }
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
    change_by(context, caller.name(), family, change).await
}

/// The same, by whoever `actor` names.
pub(super) async fn change_by(
    context: &Context,
    actor: &str,
    family: &KeyId,
    change: Change,
) -> Result<Changed, Refused> {
    let request = FamilyRequest::Change {
        actor: actor.to_owned(),
        request_id: Some(context.own.request_id().to_owned()),
        address: context.own.address().map(|address| address.to_string()),
        change,
    };
    context.changes();
    let changed = Changed::read(Some(ask_family(context, family, &request).await?))?;
    for record in core::iter::once(&changed.record).chain(&changed.also) {
        if memory::known(&record.id).is_some() {
            memory::learn(record);
        }
    }
    if let Err(Fault(fault)) = bindings::flush_object(&context.env, family.as_str()).await {
        worker::console_error!("{{\"fault\":{fault:?}}}");
    }
    Ok(changed)
}

/// Something that happened in this call and is no change of a key, which its family tells itself.
/// Its tenant is the caller's, until the caller of this says otherwise.
pub(super) fn draft(context: &Context, caller: &Caller, kind: &str) -> Draft {
    Draft {
        at: now(),
        kind: kind.to_owned(),
        actor: caller.name().to_owned(),
        tenant: caller.tenant().unwrap_or(ALL_TENANTS).to_owned(),
        key: None,
        call: None,
        code: None,
        request_id: Some(context.own.request_id().to_owned()),
        address: context.own.address().map(|address| address.to_string()),
        fields: Vec::new(),
        detail: Map::new(),
        once: None,
    }
}

/// Writes into the audit what happened in this call: into the chain of each one's tenant, and into
/// the chain over all. A chain that does not answer is asked once more, and still has each of them
/// once.
pub(super) async fn note(context: &Context, drafts: Vec<Draft>) -> Result<(), Fault> {
    let mut chains: BTreeMap<String, Vec<Draft>> = BTreeMap::new();
    for (at, mut draft) in drafts.into_iter().enumerate() {
        let key = draft.key.as_deref().unwrap_or_default();
        let once = format!("{}/{}/{key}/{at}", context.own.request_id(), draft.kind);
        draft.once.get_or_insert(once);
        if draft.tenant != ALL_TENANTS {
            chains.entry(draft.tenant.clone()).or_default().push(draft.clone());
        }
        chains.entry(ALL_TENANTS.to_owned()).or_default().push(draft);
    }
    for (chain, drafts) in chains {
        let append = RegistryRequest::Audit(AuditRequest::Append(drafts));
        let written: Result<IgnoredAny, Fault> = ask_registry(context, &chain, &append).await;
        if written.is_err() {
            let _: IgnoredAny = ask_registry(context, &chain, &append).await?;
        }
    }
    Ok(())
}
