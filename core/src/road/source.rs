//! Step 4 for a webhook, and what its backend gets. What lies between, the signature, the inbox and
//! the waiting, is the house's: the road's module has none of it.

use core::fmt;

use std::net::IpAddr;

use super::Next;
use super::arrive::{declared_length, malformed};
use super::gate::{Gate, Injected};
use super::log::LogLine;
use super::walk::{Note, Step, Walk};
use crate::forward::{Keep, Trace, clean_query, encode_query_value, request_edits};
use crate::header::{flag, name, same_name};
use crate::inbox::Received;
use crate::policy::{Credential, Platform, Source, Template};
use crate::problem::{Code, Problem};
use crate::request::{Head, RequestUrl};
use crate::text::Secret;
use crate::time::{Millis, UnixMillis};
use crate::usage::Sample;
use crate::webhook::uniform::{self, Signers};
use crate::webhook::{Failure, KeyError, Keys, ORIGINAL, Portable, SHORT_KEY};

/// A well-formed request for a source, whose declared length is within the source's cap.
#[derive(Debug)]
pub struct ForSource {
    /// The index of the source.
    pub source: usize,
    walk: Walk,
}

/// What came of a webhook, for its log line.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// In one word.
    pub webhook: Option<&'static str>,
    /// Why its signature was refused, if it was.
    pub failed: Option<Failure>,
    /// What shadow mode let pass.
    pub would_refuse: Option<Code>,
    /// The time that the upstream took.
    pub upstream: Option<Millis>,
}

/// Headers that are the message's own, or that promise what the gate does not read: set anew, or by
/// the platform.
const OF_THE_MESSAGE: [&str; 4] = ["accept-encoding", "content-length", "expect", "host"];

impl ForSource {
    /// Step 4, but for the method: which ones a source takes is its scheme's to say.
    pub(super) fn new(mut walk: Walk, source: &Source, head: &dyn Head) -> Next<Self> {
        walk.source = Some(source.index);
        match declared_length(head) {
            Err(()) => {
                let problem = malformed("Content-Length is not a number");
                return Err(walk.refuse(Step::Route, problem));
            }
            Ok(Some(length)) if length > source.body_limit => {
                return Err(walk.refuse(Step::Route, Code::BodyTooLarge));
            }
            Ok(_) => {}
        }
        walk.passed(Step::Route, |_| format!("source {} ({})", source.name, source.path));
        Ok(Self { source: source.index, walk })
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.walk.id.as_str()
    }

    /// When it arrived.
    pub fn arrived_at(&self) -> UnixMillis {
        self.walk.arrived_at
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.walk.method
    }

    /// The URL in its one form.
    pub fn url(&self) -> &RequestUrl {
        &self.walk.url
    }

    /// The sender's address; None when it cannot be read.
    pub fn address(&self) -> Option<IpAddr> {
        self.walk.address
    }

    /// The headers of every answer to it.
    pub fn stamp(&self) -> Vec<(&'static str, String)> {
        self.walk.stamp()
    }

