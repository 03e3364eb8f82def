//! Ed25519 for webhooks.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use tollgate_core::webhook::{Crypto, Message, hex, unhex};

/// HMAC as the gate makes it, and Ed25519 by `ring`.
pub(crate) struct Ring;

impl Crypto for Ring {
    fn ed25519_fits(&self, key: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(&message.concat(), signature).is_ok()
    }

    fn ed25519_sign(&self, seed: &[u8], message: &Message<'_>) -> Option<Vec<u8>> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(pair.sign(&message.concat()).as_ref().to_vec())
    }
}

/// The public key of a seed, in hex: what a verifier takes as its secret.
pub(super) fn public_key(seed: &str) -> Option<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&unhex(seed)?).ok()?;
    Some(hex(pair.public_key().as_ref()))
}
