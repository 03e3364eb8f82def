//! Instants and spans, as values: the core never reads a clock.
//!
//! Scope: unix time in milliseconds, spans in milliseconds, and the three texts they take on the
//! wire (RFC 3339, HTTP-date, `48h`). Out of scope: time zones and leap seconds; everything is UTC.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A span of time in whole milliseconds, never negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(u64);

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(u64);

/// Why a text is no span of time. Its Display is meant for the person who wrote the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: write a whole number and a unit, such as 500ms, 10s, 15m, 48h or 365d"
)]
pub struct DurationError(String);

/// The units a span may be written in, longest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `n` milliseconds.
    #[allow(clippy::self_named_constructors)] // it stands in a row with `secs` and `hours`
    pub const fn millis(n: u64) -> Self {
        Self(n)
    }

    /// A span of `n` seconds; at the end of the range it stays there.
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// A span of `n` minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::secs(n.saturating_mul(60))
    }

    /// A span of `n` hours.
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n.saturating_mul(60))
    }

    /// A span of `n` days of 24 hours.
    pub const fn days(n: u64) -> Self {
        Self::hours(n.saturating_mul(24))
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The span in seconds, rounded up: a wait of this many seconds is never too short.
    pub const fn ceil_secs(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// Reads `500ms`, `10s`, `15m`, `48h` or `365d`: digits, then one unit, nothing else.
    ///
    /// # Errors
    /// [`DurationError`] for a sign, a fraction, a blank, another unit, or more than 2^63 ms.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let wrong = || DurationError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let span = number.checked_mul(*scale).filter(|ms| *ms <= u64::MAX / 2);
        span.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Millis {
    /// The longest unit that says the span whole: `48h` stays `2d` only if it is so written.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return out.write_str("0s");
        }
        // Days are used from three on: people say 24h and 48h, but 365d.
        let fits = |(unit, scale): &&(&str, u64)| {
            self.0.is_multiple_of(*scale) && (*unit != "d" || self.0 >= 3 * 86_400_000)
        };
        match UNITS.iter().find(fits) {
            Some((unit, scale)) => write!(out, "{}{unit}", self.0.checked_div(*scale).unwrap_or(0)),
            None => write!(out, "{}ms", self.0),
        }
    }
}

/// A date and time of day in UTC, taken apart.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u64,
    /// 0 is Thursday, the weekday of 1970-01-01.
    weekday: u64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl UnixMillis {
    /// The instant `ms` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// The instant `secs` seconds after 1970-01-01T00:00:00Z.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }

    /// The instant `span` later; the end of the range is the latest.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The instant `span` earlier; the epoch is the earliest.
    #[must_use]
    pub const fn minus(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The span from `earlier` to this instant; none if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// The first instant of the UTC hour that this one is in.
    #[must_use]
    pub const fn start_of_hour(self) -> Self {
        self.minus(Millis(self.0 % 3_600_000))
    }

    /// The first instant of the UTC day that this one is in.
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        self.minus(Millis(self.0 % 86_400_000))
    }

    /// The first instant of the UTC month that this one is in.
    #[must_use]
    pub fn start_of_month(self) -> Self {
        let into = Millis::days(self.civil().day.saturating_sub(1));
        self.start_of_day().minus(into)
    }

    /// The first instant of the UTC month after.
    #[must_use]
    pub fn start_of_next_month(self) -> Self {
        let Civil { year, month, .. } = self.civil();
        self.start_of_month().plus(Millis::days(days_in_month(year, month)))
    }

    /// RFC 3339 in UTC, with milliseconds only where there are some: `2026-11-22T03:43:49Z`.
    pub fn to_rfc3339(self) -> String {
        let t = self.civil();
        let date = format!("{:04}-{:02}-{:02}", t.year, t.month, t.day);
        let time = format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second);
        match t.milli {
            0 => format!("{date}T{time}Z"),
            ms => format!("{date}T{time}.{ms:03}Z"),
        }
    }

    /// An HTTP-date (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn to_http_date(self) -> String {
        let t = self.civil();
        let pick = |names: &[&'static str], at: u64| {
            usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
        };
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            pick(&WEEKDAYS, t.weekday),
            t.day,
            pick(&MONTHS, t.month.saturating_sub(1)),
            t.year,
            t.hour,
            t.minute,
            t.second,
        )
    }

    /// Reads an RFC 3339 time in UTC (`Z`), or a date alone, which means its first instant.
    /// None for anything else: an offset is not read, so that a policy has one spelling.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z')?),
            None => (text, "00:00:00"),
        };
        let (time, milli) = match time.split_once('.') {
            Some((time, fraction)) => (time, fixed_digits(fraction, 3)?),
            None => (time, 0),
        };
        let mut date = date.split('-');
        let (year, month, day) = (date.next()?, date.next()?, date.next()?);
        let mut time = time.split(':');
        let (hour, minute, second) = (time.next()?, time.next()?, time.next()?);
        if date.next().is_some() || time.next().is_some() {
            return None;
        }
        let (year, month, day) =
            (fixed_digits(year, 4)?, fixed_digits(month, 2)?, fixed_digits(day, 2)?);
        let (hour, minute, second) =
            (fixed_digits(hour, 2)?, fixed_digits(minute, 2)?, fixed_digits(second, 2)?);
        if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month)
        {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day)?;
        let of_day =
            (hour.checked_mul(60)?.checked_add(minute)?).checked_mul(60)?.checked_add(second)?;
        let secs = days.checked_mul(86_400)?.checked_add(of_day)?;
        secs.checked_mul(1_000)?.checked_add(milli).map(Self)
    }

    /// Reads an HTTP-date in the one form that is sent today (RFC 9110 section 5.6.7, IMF-fixdate),
    /// with the weekday that it has. None for anything else.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (_, day, month) = (words.next()?, words.next()?, words.next()?);
        let (year, time) = (words.next()?, words.next()?);
        let month = MONTHS.iter().zip(1_u8..).find(|(name, _)| **name == month)?.1;
        let at = Self::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z"))?;
        (at.to_http_date() == text).then_some(at)
    }

    /// Days to date after Howard Hinnant's `civil_from_days`, for days since 1970 only.
    #[allow(clippy::arithmetic_side_effects)] // all terms are bounded by u64::MAX / 86 400 000
    fn civil(self) -> Civil {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let z = days + 719_468;
        let era = z / 146_097;
        let day_of_era = z % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let mp = (5 * day_of_year + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Civil {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * mp + 2) / 5 + 1,
            hour: ms / 3_600_000,
            minute: ms / 60_000 % 60,
            second: ms / 1_000 % 60,
            milli: ms % 1_000,
            weekday: days % 7,
        }
    }
}

