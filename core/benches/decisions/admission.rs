//! The key object's transition for one request.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use serde_json::json;
use tollgate_core::family::{FamilyReply, FamilyRequest, FamilyState};
use tollgate_core::limit::MAX_BUCKETS;

use crate::world;

/// An admission does not depend on the number of counts that the object keeps.
pub(crate) fn counts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission");
    let record = world::key(1).record;
    let request = |bucket: usize| -> FamilyRequest {
        let charge = json!({
            "limit": "default", "bucket": format!("client {bucket}"),
            "rate": {"requests": 1_000_000, "window": "1m"},
        });
        let admit = json!({"id": record.id, "version": record.version, "charges": [charge]});
        serde_json::from_value(json!({ "admit": admit })).unwrap()
    };
    for counts in [1, MAX_BUCKETS] {
        let mut state = FamilyState::of(record.clone());
        for bucket in 0..counts {
            state.apply(request(bucket), world::now());
        }
        let last = counts.saturating_sub(1);
        group.bench_function(format!("an object with {counts} counts"), |bencher| {
            bencher.iter_batched(
                || request(last),
                |request| {
                    let (reply, writes) = state.apply(black_box(request), world::now());
                    assert!(matches!(reply, FamilyReply::Verdict(_)));
                    writes
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}
