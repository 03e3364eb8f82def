//! Who calls the management API, and what they may have (SPEC section 8).
//!
//! A caller acts inside its tenant; what is outside does not exist for it. It never changes itself
//! or a rotation of itself. An admin key makes admin keys only with `keys:admin`, and gives them
//! at most its own scopes, addresses and freedom from a second factor; that goes for every way in
//! which an admin key comes out stronger: making, changing, rotating and enabling it.
//!
//! The scopes and addresses of other kinds of keys are the tenant's business. The scopes of an
//! admin key are rights over keys, not over backends, so they say nothing about them.

use super::rules::Powers;
use crate::address::Cidr;
use crate::key::{KeyKind, KeyRecord};
use crate::people::SessionView;
use crate::problem::{Code, Problem};
use crate::scope::Scope;
use crate::text::Secret;

/// The fewest characters of a root token: 32 random bytes in base64url (SPEC section 8).
const MIN_ROOT_TOKEN: usize = 43;

/// True when what was presented is the root token. A token that is too short is none at all.
pub fn root_token_fits(token: &Secret, presented: &str) -> bool {
    token.expose().len() >= MIN_ROOT_TOKEN && token.matches(presented)
}

/// Somebody whose credential was found good.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The holder of the root token.
    Root,
    /// The holder of an admin key, and the key as it is at this moment.
    Key(Box<KeyRecord>),
    /// The same, from a session.
    Session {
        /// The key that the session is of.
        record: Box<KeyRecord>,
        /// The session.
        session: SessionView,
    },
}

/// What a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Seeing keys, verifying them, and explaining decisions.
    ReadKeys,
    /// Making and changing keys that are no admin keys.
    WriteKeys,
    /// Making and changing admin keys.
    AdminKeys,
    /// Reading the audit.
    ReadAudit,
    /// Reading usage and anomalies.
    ReadUsage,
    /// Reading webhooks, in and out.
    ReadHooks,
    /// Sending webhooks again, and having events sent.
    WriteHooks,
}

impl Right {
    /// The right to change a key of this kind.
    pub const fn to_change(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Ak => Self::AdminKeys,
            KeyKind::Pk | KeyKind::Sk | KeyKind::Rk => Self::WriteKeys,
        }
    }

    /// The scope that gives it.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::ReadKeys => "keys:read",
            Self::WriteKeys => "keys:write",
            Self::AdminKeys => "keys:admin",
            Self::ReadAudit => "audit:read",
            Self::ReadUsage => "usage:read",
            Self::ReadHooks => "hooks:read",
            Self::WriteHooks => "hooks:write",
        }
    }

    const fn is_write(self) -> bool {
        matches!(self, Self::WriteKeys | Self::AdminKeys | Self::WriteHooks)
    }
}

impl Caller {
    /// The caller's key, however it is used; None for the root token.
    pub fn key(&self) -> Option<&KeyRecord> {
        match self {
            Self::Root => None,
            Self::Key(record) | Self::Session { record, .. } => Some(record),
        }
    }

    /// The one tenant that the caller acts in; None for all of them.
    pub fn tenant(&self) -> Option<&str> {
        self.key().map(|record| record.tenant.as_str()).filter(|tenant| *tenant != "*")
    }

    /// True for the root token and for admin keys of all tenants.
    pub fn is_operator(&self) -> bool {
        self.tenant().is_none()
    }

