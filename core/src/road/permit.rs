//! Steps 7 to 9: the key's state, where it is used, and what it may do. None of them costs the
//! key any of its limits.

use std::rc::Rc;

use super::admission::Caller;
use super::credential::{Known, key_object, too_many};
use super::isolate::Isolate;
use super::told::Told;
use super::walk::{Step, Verdict, Walk};
use super::{Ask, Next, Supplied};
use crate::cors::AllowedOrigins;
use crate::family::FamilyRequest;
use crate::key::{KeyKind, KeyRecord, KeyState};
use crate::policy::ShadowCheck;
use crate::problem::{Code, Problem};
use crate::scope::{RequiredScope, UnfitValue};
use crate::time::UnixMillis;

/// How steps 7 to 9 end.
#[derive(Debug)]
pub(super) enum Permit {
    /// A refusal on a record that nobody confirmed for a minute: it is confirmed first, so that a
    /// key that was just widened is not refused (SPEC section 1).
    Confirm(Ask, AwaitConfirmation),
    /// Nothing stands against the request but its limits.
    Permitted(Permitted),
}

/// A request that its key may make, or that needs none.
#[derive(Debug)]
pub struct Permitted {
    pub(super) walk: Walk,
    pub(super) undeclared: bool,
    pub(super) caller: Caller,
    pub(super) corrected: bool,
}

/// Waits for the key's object to say what is true now.
#[derive(Debug)]
pub(super) struct AwaitConfirmation(Known);

impl Permitted {
    pub(super) fn without_key(walk: Walk, undeclared: bool) -> Self {
        Self { walk, undeclared, caller: Caller::Nobody, corrected: false }
    }
}

impl Known {
    /// Steps 7 to 9.
    pub(super) fn permit(mut self, isolate: &mut Isolate, now: UnixMillis) -> Next<Permit> {
        self.walk.would_refuse.clear();
        self.record = narrowed(&self.walk, self.record);
        let Err((step, problem)) = check(&mut self.walk, &self.record, now) else {
            let Self { walk, undeclared, record, corrected } = self;
            let caller = Walk::caller_of(&record);
            return Ok(Permit::Permitted(Permitted { walk, undeclared, caller, corrected }));
        };
        if let Some(wait) = isolate.refusals_spent(&self.walk, &self.record.id, now) {
            return Err(self.walk.refuse(step, too_many(wait)));
        }
        if isolate.start_confirmation(&self.record.id, now) {
            let request = FamilyRequest::Read { id: self.record.id.clone() };
            let ask = key_object(&self.record.family, &request);
            return Ok(Permit::Confirm(ask, AwaitConfirmation(self)));
        }
        isolate.spend_refusal(&self.walk, &self.record.id, now);
        Err(self.walk.refuse(step, problem))
    }
}

impl AwaitConfirmation {
    /// True when the request has asked for a place in flight.
    pub(super) fn has_place(&self) -> bool {
        self.0.walk.place.is_some()
    }

    /// Nobody waits for it any more.
    pub(super) fn given_up(self) -> Walk {
        self.0.walk
    }

    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Permit> {
        let Self(mut known) = self;
        match Told::of(supplied) {
            Some(Told::Record { record }) if record.id == known.record.id => {
                known.record = isolate.keep(*record, Some(now));
            }
            Some(Told::Unknown) => {
                isolate.forget(&known.record.id);
                return Err(known.walk.refuse(Step::Credential, Code::KeyInvalid));
            }
            // The object is out of reach: the refusal stands on what is known.
            _ => {}
        }
        known.permit(isolate, now)
    }
}

/// The record as it counts for this request: a token may do what it and its key both may, from
/// here to what the upstream is told.
fn narrowed(walk: &Walk, record: Rc<KeyRecord>) -> Rc<KeyRecord> {
    let Some(token) = &walk.token else { return record };
    let scopes = token.narrow(&record.scopes);
    if scopes == record.scopes {
        return record;
    }
    Rc::new(KeyRecord { scopes, ..(*record).clone() })
}

/// The first of steps 7 to 9 that refuses.
fn check(walk: &mut Walk, record: &KeyRecord, now: UnixMillis) -> Result<(), (Step, Problem)> {
    state(record, now).map_err(|problem| (Step::KeyState, problem))?;
    if walk.token.as_ref().is_some_and(|token| token.is_expired(now)) {
        return Err((Step::KeyState, Code::TokenExpired.into()));
    }
    walk.passed(Step::KeyState, |_| format!("active, version {}", record.version));
    place(walk, record, now).map_err(|problem| (Step::KeyUse, problem))?;
    scope(walk, record, now).map_err(|problem| (Step::Scope, problem))
}

/// Step 7.
pub(crate) fn state(record: &KeyRecord, now: UnixMillis) -> Result<(), Problem> {
    let code = match record.state {
        KeyState::Revoked => Code::KeyRevoked,
        KeyState::Disabled => Code::KeyDisabled,
        KeyState::Active if record.suspended => {
            let detail = "The key's tenant is suspended: its keys work again when it goes on.";
            return Err(Problem::new(Code::KeyDisabled).detail(detail));
        }
        KeyState::Active if record.is_expired(now) => Code::KeyExpired,
        KeyState::Active => return Ok(()),
    };
    Err(Problem::new(code))
}

