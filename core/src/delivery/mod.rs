//! Deliveries that are tried until they succeed: when, and what an answer means.
//!
//! One schedule for both directions (SPEC section 7): what a source's inbox brings to the backend,
//! and what the gate tells a tenant's endpoints. Pure: the time and the chance are arguments.
//!
//! Scope: the schedule, `Retry-After`, what one attempt came to. Out of scope: which event is tried,
//! and where it lies.

mod attempt;
mod schedule;

pub use attempt::{Attempt, Came, Fault, Meaning};
pub use schedule::{MAX_SPEED, Next, PAUSES, Schedule, retry_after};

use crate::time::Millis;

/// How long an event is kept that was never delivered (SPEC section 7: dead letters).
pub const DEAD_KEPT: Millis = Millis::days(30);
/// The longest wait for an answer to one attempt (Standard Webhooks: 15 to 30 s).
pub const TIMEOUT: Millis = Millis::secs(20);

#[cfg(test)]
mod tests;
