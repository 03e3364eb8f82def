//! Notices before a key's end, and reminders to rotate it: when they are due, and which were told.
//!
//! Told are keys that their holders still count on: not a revoked key, not one in its grace period,
//! whose end everybody knows who rotated it, and none after its end. A key that is off is told of
//! its end, because it can be switched on again, but not to be rotated, because it cannot be.

use serde::{Deserialize, Serialize};

use super::EventKind;
use crate::key::{KeyRecord, KeyState};
use crate::time::{Millis, UnixMillis};

/// Days before a key's end at which there is a notice, the earliest first.
const NOTICES: [u64; 3] = [30, 7, 1];

/// What was told of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The end that the notices are about: a new end begins them anew.
    pub end: UnixMillis,
    /// Since when that is its end. Whoever set it knew of the notices that lay before.
    pub since: UnixMillis,
    /// The last notice of that end, in days before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u64>,
    /// When the last rotation was due that was told.
    #[serde(default)]
    pub rotation: UnixMillis,
}

/// What is to be told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What is due now: of several that were missed only the latest.
    pub notices: Vec<Notice>,
    /// What was told once these are.
    pub told: Told,
    /// When something is due next.
    pub next: Option<UnixMillis>,
}

/// One thing to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// [`EventKind::Expiring`] or [`EventKind::RotationDue`].
    pub kind: EventKind,
    /// Days until its end, or days that it is old.
    pub days: u64,
}

impl Told {
    /// Of a key whose end became another one just now.
    pub(super) fn new_end(&self, record: &KeyRecord, now: UnixMillis) -> Self {
        Self { end: record.expires_at, since: now, days: None, rotation: self.rotation }
    }
}

/// What is to be told of this key at `now`, and when to look again. `rotate_after`: the age at which
/// a key is due for a rotation, and every such span again.
pub fn due(record: &KeyRecord, told: &Told, rotate_after: Option<Millis>, now: UnixMillis) -> Due {
    let mut told = told.clone();
    if told.end != record.expires_at {
        told = told.new_end(record, record.created_at);
    }
    let mut due = Due { notices: Vec::new(), told, next: None };
    let is_over = record.state == KeyState::Revoked || record.is_expired(now);
    if !is_over && record.deprecated.is_none() {
        due.end(now);
        due.rotation(record, rotate_after, now);
    }
    due
}

impl Due {
    fn end(&mut self, now: UnixMillis) {
        let Told { end, since, days: last, .. } = self.told;
        let at = |days: u64| end.minus(Millis::days(days));
        let open = |days: &u64| at(*days) > since && last.is_none_or(|last| *days < last);
        let (past, ahead): (Vec<u64>, Vec<u64>) =
            NOTICES.into_iter().filter(open).partition(|days| at(*days) <= now);
        if let Some(days) = past.last().copied() {
            self.told.days = Some(days);
            self.notices.push(Notice { kind: EventKind::Expiring, days });
        }
        self.look_at(ahead.first().map(|days| at(*days)));
    }

    fn rotation(&mut self, record: &KeyRecord, rotate_after: Option<Millis>, now: UnixMillis) {
        let Some(span) = rotate_after.filter(|span| *span > Millis::ZERO) else { return };
        let age = now.since(record.created_at).as_millis();
        let spans = age.checked_div(span.as_millis()).unwrap_or_default();
        let age = Millis::millis(spans.saturating_mul(span.as_millis()));
        let latest = record.created_at.plus(age);
        let can_be_rotated = record.state == KeyState::Active && !record.suspended;
        if spans > 0 && latest > self.told.rotation && can_be_rotated {
            self.told.rotation = latest;
            let days = age.as_millis().checked_div(Millis::days(1).as_millis());
            let days = days.unwrap_or_default();
            self.notices.push(Notice { kind: EventKind::RotationDue, days });
        }
        self.look_at(Some(latest.plus(span)).filter(|next| *next < record.expires_at));
    }

    fn look_at(&mut self, at: Option<UnixMillis>) {
        self.next = match (self.next, at) {
            (Some(known), Some(at)) => Some(known.min(at)),
            (known, at) => known.or(at),
        };
    }
}
