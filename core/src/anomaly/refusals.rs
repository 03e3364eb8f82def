//! Refusals of one key in a window that slides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limit::Rate;
use crate::problem::Code;
use crate::time::{Millis, UnixMillis};
use crate::usage::Counts;

/// Parts of a window that are told apart. The oldest of them leaves the count whole, so that it is
/// never too high, and too low by no more than that part.
const PARTS: u64 = 30;

/// Refusals by when the keeper heard of them. (What is gathered says the hour alone, and comes
/// within seconds.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Refusals(Vec<Part>);

/// Refusals in a part of the window, by code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    at: UnixMillis,
    codes: BTreeMap<String, u64>,
}

impl Refusals {
    /// What was refused with 401 or 403.
    pub(super) fn add(&mut self, counts: &Counts, rate: Rate, now: UnixMillis) {
        let window = rate.window();
        let part = Millis::millis((window.as_millis() / PARTS).max(1));
        self.0.retain(|known| now.since(known.at) < window);
        let refused = counts.errors.iter().filter(|(code, count)| {
            let status = Code::parse(code).map(Code::status);
            **count > 0 && matches!(status, Some(401 | 403))
        });
        for (code, count) in refused {
            let fits = |last: &Part| now.since(last.at) < part && last.at <= now;
            if !self.0.last().is_some_and(fits) {
                self.0.push(Part { at: now, codes: BTreeMap::new() });
            }
            let Some(last) = self.0.last_mut() else { continue };
            let known = last.codes.entry(code.to_string()).or_default();
            *known = known.saturating_add(*count);
        }
    }

    /// All of them in the window, by code.
    pub(super) fn by_code(&self) -> BTreeMap<&str, u64> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (code, count) in self.0.iter().flat_map(|part| &part.codes) {
            let sum = sums.entry(code).or_default();
            *sum = sum.saturating_add(*count);
        }
        sums
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
