//! The objects are asked one after the other, each with what it counts, until one refuses.

use std::collections::VecDeque;
use std::rc::Rc;

use super::ahead::Question;
use super::charges::Call;
use super::counter::CounterRequest;
use super::paid::Paid;
use super::refusal::{code_of, told};
use super::{Admission, Admitted, Caller, Permitted};
use crate::family::FamilyRequest;
use crate::header::name;
use crate::key::KeyRecord;
use crate::limit::{Kind, LeaseName, Slot, Verdict, rate_limit_headers};
use crate::policy::Target;
use crate::problem::{Code, Problem};
use crate::road::credential::Known;
use crate::road::isolate::Isolate;
use crate::road::permit::state;
use crate::road::told::Told;
use crate::road::walk::{Place, Step, Verdict as Result, Walk};
use crate::road::{Ask, Next, Supplied};
use crate::time::{Millis, UnixMillis};

/// How long a request can be in flight that the gate answers itself: not longer than it takes to
/// ask the stores.
const ANSWERED_HERE: Millis = Millis::minutes(1);

/// A request of which some calls are paid, and these are not yet.
#[derive(Debug)]
struct Asking {
    permitted: Permitted,
    left: VecDeque<Call>,
}

/// Waits for the object that one call went to.
#[derive(Debug)]
pub(in crate::road) struct AwaitAdmission {
    asking: Asking,
    call: Call,
    /// Set where it was also asked for more ahead.
    question: Option<Question>,
    /// Set where there may be a lease of such requests.
    lease: Option<LeaseName>,
}

/// What a key's object answers besides a verdict.
enum Answered {
    Verdict(Verdict),
    Refused(Box<KeyRecord>),
    Stale(Box<KeyRecord>),
    Unknown,
    Nothing,
}

impl Permitted {
    /// Step 10.
    pub(in crate::road) fn admission(
        mut self,
        isolate: &mut Isolate,
        now: UnixMillis,
    ) -> Next<Admission> {
        let mut calls = self.calls(now);
        // The second time, on a newer record: what is charged as before stays paid.
        self.walk.give_back_all_but(&calls, isolate, now);
        calls.retain(|call| !self.walk.paid.iter().any(|paid| paid.is_of(call)));
        // What is known to have no room is not asked, and neither is anything before it. What was
        // given ahead is there all the same. Of several the one is told that takes longest: a
        // caller that comes back then is not refused by the next.
        let denied = calls.iter().filter_map(|call| {
            let denied = isolate.denials.denied(&call.object, &call.charges, now)?;
            let lease = self.lease(call, isolate);
            let is_left = lease.is_some_and(|lease| isolate.leases.is_left(&lease, now));
            (!is_left).then(|| call.told_verdict(denied))
        });
        if let Some(denied) = denied.max_by_key(Verdict::retry_after) {
            return Err(self.walk.limited(&denied));
        }
        Ok(Asking { permitted: self, left: calls.into() }.go_on(isolate, now))
    }
}

impl Asking {
    fn go_on(mut self, isolate: &mut Isolate, now: UnixMillis) -> Admission {
        while let Some(call) = self.left.pop_front() {
            if let Some((call, lease)) = self.spend(call, isolate, now) {
                return self.ask(call, lease, isolate, now);
            }
        }
        Admission::Admitted(self.permitted.admitted(isolate, now))
    }

    /// Pays for a call of what was given ahead. Gives it back where nothing is left, with the name
    /// of what there may be next time.
    fn spend(
        &mut self,
        call: Call,
        isolate: &mut Isolate,
        now: UnixMillis,
    ) -> Option<(Call, Option<LeaseName>)> {
        let lease = self.permitted.lease(&call, isolate);
        let spent = lease.as_ref().and_then(|lease| isolate.leases.spend(lease, now));
        match (spent, lease) {
            (Some(spent), Some(lease)) => {
                if let Some(ahead) = spent.renew {
                    self.permitted.renew(&call, &lease, ahead, isolate, now);
                }
                self.permitted.walk.paid.push(Paid::ahead(call, lease, spent));
                None
            }
            (_, lease) => Some((call, lease)),
        }
    }

