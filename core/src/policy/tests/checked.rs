//! What a good policy says once it is checked.

use serde_json::json;

use super::super::{
    Access, Anomalies, Auth, Credential, HostKind, LeakGuardMode, LeakIntake, Methods, Node,
    PathMatch, Platform, Policy, Scheme, ShadowCheck, Target, Volume, parse_module, write_module,
};
use super::{NOW, base, check, edited, good};
use crate::address::ClientIpSource;
use crate::cors::AllowedOrigins;
use crate::key::KeyEnvironment;
use crate::limit::{Bucket, Concurrency, Limit, LimitBy, LimitText, Mode, Period, Quota, Rate};
use crate::time::{Millis, UnixMillis};

#[test]
fn defaults_are_those_of_the_contract() {
    let policy = good(&[], "dev");
    assert_eq!(policy.gate.key_brand, "tg");
    assert_eq!(policy.gate.platform, Platform::Cloudflare);
    assert_eq!(policy.gate.client_ip, ClientIpSource::CfConnectingIp);
    assert_eq!(policy.gate.failures, Rate::new(20, Millis::minutes(1)).unwrap());
    assert_eq!(policy.gate.max_key_lifetime, None);
    assert_eq!(policy.gate.rotate_after, Some(Millis::days(90)));
    assert_eq!((&policy.gate.access, &policy.gate.leak_intake), (&None, &None));
    assert_eq!(policy.anomalies, Anomalies::default());
    assert_eq!(policy.anomalies.refusals, Rate::new(20, Millis::minutes(5)).ok());
    assert_eq!(policy.anomalies.volume, Some(Volume { factor: 3, at_least: 1_000 }));
    let upstream = &policy.upstreams[0];
    assert_eq!((upstream.timeout, upstream.max_stream), (Millis::secs(10), Millis::minutes(15)));
    assert_eq!(upstream.leak_guard, LeakGuardMode::Headers);
    let route = &policy.routes[3];
    assert_eq!(route.body_limit, 1 << 20);
    assert_eq!(*route.cors.origins(), AllowedOrigins::None);
    assert_eq!(route.cost, 1);
    assert!(route.limits.is_empty() && route.tenant.is_empty() && route.scopes.scopes().is_empty());
    assert!(!route.passthrough_authorization && !route.keep_cookies);
    assert_eq!((route.rewrite.is_none(), route.shadow.is_none()), (true, true));
    let on_workerd = good(&[("gate.platform", json!("workerd"))], "dev");
    assert_eq!(on_workerd.gate.client_ip, ClientIpSource::Socket);
}

#[test]
fn an_environment_is_chosen_by_its_name_alone() {
    let file = check(&base()).unwrap();
    assert_eq!(file.environments().collect::<Vec<_>>(), ["dev", "production"]);
    for name in ["", "prod", "Production", "dev "] {
        let error = file.clone().select(name).unwrap_err();
        assert_eq!(error.message, format!("there is no environment {name:?}"));
    }
    for (name, class) in [("dev", KeyEnvironment::Dev), ("production", KeyEnvironment::Prod)] {
        let policy = file.clone().select(name).unwrap();
        assert_eq!((policy.environment.name.as_str(), policy.environment.class), (name, class));
        assert_eq!(policy.environment.is_dev(), class == KeyEnvironment::Dev);
    }
}

#[test]
fn environments_differ_where_they_say_so() {
    let edits = [(
        "environment.staging",
        json!({
            "upstream": {"billing": "https://staging.example.com"},
            "gate": {"hosts": ["staging.example.com"], "platform": "workerd",
                     "client_ip": "x-forwarded-for:2"},
            "route": {
                "invoice": {"limits": [], "origins": "keys"},
                "prices": {"mock": {"status": 503, "content_type": "text/plain", "body": "later"}}
            }
        }),
    )];
    let (production, staging) = (good(&edits, "production"), good(&edits, "staging"));
    assert_eq!(production.upstreams[0].base.origin(), "https://billing.example.com");
    assert_eq!(production.upstreams[0].base.path_prefix(), "/v1");
    assert_eq!(staging.upstreams[0].base.origin(), "https://staging.example.com");
    assert_eq!(staging.upstreams[0].base.scheme(), Scheme::Https);
    assert_eq!(staging.gate.hosts, ["staging.example.com"]);
    assert_eq!(staging.gate.admin_host.as_deref(), Some("gate.example.com"));
    assert_eq!(staging.gate.client_ip, ClientIpSource::XForwardedFor { trusted_hops: 2 });
    assert_eq!(production.gate.client_ip, ClientIpSource::CfConnectingIp);
    assert_eq!(production.routes[0].limits.len(), 2);
    assert!(staging.routes[0].limits.is_empty());
    assert_eq!(*staging.routes[0].cors.origins(), AllowedOrigins::Keys);
    assert!(matches!(production.routes[1].target, Target::Upstream(0)));
    let Target::Mock(mock) = &staging.routes[1].target else { panic!("not a mock") };
    assert_eq!(
        (mock.status, mock.content_type.as_str(), mock.body.as_str()),
        (503, "text/plain", "later")
    );
}

