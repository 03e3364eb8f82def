//! Notices before a key's end, and reminders to rotate it.

use super::*;

const DAY: u64 = 24 * HOUR;
const NINETY: Option<Millis> = Some(Millis::days(90));

/// Every event that the family raises until `days`, looked at when it asks to be, with the day.
fn told(state: &mut FamilyState, days: u64) -> Vec<(u64, &'static str, u64)> {
    let mut all = Vec::new();
    let (mut now, end) = (at(0), at(days * DAY));
    loop {
        let (writes, next) = state.care(NINETY, now);
        for write in &writes {
            if let Write::Outbox(event) = write {
                let day = event.at.since(at(0)).as_millis() / DAY;
                all.push((day, event.kind.as_str(), event.days.unwrap()));
            }
        }
        match next {
            Some(next) if next <= end => now = next,
            _ => return all,
        }
        assert!(next.unwrap() <= now, "an alarm for the past would go off for ever");
    }
}

fn lives(days: u64) -> FamilyState {
    let span = Millis::days(days);
    let record = KeyRecord { expires_at: at(0).plus(span), lifetime: span, ..record(FIRST) };
    FamilyState::of(record)
}

#[test]
fn a_key_is_told_of_at_30_7_and_1_days_and_every_90() {
    assert_eq!(
        told(&mut lives(365), 1_000),
        [
            (90, "key.rotation_due", 90),
            (180, "key.rotation_due", 180),
            (270, "key.rotation_due", 270),
            (335, "key.expiring", 30),
            (358, "key.expiring", 7),
            (360, "key.rotation_due", 360),
            (364, "key.expiring", 1),
        ]
    );
}

#[test]
fn a_short_life_has_the_notices_that_lie_in_it() {
    for (days, expected) in [
        (31, &[(1, "key.expiring", 30), (24, "key.expiring", 7), (30, "key.expiring", 1)][..]),
        (30, &[(23, "key.expiring", 7), (29, "key.expiring", 1)]),
        (7, &[(6, "key.expiring", 1)]),
        (1, &[]),
        (0, &[]),
    ] {
        assert_eq!(told(&mut lives(days), 100), expected, "{days} days");
    }
}

#[test]
fn a_notice_is_due_to_the_millisecond() {
    let key = record(FIRST);
    for (kind, days, instant) in [
        (EventKind::Expiring, 30, key.expires_at.minus(Millis::days(30))),
        (EventKind::Expiring, 1, key.expires_at.minus(Millis::days(1))),
        (EventKind::RotationDue, 90, key.created_at.plus(Millis::days(90))),
    ] {
        let raised = |now| due(&key, &Told::default(), NINETY, now).notices;
        let notice = Notice { kind, days };
        assert!(!raised(instant.minus(Millis::millis(1))).contains(&notice), "{notice:?}");
        assert!(raised(instant).contains(&notice), "{notice:?}");
        let before = due(&key, &Told::default(), None, instant.minus(Millis::millis(1)));
        if kind == EventKind::Expiring {
            assert_eq!(before.next, Some(instant));
        }
    }
}

#[test]
fn of_what_was_slept_through_only_the_latest_is_told() {
    for (now, expected) in [
        (340, &[("key.expiring", 30), ("key.rotation_due", 270)][..]),
        (359, &[("key.expiring", 7), ("key.rotation_due", 270)]),
        (364, &[("key.expiring", 1), ("key.rotation_due", 360)]),
        (365, &[]),
        (500, &[]),
    ] {
        let mut state = lives(365);
        let raised = |writes: &[Write]| {
            let event = |write: &Write| match write {
                Write::Outbox(event) => Some((event.kind.as_str(), event.days.unwrap())),
                _ => None,
            };
            writes.iter().filter_map(event).collect::<Vec<_>>()
        };
        let (writes, _) = state.care(NINETY, at(now * DAY));
        assert_eq!(raised(&writes), expected, "day {now}");
        assert_eq!(state.care(NINETY, at(now * DAY)).0, [], "once");
        let late = state.care(NINETY, at(now * DAY + HOUR)).0;
        assert_eq!(late, [], "and not an hour later");
    }
}

