//! Steps 11 and 12: what goes to the upstream, and what of its answer comes back.

use std::rc::Rc;

use super::admission::{Admitted, Caller};
use super::errand::Errand;
use super::gate::{Injected, Trust};
use super::log::LogLine;
use super::refusal::Answer;
use super::walk::{Note, Step, Walk};
use super::{Next, Outcome};
use crate::forward::{
    Edits, Keep, Relay, Trace, answer_edits, clean_query, encode_query_value, request_edits,
};
use crate::header::name;
use crate::key::KeyRecord;
use crate::policy::{Credential, Platform, Route, Target, TenantPlace, Upstream};
use crate::problem::{Code, Problem};
use crate::request::{Head, encode_segment};
use crate::text::Secret;
use crate::time::{Millis, UnixMillis};
use crate::usage::Sample;

/// An admitted request, ready for its upstream. Can be made of an [`Admitted`] alone.
#[derive(Debug)]
pub struct Forward {
    walk: Walk,
    caller: Caller,
    upstream: usize,
    /// Its address at the upstream, with the credential if that goes into the query.
    url: Secret,
    /// The same as it may be shown.
    shown_url: String,
    undeclared: bool,
}

/// What the shell sends.
#[derive(Debug)]
pub struct UpstreamRequest {
    /// The method, as it came.
    pub method: String,
    /// The address.
    pub url: Secret,
    /// Headers to remove from those that came, and to set.
    pub edits: Edits,
    /// The header that carries the credential.
    pub credential: Option<(String, Secret)>,
    /// A body whose length was not declared is cut when it grows beyond this many bytes.
    pub body_cap: Option<u64>,
    /// Time to the first byte of the answer.
    pub timeout: Millis,
    /// Time to its last byte.
    pub max_stream: Millis,
    /// Set for a request with a place in flight: from now on everything, its body, the wait and the
    /// answer, is over within this time, or is broken off. Its place holds no longer.
    pub ends_within: Option<Millis>,
    /// There is a cache on the way, which must neither answer nor keep this: an answer is for one key.
    pub passes_cache: bool,
}

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFault {
    /// No connection, or it broke before the answer.
    Unreachable,
    /// No first byte in time.
    Timeout,
    /// The body grew over the route's cap on the way.
    BodyTooLarge,
}

