use serde_json::{Map, Value, json};

use super::*;
use crate::key::{IdSecret, KeyEnvironment, KeyId, KeyKind, KeyRecord, KeyState, Peppers};
use crate::limit::Mode;
use crate::problem::{Code, Problem};
use crate::text::Secret;
use crate::time::UnixMillis;

pub(crate) const NOW: UnixMillis = UnixMillis::from_secs(1_800_000_000);
pub(super) const BOUNDS: Bounds<'static> =
    Bounds { brand: "tg", environment: "dev", max_lifetime: None };

/// The key that root makes of this body.
pub(crate) fn made(body: &Value) -> MadeKey {
    made_by(&Caller::Root, body).unwrap_or_else(|problem| panic!("{body}: {:?}", problem.errors))
}

pub(super) fn made_by(caller: &Caller, body: &Value) -> Result<MadeKey, Box<Problem>> {
    let peppers = Peppers::parse(&Secret::new("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    let ids = IdSecret::new(&Secret::new("an id secret of at least 32 bytes"));
    let seed = body.to_string().bytes().fold(0u8, u8::wrapping_add);
    let random = std::array::from_fn(|at| u8::try_from(at).unwrap().wrapping_mul(31) ^ seed);
    let new = NewKey::read(body, &BOUNDS, caller, NOW)?;
    let making = Making { peppers: &peppers.unwrap(), ids: &ids.unwrap(), random: &random };
    Ok(new.make(&BOUNDS, &making).unwrap())
}

/// The least that makes a key of this kind, with some of its fields replaced.
pub(crate) fn body(kind: &str, with: Value) -> Value {
    let mut body = match kind {
        "pk" => json!({ "origins": ["https://app.example.com"] }),
        "rk" => json!({ "scopes": ["invoices:read:42"] }),
        "ak" => json!({ "scopes": ["keys:read"] }),
        _ => json!({}),
    };
    let base = json!({ "tenant": "acme", "kind": kind, "name": "a key" });
    for source in [base, with] {
        let Value::Object(members) = source else { panic!("not an object") };
        body.as_object_mut().unwrap().extend(members);
    }
    body
}

fn errors(problem: &Problem) -> Vec<(&str, &str)> {
    let errors = problem.errors.iter();
    errors.map(|error| (error.field.as_str(), error.message.as_str())).collect()
}

#[test]
fn the_least_that_makes_a_key_gets_the_defaults() {
    let made = made(&json!({ "tenant": "acme", "kind": "sk", "name": "billing" }));
    let KeyRecord { id, family, digest, .. } = made.record.clone();
    let expected = KeyRecord {
        id: id.clone(),
        family: id.clone(),
        kind: KeyKind::Sk,
        environment: "dev".into(),
        tenant: "acme".into(),
        name: "billing".into(),
        owner: None,
        tags: vec![],
        metadata: Map::new(),
        state: KeyState::Active,
        version: 1,
        created_at: NOW,
        expires_at: NOW.plus(DEFAULT_LIFETIME),
        lifetime: DEFAULT_LIFETIME,
        deprecated: None,
        origins: vec![],
        allow_any_origin: false,
        addresses: vec![],
        scopes: vec![],
        limits: vec![],
        mode: Mode::Exact,
        mfa: false,
        suspended: false,
        digest,
    };
    assert_eq!(made.record, expected);
    assert_eq!(id, family);
    let key = crate::key::Key::parse(made.secret.expose()).unwrap();
    assert_eq!((key.id, key.prefix.environment), (id, KeyEnvironment::Dev));
    assert!(made.secret.expose().starts_with("tg_dev_sk_"));
}

#[test]
fn every_field_is_taken_over_and_shown() {
    let body = json!({
        "tenant": "acme", "kind": "pk", "name": "shop", "owner": "ana", "tags": ["web", "eu"],
        "metadata": { "ticket": 7 }, "scopes": ["invoices:read:*"],
        "origins": ["https://app.example.com", "https://*.example.com"],
        "addresses": ["192.0.2.0/24", "2001:db8::1"],
        "limits": [
            { "requests": 10, "window": "1m" },
            { "name": "visitor", "requests": 5, "window": "10s", "by": "key+address" },
        ],
        "expires_in": "48h",
    });
    let view = KeyView::from(&made(&body).record);
    assert_eq!(
        view.resource(NOW),
        json!({
            "id": view.id, "family": view.id, "kind": "pk", "tenant": "acme",
            "environment": "dev", "name": "shop", "owner": "ana", "tags": ["web", "eu"],
            "metadata": { "ticket": 7 }, "state": "active", "version": 1,
            "created_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-17T08:00:00Z",
            "origins": ["https://app.example.com", "https://*.example.com"],
            "allow_any_origin": false, "addresses": ["192.0.2.0/24", "2001:db8::1/128"],
            "scopes": ["invoices:read:*"],
            "limits": [
                { "name": "default", "requests": 10, "window": "1m", "by": "key" },
                { "name": "visitor", "requests": 5, "window": "10s", "by": "key+address" },
            ],
            "mode": "exact",
            "mfa": false,
        })
    );
    let stored = serde_json::to_string(&view).unwrap();
    assert!(!stored.contains("digest") && !stored.contains("mac"), "{stored}");
    assert_eq!(serde_json::from_str::<KeyView>(&stored).unwrap(), view);
}

#[test]
fn every_problem_is_told_at_once() {
    let body = json!({
        "kind": "sp", "tenat": "acme", "name": "", "tags": ["a", "a", 3],
        "origins": ["app.example.com"], "limits": [{ "requests": 0, "window": "1w" }],
        "expires_in": "1d", "expires_at": "2030-01-01", "mfa": "yes",
    });
    let problem = NewKey::read(&body, &BOUNDS, &Caller::Root, NOW).unwrap_err();
    let fields: Vec<&str> = errors(&problem).iter().map(|(field, _)| *field).collect();
    assert_eq!(problem.code, Code::InvalidField);
    assert_eq!(
        fields,
        [
            "tenat",
            "kind",
            "tenant",
            "name",
            "tags[1]",
            "tags[2]",
            "origins[0]",
            "limits[0].window",
            "expires_at",
            "mfa",
        ]
    );
    assert_eq!(errors(&problem)[0].1, "is unknown: did you mean `tenant`?");
}

#[test]
fn the_rules_of_each_kind() {
    let long = "x".repeat(1_030);
    for (kind, with, field, reason) in [
        ("pk", json!({ "origins": [] }), "origins", "a publishable key lists origins"),
        ("pk", json!({ "origins": ["*"] }), "origins", "`*` needs leave"),
        (
            "pk",
            json!({ "origins": ["*", "https://a.example"], "allow_any_origin": true }),
            "origins",
            "`*` stands alone",
        ),
        (
            "pk",
            json!({ "allow_any_origin": true }),
            "allow_any_origin",
            "origins and leave for all",
        ),
        (
            "pk",
            json!({ "origins": ["*"], "allow_any_origin": true, "scopes": ["a:write"] }),
            "allow_any_origin",
            "a write from anywhere",
        ),
        (
            "pk",
            json!({ "origins": ["*"], "allow_any_origin": true, "scopes": ["a:*"] }),
            "allow_any_origin",
            "`*` is a write",
        ),
        ("pk", json!({ "origins": ["https://*.com"] }), "origins[0]", "a public suffix"),
        ("pk", json!({ "mfa": true }), "mfa", "not an admin key"),
        ("sk", json!({ "origins": ["https://a.example"] }), "origins", "a secret key in a browser"),
        (
            "sk",
            json!({ "allow_any_origin": true }),
            "allow_any_origin",
            "a secret key in a browser",
        ),
        ("sk", json!({ "mfa": true }), "mfa", "not an admin key"),
        ("rk", json!({ "scopes": [] }), "scopes", "a restricted key with no restriction"),
        ("rk", json!({ "scopes": ["a:b"] }), "scopes[0]", "two parts"),
        ("rk", json!({ "scopes": ["a:b:c", "a:b:*"] }), "scopes[1]", "a wildcard"),
        ("rk", json!({ "origins": ["https://a.example"] }), "origins", "a server's key"),
        ("ak", json!({ "scopes": [] }), "scopes", "an admin key without a right"),
        (
            "ak",
            json!({ "scopes": ["keys:read", "invoices:read"] }),
            "scopes[1]",
            "not a right of section 8",
        ),
        ("ak", json!({ "scopes": ["keys:*"] }), "scopes[0]", "not a right of section 8"),
        (
            "ak",
            json!({ "scopes": ["keys:write"], "mfa": false }),
            "mfa",
            "writes from anywhere without a second factor",
        ),
        ("ak", json!({ "origins": ["https://a.example"] }), "origins", "a server's key"),
        ("sk", json!({ "tenant": "*" }), "tenant", "only admin keys are of all tenants"),
        ("sk", json!({ "tenant": "Acme" }), "tenant", "capitals"),
        ("sk", json!({ "tenant": "-acme" }), "tenant", "a hyphen in front"),
        ("sk", json!({ "tenant": "" }), "tenant", "empty"),
        ("sk", json!({ "tenant": "a".repeat(64) }), "tenant", "too long"),
        ("sk", json!({ "tenant": null }), "tenant", "missing"),
        ("sk", json!({ "name": null }), "name", "missing"),
        ("sk", json!({ "name": "x".repeat(101) }), "name", "too long"),
        ("sk", json!({ "name": "a\nb" }), "name", "a control character"),
        ("sk", json!({ "owner": "x".repeat(101) }), "owner", "too long"),
        ("sk", json!({ "tags": ["x".repeat(51)] }), "tags[0]", "too long"),
        ("sk", json!({ "tags": vec!["t"; 21] }), "tags", "too many"),
        ("sk", json!({ "tags": "web" }), "tags", "no list"),
        ("sk", json!({ "metadata": { "a": long } }), "metadata", "more than 1 KiB"),
        ("sk", json!({ "metadata": [] }), "metadata", "no object"),
        ("sk", json!({ "scopes": ["a"] }), "scopes[0]", "one part"),
        ("sk", json!({ "scopes": ["a:b", "a:b"] }), "scopes[1]", "twice"),
        ("sk", json!({ "addresses": ["192.0.2.1/24"] }), "addresses[0]", "host bits"),
        ("sk", json!({ "addresses": ["everyone"] }), "addresses[0]", "no address"),
        (
            "sk",
            json!({ "limits": [{ "requests": 0, "window": "1m" }] }),
            "limits[0].requests",
            "nothing",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 5_000_000_000_u64, "window": "1m" }] }),
            "limits[0].requests",
            "too many",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "100ms" }] }),
            "limits[0].window",
            "too short",
        ),
        ("sk", json!({ "limits": [{ "window": "1m" }] }), "limits[0].requests", "missing"),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "1m", "by": "address" }] }),
            "limits[0].by",
            "has an object of its own",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "1m", "by": "tenant" }] }),
            "limits[0].by",
            "counts keys of others too",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "1m", "name": "A" }] }),
            "limits[0].name",
            "a capital",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "1m", "burst": 2 }] }),
            "limits[0].burst",
            "unknown",
        ),
        (
            "sk",
            json!({ "limits": [{ "requests": 1, "window": "1m" }, { "requests": 2, "window": "1m" }] }),
            "limits[1]",
            "one name twice",
        ),
        ("sk", json!({ "expires_in": "3651d" }), "expires_in", "beyond ten years"),
        ("sk", json!({ "expires_in": "0s" }), "expires_in", "no time at all"),
        ("sk", json!({ "expires_in": "1 d" }), "expires_in", "no duration"),
        ("sk", json!({ "expires_at": "2027-01-15T08:00:00Z" }), "expires_at", "this very instant"),
        ("sk", json!({ "expires_at": "2047-01-01" }), "expires_at", "beyond ten years"),
        ("sk", json!({ "expires_at": 1_900_000_000 }), "expires_at", "a number"),
        ("sk", json!({ "state": "disabled" }), "state", "unknown"),
    ] {
        let body = body(kind, with);
        let problem = NewKey::read(&body, &BOUNDS, &Caller::Root, NOW).expect_err(reason);
        let fields: Vec<&str> = errors(&problem).iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, [field], "{reason}: {:?}", errors(&problem));
    }
}

