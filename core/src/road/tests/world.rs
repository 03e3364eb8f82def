//! A gate with its stores in memory.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::family::{FamilyReply, FamilyRequest, FamilyState};
use crate::key::{
    IdSecret, Key, KeyEnvironment, KeyId, KeyKind, KeyPrefix, KeyRecord, KeyState, Peppers,
};
use crate::limit::Counts;
use crate::origin::SingleLabels;
use crate::policy::{Node, Policy};
use crate::request::Head;
use crate::road::admission::CounterRequest;
use crate::road::credential::kv_name;
use crate::road::*;
use crate::text::Secret;
use crate::time::{Millis, UnixMillis};

pub(super) const PEPPER: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
pub(super) const ID_SECRET: &str = "an id secret of at least 32 bytes";
pub(super) const UPSTREAM_SECRET: &str = "upstream-secret-of-enough-bytes";
/// Of a source, and what the gate signs with: the secret of Standard Webhooks' own example.
pub(super) const SIGN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(super) const APP: &str = "https://app.example.com";
pub(super) const OTHER: &str = "https://other.example.com";

/// A policy with one of everything that the road tells apart.
pub(super) fn policy_json() -> Value {
    json!({
        "version": 1,
        "gate": {
            "realm": "acme", "hosts": ["api.example.com"], "admin_host": "gate.example.com",
            "platform": "cloudflare", "failures": {"requests": 3, "window": "1m"},
        },
        "environment": {"production": {"upstream": {"billing": "https://billing.example.com/v1"}}},
        "upstream": {"billing": {
            "credential": {"type": "header", "name": "authorization", "value": "Bearer ${secret:BILLING_TOKEN}"},
        }},
        "limit": {
            "tight": {"rate": {"requests": 2, "window": "1m"}},
            "visitor": {"rate": {"requests": 2, "window": "1m"}, "by": "address"},
            "channel": {"rate": {"requests": 1, "window": "1m"}, "by": "key+param:id"},
        },
        "route": [
            {"name": "invoice", "path": "/v1/invoices/{id}", "methods": ["GET", "POST"], "upstream": "billing",
             "rewrite": "/invoices/{id}", "auth": "key", "scopes": ["invoices:read:{id}"], "origins": [APP],
             "tenant": [{"header": "X-Company-Id"}, {"query": "company"}], "body_limit": "1KiB"},
            {"name": "tight", "path": "/v1/tight", "methods": ["GET"], "upstream": "billing", "auth": "key",
             "origins": [APP], "limits": ["tight"]},
            {"name": "channel", "path": "/v1/channels/{id}", "methods": ["POST"], "upstream": "billing",
             "auth": "key", "limits": ["channel"]},
            {"name": "company", "path": "/v1/companies/{company}/x", "methods": ["GET"], "upstream": "billing",
             "auth": "key", "scopes": ["companies:read:{company}"], "tenant": [{"param": "company"}]},
            {"name": "bykeys", "path": "/v1/bykeys", "methods": ["GET"], "upstream": "billing", "auth": "key",
             "origins": "keys"},
            {"name": "site", "path": "/v1/site", "methods": ["GET"], "upstream": "billing", "auth": "origin",
             "origins": [APP], "limits": ["visitor"]},
            {"name": "open", "path": "/v1/open", "methods": ["GET"], "upstream": "billing", "auth": "public",
             "origins": ["*"]},
            {"name": "shadowed", "path": "/v1/shadowed", "methods": ["GET"], "upstream": "billing", "auth": "key",
             "scopes": ["secret:read"], "origins": [APP, OTHER], "limits": ["tight"],
             "shadow": {"checks": ["limits", "origins", "addresses", "scope"], "until": "2026-12-01"}},
            {"name": "old", "path": "/v1/old", "methods": ["GET"], "upstream": "billing", "auth": "public",
             "deprecated": {"since": "2026-06-01", "sunset": "2027-06-01", "link": "https://docs.example.com/v2"}},
        ],
        "source": [
            {"name": "shop", "path": "/hooks/shop", "scheme": "standard-webhooks", "secrets": ["${secret:SHOP}"],
             "upstream": "billing", "rewrite": "/in", "sign": "${secret:SIGN}", "body_limit": "1KiB", "tenant": "acme"},
            {"name": "plain", "path": "/v1/site/hook", "scheme": "xero", "secrets": ["${secret:SHOP}", "${secret:GONE}"],
             "upstream": "billing"},
        ],
    })
}

pub(super) fn start() -> UnixMillis {
    UnixMillis::parse_rfc3339("2026-11-22T00:00:00Z").unwrap()
}

/// A request, written down.
#[derive(Clone, Default)]
pub(super) struct Ask2 {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: bool,
}

