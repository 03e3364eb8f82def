//! Is it what it says it is? The hashes are made here, everything else in the core.

use std::borrow::Cow;

use tollgate_core::policy::Source;
use tollgate_core::problem::Code;
use tollgate_core::road::Fault;
use tollgate_core::road::source::Outcome;
use tollgate_core::webhook::{
    Crypto, Done, Failure, Identity, Keys, Portable, Reply, Request, Scheme, Task, Verified,
    prepare, unsigned,
};

use super::{Hook, Refused};
use crate::house::crypto::{CryptoKey, KeyForm, algorithm};
use crate::platform::now;

/// What a webhook is.
pub(super) enum Judged {
    /// No event: this is the answer, and nothing is delivered.
    Reply(Reply),
    /// An event that goes on.
    Event {
        /// What it is known by.
        identity: Identity,
        /// The id that its provider gave it.
        provider_id: Option<String>,
        /// With what shadow mode let pass.
        outcome: Outcome,
    },
}

pub(super) async fn judge(
    hook: &Hook,
    source: &Source,
    scheme: &Scheme<'_>,
    body: &[u8],
) -> Result<Judged, Refused> {
    let url = source.url_of(hook.webhook.url());
    let request =
        Request { method: hook.webhook.method(), url: &url, headers: &hook.headers, body };
    if let Some(reply) = unsigned(scheme, &request) {
        return reply.map(Judged::Reply).map_err(refused);
    }
    let keys = hook.gate.keys_of(source).map_err(|_| Refused::from(Code::SourceUnavailable))?;
    let limit = usize::try_from(source.body_limit).unwrap_or(usize::MAX);
    match verified(scheme, &keys, &request, limit).await {
        Ok(Verified { reply: Some(reply), .. }) => Ok(Judged::Reply(reply)),
        Ok(verified) => Ok(Judged::Event {
            identity: Identity::of(&verified, hook.webhook.request_id(), source.strict),
            provider_id: verified.id,
            outcome: Outcome::default(),
        }),
        Err(failure) if source.in_shadow(now()) && failure.code() != Code::BodyTooLarge => {
            Ok(let_pass(failure, body))
        }
        Err(failure) => Err(refused(failure)),
    }
}

/// Looks at a signature and its time.
pub(crate) async fn verified(
    scheme: &Scheme<'_>,
    keys: &Keys,
    request: &Request<'_>,
    limit: usize,
) -> Result<Verified, Failure> {
    let pending = prepare(scheme, keys, request, limit)?;
    let mut done = Vec::new();
    for task in pending.tasks() {
        done.push(run(task).await);
    }
    pending.finish(&done, now())
}

/// An event that only shadow mode lets in.
fn let_pass(failure: Failure, body: &[u8]) -> Judged {
    let identity = Identity::unverified(body);
    let outcome =
        Outcome { would_refuse: Some(failure.code()), failed: Some(failure), ..Outcome::default() };
    Judged::Event { identity, provider_id: None, outcome }
}

fn refused(failure: Failure) -> Refused {
    let code = failure.code();
    let outcome = Outcome { failed: Some(failure), ..Outcome::default() };
    Refused { outcome, ..code.into() }
}

/// Makes a hash. Ed25519 is the platform's alone.
async fn run(task: Task<'_>) -> Done {
    match task {
        Task::Mac { .. } => Portable.run(task),
        Task::Ed25519 { key, message, signature } => {
            fits(key, message, signature).await.map_or(Done::Failed, Done::Fits)
        }
    }
}

async fn fits(key: &[u8], message: &[Cow<'_, [u8]>], signature: &[u8]) -> Result<bool, Fault> {
    let ed25519 = algorithm("Ed25519", &[])?;
    let key = CryptoKey::import(KeyForm::Raw(key), &ed25519, &["verify"]).await?;
    key.verify(&ed25519, signature, &message.concat()).await
}
