//! Step 10: revocation and limits, in one strongly consistent call.

use std::rc::Rc;

use super::credential::{Known, key_object, reply};
use super::isolate::Isolate;
use super::permit::{Permitted, shadows, state};
use super::walk::{Step, Verdict as StepVerdict, Walk};
use super::{Ask, Next, ObjectClass, Supplied};
use crate::family::{FamilyReply, FamilyRequest};
use crate::header::name;
use crate::key::{KeyKind, KeyRecord};
use crate::limit::{
    Charge, Limit, LimitBy, ROUTE_PREFIX, Rate, Standing, Verdict, rate_limit_headers,
};
use crate::policy::{Policy, Route, ShadowCheck};
use crate::problem::{Code, Problem};
use crate::time::{Millis, UnixMillis};

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The holder of a key.
    Key(Rc<KeyRecord>),
    /// Anybody: the route asks for no key.
    Nobody,
}

/// How step 10 ends.
#[derive(Debug)]
pub(super) enum Admission {
    /// The key's object decides.
    AskKey(Ask, AwaitAdmission),
    /// The address's counter decides.
    AskCounter(Ask, AwaitCounter),
    /// The record was stale: steps 7 to 9 again, on what is true now.
    Again(Known),
    /// The request is paid for.
    Admitted(Admitted),
}

/// A request that is paid for, or that nothing limits.
#[derive(Debug)]
pub struct Admitted {
    pub(super) walk: Walk,
    pub(super) undeclared: bool,
    pub(super) caller: Caller,
}

/// Waits for the key's object.
#[derive(Debug)]
pub(super) struct AwaitAdmission {
    walk: Walk,
    undeclared: bool,
    record: Rc<KeyRecord>,
    corrected: bool,
    object: String,
    charges: Vec<Charge>,
}

/// Waits for the counter of an address.
#[derive(Debug)]
pub(super) struct AwaitCounter {
    permitted: Permitted,
    object: String,
    charges: Vec<Charge>,
}

/// What a counter is asked.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterRequest {
    /// Charge all of these, or none.
    Charge {
        /// The limits of one request.
        charges: Vec<Charge>,
    },
}

/// The rate of a key that names none, where the policy has no `default` limit (SPEC section 3).
const DEFAULT_RATE: (u32, Millis) = (60, Millis::minutes(1));
/// The limit of each client address of a publishable key (SPEC section 3).
const ADDRESS_LIMIT: &str = "address";
/// The limit of a key that names none.
const DEFAULT_LIMIT: &str = "default";
impl Permitted {
    /// Step 10.
    pub(super) fn admission(mut self, isolate: &mut Isolate, now: UnixMillis) -> Next<Admission> {
        let charges = self.charges(now);
        let object = match &self.caller {
            Caller::Key(record) => record.family.to_string(),
            Caller::Nobody => format!("address/{}", self.walk.failure_block()),
        };
        if let Some(denied) = isolate.denials.denied(&object, &charges, now) {
            return Err(limited(self.walk, &denied));
        }
        match self.caller {
            Caller::Key(record) => {
                let request = FamilyRequest::Admit {
                    id: record.id.clone(),
                    version: record.version,
                    charges: charges.clone(),
                    rehash: self.walk.rehash.clone(),
                };
                let ask = key_object(&record.family, &request);
                let Self { walk, undeclared, corrected, .. } = self;
                let waiting =
                    AwaitAdmission { walk, undeclared, record, corrected, object, charges };
                Ok(Admission::AskKey(ask, waiting))
            }
            Caller::Nobody if charges.is_empty() => {
                self.walk.passed(Step::Admission, |_| "nothing limits this route".to_owned());
                self.walk.note_admission();
                let Self { walk, undeclared, caller, .. } = self;
                Ok(Admission::Admitted(Admitted { walk, undeclared, caller }))
            }
            Caller::Nobody => {
                let request = CounterRequest::Charge { charges: charges.clone() };
                let ask = Ask::Object {
                    class: ObjectClass::Counter,
                    name: object.clone(),
                    message: serde_json::to_string(&request).unwrap_or_default(),
                };
                Ok(Admission::AskCounter(ask, AwaitCounter { permitted: self, object, charges }))
            }
        }
    }