pub(super) fn get(path: &str) -> Ask2 {
    Ask2 {
        method: "GET".into(),
        url: format!("https://api.example.com{path}"),
        headers: vec![("cf-connecting-ip".into(), "192.0.2.1".into())],
        body: false,
    }
}

impl Ask2 {
    pub(super) fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    pub(super) fn from(mut self, address: &str) -> Self {
        self.headers.retain(|(name, _)| name != "cf-connecting-ip");
        self.with("cf-connecting-ip", address)
    }
    pub(super) fn key(self, key: &Key) -> Self {
        let value = format!("Bearer {}", key.text().expose());
        self.with("authorization", &value)
    }
}

impl Head for Ask2 {
    fn method(&self) -> String {
        self.method.clone()
    }
    fn url(&self) -> String {
        self.url.clone()
    }
    fn header(&self, wanted: &str) -> Option<String> {
        let lines: Vec<&str> =
            self.headers.iter().filter(|(n, _)| n == wanted).map(|(_, v)| v.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }
    fn header_names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| name.clone()).collect()
    }
    fn socket(&self) -> Option<String> {
        None
    }
    fn tls_version(&self) -> Option<String> {
        self.header("test-tls")
    }
    fn country(&self) -> Option<String> {
        None
    }
    fn has_body(&self) -> bool {
        self.body
    }
}

/// How a walk ended, and what it cost.
pub(super) struct Walked {
    pub(super) outcome: Outcome,
    pub(super) kv: u32,
    pub(super) objects: u32,
    /// The objects that were asked, in order: what of whom.
    pub(super) asked: Vec<String>,
    /// The same, as messages.
    pub(super) messages: Vec<(String, Value)>,
}

impl Walked {
    /// Status and code, or 0 and `forward`.
    pub(super) fn told(&self) -> (u16, &'static str) {
        match &self.outcome {
            Outcome::Answer(answer) => {
                (answer.status, answer.code.map_or("", |code| code.as_str()))
            }
            Outcome::Forward(_) => (0, "forward"),
            Outcome::Gate(_) => (0, "gate"),
            Outcome::Source(_) => (0, "webhook"),
            Outcome::Ask(..) => (0, "ask"),
        }
    }

    pub(super) fn answer(self) -> Box<Answer> {
        match self.outcome {
            Outcome::Answer(answer) => answer,
            _ => panic!("no answer: {:?}", self.told()),
        }
    }

    /// What is to be sent as the walk ends, or goes to its upstream.
    pub(super) fn take_errands(&mut self) -> Vec<Errand> {
        match &mut self.outcome {
            Outcome::Answer(answer) => answer.take_errands(),
            Outcome::Forward(forward) => forward.take_errands(),
            other => panic!("it goes on: {other:?}"),
        }
    }

    pub(super) fn forward(self) -> Box<forwarding::Forward> {
        match self.outcome {
            Outcome::Forward(forward) => forward,
            _ => panic!("not forwarded: {:?}", self.told()),
        }
    }
}

pub(super) struct World {
    pub(super) gate: Rc<Gate>,
    pub(super) isolate: Isolate,
    pub(super) now: UnixMillis,
    pub(super) kv: HashMap<String, String>,
    pub(super) families: BTreeMap<String, FamilyState>,
    pub(super) moved: BTreeMap<String, KeyId>,
    pub(super) counters: BTreeMap<String, Counts>,
    pub(super) down: bool,
    /// From so many objects on none can be reached.
    pub(super) breaks_after: Option<u32>,
    /// What the ids of requests are made of.
    pub(super) entropy: u8,
    seed: Cell<u8>,
}

/// What an object was sent: its name, and what of it was wanted.
fn told_message(name: &str, message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap();
    let kind = match &message {
        Value::Object(members) => members.keys().next().unwrap().clone(),
        other => other.to_string(),
    };
    format!("{name} {kind}")
}

impl World {
    pub(super) fn new() -> Self {
        let secrets = [("BILLING_TOKEN", UPSTREAM_SECRET), ("SHOP", SIGN), ("SIGN", SIGN)];
        Self::with(&policy_json(), "production", &secrets)
    }

    pub(super) fn with(policy: &Value, environment: &str, secrets: &[(&str, &str)]) -> Self {
        let file = Policy::check(&Node::from_json(policy), &SingleLabels, start())
            .unwrap_or_else(|errors| panic!("{errors:#?}"));
        let policy = file.select(environment).unwrap();
        let secrets = secrets.iter().map(|(n, s)| ((*n).to_owned(), Secret::new(*s))).collect();
        let trust = Trust::Secrets {
            peppers: Peppers::parse(&Secret::new(PEPPER)).unwrap(),
            ids: IdSecret::new(&Secret::new(ID_SECRET)).unwrap(),
        };
        Self {
            gate: Rc::new(Gate::new(policy, trust, secrets)),
            isolate: Isolate::default(),
            now: start(),
            kv: HashMap::new(),
            families: BTreeMap::new(),
            moved: BTreeMap::new(),
            counters: BTreeMap::new(),
            down: false,
            breaks_after: None,
            entropy: 7,
            seed: Cell::new(0),
        }
    }

