//! Making a key: from a body to a checked record, and from random bytes to its secret.

use serde_json::{Map, Value};

use super::caller::Caller;
use super::field::{Errors, Object};
use super::rules::{self, Powers};
use super::wish::{Expiry, FIELDS, Origins, Wish};
use super::{DEFAULT_LIFETIME, MAX_LIFETIME};
use crate::address::Cidr;
use crate::key::{
    ID_RANDOM, IdSecret, Key, KeyEnvironment, KeyKind, KeyPrefix, KeyRecord, KeyState, Peppers,
    SECRET_CHARS,
};
use crate::limit::{Limit, Mode};
use crate::origin::OriginPattern;
use crate::problem::Problem;
use crate::scope::Scope;
use crate::text::{Secret, random_base62};
use crate::time::{Millis, UnixMillis};

/// What the gate's policy and environment say about every key.
#[derive(Clone, Debug)]
pub struct Bounds<'p> {
    /// The first part of every key.
    pub brand: &'p str,
    /// The environment's name.
    pub environment: &'p str,
    /// The longest time from a key's making to its end; None for [`MAX_LIFETIME`].
    pub max_lifetime: Option<Millis>,
}

impl Bounds<'_> {
    /// The longest time from a key's making to its end.
    pub fn longest(&self) -> Millis {
        self.max_lifetime.unwrap_or(MAX_LIFETIME)
    }
}

/// A key that may be made: everything but its id and secret.
#[derive(Clone, Debug)]
pub struct NewKey {
    kind: KeyKind,
    tenant: String,
    name: String,
    owner: Option<String>,
    tags: Vec<String>,
    metadata: Map<String, Value>,
    scopes: Vec<Scope>,
    origins: Vec<OriginPattern>,
    allow_any_origin: bool,
    addresses: Vec<Cidr>,
    limits: Vec<Limit>,
    mode: Mode,
    mfa: bool,
    expires_at: UnixMillis,
    now: UnixMillis,
}

/// What making a key takes besides the wish.
#[derive(Clone, Copy, Debug)]
pub struct Making<'g> {
    /// Under which secrets are kept.
    pub peppers: &'g Peppers,
    /// Under which ids are made.
    pub ids: &'g IdSecret,
    /// 128 fresh random bytes.
    pub random: &'g [u8; 128],
}

/// A key, and the one sight of its secret.
#[derive(Debug)]
pub struct MadeKey {
    /// What is stored.
    pub record: KeyRecord,
    /// The whole key: for its holder alone.
    pub secret: Secret,
}

impl NewKey {
    /// Reads the body of `POST keys`.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong, `insufficient_scope` and `not_grantable`.
    pub fn read(
        body: &Value,
        bounds: &Bounds<'_>,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let known: Vec<&str> = ["tenant", "kind"].into_iter().chain(FIELDS).collect();
        let new = Object::body(body, &known, &[], &errors)
            .and_then(|body| Self::read_fields(&body, bounds, caller, now, &errors));
        let new = errors.settle(new)?;
        caller.may_make(&new.powers())?;
        Ok(new)
    }

    fn read_fields(
        body: &Object<'_>,
        bounds: &Bounds<'_>,
        caller: &Caller,
        now: UnixMillis,
        errors: &Errors,
    ) -> Option<Self> {
        let kind = kind(body);
        let tenant = tenant(body, caller, kind);
        let name = body.field("name").required().is_given();
        let wish = Wish::read(body, errors);
        let (origins, allow_any_origin) =
            any_or_listed(wish.origins, wish.allow_any_origin.unwrap_or(false), errors);
        let scopes = wish.scopes.unwrap_or_default();
        let addresses = wish.addresses.unwrap_or_default();
        let expires_at = end(wish.expiry, bounds, now, errors);
        let kind = kind?;
        let mfa = wish.mfa.unwrap_or_else(|| mfa_by_default(kind, &scopes, &addresses));
        let new = Self {
            kind,
            tenant: tenant.unwrap_or_default(),
            name: wish.name.unwrap_or_default(),
            owner: wish.owner.filter(|owner| !owner.is_empty()),
            tags: wish.tags.unwrap_or_default(),
            metadata: wish.metadata.unwrap_or_default(),
            scopes,
            origins,
            allow_any_origin,
            addresses,
            limits: wish.limits.unwrap_or_default(),
            mode: wish.mode.unwrap_or_default(),
            mfa,
            expires_at,
            now,
        };
        // What could not be read has been told, and would only be told again as missing.
        if errors.is_empty() {
            rules::check(&new.powers(), errors);
        }
        name.then_some(new)
    }

