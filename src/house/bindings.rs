//! What the platform binds to the house: names, and stores that are waited for. What is missing is
//! a [`Fault`], never a panic.

use core::cell::RefCell;
use std::collections::BTreeMap;

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use tollgate_core::road::Fault;
use tollgate_core::time::Millis;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

pub(crate) use crate::bindings::{ANALYTICS, COUNTER, KEY, TENANT, property, text};

/// The secret that other secrets are kept under where they must be read again.
pub(crate) const STORE_KEY: &str = "STORE_KEY";
/// The secret that opens the management API without a key.
pub(crate) const ROOT_TOKEN: &str = "ROOT_TOKEN";
/// The KV namespace that caches key records.
pub(crate) const KEYS: &str = "KEYS";
/// The objects of tenants' endpoints.
pub(crate) const ENDPOINT: &str = "ENDPOINT";
/// On workerd the network that events are sent through. Cloudflare's own fetch is strictly public.
pub(crate) const HOOKS: &str = "HOOKS";
/// The inboxes of sources: one per source and shard.
pub(crate) const INBOX: &str = "INBOX";
/// The files of `www/`.
pub(crate) const ASSETS: &str = "ASSETS";

/// The bindings without which no key can be made or used, and no webhook taken or sent.
pub(crate) const STORES: [&str; 6] = [KEYS, KEY, TENANT, COUNTER, ENDPOINT, INBOX];

/// The longest that a store may take, in milliseconds. One that hangs is one that failed.
const PATIENCE: i32 = 10_000;
/// The longest that a caller waits for its change to be delivered everywhere, in milliseconds.
/// Delivery goes on without it.
const DELIVERY_PATIENCE: i32 = 3_000;
/// The same of what may be lost.
const TELLING_PATIENCE: i32 = 500;

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
    #[wasm_bindgen(method, catch, js_name = call)]
    fn call_with(this: &Stub, message: &str, bytes: &Uint8Array) -> Result<JsValue, JsValue>;
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
    #[wasm_bindgen(method, catch, js_name = fetch)]
    fn fetch_with(this: &Service, url: &str, init: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = AbortSignal, js_name = timeout)]
    fn abort_signal_after(milliseconds: i32) -> JsValue;
    #[wasm_bindgen(js_namespace = AbortSignal, js_name = any)]
    fn any_signal(signals: &Array) -> JsValue;

    /// The platform's own, whose `abort` takes a reason.
    #[wasm_bindgen(js_name = AbortController)]
    type Controller;
    #[wasm_bindgen(constructor, js_class = "AbortController")]
    fn new() -> Controller;
    #[wasm_bindgen(method, getter)]
    fn signal(this: &Controller) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = abort)]
    fn abort_function(this: &Controller) -> Function;
    #[wasm_bindgen(js_name = DOMException)]
    type Exception;
    #[wasm_bindgen(constructor, js_class = "DOMException")]
    fn named(message: &str, name: &str) -> Exception;
}

/// Asks the object `name` of `namespace` one thing.
pub(crate) async fn call_object(
    env: &JsValue,
    namespace: &str,
    name: &str,
    message: &str,
) -> Result<String, Fault> {
    let answer = settle(stub(env, namespace, name)?.call(message), PATIENCE).await?;
    text_of(namespace, &answer)
}

/// Tells the object `name` of `namespace` something that may be lost: somebody waits for an answer
/// that does not depend on it.
pub(crate) async fn tell_object(
    env: &JsValue,
    namespace: &str,
    name: &str,
    message: &str,
) -> Result<(), Fault> {
    settle(stub(env, namespace, name)?.call(message), TELLING_PATIENCE).await.map(|_| ())
}

/// The same as [`call_object`], with bytes beside the message.
pub(crate) async fn call_with(
    env: &JsValue,
    namespace: &str,
    name: &str,
    message: &str,
    bytes: Option<&Uint8Array>,
) -> Result<String, Fault> {
    let Some(bytes) = bytes else { return call_object(env, namespace, name, message).await };
    // Nothing is held for whoever waits here, so that there is no timer.
    let called = stub(env, namespace, name)?.call_with(message, bytes);
    let called = Promise::resolve(&called.map_err(|error| fault(&error))?);
    let answer = JsFuture::from(called).await.map_err(|error| fault(&error))?;
    text_of(namespace, &answer)
}

