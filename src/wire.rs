//! Commands to the driver and what it brings back, as JSON: one string each way is the cheapest
//! crossing there is.

use serde::{Deserialize, Serialize};
use tollgate_core::road::forwarding::{Relayed, UpstreamRequest};
use tollgate_core::road::log::LogLine;
use tollgate_core::road::{Answer, Ask, ObjectClass};

use crate::bindings;

/// What the driver is to do next.
#[derive(Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Answer with this.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
        log: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        point: Option<Point>,
        #[serde(skip_serializing_if = "Option::is_none")]
        flush: Option<u32>,
    },
    /// Read this entry of KV, then step.
    Kv { walk: u32, name: String },
    /// Call this object, then step.
    Object { walk: u32, binding: &'static str, name: String, message: String },
    /// Send the request to its upstream, then tell its answer.
    Forward {
        walk: u32,
        url: String,
        remove: Vec<String>,
        set: Vec<(String, String)>,
        cap: Option<u64>,
        timeout: u64,
        max_stream: u64,
    },
    /// Relay the upstream's answer with these changes.
    Relay {
        status: u16,
        remove: Vec<String>,
        set: Vec<(&'static str, String)>,
        append: Vec<(&'static str, String)>,
        log: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        point: Option<Point>,
        #[serde(skip_serializing_if = "Option::is_none")]
        flush: Option<u32>,
    },
    /// The request is for the gate itself.
    Gate { walk: u32 },
    /// Answer `internal_error`.
    Fault,
}

/// What is left of a request once it is answered.
pub(crate) struct Left {
    /// Its log line.
    pub(crate) log: String,
    /// Where Analytics Engine is bound: its data point.
    pub(crate) point: Option<Point>,
    /// Bring what was counted to the tenants' objects, after so many milliseconds.
    pub(crate) flush: Option<u32>,
}

/// A data point of Analytics Engine. The order of its members is their only name.
#[derive(Serialize)]
pub(crate) struct Point {
    /// The tenant.
    indexes: [String; 1],
    /// Key, route, method, code, country; empty for none.
    blobs: [String; 5],
    /// Status, milliseconds in all, and of that at the upstream.
    doubles: [f64; 3],
}

impl Point {
    #[allow(clippy::cast_precision_loss)] // milliseconds of one request
    pub(crate) fn of(line: &LogLine) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let code = line.code.map_or("", |code| code.as_str()).to_owned();
        let method = line.method.clone();
        Self {
            indexes: [text(&line.tenant)],
            blobs: [text(&line.key), text(&line.route), method, code, text(&line.country)],
            doubles: [
                f64::from(line.status),
                line.duration_ms as f64,
                line.upstream_ms.unwrap_or_default() as f64,
            ],
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the driver brings back from an upstream.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromUpstream {
    /// It answered.
    Answered { status: u16, headers: Vec<(String, String)> },
    /// It did not.
    Unreachable,
    /// Its first byte did not come in time.
    Timeout,
    /// The request's body grew over the cap.
    BodyTooLarge,
}

impl Command {
    pub(crate) fn ask(walk: u32, ask: Ask) -> Self {
        match ask {
            Ask::Cached { name } => Self::Kv { walk, name },
            Ask::Object { class, name, message } => {
                let binding = match class {
                    ObjectClass::Key => bindings::KEY,
                    ObjectClass::Tenant => bindings::TENANT,
                    ObjectClass::Counter => bindings::COUNTER,
                };
                Self::Object { walk, binding, name, message }
            }
        }
    }

    pub(crate) fn answer(answer: Answer, left: Left) -> Self {
        let headers =
            answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let Left { log, point, flush } = left;
        Self::Answer { status: answer.status, headers, body: answer.body, log, point, flush }
    }

    pub(crate) fn forward(walk: u32, request: UpstreamRequest) -> Self {
        let UpstreamRequest { url, edits, credential, body_cap, timeout, max_stream, .. } = request;
        let mut set = edits.set;
        set.extend(credential.map(|(name, value)| (name, value.expose().to_owned())));
        Self::Forward {
            walk,
            url: url.expose().to_owned(),
            remove: edits.remove,
            set,
            cap: body_cap,
            timeout: timeout.as_millis(),
            max_stream: max_stream.as_millis(),
        }
    }

    pub(crate) fn relay(relayed: Relayed, left: Left) -> Self {
        let Relayed { status, remove, set, append, .. } = relayed;
        let Left { log, point, flush } = left;
        Self::Relay { status, remove, set, append, log, point, flush }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
