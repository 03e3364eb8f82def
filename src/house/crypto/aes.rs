//! AES-256-GCM: secrets that must be read again (SPEC section 3).

use js_sys::{Object, Uint8Array};
use tollgate_core::key::{NONCE_BYTES, Sealed, StoreKeys};
use tollgate_core::road::Fault;
use tollgate_core::text::Secret;
use wasm_bindgen::JsValue;

use super::{CryptoKey, KeyForm, algorithm};
use crate::house::bindings;
use crate::platform::random;

/// The versions of `STORE_KEY`; a fault when it is missing or bad.
pub(crate) fn store_keys(env: &JsValue) -> Result<StoreKeys, Fault> {
    let secret = bindings::text(env, bindings::STORE_KEY)
        .ok_or_else(|| Fault(format!("the secret {} is not set", bindings::STORE_KEY)))?;
    StoreKeys::parse(&Secret::new(secret)).map_err(|error| Fault(error.to_string()))
}

/// Hides a text under the newest `STORE_KEY`. `row` says where it is kept: moved elsewhere, it does
/// not open.
pub(crate) async fn keep(keys: &StoreKeys, row: &str, plain: &str) -> Result<String, Fault> {
    let (version, key) = keys.newest().ok_or_else(|| Fault("there is no STORE_KEY".to_owned()))?;
    let nonce = random().ok_or_else(|| Fault("the platform gives no randomness".to_owned()))?;
    seal_under(version, key, row, plain, nonce).await
}

/// The text that [`keep`] hid for this row.
pub(crate) async fn kept(keys: &StoreKeys, row: &str, text: &str) -> Result<String, Fault> {
    let version = Sealed::parse(text).map(|sealed| sealed.version);
    let key = version.and_then(|version| keys.of(version));
    let key = key.ok_or_else(|| Fault(format!("{row} is under a STORE_KEY that is gone")))?;
    open(key, row, text).await
}

/// Hides a text under a key that is not `STORE_KEY`. The nonce may never be used twice with it.
pub(crate) async fn seal(
    key: &[u8; 32],
    aad: &str,
    plain: &str,
    nonce: [u8; NONCE_BYTES],
) -> Result<String, Fault> {
    seal_under(0, key, aad, plain, nonce).await
}

/// The text that was hidden under this key for this place; a fault for any other.
pub(crate) async fn open(key: &[u8; 32], aad: &str, text: &str) -> Result<String, Fault> {
    let sealed = Sealed::parse(text).ok_or_else(|| Fault(format!("{aad} cannot be read")))?;
    let key = import(key, "decrypt").await?;
    let plain = key.decrypt(&parameters(&sealed.nonce, aad)?, &sealed.hidden).await;
    // Why it does not open is nothing that the platform tells.
    plain
        .ok()
        .and_then(|plain| String::from_utf8(plain).ok())
        .ok_or_else(|| Fault(format!("{aad} does not open")))
}

async fn seal_under(
    version: u32,
    key: &[u8; 32],
    aad: &str,
    plain: &str,
    nonce: [u8; NONCE_BYTES],
) -> Result<String, Fault> {
    let key = import(key, "encrypt").await?;
    let hidden = key.encrypt(&parameters(&nonce, aad)?, plain.as_bytes()).await?;
    Ok(Sealed { version, nonce, hidden }.to_text())
}

async fn import(key: &[u8; 32], usage: &str) -> Result<CryptoKey, Fault> {
    CryptoKey::import(KeyForm::Raw(key), &algorithm("AES-GCM", &[])?, &[usage]).await
}

fn parameters(nonce: &[u8; NONCE_BYTES], aad: &str) -> Result<Object, Fault> {
    let bytes = |bytes: &[u8]| Uint8Array::from(bytes).into();
    algorithm("AES-GCM", &[("iv", bytes(nonce)), ("additionalData", bytes(aad.as_bytes()))])
}
