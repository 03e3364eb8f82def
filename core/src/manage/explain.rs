//! `POST explain`: what is asked, and whose key it is about.

use serde_json::Value;

use super::field::{Errors, Field, Object};
use crate::explain::{Body, Encoded, MAX_HEADERS, Request};
use crate::header::name;
use crate::key::{Key, KeyId, Presented, Token};
use crate::problem::Problem;

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct ExplainAsk {
    /// The request, written down.
    pub request: Request,
    /// The key that makes it.
    pub key: Option<AskedKey>,
}

/// How a key was named.
#[derive(Clone, Debug)]
pub enum AskedKey {
    /// By its id: its secret is taken for granted.
    Id(KeyId),
    /// By a credential in the request, whose secret has to be right.
    Presented(Box<Key>),
    /// By a token in the request, which the gate has to have made.
    Token(Box<Token>),
}

impl ExplainAsk {
    /// Reads the body: `request`, and `key_id` where the request carries no credential.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn read(body: &Value) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let ask = Object::body(body, &["request", "key_id"], &[], &errors).and_then(|body| {
            let request = request(&body.field("request").required());
            let key_id = body.field("key_id");
            let id = key_id.read(KeyId::parse);
            let request = request?;
            let presented = presented(&request);
            if id.is_some() && presented.is_some() {
                key_id.wrong("the request carries a key of its own: leave this out");
            }
            let key = presented.or(id.map(AskedKey::Id));
            Some(Self { request, key })
        });
        errors.settle(ask)
    }
}

/// The request, field by field: what does not fit is told by its place, never by its text, which
/// may hold a credential.
fn request(field: &Field<'_>) -> Option<Request> {
    let object = field.object(&["method", "url", "headers", "client_ip", "body"], &[])?;
    let text = |name| object.field(name).required().text().map(str::to_owned);
    let (method, url) = (text("method"), text("url"));
    let headers = object.field("headers").items(MAX_HEADERS);
    let headers = headers.map(|headers| headers.iter().filter_map(header).collect());
    let client_ip = object.field("client_ip").text().map(str::to_owned);
    let body = object.field("body");
    let body = if body.is_given() { written(&body) } else { None };
    let headers = headers.unwrap_or_default();
    Some(Request { method: method?, url: url?, headers, client_ip, body })
}

/// A body: a text, or `{"base64": "…"}`.
fn written(field: &Field<'_>) -> Option<Body> {
    if let Some(Value::String(text)) = field.value() {
        return Some(Body::Text(text.clone()));
    }
    let encoded = field.object(&["base64"], &[])?.field("base64").required();
    encoded.read(|text| Encoded::read(text).ok_or("is no base64")).map(Body::Encoded)
}

/// One header: its name and its value.
fn header(field: &Field<'_>) -> Option<(String, String)> {
    let pair = field.items(2)?;
    let [name, value] = pair.as_slice() else {
        field.wrong("has to be a name and a value");
        return None;
    };
    Some((name.text()?.to_owned(), value.text()?.to_owned()))
}

/// The whole key or token in the request's headers, if there is one.
fn presented(request: &Request) -> Option<AskedKey> {
    let header = |wanted: &str| {
        let found = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    match Presented::read(header(name::AUTHORIZATION), header(name::X_API_KEY)) {
        Ok(Presented::Key(key)) => Some(AskedKey::Presented(Box::new(key))),
        Ok(Presented::Token(token)) => Some(AskedKey::Token(token)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manage::tests::{body, made};

    #[test]
    fn a_key_is_named_once() {
        let made = made(&body("sk", json!({})));
        let (id, key) = (made.record.id.as_str(), made.secret.expose());
        let plain = json!({ "method": "GET", "url": "https://a/b" });
        let with = |header: (&str, &str)| json!({ "method": "GET", "url": "https://a/b", "headers": [[header.0, header.1]] });
        for (ask, named) in [
            (json!({ "request": plain }), Some("nobody")),
            (json!({ "request": plain, "key_id": id }), Some("id")),
            (json!({ "request": with(("X-API-Key", key)) }), Some("presented")),
            (
                json!({ "request": with(("Authorization", &format!("Bearer {key}"))) }),
                Some("presented"),
            ),
            (json!({ "request": with(("X-API-Key", "no key")) }), Some("nobody")),
            (json!({ "request": with(("X-API-Key", key)), "key_id": id }), None),
            (json!({ "request": plain, "key_id": "short" }), None),
            (json!({ "request": { "method": "GET" } }), None),
            (json!({ "request": { "method": "GET", "url": 1 } }), None),
            (
                json!({ "request": { "method": "GET", "url": "https://a", "headers": [["a"]] } }),
                None,
            ),
            (
                json!({ "request": { "method": "GET", "url": "https://a", "headers": [["a", 1]] } }),
                None,
            ),
            (
                json!({ "request": { "method": "GET", "url": "https://a", "headers": vec![["a", "b"]; 201] } }),
                None,
            ),
            (
                json!({ "request": { "method": "GET", "url": "https://a", "headers": vec![["a", "b"]; 200] } }),
                Some("nobody"),
            ),
            (json!({ "request": { "method": "GET", "url": "https://a", "uri": "" } }), None),
            (json!({ "key_id": id }), None),
            (json!({}), None),
        ] {
            let read = ExplainAsk::read(&ask).ok().map(|read| match read.key {
                None => "nobody",
                Some(AskedKey::Id(_)) => "id",
                Some(AskedKey::Presented(_)) => "presented",
                Some(AskedKey::Token(_)) => "token",
            });
            assert_eq!(read, named, "{ask}");
        }
    }
}
