//! An event of a gate on its way to a program on this machine, as the gate itself would bring it.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use tollgate_core::header::{HOP_BY_HOP, flag, name};
use tollgate_core::text::Secret;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::ORIGINAL;
use tollgate_core::webhook::uniform::{HEADERS, Signers};
use ureq::config::AutoHeaderValue;
use ureq::http::Request;
use ureq::{Agent, Error};

use super::{Ring, event_body, event_headers};
use crate::client::member;

/// The longest that the program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings events to a program.
pub(super) struct Forwarder {
    agent: Agent,
    to: String,
    signers: Option<Signers>,
}

/// What came of it.
pub(super) enum Came {
    /// An answer of this status.
    Status(u16),
    /// Nobody is there: nothing was sent.
    Nobody,
    /// It was sent, or cannot be.
    Failed(String),
}

impl Forwarder {
    /// To this address, signed with these secrets, the present one first.
    pub(super) fn new(to: &str, secrets: &[Secret]) -> Result<Self> {
        let signers = match secrets {
            [] => None,
            some => Some(Signers::read(some).context("--secret: whsec_ and base64")?),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            // The event has its own.
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .timeout_global(Some(PATIENCE));
        Ok(Self { agent: config.build().into(), to: to.to_owned(), signers })
    }

    /// Sends an event, at `now`.
    pub(super) fn forward(&self, event: &Value, now: UnixMillis) -> Came {
        let request = match self.request(event, now) {
            Ok(request) => request,
            Err(error) => return Came::Failed(format!("{error:#}")),
        };
        match self.agent.run(request) {
            Ok(answer) => Came::Status(answer.status().as_u16()),
            Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => Came::Nobody,
            Err(Error::ConnectionFailed) => Came::Nobody,
            Err(error) => Came::Failed(format!("{} does not answer: {error}", self.to)),
        }
    }

    fn request(&self, event: &Value, now: UnixMillis) -> Result<Request<Vec<u8>>> {
        let body = event_body(event).context("the gate told no body")?;
        let mut request = Request::builder().method("POST").uri(self.url(event));
        for (name, value) in self.headers(event, &body, now)? {
            request = request.header(name, value);
        }
        request.body(body).context("the event makes no request")
    }

    fn url(&self, event: &Value) -> String {
        let to = &self.to;
        match member(event, "query").as_str() {
            Some(query) if to.contains('?') => format!("{to}&{query}"),
            Some(query) => format!("{to}?{query}"),
            None => to.clone(),
        }
    }

    /// Those that the gate sends to the backend, but for the backend's credential.
    fn headers(
        &self,
        event: &Value,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<(String, String)>> {
        let is = |what: &str| member(event, what) == true;
        let mut headers = Vec::new();
        for (name, value) in event_headers(event) {
            let lower = name.to_ascii_lowercase();
            let own = matches!(lower.as_str(), "host" | "content-length" | "accept-encoding");
            if own || HOP_BY_HOP.contains(&lower.as_str()) {
                continue;
            }
            let taken = self.signers.is_some() && HEADERS.contains(&lower.as_str());
            headers.push((if taken { format!("{ORIGINAL}{name}") } else { name }, value));
        }
        headers.push(("accept-encoding".to_owned(), "identity".to_owned()));
        let flags = flag::of(is("id_reused"), is("unverified"));
        headers.extend(flags.map(|flags| (name::X_TOLLGATE_WEBHOOK_FLAG.to_owned(), flags)));
        // What the gate could not verify it does not sign.
        if let Some(signers) = self.signers.as_ref().filter(|_| !is("unverified")) {
            let id = member(event, "id").as_str().context("the gate told no id")?;
            let signed = signers.sign(id, now, body, &Ring).map_err(|error| anyhow!(error))?;
            headers.extend(signed.map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn event() -> Value {
        json!({
            "id": "0Vbfu4rRxUBt34a5rnOa", "query": "c=d", "body": BASE64.encode(b"{}"),
            "headers": [
                ["X-GitHub-Event", "issues"], ["Webhook-Id", "theirs"], ["Host", "x"],
                ["Connection", "close"], ["Accept-Encoding", "br"],
            ],
        })
    }

    fn headers(secrets: &[&str], event: &Value) -> Vec<(String, String)> {
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
        let forwarder = Forwarder::new("http://127.0.0.1:1/a?b", &secrets).unwrap();
        assert_eq!(forwarder.url(event), "http://127.0.0.1:1/a?b&c=d");
        forwarder.headers(event, b"{}", UnixMillis::from_secs(1_800_000_000)).unwrap()
    }

    #[test]
    fn a_program_gets_what_the_backend_gets() {
        let plain = headers(&[], &event());
        let names: Vec<&str> = plain.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-GitHub-Event", "Webhook-Id", "accept-encoding"]);

        let signed = headers(&[SECRET], &event());
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "X-GitHub-Event",
                "X-Tollgate-Original-Webhook-Id",
                "accept-encoding",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
            ]
        );
        assert_eq!(signed[3].1, "0Vbfu4rRxUBt34a5rnOa");
        assert_eq!(headers(&[SECRET, SECRET], &event())[5].1.matches("v1,").count(), 2);

        let mut other = event();
        other["id_reused"] = json!(true);
        other["unverified"] = json!(true);
        let told = headers(&[SECRET], &other);
        assert_eq!(
            told[3],
            ("X-Tollgate-Webhook-Flag".to_owned(), "id_reused, unverified".to_owned())
        );
        assert_eq!(told.len(), 4, "what was not verified is not signed");
        assert!(Forwarder::new("http://127.0.0.1:1", &[Secret::new("whsec_short")]).is_err());
    }
}
