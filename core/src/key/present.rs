//! How a credential is presented: `Authorization: Bearer`, `X-Api-Key`, or HTTP Basic with the
//! key's two halves (SPEC section 3).

use data_encoding::BASE64;

use super::{Key, KeyTextError};
use crate::text::Secret;

/// The one credential of a request.
#[derive(Clone, Debug)]
pub enum Presented {
    /// None was sent.
    Nothing,
    /// A whole key.
    Key(Key),
    /// Something that is no key: `key_invalid`.
    NoKey(KeyTextError),
}

/// Headers that no reader could understand in one way; `malformed_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// `Authorization` and `X-Api-Key` at once (RFC 6750 section 2).
    #[error("two credentials were sent: use Authorization or X-Api-Key, not both")]
    Two,
    /// Not `Bearer` or `Basic`, or with a broken value.
    #[error("Authorization is neither `Bearer KEY` nor Basic with a key's id and secret")]
    Scheme,
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
            (None, Some(key)) => Secret::new(key),
            (Some(value), None) => from_authorization(value)?,
        };
        Ok(match Key::parse(text.expose()) {
            Ok(key) => Self::Key(key),
            Err(error) => Self::NoKey(error),
        })
    }
}

/// The key's text in an Authorization header (RFC 9110 section 11.6.2; scheme without case).
fn from_authorization(value: &str) -> Result<Secret, PresentedError> {
    let (scheme, credentials) = value.split_once(' ').ok_or(PresentedError::Scheme)?;
    let credentials = credentials.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        let b64token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        let whole = !credentials.is_empty() && credentials.bytes().all(b64token);
        return if whole { Ok(Secret::new(credentials)) } else { Err(PresentedError::Scheme) };
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let bytes = BASE64.decode(credentials.as_bytes()).map_err(|_| PresentedError::Scheme)?;
        let text = String::from_utf8(bytes).map_err(|_| PresentedError::Scheme)?;
        let (id, secret) = text.split_once(':').ok_or(PresentedError::Scheme)?;
        return Ok(Secret::new(format!("{id}_{secret}")));
    }
    Err(PresentedError::Scheme)
}
