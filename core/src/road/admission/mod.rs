//! Step 10: revocation and limits. Each object that counts something of the request is asked once,
//! one after the other; the key's, which also knows whether the key is still good, comes last. What
//! was counted for a request that is then refused is given back.
//!
//! | what | where |
//! |---|---|
//! | what is charged, and where | `charges` |
//! | the objects are asked, or a lease is spent | `asking`, `ahead` |
//! | what is paid: kept, given back, released | `paid` |
//! | what an object is asked that is no key's | [`CounterRequest`] |
//! | the refusal | [`no_room`] |

mod ahead;
mod asking;
mod charges;
mod counter;
mod paid;
mod refusal;

pub(super) use ahead::Renewal;
pub(super) use asking::AwaitAdmission;
pub(crate) use charges::{Terms, charges_of, own_limits};
pub use counter::{CounterReply, CounterRequest};
pub(super) use paid::Paid;
pub use refusal::no_room;

use std::rc::Rc;

use super::Ask;
use super::credential::Known;
use super::permit::Permitted;
use super::walk::Walk;
use crate::key::KeyRecord;

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The holder of a key.
    Key(Rc<KeyRecord>),
    /// Anybody: the route asks for no key.
    Nobody,
}

/// How step 10 goes on.
#[allow(clippy::large_enum_variant)] // it is taken apart where it is made
#[derive(Debug)]
pub(super) enum Admission {
    /// An object decides.
    Ask(Ask, AwaitAdmission),
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