    /// What this request is charged: the key's own limits, then the route's.
    fn charges(&self, now: UnixMillis) -> Vec<Charge> {
        let Some(route) = self.walk.route() else { return Vec::new() };
        let own = match &self.caller {
            Caller::Key(record) => own_limits(record, &self.walk.gate.policy),
            Caller::Nobody => Vec::new(),
        };
        let shadow = shadows(&self.walk, ShadowCheck::Limits, now);
        let mut charges: Vec<Charge> = Vec::new();
        for (name, limit) in named(own, route) {
            let bucket = match &limit.by {
                LimitBy::Key => String::new(),
                LimitBy::KeyAddress | LimitBy::Address => self.walk.failure_block(),
                LimitBy::KeyParam(param) => self.walk.param(param).unwrap_or_default().to_owned(),
            };
            charges.push(Charge { limit: name, bucket, rate: limit.rate, cost: 1, shadow });
        }
        charges
    }
}

/// The limits of a key: its own, or the policy's `default`, or 60 requests per minute; and for a
/// publishable key always one per client address, tested first, so that one stranger cannot use
/// up a whole site's allowance (SPEC section 3).
pub(crate) fn own_limits(record: &KeyRecord, policy: &Policy) -> Vec<Limit> {
    let mut limits = record.limits.clone();
    if limits.is_empty() {
        let default = policy
            .limits
            .iter()
            .find(|limit| limit.name == DEFAULT_LIMIT && limit.by == LimitBy::Key);
        let builtin = || {
            let rate = Rate::new(DEFAULT_RATE.0, DEFAULT_RATE.1).ok()?;
            Some(Limit { name: DEFAULT_LIMIT.to_owned(), rate, by: LimitBy::Key })
        };
        limits.extend(default.cloned().or_else(builtin));
    }
    if record.kind == KeyKind::Pk {
        let per_address = limits.iter().position(|limit| limit.by == LimitBy::KeyAddress);
        let first = match per_address {
            Some(at) => Some(limits.remove(at)),
            None => Rate::new(DEFAULT_RATE.0, DEFAULT_RATE.1).ok().map(|rate| Limit {
                name: ADDRESS_LIMIT.to_owned(),
                rate,
                by: LimitBy::KeyAddress,
            }),
        };
        limits.splice(0..0, first);
    }
    limits
}

/// All limits of a request under names that differ. A limit of the route that a key has as its
/// own, word for word, is one limit. One of the same name but another rate is told and counted as
/// `route-NAME`, so that the key's own has the same name on every route. No limit is ever left out:
/// the policy and the management API keep names that begin with `route-` free for this.
fn named(own: Vec<Limit>, route: &Route) -> Vec<(String, Limit)> {
    let mut all: Vec<(String, Limit)> =
        own.into_iter().map(|limit| (limit.name.clone(), limit)).collect();
    for limit in &route.limits {
        if all.iter().any(|(_, known)| known == limit) {
            continue;
        }
        let mut name = limit.name.clone();
        while all.iter().any(|(taken, _)| *taken == name) {
            name.insert_str(0, ROUTE_PREFIX);
        }
        all.push((name, limit.clone()));
    }
    all
}

