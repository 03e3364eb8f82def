use super::*;
use crate::text::Secret;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn these_headers_come_off_a_request_and_nothing_more() {
    let stay =
        ["accept", "content-type", "user-agent", "origin", "if-none-match", "x-foo", "tracestate"];
    let off = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-hop",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x_forwarded_proto",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-ray",
        "x-http-method-override",
        "x-original-url",
        "x_rewrite_url",
        "x-tollgate-tenant",
        "x_tollgate_key",
        "x-api-key",
        "authorization",
        "cookie",
        "x-company-id",
        "x_company_id",
        "x-upstream-token",
        "x-request-id",
        "traceparent",
    ];
    let all: Vec<&str> = stay.iter().chain(&off).copied().collect();
    let protected = ["X-Company-Id", "x-upstream-token"];
    let edits =
        request_edits(&names(&all), Some("close, X-Hop"), Some("a=1"), Keep::default(), &protected);
    assert_eq!(edits.remove, names(&off));
    assert_eq!(edits.set, []);
}

#[test]
fn a_route_can_keep_authorization_and_cookies_but_not_the_gates_own() {
    let keep = Keep { authorization: true, cookies: true };
    let cookie = "a=1; __Host-tollgate=s; __host-tollgate-x=t;b=2";
    let edits = request_edits(&names(&["authorization", "cookie"]), None, Some(cookie), keep, &[]);
    assert_eq!(edits.remove, names(&[]));
    assert_eq!(edits.set, [("cookie".to_owned(), "a=1; b=2".to_owned())]);
    let edits = request_edits(&names(&["authorization"]), None, None, keep, &["authorization"]);
    assert_eq!(edits.remove, names(&["authorization"]), "the upstream's credential wins");
}

#[test]
fn no_spelling_of_a_protected_parameter_gets_through() {
    let protected = ["company_id", "key"];
    for (query, clean) in [
        ("a=1&b=2", "a=1&b=2"),
        ("a=%zz&&b", "a=%zz&&b"),
        ("company_id=1&a=1", "a=1"),
        ("Company-Id=1", ""),
        ("company.id=1&company+id=2&company%20id=3", ""),
        ("company%5Fid=1", ""),
        ("%63ompany_id=1", ""),
        ("company%255Fid=1", ""),
        ("company_id[]=1&company_id[x]=2&company_id%5B%5D=3", ""),
        ("a=1;company_id=2&b=3", "b=3"),
        ("key", ""),
        ("keys=1&monkey=2", "keys=1&monkey=2"),
    ] {
        assert_eq!(clean_query(Some(query), &protected).as_deref(), Some(clean), "{query}");
    }
    assert_eq!(clean_query(None, &protected), None);
    assert_eq!(clean_query(Some("x=%zz"), &[]).as_deref(), Some("x=%zz"));
    assert_eq!(encode_query_value("a b&c=d/é"), "a%20b%26c%3Dd%2F%C3%A9");
}

fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn these_headers_come_off_an_answer_and_nothing_more() {
    let answer = headers(&[
        ("content-type", "text/plain"),
        ("etag", "\"x\""),
        ("set-cookie", "a=1"),
        ("set-cookie", "__Host-tollgate=evil"),
        ("set-cookie", "b=2; Path=/"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("access-control-allow-origin", "*"),
        ("ratelimit", "x"),
        ("ratelimit-policy", "x"),
        ("ratelimit-limit", "x"),
        ("x-ratelimit-remaining", "1"),
        ("x-tollgate-tenant", "t"),
        ("service-worker-allowed", "/"),
        ("clear-site-data", "*"),
        ("x-request-id", "theirs"),
        ("www-authenticate", "Bearer"),
        ("location", "/next"),
    ]);
    let Relay::Pass { edits, cookies } = answer_edits(&answer, &LeakGuard::default(), "https://g")
    else {
        panic!("passes")
    };
    assert_eq!(
        edits.remove,
        names(&[
            "set-cookie",
            "connection",
            "x-hop",
            "transfer-encoding",
            "access-control-allow-origin",
            "ratelimit",
            "ratelimit-policy",
            "ratelimit-limit",
            "x-ratelimit-remaining",
            "x-tollgate-tenant",
            "service-worker-allowed",
            "clear-site-data",
            "x-request-id",
        ])
    );
    assert_eq!(cookies, names(&["a=1", "b=2; Path=/"]));
    assert_eq!(edits.set, []);
}

#[test]
fn a_redirect_stays_at_home() {
    for (location, stays) in [
        ("/a", true),
        ("a/b", true),
        ("?x", true),
        ("https://gate.example", true),
        ("https://gate.example/a", true),
        ("https://gate.example.evil.com/", false),
        ("https://gate.example@evil.com/", false),
        ("https://gate.example:8443/", false),
        ("https://backend.internal/a", false),
        ("//evil.com", false),
        ("/\\evil.com", false),
        ("/\t/evil.com", false),
        ("./\\evil.com", false),
        ("\\\\evil.com", false),
        ("javascript:alert(1)", false),
    ] {
        let answer = headers(&[("location", location)]);
        let relay = answer_edits(&answer, &LeakGuard::default(), "https://gate.example");
        let Relay::Pass { edits, .. } = relay else { panic!("passes") };
        assert_eq!(edits.remove.is_empty(), stays, "{location}");
    }
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    let secret = Secret::new("s3cret/with+\"quotes\" and more");
    let basic =
        Secret::new(format!("Basic {}", data_encoding::BASE64.encode(b"user:password-of-it")));
    let guard = LeakGuard::new([&secret, &basic]);
    for (value, found) in [
        ("nothing to see here, really", false),
        ("s3cret/with", false),
        ("x s3cret/with+\"quotes\" and more y", true),
        ("s3cret%2Fwith%2B%22quotes%22%20and%20more", true),
        (r#"{"a":"s3cret/with+\"quotes\" and more"}"#, true),
        ("7333637265742f776974682b2271756f7465732220616e64206d6f7265", true),
        ("7333637265742F776974682B2271756F7465732220616E64206D6F7265", true),
        ("czNjcmV0L3dpdGgrInF1b3RlcyIgYW5kIG1vcmU=", true),
        ("user:password-of-it", true),
        ("dXNlcjpwYXNzd29yZC1vZi1pdA==", true),
    ] {
        assert_eq!(guard.finds(value), found, "{value}");
    }
    assert!(guard.finds(basic.expose()));
    let answer = headers(&[("x-echo", secret.expose())]);
    let relay = answer_edits(&answer, &guard, "");
    assert_eq!(relay, Relay::Leak { header: "x-echo".into() });
    assert!(!LeakGuard::new([&Secret::new("short")]).finds("short and far longer than that"));
    assert!(!format!("{guard:?}").contains("s3cret"));
}
