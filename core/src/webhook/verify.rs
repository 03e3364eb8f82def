//! The one verifier.
//!
//! It works in three steps, so that the hashing between them can be the platform's: [`prepare`]
//! does everything that can be refused without a hash, [`Pending::tasks`] are what is to be hashed,
//! and [`Pending::finish`] compares. [`verify`] is all of it at once.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::time::{Millis, UnixMillis};

use super::challenge::{self, Reply};
use super::components;
use super::crypto::{Crypto, Done, Task};
use super::encoding::{Keys, decode};
use super::failure::{Failure, Part};
use super::fields::{form_covers_body, form_text, signs_body_hash, spellings};
use super::json;
use super::request::Request;
use super::scheme::{Algorithm, Form, KnownBy, Place, Scheme, Signed, Unit};
use super::structured::whole_number;
use super::template::{Filling, Piece, fill, pieces};
use super::{MAX_ID, MAX_SIGNATURES};

/// A webhook whose signature is right and whose time is near.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The id that the provider gave the event, or the delivery.
    pub id: Option<String>,
    /// Whether the id is part of what was signed; otherwise anyone on the way could change it.
    pub id_signed: bool,
    /// The signed time, where the scheme has one.
    pub timestamp: Option<UnixMillis>,
    /// Which secret it was, from 0 on.
    pub secret: usize,
    /// What the signature vouches for.
    pub covers: Covers,
    /// The SHA-256 of all that is signed but the time: the same when the provider sends the event
    /// again, and when somebody else does.
    pub content: [u8; 32],
    /// What tells the provider's events from each other.
    pub known_by: KnownBy,
    /// What to answer, if it is a challenge and no event.
    pub reply: Option<Reply>,
}

/// What a signature vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Every byte of the body.
    Body,
    /// Some of it only.
    Part,
}

/// A message that may be the signed one, and the signatures that may be its.
#[derive(Debug)]
pub(super) struct Candidate<'r> {
    pub(super) message: Vec<Cow<'r, [u8]>>,
    /// Which pieces of the message say when and how it was signed, and not what: another attempt of
    /// the same event has others.
    pub(super) passing: Vec<usize>,
    pub(super) signatures: Vec<Vec<u8>>,
    pub(super) stamp: Option<UnixMillis>,
    pub(super) expires: Option<UnixMillis>,
    pub(super) id: Option<String>,
    pub(super) covers_body: bool,
    pub(super) bound: Bound,
}

/// What has to be looked at besides the signature, to know that it is this body's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Nothing: the body is in the message, or what is signed of it is.
    Directly,
    /// The fields are in the message, or the hash in the URL is the body's.
    Form,
    /// A covered `Content-Digest`.
    Digest,
}

/// A webhook whose hashes are to be made.
#[derive(Debug)]
pub struct Pending<'r> {
    scheme: &'r Scheme<'r>,
    form: &'r Form<'r>,
    keys: &'r Keys,
    request: Request<'r>,
    candidates: Vec<Candidate<'r>>,
    json: OnceCell<Option<Value>>,
}

/// Verifies a webhook.
///
/// # Errors
/// [`Failure`] says the step that failed, and never a signature.
pub fn verify(
    scheme: &Scheme<'_>,
    keys: &Keys,
    request: &Request<'_>,
    body_limit: usize,
    now: UnixMillis,
    crypto: &impl Crypto,
) -> Result<Verified, Failure> {
    let pending = prepare(scheme, keys, request, body_limit)?;
    let done: Vec<Done> = pending.tasks().into_iter().map(|task| crypto.run(task)).collect();
    pending.finish(&done, now)
}

/// The longest URL that is signed.
const MAX_URL: usize = 8 * 1024;

/// Everything that can be refused without a hash.
pub fn prepare<'r>(
    scheme: &'r Scheme<'r>,
    keys: &'r Keys,
    request: &Request<'r>,
    body_limit: usize,
) -> Result<Pending<'r>, Failure> {
    if request.body.len() > body_limit {
        return Err(Failure::TooLarge(body_limit));
    }
    if request.url.len() > MAX_URL {
        return Err(Failure::malformed(Part::Url, "is longer than 8 KiB"));
    }
    let mut missing = None;
    for form in scheme.forms() {
        let json = OnceCell::new();
        match candidates(scheme, form, request, &json) {
            Ok(candidates) => {
                return Ok(Pending { scheme, form, keys, request: *request, candidates, json });
            }
            Err(Failure::Missing(place)) => missing = missing.or(Some(place)),
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Missing(missing.unwrap_or_default()))
}

