//! `/_tollgate/v1/session`: people. What is checked here, because what hides a seed waits, is
//! decided by the object of the key's family: it counts each try before it says what to check
//! against, and takes each code once.

use serde_json::{Map, Value, json};
use tollgate_core::audit::Draft;
use tollgate_core::family::FamilyReply;
use tollgate_core::header::name;
use tollgate_core::key::{Deprecated, Digest, KeyEnvironment, KeyId, KeyKind, KeyRecord, Peppers};
use tollgate_core::manage::{
    Caller, OpenAsk, With, caller_resource, ended_cookie, read_confirm, read_enrol, read_renewal,
    session_cookie, session_resource,
};
use tollgate_core::people::{
    Attempt, CODE_BYTES, CodeSort, PeopleReply, PeopleRequest, Proof, Qr, RECOVERY_CODES,
    SEED_BYTES, Seed, SessionKind, SessionToken,
};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::{Fault, Trust};
use tollgate_core::text::{Secret, random_base62};
use tollgate_core::time::UnixMillis;

use super::answer::{Answer, Refused};
use super::auth::session_shown;
use super::objects::{ask_people, draft, note, visible_record};
use super::{Context, access};
use crate::house::crypto::aes;
use crate::platform::{now, random};

/// How often a family is asked for an enrolment code while its keys keep changing.
const INVITE_TRIES: usize = 4;

/// `GET session`
pub(super) fn show(caller: &Caller) -> Answer {
    Answer::json(200, &json!({ "session": caller_resource(caller) }))
}

/// `POST session`
pub(super) async fn open(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let ask = OpenAsk::read(body)?;
    let holder = Holder::of(context, caller)?;
    holder.may_stand_in(ask.kind)?;
    let (proof, detail) = holder.prove(&ask.with).await?;
    let token = holder.fresh_token()?;
    let digest = token.digest(ask.kind, holder.peppers).ok_or(Code::InternalError)?;
    let open = PeopleRequest::Open { digest, kind: ask.kind, proof: proof.clone() };
    let PeopleReply::Opened { session, recovery_left } = holder.ask(open).await? else {
        // Somebody else used the code at the same moment.
        return Err(holder.wrong(detail).await?);
    };
    let mut opened = holder.draft("session.opened", detail);
    opened.detail.insert("kind".to_owned(), json!(ask.kind.as_str()));
    note(context, vec![opened]).await?;
    let mut told = session_resource(holder.record, &session);
    if let (Proof::Recovery(_), Value::Object(members)) = (&proof, &mut told) {
        members.insert("recovery_codes_left".to_owned(), json!(recovery_left));
    }
    let text = token.text();
    Ok(match ask.kind {
        SessionKind::Console => Answer::json(200, &json!({ "session": told }))
            .with(name::SET_COOKIE, session_cookie(&text, session.expires_at, now())),
        SessionKind::Cli => Answer::json(200, &json!({ "session": told, "token": text.expose() })),
    })
}

/// `DELETE session`
pub(super) async fn close(context: &Context, caller: &Caller) -> Result<Answer, Refused> {
    let (Caller::Session { record, session }, Some((key, shown))) =
        (caller, session_shown(context)?)
    else {
        let detail = "The call does not come from a session.";
        return Err(Problem::new(Code::NotFound).detail(detail).into());
    };
    let kind = session.kind;
    ask_people(context, &record.family, &key, PeopleRequest::Close(shown)).await?;
    let mut closed = draft(context, caller, "session.closed");
    closed.key = Some(key.to_string());
    closed.detail.insert("kind".to_owned(), json!(kind.as_str()));
    note(context, vec![closed]).await?;
    let answer = Answer::new(204);
    Ok(match kind {
        SessionKind::Console => answer.with(name::SET_COOKIE, ended_cookie()),
        SessionKind::Cli => answer,
    })
}

/// `POST session/enrol`
pub(super) async fn enrol(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let code = read_enrol(body)?;
    let holder = Holder::of(context, caller)?;
    holder.may_stand_in(SessionKind::Console)?;
    let keys = aes::store_keys(&context.env)?;
    let PeopleReply::Codes(kept) = holder.attempt(Attempt::Enrolment).await? else {
        return Err(not_invited());
    };
    let Some(digest) = holder.fitting(CodeSort::Enrolment, &code, &kept) else {
        return Err(holder.wrong(with("enrolment_code")).await?);
    };
    let seed = Seed::new(random::<SEED_BYTES>().ok_or(Code::InternalError)?);
    let secret = seed.to_base32();
    let hidden = aes::keep(&keys, &row(holder.record), secret.expose()).await?;
    if holder.ask(PeopleRequest::Enrol { digest, seed: hidden }).await? != PeopleReply::Done {
        return Err(not_invited());
    }
    let issuer = &context.gate.policy.gate.realm;
    let account = format!("{} {}", holder.record.name, holder.record.id);
    let uri = seed.uri(issuer, &account);
    let picture = Qr::of(uri.expose()).ok_or(Code::InternalError)?;
    let title = format!("The second factor of {} for an authenticator app", holder.record.name);
    Ok(Answer::json(
        200,
        &json!({
            "otpauth_uri": uri.expose(),
            "secret": secret.expose(),
            "qr_svg": picture.svg(&title),
        }),
    ))
}

