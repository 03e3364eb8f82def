//! What a walk carries from step to step.

use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;

use super::admission::Paid;
use super::errand::Errand;
use super::usage::Noted;
use super::{Gate, Record};
use crate::key::{Claims, Digest, KeyId, find_key};
use crate::policy::{Route, TenantPlace};
use crate::problem::Code;
use crate::request::{Entropy, RequestId, RequestUrl};
use crate::time::{Millis, UnixMillis};

/// The steps of the road, by the names that `explain` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// 1
    RequestId,
    /// 2
    Transport,
    /// 3
    Framing,
    /// 4
    Route,
    /// Of a webhook, which leaves the road there: its method and its sender's address.
    Sender,
    /// Of a webhook: its signature and its time.
    Signature,
    /// 5
    Origin,
    /// 6
    Credential,
    /// 7
    KeyState,
    /// 8
    KeyUse,
    /// 9
    Scope,
    /// 10
    Admission,
    /// 11
    Forward,
    /// 12
    Answer,
}

impl Step {
    /// Every step of the road in its order; not those of webhooks, which are off it.
    pub const ALL: [Self; 12] = [
        Self::RequestId,
        Self::Transport,
        Self::Framing,
        Self::Route,
        Self::Origin,
        Self::Credential,
        Self::KeyState,
        Self::KeyUse,
        Self::Scope,
        Self::Admission,
        Self::Forward,
        Self::Answer,
    ];
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It let the request go on.
    Passed,
    /// It ended the walk.
    Refused,
    /// In shadow: it would have ended the walk.
    WouldRefuse,
    /// It does not apply to this request, or the walk ended before.
    Skipped,
}

/// One step of one walk, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Which step.
    pub step: Step,
    /// How it ended.
    pub result: Verdict,
    /// The rule and the value that decided. Never a secret.
    pub detail: String,
}

/// What is known of a request so far.
pub(crate) struct Walk {
    pub(super) gate: Rc<Gate>,
    pub(super) arrived_at: UnixMillis,
    pub(super) entropy: Entropy,
    pub(super) id: RequestId,
    pub(super) method: String,
    pub(super) url: RequestUrl,
    pub(super) address: Option<IpAddr>,
    pub(super) origin: Option<String>,
    /// `Sec-Fetch-Site`: says that a browser sent it, and how near its page is.
    pub(super) site: Option<String>,
    pub(super) country: Option<String>,
    /// The index of its route, once it has one.
    pub(super) route: Option<usize>,
    /// The index of its source, if it is a webhook.
    pub(super) source: Option<usize>,
    /// Names and decoded values of the path's parameters.
    pub(super) params: Vec<(String, String)>,
    /// CORS headers that every answer carries from step 5 on.
    pub(super) cors: Vec<(&'static str, String)>,
    /// Rate-limit headers, once the limits were asked.
    pub(super) limits: Vec<(&'static str, String)>,
    /// Refusals that shadow mode let pass.
    pub(super) would_refuse: Vec<Code>,
    /// The key's id and its tenant, once the key is known.
    pub(super) key: Option<(KeyId, String)>,
    /// The digest that the presented key moves to, when it is kept under an older pepper.
    pub(super) rehash: Option<Digest>,
    /// What the token says that was presented in the key's place.
    pub(super) token: Option<Claims>,
    pub(super) usage: Noted,
    /// What was paid in step 10, until all of it is.
    pub(super) paid: Vec<Paid>,
    /// To be sent to objects with whatever comes next, without waiting.
    pub(super) errands: Vec<Errand>,
    /// To be sent once the request is no longer in flight.
    pub(super) held: Vec<Errand>,
    /// Set once it asked for a place among those in flight.
    pub(super) place: Option<Place>,
    /// For a request with a place: from its admission on it is over within this time.
    pub(super) ends_within: Option<Millis>,
    notes: Option<Vec<Note>>,
}

/// A request's place among those in flight.
#[derive(Debug)]
pub(super) struct Place {
    /// When it was asked for first.
    pub(super) since: UnixMillis,
    /// After this time it is free, whatever became of the request.
    pub(super) holds: Millis,
}

impl core::fmt::Debug for Walk {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "Walk({} {} {})", self.id, self.method, self.path_for_log())
    }
}

