use super::*;
use crate::limit::{Kind, Measure, Rate};

fn at(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(1_800_000_000_000 + ms)
}

fn ms(ms: u64) -> Millis {
    Millis::millis(ms)
}

fn name(object: &str) -> LeaseName {
    name_of(object, 60)
}

/// The same of a limit with a window of so many seconds.
fn name_of(object: &str, secs: u64) -> LeaseName {
    let measure = Measure::Rate(Rate::new(6_000, Millis::secs(secs)).unwrap());
    let (limit, bucket) = ("default".to_owned(), String::new());
    let charge = Charge { limit, bucket, measure, cost: 2, shadow: false, leased: true };
    LeaseName::new(object, Some(("key", 3)), &[charge])
}

fn standings(remaining: u32) -> Vec<Standing> {
    vec![Standing {
        limit: "default".to_owned(),
        kind: Kind::Rate,
        quota: 6_000,
        window: Millis::minutes(1),
        remaining,
        resets_in: ms(900),
    }]
}

const fn grant(requests: u32, lasts: u64) -> Grant {
    Grant { requests, lasts: Millis::millis(lasts) }
}

/// An isolate that asked at 100 and was granted so many for a second.
fn granted(requests: u32) -> Leases {
    let mut leases = Leases::default();
    assert_eq!(leases.wish(&name("key"), at(0)), 0, "one request is not worth it");
    assert_eq!(leases.wish(&name("key"), at(100)), 4, "two in a second are, if it goes on so");
    leases.take(&name("key"), Some(grant(requests, 1_000)), &standings(99), at(100), at(140));
    leases
}

/// What `spend` says must be asked for, or nothing to be had.
fn renewals(leases: &mut Leases, times: impl IntoIterator<Item = u64>) -> Vec<Option<u32>> {
    times
        .into_iter()
        .map_while(|now| leases.spend(&name("key"), at(now)).map(|spent| spent.renew))
        .collect()
}

#[test]
fn names_say_object_key_version_charges_and_cost() {
    assert_eq!(name("family").name, "family key 3 default:60:*2");
    assert_ne!(name("family"), name("familz"));
    let of = |key| LeaseName::new("family", key, &[]);
    let names = [of(None), of(Some(("a", 1))), of(Some(("b", 1))), of(Some(("a", 2)))];
    for (at, one) in names.iter().enumerate() {
        assert_eq!(names.iter().position(|other| other == one), Some(at), "{one:?}");
    }
}

#[test]
fn a_lease_is_spent_to_the_last_and_until_the_time_since_it_was_asked_for() {
    let mut leases = granted(3);
    assert_eq!(leases.spend(&name("other"), at(150)), None);
    assert_eq!(renewals(&mut leases, [150, 150, 150, 150]).len(), 3, "and not one more");

    let mut leases = granted(3);
    assert_eq!(renewals(&mut leases, [150, 1_099, 1_100]).len(), 2, "not from when it came");

    let mut leases = granted(3);
    leases.end(&name("key"));
    assert_eq!(leases.spend(&name("key"), at(150)), None);
    assert_eq!(leases.wish(&name("key"), at(150)), 0, "and its demand is another one's");
}

#[test]
fn one_question_is_under_way_at_a_time() {
    let mut leases = Leases::default();
    let wishes = |leases: &mut Leases, times: &[u64]| -> Vec<u32> {
        times.iter().map(|now| leases.wish(&name("key"), at(*now))).collect()
    };
    assert_eq!(wishes(&mut leases, &[0, 1, 2, 3]), [0, 4, 0, 0]);
    assert_eq!(wishes(&mut leases, &[3_000]), [0], "it may still be answered");
    assert_eq!(wishes(&mut leases, &[3_001, 3_002]), [4, 0], "not any more");
    leases.take(&name("key"), Some(grant(4, 1_000)), &[], at(1), at(3_003));
    assert_eq!(leases.spend(&name("key"), at(3_003)), None, "an answer that came too late");
    leases.take(&name("key"), None, &[], at(3_001), at(3_010));
    assert_eq!(wishes(&mut leases, &[3_011, 4_009]), [0, 0], "there was nothing to be had");
    assert_eq!(wishes(&mut leases, &[4_010]), [4], "as in the second before");
}

