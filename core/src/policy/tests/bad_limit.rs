//! What can be wrong with `[limit]`, and with what a route makes of its limits.

use serde_json::json;

use super::judge;

const BUCKET_ALIKE: &str = "a limit has a `rate` or a `bucket`, not both";
const NOT_IN_FLIGHT: &str = "a limit with `concurrency` cannot be leased: each request has to ask";

#[test]
fn measures() {
    judge(&[
        (
            "a limit of nothing",
            &[("limit.spare", json!({}))],
            &[("limit.spare", "a limit has a `rate`, a `bucket`, a `quota` or a `concurrency`")],
        ),
        (
            "a rate out of range",
            &[
                ("limit.spare.rate", json!({"requests": 0, "window": "1m"})),
                ("limit.other.rate", json!({"requests": 1, "window": "25h"})),
                ("limit.third.rate", json!({"requests": -1, "window": "1 m"})),
            ],
            &[
                (
                    "limit.spare.rate.requests",
                    "requests = 0: a rate allows 1 to 1000000 requests in its window",
                ),
                (
                    "limit.other.rate.window",
                    "window = \"25h\": a window is 1s to 24h long, in whole seconds",
                ),
                ("limit.third.rate.requests", "must be from 0 to 4294967295"),
                (
                    "limit.third.rate.window",
                    "`1 m` is not a duration: write a whole number and a unit, such as 500ms, \
                     10s, 15m, 48h or 365d",
                ),
            ],
        ),
        (
            "a bucket out of range",
            &[(
                "limit.spare.bucket",
                json!({"rate": {"requests": 1, "window": "10ms"}, "burst": 0, "size": 9}),
            )],
            &[
                (
                    "limit.spare.bucket.rate.window",
                    "window = \"10ms\": a window is 1s to 24h long, in whole seconds",
                ),
                ("limit.spare.bucket.burst", "must be from 1 to 1000000"),
                ("limit.spare.bucket.size", "unknown field"),
            ],
        ),
        (
            "half a bucket, half a quota",
            &[("limit.spare.bucket", json!({})), ("limit.other.quota", json!({}))],
            &[
                ("limit.spare.bucket.rate", "is missing"),
                ("limit.spare.bucket.burst", "is missing"),
                ("limit.other.quota.requests", "is missing"),
                ("limit.other.quota.per", "is missing"),
            ],
        ),
        (
            "a quota of nothing, in a week",
            &[("limit.spare.quota", json!({"requests": 0, "per": "week"}))],
            &[
                ("limit.spare.quota.requests", "must be from 1 to 4294967295"),
                ("limit.spare.quota.per", "\"week\" is unknown"),
            ],
        ),
        (
            "none or too many in flight",
            &[("limit.spare.concurrency", json!(0)), ("limit.other.concurrency", json!(1_000_001))],
            &[
                ("limit.spare.concurrency", "must be from 1 to 1000000"),
                ("limit.other.concurrency", "must be from 1 to 1000000"),
            ],
        ),
        (
            "a rate and a bucket",
            &[(
                "limit.default.bucket",
                json!({"rate": {"requests": 1, "window": "1s"}, "burst": 5}),
            )],
            &[("limit.default.bucket", BUCKET_ALIKE)],
        ),
        (
            "everything at once",
            &[(
                "limit.spare",
                json!({"rate": {"requests": 0, "window": "1s"}, "bucket": {"burst": 5},
                       "quota": {"requests": 1}, "concurrency": "5", "by": "tenants",
                       "mode": "lease"}),
            )],
            &[
                (
                    "limit.spare.rate.requests",
                    "requests = 0: a rate allows 1 to 1000000 requests in its window",
                ),
                ("limit.spare.bucket", BUCKET_ALIKE),
                ("limit.spare.bucket.rate", "is missing"),
                ("limit.spare.quota.per", "is missing"),
                ("limit.spare.concurrency", "must be a whole number, not a text"),
                ("limit.spare.by", "by = \"tenants\" is unknown: did you mean \"tenant\"?"),
                ("limit.spare.mode", "\"lease\" is unknown"),
            ],
        ),
    ]);
}

#[test]
fn names_and_what_is_counted_by() {
    judge(&[
        (
            "an unknown way to count",
            &[("limit.default.by", json!("keys"))],
            &[("limit.default.by", "by = \"keys\" is unknown: did you mean \"key\"?")],
        ),
        (
            "a parameter without a name",
            &[("limit.spare", json!({"concurrency": 1, "by": "key+param:"}))],
            &[(
                "limit.spare.by",
                "by = \"key+param:\": after key+param: comes the name of a parameter of the \
                 route's path",
            )],
        ),
        (
            "a name that clients could not read in a header",
            &[("limit.My Limit", json!({"rate": {"requests": 1, "window": "1s"}}))],
            &[("limit.\"My Limit\"", "\"My Limit\" is not the name of a limit")],
        ),
        (
            "a name that stands for a route's limit beside a key's",
            &[("limit.route-default", json!({"concurrency": 1}))],
            &[("limit.route-default", "\"route-default\" is not the name of a limit")],
        ),
    ]);
}

