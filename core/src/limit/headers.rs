//! What a client is told about its limits (SPEC section 4; draft-ietf-httpapi-ratelimit-headers-10).

use super::{Standing, Verdict};
use crate::header::name;

/// The headers of an answer that a verdict stands behind: `RateLimit-Policy` and `RateLimit` for
/// every limit, the three `X-RateLimit-*` for the tightest, and on a refusal `Retry-After`.
///
/// `r` is what is left and `t` the whole seconds until more is: who sends at most `r` requests of
/// cost 1 and then waits `t` is not refused, if nobody else comes between. `X-RateLimit-Reset` is
/// `t` too, as in the drafts that these headers come from.
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
/// that stays so for longest.
fn tightest(verdict: &Verdict) -> Option<&Standing> {
    let passes = |standing: &Standing| !verdict.exceeded().contains(&standing.limit);
    verdict.standings().iter().min_by_key(|standing| {
        (passes(standing), standing.remaining, core::cmp::Reverse(standing.resets_in))
    })
}

/// Windows are whole seconds, and names need no escape in a quoted string.
fn policy(standing: &Standing) -> String {
    let Standing { limit, quota, window, .. } = standing;
    format!("\"{limit}\";q={quota};w={}", window.ceil_secs())
}

fn state(standing: &Standing) -> String {
    let Standing { limit, remaining, resets_in, .. } = standing;
    format!("\"{limit}\";r={remaining};t={}", resets_in.ceil_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    fn standing(limit: &str, quota: u32, remaining: u32, resets_in: u64) -> Standing {
        Standing {
            limit: limit.to_owned(),
            quota,
            window: Millis::minutes(1),
            remaining,
            resets_in: Millis::millis(resets_in),
        }
    }

    #[test]
    fn an_admission_tells_every_limit_and_the_tightest_to_old_clients() {
        let standings = vec![standing("default", 60, 59, 59_001), standing("visitor", 10, 9, 1)];
        let verdict = Verdict::Admitted { standings, would_limit: vec!["shadow".to_owned()] };
        assert_eq!(
            rate_limit_headers(&verdict),
            [
                ("RateLimit-Policy", "\"default\";q=60;w=60, \"visitor\";q=10;w=60".to_owned()),
                ("RateLimit", "\"default\";r=59;t=60, \"visitor\";r=9;t=1".to_owned()),
                ("X-RateLimit-Limit", "10".to_owned()),
                ("X-RateLimit-Remaining", "9".to_owned()),
                ("X-RateLimit-Reset", "1".to_owned()),
            ]
        );
    }

    #[test]
    fn a_refusal_tells_of_the_limit_that_refused_and_when_to_come_back() {
        // The cost was 5: the second limit has less left, and the first one refuses.
        let standings = vec![standing("costly", 60, 3, 2_000), standing("cheap", 60, 2, 9_000)];
        let verdict = Verdict::Limited {
            standings,
            exceeded: vec!["costly".to_owned()],
            retry_after: Millis::millis(4_100),
            would_limit: vec![],
        };
        assert_eq!(
            rate_limit_headers(&verdict),
            [
                ("RateLimit-Policy", "\"costly\";q=60;w=60, \"cheap\";q=60;w=60".to_owned()),
                ("RateLimit", "\"costly\";r=3;t=2, \"cheap\";r=2;t=9".to_owned()),
                ("X-RateLimit-Limit", "60".to_owned()),
                ("X-RateLimit-Remaining", "3".to_owned()),
                ("X-RateLimit-Reset", "2".to_owned()),
                ("Retry-After", "5".to_owned()),
            ]
        );
    }

    #[test]
    fn ties_go_to_the_longer_wait_and_retry_after_is_never_zero() {
        let standings = vec![standing("short", 10, 0, 1_000), standing("long", 20, 0, 8_000)];
        let verdict = Verdict::Limited {
            standings,
            exceeded: vec!["short".to_owned(), "long".to_owned()],
            retry_after: Millis::ZERO,
            would_limit: vec![],
        };
        let headers = rate_limit_headers(&verdict);
        assert!(headers.contains(&("X-RateLimit-Limit", "20".to_owned())));
        assert!(headers.contains(&("Retry-After", "1".to_owned())));
    }

    #[test]
    fn without_limits_there_is_nothing_to_tell() {
        let verdict = Verdict::Admitted { standings: vec![], would_limit: vec![] };
        assert_eq!(rate_limit_headers(&verdict), []);
    }
}