    /// The key. None when the random bytes are unusable, which never happens with real ones.
    pub fn make(&self, bounds: &Bounds<'_>, with: &Making<'_>) -> Option<MadeKey> {
        let key = fresh_key(self.kind, bounds, with)?;
        let digest = with.peppers.digest(&key)?;
        let new = self.clone();
        let record = KeyRecord {
            family: key.id.clone(),
            id: key.id.clone(),
            kind: new.kind,
            environment: bounds.environment.to_owned(),
            tenant: new.tenant,
            name: new.name,
            owner: new.owner,
            tags: new.tags,
            metadata: new.metadata,
            state: KeyState::Active,
            version: 1,
            created_at: new.now,
            expires_at: new.expires_at,
            lifetime: new.expires_at.since(new.now),
            deprecated: None,
            origins: new.origins,
            allow_any_origin: new.allow_any_origin,
            addresses: new.addresses,
            scopes: new.scopes,
            limits: new.limits,
            mode: new.mode,
            mfa: new.mfa,
            suspended: false,
            digest,
        };
        Some(MadeKey { record, secret: key.text() })
    }

    fn powers(&self) -> Powers<'_> {
        Powers {
            kind: self.kind,
            tenant: &self.tenant,
            scopes: &self.scopes,
            origins: &self.origins,
            allow_any_origin: self.allow_any_origin,
            addresses: &self.addresses,
            limits: &self.limits,
            mode: self.mode,
            mfa: self.mfa,
        }
    }
}

/// An admin key that writes has a second factor, unless it is bound to addresses (SPEC section 8).
pub(super) fn mfa_by_default(kind: KeyKind, scopes: &[Scope], addresses: &[Cidr]) -> bool {
    kind == KeyKind::Ak && addresses.is_empty() && scopes.iter().any(Scope::is_write)
}

/// The origins that a key lists, and whether it may be used from any. `*` and the leave to use it
/// go together.
pub(super) fn any_or_listed(
    origins: Option<Origins>,
    allow_any: bool,
    errors: &Errors,
) -> (Vec<OriginPattern>, bool) {
    match origins {
        Some(Origins::Any) => {
            if !allow_any {
                errors.note("origins", "`*` needs allow_any_origin = true as well");
            }
            (Vec::new(), true)
        }
        Some(Origins::List(list)) if !list.is_empty() => {
            if allow_any {
                let message = "the key lists origins: leave this out, or list `*` alone";
                errors.note("allow_any_origin", message);
            }
            (list, false)
        }
        _ => (Vec::new(), allow_any),
    }
}

/// A key with a fresh id and secret, for a new record or a rotation.
pub fn fresh_key(kind: KeyKind, bounds: &Bounds<'_>, with: &Making<'_>) -> Option<Key> {
    let environment = KeyEnvironment::of(bounds.environment);
    let prefix = KeyPrefix { brand: bounds.brand.to_owned(), environment, kind };
    let (for_id, for_secret) = with.random.split_at_checked(32)?;
    let id = with.ids.id(&prefix, &random_base62(for_id, ID_RANDOM)?)?;
    let secret = random_base62(for_secret, SECRET_CHARS)?;
    Some(Key::assemble(prefix, id, Secret::new(secret)))
}

fn kind(body: &Object<'_>) -> Option<KeyKind> {
    let field = body.field("kind").required();
    field.read(|text| KeyKind::parse(text).ok_or("has to be pk, sk, rk or ak"))
}

/// A caller that is bound to one tenant need not name it.
fn tenant(body: &Object<'_>, caller: &Caller, kind: Option<KeyKind>) -> Option<String> {
    let field = body.field("tenant");
    match caller.tenant() {
        Some(own) if !field.is_given() => Some(own.to_owned()),
        _ => field.required().read(|text| match text {
            "*" if kind.is_none_or(|kind| kind == KeyKind::Ak) => Ok(text.to_owned()),
            "*" => Err("only admin keys (ak) belong to all tenants"),
            _ if rules::is_tenant(text) => Ok(text.to_owned()),
            _ => Err("has to be 1 to 63 lower-case letters, digits and `-`, not first a `-`"),
        }),
    }
}

/// When the key ends; noted if that is in the past or beyond the bounds.
pub(super) fn end(
    expiry: Option<Expiry>,
    bounds: &Bounds<'_>,
    now: UnixMillis,
    errors: &Errors,
) -> UnixMillis {
    let longest = bounds.longest();
    let Some(expiry) = expiry else { return now.plus(DEFAULT_LIFETIME.min(longest)) };
    let at = expiry.at(now);
    check_end(expiry, at, now, now.plus(longest), errors);
    at
}

pub(super) fn check_end(
    expiry: Expiry,
    at: UnixMillis,
    now: UnixMillis,
    latest: UnixMillis,
    errors: &Errors,
) {
    if at <= now {
        errors.note(expiry.field(), "has to be in the future");
    } else if at > latest {
        let latest = latest.to_rfc3339();
        errors.note(expiry.field(), format!("is too late: this key can live until {latest}"));
    }
}