/// Step 8.
fn place(walk: &mut Walk, record: &KeyRecord, now: UnixMillis) -> Result<(), Problem> {
    let mut shadowed = Vec::new();
    if !addresses_allow(record, walk.address) {
        let detail = match walk.address {
            Some(_) => "the caller's address is not on the key's address list",
            None => "the caller's address cannot be read, and the key has an address list",
        };
        let problem = Problem::new(Code::IpNotAllowed).detail(detail);
        shadowed.push(in_shadow(walk, ShadowCheck::Addresses, problem, now)?);
    }
    match record.kind {
        KeyKind::Pk => {
            if let Err(problem) = publishable(walk, record) {
                shadowed.push(in_shadow(walk, ShadowCheck::Origins, problem, now)?);
            }
        }
        KeyKind::Sk | KeyKind::Rk | KeyKind::Ak => {
            // `Sec-Fetch-Mode` alone proves nothing: Node's fetch sends it too.
            if walk.origin.is_some() || walk.site.is_some() {
                return Err(Problem::new(Code::SecretKeyInBrowser));
            }
        }
    }
    if shadowed.is_empty() {
        walk.passed(Step::KeyUse, |walk| {
            let address = walk.address.map_or("unreadable".to_owned(), |a| a.to_string());
            format!("address {address}, origin {}", walk.origin.as_deref().unwrap_or("none"))
        });
    } else {
        let codes: Vec<&str> = shadowed.iter().map(|code| code.as_str()).collect();
        walk.note(Step::KeyUse, Verdict::WouldRefuse, |_| codes.join(", "));
    }
    Ok(())
}

/// True when the key's address list lets this address in; an empty list lets all in, and an
/// address that cannot be read matches no entry.
pub(crate) fn addresses_allow(record: &KeyRecord, address: Option<std::net::IpAddr>) -> bool {
    record.addresses.is_empty()
        || address.is_some_and(|address| record.addresses.iter().any(|cidr| cidr.contains(address)))
}

/// A publishable key needs an origin that it lists, or a request from a page of the gate's own
/// origin, which browsers send without `Origin`.
fn publishable(walk: &mut Walk, record: &KeyRecord) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(Code::OriginNotAllowed).detail(detail));
    let Some(origin) = walk.origin.clone() else {
        return if walk.site.as_deref() == Some("same-origin") {
            Ok(())
        } else {
            refused("a publishable key works from a page only: the request has no Origin")
        };
    };
    if !lists_origin(record, &origin) {
        return refused("the key does not list this origin");
    }
    // On a route that takes the origins of its keys, this is the grant that step 5 left open.
    let grant = walk.route().and_then(|route| {
        let by_keys = *route.cors.origins() == AllowedOrigins::Keys;
        by_keys.then(|| route.cors.actual(&origin, true).ok()).flatten()
    });
    if let Some(grant) = grant {
        walk.cors = grant.headers;
    }
    Ok(())
}

/// True when the key may be used from a page of this origin.
pub(crate) fn lists_origin(record: &KeyRecord, origin: &str) -> bool {
    record.allow_any_origin || record.origins.iter().any(|pattern| pattern.matches(origin))
}

/// Step 9.
fn scope(walk: &mut Walk, record: &KeyRecord, now: UnixMillis) -> Result<(), Problem> {
    let gate = Rc::clone(&walk.gate);
    let Some(route) = walk.route.and_then(|index| gate.policy.routes.get(index)) else {
        return Err(Problem::new(Code::InternalError));
    };
    let concrete = route
        .scopes
        .scopes()
        .iter()
        .map(|scope: &RequiredScope| scope.concrete(&|name| walk.param(name)))
        .collect::<Result<Vec<_>, _>>();
    let concrete = match concrete {
        Ok(concrete) => concrete,
        Err(UnfitValue) => return Err(Problem::new(Code::MalformedRequest)),
    };
    if route.scopes.satisfied(&concrete, &record.scopes) {
        walk.passed(Step::Scope, |_| match concrete.as_slice() {
            [] => "the route requires none".to_owned(),
            needed => format!("has {}", needed.join(" ")),
        });
        return Ok(());
    }
    let mut problem = Problem::new(Code::InsufficientScope);
    problem.required_scopes = concrete;
    let code = in_shadow(walk, ShadowCheck::Scope, problem, now)?;
    walk.note(Step::Scope, Verdict::WouldRefuse, |_| code.as_str().to_owned());
    Ok(())
}

/// In shadow a refusal is written down and lets pass; else it stands. Shadow ends by itself.
fn in_shadow(
    walk: &mut Walk,
    check: ShadowCheck,
    problem: Problem,
    now: UnixMillis,
) -> Result<Code, Problem> {
    if shadows(walk, check, now) {
        walk.would_refuse.push(problem.code);
        Ok(problem.code)
    } else {
        Err(problem)
    }
}

/// True while the route has this check in shadow.
pub(super) fn shadows(walk: &Walk, check: ShadowCheck, now: UnixMillis) -> bool {
    walk.route()
        .and_then(|route| route.shadow.as_ref())
        .is_some_and(|shadow| now < shadow.until && shadow.checks.contains(&check))
}
