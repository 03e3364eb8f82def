//! What can be wrong with the file as a whole, `[gate]` and `[environment]`.

use serde_json::json;

use super::judge;

#[test]
fn the_good_policy_is_good() {
    judge(&[("nothing was changed", &[], &[])]);
}

#[test]
fn the_whole_file() {
    judge(&[
        ("no version", &[("version", json!(null))], &[("version", "is missing")]),
        ("another version", &[("version", json!(2))], &[("version", "this gate reads version 1")]),
        (
            "a version in words",
            &[("version", json!("1"))],
            &[("version", "must be a whole number, not a text")],
        ),
        ("a typo", &[("rout", json!([]))], &[("rout", "unknown field")]),
        (
            "a table in the place of a list of tables",
            &[("route", json!({}))],
            &[("route", "must be a list, not a table")],
        ),
        ("no gate", &[("gate", json!(null))], &[("gate", "is missing")]),
        (
            "no environment at all",
            &[("environment", json!(null))],
            &[("environment", "is missing")],
        ),
        (
            "no environment in it",
            &[("environment", json!({}))],
            &[("environment", "describes no environment")],
        ),
    ]);
}

#[test]
fn the_gate() {
    judge(&[
        ("no realm", &[("gate.realm", json!(null))], &[("gate.realm", "is missing")]),
        (
            "a realm that ends its own quotes",
            &[("gate.realm", json!("a\" b"))],
            &[(
                "gate.realm",
                "must be 1 to 64 characters of printable ASCII without `\"` and `\\`",
            )],
        ),
        (
            "a brand with the separator in it",
            &[("gate.key_brand", json!("t_g"))],
            &[("gate.key_brand", "must be 1 to 12 lower-case letters and digits, a letter first")],
        ),
        (
            "hosts that are none",
            &[("gate.hosts", json!(["api.example.com:8443", "API.example.com"]))],
            &[
                ("gate.hosts[0]", "\"api.example.com:8443\" is not a host name"),
                ("gate.hosts[1]", "hosts are written in lower case"),
            ],
        ),
        (
            "a host twice",
            &[("gate.hosts", json!(["a.example", "a.example"]))],
            &[("gate.hosts[1]", "stands in the list twice")],
        ),
        (
            "an admin host that serves routes",
            &[("gate.admin_host", json!("api.example.com"))],
            &[(
                "gate.admin_host",
                "\"api.example.com\" is among `hosts`: the admin host serves no routes",
            )],
        ),
        (
            "the same, in one environment",
            &[("environment.dev.gate.hosts", json!(["gate.example.com"]))],
            &[(
                "environment.dev.gate.hosts",
                "\"gate.example.com\" is among `hosts`: the admin host serves no routes",
            )],
        ),
        (
            "an unknown platform",
            &[("gate.platform", json!("cloudfare"))],
            &[("gate.platform", "\"cloudfare\" is unknown")],
        ),
        (
            "Cloudflare's header is believed where the client may have set it",
            &[("gate.platform", json!("workerd")), ("gate.client_ip", json!("cf-connecting-ip"))],
            &[(
                "gate.client_ip",
                "\"cf-connecting-ip\" is what the client says it is, unless Cloudflare sets it",
            )],
        ),
        (
            "the same, by an override of the platform alone",
            &[
                ("environment.dev.gate.platform", json!("workerd")),
                ("gate.client_ip", json!("cf-connecting-ip")),
            ],
            &[(
                "environment.dev.gate.platform",
                "\"cf-connecting-ip\" is what the client says it is, unless Cloudflare sets it",
            )],
        ),
        (
            "the socket of a proxy",
            &[("gate.client_ip", json!("socket"))],
            &[("gate.client_ip", "on Cloudflare the socket is Cloudflare's own")],
        ),
        (
            "a rate with a typo, and what is missing for it",
            &[("gate.failures", json!({"request": 20, "window": "1m"}))],
            &[("gate.failures.request", "unknown field"), ("gate.failures.requests", "is missing")],
        ),
        (
            "a lifetime of nothing",
            &[("gate.max_key_lifetime", json!("0s"))],
            &[("gate.max_key_lifetime", "must be from 1m to 3650d, not 0s")],
        ),
    ]);
}

/// The tag of an Access application.
const AUDIENCE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn services_that_the_gate_believes() {
    let access = |team: &str| json!({"team": team, "audience": AUDIENCE});
    judge(&[
        (
            "nothing is known of it",
            &[("gate.access", json!({})), ("gate.leak_intake", json!({}))],
            &[
                ("gate.access.team", "is missing"),
                ("gate.access.audience", "is missing"),
                ("gate.leak_intake.keys", "is missing"),
            ],
        ),
        (
            "the team's whole address, which another host could stand for",
            &[("gate.access", access("https://acme.cloudflareaccess.com"))],
            &[(
                "gate.access.team",
                "\"https://acme.cloudflareaccess.com\" is not http on this very machine",
            )],
        ),
        (
            "a team with a dot",
            &[("gate.access", access("evil.example/"))],
            &[("gate.access.team", "\"evil.example/\" is not the name of a team")],
        ),
        (
            "an audience in capitals",
            &[("gate.access", json!({"team": "acme", "audience": AUDIENCE.to_uppercase()}))],
            &[(
                "gate.access.audience",
                "must be the application's audience tag: 64 digits and a to f",
            )],
        ),
        (
            "this machine, in production",
            &[
                ("gate.access", access("http://127.0.0.1:9090")),
                ("gate.leak_intake.keys", json!("http://127.0.0.1:9090/keys")),
            ],
            &[
                ("gate.access", "not in production: its tokens would be made on this very machine"),
                ("gate.leak_intake", "not in production: anybody could change its keys"),
            ],
        ),
        (
            "this machine, in development only",
            &[
                ("environment.dev.gate.access", access("http://127.0.0.1:9090")),
                ("environment.dev.gate.leak_intake.keys", json!("http://[::1]:9090/keys")),
            ],
            &[],
        ),
        (
            "another machine in the clear, anywhere",
            &[
                ("environment.dev.gate.access", access("http://192.0.2.1:9090")),
                ("environment.dev.gate.leak_intake.keys", json!("http://keys.example/keys")),
            ],
            &[
                (
                    "environment.dev.gate.access.team",
                    "\"http://192.0.2.1:9090\" is not http on this very machine",
                ),
                (
                    "environment.dev.gate.leak_intake.keys",
                    "\"http://keys.example/keys\" is not http on this very machine",
                ),
            ],
        ),
        (
            "a reminder of nothing",
            &[("gate.rotate_after", json!("never"))],
            &[(
                "gate.rotate_after",
                "`never` is not a duration: write a whole number and a unit, such as 500ms, 10s, \
                 15m, 48h or 365d",
            )],
        ),
        (
            "a reminder before the key was used",
            &[("gate.rotate_after", json!("1h"))],
            &[("gate.rotate_after", "must be from 24h to 3650d, not 1h")],
        ),
    ]);
}

