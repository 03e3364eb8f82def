use super::*;

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
    let limit = Limit {
        name: "messages".to_owned(),
        rate: rate(60, Millis::minutes(1)),
        by: LimitBy::KeyParam("channel".to_owned()),
    };
    let text =
        r#"{"name":"messages","rate":{"requests":60,"window":"1m"},"by":"key+param:channel"}"#;
    assert_eq!(serde_json::to_string(&limit).unwrap(), text);
    assert_eq!(serde_json::from_str::<Limit>(text).unwrap(), limit);

    let short = r#"{"name":"a","rate":{"requests":1,"window":"1s"}}"#;
    assert_eq!(serde_json::from_str::<Limit>(short).unwrap().by, LimitBy::Key);

    for (text, error) in [
        (r#"{"name":"A","rate":{"requests":1,"window":"1s"}}"#, "not a limit's name"),
        (r#"{"name":"","rate":{"requests":1,"window":"1s"}}"#, "not a limit's name"),
        (r#"{"name":"a","rate":{"requests":0,"window":"1s"}}"#, "1 to 1000000 requests"),
        (r#"{"name":"a","rate":{"requests":1,"window":"48h"}}"#, "1s to 24h"),
        (r#"{"name":"a","rate":{"requests":1,"window":"soon"}}"#, "`soon` is not a duration"),
        (r#"{"name":"a","rate":{"requests":1.5,"window":"1s"}}"#, "invalid type"),
        (r#"{"name":"a","rate":{"requests":-1,"window":"1s"}}"#, "invalid value"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s","burst":9}}"#, "unknown field"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s"},"quota":1}"#, "unknown field"),
        (r#"{"name":"a","rate":{"requests":1,"window":"1s"},"by":"tenant"}"#, "not built yet"),
    ] {
        let wrong = serde_json::from_str::<Limit>(text).unwrap_err().to_string();
        assert!(wrong.contains(error), "{text}: {wrong}");
    }
}

#[test]
fn what_a_limit_is_counted_by_is_read_or_refused_with_the_mend() {
    for text in ["key", "key+address", "key+param:channel", "address"] {
        assert_eq!(LimitBy::parse(text).unwrap().to_string(), text);
    }
    for (text, error) in [
        (
            "tenant",
            "by = \"tenant\" is not built yet: use key, key+address, key+param:NAME or address",
        ),
        (
            "route",
            "by = \"route\" is not built yet: use key, key+address, key+param:NAME or address",
        ),
        ("key+adress", "by = \"key+adress\" is unknown: did you mean \"key+address\"?"),
        ("Key", "by = \"Key\" is unknown: did you mean \"key\"?"),
        ("", "by = \"\" is unknown: use key, key+address, key+param:NAME or address"),
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
fn charges_and_verdicts_go_over_the_wire_without_what_is_usual() {
    let charge = Charge {
        limit: "default".to_owned(),
        bucket: String::new(),
        rate: rate(60, Millis::minutes(1)),
        cost: 1,
        shadow: false,
    };
    let text = r#"{"limit":"default","rate":{"requests":60,"window":"1m"}}"#;
    assert_eq!(serde_json::to_string(&charge).unwrap(), text);
    assert_eq!(serde_json::from_str::<Charge>(text).unwrap(), charge);

    let verdict = Verdict::Limited {
        standings: vec![Standing {
            limit: "default".to_owned(),
            quota: 60,
            window: Millis::minutes(1),
            remaining: 0,
            resets_in: Millis::secs(2),
        }],
        exceeded: vec!["default".to_owned()],
        retry_after: Millis::secs(2),
        would_limit: vec![],
    };
    let text = concat!(
        r#"{"limited":{"standings":[{"limit":"default","quota":60,"window":60000,"#,
        r#""remaining":0,"resets_in":2000}],"exceeded":["default"],"retry_after":2000}}"#
    );
    assert_eq!(serde_json::to_string(&verdict).unwrap(), text);
    assert_eq!(serde_json::from_str::<Verdict>(text).unwrap(), verdict);
}
