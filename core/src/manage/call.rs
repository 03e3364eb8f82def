//! From a method and a path to the call that is meant.

use crate::key::KeyId;
use crate::problem::{Code, Problem};

/// Where the management API begins.
pub const BASE: &str = "/_tollgate/v1/";

/// What a request to the management API asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST keys`
    Create,
    /// `GET keys`
    List,
    /// `GET keys/{id}`
    Show(KeyId),
    /// `PATCH keys/{id}`
    Update(KeyId),
    /// `POST keys/{id}/{action}`
    Act(KeyId, Action),
    /// `POST keys/verify`
    Verify,
    /// `POST explain`
    Explain,
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

impl Action {
    const ALL: [(&'static str, Self); 5] = [
        ("rotate", Self::Rotate),
        ("end-grace", Self::EndGrace),
        ("disable", Self::Disable),
        ("enable", Self::Enable),
        ("revoke", Self::Revoke),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, action)| *action)
    }
}

/// A request that is no call.
#[derive(Clone, Debug, PartialEq)]
pub struct Unrouted {
    /// What to answer.
    pub problem: Box<Problem>,
    /// The methods of the path, for `Allow`.
    pub allow: Option<&'static str>,
}

impl Call {
    /// The call of a method and a path below [`BASE`]. `GET` calls answer `HEAD` as well.
    ///
    /// # Errors
    /// `not_found`, `method_not_allowed`, and `not_built_yet` for what the contract has and this
    /// version has not.
    pub fn read(method: &str, path: &str) -> Result<Self, Unrouted> {
        let rest = path.strip_prefix(BASE).ok_or_else(not_found)?;
        let segments: Vec<&str> = rest.split('/').collect();
        match segments.as_slice() {
            ["keys"] => by_method(method, &[("GET", Self::List), ("POST", Self::Create)]),
            ["keys", "verify"] => by_method(method, &[("POST", Self::Verify)]),
            ["explain"] => by_method(method, &[("POST", Self::Explain)]),
            ["keys", "revoke"]
            | ["keys", _, "usage"]
            | ["usage" | "audit" | "anomalies" | "openapi.json" | "session"]
            | ["tenants" | "hooks" | "audit" | "session", ..] => Err(not_built()),
            ["keys", id] => {
                let id = key_id(id)?;
                by_method(method, &[("GET", Self::Show(id.clone())), ("PATCH", Self::Update(id))])
            }
            ["keys", id, action] => {
                let action = Action::parse(action).ok_or_else(not_found)?;
                by_method(method, &[("POST", Self::Act(key_id(id)?, action))])
            }
            _ => Err(not_found()),
        }
    }

    /// True for calls that read a body.
    pub const fn has_body(&self) -> bool {
        !matches!(self, Self::List | Self::Show(_))
    }

    /// True for calls that change something.
    pub const fn is_write(&self) -> bool {
        matches!(self, Self::Create | Self::Update(_) | Self::Act(..))
    }
}

fn by_method(method: &str, calls: &[(&'static str, Call)]) -> Result<Call, Unrouted> {
    let method = if method == "HEAD" { "GET" } else { method };
    let found = calls.iter().find(|(name, _)| *name == method);
    found.map(|(_, call)| call.clone()).ok_or_else(|| {
        let has = |name: &str| calls.iter().any(|(known, _)| *known == name);
        let allow = match (has("GET"), has("POST"), has("PATCH")) {
            (true, true, _) => "GET, HEAD, POST",
            (true, _, true) => "GET, HEAD, PATCH",
            (true, ..) => "GET, HEAD",
            _ => "POST",
        };
        Unrouted { problem: Box::new(Code::MethodNotAllowed.into()), allow: Some(allow) }
    })
}

/// What is no key id names no key.
fn key_id(text: &str) -> Result<KeyId, Unrouted> {
    KeyId::parse(text).map_err(|_| not_found())
}

fn not_found() -> Unrouted {
    Unrouted { problem: Box::new(Code::NotFound.into()), allow: None }
}

fn not_built() -> Unrouted {
    Unrouted { problem: Box::new(Code::NotBuiltYet.into()), allow: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> KeyId {
        KeyId::parse("abcdefghij012345").unwrap()
    }

    #[test]
    fn every_call_has_one_method_and_path() {
        for (method, path, call) in [
            ("POST", "keys", Call::Create),
            ("GET", "keys", Call::List),
            ("HEAD", "keys", Call::List),
            ("GET", "keys/abcdefghij012345", Call::Show(id())),
            ("PATCH", "keys/abcdefghij012345", Call::Update(id())),
            ("POST", "keys/abcdefghij012345/rotate", Call::Act(id(), Action::Rotate)),
            ("POST", "keys/abcdefghij012345/end-grace", Call::Act(id(), Action::EndGrace)),
            ("POST", "keys/abcdefghij012345/disable", Call::Act(id(), Action::Disable)),
            ("POST", "keys/abcdefghij012345/enable", Call::Act(id(), Action::Enable)),
            ("POST", "keys/abcdefghij012345/revoke", Call::Act(id(), Action::Revoke)),
            ("POST", "keys/verify", Call::Verify),
            ("POST", "explain", Call::Explain),
        ] {
            assert_eq!(Call::read(method, &format!("{BASE}{path}")), Ok(call), "{method} {path}");
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
            ("POST", "/_tollgate/v1/keys/revoke", Code::NotBuiltYet, None),
            ("GET", "/_tollgate/v1/keys/abcdefghij012345/usage", Code::NotBuiltYet, None),
            ("GET", "/_tollgate/v1/audit", Code::NotBuiltYet, None),
            ("GET", "/_tollgate/v1/hooks/stripe/events", Code::NotBuiltYet, None),
        ] {
            let unrouted = Call::read(method, path).unwrap_err();
            assert_eq!((unrouted.problem.code, unrouted.allow), (code, allow), "{method} {path}");
        }
    }
}
