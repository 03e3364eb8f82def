//! What one isolate remembers between requests. All of it may vanish at any moment: it makes the
//! gate fast, never right.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use serde::Deserialize;

use super::errand::AwaitedReplies;
use super::walk::Walk;
use crate::budget::{Budgets, DenialCache};
use crate::key::{KeyId, KeyRecord};
use crate::limit::{Leases, Rate};
use crate::origin::OriginPattern;
use crate::time::{Millis, UnixMillis};

/// Records kept; at about 1 KiB each this is a tenth of an isolate's 128 MB.
const MAX_RECORDS: usize = 10_000;
/// Buckets of failure budgets kept.
const MAX_BUDGETS: usize = 20_000;
/// Denials kept.
const MAX_DENIALS: usize = 10_000;
/// How long the list of all keys' origins is believed (SPEC section 5).
const ORIGINS_AGE: Millis = Millis::secs(60);
/// How long a record counts as confirmed (SPEC section 1).
const CONFIRMED_FOR: Millis = Millis::secs(60);
/// Refusals in steps 7 to 9 per key and address (SPEC section 1).
const REFUSALS: (u32, Millis) = (300, Millis::minutes(1));

/// The memory of an isolate.
#[derive(Debug)]
pub struct Isolate {
    records: HashMap<KeyId, Cached>,
    /// Ids in the order in which they came, for making room.
    order: VecDeque<KeyId>,
    pub(super) denials: DenialCache,
    pub(super) leases: Leases,
    pub(super) awaited: AwaitedReplies,
    budgets: Budgets,
    origins: Option<(Origins, UnixMillis)>,
}

#[derive(Debug)]
struct Cached {
    record: Rc<KeyRecord>,
    /// When its object last said that it is so, or was last asked.
    confirmed_at: Option<UnixMillis>,
}

/// What the registry answers.
#[derive(Debug, Deserialize)]
struct Origins {
    origins: Vec<OriginPattern>,
    /// A live key may be used from any origin.
    #[serde(default)]
    any: bool,
}

impl Default for Isolate {
    fn default() -> Self {
        Self {
            records: HashMap::new(),
            order: VecDeque::new(),
            denials: DenialCache::new(MAX_DENIALS),
            leases: Leases::default(),
            awaited: AwaitedReplies::default(),
            budgets: Budgets::new(MAX_BUDGETS),
            origins: None,
        }
    }
}

impl Isolate {
    pub(super) fn record(&self, id: &KeyId) -> Option<Rc<KeyRecord>> {
        self.records.get(id).map(|cached| Rc::clone(&cached.record))
    }

    /// Keeps a record, unless a newer one is here: a slow answer from KV never brings back what a
    /// fast one from the object has ended. Returns the one that counts.
    pub(super) fn keep(
        &mut self,
        record: KeyRecord,
        confirmed_at: Option<UnixMillis>,
    ) -> Rc<KeyRecord> {
        if let Some(cached) = self.records.get_mut(&record.id) {
            if record.version > cached.record.version {
                cached.record = Rc::new(record);
                cached.confirmed_at = confirmed_at;
            } else if confirmed_at.is_some() {
                cached.confirmed_at = confirmed_at;
            }
            return Rc::clone(&cached.record);
        }
        if self.records.len() >= MAX_RECORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
        let id = record.id.clone();
        let record = Rc::new(record);
        self.order.push_back(id.clone());
        self.records.insert(id, Cached { record: Rc::clone(&record), confirmed_at });
        record
    }

    /// The record of a key, as it was when this isolate last heard of it.
    pub fn known(&self, id: &KeyId) -> Option<Rc<KeyRecord>> {
        self.record(id)
    }

    /// Keeps a record that its object just told, for whoever asks it outside the road.
    pub fn learn(&mut self, record: KeyRecord, now: UnixMillis) {
        self.keep(record, Some(now));
    }

    /// Forgets a key that its object does not know.
    pub(super) fn forget(&mut self, id: &KeyId) {
        self.records.remove(id);
        self.order.retain(|known| known != id);
    }

    /// The object just admitted on this version, so it is the truth of this moment.
    pub(super) fn confirmed(&mut self, id: &KeyId, now: UnixMillis) {
        if let Some(cached) = self.records.get_mut(id) {
            cached.confirmed_at = Some(now);
        }
    }

