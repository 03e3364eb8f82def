//! What hashes. MACs are made in plain Rust everywhere, the house included; Ed25519 is the
//! platform's, so whatever runs this says how.

use core::fmt;
use std::borrow::Cow;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::scheme::Algorithm;

/// A message as pieces that are hashed one after the other: the body is never copied.
pub type Message<'m> = [Cow<'m, [u8]>];

/// One piece of work for whatever hashes.
#[derive(Clone, Copy)]
pub enum Task<'t> {
    /// The MAC of a message.
    Mac {
        /// The HMAC.
        algorithm: Algorithm,
        /// The key.
        key: &'t [u8],
        /// What it is made over.
        message: &'t Message<'t>,
    },
    /// Whether an Ed25519 signature fits a message.
    Ed25519 {
        /// The public key, 32 bytes.
        key: &'t [u8],
        /// What was signed.
        message: &'t Message<'t>,
        /// The signature, 64 bytes.
        signature: &'t [u8],
    },
}

/// What came of a task.
#[derive(Clone, PartialEq, Eq)]
pub enum Done {
    /// A MAC.
    Mac(Vec<u8>),
    /// Whether the signature fits.
    Fits(bool),
    /// Nothing: it counts as a signature that does not fit.
    Failed,
}

/// Keys and MACs are secrets, and whoever logs a value sees this.
impl fmt::Debug for Task<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac { algorithm, .. } => write!(out, "Mac({})", algorithm.as_str()),
            Self::Ed25519 { .. } => out.write_str("Ed25519"),
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(_) => out.write_str("Mac"),
            Self::Fits(fits) => write!(out, "Fits({fits})"),
            Self::Failed => out.write_str("Failed"),
        }
    }
}

/// What hashes.
pub trait Crypto {
    /// The MAC of a message; none for an algorithm that makes no MAC.
    fn mac(&self, algorithm: Algorithm, key: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
        portable_mac(algorithm, key, message)
    }

    /// Whether an Ed25519 signature fits a message.
    fn ed25519_fits(&self, key: &[u8], message: &Message<'_>, signature: &[u8]) -> bool;

    /// The Ed25519 signature by the private key that comes of a seed of 32 bytes.
    fn ed25519_sign(&self, seed: &[u8], message: &Message<'_>) -> Option<Vec<u8>>;

    /// Does a task.
    fn run(&self, task: Task<'_>) -> Done {
        match task {
            Task::Mac { algorithm, key, message } => {
                self.mac(algorithm, key, message).map_or(Done::Failed, Done::Mac)
            }
            Task::Ed25519 { key, message, signature } => {
                Done::Fits(self.ed25519_fits(key, message, signature))
            }
        }
    }
}

/// HMAC in plain Rust, everywhere. It knows no Ed25519, so such a signature never fits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Crypto for Portable {
    fn ed25519_fits(&self, _: &[u8], _: &Message<'_>, _: &[u8]) -> bool {
        false
    }

    fn ed25519_sign(&self, _: &[u8], _: &Message<'_>) -> Option<Vec<u8>> {
        None
    }
}

/// An HMAC in plain Rust.
pub fn portable_mac(algorithm: Algorithm, key: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::HmacSha1 => mac::<Hmac<Sha1>>(key, message),
        Algorithm::HmacSha256 => mac::<Hmac<Sha256>>(key, message),
        Algorithm::HmacSha512 => mac::<Hmac<Sha512>>(key, message),
        Algorithm::Ed25519 => None,
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for piece in message {
        mac.update(piece);
    }
    Some(mac.finalize().into_bytes().to_vec())
}
