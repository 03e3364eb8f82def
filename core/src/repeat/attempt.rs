//! What becomes of an attempt: a pure transition, of which the keeper stores the outcome.

use serde::{Deserialize, Serialize};

use super::{ASK_AGAIN, DEADLINE, KEPT, SECRET_KEPT};
use crate::problem::{Code, Problem};
use crate::time::UnixMillis;

/// What the keeper of answers is asked, as JSON. Answered with a [`RepeatReply`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatRequest {
    /// May this write be done? If so, it is under way from now on.
    Begin {
        /// [`super::Ask::name`].
        name: String,
        /// [`super::Ask::fingerprint`].
        fingerprint: String,
        /// What tells this attempt from others of the same name.
        attempt: String,
    },
    /// It was done, or refused for good.
    Finish {
        /// [`super::Ask::name`].
        name: String,
        /// As it began.
        attempt: String,
        /// The answer.
        answer: Kept,
    },
    /// It was not done, and may be tried again.
    Abandon {
        /// [`super::Ask::name`].
        name: String,
        /// As it began.
        attempt: String,
    },
}

impl RepeatRequest {
    /// The attempt that it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Begin { name, .. } | Self::Finish { name, .. } | Self::Abandon { name, .. } => {
                name
            }
        }
    }
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The sealed answer; None: it could not be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// True for an answer that shows a secret.
    pub secret: bool,
}

/// How a write ended, as far as the gate can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its answer is the one that every repetition gets.
    Done,
    /// Nothing was done: it may be tried again.
    NotDone,
    /// A store did not say whether it did what it was told.
    Unknown,
}

/// How a write with an answer of this status ended. `changed`: a store was told to change something.
pub const fn ending_of(status: u16, changed: bool) -> Ending {
    match status {
        500.. if changed => Ending::Unknown,
        401 | 408 | 425 | 429 | 500.. => Ending::NotDone,
        _ => Ending::Done,
    }
}

/// What the keeper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatReply {
    /// Do it, and say how it went.
    Started,
    /// It is being done.
    InProgress,
    /// It was another request.
    Mismatch,
    /// It was begun, and nobody knows how it went.
    Unknown,
    /// It was done; its answer is not there any more.
    NotKept,
    /// It was done, and this is its sealed answer.
    Done(String),
    /// What was said is noted.
    Noted,
}

impl RepeatReply {
    /// The refusal that it means, if it means one.
    pub fn problem(&self) -> Option<Box<Problem>> {
        let (code, detail) = match self {
            Self::Started | Self::Done(_) | Self::Noted => return None,
            Self::InProgress => {
                let mut problem = Problem::new(Code::IdempotencyInProgress);
                problem.retry_after = Some(ASK_AGAIN);
                return Some(Box::new(problem));
            }
            Self::Mismatch => (Code::IdempotencyMismatch, ""),
            Self::Unknown => (
                Code::IdempotencyOutcomeUnknown,
                "The first attempt was cut off. Read the resource to see whether it was done, \
                 then use a fresh value.",
            ),
            Self::NotKept => (
                Code::IdempotencyResultNotKept,
                "The first attempt was carried out. An answer that shows a secret is kept for ten \
                 minutes, and opens only for the credential that it was given to.",
            ),
        };
        Some(Box::new(Problem::new(code).detail(detail)))
    }
}

/// One attempt, as the keeper stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    fingerprint: String,
    /// What tells it from others of the same name.
    mark: String,
    begun_at: UnixMillis,
    /// None while nobody said how it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Kept>,
}

impl Attempt {
    /// What the keeper answers, and what it stores of the attempt afterwards.
    pub fn apply(
        stored: Option<Self>,
        request: RepeatRequest,
        now: UnixMillis,
    ) -> (RepeatReply, Option<Self>) {
        let stored = stored.and_then(|stored| stored.at(now));
        match (request, stored) {
            (RepeatRequest::Begin { fingerprint, attempt, .. }, None) => {
                let begun = Self { fingerprint, mark: attempt, begun_at: now, answer: None };
                (RepeatReply::Started, Some(begun))
            }
            (RepeatRequest::Begin { fingerprint, .. }, Some(stored)) => {
                (stored.told(&fingerprint, now), Some(stored))
            }
            (RepeatRequest::Finish { attempt, answer, .. }, Some(stored))
                if stored.is_open(&attempt) =>
            {
                let finished = Self { answer: Some(answer), ..stored };
                (RepeatReply::Noted, finished.at(now))
            }
            (RepeatRequest::Abandon { attempt, .. }, Some(stored)) if stored.is_open(&attempt) => {
                (RepeatReply::Noted, None)
            }
            // Somebody who was thought to be gone: there is nothing of it left to note.
            (RepeatRequest::Finish { .. } | RepeatRequest::Abandon { .. }, stored) => {
                (RepeatReply::Noted, stored)
            }
        }
    }

    /// What is left of it at `now`: secrets go first, and in the end all of it.
    #[must_use]
    pub fn at(mut self, now: UnixMillis) -> Option<Self> {
        if now >= self.gone_at() {
            return None;
        }
        let shown = self.answer.as_mut().filter(|answer| answer.secret);
        if let Some(answer) = shown.filter(|_| now >= self.begun_at.plus(SECRET_KEPT)) {
            answer.sealed = None;
        }
        Some(self)
    }

    /// When [`Self::at`] next says something else.
    pub fn changes_at(&self) -> UnixMillis {
        let holds_secret = |answer: &Kept| answer.secret && answer.sealed.is_some();
        if self.answer.as_ref().is_some_and(holds_secret) {
            return self.begun_at.plus(SECRET_KEPT);
        }
        self.gone_at()
    }

    fn gone_at(&self) -> UnixMillis {
        self.begun_at.plus(KEPT)
    }

    fn is_open(&self, attempt: &str) -> bool {
        self.mark == attempt && self.answer.is_none()
    }

    fn told(&self, fingerprint: &str, now: UnixMillis) -> RepeatReply {
        if self.fingerprint != fingerprint {
            return RepeatReply::Mismatch;
        }
        match &self.answer {
            Some(Kept { sealed: Some(sealed), .. }) => RepeatReply::Done(sealed.clone()),
            Some(Kept { sealed: None, .. }) => RepeatReply::NotKept,
            None if now < self.begun_at.plus(DEADLINE) => RepeatReply::InProgress,
            None => RepeatReply::Unknown,
        }
    }
}
