//! Who calls. An admin key is asked of its family's object on every call, so that what was revoked
//! or narrowed is so at once; and it is admitted there like any request.

use std::cell::RefCell;

use tollgate_core::family::{FamilyReply, FamilyRequest};
use tollgate_core::header::name;
use tollgate_core::key::{Key, KeyId, KeyRecord};
use tollgate_core::limit::{Verdict, rate_limit_headers};
use tollgate_core::manage::{
    Caller, Credential, Failed, Right, Sent, admin_charges, ended_cookie, may_be_used,
};
use tollgate_core::people::{
    Asked, KnownSessions, PeopleReply, PeopleRequest, SessionKind, SessionToken, SessionView, Shown,
};
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::Trust;
use tollgate_core::road::admission::no_room;
use tollgate_core::text::Secret;

use super::Context;
use super::answer::Refused;
use super::objects::{ask_family, ask_people, record_of};
use crate::house::bindings;
use crate::house::memory;
use crate::platform::now;

thread_local! {
    static KNOWN: RefCell<KnownSessions> = RefCell::default();
}

/// Somebody whose credential was found good. Whether it is still so is asked again in
/// [`Holder::admit`]: what lies between, such as a body that is sent slowly, may take its time.
pub(super) enum Holder {
    Root,
    Key { key: Box<Key>, record: Box<KeyRecord> },
    Session { token: Box<SessionToken>, record: Box<KeyRecord>, session: SessionView },
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
        Credential::Session(token, kind) => {
            let found = session_of(context, &token, kind).await;
            let (record, session) = found.map_err(|refused| out_of(kind, refused))?;
            Ok(Holder::Session { token, record, session })
        }
    }
}

impl Holder {
    /// Who it is.
    pub(super) fn caller(&self) -> Caller {
        match self {
            Self::Root => Caller::Root,
            Self::Key { record, .. } => Caller::Key(record.clone()),
            Self::Session { record, session, .. } => {
                Caller::Session { record: record.clone(), session: session.clone() }
            }
        }
    }

    /// What was presented: for hiding what only this caller may read again.
    pub(super) fn credential(&self, context: &Context) -> Secret {
        match self {
            Self::Root => root_token(context).unwrap_or_default(),
            Self::Key { key, .. } => key.secret.clone(),
            Self::Session { token, .. } => token.text(),
        }
    }

    /// Steps 7 to 10.
    pub(super) async fn admit(
        self,
        context: &Context,
        rights: &[Right],
    ) -> Result<Admitted, Refused> {
        let caller = self.caller();
        let (shown, kind) = match self {
            Self::Root => return Ok(Admitted { caller, limits: Vec::new() }),
            Self::Key { key, .. } => (Shows::Key(key), SessionKind::Cli),
            Self::Session { token, session, .. } => {
                let kind = session.kind;
                (Shows::Session(shown(context, &token, kind)?, session), kind)
            }
        };
        let Some(record) = caller.key().cloned() else {
            return Err(Code::InternalError.into());
        };
        let admitted = admit(context, &shown, record, rights).await;
        admitted.map_err(|refused| out_of(kind, refused.of(&caller)))
    }
}

/// How the holder of a key shows it.
enum Shows {
    Key(Box<Key>),
    Session(Shown, SessionView),
}

impl Shows {
    fn caller(&self, record: &KeyRecord) -> Caller {
        let record = Box::new(record.clone());
        match self {
            Self::Key(_) => Caller::Key(record),
            Self::Session(_, session) => Caller::Session { record, session: session.clone() },
        }
    }

    /// What the key's object is asked before the request is let through.
    fn admission(&self, context: &Context, record: &KeyRecord) -> FamilyRequest {
        let (id, version) = (record.id.clone(), record.version);
        let charges = admin_charges(record, &context.gate.policy, context.own.address());
        match self {
            Self::Key(key) => {
                let rehash = context.gate.trust.rehash(key, &record.digest);
                FamilyRequest::Admit { id, version, charges, rehash, slot: None, ahead: 0 }
            }
            Self::Session(shown, _) => {
                let shown = shown.clone();
                let request = PeopleRequest::Admit { shown, version, charges };
                FamilyRequest::People(Asked { key: id, request })
            }
        }
    }
}

/// True when the request carries anything that could be a credential.
pub(super) fn is_presented(context: &Context) -> bool {
    let [authorization, x_api_key, cookie] =
        [name::AUTHORIZATION, name::X_API_KEY, name::COOKIE].map(|name| context.header(name));
    let sent = Sent {
        authorization: authorization.as_deref(),
        x_api_key: x_api_key.as_deref(),
        cookie: cookie.as_deref(),
        ..Sent::default()
    };
    sent.has_any()
}

/// The root token, as far as it is set.
pub(super) fn root_token(context: &Context) -> Option<Secret> {
    bindings::text(&context.env, bindings::ROOT_TOKEN).map(Secret::new)
}

/// The session that the request comes from, if it comes from one.
pub(super) fn session_shown(context: &Context) -> Result<Option<(KeyId, Shown)>, Refused> {
    match credential(context)? {
        Credential::Session(token, kind) => {
            let shown = shown(context, &token, kind)?;
            Ok(Some((token.key, shown)))
        }
        Credential::Root | Credential::Key(_) => Ok(None),
    }
}

