use super::*;
use crate::origin::{SingleLabels, parse_list};
use crate::time::Millis;

const APP: &str = "https://app.example.com";
const EXPOSED: &str = "RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, \
                       X-RateLimit-Reset, X-Request-Id, Retry-After, Idempotency-Replayed, \
                       Deprecation, Sunset, Link, WWW-Authenticate";
const THREE_NAMES: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

fn listed(origins: &[&str]) -> AllowedOrigins {
    AllowedOrigins::List(parse_list(origins.iter().copied(), &SingleLabels).unwrap())
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn build(
    origins: AllowedOrigins,
    methods: &[&str],
    config: CorsConfig,
    implicit: &[&str],
) -> CorsPolicy {
    CorsPolicy::build(origins, texts(methods), config, implicit).unwrap()
}

/// A route with a key: what most routes are.
fn key_route() -> CorsPolicy {
    let config = CorsConfig { headers: texts(&["Content-Type"]), ..CorsConfig::default() };
    build(listed(&[APP]), &["GET", "PUT"], config, &["authorization", "x-api-key"])
}

fn open_route() -> CorsPolicy {
    let config =
        CorsConfig { headers: texts(&["*"]), expose: texts(&["*"]), ..CorsConfig::default() };
    build(AllowedOrigins::Any, &["*"], config, &[])
}

/// These headers and nothing more, in this order.
fn assert_headers(grant: &Grant, expected: &[(&str, &str)], reason: &str) {
    let headers: Vec<(&str, &str)> =
        grant.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(headers, expected, "{reason}");
}

#[test]
fn a_preflight_is_told_from_other_requests() {
    let preflight = |headers| Arrival::Preflight { origin: APP, method: "PUT", headers };
    let actual = Arrival::Actual { origin: APP };
    for (method, origin, asked, headers, expected, reason) in [
        ("GET", None, None, None, Arrival::NoOrigin, "no page of another origin"),
        ("OPTIONS", None, Some("PUT"), None, Arrival::NoOrigin, "a preflight has an origin"),
        ("GET", Some(APP), None, None, actual, "a page"),
        ("OPTIONS", Some(APP), None, None, actual, "an OPTIONS request of its own"),
        ("GET", Some(APP), Some("PUT"), None, actual, "a preflight is an OPTIONS request"),
        ("options", Some(APP), Some("PUT"), None, actual, "methods have a case"),
        ("OPTIONS", Some(APP), Some("PUT"), None, preflight(None), "a preflight"),
        ("OPTIONS", Some(APP), Some("PUT"), Some("a"), preflight(Some("a")), "with headers"),
    ] {
        assert_eq!(classify(method, origin, asked, headers), expected, "{reason}");
    }
}

#[test]
fn a_granted_preflight_has_these_headers_and_nothing_more() {
    let origin = ("Access-Control-Allow-Origin", APP);
    let methods = ("Access-Control-Allow-Methods", "GET, PUT");
    let max_age = ("Access-Control-Max-Age", "7200");
    let vary = ("Vary", THREE_NAMES);
    for (asked, headers, reason) in [
        (None, None, "none asked"),
        (Some(""), None, "an empty list"),
        (Some(" ,\t, "), None, "empty entries, as proxies leave them"),
        (Some("content-type"), Some("content-type"), "one asked"),
        (
            Some("authorization,content-type"),
            Some("authorization, content-type"),
            "an implicit one too",
        ),
        (Some("Content-TYPE"), Some("content-type"), "names have no case"),
        (Some("x-api-key , content-type,\tx-api-key"), Some("x-api-key, content-type"), "blanks"),
    ] {
        let grant = key_route().preflight(APP, "PUT", asked, false).unwrap();
        let headers = headers.map(|names| ("Access-Control-Allow-Headers", names));
        let expected =
            [Some(origin), Some(methods), headers, Some(max_age), Some(vary)].into_iter().flatten();
        assert_headers(&grant, &expected.collect::<Vec<_>>(), reason);
    }
}

#[test]
fn a_refused_preflight_says_what_was_wrong() {
    let header = |name: &str| CorsRefusal::Header(name.to_owned());
    let long = "x".repeat(5_000);
    let many = "content-type,".repeat(200);
    let blanks = format!("x{}x", " ".repeat(20_000));
    for (origin, method, headers, expected, reason) in [
        ("https://evil.example", "PUT", None, CorsRefusal::Origin, "another origin"),
        ("null", "PUT", None, CorsRefusal::Origin, "an opaque origin"),
        ("", "PUT", None, CorsRefusal::Origin, "an empty origin"),
        (APP, "DELETE", None, CorsRefusal::Method, "another method"),
        (APP, "put", None, CorsRefusal::Method, "methods have a case"),
        (APP, "", None, CorsRefusal::Method, "no method"),
        (APP, "PUT", Some("x-other"), header("x-other"), "another header"),
        (APP, "PUT", Some("content-type,x-other"), header("x-other"), "the first one refused"),
        (APP, "PUT", Some("content-type;x"), header("content-type;x"), "another separator"),
        (APP, "PUT", Some("content type"), header("content type"), "a blank inside"),
        (APP, "PUT", Some("a\u{b}\u{e9}\0"), header("a???"), "shown in print only"),
        (APP, "PUT", Some("*"), header("*"), "a wildcard sent by a client"),
        (APP, "PUT", Some(&long), header(&"x".repeat(64)), "too long, and not told whole"),
        (APP, "PUT", Some(&many), header("content-type"), "too many"),
        (APP, "PUT", Some(&blanks), header(&format!("x{}", " ".repeat(63))), "too long"),
    ] {
        let refusal = key_route().preflight(origin, method, headers, true).unwrap_err();
        assert_eq!(refusal, expected, "{reason}");
    }
    assert_headers(&key_route().refused(), &[("Vary", "Origin")], "a refusal grants nothing");
}

#[test]
fn an_actual_answer_has_these_headers_and_nothing_more() {
    let grant = key_route().actual(APP, false).unwrap();
    let expected = [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Expose-Headers", EXPOSED),
        ("Vary", "Origin"),
    ];
    assert_headers(&grant, &expected, "a listed origin");
    assert_headers(&key_route().without_origin(), &[("Vary", "Origin")], "caches must know");
    assert_eq!(key_route().actual("https://evil.example", true), Err(CorsRefusal::Origin));
}

#[test]
fn credentials_and_own_settings_show_in_the_headers() {
    let config = CorsConfig {
        credentials: true,
        headers: texts(&["X-Own", "x-own", "Idempotency-Key"]),
        expose: texts(&["X-Total", "ratelimit"]),
        max_age: Some(Millis::secs(600)),
    };
    let route = build(listed(&["https://*.example.com"]), &["POST"], config, &["idempotency-key"]);
    let grant = route.preflight(APP, "POST", Some("idempotency-key,x-own"), false).unwrap();
    let expected = [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Methods", "POST"),
        ("Access-Control-Allow-Headers", "idempotency-key, x-own"),
        ("Access-Control-Max-Age", "600"),
        ("Vary", THREE_NAMES),
    ];
    assert_headers(&grant, &expected, "a preflight");
    let exposed = format!("{EXPOSED}, X-Total");
    let expected = [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", exposed.as_str()),
        ("Vary", "Origin"),
    ];
    assert_headers(&route.actual(APP, false).unwrap(), &expected, "an actual answer");
}

#[test]
fn a_route_for_every_origin_says_the_same_to_all() {
    let route = open_route();
    let exposed = format!("{EXPOSED}, *");
    let expected =
        [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", exposed.as_str())];
    for origin in [APP, "null", ""] {
        assert_headers(&route.actual(origin, false).unwrap(), &expected, "never reflected");
    }
    assert_headers(&route.without_origin(), &expected, "a cache may keep it for pages");
    let grant = route.preflight("null", "PURGE", Some("x-any"), false).unwrap();
    let expected = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "*"),
        ("Access-Control-Allow-Headers", "x-any"),
        ("Access-Control-Max-Age", "7200"),
        ("Vary", THREE_NAMES),
    ];
    assert_headers(&grant, &expected, "a preflight");
    for (method, headers, refusal) in [
        ("TRACE", None, CorsRefusal::Method),
        ("a b", None, CorsRefusal::Method),
        ("GET", Some("authorization"), CorsRefusal::Header("authorization".to_owned())),
        ("GET", Some("Authorization"), CorsRefusal::Header("authorization".to_owned())),
    ] {
        assert_eq!(route.preflight(APP, method, headers, false), Err(refusal), "{method}");
    }
}

