//! Keys and their life.

use serde_json::json;
use tollgate_core::problem::Code;

use super::{filter, instant, paging};
use crate::operation::{Answer, Body, Operation};
use crate::shape::{one_of, query, reference};

pub(super) fn all() -> Vec<Operation> {
    let mut all = vec![create(), list(), show(), update(), revoke_keys(), verify(), explain()];
    all.extend(life());
    all
}

const KEYS: Operation = Operation {
    method: "POST",
    path: "",
    id: "",
    tag: "keys",
    summary: "",
    about: "",
    parameters: Vec::new(),
    body: None,
    answers: Vec::new(),
    codes: &[],
    security: &[],
};

fn create() -> Operation {
    Operation {
        path: "keys",
        id: "createKey",
        summary: "Make a key",
        about: "The answer shows the key's secret, once.",
        body: Some(Body::json(
            reference("CreateKey"),
            true,
            &[
                ("secret", json!({ "tenant": "acme", "kind": "sk", "name": "billing" })),
                (
                    "publishable",
                    json!({
                        "tenant": "acme",
                        "kind": "pk",
                        "name": "shop",
                        "origins": ["https://app.example.com"],
                        "scopes": ["invoices:read"],
                        "limits": [{ "requests": 60, "window": "1m" }],
                        "expires_in": "90d",
                    }),
                ),
                (
                    "admin",
                    json!({
                        "tenant": "acme",
                        "kind": "ak",
                        "name": "automation",
                        "scopes": ["keys:read", "keys:write"],
                        "addresses": ["192.0.2.0/24"],
                        "mfa": false,
                    }),
                ),
            ],
        )),
        answers: vec![of_key(
            Answer::json(201, "The key, and its secret.", reference("MadeKey"))
                .with_header("Location", true),
        )],
        codes: &[Code::NotGrantable, Code::StateConflict, Code::NotFound],
        ..KEYS
    }
}

/// Where one goes on from a key.
fn of_key(answer: Answer) -> Answer {
    [
        "showKey",
        "updateKey",
        "rotateKey",
        "endGrace",
        "disableKey",
        "enableKey",
        "revokeKey",
        "renewEnrolment",
        "keyUsage",
    ]
    .into_iter()
    .fold(answer, |answer, operation| {
        answer.with_link(operation, operation, "id", "$response.body#/key/id")
    })
    .with_version("updateKey", "$response.body#/key/version")
}

fn list() -> Operation {
    let mut parameters = paging("keys");
    parameters.extend([
        filter("tenant", "Of this tenant; `*`: keys of operators."),
        filter("owner", "Of this owner."),
        filter("tag", "With this tag."),
        query("kind", &reference("KeyKind"), "Of this kind."),
        query("state", &one_of(&["active", "disabled", "revoked", "expired"]), "In this state."),
        instant(
            "unused_since",
            "Not used since then; one that was never used counts from its making.",
        ),
    ]);
    Operation {
        method: "GET",
        path: "keys",
        id: "listKeys",
        summary: "List keys",
        about: "Newest first. A list follows from the keys' objects, and may be a moment behind them.",
        parameters,
        answers: vec![Answer::ok("A page of keys.", reference("KeyPage"))],
        codes: &[Code::NotFound],
        ..KEYS
    }
}

fn show() -> Operation {
    Operation {
        method: "GET",
        path: "keys/{id}",
        id: "showKey",
        summary: "Read a key",
        about: "As it is at this moment.",
        answers: vec![Answer::ok("The key.", reference("KeyAnswer"))],
        ..KEYS
    }
}

fn update() -> Operation {
    Operation {
        method: "PATCH",
        path: "keys/{id}",
        id: "updateKey",
        summary: "Change a key",
        about: "Carries the version that the caller has seen: another one there is a conflict.",
        body: Some(Body::json(
            reference("UpdateKey"),
            true,
            &[("rename", json!({ "version": 1, "name": "renamed" }))],
        )),
        answers: vec![Answer::ok("The key after the change.", reference("KeyAnswer"))],
        codes: &[Code::VersionConflict, Code::StateConflict, Code::NotGrantable],
        ..KEYS
    }
}

