//! What is counted of requests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Histogram;
use crate::problem::Code;
use crate::time::Millis;

/// What was counted of some requests: of one key, or of several, in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that were admitted.
    #[serde(rename = "a", default)]
    pub admitted: u64,
    /// Of these, requests that an isolate paid of what it was given ahead: whoever gave it does not
    /// know of them, and nobody else counts them.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub leased: u64,
    /// Requests that the gate refused before they were.
    #[serde(rename = "r", default)]
    pub refused: u64,
    /// Answers by the first digit of their status, from 1 on.
    #[serde(rename = "s", default)]
    pub statuses: [u64; 5],
    /// Answers of the gate's own by their code. A text, so that a version that does not know a code
    /// adds it up all the same.
    #[serde(rename = "e", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// From arrival to the head of the answer, of admitted requests.
    #[serde(rename = "l", default)]
    pub latency: Histogram,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// One more request.
    pub fn add(&mut self, status: u16, code: Option<Code>, admitted: bool, took: Millis) {
        if admitted {
            self.admitted = self.admitted.saturating_add(1);
            self.latency.add(took);
        } else {
            self.refused = self.refused.saturating_add(1);
        }
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(count) = self.statuses.get_mut(class) {
            *count = count.saturating_add(1);
        }
        if let Some(code) = code {
            add(&mut self.errors, Cow::Borrowed(code.as_str()), 1);
        }
    }

    /// The request that was just counted was paid of what the isolate was given ahead.
    pub const fn was_leased(&mut self) {
        self.leased = self.leased.saturating_add(1);
    }

    /// Everything that is in `other` as well.
    pub fn merge(&mut self, other: &Self) {
        self.admitted = self.admitted.saturating_add(other.admitted);
        self.leased = self.leased.saturating_add(other.leased);
        self.refused = self.refused.saturating_add(other.refused);
        for (count, more) in self.statuses.iter_mut().zip(other.statuses) {
            *count = count.saturating_add(more);
        }
        for (code, more) in &other.errors {
            add(&mut self.errors, code.clone(), *more);
        }
        self.latency.merge(&other.latency);
    }

    /// Without what is in `earlier`, a count of the same requests some time before.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut statuses = self.statuses;
        for (count, before) in statuses.iter_mut().zip(earlier.statuses) {
            *count = count.saturating_sub(before);
        }
        let grown = self.errors.iter().map(|(code, count)| {
            let before = earlier.errors.get(code).copied().unwrap_or(0);
            (code.clone(), count.saturating_sub(before))
        });
        Self {
            admitted: self.admitted.saturating_sub(earlier.admitted),
            leased: self.leased.saturating_sub(earlier.leased),
            refused: self.refused.saturating_sub(earlier.refused),
            statuses,
            errors: grown.filter(|(_, count)| *count > 0).collect(),
            latency: self.latency.since(&earlier.latency),
        }
    }

    /// Requests that a limit refused.
    pub fn limited(&self) -> u64 {
        let codes = [Code::RateLimited, Code::QuotaExceeded, Code::ConcurrencyExceeded];
        codes.into_iter().fold(0, |sum, code| sum.saturating_add(self.of_code(code)))
    }

    /// How many answers had this code.
    pub fn of_code(&self, code: Code) -> u64 {
        self.errors.get(code.as_str()).copied().unwrap_or(0)
    }
}

fn add(counts: &mut BTreeMap<Cow<'static, str>, u64>, name: Cow<'static, str>, more: u64) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_admitted_or_refused_and_has_a_status() {
        let mut counts = Counts::default();
        let ms = Millis::millis;
        counts.add(200, None, true, ms(5));
        counts.add(404, None, true, ms(6));
        counts.add(504, Some(Code::UpstreamTimeout), true, ms(7));
        counts.add(429, Some(Code::RateLimited), false, ms(900));
        counts.add(0, None, false, ms(1));
        assert_eq!((counts.admitted, counts.refused), (3, 2));
        assert_eq!(counts.statuses, [0, 1, 0, 2, 1]);
        assert_eq!(counts.of_code(Code::RateLimited), 1);
        assert_eq!(counts.latency.percentile(100), Some(ms(7)), "of admitted requests alone");
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(
            text,
            r#"{"a":3,"r":2,"s":[0,1,0,2,1],"e":{"rate_limited":1,"upstream_timeout":1},"l":[5,1,1,1,1,1]}"#
        );
        assert_eq!(serde_json::from_str::<Counts>(&text).unwrap(), counts);
        let mut twice = counts.clone();
        twice.merge(&counts);
        assert_eq!(twice.since(&counts), counts);
        assert_eq!(counts.since(&twice), Counts::default());
        counts.was_leased();
        let text = serde_json::to_string(&counts).unwrap();
        assert!(text.starts_with(r#"{"a":3,"p":1,"r":2,"#), "{text}");
        assert_eq!(serde_json::from_str::<Counts>(&text).unwrap(), counts);
        twice.merge(&counts);
        assert_eq!(twice.since(&counts).leased, 0);
        assert_eq!(twice.since(&Counts::default()).leased, 1);
    }

    #[test]
    fn what_a_limit_refused_is_whatever_its_measure_was() {
        let mut counts = Counts::default();
        let limits = [Code::RateLimited, Code::QuotaExceeded, Code::ConcurrencyExceeded];
        for code in limits.into_iter().chain([Code::TooManyFailures, Code::KeyInvalid]) {
            counts.add(code.status(), Some(code), false, Millis::ZERO);
        }
        assert_eq!(counts.limited(), 3);
    }
}
