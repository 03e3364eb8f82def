//! Sessions and second factors of people.

use serde_json::json;
use tollgate_core::problem::Code;

use crate::operation::{Answer, Body, Operation};
use crate::shape::reference;

pub(super) fn all() -> Vec<Operation> {
    let people = || Operation { method: "POST", tag: "people", ..Operation::default() };
    vec![
        Operation {
            path: "keys/{id}/enrolment",
            id: "renewEnrolment",
            summary: "A fresh enrolment code for an admin key",
            about: "What was enrolled before is forgotten, and the key's sessions end. The code is for \
                the key's holder, who enrols a second factor with it.",
            body: Some(Body::json(reference("Nothing"), false, &[])),
            answers: vec![Answer::ok("The code.", reference("EnrolmentAnswer"))],
            codes: &[Code::StateConflict, Code::NotGrantable],
            ..people()
        },
        Operation {
            method: "GET",
            path: "session",
            id: "showSession",
            summary: "Who am I, and until when?",
            about: "Of a key or the root token too, which are no session.",
            answers: vec![Answer::ok("The session.", reference("SessionAnswer"))],
            ..people()
        },
        Operation {
            path: "session",
            id: "openSession",
            summary: "Open a session",
            about: "With an admin key as the credential, and a code of its second factor. A session of \
                the console is a cookie of 12 hours, one of the command line a token of 15 minutes.",
            body: Some(Body::json(
                reference("OpenSession"),
                true,
                &[("cli", json!({ "kind": "cli", "code": "123456" }))],
            )),
            answers: vec![
                Answer::ok("The session.", reference("OpenedSession"))
                    .with_header("Set-Cookie", false),
            ],
            codes: &[Code::SecondFactorRequired, Code::SecondFactorInvalid, Code::StateConflict],
            ..people()
        },
        Operation {
            method: "DELETE",
            path: "session",
            id: "closeSession",
            summary: "End the session",
            about: "The one that is the credential of this call.",
            answers: vec![Answer {
                status: 204,
                about: "It has ended.",
                headers: vec![("Set-Cookie", false)],
                ..Answer::default()
            }],
            codes: &[Code::StateConflict, Code::NotFound],
            ..people()
        },
        Operation {
            path: "session/enrol",
            id: "enrol",
            summary: "Enrol a second factor",
            about: "With the enrolment code from whoever made the key. The answer is for an \
                authenticator app; nothing counts before it is confirmed.",
            body: Some(Body::json(reference("Enrol"), true, &[])),
            answers: vec![Answer::ok("What the app takes.", reference("Enrolling"))],
            codes: &[Code::SecondFactorInvalid, Code::StateConflict],
            ..people()
        },
        Operation {
            path: "session/enrol/confirm",
            id: "confirmEnrolment",
            summary: "Prove that the second factor works",
            about: "With the app's first code.",
            body: Some(Body::json(
                reference("ConfirmEnrolment"),
                true,
                &[("a code", json!({ "code": "123456" }))],
            )),
            answers: vec![Answer::ok("Recovery codes.", reference("Enrolled"))],
            codes: &[Code::SecondFactorInvalid, Code::StateConflict],
            ..people()
        },
    ]
}
