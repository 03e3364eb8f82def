//! From an answer as values to the platform's Response.

use serde_json::Value;
use tollgate_core::header::name;
use tollgate_core::key::KeyRecord;
use tollgate_core::manage::{Caller, refusal_headers, shown, stamp};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::Fault;
use tollgate_core::road::log::LogLine;
use wasm_bindgen::JsValue;
use web_sys::{Headers, ReadableStream, Response};

use super::Context;
use super::auth::Admitted;
use super::counted::Counted;
use crate::house::response::{Body, response};
use crate::platform::now;

/// What the gate answers of its own.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
    code: Option<Code>,
    /// The key that called, and its tenant.
    caller: Option<(String, String)>,
    counted: Option<Counted>,
}

/// A refusal on its way to becoming an answer.
#[derive(Clone)]
pub(in crate::house) struct Refused(Box<Refusal>);

#[derive(Clone)]
struct Refusal {
    problem: Problem,
    headers: Vec<(&'static str, String)>,
    caller: Option<(String, String)>,
    counted: Option<Counted>,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::None,
            code: None,
            caller: None,
            counted: None,
        }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status).with("Content-Type", "application/json").text(body.to_string())
    }

    pub(super) fn moved(path: String) -> Self {
        Self::new(308).with("Location", path)
    }

    pub(super) fn refusal(context: &Context, refused: Refused) -> Self {
        let Refusal { problem, headers, caller, counted } = *refused.0;
        let problem = shown(problem, &context.gate.policy.gate.key_brand);
        let base = context.own.url().base();
        let document = problem.document(&base, context.own.request_id()).to_string();
        let mut all = refusal_headers(&problem, &context.gate.policy.gate.realm);
        // The limits' own headers say more exactly when to come again.
        all.retain(|(name, _)| !headers.iter().any(|(own, _)| own == name));
        all.extend(headers);
        Self {
            status: problem.code.status(),
            headers: all,
            body: Body::Text(document),
            code: Some(problem.code),
            caller,
            counted,
        }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(super) fn text(self, text: String) -> Self {
        Self { body: Body::Text(text), ..self }
    }

    #[must_use]
    pub(super) fn stream(self, stream: Option<ReadableStream>) -> Self {
        Self { body: stream.map_or(Body::None, Body::Stream), ..self }
    }

    /// Of a refusal that has its text already.
    #[must_use]
    pub(super) fn coded(self, code: Option<Code>) -> Self {
        Self { code, ..self }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn code(&self) -> Option<Code> {
        self.code
    }

    pub(super) fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// None for a stream, of which nobody knows the end.
    pub(super) fn body_text(&self) -> Option<&str> {
        match &self.body {
            Body::None => Some(""),
            Body::Text(text) => Some(text),
            Body::Stream(_) => None,
        }
    }

    /// With what is due to whoever paid for the answer.
    #[must_use]
    pub(super) fn by(mut self, admitted: &Admitted) -> Self {
        self.headers.extend(admitted.limits.iter().cloned());
        self.caller = Some(named(&admitted.caller));
        self.counted = Counted::of(&admitted.caller, true);
        self
    }

    /// The request's log line (SPEC section 10).
    pub(super) fn log(&self, context: &Context) -> LogLine {
        let mut line = context.own.log(self.status, self.code, now());
        (line.key, line.tenant) = self.caller.clone().unzip();
        line
    }

    /// Counts the request, where its key is known.
    pub(super) fn count(&self, context: &Context) {
        if let Some(counted) = &self.counted {
            counted.count(context, self.status, self.code);
        }
    }

    pub(super) fn into_response(self, context: &Context) -> Result<Response, JsValue> {
        let headers = Headers::new()?;
        for (name, value) in stamp(self.headers, context.own.request_id()) {
            headers.set(name, &value)?;
        }
        response(self.status, &headers, self.body)
    }
}

/// The caller as the log line names it.
fn named(caller: &Caller) -> (String, String) {
    match caller.key() {
        None => ("root".to_owned(), "*".to_owned()),
        Some(record) => (record.id.to_string(), record.tenant.clone()),
    }
}

impl Refused {
    pub(super) fn code(&self) -> Code {
        self.0.problem.code
    }

    /// What is wrong, for whoever answers in another way.
    pub(in crate::house) fn into_problem(self) -> Problem {
        self.0.problem
    }

    /// With more or other words.
    #[must_use]
    pub(super) fn map(mut self, words: impl FnOnce(Problem) -> Problem) -> Self {
        self.0.problem = words(self.0.problem);
        self
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(super) fn with_all(mut self, headers: Vec<(&'static str, String)>) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// Of somebody who is known, and may not.
    #[must_use]
    pub(super) fn of(mut self, caller: &Caller) -> Self {
        self.0.caller = Some(named(caller));
        self.0.counted = Counted::of(caller, false);
        self
    }

    /// Of somebody who named this key with a wrong secret. The log does not call them by it.
    #[must_use]
    pub(super) fn tried(mut self, record: &KeyRecord) -> Self {
        self.0.counted = Some(Counted::tried(record));
        self
    }

    /// With what is due to whoever paid for the answer.
    #[must_use]
    pub(super) fn by(mut self, admitted: &Admitted) -> Self {
        self.0.headers.extend(admitted.limits.iter().cloned());
        self.0.caller = Some(named(&admitted.caller));
        self.0.counted = Counted::of(&admitted.caller, true);
        self
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Refusal { problem, headers: Vec::new(), caller: None, counted: None }))
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Problem::new(code).into()
    }
}

impl From<Box<Problem>> for Refused {
    fn from(problem: Box<Problem>) -> Self {
        (*problem).into()
    }
}

/// A store or binding that fails: the reason is for the operator's log alone.
impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        worker::console_error!("{{\"fault\":{:?}}}", fault.0);
        Code::AdmissionUnavailable.into()
    }
}

/// What a page needs besides its text.
pub(super) fn page(policy: String, text: String) -> Answer {
    Answer::new(200)
        .with("Content-Type", "text/html; charset=utf-8")
        .with("Content-Security-Policy", policy)
        .with("Referrer-Policy", "no-referrer")
        .with(name::CACHE_CONTROL, "public, max-age=60")
        .text(text)
}
