//! What a request is charged, and by which object it is counted.

use crate::key::{KeyKind, KeyRecord};
use crate::limit::{
    Charge, Kind, Limit, LimitBy, Measure, Mode, ROUTE_PREFIX, Rate, Standing, Verdict,
};
use crate::policy::{Policy, Route, ShadowCheck};
use crate::road::ObjectClass;
use crate::road::permit::{Permitted, shadows};
use crate::time::{Millis, UnixMillis};

use super::Caller;

/// The rate of a key that names none, where the policy has no `default` limit (SPEC section 3).
const DEFAULT_RATE: (u32, Millis) = (60, Millis::minutes(1));
/// The limit of each client address of a publishable key (SPEC section 3).
const ADDRESS_LIMIT: &str = "address";
/// The limit of a key that names none.
const DEFAULT_LIMIT: &str = "default";

/// One object's part in an admission.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) class: ObjectClass,
    /// The object's name, which no other object has, of whatever class.
    pub(super) object: String,
    pub(super) charges: Vec<Charge>,
    /// Limits that clients are told under another name than they are counted under. A limit of a
    /// tenant has to be one count, whatever each key calls its own.
    told_as: Vec<(String, String)>,
    /// The request has a place in flight, here or at another object. Such a request always asks
    /// (SPEC section 4).
    in_flight: bool,
}

impl Call {
    fn new(class: ObjectClass, object: String) -> Self {
        Self { class, object, charges: Vec::new(), told_as: Vec::new(), in_flight: false }
    }

    /// True when what is in flight is among what is charged.
    pub(super) fn has_place(&self) -> bool {
        self.charges.iter().any(|charge| charge.measure.kind() == Kind::Concurrency)
    }

    /// True when it may be given ahead: all of its limits say so, and each of them refuses for real
    /// and can be counted ahead.
    pub(super) fn is_leased(&self) -> bool {
        let leased = |charge: &Charge| charge.leased && !charge.shadow;
        !self.charges.is_empty() && !self.in_flight && self.charges.iter().all(leased)
    }

    /// The kinds of the limits of these names.
    pub(super) fn kinds<'c>(&'c self, names: &'c [String]) -> impl Iterator<Item = Kind> + 'c {
        let charged = self.charges.iter().filter(|charge| names.contains(&charge.limit));
        charged.map(|charge| charge.measure.kind())
    }

    /// Standings by the names that clients are told.
    pub(super) fn told(&self, mut standings: Vec<Standing>) -> Vec<Standing> {
        for standing in &mut standings {
            self.tell(&mut standing.limit);
        }
        standings
    }

    /// A verdict by the names that clients are told.
    pub(super) fn told_verdict(&self, mut verdict: Verdict) -> Verdict {
        let (Verdict::Admitted { standings, would_limit, .. }
        | Verdict::Limited { standings, would_limit, .. }) = &mut verdict;
        for standing in standings {
            self.tell(&mut standing.limit);
        }
        for name in would_limit {
            self.tell(name);
        }
        if let Verdict::Limited { exceeded, .. } = &mut verdict {
            for name in exceeded {
                self.tell(name);
            }
        }
        verdict
    }

    fn tell(&self, name: &mut String) {
        if let Some((_, told)) = self.told_as.iter().find(|(counted, _)| counted == name) {
            told.clone_into(name);
        }
    }

    fn add(&mut self, named: &Named, bucket: &str, terms: Terms) {
        let Named { limit, counted, told } = named;
        let charges = charges_of(limit, counted, bucket, terms);
        if counted != told {
            let pair = |charge: &Charge| {
                let further = charge.limit.strip_prefix(counted.as_str()).unwrap_or_default();
                (charge.limit.clone(), format!("{told}{further}"))
            };
            self.told_as.extend(charges.iter().map(pair));
        }
        self.charges.extend(charges);
    }
}

/// On which terms a request is charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many requests it counts for, at least 1.
    pub(crate) cost: u32,
    /// The limits only log.
    pub(crate) shadow: bool,
    /// Whose limits may all be given ahead, whatever each of them says.
    pub(crate) mode: Mode,
}

