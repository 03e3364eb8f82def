//! `tollgate explain`: the road offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tollgate_core::explain::{Asks, Explained, Explanation, Request, Signed, explain};
use tollgate_core::key::KeyRecord;
use tollgate_core::policy::Template;
use tollgate_core::request::Entropy;
use tollgate_core::road::{Gate, Trust, Verdict};
use tollgate_core::text::Secret;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::verify;

use crate::hooks::Ring;
use crate::{clock, policy, record};

/// Tell what the gate would do with a request, step by step, without sending it.
///
/// Exits with 0 when the request would pass (or its preflight would be granted), with 1 when it
/// would be refused.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The policy, as TOML.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The environment of the policy that the request meets.
    #[arg(long, value_name = "NAME")]
    environment: String,
    /// The key that makes the request, as `keys show ID --json` prints it; no secret is needed.
    #[arg(long, value_name = "RECORD.json")]
    key: Option<PathBuf>,
    /// A secret of a webhook's source, by its name in the policy; several times for several. The
    /// variable takes one in each line.
    #[arg(
        long = "secret",
        value_name = "NAME=VALUE",
        env = "TOLLGATE_SECRETS",
        hide_env_values = true,
        value_delimiter = '\n',
        value_parser = named_secret
    )]
    secrets: Vec<(String, Secret)>,
    /// The time, in seconds since 1970; now if left out.
    #[arg(long, value_name = "UNIX")]
    now: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The request, `{"method","url","headers":[[name,value]…],"client_ip","body"}`; - for standard
    /// input. A body is a text, or `{"base64"}`; only webhooks need one.
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let now = args.now.map_or_else(clock::now, UnixMillis::from_secs);
    let checked = match policy::check(&policy::read(&args.policy)?, now) {
        Ok(checked) => checked,
        Err(errors) => {
            policy::tell_errors(&args.policy, &errors, args.json);
            return Ok(ExitCode::from(2));
        }
    };
    let policy =
        checked.file.select(&args.environment).map_err(|error| anyhow::anyhow!("{error}"))?;
    let record = args.key.as_ref().map(|path| -> Result<KeyRecord> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        record::read(&text).with_context(|| format!("{} is not a key's record", path.display()))
    });
    let record = record.transpose()?;
    let request: Request = serde_json::from_str(&policy::read(&args.request)?).context(
        "the request is not {\"method\",\"url\",\"headers\":[[name,value]…],\"client_ip\",\"body\"}",
    )?;
    // Offline there is no chance in it: the same request is told the same way twice.
    let entropy: Entropy = [7; 40];
    let secrets = args.secrets.iter().cloned().collect();
    let gate = Gate::new(policy.clone(), Trust::Assumed, secrets);
    let explanation =
        match explain(policy, record.as_ref(), &request, &Asks::with_the_policy(now), &entropy) {
            Explained::Told(told) => *told,
            Explained::Signed(webhook) => signed(&gate, *webhook, now),
        };
    if args.json {
        println!("{}", serde_json::to_string(&explanation)?);
    } else {
        print!("{}", shown(&explanation));
    }
    let passes = explanation.code.is_none();
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A webhook, with the secrets that were given.
fn signed(gate: &Gate, webhook: Signed, now: UnixMillis) -> Explanation {
    let source = webhook.source().and_then(|source| gate.policy.source_named(&source.name));
    let Some(source) = source else { return webhook.untold("it has no source") };
    let needed = source.secrets.iter().flat_map(Template::secrets);
    let unknown: Vec<&str> = needed.filter(|name| !gate.secrets.contains_key(*name)).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return webhook.untold(&format!("its secret is not known here: --secret {unknown}=…"));
    }
    let scheme = source.scheme.scheme();
    let keys = match gate.keys_of(source) {
        Ok(keys) => keys,
        Err(error) => return webhook.unavailable(&error.to_string()),
    };
    let limit = usize::try_from(source.body_limit).unwrap_or(usize::MAX);
    let found = verify(&scheme, &keys, &webhook.request(), limit, now, &Ring);
    webhook.told(&found)
}

fn named_secret(text: &str) -> Result<(String, Secret), &'static str> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    Ok((name.to_owned(), Secret::new(value)))
}

/// The explanation as people read it.
fn shown(explanation: &Explanation) -> String {
    let mut lines: Vec<String> = Vec::new();
    for note in &explanation.steps {
        let mark = match note.result {
            Verdict::Passed => "✓",
            Verdict::Refused => "✗",
            Verdict::WouldRefuse => "~",
            Verdict::Skipped => "·",
        };
        let step = serde_json::to_value(note.step).ok();
        let step = step.as_ref().and_then(|step| step.as_str()).unwrap_or_default();
        lines.push(format!("{mark} {step:<12} {}", note.detail).trim_end().to_owned());
    }
    let code = explanation.code.map_or("", |code| code.as_str());
    let status = explanation.status.map_or(String::new(), |status| format!(" {status}"));
    lines.push(String::new());
    lines.push(format!("{}{status} {code}", explanation.outcome).trim_end().to_owned());
    if let Some(upstream) = &explanation.upstream {
        lines.push(String::new());
        lines.push(format!("→ {} {}", upstream.method, upstream.url));
        lines.extend(upstream.headers.iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    lines.push(String::new());
    lines.push("← headers of the gate".to_owned());
    let own = explanation.response_headers.iter();
    lines.extend(own.map(|(name, value)| format!("  {name}: {value}")));
    lines.join("\n") + "\n"
}
