use serde_json::json;

use super::*;
use crate::manage::tests::{NOW, body, made};
use crate::origin::SingleLabels;
use crate::policy::Node;

fn read(body: &Value) -> Result<Tenant, Box<Problem>> {
    new_tenant(body, NOW)
}

fn fields(problem: &Problem) -> Vec<&str> {
    problem.errors.iter().map(|error| error.field.as_str()).collect()
}

#[test]
fn a_tenant_is_read_with_all_that_is_said() {
    let least = read(&json!({ "name": "acme" })).unwrap();
    assert_eq!(least, Tenant::unmade("acme", NOW));
    let all = json!({
        "name": "acme-2", "title": "Acme", "allowed_scopes": ["a:read", "files:*:*"],
        "largest_limits": [{ "requests": 600, "window": "1m" }], "max_keys": 0,
        "metadata": { "crm": 7 },
    });
    let counted = Counted { tenant: read(&all).unwrap(), live: 3, total: 9 };
    let resource = tenant_resource(&counted);
    for (name, value) in all.as_object().unwrap() {
        assert_eq!(&resource[name], value, "{name}");
    }
    assert_eq!((&resource["state"], &resource["version"]), (&json!("active"), &json!(1)));
    assert_eq!(resource["keys"], json!({ "live": 3, "total": 9 }));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let all = read(&json!({
        "name": "-a", "titel": "x", "state": "suspended", "allowed_scopes": ["a", "a:b", "a:b"],
        "largest_limits": [{ "requests": 0, "window": "1m" }, { "window": "2d", "by": "key" }],
        "max_keys": -1, "metadata": [],
    }));
    let problem = all.unwrap_err();
    assert_eq!(problem.code, Code::InvalidField);
    let mut told = fields(&problem);
    told.sort_unstable();
    let wanted = [
        "allowed_scopes[0]",
        "allowed_scopes[2]",
        "largest_limits[0].requests",
        "largest_limits[1].by",
        "largest_limits[1].requests",
        "max_keys",
        "metadata",
        "name",
        "state",
        "titel",
    ];
    assert_eq!(told, wanted, "{:?}", problem.errors);
    for name in ["", "*", "A", "a_b", "a.b", &"a".repeat(64)] {
        assert_eq!(fields(&read(&json!({ "name": name })).unwrap_err()), ["name"], "{name}");
    }
    assert_eq!(fields(&read(&json!({})).unwrap_err()), ["name"]);
}

#[test]
fn a_change_keeps_what_it_does_not_say_and_null_takes_away() {
    let said = json!({
        "name": "acme", "title": "Acme", "allowed_scopes": ["a:read"],
        "largest_limits": [{ "requests": 6, "window": "1m" }], "max_keys": 5, "metadata": { "a": 1 },
    });
    let tenant = read(&said).unwrap();
    let changed = |body: Value| TenantUpdate::read(&body).unwrap().of(tenant.clone());
    assert_eq!(changed(json!({ "version": 1 })).unwrap(), tenant);
    let off = changed(json!({ "version": 1, "state": "suspended", "max_keys": 7 })).unwrap();
    assert_eq!(tenant.differences(&off), ["state", "max_keys"]);
    let bare = changed(json!({
        "version": 1, "title": null, "allowed_scopes": null, "largest_limits": null,
        "max_keys": null, "metadata": null,
    }));
    assert_eq!(bare.unwrap(), Tenant::unmade("acme", NOW));
    assert_eq!(changed(json!({ "version": 1, "title": "" })).unwrap().title, None);
    let empty = changed(json!({ "version": 1, "allowed_scopes": [] })).unwrap();
    assert_eq!(empty.bounds.allowed_scopes, Some(Vec::new()), "an empty list is not none");
    for version in [0, 2] {
        let problem = changed(json!({ "version": version })).unwrap_err();
        assert_eq!(problem.code, Code::VersionConflict);
        assert_eq!(problem.extra.get("version"), Some(&json!(1)));
    }
    for (body, wrong) in [
        (json!({}), &["version"][..]),
        (json!({ "version": 1, "name": "b" }), &["name"]),
        (json!({ "version": 1, "state": "gone", "keys": {} }), &["keys", "state"]),
    ] {
        assert_eq!(fields(&TenantUpdate::read(&body).unwrap_err()), wrong, "{body}");
    }
}