fn text_of(namespace: &str, answer: &JsValue) -> Result<String, Fault> {
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

/// Why an event that was sent has no answer.
pub(crate) enum Unanswered {
    /// None came in time.
    Late,
    /// Nobody was there, or the connection broke.
    Broken,
    /// Nothing was sent: on workerd there has to be the network [`HOOKS`], because the other one
    /// reaches what is private.
    NotApart,
}

/// Sends an event to where a tenant wants it, and waits for an answer, which may be a redirect.
pub(crate) async fn send_event(
    env: &JsValue,
    url: &str,
    headers: &[(&'static str, String)],
    body: &str,
    apart: bool,
    timeout: i32,
) -> Result<web_sys::Response, Unanswered> {
    let broken = |_| Unanswered::Broken;
    let set = |on: &Object, name: &str, value: &JsValue| {
        Reflect::set(on, &JsValue::from_str(name), value).map_err(broken)
    };
    let (list, init) = (Object::new(), Object::new());
    for (name, value) in headers {
        set(&list, name, &JsValue::from_str(value))?;
    }
    set(&init, "method", &JsValue::from_str("POST"))?;
    set(&init, "headers", &list)?;
    set(&init, "body", &JsValue::from_str(body))?;
    set(&init, "redirect", &JsValue::from_str("manual"))?;
    set(&init, "signal", &abort_signal_after(timeout))?;
    let started = match property(env, HOOKS) {
        Some(network) => network.unchecked_into::<Service>().fetch_with(url, &init),
        None if apart => return Err(Unanswered::NotApart),
        None => fetch_url(url, &init).map(Into::into),
    };
    let promise = Promise::resolve(&started.map_err(broken)?);
    match JsFuture::from(promise).await {
        Ok(answer) => answer.dyn_into().map_err(broken),
        Err(error) if is_timeout(&error) => Err(Unanswered::Late),
        Err(error) => Err(broken(error)),
    }
}

pub(crate) fn is_timeout(error: &JsValue) -> bool {
    property(error, "name").and_then(|name| name.as_string()).as_deref() == Some("TimeoutError")
}

/// Fetches from a backend, as `init` says.
pub(crate) fn fetch(url: &str, init: &JsValue) -> Result<JsValue, JsValue> {
    fetch_url(url, init).map(Into::into)
}

/// A signal that breaks off what hangs on it after so long.
pub(crate) fn aborted_after(after: Millis) -> JsValue {
    abort_signal_after(i32::try_from(after.as_millis()).unwrap_or(i32::MAX))
}

/// The same, until it is settled.
pub(crate) fn aborter(after: Millis) -> Aborter {
    let controller = Controller::new();
    let late = Exception::named("it took too long", "TimeoutError");
    let abort: Function = controller.abort_function().bind1(&controller, &late).unchecked_into();
    let timer = set_timeout(&abort, i32::try_from(after.as_millis()).unwrap_or(i32::MAX));
    Aborter { controller, timer }
}

/// What breaks something off, unless it is settled before.
pub(crate) struct Aborter {
    controller: Controller,
    timer: JsValue,
}

impl Aborter {
    /// What the other side hangs on.
    pub(crate) fn signal(&self) -> JsValue {
        self.controller.signal()
    }

    /// It has come in time.
    pub(crate) fn settle(self) {
        clear_timeout(&self.timer);
    }
}

/// A signal that breaks off when either of these does.
pub(crate) fn any_of(one: &JsValue, other: &JsValue) -> JsValue {
    any_signal(&Array::of2(one, other))
}

fn stub(env: &JsValue, namespace: &str, name: &str) -> Result<Stub, Fault> {
    let objects: Namespace = binding(env, namespace)?.unchecked_into();
    let id = id_of(&objects, namespace, name).map_err(|error| fault(&error))?;
    objects.get(&id).map_err(|error| fault(&error))
}

thread_local! {
    /// Ids of inboxes, of which there are few that are asked often: to make one again takes longer
    /// than to look it up.
    static IDS: RefCell<BTreeMap<String, JsValue>> = RefCell::default();
}

fn id_of(objects: &Namespace, namespace: &str, name: &str) -> Result<JsValue, JsValue> {
    if namespace != INBOX {
        return objects.id_from_name(name);
    }
    IDS.with_borrow_mut(|ids| {
        if let Some(id) = ids.get(name) {
            return Ok(id.clone());
        }
        let id = objects.id_from_name(name)?;
        ids.insert(name.to_owned(), id.clone());
        Ok(id)
    })
}

fn binding(env: &JsValue, name: &str) -> Result<JsValue, Fault> {
    property(env, name).ok_or_else(|| Fault(format!("the binding {name} is missing")))
}

/// What was started, if it ends within `patience` milliseconds.
pub(crate) async fn settle(
    started: Result<JsValue, JsValue>,
    patience: i32,
) -> Result<JsValue, Fault> {
    within(started, patience).await.map_err(|late| match late {
        Late::TooLong => Fault("it took too long".to_owned()),
        Late::Failed(fault) => fault,
    })
}

/// Waits so many milliseconds.
pub(crate) async fn after(milliseconds: i32) {
    let over = Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, milliseconds);
    });
    // A timer only ever resolves.
    let _ = JsFuture::from(over).await;
}

/// Why there is nothing of what was started.
#[derive(Debug)]
pub(crate) enum Late {
    /// It did not end in time.
    TooLong,
    /// It ended with this.
    Failed(Fault),
}

/// The same, for callers to whom the two are not one.
pub(crate) async fn within(
    started: Result<JsValue, JsValue>,
    patience: i32,
) -> Result<JsValue, Late> {
    let started = started.map_err(|error| Late::Failed(fault(&error)))?;
    let mut timer = JsValue::UNDEFINED;
    let late = Promise::new(&mut |_, reject| timer = set_timeout(&reject, patience));
    let first = Promise::race(&Array::of2(&started, &late));
    let settled = JsFuture::from(first).await;
    clear_timeout(&timer);
    settled.map_err(|error| {
        // The timer rejects with nothing.
        if error.is_undefined() { Late::TooLong } else { Late::Failed(fault(&error)) }
    })
}

/// What JavaScript threw, for the operator's log.
pub(crate) fn fault(error: &JsValue) -> Fault {
    Fault(format!("{error:?}"))
}
