//! Tenants and jobs under any order of events:
//!
//!   1. a job over many keys never ends before every key that was there at its beginning is
//!      changed, whatever is on its way, fails or crashes
//!   2. a tenant never has more live keys than it may, however creates come between each other
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tollgate_core::key::KeyKind;
use tollgate_core::tenant::{
    Asked, Bounds, Job, JobKind, JobSeed, JobState, Listed, Mandate, Step, Stop, Takes, Target,
    Tenant, pause,
};
use tollgate_core::time::{Millis, UnixMillis};

const START: UnixMillis = UnixMillis::from_secs(1_800_000_000);
/// A call reaches its family's object within this time of its announcement, or never.
const CALL: u64 = 30_000;

/// What can happen.
#[derive(Clone, Debug)]
enum Event {
    /// A key is announced.
    Announce,
    /// Its family makes one that was announced, if that is not too long ago.
    /// Its caller's clock may be ahead by so much.
    Create(usize, u64),
    /// The registry hears of one.
    Deliver(usize),
    /// Time passes.
    Pass(u64),
    /// The job takes a step. With a crash nothing of it is stored, though families were asked;
    /// the keys at these places could not be asked.
    Step { crash: bool, failing: Vec<usize> },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Announce),
        3 => (any::<usize>(), 0..3_000u64).prop_map(|(at, ahead)| Event::Create(at, ahead)),
        3 => any::<usize>().prop_map(Event::Deliver),
        2 => (1..8_000u64).prop_map(Event::Pass),
        4 => (any::<bool>(), prop::collection::vec(0..6usize, 0..3))
            .prop_map(|(crash, failing)| Event::Step { crash, failing }),
    ]
}

/// A key as its family knows it.
#[derive(Clone, Copy, Debug)]
struct Key {
    made_at: UnixMillis,
    revoked: bool,
}

/// What one tenant's object stores, and what is true.
struct World {
    now: UnixMillis,
    families: BTreeMap<u32, Key>,
    /// Announced and not arrived, with the time.
    on_the_way: BTreeMap<u32, UnixMillis>,
    announced: BTreeMap<u32, UnixMillis>,
    /// Keys that the registry knows, and whether it believes them to be revoked.
    registry: BTreeMap<u32, bool>,
    job: Option<Job>,
    /// The list: None for done, else the tries and the time of the next.
    list: BTreeMap<u32, Option<(u32, UnixMillis)>>,
    /// What was on its way when the job began.
    coming: BTreeSet<u32>,
    wanted: BTreeSet<u32>,
}

impl World {
    fn new() -> Self {
        Self {
            now: START,
            families: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            announced: BTreeMap::new(),
            registry: BTreeMap::new(),
            job: None,
            list: BTreeMap::new(),
            coming: BTreeSet::new(),
            wanted: BTreeSet::new(),
        }
    }

    fn begin(&mut self) {
        let seed = JobSeed { id: "1".into(), actor: "root".into() };
        let target = Target { tenant: Some("acme".into()), ..Target::default() };
        self.now = self.now.plus(Millis::millis(1));
        self.job = Some(Job::new(seed, JobKind::Revoke, target, Mandate::everything(), self.now));
        self.wanted = self.families.keys().copied().collect();
        self.look(UnixMillis::from_millis(u64::MAX));
        self.coming = self.on_the_way.keys().copied().collect();
        // What is made from now on was made after it.
        self.now = self.now.plus(Millis::millis(1));
    }

    /// As the object looks through its registry; how many it found.
    fn look(&mut self, made_until: UnixMillis) -> usize {
        let before = self.list.len();
        for (id, revoked) in &self.registry {
            let listed = self.families[id].made_at <= made_until || self.coming.contains(id);
            if !revoked && listed {
                self.list.entry(*id).or_insert(Some((0, START)));
            }
        }
        self.list.len() - before
    }

    fn listed(&self) -> Listed {
        match self.list.values().flatten().map(|(_, at)| *at).min() {
            None => Listed::Done,
            Some(at) if at <= self.now => Listed::Due,
            Some(at) => Listed::Later(at),
        }
    }

    fn happen(&mut self, event: &Event) {
        let nth = |count: usize, at: usize| (count > 0).then(|| at % count);
        match event {
            Event::Announce => {
                let id = u32::try_from(self.announced.len()).unwrap();
                self.announced.insert(id, self.now);
                self.on_the_way.insert(id, self.now);
            }
            Event::Create(at, ahead) => {
                let open = self.announced.iter().filter(|(id, at)| {
                    !self.families.contains_key(id) && self.now.since(**at) < Millis::millis(CALL)
                });
                let open: Vec<u32> = open.map(|(id, _)| *id).collect();
                if let Some(at) = nth(open.len(), *at) {
                    let made_at = self.now.plus(Millis::millis(*ahead));
                    self.families.insert(open[at], Key { made_at, revoked: false });
                }
            }
            Event::Deliver(at) => {
                let all: Vec<u32> = self.families.keys().copied().collect();
                if let Some(at) = nth(all.len(), *at) {
                    self.registry.insert(all[at], self.families[&all[at]].revoked);
                    self.on_the_way.remove(&all[at]);
                }
            }
            Event::Pass(millis) => self.now = self.now.plus(Millis::millis(*millis)),
            Event::Step { crash, failing } => self.step(*crash, failing),
        }
    }

