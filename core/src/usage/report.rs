//! What is told of usage: over which time, and added up how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Counts, Histogram, LATENCY_ERROR, LastUse};
use crate::time::{Millis, UnixMillis};

const HOUR: Millis = Millis::hours(1);
const DAY: Millis = Millis::days(1);

/// So long after an hour all counts of it are there.
const SETTLED: Millis = Millis::minutes(5);

/// The hours that are told: 30 days of them.
pub const HOURS_TOLD: Millis = Millis::days(30);
/// The days that are told: a year of them.
pub const DAYS_TOLD: Millis = Millis::days(366);

/// The length of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// An hour.
    #[default]
    Hour,
    /// A day, in UTC.
    Day,
}

impl By {
    /// `hour` or `day`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The bucket's length.
    pub const fn length(self) -> Millis {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// How long buckets of this length are told.
    pub const fn told(self) -> Millis {
        match self {
            Self::Hour => HOURS_TOLD,
            Self::Day => DAYS_TOLD,
        }
    }

    /// How far back one looks when nobody says.
    pub const fn usual(self) -> Millis {
        match self {
            Self::Hour => DAY,
            Self::Day => Millis::days(30),
        }
    }

    /// When the bucket that holds this instant began.
    pub fn start(self, at: UnixMillis) -> UnixMillis {
        let length = self.length().as_millis();
        let into = at.as_millis().checked_rem(length).unwrap_or(0);
        at.minus(Millis::millis(into))
    }
}

/// When the hour of this instant began.
pub fn start_of_hour(at: UnixMillis) -> UnixMillis {
    By::Hour.start(at)
}

/// A stretch of time in whole buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The length of its buckets.
    pub by: By,
    /// When the first bucket begins.
    pub from: UnixMillis,
    /// When the last bucket ends.
    pub to: UnixMillis,
}

/// Why there is no such frame: the field that is wrong, and how.
pub type FrameError = (&'static str, String);

impl Frame {
    /// The frame that holds everything from `from` to `to`, in whole buckets; the last ones if
    /// nobody says. It ends with the present bucket at the latest.
    pub fn new(
        by: By,
        from: Option<UnixMillis>,
        to: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Result<Self, FrameError> {
        let length = by.length();
        let end = by.start(now).plus(length);
        // What ends within a bucket takes the whole of it.
        let to = to.map_or(end, |to| by.start(to.minus(Millis::millis(1))).plus(length)).min(end);
        let from = from.map_or_else(|| to.minus(by.usual()), |from| by.start(from));
        let oldest = end.minus(by.told());
        if from >= end {
            return Err(("from", "lies in the future".to_owned()));
        }
        if from < oldest {
            let days = by.told().as_millis().checked_div(DAY.as_millis()).unwrap_or(0);
            let unit = by.as_str();
            let oldest = oldest.to_rfc3339();
            return Err(("from", format!("each {unit} is kept for {days} days: since {oldest}")));
        }
        if to <= from {
            return Err(("to", "has to be after from".to_owned()));
        }
        Ok(Self { by, from, to })
    }

    /// When each bucket begins, in order.
    pub fn starts(self) -> impl Iterator<Item = UnixMillis> {
        let first = Some(self.from).filter(|from| *from < self.to);
        core::iter::successors(first, move |at| {
            Some(at.plus(self.by.length())).filter(|next| *next < self.to)
        })
    }
}

/// What is known of one hour or one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// When it began.
    pub at: UnixMillis,
    /// Requests that were admitted, by those who admitted them: without those that were paid of
    /// what they gave ahead.
    #[serde(default)]
    pub admitted: u64,
    /// What the edge gathered of them.
    #[serde(default)]
    pub gathered: Counts,
}

impl Stretch {
    /// Everything that is in `other` as well.
    pub fn merge(&mut self, other: &Self) {
        self.admitted = self.admitted.saturating_add(other.admitted);
        self.gathered.merge(&other.gathered);
    }

    /// Without what is in `earlier`, the same stretch some time before.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            at: self.at,
            admitted: self.admitted.saturating_sub(earlier.admitted),
            gathered: self.gathered.since(&earlier.gathered),
        }
    }

    /// True of a count of the same requests that was made before `other` was: counts only grow.
    pub fn is_before(&self, other: &Self) -> bool {
        let counted = |stretch: &Self| {
            let Counts { admitted, refused, .. } = stretch.gathered;
            [stretch.admitted, admitted, refused]
        };
        counted(self).iter().zip(counted(other)).any(|(mine, others)| *mine < others)
    }

    /// Requests that were admitted: by those who count them, and of what they gave ahead.
    pub const fn passed(&self) -> u64 {
        self.admitted.saturating_add(self.gathered.leased)
    }

    /// What those who admitted say, and what the edge says of those that never got there.
    pub const fn requests(&self) -> u64 {
        self.passed().saturating_add(self.gathered.refused)
    }
}

