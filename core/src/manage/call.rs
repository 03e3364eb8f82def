//! From a method and a path to the call that is meant: the one table of calls, with the rights that
//! each takes. `www/openapi.json` is held against it.

use super::caller::Right;
use crate::endpoint::is_endpoint_id;
use crate::inbox::EventId;
use crate::key::KeyId;
use crate::problem::{Code, Problem};

/// Where the management API begins.
pub const BASE: &str = "/_tollgate/v1/";

/// What a request to the management API asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a key.
    CreateKey,
    /// Lists keys.
    ListKeys,
    /// Shows one key.
    ShowKey(KeyId),
    /// Changes fields of a key.
    UpdateKey(KeyId),
    /// Moves a key on in its life.
    Act(KeyId, Action),
    /// A fresh code with which the holder of an admin key enrols a second factor.
    RenewEnrolment(KeyId),
    /// Is this key good?
    Verify,
    /// Ends many keys.
    RevokeKeys,
    /// The road as a dry run.
    Explain,
    /// Lists jobs over many keys.
    ListJobs,
    /// Shows one job.
    ShowJob(String),
    /// Lists tenants.
    ListTenants,
    /// Makes a tenant.
    CreateTenant,
    /// Shows one tenant.
    ShowTenant(String),
    /// Changes a tenant.
    UpdateTenant(String),
    /// What happened: a page, or an export.
    Audit,
    /// The public key that signs the heads of exports.
    AuditKey,
    /// Usage of one key.
    KeyUsage(KeyId),
    /// Usage of a tenant, or of all.
    Usage,
    /// Lists anomalies.
    Anomalies,
    /// Lists endpoints.
    ListEndpoints,
    /// Makes an endpoint.
    CreateEndpoint,
    /// Something with one endpoint.
    Endpoint(String, EndpointAct),
    /// Lists sources.
    ListSources,
    /// Lists the webhooks that a source refused.
    ListRefusals(String),
    /// Lists the events of a source.
    ListEvents(String),
    /// Shows one of them.
    ShowEvent(String, EventId),
    /// Delivers one of them again.
    ReplayEvent(String, EventId),
    /// Delivers many of them again.
    ReplayEvents(String),
    /// Who am I, and until when?
    ShowSession,
    /// A session for a key and a code.
    OpenSession,
    /// Ends the session.
    CloseSession,
    /// A second factor for a key and its one-time code.
    Enrol,
    /// Proves that the second factor works.
    ConfirmEnrolment,
}

impl Call {
    /// True for calls whose answer shows what is shown once.
    pub const fn shows_secret(&self) -> bool {
        matches!(
            self,
            Self::CreateKey
                | Self::Act(_, Action::Rotate)
                | Self::RenewEnrolment(_)
                | Self::CreateEndpoint
                | Self::Endpoint(_, EndpointAct::Rotate)
        )
    }
}

/// What is asked of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointAct {
    /// Show it.
    Show,
    /// Change it.
    Update,
    /// Forget it.
    Delete,
    /// A new secret.
    Rotate,
    /// Send it a test event.
    Test,
    /// What was sent to it.
    Deliveries,
    /// Send again.
    Replay,
}

/// What happens to a key in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new key takes its place.
    Rotate,
    /// The place of the old one ends now.
    EndGrace,
    /// Off, for the time being.
    Disable,
    /// On again.
    Enable,
    /// Ended for good.
    Revoke,
}

/// One row of the table: a method and a path below [`BASE`], and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct CallRow {
    /// The method. `GET` calls answer `HEAD` as well.
    pub method: &'static str,
    /// The path; `{id}`, `{name}` and `{source}` stand for one segment each, two at most.
    pub path: &'static str,
    /// Any one of these is enough; none: everybody whose credential is good.
    pub rights: &'static [Right],
    /// It changes something: a second factor and an `Idempotency-Key` mean something to it.
    pub writes: bool,
    call: Meant,
}

/// What a row's path means, by what stands for its parameters.
#[derive(Clone, Copy, Debug)]
enum Meant {
    One(fn(&str) -> Option<Call>),
    Two(fn(&str, &str) -> Option<Call>),
}

const READ: &[Right] = &[Right::ReadKeys];
const WRITE: &[Right] = &[Right::WriteKeys, Right::AdminKeys];
const ADMIN: &[Right] = &[Right::AdminKeys];
const AUDIT: &[Right] = &[Right::ReadAudit];
const USAGE: &[Right] = &[Right::ReadUsage];
const HOOKS: &[Right] = &[Right::ReadHooks];
const WRITE_HOOKS: &[Right] = &[Right::WriteHooks];
const ANYBODY: &[Right] = &[];

