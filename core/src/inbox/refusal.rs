//! Webhooks that were refused, kept for whoever looks for the reason. The sender is told one of
//! three codes; which step failed is for the operator alone (SPEC section 7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::Budgets;
use crate::limit::Rate;
use crate::problem::Code;
use crate::time::{Millis, UnixMillis};
use crate::webhook::Failure;

/// So many of a source are kept, the latest.
pub const KEPT_REFUSALS: u32 = 100;
/// For so long they are shown.
pub const REFUSALS_KEPT: Millis = Millis::days(7);

/// So many of a source one isolate brings to the inbox in [`NOTED_WITHIN`]: whoever sends nonsense
/// causes no more store calls than that.
const NOTED: u32 = 20;
/// The window of [`NOTED`].
const NOTED_WITHIN: Millis = Millis::minutes(1);
/// So many sources are counted apart; the policy has not many more.
const SOURCES: usize = 256;

/// A webhook that was refused, or that only shadow mode let pass. It holds nothing that the sender
/// chose, and no signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When it arrived.
    pub at: UnixMillis,
    /// The id of its request, which the sender was told and the log line has.
    pub request_id: String,
    /// The step at which it failed: [`Failure::step`].
    pub step: String,
    /// What the sender was told, or would have been.
    pub code: Code,
    /// What is wrong.
    pub detail: String,
    /// Shadow mode let it pass.
    pub shadow: bool,
    /// So many came before it that were not kept one by one.
    pub others: u32,
}

impl Refusal {
    /// What is kept of a failure.
    pub fn new(at: UnixMillis, request_id: &str, failure: &Failure, shadow: bool) -> Self {
        Self {
            at,
            request_id: request_id.to_owned(),
            step: failure.step().to_owned(),
            code: failure.code(),
            detail: failure.to_string(),
            shadow,
            others: 0,
        }
    }
}

/// Some refusals, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalPage {
    /// Each with its place in the order.
    pub refusals: Vec<(u64, Refusal)>,
    /// There are others.
    pub more: bool,
}

/// Which refusals one isolate brings to the inbox.
#[derive(Clone, Debug)]
pub struct Noted {
    budgets: Budgets,
    /// Of each source, how many were not brought since the last that was.
    others: BTreeMap<String, u32>,
}

impl Noted {
    /// Nothing was brought yet.
    pub const fn new() -> Self {
        Self { budgets: Budgets::new(SOURCES), others: BTreeMap::new() }
    }

    /// The refusal, with the number of those that were not brought before it; None if this one is
    /// not brought either.
    pub fn next(&mut self, source: &str, refusal: Refusal, now: UnixMillis) -> Option<Refusal> {
        let rate = Rate::new(NOTED, NOTED_WITHIN).ok()?;
        if self.budgets.spent(source, rate, now).is_some() {
            if self.others.len() < SOURCES || self.others.contains_key(source) {
                let others = self.others.entry(source.to_owned()).or_default();
                *others = others.saturating_add(1);
            }
            return None;
        }
        self.budgets.spend(source, rate, now);
        Some(Refusal { others: self.others.remove(source).unwrap_or(0), ..refusal })
    }
}

impl Default for Noted {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal::new(NOW, "r", &Failure::Mismatch, false)
    }

    const NOW: UnixMillis = UnixMillis::from_secs(1_800_000_000);

    #[test]
    fn a_flood_is_counted_and_not_brought() {
        let mut noted = Noted::new();
        let brought = |noted: &mut Noted, source, at| {
            noted.next(source, refusal(), at).map(|refusal| refusal.others)
        };
        for _ in 0..NOTED {
            assert_eq!(brought(&mut noted, "shop", NOW), Some(0));
        }
        for _ in 0..1_000 {
            assert_eq!(brought(&mut noted, "shop", NOW), None);
        }
        assert_eq!(brought(&mut noted, "bank", NOW), Some(0), "another source has its own");
        let later = NOW.plus(NOTED_WITHIN).plus(NOTED_WITHIN);
        assert_eq!(brought(&mut noted, "shop", later), Some(1_000));
        assert_eq!(brought(&mut noted, "shop", later), Some(0));
    }

    #[test]
    fn a_refusal_says_the_step_and_no_signature() {
        let time = Failure::Time { by: Millis::secs(400), ahead: false, window: Millis::secs(300) };
        let told = Refusal::new(NOW, "r", &time, true);
        assert_eq!((told.step.as_str(), told.code), ("time", Code::TimestampOutOfRange));
        assert!(told.shadow);
        assert!(told.detail.contains("ago"), "{}", told.detail);
    }
}