#[test]
fn nobody_is_told_of_what_is_over_or_cannot_be_done() {
    let day = |day: u64| at(day * DAY);
    let with = |change: &dyn Fn(&mut KeyRecord)| {
        let mut record = record(FIRST);
        change(&mut record);
        record
    };
    let rotated = Deprecated { since: day(360), successor: id(SECOND) };
    for (record, notices, next, why) in [
        (with(&|_| {}), 2, true, "a key in use"),
        (with(&|r| r.state = KeyState::Disabled), 1, true, "can be switched on, not rotated"),
        (with(&|r| r.suspended = true), 1, true, "comes back with its tenant"),
        (with(&|r| r.state = KeyState::Revoked), 0, false, "revoked"),
        (with(&|r| r.deprecated = Some(rotated.clone())), 0, false, "in grace: known"),
        (with(&|r| r.expires_at = day(361)), 0, false, "expired"),
    ] {
        let due = due(&record, &Told::default(), NINETY, day(361));
        assert_eq!((due.notices.len(), due.next.is_some()), (notices, next), "{why}");
    }
    let off = due(&record(FIRST), &Told::default(), None, day(200));
    assert_eq!((off.notices, off.next), (vec![], Some(day(335))), "no reminders by policy");
}

#[test]
fn a_new_end_is_told_anew_from_the_moment_it_was_set() {
    let mut state = lives(365);
    assert_eq!(told(&mut state, 359).last(), Some(&(358, "key.expiring", 7)));
    let change = |state: &mut FamilyState, day: u64, end: u64| {
        let version = state.record(&id(FIRST)).unwrap().version;
        let patch = json!({ "expires_at": at(end * DAY) });
        written(&state.apply(update(FIRST, version, patch), at(day * DAY)).1)
    };
    let stored = change(&mut state, 359, 400);
    assert!(stored.contains(&"told 1 None".to_owned()), "{stored:?}");
    let mut restarted = state.clone();
    let expected = [
        (360, "key.rotation_due", 360),
        (370, "key.expiring", 30),
        (393, "key.expiring", 7),
        (399, "key.expiring", 1),
    ];
    assert_eq!(told(&mut state, 500), expected);
    // Brought forward to five days from now: whoever did that knows of the month and the week.
    let _ = change(&mut restarted, 361, 366);
    assert_eq!(told(&mut restarted, 500).last(), Some(&(365, "key.expiring", 1)));
    assert!(!told(&mut restarted, 500).iter().any(|(_, kind, _)| *kind == "key.expiring"), "once");
}

#[test]
fn what_was_told_is_stored_with_the_event() {
    let mut rows = std::collections::BTreeMap::new();
    let mut state = FamilyState::default();
    let mut store = |writes: Vec<Write>| {
        rows.extend(writes.into_iter().filter_map(|write| Some((write.row().0, write.row().1?))));
        rows.clone()
    };
    let created = store(state.apply(create(), at(0)).1);
    let (writes, next) = state.care(NINETY, at(335 * DAY));
    assert_eq!(
        written(&writes),
        ["2 key.expiring 1", "3 key.rotation_due 1", "told 1 Some(30)", "meta 3"]
    );
    assert_eq!(next, Some(at(358 * DAY)));
    // Stored, and then the power was cut: nothing comes twice.
    let stored = store(writes);
    let mut restored = FamilyState::restore(stored, at(335 * DAY)).unwrap();
    assert_eq!(restored.care(NINETY, at(336 * DAY)), (vec![], Some(at(358 * DAY))));
    // Not stored: it comes again, under the same numbers.
    let mut lost = FamilyState::restore(created, at(335 * DAY)).unwrap();
    assert_eq!(written(&lost.care(NINETY, at(336 * DAY)).0).len(), 4);
}

#[test]
fn a_rotation_takes_the_reminders_to_the_new_key() {
    let mut state = lives(365);
    let _ = state.apply(rotate(FIRST, SECOND, Millis::hours(48)), at(80 * DAY));
    assert_eq!(
        told(&mut state, 200),
        [(170, "key.rotation_due", 90)],
        "90 days after the rotation, and of the new key alone"
    );
}
