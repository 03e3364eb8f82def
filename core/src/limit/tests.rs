use super::*;
use crate::time::Millis;

fn rate(requests: u32, window: Millis) -> Rate {
    Rate::new(requests, window).unwrap()
}

#[test]
fn a_rate_has_room_and_a_whole_window() {
    for (requests, window, fits, why) in [
        (1, Millis::secs(1), true, "the least"),
        (1_000_000, Millis::hours(24), true, "the most"),
        (0, Millis::secs(1), false, "a limit of nothing is a route that should not be there"),
        (1_000_001, Millis::secs(1), false, "more than is counted"),
        (1, Millis::millis(999), false, "shorter than a second"),
        (1, Millis::millis(1_500), false, "headers tell whole seconds"),
        (1, Millis::millis(86_401_000), false, "longer than a day"),
        (1, Millis::ZERO, false, "no window"),
    ] {
        assert_eq!(Rate::new(requests, window).is_ok(), fits, "{requests} {window}: {why}");
    }
}

#[test]
fn limits_are_written_as_people_write_them() {
    let by = LimitBy::KeyParam("channel".to_owned());
    let limit = Limit::by_rate("messages", rate(60, Millis::minutes(1)), by).unwrap();
    let text =
        r#"{"name":"messages","rate":{"requests":60,"window":"1m"},"by":"key+param:channel"}"#;
    assert_eq!(serde_json::to_string(&limit).unwrap(), text);
    assert_eq!(serde_json::from_str::<Limit>(text).unwrap(), limit);

    let short = r#"{"name":"a","rate":{"requests":1,"window":"1s"}}"#;
    assert_eq!(*serde_json::from_str::<Limit>(short).unwrap().by(), LimitBy::Key);

    for (text, error) in [
        (r#"{"name":"A","rate":{"requests":1,"window":"1s"}}"#, "not a limit's name"),
        (r#"{"name":"","rate":{"requests":1,"window":"1s"}}"#, "not a limit's name"),
        (r#"{"name":"a","rate":{"requests":0,"window":"1s"}}"#, "1 to 1000000 requests"),
        (r#"{"name":"a","rate":{"requests":1,"window":"48h"}}"#, "1s to 24h"),
        (r#"{"name":"a","rate":{"requests":1,"window":"soon"}}"#, "`soon` is not a duration"),
        (r#"{"name":"a","rate":{"requests":1.5,"window":"1s"}}"#, "invalid type"),
        (r#"{"name":"a","rate":{"requests":-1,"window":"1s"}}"#, "invalid value"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s","burst":9}}"#, "unknown field"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s"},"quota":1}"#, "invalid type"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s"},"by":"tennant"}"#, "\"tenant\"?"),
        (r#"{"name":"a"}"#, "a `rate`, a `bucket`, a `quota` or a `concurrency`"),
        (r#"{"name":"a","concurrency":0}"#, "1 to 1000000 requests can be in flight"),
        (r#"{"name":"a","concurrency":1000001}"#, "1 to 1000000 requests can be in flight"),
        (r#"{"name":"a","concurrency":2,"mode":"leased"}"#, "cannot be leased"),
        (r#"{"name":"a","quota":{"requests":0,"per":"day"}}"#, "a quota allows 1 to"),
        (r#"{"name":"a","quota":{"requests":9,"per":"week"}}"#, "unknown variant"),
        (
            r#"{"name":"a","bucket":{"rate":{"requests":1,"window":"1s"},"burst":0}}"#,
            "a bucket holds 1 to 1000000",
        ),
        (
            concat!(
                r#"{"name":"a","rate":{"requests":1,"window":"1s"},"#,
                r#""bucket":{"rate":{"requests":1,"window":"1s"},"burst":1}}"#
            ),
            "a `rate` or a `bucket`, not both",
        ),
    ] {
        let wrong = serde_json::from_str::<Limit>(text).unwrap_err().to_string();
        assert!(wrong.contains(error), "{text}: {wrong}");
    }
}

#[test]
fn a_limit_may_have_several_measures_in_one_order() {
    let text = concat!(
        r#"{"name":"a","bucket":{"rate":{"requests":10,"window":"1s"},"burst":100},"#,
        r#""quota":{"requests":200,"per":"month"},"concurrency":5,"by":"tenant"}"#
    );
    let limit: Limit = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&limit).unwrap(), text);
    let kinds: Vec<Kind> = limit.measures().iter().map(|measure| measure.kind()).collect();
    assert_eq!(kinds, [Kind::TokenBucket, Kind::Quota, Kind::Concurrency]);
    assert_eq!((limit.rate(), limit.mode(), limit.by()), (None, Mode::Exact, &LimitBy::Tenant));

    let leased = r#"{"name":"a","quota":{"requests":9,"per":"hour"},"by":"key","mode":"leased"}"#;
    let limit: Limit = serde_json::from_str(leased).unwrap();
    assert_eq!(limit.mode(), Mode::Leased);
    assert_eq!(serde_json::to_string(&limit).unwrap(), leased);
}

#[test]
fn a_fiftieth_is_reserved_and_a_second_is_leased() {
    let of_rate = |requests| Measure::Rate(rate(requests, Millis::minutes(1)));
    let quota = |requests| Measure::Quota(Quota::new(requests, Period::Day).unwrap());
    let bucket = |requests, window, burst| Bucket::new(rate(requests, window), burst).unwrap();
    for (measure, reserve) in [
        (of_rate(1), 1),
        (of_rate(99), 1),
        (of_rate(100), 2),
        (of_rate(6_000), 120),
        (of_rate(1_000_000), 1_000),
        (quota(u32::MAX), 1_000),
        (Measure::Concurrency(Concurrency::new(500).unwrap()), 10),
        (Measure::TokenBucket(bucket(6_000, Millis::minutes(1), 100)), 2),
    ] {
        assert_eq!(measure.reserve(), reserve, "{measure:?}");
    }
    for (window, lasts) in
        [(Millis::secs(1), 20), (Millis::secs(50), 1_000), (Millis::hours(24), 1_000)]
    {
        assert_eq!(rate(1, window).lease(), Millis::millis(lasts));
    }
    for (bucket, fills, ahead, leased) in [
        (bucket(10, Millis::secs(1), 100), 10_000, 1, 99),
        (bucket(100, Millis::minutes(1), 10), 6_000, 2, 8),
        (bucket(6_000, Millis::minutes(1), 100), 1_000, 100, 0),
        (bucket(7, Millis::secs(3), 1), 429, 1, 0),
    ] {
        let told = (bucket.fills_in().as_millis(), bucket.ahead(), bucket.leased_burst());
        assert_eq!(told, (fills, ahead, leased), "{bucket:?}");
    }
}

#[test]
fn periods_are_those_of_the_calendar() {
    let read = |text| crate::time::UnixMillis::parse_rfc3339(text).unwrap();
    for (per, at, start, end) in [
        (Period::Hour, "2026-11-22T03:43:49Z", "2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z"),
        (Period::Day, "2026-12-31T23:59:59.999Z", "2026-12-31", "2027-01-01"),
        (Period::Month, "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01"),
        (Period::Month, "2026-12-01", "2026-12-01", "2027-01-01"),
    ] {
        assert_eq!(per.around(read(at)), (read(start), read(end)), "{per} of {at}");
    }
}

#[test]
fn what_a_limit_is_counted_by_is_read_or_refused_with_the_mend() {
    for (text, of_key) in [
        ("key", true),
        ("key+address", true),
        ("key+param:channel", true),
        ("tenant", false),
        ("route", false),
        ("address", false),
    ] {
        let by = LimitBy::parse(text).unwrap();
        assert_eq!((by.to_string().as_str(), by.is_of_key()), (text, of_key));
    }
    for (text, error) in [
        ("key+adress", "by = \"key+adress\" is unknown: did you mean \"key+address\"?"),
        ("Key", "by = \"Key\" is unknown: did you mean \"key\"?"),
        (
            "",
            "by = \"\" is unknown: use key, key+address, key+param:NAME, tenant, route or address",
        ),
        (
            "key+param:",
            "by = \"key+param:\": after key+param: comes the name of a parameter of the route's path",
        ),
        (
            "key+param:a b",
            "by = \"key+param:a b\": after key+param: comes the name of a parameter of the route's path",
        ),
    ] {
        assert_eq!(LimitBy::parse(text).unwrap_err().to_string(), error);
    }
}

#[test]
fn names_stand_in_headers_and_storage_keys_as_they_are() {
    for (name, valid) in [
        ("default", true),
        ("a", true),
        ("per-minute_2", true),
        ("12345678901234567890123456789012", true),
        ("123456789012345678901234567890123", false),
        ("", false),
        ("Default", false),
        ("a b", false),
        ("a:b", false),
        ("a\"b", false),
        ("ä", false),
    ] {
        assert_eq!(valid_limit_name(name), valid, "{name}");
    }
}

#[test]
fn charges_go_over_the_wire_without_what_is_usual() {
    let of = |measure| Charge {
        limit: "a".to_owned(),
        bucket: String::new(),
        measure,
        cost: 1,
        shadow: false,
        leased: false,
    };
    let by_rate = of(Measure::Rate(rate(60, Millis::minutes(1))));
    let bucket = Bucket::new(rate(10, Millis::secs(1)), 20).unwrap();
    for (charge, text) in [
        (by_rate.clone(), r#"{"limit":"a","rate":{"requests":60,"window":"1m"}}"#),
        (
            of(Measure::TokenBucket(bucket)),
            r#"{"limit":"a","token_bucket":{"rate":{"requests":10,"window":"1s"},"burst":20}}"#,
        ),
        (
            of(Measure::Quota(Quota::new(9, Period::Day).unwrap())),
            r#"{"limit":"a","quota":{"requests":9,"per":"day"}}"#,
        ),
        (
            of(Measure::Concurrency(Concurrency::new(5).unwrap())),
            r#"{"limit":"a","concurrency":5}"#,
        ),
        (
            Charge { bucket: "b".to_owned(), cost: 0, shadow: true, leased: true, ..by_rate },
            concat!(
                r#"{"limit":"a","bucket":"b","rate":{"requests":60,"window":"1m"},"#,
                r#""cost":0,"shadow":true,"leased":true}"#
            ),
        ),
    ] {
        assert_eq!(serde_json::to_string(&charge).unwrap(), text);
        assert_eq!(serde_json::from_str::<Charge>(text).unwrap(), charge);
    }
}

#[test]
fn verdicts_go_over_the_wire_without_what_is_usual() {
    let standing = Standing {
        limit: "default".to_owned(),
        kind: Kind::Rate,
        quota: 60,
        window: Millis::minutes(1),
        remaining: 0,
        resets_in: Millis::secs(2),
    };
    let quota = Standing { kind: Kind::Quota, ..standing.clone() };
    for (verdict, text) in [
        (
            Verdict::Limited {
                standings: vec![standing.clone()],
                exceeded: vec!["default".to_owned()],
                retry_after: Millis::secs(2),
                would_limit: vec![],
            },
            concat!(
                r#"{"limited":{"standings":[{"limit":"default","quota":60,"window":60000,"#,
                r#""remaining":0,"resets_in":2000}],"exceeded":["default"],"retry_after":2000}}"#
            ),
        ),
        (
            Verdict::Admitted {
                standings: vec![quota],
                would_limit: vec![],
                at: crate::time::UnixMillis::from_millis(5),
                grant: Some(Grant { requests: 7, lasts: Millis::secs(1) }),
            },
            concat!(
                r#"{"admitted":{"standings":[{"limit":"default","kind":"quota","quota":60,"#,
                r#""window":60000,"remaining":0,"resets_in":2000}],"at":5,"#,
                r#""grant":{"requests":7,"lasts":1000}}}"#
            ),
        ),
    ] {
        assert_eq!(serde_json::to_string(&verdict).unwrap(), text);
        assert_eq!(serde_json::from_str::<Verdict>(text).unwrap(), verdict);
    }
    let earlier = r#"{"admitted":{"standings":[]}}"#;
    assert!(serde_json::from_str::<Verdict>(earlier).unwrap().is_admitted());
}