#[test]
fn services_that_are_believed_may_differ_by_environment() {
    let audience = "0".repeat(64);
    let edits = [
        ("gate.access", json!({"team": "acme", "audience": audience})),
        ("gate.leak_intake.keys", json!("https://api.github.com/meta/public_keys/x")),
        ("gate.rotate_after", json!("off")),
        (
            "environment.dev.gate.access",
            json!({"team": "http://127.0.0.1:9090", "audience": audience}),
        ),
    ];
    let (dev, production) = (good(&edits, "dev").gate, good(&edits, "production").gate);
    let access =
        |team_url: &str| Some(Access { team_url: team_url.to_owned(), audience: audience.clone() });
    assert_eq!(production.access, access("https://acme.cloudflareaccess.com"));
    assert_eq!(dev.access, access("http://127.0.0.1:9090"));
    let keys = "https://api.github.com/meta/public_keys/x".to_owned();
    assert_eq!(dev.leak_intake, Some(LeakIntake { keys }));
    assert_eq!(dev.leak_intake, production.leak_intake);
    assert_eq!(dev.rotate_after, None);
}

#[test]
fn a_detector_of_anomalies_is_set_or_off() {
    let edits = [(
        "anomalies",
        json!({"refusals": "off", "volume": {"at_least": 5}, "countries": "off", "learn": "7d"}),
    )];
    let volume = Some(Volume { factor: 3, at_least: 5 });
    assert_eq!(
        good(&edits, "dev").anomalies,
        Anomalies {
            refusals: None,
            volume,
            countries: false,
            learn: Millis::days(7),
            ..Anomalies::default()
        }
    );
}

#[test]
fn a_route_says_what_it_was_told() {
    let edits = [
        ("route[0].rewrite", json!("/invoices/{id}")),
        ("route[0].scopes", json!(null)),
        ("route[0].any_scopes", json!(["invoices:read:{id}", "invoices:read"])),
        ("route[0].body_limit", json!("200MiB")),
        ("route[0].tenant", json!([{"header": "X-Company-Id"}, {"query": "c"}, {"param": "id"}])),
        ("route[0].keep_cookies", json!(true)),
        ("route[0].shadow", json!({"checks": ["limits", "scope"], "until": "2026-06-15"})),
        (
            "route[0].deprecated",
            json!({
                "since": "2026-06-01", "sunset": "2027-06-01T12:00:00Z", "link": "https://docs.example.com/v2"
            }),
        ),
        ("route[1].methods", json!(["*"])),
        ("route[1].allow_unsafe", json!(true)),
    ];
    let policy = good(&edits, "dev");
    let route = &policy.routes[0];
    assert_eq!((route.index, route.name.as_str()), (0, "invoice"));
    assert_eq!(route.path.as_str(), "/v1/invoices/{id}");
    assert_eq!(route.auth, Auth::Key);
    assert_eq!(route.body_limit, 200 << 20);
    assert_eq!(
        format!("{:?}", route.tenant),
        r#"[Header("x-company-id"), Query("c"), Param("id")]"#
    );
    assert_eq!(route.limits[1].by(), &LimitBy::KeyParam("id".to_owned()));
    let asked: Vec<String> = route.scopes.scopes().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["invoices:read:{id}", "invoices:read"]);
    let deprecated = route.deprecated.as_ref().unwrap();
    assert_eq!(deprecated.sunset.unwrap().to_rfc3339(), "2027-06-01T12:00:00Z");
    let shadow = route.shadow.as_ref().unwrap();
    assert!(shadow.covers(ShadowCheck::Scope, NOW));
    assert!(!shadow.covers(ShadowCheck::Addresses, NOW));
    assert!(!shadow.covers(ShadowCheck::Scope, UnixMillis::parse_rfc3339("2026-06-15").unwrap()));
    assert_eq!(policy.routes[1].auth, Auth::Origin { allow_unsafe: true });
    assert_eq!(policy.routes[1].methods, Methods::Any);
    assert!(policy.routes[1].methods.allows("PATCH") && !policy.routes[1].methods.allows("TRACE"));
    assert!(!route.methods.allows("get") && !route.methods.allows("OPTIONS"));
}

