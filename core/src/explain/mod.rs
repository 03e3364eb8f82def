//! The road as a dry run: every step, passed, refused or skipped, with the rule and the value
//! (SPEC sections 8 and 11).
//!
//! It walks the very same road; only the stores are made up: one key record that is handed in, no
//! request charged before, and no secret known. What would be injected is shown as
//! `${secret:NAME}`.

mod webhook;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::address::ClientIpSource;
use crate::family::{FamilyReply, FamilyRequest, FamilyState};
use crate::header::name;
use crate::key::{Key, KeyEnvironment, KeyPrefix, KeyRecord, Presented, find_key};
use crate::limit::Counts;
use crate::policy::{HostKind, Policy, Source};
use crate::problem::Code;
use crate::request::{Entropy, Head, RequestUrl};
use crate::road::admission::CounterRequest;
use crate::road::{
    Answer, Ask, Gate, Isolate, Note, ObjectClass, Outcome, Record, Supplied, Trust, begin, resume,
};
use crate::text::Secret;
use crate::time::UnixMillis;
pub use webhook::{Explained, Signed};

/// What a leased limit would give ahead would be told as used: it is one request that is explained.
const NONE_AHEAD: u32 = 0;
/// The most headers of a request that is explained; platforms take fewer than that.
pub const MAX_HEADERS: usize = 200;

/// A request, written down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method, as it would be sent.
    pub method: String,
    /// The absolute URL, as it would be sent.
    pub url: String,
    /// Names and values, in order; a name may stand several times. At most [`MAX_HEADERS`].
    #[serde(default, deserialize_with = "few_headers")]
    pub headers: Vec<(String, String)>,
    /// The caller's address, as the gate would read it.
    #[serde(default)]
    pub client_ip: Option<String>,
    /// Its body, byte by byte as it would be sent: a webhook's signature is over it. Nothing else
    /// looks at it.
    #[serde(default)]
    pub body: Option<Body>,
}

/// A body, written down: a text, or `{"base64": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Body {
    /// As it is.
    Text(String),
    /// What is no text, or what is not to be touched on its way.
    Encoded(Encoded),
}

/// Bytes, as base64 with padding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoded {
    /// The bytes.
    #[serde(deserialize_with = "bytes")]
    pub base64: Vec<u8>,
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Encoded(encoded) => &encoded.base64,
        }
    }
}

impl Encoded {
    /// Reads them; None for what is no base64.
    pub fn read(text: &str) -> Option<Self> {
        BASE64.decode(text.as_bytes()).ok().map(|base64| Self { base64 })
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    Encoded::read(&text).map(|it| it.base64).ok_or_else(|| de::Error::custom("is no base64"))
}

fn few_headers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    let headers = Vec::<(String, String)>::deserialize(from)?;
    if headers.len() <= MAX_HEADERS {
        return Ok(headers);
    }
    let count = headers.len();
    Err(de::Error::custom(format!("{count} headers are too many: {MAX_HEADERS} is the most")))
}

/// What would become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `preflight`, `refuse`, `forward`, `answer` (a canned answer of the policy), `gate` (it is
    /// for the gate itself) or `webhook` (it is for a source, and goes to its backend, unless its
    /// signature was not looked at: the step says so).
    pub outcome: &'static str,
    /// The status, where the gate answers.
    pub status: Option<u16>,
    /// The code of a refusal.
    pub code: Option<Code>,
    /// The headers that the gate itself sends.
    pub response_headers: Vec<(String, String)>,
    /// What the upstream would get.
    pub upstream: Option<Upstream>,
    /// Every step of the road.
    pub steps: Vec<Note>,
}

/// What an upstream would get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The method.
    pub method: String,
    /// The address, without what would be injected into its query.
    pub url: String,
    /// Every header, secrets as `${secret:NAME}`.
    pub headers: Vec<(String, String)>,
}

/// Who asks, and when.
pub struct Asks<'a> {
    /// The time.
    pub now: UnixMillis,
    /// Which sources of webhooks are theirs to look at.
    pub sees: &'a dyn Fn(&Source) -> bool,
}

