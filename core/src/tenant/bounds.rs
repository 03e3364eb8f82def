//! What a tenant's keys may be at the most (SPEC section 8).

use serde::{Deserialize, Serialize};

use super::{Tenant, TenantState};
use crate::key::KeyKind;
use crate::limit::{Bucket, Limit, LimitBy, Measure, Rate};
use crate::scope::Scope;

/// The bounds on a tenant's keys; None where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Each scope of a key that is no admin key lies in one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<Vec<Scope>>,
    /// Each key keeps within all of these, by a rate or bucket that is counted by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_limits: Option<Vec<Rate>>,
    /// The most keys that are neither revoked nor expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<u64>,
}

/// What of a key the bounds are about; None for what stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its kind.
    pub kind: KeyKind,
    /// Its scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// The limits that will hold for it: its own, or those that it gets for want of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
}

/// Whether there is one more live key by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// No.
    Nothing,
    /// Yes, so there has to be room for it.
    Room,
    /// Yes, and it is let in without: a rotation, whose old key goes by itself.
    Anyway,
}

/// Why a key may not be so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The tenant is suspended.
    Suspended,
    /// It has as many live keys as it may.
    Full {
        /// So many.
        max: u64,
    },
    /// The key would have more than the tenant may give.
    Excess {
        /// These scopes.
        scopes: Vec<Scope>,
        /// No limit of it keeps within these.
        limits: Vec<Rate>,
    },
}

impl Tenant {
    /// Why this may not be; None if it may. `live` tells how many live keys there are, those on
    /// their way included, and is asked only if it matters.
    pub fn stops<E>(
        &self,
        asked: &Asked,
        takes: Takes,
        live: impl FnOnce() -> Result<u64, E>,
    ) -> Result<Option<Stop>, E> {
        if self.state == TenantState::Suspended {
            return Ok(Some(Stop::Suspended));
        }
        if let Some(excess) = self.bounds.exceeded_by(asked) {
            return Ok(Some(excess));
        }
        match self.bounds.max_keys {
            Some(max) if takes == Takes::Room && live()? >= max => Ok(Some(Stop::Full { max })),
            _ => Ok(None),
        }
    }
}

impl Bounds {
    fn exceeded_by(&self, asked: &Asked) -> Option<Stop> {
        let mut scopes = asked.scopes.clone().unwrap_or_default();
        match &self.allowed_scopes {
            // The scopes of an admin key are rights over keys, not over backends.
            Some(allowed) if asked.kind != KeyKind::Ak => {
                scopes.retain(|scope| !allowed.iter().any(|allowed| allowed.includes(scope)));
            }
            _ => scopes.clear(),
        }
        let mut limits = Vec::new();
        if let (Some(largest), Some(held)) = (&self.largest_limits, &asked.limits) {
            let of_key = held.iter().filter(|limit| *limit.by() == LimitBy::Key);
            let held: Vec<Measure> =
                of_key.flat_map(|limit| limit.measures().iter().copied()).collect();
            limits.extend(
                largest.iter().filter(|most| !held.iter().any(|measure| keeps(*measure, **most))),
            );
        }
        (!scopes.is_empty() || !limits.is_empty()).then_some(Stop::Excess { scopes, limits })
    }
}

/// True when whoever keeps to `held` keeps to `most` too. A quota bounds a period of the calendar
/// and not any window, concurrency bounds no number: neither does.
fn keeps(held: Measure, most: Rate) -> bool {
    match held {
        Measure::Rate(rate) => rate_keeps(rate, most),
        Measure::TokenBucket(bucket) => bucket_keeps(bucket, most),
        Measure::Quota(_) | Measure::Concurrency(_) => false,
    }
}

/// A window of `most` is covered by so many of `rate`, in each of which there are at most its
/// requests.
fn rate_keeps(rate: Rate, most: Rate) -> bool {
    let covers = most.window().as_millis().div_ceil(rate.window().as_millis().max(1));
    u64::from(rate.requests()).saturating_mul(covers) <= u64::from(most.requests())
}