#[test]
fn what_cannot_be_leased() {
    let bucket = |requests: u32, window: &str, burst: u32| {
        json!({"bucket": {"rate": {"requests": requests, "window": window}, "burst": burst},
               "mode": "leased"})
    };
    judge(&[
        (
            "requests in flight",
            &[("limit.spare", json!({"concurrency": 5, "mode": "leased"}))],
            &[("limit.spare.mode", NOT_IN_FLIGHT)],
        ),
        (
            "not even beside a rate",
            &[("limit.default.mode", json!("leased")), ("limit.default.concurrency", json!(5))],
            &[("limit.default.mode", NOT_IN_FLIGHT)],
        ),
        (
            "a bucket that is smaller than what flows in during a lease: a second, or a fiftieth \
             of the window",
            &[
                ("limit.a", bucket(6_000, "1m", 100)),
                ("limit.b", bucket(6_000, "1m", 101)),
                ("limit.c", bucket(100, "1s", 2)),
                ("limit.d", bucket(101, "1s", 3)),
                ("limit.e", bucket(1, "24h", 1)),
                ("limit.f", bucket(1, "24h", 2)),
            ],
            &[
                (
                    "limit.a.mode",
                    "a bucket with burst = 100 cannot be leased: 100 may be given ahead while it \
                     fills",
                ),
                (
                    "limit.c.mode",
                    "a bucket with burst = 2 cannot be leased: 2 may be given ahead while it fills",
                ),
                (
                    "limit.d.mode",
                    "a bucket with burst = 3 cannot be leased: 3 may be given ahead while it fills",
                ),
                (
                    "limit.e.mode",
                    "a bucket with burst = 1 cannot be leased: 1 may be given ahead while it fills",
                ),
            ],
        ),
        (
            "a limit of a route whose requests are counted in flight",
            &[
                ("limit.default.mode", json!("leased")),
                ("limit.busy", json!({"concurrency": 5, "by": "route"})),
                ("route[0].limits", json!(["default", "busy"])),
                ("environment.dev.route.file.limits", json!(["busy", "channel"])),
                ("route[3].path", json!("/v1/files/{id}")),
                ("limit.channel.mode", json!("leased")),
            ],
            &[
                (
                    "route[0].limits",
                    "limit \"default\" is leased, and \"busy\" counts requests in flight: each of \
                     them has to ask",
                ),
                (
                    "environment.dev.route.file.limits",
                    "limit \"channel\" is leased, and \"busy\" counts requests in flight: each of \
                     them has to ask",
                ),
            ],
        ),
    ]);
}

#[test]
fn costs() {
    let limits = [
        ("limit.rated", json!({"rate": {"requests": 10, "window": "1m"}})),
        (
            "limit.filled",
            json!({"bucket": {"rate": {"requests": 6_000, "window": "1m"}, "burst": 110}}),
        ),
        (
            "limit.leased",
            json!({"bucket": {"rate": {"requests": 6_000, "window": "1m"}, "burst": 110},
                   "mode": "leased"}),
        ),
        (
            "limit.daily",
            json!({"rate": {"requests": 100, "window": "1m"},
                   "quota": {"requests": 10, "per": "day"}}),
        ),
        ("limit.busy", json!({"concurrency": 1, "by": "route"})),
    ];
    let with = |limit: &str, cost: u32| {
        let mut edits = limits.to_vec();
        edits.push(("route[3].limits", json!([limit])));
        edits.push(("route[3].cost", json!(cost)));
        edits
    };
    let too_dear = |name: &str, most: u32, cost: u32| {
        format!("limit {name} gives {most} at the most, and a request of this route costs {cost}")
    };
    for (limit, told, most) in [
        ("rated", r#""rated""#, 10),
        ("filled", r#""filled""#, 110),
        ("leased", r#""leased", leased,"#, 10),
        ("daily", r#""daily""#, 10),
    ] {
        judge(&[
            (limit, &with(limit, most), &[]),
            (
                limit,
                &with(limit, most + 1),
                &[("route[3].limits[0]", &too_dear(told, most, most + 1))],
            ),
        ]);
    }
    judge(&[
        ("of those in flight each is one", &with("busy", 1_000_000), &[]),
        (
            "nothing, and more than any limit gives",
            &[("route[0].cost", json!(0)), ("route[3].cost", json!(1_000_001))],
            &[
                ("route[0].cost", "must be from 1 to 1000000"),
                ("route[3].cost", "must be from 1 to 1000000"),
            ],
        ),
        (
            "more than one environment's limit gives",
            &[
                ("route[3].cost", json!(20)),
                ("limit.rated", json!({"rate": {"requests": 10, "window": "1m"}})),
                ("environment.dev.route.file.limits", json!(["rated"])),
            ],
            &[(
                "environment.dev.route.file.limits[0]",
                "limit \"rated\" gives 10 at the most, and a request of this route costs 20",
            )],
        ),
    ]);
}

/// An `Origin` can be forged: how many come from an address must be bounded, not only how many at
/// once.
#[test]
fn a_route_on_the_word_of_a_page_has_a_count_by_address() {
    let missing = "`auth = \"origin\"` needs a limit by address: an `Origin` can be forged";
    let rows = [
        ("a rate", json!({"rate": {"requests": 1, "window": "1s"}, "by": "address"}), true),
        (
            "a bucket",
            json!({"bucket": {"rate": {"requests": 1, "window": "1s"}, "burst": 1},
                   "by": "address"}),
            true,
        ),
        ("a quota", json!({"quota": {"requests": 1, "per": "day"}, "by": "address"}), true),
        (
            "both",
            json!({"concurrency": 1, "quota": {"requests": 1, "per": "hour"}, "by": "address"}),
            true,
        ),
        ("in flight alone", json!({"concurrency": 1, "by": "address"}), false),
        ("by the route", json!({"rate": {"requests": 1, "window": "1s"}, "by": "route"}), false),
    ];
    for (why, limit, enough) in rows {
        let edits = [("limit.it", limit), ("route[1].limits", json!(["it"]))];
        let told: &[_] = if enough { &[] } else { &[("route[1].limits", missing)] };
        judge(&[(why, &edits, told)]);
    }
}
