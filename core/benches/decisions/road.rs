//! The walk of one request at the edge, all that is fetched for it aside.

use std::hint::black_box;

use criterion::Criterion;
use tollgate_core::road::Outcome;

use crate::world::{self, Edge, Sent, forwarded};

/// The cost of a decision does not depend on the number of routes.
pub(crate) fn routes(criterion: &mut Criterion) {
    let made = world::key(1);
    let mut group = criterion.benchmark_group("road");
    for routes in [1, 1_000] {
        let mut edge = Edge::new(routes, made.record.clone());
        let open = Sent::new("/v1/open/42");
        group.bench_function(format!("decision without a key, {routes} routes"), |bencher| {
            bencher.iter(|| forwarded(edge.decide(black_box(&open))));
        });
        let path = format!("/v1/resource-{}/42", routes.saturating_sub(1));
        let keyed = Sent::new(&path).with("x-api-key", made.secret.expose());
        group.bench_function(format!("decision with a key, {routes} routes"), |bencher| {
            bencher.iter(|| forwarded(edge.decide(black_box(&keyed))));
        });
        group.bench_function(format!("all of a request, {routes} routes"), |bencher| {
            bencher.iter(|| edge.pass(black_box(&keyed)));
        });
    }
    group.finish();
}

/// Nor on the number of keys that the isolate has seen.
pub(crate) fn keys_in_the_isolate(criterion: &mut Criterion) {
    let made = world::key(1);
    let mut group = criterion.benchmark_group("road");
    for keys in [1_u64, 100_000] {
        let mut edge = Edge::new(1, made.record.clone());
        for seed in 2..=keys {
            edge.isolate.learn(world::key(seed).record, world::now());
        }
        // An isolate keeps the newest of them: the key may have had to go.
        edge.isolate.learn(made.record.clone(), world::now());
        let keyed = Sent::new("/v1/resource-0/42").with("x-api-key", made.secret.expose());
        group.bench_function(format!("decision with a key, {keys} keys seen"), |bencher| {
            bencher.iter(|| forwarded(edge.decide(black_box(&keyed))));
        });
    }
    group.finish();
}

/// What a flood costs.
pub(crate) fn refusals(criterion: &mut Criterion) {
    let made = world::key(1);
    let mut group = criterion.benchmark_group("refusal");
    let text = made.secret.expose();
    let damaged = world::damaged(text);
    let cases = [
        ("bad checksum", Sent::new("/v1/resource-0/42").with("x-api-key", &damaged)),
        (
            "wrong origin",
            Sent::new("/v1/resource-0/42")
                .with("x-api-key", text)
                .with("origin", "https://evil.example"),
        ),
        ("no such route", Sent::new("/v2/nothing")),
    ];
    for (name, sent) in cases {
        let mut edge = Edge::new(1, made.record.clone());
        group.bench_function(name, |bencher| {
            bencher.iter(|| match edge.begin(black_box(&sent)) {
                Outcome::Answer(answer) => answer,
                other => panic!("not refused: {other:?}"),
            });
        });
    }
    group.finish();
}
