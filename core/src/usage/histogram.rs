//! Latencies, so that any two counts of them add up to one.
//!
//! Below 64 ms every millisecond has a bucket of its own. From there on each doubling has 32 of
//! equal width, so that a bucket's middle is within a 64th of every value in it. An hour and
//! everything beyond it are one.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// How far a reported quantile may be off, in words: part of every answer that has one.
pub const LATENCY_ERROR: &str = "at most 1/64 (1.6 %) of the value; exact below 64 ms";

/// Values below this have a bucket each.
const EXACT: u64 = 64;
/// Buckets of one doubling.
const PARTS: u64 = 32;
/// The largest value that is told from others, in milliseconds.
const LARGEST: u64 = 3_600_000;

/// Counts of latencies by bucket. Written as a flat list of pairs: how many buckets after the one
/// before (the first: after nothing), and how many values are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Histogram {
    /// Buckets that hold something, in order.
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// One more latency.
    pub fn add(&mut self, latency: Millis) {
        self.add_many(bucket_of(latency.as_millis()), 1);
    }

    /// Everything that is in `other` as well.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add_many(*bucket, *count);
        }
    }

    /// Without what is in `earlier`, a count of the same latencies some time before.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: u16| match earlier.find(bucket) {
            Ok(at) => earlier.buckets.get(at).map_or(0, |(_, count)| *count),
            Err(_) => 0,
        };
        let grown = self
            .buckets
            .iter()
            .map(|(bucket, count)| (*bucket, count.saturating_sub(before(*bucket))));
        Self { buckets: grown.filter(|(_, count)| *count > 0).collect() }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The latency that so many percent of all do not exceed, 1 to 100; None if there are none.
    pub fn percentile(&self, percent: u64) -> Option<Millis> {
        // Not by multiplying: a count may be as large as numbers get.
        let (all, percent) = (u128::from(self.count()), u128::from(percent));
        let rank = all.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u128;
        for (bucket, count) in &self.buckets {
            seen = seen.saturating_add(u128::from(*count));
            if seen >= rank {
                return Some(Millis::millis(middle_of(*bucket)));
            }
        }
        None
    }

    fn find(&self, bucket: u16) -> Result<usize, usize> {
        self.buckets.binary_search_by_key(&bucket, |(known, _)| *known)
    }

    fn add_many(&mut self, bucket: u16, count: u64) {
        match self.find(bucket) {
            Ok(at) => {
                if let Some((_, known)) = self.buckets.get_mut(at) {
                    *known = known.saturating_add(count);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// The bucket of a value.
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]
// An hour has 22 bits: 64 + 16 * 32 + 32 buckets at the most.
fn bucket_of(ms: u64) -> u16 {
    let ms = ms.min(LARGEST);
    if ms < EXACT {
        return ms as u16;
    }
    let doubling = u64::from(ms.ilog2() - EXACT.ilog2());
    let part = (ms >> (doubling + 1)) - PARTS;
    (EXACT + doubling * PARTS + part) as u16
}

/// The value that stands for all in a bucket.
#[allow(clippy::arithmetic_side_effects)] // a bucket that was read is one of `bucket_of`
fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < EXACT {
        return bucket;
    }
    let (doubling, part) = ((bucket - EXACT) / PARTS, (bucket - EXACT) % PARTS);
    let (low, width) = ((PARTS + part) << (doubling + 1), 1 << (doubling + 1));
    low + width / 2
}

impl From<Histogram> for Vec<u64> {
    fn from(histogram: Histogram) -> Self {
        let mut flat = Self::with_capacity(histogram.buckets.len().saturating_mul(2));
        let mut last = 0;
        for (bucket, count) in histogram.buckets {
            flat.extend([u64::from(bucket).saturating_sub(last), count]);
            last = u64::from(bucket);
        }
        flat
    }
}

/// A list is no histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a histogram is a list of pairs: a step to a bucket, and its count")]
pub struct HistogramError;

impl TryFrom<Vec<u64>> for Histogram {
    type Error = HistogramError;

    fn try_from(flat: Vec<u64>) -> Result<Self, HistogramError> {
        let mut buckets: Vec<(u16, u64)> = Vec::with_capacity(flat.len() / 2);
        let mut bucket = 0_u64;
        for pair in flat.chunks(2) {
            let [step, count] = *pair else { return Err(HistogramError) };
            if step == 0 && !buckets.is_empty() {
                return Err(HistogramError);
            }
            bucket = bucket.saturating_add(step);
            if bucket > u64::from(bucket_of(LARGEST)) {
                return Err(HistogramError);
            }
            buckets.push((u16::try_from(bucket).map_err(|_| HistogramError)?, count));
        }
        Ok(Self { buckets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for ms in values {
            histogram.add(Millis::millis(*ms));
        }
        histogram
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for ms in 0..=LARGEST {
            let bucket = bucket_of(ms);
            assert!(bucket == last || bucket == last + 1, "{ms}");
            last = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), last);
    }

    #[test]
    fn a_percentile_is_the_rank_that_it_says() {
        let hundred: Vec<u64> = (1..=50).flat_map(|ms| [ms, ms]).collect();
        for (values, percent, ms) in [
            (hundred.as_slice(), 50, Some(25)),
            (&hundred, 95, Some(48)),
            (&hundred, 99, Some(50)),
            (&hundred, 100, Some(50)),
            (&[7], 1, Some(7)),
            (&[7], 99, Some(7)),
            (&[0, 0, 0, 9], 50, Some(0)),
            (&[], 50, None),
            (&[64], 50, Some(65)),
            (&[u64::MAX], 50, Some(3_571_712)),
        ] {
            let found = of(values).percentile(percent).map(Millis::as_millis);
            assert_eq!(found, ms, "{percent} of {values:?}");
        }
    }

    #[test]
    fn it_is_written_short_and_read_back() {
        let histogram = of(&[3, 3, 5, 64, 1_000, 9_999_999]);
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text, "[3,2,2,1,59,1,126,1,376,1]");
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
        for wrong in ["[1]", "[1,1,0,1]", "[567,1]", "[1,-1]", "[18446744073709551615,1,9,1]", "{}"]
        {
            assert!(serde_json::from_str::<Histogram>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Histogram>("[566,1]").unwrap().count(), 1);
    }

    #[test]
    fn what_grew_is_told_apart() {
        let (mut early, more) = (of(&[1, 1, 80]), of(&[1, 2, 3_000]));
        let first = early.clone();
        early.merge(&more);
        assert_eq!(early.since(&first), more);
        assert_eq!(first.since(&early), Histogram::default());
    }
}
