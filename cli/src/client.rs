//! Calls to a gate's management API.

use std::io::{self, BufRead};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use tollgate_core::manage::BASE;
use tollgate_core::request::RequestUrl;
use tollgate_core::text::Secret;
use ureq::Agent;
use ureq::http::Request;

/// The longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the credential comes from; never from an argument, which every process can read.
const TOKEN: &str = "TOLLGATE_TOKEN";

/// Which gate to call, and as whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct GateArgs {
    /// The gate's admin host, such as <https://gate.example.com>.
    #[arg(long, value_name = "URL", env = "TOLLGATE_URL", global = true)]
    gate: Option<String>,
    /// Read the credential (an ak key, or the root token) from the first line of standard input
    /// instead of the variable `TOLLGATE_TOKEN`.
    #[arg(long, global = true)]
    token_stdin: bool,
}

/// A gate that can be called.
pub(crate) struct Client {
    agent: Agent,
    /// Where the calls go: the base of the management API.
    base: String,
    /// What they say as `Host`, where that is not the host of `base`.
    host: Option<String>,
    token: Secret,
}

/// What the gate answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A member of an object; null where there is none.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

impl Answer {
    /// True when the gate did what it was asked.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A member of the body, as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        member(&self.body, name).as_str()
    }
}

impl GateArgs {
    /// True when standard input holds the credential.
    pub(crate) fn takes_stdin(&self) -> bool {
        self.token_stdin
    }

    /// The gate, with the credential to call it with.
    pub(crate) fn client(&self) -> Result<Client> {
        let gate =
            self.gate.as_deref().context("which gate? Say --gate URL or set TOLLGATE_URL")?;
        let (base, host) = address(gate)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would take the credential somewhere else.
            .max_redirects(0)
            .timeout_global(Some(PATIENCE));
        // A proxy has no way to this very machine.
        let config = if host.is_some() { config.proxy(None) } else { config };
        Ok(Client { agent: config.build().into(), base, host, token: self.token()? })
    }

    fn token(&self) -> Result<Secret> {
        let text = if self.token_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
            line
        } else {
            std::env::var(TOKEN)
                .ok()
                .with_context(|| format!("as whom? Set {TOKEN}, or use --token-stdin"))?
        };
        let text = text.trim();
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        ensure!(!text.is_empty() && visible, "the credential is empty or not plain text");
        Ok(Secret::new(text))
    }
}

/// The base of the calls, and the `Host` they say if that is another. Names below `localhost` mean
/// this machine (RFC 6761 section 6.3), which not every resolver knows.
fn address(gate: &str) -> Result<(String, Option<String>)> {
    let url = RequestUrl::parse(gate)
        .ok()
        .filter(|url| url.path == "/" && url.query.is_none())
        .with_context(|| format!("{gate} is not an address such as https://gate.example.com"))?;
    if !url.is_loopback() {
        ensure!(url.secure, "{gate}: a credential goes over https only, except to this machine");
        return Ok((format!("{}{BASE}", url.base()), None));
    }
    if url.secure || !url.host().ends_with(".localhost") {
        return Ok((format!("{}{BASE}", url.base()), Some(url.authority)));
    }
    let here = url.base().replacen(url.host(), "127.0.0.1", 1);
    Ok((format!("{here}{BASE}"), Some(url.authority)))
}

impl Client {
    /// Calls `method` on a path below the API's base; `body` goes as JSON.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("Authorization", format!("Bearer {}", self.token.expose()))
            .header("Accept", "application/json");
        let request = match &self.host {
            Some(host) => request.header("Host", host),
            None => request,
        };
        let sent = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)
            }
            None => self.agent.run(request.body(())?),
        };
        let mut answer = sent.with_context(|| format!("cannot call {url}"))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().context("the answer broke off")?;
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Answer { status, body }),
            Err(_) => {
                bail!("{url} answered {status}, and not as a gate does: is it the admin host?")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_goes_only_where_nobody_listens() {
        for (gate, base, host) in [
            ("https://gate.example.com", Some("https://gate.example.com/_tollgate/v1/"), None),
            ("https://gate.example.com/", Some("https://gate.example.com/_tollgate/v1/"), None),
            (
                "http://gate.localhost:8787",
                Some("http://127.0.0.1:8787/_tollgate/v1/"),
                Some("gate.localhost:8787"),
            ),
            (
                "http://127.0.0.1:8787",
                Some("http://127.0.0.1:8787/_tollgate/v1/"),
                Some("127.0.0.1:8787"),
            ),
            ("http://gate.example.com", None, None),
            ("gate.example.com", None, None),
            ("https://gate.example.com/_tollgate", None, None),
            ("https://gate.example.com?x", None, None),
            ("https://user@gate.example.com", None, None),
            ("", None, None),
        ] {
            let got = address(gate).ok();
            let got = got.as_ref().map(|(base, host)| (base.as_str(), host.as_deref()));
            assert_eq!(got, base.map(|base| (base, host)), "{gate}");
        }
    }
}
