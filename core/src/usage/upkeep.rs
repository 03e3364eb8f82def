//! What the keeper of a tenant's usage has to do by itself, and when: tell the keeper over all, add
//! hours up to days, forget what is too old.

use serde::{Deserialize, Serialize};

use super::{By, DAYS_TOLD, HOURS_TOLD};
use crate::time::{Millis, UnixMillis};

/// The keeper over all is told at most so often.
const PAUSE: Millis = Millis::minutes(1);
/// What changed waits so long for what changes with it.
const SOON: Millis = Millis::secs(2);
/// So long after a day its hours are added up. What comes later is added when it comes.
const LATE: Millis = Millis::hours(1);
/// More is kept than is told, so that what is told is there whole.
const SPARE: Millis = Millis::days(1);

/// How far the keeper has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// Whose usage it is; empty until the first of it comes.
    pub tenant: String,
    #[serde(default)]
    told_at: UnixMillis,
    /// Days before this one have been added up. None: nothing was counted yet.
    #[serde(default)]
    added: Option<UnixMillis>,
    #[serde(default)]
    adding: Option<Adding>,
}

/// Days that are being added up, key by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adding {
    /// From this day on.
    pub from: UnixMillis,
    /// To this day, without it.
    pub until: UnixMillis,
    /// Keys up to this one are done, in the order of their names.
    pub after: String,
}

impl Upkeep {
    /// Something of this hour came.
    pub fn came(&mut self, tenant: &str, hour: UnixMillis) {
        if self.tenant.is_empty() {
            tenant.clone_into(&mut self.tenant);
        }
        self.added.get_or_insert(By::Day.start(hour));
    }

    /// When the keeper over all is to be told that something changed.
    pub fn tell_at(&self, now: UnixMillis) -> UnixMillis {
        now.plus(SOON).max(self.told_at.plus(PAUSE))
    }

    /// True when it may be told now.
    pub fn may_tell(&self, now: UnixMillis) -> bool {
        now >= self.told_at.plus(PAUSE)
    }

    /// It was told.
    pub const fn told(&mut self, now: UnixMillis) {
        self.told_at = now;
    }

    /// The days that are to be added up now, if there are any.
    pub fn to_add(&self, now: UnixMillis) -> Option<Adding> {
        if let Some(adding) = &self.adding {
            return Some(adding.clone());
        }
        let (from, until) = (self.added?, By::Day.start(now.minus(LATE)));
        (from < until).then(|| Adding { from, until, after: String::new() })
    }

    /// These days are added up for keys up to `after`; None: for all of them. Where there is none at
    /// all nothing is left, and nothing to be done until more is counted.
    pub fn did_add(&mut self, adding: &Adding, after: Option<String>) {
        if after.is_none() {
            self.added = Some(adding.until).filter(|_| !adding.after.is_empty());
        }
        self.adding = after.map(|after| Adding { after, ..adding.clone() });
    }

    /// When the next day is to be added up; None while nothing was counted.
    pub fn add_at(&self) -> Option<UnixMillis> {
        match &self.adding {
            Some(adding) => Some(adding.until),
            None => Some(self.added?.plus(By::Day.length()).plus(LATE)),
        }
    }

    /// Days before this one are told as days, the others by their hours.
    pub fn days_end(&self) -> UnixMillis {
        self.added.unwrap_or_default()
    }

    /// True for what comes after its day was added up, or while it is.
    pub fn is_late(&self, at: UnixMillis) -> bool {
        at < self.adding.as_ref().map_or(self.days_end(), |adding| adding.until)
    }
}

