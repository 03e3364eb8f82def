//! Who calls. An admin key is asked of its family's object on every call, so that what was revoked
//! or narrowed is so at once; and it is admitted there like any request.

use tollgate_core::family::{FamilyReply, FamilyRequest};
use tollgate_core::header::name;
use tollgate_core::key::{Key, KeyRecord};
use tollgate_core::limit::{Verdict, rate_limit_headers};
use tollgate_core::manage::{Caller, Credential, Failed, Right, Sent, admin_charges, may_be_used};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::text::Secret;

use super::Context;
use super::answer::Refused;
use super::objects::{ask_family, record_of};
use crate::bindings;
use crate::gate::now;

/// A caller that may make this call, and has paid for it.
pub(super) struct Admitted {
    pub(super) caller: Caller,
    /// What its limits say, as headers.
    pub(super) limits: Vec<(&'static str, String)>,
}

/// Steps 6 to 10 for a management call that takes one of `rights`.
pub(super) async fn authenticate(context: &Context, rights: &[Right]) -> Result<Admitted, Refused> {
    match credential(context)? {
        Credential::Root => Ok(Admitted { caller: Caller::Root, limits: Vec::new() }),
        Credential::Key(key) => {
            let record = holder_of(context, &key).await?;
            let caller = Caller::Key(Box::new(record.clone()));
            let admitted = admit(context, &key, record, rights).await;
            admitted.map_err(|refused| refused.of(&caller))
        }
    }
}

/// True when the request carries anything that could be a credential.
pub(super) fn is_presented(context: &Context) -> bool {
    [name::AUTHORIZATION, name::X_API_KEY].into_iter().any(|name| context.header(name).is_some())
}

/// The root token, as far as it is set.
pub(super) fn root_token(context: &Context) -> Option<Secret> {
    bindings::text(&context.env, bindings::ROOT_TOKEN).map(Secret::new)
}

fn credential(context: &Context) -> Result<Credential, Refused> {
    let [authorization, x_api_key, origin] =
        [name::AUTHORIZATION, name::X_API_KEY, name::ORIGIN].map(|name| context.header(name));
    let sent = Sent {
        authorization: authorization.as_deref(),
        x_api_key: x_api_key.as_deref(),
        origin: origin.as_deref(),
    };
    let root = root_token(context);
    Credential::read(sent, root.as_ref(), context.ground()).map_err(|failed| {
        let Failed { problem, counts } = failed;
        if counts {
            if let Err(spent) = context.may_fail() {
                return spent;
            }
            context.failed();
        }
        problem.into()
    })
}

/// The key's record, for whoever presented its secret.
async fn holder_of(context: &Context, key: &Key) -> Result<KeyRecord, Refused> {
    context.may_fail()?;
    let record = record_of(context, &key.id).await?;
    let record = record.filter(|record| context.ground().holds(key, record));
    record.ok_or_else(|| {
        context.failed();
        Code::KeyInvalid.into()
    })
}

/// Steps 7 to 10. A record that changed while it was looked at is looked at once more.
async fn admit(
    context: &Context,
    key: &Key,
    mut record: KeyRecord,
    rights: &[Right],
) -> Result<Admitted, Refused> {
    let address = context.own.address();
    for _ in 0..2 {
        may_be_used(&record, address, now())?;
        let caller = Caller::Key(Box::new(record.clone()));
        caller.require(rights)?;
        let request = FamilyRequest::Admit {
            id: record.id.clone(),
            version: record.version,
            charges: admin_charges(&record, &context.gate.policy, address),
            rehash: context.gate.trust.rehash(key, &record.digest),
        };
        match ask_family(context, &record.family, &request).await? {
            FamilyReply::Verdict(verdict) => return paid(caller, &verdict),
            FamilyReply::Stale { record: current } => record = *current,
            FamilyReply::Refused { record: current } => {
                may_be_used(&current, address, now())?;
                // The object's clock is ahead of this one: the key is as good as expired.
                return Err(Code::KeyExpired.into());
            }
            FamilyReply::Unknown => return Err(Code::KeyInvalid.into()),
            _ => break,
        }
    }
    Err(Code::AdmissionUnavailable.into())
}

fn paid(caller: Caller, verdict: &Verdict) -> Result<Admitted, Refused> {
    let limits = rate_limit_headers(verdict);
    let Some(wait) = verdict.retry_after() else { return Ok(Admitted { caller, limits }) };
    let mut problem = Problem::new(Code::RateLimited);
    problem.violated_policies = verdict.exceeded().to_vec();
    problem.retry_after = Some(wait.ceil_secs().max(1));
    Err(Refused::from(problem).with_all(limits))
}
