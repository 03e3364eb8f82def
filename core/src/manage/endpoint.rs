//! `/_tollgate/v1/hooks/endpoints`: bodies, queries and resources (SPEC sections 7 and 8).

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::field::{Errors, Field, Object};
use super::list::{DEFAULT_PAGE, instant, page_size};
use super::registry::ALL_TENANTS;
use super::rules::is_tenant;
use super::tenant::place;
use super::wish::MAX_NAME;
use crate::delivery::Attempt;
use crate::endpoint::{
    DEFAULT_GRACE, DeliveryQuery, DeliveryState, EVENTS, Endpoint, EndpointReply, EndpointState,
    EndpointUpdate, MAX_ENDPOINTS, MAX_GRACE, Replay, ReplayWhich, SECRET_BYTES, SECRET_PREFIX,
    Secrets, Shown, is_event, is_event_id,
};
use crate::policy::Policy;
use crate::problem::{Code, Problem};
use crate::road::redacted;
use crate::text::{Secret, closest};
use crate::time::{Millis, UnixMillis};
use crate::webhook::destination::{Destination, Home};
use crate::word::Word;

/// Fields that making and changing an endpoint have in common.
const FIELDS: [&str; 3] = ["url", "events", "description"];
/// Fields of the resource that nobody writes.
const FIXED: [&str; 6] =
    ["id", "disabled_because", "created_at", "failing_since", "previous_secret_until", "secret"];
/// The most events that are named to be sent again; more are replayed by time.
const MAX_REPLAY: usize = 100;

/// What a body may say of a URL.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'p> {
    brand: &'p str,
    hosts: &'p [&'p str],
    production: bool,
}

impl<'p> Ground<'p> {
    /// `hosts` are [`own_hosts`] of the same policy.
    pub fn new(policy: &'p Policy, hosts: &'p [&'p str]) -> Self {
        Self { brand: &policy.gate.key_brand, hosts, production: !policy.environment.is_dev() }
    }

    fn url(&self, field: &Field<'_>) -> Option<Destination> {
        let home = Home { hosts: self.hosts, production: self.production };
        field.read(|text| {
            if redacted(self.brand, text) != text {
                return Err("has a key in it: events are signed".to_owned());
            }
            Destination::parse(text, home).map_err(|error| error.to_string())
        })
    }
}

/// The hosts of the gate itself.
pub fn own_hosts(policy: &Policy) -> Vec<&str> {
    let gate = &policy.gate;
    gate.hosts.iter().map(String::as_str).chain(gate.admin_host.as_deref()).collect()
}

/// What `POST hooks/endpoints` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEndpoint {
    /// Whose it is to be.
    pub tenant: String,
    url: Destination,
    events: Option<Vec<String>>,
    description: Option<String>,
}

impl NewEndpoint {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong; `not_found` for another tenant.
    pub fn read(body: &Value, caller: &Caller, ground: Ground<'_>) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let known: Vec<&str> = ["tenant"].into_iter().chain(FIELDS).collect();
        let fixed: Vec<&str> = ["state", "version"].into_iter().chain(FIXED).collect();
        let read = Object::body(body, &known, &fixed, &errors).and_then(|body| {
            let url = ground.url(&body.field("url").required());
            let tenant = body.field("tenant").read(tenant);
            let events = events(&body).over(None);
            let description = description(&body).over(None);
            Some((tenant, Self { tenant: String::new(), url: url?, events, description }))
        });
        let (tenant, new) = errors.settle(read)?;
        Ok(Self { tenant: whose(tenant, caller)?, ..new })
    }

    /// The endpoint. `secret` is hidden, `since` the last entry of the audit so far.
    pub fn endpoint(self, id: String, secret: String, since: u64, now: UnixMillis) -> Endpoint {
        Endpoint {
            id,
            url: self.url,
            description: self.description,
            events: self.events,
            state: EndpointState::Enabled,
            why: None,
            version: 1,
            created_at: now,
            secrets: Secrets::first(secret),
            since,
            failing_since: None,
        }
    }
}

/// Reads the body of `PATCH hooks/endpoints/{id}`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn endpoint_update(body: &Value, ground: Ground<'_>) -> Result<EndpointUpdate, Box<Problem>> {
    let errors = Errors::default();
    let known: Vec<&str> = ["version", "state"].into_iter().chain(FIELDS).collect();
    let fixed: Vec<&str> = ["tenant"].into_iter().chain(FIXED).collect();
    let update = Object::body(body, &known, &fixed, &errors).and_then(|body| {
        let version = body.field("version").required().number();
        let wrong = "has to be enabled or disabled";
        let state = body.field("state").read(|text| EndpointState::parse(text).ok_or(wrong));
        let url = ground.url(&body.field("url"));
        let (description, events) = (description(&body), events(&body));
        Some(EndpointUpdate { version: version?, url, description, events, state })
    });
    errors.settle(update)
}

