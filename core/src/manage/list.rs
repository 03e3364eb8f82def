//! `GET keys`: what to list, and where to go on.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::field::{Errors, Object};
use crate::key::{KeyId, KeyKind};
use crate::problem::{Code, Problem};
use crate::time::UnixMillis;

/// The most keys of one page.
const MAX_PAGE: u64 = 100;
/// The keys of a page when nobody says.
pub(super) const DEFAULT_PAGE: u64 = 50;

/// A state by which keys are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// In use.
    Active,
    /// Switched off.
    Disabled,
    /// Ended for good.
    Revoked,
    /// Past its end.
    Expired,
}

/// The place after one key in the order of the list: newest first, and by id within one
/// millisecond. It names a key and no number, so it stays right while keys come and go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last key that was shown was made.
    pub created_at: UnixMillis,
    /// Its id.
    pub id: KeyId,
}

impl Cursor {
    /// As it stands in `nextCursor`.
    pub fn to_text(&self) -> String {
        let text = format!("1.{}.{}", self.created_at.as_millis(), self.id);
        BASE64URL_NOPAD.encode(text.as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (created_at, id) = text.strip_prefix("1.")?.split_once('.')?;
        let digits = !created_at.is_empty() && created_at.bytes().all(|b| b.is_ascii_digit());
        let created_at = created_at.parse().ok().filter(|_| digits)?;
        let created_at = UnixMillis::from_millis(created_at);
        Some(Self { created_at, id: KeyId::parse(id).ok()? })
    }
}

/// Which keys to list: what a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// At most so many, 1 to 100.
    pub limit: u64,
    /// After this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// With this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KeyKind>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<KeyState>,
    /// Not used since then; one that was never used counts from its making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<UnixMillis>,
}

impl ListQuery {
    /// Reads the pairs of the query.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong; `not_found` for another tenant.
    pub fn read(pairs: &Map<String, Value>, caller: &Caller) -> Result<Self, Box<Problem>> {
        const KNOWN: [&str; 8] =
            ["limit", "cursor", "tenant", "owner", "tag", "kind", "state", "unused_since"];
        let errors = Errors::default();
        let query = Object::query(pairs, &KNOWN, &errors);
        let text = |name: &str| query.field(name).line(1, 100);
        let limit = query.field("limit").read(page_size);
        let cursor = query
            .field("cursor")
            .read(|text| Cursor::parse(text).ok_or("is not a nextCursor of this list"));
        let kind = query
            .field("kind")
            .read(|text| KeyKind::parse(text).ok_or("has to be pk, sk, rk or ak"));
        let state = query.field("state").read(state);
        let unused_since = query.field("unused_since").read(instant);
        let asked = Self {
            limit: limit.unwrap_or(DEFAULT_PAGE),
            cursor,
            tenant: text("tenant"),
            owner: text("owner"),
            tag: text("tag"),
            kind,
            state,
            unused_since,
        };
        let mut asked = errors.settle(Some(asked))?;
        match (caller.tenant(), &asked.tenant) {
            (Some(own), Some(tenant)) if own != tenant => {
                return Err(Box::new(Code::NotFound.into()));
            }
            (Some(own), _) => asked.tenant = Some(own.to_owned()),
            (None, _) => {}
        }
        Ok(asked)
    }
}

/// A `limit`.
pub(super) fn page_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|n| digits && (1..=MAX_PAGE).contains(n));
    number.ok_or_else(|| format!("has to be 1 to {MAX_PAGE}"))
}

/// An instant in a query.
pub(super) fn instant(text: &str) -> Result<UnixMillis, &'static str> {
    UnixMillis::parse_rfc3339(text).ok_or("has to be a time in UTC such as 2027-01-31T12:00:00Z")
}

fn state(text: &str) -> Result<KeyState, &'static str> {
    match text {
        "active" => Ok(KeyState::Active),
        "disabled" => Ok(KeyState::Disabled),
        "revoked" => Ok(KeyState::Revoked),
        "expired" => Ok(KeyState::Expired),
        _ => Err("has to be active, disabled, revoked or expired"),
    }
}
