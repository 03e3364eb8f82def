//! `POST /_tollgate/token`: a server trades its key for a token that it can carry in the key's
//! place (OAuth 2 client credentials, RFC 6749 section 4.4; SPEC section 3).

use std::net::IpAddr;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::credential::{Failed, Ground};
use super::field::query_pairs;
use crate::header::name;
use crate::key::{
    Claims, Key, KeyEnvironment, KeyKind, KeyRecord, TOKEN_LIFE, TOKEN_RANDOM, Token,
};
use crate::problem::{Code, Problem};
use crate::request::decode_value;
use crate::road::permit::{addresses_allow, state};
use crate::scope::{Scope, joined};
use crate::text::Secret;
use crate::time::UnixMillis;

/// The largest form, in bytes: every scope of a key, percent-encoded.
pub const MAX_FORM: usize = 32 * 1024;
/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What came to the token endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenSent<'r> {
    /// `Authorization`.
    pub authorization: Option<&'r str>,
    /// `X-Api-Key`.
    pub x_api_key: Option<&'r str>,
    /// `Content-Type`.
    pub content_type: Option<&'r str>,
    /// The body.
    pub body: &'r [u8],
}

/// What is asked of the token endpoint, by whoever holds this key.
#[derive(Clone, Debug)]
pub struct TokenAsk {
    /// The whole key; whether it is known and has the right secret is another question.
    pub key: Box<Key>,
    /// What the token is to be good for; None for all that the key may do.
    scopes: Option<Vec<Scope>>,
}

/// From where a key is used.
#[derive(Clone, Copy, Debug)]
pub struct UsedAt {
    /// The caller's address; None when it cannot be read.
    pub address: Option<IpAddr>,
    /// `Origin` or `Sec-Fetch-Site` shows a browser.
    pub in_browser: bool,
}

impl TokenAsk {
    /// Reads a request, as far as it can be told without a store.
    ///
    /// # Errors
    /// `malformed_request` and `invalid_field` for what is no such request, `key_missing`, and the
    /// codes of step 6.
    pub fn read(sent: TokenSent<'_>, ground: Ground<'_>) -> Result<Self, Failed> {
        let media = sent.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        if !media.trim().eq_ignore_ascii_case(FORM) {
            return Err(malformed(&format!(
                "The body has to be a form, with Content-Type: {FORM}."
            )));
        }
        let body = core::str::from_utf8(sent.body);
        let form = query_pairs(body.map_err(|_| malformed("The form is no text."))?);
        let form = form.map_err(|problem| Failed::uncounted(*problem))?;
        match field(&form, "grant_type") {
            Some("client_credentials") => {}
            given => return Err(Failed::uncounted(wrong_grant(given.is_some()))),
        }
        let key = Box::new(client(sent, &form)?);
        let refused = ground.refuses(&key, false);
        // A page's key is no secret, so it proves nobody (RFC 6749 section 4.4).
        let refused = refused.or((key.prefix.kind == KeyKind::Pk).then_some(Code::WrongKind));
        match refused {
            Some(code) => Err(Failed::counted(code)),
            None => Ok(Self { scopes: scopes(&form)?, key }),
        }
    }

    /// Steps 7 to 9: the scopes of the token.
    ///
    /// # Errors
    /// Those of the steps.
    pub fn permit(
        &self,
        record: &KeyRecord,
        place: UsedAt,
        now: UnixMillis,
    ) -> Result<Vec<Scope>, Problem> {
        state(record, now)?;
        if !addresses_allow(record, place.address) {
            let detail = "The caller's address is not on the key's address list.";
            return Err(Problem::new(Code::IpNotAllowed).detail(detail));
        }
        if place.in_browser {
            return Err(Code::SecretKeyInBrowser.into());
        }
        let Some(asked) = &self.scopes else { return Ok(record.scopes.clone()) };
        let lacks = |scope: &&Scope| !record.scopes.iter().any(|held| held.includes(scope));
        let lacking: Vec<String> = asked.iter().filter(lacks).map(ToString::to_string).collect();
        if lacking.is_empty() {
            return Ok(asked.clone());
        }
        let mut problem = Problem::new(Code::InsufficientScope);
        problem.required_scopes = lacking;
        Err(problem.detail("The key has less than the scopes that the token was asked for."))
    }
}

/// A token that was paid for.
#[derive(Clone, Debug)]
pub struct Grant {
    text: Secret,
    claims: Claims,
}

impl Grant {
    /// Makes the token: of 300 s, and never past the end of its key.
    ///
    /// # Errors
    /// When the scopes are too many for one token.
    pub fn new(
        ground: Ground<'_>,
        key: &Key,
        record: &KeyRecord,
        scopes: Vec<Scope>,
        (now, random): (UnixMillis, [u8; TOKEN_RANDOM]),
    ) -> Result<Self, Problem> {
        let expires_at = now.plus(TOKEN_LIFE).min(record.expires_at);
        let claims = Claims { issued_at: now, expires_at, scopes };
        match ground.trust.issue(&key.prefix, &key.id, &claims, random) {
            Some(text) => Ok(Self { text, claims }),
            None => Err(Problem::new(Code::InvalidField)
                .detail("These scopes are too many for one token: name those you need in scope.")
                .with("error", "invalid_scope")),
        }
    }

    /// The body of the answer (RFC 6749 section 5.1).
    pub fn body(&self) -> Value {
        let Claims { issued_at, expires_at, scopes } = &self.claims;
        // Rounded down: nobody is told a second that the token does not have.
        let seconds = expires_at.since(*issued_at).as_millis() / 1_000;
        let mut body = json!({
            "access_token": self.text.expose(),
            "token_type": "Bearer",
            "expires_in": seconds,
        });
        if let (false, Value::Object(members)) = (scopes.is_empty(), &mut body) {
            members.insert("scope".to_owned(), joined(scopes).into());
        }
        body
    }
}

