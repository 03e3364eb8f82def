//! `/_tollgate/v1/audit`: what happened; and the entry about each call that is refused.

use std::cell::RefCell;

use serde_json::{Map, Value, json};
use tollgate_core::audit::{Exported, Head, Hush, Paged, Reply, signing_seed};
use tollgate_core::key::KeyId;
use tollgate_core::manage::{
    AuditAsk, AuditPart, Call, CallRow, Caller, RegistryRequest, after_the_end, audit_cursor,
};
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::{ask_registry_text, draft, note};
use crate::house::crypto::aes::store_keys;
use crate::house::crypto::ed25519::SigningKey;
use crate::platform::now;

thread_local! {
    static HUSH: RefCell<Hush> = RefCell::default();
}

/// `GET audit`
pub(super) async fn read(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let asked = AuditAsk::read(query, caller)?;
    let request = RegistryRequest::Audit(asked.request());
    let reply = ask_registry_text(context, &asked.chain, &request).await?;
    match asked.part {
        AuditPart::Page(_) => Ok(page(&reply)?),
        AuditPart::Export { after, .. } => export(context, &asked.chain, after, &reply).await,
    }
}

/// `GET audit/key`
pub(super) async fn key(context: &Context) -> Result<Answer, Refused> {
    let public_key = signing_key(context).await?.public().await?;
    let key = json!({ "algorithm": "Ed25519", "public_key": public_key });
    Ok(Answer::json(200, &json!({ "key": key })))
}

/// The entries are shown as they are: each line is JSON.
fn page(reply: &str) -> Result<Answer, Fault> {
    let (Paged { next }, lines) = Reply::read(reply).ok_or_else(unreadable)?;
    let entries = lines.trim_end().replace('\n', ",");
    let cursor = Value::from(next.map(audit_cursor));
    let body = format!(r#"{{"entries":[{entries}],"nextCursor":{cursor}}}"#);
    Ok(Answer::new(200).with("Content-Type", "application/json").text(body))
}

/// The lines, and the head that says which they are.
async fn export(
    context: &Context,
    chain: &str,
    asked: u64,
    reply: &str,
) -> Result<Answer, Refused> {
    let (Exported { after, to, last }, lines) = Reply::read(reply).ok_or_else(unreadable)?;
    if asked > last {
        return Err(after_the_end(last).into());
    }
    let head = Head {
        chain: chain.to_owned(),
        after: after.seq,
        prev: after.hash,
        seq: to.seq,
        count: to.seq.saturating_sub(after.seq),
        hash: to.hash,
        last,
        at: now().to_rfc3339(),
    };
    let head = head.text().map_err(|error| Fault(error.to_string()))?;
    let key = signing_key(context).await?;
    let line = Head::line(&head, &key.sign(&head).await?, &key.public().await?);
    let body = [lines, &line, "\n"].concat();
    Ok(Answer::new(200).with("Content-Type", "application/x-ndjson").text(body))
}

/// The key that signs heads. It follows from the newest `STORE_KEY`.
async fn signing_key(context: &Context) -> Result<SigningKey, Fault> {
    let keys = store_keys(&context.env)?;
    let seed = keys.newest().and_then(|(_, key)| signing_seed(key));
    SigningKey::new(&seed.ok_or_else(|| Fault("there is no STORE_KEY".to_owned()))?).await
}

fn unreadable() -> Fault {
    Fault("the audit answered what cannot be read".to_owned())
}

/// What a call is about: the key, and what else its path names.
pub(super) fn target(call: &Call) -> (Option<&KeyId>, Option<&str>) {
    match call {
        Call::ShowKey(id)
        | Call::UpdateKey(id)
        | Call::Act(id, _)
        | Call::KeyUsage(id)
        | Call::RenewEnrolment(id) => (Some(id), None),
        Call::ShowJob(name)
        | Call::ShowTenant(name)
        | Call::UpdateTenant(name)
        | Call::Endpoint(name, _) => (None, Some(name)),
        _ => (None, None),
    }
}

/// A call that somebody known made, to be written down if it is refused.
pub(super) struct Act {
    caller: Caller,
    call: String,
    key: Option<String>,
    target: Option<String>,
}

/// The most characters of a name in a path that are written down.
const MAX_TARGET: usize = 64;

impl Act {
    pub(super) fn new(caller: Caller, row: &CallRow, call: &Call) -> Self {
        let (key, target) = target(call);
        let own = caller.key().map(|record| &record.id);
        Self {
            call: format!("{} {}", row.method, row.path),
            key: key.or(own).map(ToString::to_string),
            target: target.map(|name| name.chars().take(MAX_TARGET).collect()),
            caller,
        }
    }

    /// The answer, once it is written down if it is a refusal. One that cannot be written down
    /// becomes another, which says that something is out of order; what the call did before it was
    /// refused is nothing, or unknown, in either.
    pub(super) async fn answered(
        self,
        context: &Context,
        answered: Result<Answer, Refused>,
    ) -> Result<Answer, Refused> {
        let code = match &answered {
            Ok(answer) => answer.code(),
            Err(refused) => Some(refused.code()),
        };
        if let Some(code) = code {
            self.note(context, code).await?;
        }
        answered
    }

    async fn note(self, context: &Context, code: Code) -> Result<(), Refused> {
        let name = self.caller.name();
        let Some(left_out) = HUSH.with_borrow_mut(|hush| hush.admit(name, code, now())) else {
            return Ok(());
        };
        let mut entry = draft(context, &self.caller, "management.refused");
        entry.call = Some(self.call);
        entry.code = Some(code);
        entry.key = self.key;
        if let Some(target) = self.target {
            entry.detail.insert("target".to_owned(), target.into());
        }
        if left_out > 0 {
            entry.detail.insert("left_out".to_owned(), left_out.into());
        }
        note(context, vec![entry]).await.map_err(|fault| Refused::from(fault).of(&self.caller))
    }
}