    fn ask(
        mut self,
        call: Call,
        lease: Option<LeaseName>,
        isolate: &mut Isolate,
        now: UnixMillis,
    ) -> Admission {
        let ahead = lease.as_ref().map_or(0, |lease| isolate.leases.wish(lease, now));
        let asked = lease.as_ref().filter(|_| ahead > 0);
        let question = asked.map(|lease| Question::new(lease, now));
        let charges = call.charges.clone();
        let slot = call.has_place().then(|| self.permitted.walk.take_place(now));
        let message = match self.permitted.key_of(&call) {
            Some(record) => serde_json::to_string(&FamilyRequest::Admit {
                id: record.id.clone(),
                version: record.version,
                charges,
                rehash: self.permitted.walk.rehash.clone(),
                slot,
                ahead,
            }),
            None => serde_json::to_string(&CounterRequest::Charge { charges, slot, ahead }),
        };
        let message = message.unwrap_or_default();
        let ask = Ask::Object { class: call.class, name: call.object.clone(), message };
        Admission::Ask(ask, AwaitAdmission { asking: self, call, question, lease })
    }
}

impl AwaitAdmission {
    pub(in crate::road) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Admission> {
        let Self { mut asking, call, question, lease } = self;
        let record = asking.permitted.key_of(&call).map(|record| record.id.clone());
        let answered = match &record {
            Some(_) => of_key(supplied),
            None => of_counter(supplied),
        };
        match (&answered, question) {
            (Answered::Verdict(verdict), Some(question)) => {
                question.answered(isolate, verdict.grant(), verdict.standings(), now);
            }
            (Answered::Nothing, Some(question)) => question.failed(isolate, now),
            (Answered::Verdict(verdict), None) => {
                if let Some(lease) = &lease {
                    isolate.leases.learn(lease, verdict.standings(), now);
                }
            }
            (Answered::Nothing, None) => {}
            (Answered::Refused(_) | Answered::Stale(_) | Answered::Unknown, _) => {
                if let Some(lease) = &lease {
                    isolate.leases.end(lease);
                }
            }
        }
        if let (Answered::Verdict(_), Some(id)) = (&answered, &record) {
            isolate.confirmed(id, now);
        }
        match (answered, record) {
            (Answered::Verdict(verdict @ Verdict::Limited { .. }), _) => {
                // Another request of this isolate may have been given just what is missing here.
                let Some((call, _)) = asking.spend(call, isolate, now) else {
                    return Ok(asking.go_on(isolate, now));
                };
                isolate.denials.deny(&call.object, &call.charges, &verdict, now);
                asking.permitted.walk.note_would_limit(&call, verdict.would_limit());
                Err(asking.permitted.walk.limited(&call.told_verdict(verdict)))
            }
            (Answered::Verdict(Verdict::Admitted { standings, would_limit, at, .. }), _) => {
                let paid = Paid::asked(call, at, standings, would_limit);
                asking.permitted.walk.paid.push(paid);
                Ok(asking.go_on(isolate, now))
            }
            (Answered::Refused(current), _) => {
                let current = isolate.keep(*current, Some(now));
                let problem = state(&current, now).err();
                // The object's clock may be ahead of this one: then the key is as good as expired.
                let problem = problem.unwrap_or_else(|| Problem::new(Code::KeyExpired));
                Err(asking.permitted.walk.refuse(Step::Admission, problem))
            }
            (Answered::Stale(current), _) if !asking.permitted.corrected => {
                let record = isolate.keep(*current, Some(now));
                let Permitted { walk, undeclared, .. } = asking.permitted;
                Ok(Admission::Again(Known { walk, undeclared, record, corrected: true }))
            }
            (Answered::Unknown, Some(id)) => {
                isolate.forget(&id);
                asking.permitted.walk.key = None;
                Err(asking.permitted.walk.refuse(Step::Admission, Code::KeyInvalid))
            }
            // Whether it was counted is not known. So its place is not released: a place that the
            // object does not know could be taken for another's. It comes free by itself.
            (Answered::Stale(_) | Answered::Unknown | Answered::Nothing, _) => {
                Err(asking.permitted.walk.refuse(Step::Admission, Code::AdmissionUnavailable))
            }
        }
    }