#[test]
fn a_limit_says_what_it_was_told() {
    let edits = [
        (
            "limit.whole",
            json!({"rate": {"requests": 6, "window": "10s"}, "concurrency": 8, "by": "tenant",
                   "quota": {"requests": 7, "per": "hour"}, "mode": "exact"}),
        ),
        (
            "limit.fast",
            json!({"bucket": {"rate": {"requests": 1, "window": "2s"}, "burst": 20},
                   "quota": {"requests": u32::MAX, "per": "month"},
                   "by": "address", "mode": "leased"}),
        ),
        ("limit.daily", json!({"quota": {"requests": 6, "per": "day"}, "by": "route"})),
        ("limit.busy", json!({"concurrency": 1_000_000, "by": "route"})),
        // Address and route are known of every request, of one with a key too.
        ("route[0].limits", json!(["whole", "daily", "default"])),
        ("route[0].cost", json!(6)),
        ("route[1].limits", json!(["fast", "daily"])),
        ("route[2].limits", json!(["daily"])),
        ("route[3].limits", json!(["fast"])),
        ("route[3].cost", json!(19)),
        ("environment.dev.route.file.limits", json!(["busy"])),
    ];
    let policy = good(&edits, "dev");
    let rate = |requests, secs| Rate::new(requests, Millis::secs(secs)).unwrap();
    let text = |name: &str, by| LimitText { name: name.to_owned(), by, ..LimitText::default() };
    let limit = |text| Limit::try_from(text).unwrap();
    let whole = limit(LimitText {
        rate: Some(rate(6, 10)),
        quota: Quota::new(7, Period::Hour).ok(),
        concurrency: Concurrency::new(8).ok(),
        ..text("whole", LimitBy::Tenant)
    });
    let fast = limit(LimitText {
        bucket: Bucket::new(rate(1, 2), 20).ok(),
        quota: Quota::new(u32::MAX, Period::Month).ok(),
        mode: Mode::Leased,
        ..text("fast", LimitBy::Address)
    });
    let daily = limit(LimitText {
        quota: Quota::new(6, Period::Day).ok(),
        ..text("daily", LimitBy::Route)
    });
    let busy = limit(LimitText {
        concurrency: Concurrency::new(1_000_000).ok(),
        ..text("busy", LimitBy::Route)
    });
    let default = Limit::by_rate("default", rate(60, 60), LimitBy::Key).unwrap();
    let routes: Vec<_> = policy.routes.iter().map(|it| (it.limits.clone(), it.cost)).collect();
    assert_eq!(
        routes,
        [
            (vec![whole, daily.clone(), default], 6),
            (vec![fast.clone(), daily.clone()], 1),
            (vec![daily], 1),
            (vec![busy], 19),
        ]
    );
    assert_eq!(good(&edits, "production").routes[3].limits, [fast]);
}

#[test]
fn the_gate_reads_its_own_headers_from_pages_on_key_routes_only() {
    let policy = good(&[], "dev");
    let origin = "https://app.example.com";
    for (route, header, granted) in [
        (0, "authorization", true),
        (0, "x-api-key", true),
        (0, "content-type", false),
        (1, "authorization", false),
    ] {
        let answer = policy.routes[route].cors.preflight(origin, "GET", Some(header), false);
        assert_eq!(answer.is_ok(), granted, "route {route}, {header}");
    }
}

#[test]
fn hosts() {
    let (dev, production) = (good(&[], "dev"), good(&[], "production"));
    for (host, in_dev, in_production) in [
        ("api.example.com", HostKind::Api, HostKind::Api),
        ("API.Example.com:8443", HostKind::Api, HostKind::Api),
        ("gate.example.com", HostKind::Admin, HostKind::Admin),
        ("GATE.example.com:443", HostKind::Admin, HostKind::Admin),
        ("localhost", HostKind::Api, HostKind::Unknown),
        ("any.localhost:8787", HostKind::Api, HostKind::Unknown),
        ("127.0.0.1:8787", HostKind::Api, HostKind::Unknown),
        ("[::1]:8787", HostKind::Api, HostKind::Unknown),
        ("api.example.com.", HostKind::Unknown, HostKind::Unknown),
        ("api.example.com:x", HostKind::Unknown, HostKind::Unknown),
        ("evil.example", HostKind::Unknown, HostKind::Unknown),
        ("", HostKind::Unknown, HostKind::Unknown),
    ] {
        assert_eq!((dev.host(host), production.host(host)), (in_dev, in_production), "{host}");
    }
    let local = good(&[("environment.dev.gate.admin_host", json!("gate.localhost"))], "dev");
    assert_eq!(local.host("gate.localhost:8787"), HostKind::Admin);
    assert_eq!(local.host("other.localhost:8787"), HostKind::Api);
}

