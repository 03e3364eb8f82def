//! What happened: the audit, usage, anomalies.

use serde_json::{Value, json};
use tollgate_core::problem::Code;

use super::{filter, instant, moment, paging};
use crate::operation::{Answer, Operation};
use crate::shape::{one_of, query, reference};

pub(super) fn all() -> Vec<Operation> {
    let log = || Operation { method: "GET", tag: "log", ..Operation::default() };
    vec![
        Operation {
            path: "audit",
            id: "readAudit",
            summary: "Read or export the audit",
            about: "A page of entries, newest first, with filters; or, with `format=ndjson`, whole \
                lines of the chain, oldest first, after the entry `after`, and a signed head as the \
                last line. An export has no filters, so that it can be verified.",
            parameters: audit(),
            answers: vec![Answer {
                content: vec![
                    ("application/json", reference("AuditPage")),
                    ("application/x-ndjson", reference("AuditExport")),
                ],
                ..Answer::ok("Entries.", Value::Null)
            }],
            codes: &[Code::NotFound],
            ..log()
        },
        Operation {
            path: "audit/key",
            id: "auditKey",
            summary: "The key that signs exports",
            about: "For whoever verifies them.",
            answers: vec![Answer::ok("The public key.", reference("AuditKey"))],
            ..log()
        },
        Operation {
            path: "keys/{id}/usage",
            id: "keyUsage",
            summary: "Usage of a key",
            about: "By hour for 30 days, by day for a year.",
            parameters: frame(),
            answers: vec![Answer::ok("The usage.", reference("KeyUsage"))],
            ..log()
        },
        Operation {
            path: "usage",
            id: "usage",
            summary: "Usage of a tenant",
            about: "Of all tenants for an operator who names none.",
            parameters: {
                let mut all = frame();
                let tenant = reference("TenantOrAll");
                all.push(query("tenant", &tenant, "Of this tenant."));
                all
            },
            answers: vec![Answer::ok("The usage.", reference("Usage"))],
            codes: &[Code::NotFound],
            ..log()
        },
        Operation {
            path: "anomalies",
            id: "listAnomalies",
            summary: "List anomalies",
            about: "What a key did that it never did, or far more of it than it used to. Newest first.",
            parameters: anomalies(),
            answers: vec![Answer::ok("A page of anomalies.", reference("AnomalyPage"))],
            codes: &[Code::NotFound],
            ..log()
        },
    ]
}

fn audit() -> Vec<Value> {
    let mut all = vec![query(
        "limit",
        &json!({ "type": "integer", "minimum": 1, "maximum": 10_000 }),
        "At most so many: 1 to 100 entries of a page (50 where it is not said), 1 to 10000 lines \
             of an export.",
    )];
    all.extend(paging("audit").into_iter().skip(1));
    all.extend([
        query("tenant", &reference("TenantOrAll"), "Whose chain; `*`: the one over all."),
        query("key", &reference("KeyId"), "About this key."),
        filter("actor", "Done by this one."),
        filter("type", "Of this type, such as `key.created`."),
        moment("from", "Happened then or later."),
        moment("to", "Happened before then."),
        query("format", &json!({ "const": "ndjson" }), "An export."),
        query(
            "after",
            &json!({ "type": "integer", "minimum": 0, "maximum": 1_u64 << 53 }),
            "Of an export: lines after this entry.",
        ),
    ]);
    all
}

fn frame() -> Vec<Value> {
    vec![
        query(
            "by",
            &one_of(&["hour", "day"]),
            "The length of a bucket; `hour` where it is not said.",
        ),
        moment("from", "The beginning; a day or 30 days before the end where it is not said."),
        moment("to", "The end; now where it is not said."),
    ]
}

fn anomalies() -> Vec<Value> {
    let mut all = paging("anomalies");
    all.extend([
        filter("tenant", "Of this tenant."),
        query("key", &reference("KeyId"), "Of this key."),
        query(
            "kind",
            &one_of(&[
                "repeated_refusals",
                "sudden_volume",
                "new_route",
                "new_country",
                "old_key_in_grace",
            ]),
            "Of this kind.",
        ),
        instant("since", "Told then or later."),
    ]);
    all
}
