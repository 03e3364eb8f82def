//! What a family's object promises (SPEC section 3), for any requests in any order, at any time,
//! with crashes in between.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tollgate_core::family::{
    Change, Event, FamilyReply, FamilyRequest, FamilyState, KeyPatch, Write,
};
use tollgate_core::key::{KeyId, KeyRecord, KeyState};
use tollgate_core::limit::{Charge, Concurrency, Measure, Rate, Slot};
use tollgate_core::time::{Millis, UnixMillis};

const START: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;

/// Keys of the family that a script may name: the first one is made at the start.
const KEYS: u8 = 6;
/// The limits that a script charges, and the most that one of them reserves at a time.
const LIMITS: [u32; 2] = [5, 200];
const RESERVE: u64 = 4;
/// The limit that a script asks ahead of.
const LEASED: u32 = 200;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Crash,
    Settle,
    /// The tenant's object is told what was counted; its answer may be lost.
    Tell {
        answered: bool,
    },
    Suspend {
        suspended: bool,
    },
    Ask(Ask),
}

/// A request; versions are told by how far they are from the present one.
#[derive(Clone, Debug)]
enum Ask {
    Admit { key: u8, off: i64, limit: (u32, bool), ahead: u32 },
    Lease { key: u8, off: i64, ahead: u32 },
    Enter { key: u8, slot: u8 },
    Release { slot: u8 },
    Rotate { key: u8, new: u8, grace: u64, off: Option<i64> },
    EndGrace { key: u8 },
    Update { key: u8, off: i64, expires_in: Option<u64>, name: String },
    Disable { key: u8 },
    Enable { key: u8 },
    Revoke { key: u8, whole_family: bool },
    Rehash { key: u8, pepper: u32 },
    Claim,
}

fn id(key: u8) -> KeyId {
    KeyId::parse(&format!("AAAAAAAAAAAAAA{key:02}")).unwrap()
}

fn first() -> KeyRecord {
    serde_json::from_value(json!({
        "id": id(0), "family": id(0), "kind": "sk", "environment": "dev", "tenant": "acme",
        "name": "k", "state": "active", "version": 1, "created_at": START,
        "expires_at": START + 60 * MINUTE, "lifetime": 60 * MINUTE, "digest": digest(1),
    }))
    .unwrap()
}

fn charge(limit: String, measure: Measure) -> Charge {
    Charge { limit, bucket: String::new(), measure, cost: 1, shadow: false, leased: false }
}

/// So many in a minute, and some of them ahead.
fn leased(requests: u32) -> Charge {
    let rate = Rate::new(requests, Millis::secs(60)).unwrap();
    Charge { leased: true, ..charge(format!("l{requests}"), Measure::Rate(rate)) }
}

fn in_flight() -> Charge {
    charge("busy".to_owned(), Measure::Concurrency(Concurrency::new(3).unwrap()))
}

fn digest(pepper: u32) -> serde_json::Value {
    json!({ "pepper": pepper, "mac": "x" })
}

/// An object, its storage, and what must hold of them.
struct Play {
    state: FamilyState,
    rows: BTreeMap<String, String>,
    wall: u64,
    seq: u64,
    /// Each key as it was last stored.
    last: BTreeMap<KeyId, KeyRecord>,
    /// Requests of each key that were admitted.
    admitted: BTreeMap<KeyId, u64>,
    /// What the tenant's object has of each key and hour.
    told: BTreeMap<(KeyId, UnixMillis), u64>,
    crashes: u64,
}

impl Play {
    fn new() -> Self {
        let state = FamilyState::default();
        let mut play = Self {
            state,
            rows: BTreeMap::new(),
            wall: START,
            seq: 0,
            last: BTreeMap::new(),
            admitted: BTreeMap::new(),
            told: BTreeMap::new(),
            crashes: 0,
        };
        let change = Change::Create { record: Box::new(first()) };
        play.apply(&FamilyRequest::change("root", change));
        play
    }