/// Since when hours may not have all of their counts yet: those who admit tell of it once a minute.
/// Of such an hour what the edge gathered counts, where it is more.
pub fn still_counted(now: UnixMillis) -> UnixMillis {
    start_of_hour(now.minus(SETTLED))
}

/// The usage resource: the sum over the frame, and each bucket of it. Each stretch falls into the
/// bucket in which it begins; hours may stand for days.
pub fn report(
    frame: Frame,
    stretches: &[Stretch],
    last: Option<&LastUse>,
    now: UnixMillis,
) -> Value {
    let mut buckets: BTreeMap<UnixMillis, Stretch> =
        frame.starts().map(|at| (at, Stretch { at, ..Stretch::default() })).collect();
    let mut sum = Stretch::default();
    for stretch in stretches {
        let Some(bucket) = buckets.get_mut(&frame.by.start(stretch.at)) else { continue };
        let mut stretch = stretch.clone();
        if stretch.at >= still_counted(now) {
            let unseen = stretch.gathered.admitted.saturating_sub(stretch.gathered.leased);
            stretch.admitted = stretch.admitted.max(unseen);
        }
        bucket.merge(&stretch);
        sum.merge(&stretch);
    }
    let statuses: BTreeMap<String, u64> = (1..)
        .zip(sum.gathered.statuses)
        .filter(|(_, count)| *count > 0)
        .map(|(class, count): (u8, u64)| (format!("{class}xx"), count))
        .collect();
    let last = last.map(|last| json!({ "at": last.at.to_rfc3339(), "country": last.country }));
    json!({
        "from": frame.from.to_rfc3339(),
        "to": frame.to.to_rfc3339(),
        "by": frame.by,
        "requests": sum.requests(),
        "admitted": sum.passed(),
        "refused": sum.gathered.refused,
        "errors": sum.gathered.errors,
        "statuses": statuses,
        "latency": latency(&sum.gathered.latency, true),
        "last_used": last,
        "buckets": buckets.values().map(bucket).collect::<Vec<_>>(),
    })
}

fn bucket(stretch: &Stretch) -> Value {
    json!({
        "at": stretch.at.to_rfc3339(),
        "requests": stretch.requests(),
        "admitted": stretch.passed(),
        "refused": stretch.gathered.refused,
        "errors": stretch.gathered.errors,
        "latency": latency(&stretch.gathered.latency, false),
    })
}