const fn reads(
    method: &'static str,
    path: &'static str,
    rights: &'static [Right],
    call: fn(&str) -> Option<Call>,
) -> CallRow {
    CallRow { method, path, rights, writes: false, call: Meant::One(call) }
}

const fn writes(
    method: &'static str,
    path: &'static str,
    rights: &'static [Right],
    call: fn(&str) -> Option<Call>,
) -> CallRow {
    CallRow { method, path, rights, writes: true, call: Meant::One(call) }
}

/// The events of a source, and one of them.
const fn of_events(
    method: &'static str,
    path: &'static str,
    call: fn(&str, &str) -> Option<Call>,
) -> CallRow {
    let writes = matches!(method.as_bytes(), b"POST");
    let rights = if writes { WRITE_HOOKS } else { HOOKS };
    CallRow { method, path, rights, writes, call: Meant::Two(call) }
}

/// Every call. Where two paths fit, the first one counts.
pub const CALLS: &[CallRow] = &[
    writes("POST", "keys", WRITE, |_| Some(Call::CreateKey)),
    reads("GET", "keys", READ, |_| Some(Call::ListKeys)),
    reads("POST", "keys/verify", READ, |_| Some(Call::Verify)),
    writes("POST", "keys/revoke", WRITE, |_| Some(Call::RevokeKeys)),
    reads("GET", "keys/{id}", READ, |id| Some(Call::ShowKey(key_id(id)?))),
    writes("PATCH", "keys/{id}", WRITE, |id| Some(Call::UpdateKey(key_id(id)?))),
    writes("POST", "keys/{id}/rotate", WRITE, |id| act(id, Action::Rotate)),
    writes("POST", "keys/{id}/end-grace", WRITE, |id| act(id, Action::EndGrace)),
    writes("POST", "keys/{id}/disable", WRITE, |id| act(id, Action::Disable)),
    writes("POST", "keys/{id}/enable", WRITE, |id| act(id, Action::Enable)),
    writes("POST", "keys/{id}/revoke", WRITE, |id| act(id, Action::Revoke)),
    writes("POST", "keys/{id}/enrolment", ADMIN, |id| Some(Call::RenewEnrolment(key_id(id)?))),
    reads("GET", "keys/{id}/usage", USAGE, |id| Some(Call::KeyUsage(key_id(id)?))),
    reads("GET", "jobs", READ, |_| Some(Call::ListJobs)),
    reads("GET", "jobs/{id}", READ, |id| Some(Call::ShowJob(id.to_owned()))),
    reads("GET", "tenants", READ, |_| Some(Call::ListTenants)),
    writes("POST", "tenants", ADMIN, |_| Some(Call::CreateTenant)),
    reads("GET", "tenants/{name}", READ, |name| Some(Call::ShowTenant(name.to_owned()))),
    writes("PATCH", "tenants/{name}", ADMIN, |name| Some(Call::UpdateTenant(name.to_owned()))),
    reads("GET", "audit", AUDIT, |_| Some(Call::Audit)),
    reads("GET", "audit/key", AUDIT, |_| Some(Call::AuditKey)),
    reads("GET", "usage", USAGE, |_| Some(Call::Usage)),
    reads("GET", "anomalies", USAGE, |_| Some(Call::Anomalies)),
    reads("GET", "hooks", HOOKS, |_| Some(Call::ListSources)),
    reads("GET", "hooks/endpoints", HOOKS, |_| Some(Call::ListEndpoints)),
    writes("POST", "hooks/endpoints", WRITE_HOOKS, |_| Some(Call::CreateEndpoint)),
    reads("GET", "hooks/endpoints/{id}", HOOKS, |id| endpoint(id, EndpointAct::Show)),
    writes("PATCH", "hooks/endpoints/{id}", WRITE_HOOKS, |id| endpoint(id, EndpointAct::Update)),
    writes("DELETE", "hooks/endpoints/{id}", WRITE_HOOKS, |id| endpoint(id, EndpointAct::Delete)),
    writes("POST", "hooks/endpoints/{id}/rotate", WRITE_HOOKS, |id| {
        endpoint(id, EndpointAct::Rotate)
    }),
    writes("POST", "hooks/endpoints/{id}/test", WRITE_HOOKS, |id| endpoint(id, EndpointAct::Test)),
    reads("GET", "hooks/endpoints/{id}/deliveries", HOOKS, |id| {
        endpoint(id, EndpointAct::Deliveries)
    }),
    writes("POST", "hooks/endpoints/{id}/replay", WRITE_HOOKS, |id| {
        endpoint(id, EndpointAct::Replay)
    }),
    of_events("GET", "hooks/{source}/refusals", |source, _| {
        Some(Call::ListRefusals(source.to_owned()))
    }),
    of_events("GET", "hooks/{source}/events", |source, _| {
        Some(Call::ListEvents(source.to_owned()))
    }),
    of_events("GET", "hooks/{source}/events/{id}", |source, id| {
        Some(Call::ShowEvent(source.to_owned(), EventId::parse(id)?))
    }),
    of_events("POST", "hooks/{source}/events/{id}/replay", |source, id| {
        Some(Call::ReplayEvent(source.to_owned(), EventId::parse(id)?))
    }),
    of_events("POST", "hooks/{source}/replay", |source, _| {
        Some(Call::ReplayEvents(source.to_owned()))
    }),
    reads("POST", "explain", READ, |_| Some(Call::Explain)),
    reads("GET", "session", ANYBODY, |_| Some(Call::ShowSession)),
    reads("POST", "session", ANYBODY, |_| Some(Call::OpenSession)),
    reads("DELETE", "session", ANYBODY, |_| Some(Call::CloseSession)),
    reads("POST", "session/enrol", ANYBODY, |_| Some(Call::Enrol)),
    reads("POST", "session/enrol/confirm", ANYBODY, |_| Some(Call::ConfirmEnrolment)),
];