    fn request(&self, ask: &Ask) -> FamilyRequest {
        let version = |key: u8, off: i64| {
            let present = self.state.record(&id(key)).map_or(1, |record| record.version);
            present.saturating_add_signed(off)
        };
        let change = match ask.clone() {
            Ask::Admit { key, off, limit: (requests, shadow), ahead } => {
                let charges = vec![Charge { shadow, ..leased(requests) }];
                let (id, version) = (id(key), version(key, off));
                return FamilyRequest::Admit {
                    id,
                    version,
                    charges,
                    rehash: None,
                    slot: None,
                    ahead,
                };
            }
            Ask::Lease { key, off, ahead } => {
                let charges = vec![leased(LEASED)];
                return FamilyRequest::Lease {
                    id: id(key),
                    version: version(key, off),
                    charges,
                    ahead,
                };
            }
            Ask::Enter { key, slot } => {
                let slot = Slot { id: slot.to_string(), holds: Millis::secs(30) };
                return FamilyRequest::Admit {
                    id: id(key),
                    version: version(key, 0),
                    charges: vec![in_flight()],
                    rehash: None,
                    slot: Some(slot),
                    ahead: 0,
                };
            }
            Ask::Release { slot } => {
                let (charges, slot) = (vec![in_flight()], slot.to_string());
                return FamilyRequest::Release { charges, slot };
            }
            Ask::Claim => return FamilyRequest::Claim { family: id(3) },
            Ask::Rotate { key, new, grace, off } => Change::Rotate {
                id: id(key),
                new_id: id(new),
                digest: serde_json::from_value(digest(1)).unwrap(),
                grace: Millis::millis(grace),
                max_lifetime: None,
                version: off.map(|off| version(key, off)),
            },
            Ask::EndGrace { key } => Change::EndGrace { id: id(key), version: None },
            Ask::Update { key, off, expires_in, name } => {
                let expires_at = expires_in.map(|span| UnixMillis::from_millis(self.wall + span));
                let patch = KeyPatch { name: Some(name), expires_at, ..KeyPatch::default() };
                let patch = Box::new(patch);
                Change::Update { id: id(key), version: version(key, off), patch }
            }
            Ask::Disable { key } => Change::Disable { id: id(key), version: None },
            Ask::Enable { key } => Change::Enable { id: id(key), version: None },
            Ask::Revoke { key, whole_family } => Change::Revoke { id: id(key), whole_family },
            Ask::Rehash { key, pepper } => {
                let digest = serde_json::from_value(digest(pepper)).unwrap();
                Change::Rehash { id: id(key), digest }
            }
        };
        FamilyRequest::change("root", change)
    }

    fn apply(&mut self, request: &FamilyRequest) {
        let before = self.state.clone();
        let (reply, writes) = self.state.apply(request.clone(), UnixMillis::from_millis(self.wall));
        match &reply {
            FamilyReply::Changed { .. } => {}
            FamilyReply::Released => {
                assert!(matches!(request, FamilyRequest::Release { .. }), "{reply:?}");
            }
            FamilyReply::Verdict(verdict) => {
                let (FamilyRequest::Admit { id, version, ahead, .. }
                | FamilyRequest::Lease { id, version, ahead, .. }) = request
                else {
                    panic!("{reply:?}")
                };
                let granted = verdict.grant().map_or(0, |grant| grant.requests);
                assert!(granted <= *ahead, "never more than was asked for");
                let record = before.record(id).unwrap();
                assert_eq!((record.state, record.version), (KeyState::Active, *version));
                assert!(UnixMillis::from_millis(self.wall) < record.expires_at);
                assert!(!record.suspended);
                assert!(verdict.is_admitted() || writes.is_empty());
                // What is given ahead is counted by whoever spends it.
                if verdict.is_admitted() && matches!(request, FamilyRequest::Admit { .. }) {
                    *self.admitted.entry(id.clone()).or_default() += 1;
                }
            }
            _ => {
                assert_eq!(writes, [], "{request:?}: {reply:?}");
                for key in 0..KEYS {
                    assert_eq!(self.state.record(&id(key)), before.record(&id(key)), "{reply:?}");
                }
            }
        }
        self.store(writes);
    }

    fn store(&mut self, writes: Vec<Write>) {
        let deletes =
            |write: &Write| matches!(write, Write::DeleteWindow { .. } | Write::DeleteTally { .. });
        let deletes = writes.iter().any(deletes);
        let tells_clock = writes.iter().any(|write| matches!(write, Write::PutMeta(_)));
        assert!(tells_clock || !deletes, "a row was deleted without the clock");
        for write in writes {
            match &write {
                Write::PutRecord(record) => self.follow(record),
                Write::Outbox(event) => self.hear(event),
                _ => {}
            }
            let (name, text) = write.row();
            match text {
                Some(text) => self.rows.insert(name, text),
                None => self.rows.remove(&name),
            };
        }
    }

