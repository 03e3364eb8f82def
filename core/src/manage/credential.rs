//! Who presents what to the management API, as far as it can be told without a store; and what a
//! request of an admin key is charged.

use std::net::IpAddr;

use super::caller::root_token_fits;
use crate::address::failure_block;
use crate::header::name;
use crate::key::{Key, KeyEnvironment, KeyId, KeyKind, KeyPrefix, KeyRecord, Presented};
use crate::limit::{Charge, Kind, LimitBy};
use crate::people::{SessionKind, SessionToken};
use crate::policy::Policy;
use crate::problem::{Code, Problem};
use crate::road::Trust;
use crate::road::admission::{Terms, charges_of, own_limits};
use crate::road::permit::{addresses_allow, state};
use crate::text::Secret;
use crate::time::UnixMillis;

/// The cookie of a console's session. Its name makes browsers hold it to this very host, with TLS
/// (RFC 6265bis section 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-tollgate";

/// The headers that a credential may stand in, and those that show a browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'r> {
    /// The method.
    pub method: &'r str,
    /// The origin of this admin host, as the caller addressed it.
    pub own_origin: &'r str,
    /// `Cookie`.
    pub cookie: Option<&'r str>,
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
    /// A session's token of this gate, and how it was shown.
    Session(Box<SessionToken>, SessionKind),
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
    pub(super) fn counted(code: Code) -> Self {
        Self { problem: Box::new(code.into()), counts: true }
    }

    pub(super) fn uncounted(problem: impl Into<Problem>) -> Self {
        Self { problem: Box::new(problem.into()), counts: false }
    }
}

impl Credential {
    /// Reads the credential of a management request. `root` is the root token, if there is one.
    ///
    /// # Errors
    /// Step 6 of the road; what is not for browsers from a browser; and a browser's session from
    /// any page but this host's own.
    pub fn read(sent: Sent<'_>, root: Option<&Secret>, ground: Ground<'_>) -> Result<Self, Failed> {
        let words = sent.authorization.and_then(|value| value.split_once(' '));
        let bearer = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.map(|(_, token)| token);
        let is_root = root.zip(bearer).is_some_and(|(root, sent)| root_token_fits(root, sent));
        if is_root && sent.x_api_key.is_none() {
            return sent.is_no_browsers("The root token").map(|()| Self::Root);
        }
        if let (Some(token), None) = (bearer.and_then(SessionToken::parse), sent.x_api_key) {
            sent.is_no_browsers("A session of the command line")?;
            return ground.session(token, SessionKind::Cli);
        }
        if let (None, None, Some(cookie)) = (sent.authorization, sent.x_api_key, sent.session()?) {
            sent.is_own_pages()?;
            let token = SessionToken::parse(cookie);
            let token = token.ok_or_else(|| Failed::counted(Code::KeyInvalid))?;
            return ground.session(token, SessionKind::Console);
        }
        match Presented::read(sent.authorization, sent.x_api_key) {
            Ok(Presented::Nothing) => Err(Failed::uncounted(Code::KeyMissing)),
            Ok(Presented::NoKey(_)) => Err(Failed::counted(Code::KeyInvalid)),
            // Whatever it was traded for, it is a credential for routes.
            Ok(Presented::Token(token)) => {
                Err(Failed::counted(ground.refuses_token(&token).unwrap_or(Code::WrongKind)))
            }
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

impl<'r> Sent<'r> {
    /// The value of the session's cookie, if there is one.
    fn session(&self) -> Result<Option<&'r str>, Failed> {
        let pairs = self.cookie.unwrap_or_default().split(';');
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => {
                let detail = format!("The cookie {SESSION_COOKIE} was sent twice.");
                Err(Failed::uncounted(Problem::new(Code::MalformedRequest).detail(detail)))
            }
            (value, _) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// True when the request carries something that could be a credential.
    pub fn has_any(&self) -> bool {
        let cookie = self.session().is_ok_and(|cookie| cookie.is_some());
        cookie || self.authorization.is_some() || self.x_api_key.is_some()
    }

    fn is_no_browsers(&self, what: &str) -> Result<(), Failed> {
        let shows = self.origin.map(|_| name::ORIGIN);
        let shows = shows.or(self.sec_fetch_site.map(|_| name::SEC_FETCH_SITE));
        let Some(header) = shows else { return Ok(()) };
        let detail = format!("{what} is not for browsers: the request carries {header}.");
        Err(Failed::uncounted(Problem::new(Code::SecretKeyInBrowser).detail(detail)))
    }

    /// A browser sends the cookie along whoever makes it call. So what may change something says
    /// from which page it comes; a page of a sister host, to which `SameSite` is no wall, is none.
    fn is_own_pages(&self) -> Result<(), Failed> {
        let reads = matches!(self.method, "GET" | "HEAD");
        let origin = match self.origin {
            Some(origin) => origin == self.own_origin,
            None => reads,
        };
        let site = match self.sec_fetch_site {
            // Typed into the address bar, or a bookmark.
            Some("none") => reads,
            Some(site) => site == "same-origin",
            None => true,
        };
        if origin && site {
            return Ok(());
        }
        let detail = "A session of the console is used from the console's own page alone.";
        Err(Failed::uncounted(Problem::new(Code::OriginNotAllowed).detail(detail)))
    }
}

impl Ground<'_> {
    fn session(&self, token: SessionToken, kind: SessionKind) -> Result<Credential, Failed> {
        let environment = token.environment;
        let prefix = KeyPrefix { brand: token.brand.clone(), environment, kind: KeyKind::Ak };
        if token.brand != self.brand {
            Err(Failed::counted(Code::KeyInvalid))
        } else if environment != KeyEnvironment::of(self.environment) {
            Err(Failed::counted(Code::WrongEnvironment))
        } else if !self.trust.made(&prefix, &token.key) {
            Err(Failed::counted(Code::KeyInvalid))
        } else {
            Ok(Credential::Session(Box::new(token), kind))
        }
    }

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

    /// True when the session that `token` shows can be one of the key that `record` is about.
    pub fn holds_session(&self, token: &SessionToken, record: &KeyRecord) -> bool {
        record.environment == self.environment
            && record.kind == KeyKind::Ak
            && record.id == token.key
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

/// What a request of an admin key is charged: its own limits. Its calls hold no place among those
/// in flight, so of the policy's `default` only what counts them is charged.
pub fn admin_charges(record: &KeyRecord, policy: &Policy, address: Option<IpAddr>) -> Vec<Charge> {
    let terms = Terms { cost: 1, shadow: false, mode: record.mode };
    let charges = |limit: crate::limit::Limit| {
        let bucket = match limit.by() {
            LimitBy::KeyAddress | LimitBy::Address => failure_block(address),
            // Management has no path parameters of a route: one bucket for all.
            _ => String::new(),
        };
        charges_of(&limit, limit.name(), &bucket, terms)
    };
    let all = own_limits(record, policy).into_iter().flat_map(charges);
    all.filter(|charge| charge.measure.kind() != Kind::Concurrency).collect()
}

#[cfg(test)]
pub(super) mod tests;
