//! `tollgate hooks sign`: a request as the provider would send it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use tollgate_core::text::random_base62;
use tollgate_core::webhook::{Algorithm, Event, Scheme, SignedRequest, base64, sample, sign};

use super::crypto::{Ring, public_key};
use super::{EventArgs, read_body};

/// Characters of a fresh event's id.
const ID_LEN: usize = 20;

/// Make a signed test event, and print it.
///
/// With several secrets the first one signs. For discord the secret is the seed of a private key,
/// in hex.
#[derive(Args, Clone, Debug)]
pub(super) struct SignArgs {
    #[command(flatten)]
    event: EventArgs,
}

impl SignArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let args = &self.event.scheme;
        args.with_scheme(|scheme| {
            let signed = signed(&self.event, scheme, args.url.as_deref())?;
            if args.json {
                let mut told = to_json(&signed);
                let key = args.secrets.first().filter(|_| scheme.algorithm == Algorithm::Ed25519);
                if let (Some(seed), Some(members)) = (key, told.as_object_mut()) {
                    members.insert("public_key".to_owned(), json!(public_key(seed)));
                }
                println!("{told}");
            } else {
                print!("{}", shown(&signed));
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The signed event that was asked for.
pub(super) fn signed(
    event: &EventArgs,
    scheme: &Scheme<'_>,
    url: Option<&str>,
) -> Result<SignedRequest> {
    let args = &event.scheme;
    let now = args.now();
    let id = event.id.clone().map_or_else(fresh_id, Ok)?;
    let mut headers = args.headers.clone();
    let body = if let Some(path) = &event.body {
        read_body(path)?
    } else {
        let (body, content_type) = sample(scheme, &id, now);
        let own = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if !headers.iter().any(own) {
            headers.insert(0, ("Content-Type".to_owned(), content_type));
        }
        body
    };
    let secret = args.secrets().into_iter().next().context("there is no secret")?;
    let event = Event { method: &args.method, url, id: &id, headers: &headers, body: &body };
    Ok(sign(scheme, &secret, &event, now, &Ring)?)
}

fn fresh_id() -> Result<String> {
    let mut random = [0_u8; ID_LEN * 3];
    SystemRandom::new().fill(&mut random).ok().context("there is no randomness")?;
    let id = random_base62(&random, ID_LEN).context("there is no randomness")?;
    Ok(format!("test_{id}"))
}

/// The request for programs; a body that is no text as base64.
pub(super) fn to_json(signed: &SignedRequest) -> Value {
    let SignedRequest { method, url, headers, body } = signed;
    let (member, body) = match std::str::from_utf8(body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("body_base64", base64(body)),
    };
    json!({ "method": method, "url": url, "headers": headers, member: body })
}

fn shown(signed: &SignedRequest) -> String {
    let url = signed.url.as_deref().unwrap_or_default();
    let mut lines = vec![format!("{} {url}", signed.method).trim_end().to_owned()];
    lines.extend(signed.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(String::new());
    lines.push(String::from_utf8_lossy(&signed.body).into_owned());
    lines.join("\n") + "\n"
}
