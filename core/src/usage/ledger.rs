//! The edge's ledger: what an isolate counts of the requests that it answered, until it is brought
//! to the tenants' objects.
//!
//! It may vanish at any moment, with what it holds: the requests of the last seconds. What it holds
//! is bounded; beyond the bounds things are counted together.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Counts, start_of_hour};
use crate::key::KeyId;
use crate::problem::Code;
use crate::time::{Millis, UnixMillis};

/// The tenant of requests that had no key.
const NO_TENANT: &str = "*";
/// What routes and countries beyond the most of one batch are called.
const OTHER: &str = "*";

/// How long a batch gathers before it is brought.
const GATHER: Millis = Millis::secs(2);
/// A batch that is older than this was lost by whoever was to bring it.
const LOST: Millis = Millis::secs(10);
/// So many keys are brought without waiting for more.
const LARGE: usize = 500;
/// Keys that are told apart in one batch.
const MAX_KEYS: usize = 2_000;
/// Tenants whose further keys, and requests without any, are counted together.
const MAX_TENANTS: usize = 1_000;
/// Routes, and countries, that are told apart for one key in one batch.
const MAX_NAMES: usize = 50;

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The key that it was sent with, and its tenant. Also of a key whose secret was wrong.
    pub key: Option<(&'a KeyId, &'a str)>,
    /// The route's name, or the management call.
    pub route: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// The code of a refusal.
    pub code: Option<Code>,
    /// The caller's country.
    pub country: Option<&'a str>,
    /// When it was answered.
    pub at: UnixMillis,
    /// From its arrival to the head of its answer.
    pub took: Millis,
    /// It was admitted, whatever came of it then.
    pub admitted: bool,
    /// It was paid of what the isolate was given ahead: the object of its key does not know of it.
    pub leased: bool,
    /// It was admitted with a key that was rotated out.
    pub in_grace: bool,
}

/// What one isolate gathered of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// The tenant; `*` for the keys of operators and for requests without a key.
    pub tenant: String,
    /// What was gathered of each key.
    pub keys: Vec<KeyBatch>,
}

/// What one isolate gathered of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBatch {
    /// The key. None: requests without one, or of more keys than the isolate tells apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Hour by hour; nearly always one.
    pub hours: Vec<HourBatch>,
    /// Routes and management calls, by name; `*` for further ones.
    pub routes: BTreeMap<String, Seen>,
    /// Where it was used from, two letters each; `*` for further ones.
    pub countries: BTreeMap<String, Seen>,
    /// Requests that were admitted although the key was rotated out.
    #[serde(default)]
    pub in_grace: u64,
    /// The last request that was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastUse>,
}

/// What was gathered in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourBatch {
    /// When the hour began.
    pub hour: UnixMillis,
    /// What was counted in it.
    pub counts: Counts,
}

/// How often something was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// In admitted requests.
    pub admitted: u64,
    /// In refused ones.
    pub refused: u64,
}

/// When and from where a key was used last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// When.
    pub at: UnixMillis,
    /// The country, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// What an isolate has counted and nobody has brought away yet.
#[derive(Debug, Default)]
pub struct Ledger {
    /// When somebody was last told to bring it away; None while it is empty.
    asked_at: Option<UnixMillis>,
    /// It was already said that it is large.
    large: bool,
    keys: HashMap<KeyId, Account>,
    /// Of each tenant what is not told apart by key.
    others: HashMap<String, KeyBatch>,
}

#[derive(Debug)]
struct Account {
    tenant: String,
    batch: KeyBatch,
}

impl Ledger {
    /// Counts a request. What comes back: the ledger is to be brought away ([`Self::take`]) after
    /// so much time, by whoever answers this request.
    #[must_use]
    pub fn record(&mut self, sample: &Sample<'_>) -> Option<Millis> {
        // A granted preflight: it is no request of the API yet.
        if !sample.admitted && sample.code.is_none() {
            return None;
        }
        self.batch(sample)?.add(sample);
        let due = match self.asked_at {
            None => GATHER,
            Some(_) if self.keys.len() >= LARGE && !self.large => {
                self.large = true;
                Millis::ZERO
            }
            Some(asked) if sample.at.since(asked) > LOST => Millis::ZERO,
            Some(_) => return None,
        };
        self.asked_at = Some(sample.at);
        Some(due)
    }

