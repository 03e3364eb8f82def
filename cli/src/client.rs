//! Calls to a gate's management API.

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use tollgate_core::delivery::retry_after;
use tollgate_core::manage::BASE;
use tollgate_core::request::RequestUrl;
use tollgate_core::text::Secret;
use tollgate_core::time::Millis;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use crate::clock;
use crate::profile;
use crate::table;

/// The longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that the gate gives of a list at a time.
const PAGE: usize = 100;
/// Where the credential comes from; never from an argument, which every process can read.
const TOKEN: &str = "TOLLGATE_TOKEN";
/// Where the token of a session comes from, which `tollgate session open` prints.
const SESSION: &str = "TOLLGATE_SESSION";
/// Which gate, without an argument.
const URL: &str = "TOLLGATE_URL";
/// The same, by the name of a profile.
const PROFILE: &str = "TOLLGATE_PROFILE";

/// Which gate to call, and as whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct GateArgs {
    /// The gate's admin host, such as <https://gate.example.com> [env: `TOLLGATE_URL`]
    #[arg(long, value_name = "URL", global = true, conflicts_with = "profile")]
    gate: Option<String>,
    /// The gate that `tollgate profile set` keeps under this name [env: `TOLLGATE_PROFILE`]
    #[arg(long, value_name = "NAME", global = true)]
    profile: Option<String>,
    /// Read the credential (an ak key, the root token, or a session's) from the first line of
    /// standard input instead of the variables `TOLLGATE_SESSION` and `TOLLGATE_TOKEN`.
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
    /// Null where it said nothing.
    pub(crate) body: Value,
    /// How long to wait before the next call, if it said so.
    pub(crate) retry_after: Option<Millis>,
}

/// An answer that is read while it comes.
pub(crate) struct Streamed {
    pub(crate) status: u16,
    pub(crate) body: Box<dyn BufRead>,
}

/// A member of an object; null where there is none.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Every byte that is not a letter, a digit, `-`, `_` or `.` encoded.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let each = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(each).collect()
}

