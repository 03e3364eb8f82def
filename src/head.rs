//! The request as the platform hands it over, read one thing at a time.

use js_sys::Reflect;
use tollgate_core::request::Head;
use wasm_bindgen::JsValue;

/// A request of the platform. Each method crosses into JavaScript once or twice.
pub(crate) struct JsHead<'r> {
    request: &'r web_sys::Request,
    headers: web_sys::Headers,
}

impl<'r> JsHead<'r> {
    pub(crate) fn new(request: &'r web_sys::Request) -> Self {
        Self { request, headers: request.headers() }
    }

    /// A property of `request.cf`, which Cloudflare fills, and workerd in part.
    fn cf(&self, name: &str) -> Option<String> {
        let cf = Reflect::get(self.request, &JsValue::from_str("cf")).ok()?;
        Reflect::get(&cf, &JsValue::from_str(name)).ok()?.as_string()
    }
}

impl Head for JsHead<'_> {
    fn method(&self) -> String {
        self.request.method()
    }

    fn url(&self) -> String {
        self.request.url()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    fn header_names(&self) -> Vec<String> {
        let names = js_sys::Array::from(&self.headers.keys());
        names.iter().filter_map(|name| name.as_string()).collect()
    }

    fn socket(&self) -> Option<String> {
        self.cf("clientIp")
    }

    fn tls_version(&self) -> Option<String> {
        self.cf("tlsVersion")
    }

    fn country(&self) -> Option<String> {
        self.cf("country")
    }

    fn has_body(&self) -> bool {
        let body = Reflect::get(self.request, &JsValue::from_str("body"));
        body.is_ok_and(|body| body.is_object() && !body.is_null())
    }
}
