//! `hooks`: sources, what came to them, what they refused, and having events delivered again.

use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::field::{Errors, Object};
use super::list::{DEFAULT_PAGE, instant, page_size};
use crate::delivery::Attempt;
use crate::inbox::{EventId, EventPage, EventQuery, EventView, Refusal, Replay, State, WhichState};
use crate::policy::{Delivery, Policy, Source};
use crate::problem::{Code, Problem};
use crate::time::UnixMillis;

/// The most events that are named in one replay.
const MAX_IDS: usize = 100;

/// The source of this name, if this caller may see its events: those of its tenant, and all for an
/// operator.
///
/// # Errors
/// `not_found` for one that is not there, or is another tenant's.
pub fn visible_source<'p>(
    policy: &'p Policy,
    caller: &Caller,
    name: &str,
) -> Result<&'p Source, Box<Problem>> {
    let source = policy.source_named(name);
    source.filter(|source| sees(caller, source)).ok_or_else(|| Box::new(Code::NotFound.into()))
}

/// Whether a source, and what came to it, is this caller's to see: those of its tenant, and all for
/// an operator.
pub fn sees(caller: &Caller, source: &Source) -> bool {
    match caller.tenant() {
        None => true,
        Some(own) => source.tenant.as_deref() == Some(own),
    }
}

/// A page of the sources that this caller may see, by name, and where to go on.
///
/// # Errors
/// `invalid_field` with everything that is wrong with the query.
pub fn listed_sources<'p>(
    policy: &'p Policy,
    caller: &Caller,
    pairs: &Map<String, Value>,
) -> Result<(Vec<&'p Source>, Option<&'p str>), Box<Problem>> {
    let errors = Errors::default();
    let query = Object::query(pairs, &["limit", "cursor"], &errors);
    let limit = query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE);
    let after = query.field("cursor").text().map(str::to_owned);
    let limit = errors.settle(Some(usize::try_from(limit).unwrap_or(usize::MAX)))?;
    let mut sources: Vec<&Source> =
        policy.sources.iter().filter(|source| sees(caller, source)).collect();
    sources.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    sources.retain(|source| after.as_ref().is_none_or(|after| source.name > *after));
    let more = sources.len() > limit;
    sources.truncate(limit);
    let next = sources.last().filter(|_| more).map(|source| source.name.as_str());
    Ok((sources, next))
}

/// A source, as JSON. Its secrets are named in the policy alone.
pub fn source_resource(policy: &Policy, source: &Source) -> Value {
    let upstream = policy.upstreams.get(source.upstream);
    json!({
        "name": source.name,
        "tenant": source.tenant,
        "path": source.path,
        "scheme": source.scheme.scheme().name,
        "delivery": match source.delivery {
            Delivery::Queue(_) => "queue",
            Delivery::Forward => "forward",
        },
        "upstream": upstream.map(|upstream| upstream.name.as_str()),
        "shadow_until": source.shadow_until.map(UnixMillis::to_rfc3339),
    })
}

/// Reads the query of `GET hooks/{source}/refusals`: how many at most, and those before which.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn refusal_query(pairs: &Map<String, Value>) -> Result<(u32, Option<u64>), Box<Problem>> {
    let errors = Errors::default();
    let query = Object::query(pairs, &["limit", "cursor"], &errors);
    let limit = query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE);
    let before = query.field("cursor").read(|text| match digits(text) {
        Some(number) => Ok(number),
        None => Err("is not a nextCursor of this list"),
    });
    errors.settle(Some((u32::try_from(limit).unwrap_or(u32::MAX), before)))
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// A refusal in a list, as JSON.
pub fn refusal_resource(refusal: &Refusal) -> Value {
    json!({
        "at": refusal.at.to_rfc3339(),
        "request_id": refusal.request_id,
        "step": refusal.step,
        "code": refusal.code,
        "detail": refusal.detail,
        "shadow": refusal.shadow,
        "others": refusal.others,
    })
}

/// Reads the query of `GET hooks/{source}/events`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn event_query(pairs: &Map<String, Value>) -> Result<EventQuery, Box<Problem>> {
    const KNOWN: [&str; 4] = ["limit", "cursor", "state", "since"];
    let errors = Errors::default();
    let query = Object::query(pairs, &KNOWN, &errors);
    let limit = query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE);
    let asked = EventQuery {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: query
            .field("cursor")
            .read(|text| EventId::parse(text).ok_or("is not a nextCursor of this list")),
        state: query
            .field("state")
            .read(|text| State::parse(text).ok_or("has to be pending, delivered or dead")),
        since: query.field("since").read(instant),
    };
    errors.settle(Some(asked))
}

