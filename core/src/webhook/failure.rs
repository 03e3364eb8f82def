//! Why a webhook was refused: which step, in words that never hold a signature.

use core::fmt;

use crate::problem::Code;
use crate::time::Millis;

/// Why a webhook was refused.
///
/// None of it tells a signature, neither the one that was sent nor the one that would have been
/// right: whoever reads an error must not learn how to forge the next request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A header of the scheme, or another place, is empty or not there.
    #[error("{0} is missing")]
    Missing(String),
    /// Something is there, and not in the form that the scheme gives it.
    #[error("{part} {why}")]
    Malformed {
        /// What.
        part: Part,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The body is larger than may be hashed.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// No secret makes any of the signatures.
    #[error(
        "no secret makes this signature: another secret, another public URL, or a changed body"
    )]
    Mismatch,
    /// The signature is right, and the body is not the one whose digest it covers.
    #[error("the signature is right, but the body is not the one that it was made for")]
    BodyChanged,
    /// The signature is right, and its time is outside the window.
    #[error(
        "the signed time is {by} {}, the window is {window}",
        if *.ahead { "ahead" } else { "ago" }
    )]
    Time {
        /// How far off it is.
        by: Millis,
        /// True for a time in the future.
        ahead: bool,
        /// How far off it may be.
        window: Millis,
    },
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where the signatures stand.
    Signature,
    /// The time.
    Timestamp,
    /// The id.
    Id,
    /// A header that is signed.
    Header,
    /// The body.
    Body,
    /// The public URL.
    Url,
    /// The token of a challenge.
    Challenge,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Signature => "the signature",
            Self::Timestamp => "the time",
            Self::Id => "the id",
            Self::Header => "a signed header",
            Self::Body => "the body",
            Self::Url => "the public URL",
            Self::Challenge => "the challenge",
        })
    }
}

impl Failure {
    pub(super) fn missing(place: &str) -> Self {
        Self::Missing(place.to_owned())
    }

    pub(super) const fn malformed(part: Part, why: &'static str) -> Self {
        Self::Malformed { part, why }
    }

    /// The step that failed, in one word, for explanations and the console.
    pub const fn step(&self) -> &'static str {
        match self {
            Self::Missing(_) => "header",
            Self::Malformed { .. } => "encoding",
            Self::TooLarge(_) => "size",
            Self::Mismatch => "signature",
            Self::BodyChanged => "body",
            Self::Time { .. } => "time",
        }
    }

    /// What the command line calls it (SPEC section 11).
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "signature_missing",
            Self::Malformed { .. } | Self::TooLarge(_) => "malformed",
            Self::Mismatch | Self::BodyChanged => "signature_mismatch",
            Self::Time { .. } => "timestamp_out_of_range",
        }
    }

    /// What the sender is told (SPEC section 7): three codes, and 413 for a body over the cap.
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::SignatureMissing,
            Self::Malformed { .. } | Self::Mismatch | Self::BodyChanged => Code::SignatureInvalid,
            Self::TooLarge(_) => Code::BodyTooLarge,
            Self::Time { .. } => Code::TimestampOutOfRange,
        }
    }
}