impl AwaitAdmission {
    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Admission> {
        let Self { mut walk, undeclared, record, corrected, object, charges } = self;
        match reply(supplied) {
            Some(FamilyReply::Verdict(verdict)) => {
                isolate.confirmed(&record.id, now);
                let caller = Caller::Key(Rc::clone(&record));
                settle(walk, &verdict, isolate, &object, &charges, now).map(|mut walk| {
                    deprecate(&mut walk, &record);
                    Admission::Admitted(Admitted { walk, undeclared, caller })
                })
            }
            Some(FamilyReply::Refused { record: current }) => {
                let current = isolate.keep(*current, Some(now));
                let problem = state(&current, now).err();
                // The object's clock may be ahead of this one: then the key is as good as expired.
                let problem = problem.unwrap_or_else(|| Problem::new(Code::KeyExpired));
                Err(walk.refuse(Step::Admission, problem))
            }
            Some(FamilyReply::Stale { record: current }) if !corrected => {
                let record = isolate.keep(*current, Some(now));
                Ok(Admission::Again(Known { walk, undeclared, record, corrected: true }))
            }
            Some(FamilyReply::Unknown) => {
                isolate.forget(&record.id);
                walk.key = None;
                Err(walk.refuse(Step::Admission, Code::KeyInvalid))
            }
            _ => Err(walk.refuse(Step::Admission, Code::AdmissionUnavailable)),
        }
    }
}

impl AwaitCounter {
    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Admission> {
        let Self { permitted, object, charges } = self;
        let Permitted { walk, undeclared, caller, .. } = permitted;
        let verdict = match supplied {
            Supplied::Object(text) => serde_json::from_str::<Verdict>(text).ok(),
            Supplied::Cached(_) | Supplied::Failed => None,
        };
        let Some(verdict) = verdict else {
            return Err(walk.refuse(Step::Admission, Code::AdmissionUnavailable));
        };
        settle(walk, &verdict, isolate, &object, &charges, now)
            .map(|walk| Admission::Admitted(Admitted { walk, undeclared, caller }))
    }
}

/// Takes an object's verdict: its headers on the answer, its denial remembered.
fn settle(
    mut walk: Walk,
    verdict: &Verdict,
    isolate: &mut Isolate,
    object: &str,
    charges: &[Charge],
    now: UnixMillis,
) -> Next<Walk> {
    let would: Vec<&str> = verdict.would_limit().iter().map(String::as_str).collect();
    if !would.is_empty() {
        walk.would_refuse.push(Code::RateLimited);
    }
    match verdict {
        Verdict::Limited { .. } => {
            isolate.denials.deny(object, charges, verdict, now);
            Err(limited(walk, verdict))
        }
        Verdict::Admitted { standings, .. } => {
            walk.limits = rate_limit_headers(verdict);
            walk.note_admission();
            let result =
                if would.is_empty() { StepVerdict::Passed } else { StepVerdict::WouldRefuse };
            walk.note(Step::Admission, result, |_| told(standings));
            Ok(walk)
        }
    }
}

fn limited(mut walk: Walk, verdict: &Verdict) -> Box<super::Refused> {
    walk.limits = rate_limit_headers(verdict);
    let mut problem = Problem::new(Code::RateLimited);
    problem.violated_policies = verdict.exceeded().to_vec();
    problem.retry_after = verdict.retry_after().map(|wait| wait.ceil_secs().max(1));
    let exceeded = verdict.exceeded().join(", ");
    problem.detail = format!("no room left in {exceeded}: {}", told(verdict.standings()));
    walk.refuse(Step::Admission, problem)
}

fn told(standings: &[Standing]) -> String {
    let each = standings
        .iter()
        .map(|s| format!("{} {}/{} per {}", s.limit, s.remaining, s.quota, s.window));
    each.collect::<Vec<_>>().join(", ")
}

/// Answers to a key that was rotated out say so (RFC 9745, RFC 8594).
fn deprecate(walk: &mut Walk, record: &KeyRecord) {
    if let Some(deprecated) = &record.deprecated {
        walk.note_grace();
        walk.limits.push((name::DEPRECATION, format!("@{}", deprecated.since.as_secs())));
        walk.limits.push((name::SUNSET, record.expires_at.to_http_date()));
    }
}
