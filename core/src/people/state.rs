//! What a family's object knows of the key's holder, and every change to it.

use serde::{Deserialize, Serialize};

use super::{
    Attempt, INVITATION, PeopleReply, PeopleRequest, Proof, SessionKind, SessionView, Shown,
};
use crate::key::{Digest, KeyId, KeyRecord};
use crate::time::{Millis, UnixMillis};

/// Failures before the first pause.
const FREE_FAILURES: u32 = 5;
/// The first pause; each further failure doubles it.
const FIRST_PAUSE: Millis = Millis::secs(30);
const LONGEST_PAUSE: Millis = Millis::hours(1);
/// Sessions of one key at a time; a further one ends the oldest.
const MAX_SESSIONS: usize = 20;
/// How long it is remembered of a session that it is over, so that its holder is told so.
const REMEMBERED: Millis = Millis::days(1);

/// The second factor of a key family, and the sessions of its keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct People {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<Factor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invitation: Option<Invitation>,
    /// In a row, since the last success.
    #[serde(default)]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_until: Option<UnixMillis>,
    #[serde(default)]
    sessions: Vec<Session>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Factor {
    /// Hidden.
    seed: String,
    /// The last step whose code was used: codes up to it are used up.
    last: u64,
    /// Those that were not used yet.
    recovery: Vec<Digest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Invitation {
    digest: Digest,
    expires_at: UnixMillis,
    /// A seed, hidden, that no code has proved yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    key: KeyId,
    kind: SessionKind,
    digest: Digest,
    opened_at: UnixMillis,
    expires_at: UnixMillis,
    second_factor: bool,
    /// Before its time; for good, whatever becomes of its key.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    ended: bool,
}

impl Session {
    fn is_over(&self, now: UnixMillis) -> bool {
        self.ended || now >= self.expires_at
    }

    fn view(&self) -> SessionView {
        let Self { kind, expires_at, second_factor, .. } = *self;
        SessionView { kind, expires_at, second_factor }
    }
}

/// What became of a session that was shown.
pub(crate) enum Seen {
    Live(SessionView),
    Over,
    Never,
}

impl People {
    /// The session that was shown with this key.
    pub(crate) fn look(&self, key: &KeyId, shown: &Shown, now: UnixMillis) -> Seen {
        match self.position(key, shown).and_then(|at| self.sessions.get(at)) {
            Some(session) if session.is_over(now) => Seen::Over,
            Some(session) => Seen::Live(session.view()),
            None => Seen::Never,
        }
    }

    /// The sessions of a key that opens nothing any more end, for good. True if there were any.
    pub(crate) fn end_sessions_of(&mut self, key: &KeyId) -> bool {
        let mut any = false;
        for session in self.sessions.iter_mut().filter(|session| session.key == *key) {
            any |= !session.ended;
            session.ended = true;
        }
        any
    }

    /// Answers a request about the holder of a key that is good. The state was changed if the reply
    /// comes with `true`, and then it is to be stored before the reply leaves.
    pub(crate) fn answer(
        &mut self,
        key: &KeyRecord,
        request: PeopleRequest,
        now: UnixMillis,
    ) -> (PeopleReply, bool) {
        let before = self.clone();
        let reply = match request {
            PeopleRequest::Find(shown) => match self.look(&key.id, &shown, now) {
                Seen::Live(session) => {
                    PeopleReply::Session { record: Box::new(key.clone()), session }
                }
                Seen::Over => PeopleReply::Over,
                Seen::Never => PeopleReply::NoSession,
            },
            // Its family charges it.
            PeopleRequest::Admit { .. } => PeopleReply::NoSession,
            PeopleRequest::Close(shown) => self.close(&key.id, &shown),
            PeopleRequest::Attempt(attempt) => self.attempt(attempt, now),
            PeopleRequest::Open { digest, kind, proof } => {
                self.open(key, digest, kind, &proof, now)
            }
            // Its family knows who was judged.
            PeopleRequest::Invite { digest, .. } => self.invite(digest, now),
            PeopleRequest::Enrol { digest, seed } => self.enrol(&digest, seed, now),
            PeopleRequest::Confirm { seed, step, recovery } => {
                self.confirm(&seed, step, recovery, now)
            }
        };
        let changed = *self != before;
        (reply, changed)
    }

    fn position(&self, key: &KeyId, shown: &Shown) -> Option<usize> {
        let is_it = |session: &Session| {
            session.key == *key
                && session.kind == shown.kind
                && shown.digests.iter().any(|digest| digest.same(&session.digest))
        };
        self.sessions.iter().position(is_it)
    }

    fn close(&mut self, key: &KeyId, shown: &Shown) -> PeopleReply {
        let at = self.position(key, shown);
        match at.and_then(|at| self.sessions.get_mut(at)) {
            Some(session) => {
                session.ended = true;
                PeopleReply::Done
            }
            None => PeopleReply::NoSession,
        }
    }

    /// Counts a failure, so that the next one finds it, whatever becomes of this one.
    fn attempt(&mut self, attempt: Attempt, now: UnixMillis) -> PeopleReply {
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return PeopleReply::Paused { until };
        }
        let against = match (attempt, &self.factor, self.invited(now)) {
            (Attempt::Totp, Some(factor), _) => {
                PeopleReply::Totp { seed: factor.seed.clone(), last: Some(factor.last) }
            }
            (Attempt::Recovery, Some(factor), _) => PeopleReply::Codes(factor.recovery.clone()),
            (Attempt::Enrolment, _, Some(invitation)) => {
                PeopleReply::Codes(vec![invitation.digest.clone()])
            }
            (Attempt::Confirmation, _, Some(Invitation { pending: Some(seed), .. })) => {
                PeopleReply::Totp { seed: seed.clone(), last: None }
            }
            _ => return PeopleReply::Nothing,
        };
        self.failures = self.failures.saturating_add(1);
        self.paused_until = pause(self.failures).map(|pause| now.plus(pause));
        against
    }

    fn open(
        &mut self,
        key: &KeyRecord,
        digest: Digest,
        kind: SessionKind,
        proof: &Proof,
        now: UnixMillis,
    ) -> PeopleReply {
        let proved = match (proof, &mut self.factor) {
            (Proof::Key | Proof::Access { .. }, _) => true,
            // A code for a seed that was forgotten meanwhile is none.
            (Proof::Totp { seed, .. }, Some(factor)) if *seed != factor.seed => false,
            (Proof::Totp { step, .. }, Some(factor)) => {
                let fresh = *step > factor.last;
                factor.last = factor.last.max(*step);
                fresh
            }
            (Proof::Recovery(used), Some(factor)) => {
                let at = factor.recovery.iter().position(|digest| digest.same(used));
                at.map(|at| factor.recovery.remove(at)).is_some()
            }
            (Proof::Totp { .. } | Proof::Recovery(_), None) => false,
        };
        if !proved {
            return PeopleReply::Used;
        }
        if matches!(proof, Proof::Totp { .. } | Proof::Recovery(_)) {
            self.succeeded();
        }
        self.make_room(&key.id, now);
        let mut expires_at = now.plus(kind.lifetime()).min(key.expires_at);
        if let Proof::Access { until } = proof {
            expires_at = expires_at.min(*until);
        }
        let session = Session {
            key: key.id.clone(),
            kind,
            digest,
            opened_at: now,
            expires_at,
            second_factor: *proof != Proof::Key,
            ended: false,
        };
        let view = session.view();
        self.sessions.push(session);
        let left = self.factor.as_ref().map_or(0, |factor| factor.recovery.len());
        let recovery_left = u32::try_from(left).unwrap_or(u32::MAX);
        PeopleReply::Opened { session: view, recovery_left }
    }

    /// Whoever may invite has decided that what was enrolled is not to be trusted.
    fn invite(&mut self, digest: Digest, now: UnixMillis) -> PeopleReply {
        let expires_at = now.plus(INVITATION);
        self.factor = None;
        self.invitation = Some(Invitation { digest, expires_at, pending: None });
        self.succeeded();
        for session in &mut self.sessions {
            session.ended = true;
        }
        PeopleReply::Invited { expires_at }
    }

    fn enrol(&mut self, digest: &Digest, seed: String, now: UnixMillis) -> PeopleReply {
        let invited = self.invitation.as_mut().filter(|invitation| now < invitation.expires_at);
        let Some(invitation) = invited.filter(|invitation| invitation.digest.same(digest)) else {
            return PeopleReply::Used;
        };
        invitation.pending = Some(seed);
        self.succeeded();
        PeopleReply::Done
    }

    fn confirm(
        &mut self,
        seed: &str,
        step: u64,
        recovery: Vec<Digest>,
        now: UnixMillis,
    ) -> PeopleReply {
        let pending = self.invited(now).and_then(|invitation| invitation.pending.as_deref());
        if pending != Some(seed) {
            return PeopleReply::Used;
        }
        self.invitation = None;
        self.factor = Some(Factor { seed: seed.to_owned(), last: step, recovery });
        self.succeeded();
        PeopleReply::Done
    }

    fn invited(&self, now: UnixMillis) -> Option<&Invitation> {
        self.invitation.as_ref().filter(|invitation| now < invitation.expires_at)
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    /// Forgets what is long over, and of too many sessions of a key first those that are over, then
    /// the oldest.
    fn make_room(&mut self, key: &KeyId, now: UnixMillis) {
        self.sessions.retain(|session| now < session.expires_at.plus(REMEMBERED));
        while self.sessions.iter().filter(|session| session.key == *key).count() >= MAX_SESSIONS {
            let of_key = self.sessions.iter().enumerate().filter(|(_, one)| one.key == *key);
            let first = of_key.min_by_key(|(_, one)| (!one.is_over(now), one.opened_at));
            let Some((at, _)) = first else { return };
            self.sessions.remove(at);
        }
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Option<Millis> {
    let doublings = failures.checked_sub(FREE_FAILURES)?;
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let pause = Millis::millis(FIRST_PAUSE.as_millis().saturating_mul(factor));
    Some(pause.min(LONGEST_PAUSE))
}