/// `POST session/enrol/confirm`
pub(super) async fn confirm(
    context: &Context,
    caller: &Caller,
    body: &Value,
) -> Result<Answer, Refused> {
    let code = read_confirm(body)?;
    let holder = Holder::of(context, caller)?;
    holder.may_stand_in(SessionKind::Console)?;
    let keys = aes::store_keys(&context.env)?;
    let PeopleReply::Totp { seed: hidden, .. } = holder.attempt(Attempt::Confirmation).await?
    else {
        let detail = "Nothing waits to be confirmed: enrol first.";
        return Err(Problem::new(Code::StateConflict).detail(detail).into());
    };
    let seed = opened(&keys, holder.record, &hidden).await?;
    let Some(step) = seed.accepts(code.expose(), now(), None) else {
        return Err(holder.wrong(with("code")).await?);
    };
    let codes = recovery_codes()?;
    let family = &holder.record.family;
    let mark = |code| marked(holder.peppers, CodeSort::Recovery, family, code);
    let recovery = codes.iter().filter_map(mark).map(|(kept, _)| kept).collect();
    let confirm = PeopleRequest::Confirm { seed: hidden, step, recovery };
    if holder.ask(confirm).await? != PeopleReply::Done {
        return Err(Code::SecondFactorInvalid.into());
    }
    note(context, vec![holder.draft("second_factor.enrolled", Map::new())]).await?;
    let codes: Vec<&str> = codes.iter().map(Secret::expose).collect();
    Ok(Answer::json(200, &json!({ "recovery_codes": codes })))
}

/// `POST keys/{id}/enrolment`
pub(super) async fn renew_enrolment(
    context: &Context,
    caller: &Caller,
    id: &KeyId,
    body: &Value,
) -> Result<Answer, Refused> {
    read_renewal(body)?;
    let record = visible_record(context, caller, id).await?;
    caller.may_change(&record)?;
    if record.kind != KeyKind::Ak || !record.mfa {
        let detail = "Only an admin key with `mfa` has a second factor.";
        return Err(Problem::new(Code::StateConflict).detail(detail).into());
    }
    let enrolment = invite(context, caller, &record).await?;
    let mut reset = draft(context, caller, "second_factor.reset");
    reset.tenant.clone_from(&record.tenant);
    reset.key = Some(record.id.to_string());
    note(context, vec![reset]).await?;
    Ok(Answer::json(200, &json!({ "enrolment": enrolment })))
}

/// A fresh enrolment code for the holder of this key, as it is shown. What was enrolled before is
/// forgotten. With the key, the code is as good as the second factor of each key of the family: so
/// the caller has to be able to make each of them, as it is when the code comes to be.
pub(super) async fn invite(
    context: &Context,
    caller: &Caller,
    record: &KeyRecord,
) -> Result<Value, Refused> {
    let code = fresh_code(CodeSort::Enrolment)?;
    let marked = marked(peppers(context)?, CodeSort::Enrolment, &record.family, &code);
    let (digest, _) = marked.ok_or(Code::InternalError)?;
    caller.may_grant(record)?;
    let mut judged = vec![(record.id.clone(), record.version)];
    for _ in 0..INVITE_TRIES {
        let invite = PeopleRequest::Invite { digest: digest.clone(), judged: judged.clone() };
        match ask_people(context, &record.family, &record.id, invite).await? {
            FamilyReply::People(PeopleReply::Invited { expires_at }) => {
                return Ok(json!({ "code": code.expose(), "expires_at": expires_at.to_rfc3339() }));
            }
            FamilyReply::People(PeopleReply::Unjudged(records)) => {
                for other in records {
                    caller.may_grant(&other).map_err(|problem| shared_with(&other, *problem))?;
                    judged.retain(|(id, _)| *id != other.id);
                    judged.push((other.id, other.version));
                }
            }
            FamilyReply::Refused { .. } => {
                let detail = "The key is revoked, disabled or past its end.";
                return Err(Problem::new(Code::StateConflict).detail(detail).into());
            }
            FamilyReply::Unknown => return Err(Code::NotFound.into()),
            other => return Err(unexpected(&other)),
        }
    }
    Err(Code::AdmissionUnavailable.into())
}