    /// True when the request has asked for a place in flight.
    pub(in crate::road) fn has_place(&self) -> bool {
        self.asking.permitted.walk.place.is_some()
    }

    /// Nobody waits for it any more.
    pub(in crate::road) fn given_up(self, isolate: &mut Isolate, now: UnixMillis) -> Walk {
        if let Some(question) = self.question {
            question.failed(isolate, now);
        }
        self.asking.permitted.walk
    }
}

fn of_key(supplied: &Supplied) -> Answered {
    match Told::of(supplied) {
        Some(Told::Verdict(verdict)) => Answered::Verdict(verdict),
        Some(Told::Refused { record }) => Answered::Refused(record),
        Some(Told::Stale { record }) => Answered::Stale(record),
        Some(Told::Unknown) => Answered::Unknown,
        _ => Answered::Nothing,
    }
}

fn of_counter(supplied: &Supplied) -> Answered {
    let verdict = match supplied {
        Supplied::Object(text) => serde_json::from_str(text).ok(),
        Supplied::Cached(_) | Supplied::Failed => None,
    };
    verdict.map_or(Answered::Nothing, Answered::Verdict)
}

impl Permitted {
    /// Every call is paid.
    fn admitted(self, isolate: &mut Isolate, now: UnixMillis) -> Admitted {
        let Self { mut walk, undeclared, caller, .. } = self;
        let all = core::mem::take(&mut walk.paid);
        let releases: Vec<_> = all.iter().filter_map(|paid| paid.release(&walk, isolate)).collect();
        walk.held.extend(releases);
        walk.settle_place(now);
        walk.note_admission(all.iter().any(Paid::is_unseen_by_key));
        let standings: Vec<_> = all.iter().flat_map(Paid::told).collect();
        let would: Vec<Kind> =
            all.iter().flat_map(|paid| paid.call().kinds(paid.would_limit())).collect();
        let result = if would.is_empty() { Result::Passed } else { Result::WouldRefuse };
        if !would.is_empty() {
            walk.would_refuse.push(code_of(would.into_iter()));
        }
        walk.note(Step::Admission, result, |_| match all.as_slice() {
            [] => "nothing limits this route".to_owned(),
            _ => told(&standings),
        });
        let verdict =
            Verdict::Admitted { standings, would_limit: Vec::new(), at: now, grant: None };
        walk.limits = rate_limit_headers(&verdict);
        if let Caller::Key(record) = &caller {
            deprecate(&mut walk, record);
        }
        Admitted { walk, undeclared, caller }
    }
}

impl Walk {
    /// A request that is refused tells what shadow would have refused as well.
    fn note_would_limit(&mut self, call: &Call, names: &[String]) {
        let mut kinds = call.kinds(names).peekable();
        if kinds.peek().is_some() {
            self.would_refuse.push(code_of(kinds));
        }
    }

    /// Its place in flight, from now on: the same at every object.
    fn take_place(&mut self, now: UnixMillis) -> Slot {
        let gate = Rc::clone(&self.gate);
        let target = self.route().map(|route| &route.target);
        let upstream = match target {
            Some(Target::Upstream(index)) => gate.policy.upstreams.get(*index),
            Some(Target::Mock(_)) | None => None,
        };
        let holds = upstream.map_or(ANSWERED_HERE, |upstream| {
            Millis::millis(
                upstream.timeout.as_millis().saturating_add(upstream.max_stream.as_millis()),
            )
        });
        self.place.get_or_insert(Place { since: now, holds });
        Slot { id: self.id.to_string(), holds }
    }

    /// The request goes on: it has what is left of the time for which its places hold.
    fn settle_place(&mut self, now: UnixMillis) {
        if let Some(Place { since, holds }) = &self.place {
            let left = holds.as_millis().saturating_sub(now.since(*since).as_millis());
            self.ends_within = Some(Millis::millis(left));
        }
    }
}

/// Answers to a key that was rotated out say so (RFC 9745, RFC 8594).
fn deprecate(walk: &mut Walk, record: &KeyRecord) {
    if let Some(deprecated) = &record.deprecated {
        walk.note_grace();
        walk.limits.push((name::DEPRECATION, format!("@{}", deprecated.since.as_secs())));
        walk.limits.push((name::SUNSET, record.expires_at.to_http_date()));
    }
}
