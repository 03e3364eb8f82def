//! The end of a walk that the gate answers itself.

use super::errand::Errand;
use super::log::LogLine;
use super::walk::{Note, Step, Verdict, Walk};
use crate::header::name;
use crate::policy::HostKind;
use crate::problem::{Code, MEDIA_TYPE, Problem};
use crate::time::UnixMillis;
use crate::usage::Sample;

/// One year (SPEC section 10), in seconds.
pub(crate) const HSTS: &str = "max-age=31536000";

/// An answer that the gate makes itself.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Every header, each name once.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: String,
    /// The code of a refusal.
    pub code: Option<Code>,
    walk: Walk,
}

impl Answer {
    pub(super) fn new(
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
        code: Option<Code>,
        walk: Walk,
    ) -> Self {
        Self { status, headers, body, code, walk }
    }

    /// True for a granted preflight.
    pub fn is_preflight(&self) -> bool {
        self.code.is_none() && self.status == 204 && self.walk.method == "OPTIONS"
    }

    /// The request's log line; `now` is when the answer leaves.
    pub fn log(&self, now: UnixMillis) -> LogLine {
        self.walk.log_line(self.status, self.code, now)
    }

    /// The request as it is counted; `now` is when the answer leaves.
    pub fn sample(&self, now: UnixMillis) -> Sample<'_> {
        self.walk.sample(self.status, self.code, now)
    }

    /// What is to be sent to objects now. The request is over with this answer, so that its places
    /// in flight are released.
    #[must_use]
    pub fn take_errands(&mut self) -> Vec<Errand> {
        self.walk.last_errands()
    }

    /// The steps that were walked, for `explain`.
    pub fn into_notes(self) -> Vec<Note> {
        self.walk.into_notes()
    }
}

/// A walk that a step ended.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) walk: Walk,
    problem: Problem,
    headers: Vec<(&'static str, String)>,
}

impl Refused {
    pub(super) fn into_answer(self) -> Answer {
        let Self { walk, problem, headers } = self;
        let (all, body) = walk.told(&problem, headers);
        Answer::new(problem.code.status(), all, body, Some(problem.code), walk)
    }
}

impl Walk {
    /// The headers and the body of a refusal; `headers`: those of this refusal's own.
    pub(super) fn told(
        &self,
        problem: &Problem,
        headers: Vec<(&'static str, String)>,
    ) -> (Vec<(&'static str, String)>, String) {
        let mut all = self.stamp();
        all.extend(headers);
        all.extend(challenge(problem, &self.gate.policy.gate.realm));
        if let Some(seconds) = problem.retry_after
            && !all.iter().any(|(header, _)| *header == name::RETRY_AFTER)
        {
            all.push((name::RETRY_AFTER, seconds.to_string()));
        }
        all.push(("Content-Type", MEDIA_TYPE.to_owned()));
        all.push(("X-Content-Type-Options", "nosniff".to_owned()));
        all.push((name::CACHE_CONTROL, "no-store".to_owned()));
        // A host that is not the gate's own has no page about the code.
        let served = self.gate.policy.host(&self.url.authority) != HostKind::Unknown;
        let gate = if served { self.url.base() } else { String::new() };
        (all, problem.document(&gate, self.id.as_str()).to_string())
    }

    /// Ends the walk at `step`.
    pub(super) fn refuse(self, step: Step, problem: impl Into<Problem>) -> Box<Refused> {
        self.refuse_with(step, problem, Vec::new())
    }

    /// Ends the walk at `step`, with headers of this refusal's own.
    pub(super) fn refuse_with(
        mut self,
        step: Step,
        problem: impl Into<Problem>,
        headers: Vec<(&'static str, String)>,
    ) -> Box<Refused> {
        let problem = problem.into();
        self.note(step, Verdict::Refused, |_| {
            let code = problem.code.as_str();
            if problem.detail.is_empty() {
                code.to_owned()
            } else {
                format!("{code}: {}", problem.detail)
            }
        });
        Box::new(Refused { walk: self, problem, headers })
    }

    /// The headers of every answer to this request, whoever makes the rest of it.
    pub(super) fn stamp(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(12);
        headers.push((name::X_REQUEST_ID, self.id.to_string()));
        headers.push((name::STRICT_TRANSPORT_SECURITY, HSTS.to_owned()));
        headers.extend(self.cors.iter().cloned());
        headers.extend(self.limits.iter().cloned());
        headers
    }
}

/// `WWW-Authenticate` of RFC 6750 section 3: on every 401 and on a missing scope. Without any
/// credential it carries no error (section 3.1).
pub(crate) fn challenge(problem: &Problem, realm: &str) -> Option<(&'static str, String)> {
    let code = problem.code;
    let error = match code.status() {
        401 if code == Code::KeyMissing => String::new(),
        401 => {
            let description = code.title();
            format!(r#", error="invalid_token", error_description="{description}""#)
        }
        _ if code == Code::InsufficientScope => {
            let scope = problem.required_scopes.join(" ");
            // RFC 6750 allows only printable ASCII here; a path value may hold more.
            let fits = scope.bytes().all(|b| matches!(b, 0x20..=0x7e) && !b"\"\\".contains(&b));
            let scope = if fits { format!(r#", scope="{scope}""#) } else { String::new() };
            format!(r#", error="insufficient_scope"{scope}"#)
        }
        _ => return None,
    };
    Some((name::WWW_AUTHENTICATE, format!(r#"Bearer realm="{realm}"{error}"#)))
}