    /// As the object takes a step.
    fn step(&mut self, crash: bool, failing: &[usize]) {
        let Some(mut job) = self.job.clone() else { return };
        match job.next(self.listed(), self.now) {
            Step::Change => {
                let due =
                    self.list.iter().filter(|(_, at)| at.is_some_and(|(_, at)| at <= self.now));
                let due: Vec<(u32, u32)> =
                    due.map(|(id, row)| (*id, row.unwrap().0)).take(6).collect();
                for (place, (id, tries)) in due.into_iter().enumerate() {
                    if failing.contains(&place) {
                        if !crash {
                            let at = self.now.plus(pause(tries + 1));
                            self.list.insert(id, Some((tries + 1, at)));
                        }
                        continue;
                    }
                    self.families.get_mut(&id).unwrap().revoked = true;
                    if !crash {
                        self.list.insert(id, None);
                        self.registry.insert(id, true);
                        self.on_the_way.remove(&id);
                    }
                }
            }
            Step::Settle(_) => {
                let mut open = false;
                for (id, at) in self.on_the_way.clone() {
                    if at > job.started_at {
                        continue;
                    }
                    match self.families.get(&id) {
                        Some(key) => {
                            if !crash {
                                self.registry.insert(id, key.revoked);
                                self.on_the_way.remove(&id);
                            }
                        }
                        None => open |= Job::may_still_come(at, self.now),
                    }
                }
                if !crash {
                    self.look(job.started_at);
                }
                job.settled(None, open, self.now);
            }
            Step::Look => {
                let found = if crash { 0 } else { self.look(job.started_at) };
                job.looked(found > 0, self.now);
            }
            Step::Wait(_) | Step::Rest => {}
        }
        if !crash {
            self.job = Some(job);
        }
    }

    fn is_done(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.state() == JobState::Done)
    }
}

proptest! {
    #[test]
    fn a_job_never_ends_before_its_keys_are_changed(
        before in prop::collection::vec(event(), 0..40),
        after in prop::collection::vec(event(), 0..120),
    ) {
        let mut world = World::new();
        for event in &before {
            world.happen(event);
        }
        world.begin();
        let wanted = world.wanted.clone();
        let started_at = world.job.as_ref().unwrap().started_at;
        for event in after {
            world.happen(&event);
            if world.is_done() {
                break;
            }
        }
        // Left alone it ends, and then everything is as it should be.
        for _ in 0..2_000 {
            if world.is_done() {
                break;
            }
            world.step(false, &[]);
            world.now = world.now.plus(Millis::millis(500));
        }
        prop_assert!(world.is_done(), "it ends");
        for id in &wanted {
            prop_assert!(world.families[id].revoked, "{id} was there at its beginning");
        }
        for (id, key) in &world.families {
            if world.announced[id] > started_at {
                prop_assert!(!key.revoked, "{id} was asked for after its beginning");
            }
        }
    }

    #[test]
    fn a_tenant_never_has_more_keys_than_it_may(
        max in 0..6u64,
        events in prop::collection::vec((0..4u8, any::<usize>()), 1..200),
    ) {
        let bounds = Bounds { max_keys: Some(max), ..Bounds::default() };
        let tenant = Tenant { bounds, ..Tenant::unmade("acme", START) };
        let asked = Asked { kind: KeyKind::Sk, scopes: None, limits: None };
        let (mut announced, mut made, mut registry) = (vec![], vec![], BTreeSet::new());
        let mut on_the_way: BTreeSet<u32> = BTreeSet::new();
        let (mut next, mut revoked) = (0u32, BTreeSet::new());
        for (what, at) in events {
            match what {
                0 => {
                    let known: BTreeSet<u32> = registry.difference(&revoked).copied().collect();
                    let taken = u64::try_from(on_the_way.len() + known.len()).unwrap();
                    match tenant.stops(&asked, Takes::Room, || Ok::<_, ()>(taken)).unwrap() {
                        None => {
                            on_the_way.insert(next);
                            announced.push(next);
                            next += 1;
                        }
                        Some(stop) => prop_assert_eq!(stop, Stop::Full { max }),
                    }
                }
                1 if !announced.is_empty() => made.push(announced.swap_remove(at % announced.len())),
                2 if !made.is_empty() => {
                    let id = made[at % made.len()];
                    registry.insert(id);
                    on_the_way.remove(&id);
                }
                3 if !registry.is_empty() => {
                    revoked.insert(*registry.iter().nth(at % registry.len()).unwrap());
                }
                _ => {}
            }
            let live = made.iter().filter(|id| !revoked.contains(id)).count();
            prop_assert!(u64::try_from(live).unwrap() <= max, "{live} of {max}");
        }
    }
}
