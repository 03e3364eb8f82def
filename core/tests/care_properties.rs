//! What is told of keys that grow old (SPEC section 7): each notice once, whatever happens between.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tollgate_core::family::{Change, EventKind, FamilyRequest, FamilyState, KeyPatch, Write};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::time::{Millis, UnixMillis};

const START: u64 = 1_800_000_000_000;

fn id() -> KeyId {
    KeyId::parse("AAAAAAAAAAAAAAA1").unwrap()
}

fn first() -> KeyRecord {
    serde_json::from_value(json!({
        "id": id(), "family": id(), "kind": "sk", "environment": "dev", "tenant": "acme",
        "name": "k", "state": "active", "version": 1, "created_at": START,
        "expires_at": on_day(100), "lifetime": Millis::days(100),
        "digest": { "pepper": 1, "mac": "x" },
    }))
    .unwrap()
}

#[derive(Clone, Debug)]
enum CareStep {
    /// So many days go by, and the object is woken whenever it asked to be.
    Wait(u64),
    Crash,
    /// A new end, so many days from now.
    End(u64),
    Switch(bool),
}

fn care_steps() -> impl Strategy<Value = Vec<CareStep>> {
    let step = prop_oneof![
        4 => (0..60_u64).prop_map(CareStep::Wait),
        1 => Just(CareStep::Crash),
        1 => (1..100_u64).prop_map(CareStep::End),
        1 => prop::bool::ANY.prop_map(CareStep::Switch),
    ];
    prop::collection::vec(step, 1..30)
}

/// A key whose holder hears of its end.
struct Life {
    state: FamilyState,
    rows: BTreeMap<String, String>,
    day: u64,
    end: u64,
    /// When that end was set.
    since: u64,
    /// Day and kind of each notice.
    heard: Vec<(u64, u64)>,
    expected: Vec<(u64, u64)>,
}

const DAY: Millis = Millis::days(1);

fn on_day(day: u64) -> UnixMillis {
    UnixMillis::from_millis(START).plus(Millis::days(day))
}

impl Life {
    fn new() -> Self {
        let state = FamilyState::default();
        let (rows, heard, expected) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut life = Self { state, rows, day: 0, end: 100, since: 0, heard, expected };
        life.change(Change::Create { record: Box::new(first()) });
        life
    }

    fn store(&mut self, writes: &[Write]) {
        for write in writes {
            let (name, text) = write.row();
            self.rows.insert(name, text.unwrap());
        }
    }

    fn change(&mut self, change: Change) {
        let request = FamilyRequest::change("root", change);
        let (_, writes) = self.state.apply(request, on_day(self.day));
        self.store(&writes);
    }

    fn end_at(&mut self, day: u64) {
        let patch = KeyPatch { expires_at: Some(on_day(day)), ..KeyPatch::default() };
        let version = self.state.record(&id()).unwrap().version;
        self.change(Change::Update { id: id(), version, patch: Box::new(patch) });
        if day != self.end {
            (self.end, self.since) = (day, self.day);
        }
    }

    fn crash(&mut self) {
        self.state = FamilyState::restore(self.rows.clone(), on_day(self.day)).unwrap();
    }

    /// The reminders to rotate that come now; notices of the end are heard.
    fn care(&mut self) -> Vec<u64> {
        let (writes, next) = self.state.care(Some(Millis::days(90)), on_day(self.day));
        assert!(next.is_none_or(|next| next > on_day(self.day)), "never for the past");
        self.store(&writes);
        let mut reminders = Vec::new();
        for write in &writes {
            let Write::Outbox(event) = write else { continue };
            let days = event.days.unwrap();
            match event.kind {
                EventKind::Expiring => self.heard.push((self.day, days)),
                _ => reminders.push(days),
            }
        }
        reminders
    }

    fn step(&mut self, step: &CareStep) {
        match step {
            CareStep::Wait(days) => {
                let until = self.day + days;
                for day in self.day + 1..=until {
                    let is_notice = |days: &u64| day + days == self.end && day > self.since;
                    self.expected
                        .extend([30, 7, 1].into_iter().filter(is_notice).map(|d| (day, d)));
                }
                loop {
                    let (writes, next) =
                        self.state.clone().care(Some(Millis::days(90)), on_day(self.day));
                    assert!(writes.is_empty(), "nothing is left for later");
                    let Some(next) = next.filter(|next| *next <= on_day(until)) else { break };
                    self.day = next.since(on_day(0)).as_millis() / DAY.as_millis();
                    self.care();
                }
                self.day = until;
            }
            CareStep::Crash => self.crash(),
            CareStep::End(days) => self.end_at(self.day + days),
            CareStep::Switch(on) => {
                let (id, version) = (id(), None);
                self.change(if *on {
                    Change::Enable { id, version }
                } else {
                    Change::Disable { id, version }
                });
            }
        }
        self.care();
    }
}

proptest! {
    /// Each notice of a key's end comes once, when it is due, whatever its end becomes and however
    /// often the object loses its memory; none comes that is not due.
    #[test]
    fn notices_come_once_and_none_is_missed(steps in care_steps()) {
        let mut life = Life::new();
        for step in &steps {
            life.step(step);
        }
        assert_eq!(life.heard, life.expected);
    }

    /// Reminders to rotate come one for each span, the latest of those that were slept through.
    #[test]
    fn reminders_come_once_for_each_span(sleeps in prop::collection::vec(0..400_u64, 1..20)) {
        let mut life = Life::new();
        life.end_at(100_000);
        let mut last = 0;
        for sleep in sleeps {
            life.day += sleep;
            let reminded = life.care();
            let spans = life.day / 90;
            let expected = if spans > last { vec![spans * 90] } else { vec![] };
            assert_eq!(reminded, expected, "day {}", life.day);
            last = spans;
            life.crash();
        }
    }
}
