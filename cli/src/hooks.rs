//! `tollgate hooks`: webhook signatures by hand, with the very code of the gate, and webhooks on one.

mod crypto;
mod endpoints;
mod forward;
mod listen;
mod send;
mod sign;
mod source;
mod verify;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use data_encoding::BASE64;
use serde_json::Value;
use tollgate_core::text::Secret;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::table::{DESCRIBED, TABLE, named};
use tollgate_core::webhook::{Description, FORWARD_LIMIT, Scheme};

use crate::client::member;
use crate::clock;
use crate::table::text;
pub(crate) use crypto::Ring;

/// Verify, sign and send webhooks of any provider; list, replay and forward those of a gate.
///
/// `docs/webhooks.md` lists the schemes.
#[derive(Args, Clone, Debug)]
pub(crate) struct HooksArgs {
    #[command(subcommand)]
    command: HooksCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum HooksCommand {
    Verify(verify::VerifyArgs),
    Sign(sign::SignArgs),
    Send(send::SendArgs),
    Sources(source::SourcesArgs),
    Events(source::EventsArgs),
    Refusals(source::RefusalsArgs),
    Replay(source::ReplayArgs),
    Listen(listen::ListenArgs),
    Endpoints(endpoints::EndpointsArgs),
}

pub(crate) fn run(args: &HooksArgs) -> Result<ExitCode> {
    match &args.command {
        HooksCommand::Verify(args) => args.run(),
        HooksCommand::Sign(args) => args.run(),
        HooksCommand::Send(args) => args.run(),
        HooksCommand::Sources(args) => args.run(),
        HooksCommand::Events(args) => args.run(),
        HooksCommand::Refusals(args) => args.run(),
        HooksCommand::Replay(args) => args.run(),
        HooksCommand::Listen(args) => args.run(),
        HooksCommand::Endpoints(args) => args.run(),
    }
}

/// What a replay came to.
fn replayed(body: &Value) -> String {
    let count = text(member(body, "count"));
    if member(body, "dry_run") == true {
        format!("{count} would be sent again\n")
    } else {
        format!("{count} on the way again\n")
    }
}

/// The headers of an event that came in.
fn event_headers(event: &Value) -> Vec<(String, String)> {
    let pairs = member(event, "headers").as_array().into_iter().flatten();
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(name), Value::String(value)]) => Some((name.clone(), value.clone())),
        _ => None,
    };
    pairs.filter_map(pair).collect()
}

/// Its body, byte by byte as it came.
fn event_body(event: &Value) -> Option<Vec<u8>> {
    BASE64.decode(member(event, "body").as_str()?.as_bytes()).ok()
}

/// Whose webhooks, and with which secrets.
#[derive(Args, Clone, Debug)]
struct SchemeArgs {
    /// The provider's scheme.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    scheme: String,
    /// The secret that is shared with the provider; several while it is being changed. Other
    /// processes can read arguments: the variable takes one secret in each line.
    #[arg(
        long = "secret",
        value_name = "SECRET",
        required = true,
        env = "TOLLGATE_HOOK_SECRET",
        hide_env_values = true,
        allow_hyphen_values = true,
        value_delimiter = '\n'
    )]
    secrets: Vec<String>,
    /// With `--scheme hmac`, what is to be known of it: `header=X-Signature`, `algorithm=sha256`,
    /// `encoding=hex`, `template={body}` and more.
    #[arg(long = "hmac", value_name = "FIELD=VALUE", value_parser = assignment)]
    hmac: Vec<(String, String)>,
    /// The public URL that the provider was given, with the query of the request.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The method of the request.
    #[arg(long, value_name = "METHOD", default_value = "POST")]
    method: String,
    /// The time, in seconds since 1970; now if left out.
    #[arg(long, value_name = "UNIX")]
    now: Option<u64>,
    /// A header of the request; may stand several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl SchemeArgs {
    /// Hands the scheme to `work`.
    fn with_scheme<T>(&self, work: impl FnOnce(&Scheme<'_>) -> Result<T>) -> Result<T> {
        if self.scheme == DESCRIBED {
            let described = Description::read(&self.hmac).map_err(|errors| {
                let told: Vec<String> =
                    errors.iter().map(|error| format!("--hmac {error}")).collect();
                anyhow::anyhow!("{}", told.join("; "))
            })?;
            return work(&described.scheme());
        }
        ensure!(self.hmac.is_empty(), "--hmac is for --scheme {DESCRIBED} only");
        work(named(&self.scheme).with_context(|| format!("{} is no scheme", self.scheme))?)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.secrets.iter().map(Secret::new).collect()
    }

    fn now(&self) -> UnixMillis {
        self.now.map_or_else(clock::now, UnixMillis::from_secs)
    }
}

fn names() -> Vec<&'static str> {
    TABLE.iter().map(|scheme| scheme.name).chain([DESCRIBED]).collect()
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("is not FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// A header line; the blanks around its value are no part of it (RFC 9110 section 5.5).
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("is not NAME: VALUE")?;
    if !tollgate_core::header::is_token(name) {
        return Err("has no header's name before its colon".to_owned());
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err("has a line break in it".to_owned());
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// A body from a file; `-` is standard input. Nothing is read beyond what may be verified.
fn read_body(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(cannot)?)
    };
    let mut body = Vec::new();
    let most = u64::try_from(FORWARD_LIMIT)?.saturating_add(1);
    from.by_ref().take(most).read_to_end(&mut body).with_context(cannot)?;
    if body.len() > FORWARD_LIMIT {
        bail!("{} has more than 32 MiB, which no gate takes as a webhook", path.display());
    }
    Ok(body)
}

/// What to sign.
#[derive(Args, Clone, Debug)]
struct EventArgs {
    #[command(flatten)]
    scheme: SchemeArgs,
    /// The body; - for standard input. A small event of the provider if left out.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The event's id; a fresh one if left out.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_line_is_a_name_and_a_value() {
        for (text, expected) in [
            ("X-A: b", Some(("X-A", "b"))),
            ("X-A:", Some(("X-A", ""))),
            ("x-a: \t b: c \t", Some(("x-a", "b: c"))),
            ("X-A", None),
            (": b", None),
            ("X A: b", None),
            ("X-A: b\r\nX-B: c", None),
        ] {
            let found = header(text).ok();
            let found = found.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