/// A number written with exactly `width` ASCII digits.
fn fixed_digits(text: &str, width: usize) -> Option<u64> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
    text.parse().ok()
}

fn days_in_month(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date already known to exist.
#[allow(clippy::arithmetic_side_effects)] // a year has four digits, so no term leaves u64
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_in_the_units_people_use() {
        for (text, ms, written) in [
            ("500ms", 500, "500ms"),
            ("10s", 10_000, "10s"),
            ("60s", 60_000, "1m"),
            ("15m", 900_000, "15m"),
            ("48h", 172_800_000, "48h"),
            ("2d", 172_800_000, "48h"),
            ("365d", 31_536_000_000, "365d"),
            ("0s", 0, "0s"),
        ] {
            let span = Millis::parse(text).unwrap();
            assert_eq!((span.as_millis(), span.to_string().as_str()), (ms, written), "{text}");
        }
        for text in [
            "",
            "s",
            "10",
            "+1s",
            "-1s",
            " 1s",
            "1 s",
            "1.5s",
            "1w",
            "1S",
            "1s1s",
            "99999999999999999999s",
            "9999999999999d",
            "١s",
        ] {
            assert!(Millis::parse(text).is_err(), "{text}");
        }
        assert_eq!(Millis::millis(1_001).ceil_secs(), 2);
    }

    #[test]
    fn hours_days_and_months_begin_where_the_calendar_says() {
        let read = |text| UnixMillis::parse_rfc3339(text).unwrap();
        for (at, hour, day, month, next) in [
            ("1970-01-01", "1970-01-01", "1970-01-01", "1970-01-01", "1970-02-01"),
            (
                "2026-11-22T03:43:49.007Z",
                "2026-11-22T03:00:00Z",
                "2026-11-22",
                "2026-11-01",
                "2026-12-01",
            ),
            (
                "2026-12-31T23:59:59.999Z",
                "2026-12-31T23:00:00Z",
                "2026-12-31",
                "2026-12-01",
                "2027-01-01",
            ),
            ("2028-02-29", "2028-02-29", "2028-02-29", "2028-02-01", "2028-03-01"),
            ("2027-02-28", "2027-02-28", "2027-02-28", "2027-02-01", "2027-03-01"),
            (
                "2100-02-28T12:00:00Z",
                "2100-02-28T12:00:00Z",
                "2100-02-28",
                "2100-02-01",
                "2100-03-01",
            ),
        ] {
            let begins = read(at);
            assert_eq!(begins.start_of_hour(), read(hour), "{at}");
            assert_eq!(begins.start_of_day(), read(day), "{at}");
            assert_eq!(begins.start_of_month(), read(month), "{at}");
            assert_eq!(begins.start_of_next_month(), read(next), "{at}");
        }
        let last = UnixMillis::from_millis(u64::MAX);
        assert!(last.start_of_month() < last && last.start_of_next_month() >= last);
    }

    #[test]
    fn instants_are_written_and_read_back() {
        for (ms, rfc3339, http) in [
            (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_000, "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400_000, "2000-02-29T00:00:00Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_319_029_007, "2026-11-22T03:43:49.007Z", "Sun, 22 Nov 2026 03:43:49 GMT"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            let at = UnixMillis::from_millis(ms);
            assert_eq!(at.to_rfc3339(), rfc3339);
            assert_eq!(at.to_http_date(), http);
            assert_eq!(UnixMillis::parse_rfc3339(rfc3339), Some(at));
            let whole = UnixMillis::from_secs(at.as_secs());
            assert_eq!(UnixMillis::parse_http_date(http), Some(whole));
        }
        assert_eq!(UnixMillis::parse_rfc3339("1970-01-02"), Some(UnixMillis::from_secs(86_400)));
        for text in [
            "",
            "2026-02-30",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "1969-12-31",
            "2026-1-1",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.1Z",
            "2026-01-01-01",
            "2026-01-01T00:00:00:00Z",
            "+026-01-01",
        ] {
            assert_eq!(UnixMillis::parse_rfc3339(text), None, "{text}");
        }
        for text in [
            "",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37.5 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(UnixMillis::parse_http_date(text), None, "{text}");
        }
    }
}