#[test]
fn what_is_allowed_on_purpose() {
    let any = made(&body("pk", json!({ "origins": ["*"], "allow_any_origin": true }))).record;
    assert!(any.allow_any_origin && any.origins.is_empty());
    assert_eq!(KeyView::from(&any).resource(NOW)["origins"], json!(["*"]));
    let any = made(&body("pk", json!({ "origins": [], "allow_any_origin": true }))).record;
    assert!(any.allow_any_origin, "leave alone means `*` too");

    let operator = made(&body("ak", json!({ "tenant": "*" }))).record;
    assert_eq!((operator.tenant.as_str(), operator.mfa), ("*", false), "reads need no session");
    let writer = made(&body("ak", json!({ "scopes": ["keys:write"] }))).record;
    assert!(writer.mfa, "a write scope brings the second factor");
    let bound = body("ak", json!({ "scopes": ["keys:write"], "addresses": ["192.0.2.7"] }));
    assert!(!made(&bound).record.mfa, "unless it is bound to addresses");
}

#[test]
fn the_policy_bounds_the_life_of_keys() {
    let bounds = Bounds { max_lifetime: Some(Millis::days(30)), ..BOUNDS };
    for (with, fits) in [
        (json!({}), true),
        (json!({ "expires_in": "30d" }), true),
        (json!({ "expires_in": "31d" }), false),
    ] {
        let read = NewKey::read(&body("sk", with.clone()), &bounds, &Caller::Root, NOW);
        assert_eq!(read.is_ok(), fits, "{with}");
    }
}