/// Buckets that begin before this are not kept.
pub fn oldest(by: By, now: UnixMillis) -> UnixMillis {
    let told = match by {
        By::Hour => HOURS_TOLD,
        By::Day => DAYS_TOLD,
    };
    By::Day.start(now.minus(told).minus(SPARE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Frame;

    fn time(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn days_are_added_up_once_each_after_they_end() {
        let mut upkeep = Upkeep::default();
        assert_eq!((upkeep.to_add(time("2026-11-22")), upkeep.add_at()), (None, None));
        upkeep.came("acme", time("2026-11-20T23:00:00Z"));
        upkeep.came("other", time("2026-11-22T03:00:00Z"));
        assert_eq!(upkeep.tenant, "acme");
        assert_eq!(upkeep.add_at(), Some(time("2026-11-21T01:00:00Z")));
        assert_eq!(upkeep.to_add(time("2026-11-21T00:59:59.999Z")), None);
        let due = upkeep.to_add(time("2026-11-22T01:00:00Z")).unwrap();
        assert_eq!((due.from, due.until), (time("2026-11-20"), time("2026-11-22")));
        assert!(!upkeep.is_late(time("2026-11-20")));
        upkeep.did_add(&due, Some("k".to_owned()));
        assert_eq!(upkeep.add_at(), Some(time("2026-11-22")), "at once");
        assert_eq!(upkeep.days_end(), time("2026-11-20"), "not for all keys");
        assert!(upkeep.is_late(time("2026-11-21T23:00:00Z")));
        assert!(!upkeep.is_late(time("2026-11-22")));
        let rest = upkeep.to_add(time("2026-11-25")).unwrap();
        assert_eq!((rest.until, rest.after.as_str()), (time("2026-11-22"), "k"));
        upkeep.did_add(&rest, None);
        assert_eq!(upkeep.days_end(), time("2026-11-22"));
        assert_eq!(upkeep.add_at(), Some(time("2026-11-23T01:00:00Z")));
        assert_eq!(upkeep.to_add(time("2026-11-23T00:30:00Z")), None);
        let text = serde_json::to_string(&upkeep).unwrap();
        assert_eq!(serde_json::from_str::<Upkeep>(&text).unwrap(), upkeep);
    }

    #[test]
    fn a_keeper_that_has_nothing_any_more_rests_until_something_comes() {
        let mut upkeep = Upkeep::default();
        upkeep.came("acme", time("2026-11-20T23:00:00Z"));
        let due = upkeep.to_add(time("2026-11-22T01:00:00Z")).unwrap();
        upkeep.did_add(&due, None);
        assert_eq!((upkeep.to_add(time("2027-11-22")), upkeep.add_at()), (None, None));
        assert!(!upkeep.is_late(time("2026-11-22T03:00:00Z")));
        upkeep.came("acme", time("2027-11-22T03:00:00Z"));
        assert_eq!(upkeep.add_at(), Some(time("2027-11-23T01:00:00Z")));
        assert_eq!(upkeep.days_end(), time("2027-11-22"));
    }

    #[test]
    fn the_keeper_over_all_is_told_soon_and_then_once_a_minute() {
        let mut upkeep = Upkeep::default();
        let now = time("2026-11-22T10:00:00Z");
        assert!(upkeep.may_tell(now));
        assert_eq!(upkeep.tell_at(now), time("2026-11-22T10:00:02Z"));
        upkeep.told(now);
        assert_eq!(upkeep.tell_at(now.plus(Millis::secs(1))), time("2026-11-22T10:01:00Z"));
        assert!(!upkeep.may_tell(time("2026-11-22T10:00:59Z")));
        assert!(upkeep.may_tell(time("2026-11-22T10:01:00Z")));
    }

    #[test]
    fn whatever_can_be_asked_for_is_kept() {
        for now in ["2026-11-22T00:00:00Z", "2026-11-22T10:20:30Z", "2026-11-22T23:59:59.999Z"] {
            let now = time(now);
            for by in [By::Hour, By::Day] {
                let first = by.start(now).plus(by.length()).minus(by.told());
                assert!(Frame::new(by, Some(first), None, now).is_ok());
                assert!(oldest(by, now) < first);
            }
        }
    }
}