impl Ground<'_> {
    /// Why this token is refused without asking a store, on routes.
    pub fn refuses_token(&self, token: &Token) -> Option<Code> {
        if token.brand != self.brand {
            Some(Code::KeyInvalid)
        } else if token.environment != KeyEnvironment::of(self.environment) {
            Some(Code::WrongEnvironment)
        } else if self.trust.is_genuine(token) {
            None
        } else {
            Some(Code::KeyInvalid)
        }
    }

    /// True when this record can be that of the key that a token was traded for.
    pub fn traded(&self, token: &Token, record: &KeyRecord) -> bool {
        record.environment == self.environment
            && matches!(record.kind, KeyKind::Sk | KeyKind::Rk)
            && record.id == token.id
    }
}

/// The problem with the members that OAuth clients read (RFC 6749 section 5.2).
#[must_use]
pub fn oauth(problem: Problem) -> Problem {
    let error = match problem.code {
        Code::KeyMissing
        | Code::KeyInvalid
        | Code::WrongEnvironment
        | Code::KeyExpired
        | Code::KeyRevoked
        | Code::KeyDisabled => "invalid_client",
        Code::WrongKind | Code::IpNotAllowed | Code::SecretKeyInBrowser => "unauthorized_client",
        Code::InsufficientScope => "invalid_scope",
        Code::InternalError => "server_error",
        code if matches!(code.status(), 429 | 503) => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let error = problem.extra.get("error").cloned().unwrap_or_else(|| error.into());
    let text =
        if problem.detail.is_empty() { problem.code.title() } else { problem.detail.as_str() };
    let plain = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    let description: String = text.chars().filter(plain).collect();
    problem.with("error", error).with("error_description", description)
}

/// The media type of an error here: clients that know nothing but RFC 6749 ask for JSON.
pub fn error_type(accept: Option<&str>) -> &'static str {
    let accept = accept.unwrap_or_default().to_ascii_lowercase();
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if kinds.clone().any(|kind| kind == "application/json")
        && !kinds.any(|kind| kind == crate::problem::MEDIA_TYPE)
    {
        return "application/json";
    }
    crate::problem::MEDIA_TYPE
}

/// The key of whoever asks: by Basic or in the form, and not by both (RFC 6749 section 2.3).
fn client(sent: TokenSent<'_>, form: &Map<String, Value>) -> Result<Key, Failed> {
    let (id, secret) = (field(form, "client_id"), field(form, "client_secret"));
    if sent.x_api_key.is_some() {
        let detail = "A client shows itself by HTTP Basic or in the form: X-Api-Key is for routes.";
        return Err(malformed(detail));
    }
    let text = match (sent.authorization, id, secret) {
        (Some(value), None, None) => basic(value)?,
        (Some(_), ..) => {
            return Err(malformed("The client shows itself by Authorization and in the form."));
        }
        (None, Some(id), Some(secret)) => Some(Secret::new(format!("{id}_{secret}"))),
        (None, ..) => return Err(Failed::uncounted(Code::KeyMissing)),
    };
    let key = text.and_then(|text| Key::parse(text.expose()).ok());
    key.ok_or_else(|| Failed::counted(Code::KeyInvalid))
}

/// The two halves in a Basic header, each encoded as in a form (RFC 6749 section 2.3.1).
fn basic(authorization: &str) -> Result<Option<Secret>, Failed> {
    let (scheme, pair) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        let detail = "A client shows itself by HTTP Basic or in the form.";
        return Err(malformed(detail));
    }
    let pair = BASE64.decode(pair.trim_start_matches(' ').as_bytes()).ok();
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
    let half = |text: &str| decode_value(&text.replace('+', " "));
    Ok(pair
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .and_then(|(id, secret)| Some(Secret::new(format!("{}_{}", half(id)?, half(secret)?)))))
}

/// The scopes of the form; none and an empty one are the same (RFC 6749 section 3.2).
fn scopes(form: &Map<String, Value>) -> Result<Option<Vec<Scope>>, Failed> {
    let Some(text) = field(form, "scope") else { return Ok(None) };
    let scopes = text.split(' ').filter(|scope| !scope.is_empty()).map(Scope::parse);
    match scopes.collect::<Result<Vec<_>, _>>() {
        Ok(scopes) => Ok(Some(scopes).filter(|scopes| !scopes.is_empty())),
        Err(_) => Err(Failed::uncounted(
            Problem::new(Code::InvalidField)
                .detail("scope has to be scopes with one blank between them: a:b or a:b:id.")
                .with("error", "invalid_scope"),
        )),
    }
}

fn field<'f>(form: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    form.get(name).and_then(Value::as_str).filter(|value| !value.is_empty())
}

fn malformed(detail: &str) -> Failed {
    Failed::uncounted(Problem::new(Code::MalformedRequest).detail(detail))
}

fn wrong_grant(given: bool) -> Problem {
    let problem = Problem::new(Code::InvalidField)
        .detail("grant_type has to be client_credentials: the gate makes tokens in no other way.");
    if given { problem.with("error", "unsupported_grant_type") } else { problem }
}

/// What is due to whoever asks with a key that was rotated out (RFC 9745, RFC 8594).
pub fn deprecation(record: &KeyRecord) -> Vec<(&'static str, String)> {
    let Some(deprecated) = &record.deprecated else { return Vec::new() };
    vec![
        (name::DEPRECATION, format!("@{}", deprecated.since.as_secs())),
        (name::SUNSET, record.expires_at.to_http_date()),
    ]
}

#[cfg(test)]
mod tests;