    /// The headers and the body of a refusal. `bare`: its provider wants no body in any answer.
    pub fn refusal(
        &self,
        problem: &Problem,
        headers: Vec<(&'static str, String)>,
        bare: bool,
    ) -> (Vec<(&'static str, String)>, String) {
        let (mut headers, body) = self.walk.told(problem, headers);
        if bare {
            headers.retain(|(header, _)| *header != "Content-Type");
            return (headers, String::new());
        }
        (headers, body)
    }

    /// The log line for an answer of this status and code.
    pub fn log(
        &self,
        status: u16,
        code: Option<Code>,
        outcome: &Outcome,
        now: UnixMillis,
    ) -> LogLine {
        let mut line = self.walk.log_line(status, code, now);
        let source = self.walk.gate.policy.sources.get(self.source);
        line.tenant = source.and_then(|source| source.tenant.clone());
        line.webhook = outcome.webhook;
        line.failed = outcome.failed.as_ref().map(Failure::step);
        line.would_refuse.extend(outcome.would_refuse);
        line.upstream_ms = outcome.upstream.map(Millis::as_millis);
        line
    }

    /// The request as it is counted.
    pub fn sample(&self, status: u16, code: Option<Code>, now: UnixMillis) -> Sample<'_> {
        self.walk.sample(status, code, now)
    }

    /// The steps that were walked, for `explain`.
    pub fn into_notes(self) -> Vec<Note> {
        self.walk.into_notes()
    }

    /// What is kept of it for its backend.
    pub fn received(&self, source: &Source, headers: &[(String, String)]) -> Received {
        let gate = &self.walk.gate;
        let upstream = gate.policy.upstreams.get(source.upstream);
        let credential = upstream.and_then(|upstream| upstream.credential.as_ref());
        let taken = credential.and_then(Credential::header_name);
        let names: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
        let read = |wanted: &str| {
            let found = headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let protected: Vec<&str> = taken.into_iter().collect();
        let edits =
            request_edits(&names, read(name::CONNECTION), None, Keep::default(), &protected);
        let of_the_message = |header: &str| OF_THE_MESSAGE.iter().any(|own| same_name(own, header));
        let signs = !source.sign.is_empty();
        let own = if signs { source.scheme.scheme().colliding_headers() } else { Vec::new() };
        let mut kept: Vec<(String, String)> = Vec::new();
        for (header, value) in headers {
            if edits.remove.contains(header) || of_the_message(header) {
                continue;
            }
            // Nobody but the gate says anything under the names of its own signature.
            if signs && uniform::HEADERS.iter().any(|name| same_name(name, header)) {
                if own.iter().any(|name| name.eq_ignore_ascii_case(header)) {
                    kept.push((format!("{ORIGINAL}{header}"), value.clone()));
                }
                continue;
            }
            kept.push((header.clone(), value.clone()));
        }
        let trace = self.trace(read(name::TRACEPARENT));
        if !trace.continued {
            kept.retain(|(header, _)| !same_name(header, name::TRACESTATE));
        }
        let via = read(name::VIA).map_or_else(String::new, |via| format!("{via}, "));
        kept.retain(|(header, _)| !same_name(header, name::VIA));
        let url = &self.walk.url;
        let address = self.walk.address.map(|address| address.to_string());
        kept.extend(address.map(|address| (name::X_FORWARDED_FOR.to_owned(), address)));
        for (header, value) in [
            (name::X_REQUEST_ID, self.walk.id.to_string()),
            ("x-forwarded-proto", if url.secure { "https" } else { "http" }.to_owned()),
            ("x-forwarded-host", url.authority.clone()),
            (name::VIA, format!("{via}1.1 tollgate")),
            (name::TRACEPARENT, trace.to_string()),
            (name::X_TOLLGATE_WEBHOOK, source.name.clone()),
        ] {
            kept.push((header.to_owned(), value));
        }
        let in_query = credential.and_then(Credential::query_name);
        let in_query: Vec<&str> = in_query.into_iter().collect();
        let query = clean_query(url.query.as_deref(), &in_query);
        Received {
            at: self.walk.arrived_at,
            headers: kept,
            query: query.filter(|query| !query.is_empty()),
            provider_id: None,
            id_reused: false,
            unverified: false,
        }
    }

    fn trace(&self, traceparent: Option<&str>) -> Trace {
        Trace::new(traceparent, self.walk.entropy.get(16..).unwrap_or_default())
    }
}

/// What is sent to the upstream of a source.
pub struct WebhookRequest {
    /// The address, perhaps with the credential in its query.
    pub url: Secret,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The header that carries the credential.
    pub credential: Option<(String, Secret)>,
    /// Time to the first byte of the answer.
    pub timeout: Millis,
    /// Time to its last byte.
    pub max_stream: Millis,
    /// There is a cache on the way, which must neither answer nor keep this.
    pub passes_cache: bool,
}

impl fmt::Debug for WebhookRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WebhookRequest({} headers)", self.headers.len())
    }
}

/// Nothing can be sent: a secret that it needs is missing or has not the form that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsendable;

impl Gate {
    /// The keys that a source's requests may be signed with.
    ///
    /// # Errors
    /// [`KeyError`] when a secret is missing, empty, or not in the form of the scheme.
    pub fn keys_of(&self, source: &Source) -> Result<Keys, KeyError> {
        Keys::read(&source.scheme.scheme(), &self.filled(&source.secrets)?)
    }

    /// Templates with their secrets in their places. One of which a secret is empty is empty,
    /// whatever stands around it: that is in the policy, where many can read it.
    fn filled(&self, templates: &[Template]) -> Result<Vec<Secret>, KeyError> {
        let look = |name: &str| self.secrets.get(name);
        let fill = |(at, template): (usize, &Template)| {
            let blank = |secret: &Secret| secret.expose().trim().is_empty();
            if template.secrets().filter_map(look).any(blank) {
                return Err(KeyError::Empty(at));
            }
            template.fill(&look).ok_or(KeyError::None)
        };
        (1..).zip(templates).map(fill).collect()
    }

