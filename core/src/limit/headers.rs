//! What a client is told about its limits (SPEC section 4,
//! draft-ietf-httpapi-ratelimit-headers-10).

use super::{Kind, Standing, Verdict};
use crate::header::name;

/// The headers of an answer that a verdict stands behind: `RateLimit-Policy` and `RateLimit` for
/// every limit, the three `X-RateLimit-*` for the tightest, and on a refusal `Retry-After`.
///
/// `r` is what is left and `t` the whole seconds until more is: who sends at most `r` requests of
/// cost 1 and then waits `t` is not refused, if nobody else comes between. Of those in flight `r`
/// is how many more there may be, and `t` an estimate. `X-RateLimit-Reset` is `t` too, as in the
/// drafts that these headers come from.
pub fn rate_limit_headers(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if let Some(tightest) = tightest(verdict) {
        let list = |item: fn(&Standing) -> String| {
            verdict.standings().iter().map(item).collect::<Vec<_>>().join(", ")
        };
        headers.extend([
            (name::RATE_LIMIT_POLICY, list(policy)),
            (name::RATE_LIMIT, list(state)),
            (name::X_RATE_LIMIT_LIMIT, tightest.quota.to_string()),
            (name::X_RATE_LIMIT_REMAINING, tightest.remaining.to_string()),
            (name::X_RATE_LIMIT_RESET, tightest.resets_in.ceil_secs().to_string()),
        ]);
    }
    if let Some(wait) = verdict.retry_after() {
        headers.push((name::RETRY_AFTER, wait.ceil_secs().max(1).to_string()));
    }
    headers
}

/// Among the limits that refuse, if any does: the one with the least left, and of those the one
/// that stays so for longest. Older clients know of no requests in flight: such a limit is told to
/// them only where it refuses or is the only one.
fn tightest(verdict: &Verdict) -> Option<&Standing> {
    verdict.standings().iter().min_by_key(|standing| {
        let passes = !verdict.exceeded().contains(&standing.limit);
        let in_flight = passes && standing.kind == Kind::Concurrency;
        (passes, in_flight, standing.remaining, core::cmp::Reverse(standing.resets_in))
    })
}

/// Counts are whole seconds, and names need no escape in a quoted string. What is in flight has no
/// window, and a unit of its own.
fn policy(standing: &Standing) -> String {
    let Standing { limit, quota, window, kind, .. } = standing;
    match kind {
        Kind::Concurrency => format!("\"{limit}\";q={quota};qu=\"concurrent-requests\""),
        Kind::Rate | Kind::TokenBucket | Kind::Quota => {
            format!("\"{limit}\";q={quota};w={}", window.ceil_secs())
        }
    }
}

fn state(standing: &Standing) -> String {
    let Standing { limit, remaining, resets_in, .. } = standing;
    format!("\"{limit}\";r={remaining};t={}", resets_in.ceil_secs())
}

#[cfg(test)]
mod tests;
