//! Which deliveries are on their way: so many at a time, so many bytes of them, and of each event one.

use std::collections::BTreeMap;

/// The deliveries of one object that are on their way, by the numbers of their events, with the
/// bytes of their bodies.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    in_flight: BTreeMap<u64, u64>,
}

/// What may be on its way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many deliveries.
    pub deliveries: u32,
    /// So many bytes of bodies; one that has more goes alone.
    pub bytes: u64,
}

impl Pace {
    /// How many more may start, whatever their size.
    pub fn free(&self, room: Room) -> u32 {
        let taken = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
        room.deliveries.saturating_sub(taken)
    }

    /// Whether one of so many bytes may start.
    pub fn has_room(&self, room: Room, size: u64) -> bool {
        let bytes = self.in_flight.values().fold(size, |all, one| all.saturating_add(*one));
        self.free(room) > 0 && (self.is_empty() || bytes <= room.bytes)
    }

    /// Whether this event is on its way.
    pub fn has(&self, event: u64) -> bool {
        self.in_flight.contains_key(&event)
    }

    /// The events that are on their way.
    pub fn in_flight(&self) -> impl Iterator<Item = u64> {
        self.in_flight.keys().copied()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// True when nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Starts a delivery of so many bytes; false if the event is on its way already.
    #[must_use]
    pub fn start(&mut self, event: u64, size: u64) -> bool {
        if self.has(event) {
            return false;
        }
        self.in_flight.insert(event, size);
        true
    }

    /// A delivery has ended.
    pub fn end(&mut self, event: u64) {
        self.in_flight.remove(&event);
    }
}