fn candidates<'r>(
    scheme: &'r Scheme<'r>,
    form: &'r Form<'r>,
    request: &Request<'r>,
    json: &OnceCell<Option<Value>>,
) -> Result<Vec<Candidate<'r>>, Failure> {
    let template = match form.signed {
        Signed::Components { whole } => return components::candidates(request, whole),
        Signed::Template(text) => text,
    };
    let body = || json.get_or_init(|| json::parse(request.body)).as_ref();
    let texts = signature_texts(form, request, &body)?;
    let signatures = signatures(scheme, form, &texts)?;
    let wrong = |_| Failure::malformed(Part::Signature, "has a template that is none");
    let pieces = pieces(template).map_err(wrong)?;
    let timestamp = match form.timestamp {
        Some(Place::Header(name)) => {
            Some(request.only(name)?.ok_or_else(|| Failure::missing(name))?)
        }
        Some(Place::Entry(tag)) => Some(entry(form, request, tag)?),
        Some(Place::Json(_) | Place::Numbered(_)) | None => None,
    };
    let stamp = timestamp.map(|text| read_time(scheme.unit, text)).transpose()?;
    let id = match form.id {
        Some(Place::Header(name)) if pieces.contains(&Piece::Id) => {
            let id = request.only(name)?.ok_or_else(|| Failure::missing(name))?;
            if !is_id(id) {
                return Err(Failure::malformed(Part::Id, "is not of 1 to 256 visible characters"));
            }
            Some(id)
        }
        _ => None,
    };
    let of_json = |piece: &Piece<'_>| matches!(piece, Piece::Field(_) | Piece::Text(_));
    let json = if pieces.iter().any(of_json) { body() } else { None };
    let of_form = pieces.contains(&Piece::Form);
    // Once, however many spellings the URL has.
    let text = if of_form { form_text(request)? } else { Vec::new() };
    let filling = Filling { request, timestamp, id, json, form: &text, unit: scheme.unit };
    let times = pieces.iter().enumerate().filter(|(_, piece)| **piece == Piece::Timestamp);
    let passing: Vec<usize> = times.map(|(at, _)| at).collect();
    let covers_body = pieces.contains(&Piece::Body)
        || (of_form && (request.body.is_empty() || signs_body_hash(request)));
    let urls = if pieces.contains(&Piece::Url) {
        spellings(scheme.url, request.url)
    } else {
        vec![String::new()]
    };
    let messages = urls.iter().map(|url| {
        Ok(Candidate {
            message: fill(&pieces, &filling, url)?,
            passing: passing.clone(),
            signatures: signatures.clone(),
            stamp,
            expires: None,
            id: id.map(str::to_owned),
            covers_body,
            bound: if of_form { Bound::Form } else { Bound::Directly },
        })
    });
    messages.collect()
}

/// The texts at the place of the signatures, which may be lists.
fn signature_texts<'r, 'b>(
    form: &Form<'r>,
    request: &Request<'r>,
    body: &dyn Fn() -> Option<&'b Value>,
) -> Result<Vec<Cow<'r, str>>, Failure> {
    match form.signature {
        Place::Header(name) => {
            let text = request.only(name)?.ok_or_else(|| Failure::missing(name))?;
            Ok(vec![Cow::Borrowed(text)])
        }
        // What stands beside a signature is none.
        Place::Entry(_) => Err(Failure::malformed(Part::Signature, "has no place of its own")),
        Place::Numbered(prefix) => {
            let mut texts = Vec::new();
            for number in 1..=MAX_SIGNATURES {
                let value = request.only(&format!("{prefix}{number}"))?;
                texts.extend(value.map(Cow::Borrowed));
            }
            if texts.is_empty() { Err(Failure::Missing(format!("{prefix}1"))) } else { Ok(texts) }
        }
        Place::Json(path) => {
            let text = body().and_then(|body| json::at(body, path)).and_then(Value::as_str);
            let text =
                text.filter(|text| !text.is_empty()).ok_or_else(|| Failure::missing(path))?;
            Ok(vec![Cow::Owned(text.to_owned())])
        }
    }
}

