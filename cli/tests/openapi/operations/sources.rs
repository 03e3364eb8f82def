//! Sources: webhooks that came in.

use serde_json::{Value, json};
use tollgate_core::problem::Code;

use super::{instant, paging};
use crate::operation::{Answer, Body, Operation};
use crate::shape::{one_of, query, reference};

pub(super) fn all() -> Vec<Operation> {
    let hooks = || Operation { method: "GET", tag: "hooks", ..Operation::default() };
    let mut of_events: Vec<Value> = paging("events");
    let states = one_of(&["pending", "delivered", "dead"]);
    of_events.push(query("state", &states, "In this state."));
    of_events.push(instant("since", "That arrived then or later."));
    vec![
        Operation {
            path: "hooks",
            id: "listSources",
            summary: "List the sources of webhooks",
            about: "As the policy has them, by name.",
            parameters: paging("sources"),
            answers: vec![Answer::ok("A page of sources.", reference("SourcePage"))],
            ..hooks()
        },
        Operation {
            path: "hooks/{source}/refusals",
            id: "listRefusals",
            summary: "List the webhooks that a source refused",
            about: "The latest first, and at which step each failed, which its sender is not told. The \
                last 100 of seven days; of a flood each isolate keeps 20 a minute and counts the rest.",
            parameters: paging("refusals"),
            answers: vec![Answer::ok("A page of refusals.", reference("RefusalPage"))],
            ..hooks()
        },
        Operation {
            path: "hooks/{source}/events",
            id: "listEvents",
            summary: "List the events of a source",
            about: "The latest first. Delivered ones for as long as the policy keeps them, dead ones \
                for 30 days. A source with `delivery = \"forward\"` keeps none.",
            parameters: of_events,
            answers: vec![Answer::ok("A page of events.", reference("HookEventPage"))],
            ..hooks()
        },
        Operation {
            path: "hooks/{source}/events/{id}",
            id: "showEvent",
            summary: "Read an event",
            about: "Its headers as the backend gets them, its body in base64, and each attempt. The \
                backend's credential and the gate's signature are added with each attempt and kept \
                nowhere.",
            answers: vec![Answer::ok("The event.", reference("HookEventAnswer"))],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/{source}/events/{id}/replay",
            id: "replayEvent",
            summary: "Deliver an event again",
            about: "At once, and then on the whole schedule, whatever state it is in.",
            answers: vec![Answer::json(202, "It is on its way.", reference("Replayed"))],
            ..hooks()
        },
        Operation {
            method: "POST",
            path: "hooks/{source}/replay",
            id: "replayEvents",
            summary: "Deliver events again",
            about: "Some by their ids, or all since a time: dead ones, or with `state` all that have \
                ended.",
            body: Some(Body::json(
                reference("ReplayEvents"),
                true,
                &[("dead ones", json!({ "since": "2026-11-22T00:00:00Z", "state": "dead" }))],
            )),
            answers: vec![
                Answer::ok("How many it would be.", reference("Replayed")),
                Answer::json(202, "So many are on their way.", reference("Replayed")),
            ],
            codes: &[Code::NotFound],
            ..hooks()
        },
    ]
}
