//! A webhook, explained: up to which step of its verification it comes (SPEC section 7). Whose
//! secrets it is held against is the caller's to say; the answer to a challenge, which may hold a
//! MAC, is told by its status alone.

use std::rc::Rc;

use super::{Asks, Explanation};
use crate::header::name;
use crate::policy::{Delivery, Source};
use crate::problem::{Code, Problem};
use crate::request::Head;
use crate::road::source::ForSource;
use crate::road::{Gate, Note, Step, Verdict};
use crate::time::UnixMillis;
use crate::webhook::{Covers, Failure, Request, Verified, unsigned};

/// A webhook for a source, whose signature is to be looked at.
#[derive(Debug)]
pub struct Signed {
    gate: Rc<Gate>,
    webhook: ForSource,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    url: String,
    now: UnixMillis,
}

/// What a source's request comes to before anything is hashed.
#[derive(Debug)]
pub enum Explained {
    /// All that there is to say.
    Told(Box<Explanation>),
    /// Its signature is to be looked at, with the source's keys.
    Signed(Box<Signed>),
}

impl Explained {
    /// All that can be said by somebody who has no secrets, and why it is not more.
    pub fn without_secrets(self, why: &str) -> Explanation {
        match self {
            Self::Told(told) => *told,
            Self::Signed(webhook) => webhook.untold(why),
        }
    }

    /// What comes before the signature. `body`: none if it was not given.
    pub(super) fn of(
        gate: &Rc<Gate>,
        webhook: ForSource,
        head: &dyn Head,
        body: Option<&[u8]>,
        asks: &Asks<'_>,
    ) -> Self {
        let Some(source) = gate.policy.sources.get(webhook.source) else {
            return Self::Told(Box::new(super::ended("webhook", webhook.into_notes())));
        };
        let value = |name: String| head.header(&name).map(|value| (name, value));
        let headers = head.header_names().into_iter().filter_map(value).collect();
        let url = source.url_of(webhook.url());
        let body_given = body.is_some();
        let body = body.unwrap_or_default().to_vec();
        let signed = Signed { gate: gate.clone(), webhook, headers, body, url, now: asks.now };
        if (asks.sees)(source) {
            signed.begun(source, body_given)
        } else {
            Self::Told(Box::new(signed.unseen()))
        }
    }
}

impl Signed {
    /// The source that it is for.
    pub fn source(&self) -> Option<&Source> {
        self.gate.policy.sources.get(self.webhook.source)
    }

