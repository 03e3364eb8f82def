//! HMAC-SHA-256 as the core's crates do it.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(crate) fn sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("HMAC-SHA-256");
    for (name, size) in [("1 KiB", 1_024_u32), ("1 MiB", 1_024 * 1_024)] {
        let message: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
        group.throughput(Throughput::Bytes(size.into()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(b"a key of 32 bytes, as peppers are").unwrap();
                mac.update(black_box(&message));
                mac.finalize()
            });
        });
    }
    group.finish();
}