    /// True when the record has to be confirmed before it may refuse: at most once per key and
    /// minute in this isolate, however that ends.
    pub(super) fn start_confirmation(&mut self, id: &KeyId, now: UnixMillis) -> bool {
        match self.records.get_mut(id) {
            Some(cached) if cached.confirmed_at.is_none_or(|at| now.since(at) >= CONFIRMED_FOR) => {
                cached.confirmed_at = Some(now);
                true
            }
            _ => false,
        }
    }

    /// Whether a live key lists this origin; None when that has to be asked.
    pub(super) fn listed_by_a_key(&self, origin: &str, now: UnixMillis) -> Option<bool> {
        let (listed, at) = self.origins.as_ref()?;
        let matches = || listed.any || listed.origins.iter().any(|p| p.matches(origin));
        (now.since(*at) < ORIGINS_AGE).then(matches)
    }

    /// Takes the registry's answer; false when it makes no sense.
    pub(super) fn set_origins(&mut self, text: &str, now: UnixMillis) -> bool {
        match serde_json::from_str::<Origins>(text) {
            Ok(origins) => {
                self.origins = Some((origins, now));
                true
            }
            Err(_) => false,
        }
    }

    /// Whole seconds until the address may fail again; None while it may.
    pub(super) fn failures_spent(&mut self, walk: &Walk, now: UnixMillis) -> Option<u64> {
        let rate = walk.gate.policy.gate.failures;
        self.failures_spent_by(&walk.failure_block(), rate, now)
    }

    /// The same for an address block, for credentials that are presented elsewhere.
    pub fn failures_spent_by(&mut self, block: &str, rate: Rate, now: UnixMillis) -> Option<u64> {
        self.budgets.spent(&format!("f/{block}"), rate, now).map(Millis::ceil_secs)
    }

    pub(super) fn spend_failure(&mut self, walk: &Walk, now: UnixMillis) {
        let rate = walk.gate.policy.gate.failures;
        self.spend_failure_of(&walk.failure_block(), rate, now);
    }

    /// One failed credential of an address block.
    pub fn spend_failure_of(&mut self, block: &str, rate: Rate, now: UnixMillis) {
        self.budgets.spend(&format!("f/{block}"), rate, now);
    }

    /// Whole seconds until `caller` may bring another bad key to be looked at; None while it may.
    /// What a caller was handed by others is no failure of its own, nor of its address.
    pub fn lookups_spent_by(&mut self, caller: &str, rate: Rate, now: UnixMillis) -> Option<u64> {
        self.budgets.spent(&format!("v/{caller}"), rate, now).map(Millis::ceil_secs)
    }

    /// One bad key that `caller` brought to be looked at.
    pub fn spend_lookup_of(&mut self, caller: &str, rate: Rate, now: UnixMillis) {
        self.budgets.spend(&format!("v/{caller}"), rate, now);
    }

    pub(super) fn refusals_spent(
        &mut self,
        walk: &Walk,
        id: &KeyId,
        now: UnixMillis,
    ) -> Option<u64> {
        self.refusals_spent_by(id, &walk.failure_block(), now)
    }

    /// Whole seconds until steps 7 to 9 may refuse this key to this address block again.
    pub fn refusals_spent_by(&mut self, id: &KeyId, block: &str, now: UnixMillis) -> Option<u64> {
        let rate = Rate::new(REFUSALS.0, REFUSALS.1).ok()?;
        self.budgets.spent(&format!("r/{id}/{block}"), rate, now).map(Millis::ceil_secs)
    }

    pub(super) fn spend_refusal(&mut self, walk: &Walk, id: &KeyId, now: UnixMillis) {
        self.spend_refusal_of(id, &walk.failure_block(), now);
    }

    /// One refusal of this key to this address block in steps 7 to 9.
    pub fn spend_refusal_of(&mut self, id: &KeyId, block: &str, now: UnixMillis) {
        if let Ok(rate) = Rate::new(REFUSALS.0, REFUSALS.1) {
            self.budgets.spend(&format!("r/{id}/{block}"), rate, now);
        }
    }
}
