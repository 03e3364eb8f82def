//! People: the second factor of an admin key, and the sessions that it opens (SPEC section 8).
//!
//! Scope: codes, tokens and pictures; and what the object of a key family knows of its holder, as a
//! pure transition. A second factor is a family's: it stays with whoever holds the key when the key
//! is rotated. A session is one key's, and ends with it.
//!
//! What hides a seed is at the edge, so a code is checked there. The object counts the try as
//! failed before it says what to check against, and takes it back when it is told that the code was
//! right: however many guess at once, they are counted one after the other.

mod access;
mod code;
mod known;
mod qr;
mod state;
mod token;
mod totp;

pub use access::{AccessKey, AccessKeys, AccessToken};
pub use code::{CODE_BYTES, CodeSort, RECOVERY_CODES};
pub use known::KnownSessions;
pub use qr::Qr;
pub use state::People;
pub(crate) use state::Seen;
pub use token::SessionToken;
pub use totp::{SEED_BYTES, Seed, step_at};

use serde::{Deserialize, Serialize};

use crate::key::{Digest, KeyId, KeyRecord};
use crate::limit::Charge;
use crate::time::{Millis, UnixMillis};

/// How long an enrolment code is good.
pub const INVITATION: Millis = Millis::days(7);

/// Where a session is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// In a browser, as a cookie.
    Console,
    /// On the command line, as a bearer token.
    Cli,
}

impl SessionKind {
    /// `console` or `cli`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Cli => "cli",
        }
    }

    /// The kind with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Console, Self::Cli].into_iter().find(|kind| kind.as_str() == text)
    }

    /// How long a session lives; less when its key ends before.
    pub const fn lifetime(self) -> Millis {
        match self {
            Self::Console => Millis::hours(12),
            Self::Cli => Millis::minutes(15),
        }
    }
}

/// What is shown of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Where it is used.
    pub kind: SessionKind,
    /// When it ends.
    pub expires_at: UnixMillis,
    /// It was opened with more than the key.
    pub second_factor: bool,
}

/// A session that somebody shows: what may be kept of its token, under each pepper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// How it was shown.
    pub kind: SessionKind,
    /// One of these is kept, if there is such a session.
    pub digests: Vec<Digest>,
}

/// What somebody tries who holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// A code of the app.
    Totp,
    /// A recovery code.
    Recovery,
    /// An enrolment code.
    Enrolment,
    /// The first code of an app that was just set up.
    Confirmation,
}

/// With what a session is opened. Each is checked already, but for whether it was used before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The key alone.
    Key,
    /// A code of the app.
    Totp {
        /// The step whose code it is.
        step: u64,
        /// The seed that it was checked against, hidden, as it was told.
        seed: String,
    },
    /// The recovery code that this is kept of.
    Recovery(Digest),
    /// Somebody else's word.
    Access {
        /// How long it is good, and so the session at the longest.
        until: UnixMillis,
    },
}

/// What the object of an admin key's family is asked about its holder, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeopleRequest {
    /// Whose is this session? Answered with [`PeopleReply::Session`].
    Find(Shown),
    /// May this session make a request now? Answered like `Admit` of its key.
    Admit {
        /// The session.
        shown: Shown,
        /// The version of the record that was decided on.
        version: u64,
        /// The limits of the request.
        charges: Vec<Charge>,
    },
    /// The end of this session.
    Close(Shown),
    /// Counted as failed, until it is told otherwise. Answered with what to check against.
    Attempt(Attempt),
    /// A session.
    Open {
        /// What is kept of its token.
        digest: Digest,
        /// Where it is used.
        kind: SessionKind,
        /// With what it is opened.
        proof: Proof,
    },
    /// A fresh enrolment code; what was enrolled before is forgotten, and sessions end. That is
    /// done to each key of the family, so whoever asks has to have been found good for each of them.
    Invite {
        /// What is kept of it.
        digest: Digest,
        /// The keys that were judged, and the versions of their records.
        judged: Vec<(KeyId, u64)>,
    },
    /// A seed that is not proved yet, for a good enrolment code.
    Enrol {
        /// What is kept of the code.
        digest: Digest,
        /// The seed, hidden.
        seed: String,
    },
    /// The seed is proved: it is the second factor from now on.
    Confirm {
        /// The seed, hidden, as it was told.
        seed: String,
        /// The step whose code proved it.
        step: u64,
        /// What is kept of the recovery codes.
        recovery: Vec<Digest>,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeopleReply {
    /// To `Find`: a session, of a key that is so now.
    Session {
        /// The key.
        record: Box<KeyRecord>,
        /// The session.
        session: SessionView,
    },
    /// There is no such session.
    NoSession,
    /// There was one; it is past its end, or was ended.
    Over,
    /// To `Attempt` with a code of the app: check it against this.
    Totp {
        /// The seed, hidden.
        seed: String,
        /// Codes up to this step are used up.
        last: Option<u64>,
    },
    /// To `Attempt` with a recovery or an enrolment code: check it against these.
    Codes(Vec<Digest>),
    /// To `Attempt`: not before this time.
    Paused {
        /// When one more may be tried.
        until: UnixMillis,
    },
    /// To `Attempt`: there is nothing to check it against.
    Nothing,
    /// To `Open`.
    Opened {
        /// The session.
        session: SessionView,
        /// Recovery codes that are left.
        recovery_left: u32,
    },
    /// To `Invite`.
    Invited {
        /// How long the code is good.
        expires_at: UnixMillis,
    },
    /// To `Invite`, and nothing was done: these share the second factor and were not judged, or not
    /// as they are now.
    Unjudged(Vec<KeyRecord>),
    /// Done.
    Done,
    /// Somebody else was faster: the code was used, or the seed is another by now.
    Used,
}

/// What a family's object is asked of one key's holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The key.
    pub key: KeyId,
    /// What is asked.
    pub request: PeopleRequest,
}

#[cfg(test)]
mod tests;
