//! Usage of the tenant's keys, hour by hour and day by day; in the object over all, of the tenants.
//!
//! Every message is read and added up first and then written, so that one that makes no sense
//! changes nothing.

mod table;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json as value};
use tollgate_core::audit::{AuditRequest, Draft};
use tollgate_core::key::KeyId;
use tollgate_core::manage::{ALL_TENANTS, ListQuery, ListedState, Page, RegistryRequest};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::{
    By, Frame, Gathered, LastUse, ReportRequest, Stretch, Summed, Tally, Upkeep, UsageRequest,
    oldest, report, still_counted,
};

use super::super::store::note_fault;
use super::TenantObject;
use super::registry::json;
use crate::house::bindings;
use table::{Kept, NO_KEY, Rows, SUM, TENANTS};

pub(super) use table::SCHEMA;

/// The registry is told of a key's use when it was so long after what it was told before.
const TOLD_STEP: Millis = Millis::minutes(5);
/// Hours, and keys, that the object over all is told of in one message.
const AT_ONCE: u64 = 500;
/// Names whose days are added up in one go.
const NAMES: u64 = 200;
/// Tenants, and stale keys, that a report lists.
const LISTED: u64 = 100;

impl TenantObject {
    pub(super) fn usage(&self, request: UsageRequest, now: UnixMillis) -> Result<String, Fault> {
        match request {
            UsageRequest::Counted(tallies) => self.counted(&tallies, now)?,
            UsageRequest::Gathered(gathered) => self.gathered(&gathered, now)?,
            UsageRequest::Summed(summed) => self.summed(&summed, now)?,
            UsageRequest::Report(request) => return self.usage_report(&request, now),
        }
        Ok("{}".to_owned())
    }

    /// From a family: what it admitted.
    fn counted(&self, tallies: &[Tally], now: UnixMillis) -> Result<(), Fault> {
        let is_kept = |tally: &&Tally| tally.hour >= oldest(By::Hour, now);
        let tallies: Vec<&Tally> = tallies.iter().filter(is_kept).collect();
        let Some(tenant) = tallies.first().map(|tally| tally.tenant.as_str()) else {
            return Ok(());
        };
        let names = tallies
            .iter()
            .flat_map(|tally| [(tally.key.to_string(), tally.hour), (SUM.to_owned(), tally.hour)]);
        let mut rows = table::hours(&self.store, names)?;
        let mut reached = Vec::new();
        for tally in &tallies {
            let Some(kept) = rows.get_mut(&(tally.key.to_string(), tally.hour)) else { continue };
            // Of two counts of one hour the larger counts.
            let more = tally.admitted.saturating_sub(kept.stretch.admitted);
            kept.stretch.admitted = kept.stretch.admitted.saturating_add(more);
            if !tally.limited.is_empty() && !kept.reached {
                kept.reached = true;
                let limits: Vec<&String> = tally.limited.keys().collect();
                reached.push(limit_reached(tenant, &tally.key, tally.hour, Some(&limits), now));
            }
            if let Some(sum) = rows.get_mut(&(SUM.to_owned(), tally.hour)) {
                sum.stretch.admitted = sum.stretch.admitted.saturating_add(more);
            }
        }
        self.keep_hours(tenant, &rows, now)?;
        self.tell_reached(tenant, reached, now)
    }

