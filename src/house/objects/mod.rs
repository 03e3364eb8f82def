//! The Durable Objects. They only keep state: what they compute is a pure transition of the core,
//! and an object loads, calls it, and stores what it says.
//!
//! Each answers `call(message) -> reply`, JSON both ways, without waiting. What it writes in that
//! turn is one transaction, and the platform's output gate holds the reply back until it is on
//! disk. When storing fails, the object forgets what it has in memory, so that memory and storage
//! are the same again, and the caller learns only that it was not answered.

mod counter;
mod endpoint;
mod inbox;
mod key;
mod rows;
mod store;
mod tenant;
mod told;
