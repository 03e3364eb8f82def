//! The road, walked in memory: real stages, real families, stores made of maps, time set by hand.

mod admission;
mod forwarding;
mod order;
mod stores;
mod token;
mod usage;
mod world;