fn updated(record: &KeyRecord, patch: &Value) -> Result<KeyRecord, Box<Problem>> {
    Update::read(patch)?.patch(record, &BOUNDS, NOW).map(|patched| patched.after)
}

#[test]
fn a_change_touches_what_it_names_and_nothing_more() {
    let record = made(&body(
        "pk",
        json!({ "owner": "ana", "tags": ["a"], "scopes": ["a:read"], "addresses": ["192.0.2.7"] }),
    ))
    .record;
    let same = |change: &dyn Fn(&mut KeyRecord)| {
        let mut expected = record.clone();
        change(&mut expected);
        expected
    };
    for (patch, expected) in [
        (json!({ "version": 1 }), same(&|_| {})),
        (json!({ "version": 1, "name": "b" }), same(&|r| r.name = "b".into())),
        (json!({ "version": 1, "owner": null }), same(&|r| r.owner = None)),
        (json!({ "version": 1, "owner": "" }), same(&|r| r.owner = None)),
        (json!({ "version": 1, "tags": [] }), same(&|r| r.tags = vec![])),
        (json!({ "version": 1, "tags": null }), same(&|r| r.tags = vec![])),
        (json!({ "version": 1, "addresses": [] }), same(&|r| r.addresses = vec![])),
        (
            json!({ "version": 1, "origins": ["*"], "allow_any_origin": true }),
            same(&|r| (r.origins, r.allow_any_origin) = (vec![], true)),
        ),
        (
            json!({ "version": 1, "expires_in": "1h" }),
            same(&|r| {
                r.expires_at = NOW.plus(Millis::hours(1));
                r.lifetime = Millis::hours(1);
            }),
        ),
    ] {
        assert_eq!(updated(&record, &patch), Ok(expected), "{patch}");
    }
}

