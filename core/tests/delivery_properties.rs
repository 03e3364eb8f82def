//! Whatever is answered, whenever: a delivery ends, and never sooner than it may.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::delivery::{
    Came, Fault, MAX_SPEED, Meaning, Next, PAUSES, Schedule, retry_after,
};
use tollgate_core::time::{Millis, UnixMillis};

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        (100..600_u16).prop_map(Came::Status),
        Just(Came::Fault(Fault::Unreachable)),
        Just(Came::Fault(Fault::TimedOut)),
    ]
}

proptest! {
    /// An event is tried ten times at most, ends with the first 2xx or 410, and is dead after the
    /// tenth failure; each pause is the schedule's, a tenth more, or what the receiver wished.
    #[test]
    fn a_delivery_ends(
        steps in prop::collection::vec((came(), prop::option::of("[0-9]{1,8}"), any::<u32>()), 10),
        speed in 1..=MAX_SPEED,
        start in 0..4_000_000_000_000_u64,
    ) {
        let schedule = Schedule::faster(NonZeroU32::new(speed).unwrap());
        let mut now = UnixMillis::from_millis(start);
        for (attempt, (came, wish, chance)) in (1..).zip(steps) {
            let wish = wish.and_then(|text| retry_after(&text, now));
            let next = schedule.after(attempt, came, wish, now, chance);
            match (came.meaning(), next) {
                (Meaning::Delivered, Next::Delivered) | (Meaning::Gone, Next::Gone) => return Ok(()),
                (Meaning::Failed, Next::Dead) => {
                    prop_assert_eq!(attempt, schedule.attempts());
                    return Ok(());
                }
                (Meaning::Failed, Next::Again(at)) => {
                    let usual = PAUSES[attempt as usize - 1].as_millis() / u64::from(speed);
                    let (least, most) = (usual.max(1), (usual + usual / 10).max(1));
                    let waits = at.since(now).as_millis();
                    let wished = wish.map_or(0, |wish| wish.since(now).as_millis());
                    let wished = wished.min(Millis::hours(24).as_millis());
                    prop_assert!(waits >= least && waits >= wished);
                    prop_assert!(waits <= most.max(wished));
                    now = at;
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(false, "more than ten attempts");
    }

    /// What fails together is not tried again together.
    #[test]
    fn chance_spreads_a_pause(attempt in 1..=9_u32, one in any::<u32>(), other in any::<u32>()) {
        let pause = |chance| Schedule::STANDARD.pause(attempt, chance).unwrap();
        prop_assert!(pause(one.min(other)) <= pause(one.max(other)));
        prop_assert!(pause(u32::MAX).as_millis() > pause(0).as_millis());
    }

    /// No text is more than a wish.
    #[test]
    fn any_text_can_stand_in_retry_after(text in any::<String>(), now in any::<u64>()) {
        let now = UnixMillis::from_millis(now);
        let _ = retry_after(&text, now);
    }

    /// What is written is read, and nothing else is.
    #[test]
    fn http_dates_are_read_as_they_are_written(secs in 0..253_402_300_799_u64) {
        let at = UnixMillis::from_secs(secs);
        prop_assert_eq!(UnixMillis::parse_http_date(&at.to_http_date()), Some(at));
    }
}