/// The signatures in these texts, eight at the most. One that cannot be read is passed over as long
/// as another can: a list may hold signatures of other versions and of other keys.
fn signatures(
    scheme: &Scheme<'_>,
    form: &Form<'_>,
    texts: &[Cow<'_, str>],
) -> Result<Vec<Vec<u8>>, Failure> {
    let entries = texts.iter().flat_map(|text| entries(form, text));
    let tagged: Vec<&str> = entries.filter_map(|entry| entry.strip_prefix(form.tag)).collect();
    if tagged.is_empty() {
        return Err(Failure::malformed(Part::Signature, "is not of the version of this scheme"));
    }
    let len = scheme.algorithm.signature_len();
    let tried = tagged.into_iter().take(MAX_SIGNATURES);
    let found: Vec<_> = tried.filter_map(|text| decode(scheme.encoding, text, len)).collect();
    if found.is_empty() {
        let why = "is not of this encoding and length";
        return Err(Failure::malformed(Part::Signature, why));
    }
    Ok(found)
}

fn entries<'t>(form: &Form<'_>, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
    let whole = form.separator.is_none().then_some(text);
    let parts = form.separator.map(|sign| text.split(sign).map(|entry| entry.trim_matches(' ')));
    whole.into_iter().chain(parts.into_iter().flatten())
}

/// The one entry of the signature's header that begins with `tag`.
fn entry<'r>(form: &Form<'r>, request: &Request<'r>, tag: &str) -> Result<&'r str, Failure> {
    let text = match form.signature {
        Place::Header(name) => request.only(name)?.unwrap_or_default(),
        _ => "",
    };
    let mut found = entries(form, text).filter_map(|entry| entry.strip_prefix(tag));
    match (found.next(), found.next()) {
        (Some(text), None) => Ok(text),
        (None, _) => Err(Failure::malformed(Part::Timestamp, "is not in the signature's header")),
        (Some(_), Some(_)) => {
            Err(Failure::malformed(Part::Timestamp, "stands twice in the signature's header"))
        }
    }
}

/// Reads a time strictly: no sign, no blank, no zero in front, nothing that does not fit.
pub(super) fn read_time(unit: Unit, text: &str) -> Result<UnixMillis, Failure> {
    let wrong = || Failure::malformed(Part::Timestamp, "is not written as this scheme writes it");
    match unit {
        Unit::Seconds => whole_number(text).map(UnixMillis::from_secs),
        Unit::Millis => whole_number(text).map(UnixMillis::from_millis),
        Unit::Rfc3339 => {
            let (seconds, fraction) = match text.strip_suffix('Z').and_then(|t| t.split_once('.')) {
                Some((seconds, fraction)) => (format!("{seconds}Z"), fraction),
                None => (text.to_owned(), "0"),
            };
            let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            let plain = digits && (1..=9).contains(&fraction.len()) && seconds.contains('T');
            // A window may be one second wide, so the milliseconds count.
            let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |sum: u64, digit| {
                sum.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
            });
            let seconds = if plain { UnixMillis::parse_rfc3339(&seconds) } else { None };
            seconds.map(|seconds| seconds.plus(Millis::millis(millis)))
        }
    }
    .ok_or_else(wrong)
}