#[test]
fn a_change_leaves_a_key_that_could_have_been_made() {
    let any = made(&body("pk", json!({ "origins": ["*"], "allow_any_origin": true }))).record;
    let listed = updated(&any, &json!({ "version": 1, "origins": ["https://a.example"] })).unwrap();
    assert_eq!((listed.origins.len(), listed.allow_any_origin), (1, false));

    let reader = made(&body("ak", json!({}))).record;
    let writer = updated(&reader, &json!({ "version": 1, "scopes": ["keys:write"] })).unwrap();
    assert!(writer.mfa, "a write scope brings the second factor");

    let mut rotated = made(&body("sk", json!({}))).record;
    rotated.deprecated = Some(crate::key::Deprecated { since: NOW, successor: rotated.id.clone() });
    let pk = made(&body("pk", json!({}))).record;
    let sk = made(&body("sk", json!({}))).record;
    for (record, patch, field, reason) in [
        (&sk, json!({}), "version", "which version was seen?"),
        (&sk, json!({ "version": "1" }), "version", "a text"),
        (&sk, json!({ "version": -1 }), "version", "below zero"),
        (&sk, json!({ "version": 1, "name": null }), "name", "a key has a name"),
        (&sk, json!({ "version": 1, "kind": "pk" }), "kind", "fixed"),
        (&sk, json!({ "version": 1, "tenant": "b" }), "tenant", "fixed"),
        (&sk, json!({ "version": 1, "state": "revoked" }), "state", "fixed"),
        (&sk, json!({ "version": 1, "digest": "x" }), "digest", "unknown"),
        (
            &sk,
            json!({ "version": 1, "origins": ["https://a.example"] }),
            "origins",
            "a server's key",
        ),
        (&pk, json!({ "version": 1, "origins": [] }), "origins", "a page's key lists origins"),
        (&pk, json!({ "version": 1, "origins": null }), "origins", "a page's key lists origins"),
        (
            &pk,
            json!({ "version": 1, "allow_any_origin": true }),
            "allow_any_origin",
            "it lists origins",
        ),
        (
            &any,
            json!({ "version": 1, "scopes": ["a:write"] }),
            "allow_any_origin",
            "a write from anywhere",
        ),
        (&any, json!({ "version": 1, "allow_any_origin": false }), "origins", "it lists none"),
        (&any, json!({ "version": 1, "origins": [] }), "origins", "an empty list is not `*`"),
        (&any, json!({ "version": 1, "origins": null }), "origins", "nor is none"),
        (&writer, json!({ "version": 1, "mfa": false }), "mfa", "writes from anywhere"),
        (&sk, json!({ "version": 1, "expires_in": "3651d" }), "expires_in", "beyond ten years"),
        (
            &rotated,
            json!({ "version": 1, "expires_in": "366d" }),
            "expires_in",
            "its grace only ends",
        ),
    ] {
        let problem = updated(record, &patch).expect_err(reason);
        assert_eq!(problem.code, Code::InvalidField, "{reason}");
        let fields: Vec<&str> = errors(&problem).iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, [field], "{reason}: {:?}", errors(&problem));
    }
}