/// In a window of `most` it gives what it holds and what flows in meanwhile. All of it is taken
/// times the length of the bucket's own window, so that nothing is rounded.
fn bucket_keeps(bucket: Bucket, most: Rate) -> bool {
    let times = bucket.rate().window().as_millis();
    let holds = u64::from(bucket.burst()).saturating_mul(times);
    let flows = u64::from(bucket.rate().requests()).saturating_mul(most.window().as_millis());
    holds.saturating_add(flows) <= u64::from(most.requests()).saturating_mul(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Concurrency, LimitText, Period, Quota};
    use crate::time::{Millis, UnixMillis};

    fn rate(requests: u32, secs: u64) -> Rate {
        Rate::new(requests, Millis::secs(secs)).unwrap()
    }

    fn by_key(requests: u32, secs: u64) -> Limit {
        Limit::by_rate("default", rate(requests, secs), LimitBy::Key).unwrap()
    }

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    fn tenant(bounds: Bounds) -> Tenant {
        Tenant { bounds, ..Tenant::unmade("acme", UnixMillis::from_millis(1)) }
    }

    fn asked(kind: KeyKind, held: &[&str], limits: Vec<Limit>) -> Asked {
        Asked { kind, scopes: Some(scopes(held)), limits: Some(limits) }
    }

    fn stop(tenant: &Tenant, asked: &Asked, takes: Takes, live: u64) -> Option<Stop> {
        tenant.stops(asked, takes, || Ok::<_, ()>(live)).unwrap()
    }

    #[test]
    fn a_limit_keeps_within_another_one() {
        for (held, most, keeps_it) in [
            ((60, 60), (60, 60), true),
            ((61, 60), (60, 60), false),
            ((1, 1), (60, 60), true),
            ((2, 1), (60, 60), false),
            ((60, 3_600), (60, 60), true),
            ((60, 3_600), (59, 60), false),
            ((10, 7), (90, 60), true),
            ((10, 7), (89, 60), false),
            ((1_000_000, 1), (1_000_000, 86_400), false),
        ] {
            let got = keeps(Measure::Rate(rate(held.0, held.1)), rate(most.0, most.1));
            assert_eq!(got, keeps_it, "{held:?} within {most:?}");
        }
    }

    #[test]
    fn a_bucket_keeps_within_a_limit_with_its_burst_and_what_flows_in() {
        for (burst, fills, most, keeps_it) in [
            (10, (50, 60), (60, 60), true),
            (11, (50, 60), (60, 60), false),
            (10, (51, 60), (60, 60), false),
            (1, (1, 1), (61, 60), true),
            (1, (1, 1), (60, 60), false),
            (1, (1, 7), (9, 60), false),
            (1, (1, 7), (10, 60), true),
            (1, (1, 60), (2, 1), true),
            (1, (1, 60), (1, 1), false),
            (1_000_000, (1_000_000, 1), (1_000_000, 86_400), false),
            (1, (1_000_000, 86_400), (1_000_000, 86_400), false),
            (1, (999_999, 86_400), (1_000_000, 86_400), true),
        ] {
            let bucket = Bucket::new(rate(fills.0, fills.1), burst).unwrap();
            let got = keeps(Measure::TokenBucket(bucket), rate(most.0, most.1));
            assert_eq!(got, keeps_it, "{burst} and {fills:?} within {most:?}");
        }
    }

    #[test]
    fn a_key_stays_within_the_scopes_and_limits_of_its_tenant() {
        let bounded = tenant(Bounds {
            allowed_scopes: Some(scopes(&["invoices:read", "files:*:*"])),
            largest_limits: Some(vec![rate(600, 60), rate(10_000, 3_600)]),
            max_keys: None,
        });
        let slow = || vec![by_key(100, 60)];
        let each = |by| Limit::by_rate("each", rate(1, 60), by).unwrap();
        let excess = |held: &[&str], limits: &[Rate]| {
            Some(Stop::Excess { scopes: scopes(held), limits: limits.to_vec() })
        };
        let (minute, hour) = (rate(600, 60), rate(10_000, 3_600));
        let text = |by| LimitText { name: "own".into(), by, ..LimitText::default() };
        let filled = |by, burst| {
            let bucket = Bucket::new(rate(100, 60), burst).ok();
            Limit::try_from(LimitText { bucket, ..text(by) }).unwrap()
        };
        let daily_and_busy = || {
            let (quota, concurrency) = (Quota::new(1, Period::Day), Concurrency::new(1));
            let (quota, concurrency) = (quota.ok(), concurrency.ok());
            Limit::try_from(LimitText { quota, concurrency, ..text(LimitBy::Key) }).unwrap()
        };
        for (kind, held, limits, wanted) in [
            (KeyKind::Sk, &["invoices:read", "files:write:7"][..], slow(), None),
            (KeyKind::Sk, &[], slow(), None),
            (KeyKind::Sk, &["invoices:write"], slow(), excess(&["invoices:write"], &[])),
            (
                KeyKind::Rk,
                &["invoices:read:1", "files:*:*", "files:*"],
                slow(),
                excess(&["invoices:read:1", "files:*"], &[]),
            ),
            (KeyKind::Ak, &["keys:write"], slow(), None),
            (KeyKind::Ak, &["keys:write"], vec![by_key(601, 60)], excess(&[], &[minute, hour])),
            (KeyKind::Sk, &[], vec![by_key(600, 60)], excess(&[], &[hour])),
            (KeyKind::Sk, &[], vec![by_key(600, 60), by_key(10_000, 3_600)], None),
            (KeyKind::Pk, &[], vec![each(LimitBy::KeyAddress)], excess(&[], &[minute, hour])),
            (
                KeyKind::Pk,
                &["a:b"],
                vec![each(LimitBy::KeyParam("id".into()))],
                excess(&["a:b"], &[minute, hour]),
            ),
            (KeyKind::Sk, &[], vec![], excess(&[], &[minute, hour])),
            (KeyKind::Sk, &[], vec![filled(LimitBy::Key, 60)], None),
            (KeyKind::Sk, &[], vec![filled(LimitBy::Key, 4_001)], excess(&[], &[minute, hour])),
            (KeyKind::Sk, &[], vec![filled(LimitBy::KeyAddress, 1)], excess(&[], &[minute, hour])),
            // Two days' worth may pass around midnight, and of those in flight any number.
            (KeyKind::Sk, &[], vec![daily_and_busy()], excess(&[], &[minute, hour])),
            (KeyKind::Sk, &[], vec![daily_and_busy(), filled(LimitBy::Key, 60)], None),
        ] {
            let asked = asked(kind, held, limits);
            assert_eq!(stop(&bounded, &asked, Takes::Room, 0), wanted, "{asked:?}");
        }
        let unsaid = Asked { kind: KeyKind::Sk, scopes: None, limits: None };
        assert_eq!(stop(&bounded, &unsaid, Takes::Nothing, 0), None, "what stays is not judged");
        let free = tenant(Bounds::default());
        let all = asked(KeyKind::Sk, &["*:*:*"], vec![by_key(1_000_000, 1)]);
        assert_eq!(stop(&free, &all, Takes::Room, u64::MAX), None);
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let none = tenant(Bounds { allowed_scopes: Some(Vec::new()), ..Bounds::default() });
        let held = asked(KeyKind::Sk, &["a:read"], Vec::new());
        assert!(stop(&none, &held, Takes::Room, 0).is_some());
        assert_eq!(stop(&none, &asked(KeyKind::Sk, &[], Vec::new()), Takes::Room, 0), None);
    }

    #[test]
    fn room_is_asked_for_where_it_is_taken() {
        let two = tenant(Bounds { max_keys: Some(2), ..Bounds::default() });
        let key = asked(KeyKind::Sk, &[], Vec::new());
        for (takes, live, wanted) in [
            (Takes::Room, 1, None),
            (Takes::Room, 2, Some(Stop::Full { max: 2 })),
            (Takes::Room, 3, Some(Stop::Full { max: 2 })),
            (Takes::Anyway, 2, None),
            (Takes::Nothing, 9, None),
        ] {
            assert_eq!(stop(&two, &key, takes, live), wanted, "{takes:?} with {live}");
        }
        let suspended = Tenant { state: TenantState::Suspended, ..two };
        for takes in [Takes::Room, Takes::Anyway, Takes::Nothing] {
            assert_eq!(stop(&suspended, &key, takes, 0), Some(Stop::Suspended));
        }
    }
}
