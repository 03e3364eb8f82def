//! HTTP message signatures (RFC 9421) with `hmac-sha256`.

use std::borrow::Cow;

use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::request::RequestUrl;
use crate::time::UnixMillis;

use super::MAX_SIGNATURES;
use super::failure::{Failure, Part};
use super::request::Request;
use super::scheme::Algorithm;
use super::structured::{Bare, InnerList, byte_members, inner_lists};
use super::verify::{Bound, Candidate};

/// The header that lists what was signed.
pub(super) const SIGNATURE_INPUT: &str = "Signature-Input";
/// The header that holds the signatures.
pub(super) const SIGNATURE: &str = "Signature";
/// The header that holds the body's digest (RFC 9530).
pub(super) const CONTENT_DIGEST: &str = "Content-Digest";
/// The name of the algorithm in the registry of RFC 9421.
pub(super) const HMAC_SHA256: &str = "hmac-sha256";

/// One candidate for each signature that can be looked at, eight at the most.
pub(super) fn candidates<'r>(
    request: &Request<'r>,
    whole: bool,
) -> Result<Vec<Candidate<'r>>, Failure> {
    let input =
        request.joined(SIGNATURE_INPUT)?.ok_or_else(|| Failure::missing(SIGNATURE_INPUT))?;
    let signatures = request.joined(SIGNATURE)?.ok_or_else(|| Failure::missing(SIGNATURE))?;
    let broken = |why| Failure::malformed(Part::Signature, why);
    let lists =
        inner_lists(&input).ok_or_else(|| broken("has a Signature-Input of no known form"))?;
    let signatures =
        byte_members(&signatures).ok_or_else(|| broken("is no dictionary of base64"))?;
    let mut found = Vec::new();
    let mut why = broken("has no label that stands in both headers");
    for list in lists.iter().take(MAX_SIGNATURES) {
        let Some((_, signature)) = signatures.iter().find(|(label, _)| *label == list.label) else {
            continue;
        };
        match candidate(request, list, signature, whole) {
            Ok(candidate) => found.push(candidate),
            Err(failure) => why = failure,
        }
    }
    if found.is_empty() { Err(why) } else { Ok(found) }
}

fn candidate<'r>(
    request: &Request<'r>,
    list: &InnerList<'_>,
    signature: &[u8],
    whole: bool,
) -> Result<Candidate<'r>, Failure> {
    let broken = |why| Failure::malformed(Part::Signature, why);
    if signature.len() != Algorithm::HmacSha256.signature_len() {
        return Err(broken("is not of 32 bytes"));
    }
    let parameter = |name: &str| {
        list.parameters.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    };
    if parameter("alg").is_some_and(|alg| alg != Bare::Text(HMAC_SHA256)) {
        return Err(broken("is of another algorithm than hmac-sha256"));
    }
    let created = match parameter("created") {
        Some(Bare::Integer(seconds)) => UnixMillis::from_secs(seconds),
        _ => return Err(Failure::malformed(Part::Timestamp, "is no `created` in whole seconds")),
    };
    let expires = match parameter("expires") {
        None => None,
        Some(Bare::Integer(seconds)) => Some(UnixMillis::from_secs(seconds)),
        Some(_) => return Err(Failure::malformed(Part::Timestamp, "has an `expires` of no form")),
    };
    let mut names: Vec<&str> = Vec::new();
    for name in &list.names {
        let name = name.ok_or_else(|| broken("covers a component with parameters"))?;
        // Twice the same component is an error (RFC 9421 section 2).
        if names.contains(&name) {
            return Err(broken("covers a component twice"));
        }
        names.push(name);
    }
    if whole && !covers_whole(request, &names) {
        return Err(broken(
            "does not cover @method, the target (@target-uri) and the body (content-digest)",
        ));
    }
    let digest = names.contains(&"content-digest");
    let lines = lines(request, &names, list.raw)?;
    // When and how it was signed: the parameters, which stand last, and a `Date`.
    let own = names.iter().map(Some).chain([None]).enumerate();
    let passing = own.filter(|(_, name)| name.is_none_or(|name| *name == "date"));
    Ok(Candidate {
        passing: passing.map(|(at, _)| at).collect(),
        message: lines.into_iter().map(|line| Cow::Owned(line.into_bytes())).collect(),
        signatures: vec![signature.to_vec()],
        stamp: Some(created),
        expires,
        // A nonce is unique to a signature (RFC 9421 section 2.3), not to an event: who sends an
        // event again after some minutes has to sign it again, and takes another.
        id: None,
        covers_body: digest || request.body.is_empty(),
        bound: if digest { Bound::Digest } else { Bound::Directly },
    })
}

