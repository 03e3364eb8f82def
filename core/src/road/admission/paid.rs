//! What objects have counted for a request, until it is admitted or everything is given back; and
//! its places in flight, until it is over.

use super::charges::Call;
use super::counter::CounterRequest;
use crate::family::FamilyRequest;
use crate::limit::{Charge, Kind, LeaseName, Leased, Standing};
use crate::road::errand::{Awaited, Errand};
use crate::road::isolate::Isolate;
use crate::road::walk::Walk;
use crate::road::{ObjectClass, Refused};
use crate::time::UnixMillis;

/// One call that was paid.
#[derive(Debug)]
pub(crate) struct Paid {
    call: Call,
    how: How,
    /// Where the limits stood after it, by the names that they were counted under.
    standings: Vec<Standing>,
    /// Limits in shadow that would have refused: they did not count the request.
    would_limit: Vec<String>,
}

#[derive(Debug)]
enum How {
    /// The object counted it, at this instant of its clock.
    Asked(UnixMillis),
    /// It was paid of what this isolate was given ahead, which ends then.
    Ahead { lease: LeaseName, ends: UnixMillis },
}

impl Paid {
    pub(super) fn asked(
        call: Call,
        at: UnixMillis,
        standings: Vec<Standing>,
        would_limit: Vec<String>,
    ) -> Self {
        Self { call, how: How::Asked(at), standings, would_limit }
    }

    pub(super) fn ahead(call: Call, lease: LeaseName, spent: Leased) -> Self {
        let Leased { standings, ends, .. } = spent;
        Self { call, how: How::Ahead { lease, ends }, standings, would_limit: Vec::new() }
    }

    /// True when this is what the call would pay.
    pub(super) fn is_of(&self, call: &Call) -> bool {
        let Call { class, object, charges, .. } = &self.call;
        (class, object, charges) == (&call.class, &call.object, &call.charges)
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn would_limit(&self) -> &[String] {
        &self.would_limit
    }

    pub(super) fn told(&self) -> Vec<Standing> {
        self.call.told(self.standings.clone())
    }

    /// True when the key's object does not know of this request.
    pub(super) fn is_unseen_by_key(&self) -> bool {
        self.call.class == ObjectClass::Key && matches!(self.how, How::Ahead { .. })
    }

    /// What frees its place once the request is over, if it has one.
    pub(super) fn release(&self, walk: &Walk, isolate: &mut Isolate) -> Option<Errand> {
        let charges = self.places();
        if charges.is_empty() {
            return None;
        }
        let slot = walk.id.to_string();
        let Call { class, object, .. } = &self.call;
        let errand = match class {
            ObjectClass::Key => {
                Errand::new(*class, object, &FamilyRequest::Release { charges, slot })
            }
            ObjectClass::Tenant | ObjectClass::Counter => {
                Errand::new(*class, object, &CounterRequest::Release { charges, slot })
            }
        };
        Some(errand.answered_by(isolate, || Awaited::Place { object: object.clone() }))
    }

    /// The limits of those in flight that it has a place in.
    fn places(&self) -> Vec<Charge> {
        let is_place = |charge: &&Charge| {
            charge.measure.kind() == Kind::Concurrency && !self.would_limit.contains(&charge.limit)
        };
        self.call.charges.iter().filter(is_place).cloned().collect()
    }

    /// The request did not pass in the end.
    fn give_back(self, walk: &Walk, isolate: &mut Isolate, now: UnixMillis) -> Option<Errand> {
        let at = match &self.how {
            How::Asked(at) => *at,
            How::Ahead { lease, ends } => {
                isolate.leases.give_back(lease, *ends, now);
                return None;
            }
        };
        // The key's object is asked last: what it admits passes.
        if self.call.class == ObjectClass::Key {
            return self.release(walk, isolate);
        }
        let has_place = !self.places().is_empty();
        let Call { class, object, mut charges, .. } = self.call;
        charges.retain(|charge| !self.would_limit.contains(&charge.limit));
        if charges.is_empty() {
            return None;
        }
        let slot = has_place.then(|| walk.id.to_string());
        let errand = Errand::new(class, &object, &CounterRequest::GiveBack { charges, at, slot });
        Some(if has_place {
            errand.answered_by(isolate, || Awaited::Place { object })
        } else {
            errand
        })
    }
}

impl Walk {
    /// Gives back what was paid, but for what these calls would pay again.
    pub(super) fn give_back_all_but(
        &mut self,
        calls: &[Call],
        isolate: &mut Isolate,
        now: UnixMillis,
    ) {
        let (kept, gone): (Vec<Paid>, Vec<Paid>) = core::mem::take(&mut self.paid)
            .into_iter()
            .partition(|paid| calls.iter().any(|call| paid.is_of(call)));
        self.paid = kept;
        let errands: Vec<Errand> =
            gone.into_iter().filter_map(|paid| paid.give_back(self, isolate, now)).collect();
        self.errands.extend(errands);
    }

    /// The request was refused after all, or nobody waits for it any more.
    pub(in crate::road) fn give_back(&mut self, isolate: &mut Isolate, now: UnixMillis) {
        self.give_back_all_but(&[], isolate, now);
    }

    /// Everything that is to be sent when the request is over and no answer follows.
    pub(in crate::road) fn last_errands(&mut self) -> Vec<Errand> {
        let mut errands = core::mem::take(&mut self.errands);
        errands.append(&mut self.held);
        errands
    }
}

impl Refused {
    /// A refusal costs nothing, wherever it comes from.
    pub(in crate::road) fn give_back(&mut self, isolate: &mut Isolate, now: UnixMillis) {
        self.walk.give_back(isolate, now);
    }
}
