//! How many requests of each key were admitted and limited, by hour, on the object's clock.
//!
//! A count is stored in the transactions that store a limit's count anyway, and once more when the
//! object settles. Admissions in between need no write, as many as a limit reserves ahead at a
//! time: so many a crash can lose of the count, and it counts none twice. Requests that a limit
//! refused are never worth a write of their own: of those a crash loses all since the last one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Write;
use crate::key::KeyId;
use crate::limit::Verdict;
use crate::time::{Millis, UnixMillis};
use crate::usage::Tally;

/// An hour, the span of one count.
const HOUR: Millis = Millis::hours(1);

/// The counts of a family's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tallies {
    /// In the order in which they began.
    hours: Vec<Hour>,
    /// Admissions that no stored row knows of.
    unstored: u32,
}

/// One key in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hour {
    key: KeyId,
    began: UnixMillis,
    count: Count,
    is_stored: bool,
    /// What the tenant's object has, as far as is known.
    delivered: Option<Count>,
}

/// What was counted, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests that a limit refused, by the first limit that did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limited: BTreeMap<String, u64>,
}

impl Tallies {
    /// Counts a request that was decided on.
    pub(super) fn count(&mut self, key: &KeyId, verdict: &Verdict, now: UnixMillis) {
        if verdict.is_admitted() {
            self.unstored = self.unstored.saturating_add(1);
        }
        // The object's clock never goes back, so that the hour is among the last, if it is there.
        let is_it = |hour: &&mut Hour| now.since(hour.began) < HOUR && hour.key == *key;
        if let Some(hour) = self.hours.iter_mut().rev().find(is_it) {
            hour.is_stored = false;
            hour.count.add(verdict);
        } else {
            let into = now.as_millis().checked_rem(HOUR.as_millis()).unwrap_or_default();
            let mut count = Count::default();
            count.add(verdict);
            self.hours.push(Hour::new(key.clone(), now.minus(Millis::millis(into)), count));
        }
    }

    /// Admissions that a crash would lose now.
    pub(super) const fn unstored(&self) -> u32 {
        self.unstored
    }

    /// True while anything was counted that is not stored.
    pub(super) fn has_unstored(&self) -> bool {
        self.hours.iter().any(|hour| !hour.is_stored)
    }

    /// What is to be stored; then it counts as stored.
    #[must_use]
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        self.unstored = 0;
        let unstored = self.hours.iter_mut().filter(|hour| !hour.is_stored);
        let write = |hour: &mut Hour| {
            hour.is_stored = true;
            Write::PutTally { row: hour.row(), count: hour.count.clone() }
        };
        unstored.map(write).collect()
    }

    /// The counts that the tenant's object may not have, each with its key, and when its hour began.
    pub(super) fn undelivered(&self) -> impl Iterator<Item = (&KeyId, UnixMillis, &Count)> {
        let changed = |hour: &&Hour| hour.delivered.as_ref() != Some(&hour.count);
        self.hours.iter().filter(changed).map(|hour| (&hour.key, hour.began, &hour.count))
    }

    /// The tenant's object has these. The rows of hours that are over go, once it has the whole.
    #[must_use]
    pub(super) fn delivered(&mut self, tallies: &[Tally], now: UnixMillis) -> Vec<Write> {
        for tally in tallies {
            let is_it = |hour: &&mut Hour| hour.began == tally.hour && hour.key == tally.key;
            if let Some(hour) = self.hours.iter_mut().find(is_it) {
                let (admitted, limited) = (tally.admitted, tally.limited.clone());
                hour.delivered = Some(Count { admitted, limited });
            }
        }
        let mut gone = Vec::new();
        self.hours.retain(|hour| {
            let is_over = now.since(hour.began) >= HOUR;
            let is_done = is_over && hour.delivered.as_ref() == Some(&hour.count);
            if is_done {
                gone.push(Write::DeleteTally { row: hour.row() });
            }
            !is_done
        });
        gone
    }

    /// Takes up a stored row. One that cannot be read is passed over: the tenant's object keeps the
    /// larger of two counts.
    pub(super) fn restore(&mut self, row: &str, text: &str) {
        let read = || {
            let (began, key) = row.split_once('/')?;
            let began = UnixMillis::from_secs(began.parse().ok()?);
            let hour = Hour::new(KeyId::parse(key).ok()?, began, serde_json::from_str(text).ok()?);
            Some(Hour { is_stored: true, ..hour })
        };
        self.hours.extend(read());
        self.hours.sort_by_key(|hour| hour.began);
    }
}

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        if verdict.is_admitted() {
            self.admitted = self.admitted.saturating_add(1);
        } else if let Some(limit) = verdict.exceeded().first() {
            let limited = self.limited.entry(limit.clone()).or_default();
            *limited = limited.saturating_add(1);
        }
    }
}

impl Hour {
    const fn new(key: KeyId, began: UnixMillis, count: Count) -> Self {
        Self { key, began, count, is_stored: false, delivered: None }
    }

    /// The name of its row.
    fn row(&self) -> String {
        format!("{}/{}", self.began.as_secs(), self.key)
    }
}