    /// Everything that was gathered, by tenant; the ledger is empty after it.
    pub fn take(&mut self) -> Vec<Gathered> {
        let Self { keys, others, .. } = core::mem::take(self);
        let mut tenants: BTreeMap<String, Vec<KeyBatch>> = BTreeMap::new();
        let accounts = keys.into_values().map(|account| (account.tenant, account.batch));
        for (tenant, batch) in accounts.chain(others) {
            tenants.entry(tenant).or_default().push(batch);
        }
        tenants.into_iter().map(|(tenant, keys)| Gathered { tenant, keys }).collect()
    }

    /// Where the request is counted; None: it is not, because there are more tenants than fit.
    fn batch(&mut self, sample: &Sample<'_>) -> Option<&mut KeyBatch> {
        let tenant = match sample.key {
            Some((id, tenant)) => {
                if !self.keys.contains_key(id) && self.keys.len() < MAX_KEYS {
                    let batch = KeyBatch { key: Some(id.clone()), ..KeyBatch::default() };
                    let account = Account { tenant: tenant.to_owned(), batch };
                    self.keys.insert(id.clone(), account);
                }
                if let Some(account) = self.keys.get_mut(id) {
                    return Some(&mut account.batch);
                }
                tenant
            }
            None => NO_TENANT,
        };
        if !self.others.contains_key(tenant) {
            if self.others.len() >= MAX_TENANTS {
                return None;
            }
            self.others.insert(tenant.to_owned(), KeyBatch::default());
        }
        self.others.get_mut(tenant)
    }
}

impl KeyBatch {
    fn add(&mut self, sample: &Sample<'_>) {
        let Sample { status, code, admitted, took, at, .. } = *sample;
        let counts = self.counts(start_of_hour(at));
        counts.add(status, code, admitted, took);
        if admitted && sample.leased {
            counts.was_leased();
        }
        if let Some(route) = sample.route {
            see(&mut self.routes, route, admitted);
        }
        let country = sample.country.filter(|country| is_country(country));
        if let Some(country) = country {
            see(&mut self.countries, country, admitted);
        }
        if admitted {
            self.in_grace = self.in_grace.saturating_add(u64::from(sample.in_grace));
            match &mut self.last {
                Some(last) => {
                    last.at = last.at.max(at);
                    if last.country.as_deref() != country {
                        last.country = country.map(str::to_owned);
                    }
                }
                none => *none = Some(LastUse { at, country: country.map(str::to_owned) }),
            }
        }
    }

    fn counts(&mut self, hour: UnixMillis) -> &mut Counts {
        let known = self.hours.iter().rposition(|batch| batch.hour == hour);
        let at = known.unwrap_or(self.hours.len());
        if known.is_none() {
            self.hours.push(HourBatch { hour, counts: Counts::default() });
        }
        #[allow(clippy::indexing_slicing)] // it was found or pushed there
        &mut self.hours[at].counts
    }
}

