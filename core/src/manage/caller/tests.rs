use serde_json::json;

use super::*;
use crate::manage::tests::{body, made, made_by};
use crate::people::SessionKind;

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
    let person = admin(json!({ "scopes": ["keys:read", "keys:write"] }));
    let session = |of: &Caller, second_factor| in_session(of, second_factor);
    let (weak, strong) = (session(&person, false), session(&person, true));
    let (lower, second) = (Some(Code::InsufficientScope), Some(Code::SecondFactorRequired));
    for (caller, rights, refused) in [
        (&Caller::Root, &[Right::AdminKeys][..], None),
        (&reader, &[], None),
        (&reader, &[Right::ReadKeys], None),
        (&reader, &[Right::WriteKeys], lower),
        (&writer, &[Right::WriteKeys], None),
        (&writer, &[Right::ReadKeys], lower),
        (&writer, &[Right::AdminKeys], lower),
        (&writer, &[Right::WriteKeys, Right::AdminKeys], None),
        (&person, &[], None),
        (&person, &[Right::ReadKeys], None),
        (&person, &[Right::WriteKeys], second),
        (&person, &[Right::AdminKeys], lower),
        (&weak, &[Right::ReadKeys], None),
        (&weak, &[Right::WriteKeys], second),
        (&strong, &[Right::ReadKeys], None),
        (&strong, &[Right::WriteKeys], None),
        (&strong, &[Right::AdminKeys], lower),
        (&session(&writer, false), &[Right::WriteKeys], None),
    ] {
        let answer = caller.require(rights).err();
        let code = answer.as_ref().map(|problem| problem.code);
        assert_eq!(code, refused, "{caller:?} {rights:?}");
        let scopes = answer.map_or(0, |problem| problem.required_scopes.len());
        assert_eq!(scopes > 0, refused == lower, "{rights:?}");
    }
}

/// The holder of a key, from a session of it.
fn in_session(of: &Caller, second_factor: bool) -> Caller {
    let record = Box::new(of.key().unwrap().clone());
    let session =
        SessionView { kind: SessionKind::Console, expires_at: record.expires_at, second_factor };
    Caller::Session { record, session }
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
    let own = caller.key().unwrap();
    let mut successor = own.clone();
    successor.id = made(&body("sk", json!({ "name": "other" }))).record.id;
    for key in [own, &successor] {
        assert_eq!(caller.may_change(key).unwrap_err().code, Code::NotGrantable);
        let session = in_session(&caller, true);
        assert_eq!(session.may_change(key).unwrap_err().code, Code::NotGrantable);
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
