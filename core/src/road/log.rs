//! The log line: one JSON object per request, and nothing in it that could be used to call again
//! (SPEC section 10).

use serde::Serialize;

use super::walk::Walk;
use crate::problem::Code;
use crate::time::{Millis, UnixMillis};

/// One request, written down. Never a credential, a token, a body or a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it arrived, RFC 3339 UTC.
    pub time: String,
    /// The value of `X-Request-Id`.
    pub request_id: String,
    /// The method.
    pub method: String,
    /// The route's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The path without its query; a key in it stands as `[key]`.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Refusals that shadow mode let pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_refuse: Vec<Code>,
    /// Of a webhook: what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<&'static str>,
    /// Of a webhook: the step at which its signature failed, never the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<&'static str>,
    /// The key's public id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// From arrival to the answer's head, in milliseconds.
    pub duration_ms: u64,
    /// Of that, waiting for the upstream's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ms: Option<u64>,
    /// The caller's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl LogLine {
    /// With the time that the upstream took.
    #[must_use]
    pub fn upstream(mut self, took: Millis) -> Self {
        self.upstream_ms = Some(took.as_millis());
        self
    }

    /// The line itself.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Walk {
    pub(super) fn log_line(&self, status: u16, code: Option<Code>, now: UnixMillis) -> LogLine {
        LogLine {
            time: self.arrived_at.to_rfc3339(),
            request_id: self.id.to_string(),
            method: self.method.clone(),
            route: self.target().map(str::to_owned),
            path: self.path_for_log(),
            status,
            code,
            would_refuse: self.would_refuse.clone(),
            webhook: None,
            failed: None,
            key: self.key.as_ref().map(|(id, _)| id.to_string()),
            tenant: self.key.as_ref().map(|(_, tenant)| tenant.clone()),
            duration_ms: now.since(self.arrived_at).as_millis(),
            upstream_ms: None,
            country: self.country.clone(),
        }
    }
}
