//! ECDSA on P-256 with SHA-256: signatures of other people's services.

use tollgate_core::road::Fault;
use wasm_bindgen::JsValue;

use super::{CryptoKey, KeyForm, algorithm};

/// True when `signature` (two numbers of 32 bytes) is one of `data` by the holder of this public
/// key (`SubjectPublicKeyInfo`).
pub(crate) async fn verifies(key: &[u8], signature: &[u8; 64], data: &[u8]) -> Result<bool, Fault> {
    let text = JsValue::from_str;
    let curve = algorithm("ECDSA", &[("namedCurve", text("P-256"))])?;
    let key = CryptoKey::import(KeyForm::Spki(key), &curve, &["verify"]).await?;
    key.verify(&algorithm("ECDSA", &[("hash", text("SHA-256"))])?, signature, data).await
}