impl Permitted {
    /// The objects that are asked, in this order: of the tenant, of the route, of the address; and
    /// last that of the key, which knows more than limits and so is always asked.
    pub(super) fn calls(&self, now: UnixMillis) -> Vec<Call> {
        let Some(route) = self.walk.route() else { return Vec::new() };
        let shadow = shadows(&self.walk, ShadowCheck::Limits, now);
        let record = match &self.caller {
            Caller::Key(record) => Some(record),
            Caller::Nobody => None,
        };
        let block = self.walk.failure_block();
        let counter = |name: String| Call::new(ObjectClass::Counter, name);
        let mut of_tenant =
            counter(format!("tenant/{}", record.map_or("*", |record| &record.tenant)));
        let mut of_route = counter(format!("route/{}", route.name));
        let mut of_address = counter(format!("address/{block}"));
        let mut of_key =
            record.map(|record| Call::new(ObjectClass::Key, record.family.to_string()));
        let own = record.map_or_else(Vec::new, |record| own_limits(record, &self.walk.gate.policy));
        let terms = Terms { cost: route.cost, shadow, mode: Mode::Exact };
        let mode = record.map_or(Mode::Exact, |record| record.mode);
        for named in named(own, route) {
            let (key_terms, none) = (Terms { mode, ..terms }, String::new());
            // The policy's check lets no limit by key onto a route without keys. Should one be
            // there, it is a limit all the same.
            let of_key = of_key.as_mut().unwrap_or(&mut of_address);
            match named.limit.by() {
                LimitBy::Tenant => of_tenant.add(&named, &none, terms),
                LimitBy::Route => of_route.add(&named, &none, terms),
                LimitBy::Address => of_address.add(&named, &block, terms),
                LimitBy::Key => of_key.add(&named, &none, key_terms),
                LimitBy::KeyAddress => of_key.add(&named, &block, key_terms),
                LimitBy::KeyParam(param) => {
                    let value = self.walk.param(param).unwrap_or_default();
                    of_key.add(&named, value, key_terms);
                }
            }
        }
        let counters = [of_tenant, of_route, of_address];
        let asked = counters.into_iter().filter(|call| !call.charges.is_empty());
        let mut calls: Vec<Call> = asked.chain(of_key).collect();
        let in_flight = calls.iter().any(Call::has_place);
        for call in &mut calls {
            call.in_flight = in_flight;
        }
        calls
    }
}

/// What a request is charged for one limit: each of its measures. `name`: what it is counted and
/// told by.
pub(crate) fn charges_of(limit: &Limit, name: &str, bucket: &str, terms: Terms) -> Vec<Charge> {
    let Terms { cost, shadow, mode } = terms;
    let several = limit.measures().len() > 1;
    let is_leased = limit.mode() == Mode::Leased || mode == Mode::Leased;
    let charge = |measure: &Measure| {
        let kind = measure.kind();
        let further = match kind {
            Kind::Quota if several => ".quota",
            Kind::Concurrency if several => ".concurrency",
            _ => "",
        };
        Charge {
            limit: format!("{name}{further}"),
            bucket: bucket.to_owned(),
            measure: *measure,
            cost: if kind == Kind::Concurrency { 1 } else { cost },
            shadow,
            // Of a leased key, what never had this much to give while it is leased stays exact.
            leased: is_leased && kind != Kind::Concurrency && measure.most_leased() >= cost,
        }
    };
    limit.measures().iter().map(charge).collect()
}

/// The limits of a key: its own, or the policy's `default`, or 60 requests per minute; and for a
/// publishable key always one per client address, tested first, so that one stranger cannot use
/// up a whole site's allowance (SPEC section 3).
pub(crate) fn own_limits(record: &KeyRecord, policy: &Policy) -> Vec<Limit> {
    let mut limits = record.limits.clone();
    if limits.is_empty() {
        let default = policy
            .limits
            .iter()
            .find(|limit| limit.name() == DEFAULT_LIMIT && *limit.by() == LimitBy::Key);
        let builtin = || {
            let rate = Rate::new(DEFAULT_RATE.0, DEFAULT_RATE.1).ok()?;
            Limit::by_rate(DEFAULT_LIMIT, rate, LimitBy::Key).ok()
        };
        limits.extend(default.cloned().or_else(builtin));
    }
    if record.kind == KeyKind::Pk {
        let per_address = limits.iter().position(|limit| *limit.by() == LimitBy::KeyAddress);
        let first = match per_address {
            Some(at) => Some(limits.remove(at)),
            None => Rate::new(DEFAULT_RATE.0, DEFAULT_RATE.1)
                .ok()
                .and_then(|rate| Limit::by_rate(ADDRESS_LIMIT, rate, LimitBy::KeyAddress).ok()),
        };
        limits.splice(0..0, first);
    }
    limits
}

/// A limit, the name that it is counted under, and the one that clients are told.
struct Named {
    limit: Limit,
    counted: String,
    told: String,
}

/// All limits of a request under names that differ. A limit of the route that a key has as its
/// own, word for word, is one limit. One of the same name but with other measures is told as
/// `route-NAME`, so that the key's own has the same name on every route; by key it is counted so
/// too. No limit is ever left out: the policy and the management API keep names that begin with
/// `route-` free for this.
fn named(own: Vec<Limit>, route: &Route) -> Vec<Named> {
    let own = own.into_iter().map(|limit| {
        let name = limit.name().to_owned();
        Named { limit, counted: name.clone(), told: name }
    });
    let mut all: Vec<Named> = own.collect();
    for limit in &route.limits {
        if all.iter().any(|known| known.limit == *limit) {
            continue;
        }
        let mut told = limit.name().to_owned();
        while all.iter().any(|known| known.told == told) {
            told.insert_str(0, ROUTE_PREFIX);
        }
        let counted = if limit.by().is_of_key() { told.clone() } else { limit.name().to_owned() };
        all.push(Named { limit: limit.clone(), counted, told });
    }
    all
}