#[test]
fn anomalies() {
    judge(&[
        (
            "everything off",
            &[(
                "anomalies",
                json!({"refusals": "off", "volume": "off", "routes": "off", "countries": "off",
                       "old_keys": "off", "learn": "0s"}),
            )],
            &[],
        ),
        (
            "another word for off",
            &[("anomalies", json!({"refusals": "on", "volume": "no", "routes": "yes"}))],
            &[
                ("anomalies.refusals", "\"on\" is unknown"),
                ("anomalies.volume", "\"no\" is unknown"),
                ("anomalies.routes", "\"yes\" is unknown"),
            ],
        ),
        (
            "thresholds that are always passed",
            &[(
                "anomalies",
                json!({"refusals": {"requests": 0, "window": "1m"},
                       "volume": {"factor": 1, "at_least": 0}, "learn": "365d"}),
            )],
            &[
                (
                    "anomalies.refusals.requests",
                    "requests = 0: a rate allows 1 to 1000000 requests in its window",
                ),
                ("anomalies.volume.factor", "must be from 2 to 1000"),
                ("anomalies.volume.at_least", "must be from 1 to 1000000000"),
                ("anomalies.learn", "must be from 0s to 30d, not 365d"),
            ],
        ),
        (
            "a detector that is not there",
            &[("anomalies.country", json!("off"))],
            &[("anomalies.country", "unknown field")],
        ),
    ]);
}

#[test]
fn environments() {
    judge(&[
        (
            "production is reached by nobody",
            &[("gate.hosts", json!(null)), ("gate.admin_host", json!(null))],
            &[
                ("environment.production", "production needs `hosts`"),
                ("environment.production", "production needs an `admin_host`"),
            ],
        ),
        (
            "http shows the credential to the network",
            &[("environment.production.upstream.billing", json!("http://billing.example.com"))],
            &[(
                "environment.production.upstream.billing",
                "not in production: http shows the credential to the network",
            )],
        ),
        (
            "a page on the visitor's own machine, in production only",
            &[("route[0].origins", json!(["https://app.example.com", "http://localhost:3000"]))],
            &[(
                "route[0].origins[1]",
                "not in production: such a page is on the visitor's own machine",
            )],
        ),
        (
            "the same, by an override",
            &[("environment.production.route.invoice.origins", json!(["https://[::1]:8443"]))],
            &[(
                "environment.production.route.invoice.origins[0]",
                "not in production: such a page is on the visitor's own machine",
            )],
        ),
        (
            "an address that no upstream asks for, and the one that is asked for missing",
            &[("environment.dev.upstream", json!({"biling": "http://127.0.0.1:9090"}))],
            &[
                ("environment.dev.upstream.biling", "there is no upstream \"biling\""),
                (
                    "environment.dev",
                    "has no address for upstream \"billing\", which route \"invoice\" asks",
                ),
                (
                    "environment.dev",
                    "has no address for upstream \"billing\", which route \"prices\" asks",
                ),
                (
                    "environment.dev",
                    "has no address for upstream \"billing\", which route \"file\" asks",
                ),
            ],
        ),
        (
            "an address that is none",
            &[("environment.dev.upstream.billing", json!("127.0.0.1:9090"))],
            &[("environment.dev.upstream.billing", "must begin with https:// or http://")],
        ),
        (
            "an override of a route that is not there",
            &[("environment.dev.route.invoce", json!({"limits": []}))],
            &[("environment.dev.route.invoce", "there is no route \"invoce\"")],
        ),
        (
            "an override of a field that does not differ by environment",
            &[("environment.dev.route.invoice.scopes", json!([]))],
            &[("environment.dev.route.invoice.scopes", "unknown field")],
        ),
        (
            "an override with all the rules of the route's own fields",
            &[
                ("environment.dev.route.prices.limits", json!([])),
                ("environment.dev.route.status.origins", json!("keys")),
                ("environment.dev.route.invoice.mock", json!({"status": 99})),
            ],
            &[
                (
                    "environment.dev.route.prices.limits",
                    "`auth = \"origin\"` needs a limit by address: an `Origin` can be forged",
                ),
                (
                    "environment.dev.route.status.origins",
                    "\"keys\" is for `auth = \"key\"` only: nobody else has a key",
                ),
                ("environment.dev.route.invoice.mock.status", "must be from 200 to 599"),
            ],
        ),
        (
            "a name that no variable would hold",
            &[("environment.my env", json!({}))],
            &[("environment.\"my env\"", "\"my env\" is not a name")],
        ),
    ]);
}