/// Reads the body of `POST hooks/endpoints/{id}/rotate`: for how long the old secret goes on signing.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn rotation_grace(body: &Value) -> Result<Millis, Box<Problem>> {
    let errors = Errors::default();
    let read = Object::body(body, &["grace"], &[], &errors).map(|body| {
        let grace = body.field("grace");
        let read = grace.read(Millis::parse);
        if read.is_some_and(|span| span > MAX_GRACE) {
            grace.wrong(format!("is longer than {MAX_GRACE}"));
        }
        read.unwrap_or(DEFAULT_GRACE)
    });
    errors.settle(read)
}

/// Reads the body of `POST hooks/endpoints/{id}/replay`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn endpoint_replay(body: &Value) -> Result<Replay, Box<Problem>> {
    let errors = Errors::default();
    let known = ["ids", "since", "state", "dry_run"];
    let read = Object::body(body, &known, &[], &errors).and_then(|body| {
        let (ids, since) = (body.field("ids"), body.field("since"));
        if ids.is_given() == since.is_given() {
            errors.note("", "say which events: ids or since");
        }
        let state = body.field("state");
        if ids.is_given() && state.is_given() {
            state.wrong("goes with since");
        }
        let state = state.read(|text| {
            let state = DeliveryState::parse(text).filter(|s| *s != DeliveryState::Pending);
            state.ok_or("has to be delivered, dead or held")
        });
        let dry_run = body.field("dry_run").boolean().unwrap_or(false);
        let which = if ids.is_given() {
            ReplayWhich::Ids(ids.list(MAX_REPLAY, |item| {
                item.read(|text| {
                    is_event_id(text).then(|| text.to_owned()).ok_or("is no id of an event")
                })
            })?)
        } else {
            ReplayWhich::Since { since: since.read(instant)?, state }
        };
        Some(Replay { which, dry_run })
    });
    errors.settle(read)
}

/// Whose endpoints a query is about: the caller's own tenant, or of operators the one that it
/// names, which is `*` if it names none.
///
/// # Errors
/// `invalid_field` with everything that is wrong; `not_found` for another tenant.
pub fn endpoint_keeper(
    pairs: &Map<String, Value>,
    caller: &Caller,
) -> Result<String, Box<Problem>> {
    let errors = Errors::default();
    let asked = Object::query(pairs, &["tenant"], &errors).field("tenant").read(tenant);
    whose(errors.settle(Some(asked))?, caller)
}

/// Which endpoints to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointQuery {
    /// Whose.
    pub tenant: String,
    /// At most so many.
    pub limit: u64,
    /// After the one of this id.
    pub after: Option<String>,
}

/// Reads the query of `GET hooks/endpoints`.
///
/// # Errors
/// `invalid_field` with everything that is wrong; `not_found` for another tenant.
pub fn endpoint_query(
    pairs: &Map<String, Value>,
    caller: &Caller,
) -> Result<EndpointQuery, Box<Problem>> {
    let errors = Errors::default();
    let query = Object::query(pairs, &["tenant", "limit", "cursor"], &errors);
    let asked = query.field("tenant").read(tenant);
    let limit = query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE);
    let after = query.field("cursor").read(place);
    let (asked, limit, after) = errors.settle(Some((asked, limit, after)))?;
    Ok(EndpointQuery { tenant: whose(asked, caller)?, limit, after })
}

/// Reads the query of `GET hooks/endpoints/{id}/deliveries`: whose endpoint, and which of them.
///
/// # Errors
/// `invalid_field` with everything that is wrong; `not_found` for another tenant.
pub fn delivery_query(
    pairs: &Map<String, Value>,
    caller: &Caller,
) -> Result<(String, DeliveryQuery), Box<Problem>> {
    let errors = Errors::default();
    let known = ["tenant", "limit", "cursor", "state", "since"];
    let query = Object::query(pairs, &known, &errors);
    let asked = query.field("tenant").read(tenant);
    let wrong = "has to be pending, delivered, dead or held";
    let read = DeliveryQuery {
        limit: query.field("limit").read(page_size).unwrap_or(DEFAULT_PAGE),
        before: query.field("cursor").read(place),
        state: query.field("state").read(|text| DeliveryState::parse(text).ok_or(wrong)),
        since: query.field("since").read(instant),
    };
    let (asked, read) = errors.settle(Some((asked, read)))?;
    Ok((whose(asked, caller)?, read))
}

