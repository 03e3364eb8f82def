//! What an isolate was given ahead: spent without a call, and renewed in the background.

use super::charges::Call;
use super::counter::CounterRequest;
use super::{Caller, Permitted};
use crate::family::FamilyRequest;
use crate::key::{KeyId, KeyRecord};
use crate::limit::{Grant, LeaseName, Standing, Verdict};
use crate::road::errand::{Awaited, Errand};
use crate::road::isolate::Isolate;
use crate::road::told::Told;
use crate::time::UnixMillis;

/// A question for more ahead that is under way.
#[derive(Debug)]
pub(in crate::road) struct Question {
    lease: LeaseName,
    /// By this isolate's clock: what is granted ends so long after it.
    asked_at: UnixMillis,
}

/// A question for more ahead that no request waits for.
#[derive(Debug)]
pub(in crate::road) struct Renewal {
    question: Question,
    /// The key, where it is a key's object that is asked.
    key: Option<KeyId>,
}

impl Permitted {
    /// What the lease of such requests is called; None where each request has to ask: its limits
    /// say so, there is a newer digest to bring to the object, or this isolate knows by now that
    /// the key was changed.
    pub(super) fn lease(&self, call: &Call, isolate: &Isolate) -> Option<LeaseName> {
        if !call.is_leased() {
            return None;
        }
        let Some(record) = self.key_of(call) else {
            return Some(LeaseName::new(&call.object, None, &call.charges));
        };
        let known = isolate.record(&record.id);
        let is_current = known.is_none_or(|known| known.version == record.version);
        let key = (record.id.as_str(), record.version);
        (is_current && self.walk.rehash.is_none())
            .then(|| LeaseName::new(&call.object, Some(key), &call.charges))
    }

    /// The key whose object this call goes to.
    pub(super) fn key_of(&self, call: &Call) -> Option<&KeyRecord> {
        match &self.caller {
            Caller::Key(record) if call.class == crate::road::ObjectClass::Key => Some(record),
            Caller::Key(_) | Caller::Nobody => None,
        }
    }

    /// Asks for more ahead in the background.
    pub(super) fn renew(
        &mut self,
        call: &Call,
        lease: &LeaseName,
        ahead: u32,
        isolate: &mut Isolate,
        now: UnixMillis,
    ) {
        let Call { class, object, charges, .. } = call;
        let charges = charges.clone();
        let record = self.key_of(call);
        let errand = match record {
            Some(record) => {
                let (id, version) = (record.id.clone(), record.version);
                Errand::new(*class, object, &FamilyRequest::Lease { id, version, charges, ahead })
            }
            None => Errand::new(*class, object, &CounterRequest::Lease { charges, ahead }),
        };
        let key = record.map(|record| record.id.clone());
        let question = Question::new(lease, now);
        let renewal = || Awaited::Renewal(Renewal { question, key });
        self.walk.errands.push(errand.answered_by(isolate, renewal));
    }
}

impl Question {
    pub(super) fn new(lease: &LeaseName, asked_at: UnixMillis) -> Self {
        Self { lease: lease.clone(), asked_at }
    }

    /// The object answered, perhaps with nothing.
    pub(super) fn answered(
        self,
        isolate: &mut Isolate,
        grant: Option<Grant>,
        standings: &[Standing],
        now: UnixMillis,
    ) {
        isolate.leases.take(&self.lease, grant, standings, self.asked_at, now);
    }

    /// No answer came, or one that makes no sense.
    pub(in crate::road) fn failed(self, isolate: &mut Isolate, now: UnixMillis) {
        self.answered(isolate, None, &[], now);
    }

    /// What was granted is for a key that is so no more.
    pub(super) fn ended(self, isolate: &mut Isolate) {
        isolate.leases.end(&self.lease);
    }
}

impl Renewal {
    /// Takes the reply; None: it did not come.
    pub(in crate::road) fn done(self, isolate: &mut Isolate, reply: Option<&str>, now: UnixMillis) {
        let Self { question, key } = self;
        let verdict = match (reply, key) {
            (Some(text), None) => serde_json::from_str::<Verdict>(text).ok(),
            (None, _) => None,
            (Some(text), Some(id)) => match Told::read(text) {
                Some(Told::Verdict(verdict)) => {
                    isolate.confirmed(&id, now);
                    Some(verdict)
                }
                Some(Told::Stale { record } | Told::Refused { record }) => {
                    isolate.keep(*record, Some(now));
                    return question.ended(isolate);
                }
                Some(Told::Unknown) => {
                    isolate.forget(&id);
                    return question.ended(isolate);
                }
                _ => None,
            },
        };
        match verdict {
            Some(verdict) => {
                question.answered(isolate, verdict.grant(), verdict.standings(), now);
            }
            None => question.failed(isolate, now),
        }
    }
}
