//! `tollgate audit`: what happened on a gate, and whether a copy of it is as it was written.

mod export;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::{GateArgs, member};
use crate::table::columns;
use export::ExportArgs;
use verify::VerifyArgs;

/// Read, export and verify the audit of a gate.
///
/// Exits with 0 when the gate answered (or the file is whole), with 1 when it refused (or the file
/// was changed), and with 2 when the request makes no sense, or the gate or the file cannot be read.
#[derive(Args, Clone, Debug)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AuditCommand {
    /// List what happened, newest first.
    List(ListArgs),
    /// Write down a whole chain, oldest first, with its signed head.
    Export(ExportArgs),
    /// Find any line of an export that was changed, removed or moved. Needs no gate.
    Verify(VerifyArgs),
    /// Print the public key that exports are signed with.
    Key,
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Of this tenant; operators see everything if it is left out.
    #[arg(long)]
    tenant: Option<String>,
    /// About the key with this id.
    #[arg(long)]
    key: Option<String>,
    /// Done by this key, or by root.
    #[arg(long)]
    actor: Option<String>,
    /// Of this type, such as key.revoked or management.refused.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Since this time, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many; all of them if left out.
    #[arg(long)]
    limit: Option<usize>,
}

pub(crate) fn run(args: &AuditArgs) -> Result<ExitCode> {
    match &args.command {
        AuditCommand::List(list) => {
            let query = [
                ("tenant", list.tenant.as_deref()),
                ("key", list.key.as_deref()),
                ("actor", list.actor.as_deref()),
                ("type", list.kind.as_deref()),
                ("from", list.from.as_deref()),
                ("to", list.to.as_deref()),
            ];
            let answer = args.gate.client()?.list("audit", &query, "entries", list.limit)?;
            answer.tell(args.json, |body| {
                shown(member(body, "entries").as_array().map_or(&[], Vec::as_slice))
            })
        }
        AuditCommand::Export(export) => export.run(&args.gate.client()?, args.json),
        AuditCommand::Verify(verify) => verify.run(args.json),
        AuditCommand::Key => {
            let answer = args.gate.client()?.call("GET", "audit/key", None)?;
            answer.tell(args.json, |body| {
                format!("{}\n", crate::table::text(member(member(body, "key"), "public_key")))
            })
        }
    }
}

fn shown(entries: &[Value]) -> String {
    if entries.is_empty() {
        return "no entries\n".to_owned();
    }
    columns(&["seq", "at", "type", "actor", "tenant", "key", "call", "code"], entries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_entry_is_a_line() {
        assert_eq!(shown(&[]), "no entries\n");
        let refused = json!({
            "seq": 2, "prev": "00", "chain": "*", "at": "2026-11-22T03:43:50Z", "tenant": "acme",
            "type": "management.refused", "actor": "a1", "key": "b1", "call": "GET keys/{id}",
            "code": "not_found", "hash": "00",
        });
        let done = json!({ "seq": 1, "at": "2026-11-22T03:43:49Z", "tenant": "acme",
            "type": "key.created", "actor": "root", "key": "b1" });
        assert_eq!(
            shown(&[refused, done]),
            "SEQ  AT                    TYPE                ACTOR  TENANT  KEY  CALL           CODE\n\
             2    2026-11-22T03:43:50Z  management.refused  a1     acme    b1   GET keys/{id}  not_found\n\
             1    2026-11-22T03:43:49Z  key.created         root   acme    b1\n"
        );
    }
}
