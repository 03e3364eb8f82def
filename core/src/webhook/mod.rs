//! Webhooks: who sent this, when, and was it here before?
//!
//! One verifier ([`verify()`]) and one table ([`table`]): each provider is a row of data. Pure: the
//! time is an argument, and hashing can be the platform's ([`Crypto`]).
//!
//! Scope: signatures in and out, challenges, what makes two events one. Out of scope: storing and
//! delivering.

mod challenge;
mod components;
mod crypto;
mod describe;
pub mod destination;
mod encoding;
mod failure;
mod fields;
mod identity;
mod json;
mod request;
mod scheme;
mod sign;
mod structured;
pub mod table;
mod template;
pub mod uniform;
mod verify;

pub use challenge::{Reply, unsigned};
pub use crypto::{Crypto, Done, Message, Portable, Task, portable_mac};
pub use describe::{Description, DescriptionError, FIELDS};
pub use encoding::{KeyError, Keys, SHORT_KEY, base64, hex, unhex};
pub use failure::{Failure, Part};
pub use identity::{Identity, Sighting};
pub use request::Request;
pub use scheme::{
    Algorithm, Answer, Challenge, Encoding, Fixed, Form, KeyForm, KnownBy, Place, Scheme, Signed,
    Token, Unit, UrlSpelling, When,
};
pub use sign::{Event, SignError, SignedRequest, sample, sign};
pub use template::{Piece, TemplateError, check_unambiguous, pieces};
pub use verify::{Covers, Pending, Verified, prepare, verify};

/// The most signatures of one request that are tried.
pub const MAX_SIGNATURES: usize = 8;
/// The most secrets of one source.
pub const MAX_SECRETS: usize = 8;
/// The longest id that is kept.
pub const MAX_ID: usize = 256;
/// The most bytes of a body, unless the policy says otherwise (SPEC section 7: 1 MiB), and of one
/// that is read as JSON or as a form.
pub const BODY_LIMIT: usize = 1 << 20;
/// The most bytes of a body that any policy lets in: one that is passed through. It is hashed before
/// anything of it is passed on, so it lies in memory whole.
pub const FORWARD_LIMIT: usize = 32 << 20;
/// What goes before the name of a provider's header that the gate's own signature takes.
pub const ORIGINAL: &str = "X-Tollgate-Original-";

#[cfg(test)]
mod tests;
