//! A key's text: read and checked offline, and its secret held against what is kept of it.

use std::hint::black_box;

use criterion::Criterion;
use tollgate_core::key::Key;

use crate::world;

pub(crate) fn parse_and_check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    let made = world::key(1);
    let text = made.secret.expose().to_owned();
    group.bench_function("parse, checksum and all", |bencher| {
        bencher.iter(|| Key::parse(black_box(&text)).unwrap());
    });

    let damaged = world::damaged(&text);
    group.bench_function("parse, bad checksum", |bencher| {
        bencher.iter(|| Key::parse(black_box(&damaged)).unwrap_err());
    });

    // What a request with a key hashes: was the id made here, and is the secret the right one.
    let key = Key::parse(&text).unwrap();
    let (peppers, ids) = (world::peppers(), world::ids());
    group.bench_function("hashing of a request", |bencher| {
        bencher.iter(|| {
            assert!(ids.made(black_box(&key.prefix), &key.id));
            assert!(peppers.verify(black_box(&key), &made.record.digest));
        });
    });
    group.finish();
}
