//! What the platform binds to the house: names, and stores that are waited for. What is missing is a
//! [`Fault`], never a panic.

use js_sys::{Array, Function, Object, Promise, Reflect};
use tollgate_core::road::Fault;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

pub(crate) use crate::bindings::{ANALYTICS, COUNTER, KEY, TENANT, property, text};

/// The secret that other secrets are kept under where they must be read again.
pub(crate) const STORE_KEY: &str = "STORE_KEY";
/// The secret that opens the management API without a key.
pub(crate) const ROOT_TOKEN: &str = "ROOT_TOKEN";
/// The KV namespace that caches key records.
pub(crate) const KEYS: &str = "KEYS";
/// The files of `www/`.
pub(crate) const ASSETS: &str = "ASSETS";

/// The bindings without which no key can be made or used.
pub(crate) const STORES: [&str; 4] = [KEYS, KEY, TENANT, COUNTER];

/// The longest that a store may take, in milliseconds. One that hangs is one that failed.
const PATIENCE: i32 = 10_000;
/// The longest that a caller waits for its change to be delivered everywhere, in milliseconds.
/// Delivery goes on without it.
const DELIVERY_PATIENCE: i32 = 3_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(run: &Function, milliseconds: i32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);

    /// The platform's own.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch_url(url: &str, init: &JsValue) -> Result<Promise, JsValue>;

    /// A namespace of Durable Objects.
    type Namespace;
    #[wasm_bindgen(method, catch, js_name = idFromName)]
    fn id_from_name(this: &Namespace, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn get(this: &Namespace, id: &JsValue) -> Result<Stub, JsValue>;

    /// An object elsewhere, with the methods that `worker.mjs` gives each class. What a method
    /// returns is thenable, and no Promise.
    type Stub;
    #[wasm_bindgen(method, catch)]
    fn call(this: &Stub, message: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn flush(this: &Stub) -> Result<JsValue, JsValue>;

    /// A KV namespace.
    type Kv;
    #[wasm_bindgen(method, catch)]
    fn put(this: &Kv, name: &str, value: &str) -> Result<JsValue, JsValue>;

    /// A dataset of Analytics Engine.
    type Dataset;
    #[wasm_bindgen(method, catch, js_name = writeDataPoint)]
    fn write_data_point(this: &Dataset, point: &JsValue) -> Result<JsValue, JsValue>;

    /// A service that answers requests.
    type Service;
    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Service, url: &str) -> Result<JsValue, JsValue>;
}

/// Asks the object `name` of `namespace` one thing.
pub(crate) async fn call_object(
    env: &JsValue,
    namespace: &str,
    name: &str,
    message: &str,
) -> Result<String, Fault> {
    let answer = settle(stub(env, namespace, name)?.call(message), PATIENCE).await?;
    answer.as_string().ok_or_else(|| Fault(format!("{namespace} answered without a text")))
}

/// Has the object `name` of [`KEY`] deliver its outbox now.
pub(crate) async fn flush_object(env: &JsValue, name: &str) -> Result<(), Fault> {
    settle(stub(env, KEY, name)?.flush(), DELIVERY_PATIENCE).await.map(|_| ())
}

/// Has the object `name` of [`TENANT`] tell the one over all tenants now; true if nothing is left.
pub(crate) async fn flush_tenant(env: &JsValue, name: &str) -> Result<bool, Fault> {
    let told = settle(stub(env, TENANT, name)?.flush(), DELIVERY_PATIENCE).await?;
    Ok(told.as_bool() == Some(true))
}

/// Stores an entry in [`KEYS`].
pub(crate) async fn put_entry(env: &JsValue, name: &str, value: &str) -> Result<(), Fault> {
    let kv: Kv = binding(env, KEYS)?.unchecked_into();
    settle(kv.put(name, value), PATIENCE).await.map(|_| ())
}

/// Writes a data point, given as JSON, where there is a dataset. Nobody waits for it, and nobody
/// misses one that could not be written.
pub(crate) fn write_point(env: &JsValue, point: impl FnOnce() -> String) {
    let Some(dataset) = property(env, ANALYTICS) else { return };
    if let Ok(point) = js_sys::JSON::parse(&point()) {
        let dataset: Dataset = dataset.unchecked_into();
        let _ = dataset.write_data_point(&point);
    }
}

/// Fetches a file of `www/` by its path.
pub(crate) async fn fetch_asset(env: &JsValue, path: &str) -> Result<web_sys::Response, Fault> {
    let assets: Service = binding(env, ASSETS)?.unchecked_into();
    // The host is said because a URL has one; nobody looks at it.
    let answer = settle(assets.fetch(&format!("http://assets{path}")), PATIENCE).await?;
    answer.dyn_into().map_err(|_| Fault("ASSETS answered without a Response".to_owned()))
}

/// Fetches what somebody else publishes. A redirect is an answer like any other.
pub(crate) async fn fetch_public(url: &str) -> Result<web_sys::Response, Fault> {
    let set = |on: &Object, name: &str, value: &JsValue| {
        Reflect::set(on, &JsValue::from_str(name), value).map_err(|error| fault(&error))
    };
    let (headers, init) = (Object::new(), Object::new());
    set(&headers, "accept", &JsValue::from_str("application/json"))?;
    // GitHub answers nobody without one.
    set(&headers, "user-agent", &JsValue::from_str("tollgate"))?;
    set(&init, "headers", &headers)?;
    set(&init, "redirect", &JsValue::from_str("manual"))?;
    let answer = settle(fetch_url(url, &init).map(Into::into), PATIENCE).await?;
    answer.dyn_into().map_err(|_| Fault(format!("{url} answered without a Response")))
}

fn stub(env: &JsValue, namespace: &str, name: &str) -> Result<Stub, Fault> {
    let objects: Namespace = binding(env, namespace)?.unchecked_into();
    objects.id_from_name(name).and_then(|id| objects.get(&id)).map_err(|error| fault(&error))
}

fn binding(env: &JsValue, name: &str) -> Result<JsValue, Fault> {
    property(env, name).ok_or_else(|| Fault(format!("the binding {name} is missing")))
}

/// What was started, if it ends within `patience` milliseconds.
pub(crate) async fn settle(
    started: Result<JsValue, JsValue>,
    patience: i32,
) -> Result<JsValue, Fault> {
    let started = started.map_err(|error| fault(&error))?;
    let mut timer = JsValue::UNDEFINED;
    let late = Promise::new(&mut |_, reject| timer = set_timeout(&reject, patience));
    let first = Promise::race(&Array::of2(&started, &late));
    let settled = JsFuture::from(first).await;
    clear_timeout(&timer);
    settled.map_err(|error| {
        // The timer rejects with nothing.
        if error.is_undefined() { Fault("it took too long".to_owned()) } else { fault(&error) }
    })
}

/// What JavaScript threw, for the operator's log.
pub(crate) fn fault(error: &JsValue) -> Fault {
    Fault(format!("{error:?}"))
}