#[test]
fn a_change_for_another_version_is_a_conflict() {
    let record = made(&body("sk", json!({}))).record;
    for version in [0, 2] {
        let problem = updated(&record, &json!({ "version": version, "name": "b" })).unwrap_err();
        assert_eq!(problem.code, Code::VersionConflict);
        assert_eq!(problem.extra.get("version"), Some(&json!(1)), "the present one is told");
    }
}

#[test]
fn a_page_tells_where_the_next_one_begins() {
    let record = |name: &str| made(&body("sk", json!({ "name": name }))).record;
    let all: Vec<KeyRecord> = ["a", "b", "c"].into_iter().map(record).collect();
    let found: Vec<Found> = all
        .iter()
        .map(|record| Found {
            at: Cursor { created_at: record.created_at, id: record.id.clone() },
            view: Entry::try_from(record).unwrap().view,
            last_used_at: (record.name == "a").then_some(NOW),
        })
        .collect();
    let query = ListQuery::read(&query_pairs("limit=2").unwrap(), &Caller::Root).unwrap();
    assert_eq!(Page::wanted(&query), 3);
    for (found, shown, next) in
        [(&found[..], 2, Some(&found[1].at)), (&found[..2], 2, None), (&found[..0], 0, None)]
    {
        let page: Page = serde_json::from_str(&Page::write(found, &query).unwrap()).unwrap();
        let used = |record: &KeyRecord| (record.name == "a").then_some(NOW);
        let keys = all[..shown]
            .iter()
            .map(|record| Listed { key: KeyView::from(record), last_used_at: used(record) });
        assert_eq!(page, Page { keys: keys.collect(), next: next.cloned() });
    }
}