    /// A deployment with other peppers.
    pub(super) fn pepper(&mut self, peppers: &str) {
        let trust = Trust::Secrets {
            peppers: Peppers::parse(&Secret::new(peppers)).unwrap(),
            ids: IdSecret::new(&Secret::new(ID_SECRET)).unwrap(),
        };
        let secrets = self.gate.secrets.clone();
        self.gate = Rc::new(Gate::new(self.gate.policy.clone(), trust, secrets));
    }

    /// A fresh isolate: the stores stay.
    pub(super) fn elsewhere(&mut self) {
        self.isolate = Isolate::default();
    }

    pub(super) fn pass(&mut self, span: Millis) {
        self.now = self.now.plus(span);
    }

    pub(super) fn peppers(&self) -> &Peppers {
        match &self.gate.trust {
            Trust::Secrets { peppers, .. } => peppers,
            Trust::Assumed => panic!("no secrets"),
        }
    }

    /// A key that looks right, of which no store knows.
    pub(super) fn unknown_key(&self, kind: KeyKind) -> Key {
        self.seed.set(self.seed.get() + 1);
        let prefix = KeyPrefix { brand: "tg".into(), environment: KeyEnvironment::Prod, kind };
        let random = format!("{:010}", self.seed.get());
        let id = IdSecret::new(&Secret::new(ID_SECRET)).unwrap().id(&prefix, &random).unwrap();
        Key::assemble(prefix, id, Secret::new(format!("{:032}", self.seed.get())))
    }

    /// A live key, known to its object and to KV.
    pub(super) fn key(&mut self, kind: KeyKind, change: impl FnOnce(&mut KeyRecord)) -> Key {
        let key = self.unknown_key(kind);
        let mut record = KeyRecord {
            id: key.id.clone(),
            family: key.id.clone(),
            kind,
            environment: "production".into(),
            tenant: "acme".into(),
            name: "test".into(),
            owner: None,
            tags: vec![],
            metadata: serde_json::Map::default(),
            state: KeyState::Active,
            version: 1,
            created_at: self.now,
            expires_at: self.now.plus(Millis::days(365)),
            lifetime: Millis::days(365),
            deprecated: None,
            origins: vec![],
            allow_any_origin: false,
            addresses: vec![],
            scopes: vec![],
            limits: vec![],
            mode: crate::limit::Mode::Exact,
            mfa: false,
            suspended: false,
            digest: self.peppers().digest(&key).unwrap(),
        };
        change(&mut record);
        self.put_in_kv(&record);
        self.families.insert(key.id.to_string(), FamilyState::of(record));
        key
    }

    /// A server key that may read every invoice.
    pub(super) fn server_key(&mut self) -> Key {
        self.key(KeyKind::Sk, |record| {
            record.scopes = vec!["invoices:read:*".to_owned().try_into().unwrap()];
        })
    }

    /// A page's key that may read every invoice.
    pub(super) fn page_key(&mut self) -> Key {
        self.key(KeyKind::Pk, |record| {
            record.scopes = vec!["invoices:read:*".to_owned().try_into().unwrap()];
            record.origins = vec![crate::origin::OriginPattern::parse(APP, &SingleLabels).unwrap()];
        })
    }

    pub(super) fn record(&self, key: &Key) -> KeyRecord {
        self.families[key.id.as_str()].record(&key.id).unwrap().clone()
    }

    /// Changes the truth; KV and the isolate do not know yet.
    pub(super) fn change(&mut self, key: &Key, change: impl FnOnce(&mut KeyRecord)) {
        let mut record = self.record(key);
        change(&mut record);
        record.version += 1;
        self.families.insert(key.id.to_string(), FamilyState::of(record));
    }

    pub(super) fn put_in_kv(&mut self, record: &KeyRecord) {
        let name = kv_name(&record.id);
        let text = serde_json::to_string(record).unwrap();
        let sealed = self.peppers().seal(&name, &text).unwrap();
        self.kv.insert(name, sealed);
    }

    /// What is left of the key's limit that is named `default`.
    pub(super) fn used(&mut self, key: &Key) -> u32 {
        let record = self.record(key);
        let rate = crate::limit::Rate::new(60, Millis::minutes(1)).unwrap();
        let charges = vec![crate::limit::Charge {
            limit: "default".into(),
            bucket: String::new(),
            measure: crate::limit::Measure::Rate(rate),
            cost: 0,
            shadow: false,
            leased: false,
        }];
        let (id, version) = (record.id, record.version);
        let request =
            FamilyRequest::Admit { id, version, charges, rehash: None, slot: None, ahead: 0 };
        let family = self.families.get_mut(key.id.as_str()).unwrap();
        match family.apply(request, self.now).0 {
            FamilyReply::Verdict(verdict) => 60 - verdict.standings()[0].remaining,
            reply => panic!("{reply:?}"),
        }
    }

