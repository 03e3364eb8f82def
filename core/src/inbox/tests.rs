use super::*;
use crate::delivery::{Attempt, Came, DEAD_KEPT, Fault, Schedule};
use crate::request::RequestId;
use crate::time::{Millis, UnixMillis};
use crate::webhook::{Failure, Sighting};

fn at(secs: u64) -> UnixMillis {
    UnixMillis::from_secs(secs)
}

fn tried(turn: &mut Turn, came: Came, now: UnixMillis) {
    let attempt = Attempt { at: now, took: Millis::millis(5), came };
    turn.tried(attempt, Schedule::STANDARD, None, Millis::hours(24), now, 0);
}

#[test]
fn an_event_goes_on_until_it_arrives_or_is_dead() {
    let down = Came::Status(503);
    let mut turn = Turn::new(at(0));
    assert_eq!((turn.state, turn.due, turn.attempts), (State::Pending, at(0), 0));
    tried(&mut turn, down, at(1));
    assert_eq!((turn.state, turn.due, turn.attempts), (State::Pending, at(6), 1));
    let mut arrived = turn.clone();
    tried(&mut arrived, Came::Status(204), at(7));
    let kept = at(7).plus(Millis::hours(24));
    assert_eq!((arrived.state, arrived.due, arrived.attempts), (State::Delivered, kept, 2));

    let mut gone = turn.clone();
    tried(&mut gone, Came::Status(410), at(7));
    assert_eq!((gone.state, gone.due), (State::Dead, at(7).plus(DEAD_KEPT)));

    for attempt in 2..10 {
        tried(&mut turn, Came::Fault(Fault::Unreachable), at(attempt * 100_000));
        assert_eq!(turn.state, State::Pending, "attempt {attempt}");
    }
    tried(&mut turn, down, at(2_000_000));
    assert_eq!((turn.state, turn.attempts), (State::Dead, 10));
    assert_eq!(turn.due, at(2_000_000).plus(DEAD_KEPT));
    assert_eq!(turn.tries.len(), 10);
}

/// What the object's statement does to a row.
fn replayed(turn: &mut Turn, now: UnixMillis) {
    *turn = Turn { tries: turn.tries.clone(), ..Turn::new(now) };
}

#[test]
fn a_replay_begins_the_schedule_anew_and_keeps_what_was() {
    let mut turn = Turn::new(at(0));
    for attempt in 0..10 {
        tried(&mut turn, Came::Status(500), at(attempt));
    }
    replayed(&mut turn, at(100));
    assert_eq!((turn.state, turn.due, turn.attempts), (State::Pending, at(100), 0));
    assert_eq!(turn.tries.len(), 10);
    for attempt in 0..10 {
        tried(&mut turn, Came::Status(501), at(200 + attempt));
    }
    assert_eq!(turn.state, State::Dead);
    replayed(&mut turn, at(300));
    tried(&mut turn, Came::Status(200), at(301));
    assert_eq!(turn.tries.len(), KEPT_ATTEMPTS);
    let statuses: Vec<_> = turn.tries.iter().filter_map(|attempt| attempt.came.status()).collect();
    // The oldest is gone, the latest is there.
    assert_eq!((statuses[0], statuses[8], statuses[9], statuses[19]), (500, 500, 501, 200));
}

#[test]
fn an_id_says_which_object_keeps_the_event() {
    let request = RequestId::new(at(1_800_000_000), &[7; 40]);
    for shard in 0..16 {
        let id = EventId::new(request.as_str(), shard);
        assert_eq!(id.shard(), shard);
        assert_eq!(EventId::parse(id.as_str()), Some(id.clone()));
        assert!(!id.as_str().contains('.'), "it is signed before a dot");
    }
    let good = EventId::new(request.as_str(), 0);
    let later = RequestId::new(at(1_800_000_001), &[0; 40]);
    assert!(EventId::new(later.as_str(), 0) > EventId::new(request.as_str(), 15));
    let whole = good.as_str();
    for bad in [
        String::new(),
        "a".to_owned(),
        whole[1..].to_owned(),
        format!("0{whole}"),
        format!("{}q", request.as_str()),
        format!("{}A", request.as_str()),
        format!("{}.a", &request.as_str()[1..]),
        format!("{}é", &request.as_str()[1..]),
    ] {
        assert_eq!(EventId::parse(&bad), None, "{bad}");
        assert!(serde_json::from_value::<EventId>(bad.into()).is_err());
    }
}

