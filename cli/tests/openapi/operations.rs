//! Every operation, said by hand: what it does, what it takes, what it answers.

mod beside;
mod endpoints;
mod keys;
mod log;
mod people;
mod sources;
mod tenants;

use serde_json::{Value, json};

use crate::operation::Operation;
use crate::shape::{about, line, query, reference, text, with};

/// The groups that operations are shown in.
pub(crate) const TAGS: &[(&str, &str)] = &[
    ("keys", "Keys and their life."),
    ("tenants", "Tenants as operators own them, and jobs over many keys."),
    ("log", "What happened: the audit, usage, anomalies."),
    ("hooks", "Webhooks: what came in, and where a tenant has events sent to."),
    ("people", "Sessions and second factors of people who hold admin keys."),
    ("gate", "What is asked of the gate beside the management API."),
];

/// All of them.
pub(crate) fn all() -> Vec<Operation> {
    let hooks = [sources::all(), endpoints::all()];
    let others = [keys::all(), tenants::all(), log::all(), people::all(), beside::all()];
    others.into_iter().chain(hooks).flatten().collect()
}

/// `limit` and `cursor`; `cursor` is the format of the cursor's text.
fn paging(cursor: &str) -> Vec<Value> {
    let text = json!({ "type": "string", "format": format!("tollgate-cursor-{cursor}") });
    vec![
        query(
            "limit",
            &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 }),
            "At most so many.",
        ),
        query("cursor", &text, "The `nextCursor` of the page before."),
    ]
}

/// A filter by a text.
fn filter(name: &str, what: &str) -> Value {
    query(name, &line(1, 100), what)
}

/// One end of a stretch of time.
fn moment(end: &str, what: &str) -> Value {
    let time = text(crate::schemas::TIME_ASKED);
    query(end, &with(time, &json!({ "format": format!("tollgate-{end}") })), what)
}

/// A filter by a time.
fn instant(name: &str, what: &str) -> Value {
    query(name, &about(reference("TimeAsked"), what), what)
}