#[test]
fn a_registry_gets_nothing_of_a_secret() {
    let record = made(&body("pk", json!({ "tags": ["a"] }))).record;
    let entry = Entry::try_from(&record).unwrap();
    let text = serde_json::to_string(&RegistryRequest::Deliver {
        entries: vec![entry.clone()],
        events: Vec::new(),
    })
    .unwrap();
    assert!(!text.contains("digest") && !text.contains("mac"), "{text}");
    assert_eq!(
        serde_json::from_str::<RegistryRequest>(&text).unwrap(),
        RegistryRequest::Deliver { entries: vec![entry.clone()], events: Vec::new() }
    );
    assert_eq!((entry.tags.as_str(), entry.pepper), (r#"["a"]"#, 1));
}

#[test]
fn calls_of_a_keys_life_take_what_they_need() {
    for (action, body, read) in [
        (Action::Rotate, json!({}), Some(ActionBody::Rotate { grace: Millis::hours(48) })),
        (
            Action::Rotate,
            json!({ "grace": "0s" }),
            Some(ActionBody::Rotate { grace: Millis::ZERO }),
        ),
        (Action::Rotate, json!({ "grace": "soon" }), None),
        (Action::Rotate, json!({ "grace": 3 }), None),
        (Action::Revoke, json!({}), Some(ActionBody::Revoke { family: false })),
        (Action::Revoke, json!({ "family": true }), Some(ActionBody::Revoke { family: true })),
        (Action::Revoke, json!({ "grace": "1h" }), None),
        (Action::EndGrace, json!({}), Some(ActionBody::EndGrace)),
        (Action::Disable, json!({}), Some(ActionBody::Disable)),
        (Action::Enable, json!({}), Some(ActionBody::Enable)),
        (Action::Enable, json!({ "family": true }), None),
    ] {
        assert_eq!(read_action(action, &body).ok(), read, "{action:?} {body}");
    }
}

#[test]
fn a_list_goes_on_where_it_ended() {
    let cursor = Cursor { created_at: NOW, id: KeyId::parse("abcdefghij012345").unwrap() };
    let rest = "kind=pk&state=expired&tag=a+b%21&unused_since=2026-11-01T00:00:00Z";
    let query = format!("limit=2&cursor={}&{rest}", cursor.to_text());
    let pairs = query_pairs(&query).unwrap();
    let read = ListQuery::read(&pairs, &Caller::Root).unwrap();
    let expected = ListQuery {
        limit: 2,
        cursor: Some(cursor),
        tenant: None,
        owner: None,
        tag: Some("a b!".into()),
        kind: Some(KeyKind::Pk),
        state: Some(ListedState::Expired),
        unused_since: UnixMillis::parse_rfc3339("2026-11-01"),
    };
    assert_eq!(read, expected);
    let stored = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<ListQuery>(&stored).unwrap(), expected);
}

#[test]
fn a_query_that_makes_no_sense_is_told_field_by_field() {
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=101", &["limit"]),
        ("limit=%2B5", &["limit"]),
        ("limit=", &["limit"]),
        ("kind=xx&state=gone", &["kind", "state"]),
        ("cursor=abc", &["cursor"]),
        ("cursor=MS4rMS5hYmNkZWZnaGlqMDEyMzQ1", &["cursor"]),
        ("page=2", &["page"]),
        ("unused_since=yesterday", &["unused_since"]),
        ("unused_since=1795000000000", &["unused_since"]),
    ] {
        let pairs = query_pairs(query).unwrap();
        let problem = ListQuery::read(&pairs, &Caller::Root).unwrap_err();
        let told: Vec<&str> = errors(&problem).iter().map(|(field, _)| *field).collect();
        assert_eq!(told, fields, "{query}");
    }
    for (query, field) in [("limit=1&limit=2", "limit"), ("tag=%zz", "tag"), ("tag=%ff", "tag")] {
        let problem = query_pairs(query).unwrap_err();
        assert_eq!(errors(&problem)[0].0, field, "{query}");
    }
}

