//! An inbox in any order of events, answers, kills and replays: what was taken arrives or is dead,
//! and nothing is sent twice but what a kill cut off.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::delivery::{Attempt, Came, Fault, Meaning, Schedule};
use tollgate_core::inbox::{Pace, Room, State, Turn};
use tollgate_core::time::{Millis, UnixMillis};

const KEEP: Millis = Millis::hours(1);
/// Of bodies on their way; an event here has as many bytes as its number.
const BYTES: u64 = 40;

#[derive(Clone, Debug)]
enum Happens {
    Comes,
    Starts(u32),
    Answers(usize, u16),
    Breaks(usize),
    Killed,
    Replayed(usize),
    Later(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => Just(Happens::Comes),
        4 => (1..6_u32).prop_map(Happens::Starts),
        4 => (any::<usize>(), prop_oneof![Just(200_u16), Just(500), Just(410), Just(302)])
            .prop_map(|(at, status)| Happens::Answers(at, status)),
        1 => any::<usize>().prop_map(Happens::Breaks),
        1 => Just(Happens::Killed),
        1 => any::<usize>().prop_map(Happens::Replayed),
        3 => prop_oneof![0..10_000_u64, 0..100_000_000_u64].prop_map(Happens::Later),
    ]
}

/// The rows, and what the backend saw.
#[derive(Default)]
struct Inbox {
    rows: BTreeMap<u64, Turn>,
    pace: Pace,
    /// Attempts that are on their way, each with the time of its start.
    under_way: Vec<(u64, UnixMillis)>,
    /// 2xx that the backend answered since the event was last replayed.
    arrived: BTreeMap<u64, u32>,
}

impl Inbox {
    fn start(&mut self, most: u32, now: UnixMillis) {
        let room = Room { deliveries: most, bytes: BYTES };
        let before: Vec<u64> = self.pace.in_flight().collect();
        let due: Vec<u64> = self
            .rows
            .iter()
            .filter(|(_, turn)| turn.state == State::Pending && turn.due <= now)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in due {
            if !self.pace.has_room(room, seq) {
                break;
            }
            if self.pace.start(seq, seq) {
                self.under_way.push((seq, now));
            }
        }
        // Fewer may be allowed than were before; then none is begun.
        let (before, after) = (before.len(), self.pace.len());
        assert!(after == before || after <= most as usize);
        let bytes: u64 = self.pace.in_flight().sum();
        assert!(after <= before.max(1) || bytes <= BYTES, "{bytes} bytes of {after}");
        let mut each: Vec<u64> = self.under_way.iter().map(|(seq, _)| *seq).collect();
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), self.under_way.len(), "of each event one");
        assert_eq!(self.pace.in_flight().collect::<Vec<_>>(), each);
    }

    fn end(&mut self, at: usize, came: Came, now: UnixMillis) {
        if self.under_way.is_empty() {
            return;
        }
        let at = at % self.under_way.len();
        let (seq, begun) = self.under_way.swap_remove(at);
        let attempt = Attempt { at: begun, took: now.since(begun), came };
        let turn = self.rows.get_mut(&seq).unwrap();
        turn.tried(attempt, Schedule::STANDARD, None, KEEP, now, u32::MAX);
        self.pace.end(seq);
        if came.meaning() == Meaning::Delivered {
            *self.arrived.entry(seq).or_default() += 1;
        }
    }
}

proptest! {
    #[test]
    fn what_was_taken_arrives_once_or_is_dead(all in prop::collection::vec(happens(), 1..200)) {
        let mut inbox = Inbox::default();
        let mut now = UnixMillis::from_secs(1_000_000);
        let mut taken = 0;
        for happens in all {
            match happens {
                Happens::Comes => {
                    inbox.rows.insert(taken, Turn::new(now));
                    taken += 1;
                }
                Happens::Starts(most) => inbox.start(most, now),
                Happens::Answers(at, status) => inbox.end(at, Came::Status(status), now),
                Happens::Breaks(at) => inbox.end(at, Came::Fault(Fault::TimedOut), now),
                // Rows stay, and nothing else does.
                Happens::Killed => {
                    inbox.pace = Pace::default();
                    inbox.under_way.clear();
                }
                Happens::Replayed(at) if taken > 0 => {
                    let seq = at as u64 % taken;
                    // One that is on its way is left to its attempt.
                    if !inbox.under_way.iter().any(|(other, _)| *other == seq) {
                        let turn = inbox.rows.get_mut(&seq).unwrap();
                        *turn = Turn { tries: turn.tries.clone(), ..Turn::new(now) };
                        inbox.arrived.remove(&seq);
                    }
                }
                Happens::Replayed(_) => {}
                Happens::Later(ms) => now = now.plus(Millis::millis(ms)),
            }
        }
        // Then the backend is well, and there is time.
        for _ in 0..=taken {
            inbox.start(8, now);
            while !inbox.under_way.is_empty() {
                inbox.end(0, Came::Status(204), now);
                inbox.start(8, now);
            }
            now = now.plus(Millis::hours(24));
        }
        for (seq, turn) in &inbox.rows {
            let arrived = inbox.arrived.get(seq).copied().unwrap_or(0);
            match turn.state {
                State::Pending => prop_assert!(false, "event {} is forgotten", seq),
                State::Delivered => prop_assert_eq!(arrived, 1),
                State::Dead => prop_assert_eq!(arrived, 0),
            }
            prop_assert!(turn.attempts <= Schedule::STANDARD.attempts());
        }
    }
}
