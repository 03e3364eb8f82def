//! `/_tollgate/v1/hooks/endpoints`: where a tenant has events sent to.

use serde_json::{Map, Value, json};
use tollgate_core::audit::{AuditRequest, Watched};
use tollgate_core::endpoint::{
    Endpoint, EndpointReply, EndpointRequest, Replay, SECRET_BYTES, endpoint_id,
};
use tollgate_core::manage::{
    ALL_TENANTS, BASE, Caller, EndpointAct, EndpointGround, NewEndpoint, RegistryRequest,
    delivery_query, delivery_resource, endpoint_keeper, endpoint_query, endpoint_replay,
    endpoint_resource, endpoint_secret, endpoint_update, own_hosts, place_after, rotation_grace,
    told_endpoint,
};
use tollgate_core::problem::Code;
use tollgate_core::text::Secret;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{ask_endpoints, ask_registry, draft, note};
use super::tenants::exists;
use crate::house::crypto::aes;
use crate::platform::{now, random};

/// `GET hooks/endpoints`
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let query = endpoint_query(query, caller)?;
    let tenant = known(context, caller, query.tenant).await?;
    let list = EndpointRequest::List { limit: query.limit, after: query.after };
    let EndpointReply::Page { endpoints, more } = ask(context, &tenant, list).await? else {
        return Err(Code::AdmissionUnavailable.into());
    };
    let next = endpoints.last().filter(|_| more).map(|last| place_after(&last.id));
    let shown = |endpoint: &Endpoint| endpoint_resource(endpoint, &tenant, now());
    let endpoints: Vec<Value> = endpoints.iter().map(shown).collect();
    Ok(Answer::json(200, &json!({ "endpoints": endpoints, "nextCursor": next })))
}

/// `POST hooks/endpoints`
pub(super) async fn create(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let hosts = own_hosts(&context.gate.policy);
    let ground = EndpointGround::new(&context.gate.policy, &hosts);
    let mut new = NewEndpoint::read(body, caller, ground)?;
    new.tenant = known(context, caller, new.tenant).await?;
    let tenant = new.tenant.clone();
    let random: [u8; 32] = random().ok_or(Code::InternalError)?;
    let id = endpoint_id(now(), &random).ok_or(Code::InternalError)?;
    let (secret, hidden) = fresh_secret(context, &tenant, &id).await?;
    context.changes();
    // From here on the keeper is told of events; the endpoint gets those after this moment.
    let watch = RegistryRequest::Audit(AuditRequest::Watch);
    let Watched { last } = ask_registry(context, &tenant, &watch).await?;
    let endpoint = new.endpoint(id.clone(), hidden, last, now());
    let endpoint = one(ask(context, &tenant, EndpointRequest::Create(Box::new(endpoint))).await?)?;
    audited(context, caller, "endpoint.created", &tenant, &id, Vec::new()).await?;
    let shown = endpoint_resource(&endpoint, &tenant, now());
    let answer = Answer::json(201, &json!({ "endpoint": shown, "secret": secret.expose() }));
    Ok(answer.with("Location", format!("{BASE}hooks/endpoints/{id}")))
}

/// The calls about one endpoint.
pub(super) async fn act(
    context: &Context,
    caller: &Caller,
    id: &str,
    act: EndpointAct,
    query: &Map<String, Value>,
    body: &Value,
) -> Result<Answer, Refused> {
    if act == EndpointAct::Deliveries {
        return deliveries(context, caller, id, query).await;
    }
    let tenant = known(context, caller, endpoint_keeper(query, caller)?).await?;
    let id = id.to_owned();
    let (kind, fields, request) = match act {
        EndpointAct::Show | EndpointAct::Deliveries => {
            let endpoint = one(ask(context, &tenant, EndpointRequest::Read { id }).await?)?;
            return Ok(told(&endpoint, &tenant, None));
        }
        EndpointAct::Rotate => return rotate(context, caller, &tenant, id, body).await,
        EndpointAct::Replay => {
            let replay = endpoint_replay(body)?;
            let dry_run = replay.dry_run;
            if !dry_run {
                context.changes();
            }
            let count = replayed(context, &tenant, &id, replay).await?;
            if !dry_run {
                audited(context, caller, "endpoint.replayed", &tenant, &id, Vec::new()).await?;
            }
            let status = if dry_run { 200 } else { 202 };
            return Ok(Answer::json(status, &json!({ "dry_run": dry_run, "count": count })));
        }
        EndpointAct::Update => {
            let hosts = own_hosts(&context.gate.policy);
            let ground = EndpointGround::new(&context.gate.policy, &hosts);
            let update = Box::new(endpoint_update(body, ground)?);
            let named = body.as_object().into_iter().flatten().map(|(name, _)| name.clone());
            let fields = named.filter(|name| name != "version").collect();
            ("endpoint.updated", fields, EndpointRequest::Update { id: id.clone(), update })
        }
        EndpointAct::Delete => {
            ("endpoint.deleted", Vec::new(), EndpointRequest::Delete { id: id.clone() })
        }
        EndpointAct::Test => {
            let request = EndpointRequest::Test { id: id.clone(), tenant: tenant.clone() };
            ("endpoint.tested", Vec::new(), request)
        }
    };
    context.changes();
    let reply = ask(context, &tenant, request).await?;
    audited(context, caller, kind, &tenant, &id, fields).await?;
    match reply {
        EndpointReply::Done => Ok(Answer::new(204)),
        EndpointReply::Sent(sent) => {
            Ok(Answer::json(202, &json!({ "delivery": delivery_resource(&sent) })))
        }
        reply => Ok(told(&one(reply)?, &tenant, None)),
    }
}