/// Reads the body of `POST hooks/{source}/replay`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn read_replay(body: &Value) -> Result<Replay, Box<Problem>> {
    let errors = Errors::default();
    let read = Object::body(body, &["ids", "state", "since", "dry_run"], &[], &errors);
    let read = read.map(|body| {
        let (ids, state, since) = (body.field("ids"), body.field("state"), body.field("since"));
        if !ids.is_given() && !since.is_given() {
            errors.note("", "say which events: ids, or since");
        }
        if ids.is_given() && (state.is_given() || since.is_given()) {
            ids.wrong("stands alone, without state and since");
        }
        let listed = ids.list(MAX_IDS, |item| {
            item.read(|text| EventId::parse(text).ok_or("is no id of an event"))
        });
        if ids.value().and_then(Value::as_array).is_some_and(Vec::is_empty) {
            ids.wrong("names no event");
        }
        Replay {
            ids: listed,
            state: state
                .read(|text| match text {
                    "dead" => Ok(WhichState::Dead),
                    "all" => Ok(WhichState::All),
                    _ => Err("has to be dead or all"),
                })
                .unwrap_or(WhichState::Dead),
            since: since.read(instant),
            dry_run: body.field("dry_run").boolean().unwrap_or(false),
        }
    });
    errors.settle(read)
}

/// An event in a list, as JSON.
pub fn event_resource(source: &Source, event: &EventView) -> Value {
    let EventView { id, received, size, turn } = event;
    let pending = turn.state == State::Pending;
    let last = turn.tries.last().map(attempt_resource);
    json!({
        "id": id,
        "source": source.name,
        "received_at": received.at.to_rfc3339(),
        "provider_id": received.provider_id,
        "id_reused": received.id_reused,
        "unverified": received.unverified,
        "size": size,
        "state": turn.state,
        "attempts": turn.attempts,
        "next_attempt_at": pending.then(|| turn.due.to_rfc3339()),
        "kept_until": (!pending).then(|| turn.due.to_rfc3339()),
        "last_attempt": last,
    })
}

/// One event whole: its headers, its body in base64, and every attempt. Its headers are those that
/// the backend gets in each attempt; credentials and signatures come on with each and are not kept.
pub fn event_whole(source: &Source, event: &EventView, body: &str) -> Value {
    let mut whole = event_resource(source, event);
    if let Value::Object(members) = &mut whole {
        let EventView { received, turn, .. } = event;
        let headers: Vec<Value> =
            received.headers.iter().map(|(name, value)| json!([name, value])).collect();
        members.insert("headers".to_owned(), headers.into());
        members.insert("query".to_owned(), json!(received.query));
        members.insert("body".to_owned(), body.into());
        let tries: Vec<Value> = turn.tries.iter().map(attempt_resource).collect();
        members.insert("tries".to_owned(), tries.into());
    }
    whole
}

fn attempt_resource(attempt: &Attempt) -> Value {
    let Attempt { at, took, came } = attempt;
    json!({
        "at": at.to_rfc3339(),
        "duration_ms": took.as_millis(),
        "status": came.status(),
        "fault": came.fault().map(crate::delivery::Fault::as_str),
    })
}

/// A page out of those of several objects: the latest first, and where to go on. Where one of them
/// looked no further, nothing further is told of the others either: it comes with the next page.
pub fn merged(pages: Vec<EventPage>, limit: u32) -> (Vec<EventView>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let looked_to = pages.iter().filter_map(|page| page.looked_to.clone()).max();
    let more = pages.iter().any(|page| page.more);
    let mut events: Vec<EventView> = pages.into_iter().flat_map(|page| page.events).collect();
    events.sort_unstable_by(|a, b| b.id.cmp(&a.id));
    events.retain(|event| looked_to.as_ref().is_none_or(|end| event.id >= *end));
    let full = events.len() > limit || (more && events.len() == limit);
    events.truncate(limit);
    let last = events.last().map(|last| last.id.clone());
    let next = if full { last } else { looked_to.or(last.filter(|_| more)) };
    (events, next.map(|id| id.to_string()))
}

#[cfg(test)]
mod tests;