/// `T1` is what Cloudflare calls Tor.
fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn see(names: &mut BTreeMap<String, Seen>, name: &str, admitted: bool) {
    let seen = match names.contains_key(name) {
        true => names.get_mut(name),
        false if names.len() < MAX_NAMES => Some(names.entry(name.to_owned()).or_default()),
        false => Some(names.entry(OTHER.to_owned()).or_default()),
    };
    if let Some(Seen { admitted: passed, refused }) = seen {
        let count = if admitted { passed } else { refused };
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> KeyId {
        KeyId::parse(&format!("{number:016}")).unwrap()
    }

    fn at(ms: u64) -> UnixMillis {
        UnixMillis::parse_rfc3339("2026-11-22T10:59:50Z").unwrap().plus(Millis::millis(ms))
    }

    fn of<'a>(key: Option<(&'a KeyId, &'a str)>, ms: u64) -> Sample<'a> {
        Sample {
            key,
            route: Some("read"),
            status: 200,
            code: None,
            country: Some("DE"),
            at: at(ms),
            took: Millis::millis(7),
            admitted: true,
            leased: false,
            in_grace: false,
        }
    }

    #[test]
    fn a_batch_is_opened_once_and_again_when_it_was_lost() {
        let mut ledger = Ledger::default();
        let key = id(1);
        let mut record = |ms| ledger.record(&of(Some((&key, "acme")), ms));
        assert_eq!(record(0), Some(GATHER));
        assert_eq!(record(1), None);
        assert_eq!(record(10_000), None);
        assert_eq!(record(10_001), Some(Millis::ZERO), "whoever was to bring it is gone");
        assert_eq!(record(10_002), None);
        assert_eq!(ledger.take().len(), 1);
        assert!(ledger.take().is_empty());
        assert_eq!(ledger.record(&of(None, 10_003)), Some(GATHER), "a new one");
    }

    #[test]
    fn what_is_counted_of_a_key() {
        let mut ledger = Ledger::default();
        let key = id(1);
        let own = of(Some((&key, "acme")), 0);
        let limited = Sample {
            status: 429,
            code: Some(Code::RateLimited),
            country: Some("FR"),
            at: at(12_000),
            admitted: false,
            ..own
        };
        let preflight = Sample { key: None, status: 204, admitted: false, ..own };
        for sample in [own, Sample { at: at(11_000), in_grace: true, ..own }, limited, preflight] {
            let _ = ledger.record(&sample);
        }
        let gathered = ledger.take();
        let [Gathered { tenant, keys }] = gathered.as_slice() else { panic!("{gathered:?}") };
        let [batch] = keys.as_slice() else { panic!("{keys:?}") };
        assert_eq!((tenant.as_str(), batch.key.as_ref()), ("acme", Some(&key)));
        let hours: Vec<_> =
            batch.hours.iter().map(|h| (h.hour.to_rfc3339(), h.counts.clone())).collect();
        let mut first = Counts::default();
        first.add(200, None, true, Millis::millis(7));
        let mut second = first.clone();
        second.add(429, Some(Code::RateLimited), false, Millis::millis(7));
        let told = |hour: &str, counts| (format!("2026-11-22T{hour}:00:00Z"), counts);
        assert_eq!(hours, [told("10", first), told("11", second)]);
        let seen = |admitted, refused| Seen { admitted, refused };
        assert_eq!(batch.routes, BTreeMap::from([("read".to_owned(), seen(2, 1))]));
        let countries = [("DE".to_owned(), seen(2, 0)), ("FR".to_owned(), seen(0, 1))];
        assert_eq!(batch.countries, BTreeMap::from(countries));
        assert_eq!(batch.in_grace, 1);
        let last = LastUse { at: at(11_000), country: Some("DE".to_owned()) };
        assert_eq!(batch.last, Some(last), "of what was admitted");
    }

    #[test]
    fn what_was_paid_ahead_is_told_apart_once_each() {
        let mut ledger = Ledger::default();
        let key = id(1);
        let own = of(Some((&key, "acme")), 0);
        let leased = Sample { leased: true, ..own };
        // It reached its upstream, or the gate answered for it: it was spent.
        let failed = Sample { status: 504, code: Some(Code::UpstreamTimeout), ..leased };
        let refused = Sample { status: 401, code: Some(Code::KeyRevoked), admitted: false, ..own };
        for sample in [own, leased, own, failed, refused] {
            let _ = ledger.record(&sample);
        }
        let gathered = ledger.take();
        let counts = &gathered[0].keys[0].hours[0].counts;
        assert_eq!((counts.admitted, counts.leased, counts.refused), (4, 2, 1));
    }

    #[test]
    fn it_never_grows_beyond_its_bounds_and_loses_no_request_of_a_known_tenant() {
        let mut ledger = Ledger::default();
        let mut due = Vec::new();
        let keys: Vec<KeyId> = (0..MAX_KEYS + 7).map(id).collect();
        for key in &keys {
            due.extend(ledger.record(&of(Some((key, "acme")), 0)));
        }
        assert_eq!(due, [GATHER, Millis::ZERO], "opened, and large");
        let names: Vec<String> = (0..MAX_NAMES + 9).map(|n| format!("route-{n}")).collect();
        for name in &names {
            let route = Some(name.as_str());
            let _ = ledger.record(&Sample { route, country: Some(name), ..of(None, 0) });
        }
        let gathered = ledger.take();
        let [nobody, acme] = gathered.as_slice() else { panic!("{gathered:?}") };
        assert_eq!((nobody.tenant.as_str(), acme.tenant.as_str()), ("*", "acme"));
        assert_eq!(acme.keys.len(), MAX_KEYS + 1);
        let other = acme.keys.iter().find(|batch| batch.key.is_none()).unwrap();
        assert_eq!(other.hours[0].counts.admitted, 7);
        let routes = &nobody.keys[0].routes;
        assert_eq!((routes.len(), routes[OTHER].admitted), (MAX_NAMES + 1, 9));
        assert!(nobody.keys[0].countries.is_empty(), "what is no country is none");
    }
}
