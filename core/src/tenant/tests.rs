use super::*;
use crate::scope::Scope;

/// `millis` after the beginning.
pub(super) fn at(millis: u64) -> UnixMillis {
    UnixMillis::from_secs(1_800_000_000).plus(Millis::millis(millis))
}

/// A job of the tenant `acme` that has just begun.
pub(super) fn job(kind: JobKind, id: &str) -> Job {
    let seed = JobSeed { id: id.to_owned(), actor: "root".to_owned() };
    let target = Target { tenant: Some("acme".to_owned()), ..Target::default() };
    Job::new(seed, kind, target, Mandate::default(), at(0))
}

#[test]
fn an_unmade_tenant_is_active_and_unbounded() {
    let tenant = Tenant::unmade("acme", at(0));
    assert_eq!((tenant.state, tenant.version), (TenantState::Active, 1));
    assert_eq!(tenant.bounds, Bounds::default());
    let stored = serde_json::json!({"name": "acme", "version": 1, "created_at": at(0)});
    assert_eq!(serde_json::from_value::<Tenant>(stored).unwrap(), tenant, "as upgrades write it");
}

#[test]
fn differences_are_told_by_name() {
    let old = Tenant::unmade("acme", at(0));
    assert!(old.differences(&old).is_empty());
    let scopes = vec![Scope::parse("a:read").unwrap()];
    let new = Tenant {
        title: Some("Acme".into()),
        state: TenantState::Suspended,
        version: 9,
        bounds: Bounds {
            allowed_scopes: Some(scopes),
            largest_limits: Some(Vec::new()),
            max_keys: Some(0),
        },
        metadata: Map::from_iter([("a".to_owned(), Value::Null)]),
        ..old.clone()
    };
    let all = ["title", "state", "allowed_scopes", "largest_limits", "max_keys", "metadata"];
    assert_eq!(old.differences(&new), all);
}

#[test]
fn states_are_read_as_they_are_written() {
    for state in [TenantState::Active, TenantState::Suspended] {
        assert_eq!(TenantState::parse(state.as_str()), Some(state));
    }
    for state in [JobState::Running, JobState::Done] {
        assert_eq!(JobState::parse(state.as_str()), Some(state));
    }
    for text in ["", "Active", "deleted"] {
        assert!(TenantState::parse(text).is_none() && JobState::parse(text).is_none());
    }
}