    pub(super) fn walk(&mut self, request: &Ask2) -> Walked {
        let gate = Rc::clone(&self.gate);
        let entropy = [self.entropy; 40];
        let mut outcome = begin(&gate, &mut self.isolate, request, self.now, &entropy, Record::Log);
        let (mut kv, mut objects) = (0, 0);
        let (mut asked, mut messages) = (Vec::new(), Vec::new());
        while let Outcome::Ask(ask, paused) = outcome {
            match &ask {
                Ask::Cached { .. } => kv += 1,
                Ask::Object { name, message, .. } => {
                    objects += 1;
                    asked.push(told_message(name, message));
                    messages.push((name.clone(), serde_json::from_str(message).unwrap()));
                }
            }
            outcome = if matches!(ask, Ask::Object { .. })
                && self.breaks_after.is_some_and(|most| objects > most)
            {
                self.go_on(*paused, request, &Supplied::Failed)
            } else {
                self.answer(&ask, *paused, request)
            };
        }
        Walked { outcome, kv, objects, asked, messages }
    }

    /// Goes on with what the store that is asked says.
    pub(super) fn answer(&mut self, ask: &Ask, paused: Paused, request: &Ask2) -> Outcome {
        let supplied = match ask {
            Ask::Cached { name } => Supplied::Cached(self.kv.get(name).cloned()),
            Ask::Object { class, name, message } => self.call(*class, name, message),
        };
        self.go_on(paused, request, &supplied)
    }

    fn go_on(&mut self, paused: Paused, request: &Ask2, supplied: &Supplied) -> Outcome {
        resume(paused, &mut self.isolate, request, supplied, self.now)
    }

    /// Has a route limited by these, as a policy writes them, each request counting for `cost`.
    pub(super) fn limit(&mut self, route: &str, cost: u32, limits: Value) {
        let gate = Rc::get_mut(&mut self.gate).expect("no walk is under way");
        let mut routes = gate.policy.routes.iter_mut();
        let route = routes.find(|known| known.name == route).unwrap();
        route.limits = serde_json::from_value(limits).unwrap();
        route.cost = cost;
    }

    /// What is left of a limit of those that the object of this name counts.
    pub(super) fn left(&mut self, object: &str, charge: &Value) -> u32 {
        let charges = [serde_json::from_value(charge.clone()).unwrap()];
        let counts = self.counters.entry(object.to_owned()).or_default();
        counts.look(&charges, self.now)[0].remaining
    }

    /// Runs errands as the driver does, and tells what was sent to whom.
    pub(super) fn run(&mut self, errands: Vec<Errand>) -> Vec<String> {
        let told = errands.iter().map(|errand| told_message(&errand.name, &errand.message));
        let told = told.collect();
        for errand in errands {
            let reply = match self.call(errand.class, &errand.name, &errand.message) {
                Supplied::Object(reply) => Some(reply),
                Supplied::Cached(_) | Supplied::Failed => None,
            };
            if let Some(number) = errand.reply {
                self.isolate.errand_done(number, reply.as_deref(), self.now);
            }
        }
        told
    }

    /// Asks the object, unless the stores are down.
    fn call(&mut self, class: ObjectClass, name: &str, message: &str) -> Supplied {
        if self.down {
            return Supplied::Failed;
        }
        let text = match class {
            ObjectClass::Key => {
                let request: FamilyRequest = serde_json::from_str(message).unwrap();
                let reply = match (self.families.get_mut(name), self.moved.get(name)) {
                    (Some(family), _) => family.apply(request, self.now).0,
                    (None, Some(family)) => FamilyReply::Moved { family: family.clone() },
                    (None, None) => FamilyReply::Unknown,
                };
                serde_json::to_string(&reply)
            }
            ObjectClass::Tenant => {
                assert_eq!((name, message), (origin::REGISTRY_OF_ALL, origin::ORIGINS_MESSAGE));
                let all = self.families.values().flat_map(FamilyState::records);
                let all: Vec<_> = all.collect();
                let any = all.iter().any(|record| record.allow_any_origin);
                let origins: Vec<_> = all.iter().flat_map(|r| r.origins.clone()).collect();
                serde_json::to_string(&json!({ "origins": origins, "any": any }))
            }
            ObjectClass::Counter => {
                let request: CounterRequest = serde_json::from_str(message).unwrap();
                let counts = self.counters.entry(name.to_owned()).or_default();
                serde_json::to_string(&request.answer(counts, self.now))
            }
        };
        Supplied::Object(text.unwrap())
    }
}
