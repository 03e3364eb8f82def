//! From a method and a path to the call that is meant: the one table of calls, with the rights that
//! each takes. `www/openapi.json` is held against it.

use super::caller::Right;
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
        matches!(self, Self::CreateKey | Self::Act(_, Action::Rotate) | Self::RenewEnrolment(_))
    }
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
    /// The path; `{id}` and `{name}` stand for one segment.
    pub path: &'static str,
    /// Any one of these is enough; none: everybody whose credential is good.
    pub rights: &'static [Right],
    /// It changes something: a second factor and an `Idempotency-Key` mean something to it.
    pub writes: bool,
    call: fn(&str) -> Option<Call>,
}

const READ: &[Right] = &[Right::ReadKeys];
const WRITE: &[Right] = &[Right::WriteKeys, Right::AdminKeys];
const ADMIN: &[Right] = &[Right::AdminKeys];
const AUDIT: &[Right] = &[Right::ReadAudit];
const USAGE: &[Right] = &[Right::ReadUsage];
const ANYBODY: &[Right] = &[];

const fn reads(
    method: &'static str,
    path: &'static str,
    rights: &'static [Right],
    call: fn(&str) -> Option<Call>,
) -> CallRow {
    CallRow { method, path, rights, writes: false, call }
}

const fn writes(
    method: &'static str,
    path: &'static str,
    rights: &'static [Right],
    call: fn(&str) -> Option<Call>,
) -> CallRow {
    CallRow { method, path, rights, writes: true, call }
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
    /// `not_found`, `method_not_allowed`, and `not_built_yet` for what the contract has and this
    /// version has not.
    pub fn read(method: &str, path: &str) -> Result<(&'static Self, Call), Unrouted> {
        let rest = path.strip_prefix(BASE).ok_or_else(not_found)?;
        if rest == "hooks" || rest.starts_with("hooks/") {
            return Err(Unrouted { problem: Box::new(Code::NotBuiltYet.into()), allow: None });
        }
        let first = CALLS.iter().find(|row| row.fits(rest).is_some()).ok_or_else(not_found)?;
        let asked = if method == "HEAD" { "GET" } else { method };
        let same_path = || CALLS.iter().filter(|row| row.path == first.path);
        let Some(row) = same_path().find(|row| row.method == asked) else {
            let problem = Box::new(Code::MethodNotAllowed.into());
            return Err(Unrouted { problem, allow: Some(allow(same_path())) });
        };
        let call = row.fits(rest).and_then(|segment| (row.call)(segment)).ok_or_else(not_found)?;
        Ok((row, call))
    }

    /// True for calls that read a body.
    pub fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PATCH")
    }

    /// What stands for the path's one parameter, or nothing, if the path fits.
    fn fits<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut found = "";
        let mut segments = path.split('/');
        for wanted in self.path.split('/') {
            let segment = segments.next().filter(|segment| !segment.is_empty())?;
            if wanted.starts_with('{') {
                found = segment;
            } else if wanted != segment {
                return None;
            }
        }
        segments.next().is_none().then_some(found)
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

fn not_found() -> Unrouted {
    Unrouted { problem: Box::new(Code::NotFound.into()), allow: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> KeyId {
        KeyId::parse("abcdefghij012345").unwrap()
    }

    #[test]
    fn every_row_is_reached_by_its_own_method_and_path() {
        for row in CALLS {
            let path = row.path.replace("{id}", id().as_str()).replace("{name}", "acme");
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
            ("GET", "/_tollgate/v1/hooks/stripe/events", Code::NotBuiltYet, None),
        ] {
            let unrouted = CallRow::read(method, path).unwrap_err();
            let told = (unrouted.problem.code, unrouted.allow.as_deref());
            assert_eq!(told, (code, allow), "{method} {path}");
        }
    }
}