#[test]
fn more_is_asked_for_in_time() {
    // Of 30: while 10 are left, or an eighth of the second.
    let mut leases = granted(30);
    let asked = renewals(&mut leases, 150..180);
    let at_first = asked.iter().position(Option::is_some);
    assert_eq!((asked.len(), at_first), (30, Some(20)), "the 21st leaves 9");
    assert_eq!(asked[20], Some(37), "twice the 23 of this second so far, less what is left");
    assert_eq!(asked.iter().flatten().count(), 1);

    let mut leases = granted(30);
    let asked = renewals(&mut leases, [150, 975, 976]);
    assert_eq!(asked, [None, None, Some(9)], "124 ms are left, for one of ten");
}

#[test]
fn as_much_is_asked_for_as_was_needed() {
    let mut leases = Leases::default();
    let each_ten = |leases: &mut Leases, from: u64, to: u64| {
        let mut asked = Vec::new();
        for now in (from..to).step_by(10) {
            let renew = match leases.spend(&name("key"), at(now)) {
                Some(spent) => spent.renew,
                None => Some(leases.wish(&name("key"), at(now))).filter(|wish| *wish > 0),
            };
            if let Some(ahead) = renew {
                asked.push(ahead);
                leases.take(&name("key"), Some(grant(ahead, 1_000)), &[], at(now), at(now));
            }
        }
        asked
    };
    let ramp = each_ten(&mut leases, 0, 2_000);
    assert!(ramp.len() <= 8 && ramp[..4].is_sorted(), "{ramp:?}: twice as many each time");
    let steady = each_ten(&mut leases, 2_000, 10_000);
    assert!((760..=840).contains(&steady.iter().sum::<u32>()), "{steady:?}: 100 a second");
    assert!(steady.len() <= 13, "{} questions in 8 s", steady.len());

    let idle: Vec<u32> = (10..30).map(|n| leases.wish(&name("key"), at(n * 2_000))).collect();
    assert_eq!(idle[2..], [0; 18], "seldom: not worth it");
}

#[test]
fn short_leases_are_sized_to_their_time() {
    // A window of a second is leased for 20 ms.
    let quick = name_of("key", 1);
    for (gap, most, why) in [(10, 0, "2 in 20 ms: not worth it"), (1, 20, "20 in 20 ms")] {
        let mut leases = Leases::default();
        let mut wishes = Vec::new();
        for now in (0..5_000).step_by(gap) {
            if leases.spend(&quick, at(now)).is_none() {
                wishes.push(leases.wish(&quick, at(now)));
                leases.take(&quick, None, &[], at(now), at(now));
            }
        }
        assert_eq!(wishes.last_chunk::<100>().unwrap().iter().max(), Some(&most), "{why}");
    }
}

#[test]
fn the_grant_that_ends_first_is_spent_first() {
    let mut leases = granted(30);
    let asked = renewals(&mut leases, [150, 151, 980]);
    assert!(asked[2].is_some());
    leases.take(&name("key"), Some(grant(5, 1_000)), &[], at(980), at(981));
    let ends: Vec<u64> = (0..40)
        .map_while(|n| leases.spend(&name("key"), at(982 + n)))
        .map(|spent| spent.ends.since(at(0)).as_millis())
        .collect();
    assert_eq!(ends.iter().filter(|ends| **ends == 1_100).count(), 27);
    assert_eq!(ends.iter().filter(|ends| **ends == 1_980).count(), 5);
    assert!(ends.is_sorted());
}

#[test]
fn what_is_given_back_goes_where_it_came_from() {
    let mut leases = granted(3);
    let spent = leases.spend(&name("key"), at(150)).unwrap();
    assert_eq!(spent.ends, at(1_100));
    assert_eq!(renewals(&mut leases, [150, 150, 150]).len(), 2);
    leases.give_back(&name("key"), at(1_101), at(160));
    leases.give_back(&name("other"), at(1_100), at(160));
    assert_eq!(leases.spend(&name("key"), at(160)), None, "another grant, another name");
    leases.give_back(&name("key"), spent.ends, at(160));
    assert_eq!(renewals(&mut leases, [160, 160]).len(), 1);
    leases.give_back(&name("key"), spent.ends, at(1_100));
    assert_eq!(leases.spend(&name("key"), at(1_100)), None, "it has ended");

    let mut leases = granted(3);
    leases.give_back(&name("key"), at(1_100), at(150));
    assert_eq!(renewals(&mut leases, [150; 5]).len(), 3, "never more than was granted");
}

