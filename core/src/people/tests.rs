use super::*;
use crate::key::Peppers;
use crate::text::Secret;

const NOW: UnixMillis = UnixMillis::from_secs(1_790_000_000);

pub(super) fn mark(text: &str) -> Digest {
    let pepper = format!("1:{}", data_encoding::BASE64.encode(&[7; 32]));
    Peppers::parse(&Secret::new(pepper)).unwrap().mark(&["test", text]).unwrap()
}

fn record(id: &str) -> KeyRecord {
    let record = serde_json::json!({
        "id": id, "family": id, "kind": "ak", "environment": "dev", "tenant": "acme",
        "name": "ops", "state": "active", "version": 1, "created_at": 0,
        "expires_at": NOW.plus(Millis::days(300)), "lifetime": Millis::days(365),
        "digest": mark("secret"), "mfa": true, "scopes": ["keys:write"],
    });
    serde_json::from_value(record).unwrap()
}

fn key() -> KeyRecord {
    record("abcdefghij012345")
}

fn at(secs: u64) -> UnixMillis {
    NOW.plus(Millis::secs(secs))
}

/// A code of the app that [`World::enrolled`] has.
fn totp(step: u64) -> Proof {
    Proof::Totp { step, seed: "sealed".to_owned() }
}

const ACCESS: Proof = Proof::Access { until: UnixMillis::from_secs(1_790_086_400) };

fn invite(code: &str) -> PeopleRequest {
    PeopleRequest::Invite { digest: mark(code), judged: Vec::new() }
}

/// What the object knows, and what its edge asks of it.
struct World(People);

impl World {
    /// With an app that has used its code of step 100, and two recovery codes.
    fn enrolled() -> Self {
        let mut world = Self(People::default());
        world.ask(invite("invitation"), NOW);
        let seed = "sealed".to_owned();
        world.ask(PeopleRequest::Enrol { digest: mark("invitation"), seed: seed.clone() }, NOW);
        let recovery = vec![mark("r1"), mark("r2")];
        let confirmed = world.ask(PeopleRequest::Confirm { seed, step: 100, recovery }, NOW);
        assert_eq!(confirmed, PeopleReply::Done);
        world
    }

    fn ask(&mut self, request: PeopleRequest, now: UnixMillis) -> PeopleReply {
        let before = self.0.clone();
        let (reply, changed) = self.0.answer(&key(), request, now);
        assert_eq!(changed, self.0 != before, "what changed is stored");
        // It is the same when it was read back.
        let stored = serde_json::to_string(&self.0).unwrap();
        assert_eq!(serde_json::from_str::<People>(&stored).unwrap(), self.0);
        reply
    }

    fn attempt(&mut self, attempt: Attempt, now: UnixMillis) -> PeopleReply {
        self.ask(PeopleRequest::Attempt(attempt), now)
    }

    fn open(&mut self, token: &str, proof: Proof, now: UnixMillis) -> PeopleReply {
        let kind = SessionKind::Console;
        self.ask(PeopleRequest::Open { digest: mark(token), kind, proof }, now)
    }

    fn find(&mut self, token: &str, now: UnixMillis) -> PeopleReply {
        self.ask(PeopleRequest::Find(shown(token)), now)
    }
}

fn shown(token: &str) -> Shown {
    Shown { kind: SessionKind::Console, digests: vec![mark("of another pepper"), mark(token)] }
}

