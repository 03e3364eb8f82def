//! A request as a data point of Analytics Engine.

use serde::Serialize;
use tollgate_core::road::log::LogLine;

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
    /// The data point of a request.
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

    /// As text, for whoever writes it by hand.
    #[cfg(feature = "house")]
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
