//! The gate's own signature: Standard Webhooks, for the backend of a source and for endpoints.
//!
//! A backend verifies this one scheme, whatever the provider signs with.

use std::borrow::Cow;

use crate::text::Secret;
use crate::time::UnixMillis;

use super::crypto::Crypto;
use super::encoding::{KeyError, encode, key};
use super::scheme::{Algorithm, Encoding, KeyForm};
use super::verify::is_id;

/// The headers of the signature, in lower case.
pub const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
/// The fewest and the most bytes of a secret (Standard Webhooks, "Signature scheme").
const SECRET_BYTES: core::ops::RangeInclusive<usize> = 24..=64;
/// A new secret and the one before it.
const MAX_SIGNERS: usize = 2;

/// The secrets that the gate signs with: the present one, and the one before it during a rotation.
#[derive(Clone, Debug)]
pub struct Signers(Vec<Secret>);

/// Why the gate cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A secret of no form.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A secret that can be guessed, or one that is no secret of this scheme.
    #[error("secret {0} is not of 24 to 64 bytes")]
    Length(usize),
    /// The scheme has one signature for each secret.
    #[error("there are more than two secrets")]
    TooMany,
    /// An id that could be divided from the time in another way.
    #[error("the id is not of 1 to 256 visible characters without a dot")]
    Id,
    /// Whatever hashes did not.
    #[error("the signature could not be made")]
    Crypto,
}

impl Signers {
    /// Reads one secret or two, the present one first: base64 behind `whsec_`.
    pub fn read(secrets: &[Secret]) -> Result<Self, SignerError> {
        if secrets.is_empty() {
            return Err(KeyError::None.into());
        }
        if secrets.len() > MAX_SIGNERS {
            return Err(SignerError::TooMany);
        }
        for (secret, at) in secrets.iter().zip(1..) {
            if !SECRET_BYTES.contains(&key(KeyForm::Whsec, secret, at)?.len()) {
                return Err(SignerError::Length(at));
            }
        }
        Ok(Self(secrets.to_vec()))
    }

    /// The three headers over a body, with one signature for each secret.
    pub fn sign(
        &self,
        id: &str,
        now: UnixMillis,
        body: &[u8],
        crypto: &impl Crypto,
    ) -> Result<[(&'static str, String); 3], SignerError> {
        if !is_id(id) || id.contains('.') {
            return Err(SignerError::Id);
        }
        let [id_name, time_name, signature_name] = HEADERS;
        let time = now.as_secs().to_string();
        let before = format!("{id}.{time}.");
        let message = [Cow::Borrowed(before.as_bytes()), Cow::Borrowed(body)];
        let mut signatures = Vec::new();
        for (secret, at) in self.0.iter().zip(1..) {
            let key = key(KeyForm::Whsec, secret, at)?;
            let mac =
                crypto.mac(Algorithm::HmacSha256, &key, &message).ok_or(SignerError::Crypto)?;
            signatures.push(format!("v1,{}", encode(Encoding::Base64, &mac)));
        }
        Ok([(id_name, id.to_owned()), (time_name, time), (signature_name, signatures.join(" "))])
    }
}
