//! Ed25519: the signature under the head of an export of the audit (RFC 8032).

use js_sys::{Array, Promise, Reflect, Uint8Array};
use tollgate_core::road::Fault;
use wasm_bindgen::prelude::*;

use super::{algorithm, bytes, settled};
use crate::house::bindings::fault;

/// What goes before the 32 bytes of a private key in PKCS #8 (RFC 8410 section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The name of the algorithm.
const ED25519: &str = "Ed25519";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = exportKey)]
    fn export_key(format: &str, key: &JsValue) -> Result<Promise, JsValue>;
}

/// A private key.
pub(crate) struct SigningKey(JsValue);

impl SigningKey {
    /// The key of these 32 bytes.
    pub(crate) async fn new(seed: &[u8; 32]) -> Result<Self, Fault> {
        let form = [PKCS8.as_slice(), seed].concat();
        let usages: Array = [JsValue::from_str("sign")].into_iter().collect();
        let form: JsValue = Uint8Array::from(form.as_slice()).into();
        // Whoever has the bytes can export them anyway; the public half comes out no other way.
        let ed25519 = algorithm(ED25519, &[])?;
        settled(super::import_key("pkcs8", &form, &ed25519, true, &usages)).await.map(Self)
    }

    /// The public half, in base64url without padding.
    pub(crate) async fn public(&self) -> Result<String, Fault> {
        let jwk = settled(export_key("jwk", &self.0)).await?;
        let x = Reflect::get(&jwk, &"x".into()).map_err(|error| fault(&error))?;
        x.as_string().ok_or_else(|| Fault("an Ed25519 key has no public half".to_owned()))
    }

    /// The signature over a text.
    pub(crate) async fn sign(&self, text: &str) -> Result<Vec<u8>, Fault> {
        let text = Uint8Array::from(text.as_bytes());
        let ed25519 = algorithm(ED25519, &[])?;
        bytes(super::subtle_sign(&ed25519, &self.0, &text)).await
    }
}
