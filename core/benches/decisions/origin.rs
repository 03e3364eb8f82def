//! An origin against a long list.

use std::hint::black_box;

use criterion::Criterion;
use tollgate_core::origin::{OriginPattern, SingleLabels};

/// Half of them exact, half with a wildcard.
const PATTERNS: usize = 1_000;

pub(crate) fn thousand_patterns(criterion: &mut Criterion) {
    let list: Vec<OriginPattern> = (0..PATTERNS)
        .map(|n| match n % 2 {
            0 => format!("https://app-{n}.example.com"),
            _ => format!("https://*.customer-{n}.example.org"),
        })
        .map(|text| OriginPattern::parse(&text, &SingleLabels).unwrap())
        .collect();
    let mut group = criterion.benchmark_group("origin, 1 000 patterns");
    for (name, origin, matches) in [
        ("none matches", "https://app-998.example.net", false),
        ("the last but one matches", "https://app-998.example.com", true),
        ("the last matches, a wildcard", "https://a.b.customer-999.example.org", true),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let origin = black_box(origin);
                let found = list.iter().any(|pattern| pattern.matches(origin));
                assert_eq!(found, matches);
            });
        });
    }
    group.finish();
}