/// A request that is no call.
#[derive(Clone, Debug, PartialEq)]
pub struct Unrouted {
    /// What to answer.
    pub problem: Box<Problem>,
    /// The methods of the path, for `Allow`.
    pub allow: Option<String>,
}

impl CallRow {
    /// The row and the call of a method and a path below [`BASE`].
    ///
    /// # Errors
    /// `not_found` and `method_not_allowed`.
    pub fn read(method: &str, path: &str) -> Result<(&'static Self, Call), Unrouted> {
        let rest = path.strip_prefix(BASE).ok_or_else(not_found)?;
        let first = CALLS.iter().find(|row| row.fits(rest).is_some()).ok_or_else(not_found)?;
        let asked = if method == "HEAD" { "GET" } else { method };
        let same_path = || CALLS.iter().filter(|row| row.path == first.path);
        let Some(row) = same_path().find(|row| row.method == asked) else {
            let problem = Box::new(Code::MethodNotAllowed.into());
            return Err(Unrouted { problem, allow: Some(allow(same_path())) });
        };
        let call = row.fits(rest).and_then(|(first, second)| match row.call {
            Meant::One(call) => call(first),
            Meant::Two(call) => call(first, second),
        });
        let call = call.ok_or_else(not_found)?;
        Ok((row, call))
    }

    /// True for calls that read a body.
    pub fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PATCH")
    }

    /// What stands for the path's parameters, or nothing, if the path fits.
    fn fits<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        let (mut first, mut second) = ("", "");
        let mut segments = path.split('/');
        for wanted in self.path.split('/') {
            let segment = segments.next().filter(|segment| !segment.is_empty())?;
            if wanted.starts_with('{') {
                *(if first.is_empty() { &mut first } else { &mut second }) = segment;
            } else if wanted != segment {
                return None;
            }
        }
        segments.next().is_none().then_some((first, second))
    }
}

