//! Jobs: one change of many keys, done in steps that survive crashes.
//!
//! A job begins with a list of the keys that the registry knows at that instant. The registry may be
//! behind: so once all of these are changed, and not before [`ON_THE_WAY`] has passed, it asks about
//! every change of a key that was announced before it began and has not arrived, and then looks
//! through the registry again. It ends when a look that began so late found nothing more. A key is
//! done when its family's object has said so; what the registry believes does not count.
//!
//! The object keeps the list, key by key, and does what [`Job::next`] says. Each step may be done
//! again after a crash: a change that was made already is made again without effect.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{ALL_TENANTS, TenantState};
use crate::audit::Draft;
use crate::family::{Change, FamilyReply, Obstacle};
use crate::key::{KeyId, KeyKind};
use crate::time::{Millis, UnixMillis};

/// Keys that are changed in one step.
pub const STEP: u32 = 40;
/// After this time a key's family has told the registries of it, if all is well.
const ON_THE_WAY: Millis = Millis::secs(5);
/// After this time an announced change that its family does not know of was never asked of it.
const LOST: Millis = Millis::minutes(1);
/// How long until announced changes that have not arrived are asked about again.
const AGAIN: Millis = Millis::secs(2);
/// How long a finished job can be read.
const KEPT: Millis = Millis::days(30);
/// After this time a change that was asked of a family, which did not answer, is not made any more.
const IN_FLIGHT: Millis = Millis::minutes(1);
/// The longest pause before a key is tried again.
const LONGEST_PAUSE: Millis = Millis::minutes(10);

/// What a job does to each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Ends it for good.
    Revoke,
    /// Off with its tenant.
    Suspend,
    /// On with its tenant again.
    Resume,
}

impl JobKind {
    /// What brings the keys of a tenant into this state.
    pub const fn switching_to(state: TenantState) -> Self {
        match state {
            TenantState::Active => Self::Resume,
            TenantState::Suspended => Self::Suspend,
        }
    }

    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }
}

/// Whether a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It does.
    Running,
    /// It has ended: every key of it is changed, or another job has taken its place.
    Done,
}

impl JobState {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
        }
    }

    /// Reads `running` or `done`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Done].into_iter().find(|state| state.as_str() == text)
    }
}

/// Which keys a job is about: those to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Of this tenant; None: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// With this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of this family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<KeyId>,
}

impl Target {
    /// The name of the object that does the job.
    pub fn keeper(&self) -> &str {
        self.tenant.as_deref().unwrap_or(ALL_TENANTS)
    }

    /// True when a key's rotations are meant with it. A tag is each key's own.
    const fn means_families(&self) -> bool {
        self.tag.is_none()
    }
}

/// What whoever started a job may change. Other keys are left out, and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Keys of these kinds.
    pub kinds: Vec<KeyKind>,
    /// But none of this family, which is their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared: Option<KeyId>,
}

impl Mandate {
    /// Every key.
    pub fn everything() -> Self {
        Self { kinds: vec![KeyKind::Pk, KeyKind::Sk, KeyKind::Rk, KeyKind::Ak], spared: None }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Keys on its list.
    pub total: u64,
    /// Those that are changed.
    pub done: u64,
    /// Those that could not be changed so far, and are tried again.
    pub failed: u64,
    /// Keys that it is about and that its starter may not change.
    pub skipped: u64,
}

/// How far a job is with changes that were announced before it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settling {
    /// Nobody was asked.
    #[default]
    NotYet,
    /// The keepers up to this one were.
    After {
        /// Its name.
        keeper: String,
        /// Some of them has something open.
        open: bool,
    },
    /// Something is open: all are asked again.
    Again {
        /// Not before.
        at: UnixMillis,
    },
    /// Nothing is open.
    Done,
}

/// One change of many keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id. One that was started later elsewhere comes after it in the order of texts, as far as
    /// clocks agree.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// To which keys.
    pub target: Target,
    /// Which of them it may.
    pub mandate: Mandate,
    /// Who started it.
    pub actor: String,
    /// When.
    pub started_at: UnixMillis,
    /// When every key of it was changed, or another job took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
    /// The id of that other job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// For what switches a tenant off or on: the version of the tenant that it belongs to.
    #[serde(default)]
    pub turn: u64,
    /// How far it is.
    pub tally: Tally,
    /// How far it is with what was on its way.
    #[serde(default)]
    pub settling: Settling,
    /// Goes up with every step, so that of two copies the newer one is known.
    #[serde(default)]
    pub revision: u64,
}