/// Says which key it is that the caller cannot make.
fn shared_with(record: &KeyRecord, problem: Problem) -> Problem {
    let detail = format!("The key {} has the same second factor. {}", record.id, problem.detail);
    problem.detail(detail)
}

/// Whoever shows an admin key itself.
struct Holder<'c> {
    context: &'c Context,
    caller: &'c Caller,
    record: &'c KeyRecord,
    peppers: &'c Peppers,
}

impl<'c> Holder<'c> {
    fn of(context: &'c Context, caller: &'c Caller) -> Result<Self, Refused> {
        let Caller::Key(record) = caller else {
            let detail = "This call takes the admin key itself, as Authorization: Bearer KEY.";
            return Err(Problem::new(Code::WrongKind).detail(detail).into());
        };
        // Whoever has a key that was replaced, because it leaked perhaps, could pause its holder by
        // wrong codes.
        if let Some(Deprecated { successor, .. }) = &record.deprecated {
            let detail = format!("This key was rotated: use its successor {successor}.");
            return Err(Problem::new(Code::StateConflict).detail(detail).into());
        }
        Ok(Self { context, caller, record, peppers: peppers(context)? })
    }

    /// A page of somebody else's signs nobody in, and no page gets what is for a terminal.
    fn may_stand_in(&self, kind: SessionKind) -> Result<(), Refused> {
        let [origin, site] =
            [name::ORIGIN, name::SEC_FETCH_SITE].map(|name| self.context.header(name));
        match kind {
            SessionKind::Cli if origin.is_some() || site.is_some() => {
                let detail = "A session of the command line is not for browsers.";
                Err(Problem::new(Code::SecretKeyInBrowser).detail(detail).into())
            }
            SessionKind::Cli => Ok(()),
            SessionKind::Console => {
                let own = self.context.own.url().base();
                let fits = origin.is_none_or(|origin| origin == own)
                    && site.is_none_or(|site| site == "same-origin");
                if fits { Ok(()) } else { Err(Code::OriginNotAllowed.into()) }
            }
        }
    }

    /// With what the session is opened, and what the audit says of it.
    async fn prove(&self, shown: &With) -> Result<(Proof, Map<String, Value>), Refused> {
        match shown {
            With::Code(code) => {
                let keys = aes::store_keys(&self.context.env)?;
                let PeopleReply::Totp { seed, last } = self.attempt(Attempt::Totp).await? else {
                    return Err(not_enrolled());
                };
                let known = opened(&keys, self.record, &seed).await?;
                match known.accepts(code.expose(), now(), last) {
                    Some(step) => Ok((Proof::Totp { step, seed }, with("code"))),
                    None => Err(self.wrong(with("code")).await?),
                }
            }
            With::Recovery(code) => {
                let PeopleReply::Codes(kept) = self.attempt(Attempt::Recovery).await? else {
                    return Err(not_enrolled());
                };
                match self.fitting(CodeSort::Recovery, code, &kept) {
                    Some(digest) => Ok((Proof::Recovery(digest), with("recovery_code"))),
                    None => Err(self.wrong(with("recovery_code")).await?),
                }
            }
            With::Nothing => self.prove_without_code().await,
        }
    }

    async fn prove_without_code(&self) -> Result<(Proof, Map<String, Value>), Refused> {
        let access = self.context.gate.policy.gate.access.as_ref();
        let token = self.context.header(name::CF_ACCESS_JWT_ASSERTION);
        if let (Some(access), Some(token)) = (access, token) {
            let mut detail = with("access");
            // It pauses nobody, so that its address is what bounds how often it is tried.
            self.context.may_fail()?;
            let Some(vouched) = access::vouched(access, &token).await? else {
                self.context.failed();
                return Err(self.wrong(detail).await?);
            };
            detail.insert("person".to_owned(), json!(vouched.person));
            return Ok((Proof::Access { until: vouched.until }, detail));
        }
        if self.record.mfa {
            let detail = "This admin key needs a second factor: send `code` or `recovery_code`. If \
                          none is set up yet, enrol with the code from whoever made the key.";
            return Err(Problem::new(Code::SecondFactorRequired).detail(detail).into());
        }
        Ok((Proof::Key, with("key")))
    }

    /// Counts a try, and tells what to check it against.
    async fn attempt(&self, attempt: Attempt) -> Result<PeopleReply, Refused> {
        match self.ask(PeopleRequest::Attempt(attempt)).await? {
            PeopleReply::Paused { until } => Err(paused(until)),
            reply => Ok(reply),
        }
    }

