//! The road of a request: the twelve steps of SPEC section 1, as stages that consume each other.
//!
//! | # | step | stage that comes of it |
//! |---|---|---|
//! | 1–3 | request id, transport, framing | [`arrive::Arrived`] |
//! | 4 | route | [`arrive::Routed`] |
//! | 5 | origin | [`origin::Cleared`], or an answered preflight |
//! | 6 | credential | [`credential::Known`] |
//! | 7–9 | key state, where it is used, scope | [`permit::Permitted`] |
//! | 10 | admission | [`admission::Admitted`] |
//! | 11 | forward | [`forwarding::Forward`] |
//! | 12 | answer | [`Answer`] or [`forwarding::Relayed`] |
//!
//! Every stage says what is now true; its fields are private, and it is made only from the stage
//! before. So a [`forwarding::Forward`] of an unpaid request cannot be written down.
//!
//! Nothing here waits. A stage that needs something from outside becomes an [`Outcome::Ask`], and
//! goes on in [`resume`] with what the shell fetched. The edge, the command line and the tests
//! differ only in how they fetch.

pub mod admission;
pub mod arrive;
pub mod credential;
mod errand;
pub mod forwarding;
mod gate;
mod isolate;
pub mod log;
pub mod origin;
pub mod permit;
mod refusal;
mod shelf;
pub mod source;
mod told;
mod usage;
mod walk;

pub use errand::Errand;
pub use gate::{Fault, Gate, Trust};
pub use isolate::Isolate;
pub use refusal::Answer;
pub(crate) use refusal::{HSTS, challenge};
pub use shelf::Shelf;
pub(crate) use walk::redacted;
pub use walk::{Note, Step, Verdict};

use std::rc::Rc;

use crate::request::{Entropy, Head};
use crate::time::UnixMillis;
use arrive::Destination;
use credential::Credential;
use refusal::Refused;

/// A store that a stage asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The entry of this name in KV.
    Cached {
        /// The entry's name.
        name: String,
    },
    /// One message to the Durable Object of this name.
    Object {
        /// Which class of objects.
        class: ObjectClass,
        /// The object's name.
        name: String,
        /// The message, as JSON.
        message: String,
    },
}

/// The classes of objects that the road talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectClass {
    /// One per key family: the truth about its keys and limits.
    Key,
    /// One per tenant, and `*` for all: the registry of keys.
    Tenant,
    /// One per tenant, route and address: limits that belong to no key.
    Counter,
}

/// What the shell fetched for an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supplied {
    /// What lies in KV, or nothing.
    Cached(Option<String>),
    /// What the object answered.
    Object(String),
    /// The store could not be reached.
    Failed,
}

/// A walk that waits for a store.
#[derive(Debug)]
pub struct Paused(Waiting);

impl Paused {
    /// True when it waits for KV, where finding nothing is an answer.
    pub fn asks_cache(&self) -> bool {
        matches!(self.0, Waiting::Cached(_))
    }

    /// True when the request may have a place in flight by now: then it is to be brought to its end,
    /// whether anybody waits for its answer or not.
    pub fn has_place(&self) -> bool {
        match &self.0 {
            Waiting::Admission(waiting) => waiting.has_place(),
            Waiting::Confirmation(waiting) => waiting.has_place(),
            Waiting::Origins(_) | Waiting::Cached(_) | Waiting::Record(_) => false,
        }
    }

    /// The walk ends here, without an answer: what is to be sent because of that.
    pub fn given_up(self, isolate: &mut Isolate, now: UnixMillis) -> Vec<Errand> {
        let mut walk = match self.0 {
            Waiting::Admission(waiting) => waiting.given_up(isolate, now),
            Waiting::Confirmation(waiting) => waiting.given_up(),
            // Nothing was paid before step 10.
            Waiting::Origins(_) | Waiting::Cached(_) | Waiting::Record(_) => return Vec::new(),
        };
        walk.give_back(isolate, now);
        walk.last_errands()
    }
}

#[derive(Debug)]
enum Waiting {
    Origins(origin::AwaitOrigins),
    Cached(credential::AwaitCached),
    Record(credential::AwaitRecord),
    Confirmation(permit::AwaitConfirmation),
    Admission(admission::AwaitAdmission),
}

/// Where a walk stands.
#[derive(Debug)]
pub enum Outcome {
    /// A store has to be asked; then [`resume`].
    Ask(Ask, Box<Paused>),
    /// It is over: a refusal, a granted preflight, or a canned answer.
    Answer(Box<Answer>),
    /// The request may go to its upstream.
    Forward(Box<forwarding::Forward>),
    /// It is for the gate itself: management, pages, health. No step after framing was walked.
    Gate(Box<arrive::ForGate>),
    /// It is a webhook: the house takes it, as it takes what is for the gate itself.
    Source(Box<source::ForSource>),
}

