//! `tollgate anomalies`: what keys did that they never did before.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::client::{GateArgs, member};
use crate::table::{self, text};

/// List what keys did that they never did before, newest first.
///
/// Exits with 0 when the gate answered, whether there are any or not, with 1 when it refused, and with
/// 2 when the request makes no sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct AnomaliesArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Of the key with this id.
    #[arg(long)]
    key: Option<String>,
    /// Of this kind: `repeated_refusals`, `sudden_volume`, `new_route`, `new_country` or
    /// `old_key_in_grace`.
    #[arg(long)]
    kind: Option<String>,
    /// Since this time, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &AnomaliesArgs) -> Result<ExitCode> {
    let client = args.gate.client()?;
    let query = [
        ("tenant", args.tenant.as_deref()),
        ("key", args.key.as_deref()),
        ("kind", args.kind.as_deref()),
        ("since", args.since.as_deref()),
    ];
    let answer = client.list("anomalies", &query, "anomalies", args.limit)?;
    let found = member(&answer.body, "anomalies").as_array().map_or(&[][..], Vec::as_slice);
    answer.tell(args.json, |_| shown(found))
}

fn shown(anomalies: &[Value]) -> String {
    if anomalies.is_empty() {
        return "no anomalies\n".to_owned();
    }
    let heading = ["AT", "KIND", "TENANT", "KEY", "DETAIL"].map(str::to_owned).to_vec();
    let row = |anomaly: &Value| {
        ["at", "kind", "tenant", "key", "detail"].map(|name| text(member(anomaly, name))).to_vec()
    };
    let rows: Vec<Vec<String>> =
        core::iter::once(heading).chain(anomalies.iter().map(row)).collect();
    table::rows(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_anomaly_is_a_line() {
        assert_eq!(shown(&[]), "no anomalies\n");
        let anomaly = json!({
            "id": "x", "at": "2026-11-22T03:00:00Z", "tenant": "acme", "key": "abcdefghij012345",
            "kind": "new_country", "detail": { "country": "DE" },
        });
        assert_eq!(
            shown(&[anomaly]),
            "AT                    KIND         TENANT  KEY               DETAIL\n\
             2026-11-22T03:00:00Z  new_country  acme    abcdefghij012345  country DE\n"
        );
    }
}