#[test]
fn a_clock_that_steps_back_ends_all_leases() {
    let mut leases = granted(30);
    assert!(leases.spend(&name("key"), at(150)).is_some());
    assert_eq!(leases.spend(&name("key"), at(149)), None);
    assert_eq!(leases.spend(&name("key"), at(150)), None, "for good");

    // A question that was under way is not believed: nobody knows how long ago it was asked.
    let mut leases = Leases::default();
    let _ = leases.wish(&name("key"), at(0));
    assert_eq!(leases.wish(&name("key"), at(1)), 4);
    let _ = leases.wish(&name("key"), at(0));
    leases.take(&name("key"), Some(grant(4, 1_000)), &[], at(1), at(5));
    assert_eq!(leases.spend(&name("key"), at(5)), None);
}

#[test]
fn standings_are_what_is_left_beside_the_lease() {
    let mut leases = granted(30);
    let told = |leases: &mut Leases, now| {
        let spent = leases.spend(&name("key"), at(now)).unwrap();
        let Standing { remaining, resets_in, .. } = spent.standings[0];
        (remaining, resets_in.as_millis(), spent.renew)
    };
    assert_eq!(told(&mut leases, 150), (99, 850, None), "and time goes on since it was asked");
    assert_eq!(told(&mut leases, 400), (99, 600, None));
    assert_eq!(told(&mut leases, 980), (74, 20, Some(9)), "less what is being asked for");
    leases.take(&name("key"), Some(grant(9, 1_000)), &standings(80), at(980), at(990));
    assert_eq!(told(&mut leases, 990), (80, 890, None));
}

#[test]
fn of_answers_that_cross_the_smaller_counts() {
    let mut leases = granted(30);
    let left = |leases: &mut Leases, now| {
        leases.spend(&name("key"), at(now)).unwrap().standings[0].remaining
    };
    leases.learn(&name("key"), &standings(70), at(200));
    assert_eq!(left(&mut leases, 200), 70);
    leases.learn(&name("key"), &[], at(210));
    leases.learn(&name("other"), &standings(1), at(210));
    assert_eq!(left(&mut leases, 210), 70);
    assert!(leases.spend(&name("key"), at(980)).unwrap().renew.is_some());
    leases.learn(&name("key"), &standings(60), at(1_000));
    leases.take(&name("key"), Some(grant(9, 1_000)), &standings(65), at(980), at(1_010));
    assert_eq!(left(&mut leases, 1_010), 60, "asked before, answered after");
    leases.learn(&name("key"), &standings(80), at(1_020));
    assert_eq!(left(&mut leases, 1_020), 80, "and some came free");
}

#[test]
fn memory_is_bounded() {
    let mut leases = Leases::default();
    for n in 0..10_000 {
        let _ = leases.wish(&name(&format!("key{n}")), at(n / 100));
    }
    assert_eq!(leases.held.len(), MAX_NAMES);
    assert_eq!(leases.wish(&name("key9999"), at(101)), 0, "not known, so not leased");
    assert_eq!(leases.wish(&name("key7"), at(101)), 4, "the known go on");
    assert_eq!(leases.wish(&name("new"), at(4_000)), 0);
    assert_eq!(leases.held.len(), 1, "those that nobody asks for make room");

    let mut leases = granted(30);
    for n in 0_u32..20 {
        let held = leases.held.get_mut(&name("key")).unwrap();
        held.asked_at = Some(at(200));
        leases.take(&name("key"), Some(grant(n + 1, 500)), &[], at(200), at(200));
    }
    let held = &leases.held[&name("key")];
    assert_eq!(held.grants.len(), MAX_GRANTS);
    assert_eq!(held.grants.iter().map(|grant| grant.left).min(), Some(14), "the least is lost");
}
