//! What is told: from an entry of the audit to what an endpoint gets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::time::UnixMillis;

/// Every type of event, in the order of SPEC section 7. Each is a type of entries in the audit.
pub const EVENTS: [&str; 12] = [
    "key.created",
    "key.updated",
    "key.rotated",
    "key.revoked",
    "key.disabled",
    "key.expiring",
    "limit.reached",
    "anomaly.detected",
    "secret.leaked",
    "session.opened",
    "session.failed",
    "webhook.dead",
];
/// The type of what is sent to try an endpoint. It goes to the one that was asked for, whatever
/// types that gets, and is no entry of the audit.
pub const TEST: &str = "endpoint.test";

/// Members of an entry that are told, besides its `detail`. What is left out is of the chain (`prev`,
/// `hash`) or about when and where it was written down.
const TOLD: [&str; 6] = ["seq", "tenant", "key", "actor", "fields", "request_id"];

/// One event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of its entry in the audit; none: it is a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub at: UnixMillis,
    /// What is sent, byte by byte at every attempt.
    pub body: String,
}

/// True for a type that endpoints may ask for.
pub fn is_event(kind: &str) -> bool {
    EVENTS.contains(&kind)
}

/// The event of a line of the audit; None for a line that is no entry.
///
/// The body has the form that Standard Webhooks recommend, `type`, `timestamp` and `data`. In `data`
/// is what the entry says, its `detail` spread out. The audit holds no secret, so neither does it.
pub fn event_of(line: &str) -> Option<Event> {
    let Ok(Value::Object(mut entry)) = serde_json::from_str(line) else { return None };
    let seq = entry.get("seq")?.as_u64()?;
    let kind = entry.get("type")?.as_str()?.to_owned();
    let at = UnixMillis::parse_rfc3339(entry.get("at")?.as_str()?)?;
    let mut data = match entry.remove("detail") {
        Some(Value::Object(detail)) => detail,
        _ => Map::new(),
    };
    for name in TOLD {
        if let Some(value) = entry.remove(name) {
            data.insert(name.to_owned(), value);
        }
    }
    Some(Event { seq: Some(seq), body: body(&kind, at, &data), kind, at })
}

/// What is sent to try an endpoint.
pub fn test_event(endpoint: &str, tenant: &str, now: UnixMillis) -> Event {
    let mut data = Map::new();
    data.insert("endpoint".to_owned(), endpoint.into());
    data.insert("tenant".to_owned(), tenant.into());
    Event { seq: None, kind: TEST.to_owned(), at: now, body: body(TEST, now, &data) }
}

fn body(kind: &str, at: UnixMillis, data: &Map<String, Value>) -> String {
    json!({ "type": kind, "timestamp": at.to_rfc3339(), "data": data }).to_string()
}