    /// What is to be verified.
    pub fn request(&self) -> Request<'_> {
        Request {
            method: self.webhook.method(),
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
        }
    }

    /// Whoever asks is not to see what the source is like: whom it takes webhooks from, and how they
    /// are signed.
    fn unseen(self) -> Explanation {
        let why = "the source is another tenant's: that one, or an operator, can ask".to_owned();
        let note = Note { result: Verdict::Skipped, ..passed(Step::Signature, why) };
        let told = super::ended("webhook", Vec::new());
        Explanation { steps: self.steps(vec![note]), ..told }
    }

    fn begun(self, source: &Source, body_given: bool) -> Explained {
        let scheme = source.scheme.scheme();
        let methods = scheme.methods();
        let told = |explanation| Explained::Told(Box::new(explanation));
        if !methods.contains(&self.webhook.method()) {
            let methods = methods.join(", ");
            let detail = format!("{} takes {methods}", scheme.name);
            let allow = vec![(name::ALLOW, methods)];
            let note = refused(Step::Sender, detail);
            return told(self.refusal(Code::MethodNotAllowed, allow, vec![note]));
        }
        let address = self.webhook.address();
        let shown = address.map_or_else(|| "no address".to_owned(), |address| address.to_string());
        if !source.addresses.allows(address) {
            let note = refused(Step::Sender, format!("{shown} is in none of `addresses`"));
            return told(self.refusal(Code::IpNotAllowed, Vec::new(), vec![note]));
        }
        if let Some(found) = unsigned(&scheme, &self.request()) {
            let sender = passed(Step::Sender, shown);
            return told(match found {
                Ok(reply) => {
                    let detail = "a challenge that its provider does not sign".to_owned();
                    self.challenge(reply.status, vec![sender, passed(Step::Signature, detail)])
                }
                Err(failure) => {
                    let note = refused(Step::Signature, shown_failure(&failure));
                    self.refusal(failure.code(), Vec::new(), vec![sender, note])
                }
            });
        }
        if !body_given {
            return told(self.untold("no body was given, and the signature is over the body"));
        }
        Explained::Signed(Box::new(self))
    }

    /// Its signature was looked at.
    pub fn told(self, found: &Result<Verified, Failure>) -> Explanation {
        let sender = self.sender();
        match found {
            Ok(Verified { reply: Some(reply), .. }) => {
                let detail = "a challenge that its provider signed".to_owned();
                self.challenge(reply.status, vec![sender, passed(Step::Signature, detail)])
            }
            Ok(verified) => {
                let note = passed(Step::Signature, shown(verified));
                self.ended(vec![sender, note])
            }
            Err(failure) => {
                let detail = shown_failure(failure);
                let shadow = self.source().is_some_and(|source| source.in_shadow(self.now));
                if shadow && failure.code() != Code::BodyTooLarge {
                    let note =
                        Note { result: Verdict::WouldRefuse, ..refused(Step::Signature, detail) };
                    return self.ended(vec![sender, note]);
                }
                let note = refused(Step::Signature, detail);
                self.refusal(failure.code(), Vec::new(), vec![sender, note])
            }
        }
    }

    /// Its signature was not looked at.
    pub fn untold(self, why: &str) -> Explanation {
        let sender = self.sender();
        let note = Note { result: Verdict::Skipped, ..passed(Step::Signature, why.to_owned()) };
        let told = super::ended("webhook", Vec::new());
        Explanation { steps: self.steps(vec![sender, note]), ..told }
    }

    /// The source has no keys that a signature could be held against.
    pub fn unavailable(self, why: &str) -> Explanation {
        let notes = vec![self.sender(), refused(Step::Signature, why.to_owned())];
        self.refusal(Code::SourceUnavailable, Vec::new(), notes)
    }

    fn sender(&self) -> Note {
        let address = self.webhook.address();
        passed(Step::Sender, address.map_or_else(String::new, |address| address.to_string()))
    }

    /// It goes to its backend.
    fn ended(self, mut notes: Vec<Note>) -> Explanation {
        let Some(source) = self.source() else { return self.untold("") };
        let upstream = self.gate.policy.upstreams.get(source.upstream);
        let upstream = upstream.map_or("", |upstream| upstream.name.as_str());
        let status = source.scheme.scheme().acknowledgement.status;
        let (status, detail) = match source.delivery {
            Delivery::Queue(_) => {
                let detail =
                    format!("acknowledged once it is stored, then delivered to {upstream}");
                (Some(status), detail)
            }
            Delivery::Forward => (None, format!("passed on to {upstream}")),
        };
        notes.push(passed(Step::Forward, detail));
        let response_headers = super::owned(self.webhook.stamp());
        let told = super::ended("webhook", Vec::new());
        Explanation { status, response_headers, steps: self.steps(notes), ..told }
    }

    fn challenge(self, status: u16, notes: Vec<Note>) -> Explanation {
        let response_headers = super::owned(self.webhook.stamp());
        let told = super::ended("answer", Vec::new());
        Explanation { status: Some(status), response_headers, steps: self.steps(notes), ..told }
    }

    fn refusal(
        self,
        code: Code,
        headers: Vec<(&'static str, String)>,
        notes: Vec<Note>,
    ) -> Explanation {
        let bare = self.source().is_some_and(|source| source.scheme.scheme().bare);
        let (headers, _) = self.webhook.refusal(&Problem::new(code), headers, bare);
        let told = super::ended("refuse", Vec::new());
        Explanation {
            status: Some(code.status()),
            code: Some(code),
            response_headers: super::owned(headers),
            steps: self.steps(notes),
            ..told
        }
    }

    /// The road's steps, with a webhook's own after the one at which it left the road.
    fn steps(self, own: Vec<Note>) -> Vec<Note> {
        let mut steps = self.webhook.into_notes();
        let own = own.into_iter().filter(|note| {
            let there = steps.iter_mut().find(|there| there.step == note.step);
            there.map(|there| *there = note.clone()).is_none()
        });
        let own: Vec<Note> = own.collect();
        let at = steps.iter().position(|note| note.step == Step::Route);
        let at = at.map_or(steps.len(), |at| at.saturating_add(1));
        steps.splice(at..at, own);
        steps
    }
}

/// What a signature vouches for.
fn shown(verified: &Verified) -> String {
    let mut parts = vec![format!("by secret {}", verified.secret.saturating_add(1))];
    if let Some(id) = &verified.id {
        let signed = if verified.id_signed { "signed" } else { "not signed" };
        parts.push(format!("id {id} ({signed})"));
    }
    parts.extend(verified.timestamp.map(|at| format!("signed at {}", at.to_rfc3339())));
    if verified.covers == Covers::Part {
        parts.push("it covers a part of the body only".to_owned());
    }
    parts.join(", ")
}

/// The step that failed, and what is wrong there.
fn shown_failure(failure: &Failure) -> String {
    format!("{}: {failure}", failure.step())
}

fn passed(step: Step, detail: String) -> Note {
    Note { step, result: Verdict::Passed, detail }
}

fn refused(step: Step, detail: String) -> Note {
    Note { step, result: Verdict::Refused, detail }
}