fn credential(context: &Context) -> Result<Credential, Refused> {
    let [authorization, x_api_key, cookie, origin, sec_fetch_site] =
        [name::AUTHORIZATION, name::X_API_KEY, name::COOKIE, name::ORIGIN, name::SEC_FETCH_SITE]
            .map(|name| context.header(name));
    let (method, own_origin) = (context.method(), context.own.url().base());
    let sent = Sent {
        method: &method,
        own_origin: &own_origin,
        cookie: cookie.as_deref(),
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
    let known = memory::known(&key.id);
    match known.filter(|record| context.ground().holds(key, record)) {
        // What would only be refused again costs no store call once its budget is spent.
        Some(record) => {
            let caller = Caller::Key(Box::new(record));
            if let Err(refused) = permit(context, caller, rights) {
                context.may_be_refused(&key.id).map_err(|spent| spent.of(&refused.caller))?;
            }
        }
        None => context.may_fail()?,
    }
    let invalid = || Refused::from(Code::KeyInvalid);
    let Some(record) = record_of(context, &key.id).await? else {
        context.failed();
        return Err(invalid());
    };
    if !context.ground().holds(key, &record) {
        context.failed();
        return Err(invalid().tried(&record));
    }
    memory::learn(&record);
    Ok(record)
}

/// The session and its key, from the key's object: for whoever shows the session's token.
async fn session_of(
    context: &Context,
    token: &SessionToken,
    kind: SessionKind,
) -> Result<(Box<KeyRecord>, SessionView), Refused> {
    let shown = shown(context, token, kind)?;
    if KNOWN.with_borrow(|known| known.knows_over(&shown.digests)) {
        // What would only be refused again costs no store call once its budget is spent.
        context.may_be_refused(&token.key)?;
    } else if !KNOWN.with_borrow(|known| known.know(&shown.digests, now())) {
        context.may_fail()?;
    }
    let over = || {
        context.may_be_refused(&token.key)?;
        context.refused(&token.key);
        KNOWN.with_borrow_mut(|known| known.end(&shown.digests));
        Ok::<(), Refused>(())
    };
    let find = PeopleRequest::Find(shown.clone());
    match ask_people(context, &token.key, &token.key, find).await? {
        FamilyReply::People(PeopleReply::Session { record, session })
            if context.ground().holds_session(token, &record) =>
        {
            let ends = session.expires_at;
            KNOWN.with_borrow_mut(|known| known.learn(&shown.digests, ends, now()));
            Ok((record, session))
        }
        FamilyReply::People(PeopleReply::Over) => {
            over()?;
            Err(Code::TokenExpired.into())
        }
        // The token was the right one, so that its holder may know what became of the key.
        FamilyReply::Refused { record } => {
            over().map_err(|spent| spent.of(&Caller::Key(record.clone())))?;
            let ended = may_be_used(&record, context.own.address(), now());
            let refused = ended.err().map_or_else(|| Code::KeyExpired.into(), Refused::from);
            Err(refused.of(&Caller::Key(record)))
        }
        _ => {
            context.failed();
            Err(Code::KeyInvalid.into())
        }
    }
}

fn shown(context: &Context, token: &SessionToken, kind: SessionKind) -> Result<Shown, Refused> {
    let Trust::Secrets { peppers, .. } = &context.gate.trust else {
        return Err(Code::InternalError.into());
    };
    Ok(Shown { kind, digests: token.digests(kind, peppers) })
}

/// A browser need not keep what opens nothing any more.
fn out_of(kind: SessionKind, refused: Refused) -> Refused {
    if kind == SessionKind::Console && refused.code().status() == 401 {
        return refused.with(name::SET_COOKIE, ended_cookie());
    }
    refused
}

/// Somebody who may not, and why.
struct NotPermitted {
    caller: Caller,
    problem: Box<Problem>,
}

/// Steps 7 to 9.
fn permit(context: &Context, caller: Caller, rights: &[Right]) -> Result<Caller, NotPermitted> {
    let usable =
        caller.key().map_or(Ok(()), |record| may_be_used(record, context.own.address(), now()));
    match usable.and_then(|()| caller.require(rights)) {
        Ok(()) => Ok(caller),
        Err(problem) => Err(NotPermitted { caller, problem }),
    }
}

/// Steps 7 to 10. A record that changed while it was looked at is looked at once more.
async fn admit(
    context: &Context,
    shows: &Shows,
    mut record: KeyRecord,
    rights: &[Right],
) -> Result<Admitted, Refused> {
    let address = context.own.address();
    for _ in 0..2 {
        let caller = match permit(context, shows.caller(&record), rights) {
            Ok(caller) => caller,
            Err(NotPermitted { problem, .. }) => {
                context.may_be_refused(&record.id)?;
                context.refused(&record.id);
                return Err(problem.into());
            }
        };
        let request = shows.admission(context, &record);
        match ask_family(context, &record.family, &request).await? {
            FamilyReply::Verdict(verdict) => return paid(caller, &verdict),
            FamilyReply::Stale { record: current } => {
                memory::learn(&current);
                record = *current;
            }
            FamilyReply::Refused { record: current } => {
                memory::learn(&current);
                may_be_used(&current, address, now())?;
                // The object's clock is ahead of this one: the key is as good as expired.
                return Err(Code::KeyExpired.into());
            }
            FamilyReply::People(PeopleReply::Over) => return Err(Code::TokenExpired.into()),
            FamilyReply::Unknown | FamilyReply::People(PeopleReply::NoSession) => {
                return Err(Code::KeyInvalid.into());
            }
            _ => break,
        }
    }
    Err(Code::AdmissionUnavailable.into())
}

fn paid(caller: Caller, verdict: &Verdict) -> Result<Admitted, Refused> {
    let limits = rate_limit_headers(verdict);
    match no_room(verdict) {
        None => Ok(Admitted { caller, limits }),
        Some(problem) => Err(Refused::from(problem).with_all(limits)),
    }
}
