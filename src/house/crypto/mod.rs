//! `WebCrypto`, as values: what the platform computes faster, or what the core has no code for.
//! Everything here waits, so none of it is on the road.

pub(crate) mod aes;
pub(crate) mod ecdsa;
pub(crate) mod ed25519;
pub(crate) mod rsa;

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use tollgate_core::road::Fault;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::house::bindings::fault;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = encrypt)]
    fn subtle_encrypt(
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = decrypt)]
    fn subtle_decrypt(
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = sign)]
    fn subtle_sign(
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = verify)]
    fn subtle_verify(
        algorithm: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// A key that `WebCrypto` holds; it does not give it back.
#[derive(Clone, Debug)]
pub(crate) struct CryptoKey(JsValue);

/// How a key is handed to `WebCrypto`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyForm<'k> {
    /// The bytes of a symmetric key, or of a public one on a curve.
    Raw(&'k [u8]),
    /// A public key (X.509 `SubjectPublicKeyInfo`).
    Spki(&'k [u8]),
    /// A JSON Web Key: its members, which are all texts.
    Jwk(&'k [(&'k str, &'k str)]),
}

impl CryptoKey {
    /// Takes a key. `usages`: `sign`, `verify`, `encrypt`, `decrypt`.
    pub(crate) async fn import(
        form: KeyForm<'_>,
        algorithm: &Object,
        usages: &[&str],
    ) -> Result<Self, Fault> {
        let (format, key) = match form {
            KeyForm::Raw(bytes) => ("raw", Uint8Array::from(bytes).into()),
            KeyForm::Spki(bytes) => ("spki", Uint8Array::from(bytes).into()),
            KeyForm::Jwk(members) => {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| (*name, JsValue::from_str(value))).collect();
                ("jwk", object(&members)?.into())
            }
        };
        let usages: Array = usages.iter().map(|usage| JsValue::from_str(usage)).collect();
        settled(import_key(format, &key, algorithm, false, &usages)).await.map(Self)
    }

    pub(crate) async fn encrypt(&self, algorithm: &Object, plain: &[u8]) -> Result<Vec<u8>, Fault> {
        bytes(subtle_encrypt(algorithm, &self.0, &Uint8Array::from(plain))).await
    }

    pub(crate) async fn decrypt(
        &self,
        algorithm: &Object,
        hidden: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        bytes(subtle_decrypt(algorithm, &self.0, &Uint8Array::from(hidden))).await
    }

    pub(crate) async fn verify(
        &self,
        algorithm: &Object,
        signature: &[u8],
        data: &[u8],
    ) -> Result<bool, Fault> {
        let (signature, data) = (Uint8Array::from(signature), Uint8Array::from(data));
        let fits = settled(subtle_verify(algorithm, &self.0, &signature, &data)).await?;
        Ok(fits.is_truthy())
    }
}

/// An algorithm with its parameters, as `WebCrypto` wants it.
pub(crate) fn algorithm(name: &str, members: &[(&str, JsValue)]) -> Result<Object, Fault> {
    let object = object(members)?;
    set(&object, "name", &JsValue::from_str(name))?;
    Ok(object)
}

fn object(members: &[(&str, JsValue)]) -> Result<Object, Fault> {
    let object = Object::new();
    for (name, value) in members {
        set(&object, name, value)?;
    }
    Ok(object)
}

fn set(object: &Object, name: &str, value: &JsValue) -> Result<(), Fault> {
    Reflect::set(object, &JsValue::from_str(name), value).map(|_| ()).map_err(|error| fault(&error))
}

async fn bytes(started: Result<Promise, JsValue>) -> Result<Vec<u8>, Fault> {
    settled(started).await.map(|buffer| Uint8Array::new(&buffer).to_vec())
}

async fn settled(started: Result<Promise, JsValue>) -> Result<JsValue, Fault> {
    let started = started.map_err(|error| fault(&error))?;
    JsFuture::from(started).await.map_err(|error| fault(&error))
}