/// A path with a query of what was said.
pub(crate) fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let said = query.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    let pairs: Vec<String> =
        said.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
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

    /// Prints the answer, as JSON or as `shown` says it to people, and returns the exit code that
    /// tells it.
    pub(crate) fn tell(
        &self,
        as_json: bool,
        shown: impl FnOnce(&Value) -> String,
    ) -> Result<ExitCode> {
        if as_json {
            println!("{}", serde_json::to_string(&self.body)?);
        } else if self.is_success() {
            print!("{}", shown(&self.body));
        } else {
            eprint!("{}", table::problem(self));
        }
        Ok(self.exit_code())
    }

    /// 2 for what the caller has to say differently, 1 for a no.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.status {
            200..=299 => ExitCode::SUCCESS,
            400 | 413 => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl GateArgs {
    /// True when standard input holds the credential.
    pub(crate) fn takes_stdin(&self) -> bool {
        self.token_stdin
    }

    /// The gate, with the credential to call it with: a session's token where there is one.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_as(&[SESSION, TOKEN])
    }

    /// The gate, to be called with a key and never with a session's token: to open a session.
    pub(crate) fn key_client(&self) -> Result<Client> {
        self.client_as(&[TOKEN])
    }

    fn client_as(&self, variables: &[&str]) -> Result<Client> {
        let (base, host) = address(&self.address()?)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would take the credential somewhere else.
            .max_redirects(0)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE));
        // A proxy has no way to this very machine.
        let config = if host.is_some() { config.proxy(None) } else { config };
        let token = self.token(variables)?;
        Ok(Client { agent: config.build().into(), base, host, token })
    }

    /// What is said goes before what the environment says, and both before the profile that is
    /// called `default`.
    fn address(&self) -> Result<String> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        match (&self.gate, &self.profile) {
            (Some(gate), _) => return Ok(gate.clone()),
            (None, Some(name)) => return profile::address_of(name),
            (None, None) => {}
        }
        if let Some(gate) = variable(URL) {
            return Ok(gate);
        }
        if let Some(name) = variable(PROFILE) {
            return profile::address_of(&name);
        }
        profile::default_address()?
            .with_context(|| format!("which gate? Say --gate URL or --profile NAME, or set {URL}"))
    }

    fn token(&self, variables: &[&str]) -> Result<Secret> {
        let text = if self.token_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
            line
        } else if let Some(text) = variables.iter().find_map(|name| std::env::var(name).ok()) {
            text
        } else {
            // Somebody who could answer is there.
            let asked = io::stdin().is_terminal() && io::stderr().is_terminal();
            ensure!(asked, "as whom? Set {}, or use --token-stdin", variables.join(" or "));
            rpassword::prompt_password("Admin key (not shown): ").context("nothing was said")?
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

/// True for an address that a credential may be sent to, and that is one.
pub(crate) fn check_address(gate: &str) -> Result<()> {
    address(gate).map(|_| ())
}

impl Client {
    /// Calls `method` on a path below the API's base; `body` goes as JSON.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut answer = self.send(method, path, "application/json", body, Some(PATIENCE))?;
        let status = answer.status().as_u16();
        let wish = answer.headers().get("retry-after").and_then(|wish| wish.to_str().ok());
        let now = clock::now();
        let retry_after = wish.and_then(|wish| retry_after(wish, now)).map(|at| at.since(now));
        let text = answer.body_mut().read_to_string().context("the answer broke off")?;
        if text.is_empty() && status == 204 {
            return Ok(Answer { status, body: Value::Null, retry_after });
        }
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Answer { status, body, retry_after }),
            Err(_) => bail!(
                "{}{path} answered {status}, and not as a gate does: is it the admin host?",
                self.base
            ),
        }
    }

    /// Gets a path below the API's base as `accept` says. What comes may come for as long as it
    /// takes.
    pub(crate) fn stream(&self, path: &str, accept: &str) -> Result<Streamed> {
        let answer = self.send("GET", path, accept, None, None)?;
        let status = answer.status().as_u16();
        let body = Box::new(BufReader::new(answer.into_body().into_reader()));
        Ok(Streamed { status, body })
    }

    /// A list of `noun`, whose cursor is followed to the end or to as many as are wanted. The first
    /// page that is refused is the answer.
    pub(crate) fn list(
        &self,
        path: &str,
        query: &[(&str, Option<&str>)],
        noun: &str,
        wanted: Option<usize>,
    ) -> Result<Answer> {
        let wanted = wanted.unwrap_or(usize::MAX);
        let mut found: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        while found.len() < wanted {
            let limit = wanted.saturating_sub(found.len()).min(PAGE).to_string();
            let mut page = vec![("limit", Some(limit.as_str()))];
            page.extend_from_slice(query);
            page.push(("cursor", cursor.as_deref()));
            let answer = self.call("GET", &with_query(path, &page), None)?;
            if !answer.is_success() {
                return Ok(answer);
            }
            let items = member(&answer.body, noun).as_array();
            let items =
                items.with_context(|| format!("this is no gate: its list has no {noun}"))?;
            found.extend(items.iter().cloned());
            cursor = answer.text("nextCursor").map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let body = json!({ noun: found, "nextCursor": cursor });
        Ok(Answer { status: 200, body, retry_after: None })
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        body: Option<&Value>,
        patience: Option<Duration>,
    ) -> Result<Response<Body>> {
        let url = format!("{}{path}", self.base);
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("Authorization", format!("Bearer {}", self.token.expose()))
            .header("Accept", accept);
        let request = match &self.host {
            Some(host) => request.header("Host", host),
            None => request,
        };
        let sent = if let Some(body) = body {
            let request = request.header("Content-Type", "application/json");
            let configured = self.agent.configure_request(request.body(body.to_string())?);
            self.agent.run(configured.timeout_global(patience).build())
        } else {
            let configured = self.agent.configure_request(request.body(())?);
            self.agent.run(configured.timeout_global(patience).build())
        };
        sent.with_context(|| format!("cannot call {url}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_was_asked_and_nothing_more() {
        let query = [("limit", Some("3")), ("tag", Some("a b&c")), ("owner", None)];
        assert_eq!(with_query("keys", &query), "keys?limit=3&tag=a%20b%26c");
        assert_eq!(with_query("keys", &[("owner", None)]), "keys");
    }

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