async fn rotate(
    context: &Context,
    caller: &Caller,
    tenant: &str,
    id: String,
    body: &Value,
) -> Result<Answer, Refused> {
    let grace = rotation_grace(body)?;
    let (secret, hidden) = fresh_secret(context, tenant, &id).await?;
    context.changes();
    let request = EndpointRequest::Rotate { id: id.clone(), secret: hidden, grace };
    let endpoint = one(ask(context, tenant, request).await?)?;
    audited(context, caller, "endpoint.rotated", tenant, &id, Vec::new()).await?;
    Ok(told(&endpoint, tenant, Some(&secret)))
}

/// Has the keeper send again, in as many calls as it takes; how many that were.
async fn replayed(
    context: &Context,
    tenant: &str,
    id: &str,
    replay: Replay,
) -> Result<u64, Refused> {
    let (mut all, mut from) = (0_u64, None);
    loop {
        let (id, replay) = (id.to_owned(), replay.clone());
        let request = EndpointRequest::Replay { id, replay, from };
        let EndpointReply::Replayed { count, next } = ask(context, tenant, request).await? else {
            return Err(Code::AdmissionUnavailable.into());
        };
        all = all.saturating_add(count);
        if next.is_none() {
            return Ok(all);
        }
        from = next;
    }
}

async fn deliveries(
    context: &Context,
    caller: &Caller,
    id: &str,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let (tenant, query) = delivery_query(query, caller)?;
    let tenant = known(context, caller, tenant).await?;
    let request = EndpointRequest::Deliveries { id: id.to_owned(), query };
    let EndpointReply::Deliveries { deliveries, more } = ask(context, &tenant, request).await?
    else {
        return Err(Code::AdmissionUnavailable.into());
    };
    let next = deliveries.last().filter(|_| more).map(|last| place_after(&last.event));
    let deliveries: Vec<Value> = deliveries.iter().map(delivery_resource).collect();
    Ok(Answer::json(200, &json!({ "deliveries": deliveries, "nextCursor": next })))
}

/// A secret, and the same as it is kept.
async fn fresh_secret(
    context: &Context,
    tenant: &str,
    id: &str,
) -> Result<(Secret, String), Refused> {
    let keys = aes::store_keys(&context.env)?;
    let secret = endpoint_secret(&random::<SECRET_BYTES>().ok_or(Code::InternalError)?);
    let hidden = aes::keep(&keys, &Endpoint::row(tenant, id), secret.expose()).await?;
    Ok((secret, hidden))
}

/// The tenant, if it exists for the caller.
async fn known(context: &Context, caller: &Caller, tenant: String) -> Result<String, Refused> {
    if tenant != ALL_TENANTS {
        exists(context, caller, &tenant).await?;
    }
    Ok(tenant)
}

fn one(reply: EndpointReply) -> Result<Endpoint, Refused> {
    match reply {
        EndpointReply::Endpoint(endpoint) => Ok(*endpoint),
        _ => Err(Code::AdmissionUnavailable.into()),
    }
}

fn told(endpoint: &Endpoint, tenant: &str, secret: Option<&Secret>) -> Answer {
    let mut body = json!({ "endpoint": endpoint_resource(endpoint, tenant, now()) });
    if let (Some(secret), Value::Object(members)) = (secret, &mut body) {
        members.insert("secret".to_owned(), secret.expose().into());
    }
    Answer::json(200, &body)
}

async fn audited(
    context: &Context,
    caller: &Caller,
    kind: &str,
    tenant: &str,
    id: &str,
    fields: Vec<String>,
) -> Result<(), Refused> {
    let mut event = draft(context, caller, kind);
    tenant.clone_into(&mut event.tenant);
    event.fields = fields;
    event.detail.insert("endpoint".to_owned(), id.into());
    Ok(note(context, vec![event]).await?)
}

async fn ask(
    context: &Context,
    tenant: &str,
    request: EndpointRequest,
) -> Result<EndpointReply, Refused> {
    Ok(told_endpoint(ask_endpoints(context, tenant, &request).await?)?)
}