    /// From an isolate of the edge.
    fn gathered(&self, gathered: &Gathered, now: UnixMillis) -> Result<(), Fault> {
        let Gathered { tenant, keys } = gathered;
        let hours = keys.iter().flat_map(|batch| {
            let name = name_of(batch.key.as_ref());
            let recent = batch.hours.iter().filter(|batch| batch.hour >= oldest(By::Hour, now));
            recent.map(move |batch| (name.clone(), batch))
        });
        let hours: Vec<_> = hours.collect();
        let names = hours
            .iter()
            .flat_map(|(name, batch)| [(name.clone(), batch.hour), (SUM.to_owned(), batch.hour)]);
        let mut rows = table::hours(&self.store, names)?;
        let mut reached = Vec::new();
        for (name, batch) in &hours {
            // Nobody else counts requests without a key.
            let own = tenant == ALL_TENANTS && name == NO_KEY;
            let admitted = if own { batch.counts.admitted } else { 0 };
            for name in [name.as_str(), SUM] {
                let Some(kept) = rows.get_mut(&(name.to_owned(), batch.hour)) else { continue };
                kept.stretch.gathered.merge(&batch.counts);
                kept.stretch.admitted = kept.stretch.admitted.saturating_add(admitted);
                let limited = batch.counts.limited() > 0 && !kept.reached;
                if let (true, Ok(key)) = (limited, KeyId::parse(name)) {
                    kept.reached = true;
                    reached.push(limit_reached(tenant, &key, batch.hour, None, now));
                }
            }
        }
        let uses = keys
            .iter()
            .filter_map(|batch| Some((name_of(batch.key.as_ref()), batch.last.as_ref()?)));
        let mut uses: Vec<(String, &LastUse)> = uses.collect();
        let recent: Vec<String> = uses.iter().map(|(name, _)| name.clone()).collect();
        let last = uses.iter().map(|(_, last)| *last).max_by_key(|last| last.at);
        uses.extend(last.map(|last| (SUM.to_owned(), last)));

        self.keep_hours(tenant, &rows, now)?;
        table::used(&self.store, &uses)?;
        for (name, at) in table::to_tell(&self.store, &recent, TOLD_STEP.as_millis())? {
            self.used(&name, at)?;
        }
        self.tell_reached(tenant, reached, now)?;
        self.watch(gathered, now)
    }

    /// In the object over all: a tenant's sums so far. What grew goes into the sum of all.
    fn summed(&self, summed: &Summed, now: UnixMillis) -> Result<(), Fault> {
        let name = format!("{}{}", TENANTS.0, summed.tenant);
        let is_kept = |stretch: &&Stretch| stretch.at >= oldest(By::Hour, now);
        let stretches: Vec<&Stretch> = summed.hours.iter().filter(is_kept).collect();
        let names = stretches
            .iter()
            .flat_map(|stretch| [(name.clone(), stretch.at), (SUM.to_owned(), stretch.at)]);
        let mut rows = table::hours(&self.store, names)?;
        for stretch in stretches {
            let Some(kept) = rows.get_mut(&(name.clone(), stretch.at)) else { continue };
            // One that was sent earlier may come later.
            if stretch.is_before(&kept.stretch) {
                continue;
            }
            let grown = stretch.since(&kept.stretch);
            kept.stretch = stretch.clone();
            if let Some(sum) = rows.get_mut(&(SUM.to_owned(), stretch.at)) {
                sum.stretch.merge(&grown);
            }
        }
        self.keep_hours(ALL_TENANTS, &rows, now)?;
        let never = LastUse { at: UnixMillis::default(), country: None };
        let last = summed.last.as_ref().unwrap_or(&never);
        table::used(&self.store, &[(name, last), (SUM.to_owned(), last)])?;
        for (key, at) in &summed.used {
            if !self.used(key.as_str(), *at)? {
                // Its family has not told of it yet: whoever tells finds this.
                let last = LastUse { at: *at, country: None };
                table::used(&self.store, &[(key.to_string(), &last)])?;
            }
        }
        Ok(())
    }

    /// Writes limits that were reached into the tenant's chain, and into the one over all.
    fn tell_reached(&self, tenant: &str, events: Vec<Draft>, now: UnixMillis) -> Result<(), Fault> {
        self.append(&events, now)?;
        if events.is_empty() || tenant == ALL_TENANTS {
            return Ok(());
        }
        self.tell(&RegistryRequest::Audit(AuditRequest::Append(events)), now)
    }

    /// Stores hours that changed, and what follows from them.
    fn keep_hours(&self, tenant: &str, rows: &Rows, now: UnixMillis) -> Result<(), Fault> {
        let mut upkeep = table::upkeep(&self.store)?;
        let before = upkeep.clone();
        table::put(&self.store, By::Hour, rows)?;
        for (name, at) in rows.keys() {
            upkeep.came(tenant, *at);
            if upkeep.is_late(*at) {
                let day = By::Day.start(*at);
                self.add_up(name, day, day.plus(By::Day.length()))?;
            }
        }
        if upkeep != before {
            table::put_upkeep(&self.store, &upkeep)?;
        }
        if tenant != ALL_TENANTS {
            let sums = rows.keys().filter(|(name, _)| name == SUM);
            let sums: Vec<UnixMillis> = sums.map(|(_, at)| *at).collect();
            table::changed(&self.store, &sums)?;
            self.store.wake_at(upkeep.tell_at(now))?;
        }
        upkeep.add_at().map_or(Ok(()), |at| self.store.wake_at(at))
    }

