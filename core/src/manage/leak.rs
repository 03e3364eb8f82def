//! `POST /_tollgate/leaks`: reports of keys that were found in the open, in the shape of GitHub's
//! secret scanning partner programme. A key that leaked is switched off, whoever the finder is, so
//! nothing is believed but the signature, and nothing is done unless the whole key is right.

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::credential::Ground;
use super::der::{p256_key, p256_signature};
use crate::key::{Key, KeyEnvironment, KeyKind, Token};
use crate::people::SessionToken;
use crate::problem::{Code, Problem};
use crate::road::redacted;
use crate::text::Secret;
use crate::time::{Millis, UnixMillis};

/// The largest report, in bytes.
pub const MAX_REPORT: usize = 1024 * 1024;
/// The most findings in one report.
const MAX_FINDINGS: usize = 1_000;
/// Who switches leaked keys off, in the audit.
pub const LEAK_INTAKE: &str = "leak-intake";
/// The header that names the key of the signature.
pub const KEY_IDENTIFIER: &str = "github-public-key-identifier";
/// The header with the signature over the body.
pub const KEY_SIGNATURE: &str = "github-public-key-signature";

/// The longest that anything of a finding is told, in characters.
const MOST_TOLD: usize = 500;
/// The most keys of a scanner that are kept.
const MAX_KEYS: usize = 100;
/// How long the list of them is taken for the present one.
const FRESH: Millis = Millis::hours(1);
/// How long it is believed when no newer one can be had.
const BELIEVED: Millis = Millis::hours(24);
/// At most once in this time it is fetched, whatever identifiers strangers send.
const PAUSE: Millis = Millis::minutes(1);
/// The same while there is none at all.
const FIRST_PAUSE: Millis = Millis::secs(2);

/// Reports that are held at a time before their signatures were found good.
const MOST_UNPROVED: usize = 8;
/// The longest that one is: it is given up before, or its sender went away and nothing said so.
const LONGEST_UNPROVED: Millis = Millis::secs(15);

/// The reports that this isolate holds and that nobody has proved yet, so that strangers fill its
/// memory with a few at most.
#[derive(Debug, Default)]
pub struct UnprovedReports(Vec<UnixMillis>);

impl UnprovedReports {
    /// Room for one more; [`Self::done`] takes back what this gives.
    ///
    /// # Errors
    /// `admission_unavailable` while there is none.
    pub fn begin(&mut self, now: UnixMillis) -> Result<UnixMillis, Problem> {
        self.0.retain(|begun| now.since(*begun) < LONGEST_UNPROVED);
        if self.0.len() < MOST_UNPROVED {
            self.0.push(now);
            return Ok(now);
        }
        let detail = "Too many reports come in at once.";
        let mut problem = Problem::new(Code::AdmissionUnavailable).detail(detail);
        let oldest = self.0.iter().copied().min().unwrap_or(now);
        let wait = oldest.plus(LONGEST_UNPROVED).since(now);
        problem.retry_after = Some(wait.ceil_secs().max(1));
        Err(problem)
    }

    /// That one is proved, or not held any more.
    pub fn done(&mut self, begun: UnixMillis) {
        if let Some(at) = self.0.iter().position(|other| *other == begun) {
            self.0.swap_remove(at);
        }
    }
}

/// The public keys that reports are signed with, as this isolate knows them.
#[derive(Debug, Default)]
pub struct ScannerKeys {
    keys: Vec<ScannerKey>,
    fetched_at: Option<UnixMillis>,
    tried_at: Option<UnixMillis>,
}

#[derive(Debug, Deserialize)]
struct ScannerKey {
    key_identifier: String,
    /// `SubjectPublicKeyInfo` as PEM.
    key: String,
}

#[derive(Deserialize)]
struct Published {
    public_keys: Vec<ScannerKey>,
}

/// What is known of a key that a report names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The key, as `SubjectPublicKeyInfo`.
    Known(Vec<u8>),
    /// The scanner has no such key.
    Unknown,
    /// The scanner's keys could not be had.
    Unreachable,
}

impl ScannerKeys {
    /// True when the list is to be fetched before this identifier is looked up; then
    /// [`Self::learn`] takes what came of it.
    pub fn start_fetch(&mut self, identifier: &str, now: UnixMillis) -> bool {
        let age = |at: Option<UnixMillis>| at.map(|at| now.since(at));
        let fresh = age(self.fetched_at).is_some_and(|age| age < FRESH);
        let pause = if self.fetched_at.is_some() { PAUSE } else { FIRST_PAUSE };
        let lately = age(self.tried_at).is_some_and(|age| age < pause);
        let wanted = !lately && (!fresh || self.key(identifier).is_none());
        if wanted {
            self.tried_at = Some(now);
        }
        wanted
    }

    /// Takes the list as its address answers it; false when it is none.
    pub fn learn(&mut self, text: &[u8], now: UnixMillis) -> bool {
        let Ok(Published { public_keys }) = serde_json::from_slice(text) else { return false };
        if public_keys.is_empty() || public_keys.len() > MAX_KEYS {
            return false;
        }
        self.keys = public_keys;
        self.fetched_at = Some(now);
        true
    }