fn opened(reply: PeopleReply) -> SessionView {
    match reply {
        PeopleReply::Opened { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_are_counted_before_anything_is_checked() {
    let mut world = World::enrolled();
    // However many guess at once: five get something to guess against.
    for guess in 0..20 {
        let reply = world.attempt(Attempt::Totp, NOW);
        if guess < 5 {
            let against = PeopleReply::Totp { seed: "sealed".into(), last: Some(100) };
            assert_eq!(reply, against, "{guess}");
        } else {
            assert_eq!(reply, PeopleReply::Paused { until: at(30) }, "{guess}");
        }
    }
}

#[test]
fn the_pause_doubles_up_to_an_hour_and_waiting_does_not_shorten_it() {
    let mut world = World::enrolled();
    for _ in 0..4 {
        world.attempt(Attempt::Totp, NOW);
    }
    let mut now = NOW;
    for pause in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600] {
        assert!(matches!(world.attempt(Attempt::Totp, now), PeopleReply::Totp { .. }), "{pause}");
        let until = now.plus(Millis::secs(pause));
        let just_before = until.minus(Millis::millis(1));
        assert_eq!(world.attempt(Attempt::Recovery, just_before), PeopleReply::Paused { until });
        now = until;
    }
}

#[test]
fn each_sort_of_code_counts_into_the_same_failures() {
    let mut world = World::enrolled();
    for attempt in [Attempt::Totp, Attempt::Recovery, Attempt::Totp, Attempt::Recovery] {
        world.attempt(attempt, NOW);
    }
    world.attempt(Attempt::Totp, NOW);
    for attempt in [Attempt::Totp, Attempt::Recovery, Attempt::Enrolment, Attempt::Confirmation] {
        assert_eq!(world.attempt(attempt, NOW), PeopleReply::Paused { until: at(30) });
    }
}

#[test]
fn a_success_takes_its_failures_back() {
    let mut world = World::enrolled();
    for step in 101..140 {
        assert!(matches!(world.attempt(Attempt::Totp, NOW), PeopleReply::Totp { .. }));
        opened(world.open("t", totp(step), NOW));
    }
    // The key alone, and somebody else's word, say nothing about codes.
    for proof in [Proof::Key, ACCESS, Proof::Key, ACCESS, Proof::Key] {
        world.attempt(Attempt::Totp, NOW);
        opened(world.open("t", proof, NOW));
    }
    assert_eq!(world.attempt(Attempt::Totp, NOW), PeopleReply::Paused { until: at(30) });
}

#[test]
fn a_code_is_used_once_and_none_before_it() {
    let mut world = World::enrolled();
    for (step, good) in
        [(100, false), (99, false), (101, true), (101, false), (103, true), (102, false)]
    {
        let reply = world.open("t", totp(step), NOW);
        assert_eq!(reply != PeopleReply::Used, good, "{step}: {reply:?}");
    }
    assert_eq!(
        world.attempt(Attempt::Totp, NOW),
        PeopleReply::Totp { seed: "sealed".into(), last: Some(103) }
    );
}

#[test]
fn a_code_is_of_the_seed_that_it_was_checked_against() {
    let mut world = World::enrolled();
    let of = |seed: &str| Proof::Totp { step: 101, seed: seed.to_owned() };
    assert_eq!(world.open("t", of("forgotten"), NOW), PeopleReply::Used);
    opened(world.open("t", of("sealed"), NOW));
}

#[test]
fn a_recovery_code_is_used_once() {
    let mut world = World::enrolled();
    let codes = PeopleReply::Codes(vec![mark("r1"), mark("r2")]);
    assert_eq!(world.attempt(Attempt::Recovery, NOW), codes);
    let reply = world.open("t", Proof::Recovery(mark("r1")), NOW);
    assert!(matches!(reply, PeopleReply::Opened { recovery_left: 1, .. }), "{reply:?}");
    assert_eq!(world.open("t", Proof::Recovery(mark("r1")), NOW), PeopleReply::Used);
    assert_eq!(world.open("t", Proof::Recovery(mark("r3")), NOW), PeopleReply::Used);
    assert_eq!(world.attempt(Attempt::Recovery, NOW), PeopleReply::Codes(vec![mark("r2")]));
}

#[test]
fn without_an_app_there_is_nothing_to_try() {
    let mut world = World(People::default());
    for _ in 0..10 {
        for attempt in [Attempt::Totp, Attempt::Recovery, Attempt::Enrolment, Attempt::Confirmation]
        {
            assert_eq!(world.attempt(attempt, NOW), PeopleReply::Nothing);
        }
    }
    for proof in [totp(1), Proof::Recovery(mark("r"))] {
        assert_eq!(world.open("t", proof, NOW), PeopleReply::Used);
    }
    assert!(!opened(world.open("t", Proof::Key, NOW)).second_factor);
    assert!(opened(world.open("t", ACCESS, NOW)).second_factor);
}

#[test]
fn enrolling_takes_the_code_and_counts_once_it_is_proved() {
    let mut world = World(People::default());
    let end = NOW.plus(INVITATION);
    assert_eq!(world.ask(invite("i"), NOW), PeopleReply::Invited { expires_at: end });
    assert_eq!(world.attempt(Attempt::Enrolment, NOW), PeopleReply::Codes(vec![mark("i")]));
    assert_eq!(world.attempt(Attempt::Confirmation, NOW), PeopleReply::Nothing);
    let enrol =
        |code: &str, seed: &str| PeopleRequest::Enrol { digest: mark(code), seed: seed.to_owned() };
    assert_eq!(world.ask(enrol("other", "s0"), NOW), PeopleReply::Used);
    assert_eq!(world.ask(enrol("i", "s1"), NOW), PeopleReply::Done);
    // The picture was lost before it was proved.
    assert_eq!(world.ask(enrol("i", "s2"), NOW), PeopleReply::Done);
    assert_eq!(world.attempt(Attempt::Totp, NOW), PeopleReply::Nothing, "not before it is proved");
    let against = PeopleReply::Totp { seed: "s2".into(), last: None };
    assert_eq!(world.attempt(Attempt::Confirmation, NOW), against);
    let confirm = |seed: &str| PeopleRequest::Confirm {
        seed: seed.to_owned(),
        step: 7,
        recovery: vec![mark("r")],
    };
    assert_eq!(world.ask(confirm("s1"), NOW), PeopleReply::Used, "the one before");
    assert_eq!(world.ask(confirm("s2"), NOW), PeopleReply::Done);
    assert_eq!(world.ask(confirm("s2"), NOW), PeopleReply::Used);
    assert_eq!(world.ask(enrol("i", "s3"), NOW), PeopleReply::Used, "the code is used");
    assert_eq!(world.attempt(Attempt::Enrolment, NOW), PeopleReply::Nothing);
    let against = PeopleReply::Totp { seed: "s2".into(), last: Some(7) };
    assert_eq!(world.attempt(Attempt::Totp, NOW), against);
}

#[test]
fn an_enrolment_code_ends() {
    let mut world = World(People::default());
    world.ask(invite("i"), NOW);
    let enrol = PeopleRequest::Enrol { digest: mark("i"), seed: "s".into() };
    let end = NOW.plus(INVITATION);
    let before = end.minus(Millis::millis(1));
    assert_eq!(world.ask(enrol.clone(), before), PeopleReply::Done);
    for attempt in [Attempt::Enrolment, Attempt::Confirmation] {
        assert_ne!(world.attempt(attempt, before), PeopleReply::Nothing);
        assert_eq!(world.attempt(attempt, end), PeopleReply::Nothing);
    }
    assert_eq!(world.ask(enrol, end), PeopleReply::Used);
    let confirm = PeopleRequest::Confirm { seed: "s".into(), step: 1, recovery: Vec::new() };
    assert_eq!(world.ask(confirm, end), PeopleReply::Used);
}

#[test]
fn a_new_enrolment_code_forgets_what_was_enrolled() {
    let mut world = World::enrolled();
    opened(world.open("t", totp(101), NOW));
    for _ in 0..6 {
        world.attempt(Attempt::Totp, NOW);
    }
    world.ask(invite("again"), NOW);
    assert_eq!(world.find("t", NOW), PeopleReply::Over);
    assert_eq!(world.attempt(Attempt::Totp, NOW), PeopleReply::Nothing);
    assert_eq!(world.attempt(Attempt::Recovery, NOW), PeopleReply::Nothing);
    assert_eq!(world.attempt(Attempt::Enrolment, NOW), PeopleReply::Codes(vec![mark("again")]));
    let enrol = PeopleRequest::Enrol { digest: mark("invitation"), seed: "s".into() };
    assert_eq!(world.ask(enrol, NOW), PeopleReply::Used, "the code before");
}

#[test]
fn a_session_lives_as_long_as_its_kind_and_no_longer_than_its_key() {
    let mut world = World::enrolled();
    let session = opened(world.open("t", totp(101), NOW));
    let end = NOW.plus(Millis::hours(12));
    let view = SessionView { kind: SessionKind::Console, expires_at: end, second_factor: true };
    assert_eq!(session, view);
    let found = PeopleReply::Session { record: Box::new(key()), session };
    assert_eq!(world.find("t", end.minus(Millis::millis(1))), found);
    assert_eq!(world.find("t", end), PeopleReply::Over);
    assert_eq!(world.find("other", NOW), PeopleReply::NoSession);
    let open = |digest, kind| PeopleRequest::Open { digest, kind, proof: Proof::Key };
    let cli = opened(world.ask(open(mark("c"), SessionKind::Cli), NOW));
    assert_eq!(cli.expires_at, NOW.plus(Millis::minutes(15)));
    assert_eq!(world.find("c", NOW), PeopleReply::NoSession, "shown as a cookie");
    let until = |until| Proof::Access { until };
    assert_eq!(opened(world.open("a", until(at(90)), NOW)).expires_at, at(90));
    assert_eq!(opened(world.open("b", until(end.plus(Millis::secs(1))), NOW)).expires_at, end);
    let mut ends = key();
    ends.expires_at = at(60);
    let (reply, _) = world.0.answer(&ends, open(mark("e"), SessionKind::Console), NOW);
    assert_eq!(opened(reply).expires_at, at(60));
}

#[test]
fn a_session_is_of_one_key_and_ends_with_it() {
    let mut world = World::enrolled();
    opened(world.open("t", Proof::Key, NOW));
    let other = record("zbcdefghij012345");
    let open =
        PeopleRequest::Open { digest: mark("o"), kind: SessionKind::Console, proof: Proof::Key };
    opened(world.0.answer(&other, open, NOW).0);
    let seen = |world: &World, key: &KeyRecord, token: &str| match world.0.look(
        &key.id,
        &shown(token),
        NOW,
    ) {
        Seen::Live(_) => "live",
        Seen::Over => "over",
        Seen::Never => "never",
    };
    assert_eq!(seen(&world, &other, "t"), "never");
    assert!(world.0.end_sessions_of(&key().id));
    assert!(!world.0.end_sessions_of(&key().id));
    assert_eq!(seen(&world, &key(), "t"), "over");
    assert_eq!(seen(&world, &other, "o"), "live");
}

#[test]
fn a_session_is_closed_for_good() {
    let mut world = World::enrolled();
    opened(world.open("t", Proof::Key, NOW));
    opened(world.open("u", Proof::Key, NOW));
    assert_eq!(world.ask(PeopleRequest::Close(shown("other")), NOW), PeopleReply::NoSession);
    assert_eq!(world.ask(PeopleRequest::Close(shown("t")), NOW), PeopleReply::Done);
    assert_eq!(world.find("t", NOW), PeopleReply::Over);
    assert!(matches!(world.find("u", NOW), PeopleReply::Session { .. }));
}

#[test]
fn of_too_many_sessions_the_oldest_ends_and_those_that_are_over_first() {
    let mut world = World::enrolled();
    for n in 0..20 {
        opened(world.open(&format!("t{n}"), Proof::Key, at(n)));
    }
    world.ask(PeopleRequest::Close(shown("t5")), at(20));
    opened(world.open("t20", Proof::Key, at(20)));
    opened(world.open("t21", Proof::Key, at(21)));
    let live: Vec<u64> = (0..22)
        .filter(|n| matches!(world.find(&format!("t{n}"), at(22)), PeopleReply::Session { .. }))
        .collect();
    let expected: Vec<u64> = (1..22).filter(|n| *n != 5).collect();
    assert_eq!(live, expected);
    // A day after their end they are forgotten.
    let later = at(22).plus(Millis::hours(36));
    assert_eq!(world.find("t21", later), PeopleReply::Over);
    opened(world.open("u", Proof::Key, later));
    assert_eq!(world.find("t21", later), PeopleReply::NoSession);
}

#[test]
fn nothing_of_it_shows_a_secret() {
    let world = World::enrolled();
    let shown = format!("{:?}", world.0);
    assert!(!shown.contains("mac"), "{shown}");
}
