//! The inbox of a source: what is kept of an event, and what becomes of it.
//!
//! Pure transitions, as of every object: `src/house/objects/inbox` loads rows, asks here, stores
//! what comes of it, and sends. The rules (SPEC section 7):
//!
//! - An event is stored and remembered in one transaction, and acknowledged after it.
//! - It is tried until it arrives, is refused for good, or the schedule is over; then it is dead.
//! - While an attempt is on its way there is no second one of the same event. What an attempt came to
//!   is stored when it ends: if the gate stops before that, the event is still pending, and tried
//!   again.
//! - Order is not promised.

mod event;
mod message;
mod memory;
mod pace;
mod refusal;
mod turn;

pub use event::{EventId, Received, shard_of};
pub use memory::{Fingerprint, fingerprint};
pub use message::{
    EventPage, EventQuery, EventView, InboxReply, InboxRequest, Replay, Take, Taken, WhichState,
};
pub use pace::{Pace, Room};
pub use refusal::{KEPT_REFUSALS, Noted, REFUSALS_KEPT, Refusal, RefusalPage};
pub use turn::{KEPT_ATTEMPTS, State, Turn};

#[cfg(test)]
mod tests;