impl fmt::Debug for Asks<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Asks(at {})", self.now.to_rfc3339())
    }
}

impl Asks<'_> {
    /// Somebody who has the policy itself.
    pub const fn with_the_policy(now: UnixMillis) -> Self {
        Self { now, sees: &|_| true }
    }
}

/// Explains `request` under `policy`. `record`: the key that makes it; a credential in the
/// request's headers must then be that key's, and may be left out. Of a webhook the signature
/// remains, for which the caller may have the secrets.
pub fn explain(
    mut policy: Policy,
    record: Option<&KeyRecord>,
    request: &Request,
    asks: &Asks<'_>,
    entropy: &Entropy,
) -> Explained {
    let now = asks.now;
    // The request is judged as one that reached this gate, from the address that is given.
    if let Ok(url) = RequestUrl::split(&request.url)
        && policy.host(&url.authority) != HostKind::Admin
    {
        policy.gate.hosts = vec![url.host().to_owned()];
    }
    policy.gate.client_ip = ClientIpSource::Socket;
    let presented = record
        .filter(|_| !has_credential(&policy, request))
        .map(|record| stand_in(&policy, record));
    let head = Written { request, presented };
    let gate = Rc::new(Gate::new(policy, Trust::Assumed, BTreeMap::new()));
    let mut isolate = Isolate::default();
    let mut outcome = begin(&gate, &mut isolate, &head, now, entropy, Record::Steps);
    loop {
        match outcome {
            Outcome::Ask(ask, paused) => {
                let supplied = supply(&ask, record, now);
                outcome = resume(*paused, &mut isolate, &head, &supplied, now);
            }
            Outcome::Answer(answer) => return told_of(answered(*answer)),
            Outcome::Gate(_) => return told_of(ended("gate", Vec::new())),
            Outcome::Source(webhook) => {
                let body = request.body.as_ref().map(Body::bytes);
                return Explained::of(&gate, *webhook, &head, body, asks);
            }
            Outcome::Forward(forward) => {
                let sent = forward.request(&head);
                let url = forward.shown_url().to_owned();
                let (headers, steps) = forward.explain();
                return told_of(Explanation {
                    outcome: "forward",
                    status: None,
                    code: None,
                    response_headers: owned(headers),
                    upstream: sent.map(|sent| Upstream {
                        method: sent.method,
                        url,
                        headers: edited(
                            &request.headers,
                            &sent.edits.remove,
                            sent.edits.set.into_iter().chain(
                                sent.credential
                                    .map(|(name, shown)| (name, shown.expose().to_owned())),
                            ),
                        ),
                    }),
                    steps,
                });
            }
        }
    }
}

fn told_of(explanation: Explanation) -> Explained {
    Explained::Told(Box::new(explanation))
}

fn answered(answer: Answer) -> Explanation {
    let (status, code) = (answer.status, answer.code);
    let outcome = match code {
        Some(_) => "refuse",
        None if answer.is_preflight() => "preflight",
        None => "answer",
    };
    Explanation {
        outcome,
        status: Some(status),
        code,
        response_headers: owned(answer.headers.clone()),
        upstream: None,
        steps: answer.into_notes(),
    }
}

fn ended(outcome: &'static str, steps: Vec<Note>) -> Explanation {
    Explanation {
        outcome,
        status: None,
        code: None,
        response_headers: Vec::new(),
        upstream: None,
        steps,
    }
}

