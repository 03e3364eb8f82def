use super::*;
use crate::tenant::tests::{at, job};

#[test]
fn a_job_walks_from_its_list_to_a_late_look_that_finds_nothing() {
    let mut job = job(JobKind::Revoke, "1");
    let late = at(5_000);
    for (listed, now, step) in [
        (Listed::Due, at(0), Step::Change),
        (Listed::Later(at(70)), at(1), Step::Wait(at(70))),
        (Listed::Done, at(2), Step::Wait(late)),
        (Listed::Due, at(9_000), Step::Change),
        (Listed::Done, late, Step::Settle(None)),
    ] {
        assert_eq!(job.next(listed, now), step, "{listed:?}");
    }
    job.settled(Some("acme".into()), true, late);
    assert_eq!(job.next(Listed::Done, late), Step::Settle(Some("acme".into())));
    job.settled(Some("beta".into()), false, late);
    job.settled(None, false, late);
    let again = late.plus(AGAIN);
    assert_eq!(job.next(Listed::Done, late), Step::Wait(again), "acme has something open");
    assert_eq!(job.next(Listed::Done, again), Step::Settle(None), "all over again");
    job.settled(None, false, again);
    assert_eq!(job.next(Listed::Due, again), Step::Change, "what was found on the way");
    assert_eq!(job.next(Listed::Done, again), Step::Look);
    assert!(!job.looked(true, again));
    assert_eq!(job.next(Listed::Due, again), Step::Change);
    assert_eq!(job.next(Listed::Done, again), Step::Look);
    assert!(job.looked(false, again));
    assert_eq!(job.state(), JobState::Done);
    for listed in [Listed::Done, Listed::Due, Listed::Later(at(1))] {
        assert_eq!(job.next(listed, again), Step::Rest);
    }
    assert_eq!(job.ends(), Some(again.plus(Millis::days(30))));
}

#[test]
fn a_tag_is_of_each_key_and_the_rest_of_whole_families() {
    let id = KeyId::parse("abcdefghij012345").unwrap();
    let target = |tag: Option<&str>| Target { tag: tag.map(str::to_owned), ..Target::default() };
    for (target, whole_family) in [(target(None), true), (target(Some("web")), false)] {
        let job = Job { target, ..job(JobKind::Revoke, "1") };
        assert_eq!(job.change(id.clone()), Change::Revoke { id: id.clone(), whole_family });
    }
    let of = |kind| job(kind, "1").change(id.clone());
    assert_eq!(of(JobKind::Suspend), Change::Suspend { id: id.clone() });
    assert_eq!(of(JobKind::Resume), Change::Resume { id: id.clone() });
}

#[test]
fn of_off_and_on_the_last_one_counts_and_nothing_else_gives_way() {
    let off = Job { turn: 2, ..job(JobKind::Suspend, "2") };
    let on = Job { turn: 3, ..job(JobKind::Resume, "1") };
    let same = Job { id: "3".into(), ..off.clone() };
    let revoke = job(JobKind::Revoke, "0");
    assert!(off.gives_way_to(&on) && !on.gives_way_to(&off));
    assert!(off.gives_way_to(&same) && !same.gives_way_to(&off) && !off.gives_way_to(&off));
    assert!(!revoke.gives_way_to(&on) && !off.gives_way_to(&revoke));
    let target = Target { tenant: Some("beta".into()), ..Target::default() };
    assert!(!off.gives_way_to(&Job { target, ..on.clone() }));
    let ended = Job { finished_at: Some(at(9)), ..off };
    assert!(!ended.gives_way_to(&on));
}

#[test]
fn one_that_another_took_the_place_of_has_ended_and_says_so() {
    let mut off = Job { turn: 2, ..job(JobKind::Suspend, "1") };
    let on = Job { turn: 3, ..job(JobKind::Resume, "2") };
    off.superseded(&on, 4, at(9));
    assert_eq!((off.state(), off.tally.failed), (JobState::Done, 4));
    assert_eq!(off.next(Listed::Due, at(9)), Step::Rest);
    assert_eq!(off.done_event(at(9)).detail.get("superseded_by"), Some(&json!("2")));
    assert!(Job::in_flight_until(at(0)) >= at(0).plus(LOST), "as long as any call may take");
}

#[test]
fn pauses_grow_to_ten_minutes() {
    let pauses: Vec<u64> = (0..4).map(|tries| pause(tries).as_millis()).collect();
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000]);
    assert_eq!(pause(11), Millis::minutes(10));
    assert_eq!(pause(u32::MAX), Millis::minutes(10));
}

#[test]
fn an_event_names_the_job_and_stands_once() {
    let job = Job { tally: Tally { total: 7, ..Tally::default() }, ..job(JobKind::Revoke, "j1") };
    let event = job.done_event(at(3));
    assert_eq!((event.kind.as_str(), event.tenant.as_str()), ("job.done", "acme"));
    assert_eq!(event.once.as_deref(), Some("job.done/j1"));
    assert_eq!(
        json!(event.detail),
        json!({"job": "j1", "kind": "revoke", "total": 7, "skipped": 0})
    );
    let all = Job { target: Target { tag: Some("web".into()), ..Target::default() }, ..job };
    assert_eq!(all.done_event(at(3)).tenant, "*");
}