    /// What the gate signs with for the source's backend; None for a source that is not signed for.
    ///
    /// # Errors
    /// [`Unsendable`] when a secret is missing or cannot be signed with.
    pub fn signers_of(&self, source: &Source) -> Result<Option<Signers>, Unsendable> {
        if source.sign.is_empty() {
            return Ok(None);
        }
        let filled = self.filled(&source.sign).map_err(|_| Unsendable)?;
        Signers::read(&filled).map(Some).map_err(|_| Unsendable)
    }

    /// What one attempt sends to the source's upstream. `id`: the event's own, the same in each
    /// attempt; the time of the attempt is what is signed.
    ///
    /// # Errors
    /// [`Unsendable`]: nothing may go out without its credential, or without its signature.
    pub fn webhook_request(
        &self,
        source: &Source,
        received: &Received,
        id: &str,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<WebhookRequest, Unsendable> {
        let upstream = self.policy.upstreams.get(source.upstream).ok_or(Unsendable)?;
        let prepared = self.prepared(source.upstream).ok_or(Unsendable)?;
        let injected = prepared.injected.as_ref().ok_or(Unsendable)?;
        let mut headers = received.headers.clone();
        headers.push(("accept-encoding".to_owned(), "identity".to_owned()));
        // A source without `sign` has no other way to tell what only shadow mode let pass.
        let flags = flag::of(received.id_reused, received.unverified);
        headers.extend(flags.map(|flags| (name::X_TOLLGATE_WEBHOOK_FLAG.to_owned(), flags)));
        let signers = self.signers_of(source)?.filter(|_| !received.unverified);
        if let Some(signers) = signers {
            let signed = signers.sign(id, now, body, &Portable).map_err(|_| Unsendable)?;
            headers.extend(signed.map(|(name, value)| (name.to_owned(), value)));
        }
        let mut query = received.query.clone().unwrap_or_default();
        let mut credential = None;
        match injected {
            Injected::Nothing => {}
            Injected::Header(name, value) => credential = Some((name.clone(), value.clone())),
            Injected::Query(name, value) => {
                let join = if query.is_empty() { "" } else { "&" };
                query = format!("{query}{join}{name}={}", encode_query_value(value.expose()));
            }
        }
        let path = source.rewrite.as_deref().unwrap_or(&source.path);
        let base = &upstream.base;
        let join = if query.is_empty() { "" } else { "?" };
        Ok(WebhookRequest {
            url: Secret::new(format!("{}{}{path}{join}{query}", base.origin(), base.path_prefix())),
            headers,
            credential,
            timeout: upstream.timeout,
            max_stream: upstream.max_stream,
            passes_cache: self.policy.gate.platform == Platform::Cloudflare,
        })
    }

    /// What of a backend's answer goes back to a sender that waits for it: its headers less those
    /// that are not to be passed on; None when the credential stands in one of them.
    pub fn relayed(
        &self,
        source: &Source,
        headers: Vec<(String, String)>,
        own: &str,
    ) -> Option<Vec<(String, String)>> {
        use crate::forward::{Relay, answer_edits};
        let prepared = self.prepared(source.upstream)?;
        match answer_edits(&headers, &prepared.guard, own) {
            Relay::Leak { .. } => None,
            Relay::Pass { edits, .. } => {
                let goes = |header: &str| edits.remove.iter().any(|gone| gone == header);
                // A provider has no cookies of the backend's.
                let cookie = |header: &str| header.eq_ignore_ascii_case("set-cookie");
                let kept = headers.into_iter().filter(|(it, _)| !goes(it) && !cookie(it));
                Some(kept.collect())
            }
        }
    }

    /// Every secret of a source that is missing or cannot be used: what `ready` tells operators.
    pub(super) fn unready_sources(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for source in &self.policy.sources {
            let before = reasons.len();
            for name in source.secrets().filter(|name| !self.secrets.contains_key(*name)) {
                reasons.push(format!("secret {name} of source {} is not set", source.name));
            }
            if reasons.len() > before {
                continue;
            }
            if let Err(error) = self.keys_of(source) {
                reasons.push(format!("source {}: {error}", source.name));
            }
            if self.signers_of(source).is_err() {
                let name = &source.name;
                reasons.push(format!(
                    "source {name}: `sign` needs whsec_ and the base64 of 24 to 64 bytes"
                ));
            }
        }
        reasons
    }

    /// Every key of a source that works and could be guessed: what `ready` warns operators of.
    pub fn short_keys(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for source in &self.policy.sources {
            let Ok(keys) = self.keys_of(source) else { continue };
            for at in keys.short(&source.scheme.scheme()) {
                let name = &source.name;
                warnings.push(format!(
                    "source {name}: secret {at} is a key of fewer than {SHORT_KEY} bytes"
                ));
            }
        }
        warnings
    }
}