    async fn ask(&self, request: PeopleRequest) -> Result<PeopleReply, Refused> {
        let Self { context, record, .. } = self;
        match ask_people(context, &record.family, &record.id, request).await? {
            FamilyReply::People(reply) => Ok(reply),
            // It was good a moment ago.
            FamilyReply::Refused { .. } | FamilyReply::Unknown => Err(Code::KeyInvalid.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// The right key with a wrong code: the refusal, once it is written down.
    async fn wrong(&self, detail: Map<String, Value>) -> Result<Refused, Refused> {
        let mut failed = self.draft("session.failed", detail);
        failed.code = Some(Code::SecondFactorInvalid);
        note(self.context, vec![failed]).await?;
        Ok(Code::SecondFactorInvalid.into())
    }

    /// What is kept of the code that was typed, if it is one of these.
    fn fitting(&self, sort: CodeSort, typed: &Secret, kept: &[Digest]) -> Option<Digest> {
        let (_, made) = marked(self.peppers, sort, &self.record.family, typed)?;
        kept.iter().find(|kept| made.iter().any(|made| made.same(kept))).cloned()
    }

    fn draft(&self, kind: &str, detail: Map<String, Value>) -> Draft {
        let key = Some(self.record.id.to_string());
        Draft { key, detail, ..draft(self.context, self.caller, kind) }
    }

    fn fresh_token(&self) -> Result<SessionToken, Refused> {
        let policy = &self.context.gate.policy;
        let random = random::<64>().ok_or(Code::InternalError)?;
        let secret = random_base62(&random, tollgate_core::key::SECRET_CHARS);
        let secret = Secret::new(secret.ok_or(Code::InternalError)?);
        let environment = KeyEnvironment::of(&policy.environment.name);
        Ok(SessionToken::new(&policy.gate.key_brand, environment, self.record.id.clone(), secret))
    }
}

fn peppers(context: &Context) -> Result<&Peppers, Refused> {
    match &context.gate.trust {
        Trust::Secrets { peppers, .. } => Ok(peppers),
        Trust::Assumed => Err(Code::InternalError.into()),
    }
}

/// Where a seed is kept: it opens nowhere else.
fn row(record: &KeyRecord) -> String {
    format!("the second factor of {}", record.family)
}

async fn opened(
    keys: &tollgate_core::key::StoreKeys,
    record: &KeyRecord,
    hidden: &str,
) -> Result<Seed, Fault> {
    let row = row(record);
    let text = Secret::new(aes::kept(keys, &row, hidden).await?);
    Seed::from_base32(text.expose()).ok_or_else(|| Fault(format!("{row} is no seed")))
}

/// What is kept of this code, under the newest pepper and under each: it is read in the one form
/// that codes have.
fn marked(
    peppers: &Peppers,
    sort: CodeSort,
    family: &KeyId,
    typed: &Secret,
) -> Option<(Digest, Vec<Digest>)> {
    let code = sort.read(typed.expose())?;
    let what = match sort {
        CodeSort::Enrolment => "tollgate enrolment code",
        CodeSort::Recovery => "tollgate recovery code",
    };
    let parts = [what, family.as_str(), code.expose()];
    Some((peppers.mark(&parts)?, peppers.marks(&parts)))
}

fn recovery_codes() -> Result<Vec<Secret>, Refused> {
    (0..RECOVERY_CODES).map(|_| fresh_code(CodeSort::Recovery)).collect()
}

fn fresh_code(sort: CodeSort) -> Result<Secret, Refused> {
    Ok(sort.make(&random::<CODE_BYTES>().ok_or(Code::InternalError)?))
}

fn with(what: &str) -> Map<String, Value> {
    Map::from_iter([("with".to_owned(), json!(what))])
}

fn paused(until: UnixMillis) -> Refused {
    let mut problem = Problem::new(Code::TooManyFailures)
        .detail("Too many wrong codes for this key. Each further one doubles the pause.");
    problem.retry_after = Some(until.since(now()).ceil_secs().max(1));
    problem.into()
}

fn not_enrolled() -> Refused {
    let detail = "No second factor is enrolled for this key: enrol with the code from whoever made \
                  it.";
    Problem::new(Code::SecondFactorRequired).detail(detail).into()
}

fn not_invited() -> Refused {
    let detail = "There is no enrolment code for this key, or it has ended or was used: ask \
                  whoever made the key for another.";
    Problem::new(Code::SecondFactorInvalid).detail(detail).into()
}

fn unexpected(reply: &FamilyReply) -> Refused {
    // The reply may hold what is hidden; its kind is enough.
    let kind = format!("{reply:?}");
    let kind = kind.split(['(', ' ']).next().unwrap_or_default();
    Fault(format!("a people's request was answered with {kind}")).into()
}
