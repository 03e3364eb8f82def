//! Endpoints: where a tenant has events sent to.

use serde_json::{Value, json};
use tollgate_core::problem::Code;

use super::{instant, paging};
use crate::operation::{Answer, Body, Operation};
use crate::shape::{one_of, query, reference};

pub(super) fn all() -> Vec<Operation> {
    let hooks = || Operation { method: "GET", tag: "hooks", ..Operation::default() };
    let of_tenant = || {
        let about = "Whose, for operators: those over all tenants if left out. A caller that is \
            bound to one tenant has its own.";
        query("tenant", &reference("TenantOrAll"), about)
    };
    let paged =
        |cursor: &str| -> Vec<Value> { paging(cursor).into_iter().chain([of_tenant()]).collect() };
    let mut of_deliveries = paged("deliveries");
    let states = one_of(&["pending", "delivered", "dead", "held"]);
    of_deliveries.push(query("state", &states, "In this state."));
    of_deliveries.push(instant("since", "Of events that happened then or later."));
    let one = || vec![of_tenant()];
    let linked = |answer: Answer| {
        let id = "$response.body#/endpoint/id";
        answer
            .with_link("showEndpoint", "showEndpoint", "id", id)
            .with_link("listDeliveries", "listDeliveries", "id", id)
            .with_link("testEndpoint", "testEndpoint", "id", id)
            .with_link("deleteEndpoint", "deleteEndpoint", "id", id)
            .with_link("updateEndpoint", "updateEndpoint", "id", id)
            .with_version("updateEndpoint", "$response.body#/endpoint/version")
    };
    vec![
        Operation {
            path: "hooks/endpoints",
            id: "listEndpoints",
            summary: "List endpoints",
            about: "By age.",
            parameters: paged("endpoints"),
            answers: vec![Answer::ok("A page of endpoints.", reference("EndpointPage"))],
            codes: &[Code::NotFound],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/endpoints",
            id: "createEndpoint",
            summary: "Have events sent somewhere",
            about: "Events that happen from now on are sent there, signed as Standard Webhooks. The \
                secret is in this answer, and in no other. There are at most 20 of one tenant.",
            body: Some(Body::json(
                reference("CreateEndpoint"),
                true,
                &[(
                    "keys that end",
                    json!({
                        "url": "https://hooks.example.com/tollgate",
                        "events": ["key.expiring", "key.revoked"],
                    }),
                )],
            )),
            answers: vec![linked(
                Answer::json(201, "The endpoint and its secret.", reference("MadeEndpoint"))
                    .with_header("Location", true),
            )],
            codes: &[Code::NotFound, Code::StateConflict],
            ..hooks()
        },
        Operation {
            path: "hooks/endpoints/{id}",
            id: "showEndpoint",
            summary: "Read an endpoint",
            about: "Without its secret.",
            parameters: one(),
            answers: vec![Answer::ok("The endpoint.", reference("EndpointAnswer"))],
            ..hooks()
        },
        Operation {
            method: "PATCH",
            path: "hooks/endpoints/{id}",
            id: "updateEndpoint",
            summary: "Change an endpoint",
            about: "What is not said stays; `null` empties a field. Events for one that is disabled \
                are held for 30 days: a replay sends them.",
            parameters: one(),
            body: Some(Body::json(
                reference("UpdateEndpoint"),
                true,
                &[("off", json!({ "version": 1, "state": "disabled" }))],
            )),
            answers: vec![Answer::ok("The endpoint after it.", reference("EndpointAnswer"))],
            codes: &[Code::VersionConflict],
            ..hooks()
        },
        Operation {
            method: "DELETE",
            path: "hooks/endpoints/{id}",
            id: "deleteEndpoint",
            summary: "Forget an endpoint",
            about: "With all that was sent to it.",
            parameters: one(),
            answers: vec![Answer { status: 204, about: "It is gone.", ..Answer::default() }],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/endpoints/{id}/rotate",
            id: "rotateEndpoint",
            summary: "Make a new secret",
            about: "Both secrets sign until the grace is over.",
            parameters: one(),
            body: Some(Body::json(
                reference("RotateEndpoint"),
                false,
                &[("an hour", json!({ "grace": "1h" }))],
            )),
            answers: vec![Answer::ok(
                "The endpoint and its new secret.",
                reference("MadeEndpoint"),
            )],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/endpoints/{id}/test",
            id: "testEndpoint",
            summary: "Send a test event",
            about: "Of the type `endpoint.test`, whatever types the endpoint gets.",
            parameters: one(),
            answers: vec![Answer::json(202, "It is on its way.", reference("DeliveryAnswer"))],
            codes: &[Code::StateConflict],
            ..hooks()
        },
        Operation {
            path: "hooks/endpoints/{id}/deliveries",
            id: "listDeliveries",
            summary: "List what was sent",
            about: "The newest first, each with its attempts; for 30 days.",
            parameters: of_deliveries,
            answers: vec![Answer::ok("A page of deliveries.", reference("DeliveryPage"))],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/endpoints/{id}/replay",
            id: "replayDeliveries",
            summary: "Send events again",
            about: "Some, or all since a time. What is on its way already is left out.",
            parameters: one(),
            body: Some(Body::json(
                reference("ReplayDeliveries"),
                true,
                &[("dead ones", json!({ "since": "2026-11-22T00:00:00Z", "state": "dead" }))],
            )),
            answers: vec![
                Answer::ok("How many it would be.", reference("Replayed")),
                Answer::json(202, "So many are on their way.", reference("Replayed")),
            ],
            codes: &[Code::StateConflict],
            ..hooks()
        },
    ]
}
