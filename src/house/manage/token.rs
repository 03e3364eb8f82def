//! `POST /_tollgate/token`: a token for a key.

use tollgate_core::family::{FamilyReply, FamilyRequest};
use tollgate_core::header::name;
use tollgate_core::key::KeyRecord;
use tollgate_core::limit::rate_limit_headers;
use tollgate_core::manage::{
    Caller, Failed, Grant, MAX_FORM, TokenAsk, TokenSent, UsedAt, admin_charges, deprecation,
    error_type, oauth,
};
use tollgate_core::problem::Code;
use tollgate_core::road::admission::no_room;
use tollgate_core::scope::Scope;

use super::answer::{Answer, Refused};
use super::auth::Admitted;
use super::objects::{ask_family, record_of};
use super::{Context, body};
use crate::house::memory;
use crate::platform::{now, random};

/// Answers it; a refusal also carries what OAuth clients read.
pub(super) async fn answer(context: &Context) -> Result<Answer, Refused> {
    let kind = error_type(context.header("accept").as_deref());
    trade(context).await.map_err(|refused| refused.map(oauth).with("Content-Type", kind))
}

async fn trade(context: &Context) -> Result<Answer, Refused> {
    if context.method() != "POST" {
        return Err(Refused::from(Code::MethodNotAllowed).with(name::ALLOW, "POST"));
    }
    let ask = ask(context).await?;
    let record = holder_of(context, &ask).await?;
    let caller = Caller::Key(Box::new(record.clone()));
    let (admitted, record, scopes) =
        admit(context, &ask, record).await.map_err(|refused| refused.of(&caller))?;
    let entropy = (now(), random().ok_or(Code::InternalError)?);
    match Grant::new(context.ground(), &ask.key, &record, scopes, entropy) {
        Ok(grant) => {
            let answer = Answer::json(200, &grant.body()).with("Pragma", "no-cache");
            Ok(answer.by(&admitted))
        }
        Err(problem) => Err(Refused::from(problem).by(&admitted)),
    }
}

/// Step 6, as far as it can be told without a store.
async fn ask(context: &Context) -> Result<TokenAsk, Refused> {
    let [authorization, x_api_key, content_type] =
        [name::AUTHORIZATION, name::X_API_KEY, name::CONTENT_TYPE].map(|name| context.header(name));
    let body = body::bytes(context, MAX_FORM).await?;
    let sent = TokenSent {
        authorization: authorization.as_deref(),
        x_api_key: x_api_key.as_deref(),
        content_type: content_type.as_deref(),
        body: &body,
    };
    TokenAsk::read(sent, context.ground()).map_err(|Failed { problem, counts }| {
        if counts {
            if let Err(spent) = context.may_fail() {
                return spent;
            }
            context.failed();
        }
        problem.into()
    })
}

fn used_at(context: &Context) -> UsedAt {
    let sent = |name: &str| context.header(name).is_some();
    let in_browser = sent(name::ORIGIN) || sent(name::SEC_FETCH_SITE);
    UsedAt { address: context.own.address(), in_browser }
}

/// The key's record, for whoever presented its secret. Whom this isolate knows by heart is not kept
/// out by the failures of others at the same address.
async fn holder_of(context: &Context, ask: &TokenAsk) -> Result<KeyRecord, Refused> {
    let key = &ask.key;
    let known = memory::known(&key.id);
    match known.filter(|record| context.ground().holds(key, record)) {
        // What would only be refused again costs no store call once its budget is spent.
        Some(record) if ask.permit(&record, used_at(context), now()).is_err() => {
            let caller = Caller::Key(Box::new(record));
            context.may_be_refused(&key.id).map_err(|spent| spent.of(&caller))?;
        }
        Some(_) => {}
        None => context.may_fail()?,
    }
    let record = record_of(context, &key.id).await?;
    let record = record.filter(|record| context.ground().holds(key, record));
    let Some(record) = record else {
        context.failed();
        return Err(Code::KeyInvalid.into());
    };
    memory::learn(&record);
    Ok(record)
}

/// Steps 7 to 10, which cost the key's own limits one request. A record that changed while it was
/// looked at is looked at once more.
async fn admit(
    context: &Context,
    ask: &TokenAsk,
    mut record: KeyRecord,
) -> Result<(Admitted, KeyRecord, Vec<Scope>), Refused> {
    let place = used_at(context);
    for _ in 0..2 {
        let scopes = match ask.permit(&record, place, now()) {
            Ok(scopes) => scopes,
            Err(problem) => {
                context.may_be_refused(&record.id)?;
                context.refused(&record.id);
                return Err(problem.into());
            }
        };
        let request = FamilyRequest::Admit {
            id: record.id.clone(),
            version: record.version,
            charges: admin_charges(&record, &context.gate.policy, place.address),
            rehash: context.gate.trust.rehash(&ask.key, &record.digest),
            slot: None,
            ahead: 0,
        };
        match ask_family(context, &record.family, &request).await? {
            FamilyReply::Verdict(verdict) => {
                let mut limits = rate_limit_headers(&verdict);
                if let Some(problem) = no_room(&verdict) {
                    return Err(Refused::from(problem).with_all(limits));
                }
                limits.extend(deprecation(&record));
                let caller = Caller::Key(Box::new(record.clone()));
                return Ok((Admitted { caller, limits }, record, scopes));
            }
            FamilyReply::Stale { record: current } => {
                memory::learn(&current);
                record = *current;
            }
            FamilyReply::Refused { record: current } => {
                memory::learn(&current);
                ask.permit(&current, place, now())?;
                // The object's clock is ahead of this one: the key is as good as expired.
                return Err(Code::KeyExpired.into());
            }
            FamilyReply::Unknown => return Err(Code::KeyInvalid.into()),
            _ => break,
        }
    }
    Err(Code::AdmissionUnavailable.into())
}