impl Walk {
    pub(super) fn new(
        gate: &Rc<Gate>,
        now: UnixMillis,
        entropy: &Entropy,
        method: String,
        record: Record,
    ) -> Self {
        let id = RequestId::new(now, entropy);
        let url =
            RequestUrl { secure: true, authority: String::new(), path: String::new(), query: None };
        let mut walk = Self {
            gate: Rc::clone(gate),
            arrived_at: now,
            entropy: *entropy,
            id,
            method,
            url,
            address: None,
            origin: None,
            site: None,
            country: None,
            route: None,
            source: None,
            params: Vec::new(),
            cors: Vec::new(),
            limits: Vec::new(),
            would_refuse: Vec::new(),
            key: None,
            rehash: None,
            token: None,
            usage: Noted::default(),
            paid: Vec::new(),
            errands: Vec::new(),
            held: Vec::new(),
            place: None,
            ends_within: None,
            notes: (record == Record::Steps).then(Vec::new),
        };
        walk.passed(Step::RequestId, |walk| walk.id.to_string());
        walk
    }

    /// The route; None before step 4.
    pub(super) fn route(&self) -> Option<&Route> {
        self.route.and_then(|index| self.gate.policy.routes.get(index))
    }

    /// The name of what it is for: its route's or its source's.
    pub(super) fn target(&self) -> Option<&str> {
        let source = || self.source.and_then(|index| self.gate.policy.sources.get(index));
        let route = self.route().map(|route| route.name.as_str());
        route.or_else(|| source().map(|source| source.name.as_str()))
    }

    /// The decoded value of a path parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a tenant's place has the key's tenant, whatever the path said: in scopes,
    /// limits and what is forwarded (SPEC section 3).
    pub(super) fn set_tenant_params(&mut self, tenant: &str) {
        let gate = Rc::clone(&self.gate);
        let Some(route) = self.route.and_then(|index| gate.policy.routes.get(index)) else {
            return;
        };
        for (name, value) in &mut self.params {
            if route.tenant.contains(&TenantPlace::Param(name.clone())) {
                tenant.clone_into(value);
            }
        }
    }

    /// The path as it may be written down: what is shaped like a key stands as `[key]`.
    pub(super) fn path_for_log(&self) -> String {
        redacted(&self.gate.policy.gate.key_brand, &self.url.path)
    }

    pub(super) fn passed(&mut self, step: Step, detail: impl FnOnce(&Self) -> String) {
        self.note(step, Verdict::Passed, detail);
    }

    pub(super) fn note(
        &mut self,
        step: Step,
        result: Verdict,
        detail: impl FnOnce(&Self) -> String,
    ) {
        if self.notes.is_some() {
            let detail = detail(self);
            if let Some(notes) = &mut self.notes {
                // A step that runs again, on a newer record, replaces what it said before.
                notes.retain(|note| note.step != step);
                notes.push(Note { step, result, detail });
            }
        }
    }

    /// Every step in order; those that were not walked are skipped.
    pub(super) fn into_notes(self) -> Vec<Note> {
        let mut notes = self.notes.unwrap_or_default();
        Step::ALL
            .into_iter()
            .map(|step| {
                let at = notes.iter().position(|note| note.step == step);
                at.map_or_else(
                    || Note { step, result: Verdict::Skipped, detail: String::new() },
                    |at| notes.swap_remove(at),
                )
            })
            .collect()
    }
}

/// `text` with every key-shaped part as `[key]`.
pub(crate) fn redacted(brand: &str, text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(found) = find_key(brand, rest) {
        shown.push_str(rest.get(..found.start).unwrap_or_default());
        shown.push_str("[key]");
        rest = rest.get(found.end..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}
