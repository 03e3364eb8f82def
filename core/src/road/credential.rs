//! Step 6: whose key is it, and does the caller hold its secret, or a token that was traded for it?

use std::rc::Rc;

use super::admission::Caller;
use super::isolate::Isolate;
use super::origin::Cleared;
use super::permit::Permitted;
use super::told::Told;
use super::walk::{Step, Walk};
use super::{Ask, Next, ObjectClass, Supplied};
use crate::address::failure_block;
use crate::family::FamilyRequest;
use crate::header::name;
use crate::key::{Key, KeyEnvironment, KeyId, KeyKind, KeyRecord, Presented};
use crate::policy::Auth;
use crate::problem::{Code, Problem};
use crate::request::Head;
use crate::time::UnixMillis;

/// KV entries of key records begin so.
pub const KV_PREFIX: &str = "k/";

/// The name of a key's KV entry.
pub fn kv_name(id: &KeyId) -> String {
    format!("{KV_PREFIX}{id}")
}

/// How step 6 ends.
#[derive(Debug)]
pub(super) enum Credential {
    /// The record may lie in KV.
    AskCache(Ask, AwaitCached),
    /// The record is with its object.
    AskObject(Ask, AwaitRecord),
    /// The caller holds the secret of this key.
    Known(Known),
    /// The route asks for no key.
    Open(Permitted),
}

/// A caller that holds the secret of a key of this environment, or a token of it.
#[derive(Debug)]
pub struct Known {
    pub(super) walk: Walk,
    pub(super) undeclared: bool,
    pub(super) record: Rc<KeyRecord>,
    /// Set once a stale version sent the walk back to step 7: it goes back only once.
    pub(super) corrected: bool,
}

/// A credential that looks right and whose key's record is not here yet.
#[derive(Debug)]
struct Lookup {
    walk: Walk,
    undeclared: bool,
    held: Held,
}

/// What somebody holds.
#[derive(Debug)]
enum Held {
    /// A key, its secret still to be compared.
    Key(Key),
    /// A token of this key that the gate made: it stands for the secret.
    Token(KeyId),
}

impl Held {
    fn id(&self) -> &KeyId {
        match self {
            Self::Key(key) => &key.id,
            Self::Token(id) => id,
        }
    }
}

/// Waits for KV.
#[derive(Debug)]
pub(super) struct AwaitCached(Lookup);

/// Waits for an object.
#[derive(Debug)]
pub(super) struct AwaitRecord {
    lookup: Lookup,
    /// The object that was asked said that the key's family is another.
    moved: bool,
}

impl Cleared {
    /// Step 6.
    pub(super) fn credential(
        self,
        isolate: &mut Isolate,
        head: &dyn Head,
        now: UnixMillis,
    ) -> Next<Credential> {
        let Self { mut walk, undeclared } = self;
        let Some(route) = walk.route() else {
            return Err(walk.refuse(Step::Credential, Code::InternalError));
        };
        if route.auth != Auth::Key {
            walk.note(Step::Credential, super::Verdict::Skipped, |_| {
                "the route needs no key".into()
            });
            return Ok(Credential::Open(Permitted::without_key(walk, undeclared)));
        }
        let authorization =
            (!route.passthrough_authorization).then(|| head.header(name::AUTHORIZATION)).flatten();
        let x_api_key = head.header(name::X_API_KEY);
        let presented = match Presented::read(authorization.as_deref(), x_api_key.as_deref()) {
            Ok(presented) => presented,
            Err(error) => {
                let problem = Problem::new(Code::MalformedRequest).detail(error.to_string());
                return Err(walk.refuse(Step::Credential, problem));
            }
        };
        let credential = match look(&mut walk, presented) {
            Ok(Some(credential)) => credential,
            Ok(None) => return Err(walk.refuse(Step::Credential, Code::KeyMissing)),
            Err(code) => return Err(failed(walk, isolate, code, now)),
        };
        if walk.token.as_ref().is_some_and(|token| token.is_expired(now)) {
            return Err(expired(walk, isolate, credential.id(), now));
        }
        let lookup = Lookup { walk, undeclared, held: credential };
        if let Some(record) = isolate.record(lookup.held.id()) {
            return lookup.with_record(isolate, record, now).map(Credential::Known);
        }
        // From here on a store is asked: not for an address that only brings failures.
        if let Some(wait) = isolate.failures_spent(&lookup.walk, now) {
            return Err(lookup.walk.refuse(Step::Credential, too_many(wait)));
        }
        let ask = Ask::Cached { name: kv_name(lookup.held.id()) };
        Ok(Credential::AskCache(ask, AwaitCached(lookup)))
    }
}

impl AwaitCached {
    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Credential> {
        let Self(lookup) = self;
        if let Supplied::Cached(Some(sealed)) = supplied {
            let name = kv_name(lookup.held.id());
            let open = lookup.walk.gate.trust.open(&name, sealed);
            // An entry that does not open is none: the object has the truth.
            let record = open.and_then(|text| serde_json::from_str::<KeyRecord>(text).ok());
            if let Some(record) = record.filter(|record| record.id == *lookup.held.id()) {
                let record = isolate.keep(record, None);
                return lookup.with_record(isolate, record, now).map(Credential::Known);
            }
        }
        let ask = read_from_object(lookup.held.id(), lookup.held.id());
        Ok(Credential::AskObject(ask, AwaitRecord { lookup, moved: false }))
    }
}

