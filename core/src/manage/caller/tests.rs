use serde_json::json;

use super::*;
use crate::manage::tests::{body, made, made_by};

/// Admin keys: of acme with everything, of acme for writing, bound to addresses, of everyone.
fn admin(with: serde_json::Value) -> Caller {
    Caller::Key(Box::new(made(&body("ak", with)).record))
}

fn full() -> Caller {
    admin(json!({
        "scopes": ["keys:read", "keys:write", "keys:admin"], "addresses": ["192.0.2.0/24"],
    }))
}

#[test]
fn a_root_token_has_32_bytes_or_is_none() {
    let token = "A".repeat(43);
    assert!(root_token_fits(&Secret::new(token.as_str()), &token));
    assert!(!root_token_fits(&Secret::new(token.as_str()), &"B".repeat(43)));
    assert!(!root_token_fits(&Secret::new("short"), "short"), "guessable");
    assert!(!root_token_fits(&Secret::new(""), ""), "none is set");
}

#[test]
fn a_call_takes_its_scope() {
    let reader = admin(json!({}));
    let writer = admin(json!({ "scopes": ["keys:write"], "addresses": ["192.0.2.7"] }));
    let session = admin(json!({ "scopes": ["keys:read", "keys:write"] }));
    for (caller, rights, passes) in [
        (&Caller::Root, &[Right::AdminKeys][..], true),
        (&reader, &[Right::ReadKeys], true),
        (&reader, &[Right::WriteKeys], false),
        (&writer, &[Right::WriteKeys], true),
        (&writer, &[Right::ReadKeys], false),
        (&writer, &[Right::AdminKeys], false),
        (&writer, &[Right::WriteKeys, Right::AdminKeys], true),
        (&session, &[Right::ReadKeys], true),
        (&session, &[Right::WriteKeys], false),
    ] {
        let answer = caller.require(rights);
        assert_eq!(answer.is_ok(), passes, "{} {rights:?}", caller.name());
        if let Err(problem) = answer {
            assert_eq!(problem.code, Code::InsufficientScope);
            assert!(!problem.required_scopes.is_empty());
        }
    }
    let problem = session.require(&[Right::WriteKeys]).unwrap_err();
    assert!(problem.detail.contains("second factor"), "{}", problem.detail);
}

#[test]
fn another_tenants_key_does_not_exist() {
    let other = made(&body("sk", json!({ "tenant": "other" }))).record;
    let own = made(&body("sk", json!({}))).record;
    let operator = admin(json!({
        "tenant": "*", "scopes": ["keys:write"], "addresses": ["192.0.2.7"],
    }));
    for (caller, key, code) in [
        (full(), &own, None),
        (full(), &other, Some(Code::NotFound)),
        (operator, &other, None),
        (Caller::Root, &other, None),
        (admin(json!({})), &own, Some(Code::InsufficientScope)),
        (admin(json!({})), &other, Some(Code::NotFound)),
    ] {
        let code_of = |answer: Result<(), Box<Problem>>| answer.err().map(|problem| problem.code);
        assert_eq!(code_of(caller.may_change(key)), code, "{}", caller.name());
    }
}

#[test]
fn an_admin_key_never_changes_itself_or_its_rotations() {
    let caller = full();
    let Caller::Key(own) = &caller else { panic!("a key") };
    let mut successor = own.clone();
    successor.id = made(&body("sk", json!({ "name": "other" }))).record.id;
    for key in [own, &successor] {
        assert_eq!(caller.may_change(key).unwrap_err().code, Code::NotGrantable);
    }
    let sister = made(&body("ak", json!({ "name": "sister" }))).record;
    assert_eq!(caller.may_change(&sister), Ok(()));
    assert_eq!(Caller::Root.may_change(own), Ok(()));
}

#[test]
fn nobody_grants_more_than_they_have() {
    let bound = json!(["192.0.2.0/25"]);
    for (with, code, reason) in [
        (json!({ "scopes": ["keys:read"], "addresses": bound }), None, "less"),
        (json!({ "scopes": ["keys:admin"], "addresses": bound }), None, "its own"),
        (
            json!({ "scopes": ["keys:read"], "addresses": ["192.0.2.0/24"] }),
            None,
            "its own network",
        ),
        (
            json!({ "scopes": ["audit:read"], "addresses": bound }),
            Some(Code::NotGrantable),
            "a scope it lacks",
        ),
        (json!({ "scopes": ["keys:read"] }), Some(Code::NotGrantable), "from anywhere"),
        (
            json!({ "scopes": ["keys:read"], "addresses": ["192.0.0.0/16"] }),
            Some(Code::NotGrantable),
            "a wider network",
        ),
        (
            json!({ "scopes": ["keys:read"], "addresses": ["192.0.2.1", "2001:db8::1"] }),
            Some(Code::NotGrantable),
            "another network",
        ),
        (
            json!({ "tenant": "other", "addresses": bound }),
            Some(Code::NotGrantable),
            "another tenant",
        ),
        (json!({ "tenant": "*", "addresses": bound }), Some(Code::NotGrantable), "all tenants"),
    ] {
        let made = made_by(&full(), &body("ak", with));
        assert_eq!(made.err().map(|problem| problem.code), code, "{reason}");
    }
    for (kind, with, code, reason) in [
        (
            "sk",
            json!({ "scopes": ["invoices:write"] }),
            None,
            "business scopes are no rights over keys",
        ),
        ("sk", json!({ "addresses": ["203.0.113.7"] }), None, "a server stands where it stands"),
        ("sk", json!({ "tenant": null }), None, "its own tenant goes without saying"),
        ("sk", json!({ "tenant": "other" }), Some(Code::NotGrantable), "another tenant"),
    ] {
        let made = made_by(&full(), &body(kind, with));
        assert_eq!(made.err().map(|problem| problem.code), code, "{reason}");
    }
    let writer = admin(json!({ "scopes": ["keys:write"], "addresses": ["192.0.2.7"] }));
    let problem = made_by(&writer, &body("ak", json!({ "addresses": ["192.0.2.7"] }))).unwrap_err();
    assert_eq!(
        (problem.code, problem.required_scopes),
        (Code::InsufficientScope, vec!["keys:admin".to_owned()])
    );
}

#[test]
fn a_stronger_key_is_not_granted_by_rotating_it() {
    let strong = made(&body("ak", json!({ "scopes": ["audit:read"], "name": "strong" }))).record;
    let problem = full().may_grant(&strong).unwrap_err();
    assert_eq!(problem.code, Code::NotGrantable);
    assert!(problem.detail.contains("audit:read"), "{}", problem.detail);
    assert_eq!(Caller::Root.may_grant(&strong), Ok(()));
}

#[test]
fn a_network_lies_in_another_or_does_not() {
    for (outer, inner, within) in [
        ("192.0.2.0/24", "192.0.2.0/24", true),
        ("192.0.2.0/24", "192.0.2.128/25", true),
        ("192.0.2.0/24", "192.0.2.9", true),
        ("192.0.2.0/24", "192.0.3.9", false),
        ("192.0.2.0/25", "192.0.2.0/24", false),
        ("::/0", "2001:db8::/32", true),
        ("0.0.0.0/0", "2001:db8::/32", false),
        ("::/0", "192.0.2.0/24", false),
    ] {
        let (outer_net, inner_net) = (Cidr::parse(outer).unwrap(), Cidr::parse(inner).unwrap());
        assert_eq!(is_within(&outer_net, &inner_net), within, "{outer} {inner}");
    }
}
