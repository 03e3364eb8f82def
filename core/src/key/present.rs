//! How a credential is presented: `Authorization: Bearer`, `X-Api-Key`, or HTTP Basic with the
//! key's two halves (SPEC section 3). A token comes as `Bearer` alone.

use data_encoding::BASE64;

use super::{Key, KeyTextError, Token};
use crate::text::Secret;

/// The one credential of a request.
#[derive(Clone, Debug)]
pub enum Presented {
    /// None was sent.
    Nothing,
    /// A whole key.
    Key(Key),
    /// A whole token; whether the gate made it is another question.
    Token(Box<Token>),
    /// Something that is neither: `key_invalid`.
    NoKey(KeyTextError),
}

/// Headers that no reader could understand in one way; `malformed_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// `Authorization` and `X-Api-Key` at once (RFC 6750 section 2), or one of them twice.
    #[error("two credentials were sent: use Authorization or X-Api-Key, once")]
    Two,
}

impl Presented {
    /// Reads the credential from the two headers it may stand in. `authorization` is None where
    /// the route leaves that header to the backend.
    pub fn read(
        authorization: Option<&str>,
        x_api_key: Option<&str>,
    ) -> Result<Self, PresentedError> {
        let text = match (authorization, x_api_key) {
            (None, None) => return Ok(Self::Nothing),
            (Some(_), Some(_)) => return Err(PresentedError::Two),
            // Two lines of it arrive joined.
            (None, Some(key)) if key.contains(',') => return Err(PresentedError::Two),
            (None, Some(key)) => Some(Secret::new(key)),
            (Some(value), None) => from_authorization(value),
        };
        let bearer = authorization.is_some_and(is_bearer);
        Ok(text.map_or(Self::NoKey(KeyTextError::Form), |text| Self::of(&text, bearer)))
    }

    /// Reads a credential's own text.
    fn of(text: &Secret, bearer: bool) -> Self {
        let error = match Key::parse(text.expose()) {
            Ok(key) => return Self::Key(key),
            Err(error) => error,
        };
        let token = bearer.then(|| Token::parse(text.expose()).ok()).flatten();
        token.map_or(Self::NoKey(error), |token| Self::Token(Box::new(token)))
    }
}

fn is_bearer(authorization: &str) -> bool {
    let scheme = authorization.split(' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("bearer")
}

/// The key's text in an Authorization header (RFC 9110 section 11.6.2; scheme without case): behind
/// `Bearer`, or as the two halves of Basic. None for anything else.
fn from_authorization(value: &str) -> Option<Secret> {
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Secret::new(credentials));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let text = String::from_utf8(BASE64.decode(credentials.as_bytes()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        return Some(Secret::new(format!("{id}_{secret}")));
    }
    None
}