    /// The key of this identifier. Whether it is the scanner's current one does not matter: an
    /// older one is listed as long as it signs.
    pub fn signer(&self, identifier: &str, now: UnixMillis) -> Signer {
        let believed = self.fetched_at.is_some_and(|at| now.since(at) < BELIEVED);
        if !believed {
            return Signer::Unreachable;
        }
        self.key(identifier)
            .and_then(|key| p256_key(&key.key))
            .map_or(Signer::Unknown, Signer::Known)
    }

    fn key(&self, identifier: &str) -> Option<&ScannerKey> {
        self.keys.iter().find(|key| key.key_identifier == identifier)
    }
}

/// The signature of a report as `WebCrypto` takes it.
///
/// # Errors
/// `signature_missing` when a header is not there, `signature_invalid` when it is no signature.
pub fn report_signature(
    identifier: Option<&str>,
    signature: Option<&str>,
) -> Result<[u8; 64], Problem> {
    let (Some(_), Some(signature)) = (identifier, signature) else {
        let detail =
            "A report carries Github-Public-Key-Identifier and Github-Public-Key-Signature.";
        return Err(Problem::new(Code::SignatureMissing).detail(detail));
    };
    let der = BASE64.decode(signature.trim().as_bytes()).ok();
    der.and_then(|der| p256_signature(&der)).ok_or_else(|| bad_signature("has not the form of one"))
}

/// The refusal of a signature.
pub fn bad_signature(why: &str) -> Problem {
    let detail = format!("The signature of the report {why}.");
    Problem::new(Code::SignatureInvalid).detail(detail)
}

/// One secret that somebody found, and what else is known of it.
#[derive(Debug, Deserialize)]
pub struct Finding {
    token: Secret,
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    source: Option<String>,
}

/// What a finding may be, by its text.
#[derive(Clone, Debug)]
pub enum Suspect {
    /// A whole key that is meant to be secret, of an id that the gate made.
    Key(Box<Key>),
    /// A token that the gate made.
    Token(Box<Token>),
    /// The token of a session.
    Session(Box<SessionToken>),
    /// Nothing of this gate, or a key that is public anyway.
    Nothing,
}

/// Reads a report.
///
/// # Errors
/// `invalid_field` for what is no list of findings, and for too long a one. None of its text is
/// told again.
pub fn read_report(body: &[u8]) -> Result<Vec<Finding>, Problem> {
    let wrong = |detail: String| Problem::new(Code::InvalidField).detail(detail);
    let findings: Vec<Finding> = serde_json::from_slice(body).map_err(|_| {
        wrong("The report has to be a list of objects with token, type, url and source.".to_owned())
    })?;
    if findings.len() <= MAX_FINDINGS {
        return Ok(findings);
    }
    Err(wrong(format!("{} findings are too many: {MAX_FINDINGS} is the most.", findings.len())))
}

impl Finding {
    /// What it may be. Only for a key of this gate a store is asked.
    pub fn suspect(&self, ground: Ground<'_>) -> Suspect {
        let text = self.token.expose();
        if let Ok(key) = Key::parse(text) {
            let kind = key.prefix.kind;
            let ours = ground.refuses(&key, kind == KeyKind::Ak).is_none();
            return if ours && kind != KeyKind::Pk {
                Suspect::Key(Box::new(key))
            } else {
                Suspect::Nothing
            };
        }
        if let Some(token) = SessionToken::parse(text) {
            let here = token.environment == KeyEnvironment::of(ground.environment);
            let ours = here && token.brand == ground.brand && ground.made(&token.key);
            return if ours { Suspect::Session(Box::new(token)) } else { Suspect::Nothing };
        }
        match Token::parse(text) {
            Ok(token) if ground.refuses_token(&token).is_none() => Suspect::Token(Box::new(token)),
            _ => Suspect::Nothing,
        }
    }

    /// Names it without saying it.
    pub fn hash(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.token.expose().as_bytes()))
    }

    /// What the finder is told. `real`: the whole secret was right, and is none that is public.
    pub fn answer(&self, real: bool) -> Value {
        let label = if real { "true_positive" } else { "false_positive" };
        json!({ "token_hash": self.hash(), "token_type": self.kind.as_deref().unwrap_or_default(), "label": label })
    }

    /// What the audit says of it. `kind`: what was found.
    pub fn detail(&self, kind: &str, brand: &str) -> Map<String, Value> {
        let told = |text: &Option<String>| -> String {
            let plain = redacted(brand, text.as_deref().unwrap_or_default());
            plain.chars().filter(|letter| matches!(letter, ' '..='~')).take(MOST_TOLD).collect()
        };
        let mut detail = Map::new();
        for (name, value) in [
            ("kind", kind.to_owned()),
            ("type", told(&self.kind)),
            ("source", told(&self.source)),
            ("url", told(&self.url.as_deref().map(place))),
        ] {
            if !value.is_empty() {
                detail.insert(name.to_owned(), value.into());
            }
        }
        detail
    }

    /// Names this finding of this secret at this place: told twice, it is written down once.
    pub fn once(&self) -> String {
        let place = HEXLOWER.encode(&Sha256::digest(self.url.as_deref().unwrap_or_default()));
        format!("leak/{}/{place}", self.hash())
    }
}

/// A URL without what could itself be a secret: user, query and fragment.
fn place(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    if !matches!(scheme, "http" | "https") {
        return String::new();
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests;