    /// Adds the hours of some days of one name up to days.
    fn add_up(&self, name: &str, from: UnixMillis, until: UnixMillis) -> Result<(), Fault> {
        let mut days = Rows::new();
        for hour in table::between(&self.store, By::Hour, name, from, until)? {
            let at = By::Day.start(hour.at);
            let day = days.entry((name.to_owned(), at)).or_insert_with(|| {
                let stretch = Stretch { at, ..Stretch::default() };
                Kept { stretch, reached: false }
            });
            day.stretch.merge(&hour);
        }
        table::put(&self.store, By::Day, &days)
    }

    /// What is told of usage, as JSON.
    fn usage_report(&self, request: &ReportRequest, now: UnixMillis) -> Result<String, Fault> {
        let ReportRequest { key, frame, unused_since, tenants } = request;
        let name = key.as_ref().map_or(SUM, KeyId::as_str);
        let spans = spans(*frame, &table::upkeep(&self.store)?);
        let mut stretches = Vec::new();
        for (by, from, to) in &spans {
            stretches.extend(table::between(&self.store, *by, name, *from, *to)?);
        }
        let never = UnixMillis::default();
        let last = table::last_use(&self.store, name)?.filter(|last| last.at > never);
        let mut told = Map::new();
        told.insert("usage".to_owned(), report(*frame, &stretches, last.as_ref(), now));
        if *tenants {
            told.insert("tenants".to_owned(), self.tenants_used(&spans, now)?);
        }
        if let Some(since) = unused_since {
            told.insert("stale".to_owned(), self.stale(*since, now)?);
        }
        json(&told)
    }

    /// Active keys that nobody used since then.
    fn stale(&self, since: UnixMillis, now: UnixMillis) -> Result<Value, Fault> {
        let query = ListQuery {
            limit: LISTED,
            cursor: None,
            tenant: None,
            owner: None,
            tag: None,
            kind: None,
            state: Some(ListedState::Active),
            unused_since: Some(since),
        };
        let page: Page = serde_json::from_str(&self.list(&query, now)?)
            .map_err(|error| Fault(error.to_string()))?;
        let keys: Vec<Value> = page.keys.iter().map(|key| key.resource(now)).collect();
        let count = table::count_stale(&self.store, since, now)?;
        Ok(value!({ "unused_since": since.to_rfc3339(), "count": count, "keys": keys }))
    }

    /// The tenants with the most requests, and how many of them.
    fn tenants_used(
        &self,
        spans: &[(By, UnixMillis, UnixMillis)],
        now: UnixMillis,
    ) -> Result<Value, Fault> {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (by, from, to) in spans {
            let counting = still_counted(now);
            for (name, more, and) in table::by_tenant(&self.store, *by, (*from, *to), counting)? {
                let (admitted, refused) = sums.entry(name).or_default();
                *admitted = admitted.saturating_add(more);
                *refused = refused.saturating_add(and);
            }
        }
        let mut sums: Vec<(String, (u64, u64))> = sums.into_iter().collect();
        let requests = |(admitted, refused): (u64, u64)| admitted.saturating_add(refused);
        sums.sort_by_key(|(_, counts)| core::cmp::Reverse(requests(*counts)));
        sums.truncate(usize::try_from(LISTED).unwrap_or(usize::MAX));

        let names: Vec<&String> = sums.iter().map(|(tenant, _)| tenant).collect();
        let mut errors: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (by, from, to) in spans {
            let codes = table::codes_by_tenant(&self.store, &names, *by, (*from, *to))?;
            for (tenant, code, more) in codes {
                let count = errors.entry(tenant).or_default().entry(code).or_default();
                *count = count.saturating_add(more);
            }
        }
        let told = sums.into_iter().map(|(tenant, counts)| {
            let errors = errors.remove(&tenant).unwrap_or_default();
            let (admitted, refused) = counts;
            value!({
                "tenant": tenant, "requests": requests(counts), "admitted": admitted,
                "refused": refused, "errors": errors,
            })
        });
        Ok(told.collect())
    }

    /// What usage has to do by itself; when it has to be woken next.
    pub(super) async fn tend_usage(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        self.add_days(now)?;
        let tell = self.tell_sums(now).await?;
        let add = table::upkeep(&self.store)?.add_at();
        Ok(tell.into_iter().chain(add).min())
    }

