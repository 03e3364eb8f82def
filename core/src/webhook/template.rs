//! What is signed, as a text with places in it: `v0:{timestamp}:{body}`.

use std::borrow::Cow;

use serde_json::Value;

use super::failure::{Failure, Part};
use super::json;
use super::request::Request;
use super::scheme::Unit;

/// One part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// A text that stands in every message.
    Literal(&'t str),
    /// The body, byte by byte.
    Body,
    /// The time as the sender wrote it.
    Timestamp,
    /// The id as the sender wrote it.
    Id,
    /// The public URL.
    Url,
    /// The method.
    Method,
    /// Names and values of a form's fields, sorted (Twilio); nothing for a body that is no form.
    Form,
    /// A header's value.
    Header(&'t str),
    /// A member of the JSON body that is one plain word, a number, or absent.
    Field(&'t str),
    /// A member of the JSON body that may be any text. A template has one at the most: its
    /// neighbours are plain words, so the message can be taken apart in one way only.
    Text(&'t str),
}

impl Piece<'_> {
    /// True for what the sender chooses freely.
    const fn is_free(&self) -> bool {
        matches!(self, Self::Id | Self::Header(_) | Self::Text(_) | Self::Body | Self::Form)
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{` without `}`, or the other way round.
    #[error("has a `{{` or a `}}` without its other half")]
    Brace,
    /// A place of another name.
    #[error(
        "has `{{{0}}}`, which is not known: write {{body}}, {{timestamp}}, {{id}}, {{url}}, \
         {{method}} or {{header:NAME}}"
    )]
    Unknown(String),
    /// Two places without anything between them that tells where the one ends.
    #[error(
        "has two places side by side that could be divided in another way: write a sign between \
         them"
    )]
    Ambiguous,
    /// An id or a header behind the body: nothing tells where the body ends.
    #[error(
        "has {{id}} or {{header:NAME}} behind {{body}}: bytes could move between them, so write them \
         before it"
    )]
    BehindBody,
    /// A URL whose query could go on into what follows.
    #[error(
        "has {{url}} before other places: its query could go on into them, so write {{url}} behind \
         {{body}}, or a line break or a blank between"
    )]
    OpenUrl,
}

/// What ends a URL, because no URL has it (WHATWG URL, "query percent-encode set").
const NO_PART_OF_A_URL: [char; 6] = ['\n', '\t', ' ', '"', '<', '>'];

/// Takes a template apart.
pub fn pieces(template: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        literal(&mut found, before)?;
        let (inside, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
        found.push(place(inside)?);
        rest = after;
    }
    literal(&mut found, rest)?;
    Ok(found)
}

fn literal<'t>(found: &mut Vec<Piece<'t>>, text: &'t str) -> Result<(), TemplateError> {
    if text.contains(['{', '}']) {
        return Err(TemplateError::Brace);
    }
    if !text.is_empty() {
        found.push(Piece::Literal(text));
    }
    Ok(())
}

fn place(inside: &str) -> Result<Piece<'_>, TemplateError> {
    let unknown = || TemplateError::Unknown(inside.to_owned());
    Ok(match inside.split_once(':') {
        None => match inside {
            "body" => Piece::Body,
            "timestamp" => Piece::Timestamp,
            "id" => Piece::Id,
            "url" => Piece::Url,
            "method" => Piece::Method,
            "form" => Piece::Form,
            _ => return Err(unknown()),
        },
        Some(("header", name)) if super::scheme::is_header_name(name) => Piece::Header(name),
        Some(("field", path)) => Piece::Field(path),
        Some(("text", path)) => Piece::Text(path),
        Some(_) => return Err(unknown()),
    })
}

/// Refuses templates whose messages could be divided between their places in more ways than one,
/// so that bytes move from the body into the id and the signature still fits. What is left to the
/// values themselves is refused when they are filled in (`fill`).
///
/// A time has so many digits as the window allows, and no zero in front; the method is always the
/// same. So those end by themselves. An id or a header ends where the sign behind it first comes, or
/// 13 characters before the first colon of an RFC 3339 time. The body may hold anything, so it ends
/// where the rest begins, and that has to be of a known length. Of the URL the beginning is
/// configured, and the query is the sender's.
///
/// Three providers sign a URL with the body right behind it (Square, `HubSpot`, Twilio). Their rows
/// are not held against this: bytes can move between query and body there, and their notes say so.
pub fn check_unambiguous(pieces: &[Piece<'_>], unit: Unit) -> Result<(), TemplateError> {
    let neighbours = pieces.iter().zip(pieces.iter().skip(1));
    let clash = |(one, next): (&Piece<'_>, &Piece<'_>)| {
        let divided = matches!(one, Piece::Literal(_)) || matches!(next, Piece::Literal(_));
        let dated = unit == Unit::Rfc3339 && *next == Piece::Timestamp;
        let endless = matches!(one, Piece::Id | Piece::Header(_)) && !dated;
        !divided && (endless || (one.is_free() && next.is_free()))
    };
    let texts = pieces.iter().filter(|piece| matches!(piece, Piece::Text(_))).count();
    if neighbours.into_iter().any(clash) || texts > 1 {
        return Err(TemplateError::Ambiguous);
    }
    let mut behind_body = false;
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Body => behind_body = true,
            Piece::Id | Piece::Header(_) if behind_body => return Err(TemplateError::BehindBody),
            // Behind the body a URL has no query, and is always the same.
            Piece::Url if !behind_body => {
                let ended = match pieces.get(at.saturating_add(1)) {
                    Some(Piece::Literal(text)) => text.starts_with(NO_PART_OF_A_URL),
                    next => next.is_none(),
                };
                ended.then_some(()).ok_or(TemplateError::OpenUrl)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the places of a template are filled with.
pub(super) struct Filling<'r, 'f> {
    pub(super) request: &'f Request<'r>,
    pub(super) timestamp: Option<&'r str>,
    pub(super) id: Option<&'r str>,
    pub(super) json: Option<&'f Value>,
    /// The text of the form, for templates that sign one.
    pub(super) form: &'f [u8],
    pub(super) unit: Unit,
}

/// The message, as a list of byte pieces that are hashed one after the other: one for each piece of
/// the template.
pub(super) fn fill<'r>(
    pieces: &[Piece<'r>],
    filling: &Filling<'r, '_>,
    url: &str,
) -> Result<Vec<Cow<'r, [u8]>>, Failure> {
    let mut message = Vec::new();
    let mut behind_body = false;
    for (at, piece) in pieces.iter().enumerate() {
        let next = pieces.get(at.saturating_add(1));
        let ends = |value: &str, part: Part| no_separator(value, next, filling.unit, part);
        let bytes = match *piece {
            Piece::Literal(text) => Cow::Borrowed(text.as_bytes()),
            Piece::Body => {
                behind_body = true;
                Cow::Borrowed(filling.request.body)
            }
            Piece::Timestamp => Cow::Borrowed(filling.timestamp.unwrap_or_default().as_bytes()),
            Piece::Id => {
                let id = filling.id.unwrap_or_default();
                ends(id, Part::Id)?;
                Cow::Borrowed(id.as_bytes())
            }
            Piece::Url if behind_body && url.contains('?') => {
                let why = "has a query, which could be bytes of the body before it";
                return Err(Failure::malformed(Part::Url, why));
            }
            Piece::Url => {
                // Behind the body it is always the same, whatever it holds.
                if !behind_body {
                    ends(url, Part::Url)?;
                }
                Cow::Owned(url.as_bytes().to_vec())
            }
            Piece::Method => Cow::Borrowed(filling.request.method.as_bytes()),
            Piece::Form => Cow::Owned(filling.form.to_vec()),
            Piece::Header(name) => {
                let value = filling.request.only(name)?.ok_or_else(|| Failure::missing(name))?;
                ends(value, Part::Header)?;
                Cow::Borrowed(value.as_bytes())
            }
            Piece::Field(path) => {
                let text = json_text(filling.json, path);
                if !text.bytes().all(is_word) {
                    return Err(Failure::malformed(Part::Body, "a signed member is no plain word"));
                }
                Cow::Owned(text.into_bytes())
            }
            Piece::Text(path) => Cow::Owned(json_text(filling.json, path).into_bytes()),
        };
        message.push(bytes);
    }
    Ok(message)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn json_text(json: Option<&Value>, path: &str) -> String {
    json.and_then(|value| json::at(value, path)).and_then(json::text).unwrap_or_default()
}

/// A value must not hold the sign that ends it: that of the text behind it, or the colon of an
/// RFC 3339 time, in front of which always the same number of characters belongs to the time.
fn no_separator(
    value: &str,
    next: Option<&Piece<'_>>,
    unit: Unit,
    part: Part,
) -> Result<(), Failure> {
    let sign = match next {
        Some(Piece::Literal(text)) => text.chars().next(),
        Some(Piece::Timestamp) if unit == Unit::Rfc3339 => Some(':'),
        _ => None,
    };
    if sign.is_some_and(|sign| value.contains(sign)) {
        return Err(Failure::malformed(part, "holds the sign that divides it from what follows"));
    }
    Ok(())
}