#[test]
fn events_are_spread_over_all_objects_and_one_name_always_goes_to_the_same() {
    let mut seen = [0_u32; 16];
    for number in 1..1_600 {
        let hash: u64 = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(number);
        let name = format!("i:{hash:064x}");
        let shard = shard_of(&name, 16);
        assert_eq!(shard, shard_of(&name, 16));
        assert_eq!(shard_of(&name, 1), 0);
        seen[usize::from(shard)] += 1;
    }
    assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
    assert_eq!(shard_of("", 0), 0);
}

#[test]
fn so_many_and_so_much_is_on_its_way_at_a_time() {
    let room = Room { deliveries: 3, bytes: 100 };
    let mut pace = Pace::default();
    assert!(pace.has_room(room, 1_000), "one that is too large goes alone");
    assert!(pace.start(1, 60));
    assert!(!pace.start(1, 60), "of an event one");
    assert!(pace.has_room(room, 40) && !pace.has_room(room, 41));
    assert!(pace.start(2, 40));
    assert!(!pace.has_room(room, 1) && pace.has_room(room, 0));
    assert!(pace.start(3, 0));
    assert!(!pace.has_room(room, 0));
    assert_eq!((pace.free(room), pace.len()), (0, 3));
    pace.end(1);
    assert!(pace.has_room(room, 60) && !pace.has_room(room, 61));
    assert_eq!(pace.in_flight().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn the_first_id_of_an_instant_divides_what_came_before_from_what_came_after() {
    let id = |ms, chance: u8| EventId::new(RequestId::new(at(ms), &[chance; 40]).as_str(), 5);
    let first = EventId::first_of(at(1_000));
    assert!(id(999, 61) < first && first <= id(1_000, 0));
    assert_eq!(EventId::parse(first.as_str()), Some(first.clone()));
}

#[test]
fn messages_are_read_as_they_are_written() {
    let id = EventId::new(RequestId::new(at(1), &[7; 40]).as_str(), 3);
    let received = Received {
        at: at(1),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        query: None,
        provider_id: Some("evt_1".to_owned()),
        id_reused: false,
        unverified: false,
    };
    let requests = [
        InboxRequest::Take(Take {
            id: id.clone(),
            name: "i:00".to_owned(),
            content: "11".to_owned(),
            remember: Millis::hours(72),
            received: received.clone(),
        }),
        InboxRequest::Sighting { name: "i:00".to_owned(), content: "11".to_owned() },
        InboxRequest::Refused(Refusal::new(at(1), "r", &Failure::Mismatch, false)),
        InboxRequest::Refusals { limit: 50, before: Some(7) },
        InboxRequest::List(EventQuery {
            limit: 50,
            before: Some(id.clone()),
            state: Some(State::Dead),
            since: None,
        }),
        InboxRequest::Replay {
            replay: Replay {
                ids: Some(vec![id.clone()]),
                state: WhichState::Dead,
                since: None,
                dry_run: true,
            },
            after: 7,
            asked: at(2),
        },
    ];
    for request in requests {
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<InboxRequest>(&text).unwrap(), request);
    }
    let view = EventView { id, received, size: 3, turn: Turn::new(at(1)) };
    for reply in [
        InboxReply::Taken(Taken::StoredAgain),
        InboxReply::Sighting(Sighting::IdReused),
        InboxReply::Refusals(RefusalPage::default()),
        InboxReply::Event(Box::new(view.clone()), "e30=".to_owned()),
        InboxReply::Page(EventPage { events: vec![view], more: true, looked_to: None }),
        InboxReply::Replayed { count: 2, next: Some(9) },
    ] {
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<InboxReply>(&text).unwrap(), reply);
    }
}
