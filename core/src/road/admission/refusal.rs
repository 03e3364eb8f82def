//! The refusal of a request that finds no room, and the words for where limits stand.

use crate::limit::{Kind, Standing, Verdict, rate_limit_headers};
use crate::problem::{Code, Problem};
use crate::road::Refused;
use crate::road::walk::{Step, Walk};

/// The code of a refusal by limits of these kinds: first the one with which waiting takes longest.
pub(super) fn code_of(kinds: impl Iterator<Item = Kind>) -> Code {
    let code = |kind| match kind {
        Kind::Quota => Code::QuotaExceeded,
        Kind::Rate | Kind::TokenBucket => Code::RateLimited,
        Kind::Concurrency => Code::ConcurrencyExceeded,
    };
    let codes: Vec<Code> = kinds.map(code).collect();
    let first = [Code::QuotaExceeded, Code::RateLimited, Code::ConcurrencyExceeded];
    first.into_iter().find(|code| codes.contains(code)).unwrap_or(Code::RateLimited)
}

/// What is told to a request without room; None for one that may pass.
pub fn no_room(verdict: &Verdict) -> Option<Problem> {
    let wait = verdict.retry_after()?;
    let mut problem = Problem::new(code_of(verdict.exceeded_kinds()));
    problem.violated_policies = verdict.exceeded().to_vec();
    problem.retry_after = Some(wait.ceil_secs().max(1));
    Some(problem)
}

impl Walk {
    /// The verdict is told by the names that clients know.
    pub(super) fn limited(mut self, verdict: &Verdict) -> Box<Refused> {
        self.limits = rate_limit_headers(verdict);
        let mut problem = no_room(verdict).unwrap_or_else(|| Code::InternalError.into());
        let exceeded = verdict.exceeded().join(", ");
        problem.detail = format!("no room left in {exceeded}: {}", told(verdict.standings()));
        self.refuse(Step::Admission, problem)
    }
}

/// Where each limit stands, in words that fit what it measures.
pub(super) fn told(standings: &[Standing]) -> String {
    let each = standings.iter().map(|standing| {
        let Standing { limit, kind, quota, window, remaining, .. } = standing;
        match kind {
            Kind::Rate => format!("{limit} {remaining}/{quota} per {window}"),
            Kind::TokenBucket => format!("{limit} {remaining}/{quota}, full after {window}"),
            Kind::Quota => format!("{limit} {remaining}/{quota} in a period of {window}"),
            Kind::Concurrency => format!("{limit} {remaining}/{quota} in flight"),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    #[test]
    fn the_code_is_that_of_the_longest_wait() {
        use Kind::{Concurrency, Quota, Rate, TokenBucket};
        for (kinds, code) in [
            (vec![Rate], Code::RateLimited),
            (vec![TokenBucket], Code::RateLimited),
            (vec![Quota], Code::QuotaExceeded),
            (vec![Concurrency], Code::ConcurrencyExceeded),
            (vec![Concurrency, Rate], Code::RateLimited),
            (vec![Concurrency, TokenBucket, Quota], Code::QuotaExceeded),
            (vec![], Code::RateLimited),
        ] {
            assert_eq!(code_of(kinds.clone().into_iter()), code, "{kinds:?}");
        }
    }

    #[test]
    fn each_kind_has_words_of_its_own() {
        let standing = |limit: &str, kind, window| Standing {
            limit: limit.to_owned(),
            kind,
            quota: 9,
            window,
            remaining: 4,
            resets_in: Millis::ZERO,
        };
        let all = [
            standing("a", Kind::Rate, Millis::minutes(1)),
            standing("b", Kind::TokenBucket, Millis::secs(10)),
            standing("c", Kind::Quota, Millis::hours(24)),
            standing("d", Kind::Concurrency, Millis::ZERO),
        ];
        let words =
            "a 4/9 per 1m, b 4/9, full after 10s, c 4/9 in a period of 24h, d 4/9 in flight";
        assert_eq!(told(&all), words);
        assert_eq!(told(&[]), "");
    }
}