/// An upstream's answer on its way back.
#[derive(Debug)]
pub struct Relayed {
    /// The upstream's status.
    pub status: u16,
    /// Names to remove, then names to set.
    pub remove: Vec<String>,
    /// The gate's own headers.
    pub set: Vec<(&'static str, String)>,
    /// Names and values to append to what is there: the gate's words for `Vary`, its `Link`, and
    /// `Set-Cookie` lines that were among the removals.
    pub append: Vec<(&'static str, String)>,
    walk: Walk,
}

impl Admitted {
    /// Step 11, as far as it is a matter of values.
    pub(super) fn forward(self) -> Next<Outcome> {
        let Self { mut walk, undeclared, caller } = self;
        let gate = Rc::clone(&walk.gate);
        let Some(route) = walk.route.and_then(|index| gate.policy.routes.get(index)) else {
            return Err(walk.refuse(Step::Forward, Code::InternalError));
        };
        deprecated(&mut walk, route);
        let index = match &route.target {
            Target::Upstream(index) => *index,
            Target::Mock(mock) => {
                walk.passed(Step::Forward, |_| "a canned answer of the policy".to_owned());
                let mut headers = walk.stamp();
                headers.extend(no_store(&caller));
                headers.push(("Content-Type", mock.content_type.clone()));
                headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
                let answer = Answer::new(mock.status, headers, mock.body.clone(), None, walk);
                return Ok(Outcome::Answer(Box::new(answer)));
            }
        };
        let (Some(upstream), Some(prepared)) =
            (gate.policy.upstreams.get(index), gate.prepared(index))
        else {
            return Err(walk.refuse(Step::Forward, Code::InternalError));
        };
        let Some(injected) = &prepared.injected else {
            return Err(walk.refuse(Step::Forward, Code::UpstreamCredentialUnavailable));
        };
        let Some((url, shown_url)) = address(&walk, route, upstream, injected, &caller) else {
            let problem =
                Problem::new(Code::MalformedRequest).detail("the path cannot be rewritten");
            return Err(walk.refuse(Step::Forward, problem));
        };
        walk.passed(Step::Forward, |_| format!("upstream {}", upstream.name));
        let forward = Forward { walk, caller, upstream: index, url, shown_url, undeclared };
        Ok(Outcome::Forward(Box::new(forward)))
    }
}

impl Forward {
    /// What the shell sends. `head` is the request as it came.
    pub fn request(&self, head: &dyn Head) -> Option<UpstreamRequest> {
        let route = self.walk.route()?;
        let upstream = self.walk.gate.policy.upstreams.get(self.upstream)?;
        let injected = self.walk.gate.prepared(self.upstream)?.injected.as_ref()?;
        let mut protected: Vec<&str> =
            upstream.credential.iter().filter_map(Credential::header_name).collect();
        for place in &route.tenant {
            if let TenantPlace::Header(name) = place {
                protected.push(name);
            }
        }
        let keep =
            Keep { authorization: route.passthrough_authorization, cookies: route.keep_cookies };
        let names = head.header_names();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let read = |wanted: &str| has(wanted).then(|| head.header(wanted)).flatten();
        let (connection, cookie) = (read(name::CONNECTION), read(name::COOKIE));
        let mut edits =
            request_edits(&names, connection.as_deref(), cookie.as_deref(), keep, &protected);
        self.add_own(&mut edits, route, &read);
        let credential = match injected {
            Injected::Header(name, value) => Some((name.clone(), value.clone())),
            Injected::Nothing | Injected::Query(..) => None,
        };
        Some(UpstreamRequest {
            method: self.walk.method.clone(),
            url: self.url.clone(),
            edits,
            credential,
            body_cap: self.undeclared.then_some(route.body_limit),
            timeout: upstream.timeout,
            max_stream: upstream.max_stream,
            ends_within: self.walk.ends_within,
            passes_cache: self.walk.gate.policy.gate.platform == Platform::Cloudflare,
        })
    }

    /// The gate's own headers, after everything that a client could have forged came off.
    fn add_own(&self, edits: &mut Edits, route: &Route, read: &dyn Fn(&str) -> Option<String>) {
        let walk = &self.walk;
        let mut set = |name: &str, value: String| edits.set.push((name.to_owned(), value));
        if let Caller::Key(record) = &self.caller {
            set(name::X_TOLLGATE_TENANT, record.tenant.clone());
            set(name::X_TOLLGATE_KEY, record.id.to_string());
            set(name::X_TOLLGATE_SCOPES, joined(record));
            for place in &route.tenant {
                if let TenantPlace::Header(name) = place {
                    set(name, record.tenant.clone());
                }
            }
        }
        set(name::X_REQUEST_ID, walk.id.to_string());
        if let Some(address) = walk.address {
            set(name::X_FORWARDED_FOR, address.to_string());
        }
        set("x-forwarded-proto", if walk.url.secure { "https" } else { "http" }.to_owned());
        set("x-forwarded-host", walk.url.authority.clone());
        let via = read(name::VIA).map_or_else(String::new, |via| format!("{via}, "));
        set(name::VIA, format!("{via}1.1 tollgate"));
        let random = walk.entropy.get(16..).unwrap_or_default();
        let trace = Trace::new(read(name::TRACEPARENT).as_deref(), random);
        set(name::TRACEPARENT, trace.to_string());
        if !trace.continued {
            edits.remove.push(name::TRACESTATE.to_owned());
        }
    }

    /// What is to be sent to objects as the request goes to its upstream, without waiting. What is
    /// not taken here comes with the answer.
    #[must_use]
    pub fn take_errands(&mut self) -> Vec<Errand> {
        core::mem::take(&mut self.walk.errands)
    }

    /// The walk ends here, without an answer: what is to be sent because of that.
    pub fn given_up(mut self) -> Vec<Errand> {
        self.walk.last_errands()
    }

    /// The address as it may be shown: without what was injected.
    pub fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// Step 12 for an upstream that answered, with these headers.
    pub fn answered(
        self,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<Relayed, Box<Answer>> {
        let Self { mut walk, caller, upstream, .. } = self;
        let gate = Rc::clone(&walk.gate);
        let Some(prepared) = gate.prepared(upstream) else {
            return Err(Box::new(walk.refuse(Step::Answer, Code::InternalError).into_answer()));
        };
        let own = walk.url.base();
        match answer_edits(headers, &prepared.guard, &own) {
            Relay::Leak { header } => {
                walk.passed(Step::Answer, |_| format!("the secret stands in {header}"));
                Err(Box::new(walk.refuse(Step::Answer, Code::SecretLeakBlocked).into_answer()))
            }
            Relay::Pass { edits, cookies } => {
                let mut set = walk.stamp();
                // `Vary: *` says more than any list of names.
                let varies = |(name, value): &(String, String)| {
                    name.eq_ignore_ascii_case("vary") && value.contains('*')
                };
                let vary = take(&mut set, name::VARY).filter(|_| !headers.iter().any(varies));
                set.extend(no_store(&caller));
                let mut append: Vec<(&'static str, String)> =
                    cookies.into_iter().map(|cookie| ("Set-Cookie", cookie)).collect();
                append.extend(vary.map(|vary| (name::VARY, vary)));
                append.extend(edits_of_route(&walk));
                Ok(Relayed { status, remove: edits.remove, set, append, walk })
            }
        }
    }

    /// Step 12 for an upstream that did not answer.
    pub fn failed(self, fault: UpstreamFault) -> Answer {
        let code = match fault {
            UpstreamFault::Unreachable => Code::UpstreamUnreachable,
            UpstreamFault::Timeout => Code::UpstreamTimeout,
            UpstreamFault::BodyTooLarge => Code::BodyTooLarge,
        };
        self.walk.refuse(Step::Forward, code).into_answer()
    }

    /// The gate's own headers of the answer, and the steps, for `explain`.
    pub fn explain(self) -> (Vec<(&'static str, String)>, Vec<Note>) {
        let mut headers = self.walk.stamp();
        headers.extend(no_store(&self.caller));
        headers.extend(edits_of_route(&self.walk));
        (headers, self.walk.into_notes())
    }
}

impl Relayed {
    /// What is to be sent to objects now, without waiting.
    #[must_use]
    pub fn take_errands(&mut self) -> Vec<Errand> {
        core::mem::take(&mut self.walk.errands)
    }

    /// What is to be sent once the answer's last byte has left, or the answer broke off, or the
    /// client is gone. Empty for a request without a place in flight.
    #[must_use]
    pub fn take_release(&mut self) -> Vec<Errand> {
        core::mem::take(&mut self.walk.held)
    }

    /// The request's log line; `now` is when the answer's head leaves.
    pub fn log(&self, took: Millis, now: UnixMillis) -> LogLine {
        self.walk.log_line(self.status, None, now).upstream(took)
    }

    /// The request as it is counted; `now` is when the answer's head leaves.
    pub fn sample(&self, now: UnixMillis) -> Sample<'_> {
        self.walk.sample(self.status, None, now)
    }
}

/// The address at the upstream, and the same as it may be shown.
fn address(
    walk: &Walk,
    route: &Route,
    upstream: &Upstream,
    injected: &Injected,
    caller: &Caller,
) -> Option<(Secret, String)> {
    let tenant = match caller {
        Caller::Key(record) => Some(record.tenant.as_str()),
        Caller::Nobody => None,
    };
    let path = match &route.rewrite {
        None => walk.url.path.clone(),
        Some(rewrite) => rewrite.fill(&|name| {
            let value = walk.param(name)?;
            let segments: Vec<String> = value.split('/').map(encode_segment).collect();
            Some(segments.join("/"))
        })?,
    };
    let mut protected: Vec<&str> = Vec::new();
    let mut own: Vec<String> = Vec::new();
    for place in &route.tenant {
        if let TenantPlace::Query(name) = place {
            protected.push(name);
            own.extend(tenant.map(|tenant| format!("{name}={}", encode_query_value(tenant))));
        }
    }
    if let Injected::Query(name, _) = injected {
        protected.push(name);
    }
    let query = clean_query(walk.url.query.as_deref(), &protected);
    let mut shown: Vec<String> = query.into_iter().filter(|query| !query.is_empty()).collect();
    shown.append(&mut own);
    let mut sent = shown.clone();
    if let Injected::Query(name, value) = injected {
        sent.push(format!("{name}={}", encode_query_value(value.expose())));
        let offline = matches!(walk.gate.trust, Trust::Assumed);
        shown.push(format!("{name}={}", if offline { value.expose() } else { "…" }));
    }
    let base = format!("{}{}{path}", upstream.base.origin(), upstream.base.path_prefix());
    let with = |items: &[String]| {
        if items.is_empty() { base.clone() } else { format!("{base}?{}", items.join("&")) }
    };
    Some((Secret::new(with(&sent)), with(&shown)))
}

fn joined(record: &KeyRecord) -> String {
    record.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What depended on a key is for its holder alone (SPEC section 6); caches cannot see `X-Api-Key`.
fn no_store(caller: &Caller) -> Option<(&'static str, String)> {
    matches!(caller, Caller::Key(_)).then(|| (name::CACHE_CONTROL, "no-store".to_owned()))
}

/// A route that is to go says so (RFC 9745, RFC 8594), unless the key has an earlier end.
fn deprecated(walk: &mut Walk, route: &Route) {
    let Some(deprecated) = &route.deprecated else { return };
    if !walk.limits.iter().any(|(header, _)| *header == name::DEPRECATION) {
        walk.limits.push((name::DEPRECATION, format!("@{}", deprecated.since.as_secs())));
        if let Some(sunset) = deprecated.sunset {
            walk.limits.push((name::SUNSET, sunset.to_http_date()));
        }
    }
}

fn edits_of_route(walk: &Walk) -> Option<(&'static str, String)> {
    let link = walk.route()?.deprecated.as_ref()?.link.as_ref()?;
    Some((name::LINK, format!("<{link}>; rel=\"deprecation\"")))
}

fn take(headers: &mut Vec<(&'static str, String)>, wanted: &str) -> Option<String> {
    let at = headers.iter().position(|(header, _)| *header == wanted)?;
    Some(headers.remove(at).1)
}