    /// A record may only follow on its own last version.
    fn follow(&mut self, record: &KeyRecord) {
        if let Some(last) = self.last.get(&record.id) {
            assert_eq!(record.version, last.version + 1);
            assert_ne!(last.state, KeyState::Revoked, "revoked is for good");
            if last.deprecated.is_some() {
                assert!(record.expires_at <= last.expires_at, "grace only gets shorter");
                assert_eq!(record.deprecated, last.deprecated);
            }
        } else {
            assert_eq!((record.version, record.state), (1, KeyState::Active));
        }
        self.last.insert(record.id.clone(), record.clone());
    }

    fn hear(&mut self, event: &Event) {
        self.seq += 1;
        assert_eq!(event.seq, self.seq, "no gap, also after a crash");
        assert_eq!(event.key.version, self.last.get(&event.key.id).unwrap().version);
    }

    fn tell(&mut self, answered: bool) {
        let (tallies, writes) = self.state.tally();
        self.store(writes);
        for tally in &tallies {
            let told = self.told.entry((tally.key.clone(), tally.hour)).or_default();
            *told = tally.admitted.max(*told);
        }
        if answered {
            let writes = self.state.tallied(&tallies, UnixMillis::from_millis(self.wall));
            self.store(writes);
        }
        for key in 0..KEYS {
            assert!(self.told_of(key) <= self.admitted_of(key), "nothing is counted twice");
        }
    }

    fn told_of(&self, key: u8) -> u64 {
        let of_key = self.told.iter().filter(|((told, _), _)| *told == id(key));
        of_key.map(|(_, count)| count).sum()
    }

    fn admitted_of(&self, key: u8) -> u64 {
        self.admitted.get(&id(key)).copied().unwrap_or_default()
    }

    /// After the last settlement and delivery, what was told is what was true, but for one
    /// reservation of each crash.
    fn end(&mut self) {
        self.step(&Step::Settle);
        self.tell(true);
        let lost: u64 = (0..KEYS).map(|key| self.admitted_of(key) - self.told_of(key)).sum();
        assert!(lost <= self.crashes * RESERVE, "{lost} lost in {} crashes", self.crashes);
        self.wall += 60 * MINUTE;
        self.tell(true);
        let left = self.rows.keys().filter(|name| name.starts_with("tally/")).count();
        assert_eq!(left, 0, "and of the past nothing is kept");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(ms) => self.wall += ms,
            Step::Crash => {
                self.crashes += 1;
                let wall = UnixMillis::from_millis(self.wall);
                self.state = FamilyState::restore(self.rows.clone(), wall).unwrap();
            }
            Step::Settle => {
                let writes = self.state.settle(UnixMillis::from_millis(self.wall));
                self.store(writes);
            }
            Step::Tell { answered } => self.tell(*answered),
            Step::Suspend { suspended } => {
                let id = id(0);
                let change =
                    if *suspended { Change::Suspend { id } } else { Change::Resume { id } };
                self.apply(&FamilyRequest::change("root", change));
            }
            Step::Ask(ask) => self.apply(&self.request(ask)),
        }
        let now = UnixMillis::from_millis(self.wall);
        let keys: Vec<&KeyRecord> =
            (0..KEYS).filter_map(|key| self.state.record(&id(key))).collect();
        for record in &keys {
            assert_eq!(Some(*record), self.last.get(&record.id), "memory and storage agree");
        }
        assert_eq!(keys.len(), self.last.len());
        let in_grace = |record: &&&KeyRecord| {
            record.deprecated.is_some()
                && record.state != KeyState::Revoked
                && !record.is_expired(now)
        };
        assert!(keys.iter().filter(in_grace).count() <= 1, "one older key at most");
        let current = keys.iter().filter(|record| record.deprecated.is_none()).count();
        assert_eq!(current, 1, "and one newest");
    }
}

fn ahead() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0_u32), 1 => 1..40_u32]
}

