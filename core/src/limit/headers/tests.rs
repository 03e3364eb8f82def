use super::*;
use crate::time::Millis;

fn standing(limit: &str, quota: u32, remaining: u32, resets_in: u64) -> Standing {
    Standing {
        limit: limit.to_owned(),
        kind: Kind::Rate,
        quota,
        window: Millis::minutes(1),
        remaining,
        resets_in: Millis::millis(resets_in),
    }
}

fn in_flight(quota: u32, remaining: u32) -> Standing {
    let (kind, window) = (Kind::Concurrency, Millis::ZERO);
    Standing { kind, window, ..standing("flight", quota, remaining, 1_000) }
}

fn admitted(standings: Vec<Standing>) -> Verdict {
    let at = crate::time::UnixMillis::from_millis(1);
    Verdict::Admitted { standings, would_limit: vec!["shadow".to_owned()], at, grant: None }
}

fn limited(standings: Vec<Standing>, exceeded: &[&str], wait: u64) -> Verdict {
    let exceeded = exceeded.iter().map(|name| (*name).to_owned()).collect();
    let retry_after = Millis::millis(wait);
    Verdict::Limited { standings, exceeded, retry_after, would_limit: vec![] }
}

/// The three headers for older clients.
fn older(verdict: &Verdict) -> Vec<String> {
    let headers = rate_limit_headers(verdict);
    let older = headers.iter().filter(|(name, _)| name.starts_with("X-RateLimit-"));
    older.map(|(_, value)| value.clone()).collect()
}

#[test]
fn an_admission_tells_every_limit_and_the_tightest_to_old_clients() {
    let verdict =
        admitted(vec![standing("default", 60, 59, 59_001), standing("visitor", 10, 9, 1)]);
    assert_eq!(
        rate_limit_headers(&verdict),
        [
            ("RateLimit-Policy", "\"default\";q=60;w=60, \"visitor\";q=10;w=60".to_owned()),
            ("RateLimit", "\"default\";r=59;t=60, \"visitor\";r=9;t=1".to_owned()),
            ("X-RateLimit-Limit", "10".to_owned()),
            ("X-RateLimit-Remaining", "9".to_owned()),
            ("X-RateLimit-Reset", "1".to_owned()),
        ]
    );
}

#[test]
fn every_kind_is_told_in_its_own_words() {
    let of = |limit, kind, secs| Standing {
        kind,
        window: Millis::secs(secs),
        ..standing(limit, 200, 199, 500)
    };
    let verdict = admitted(vec![
        of("all", Kind::Rate, 60),
        of("flow", Kind::TokenBucket, 20),
        of("all.quota", Kind::Quota, 86_400),
        in_flight(5, 4),
    ]);
    assert_eq!(
        rate_limit_headers(&verdict)[..2],
        [
            (
                "RateLimit-Policy",
                "\"all\";q=200;w=60, \"flow\";q=200;w=20, \"all.quota\";q=200;w=86400, \
                 \"flight\";q=5;qu=\"concurrent-requests\""
                    .to_owned()
            ),
            (
                "RateLimit",
                "\"all\";r=199;t=1, \"flow\";r=199;t=1, \"all.quota\";r=199;t=1, \
                 \"flight\";r=4;t=1"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn a_refusal_tells_of_the_limit_that_refused_and_when_to_come_back() {
    // The cost was 5: the second limit has less left, and the first one refuses.
    let standings = vec![standing("costly", 60, 3, 2_000), standing("cheap", 60, 2, 9_000)];
    assert_eq!(
        rate_limit_headers(&limited(standings, &["costly"], 4_100)),
        [
            ("RateLimit-Policy", "\"costly\";q=60;w=60, \"cheap\";q=60;w=60".to_owned()),
            ("RateLimit", "\"costly\";r=3;t=2, \"cheap\";r=2;t=9".to_owned()),
            ("X-RateLimit-Limit", "60".to_owned()),
            ("X-RateLimit-Remaining", "3".to_owned()),
            ("X-RateLimit-Reset", "2".to_owned()),
            ("Retry-After", "5".to_owned()),
        ]
    );
}

#[test]
fn ties_go_to_the_longer_wait_and_retry_after_is_never_zero() {
    let standings = vec![standing("short", 10, 0, 1_000), standing("long", 20, 0, 8_000)];
    let headers = rate_limit_headers(&limited(standings, &["short", "long"], 0));
    assert!(headers.contains(&("X-RateLimit-Limit", "20".to_owned())));
    assert!(headers.contains(&("Retry-After", "1".to_owned())));
}

#[test]
fn older_clients_are_told_of_what_is_in_flight_only_where_it_matters() {
    for (verdict, told, why) in [
        (
            admitted(vec![standing("default", 60, 59, 60_000), in_flight(5, 0)]),
            ["60", "59", "60"],
            "it has less left, and says nothing about how often to ask",
        ),
        (admitted(vec![in_flight(5, 4)]), ["5", "4", "1"], "there is no other"),
        (
            limited(vec![standing("default", 60, 0, 60_000), in_flight(5, 0)], &["flight"], 1_000),
            ["5", "0", "1"],
            "it refuses",
        ),
        (
            limited(
                vec![in_flight(5, 0), standing("default", 60, 0, 60_000)],
                &["flight", "default"],
                60_000,
            ),
            ["60", "0", "60"],
            "both refuse, the other for longer",
        ),
    ] {
        assert_eq!(older(&verdict), told, "{why}");
    }
}

#[test]
fn without_limits_there_is_nothing_to_tell() {
    assert_eq!(rate_limit_headers(&admitted(vec![])), []);
}