/// What a job that is started by another change is called, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSeed {
    /// Its id.
    pub id: String,
    /// Who starts it.
    pub actor: String,
}

/// The keys of a job's list that are not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// There are none.
    Done,
    /// Some can be tried now.
    Due,
    /// They failed, and are tried again at this instant.
    Later(UnixMillis),
}

/// What a job does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Changes the keys of its list that are due, [`STEP`] at a time.
    Change,
    /// Asks about announced changes: the keepers after this one, in the order of their names.
    Settle(Option<String>),
    /// Looks through the registry for keys that are not on its list.
    Look,
    /// Nothing before this instant.
    Wait(UnixMillis),
    /// Nothing any more.
    Rest,
}

impl Job {
    /// A job that begins.
    pub fn new(
        seed: JobSeed,
        kind: JobKind,
        target: Target,
        mandate: Mandate,
        now: UnixMillis,
    ) -> Self {
        Self {
            id: seed.id,
            kind,
            target,
            mandate,
            actor: seed.actor,
            started_at: now,
            finished_at: None,
            superseded_by: None,
            turn: 0,
            tally: Tally::default(),
            settling: Settling::NotYet,
            revision: 0,
        }
    }

    /// Whether it goes on.
    pub const fn state(&self) -> JobState {
        if self.finished_at.is_some() { JobState::Done } else { JobState::Running }
    }

    /// What to do now, with such a list.
    pub fn next(&self, listed: Listed, now: UnixMillis) -> Step {
        let late_enough = self.started_at.plus(ON_THE_WAY);
        match (listed, &self.settling) {
            _ if self.finished_at.is_some() => Step::Rest,
            (Listed::Due, _) => Step::Change,
            (Listed::Later(at), _) => Step::Wait(at),
            (Listed::Done, Settling::NotYet) if now < late_enough => Step::Wait(late_enough),
            (Listed::Done, Settling::Again { at }) if now < *at => Step::Wait(*at),
            (Listed::Done, Settling::NotYet | Settling::Again { .. }) => Step::Settle(None),
            (Listed::Done, Settling::After { keeper, .. }) => Step::Settle(Some(keeper.clone())),
            (Listed::Done, Settling::Done) => Step::Look,
        }
    }

    /// Keepers were asked. `last`: there are more after this one. `open`: something that was
    /// announced to one of them may still come.
    pub fn settled(&mut self, last: Option<String>, open: bool, now: UnixMillis) {
        let open = open || matches!(self.settling, Settling::After { open: true, .. });
        self.settling = match last {
            Some(keeper) => Settling::After { keeper, open },
            None if open => Settling::Again { at: now.plus(AGAIN) },
            None => Settling::Done,
        };
    }

    /// The registry was looked through, after everything was settled. True when that was the end.
    pub fn looked(&mut self, found: bool, now: UnixMillis) -> bool {
        if !found {
            self.finished_at = Some(now);
        }
        !found
    }

    /// True for a change that was announced before the job began, and may still be made though its
    /// family does not know of it.
    pub fn may_still_come(announced: UnixMillis, now: UnixMillis) -> bool {
        now < announced.plus(LOST)
    }

    /// True when `later` takes this one's place: what counts is how a tenant was switched last, and
    /// a key that cannot be reached must not keep all others as they were switched before.
    pub fn gives_way_to(&self, later: &Self) -> bool {
        let switches = |job: &Self| job.kind != JobKind::Revoke;
        switches(self)
            && switches(later)
            && self.target == later.target
            && (self.turn, &self.id) < (later.turn, &later.id)
            && self.finished_at.is_none()
    }

    /// The job `by` has taken its place, with so many keys of its list unchanged.
    pub fn superseded(&mut self, by: &Self, unchanged: u64, now: UnixMillis) {
        self.superseded_by = Some(by.id.clone());
        self.tally.failed = unchanged;
        self.finished_at = Some(now);
    }

