//! `POST keys/verify`: would the road let this key pass, or this token?

use serde_json::Value;
use tollgate_core::key::{Key, Token};
use tollgate_core::manage::{Caller, Verdict, VerifyAsk};
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::record_of;
use crate::platform::now;

/// Steps 6 to 9 for a key that somebody else presented. Costs the key nothing; a key that fails in
/// step 6 costs whoever asks one of the bad keys that they may bring.
pub(super) async fn verify(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let ask = VerifyAsk::read(body)?;
    context.may_look_up(caller)?;
    let verdict = match presented(context, caller, &ask).await? {
        Ok(verdict) => verdict,
        Err(code) => {
            context.looked_up(caller);
            Verdict::Bad(code)
        }
    };
    Ok(Answer::json(200, &verdict.body(now())))
}

/// What the key's record says, or the code of a failed credential.
async fn presented(
    context: &Context,
    caller: &Caller,
    ask: &VerifyAsk,
) -> Result<Result<Verdict, Code>, Refused> {
    let key = match (Key::parse(ask.key.expose()), Token::parse(ask.key.expose())) {
        (Ok(key), _) => key,
        (_, Ok(token)) => return of_token(context, caller, ask, &token).await,
        _ => return Ok(Err(Code::KeyInvalid)),
    };
    if let Some(code) = context.ground().refuses(&key, false) {
        return Ok(Err(code));
    }
    let record = record_of(context, &key.id).await?;
    // Of another tenant's key nobody here learns more than of an unknown one.
    let own =
        record.filter(|record| context.ground().holds(&key, record) && caller.sees(&record.tenant));
    Ok(own.map(|record| ask.judge(&record, now())).ok_or(Code::KeyInvalid))
}

/// The same of a token.
async fn of_token(
    context: &Context,
    caller: &Caller,
    ask: &VerifyAsk,
    token: &Token,
) -> Result<Result<Verdict, Code>, Refused> {
    let ground = context.ground();
    if let Some(code) = ground.refuses_token(token) {
        return Ok(Err(code));
    }
    let record = record_of(context, &token.id).await?;
    let own = record.filter(|record| ground.traded(token, record) && caller.sees(&record.tenant));
    let judge = |record| ask.judge_token(&record, &token.claims, now());
    Ok(own.map(judge).ok_or(Code::KeyInvalid))
}
