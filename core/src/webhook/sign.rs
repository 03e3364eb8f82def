//! The other side: a request as the provider would send it, to try a source with.

use std::borrow::Cow;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::text::Secret;
use crate::time::UnixMillis;

use super::components::{self, CONTENT_DIGEST, HMAC_SHA256, SIGNATURE, SIGNATURE_INPUT};
use super::crypto::{Crypto, Message};
use super::encoding::{KeyError, encode, key};
use super::failure::Failure;
use super::fields::{BODY_SHA256, form_text, signs_body_hash};
use super::json;
use super::request::Request;
use super::scheme::{Algorithm, Form, Place, Scheme, Signed, Unit};
use super::template::{Filling, Piece, fill, pieces};
use super::verify::is_id;

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    /// The method.
    pub method: &'e str,
    /// The public URL, where the scheme signs it.
    pub url: Option<&'e str>,
    /// Its id, for schemes with a header for it.
    pub id: &'e str,
    /// Headers besides the scheme's own.
    pub headers: &'e [(String, String)],
    /// The body.
    pub body: &'e [u8],
}

/// A request with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The method.
    pub method: String,
    /// The public URL, where there is one; a scheme may have added to its query.
    pub url: Option<String>,
    /// All headers, the scheme's own last.
    pub headers: Vec<(String, String)>,
    /// The body; a scheme may have put its signature into it.
    pub body: Vec<u8>,
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A secret of no form.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The scheme signs the URL.
    #[error("this scheme signs the public URL: which is it?")]
    NeedsUrl,
    /// The id cannot stand in a header.
    #[error("the id is not of 1 to 256 visible characters")]
    Id,
    /// The body has no place for the time.
    #[error("the body has no member `{0}`, where this scheme has its time")]
    NeedsTime(String),
    /// What was given cannot be signed by this scheme.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// Whatever hashes did not.
    #[error("the signature could not be made")]
    Crypto,
}

/// The body of a test event, and its type.
pub fn sample(scheme: &Scheme<'_>, id: &str, now: UnixMillis) -> (Vec<u8>, String) {
    let millis = now.as_millis().to_string();
    let body = scheme.sample.replace("$ID", id).replace("$MILLIS", &millis);
    (body.into_bytes(), scheme.sample_type.to_owned())
}

/// Signs an event as the provider would. For Ed25519 the secret is the private key's seed, in hex.
pub fn sign(
    scheme: &Scheme<'_>,
    secret: &Secret,
    event: &Event<'_>,
    now: UnixMillis,
    crypto: &impl Crypto,
) -> Result<SignedRequest, SignError> {
    let key = key(scheme.key, secret, 1)?;
    if !is_id(event.id) {
        return Err(SignError::Id);
    }
    if scheme.signs_url() && event.url.is_none() {
        return Err(SignError::NeedsUrl);
    }
    let mut signed = SignedRequest {
        method: event.method.to_owned(),
        url: event.url.map(str::to_owned),
        headers: event.headers.to_vec(),
        body: event.body.to_vec(),
    };
    let made = |message: &Message<'_>| {
        let signature = match scheme.algorithm {
            Algorithm::Ed25519 => crypto.ed25519_sign(&key, message),
            algorithm => crypto.mac(algorithm, &key, message),
        };
        signature.ok_or(SignError::Crypto)
    };
    let form = form_for(scheme, event.body);
    match form.signed {
        Signed::Components { .. } => components_into(&mut signed, event, now, &made)?,
        Signed::Template(template) => {
            template_into(&mut signed, scheme, form, template, event, now, &made)?;
        }
    }
    Ok(signed)
}

type Maker<'m> = dyn Fn(&Message<'_>) -> Result<Vec<u8>, SignError> + 'm;

/// The form whose place for the signature this body has.
fn form_for<'s>(scheme: &'s Scheme<'s>, body: &[u8]) -> &'s Form<'s> {
    let in_body = |form: &&Form<'_>| match form.signature {
        Place::Json(path) => {
            let outer = path.split(['.', '[']).next().unwrap_or_default();
            json::parse(body).is_some_and(|body| body.get(outer).is_some())
        }
        _ => false,
    };
    scheme.fallback.as_ref().filter(in_body).unwrap_or(&scheme.form)
}

