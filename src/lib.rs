//! The edge Worker: the only code that names the platform. It fetches what the core asks for and
//! decides nothing.
//!
//! It is built twice, into two Wasm modules that `worker.mjs` runs side by side:
//!
//! - `road`, which every request needs. `driver/road.mjs` drives it by `roadBegin` and `roadStep`,
//!   which never wait.
//! - `house`: the objects, management and pages, in async Rust. An isolate that only passes requests on
//!   never makes an instance of it.
//!
//! What both need lies beside them in this folder.

#[cfg(not(any(feature = "road", feature = "house")))]
compile_error!("say which module to build: --features road, or --features house");
#[cfg(all(feature = "road", feature = "house"))]
compile_error!("the road and the house are modules of their own: build one, then the other");

mod bindings;
mod gate;
mod ledger;
mod platform;
mod point;
mod restart;

#[cfg(feature = "house")]
mod house;
#[cfg(feature = "road")]
mod road;
