//! What can be wrong with `[[route]]`.

use serde_json::json;

use super::judge;

#[test]
fn names_and_paths() {
    judge(&[
        (
            "a route of nothing",
            &[("route[4]", json!({}))],
            &[
                ("route[4].name", "is missing"),
                ("route[4].path", "is missing"),
                ("route[4].methods", "is missing"),
                ("route[4].auth", "is missing"),
                ("route[4]", "needs an `upstream` or a `mock`"),
            ],
        ),
        ("a typo", &[("route[0].orgins", json!([]))], &[("route[0].orgins", "unknown field")]),
        (
            "a name twice",
            &[("route[1].name", json!("invoice"))],
            &[("route[1].name", "another route has this name")],
        ),
        (
            "no name",
            &[("route[0].name", json!("in voice"))],
            &[("route[0].name", "\"in voice\" is not a name")],
        ),
        (
            "the gate's own corner, in any case",
            &[("route[2].path", json!("/_Tollgate/v1"))],
            &[("route[2].path", "paths below /_tollgate belong to the gate itself")],
        ),
        (
            "a path that never arrives",
            &[("route[2].path", json!("/v1/../status"))],
            &[("route[2].path", "a dot segment: `..`")],
        ),
        (
            "the same method on the same path, whatever its parameter is called",
            &[("route[2].path", json!("/v1/invoices/{number}"))],
            &[("route[2].path", "GET here goes to route \"invoice\" (/v1/invoices/{id}) already")],
        ),
        (
            "every method twice",
            &[
                ("route[1].path", json!("/v1/status")),
                ("route[1].methods", json!(["*"])),
                ("route[1].allow_unsafe", json!(true)),
                ("route[2].methods", json!("*")),
            ],
            &[(
                "route[2].path",
                "every request here goes to route \"prices\" (/v1/status) already",
            )],
        ),
        (
            "one segment and many at the same place",
            &[("route[2].path", json!("/v1/files/{name}"))],
            &[("route[3].path", "collides with route \"status\" (/v1/files/{name})")],
        ),
    ]);
}

#[test]
fn methods() {
    judge(&[
        (
            "lower case is another method",
            &[("route[0].methods", json!(["get"]))],
            &[("route[0].methods[0]", "methods are compared with their case")],
        ),
        (
            "none",
            &[("route[0].methods", json!([]))],
            &[("route[0].methods", "a route has at least one method: name it, or write [\"*\"]")],
        ),
        (
            "all, and one of them",
            &[("route[0].methods", json!(["*", "GET"]))],
            &[("route[0].methods", "`*` stands for all methods: write it alone, or name each")],
        ),
        (
            "twice",
            &[("route[0].methods", json!(["GET", "GET"]))],
            &[("route[0].methods[1]", "stands in the list twice")],
        ),
        (
            "no page can send it",
            &[("route[0].methods", json!(["TRACE"]))],
            &[("route[0].methods", "no page can send `TRACE`: leave it out")],
        ),
        (
            "no method at all",
            &[("route[3].methods", json!(["P T"]))],
            &[("route[3].methods", "\"P T\" is no method name")],
        ),
    ]);
}

#[test]
fn targets() {
    judge(&[
        (
            "an upstream that is not there",
            &[("route[0].upstream", json!("biling"))],
            &[("route[0].upstream", "there is no upstream \"biling\"")],
        ),
        (
            "two targets",
            &[("route[0].mock", json!({}))],
            &[("route[0].mock", "a route has an `upstream` or a `mock`, not both")],
        ),
        (
            "none in production",
            &[
                ("route[2].mock", json!(null)),
                ("environment.dev.route.status.mock", json!({"body": "{}"})),
            ],
            &[("route[2]", "needs an `upstream` or a `mock`")],
        ),
        (
            "an answer that cannot have a body",
            &[("route[2].mock", json!({"status": 204, "body": "x"}))],
            &[("route[2].mock.body", "an answer with status 204 has no body")],
        ),
        (
            "a type that would be two headers",
            &[("route[2].mock", json!({"content_type": "text/plain\r\nX: y"}))],
            &[("route[2].mock.content_type", "\"text/plain\\r\\nX: y\" is not a media type")],
        ),
        (
            "another path for nobody",
            &[("route[2].rewrite", json!("/status"))],
            &[("route[2].rewrite", "needs an `upstream`")],
        ),
        (
            "a parameter that the path does not have",
            &[("route[0].rewrite", json!("/invoices/{idd}"))],
            &[("route[0].rewrite", "the path has no parameter `{idd}`")],
        ),
        (
            "many segments in the place of one",
            &[("route[3].rewrite", json!("/files/{rest}"))],
            &[("route[3].rewrite", "`{rest}` is `{*rest}` in the path")],
        ),
        (
            "a body limit beyond any platform, in a unit of tens",
            &[("route[0].body_limit", json!("6GiB")), ("route[3].body_limit", json!("1MB"))],
            &[
                ("route[0].body_limit", "must be at most 5GiB"),
                ("route[3].body_limit", "\"1MB\" is not a size"),
            ],
        ),
    ]);
}