    /// Adds up days that are over, for some names at a time.
    fn add_days(&self, now: UnixMillis) -> Result<(), Fault> {
        let mut upkeep = table::upkeep(&self.store)?;
        let Some(adding) = upkeep.to_add(now) else { return Ok(()) };
        let names = table::names_after(&self.store, &adding.after, NAMES)?;
        for name in &names {
            // Rows of one name that cannot be read keep no other from their turn.
            self.add_up(name, adding.from, adding.until)
                .unwrap_or_else(|fault| note_fault(name, &fault));
            for by in [By::Hour, By::Day] {
                table::forget(&self.store, by, name, oldest(by, now))?;
            }
        }
        upkeep.did_add(&adding, names.last().cloned());
        table::put_upkeep(&self.store, &upkeep)
    }

    /// True when the object over all has something to be told.
    pub(super) fn has_to_tell(&self) -> Result<bool, Fault> {
        Ok(tells(&table::upkeep(&self.store)?) && self.has_sums()?)
    }

    fn has_sums(&self) -> Result<bool, Fault> {
        Ok(!table::changes(&self.store, 1)?.is_empty() || !table::fresh(&self.store, 1)?.is_empty())
    }

    /// Tells the object over all what changed; when there may be more to tell.
    async fn tell_sums(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        let upkeep = table::upkeep(&self.store)?;
        let changes = table::changes(&self.store, AT_ONCE)?;
        let fresh = table::fresh(&self.store, AT_ONCE)?;
        if !tells(&upkeep) || (changes.is_empty() && fresh.is_empty()) {
            return Ok(None);
        }
        if !upkeep.may_tell(now) {
            return Ok(Some(upkeep.tell_at(now)));
        }
        let sums = changes.iter().map(|(at, _)| (SUM.to_owned(), *at));
        let sums = table::hours(&self.store, sums)?;
        let used = fresh.iter().filter_map(|(name, at)| Some((KeyId::parse(name).ok()?, *at)));
        let summed = Summed {
            tenant: upkeep.tenant.clone(),
            hours: sums.into_values().map(|kept| kept.stretch).collect(),
            last: table::last_use(&self.store, SUM)?,
            used: used.collect(),
        };
        let message = json(&RegistryRequest::Usage(UsageRequest::Summed(summed)))?;
        bindings::call_object(&self.env, bindings::TENANT, ALL_TENANTS, &message).await?;
        table::unchanged(&self.store, &changes)?;
        table::not_fresh(&self.store, &fresh)?;
        // While it was told, more may have come.
        let mut upkeep = table::upkeep(&self.store)?;
        upkeep.told(now);
        table::put_upkeep(&self.store, &upkeep)?;
        Ok(self.has_sums()?.then(|| upkeep.tell_at(now)))
    }
}

/// False while nothing was counted, and in the object over all itself.
fn tells(upkeep: &Upkeep) -> bool {
    !upkeep.tenant.is_empty() && upkeep.tenant != ALL_TENANTS
}

/// Where a frame is kept: days that are added up, and hours.
fn spans(frame: Frame, upkeep: &Upkeep) -> Vec<(By, UnixMillis, UnixMillis)> {
    let Frame { by, from, to } = frame;
    let split = match by {
        By::Hour => from,
        By::Day => upkeep.days_end().clamp(from, to),
    };
    let spans = [(By::Day, from, split), (By::Hour, split, to)];
    spans.into_iter().filter(|(_, from, to)| from < to).collect()
}

fn name_of(key: Option<&KeyId>) -> String {
    key.map_or_else(|| NO_KEY.to_owned(), KeyId::to_string)
}

/// A limit refused a request of this key, for the first time in this hour.
fn limit_reached(
    tenant: &str,
    key: &KeyId,
    hour: UnixMillis,
    limits: Option<&[&String]>,
    now: UnixMillis,
) -> Draft {
    let mut detail = Map::new();
    detail.insert("hour".to_owned(), hour.to_rfc3339().into());
    if let Some(limits) = limits {
        detail.insert("limits".to_owned(), value!(limits));
    }
    Draft {
        at: now,
        kind: "limit.reached".to_owned(),
        actor: "gate".to_owned(),
        tenant: tenant.to_owned(),
        key: Some(key.to_string()),
        call: None,
        code: None,
        request_id: None,
        address: None,
        fields: Vec::new(),
        detail,
        once: Some(format!("limit.reached/{key}/{}", hour.as_secs())),
    }
}
