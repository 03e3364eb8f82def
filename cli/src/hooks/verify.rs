//! `tollgate hooks verify`: is this request from whom it says?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::{
    Covers, FORWARD_LIMIT, Failure, Keys, Reply, Request, Verified, unsigned, verify,
};

use super::crypto::Ring;
use super::{SchemeArgs, read_body};

/// Verify a webhook that was received, as the gate would.
///
/// Exits with 0 if it is valid, with 1 if it is not.
#[derive(Args, Clone, Debug)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    scheme: SchemeArgs,
    /// The body, byte by byte as it was received; - for standard input.
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
}

impl VerifyArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let args = &self.scheme;
        let body = read_body(&self.body)?;
        args.with_scheme(|scheme| {
            let keys = Keys::read(scheme, &args.secrets())?;
            let url = args.url.as_deref().unwrap_or_default();
            let given = !scheme.signs_url() || !url.is_empty();
            ensure!(given, "{} signs the public URL: say --url", scheme.name);
            let request =
                Request { method: &args.method, url, headers: &args.headers, body: &body };
            let found = verify(scheme, &keys, &request, FORWARD_LIMIT, args.now(), &Ring);
            // A challenge that its provider does not sign is answered all the same.
            let open = unsigned(scheme, &request).and_then(Result::ok);
            if args.json {
                println!("{}", to_json(&found, open.as_ref()));
            } else {
                print!("{}", shown(&found, open.as_ref()));
            }
            Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

fn to_json(found: &Result<Verified, Failure>, open: Option<&Reply>) -> Value {
    let (mut told, reply) = match found {
        Ok(verified) => {
            let told = json!({
                "valid": true,
                "id": verified.id,
                "id_signed": verified.id_signed,
                "timestamp": verified.timestamp.map(UnixMillis::to_rfc3339),
                "secret": verified.secret.saturating_add(1),
                "covers": covers(verified),
            });
            (told, verified.reply.as_ref())
        }
        Err(failure) => {
            let (reason, step) = (failure.reason(), failure.step());
            let detail = failure.to_string();
            (json!({ "valid": false, "reason": reason, "step": step, "detail": detail }), open)
        }
    };
    if let (Some(reply), Some(members)) = (reply, told.as_object_mut()) {
        members.insert("challenge".to_owned(), answer(reply));
    }
    told
}

fn answer(reply: &Reply) -> Value {
    let headers: Map<String, Value> =
        reply.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({ "status": reply.status, "headers": headers, "body": reply.body })
}

/// What the signature vouches for.
fn covers(verified: &Verified) -> &'static str {
    match verified.covers {
        Covers::Body => "body",
        Covers::Part => "part",
    }
}

fn shown(found: &Result<Verified, Failure>, open: Option<&Reply>) -> String {
    let mut lines = Vec::new();
    let reply = match found {
        Ok(verified) => {
            lines.push(format!("valid, by secret {}", verified.secret.saturating_add(1)));
            if let Some(id) = &verified.id {
                let signed = if verified.id_signed { "signed" } else { "not signed" };
                lines.push(format!("id         {id} ({signed})"));
            }
            let at = verified.timestamp.map(UnixMillis::to_rfc3339);
            let at = at.as_deref().unwrap_or("not told: it can be sent again at any time");
            lines.push(format!("signed at  {at}"));
            if verified.covers == Covers::Part {
                lines.push("covers     a part of the body only".to_owned());
            }
            verified.reply.as_ref()
        }
        Err(failure) => {
            lines.push(format!("not valid: {}: {failure}", failure.reason()));
            open
        }
    };
    if let Some(reply) = reply {
        let answer = format!("a challenge, answered with {} {}", reply.status, reply.body);
        lines.push(answer.trim_end().to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}
