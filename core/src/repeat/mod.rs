//! Management writes that are sent twice under one `Idempotency-Key` are done once (SPEC section 6,
//! as far as it means the gate itself).
//!
//! Scope: reading the header, what makes two requests the same one, and what becomes of an attempt
//! and its answer over time. Out of scope: sealing the answer, which takes the platform's AES; the
//! keeper only hands on the sealed text.

mod attempt;
mod value;

pub use attempt::{Attempt, Ending, Kept, RepeatReply, RepeatRequest, ending_of};
pub use value::{Ask, IdempotencyKey, IdempotencyKeyError, answer_key};

use crate::time::Millis;

/// How long an attempt and its answer are remembered.
pub const KEPT: Millis = Millis::hours(24);
/// How long an answer is kept that shows a secret (SPEC section 3).
pub const SECRET_KEPT: Millis = Millis::minutes(10);
/// How long an attempt may take. After it nobody waits for its answer any more, and its outcome
/// counts as unknown.
pub const DEADLINE: Millis = Millis::secs(60);
/// After how many seconds to ask again while the first attempt is still running.
pub const ASK_AGAIN: u64 = 1;

#[cfg(test)]
mod tests;
