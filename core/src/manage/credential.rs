//! Who presents what to the management API, as far as it can be told without a store; and what a
//! request of an admin key is charged.

use std::net::IpAddr;

use super::caller::root_token_fits;
use crate::address::failure_block;
use crate::header::name;
use crate::key::{Key, KeyEnvironment, KeyId, KeyKind, KeyPrefix, KeyRecord, Presented};
use crate::limit::{Charge, LimitBy};
use crate::policy::Policy;
use crate::problem::{Code, Problem};
use crate::road::Trust;
use crate::road::admission::own_limits;
use crate::road::permit::{addresses_allow, state};
use crate::text::Secret;
use crate::time::UnixMillis;

/// The headers that a credential may stand in, and those that show a browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'r> {
    /// `Authorization`.
    pub authorization: Option<&'r str>,
    /// `X-Api-Key`.
    pub x_api_key: Option<&'r str>,
    /// `Origin`.
    pub origin: Option<&'r str>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<&'r str>,
}

/// What keys of this gate look like, and what makes them believed.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'g> {
    /// The first part of every key.
    pub brand: &'g str,
    /// The environment's name.
    pub environment: &'g str,
    /// Believes ids and digests.
    pub trust: &'g Trust,
}

/// A credential that looks right.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The root token.
    Root,
    /// A whole key of this gate, of the right kind; whether it is known and has the right secret is
    /// another question.
    Key(Box<Key>),
}

/// A credential that is refused at sight.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// What to answer.
    pub problem: Box<Problem>,
    /// True for a credential that failed, which costs its address some of its budget; false for
    /// none, and for headers that make no sense.
    pub counts: bool,
}

impl Failed {
    fn counted(code: Code) -> Self {
        Self { problem: Box::new(code.into()), counts: true }
    }

    fn uncounted(problem: impl Into<Problem>) -> Self {
        Self { problem: Box::new(problem.into()), counts: false }
    }
}

impl Credential {
    /// Reads the credential of a management request. `root` is the root token, if there is one.
    ///
    /// # Errors
    /// Step 6 of the road, and a root token or none from a browser.
    pub fn read(sent: Sent<'_>, root: Option<&Secret>, ground: Ground<'_>) -> Result<Self, Failed> {
        let words = sent.authorization.and_then(|value| value.split_once(' '));
        let bearer = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.map(|(_, token)| token);
        let is_root = root.zip(bearer).is_some_and(|(root, sent)| root_token_fits(root, sent));
        if is_root && sent.x_api_key.is_none() {
            let shows = sent.origin.map(|_| name::ORIGIN);
            let shows = shows.or(sent.sec_fetch_site.map(|_| name::SEC_FETCH_SITE));
            let Some(header) = shows else { return Ok(Self::Root) };
            let detail =
                format!("The root token is not for browsers: the request carries {header}.");
            let problem = Problem::new(Code::SecretKeyInBrowser).detail(detail);
            return Err(Failed::uncounted(problem));
        }
        match Presented::read(sent.authorization, sent.x_api_key) {
            Ok(Presented::Nothing) => Err(Failed::uncounted(Code::KeyMissing)),
            Ok(Presented::NoKey(_)) => Err(Failed::counted(Code::KeyInvalid)),
            Ok(Presented::Key(key)) => match ground.refuses(&key, true) {
                Some(code) => Err(Failed::counted(code)),
                None => Ok(Self::Key(Box::new(key))),
            },
            Err(error) => Err(Failed::uncounted(
                Problem::new(Code::MalformedRequest).detail(error.to_string()),
            )),
        }
    }
}

impl Ground<'_> {
    /// Why this key is refused without asking a store, for management or else for routes.
    pub fn refuses(&self, key: &Key, for_management: bool) -> Option<Code> {
        if key.prefix.brand != self.brand {
            Some(Code::KeyInvalid)
        } else if key.prefix.environment != KeyEnvironment::of(self.environment) {
            Some(Code::WrongEnvironment)
        } else if (key.prefix.kind == KeyKind::Ak) != for_management {
            Some(Code::WrongKind)
        } else if self.trust.made(&key.prefix, &key.id) {
            None
        } else {
            Some(Code::KeyInvalid)
        }
    }

    /// True when the gate made this id, for whatever kind of key: only then is an object asked.
    pub fn made(&self, id: &KeyId) -> bool {
        KeyKind::ALL.into_iter().any(|kind| {
            let environment = KeyEnvironment::of(self.environment);
            let prefix = KeyPrefix { brand: self.brand.to_owned(), environment, kind };
            self.trust.made(&prefix, id)
        })
    }

    /// True when whoever presented `key` holds the secret of the key that `record` is about.
    pub fn holds(&self, key: &Key, record: &KeyRecord) -> bool {
        record.environment == self.environment
            && record.kind == key.prefix.kind
            && record.id == key.id
            && self.trust.verify(key, &record.digest)
    }
}

/// Steps 7 and 8 for the holder of an admin key.
///
/// # Errors
/// `key_expired`, `key_revoked`, `key_disabled`, `ip_not_allowed`.
pub fn may_be_used(
    record: &KeyRecord,
    address: Option<IpAddr>,
    now: UnixMillis,
) -> Result<(), Box<Problem>> {
    state(record, now)?;
    if addresses_allow(record, address) {
        return Ok(());
    }
    let detail = "The caller's address is not on the key's address list.";
    Err(Box::new(Problem::new(Code::IpNotAllowed).detail(detail)))
}

/// What a request of an admin key is charged: its own limits.
pub fn admin_charges(record: &KeyRecord, policy: &Policy, address: Option<IpAddr>) -> Vec<Charge> {
    let charge = |limit: crate::limit::Limit| {
        let bucket = match limit.by {
            LimitBy::KeyAddress | LimitBy::Address => failure_block(address),
            // Management has no path parameters of a route: one bucket for all.
            LimitBy::Key | LimitBy::KeyParam(_) => String::new(),
        };
        Charge { limit: limit.name, bucket, rate: limit.rate, cost: 1, shadow: false }
    };
    own_limits(record, policy).into_iter().map(charge).collect()
}

#[cfg(test)]
mod tests;
