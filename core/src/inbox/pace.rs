//! Which deliveries are on their way: so many at a time, and of each event one.

use std::collections::BTreeSet;

/// The deliveries of one object that are on their way, by the numbers of their events.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    in_flight: BTreeSet<u64>,
}

impl Pace {
    /// How many more may start, if at most `most` are on their way at a time.
    pub fn free(&self, most: u32) -> u32 {
        most.saturating_sub(u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX))
    }

    /// The events that are on their way.
    pub fn in_flight(&self) -> impl Iterator<Item = u64> {
        self.in_flight.iter().copied()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// True when nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Starts a delivery; false if the event is on its way already.
    #[must_use]
    pub fn start(&mut self, event: u64) -> bool {
        self.in_flight.insert(event)
    }

    /// A delivery has ended.
    pub fn end(&mut self, event: u64) {
        self.in_flight.remove(&event);
    }
}
