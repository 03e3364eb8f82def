use serde_json::json;

use super::*;
use crate::manage::tests::{body, made};

fn admin(with: Value) -> Caller {
    Caller::Key(Box::new(made(&body("ak", with)).record))
}

#[test]
fn a_bulk_revoke_says_which_keys() {
    let id = "abcdefghij012345";
    let target = |tenant: Option<&str>, tag: Option<&str>, family: Option<&str>| Target {
        tenant: tenant.map(str::to_owned),
        tag: tag.map(str::to_owned),
        family: family.map(|id| KeyId::parse(id).unwrap()),
    };
    for (body, wanted) in [
        (json!({ "tenant": "acme" }), target(Some("acme"), None, None)),
        (json!({ "tenant": "*", "tag": "x y" }), target(Some("*"), Some("x y"), None)),
        (json!({ "tag": "web" }), target(None, Some("web"), None)),
        (json!({ "family": id, "dry_run": true }), target(None, None, Some(id))),
    ] {
        let read = RevokeMany::read(&body, &Caller::Root).unwrap();
        assert_eq!(read.target, wanted, "{body}");
        assert_eq!(read.dry_run, body.get("dry_run").is_some());
        assert_eq!((read.mandate.kinds.len(), read.mandate.spared), (4, None));
    }
    for (body, wrong) in [
        (json!({}), &[""][..]),
        (json!({ "tenant": null, "dry_run": true }), &[""]),
        (json!({ "family": id, "tag": "x" }), &["family"]),
        (json!({ "family": "short", "tennant": "a" }), &["tennant", "family"]),
        (json!({ "tenant": "A", "tag": "", "dry_run": 1 }), &["tenant", "tag", "dry_run"]),
    ] {
        let problem = RevokeMany::read(&body, &Caller::Root).unwrap_err();
        let told: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(told, wrong, "{body}");
    }
}

#[test]
fn a_tenants_key_stays_in_its_tenant_and_leaves_itself_alone() {
    let writer = admin(json!({ "scopes": ["keys:write"], "addresses": ["192.0.2.0/24"] }));
    let read = |body: Value| RevokeMany::read(&body, &writer);
    let own = writer.key().unwrap();
    for body in [json!({ "tenant": own.tenant }), json!({ "tag": "web" })] {
        let read = read(body).unwrap();
        assert_eq!(read.target.tenant.as_ref(), Some(&own.tenant));
        assert_eq!(read.mandate.kinds, [KeyKind::Pk, KeyKind::Sk, KeyKind::Rk]);
        assert_eq!(read.mandate.spared.as_ref(), Some(&own.family));
    }
    for tenant in ["other", "*"] {
        assert_eq!(read(json!({ "tenant": tenant })).unwrap_err().code, Code::NotFound);
    }
    assert!(read(json!({})).is_err(), "its whole tenant has to be named");
    let both = admin(json!({
        "scopes": ["keys:write", "keys:admin"], "addresses": ["192.0.2.0/24"],
    }));
    let all = RevokeMany::read(&json!({ "tag": "web" }), &both).unwrap();
    assert_eq!(all.mandate.kinds.len(), 4);
    let query = |tenant: &str| {
        let pairs = [("tenant".to_owned(), json!(tenant))];
        job_query(&pairs.into_iter().collect(), &writer).map_err(|problem| problem.code)
    };
    assert!(query(&own.tenant).is_ok());
    assert_eq!(query("other").unwrap_err(), Code::NotFound);
}

#[test]
fn ids_of_jobs_stand_in_the_order_of_their_times() {
    let random = [7; 32];
    let id = |secs: u64| job_id(UnixMillis::from_secs(secs), &random).unwrap();
    let mut ids = vec![id(4_000_000_000), id(1_800_000_000), id(1_800_000_001)];
    ids.sort_unstable();
    assert_eq!(ids, [id(1_800_000_000), id(1_800_000_001), id(4_000_000_000)]);
    assert!(ids.iter().all(|id| is_job_id(id)), "{ids:?}");
    for text in ["", "short", "0123456789abcde!", "0123456789abcdefg"] {
        assert!(!is_job_id(text), "{text}");
    }
    assert_eq!(job_id(UnixMillis::from_secs(1), &[255; 32]), None);
}