#[test]
fn who_may_pass() {
    judge(&[
        (
            "an unknown way",
            &[("route[0].auth", json!("keys"))],
            &[("route[0].auth", "\"keys\" is unknown")],
        ),
        (
            "a write on the word of a page",
            &[("route[1].methods", json!(["GET", "POST"]))],
            &[(
                "route[1].methods",
                "`auth = \"origin\"` proves little: other methods than GET, HEAD and OPTIONS must \
                 be meant",
            )],
        ),
        (
            "permission for what is not forbidden",
            &[("route[0].allow_unsafe", json!(true))],
            &[("route[0].allow_unsafe", "is for `auth = \"origin\"` only")],
        ),
        (
            "an origin route without origins and without a limit",
            &[("route[1].origins", json!(null)), ("route[1].limits", json!(null))],
            &[
                ("route[1].origins", "is missing: `auth = \"origin\"` lets listed origins in"),
                (
                    "route[1].limits",
                    "`auth = \"origin\"` needs a limit by address: an `Origin` can be forged",
                ),
            ],
        ),
        (
            "things of a key where there is none",
            &[
                ("route[2].scopes", json!(["a:read"])),
                ("route[2].tenant", json!([{"header": "X-Company"}])),
                ("route[2].passthrough", json!(["authorization"])),
            ],
            &[
                ("route[2].scopes", "needs `auth = \"key\"`: here is no key to take it from"),
                ("route[2].tenant", "needs `auth = \"key\"`: here is no key to take it from"),
                ("route[2].passthrough", "needs `auth = \"key\"`: here is no key to take it from"),
            ],
        ),
        (
            "scopes that are none",
            &[("route[0].scopes", json!(["invoices", "invoices:*", "invoices:read:{number}"]))],
            &[
                (
                    "route[0].scopes[0]",
                    "`invoices` is not a scope: write resource:action or resource:action:id",
                ),
                (
                    "route[0].scopes[1]",
                    "`*` in `invoices:*`: a route requires one permission; only keys hold `*`",
                ),
                ("route[0].scopes[2]", "the path has no parameter `{number}`"),
            ],
        ),
        (
            "many segments in a scope",
            &[("route[3].scopes", json!(["files:write:{rest}"]))],
            &[("route[3].scopes[0]", "`{*rest}` may hold slashes")],
        ),
        (
            "all of these and one of those",
            &[("route[0].any_scopes", json!(["a:read"]))],
            &[("route[0].any_scopes", "a route has `scopes` or `any_scopes`, not both")],
        ),
        (
            "one of none",
            &[("route[0].scopes", json!(null)), ("route[0].any_scopes", json!([]))],
            &[("route[0].any_scopes", "names no scope")],
        ),
    ]);
}

#[test]
fn limits_of_a_route() {
    judge(&[
        (
            "a limit that is not there, and one twice",
            &[("route[0].limits", json!(["defalt", "default", "default"]))],
            &[
                ("route[0].limits[0]", "there is no limit \"defalt\""),
                ("route[0].limits[2]", "stands in the list twice"),
            ],
        ),
        (
            "counted by what the route does not have",
            &[
                ("limit.customer", json!({"quota": {"requests": 9, "per": "day"}, "by": "tenant"})),
                ("route[1].limits", json!(["stranger", "visitor"])),
                ("route[2].limits", json!(["default", "channel", "customer"])),
            ],
            &[
                ("route[1].limits[1]", "limit \"visitor\" counts by key: here are none"),
                ("route[2].limits[0]", "limit \"default\" counts by key: here are none"),
                ("route[2].limits[1]", "limit \"channel\" counts by key: here are none"),
                ("route[2].limits[2]", "limit \"customer\" counts by tenant: here are none"),
            ],
        ),
        (
            "counted by a parameter that the path does not have",
            &[("route[3].limits", json!(["channel"]))],
            &[("route[3].limits[0]", "the path has no parameter `{id}`")],
        ),
        (
            "counted by many segments",
            &[
                ("route[3].limits", json!(["channel"])),
                ("limit.channel.by", json!("key+param:rest")),
            ],
            &[
                ("route[0].limits[1]", "the path has no parameter `{rest}`"),
                ("route[3].limits[0]", "`{*rest}` may hold slashes"),
            ],
        ),
    ]);
}