impl AwaitRecord {
    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Credential> {
        let Self { lookup, moved } = self;
        match Told::of(supplied) {
            Some(Told::Record { record }) if record.id == *lookup.held.id() => {
                let record = isolate.keep(*record, Some(now));
                lookup.with_record(isolate, record, now).map(Credential::Known)
            }
            Some(Told::Moved { family }) if !moved => {
                let ask = read_from_object(&family, lookup.held.id());
                Ok(Credential::AskObject(ask, Self { lookup, moved: true }))
            }
            Some(Told::Unknown) => Err(failed(lookup.walk, isolate, Code::KeyInvalid, now)),
            _ => Err(lookup.walk.refuse(Step::Credential, Code::AdmissionUnavailable)),
        }
    }
}

impl Lookup {
    /// The record is the key's: does the caller hold its secret, or a token of it?
    fn with_record(
        self,
        isolate: &mut Isolate,
        record: Rc<KeyRecord>,
        now: UnixMillis,
    ) -> Next<Known> {
        let Self { mut walk, undeclared, held } = self;
        let (policy, trust) = (&walk.gate.policy, &walk.gate.trust);
        let holds = match &held {
            Held::Key(key) => record.kind == key.prefix.kind && trust.verify(key, &record.digest),
            Held::Token(_) => matches!(record.kind, KeyKind::Sk | KeyKind::Rk),
        };
        if !holds || record.environment != policy.environment.name {
            walk.note_wrong_secret(&record);
            if let Some(wait) = isolate.failures_spent(&walk, now) {
                return Err(walk.refuse(Step::Credential, too_many(wait)));
            }
            return Err(failed(walk, isolate, Code::KeyInvalid, now));
        }
        walk.set_tenant_params(&record.tenant);
        // A token says nothing of the secret, so nothing new can be kept of it.
        walk.rehash = match &held {
            Held::Key(key) => walk.gate.trust.rehash(key, &record.digest),
            Held::Token(_) => None,
        };
        walk.key = Some((record.id.clone(), record.tenant.clone()));
        walk.passed(Step::Credential, |walk| {
            let what = if walk.token.is_some() { "token of " } else { "" };
            let KeyRecord { kind, id, tenant, .. } = &*record;
            format!("{what}{} key {id} of tenant {tenant}", kind.as_str())
        });
        Ok(Known { walk, undeclared, record, corrected: false })
    }
}

/// What can be told of a credential by looking at it. None was sent: nothing. A token's claims are
/// the walk's from here on.
fn look(walk: &mut Walk, presented: Presented) -> Result<Option<Held>, Code> {
    let gate = Rc::clone(&walk.gate);
    let belongs = |brand: &str, environment: KeyEnvironment| {
        if brand != gate.policy.gate.key_brand {
            return Err(Code::KeyInvalid);
        }
        let here = environment == gate.policy.environment.class;
        if here { Ok(()) } else { Err(Code::WrongEnvironment) }
    };
    match presented {
        Presented::Nothing => Ok(None),
        Presented::NoKey(_) => Err(Code::KeyInvalid),
        Presented::Key(key) => {
            belongs(&key.prefix.brand, key.prefix.environment)?;
            if key.prefix.kind == KeyKind::Ak {
                return Err(Code::WrongKind);
            }
            let made = gate.trust.made(&key.prefix, &key.id);
            if made { Ok(Some(Held::Key(key))) } else { Err(Code::KeyInvalid) }
        }
        Presented::Token(token) => {
            belongs(&token.brand, token.environment)?;
            if !gate.trust.is_genuine(&token) {
                return Err(Code::KeyInvalid);
            }
            walk.token = Some(token.claims);
            Ok(Some(Held::Token(token.id)))
        }
    }
}

/// A token past its end is told so by its own text: step 7 without a look at its key.
fn expired(
    mut walk: Walk,
    isolate: &mut Isolate,
    id: &KeyId,
    now: UnixMillis,
) -> Box<super::Refused> {
    walk.key = isolate.record(id).map(|record| (id.clone(), record.tenant.clone()));
    walk.passed(Step::Credential, |_| format!("token of key {id}"));
    if let Some(wait) = isolate.refusals_spent(&walk, id, now) {
        return walk.refuse(Step::KeyState, too_many(wait));
    }
    isolate.spend_refusal(&walk, id, now);
    walk.refuse(Step::KeyState, Code::TokenExpired)
}

/// A presented credential that failed: it costs the address some of its budget.
fn failed(walk: Walk, isolate: &mut Isolate, code: Code, now: UnixMillis) -> Box<super::Refused> {
    if let Some(wait) = isolate.failures_spent(&walk, now) {
        return walk.refuse(Step::Credential, too_many(wait));
    }
    isolate.spend_failure(&walk, now);
    walk.refuse(Step::Credential, code)
}

pub(super) fn too_many(wait_secs: u64) -> Problem {
    let mut problem = Problem::new(Code::TooManyFailures);
    problem.retry_after = Some(wait_secs.max(1));
    problem
}

pub(super) fn read_from_object(object: &KeyId, id: &KeyId) -> Ask {
    key_object(object, &FamilyRequest::Read { id: id.clone() })
}

pub(super) fn key_object(object: &KeyId, request: &FamilyRequest) -> Ask {
    Ask::Object {
        class: ObjectClass::Key,
        name: object.to_string(),
        message: serde_json::to_string(request).unwrap_or_default(),
    }
}

impl Walk {
    /// Who a failed credential is counted against.
    pub(super) fn failure_block(&self) -> String {
        failure_block(self.address)
    }

    /// The key that calls, once it is known.
    pub(super) fn caller_of(record: &Rc<KeyRecord>) -> Caller {
        Caller::Key(Rc::clone(record))
    }
}
