//! The edge Worker: the only code that names the platform. It fetches what the core asks for and
//! decides nothing.
//!
//! `worker.mjs` drives the road by `roadBegin` and `roadStep`, which never wait; the
//! management API and the objects' deliveries are async Rust.

mod bindings;
mod crypto;
mod gate;
mod head;
mod manage;
mod objects;
mod wire;
