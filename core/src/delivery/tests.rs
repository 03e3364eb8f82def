use core::num::NonZeroU32;

use super::*;
use crate::time::UnixMillis;

fn at(secs: u64) -> UnixMillis {
    UnixMillis::from_secs(secs)
}

#[test]
fn the_schedule_is_that_of_standard_webhooks() {
    let schedule = Schedule::STANDARD;
    let mut time = at(0);
    let mut attempts = vec![time.as_secs()];
    for attempt in 1.. {
        match schedule.after(attempt, Came::Status(500), None, time, 0) {
            Next::Again(next) => {
                time = next;
                attempts.push(time.as_secs());
            }
            other => {
                assert_eq!(other, Next::Dead);
                break;
            }
        }
    }
    // The table of its section "Delivery attempts", as sums.
    let hour = 3_600;
    let sums = [0, 5, 305, 2_105, 2 * hour + 2_105, 7 * hour + 2_105, 17 * hour + 2_105];
    let late = [31 * hour + 2_105, 51 * hour + 2_105, 75 * hour + 2_105];
    assert_eq!(attempts, [&sums[..], &late[..]].concat());
    assert_eq!(attempts.len(), schedule.attempts() as usize);
}

#[test]
fn what_an_answer_means() {
    for (came, meaning) in [
        (Came::Status(200), Meaning::Delivered),
        (Came::Status(202), Meaning::Delivered),
        (Came::Status(204), Meaning::Delivered),
        (Came::Status(299), Meaning::Delivered),
        (Came::Status(101), Meaning::Failed),
        (Came::Status(199), Meaning::Failed),
        (Came::Status(300), Meaning::Failed),
        (Came::Status(301), Meaning::Failed),
        (Came::Status(304), Meaning::Failed),
        (Came::Status(308), Meaning::Failed),
        (Came::Status(400), Meaning::Failed),
        (Came::Status(404), Meaning::Failed),
        (Came::Status(409), Meaning::Failed),
        (Came::Status(410), Meaning::Gone),
        (Came::Status(429), Meaning::Failed),
        (Came::Status(500), Meaning::Failed),
        (Came::Status(503), Meaning::Failed),
        (Came::Fault(Fault::Unreachable), Meaning::Failed),
        (Came::Fault(Fault::TimedOut), Meaning::Failed),
        (Came::Fault(Fault::NoCredential), Meaning::Failed),
        (Came::Fault(Fault::NotAllowed), Meaning::Failed),
    ] {
        assert_eq!(came.meaning(), meaning, "{came:?}");
    }
}

#[test]
fn what_a_receiver_wishes_counts_between_the_schedule_and_a_day() {
    let now = at(784_111_777);
    for (text, attempt, next) in [
        ("120", 1, now.plus(Millis::secs(120))),
        (" 120\t", 1, now.plus(Millis::secs(120))),
        ("0", 1, now.plus(Millis::secs(5))),
        ("4", 1, now.plus(Millis::secs(5))),
        ("6", 2, now.plus(Millis::minutes(5))),
        ("86400", 1, now.plus(Millis::hours(24))),
        ("86401", 1, now.plus(Millis::hours(24))),
        ("99999999999999999999999", 1, now.plus(Millis::hours(24))),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 1, now.plus(Millis::minutes(1))),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 1, now.plus(Millis::secs(5))),
        ("Mon, 06 Nov 1995 08:49:37 GMT", 1, now.plus(Millis::hours(24))),
        // No such text.
        ("", 1, now.plus(Millis::secs(5))),
        ("-60", 1, now.plus(Millis::secs(5))),
        ("+60", 1, now.plus(Millis::secs(5))),
        ("60.5", 1, now.plus(Millis::secs(5))),
        ("1m", 1, now.plus(Millis::secs(5))),
        ("Mon, 06 Nov 1994 08:50:37 GMT", 1, now.plus(Millis::secs(5))),
    ] {
        let wish = retry_after(text, now);
        let came = Schedule::STANDARD.after(attempt, Came::Status(503), wish, now, 0);
        assert_eq!(came, Next::Again(next), "{text:?} after attempt {attempt}");
    }
    let wish = retry_after("60", now);
    assert_eq!(Schedule::STANDARD.after(10, Came::Status(503), wish, now, 0), Next::Dead);
    assert_eq!(Schedule::STANDARD.after(1, Came::Status(200), wish, now, 0), Next::Delivered);
    assert_eq!(Schedule::STANDARD.after(1, Came::Status(410), wish, now, 0), Next::Gone);
}

#[test]
fn a_faster_schedule_has_the_same_attempts() {
    let speed = |times| Schedule::faster(NonZeroU32::new(times).unwrap());
    assert_eq!(speed(1), Schedule::STANDARD);
    assert_eq!(speed(1_000).pause(1, 0), Some(Millis::millis(5)));
    assert_eq!(speed(1_000).pause(9, 0), Some(Millis::millis(86_400)));
    assert_eq!(speed(u32::MAX), speed(MAX_SPEED));
    // A pause is never nothing: else an event that fails would be tried in a circle.
    assert_eq!(speed(MAX_SPEED).pause(1, 0), Some(Millis::millis(1)));
    assert_eq!((speed(7).pause(0, 0), speed(7).pause(10, 0)), (None, None));
}

#[test]
fn an_attempt_is_kept_as_it_was() {
    for (came, text) in [
        (Came::Status(503), r#"{"at":1000,"took":20,"came":{"status":503}}"#),
        (Came::Fault(Fault::TimedOut), r#"{"at":1000,"took":20,"came":{"fault":"timed_out"}}"#),
    ] {
        let attempt = Attempt { at: at(1), took: Millis::millis(20), came };
        assert_eq!(serde_json::to_string(&attempt).unwrap(), text);
        assert_eq!(serde_json::from_str::<Attempt>(text).unwrap(), attempt);
    }
}