/// The methods of some rows, and `HEAD` where there is `GET`.
fn allow(rows: impl Iterator<Item = &'static CallRow>) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for row in rows {
        methods.push(row.method);
        if row.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// What is no key id names no key.
fn key_id(text: &str) -> Option<KeyId> {
    KeyId::parse(text).ok()
}

fn act(id: &str, action: Action) -> Option<Call> {
    Some(Call::Act(key_id(id)?, action))
}

/// What is no id of an endpoint names none.
fn endpoint(id: &str, act: EndpointAct) -> Option<Call> {
    is_endpoint_id(id).then(|| Call::Endpoint(id.to_owned(), act))
}

fn not_found() -> Unrouted {
    Unrouted { problem: Box::new(Code::NotFound.into()), allow: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "ep_0123456789abcdef";
    const EVENT: &str = "0Vbfu4rRxUBt34a5rnOa";

    fn id() -> KeyId {
        KeyId::parse("abcdefghij012345").unwrap()
    }

    #[test]
    fn every_row_is_reached_by_its_own_method_and_path() {
        for row in CALLS {
            let id = match row.path {
                path if path.starts_with("hooks/endpoints") => ENDPOINT,
                path if path.starts_with("hooks/") => EVENT,
                _ => "abcdefghij012345",
            };
            let path = row.path.replace("{id}", id).replace("{name}", "acme");
            let path = path.replace("{source}", "shop");
            let (found, _) = CallRow::read(row.method, &format!("{BASE}{path}")).unwrap();
            assert_eq!((found.method, found.path), (row.method, row.path));
        }
    }

    #[test]
    fn a_path_says_what_is_meant() {
        for (method, path, call) in [
            ("HEAD", "keys", Call::ListKeys),
            ("GET", "keys/abcdefghij012345", Call::ShowKey(id())),
            ("POST", "keys/abcdefghij012345/end-grace", Call::Act(id(), Action::EndGrace)),
            ("POST", "keys/abcdefghij012345/revoke", Call::Act(id(), Action::Revoke)),
            ("POST", "keys/revoke", Call::RevokeKeys),
            ("GET", "tenants/acme", Call::ShowTenant("acme".into())),
            ("GET", "jobs/0123", Call::ShowJob("0123".into())),
            ("DELETE", "session", Call::CloseSession),
            ("GET", "hooks/endpoints", Call::ListEndpoints),
            (
                "DELETE",
                "hooks/endpoints/ep_0123456789abcdef",
                Call::Endpoint(ENDPOINT.into(), EndpointAct::Delete),
            ),
            (
                "POST",
                "hooks/endpoints/ep_0123456789abcdef/replay",
                Call::Endpoint(ENDPOINT.into(), EndpointAct::Replay),
            ),
        ] {
            let (_, read) = CallRow::read(method, &format!("{BASE}{path}")).unwrap();
            assert_eq!(read, call, "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_call_says_why() {
        for (method, path, code, allow) in [
            ("GET", "/_tollgate/v1/", Code::NotFound, None),
            ("GET", "/_tollgate/v1", Code::NotFound, None),
            ("GET", "/_tollgate/v2/keys", Code::NotFound, None),
            ("GET", "/_tollgate/v1/keys/", Code::NotFound, None),
            ("GET", "/_tollgate/v1/key", Code::NotFound, None),
            ("GET", "/_tollgate/v1/keys/short", Code::NotFound, None),
            ("GET", "/_tollgate/v1/keys/abcdefghij012345/", Code::NotFound, None),
            ("POST", "/_tollgate/v1/keys/abcdefghij012345/rotated", Code::NotFound, None),
            ("POST", "/_tollgate/v1/keys/short/rotate", Code::NotFound, None),
            ("DELETE", "/_tollgate/v1/keys", Code::MethodNotAllowed, Some("GET, HEAD, POST")),
            ("OPTIONS", "/_tollgate/v1/keys", Code::MethodNotAllowed, Some("GET, HEAD, POST")),
            (
                "PUT",
                "/_tollgate/v1/keys/abcdefghij012345",
                Code::MethodNotAllowed,
                Some("GET, HEAD, PATCH"),
            ),
            ("GET", "/_tollgate/v1/keys/verify", Code::MethodNotAllowed, Some("POST")),
            (
                "GET",
                "/_tollgate/v1/keys/abcdefghij012345/rotate",
                Code::MethodNotAllowed,
                Some("POST"),
            ),
            ("get", "/_tollgate/v1/keys", Code::MethodNotAllowed, Some("GET, HEAD, POST")),
            (
                "PUT",
                "/_tollgate/v1/session",
                Code::MethodNotAllowed,
                Some("DELETE, GET, HEAD, POST"),
            ),
            ("POST", "/_tollgate/v1/hooks", Code::MethodNotAllowed, Some("GET, HEAD")),
            ("GET", "/_tollgate/v1/hooks/shop", Code::NotFound, None),
            ("GET", "/_tollgate/v1/hooks/shop/events/short", Code::NotFound, None),
            ("GET", "/_tollgate/v1/hooks//events", Code::NotFound, None),
            ("PUT", "/_tollgate/v1/hooks/shop/replay", Code::MethodNotAllowed, Some("POST")),
            ("GET", "/_tollgate/v1/hooks/endpoints/abcdefghij012345", Code::NotFound, None),
            ("GET", "/_tollgate/v1/hooks/endpoints/", Code::NotFound, None),
            (
                "PUT",
                "/_tollgate/v1/hooks/endpoints",
                Code::MethodNotAllowed,
                Some("GET, HEAD, POST"),
            ),
        ] {
            let unrouted = CallRow::read(method, path).unwrap_err();
            let told = (unrouted.problem.code, unrouted.allow.as_deref());
            assert_eq!(told, (code, allow), "{method} {path}");
        }
    }
}
