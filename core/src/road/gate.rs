//! The gate itself: a checked policy and the secrets it names.

use std::collections::BTreeMap;

use crate::forward::{LeakGuard, MIN_SECRET};
use crate::key::{Claims, Digest, IdSecret, Key, KeyId, KeyPrefix, Peppers, TOKEN_RANDOM, Token};
use crate::policy::{Credential, LeakGuardMode, Policy, Upstream};
use crate::text::Secret;

/// Why the gate cannot stand. Its text is for the operator's log, never for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// What makes a key believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The Worker's own secrets.
    Secrets {
        /// What digests of keys are made under.
        peppers: Peppers,
        /// What ids of keys are marked with.
        ids: IdSecret,
    },
    /// Offline, in `explain`: the record that was handed in is taken for the key's.
    Assumed,
}

impl Trust {
    /// True when the gate made this id.
    pub fn made(&self, prefix: &KeyPrefix, id: &KeyId) -> bool {
        match self {
            Self::Secrets { ids, .. } => ids.made(prefix, id),
            Self::Assumed => true,
        }
    }

    /// True when `key` has the secret that `digest` was made of.
    pub fn verify(&self, key: &Key, digest: &Digest) -> bool {
        match self {
            Self::Secrets { peppers, .. } => peppers.verify(key, digest),
            Self::Assumed => true,
        }
    }

    /// A token of the key with this prefix and id; None when its scopes are too many for one.
    pub fn issue(
        &self,
        prefix: &KeyPrefix,
        id: &KeyId,
        claims: &Claims,
        random: [u8; TOKEN_RANDOM],
    ) -> Option<Secret> {
        match self {
            Self::Secrets { peppers, ids } => {
                let place = (prefix.brand.as_str(), prefix.environment);
                Token::issue((peppers, ids), place, id, claims, random)
            }
            Self::Assumed => None,
        }
    }

    /// True when the gate made this token. Whether its key still stands is another question.
    pub fn is_genuine(&self, token: &Token) -> bool {
        match self {
            Self::Secrets { peppers, ids } => token.is_genuine(peppers, ids),
            Self::Assumed => true,
        }
    }

    /// The digest that a key of this digest moves to at its next use: one under the newest pepper.
    /// None when it is there already. To be asked once the key is verified.
    pub fn rehash(&self, key: &Key, digest: &Digest) -> Option<Digest> {
        match self {
            Self::Secrets { peppers, .. } if digest.pepper < peppers.current() => {
                peppers.digest(key)
            }
            Self::Secrets { .. } | Self::Assumed => None,
        }
    }

    /// The text of a KV entry, if the gate sealed it.
    pub(super) fn open<'t>(&self, name: &str, sealed: &'t str) -> Option<&'t str> {
        match self {
            Self::Secrets { peppers, .. } => peppers.open(name, sealed),
            Self::Assumed => Some(sealed),
        }
    }
}

/// What goes to an upstream as its credential.
#[derive(Clone, Debug)]
pub(super) enum Injected {
    Nothing,
    Header(String, Secret),
    Query(String, Secret),
}

/// One upstream, ready: its credential filled in, and the net that watches for it.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// None when a secret that it needs is missing or too short.
    pub(super) injected: Option<Injected>,
    pub(super) guard: LeakGuard,
}

/// A policy, the secrets it names, and what keys are believed by. Lives as long as its isolate.
#[derive(Debug)]
pub struct Gate {
    /// The checked policy of this environment.
    pub policy: Policy,
    /// What keys are believed by.
    pub trust: Trust,
    /// The Worker secrets that the policy names, as far as they are set.
    pub secrets: BTreeMap<String, Secret>,
    prepared: Vec<Prepared>,
}

impl Gate {
    /// Joins a policy with its secrets. A secret that is missing only ends the routes that need it.
    pub fn new(policy: Policy, trust: Trust, secrets: BTreeMap<String, Secret>) -> Self {
        let offline = matches!(trust, Trust::Assumed);
        let prepared =
            policy.upstreams.iter().map(|upstream| prepare(upstream, &secrets, offline)).collect();
        Self { policy, trust, secrets, prepared }
    }

    pub(super) fn prepared(&self, upstream: usize) -> Option<&Prepared> {
        self.prepared.get(upstream)
    }

    /// Every secret that the policy names and that is missing or too short, with the upstreams and
    /// sources that need it: what `ready` tells operators.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for upstream in &self.policy.upstreams {
            for name in upstream.credential.iter().flat_map(Credential::secrets) {
                let reason = match self.secrets.get(name) {
                    None => "is not set",
                    Some(secret) => match unfit(secret) {
                        Some(reason) => reason,
                        None => continue,
                    },
                };
                reasons.push(format!("secret {name} of upstream {} {reason}", upstream.name));
            }
        }
        reasons.extend(self.unready_sources());
        reasons
    }
}

/// Why a secret cannot be injected: it could be guessed, or a header would not carry it as it is, so
/// that the leak guard would look for another text than the one that was sent.
fn unfit(secret: &Secret) -> Option<&'static str> {
    let text = secret.expose();
    let printable = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    match text {
        _ if text.len() < MIN_SECRET => Some("has fewer than 16 bytes"),
        _ if !printable => Some("has a line break or another character that no header can carry"),
        _ if text.trim() != text => Some("begins or ends with a blank"),
        _ => None,
    }
}

fn prepare(upstream: &Upstream, secrets: &BTreeMap<String, Secret>, offline: bool) -> Prepared {
    let look = |name: &str| secrets.get(name).filter(|secret| unfit(secret).is_none());
    let injected = match &upstream.credential {
        None => Some(Injected::Nothing),
        Some(credential) if offline => Some(match credential {
            Credential::Header { name, value } => {
                Injected::Header(name.clone(), Secret::new(value.redacted()))
            }
            Credential::Basic { username, password } => {
                let shown =
                    format!("Basic base64({}:{})", username.redacted(), password.redacted());
                Injected::Header("authorization".to_owned(), Secret::new(shown))
            }
            Credential::Query { name, value } => {
                Injected::Query(name.clone(), Secret::new(value.redacted()))
            }
        }),
        Some(Credential::Header { name, value }) => {
            value.fill(&look).map(|value| Injected::Header(name.clone(), value))
        }
        Some(Credential::Basic { username, password }) => {
            let pair = username.fill(&look).zip(password.fill(&look));
            pair.map(|(user, password)| {
                let plain = format!("{}:{}", user.expose(), password.expose());
                let value = format!("Basic {}", data_encoding::BASE64.encode(plain.as_bytes()));
                Injected::Header("authorization".to_owned(), Secret::new(value))
            })
        }
        Some(Credential::Query { name, value }) => {
            value.fill(&look).map(|value| Injected::Query(name.clone(), value))
        }
    };
    let named = upstream.credential.iter().flat_map(Credential::secrets);
    let mut watched: Vec<&Secret> = named.filter_map(look).collect();
    if let Some(Injected::Header(_, value) | Injected::Query(_, value)) = &injected {
        watched.push(value);
    }
    let guard = match upstream.leak_guard {
        LeakGuardMode::Headers if !offline => LeakGuard::new(watched),
        _ => LeakGuard::default(),
    };
    Prepared { injected, guard }
}