#[test]
fn authorization_passes_a_wildcard_when_it_is_named() {
    let config = CorsConfig { headers: texts(&["*", "Authorization"]), ..CorsConfig::default() };
    let route = build(AllowedOrigins::Any, &["GET"], config, &[]);
    assert!(route.preflight(APP, "GET", Some("authorization,x-any"), false).is_ok());
}

#[test]
fn origins_of_keys_are_decided_by_who_knows_the_keys() {
    let keys = build(AllowedOrigins::Keys, &["GET"], CorsConfig::default(), &["x-api-key"]);
    let nobody = build(AllowedOrigins::None, &["GET"], CorsConfig::default(), &[]);
    for (route, listed, expected, reason) in [
        (&keys, true, true, "a live key lists it"),
        (&keys, false, false, "no key lists it"),
        (&nobody, true, false, "the route has no origins, whatever keys say"),
    ] {
        assert_eq!(route.actual(APP, listed).is_ok(), expected, "{reason}");
        assert_eq!(route.preflight(APP, "GET", None, listed).is_ok(), expected, "{reason}");
        assert_headers(&route.without_origin(), &[("Vary", "Origin")], reason);
    }
    let grant = keys.actual(APP, true).unwrap();
    assert_eq!(grant.headers.first(), Some(&("Access-Control-Allow-Origin", APP.to_owned())));
}

