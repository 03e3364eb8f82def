//! The time of one object: the wall clock made monotonic.

use crate::time::{Millis, UnixMillis};

/// A clock that never goes back, whatever the wall clock does.
///
/// When the wall steps back, this clock is ahead of it. It then goes on from where it was, at half
/// the wall's speed, until the wall has caught up: standing still would keep every window full for
/// as long as the step was wide, and full speed would stay ahead for ever (and get further ahead
/// with every step to and fro), so that keys ended early. A window that is counted at half speed
/// lasts longer than it says and so admits fewer, never more.
///
/// A step forward cannot be told from a pause, and is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectClock {
    /// The wall's time up to which `last` was advanced.
    wall: UnixMillis,
    /// The latest time that was given out.
    last: UnixMillis,
}

impl ObjectClock {
    /// A clock that was at `last` when its time was last stored: it goes on from there.
    pub const fn restore(last: UnixMillis) -> Self {
        Self { wall: last, last }
    }

    /// The time now, if the wall says `wall`.
    pub fn read(&mut self, wall: UnixMillis) -> UnixMillis {
        if wall >= self.last {
            *self = Self::restore(wall);
        } else if wall < self.wall {
            self.wall = wall;
        } else {
            // Whole steps only, so that a clock that is read every millisecond advances too.
            let step = Millis::millis(wall.since(self.wall).as_millis() / 2);
            self.wall = self.wall.plus(step).plus(step);
            self.last = self.last.plus(step).max(wall);
        }
        self.last
    }

    /// The latest time that was given out: what is to be stored.
    pub const fn last(&self) -> UnixMillis {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_never_back() {
        let mut clock = ObjectClock::default();
        for (wall, time, why) in [
            (1_000, 1_000, "the wall's time"),
            (1_000, 1_000, "the same instant"),
            (2_500, 2_500, "a step or a pause: both look the same"),
            (1_500, 2_500, "a second back: no time has gone by"),
            (1_501, 2_500, "half of one millisecond is still to come"),
            (1_502, 2_501, "at half speed"),
            (1_702, 2_601, "at half speed"),
            (1_400, 2_601, "further back"),
            (2_400, 3_101, "at half speed from there"),
            (3_801, 3_801, "the wall has caught up"),
            (3_802, 3_802, "the wall's time again"),
            (0, 3_802, "the wall was lost"),
        ] {
            assert_eq!(
                clock.read(UnixMillis::from_millis(wall)).as_millis(),
                time,
                "{wall}: {why}"
            );
            assert_eq!(clock.last().as_millis(), time);
        }
    }

    #[test]
    fn a_restored_clock_goes_on_from_what_was_stored() {
        let stored = UnixMillis::from_millis(5_000);
        for (wall, time) in [(4_000, 5_000), (5_000, 5_000), (6_000, 6_000)] {
            let mut clock = ObjectClock::restore(stored);
            assert_eq!(clock.read(UnixMillis::from_millis(wall)).as_millis(), time, "{wall}");
        }
    }
}