/// What the keeper said, if it is no refusal.
///
/// # Errors
/// `not_found`, `state_conflict`, `version_conflict`.
pub fn told_endpoint(reply: EndpointReply) -> Result<EndpointReply, Box<Problem>> {
    Err(Box::new(match reply {
        EndpointReply::Unknown => Code::NotFound.into(),
        EndpointReply::Full => {
            let detail = format!("There are {MAX_ENDPOINTS} endpoints, which is the most.");
            Problem::new(Code::StateConflict).detail(detail)
        }
        EndpointReply::Disabled => Problem::new(Code::StateConflict)
            .detail("The endpoint is disabled: enable it before anything is sent to it."),
        EndpointReply::VersionConflict { current } => {
            let detail = format!("The endpoint has version {current} now.");
            Problem::new(Code::VersionConflict).detail(detail).with("version", current)
        }
        reply => return Ok(reply),
    }))
}

/// A fresh secret, as its holder keeps it.
pub fn endpoint_secret(random: &[u8; SECRET_BYTES]) -> Secret {
    Secret::new([SECRET_PREFIX, &BASE64.encode(random)].concat())
}

/// The resource, as JSON.
pub fn endpoint_resource(endpoint: &Endpoint, tenant: &str, now: UnixMillis) -> Value {
    let previous = endpoint.secrets.previous.as_ref().filter(|(_, until)| now < *until);
    json!({
        "id": endpoint.id,
        "tenant": tenant,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "state": endpoint.state,
        "disabled_because": endpoint.why,
        "version": endpoint.version,
        "created_at": endpoint.created_at.to_rfc3339(),
        "failing_since": endpoint.failing_since.map(UnixMillis::to_rfc3339),
        "previous_secret_until": previous.map(|(_, until)| until.to_rfc3339()),
    })
}

/// A delivery, as JSON.
pub fn delivery_resource(shown: &Shown) -> Value {
    let Shown { event, kind, at, delivery } = shown;
    let next = (delivery.state == DeliveryState::Pending).then(|| delivery.next_at.to_rfc3339());
    let attempt = |attempt: &Attempt| {
        json!({
            "at": attempt.at.to_rfc3339(),
            "duration_ms": attempt.took.as_millis(),
            "status": attempt.came.status(),
            "fault": attempt.came.fault().map(crate::delivery::Fault::as_str),
        })
    };
    json!({
        "id": event,
        "type": kind,
        "at": at.to_rfc3339(),
        "state": delivery.state,
        "next_attempt_at": next,
        "attempts": delivery.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn whose(asked: Option<String>, caller: &Caller) -> Result<String, Box<Problem>> {
    match (caller.tenant(), asked) {
        (Some(own), Some(asked)) if own != asked => Err(Box::new(Code::NotFound.into())),
        (Some(own), _) => Ok(own.to_owned()),
        (None, asked) => Ok(asked.unwrap_or_else(|| ALL_TENANTS.to_owned())),
    }
}

fn tenant(text: &str) -> Result<String, &'static str> {
    let known = text == ALL_TENANTS || is_tenant(text);
    known.then(|| text.to_owned()).ok_or("is no name of a tenant")
}

fn description(body: &Object<'_>) -> Word<String> {
    match body.word("description", |field| field.line(0, MAX_NAME)) {
        Word::This(line) if line.is_empty() => Word::Null,
        word => word,
    }
}

/// Empty: all events.
fn events(body: &Object<'_>) -> Word<Vec<String>> {
    body.word("events", |field| {
        let listed = field.list(EVENTS.len(), |item| item.read(event_type))?;
        // What could not be read has been told of, and is not listed.
        if field.value().and_then(Value::as_array).is_some_and(Vec::is_empty) {
            field.wrong("is empty: name types of events, or null for all of them");
        }
        Some(listed)
    })
}

fn event_type(text: &str) -> Result<String, String> {
    if is_event(text) {
        return Ok(text.to_owned());
    }
    Err(match closest(text, EVENTS) {
        Some(near) => format!("is no type of event: did you mean {near}?"),
        None => format!("is no type of event; they are {}", EVENTS.join(", ")),
    })
}

#[cfg(test)]
mod tests;