#[test]
fn what_would_not_work_in_a_browser_does_not_build() {
    let with = |headers: &[&str], expose: &[&str]| CorsConfig {
        headers: texts(headers),
        expose: texts(expose),
        ..CorsConfig::default()
    };
    let max_age = |span| CorsConfig { max_age: Some(span), ..CorsConfig::default() };
    let list = || listed(&[APP]);
    for (origins, methods, config, fields, reason) in [
        (listed(&[]), &["GET"][..], with(&[], &[]), &["origins"][..], "no origin"),
        (list(), &[], with(&[], &[]), &["methods"], "no method"),
        (list(), &["résumé"], with(&[], &[]), &["methods"], "no token"),
        (list(), &["TRACE", "Track", "connect"], with(&[], &[]), &["methods"; 3], "forbidden"),
        (list(), &["*", "GET"], with(&[], &[]), &["methods"], "all and one"),
        (list(), &["GET"], with(&["", "a b", "ü"], &[]), &["headers"; 3], "no names"),
        (list(), &["GET"], with(&["Sec-Foo", "proxy-x"], &[]), &["headers"; 2], "forbidden"),
        (list(), &["GET"], with(&["Cookie", "Host"], &[]), &["headers"; 2], "forbidden"),
        (
            list(),
            &["GET"],
            with(&["Access-Control-Allow-Origin"], &[]),
            &["headers"],
            "an answer's",
        ),
        (list(), &["GET"], with(&[], &["", "Set-Cookie"]), &["expose"; 2], "not readable"),
        (list(), &["GET"], max_age(Millis::secs(86_401)), &["max_age"], "longer than a day"),
        (list(), &["GET"], max_age(Millis::millis(500)), &["max_age"], "no whole seconds"),
        (
            AllowedOrigins::Any,
            &["*"],
            CorsConfig { credentials: true, ..with(&["*"], &["*"]) },
            &["credentials", "methods", "headers", "expose"],
            "wildcards with credentials, all told at once",
        ),
    ] {
        let errors = CorsPolicy::build(origins, texts(methods), config, &[]).unwrap_err();
        let told: Vec<&str> = errors.iter().map(|error| error.field).collect();
        assert_eq!(told, fields, "{reason}");
        assert!(errors.iter().all(|error| !error.to_string().is_empty()), "{reason}");
    }
}

#[test]
fn the_edges_of_what_builds() {
    for (max_age, seconds) in [(Millis::ZERO, "0"), (Millis::hours(24), "86400")] {
        let config = CorsConfig { max_age: Some(max_age), ..CorsConfig::default() };
        let grant = build(listed(&[APP]), &["GET"], config, &[]).preflight(APP, "GET", None, false);
        assert!(grant.unwrap().headers.contains(&("Access-Control-Max-Age", seconds.to_owned())));
    }
    let names = CorsConfig { headers: texts(&["X-Sec", "Cookies"]), ..CorsConfig::default() };
    assert!(CorsPolicy::build(listed(&[APP]), texts(&["PATCH", "purge"]), names, &[]).is_ok());
}