fn template_into(
    signed: &mut SignedRequest,
    scheme: &Scheme<'_>,
    form: &Form<'_>,
    template: &str,
    event: &Event<'_>,
    now: UnixMillis,
    made: &Maker<'_>,
) -> Result<(), SignError> {
    let pieces = pieces(template).map_err(|_| SignError::Crypto)?;
    let parsed = json::parse(event.body);
    let time = written(scheme.unit, now);
    match form.timestamp {
        Some(Place::Header(name)) => signed.headers.push((name.to_owned(), time.clone())),
        Some(Place::Json(path)) => {
            let has = parsed.as_ref().is_some_and(|body| json::at(body, path).is_some());
            has.then_some(()).ok_or_else(|| SignError::NeedsTime(path.to_owned()))?;
        }
        Some(Place::Entry(_) | Place::Numbered(_)) | None => {}
    }
    if let Some(Place::Header(name)) = form.id {
        signed.headers.push((name.to_owned(), event.id.to_owned()));
    }
    let given = signed.url.clone().unwrap_or_default();
    let request =
        Request { method: event.method, url: &given, headers: event.headers, body: event.body };
    // A body that is no form is bound to the URL by its hash.
    let other = !request.is_form() && !request.body.is_empty() && !signs_body_hash(&request);
    let bound = pieces.contains(&Piece::Form) && other;
    let url = if bound { with_hash(&given, event.body) } else { given.clone() };
    let request = Request { url: &url, ..request };
    let text = if pieces.contains(&Piece::Form) { form_text(&request)? } else { Vec::new() };
    let filling = Filling {
        request: &request,
        timestamp: Some(&time),
        id: Some(event.id),
        json: parsed.as_ref(),
        form: &text,
        unit: scheme.unit,
    };
    let text = encode(scheme.encoding, &made(&fill(&pieces, &filling, &url)?)?);
    let mut value = format!("{}{text}", form.tag);
    if let (Some(Place::Entry(tag)), Some(sign)) = (form.timestamp, form.separator) {
        value = format!("{tag}{time}{sign}{value}");
    }
    match form.signature {
        Place::Header(name) => signed.headers.push((name.to_owned(), value)),
        // What stands beside a signature is none.
        Place::Entry(_) => return Err(SignError::Crypto),
        Place::Numbered(prefix) => signed.headers.push((format!("{prefix}1"), value)),
        Place::Json(path) => signed.body = with_member(parsed, path, value),
    }
    if bound {
        signed.url = Some(url);
    }
    Ok(())
}

fn with_hash(url: &str, body: &[u8]) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{BODY_SHA256}={}", HEXLOWER.encode(&Sha256::digest(body)))
}

/// The body with a text at a path whose outer members it has.
fn with_member(body: Option<Value>, path: &str, text: String) -> Vec<u8> {
    let mut body = body.unwrap_or_default();
    let mut place = &mut body;
    for name in path.split('.') {
        place = match name.strip_suffix("[]") {
            Some(name) => match place.get_mut(name).and_then(|list| list.get_mut(0)) {
                Some(first) => first,
                None => return body.to_string().into_bytes(),
            },
            None => match place.as_object_mut() {
                Some(object) => {
                    object.entry(name).or_insert_with(|| Value::Object(serde_json::Map::new()))
                }
                None => return body.to_string().into_bytes(),
            },
        };
    }
    *place = Value::String(text);
    body.to_string().into_bytes()
}

fn written(unit: Unit, now: UnixMillis) -> String {
    match unit {
        Unit::Seconds => now.as_secs().to_string(),
        Unit::Millis => now.as_millis().to_string(),
        Unit::Rfc3339 => now.to_rfc3339(),
    }
}

fn components_into(
    signed: &mut SignedRequest,
    event: &Event<'_>,
    now: UnixMillis,
    made: &Maker<'_>,
) -> Result<(), SignError> {
    let mut names = vec!["@method", "@target-uri"];
    if !event.body.is_empty() {
        let is_digest = |(name, _): &(String, String)| name.eq_ignore_ascii_case(CONTENT_DIGEST);
        if !signed.headers.iter().any(is_digest) {
            let digest = BASE64.encode(&Sha256::digest(event.body));
            signed.headers.push((CONTENT_DIGEST.to_owned(), format!("sha-256=:{digest}:")));
        }
        names.push("content-digest");
    }
    let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let raw = format!(
        "({});created={};nonce=\"{}\";alg=\"{HMAC_SHA256}\"",
        listed.join(" "),
        now.as_secs(),
        // A quote or a backslash would end the text.
        event.id.replace(['"', '\\'], "_"),
    );
    let url = event.url.unwrap_or_default();
    let request = Request { method: event.method, url, headers: &signed.headers, body: event.body };
    let lines = components::lines(&request, &names, &raw)?;
    let mac = made(&[Cow::Owned(lines.concat().into_bytes())])?;
    signed.headers.push((SIGNATURE_INPUT.to_owned(), format!("sig1={raw}")));
    signed.headers.push((SIGNATURE.to_owned(), format!("sig1=:{}:", BASE64.encode(&mac))));
    Ok(())
}