#[test]
fn verify_says_what_the_road_would_say() {
    let pk = made(&body("pk", json!({ "scopes": ["a:read:*"], "addresses": ["192.0.2.0/24"] })));
    let sk = made(&body("sk", json!({ "scopes": ["a:read"] }))).record;
    let with = |change: &dyn Fn(&mut KeyRecord)| {
        let mut record = pk.record.clone();
        change(&mut record);
        record
    };
    let pk = &pk.record;
    for (record, ask, code) in [
        (pk, json!({}), None),
        (pk, json!({ "scope": "a:read:7" }), None),
        (pk, json!({ "scope": "a:read" }), Some(Code::InsufficientScope)),
        (pk, json!({ "scope": "a:write:7" }), Some(Code::InsufficientScope)),
        (pk, json!({ "address": "192.0.2.9" }), None),
        (pk, json!({ "address": "192.0.3.9", "scope": "b:c" }), Some(Code::IpNotAllowed)),
        (pk, json!({ "origin": "https://app.example.com" }), None),
        (
            pk,
            json!({ "origin": "https://evil.example", "scope": "b:c" }),
            Some(Code::OriginNotAllowed),
        ),
        (&sk, json!({ "origin": "https://app.example.com" }), Some(Code::SecretKeyInBrowser)),
        (&sk, json!({ "scope": "a:read" }), None),
        (
            &with(&|r| r.state = KeyState::Revoked),
            json!({ "scope": "b:c" }),
            Some(Code::KeyRevoked),
        ),
        (&with(&|r| r.state = KeyState::Disabled), json!({}), Some(Code::KeyDisabled)),
        (&with(&|r| r.suspended = true), json!({}), Some(Code::KeyDisabled)),
        (&with(&|r| r.expires_at = NOW), json!({}), Some(Code::KeyExpired)),
    ] {
        let mut ask = ask;
        ask["key"] = json!("a key");
        let verdict = VerifyAsk::read(&ask).unwrap().judge(record, NOW);
        let told = match &verdict {
            Verdict::Good(_) | Verdict::GoodToken(..) => None,
            Verdict::Bad(code) => Some(*code),
        };
        assert_eq!(told, code, "{ask}");
        assert_eq!(verdict.body(NOW)["valid"], json!(code.is_none()));
    }
    for (ask, field) in [
        (json!({}), "key"),
        (json!({ "key": 1 }), "key"),
        (json!({ "key": "x".repeat(8193) }), "key"),
        (json!({ "key": "k", "scope": "a" }), "scope"),
        (json!({ "key": "k", "scope": "a:*" }), "scope"),
        (json!({ "key": "k", "scope": "a:{id}" }), "scope"),
        (json!({ "key": "k", "address": "192.0.2.1/32" }), "address"),
        (json!({ "key": "k", "adress": "192.0.2.1" }), "adress"),
    ] {
        let problem = VerifyAsk::read(&ask).unwrap_err();
        assert_eq!(errors(&problem)[0].0, field, "{ask}");
    }
}

#[test]
fn a_body_is_an_object_or_nothing() {
    for (body, read) in [
        (&b""[..], Some(json!({}))),
        (b" \n", Some(json!({}))),
        (b"{}", Some(json!({}))),
        (b"{\"a\":1}", Some(json!({ "a": 1 }))),
        (b"[]", None),
        (b"null", None),
        (b"{\"a\":1}x", None),
        (b"{", None),
        (b"\xff", None),
    ] {
        assert_eq!(object_of(body).ok(), read, "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(object_of(deep.as_bytes()).unwrap_err().code, Code::InvalidField);
}

#[test]
fn a_state_is_told_as_people_mean_it() {
    let record = made(&body("sk", json!({}))).record;
    let end = record.expires_at;
    for (state, at, told) in [
        (KeyState::Active, NOW, "active"),
        (KeyState::Active, end, "expired"),
        (KeyState::Disabled, NOW, "disabled"),
        (KeyState::Disabled, end, "expired"),
        (KeyState::Revoked, NOW, "revoked"),
        (KeyState::Revoked, end, "revoked"),
    ] {
        let view = KeyView { state, ..KeyView::from(&record) };
        assert_eq!(view.state_at(at), told, "{state:?}");
    }
    let on = KeyView::from(&record).resource(NOW);
    assert_eq!(on.get("suspended"), None);
    let off = KeyView::from(&KeyRecord { suspended: true, ..record }).resource(NOW);
    assert_eq!((&off["state"], &off["suspended"]), (&json!("active"), &json!(true)));
}
