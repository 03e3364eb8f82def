//! Everything the gate decides.
//!
//! Pure: time, randomness and input are arguments, and nothing here names a platform. The edge
//! Worker, the command line and the pages in the browser run these same decisions.
//!
//! The modules stand in the order in which they may use each other: each imports only from those
//! before it, and [`road`] composes them into the walk of one request.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::too_many_lines))]

pub mod time;
pub mod text;
pub mod chunk;
pub mod word;
pub mod problem;
pub mod header;
pub mod request;
pub mod origin;
pub mod address;
pub mod cors;
pub mod scope;
pub mod limit;
pub mod key;
pub mod webhook;
pub mod delivery;
pub mod policy;
pub mod audit;
pub mod usage;
pub mod anomaly;
pub mod people;
pub mod family;
pub mod tenant;
pub mod endpoint;
pub mod repeat;
pub mod budget;
pub mod forward;
pub mod inbox;
pub mod road;
pub mod explain;
pub mod manage;
