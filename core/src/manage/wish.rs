//! What a body says about a key: the fields that making and changing one have in common.

use serde_json::{Map, Value};

use super::field::{Errors, Field, Object};
use super::limit;
use crate::address::Cidr;
use crate::limit::{Limit, Mode};
use crate::origin::{OriginPattern, SingleLabels};
use crate::scope::Scope;
use crate::time::{Millis, UnixMillis};

/// The fields that [`Wish::read`] reads.
pub(super) const FIELDS: [&str; 13] = [
    "name",
    "owner",
    "tags",
    "metadata",
    "scopes",
    "origins",
    "allow_any_origin",
    "addresses",
    "limits",
    "mode",
    "expires_in",
    "expires_at",
    "mfa",
];

/// The most entries of a list of origins, addresses or scopes: a record is read on every request.
pub(super) const MAX_ENTRIES: usize = 64;
/// The most tags of a key.
const MAX_TAGS: usize = 20;
/// The most limits that a key has of its own.
pub(super) const MAX_LIMITS: usize = 8;
/// The longest name and owner, in characters.
pub(super) const MAX_NAME: usize = 100;
/// The longest tag, in characters.
pub(super) const MAX_TAG: usize = 50;
/// The most metadata, in bytes of JSON (SPEC section 3).
const MAX_METADATA: usize = 1_024;

/// What was said; None where nothing was.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wish {
    pub(super) name: Option<String>,
    /// Empty: nobody.
    pub(super) owner: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) scopes: Option<Vec<Scope>>,
    pub(super) origins: Option<Origins>,
    pub(super) allow_any_origin: Option<bool>,
    pub(super) addresses: Option<Vec<Cidr>>,
    pub(super) limits: Option<Vec<Limit>>,
    pub(super) mode: Option<Mode>,
    pub(super) expiry: Option<Expiry>,
    pub(super) mfa: Option<bool>,
}

/// An origin list as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origins {
    /// `["*"]`.
    Any,
    List(Vec<OriginPattern>),
}

/// When a key is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expiry {
    In(Millis),
    At(UnixMillis),
}

impl Expiry {
    pub(super) const fn at(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::In(span) => now.plus(span),
            Self::At(instant) => instant,
        }
    }

    /// The field that said so.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::In(_) => "expires_in",
            Self::At(_) => "expires_at",
        }
    }
}

impl Wish {
    /// Reads the fields. `null` empties those that may be empty.
    pub(super) fn read(body: &Object<'_>, errors: &Errors) -> Self {
        let tag = |item: &Field<'_>| item.line(1, MAX_TAG);
        let scope = |item: &Field<'_>| item.read(Scope::parse);
        let address = |item: &Field<'_>| item.read(Cidr::parse);
        Self {
            name: body.field("name").line(1, MAX_NAME),
            owner: emptied(body, "owner").or_else(|| body.field("owner").line(0, MAX_NAME)),
            tags: emptied(body, "tags").or_else(|| body.field("tags").list(MAX_TAGS, tag)),
            metadata: emptied(body, "metadata").or_else(|| metadata(&body.field("metadata"))),
            scopes: emptied(body, "scopes")
                .or_else(|| body.field("scopes").list(MAX_ENTRIES, scope)),
            origins: body
                .is_null("origins")
                .then(|| Origins::List(Vec::new()))
                .or_else(|| origins(&body.field("origins"))),
            allow_any_origin: body.field("allow_any_origin").boolean(),
            addresses: emptied(body, "addresses")
                .or_else(|| body.field("addresses").list(MAX_ENTRIES, address)),
            limits: emptied(body, "limits").or_else(|| limits(&body.field("limits"))),
            mode: emptied(body, "mode").or_else(|| limit::mode(&body.field("mode"))),
            expiry: expiry(body, errors),
            mfa: body.field("mfa").boolean(),
        }
    }
}

/// The empty value, if the field stands there as `null`.
pub(super) fn emptied<T: Default>(body: &Object<'_>, name: &str) -> Option<T> {
    body.is_null(name).then(T::default)
}

/// An object of at most 1 KiB as JSON.
pub(super) fn metadata(field: &Field<'_>) -> Option<Map<String, Value>> {
    let map = field.map()?;
    let length = field.value().map_or(0, |value| value.to_string().len());
    if length > MAX_METADATA {
        field.wrong(format!("is {length} bytes of JSON; {MAX_METADATA} is the most"));
        return None;
    }
    Some(map.clone())
}

fn origins(field: &Field<'_>) -> Option<Origins> {
    let mut any = false;
    let list = field.list(MAX_ENTRIES, |item| {
        if item.text() == Some("*") {
            any = true;
            return None;
        }
        item.read(|text| OriginPattern::parse(text, &SingleLabels))
    });
    match list {
        Some(list) if any && !list.is_empty() => {
            field.wrong("`*` is every origin, so it stands alone");
            None
        }
        Some(_) if any => Some(Origins::Any),
        list => list.map(Origins::List),
    }
}

fn limits(field: &Field<'_>) -> Option<Vec<Limit>> {
    let mut limits: Vec<Limit> = Vec::new();
    for item in field.items(MAX_LIMITS)? {
        let Some(limit) = limit::read(&item) else { continue };
        if limits.iter().any(|other| other.name() == limit.name()) {
            item.wrong(format!("a second limit is named `{}`", limit.name()));
        }
        limits.push(limit);
    }
    Some(limits)
}

fn expiry(body: &Object<'_>, errors: &Errors) -> Option<Expiry> {
    let (span, instant) = (body.field("expires_in"), body.field("expires_at"));
    if span.is_given() && instant.is_given() {
        errors.note("expires_at", "say expires_in or expires_at, not both");
        return None;
    }
    let span = span.read(Millis::parse).map(Expiry::In);
    span.or_else(|| {
        instant.read(|text| {
            let wrong = "has to be a time in UTC such as 2027-01-31T12:00:00Z";
            UnixMillis::parse_rfc3339(text).map(Expiry::At).ok_or(wrong)
        })
    })
}
