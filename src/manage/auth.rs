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
use crate::gate::{now, with_isolate};

/// Somebody whose credential was found good. Whether it is still so is asked again in
/// [`Holder::admit`]: what lies between, such as a body that is sent slowly, may take its time.
pub(super) enum Holder {
    Root,
    Key { key: Box<Key>, record: Box<KeyRecord> },
}

/// A caller that may make this call, and has paid for it.
pub(super) struct Admitted {
    pub(super) caller: Caller,
    /// What its limits say, as headers.
    pub(super) limits: Vec<(&'static str, String)>,
}

/// Step 6 for a management call that takes one of `rights`.
pub(super) async fn identify(context: &Context, rights: &[Right]) -> Result<Holder, Refused> {
    match credential(context)? {
        Credential::Root => Ok(Holder::Root),
        Credential::Key(key) => {
            let record = Box::new(holder_of(context, &key, rights).await?);
            Ok(Holder::Key { key, record })
        }
    }
}

impl Holder {
    /// Who it is.
    pub(super) fn caller(&self) -> Caller {
        match self {
            Self::Root => Caller::Root,
            Self::Key { record, .. } => Caller::Key(record.clone()),
        }
    }

    /// Steps 7 to 10.
    pub(super) async fn admit(
        self,
        context: &Context,
        rights: &[Right],
    ) -> Result<Admitted, Refused> {
        let caller = self.caller();
        match self {
            Self::Root => Ok(Admitted { caller, limits: Vec::new() }),
            Self::Key { key, record } => {
                admit(context, &key, *record, rights).await.map_err(|refused| refused.of(&caller))
            }
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
    let [authorization, x_api_key, origin, sec_fetch_site] =
        [name::AUTHORIZATION, name::X_API_KEY, name::ORIGIN, name::SEC_FETCH_SITE]
            .map(|name| context.header(name));
    let sent = Sent {
        authorization: authorization.as_deref(),
        x_api_key: x_api_key.as_deref(),
        origin: origin.as_deref(),
        sec_fetch_site: sec_fetch_site.as_deref(),
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

/// The key's record, for whoever presented its secret. Whom this isolate knows by heart is not kept
/// out by the failures of others at the same address.
async fn holder_of(context: &Context, key: &Key, rights: &[Right]) -> Result<KeyRecord, Refused> {
    let known = with_isolate(|isolate| isolate.known(&key.id));
    match known.filter(|record| context.ground().holds(key, record)) {
        // What would only be refused again costs no store call once its budget is spent.
        Some(record) => {
            if let Err(refused) = permit(context, &record, rights) {
                context.may_be_refused(&key.id).map_err(|spent| spent.of(&refused.caller))?;
            }
        }
        None => context.may_fail()?,
    }
    let record = record_of(context, &key.id).await?;
    let record = record.filter(|record| context.ground().holds(key, record));
    let Some(record) = record else {
        context.failed();
        return Err(Code::KeyInvalid.into());
    };
    with_isolate(|isolate| isolate.learn(record.clone(), now()));
    Ok(record)
}

/// Somebody who may not, and why.
struct NotPermitted {
    caller: Caller,
    problem: Box<Problem>,
}

/// Steps 7 to 9.
fn permit(context: &Context, record: &KeyRecord, rights: &[Right]) -> Result<Caller, NotPermitted> {
    let caller = Caller::Key(Box::new(record.clone()));
    let usable = may_be_used(record, context.own.address(), now());
    match usable.and_then(|()| caller.require(rights)) {
        Ok(()) => Ok(caller),
        Err(problem) => Err(NotPermitted { caller, problem }),
    }
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
        let caller = match permit(context, &record, rights) {
            Ok(caller) => caller,
            Err(NotPermitted { problem, .. }) => {
                context.may_be_refused(&record.id)?;
                context.refused(&record.id);
                return Err(problem.into());
            }
        };
        let request = FamilyRequest::Admit {
            id: record.id.clone(),
            version: record.version,
            charges: admin_charges(&record, &context.gate.policy, address),
            rehash: context.gate.trust.rehash(key, &record.digest),
        };
        match ask_family(context, &record.family, &request).await? {
            FamilyReply::Verdict(verdict) => return paid(caller, &verdict),
            FamilyReply::Stale { record: current } => {
                with_isolate(|isolate| isolate.learn((*current).clone(), now()));
                record = *current;
            }
            FamilyReply::Refused { record: current } => {
                with_isolate(|isolate| isolate.learn((*current).clone(), now()));
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
