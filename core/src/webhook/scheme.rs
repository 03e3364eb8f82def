//! What a row of the table can say of a provider's signatures.
//!
//! A row is data: no scheme has code of its own in the verifier. Texts in a row are borrowed, so
//! that one shape serves the rows of the table and a scheme that a policy describes.

use crate::header::is_token;
use crate::time::Millis;

use super::template::{Piece, pieces};

/// How a provider signs what it sends, and what it wants to hear.
#[derive(Clone, Copy, Debug)]
pub struct Scheme<'s> {
    /// As the policy and the command line call it.
    pub name: &'s str,
    /// As people call the provider.
    pub provider: &'s str,
    /// Where the provider says how it signs.
    pub docs: &'s str,
    /// What makes the signature.
    pub algorithm: Algorithm,
    /// How a signature is written down.
    pub encoding: Encoding,
    /// How a secret becomes a key.
    pub key: KeyForm,
    /// Where things stand in a request.
    pub form: Form<'s>,
    /// The same for requests that have no signature where `form` looks for it.
    pub fallback: Option<Form<'s>>,
    /// What a timestamp counts in.
    pub unit: Unit,
    /// How far a signed time may be off, either way.
    pub tolerance: Millis,
    /// In which spellings the public URL may have been signed.
    pub url: UrlSpelling,
    /// The answer to an event that is safe.
    pub acknowledgement: Fixed,
    /// Whether the provider wants no body in any answer, a refusal's neither.
    pub bare: bool,
    /// Requests that are no events and want an answer of their own.
    pub challenges: &'s [Challenge],
    /// The body of a test event. `$ID` stands for its id, `$MILLIS` for its time.
    pub sample: &'s str,
    /// What the sample is.
    pub sample_type: &'s str,
    /// What tells its events from each other.
    pub known_by: KnownBy,
    /// What an operator has to know besides.
    pub note: &'s str,
}

/// What tells a provider's events from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The rule of SPEC section 7: a signed id and the content; else the content, beside an
    /// unsigned id.
    All,
    /// The signed id alone. Its bodies count the attempts, so every attempt has another content,
    /// and would be an id that is used again.
    Id,
    /// Nothing: events that are not the same have the same bytes. This is no part of SPEC section 7,
    /// whose rule would acknowledge the second of two events and deliver it never; an event that
    /// comes twice does less harm than one that never comes.
    Request,
}

/// Where signature, time and id stand, and what is signed.
#[derive(Clone, Copy, Debug)]
pub struct Form<'s> {
    /// Where the signatures stand.
    pub signature: Place<'s>,
    /// What divides several signatures, and other entries, at that place.
    pub separator: Option<char>,
    /// What a signature's entry begins with; entries that begin otherwise are passed over.
    pub tag: &'s str,
    /// Where the time stands that is signed; none if none is.
    pub timestamp: Option<Place<'s>>,
    /// Where the event's or the delivery's id stands, signed or not.
    pub id: Option<Place<'s>>,
    /// What the signature is made over.
    pub signed: Signed<'s>,
    /// Whether a body has to be a JSON object: where the same key signs other texts too, none of
    /// them may pass as a body.
    pub of_objects: bool,
}

/// A place in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'s> {
    /// A header.
    Header(&'s str),
    /// Headers of this name and a number from 1 on.
    Numbered(&'s str),
    /// The entry of the signature's header that begins with this.
    Entry(&'s str),
    /// A member of the JSON body: `event.id`; `items[]` is the only element of `items`.
    Json(&'s str),
}

/// What a signature is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'s> {
    /// A text with places for parts of the request: `{timestamp}.{body}`.
    Template(&'s str),
    /// The signature base of RFC 9421, from the components that the request itself lists.
    Components {
        /// Whether method, target and body must be among them.
        whole: bool,
    },
}

/// What makes a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-1: 20 bytes.
    HmacSha1,
    /// HMAC with SHA-256: 32 bytes.
    HmacSha256,
    /// HMAC with SHA-512: 64 bytes.
    HmacSha512,
    /// Ed25519: 64 bytes, made with a key that the receiver does not have.
    Ed25519,
}

impl Algorithm {
    /// The bytes of a signature.
    pub const fn signature_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha512 | Self::Ed25519 => 64,
        }
    }

    /// Its name in texts for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// How a signature is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hex in lower case.
    Hex,
    /// Hex in either case.
    HexAnyCase,
    /// Base64 with padding.
    Base64,
    /// Base64url, with padding or without.
    Base64Url,
}

impl Encoding {
    /// Its name in texts for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::HexAnyCase => "hex, either case",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
        }
    }
}

/// How a secret becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// Its text as it is.
    Text,
    /// The base64 in it, behind `whsec_` if it begins so.
    Whsec,
    /// The base64 in it.
    Base64,
    /// The hex in it.
    Hex,
    /// The hex of a public key of 32 bytes.
    PublicKey,
}

/// What a timestamp counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339 in UTC, with any fraction of a second.
    Rfc3339,
}

