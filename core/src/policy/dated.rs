//! What a route carries a date for: its deprecation, and checks in shadow.

use crate::time::{Millis, UnixMillis};

use super::error::Wrong;
use super::reader::{Field, Shape};

pub(super) const DEPRECATED: Shape =
    Shape { at: "route[].deprecated", fields: &["since", "sunset", "link"] };
pub(super) const SHADOW: Shape = Shape { at: "route[].shadow", fields: &["checks", "until"] };
pub(super) const SOURCE_SHADOW: Shape =
    Shape { at: "source[].shadow", fields: &["checks", "until"] };

/// The longest time that a check may stay in shadow (SPEC section 1).
const SHADOW_LIMIT: Millis = Millis::days(30);

/// A route that is going away: told on each of its answers (RFC 9745, RFC 8594).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Since when it is deprecated; may lie ahead.
    pub since: UnixMillis,
    /// When it stops, not before `since`.
    pub sunset: Option<UnixMillis>,
    /// Where to read what to use instead: an https address.
    pub link: Option<String>,
}

/// Checks that decide and log `would_refuse`, but let pass, until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Which checks.
    pub checks: Vec<ShadowCheck>,
    /// From this instant on they refuse again. At most 30 days ahead when the policy is checked.
    pub until: UnixMillis,
}

/// What can be in shadow; nothing else can (SPEC section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowCheck {
    /// Limits, the key's and the route's.
    Limits,
    /// The key's own origins; never the route's.
    Origins,
    /// The key's own addresses.
    Addresses,
    /// The route's scopes.
    Scope,
}

impl ShadowCheck {
    /// Every check, with its name in a policy.
    pub const ALL: [(&'static str, Self); 4] = [
        ("limits", Self::Limits),
        ("origins", Self::Origins),
        ("addresses", Self::Addresses),
        ("scope", Self::Scope),
    ];
}

impl Shadow {
    /// True while refusals of `check` are only logged.
    pub fn covers(&self, check: ShadowCheck, now: UnixMillis) -> bool {
        now < self.until && self.checks.contains(&check)
    }
}

pub(super) fn read_deprecated(field: &Field<'_>) -> Option<Deprecation> {
    let table = field.table(&DEPRECATED)?;
    let since = date(&table.field("since").required());
    let sunset_at = table.field("sunset");
    let sunset = date(&sunset_at);
    if sunset.is_some_and(|sunset| since.is_some_and(|since| sunset < since)) {
        sunset_at.wrong(Wrong::new("must not be before `since`"));
    }
    let link = table.field("link").parsed(https_address);
    Some(Deprecation { since: since?, sunset, link })
}

pub(super) fn read_shadow(
    field: &Field<'_>,
    shape: &'static Shape,
    known: &[(&'static str, Option<ShadowCheck>)],
    now: UnixMillis,
) -> Option<Shadow> {
    let table = field.table(shape)?;
    let checks_at = table.field("checks").required();
    let checks = checks_at.list(|text| {
        let found = known.iter().find(|(word, _)| *word == text);
        found.map(|(_, check)| *check).ok_or_else(|| {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            super::reader::unknown_word(text, &words)
        })
    });
    if checks.as_ref().is_some_and(Vec::is_empty) && checks_at.is_given() {
        checks_at.wrong(Wrong::new("names no check"));
    }
    let until_at = table.field("until").required();
    let until = date(&until_at);
    let last = now.plus(SHADOW_LIMIT);
    // A date that has passed is no error: shadow is over then, and the gate refuses again. An
    // error would stop a gate whose policy was good on the day that it was deployed.
    if until.is_some_and(|until| until > last) {
        let message = format!("must be within 30 days: not after {}", last.to_rfc3339());
        until_at.wrong(Wrong::new(message));
    }
    Some(Shadow { checks: checks?.into_iter().flatten().collect(), until: until? })
}

/// A day, or an instant in UTC.
fn date(field: &Field<'_>) -> Option<UnixMillis> {
    let text = field.date()?;
    let read = UnixMillis::parse_rfc3339(text);
    if read.is_none() {
        let message = format!("{text:?} is not a date");
        field.wrong(Wrong::help(message, "as in 2026-06-01 or 2026-06-01T12:00:00Z"));
    }
    read
}

/// An address that can stand in a `Link` header (RFC 8288 section 3) as it is.
fn https_address(text: &str) -> Result<String, Wrong> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && rest.bytes().all(plain) => Ok(text.to_owned()),
        _ => Err(Wrong::new("must be an address that begins with https://")),
    }
}
