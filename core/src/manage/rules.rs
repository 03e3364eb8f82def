//! What has to hold for a key as a whole, whoever makes or changes it (SPEC sections 3 and 8).

use super::field::Errors;
use crate::address::Cidr;
use crate::key::{KeyKind, KeyRecord};
use crate::limit::{Kind, Limit, Mode};
use crate::origin::OriginPattern;
use crate::scope::Scope;

/// What a key can do, and where: all that rules and rights are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Powers<'k> {
    pub(super) kind: KeyKind,
    pub(super) tenant: &'k str,
    pub(super) scopes: &'k [Scope],
    pub(super) origins: &'k [OriginPattern],
    pub(super) allow_any_origin: bool,
    pub(super) addresses: &'k [Cidr],
    pub(super) limits: &'k [Limit],
    pub(super) mode: Mode,
    pub(super) mfa: bool,
}

impl<'k> Powers<'k> {
    pub(super) fn of(record: &'k KeyRecord) -> Self {
        Self {
            kind: record.kind,
            tenant: &record.tenant,
            scopes: &record.scopes,
            origins: &record.origins,
            allow_any_origin: record.allow_any_origin,
            addresses: &record.addresses,
            limits: &record.limits,
            mode: record.mode,
            mfa: record.mfa,
        }
    }

    /// True when it can change anything.
    pub(super) fn writes(&self) -> bool {
        self.scopes.iter().any(Scope::is_write)
    }
}

/// The scopes that an admin key may hold (SPEC section 8).
pub(super) const ADMIN_SCOPES: [&str; 7] = [
    "keys:read",
    "keys:write",
    "keys:admin",
    "audit:read",
    "hooks:read",
    "hooks:write",
    "usage:read",
];

/// True for a name of a tenant: `[a-z0-9][a-z0-9-]{0,62}`, as in a host name.
pub(super) fn is_tenant(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Notes everything in which this key breaks a rule.
pub(super) fn check(key: &Powers<'_>, errors: &Errors) {
    match key.kind {
        KeyKind::Pk => publishable(key, errors),
        KeyKind::Sk => no_origins(key, errors),
        KeyKind::Rk => {
            no_origins(key, errors);
            restricted(key, errors);
        }
        KeyKind::Ak => {
            no_origins(key, errors);
            admin(key, errors);
        }
    }
    if key.kind != KeyKind::Ak && key.mfa {
        errors.note("mfa", "only admin keys (ak) have a second factor");
    }
}

/// In a browser a key is public, so it is bound to origins; and one that any page may use cannot
/// write.
fn publishable(key: &Powers<'_>, errors: &Errors) {
    if key.origins.is_empty() && !key.allow_any_origin {
        errors.note("origins", "a publishable key lists the origins that it may be used from");
    }
    if key.allow_any_origin {
        for scope in key.scopes.iter().filter(|scope| scope.is_write()) {
            let message = format!("with `{scope}`, which is a write, the key has to list origins");
            errors.note("allow_any_origin", message);
        }
    }
}

fn no_origins(key: &Powers<'_>, errors: &Errors) {
    if !key.origins.is_empty() {
        errors.note("origins", "only publishable keys (pk) are used from origins");
    }
    if key.allow_any_origin {
        errors.note("allow_any_origin", "only publishable keys (pk) are used from origins");
    }
}

fn restricted(key: &Powers<'_>, errors: &Errors) {
    if key.scopes.is_empty() {
        errors.note("scopes", "a restricted key has at least one scope");
    }
    for (at, scope) in key.scopes.iter().enumerate() {
        if !scope.is_restricted() {
            let message =
                format!("`{scope}`: a scope of a restricted key has three parts and no `*`");
            errors.note(&format!("scopes[{at}]"), message);
        }
    }
}

fn admin(key: &Powers<'_>, errors: &Errors) {
    if key.scopes.is_empty() {
        errors.note("scopes", format!("an admin key has at least one of {}", listed()));
    }
    for (at, scope) in key.scopes.iter().enumerate() {
        if !ADMIN_SCOPES.contains(&scope.as_str()) {
            let message = format!("`{scope}`: the scopes of admin keys are {}", listed());
            errors.note(&format!("scopes[{at}]"), message);
        }
    }
    if key.writes() && !key.mfa && key.addresses.is_empty() {
        let message = "an admin key that writes without a second factor needs an address list";
        errors.note("mfa", message);
    }
    asks_each_time(key, errors);
}

/// The management API asks the object of an admin key at every call, and holds no place for it.
fn asks_each_time(key: &Powers<'_>, errors: &Errors) {
    let not_leased = "an admin key is asked about at every call: it cannot be leased";
    if key.mode == Mode::Leased {
        errors.note("mode", not_leased);
    }
    for (at, limit) in key.limits.iter().enumerate() {
        if limit.mode() == Mode::Leased {
            errors.note(&format!("limits[{at}].mode"), not_leased);
        }
        if limit.measures().iter().any(|measure| measure.kind() == Kind::Concurrency) {
            let message = "calls of admin keys are not counted in flight";
            errors.note(&format!("limits[{at}].concurrency"), message);
        }
    }
}

fn listed() -> String {
    ADMIN_SCOPES.join(", ")
}