fn asks() -> impl Strategy<Value = Ask> {
    let key = || 0..KEYS;
    let off = || prop_oneof![5 => Just(0_i64), 1 => -2..3_i64];
    let limit = (prop::sample::select(&LIMITS[..]), prop::bool::weighted(0.4));
    let grace = prop_oneof![Just(0_u64), 1..10 * MINUTE];
    let expires_in = prop::option::of(prop_oneof![Just(0_u64), 1..90 * MINUTE]);
    prop_oneof![
        6 => (key(), off(), limit, ahead())
            .prop_map(|(key, off, limit, ahead)| Ask::Admit { key, off, limit, ahead }),
        2 => (key(), off(), 1..40_u32).prop_map(|(key, off, ahead)| Ask::Lease { key, off, ahead }),
        2 => (key(), 0..5_u8).prop_map(|(key, slot)| Ask::Enter { key, slot }),
        2 => (0..5_u8).prop_map(|slot| Ask::Release { slot }),
        6 => (key(), key(), grace, prop::option::of(off()))
            .prop_map(|(key, new, grace, off)| Ask::Rotate { key, new, grace, off }),
        1 => key().prop_map(|key| Ask::EndGrace { key }),
        2 => (key(), off(), expires_in, "[ab]")
            .prop_map(|(key, off, expires_in, name)| Ask::Update { key, off, expires_in, name }),
        1 => key().prop_map(|key| Ask::Disable { key }),
        2 => key().prop_map(|key| Ask::Enable { key }),
        1 => (key(), prop::bool::weighted(0.2))
            .prop_map(|(key, whole_family)| Ask::Revoke { key, whole_family }),
        1 => (key(), 0..4_u32).prop_map(|(key, pepper)| Ask::Rehash { key, pepper }),
        1 => Just(Ask::Claim),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => asks().prop_map(Step::Ask),
        3 => prop_oneof![1..1_000_u64, 1..20 * MINUTE].prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => Just(Step::Settle),
        1 => prop::bool::ANY.prop_map(|answered| Step::Tell { answered }),
        1 => prop::bool::weighted(0.3).prop_map(|suspended| Step::Suspend { suspended }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Much use of two keys, and little else.
fn busy_steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let limit = (prop::sample::select(&LIMITS[..]), prop::bool::weighted(0.4));
    let ask = (0..2_u8, limit, ahead(), 1..30_usize).prop_map(|(key, limit, ahead, times)| {
        vec![Step::Ask(Ask::Admit { key, off: 0, limit, ahead }); times]
    });
    let one = |step: Step| vec![step];
    let step = prop_oneof![
        6 => ask,
        3 => prop_oneof![1..1_000_u64, 1..90 * MINUTE].prop_map(move |ms| one(Step::Wait(ms))),
        2 => Just(one(Step::Crash)),
        1 => Just(one(Step::Settle)),
        1 => prop::bool::ANY.prop_map(move |answered| one(Step::Tell { answered })),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    /// Records follow on each other, events have no gap, refusals leave no trace, revoked is for
    /// good, a family has one newest key and one older at most, and storage says what memory says.
    #[test]
    fn a_family_keeps_its_promises(steps in steps()) {
        let mut play = Play::new();
        for step in &steps {
            play.step(step);
        }
        play.end();
    }

    /// What the tenant's object is told of admitted requests is never more than what was true, and
    /// less by one reservation for each crash at the most; without one it is exact.
    #[test]
    fn what_was_admitted_is_counted(steps in busy_steps()) {
        let mut play = Play::new();
        let far = Some(START + 1_000_000 * MINUTE);
        let (key, off, name) = (0, 0, "k".to_owned());
        play.step(&Step::Ask(Ask::Update { key, off, expires_in: far, name }));
        play.step(&Step::Ask(Ask::Rotate { key, new: 1, grace: 900_000 * MINUTE, off: None }));
        for step in steps.iter().flatten() {
            play.step(step);
        }
        play.end();
    }

    /// No stored row makes the object panic.
    #[test]
    fn any_row_is_read_or_refused(
        rows in prop::collection::vec(("(meta|key/|window/|tally/|told/|outbox/|)[a-zA-Z0-9:/]{0,16}", ".{0,40}"), 0..5),
    ) {
        let _ = FamilyState::restore(rows, UnixMillis::from_millis(START));
    }

    /// No text makes a request that panics.
    #[test]
    fn any_text_is_a_request_or_none(text in ".{0,60}|\\{\"op\":\"[a-z]{0,6}\"[^}]{0,40}\\}") {
        let _ = serde_json::from_str::<FamilyRequest>(&text);
    }
}