fn owned(headers: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The headers without those in `remove`, and with those in `set`: of a name the last one.
fn edited(
    headers: &[(String, String)],
    remove: &[String],
    set: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let mut added: Vec<(String, String)> =
        set.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    added.reverse();
    added.retain(|(name, _)| taken.insert(name.clone()));
    added.reverse();
    taken.extend(remove.iter().cloned());
    let kept = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    kept.filter(|(name, _)| !taken.contains(name)).chain(added).collect()
}

/// True when the request brings a credential for the gate. An `Authorization` that the route leaves
/// to its backend is none, unless a key of the gate stands in it: that is worth explaining.
fn has_credential(policy: &Policy, request: &Request) -> bool {
    let find = |wanted: &str| {
        let found = request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let authorization = find(name::AUTHORIZATION);
    find(name::X_API_KEY).is_some()
        || authorization
            .is_some_and(|value| !is_for_backend(policy, request) || holds_key(policy, value))
}

/// True when the route of this request takes its key from `X-Api-Key` alone.
fn is_for_backend(policy: &Policy, request: &Request) -> bool {
    let url = RequestUrl::parse(&request.url).ok();
    let found = url.as_ref().and_then(|url| policy.route_path(&url.path));
    let route =
        found.and_then(|found| found.routes().find(|route| route.methods.allows(&request.method)));
    route.is_some_and(|route| route.passthrough_authorization)
}

/// True for an `Authorization` with a key of this gate in it, plain or as Basic.
fn holds_key(policy: &Policy, authorization: &str) -> bool {
    let basic = || matches!(Presented::read(Some(authorization), None), Ok(Presented::Key(_)));
    find_key(&policy.gate.key_brand, authorization).is_some() || basic()
}

/// A text of the right form for a key whose secret nobody here knows.
fn stand_in(policy: &Policy, record: &KeyRecord) -> String {
    let prefix = KeyPrefix {
        brand: policy.gate.key_brand.clone(),
        environment: KeyEnvironment::of(&record.environment),
        kind: record.kind,
    };
    let secret = Secret::new("0".repeat(crate::key::SECRET_CHARS));
    Key::assemble(prefix, record.id.clone(), secret).text().expose().to_owned()
}

/// The stores as they would be if `record` were the only key and nobody had called before.
fn supply(ask: &Ask, record: Option<&KeyRecord>, now: UnixMillis) -> Supplied {
    match ask {
        Ask::Cached { .. } => Supplied::Cached(None),
        Ask::Object { class: ObjectClass::Key, message, .. } => {
            let Ok(mut request) = serde_json::from_str::<FamilyRequest>(message) else {
                return Supplied::Failed;
            };
            if let FamilyRequest::Admit { ahead, .. } = &mut request {
                *ahead = NONE_AHEAD;
            }
            let Some(record) = record else { return told(&FamilyReply::Unknown) };
            let mut family = FamilyState::of(record.clone());
            told(&family.apply(request, now).0)
        }
        Ask::Object { class: ObjectClass::Tenant, .. } => {
            let origins = record.map(|record| record.origins.clone()).unwrap_or_default();
            Supplied::Object(serde_json::json!({ "origins": origins }).to_string())
        }
        Ask::Object { class: ObjectClass::Counter, message, .. } => {
            let Ok(mut request) = serde_json::from_str::<CounterRequest>(message) else {
                return Supplied::Failed;
            };
            if let CounterRequest::Charge { ahead, .. } = &mut request {
                *ahead = NONE_AHEAD;
            }
            told(&request.answer(&mut Counts::default(), now))
        }
    }
}

fn told(reply: &impl Serialize) -> Supplied {
    serde_json::to_string(reply).map_or(Supplied::Failed, Supplied::Object)
}

/// A request that was written down.
struct Written<'r> {
    request: &'r Request,
    presented: Option<String>,
}

impl Head for Written<'_> {
    fn method(&self) -> String {
        self.request.method.clone()
    }

    fn url(&self) -> String {
        self.request.url.clone()
    }

    fn header(&self, wanted: &str) -> Option<String> {
        if wanted == name::X_API_KEY
            && let Some(presented) = &self.presented
        {
            return Some(presented.clone());
        }
        // As the platform does it: repeated lines joined.
        let values: Vec<&str> = self
            .request
            .headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn socket(&self) -> Option<String> {
        let address = self.request.client_ip.as_deref()?;
        Some(if address.contains(':') { format!("[{address}]:0") } else { format!("{address}:0") })
    }

    fn tls_version(&self) -> Option<String> {
        None
    }

    fn country(&self) -> Option<String> {
        None
    }

    fn has_body(&self) -> bool {
        let given = self.request.body.as_ref().is_some_and(|body| !body.bytes().is_empty());
        given || self.header("transfer-encoding").is_some()
    }
}

#[cfg(test)]
mod tests;
