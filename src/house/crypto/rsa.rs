//! RSASSA-PKCS1-v1_5 with SHA-256 (`RS256` of RFC 7518): tokens of other people's services.

use tollgate_core::road::Fault;
use wasm_bindgen::JsValue;

use super::{CryptoKey, KeyForm, algorithm};

/// True when `signature` is one of `data` by the holder of the public key with this modulus and
/// exponent, both in base64url.
pub(crate) async fn verifies(
    modulus: &str,
    exponent: &str,
    signature: &[u8],
    data: &[u8],
) -> Result<bool, Fault> {
    let rsa = algorithm("RSASSA-PKCS1-v1_5", &[("hash", JsValue::from_str("SHA-256"))])?;
    let key = KeyForm::Jwk(&[("kty", "RSA"), ("n", modulus), ("e", exponent)]);
    CryptoKey::import(key, &rsa, &["verify"]).await?.verify(&rsa, signature, data).await
}
