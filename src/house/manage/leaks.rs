//! `POST /_tollgate/leaks`: keys that somebody found in the open.

use std::cell::RefCell;

use serde_json::Value;
use tollgate_core::audit::Draft;
use tollgate_core::family::{Change, FamilyReply, FamilyRequest};
use tollgate_core::header::name;
use tollgate_core::key::{KeyRecord, Token};
use tollgate_core::manage::{
    Caller, Finding, KEY_IDENTIFIER, KEY_SIGNATURE, LEAK_INTAKE, LEAKS, MAX_REPORT, ScannerKeys,
    Signer, Suspect, UnprovedReports, bad_signature, key_pattern, read_report, report_signature,
};
use tollgate_core::people::{Asked, PeopleReply, PeopleRequest, SessionKind, SessionToken, Shown};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::{Fault, Trust};

use super::answer::{Answer, Refused};
use super::objects::{ask_family, change_by, draft, note, record_of};
use super::{Context, body};
use crate::house::bindings::fetch_public;
use crate::house::crypto::ecdsa;
use crate::platform::now;

/// The largest list of public keys, in bytes.
const MAX_KEYS: usize = 256 * 1024;
/// Findings that are written down in one go.
const NOTED: usize = 50;

thread_local! {
    static KEYS: RefCell<ScannerKeys> = RefCell::default();
    static UNPROVED: RefCell<UnprovedReports> = RefCell::default();
}

/// What keys look like.
pub(super) fn pattern(context: &Context) -> Answer {
    let intake = context.gate.policy.gate.leak_intake.as_ref().map(|_| LEAKS);
    let answer = Answer::json(200, &key_pattern(context.ground(), intake));
    answer.with(name::CACHE_CONTROL, "public, max-age=3600")
}

/// Takes a report: nothing of it is looked at before its signature was found good.
pub(super) async fn take(context: &Context) -> Result<Answer, Refused> {
    let Some(intake) = &context.gate.policy.gate.leak_intake else {
        return Err(Code::NotFound.into());
    };
    if context.method() != "POST" {
        return Err(Refused::from(Code::MethodNotAllowed).with(name::ALLOW, "POST"));
    }
    let [identifier, signature] = [KEY_IDENTIFIER, KEY_SIGNATURE].map(|name| context.header(name));
    let signature = report_signature(identifier.as_deref(), signature.as_deref());
    let signature = signature.map_err(|problem| unsigned(context, problem))?;
    // Whoever cannot be the scanner has nothing read.
    let key = signer(context, &intake.keys, &identifier.unwrap_or_default()).await?;
    let begun = UNPROVED.with_borrow_mut(|reports| reports.begin(now()))?;
    let proved = proved(context, &key, &signature).await;
    UNPROVED.with_borrow_mut(|reports| reports.done(begun));
    let body = proved?;
    let mut answers = Vec::new();
    let mut drafts = Vec::new();
    for finding in read_report(&body)? {
        let found = look(context, &finding).await?;
        answers.push(finding.answer(found.is_some()));
        if let Some(Found { kind, record }) = found {
            drafts.push(leaked(context, &finding, kind, &record));
        }
        if drafts.len() >= NOTED {
            note(context, std::mem::take(&mut drafts)).await?;
        }
    }
    note(context, drafts).await?;
    Ok(Answer::json(200, &Value::Array(answers)))
}

/// A secret that was right, and the key that it is of.
struct Found {
    kind: &'static str,
    record: KeyRecord,
}

/// A signature that failed costs its address one of its failures; none costs nothing.
fn unsigned(context: &Context, problem: Problem) -> Refused {
    if problem.code == Code::SignatureInvalid {
        if let Err(spent) = context.may_fail() {
            return spent;
        }
        context.failed();
    }
    problem.into()
}

/// The public key of this identifier. An address that only brings failures has nothing fetched for
/// it, and nothing read: identifiers are no secret.
async fn signer(context: &Context, address: &str, identifier: &str) -> Result<Vec<u8>, Refused> {
    context.may_fail()?;
    if KEYS.with_borrow_mut(|keys| keys.start_fetch(identifier, now())) {
        match published(address).await {
            Ok(list) if KEYS.with_borrow_mut(|keys| keys.learn(&list, now())) => {}
            Ok(_) => complain("the address of the public keys answered with no list of them"),
            Err(Fault(fault)) => complain(&fault),
        }
    }
    match KEYS.with_borrow(|keys| keys.signer(identifier, now())) {
        Signer::Known(key) => Ok(key),
        Signer::Unknown => Err(unsigned(context, bad_signature("is by an unknown key"))),
        Signer::Unreachable => {
            let detail = "The public keys that reports are signed with cannot be had right now.";
            Err(Problem::new(Code::AdmissionUnavailable).detail(detail).into())
        }
    }
}

