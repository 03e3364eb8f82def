//! `POST keys/verify`: would the road let this key pass, for this scope, from there?

use std::net::IpAddr;

use serde_json::{Value, json};

use super::field::{Errors, Object};
use super::resource::KeyView;
use crate::address::parse_address;
use crate::key::{Claims, KeyKind, KeyRecord, MAX_TOKEN};
use crate::problem::{Code, Problem};
use crate::road::permit::{addresses_allow, lists_origin, state};
use crate::scope::RequiredScope;
use crate::text::Secret;
use crate::time::UnixMillis;

/// What is asked about a key. What is left out is not asked.
#[derive(Clone, Debug)]
pub struct VerifyAsk {
    /// The whole key, or a token that was traded for one, as its holder presents it.
    pub key: Secret,
    scope: Option<String>,
    origin: Option<String>,
    address: Option<IpAddr>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It would pass steps 6 to 9.
    Good(Box<KeyView>),
    /// The same, of a token: the key that it was traded for, and what the token may still do.
    GoodToken(Box<KeyView>, Claims),
    /// The first step that refuses says this.
    Bad(Code),
}

impl Verdict {
    /// The body of the answer.
    pub fn body(&self, now: UnixMillis) -> Value {
        match self {
            Self::Good(view) => json!({ "valid": true, "key": view.resource(now) }),
            Self::GoodToken(view, Claims { issued_at, expires_at, scopes }) => json!({
                "valid": true,
                "key": view.resource(now),
                "token": {
                    "issued_at": issued_at.to_rfc3339(),
                    "expires_at": expires_at.to_rfc3339(),
                    "scopes": scopes,
                },
            }),
            Self::Bad(code) => json!({ "valid": false, "code": code }),
        }
    }
}

impl VerifyAsk {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn read(body: &Value) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let ask = Object::body(body, &["key", "scope", "origin", "address"], &[], &errors)
            .and_then(|body| {
                let key = body.field("key").required();
                let key = key.read(|text| {
                    let wrong = format!("is longer than {MAX_TOKEN} characters");
                    if text.chars().count() <= MAX_TOKEN {
                        Ok(Secret::new(text))
                    } else {
                        Err(wrong)
                    }
                });
                Some(Self {
                    key: key?,
                    scope: body.field("scope").read(concrete),
                    origin: body.field("origin").text().map(str::to_owned),
                    address: body
                        .field("address")
                        .read(|text| parse_address(text).ok_or("is not an IPv4 or IPv6 address")),
                })
            });
        errors.settle(ask)
    }

    /// Steps 7 to 9 for the holder of the right secret.
    pub fn judge(&self, record: &KeyRecord, now: UnixMillis) -> Verdict {
        match self.refusal(record, now) {
            Some(code) => Verdict::Bad(code),
            None => Verdict::Good(Box::new(record.into())),
        }
    }

    /// The same for the holder of a token that the gate made.
    pub fn judge_token(&self, record: &KeyRecord, claims: &Claims, now: UnixMillis) -> Verdict {
        let scopes = claims.narrow(&record.scopes);
        let narrowed = KeyRecord { scopes: scopes.clone(), ..record.clone() };
        let ended = claims.is_expired(now).then_some(Code::TokenExpired);
        if let Some(code) = ended.or_else(|| self.refusal(&narrowed, now)) {
            return Verdict::Bad(code);
        }
        let claims = Claims { scopes, ..claims.clone() };
        Verdict::GoodToken(Box::new(record.into()), claims)
    }

    fn refusal(&self, record: &KeyRecord, now: UnixMillis) -> Option<Code> {
        if let Err(problem) = state(record, now) {
            return Some(problem.code);
        }
        if self.address.is_some() && !addresses_allow(record, self.address) {
            return Some(Code::IpNotAllowed);
        }
        match (&self.origin, record.kind) {
            (Some(origin), KeyKind::Pk) if !lists_origin(record, origin) => {
                return Some(Code::OriginNotAllowed);
            }
            (Some(_), KeyKind::Sk | KeyKind::Rk | KeyKind::Ak) => {
                return Some(Code::SecretKeyInBrowser);
            }
            _ => {}
        }
        let covered = |scope: &String| record.scopes.iter().any(|held| held.covers(scope));
        let lacks = self.scope.as_ref().is_some_and(|scope| !covered(scope));
        lacks.then_some(Code::InsufficientScope)
    }
}

/// One permission, as a request needs it: no `*`, no parameter.
fn concrete(text: &str) -> Result<String, String> {
    let scope = RequiredScope::parse(text).map_err(|error| error.to_string())?;
    match scope.params().next() {
        None => Ok(text.to_owned()),
        Some(_) => Err("names a parameter: write the value that is meant".to_owned()),
    }
}
