//! A gate, a key and a request, as the road meets them in the middle of a busy day.

use std::hint::black_box;
use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::family::{FamilyReply, FamilyRequest, FamilyState};
use tollgate_core::key::{IdSecret, KeyRecord, Peppers};
use tollgate_core::manage::{Bounds, Caller, MadeKey, Making, NewKey};
use tollgate_core::origin::SingleLabels;
use tollgate_core::policy::{Node, Policy};
use tollgate_core::request::Head;
use tollgate_core::road::forwarding::Forward;
use tollgate_core::road::{self, Ask, Gate, Isolate, Outcome, Paused, Record, Supplied, Trust};
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};

const PEPPER: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ID_SECRET: &str = "an id secret of at least 32 bytes";
const UPSTREAM_SECRET: &str = "upstream-secret-of-enough-bytes";
/// A page that every route knows.
pub(crate) const APP: &str = "https://app.example.com";

pub(crate) fn now() -> UnixMillis {
    UnixMillis::parse_rfc3339("2026-11-22T00:00:00Z").unwrap()
}

pub(crate) fn peppers() -> Peppers {
    Peppers::parse(&Secret::new(PEPPER)).unwrap()
}

pub(crate) fn ids() -> IdSecret {
    IdSecret::new(&Secret::new(ID_SECRET)).unwrap()
}

/// A gate with so many routes for keys and one open route behind all of them.
pub(crate) fn gate(routes: usize) -> Rc<Gate> {
    let keyed = (0..routes).map(|n| {
        json!({
            "name": format!("route-{n}"), "path": format!("/v1/resource-{n}/{{id}}"),
            "methods": ["GET"], "upstream": "billing", "rewrite": format!("/resource-{n}/{{id}}"),
            "auth": "key", "scopes": ["invoices:read"], "origins": [APP],
        })
    });
    let open = json!({
        "name": "open", "path": "/v1/open/{id}", "methods": ["GET"], "upstream": "billing",
        "auth": "public", "origins": [APP],
    });
    let policy = json!({
        "version": 1,
        "gate": {
            "realm": "bench", "hosts": ["api.example.com"], "admin_host": "gate.example.com",
            "failures": {"requests": 1_000_000, "window": "1s"},
        },
        "environment": {"production": {"upstream": {"billing": "https://billing.example.com/v1"}}},
        "upstream": {"billing": {
            "credential": {"type": "header", "name": "authorization", "value": "Bearer ${secret:TOKEN}"},
        }},
        "route": keyed.chain([open]).collect::<Value>(),
    });
    let file = Policy::check(&Node::from_json(&policy), &SingleLabels, now()).unwrap();
    let trust = Trust::Secrets { peppers: peppers(), ids: ids() };
    let secrets = [("TOKEN".to_owned(), Secret::new(UPSTREAM_SECRET))].into_iter().collect();
    Rc::new(Gate::new(file.select("production").unwrap(), trust, secrets))
}

/// A server key; another one for each seed.
pub(crate) fn key(seed: u64) -> MadeKey {
    let wish = json!({
        "tenant": "acme", "kind": "sk", "name": "bench", "scopes": ["invoices:read"],
        "limits": [{"name": "default", "requests": 1_000_000, "window": "1m"}],
    });
    let bounds = Bounds { brand: "tg", environment: "production", max_lifetime: None };
    let mut random = [0; 128];
    for (byte, seeded) in random.iter_mut().zip(seed.to_le_bytes().iter().cycle()) {
        *byte = *seeded;
    }
    let making = Making { peppers: &peppers(), ids: &ids(), random: &random };
    let wish = NewKey::read(&wish, &bounds, &Caller::Root, now()).unwrap();
    wish.make(&bounds, &making).unwrap()
}

/// The same text with another last character: its checksum is wrong.
pub(crate) fn damaged(text: &str) -> String {
    let mut text = text.to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    text
}