    /// True when what belongs to `tenant` exists for this caller.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant().is_none_or(|own| own == tenant)
    }

    /// `root`, or the id of its key: for the log.
    pub fn name(&self) -> &str {
        self.key().map_or("root", |record| record.id.as_str())
    }

    fn has_second_factor(&self) -> bool {
        matches!(self, Self::Session { session, .. } if session.second_factor)
    }

    /// Nothing, if the caller has one of these rights, or none is asked for.
    ///
    /// # Errors
    /// `insufficient_scope`, with the scopes that would do; `second_factor_required`.
    pub fn require(&self, any: &[Right]) -> Result<(), Box<Problem>> {
        let Some(record) = self.key() else { return Ok(()) };
        if any.is_empty() {
            return Ok(());
        }
        let held = |right: &&Right| record.scopes.iter().any(|held| held.covers(right.scope()));
        let Some(right) = any.iter().find(held) else {
            let mut problem = Problem::new(Code::InsufficientScope);
            problem.required_scopes = any.iter().map(|right| right.scope().to_owned()).collect();
            let detail = "The admin key does not have a scope that this call takes.";
            return Err(Box::new(problem.detail(detail)));
        };
        if record.mfa && right.is_write() && !self.has_second_factor() {
            return Err(Box::new(Code::SecondFactorRequired.into()));
        }
        Ok(())
    }

    /// Nothing, if the caller may change this key in a way that does not make it stronger.
    ///
    /// # Errors
    /// `not_found`, `insufficient_scope`, and `not_grantable` for the caller's own key.
    pub fn may_change(&self, key: &KeyRecord) -> Result<(), Box<Problem>> {
        self.may_see(key)?;
        self.require(&[Right::to_change(key.kind)])?;
        if self.key().is_some_and(|own| own.family == key.family) {
            let detail = "An admin key cannot change itself or its rotations.";
            return Err(Box::new(not_grantable(detail)));
        }
        Ok(())
    }

    /// Nothing, if the key exists for the caller.
    ///
    /// # Errors
    /// `not_found`.
    pub fn may_see(&self, key: &KeyRecord) -> Result<(), Box<Problem>> {
        if self.sees(&key.tenant) { Ok(()) } else { Err(Box::new(Code::NotFound.into())) }
    }

    /// Nothing, if the caller may make a key, old or new, as strong as this.
    ///
    /// # Errors
    /// `insufficient_scope`, and `not_grantable` with everything that is too much.
    pub fn may_grant(&self, key: &KeyRecord) -> Result<(), Box<Problem>> {
        self.may_make(&Powers::of(key))
    }

    pub(super) fn may_make(&self, key: &Powers<'_>) -> Result<(), Box<Problem>> {
        self.require(&[Right::to_change(key.kind)])?;
        let Some(own) = self.key() else { return Ok(()) };
        let mut excess = Vec::new();
        if !self.sees(key.tenant) {
            excess.push(format!("keys of the tenant `{}`", key.tenant));
        }
        if key.kind == KeyKind::Ak {
            excess_of_admin(own, key, &mut excess);
        }
        if excess.is_empty() {
            return Ok(());
        }
        Err(Box::new(not_grantable(&format!("Beyond this admin key: {}.", excess.join("; ")))))
    }
}

fn excess_of_admin(own: &KeyRecord, key: &Powers<'_>, excess: &mut Vec<String>) {
    let held = |scope: &&Scope| own.scopes.iter().any(|held| held.includes(scope));
    for scope in key.scopes.iter().filter(|scope| !held(scope)) {
        excess.push(format!("the scope `{scope}`"));
    }
    if !own.addresses.is_empty() {
        if key.addresses.is_empty() {
            excess.push("an empty address list, which means every address".to_owned());
        }
        let inside = |cidr: &&Cidr| own.addresses.iter().any(|outer| is_within(outer, cidr));
        for cidr in key.addresses.iter().filter(|cidr| !inside(cidr)) {
            excess.push(format!("the addresses `{cidr}`"));
        }
    }
    if own.mfa && key.writes() && !key.mfa {
        excess.push("writing without a second factor".to_owned());
    }
}

/// True when every address of `inner` lies in `outer`.
fn is_within(outer: &Cidr, inner: &Cidr) -> bool {
    let parts = |cidr: &Cidr| {
        let text = cidr.to_string();
        let (address, prefix) = text.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse::<u8>().ok()?))
    };
    match (parts(outer), parts(inner)) {
        (Some((_, wide)), Some((address, narrow))) => wide <= narrow && outer.contains(address),
        _ => false,
    }
}

fn not_grantable(detail: &str) -> Problem {
    Problem::new(Code::NotGrantable).detail(detail)
}

#[cfg(test)]
mod tests;