#[test]
fn what_is_passed_on() {
    let takes_authorization = [("route[0].passthrough", json!(["authorization"]))];
    let cookie = [
        ("upstream.billing.credential.name", json!("Cookie")),
        ("route[0].keep_cookies", json!(true)),
    ];
    judge(&[
        (
            "the client's authorization where the gate's own is",
            &takes_authorization,
            &[(
                "route[0].passthrough",
                "the credential of upstream \"billing\" is in `authorization` already",
            )],
        ),
        (
            "the client's cookies where the gate's own are",
            &cookie,
            &[(
                "route[0].keep_cookies",
                "the credential of upstream \"billing\" is in `cookie` already",
            )],
        ),
        (
            "another header",
            &[("route[0].passthrough", json!(["cookie"]))],
            &[("route[0].passthrough[0]", "\"cookie\" is unknown")],
        ),
        (
            "tenant places of all wrong kinds",
            &[(
                "route[0].tenant",
                json!([
                    {},
                    {"header": "X-A", "query": "a"},
                    {"header": "Authorization"},
                    {"header": "host"},
                    {"query": "a b"},
                    {"param": "company"},
                    {"header": "X-B"},
                    {"header": "x-b"},
                    {"cookie": "c"}
                ]),
            )],
            &[
                ("route[0].tenant[0]", "names one place: `header`, `query`, `param` or `json`"),
                ("route[0].tenant[1]", "names one place: `header`, `query`, `param` or `json`"),
                ("route[0].tenant[2].header", "`Authorization` carries a credential"),
                ("route[0].tenant[3].header", "`host` is not for a policy to set"),
                ("route[0].tenant[4].query", "\"a b\" is not a name for a query parameter"),
                ("route[0].tenant[5].param", "the path has no parameter `{company}`"),
                ("route[0].tenant[7]", "stands in the list twice"),
                ("route[0].tenant[8].cookie", "unknown field"),
                ("route[0].tenant[8]", "names one place: `header`, `query`, `param` or `json`"),
            ],
        ),
        (
            "the tenant in the place of a secret",
            &[
                (
                    "upstream.billing.credential",
                    json!({"type": "query", "name": "token", "value": "${secret:T}"}),
                ),
                ("route[0].tenant", json!([{"query": "token"}])),
            ],
            &[("route[0].tenant[0].query", "`token` carries a credential")],
        ),
    ]);
}

#[test]
fn dates() {
    judge(&[
        (
            "a deprecation without a beginning, with an end before it",
            &[
                ("route[0].deprecated", json!({"sunset": "2027-06-01"})),
                (
                    "route[1].deprecated",
                    json!({"since": "2027-06-01", "sunset": "2026-06-01", "link": "docs.html"}),
                ),
                ("route[3].deprecated", json!({"since": "June"})),
            ],
            &[
                ("route[0].deprecated.since", "is missing"),
                ("route[1].deprecated.sunset", "must not be before `since`"),
                ("route[1].deprecated.link", "must be an address that begins with https://"),
                ("route[3].deprecated.since", "\"June\" is not a date"),
            ],
        ),
        (
            "shadow for too long, for nothing, and for what cannot be in shadow",
            &[
                ("route[0].shadow", json!({"checks": ["limits"], "until": "2026-07-02"})),
                ("route[1].shadow", json!({"checks": [], "until": "2026-06-02"})),
                ("route[2].shadow", json!({"checks": ["scope"], "until": "2026-06-02"})),
                ("route[3].shadow", json!({"checks": ["signature"]})),
            ],
            &[
                ("route[0].shadow.until", "must be within 30 days: not after 2026-07-01T00:00:00Z"),
                ("route[1].shadow.checks", "names no check"),
                ("route[2].shadow.checks[0]", "\"scope\" is unknown"),
                ("route[3].shadow.checks[0]", "\"signature\" is unknown"),
                ("route[3].shadow.until", "is missing"),
            ],
        ),
        (
            "shadow that is over is no error: the policy was good when it was deployed",
            &[("route[0].shadow", json!({"checks": ["limits"], "until": "2026-05-01"}))],
            &[],
        ),
    ]);
}
