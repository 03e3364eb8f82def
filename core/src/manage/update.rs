//! Changing a key: `PATCH keys/{id}`, and what the calls of its life take.

use serde_json::Value;

use super::create::{Bounds, any_or_listed, check_end, mfa_by_default};
use super::field::{Errors, Object};
use super::outcome::version_conflict;
use super::rules::{self, Powers};
use super::wish::{Expiry, FIELDS, Origins, Wish};
use super::{Action, DEFAULT_GRACE};
use crate::family::KeyPatch;
use crate::key::KeyRecord;
use crate::origin::OriginPattern;
use crate::problem::Problem;
use crate::time::{Millis, UnixMillis};

/// Fields of the resource that nobody writes.
const FIXED: [&str; 8] =
    ["id", "family", "kind", "tenant", "environment", "state", "created_at", "deprecated"];

/// What `PATCH keys/{id}` asks for.
#[derive(Clone, Debug)]
pub struct Update {
    /// The version that the caller has seen: another one in the store is a conflict.
    version: u64,
    wish: Wish,
}

impl Update {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn read(body: &Value) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let known: Vec<&str> = ["version"].into_iter().chain(FIELDS).collect();
        let update = Object::body(body, &known, &FIXED, &errors).and_then(|body| {
            let version = body.field("version").required().number();
            if body.is_null("name") {
                errors.note("name", "cannot be empty");
            }
            let wish = Wish::read(&body, &errors);
            Some(Self { version: version?, wish })
        });
        errors.settle(update)
    }

    /// The fields that change, checked on the record that they change.
    ///
    /// # Errors
    /// `version_conflict`, and `invalid_field` when the key as a whole would break a rule.
    pub fn patch(
        self,
        record: &KeyRecord,
        bounds: &Bounds<'_>,
        now: UnixMillis,
    ) -> Result<Patched, Box<Problem>> {
        if self.version != record.version {
            return Err(Box::new(version_conflict(record.version)));
        }
        let errors = Errors::default();
        let wish = self.wish;
        let (origins, allow_any_origin) = patched_origins(&wish, record, &errors);
        let patch = KeyPatch {
            name: wish.name,
            owner: wish.owner.map(|owner| (!owner.is_empty()).then_some(owner)),
            tags: wish.tags,
            metadata: wish.metadata,
            origins: Some(origins),
            allow_any_origin: Some(allow_any_origin),
            addresses: wish.addresses,
            scopes: wish.scopes,
            limits: wish.limits,
            mode: wish.mode,
            expires_at: wish.expiry.map(|expiry| {
                let at = expiry.at(now);
                check_new_end(expiry, at, record, bounds, now, &errors);
                at
            }),
            mfa: wish.mfa,
        };
        let patch = with_second_factor(patch, record);
        let (after, _) = patch.apply_to(record);
        rules::check(&Powers::of(&after), &errors);
        errors.settle(Some(Patched { patch, after }))
    }
}

/// A change that may be asked of the key's object.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// What is asked.
    pub patch: KeyPatch,
    /// The record with it: what the caller must be able to grant.
    pub after: KeyRecord,
}

fn patched_origins(wish: &Wish, record: &KeyRecord, errors: &Errors) -> (Vec<OriginPattern>, bool) {
    let allow_any = match (&wish.origins, wish.allow_any_origin) {
        (_, Some(said)) => said,
        // A list, an empty one too, takes the place of `*`; to say `*` again needs no second leave.
        (Some(Origins::List(_)), None) => false,
        _ => record.allow_any_origin,
    };
    let origins = match &wish.origins {
        Some(origins) => origins.clone(),
        None => Origins::List(record.origins.clone()),
    };
    any_or_listed(Some(origins), allow_any, errors)
}

/// A write scope that comes to an admin key brings the second factor along, as at its making.
fn with_second_factor(patch: KeyPatch, record: &KeyRecord) -> KeyPatch {
    let touched = patch.scopes.is_some() || patch.addresses.is_some();
    let (after, _) = patch.apply_to(record);
    let needed = mfa_by_default(after.kind, &after.scopes, &after.addresses);
    match patch.mfa {
        None if touched && needed => KeyPatch { mfa: Some(true), ..patch },
        _ => patch,
    }
}

fn check_new_end(
    expiry: Expiry,
    at: UnixMillis,
    record: &KeyRecord,
    bounds: &Bounds<'_>,
    now: UnixMillis,
    errors: &Errors,
) {
    if record.deprecated.is_some() && at > record.expires_at {
        let message = "the key was rotated: its end can only be brought forward";
        errors.note(expiry.field(), message);
        return;
    }
    check_end(expiry, at, now, record.created_at.plus(bounds.longest()), errors);
}

/// What the body of a call of a key's life says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionBody {
    /// Rotate, and let the old key work for this long.
    Rotate {
        /// Zero ends it at once.
        grace: Millis,
    },
    /// End the grace period now.
    EndGrace,
    /// Switch off.
    Disable,
    /// Switch on again.
    Enable,
    /// End for good.
    Revoke {
        /// The key's predecessors and successors too.
        family: bool,
    },
}

/// Reads the body of `POST keys/{id}/{action}`.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn read_action(action: Action, body: &Value) -> Result<ActionBody, Box<Problem>> {
    let errors = Errors::default();
    let known: &[&str] = match action {
        Action::Rotate => &["grace"],
        Action::Revoke => &["family"],
        Action::EndGrace | Action::Disable | Action::Enable => &[],
    };
    let read = Object::body(body, known, &[], &errors).map(|body| match action {
        Action::Rotate => {
            let grace = body.field("grace").read(Millis::parse);
            ActionBody::Rotate { grace: grace.unwrap_or(DEFAULT_GRACE) }
        }
        Action::EndGrace => ActionBody::EndGrace,
        Action::Disable => ActionBody::Disable,
        Action::Enable => ActionBody::Enable,
        Action::Revoke => {
            ActionBody::Revoke { family: body.field("family").boolean().unwrap_or(false) }
        }
    });
    errors.settle(read)
}
