//! The road, walked in memory: real stages, real families, stores made of maps, time set by hand.

mod admission;
mod forwarding;
mod leases;
mod limits;
mod order;
mod places;
mod sources;
mod stores;
mod token;
mod told;
mod usage;
mod world;