/// In which spellings the public URL may have been signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlSpelling {
    /// As it is configured.
    Exact,
    /// With the port and without it, its query as it is and encoded anew (Twilio).
    Ports,
    /// As it is, and with the punctuation of `HubSpot`'s list decoded.
    Decoded,
}

/// An answer that is always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The HTTP status.
    pub status: u16,
    /// The type of its body; none without one.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: &'static str,
}

impl Fixed {
    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: "" }
    }
}

/// A request that is no event and wants an answer of its own.
#[derive(Clone, Copy, Debug)]
pub struct Challenge {
    /// Whether it is answered only after its own signature verified.
    pub signed: bool,
    /// What tells it from an event; all of these hold.
    pub when: &'static [When],
    /// What is answered.
    pub answer: Answer,
}

/// One thing that tells a challenge from an event.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// The request's method.
    Method(&'static str),
    /// A parameter of this name in the query.
    Query(&'static str),
    /// A header of this value.
    Header(&'static str, &'static str),
    /// A member of the JSON body of this text.
    Text(&'static str, &'static str),
    /// A member of the JSON body of this number.
    Number(&'static str, u64),
    /// An array in the JSON body without an element.
    NoneIn(&'static str),
    /// No such member in the JSON body.
    Without(&'static str),
    /// The body is a form of this one field, whose value is a number.
    OnlyNumber(&'static str),
}

/// What is answered to a challenge.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// The token itself, as plain text.
    Echo(Token),
    /// JSON of the token under one name and the hex of its HMAC under another.
    Mac {
        /// Where the token stands in the JSON body.
        token: &'static str,
        /// The member that repeats it.
        plain: &'static str,
        /// The member with the hex of the MAC.
        mac: &'static str,
    },
    /// Always the same.
    Fixed(Fixed),
}

/// Where a challenge's token stands.
#[derive(Clone, Copy, Debug)]
pub enum Token {
    /// In this parameter of the query.
    Query(&'static str),
    /// In this member of the JSON body.
    Json(&'static str),
}

impl<'s> Scheme<'s> {
    /// Its forms, the first one first.
    pub fn forms(&self) -> impl Iterator<Item = &Form<'s>> {
        core::iter::once(&self.form).chain(self.fallback.as_ref())
    }

    /// The methods of its requests: `POST`, and those that a challenge comes by.
    pub fn methods(&self) -> Vec<&'static str> {
        let mut methods = vec!["POST"];
        for when in self.challenges.iter().flat_map(|challenge| challenge.when) {
            if let When::Method(method) = when
                && !methods.contains(method)
            {
                methods.push(method);
            }
        }
        methods.sort_unstable();
        methods
    }

    /// True when the public URL is part of what is signed.
    pub fn signs_url(&self) -> bool {
        self.forms().any(|form| match form.signed {
            Signed::Template(text) => has_piece(text, |piece| *piece == Piece::Url),
            Signed::Components { .. } => true,
        })
    }

    /// True when every request of the scheme has a signed time.
    pub fn signs_time(&self) -> bool {
        let stamped = |form: &Form<'_>| {
            form.timestamp.is_some() || matches!(form.signed, Signed::Components { .. })
        };
        self.forms().all(stamped)
    }

    /// The names of its own headers, in the order of its forms, each once.
    pub fn headers(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for form in self.forms() {
            let places = [Some(form.signature), form.timestamp, form.id];
            let listed = places.into_iter().flatten().filter_map(|place| match place {
                Place::Header(name) => Some(name.to_owned()),
                Place::Numbered(prefix) => Some(format!("{prefix}1")),
                Place::Entry(_) | Place::Json(_) => None,
            });
            let input = matches!(form.signed, Signed::Components { .. });
            let input = input.then(|| super::components::SIGNATURE_INPUT.to_owned());
            for name in input.into_iter().chain(listed) {
                if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Those of its headers whose names the gate's own signature for the backend takes: they go on
    /// as `X-Tollgate-Original-*` (SPEC section 7).
    pub fn colliding_headers(&self) -> Vec<String> {
        let taken = |name: &String| {
            super::uniform::HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        self.headers().into_iter().filter(taken).collect()
    }
}

impl Form<'_> {
    /// True when the id is part of what is signed.
    pub fn signs_id(&self) -> bool {
        let (Signed::Template(text), Some(id)) = (self.signed, self.id) else { return false };
        match id {
            Place::Json(id) => has_piece(text, |piece| match piece {
                Piece::Body => true,
                Piece::Field(path) | Piece::Text(path) => *path == id,
                _ => false,
            }),
            _ => has_piece(text, |piece| *piece == Piece::Id),
        }
    }
}

fn has_piece(template: &str, wanted: impl Fn(&Piece<'_>) -> bool) -> bool {
    pieces(template).is_ok_and(|pieces| pieces.iter().any(wanted))
}

/// True for what can be the name of a header.
pub(super) fn is_header_name(name: &str) -> bool {
    is_token(name) && name.len() <= 128
}