fn life() -> Vec<Operation> {
    let act = |path, id, summary, about| Operation {
        path,
        id,
        summary,
        about,
        body: Some(Body::json(reference("Nothing"), false, &[])),
        answers: vec![Answer::ok("The key after it.", reference("KeyAnswer"))],
        codes: &[Code::StateConflict, Code::VersionConflict, Code::NotGrantable],
        ..KEYS
    };
    vec![
        Operation {
            body: Some(Body::json(
                reference("RotateKey"),
                false,
                &[("a day", json!({ "grace": "24h" })), ("at once", json!({ "grace": "0s" }))],
            )),
            answers: vec![
                Answer::json(201, "The new key, and its secret.", reference("RotatedKey"))
                    .with_header("Location", true),
            ],
            ..act(
                "keys/{id}/rotate",
                "rotateKey",
                "Put a new key in its place",
                "The old one goes on working for `grace` (48h where it is not said), never past its \
                 own end. The answer shows the new key's secret, once.",
            )
        },
        act(
            "keys/{id}/end-grace",
            "endGrace",
            "End the grace period of a rotated key",
            "It expires now.",
        ),
        act("keys/{id}/disable", "disableKey", "Switch a key off", "For the time being."),
        act("keys/{id}/enable", "enableKey", "Switch a key on again", "One that is not revoked."),
        Operation {
            body: Some(Body::json(
                reference("RevokeKey"),
                false,
                &[("the whole family", json!({ "family": true }))],
            )),
            ..act(
                "keys/{id}/revoke",
                "revokeKey",
                "End a key for good",
                "A request that begins after the answer is refused, everywhere.",
            )
        },
    ]
}

fn revoke_keys() -> Operation {
    Operation {
        path: "keys/revoke",
        id: "revokeKeys",
        summary: "End many keys",
        about: "All of a tenant, of a tag, or of a family: a job that survives crashes. With \
            `dry_run` it only tells which keys it would end.",
        body: Some(Body::json(
            reference("RevokeKeys"),
            true,
            &[("dry run", json!({ "tenant": "acme", "tag": "old", "dry_run": true }))],
        )),
        answers: vec![
            Answer::ok("What it would end.", reference("Rehearsal")),
            Answer::json(202, "The job.", reference("JobAnswer")).with_link(
                "showJob",
                "showJob",
                "id",
                "$response.body#/job/id",
            ),
        ],
        codes: &[Code::NotFound, Code::NotGrantable],
        ..KEYS
    }
}

fn verify() -> Operation {
    Operation {
        path: "keys/verify",
        id: "verifyKey",
        summary: "Is this key good?",
        about: "For this scope, from this origin and address, as far as they are said. It costs the \
            key nothing.",
        body: Some(Body::json(
            reference("VerifyKey"),
            true,
            &[("a key", json!({ "key": "tg_prod_sk_…", "scope": "invoices:read" }))],
        )),
        answers: vec![Answer::ok("Whether it would pass.", reference("Verdict"))],
        ..KEYS
    }
}

fn explain() -> Operation {
    Operation {
        path: "explain",
        id: "explain",
        summary: "The road as a dry run",
        about: "Every step, passed, refused or skipped, with the rule and the value.",
        body: Some(Body::json(
            reference("Explain"),
            true,
            &[(
                "a request",
                json!({ "request": {
                    "method": "GET",
                    "url": "https://api.example.com/v1/invoices/7",
                    "headers": [["Origin", "https://app.example.com"]],
                    "client_ip": "192.0.2.7",
                } }),
            )],
        )),
        answers: vec![Answer::ok("What would become of it.", reference("Explanation"))],
        codes: &[Code::NotFound],
        ..KEYS
    }
}