/// True for an id that can be kept and shown.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Pending<'_> {
    /// What is to be hashed, in an order that [`Self::finish`] knows.
    pub fn tasks(&self) -> Vec<Task<'_>> {
        self.plan().map(|(_, _, task)| task).collect()
    }

    /// For each task its candidate and its secret.
    fn plan(&self) -> impl Iterator<Item = (&Candidate<'_>, usize, Task<'_>)> {
        let algorithm = self.scheme.algorithm;
        let pairs = self.candidates.iter().flat_map(|candidate| {
            self.keys.all().iter().enumerate().map(move |(secret, key)| (candidate, secret, key))
        });
        pairs.flat_map(move |(candidate, secret, key)| {
            let message = candidate.message.as_slice();
            let mac =
                (algorithm != Algorithm::Ed25519).then_some(Task::Mac { algorithm, key, message });
            let asymmetric = mac.is_none();
            let each = candidate.signatures.iter().filter(move |_| asymmetric);
            let each = each.map(move |signature| Task::Ed25519 { key, message, signature });
            mac.into_iter().chain(each).map(move |task| (candidate, secret, task))
        })
    }

    /// Compares, and looks at what may only be looked at behind a right signature: time, body, id,
    /// challenge.
    pub fn finish(&self, done: &[Done], now: UnixMillis) -> Result<Verified, Failure> {
        let fitting: Vec<(&Candidate<'_>, usize)> = self
            .plan()
            .zip(done)
            .filter(|((candidate, _, _), done)| fits(candidate, done))
            .map(|((candidate, secret, _), _)| (candidate, secret))
            .collect();
        let mut refused = Failure::Mismatch;
        for (candidate, secret) in fitting {
            match self.behind_signature(candidate, secret, now) {
                Ok(verified) => return Ok(verified),
                Err(failure) => refused = failure,
            }
        }
        Err(refused)
    }

    fn behind_signature(
        &self,
        candidate: &Candidate<'_>,
        secret: usize,
        now: UnixMillis,
    ) -> Result<Verified, Failure> {
        match candidate.bound {
            Bound::Directly => {}
            Bound::Form => form_covers_body(&self.request)?,
            Bound::Digest => components::check_digest(&self.request)?,
        }
        if self.form.of_objects && !self.body().is_some_and(Value::is_object) {
            return Err(Failure::malformed(Part::Body, "is no JSON object"));
        }
        let timestamp = self.timestamp(candidate)?;
        if let Some(at) = timestamp {
            in_window(at, now, self.scheme.tolerance)?;
        }
        if let Some(end) = candidate.expires.filter(|end| *end < now) {
            let window = self.scheme.tolerance;
            return Err(Failure::Time { by: now.since(end), ahead: false, window });
        }
        let covers = if candidate.covers_body { Covers::Body } else { Covers::Part };
        let key = self.keys.all().get(secret).map(Vec::as_slice).unwrap_or_default();
        let reply = challenge::signed(self.scheme, &self.request, &|| self.body(), key)?;
        let (id, id_signed) = self.id(candidate);
        let (content, known_by) = (candidate.content(), self.scheme.known_by);
        Ok(Verified { id, id_signed, timestamp, secret, covers, content, known_by, reply })
    }

    fn body(&self) -> Option<&Value> {
        self.json.get_or_init(|| json::parse(self.request.body)).as_ref()
    }

    fn timestamp(&self, candidate: &Candidate<'_>) -> Result<Option<UnixMillis>, Failure> {
        let Some(Place::Json(path)) = self.form.timestamp else { return Ok(candidate.stamp) };
        let value = self.body().and_then(|body| json::at(body, path));
        let text = value.and_then(json::text).unwrap_or_default();
        read_time(self.scheme.unit, &text).map(Some)
    }

    fn id(&self, candidate: &Candidate<'_>) -> (Option<String>, bool) {
        if candidate.id.is_some() {
            return (candidate.id.clone(), true);
        }
        let found = match self.form.id {
            Some(Place::Header(name)) => self.request.only(name).ok().flatten().map(str::to_owned),
            Some(Place::Json(path)) => {
                self.body().and_then(|body| json::at(body, path)).and_then(json::text)
            }
            Some(Place::Numbered(_) | Place::Entry(_)) | None => None,
        };
        let id = found.filter(|id| is_id(id));
        let signed = id.is_some() && self.form.signs_id();
        (id, signed)
    }
}

impl Candidate<'_> {
    /// What is signed but the time, as it is signed: whatever of a request can be spelled in another
    /// way and still fits the signature makes no other event.
    fn content(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (at, piece) in self.message.iter().enumerate() {
            // A zero byte in the place of the time: what is before it cannot run into what follows.
            digest.update(if self.passing.contains(&at) { b"\0" } else { piece.as_ref() });
        }
        digest.finalize().into()
    }
}

/// Every signature is compared with the MAC, whether an earlier one was the same or not.
fn fits(candidate: &Candidate<'_>, done: &Done) -> bool {
    match done {
        Done::Mac(mac) => {
            let none = Choice::from(0);
            let each = candidate.signatures.iter().map(|sent| sent.ct_eq(mac));
            each.fold(none, |any, same| any | same).into()
        }
        Done::Fits(fits) => *fits,
        Done::Failed => false,
    }
}

/// The window is symmetric: a time that lies ahead is as wrong as one that is past.
fn in_window(at: UnixMillis, now: UnixMillis, window: Millis) -> Result<(), Failure> {
    let by = Millis::millis(at.as_millis().abs_diff(now.as_millis()));
    if by <= window { Ok(()) } else { Err(Failure::Time { by, ahead: at > now, window }) }
}