#[test]
fn a_list_of_tenants_goes_on_after_a_name() {
    let query = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        tenant_query(&pairs.collect())
    };
    let all = query(&[]).unwrap();
    assert_eq!(all, TenantQuery { limit: 50, after: None, state: None });
    let next = place_after("acme");
    let some = query(&[("limit", "2"), ("cursor", &next), ("state", "suspended")]).unwrap();
    assert_eq!(some.after.as_deref(), Some("acme"));
    assert_eq!((some.limit, some.state), (2, Some(TenantState::Suspended)));
    for (name, value) in [("limit", "0"), ("cursor", "acme"), ("state", "off"), ("owner", "x")] {
        assert_eq!(fields(&query(&[(name, value)]).unwrap_err()), [name]);
    }
}

#[test]
fn a_change_of_a_key_is_judged_where_it_changes_something() {
    let policy = json!({
        "version": 1, "gate": { "realm": "test", "hosts": ["api.example.com"] },
        "environment": { "dev": { "upstream": { "main": "http://127.0.0.1:9" } } },
        "upstream": { "main": {} },
        "route": [{ "name": "a", "path": "/a", "methods": ["GET"], "upstream": "main",
            "auth": "key" }],
    });
    let file = Policy::check(&Node::from_json(&policy), &SingleLabels, NOW).unwrap();
    let policy = file.select("dev").unwrap();
    let record = made(&body("sk", json!({ "scopes": ["a:read"] }))).record;
    let asked = asked_of(&record, &policy);
    assert_eq!(asked.scopes.as_ref(), Some(&record.scopes));
    assert!(!asked.limits.as_ref().unwrap().is_empty(), "the limit that it gets for want of one");
    let change = |with: &dyn Fn(&mut KeyRecord), now: UnixMillis| {
        let mut after = record.clone();
        with(&mut after);
        let (asked, takes) = asked_of_change(&record, &after, &policy, now);
        (asked.scopes.is_some(), asked.limits.is_some(), takes)
    };
    let end = record.expires_at;
    let longer = |after: &mut KeyRecord| after.expires_at = end.plus(crate::time::Millis::days(1));
    assert_eq!(change(&|after| after.name = "b".into(), NOW), (false, false, Takes::Nothing));
    assert_eq!(change(&|after| after.scopes.clear(), NOW), (true, false, Takes::Nothing));
    assert_eq!(change(&longer, NOW), (false, false, Takes::Nothing));
    assert_eq!(change(&longer, end), (false, false, Takes::Room), "it comes back from its end");
}

#[test]
fn a_stop_tells_what_is_too_much() {
    let scope = Scope::parse("a:write").unwrap();
    let rate = Rate::new(60, crate::time::Millis::minutes(1)).unwrap();
    for (reply, code, detail) in [
        (
            TenantReply::Stopped(Stop::Suspended),
            Code::StateConflict,
            "The tenant `acme` is suspended.",
        ),
        (
            TenantReply::Stopped(Stop::Full { max: 3 }),
            Code::StateConflict,
            "The tenant `acme` has as many keys as it may: 3 that are neither revoked nor expired.",
        ),
        (
            TenantReply::Stopped(Stop::Excess { scopes: vec![scope], limits: vec![rate] }),
            Code::NotGrantable,
            "Beyond the tenant `acme`: the scope `a:write`; more than 60 requests in 1m (counted by key).",
        ),
        (TenantReply::Done, Code::AdmissionUnavailable, ""),
    ] {
        let problem = announced("acme", reply).unwrap_err();
        assert_eq!((problem.code, problem.detail.as_str()), (code, detail));
    }
    assert_eq!(announced("acme", TenantReply::Announced { untold: true }).ok(), Some(true));
}
