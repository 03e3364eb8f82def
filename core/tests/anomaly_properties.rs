//! Whatever a key does and however it comes in: nothing is told twice, and counts do not hang on the
//! order in which batches come.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tollgate_core::anomaly::{Anomaly, Kind, Subject, Watched};
use tollgate_core::key::KeyId;
use tollgate_core::limit::Rate;
use tollgate_core::policy::{Anomalies, Volume};
use tollgate_core::time::{Millis, UnixMillis};
use tollgate_core::usage::{Counts, HourBatch, KeyBatch, Seen};

const START: u64 = 1_780_272_000_000;
const HOUR: u64 = 3_600_000;

fn key() -> KeyId {
    KeyId::parse("abcdefghij012345").unwrap()
}

fn rules() -> Anomalies {
    Anomalies {
        refusals: Rate::new(5, Millis::minutes(5)).ok(),
        volume: Some(Volume { factor: 3, at_least: 10 }),
        learn: Millis::hours(1),
        ..Anomalies::default()
    }
}

fn see(
    watched: &mut Watched,
    batch: &KeyBatch,
    rules: &Anomalies,
    now: u64,
) -> Vec<(u64, Anomaly)> {
    let (key, now) = (key(), UnixMillis::from_millis(now));
    let told = watched.see(batch, rules, Subject { key: &key, tenant: "acme", now });
    told.iter().filter_map(Anomaly::of).map(|anomaly| (now.as_millis(), anomaly)).collect()
}

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "c", "DE", "FR", "*", "XX"]).prop_map(str::to_owned)
}

fn names() -> impl Strategy<Value = BTreeMap<String, Seen>> {
    let seen = (0_u64..3, 0_u64..3).prop_map(|(admitted, refused)| Seen { admitted, refused });
    proptest::collection::btree_map(name(), seen, 0..3)
}

/// What came in some hour after the start, and when it came: at that time or a little later.
fn batch() -> impl Strategy<Value = KeyBatch> {
    let codes = proptest::sample::select(vec!["key_expired", "insufficient_scope", "rate_limited"]);
    let codes = proptest::collection::btree_map(codes, 0_u64..9, 0..3);
    let hour = (0_u64..400, 0_u64..60, codes).prop_map(|(hour, admitted, codes)| HourBatch {
        hour: UnixMillis::from_millis(START + hour * HOUR),
        counts: Counts {
            admitted,
            errors: codes.into_iter().map(|(code, n)| (code.into(), n)).collect(),
            ..Counts::default()
        },
    });
    (proptest::collection::vec(hour, 0..3), names(), names(), 0_u64..2).prop_map(
        |(hours, routes, countries, in_grace)| KeyBatch {
            key: Some(key()),
            hours,
            routes,
            countries,
            in_grace,
            ..KeyBatch::default()
        },
    )
}

proptest! {
    /// Neither the same thing ever, nor the same kind again before its period is over.
    #[test]
    fn nothing_is_told_twice(
        batches in proptest::collection::vec((0_u64..4 * HOUR, batch()), 0..120),
    ) {
        let mut watched = Watched::default();
        let (mut ids, mut last) = (BTreeSet::new(), BTreeMap::new());
        let mut now = START;
        for (pause, batch) in batches {
            now += pause;
            for (at, anomaly) in see(&mut watched, &batch, &rules(), now) {
                prop_assert!(ids.insert(anomaly.id.clone()), "{anomaly:?}");
                let period = match anomaly.kind {
                    Kind::RepeatedRefusals => HOUR,
                    Kind::OldKeyInGrace => 24 * HOUR,
                    _ => continue,
                };
                let before = last.insert(anomaly.kind, at);
                prop_assert!(before.is_none_or(|before| at - before >= period), "{anomaly:?}");
            }
        }
    }

    /// What was counted of an hour is the same in whatever order and by however many isolates it
    /// came, and so is what is told of the next one.
    #[test]
    fn the_order_of_batches_does_not_matter_for_counts(
        counts in proptest::collection::vec((0_u64..168, 1_u64..50), 1..30),
        order in any::<u64>(),
        requests in 1_u64..2_000,
    ) {
        let of_hour = |hour: u64, admitted| KeyBatch {
            key: Some(key()),
            hours: vec![HourBatch {
                hour: UnixMillis::from_millis(START + hour * HOUR),
                counts: Counts { admitted, ..Counts::default() },
            }],
            ..KeyBatch::default()
        };
        let (quiet, now) = (Anomalies { volume: None, ..rules() }, START + 169 * HOUR);
        let told = |counts: &[(u64, u64)]| {
            let mut watched = Watched::default();
            see(&mut watched, &of_hour(0, 0), &quiet, START);
            see(&mut watched, &of_hour(1, 1), &quiet, START);
            for (hour, admitted) in counts {
                see(&mut watched, &of_hour(*hour, *admitted), &quiet, now);
            }
            see(&mut watched, &of_hour(168, requests), &rules(), now)
        };
        let mut shuffled = counts.clone();
        let mut state = order;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let anomalies = told(&counts);
        prop_assert_eq!(&told(&shuffled), &anomalies);

        let mut hours: BTreeMap<u64, u64> = BTreeMap::from([(1, 1)]);
        for (hour, admitted) in &counts {
            *hours.entry(*hour).or_default() += admitted;
        }
        let busiest = hours.values().copied().max().unwrap_or(0);
        prop_assert_eq!(!anomalies.is_empty(), requests >= (3 * busiest).max(10));
    }

    /// What is stored comes back as it was, and stays small.
    #[test]
    fn what_is_remembered_is_stored_and_read_back(
        batches in proptest::collection::vec(batch(), 0..60),
    ) {
        let mut watched = Watched::default();
        for (at, batch) in batches.iter().enumerate() {
            see(&mut watched, batch, &rules(), START + at as u64 * HOUR / 4);
        }
        let text = serde_json::to_string(&watched).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Watched>(&text).unwrap(), &watched);
        prop_assert!(text.len() < 16_384);
    }
}
