//! What the core's decisions cost on this machine: `cargo bench -p tollgate-core`.
//!
//! They are pure, so nothing here waits. Where a size should not matter, the same decision is
//! measured at both ends of it.
// A case that does not go as it was set up ends the run, as in a test.
#![allow(clippy::unwrap_used, clippy::panic)]
// Criterion's macros make functions without docs.
#![allow(missing_docs)]

mod admission;
mod hmac;
mod key;
mod origin;
mod road;
mod world;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    decisions,
    key::parse_and_check,
    origin::thousand_patterns,
    road::routes,
    road::keys_in_the_isolate,
    road::refusals,
    admission::counts,
    hmac::sizes
);
criterion_main!(decisions);
