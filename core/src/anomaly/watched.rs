//! What is remembered of one key, and what is told of what it does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::refusals::Refusals;
use super::week::{self, Week};
use super::{Kind, Subject};
use crate::audit::Draft;
use crate::policy::Anomalies;
use crate::time::{Millis, UnixMillis};
use crate::usage::{Counts, KeyBatch, Seen};

/// Routes that are remembered of one key. One that uses more uses everything, and nothing is new.
const MAX_ROUTES: usize = 200;
/// Countries that are remembered: more than there are.
const MAX_COUNTRIES: usize = 300;
/// What the edge calls routes and countries beyond those that it tells apart, and a country that
/// nobody knows.
const NAMELESS: [&str; 2] = ["*", "XX"];
/// How long repeated refusals are not told again.
const REFUSALS_AGAIN: Millis = Millis::hours(1);
/// How long the use of an old key is not told again.
const OLD_KEY_AGAIN: Millis = Millis::hours(24);

/// One key, as far as it was watched.
///
/// Only what was admitted counts as used: what is refused is told as refusals, and whoever knows no
/// more of a key than its id teaches the gate nothing about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// When it was first used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<UnixMillis>,
    #[serde(default)]
    routes: BTreeSet<String>,
    #[serde(default)]
    countries: BTreeSet<String>,
    #[serde(default)]
    week: Week,
    #[serde(default)]
    refusals: Refusals,
    #[serde(default)]
    told: Told,
}

/// What was told last, of the kinds that are told again after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusals: Option<UnixMillis>,
    /// The hour, in hours since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_key: Option<UnixMillis>,
}

impl Watched {
    /// Remembers what was gathered of the key, and returns what is worth telling: anomalies, and
    /// first uses (`key.accessed`).
    pub fn see(&mut self, batch: &KeyBatch, rules: &Anomalies, of: Subject<'_>) -> Vec<Draft> {
        // As it was before this batch: what a key does at first is what it does.
        let learned = self.first.is_some_and(|first| of.now.since(first) >= rules.learn);
        let mut told = Vec::new();
        for hour in &batch.hours {
            self.refused(&hour.counts, rules, of, &mut told);
            self.week.add(hour.hour, hour.counts.admitted);
        }
        let used = batch.hours.iter().any(|hour| hour.counts.admitted > 0);
        let first = used && self.first.is_none();
        if first {
            self.first = Some(of.now);
        }
        self.used_from(batch, first, learned && rules.countries, of, &mut told);
        self.used_for(batch, learned && rules.routes, of, &mut told);
        if learned {
            self.busy(batch, rules, of, &mut told);
        }
        if rules.old_keys && batch.in_grace > 0 && is_over(self.told.old_key, OLD_KEY_AGAIN, of.now)
        {
            self.told.old_key = Some(of.now);
            let detail = members(&[("requests", batch.in_grace.into())]);
            told.push(of.anomaly(Kind::OldKeyInGrace, &at(of.now), detail));
        }
        told
    }

    fn refused(
        &mut self,
        counts: &Counts,
        rules: &Anomalies,
        of: Subject<'_>,
        told: &mut Vec<Draft>,
    ) {
        let Some(rate) = rules.refusals else {
            self.refusals.clear();
            return;
        };
        self.refusals.add(counts, rate, of.now);
        let codes = self.refusals.by_code();
        let refused = codes.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let again = REFUSALS_AGAIN.max(rate.window());
        if refused < u64::from(rate.requests()) || !is_over(self.told.refusals, again, of.now) {
            return;
        }
        let detail = members(&[
            ("refused", refused.into()),
            ("window", rate.window().to_string().into()),
            ("codes", json!(codes)),
        ]);
        told.push(of.anomaly(Kind::RepeatedRefusals, &at(of.now), detail));
        self.told.refusals = Some(of.now);
    }

    /// The countries of a batch. That it was used from one for the first time is told in any case,
    /// as an access; as an anomaly only where `tell` says so.
    fn used_from(
        &mut self,
        batch: &KeyBatch,
        first: bool,
        tell: bool,
        of: Subject<'_>,
        told: &mut Vec<Draft>,
    ) {
        let mut first = first;
        for country in used(batch.countries.iter()) {
            if self.countries.len() >= MAX_COUNTRIES || !self.countries.insert(country.to_owned()) {
                continue;
            }
            told.push(of.accessed(first, Some(country)));
            first = false;
            if tell {
                let detail = members(&[("country", country.into())]);
                told.push(of.anomaly(Kind::NewCountry, country, detail));
            }
        }
        if first {
            told.push(of.accessed(true, None));
        }
    }

    fn used_for(&mut self, batch: &KeyBatch, tell: bool, of: Subject<'_>, told: &mut Vec<Draft>) {
        for route in used(batch.routes.iter()) {
            let room = self.routes.len() < MAX_ROUTES;
            if room && self.routes.insert(route.to_owned()) && tell {
                let detail = members(&[("route", route.into())]);
                told.push(of.anomaly(Kind::NewRoute, route, detail));
            }
        }
    }

    fn busy(
        &mut self,
        batch: &KeyBatch,
        rules: &Anomalies,
        of: Subject<'_>,
        told: &mut Vec<Draft>,
    ) {
        let Some(volume) = rules.volume else { return };
        for hour in &batch.hours {
            let number = week::number(hour.hour);
            let (requests, busiest) =
                (self.week.of(hour.hour), self.week.busiest_before(hour.hour));
            let much = busiest.saturating_mul(volume.factor).max(volume.at_least);
            // An hour that comes late, after a later one was told, is not told any more.
            let again = self.told.volume.is_none_or(|last| last < number);
            if requests < much || !again {
                continue;
            }
            self.told.volume = Some(number);
            let detail = members(&[
                ("hour", hour.hour.to_rfc3339().into()),
                ("requests", requests.into()),
                ("busiest", busiest.into()),
            ]);
            told.push(of.anomaly(Kind::SuddenVolume, &number.to_string(), detail));
        }
    }
}

/// The names that something was admitted for.
fn used<'b>(seen: impl Iterator<Item = (&'b String, &'b Seen)>) -> impl Iterator<Item = &'b str> {
    let is_used =
        |(name, seen): &(&String, &Seen)| seen.admitted > 0 && !NAMELESS.contains(&name.as_str());
    seen.filter(is_used).map(|(name, _)| name.as_str())
}

/// True when it was never told, or so long ago. A clock that was set back tells nothing twice.
fn is_over(last: Option<UnixMillis>, again: Millis, now: UnixMillis) -> bool {
    last.is_none_or(|last| now.since(last) >= again)
}

fn at(now: UnixMillis) -> String {
    now.as_millis().to_string()
}

fn members(members: &[(&str, Value)]) -> Map<String, Value> {
    members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