/// True when no part of the request that a backend acts on could be another.
fn covers_whole(request: &Request<'_>, names: &[&str]) -> bool {
    let has = |name: &str| names.contains(&name);
    let query = has("@query") || request.query().is_none();
    let path = has("@request-target") || (has("@path") && query);
    let target = has("@target-uri") || (has("@authority") && path);
    has("@method") && target && (request.body.is_empty() || has("content-digest"))
}

/// The signature base (RFC 9421 section 2.5): a line for each component, then the parameters.
pub(super) fn lines(
    request: &Request<'_>,
    names: &[&str],
    raw: &str,
) -> Result<Vec<String>, Failure> {
    let line = |name: &&str| Ok(["\"", *name, "\": ", &value(request, name)?, "\n"].concat());
    let mut lines: Vec<String> = names.iter().map(line).collect::<Result<_, Failure>>()?;
    lines.push(["\"@signature-params\": ", raw].concat());
    Ok(lines)
}

fn value(request: &Request<'_>, name: &str) -> Result<String, Failure> {
    if !name.starts_with('@') {
        // The name is the sender's: no failure repeats it.
        let missing = || Failure::malformed(Part::Signature, "covers a header that is not there");
        return request.joined(name)?.ok_or_else(missing);
    }
    if name == "@method" {
        return Ok(request.method.to_owned());
    }
    let wrong = |_| Failure::malformed(Part::Url, "is no absolute http or https address");
    let url = RequestUrl::split(request.url).map_err(wrong)?;
    let path = if url.path.is_empty() { "/" } else { &url.path };
    let query = url.query.as_ref().map(|query| format!("?{query}"));
    Ok(match name {
        "@target-uri" => {
            request.url.split_once('#').map_or(request.url, |(before, _)| before).to_owned()
        }
        "@authority" => {
            let default = if url.secure { ":443" } else { ":80" };
            url.authority.strip_suffix(default).unwrap_or(&url.authority).to_owned()
        }
        "@scheme" => if url.secure { "https" } else { "http" }.to_owned(),
        "@path" => path.to_owned(),
        "@query" => query.unwrap_or_else(|| "?".to_owned()),
        "@request-target" => format!("{path}{}", query.unwrap_or_default()),
        _ => return Err(Failure::malformed(Part::Signature, "covers an unknown component")),
    })
}

/// Whether the body is the one of the covered digests (RFC 9530 section 6).
pub(super) fn check_digest(request: &Request<'_>) -> Result<(), Failure> {
    let header = request.joined(CONTENT_DIGEST)?.unwrap_or_default();
    let none = || Failure::malformed(Part::Body, "has no sha-256 or sha-512 in Content-Digest");
    let members = byte_members(&header).ok_or_else(none)?;
    let checks = members.iter().filter_map(|(name, sent)| match *name {
        "sha-256" => Some(Sha256::digest(request.body).as_slice().ct_eq(sent)),
        "sha-512" => Some(Sha512::digest(request.body).as_slice().ct_eq(sent)),
        _ => None,
    });
    let checks: Vec<bool> = checks.map(bool::from).collect();
    match (checks.is_empty(), checks.iter().all(|same| *same)) {
        (true, _) => Err(none()),
        (false, true) => Ok(()),
        (false, false) => Err(Failure::BodyChanged),
    }
}
