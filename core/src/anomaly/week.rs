//! A key's requests by the hour, as far back as seven days.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{Millis, UnixMillis};

/// Hours of seven days.
const WEEK: u64 = 168;
/// The length of one.
const HOUR: u64 = Millis::hours(1).as_millis();

/// Requests of the newest hour and of the 168 before it. What was counted does not depend on the
/// order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Week {
    /// The newest hour, in hours since 1970.
    newest: u64,
    /// Its requests, then those of the hours before it, as far back as there are any.
    counts: VecDeque<u64>,
}

impl Week {
    /// So many requests more in the hour that began at `hour`. One of more than seven days ago is
    /// nobody's concern any more.
    pub(super) fn add(&mut self, hour: UnixMillis, requests: u64) {
        let hour = number(hour);
        if requests == 0 {
            return;
        }
        if self.counts.is_empty() {
            self.newest = hour;
        }
        for _ in 0..hour.saturating_sub(self.newest).min(WEEK.saturating_add(1)) {
            self.counts.push_front(0);
        }
        self.newest = self.newest.max(hour);
        let back = self.newest.saturating_sub(hour);
        if back > WEEK {
            return;
        }
        let at = usize::try_from(back).unwrap_or_default();
        if self.counts.len() <= at {
            self.counts.resize(at.saturating_add(1), 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(requests);
        }
        self.counts.truncate(usize::try_from(WEEK.saturating_add(1)).unwrap_or(usize::MAX));
    }

    /// The requests of the hour that began at `hour`.
    pub(super) fn of(&self, hour: UnixMillis) -> u64 {
        self.back_from(number(hour)).next().unwrap_or(0)
    }

    /// The most requests of an hour in the seven days before `hour`.
    pub(super) fn busiest_before(&self, hour: UnixMillis) -> u64 {
        let hours = usize::try_from(WEEK).unwrap_or_default();
        self.back_from(number(hour)).skip(1).take(hours).max().unwrap_or(0)
    }

    /// Requests by the hour, from `hour` on backwards.
    fn back_from(&self, hour: u64) -> impl Iterator<Item = u64> {
        let ahead = usize::try_from(hour.saturating_sub(self.newest)).unwrap_or(usize::MAX);
        let back = usize::try_from(self.newest.saturating_sub(hour)).unwrap_or(usize::MAX);
        core::iter::repeat_n(0, ahead).chain(self.counts.iter().copied().skip(back))
    }
}

/// Hours since 1970.
pub(super) fn number(hour: UnixMillis) -> u64 {
    hour.as_millis() / HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: u64) -> UnixMillis {
        UnixMillis::from_millis(number * HOUR)
    }

    fn week(hours: &[(u64, u64)]) -> Week {
        let mut week = Week::default();
        for (at, requests) in hours {
            week.add(hour(*at), *requests);
        }
        week
    }

    #[test]
    fn the_busiest_hour_is_one_of_the_last_seven_days() {
        let start = 495_000;
        for (reason, hours, busiest) in [
            ("never used before", &[(start, 5)][..], 0),
            ("the hour itself does not count", &[(start - 1, 3), (start, 50)], 3),
            ("the hours after it neither", &[(start - 1, 3), (start + 1, 70)], 3),
            ("the first hour of the seven days", &[(start - 168, 9), (start - 2, 4)], 9),
            ("an hour before", &[(start - 169, 9), (start - 2, 4)], 4),
            ("two batches of one hour", &[(start - 3, 4), (start - 1, 1), (start - 3, 4)], 8),
            ("used long ago", &[(start - 5_000, 9)], 0),
        ] {
            assert_eq!(week(hours).busiest_before(hour(start)), busiest, "{reason}");
        }
    }

    #[test]
    fn it_never_grows_beyond_its_hours() {
        let mut week = week(&[(100, 1), (5_000_000, 2), (400_000, 9), (0, 9)]);
        assert_eq!((week.of(hour(5_000_000)), week.of(hour(400_000))), (2, 0));
        for at in 0..1_000 {
            week.add(hour(at), 1);
        }
        week.add(UnixMillis::from_millis(u64::MAX), u64::MAX);
        week.add(UnixMillis::from_millis(u64::MAX), u64::MAX);
        assert!(week.counts.len() <= 169);
        assert_eq!(week.of(UnixMillis::from_millis(u64::MAX)), u64::MAX);
    }
}