fn latency(histogram: &Histogram, with_error: bool) -> Value {
    let ms = |percent| histogram.percentile(percent).map(Millis::as_millis);
    let mut told = json!({
        "count": histogram.count(), "p50": ms(50), "p95": ms(95), "p99": ms(99),
    });
    if let (true, Value::Object(members)) = (with_error, &mut told) {
        members.insert("error".to_owned(), LATENCY_ERROR.into());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_frame_is_in_whole_buckets_and_within_what_is_kept() {
        let now = time("2026-11-22T10:20:30Z");
        for (by, from, to, told) in [
            (By::Hour, None, None, Ok(("2026-11-21T11:00:00Z", "2026-11-22T11:00:00Z"))),
            (By::Day, None, None, Ok(("2026-10-24T00:00:00Z", "2026-11-23T00:00:00Z"))),
            (
                By::Hour,
                Some("2026-11-22T08:59:59.999Z"),
                Some("2026-11-22T09:00:00Z"),
                Ok(("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
            ),
            (
                By::Hour,
                Some("2026-11-22T09:00:00Z"),
                Some("2026-11-22T09:00:00.001Z"),
                Ok(("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z")),
            ),
            (
                By::Hour,
                Some("2026-11-22T10:00:00Z"),
                Some("2030-01-01"),
                Ok(("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z")),
            ),
            (
                By::Hour,
                None,
                Some("2026-11-20T00:00:00Z"),
                Ok(("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")),
            ),
            (
                By::Hour,
                Some("2026-10-23T11:00:00Z"),
                None,
                Ok(("2026-10-23T11:00:00Z", "2026-11-22T11:00:00Z")),
            ),
            (By::Hour, Some("2026-10-23T10:59:59Z"), None, Err("from")),
            (
                By::Day,
                Some("2025-11-22"),
                None,
                Ok(("2025-11-22T00:00:00Z", "2026-11-23T00:00:00Z")),
            ),
            (By::Day, Some("2025-11-21T23:59:59Z"), None, Err("from")),
            (By::Hour, Some("2026-11-22T11:00:00Z"), None, Err("from")),
            (By::Hour, Some("2026-11-22T09:00:00Z"), Some("2026-11-22T09:00:00Z"), Err("to")),
            (By::Hour, Some("2026-11-22T09:00:00Z"), Some("2026-11-22T08:00:00Z"), Err("to")),
            (By::Day, Some("2026-11-22"), Some("1970-01-01"), Err("to")),
        ] {
            let frame = Frame::new(by, from.map(time), to.map(time), now);
            let frame = frame.map(|f| (f.from.to_rfc3339(), f.to.to_rfc3339())).map_err(|e| e.0);
            let told = told.map(|(from, to): (&str, &str)| (from.to_owned(), to.to_owned()));
            assert_eq!(frame, told, "{by:?} {from:?} {to:?}");
        }
        let all = Frame::new(By::Hour, Some(time("2026-10-23T11:00:00Z")), None, now).unwrap();
        assert_eq!(all.starts().count(), 720);
        let year = Frame::new(By::Day, Some(time("2025-11-22")), None, now).unwrap();
        assert_eq!(year.starts().count(), 366);
    }

    #[test]
    fn a_report_adds_up_what_lies_in_its_frame_and_nothing_else() {
        let frame = Frame { by: By::Day, from: time("2026-11-20"), to: time("2026-11-22") };
        let stretch = |at: &str, admitted, refused| {
            let mut gathered = Counts { admitted: admitted + 5, refused, ..Counts::default() };
            gathered.latency.add(Millis::millis(admitted));
            gathered.statuses = [0, 1, 0, 2, 0];
            gathered.errors.insert("rate_limited".into(), refused);
            Stretch { at: time(at), admitted, gathered }
        };
        let stretches = [
            stretch("2026-11-19T23:00:00Z", 1_000, 0),
            stretch("2026-11-20", 3, 1),
            stretch("2026-11-20T23:00:00Z", 4, 2),
            stretch("2026-11-22", 1_000, 0),
        ];
        let last = LastUse { at: time("2026-11-20T23:00:01Z"), country: Some("DE".to_owned()) };
        let told = report(frame, &stretches, Some(&last), time("2026-11-21T00:05:00Z"));
        assert_eq!(
            told,
            json!({
                "from": "2026-11-20T00:00:00Z", "to": "2026-11-22T00:00:00Z", "by": "day",
                "requests": 10, "admitted": 7, "refused": 3, "errors": { "rate_limited": 3 },
                "statuses": { "2xx": 2, "4xx": 4 },
                "latency": { "count": 2, "p50": 3, "p95": 4, "p99": 4, "error": LATENCY_ERROR },
                "last_used": { "at": "2026-11-20T23:00:01Z", "country": "DE" },
                "buckets": [
                    {
                        "at": "2026-11-20T00:00:00Z", "requests": 10, "admitted": 7, "refused": 3,
                        "errors": { "rate_limited": 3 },
                        "latency": { "count": 2, "p50": 3, "p95": 4, "p99": 4 },
                    },
                    {
                        "at": "2026-11-21T00:00:00Z", "requests": 0, "admitted": 0, "refused": 0,
                        "errors": {}, "latency": { "count": 0, "p50": null, "p95": null, "p99": null },
                    },
                ],
            })
        );
        let leased = stretches.clone().map(|stretch| Stretch {
            gathered: Counts { leased: 2, ..stretch.gathered },
            ..stretch
        });
        let told = report(frame, &leased, None, time("2026-11-21T00:05:00Z"));
        assert_eq!((&told["admitted"], &told["requests"]), (&json!(7 + 4), &json!(10 + 4)));
        let early = report(frame, &leased, None, time("2026-11-21T00:04:59.999Z"));
        assert_eq!(early["admitted"], json!(3 + 2 + 4 + 5), "nothing is counted twice");
        let early = report(frame, &stretches, None, time("2026-11-21T00:04:59.999Z"));
        assert_eq!((&early["admitted"], &early["last_used"]), (&json!(7 + 5), &Value::Null));
    }
}