    /// Until when a change that was asked for by now may be made, though nobody heard of it: a key
    /// that another job asked it of has to be changed once more after that.
    pub fn in_flight_until(now: UnixMillis) -> UnixMillis {
        now.plus(IN_FLIGHT)
    }

    /// The change of one key.
    pub fn change(&self, id: KeyId) -> Change {
        match self.kind {
            JobKind::Revoke => Change::Revoke { id, whole_family: self.target.means_families() },
            JobKind::Suspend => Change::Suspend { id },
            JobKind::Resume => Change::Resume { id },
        }
    }

    /// True when the family's object has said that the key is as the job wants it. One that is not
    /// there opens nothing, and one that is revoked needs no switch.
    pub const fn is_done(reply: &FamilyReply) -> bool {
        matches!(
            reply,
            FamilyReply::Changed { .. }
                | FamilyReply::Unknown
                | FamilyReply::Impossible { obstacle: Obstacle::Revoked }
        )
    }

    /// When nobody needs it any more.
    pub fn ends(&self) -> Option<UnixMillis> {
        self.finished_at.map(|at| at.plus(KEPT))
    }

    /// The entry of the audit for its beginning or its end, on what is known of the call.
    pub fn event(&self, draft: Draft) -> Draft {
        let mut detail = Map::new();
        detail.insert("job".to_owned(), json!(self.id));
        detail.insert("kind".to_owned(), json!(self.kind));
        if let Some(tag) = &self.target.tag {
            detail.insert("tag".to_owned(), json!(tag));
        }
        if let Some(family) = &self.target.family {
            detail.insert("family".to_owned(), json!(family));
        }
        if let Some(by) = &self.superseded_by {
            detail.insert("superseded_by".to_owned(), json!(by));
        }
        detail.insert("total".to_owned(), json!(self.tally.total));
        detail.insert("skipped".to_owned(), json!(self.tally.skipped));
        let tenant = self.target.keeper().to_owned();
        let once = Some(format!("{}/{}", draft.kind, self.id));
        Draft { tenant, detail, once, ..draft }
    }

    /// The entry of the audit for its end, which no call brings.
    pub fn done_event(&self, now: UnixMillis) -> Draft {
        self.event(Draft {
            at: now,
            kind: "job.done".to_owned(),
            actor: self.actor.clone(),
            tenant: String::new(),
            key: None,
            call: None,
            code: None,
            request_id: None,
            address: None,
            fields: Vec::new(),
            detail: Map::new(),
            once: None,
        })
    }
}

/// How long a key that could not be changed waits after so many tries.
pub fn pause(tries: u32) -> Millis {
    let millis = 500_u64.saturating_mul(1 << tries.min(20));
    Millis::millis(millis).min(LONGEST_PAUSE)
}

/// What the keeper of jobs is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobRequest {
    /// Begin this one. Answered with `Job`; of one that has begun already as it is.
    Start {
        /// The job.
        job: Box<Job>,
        /// For the audit.
        event: Box<Draft>,
    },
    /// What would it change? Answered with `Rehearsed`.
    Rehearse {
        /// Which keys.
        target: Target,
        /// Of these.
        mandate: Mandate,
    },
    /// One job. Answered with `Job` or `Unknown`.
    Read {
        /// Its id.
        id: String,
    },
    /// A page of jobs, the newest first. Answered with `Page`.
    List(JobQuery),
    /// To the keeper of all tenants: a job of a tenant is so now. Answered with `Done`.
    Copy {
        /// The job.
        job: Box<Job>,
        /// What happened to it.
        event: Option<Box<Draft>>,
    },
}

/// Which jobs to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobQuery {
    /// At most so many.
    pub limit: u64,
    /// Older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
}

/// What the keeper of jobs answers, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobReply {
    /// The job as it is.
    Job(Box<Job>),
    /// What it would change.
    Rehearsed {
        /// So many keys.
        count: u64,
        /// And so many that its starter may not.
        skipped: u64,
        /// The first of them.
        keys: Vec<String>,
    },
    /// There is no such job.
    Unknown,
    /// Done.
    Done,
    /// One page.
    Page(JobPage),
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs, the newest first.
    pub jobs: Vec<Job>,
    /// True when there are more.
    pub more: bool,
}

#[cfg(test)]
mod tests;
