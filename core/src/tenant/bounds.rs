//! What a tenant's keys may be at the most (SPEC section 8).

use serde::{Deserialize, Serialize};

use super::{Tenant, TenantState};
use crate::key::KeyKind;
use crate::limit::{Limit, LimitBy, Rate};
use crate::scope::Scope;

/// The bounds on a tenant's keys; None where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Each scope of a key that is no admin key lies in one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<Vec<Scope>>,
    /// Each key keeps within all of these, by a limit that is counted by key.
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
            let held: Vec<Rate> =
                held.iter().filter(|l| l.by == LimitBy::Key).map(|limit| limit.rate).collect();
            limits.extend(
                largest.iter().filter(|most| !held.iter().any(|rate| keeps(*rate, **most))),
            );
        }
        (!scopes.is_empty() || !limits.is_empty()).then_some(Stop::Excess { scopes, limits })
    }
}

/// True when whoever keeps to `rate` keeps to `most` too: a window of `most` is covered by so many
/// of `rate`, in each of which there are at most its requests.
fn keeps(rate: Rate, most: Rate) -> bool {
    let covers = most.window().as_millis().div_ceil(rate.window().as_millis().max(1));
    u64::from(rate.requests()).saturating_mul(covers) <= u64::from(most.requests())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Millis, UnixMillis};

    fn rate(requests: u32, secs: u64) -> Rate {
        Rate::new(requests, Millis::secs(secs)).unwrap()
    }

    fn by_key(requests: u32, secs: u64) -> Limit {
        Limit { name: "default".into(), rate: rate(requests, secs), by: LimitBy::Key }
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
            let got = keeps(rate(held.0, held.1), rate(most.0, most.1));
            assert_eq!(got, keeps_it, "{held:?} within {most:?}");
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
        let each = |by| Limit { name: "each".into(), rate: rate(1, 60), by };
        let excess = |held: &[&str], limits: &[Rate]| {
            Some(Stop::Excess { scopes: scopes(held), limits: limits.to_vec() })
        };
        let (minute, hour) = (rate(600, 60), rate(10_000, 3_600));
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