/// A request as a server's program sends it.
pub(crate) struct Sent {
    url: String,
    headers: Vec<(&'static str, String)>,
}

impl Sent {
    pub(crate) fn new(path: &str) -> Self {
        let headers = [
            ("host", "api.example.com"),
            ("accept", "application/json"),
            ("accept-encoding", "gzip, deflate"),
            ("accept-language", "*"),
            ("cf-connecting-ip", "192.0.2.1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("user-agent", "invoices-sync/7.1.0 (+https://acme.example/about) node/24"),
        ];
        Self {
            url: format!("https://api.example.com{path}"),
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Head for Sent {
    fn method(&self) -> String {
        "GET".to_owned()
    }
    fn url(&self) -> String {
        self.url.clone()
    }
    fn header(&self, wanted: &str) -> Option<String> {
        self.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    }
    fn header_names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
    fn socket(&self) -> Option<String> {
        None
    }
    fn tls_version(&self) -> Option<String> {
        Some("TLSv1.3".to_owned())
    }
    fn country(&self) -> Option<String> {
        Some("DE".to_owned())
    }
    fn has_body(&self) -> bool {
        false
    }
}

/// An isolate at a gate, and what the stores say to it.
pub(crate) struct Edge {
    gate: Rc<Gate>,
    pub(crate) isolate: Isolate,
    record: KeyRecord,
    /// The object's answer to an admission: always the same, so that only the edge is measured.
    verdict: Option<String>,
}

impl Edge {
    /// At a gate of so many routes, in an isolate that knows the key.
    pub(crate) fn new(routes: usize, record: KeyRecord) -> Self {
        let mut isolate = Isolate::default();
        isolate.learn(record.clone(), now());
        Self { gate: gate(routes), isolate, record, verdict: None }
    }

    /// The first step: up to the first store that has to be asked.
    pub(crate) fn begin(&mut self, sent: &Sent) -> Outcome {
        road::begin(&self.gate, &mut self.isolate, sent, now(), &[7; 40], Record::Log)
    }

    /// The whole decision, the stores' time aside.
    pub(crate) fn decide(&mut self, sent: &Sent) -> Outcome {
        let mut outcome = self.begin(sent);
        while let Outcome::Ask(ask, paused) = outcome {
            outcome = self.go_on(&ask, *paused, sent);
        }
        outcome
    }

    fn go_on(&mut self, ask: &Ask, paused: Paused, sent: &Sent) -> Outcome {
        let reply = match (ask, &self.verdict) {
            (Ask::Object { .. }, Some(verdict)) => verdict.clone(),
            (Ask::Object { message, .. }, None) => {
                let request: FamilyRequest = serde_json::from_str(message).unwrap();
                let (reply, _) = FamilyState::of(self.record.clone()).apply(request, now());
                assert!(matches!(reply, FamilyReply::Verdict(_)), "{reply:?}");
                self.verdict.insert(serde_json::to_string(&reply).unwrap()).clone()
            }
            (Ask::Cached { name }, _) => panic!("the isolate knows the key: {name}"),
        };
        road::resume(paused, &mut self.isolate, sent, &Supplied::Object(reply), now())
    }

    /// The decision, what is sent to the upstream, what comes back of its answer, and the log line.
    pub(crate) fn pass(&mut self, sent: &Sent) {
        let forward = forwarded(self.decide(sent));
        black_box(forward.request(sent));
        let headers = answer_headers();
        let relayed = forward.answered(200, &headers).unwrap();
        black_box(relayed.log(Millis::millis(9), now()).to_json());
    }
}

/// The way to the upstream, which the request has to have been given.
pub(crate) fn forwarded(outcome: Outcome) -> Box<Forward> {
    match outcome {
        Outcome::Forward(forward) => forward,
        other => panic!("not forwarded: {other:?}"),
    }
}

fn answer_headers() -> Vec<(String, String)> {
    [
        ("cache-control", "private, max-age=60"),
        ("content-length", "1188"),
        ("content-type", "application/json; charset=utf-8"),
        ("date", "Sun, 22 Nov 2026 00:00:00 GMT"),
        ("etag", "W/\"51f-Zr6hO5xJ2bq0\""),
        ("server", "nginx/1.28.0"),
        ("vary", "Accept-Encoding"),
        ("x-content-type-options", "nosniff"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
