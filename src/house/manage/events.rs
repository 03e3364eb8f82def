//! `/_tollgate/v1/hooks…`: sources, events that came in, and webhooks that were refused.

use serde_json::{Map, Value, json};
use tollgate_core::inbox::{EventId, InboxReply, InboxRequest, Replay, WhichState};
use tollgate_core::manage::{
    ALL_TENANTS, Caller, event_query, event_resource, event_whole, listed_sources, merged,
    read_replay, refusal_query, refusal_resource, source_resource, visible_source,
};
use tollgate_core::policy::Source;
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{draft, note};
use crate::house::hooks::ask;
use crate::house::hooks::refused::REFUSALS_AT;
use crate::platform::now;

/// `GET hooks`
pub(super) fn sources(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let policy = &context.gate.policy;
    let (sources, next) = listed_sources(policy, caller, query)?;
    let sources: Vec<Value> =
        sources.into_iter().map(|source| source_resource(policy, source)).collect();
    Ok(Answer::json(200, &json!({ "sources": sources, "nextCursor": next })))
}

/// `GET hooks/{source}/refusals`
pub(super) async fn refusals(
    context: &Context,
    caller: &Caller,
    source: &str,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let source = visible_source(&context.gate.policy, caller, source)?;
    let (limit, before) = refusal_query(query)?;
    let asked = InboxRequest::Refusals { limit, before };
    let reply = ask(&context.env, source, REFUSALS_AT, &asked, None).await?;
    let InboxReply::Refusals(page) = reply else { return Err(Code::AdmissionUnavailable.into()) };
    let last = page.refusals.last().filter(|_| page.more);
    let next = last.map(|(seq, _)| seq.to_string());
    let refusals: Vec<Value> =
        page.refusals.iter().map(|(_, refusal)| refusal_resource(refusal)).collect();
    Ok(Answer::json(200, &json!({ "refusals": refusals, "nextCursor": next })))
}

/// `GET hooks/{source}/events`
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    source: &str,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let source = visible_source(&context.gate.policy, caller, source)?;
    let query = event_query(query)?;
    let mut pages = Vec::new();
    for shard in 0..source.shards {
        let list = InboxRequest::List(query.clone());
        match ask(&context.env, source, shard, &list, None).await? {
            InboxReply::Page(page) => pages.push(page),
            _ => return Err(Code::AdmissionUnavailable.into()),
        }
    }
    let (events, next) = merged(pages, query.limit);
    let events: Vec<Value> = events.iter().map(|event| event_resource(source, event)).collect();
    Ok(Answer::json(200, &json!({ "events": events, "nextCursor": next })))
}

/// `GET hooks/{source}/events/{id}`
pub(super) async fn show(
    context: &Context,
    caller: &Caller,
    source: &str,
    id: &EventId,
) -> Result<Answer, Refused> {
    let source = visible_source(&context.gate.policy, caller, source)?;
    may_be_kept(source, id)?;
    let show = InboxRequest::Show { id: id.clone() };
    match ask(&context.env, source, id.shard(), &show, None).await? {
        InboxReply::Event(event, body) => {
            Ok(Answer::json(200, &json!({ "event": event_whole(source, &event, &body) })))
        }
        InboxReply::Unknown => Err(Code::NotFound.into()),
        _ => Err(Code::AdmissionUnavailable.into()),
    }
}

/// `POST hooks/{source}/events/{id}/replay`
pub(super) async fn replay_one(
    context: &Context,
    caller: &Caller,
    source: &str,
    id: &EventId,
) -> Result<Answer, Refused> {
    let source = visible_source(&context.gate.policy, caller, source)?;
    may_be_kept(source, id)?;
    let replay =
        Replay { ids: Some(vec![id.clone()]), state: WhichState::All, since: None, dry_run: false };
    context.changes();
    if replayed(context, source, id.shard(), replay).await? == 0 {
        return Err(Code::NotFound.into());
    }
    told(context, caller, source, 1, Some(id)).await?;
    Ok(Answer::json(202, &json!({ "dry_run": false, "count": 1 })))
}

/// `POST hooks/{source}/replay`
pub(super) async fn replay(
    context: &Context,
    caller: &Caller,
    source: &str,
    body: &Value,
) -> Result<Answer, Refused> {
    let source = visible_source(&context.gate.policy, caller, source)?;
    let wish = read_replay(body)?;
    if !wish.dry_run {
        context.changes();
    }
    let mut count = 0_u64;
    for shard in 0..source.shards {
        let ids = wish.ids.as_ref().map(|ids| {
            ids.iter().filter(|id| id.shard() == shard).cloned().collect::<Vec<EventId>>()
        });
        if ids.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let of_shard = Replay { ids, ..wish.clone() };
        count = count.saturating_add(replayed(context, source, shard, of_shard).await?);
    }
    if wish.dry_run {
        return Ok(Answer::json(200, &json!({ "dry_run": true, "count": count })));
    }
    told(context, caller, source, count, None).await?;
    Ok(Answer::json(202, &json!({ "dry_run": false, "count": count })))
}

/// Has one object put events back, in as many calls as it takes.
async fn replayed(
    context: &Context,
    source: &Source,
    shard: u8,
    replay: Replay,
) -> Result<u64, Refused> {
    let (mut all, mut after, asked) = (0_u64, 0, now());
    loop {
        let request = InboxRequest::Replay { replay: replay.clone(), after, asked };
        match ask(&context.env, source, shard, &request, None).await? {
            InboxReply::Replayed { count, next } => {
                all = all.saturating_add(count);
                match next {
                    Some(next) => after = next,
                    None => return Ok(all),
                }
            }
            _ => return Err(Code::AdmissionUnavailable.into()),
        }
    }
}

/// Nothing, if one of the source's objects may keep this event: no other is asked for it.
fn may_be_kept(source: &Source, id: &EventId) -> Result<(), Refused> {
    if id.shard() < source.shards { Ok(()) } else { Err(Code::NotFound.into()) }
}

async fn told(
    context: &Context,
    caller: &Caller,
    source: &Source,
    count: u64,
    id: Option<&EventId>,
) -> Result<(), Refused> {
    let mut replayed = draft(context, caller, "webhook.replayed");
    replayed.tenant = source.tenant.clone().unwrap_or_else(|| ALL_TENANTS.to_owned());
    replayed.detail.insert("source".to_owned(), source.name.as_str().into());
    replayed.detail.insert("count".to_owned(), count.into());
    if let Some(id) = id {
        replayed.detail.insert("event".to_owned(), id.as_str().into());
    }
    Ok(note(context, vec![replayed]).await?)
}