/// The body, if this key signed it. One that does not come costs its address a failure as well.
async fn proved(context: &Context, key: &[u8], signature: &[u8; 64]) -> Result<Vec<u8>, Refused> {
    let body = body::bytes(context, MAX_REPORT).await.inspect_err(|_| context.failed())?;
    if ecdsa::verifies(key, signature, &body).await? {
        return Ok(body);
    }
    Err(unsigned(context, bad_signature("does not fit its body")))
}

async fn published(address: &str) -> Result<Vec<u8>, Fault> {
    let answer = fetch_public(address).await?;
    let stream = answer.body().filter(|_| answer.ok());
    let stream = stream.ok_or_else(|| Fault(format!("{address}: status {}", answer.status())))?;
    let read = body::collect(stream, MAX_KEYS).await;
    read.map_err(|_| Fault(format!("{address}: its answer is too long or was cut off")))
}

fn complain(fault: &str) {
    worker::console_error!("{{\"fault\":{:?}}}", format!("leak intake: {fault}"));
}

/// Is it right? Then a key that is secret goes off, and so does a session. A token is left to its
/// end, which comes in minutes: its key may never have leaked.
async fn look(context: &Context, finding: &Finding) -> Result<Option<Found>, Refused> {
    match finding.suspect(context.ground()) {
        Suspect::Nothing => Ok(None),
        Suspect::Token(token) => Ok(of_token(context, &token).await?),
        Suspect::Session(token) => Ok(of_session(context, &token).await?),
        Suspect::Key(key) => {
            let record = record_of(context, &key.id).await?;
            let record = record.filter(|record| context.ground().holds(&key, record));
            let Some(record) = record else { return Ok(None) };
            let off = Change::Disable { id: record.id.clone(), version: None };
            match change_by(context, LEAK_INTAKE, &record.family, off).await {
                Ok(_) => {}
                // It was revoked before.
                Err(refused) if refused.code() == Code::StateConflict => {}
                Err(refused) => return Err(refused),
            }
            Ok(Some(Found { kind: key.prefix.kind.as_str(), record }))
        }
    }
}

async fn of_token(context: &Context, token: &Token) -> Result<Option<Found>, Fault> {
    let record = record_of(context, &token.id).await?;
    let record = record.filter(|record| context.ground().traded(token, record));
    Ok(record.map(|record| Found { kind: "tk", record }))
}

/// Ends the session, if there is one.
async fn of_session(context: &Context, token: &SessionToken) -> Result<Option<Found>, Fault> {
    let Trust::Secrets { peppers, .. } = &context.gate.trust else { return Ok(None) };
    let Some(record) = record_of(context, &token.key).await? else { return Ok(None) };
    for kind in [SessionKind::Cli, SessionKind::Console] {
        let shown = || Shown { kind, digests: token.digests(kind, peppers) };
        let ask = |request| FamilyRequest::People(Asked { key: token.key.clone(), request });
        let find = ask(PeopleRequest::Find(shown()));
        let reply = ask_family(context, &record.family, &find).await?;
        if matches!(reply, FamilyReply::People(PeopleReply::Session { .. })) {
            let close = ask(PeopleRequest::Close(shown()));
            ask_family(context, &record.family, &close).await?;
            let mut closed = by_intake(context, "session.closed", &record);
            closed.detail.insert("kind".to_owned(), kind.as_str().into());
            note(context, vec![closed]).await?;
            return Ok(Some(Found { kind: "ss", record }));
        }
    }
    Ok(None)
}

fn leaked(context: &Context, finding: &Finding, kind: &str, record: &KeyRecord) -> Draft {
    Draft {
        detail: finding.detail(kind, &context.gate.policy.gate.key_brand),
        once: Some(finding.once()),
        ..by_intake(context, "secret.leaked", record)
    }
}

fn by_intake(context: &Context, event: &str, record: &KeyRecord) -> Draft {
    Draft {
        actor: LEAK_INTAKE.to_owned(),
        tenant: record.tenant.clone(),
        key: Some(record.id.to_string()),
        ..draft(context, &Caller::Root, event)
    }
}
