//! Cloudflare Access: its word in place of a code, where the policy names a team and an audience.

use std::cell::RefCell;

use tollgate_core::people::{AccessKeys, AccessToken};
use tollgate_core::policy::Access;
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;

use super::body;
use crate::house::bindings::fetch_public;
use crate::house::crypto::rsa;
use crate::platform::now;

/// The largest set of keys that is read, in bytes; a real one has about five thousand.
const MAX_KEYS: usize = 64 * 1024;

thread_local! {
    static KEYS: RefCell<AccessKeys> = RefCell::default();
}

/// Whom a good token is about, and until when.
pub(super) struct Vouched {
    pub(super) person: String,
    pub(super) until: UnixMillis,
}

/// What a token says; None when it is not good, or about nobody. A fault when the team's keys cannot
/// be had.
pub(super) async fn vouched(access: &Access, token: &str) -> Result<Option<Vouched>, Fault> {
    let Some(token) = AccessToken::read(token).filter(|token| token.is_for(access, now())) else {
        return Ok(None);
    };
    let Some(person) = token.person() else { return Ok(None) };
    let asked = if KEYS.with_borrow_mut(|keys| keys.ask_for(&token.key_id, now())) {
        refresh(access).await
    } else {
        Ok(())
    };
    if !KEYS.with_borrow(|keys| keys.is_usable(now())) {
        asked?;
        return Err(Fault("the keys of Cloudflare Access are not known".to_owned()));
    }
    let key = KEYS.with_borrow(|keys| keys.find(&token.key_id, now()).cloned());
    let Some(key) = key else {
        // Whether the team has a key of this name is not known then.
        return asked.map(|()| None);
    };
    if let Err(Fault(fault)) = asked {
        worker::console_error!("{{\"fault\":{fault:?}}}");
    }
    let signed = token.signed.as_bytes();
    let good = rsa::verifies(&key.n, &key.e, &token.signature, signed).await?;
    Ok(good.then(|| Vouched { person, until: token.ends_at() }))
}

async fn refresh(access: &Access) -> Result<(), Fault> {
    let shown = certificates(access).await?;
    if KEYS.with_borrow_mut(|keys| keys.learn(&shown, now())) {
        return Ok(());
    }
    Err(Fault(format!("{} shows no keys", AccessKeys::address(access))))
}

async fn certificates(access: &Access) -> Result<String, Fault> {
    let address = AccessKeys::address(access);
    let answer = fetch_public(&address).await?;
    let stream = answer.body().filter(|_| answer.ok());
    let stream = stream.ok_or_else(|| Fault(format!("{address}: status {}", answer.status())))?;
    let read = body::collect(stream, MAX_KEYS).await;
    read.ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Fault(format!("{address}: its answer is too long, cut off, or no text")))
}