/// How much a walk writes down of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// What the log line needs.
    Log,
    /// Every step with its reason, for `explain`.
    Steps,
}

/// Starts the walk of a request that arrived at `now`.
pub fn begin(
    gate: &Rc<Gate>,
    isolate: &mut Isolate,
    head: &dyn Head,
    now: UnixMillis,
    entropy: &Entropy,
    record: Record,
) -> Outcome {
    let walked = arrive::arrive(gate, head, now, entropy, record).and_then(|destination| {
        Ok(match destination {
            Destination::Gate(own) => Outcome::Gate(own),
            Destination::Source(webhook) => Outcome::Source(webhook),
            Destination::Route(arrived) => {
                let routed = arrived.route(head)?;
                from_origin(routed.origin(isolate, head, now)?, isolate, head, now)?
            }
        })
    });
    walked.unwrap_or_else(|refused| answer(refused, isolate, now))
}

/// Goes on with what the shell fetched. `now`: the time of this step.
pub fn resume(
    paused: Paused,
    isolate: &mut Isolate,
    head: &dyn Head,
    supplied: &Supplied,
    now: UnixMillis,
) -> Outcome {
    let walked = match paused.0 {
        Waiting::Origins(waiting) => waiting
            .supplied(isolate, supplied, now)
            .and_then(|origin| from_origin(origin, isolate, head, now)),
        Waiting::Cached(waiting) => waiting
            .supplied(isolate, supplied, now)
            .and_then(|credential| from_credential(credential, isolate, now)),
        Waiting::Record(waiting) => waiting
            .supplied(isolate, supplied, now)
            .and_then(|credential| from_credential(credential, isolate, now)),
        Waiting::Confirmation(waiting) => waiting
            .supplied(isolate, supplied, now)
            .and_then(|permit| from_permit(permit, isolate, now)),
        Waiting::Admission(waiting) => waiting
            .supplied(isolate, supplied, now)
            .and_then(|admission| from_admission(admission, isolate, now)),
    };
    walked.unwrap_or_else(|refused| answer(refused, isolate, now))
}

/// A step either gives the next stage or ends the walk.
pub(crate) type Next<T> = Result<T, Box<Refused>>;

/// Every refusal before a request was admitted comes through here, so that none costs anything.
fn answer(mut refused: Box<Refused>, isolate: &mut Isolate, now: UnixMillis) -> Outcome {
    refused.give_back(isolate, now);
    Outcome::Answer(Box::new(refused.into_answer()))
}

fn ask(ask: Ask, waiting: Waiting) -> Outcome {
    Outcome::Ask(ask, Box::new(Paused(waiting)))
}

fn from_origin(
    origin: origin::Origin,
    isolate: &mut Isolate,
    head: &dyn Head,
    now: UnixMillis,
) -> Next<Outcome> {
    match origin {
        origin::Origin::Preflight(granted) => Ok(Outcome::Answer(granted)),
        origin::Origin::Ask(question, waiting) => Ok(ask(question, Waiting::Origins(waiting))),
        origin::Origin::Cleared(cleared) => {
            from_credential(cleared.credential(isolate, head, now)?, isolate, now)
        }
    }
}

fn from_credential(
    credential: Credential,
    isolate: &mut Isolate,
    now: UnixMillis,
) -> Next<Outcome> {
    match credential {
        Credential::AskCache(question, waiting) => Ok(ask(question, Waiting::Cached(waiting))),
        Credential::AskObject(question, waiting) => Ok(ask(question, Waiting::Record(waiting))),
        Credential::Known(known) => from_permit(known.permit(isolate, now)?, isolate, now),
        Credential::Open(permitted) => {
            from_admission(permitted.admission(isolate, now)?, isolate, now)
        }
    }
}

fn from_permit(permit: permit::Permit, isolate: &mut Isolate, now: UnixMillis) -> Next<Outcome> {
    match permit {
        permit::Permit::Confirm(question, waiting) => {
            Ok(ask(question, Waiting::Confirmation(waiting)))
        }
        permit::Permit::Permitted(permitted) => {
            from_admission(permitted.admission(isolate, now)?, isolate, now)
        }
    }
}

fn from_admission(
    admission: admission::Admission,
    isolate: &mut Isolate,
    now: UnixMillis,
) -> Next<Outcome> {
    match admission {
        admission::Admission::Ask(question, waiting) => {
            Ok(ask(question, Waiting::Admission(waiting)))
        }
        admission::Admission::Again(known) => {
            from_permit(known.permit(isolate, now)?, isolate, now)
        }
        admission::Admission::Admitted(admitted) => admitted.forward(),
    }
}

#[cfg(test)]
mod tests;
