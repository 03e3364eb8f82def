//! `Idempotency-Key` on management writes: a write that is sent twice is done once, and answered
//! the same (SPEC sections 3 and 6). What is kept opens only for the caller's own credential.

use core::future::Future;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_core::header::name;
use tollgate_core::manage::{ALL_TENANTS, CallRow, Caller, RegistryRequest};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::repeat::{
    Ask, Ending, IdempotencyKey, Kept, RepeatReply, RepeatRequest, answer_key, ending_of,
};
use tollgate_core::road::Fault;
use tollgate_core::text::Secret;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::ask_registry;
use crate::house::crypto::aes;
use crate::platform::random;

/// Headers of an answer that are kept with it. All others are those of the request that gets it.
const KEPT_HEADERS: [&str; 3] = ["Content-Type", "Location", name::WWW_AUTHENTICATE];

/// What is to be done once.
pub(super) struct Once<'c> {
    pub(super) caller: &'c Caller,
    /// What the caller presented: its answers are sealed under it.
    pub(super) credential: &'c Secret,
    pub(super) key: &'c IdempotencyKey,
    /// The request's body as it came.
    pub(super) body: &'c [u8],
    /// The answer shows a secret, if the write succeeds.
    pub(super) shows_secret: bool,
}

/// An answer as it is written down, to be sealed.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    code: Option<Code>,
}

/// The request's `Idempotency-Key`, if its call takes one.
pub(super) fn key_of(context: &Context, row: &CallRow) -> Result<Option<IdempotencyKey>, Refused> {
    let Some(header) = context.header(name::IDEMPOTENCY_KEY).filter(|_| row.writes) else {
        return Ok(None);
    };
    let malformed = |error: tollgate_core::repeat::IdempotencyKeyError| {
        Problem::new(Code::MalformedRequest).detail(error.to_string())
    };
    Ok(Some(IdempotencyKey::parse(&header).map_err(malformed)?))
}

impl Once<'_> {
    /// Does the write, unless it was done before: then its first answer comes again.
    pub(super) async fn run(
        &self,
        context: &Context,
        write: impl Future<Output = Result<Answer, Refused>>,
    ) -> Result<Answer, Refused> {
        let (method, url) = (context.method(), context.own.url());
        let ask = Ask {
            actor: self.actor(),
            key: self.key,
            method: &method,
            path: &url.path,
            query: url.query.as_deref().unwrap_or_default(),
            body: self.body,
        };
        let name = ask.name();
        let attempt = context.own.request_id().to_owned();
        let begin = RepeatRequest::Begin {
            name: name.clone(),
            fingerprint: ask.fingerprint(),
            attempt: attempt.clone(),
        };
        let reply: RepeatReply = self.keeper(context, begin).await?;
        match reply {
            RepeatReply::Started => {}
            RepeatReply::Done(sealed) => return self.again(context, &name, &sealed).await,
            other => return Err(other.problem().map_or(Code::InternalError.into(), Refused::from)),
        }
        let answered = write.await;
        if let Err(Fault(fault)) = self.ended(context, name, attempt, &answered).await {
            // It counts as unknown from its deadline on; this caller learns all the same.
            worker::console_error!("{{\"fault\":{fault:?}}}");
        }
        answered
    }

    /// Tells the keeper how it went.
    async fn ended(
        &self,
        context: &Context,
        name: String,
        attempt: String,
        answered: &Result<Answer, Refused>,
    ) -> Result<(), Fault> {
        let status = match answered {
            Ok(answer) => answer.status(),
            Err(refused) => refused.code().status(),
        };
        let request = match ending_of(status, context.has_changed()) {
            Ending::Unknown => return Ok(()),
            Ending::NotDone => RepeatRequest::Abandon { name, attempt },
            Ending::Done => {
                let written = match answered {
                    Ok(answer) => written(answer),
                    Err(refused) => written(&Answer::refusal(context, refused.clone())),
                };
                let sealed = match written {
                    Some(written) => Some(self.seal(&name, &written).await?),
                    None => None,
                };
                let secret = self.shows_secret && answered.is_ok();
                RepeatRequest::Finish { name, attempt, answer: Kept { sealed, secret } }
            }
        };
        self.keeper(context, request).await.map(|_| ())
    }

    async fn seal(&self, name: &str, written: &Written) -> Result<String, Fault> {
        let lacks = |what: &str| Fault(format!("an answer cannot be sealed: {what}"));
        let key = answer_key(self.credential, name).ok_or_else(|| lacks("no key"))?;
        let nonce = random().ok_or_else(|| lacks("no randomness"))?;
        let text = serde_json::to_string(written).map_err(|error| lacks(&error.to_string()))?;
        aes::seal(&key, name, &text, nonce).await
    }

    /// The first answer, for whoever presents the same credential. With another one of the same
    /// family nothing opens.
    async fn again(&self, context: &Context, name: &str, sealed: &str) -> Result<Answer, Refused> {
        let key = answer_key(self.credential, name).ok_or(Code::InternalError)?;
        let text = aes::open(&key, name, sealed).await.ok();
        let written: Option<Written> = text.and_then(|text| serde_json::from_str(&text).ok());
        let Some(written) = written else {
            let problem = RepeatReply::NotKept.problem();
            return Err(problem.map_or(Code::InternalError.into(), Refused::from));
        };
        let body = match written.code {
            Some(_) => of_this_request(&written.body, context.own.request_id()),
            None => written.body,
        };
        let mut answer = Answer::new(written.status).text(body).coded(written.code);
        for (header, value) in written.headers {
            if let Some(known) = KEPT_HEADERS.into_iter().find(|known| *known == header) {
                answer = answer.with(known, value);
            }
        }
        Ok(answer.with("Idempotency-Replayed", "true"))
    }

    async fn keeper(
        &self,
        context: &Context,
        request: RepeatRequest,
    ) -> Result<RepeatReply, Fault> {
        let tenant = self.caller.tenant().unwrap_or(ALL_TENANTS);
        ask_registry(context, tenant, &RegistryRequest::Repeat(request)).await
    }

    /// A key and its rotations are one actor.
    fn actor(&self) -> &str {
        self.caller.key().map_or("root", |record| record.family.as_str())
    }
}

/// None for an answer that is no text.
fn written(answer: &Answer) -> Option<Written> {
    let kept = |(name, _): &&(&str, String)| KEPT_HEADERS.contains(name);
    let headers = answer.headers().iter().filter(kept);
    Some(Written {
        status: answer.status(),
        headers: headers.map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        body: answer.body_text()?.to_owned(),
        code: answer.code(),
    })
}

/// A problem document names the request that it answers.
fn of_this_request(document: &str, request_id: &str) -> String {
    match serde_json::from_str(document) {
        Ok(Value::Object(mut members)) => {
            members.insert("correlationId".to_owned(), request_id.into());
            Value::Object(members).to_string()
        }
        _ => document.to_owned(),
    }
}
