//! Fields of forms, and the spellings of a URL.

use data_encoding::HEXLOWER_PERMISSIVE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::request::RequestUrl;

use super::BODY_LIMIT;
use super::failure::{Failure, Part};
use super::request::Request;
use super::scheme::UrlSpelling;

/// The most fields that a form may have.
const MAX_FIELDS: usize = 1_000;
/// The most parameters of a query that are told apart.
const MAX_PARAMETERS: usize = 100;
/// The parameter of the query that binds a body to a URL (Twilio).
pub(super) const BODY_SHA256: &str = "bodySHA256";

/// What Node's `querystring` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What `HubSpot` decodes in the URL that it signs.
const HUBSPOT: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

/// Names and values, decoded.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a form, in their order; none for more than `most`.
fn fields(text: &[u8], most: usize) -> Option<Fields> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut found = Vec::new();
    for item in text.split(|byte| *byte == b'&') {
        let mut halves = item.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default());
        // A field without a name, or none between two `&`, leaves no trace in what is signed.
        if name.is_empty() || found.len() >= most {
            return None;
        }
        found.push((name, decoded(halves.next().unwrap_or_default())));
    }
    Some(found)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&blanks).collect()
}

/// What Twilio signs of a form: names and values, sorted, one after the other. A value that stands
/// there twice under one name counts once.
pub(super) fn form_text(request: &Request<'_>) -> Result<Vec<u8>, Failure> {
    if signs_body_hash(request) || !request.is_form() {
        return Ok(Vec::new());
    }
    let broken = |why| Failure::malformed(Part::Body, why);
    // Each spelling of the URL is hashed with a copy of it.
    if request.body.len() > BODY_LIMIT {
        return Err(broken("is a form of more than 1 MiB"));
    }
    let broken = || broken("is no form that can be read in one way");
    let mut fields = fields(request.body, MAX_FIELDS).ok_or_else(broken)?;
    fields.sort_unstable();
    fields.dedup();
    Ok(fields.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect())
}

/// True when the URL says which body it was signed for.
pub(super) fn signs_body_hash(request: &Request<'_>) -> bool {
    parameter(request, BODY_SHA256).is_some()
}

/// The value of a parameter in the query, if it stands there once.
pub(super) fn parameter(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    let mut values = fields(request.query()?.as_bytes(), MAX_PARAMETERS)?
        .into_iter()
        .filter(|(found, _)| found == name.as_bytes())
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Whether the body is the one that the URL, or the form in it, was signed for.
pub(super) fn form_covers_body(request: &Request<'_>) -> Result<(), Failure> {
    if let Some(hash) = parameter(request, BODY_SHA256) {
        let hash = HEXLOWER_PERMISSIVE.decode(&hash).unwrap_or_default();
        let body = Sha256::digest(request.body);
        let same = bool::from(hash.as_slice().ct_eq(body.as_slice()));
        return if same { Ok(()) } else { Err(Failure::BodyChanged) };
    }
    if request.is_form() || request.body.is_empty() {
        return Ok(());
    }
    Err(Failure::malformed(Part::Body, "is neither a form nor named by bodySHA256 in the URL"))
}

/// The URL in every spelling in which it may have been signed, the plain one first.
pub(super) fn spellings(how: UrlSpelling, url: &str) -> Vec<String> {
    let mut found = vec![url.to_owned()];
    match how {
        UrlSpelling::Exact => {}
        UrlSpelling::Decoded => found.push(hubspot_decoded(url)),
        UrlSpelling::Ports => {
            if let Some((without, with)) = ports(url) {
                found.extend([without, with]);
            }
            let anew: Vec<String> = found.iter().filter_map(|url| query_anew(url)).collect();
            found.extend(anew);
        }
    }
    let mut once: Vec<String> = Vec::new();
    for url in found {
        if !once.contains(&url) {
            once.push(url);
        }
    }
    once
}

fn hubspot_decoded(url: &str) -> String {
    HUBSPOT.iter().fold(url.to_owned(), |url, (encoded, plain)| {
        url.replace(encoded, plain).replace(&encoded.to_ascii_lowercase(), plain)
    })
}

/// The URL without a port, and with the one it has or the one that its scheme means.
fn ports(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let parsed = RequestUrl::split(&format!("{scheme}://{authority}/")).ok()?;
    let (host, port) = authority.split_at_checked(parsed.host().len())?;
    let port = match (port, parsed.secure) {
        ("", true) => ":443",
        ("", false) => ":80",
        (port, _) => port,
    };
    Some((format!("{scheme}://{host}{rest}"), format!("{scheme}://{host}{port}{rest}")))
}

/// The URL with its query decoded and encoded again as Node's `querystring` does: parameters of one
/// name come together.
fn query_anew(url: &str) -> Option<String> {
    let (front, query) = url.split_once('?')?;
    let all = fields(query.as_bytes(), MAX_PARAMETERS)?;
    let mut names: Vec<&Vec<u8>> = Vec::new();
    for (name, _) in &all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let encoded = |bytes: &[u8]| percent_encode(bytes, PLAIN).to_string();
    let pairs = names.iter().flat_map(|name| {
        let of_it = all.iter().filter(move |(found, _)| found == *name);
        of_it.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
    });
    Some(format!("{front}?{}", pairs.collect::<Vec<_>>().join("&")))
}
