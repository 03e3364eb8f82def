//! Requests that are no events: a provider asks whether somebody is there.
//!
//! The gate must never become a signing service for strangers. So an answer with a MAC in it is
//! given only behind that request's own signature, and over a token that cannot be the message of
//! any event: 1 to 128 of `[A-Za-z0-9_-]` (SPEC section 7).

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use serde_json::{Value, json as make};

use super::crypto::portable_mac;
use super::failure::{Failure, Part};
use super::fields::parameter;
use super::json;
use super::request::Request;
use super::scheme::{Answer, Challenge, Scheme, Token, When};

/// The longest token that is repeated or signed.
const MAX_TOKEN: usize = 128;

/// The answer to a challenge, or to anything that is answered by the gate alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers: its type, and what keeps a browser from running any of it.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer whose body nobody can take for a page.
    pub fn new(status: u16, content_type: Option<&'static str>, body: String) -> Self {
        let mut headers = Vec::new();
        if let Some(content_type) = content_type {
            headers.push(("Content-Type", content_type));
        }
        headers.push(("X-Content-Type-Options", "nosniff"));
        headers.push(("Content-Security-Policy", "sandbox"));
        Self { status, headers, body }
    }
}

/// The answer to a request that its provider does not sign; none for any other.
///
/// It holds nothing but a token of the request itself, or nothing at all.
pub fn unsigned(scheme: &Scheme<'_>, request: &Request<'_>) -> Option<Result<Reply, Failure>> {
    let parsed = std::cell::OnceCell::new();
    let body = || parsed.get_or_init(|| json::parse(request.body)).as_ref();
    let open = scheme.challenges.iter().filter(|challenge| !challenge.signed);
    let mut met = open.filter(|challenge| is_met(challenge, request, &body));
    met.next().map(|challenge| answer(challenge, request, &body, None))
}

/// The answer to a request whose own signature verified, by the key that it verified with.
pub(super) fn signed<'b>(
    scheme: &Scheme<'_>,
    request: &Request<'_>,
    body: &dyn Fn() -> Option<&'b Value>,
    key: &[u8],
) -> Result<Option<Reply>, Failure> {
    let mut closed = scheme.challenges.iter().filter(|challenge| challenge.signed);
    let met = closed.find(|challenge| is_met(challenge, request, body));
    met.map(|challenge| answer(challenge, request, body, Some((scheme, key)))).transpose()
}

fn is_met<'b>(
    challenge: &Challenge,
    request: &Request<'_>,
    body: &dyn Fn() -> Option<&'b Value>,
) -> bool {
    let member = |path: &str| body().and_then(|body| json::at(body, path));
    challenge.when.iter().all(|when| match *when {
        When::Method(method) => request.method == method,
        When::Query(name) => parameter(request, name).is_some(),
        When::Header(name, value) => request.only(name).ok().flatten() == Some(value),
        When::Text(path, text) => member(path).and_then(Value::as_str) == Some(text),
        When::Number(path, number) => member(path).and_then(Value::as_u64) == Some(number),
        When::NoneIn(path) => member(path).and_then(Value::as_array).is_some_and(Vec::is_empty),
        When::Without(path) => body().is_some() && member(path).is_none(),
        When::OnlyNumber(name) => {
            let body = request.body.strip_prefix(name.as_bytes());
            let number = body.and_then(|rest| rest.strip_prefix(b"="));
            number.is_some_and(|n| (1..=20).contains(&n.len()) && n.iter().all(u8::is_ascii_digit))
        }
    })
}

fn answer<'b>(
    challenge: &Challenge,
    request: &Request<'_>,
    body: &dyn Fn() -> Option<&'b Value>,
    verified: Option<(&Scheme<'_>, &[u8])>,
) -> Result<Reply, Failure> {
    let of_json = |path: &str| {
        let text = body().and_then(|body| json::at(body, path)).and_then(Value::as_str);
        text.map(|text| text.as_bytes().to_vec())
    };
    match challenge.answer {
        Answer::Fixed(fixed) => {
            Ok(Reply::new(fixed.status, fixed.content_type, fixed.body.to_owned()))
        }
        Answer::Echo(token) => {
            let token = checked(match token {
                Token::Query(name) => parameter(request, name),
                Token::Json(path) => of_json(path),
            })?;
            Ok(Reply::new(200, Some("text/plain; charset=utf-8"), token))
        }
        Answer::Mac { token, plain, mac } => {
            let token = checked(of_json(token))?;
            let unsigned = || Failure::malformed(Part::Challenge, "is not signed");
            let (scheme, key) = verified.ok_or_else(unsigned)?;
            let message = [Cow::Borrowed(token.as_bytes())];
            let made = portable_mac(scheme.algorithm, key, &message).ok_or_else(unsigned)?;
            let body = make!({ plain: token, mac: HEXLOWER.encode(&made) });
            Ok(Reply::new(200, Some("application/json"), body.to_string()))
        }
    }
}

/// The token, if it is one that may be repeated.
fn checked(token: Option<Vec<u8>>) -> Result<String, Failure> {
    let of_a_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    token
        .filter(|token| (1..=MAX_TOKEN).contains(&token.len()) && token.iter().all(of_a_token))
        .and_then(|token| String::from_utf8(token).ok())
        .ok_or(Failure::malformed(Part::Challenge, "is not 1 to 128 of A-Z, a-z, 0-9, _ and -"))
}