#[test]
fn a_path_leads_to_its_routes_whatever_the_method() {
    let edits = [
        (
            "route[4]",
            json!({"name": "pay", "path": "/v1/invoices/{number}", "methods": ["POST"],
                            "upstream": "billing", "auth": "key"}),
        ),
        (
            "route[5]",
            json!({"name": "latest", "path": "/v1/invoices/latest", "methods": ["GET"],
                            "upstream": "billing", "auth": "key"}),
        ),
    ];
    let policy = good(&edits, "dev");
    for (path, names, allow) in [
        ("/v1/invoices/7", &["invoice", "pay"][..], "GET, HEAD, POST"),
        ("/v1/invoices/latest", &["latest"], "GET, HEAD"),
        ("/v1/files/a/b%20c", &["file"], "PUT"),
        ("/v1/files/", &[], ""),
        ("/v1/invoices", &[], ""),
        ("/v1/invoices/", &[], ""),
        ("/v1/invoices/7/", &[], ""),
        ("/V1/invoices/7", &[], ""),
        ("/", &[], ""),
    ] {
        let found = policy.route_path(path);
        let found_names: Vec<&str> =
            found.iter().flat_map(PathMatch::routes).map(|route| route.name.as_str()).collect();
        assert_eq!(found_names, names, "{path}");
        assert_eq!(found.map(|it| it.allow()).unwrap_or_default(), allow, "{path}");
    }
    let found = policy.route_path("/v1/invoices/a%20b").unwrap();
    for (route, name) in [(0, "id"), (4, "number")] {
        let params: Vec<_> = found.params(&policy.routes[route]).collect();
        assert_eq!(params, [(name, "a%20b")], "each route has its own name for it");
    }
    let found = policy.route_path("/v1/files/a/b").unwrap();
    assert_eq!(found.params(&policy.routes[3]).collect::<Vec<_>>(), [("rest", "a/b")]);
}

#[test]
fn secrets_are_named_once_and_only_those_in_use() {
    let edits = [
        (
            "upstream.ledger",
            json!({"credential": {
                "type": "basic", "username": "${secret:A_USER}", "password": "${secret:Z_PASS}${secret:BILLING_TOKEN}"
            }}),
        ),
        (
            "upstream.spare",
            json!({"credential": {
                "type": "query", "name": "k", "value": "${secret:SPARE}"
            }}),
        ),
        ("environment.dev.upstream.ledger", json!("http://127.0.0.1:9091")),
        ("environment.production.upstream.ledger", json!("https://ledger.example.com")),
        ("route[3].upstream", json!("ledger")),
    ];
    let policy = good(&edits, "dev");
    assert_eq!(policy.secrets(), ["A_USER", "BILLING_TOKEN", "Z_PASS"]);
    assert_eq!(policy.upstreams.len(), 2, "nobody asks the spare one");
    let Target::Upstream(at) = policy.routes[3].target else { panic!("not an upstream") };
    let credential = policy.upstreams[at].credential.as_ref().unwrap();
    assert!(matches!(credential, Credential::Basic { .. }));
    assert_eq!((credential.header_name(), credential.query_name()), (Some("authorization"), None));
}

#[test]
fn a_module_is_read_back_as_the_same_policy_and_checked_again() {
    let root = Node::from_json(&base());
    let module = write_module(&root);
    assert_eq!(module, write_module(&root), "one file gives one text");
    let (read, file) = (parse_module(&module, NOW).unwrap(), check(&base()).unwrap());
    assert_eq!(format!("{read:?}"), format!("{file:?}"));

    let bad = write_module(&Node::from_json(&edited(&[("route[0].auth", json!("none"))])));
    let errors = parse_module(&bad, NOW).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "route \"invoice\", auth: \"none\" is unknown\n  help: one \
        of \"key\", \"origin\", \"public\""
    );
    for (text, message) in [
        ("", "the module is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{}", "the module is not one that `policy build` made"),
        ("[]", "the module is not one that `policy build` made"),
        (r#"{"tollgate_policy":2,"source":{}}"#, "the module is of version 2, this gate reads 1"),
        (r#"{"tollgate_policy":1}"#, "the module has no `source`"),
    ] {
        let errors = parse_module(text, NOW).unwrap_err();
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, [message], "{text}");
    }
    assert!(parse_module(r#"{"tollgate_policy":1,"source":{}}"#, NOW).is_err(), "an empty policy");
}

/// A file for one developer: everything that can be left out is.
#[test]
fn the_least_policy() {
    let json = json!({
        "version": 1,
        "gate": {"realm": "t"},
        "environment": {"dev": {"upstream": {"b": "http://127.0.0.1:9"}}},
        "upstream": {"b": {}},
        "route": [{"name": "r", "path": "/r", "methods": ["*"], "upstream": "b", "auth": "public",
                   "origins": ["*"], "cors": {"headers": ["*"], "expose": ["*"], "max_age": "30s"}}]
    });
    let policy: Policy = check(&json).unwrap().select("dev").unwrap();
    assert_eq!((policy.gate.hosts.len(), policy.gate.admin_host.is_none()), (0, true));
    assert_eq!(*policy.routes[0].cors.origins(), AllowedOrigins::Any);
}
