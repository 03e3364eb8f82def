//! What counts of usage promise, for any requests, in any order, over any number of isolates.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::key::KeyId;
use tollgate_core::problem::Code;
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::{
    By, Counts, Frame, Gathered, Histogram, Ledger, Sample, Stretch, report, start_of_hour,
};

/// Beyond an hour latencies are not told apart.
const HOUR: u64 = 3_600_000;

fn histogram(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for ms in values {
        histogram.add(Millis::millis(*ms));
    }
    histogram
}

fn merged(parts: &[&[u64]]) -> Histogram {
    let mut whole = Histogram::default();
    for part in parts {
        whole.merge(&histogram(part));
    }
    whole
}

/// Latencies as they are: most short, some of every length.
fn latencies() -> impl Strategy<Value = Vec<u64>> {
    let one =
        prop_oneof![0_u64..100, 0_u64..10_000, (0_u32..22).prop_map(|bits| 1 << bits), 0..=HOUR];
    proptest::collection::vec(one, 0..400)
}

/// The smallest value that so many percent of all do not exceed.
fn exact(sorted: &[u64], percent: u64) -> u64 {
    let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1);
    sorted[usize::try_from(rank).unwrap() - 1]
}

proptest! {
    #[test]
    fn merging_is_counting_together(values in latencies(), cut in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let (cut, other) = (cut.index(values.len() + 1), other.index(values.len() + 1));
        let (first, second) = (cut.min(other), cut.max(other));
        let (a, b, c) = (&values[..first], &values[first..second], &values[second..]);
        let whole = histogram(&values);
        prop_assert_eq!(&merged(&[a, b, c]), &whole);
        prop_assert_eq!(&merged(&[c, a, b]), &whole, "in any order");
        prop_assert_eq!(whole.count(), values.len() as u64);
        prop_assert_eq!(whole.since(&histogram(a)), merged(&[b, c]));
        let text = serde_json::to_string(&whole).unwrap();
        prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), whole);
    }

    #[test]
    fn a_percentile_is_within_its_error(mut values in latencies(), percent in 1_u64..=100) {
        let told = histogram(&values).percentile(percent).map(Millis::as_millis);
        values.sort_unstable();
        if values.is_empty() {
            prop_assert_eq!(told, None);
        } else {
            let (told, exact) = (told.unwrap(), exact(&values, percent));
            prop_assert!(exact >= 64 || told == exact, "{} is told as {}", exact, told);
            prop_assert!(told.abs_diff(exact) * 64 <= exact, "{} is told as {}", exact, told);
        }
    }

    #[test]
    fn what_isolates_gather_adds_up_to_what_they_answered(
        requests in proptest::collection::vec(
            (0_usize..4, 0_u64..5, 0_u64..7_200_000, any::<(bool, bool)>(), 0_u64..200), 1..300),
    ) {
        // Four isolates, four keys of two tenants and requests without a key, over two hours.
        let start = UnixMillis::parse_rfc3339("2026-11-22T10:00:00Z").unwrap();
        let ids: Vec<KeyId> = (0..4).map(|n| KeyId::parse(&format!("{n:016}")).unwrap()).collect();
        let tenant = |key: usize| ["acme", "b"][key % 2];
        let mut isolates: Vec<Ledger> = (0..4).map(|_| Ledger::default()).collect();
        let mut expected: BTreeMap<(String, Option<KeyId>, UnixMillis), Counts> = BTreeMap::new();
        let mut passed = 0_u64;
        for (isolate, key, after, (admitted, leased), took) in requests {
            let key = usize::try_from(key).unwrap();
            let id = ids.get(key);
            let (at, took) = (start.plus(Millis::millis(after)), Millis::millis(took));
            let (status, code) = if admitted { (200, None) } else { (429, Some(Code::RateLimited)) };
            let sample = Sample {
                key: id.map(|id| (id, tenant(key))),
                route: Some("read"), status, code, country: None, at, took, admitted, leased,
                in_grace: false,
            };
            let _ = isolates[isolate].record(&sample);
            let of = if id.is_some() { tenant(key) } else { "*" };
            let counts = expected.entry((of.to_owned(), id.cloned(), start_of_hour(at))).or_default();
            counts.add(status, code, admitted, took);
            if admitted && leased {
                counts.was_leased();
            }
            passed += u64::from(admitted);
        }
        let mut gathered: BTreeMap<(String, Option<KeyId>, UnixMillis), Counts> = BTreeMap::new();
        for isolate in &mut isolates {
            for Gathered { tenant, keys } in isolate.take() {
                for batch in keys {
                    for hour in batch.hours {
                        let place = (tenant.clone(), batch.key.clone(), hour.hour);
                        gathered.entry(place).or_default().merge(&hour.counts);
                    }
                }
            }
        }
        prop_assert_eq!(&gathered, &expected);

        // However the hours are cut into days and buckets, the sums are the same.
        let hours: Vec<Stretch> = gathered
            .into_iter()
            .map(|((_, _, at), gathered)| {
                // The objects tell of those that asked them.
                Stretch { at, admitted: gathered.admitted - gathered.leased, gathered }
            })
            .collect();
        let now = start.plus(Millis::hours(3));
        let sums = [By::Hour, By::Day].map(|by| {
            let frame = Frame::new(by, Some(start), None, now).unwrap();
            let mut told = report(frame, &hours, None, now);
            for own in ["buckets", "from", "to", "by"] {
                told.as_object_mut().unwrap().remove(own);
            }
            told
        });
        prop_assert_eq!(&sums[0], &sums[1]);
        prop_assert_eq!(&sums[0]["admitted"], passed, "each once");
    }
}
