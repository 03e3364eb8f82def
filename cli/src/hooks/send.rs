//! `tollgate hooks send`: a signed test event to a gate, or to any receiver.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use tollgate_core::request::RequestUrl;
use tollgate_core::webhook::SignedRequest;
use ureq::Agent;
use ureq::http::Request;

use super::EventArgs;
use super::sign::{signed, to_json};

/// The longest that a receiver may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most of an answer that is shown.
const MAX_ANSWER: u64 = 64 * 1024;

/// Send a signed test event, and tell what was answered.
///
/// Exits with 0 if it was accepted (2xx), with 1 if it was refused, with 2 if nobody answered.
#[derive(Args, Clone, Debug)]
pub(super) struct SendArgs {
    /// Where to. It is also the public URL that is signed, unless --url says another one.
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    event: EventArgs,
}

impl SendArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let args = &self.event.scheme;
        let public = args.url.as_deref().unwrap_or(&self.to);
        args.with_scheme(|scheme| {
            let signed = signed(&self.event, scheme, Some(public))?;
            let answer = send(&target(&self.to, public, &signed), &signed)?;
            if args.json {
                let (status, body) = (answer.status, &answer.body);
                println!(
                    "{}",
                    json!({ "status": status, "body": body, "request": to_json(&signed) })
                );
            } else {
                println!("{} {}", answer.status, answer.body.trim_end());
            }
            let accepted = (200..300).contains(&answer.status);
            Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

struct Answer {
    status: u16,
    body: String,
}

/// Where it goes: a scheme may have added to the query of the URL that it signed.
fn target(to: &str, public: &str, signed: &SignedRequest) -> String {
    let added = signed.url.as_deref().and_then(|url| url.strip_prefix(public));
    match added.map(|added| added.trim_start_matches(['?', '&'])) {
        Some(added) if !added.is_empty() => {
            let sign = if to.contains('?') { '&' } else { '?' };
            format!("{to}{sign}{added}")
        }
        _ => to.to_owned(),
    }
}

fn send(to: &str, signed: &SignedRequest) -> Result<Answer> {
    let url = RequestUrl::split(to).ok().with_context(|| format!("{to} is no http(s) address"))?;
    let mut at = to.to_owned();
    // Names below `localhost` mean this machine (RFC 6761 section 6.3), which not every resolver
    // knows.
    let here = url.is_loopback();
    if here && !url.secure && url.host().ends_with(".localhost") {
        at = at.replacen(url.host(), "127.0.0.1", 1);
    }
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // An event that somebody redirects is not accepted.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(PATIENCE));
    let config = if here { config.proxy(None) } else { config };
    let agent: Agent = config.build().into();
    let mut request = Request::builder().method(signed.method.as_str()).uri(&at);
    if here {
        request = request.header("Host", &url.authority);
    }
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let request = request.body(signed.body.as_slice()).context("the request makes no sense")?;
    let sent = agent.run(request).with_context(|| format!("cannot send to {to}"));
    let mut answer = sent?;
    let status = answer.status().as_u16();
    ensure!(status >= 200, "{to} answered {status}, which ends no request");
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true).read_to_string();
    Ok(Answer { status, body: body.unwrap_or_default() })
}
