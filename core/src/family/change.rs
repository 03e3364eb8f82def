//! What a change makes of a family's records: decided on the whole before any of it is touched.

use super::{Change, EventKind, FamilyReply, FamilyState, KeyPatch, Obstacle};
use crate::key::{Deprecated, Digest, KeyId, KeyRecord, KeyState};
use crate::time::{Millis, UnixMillis};

/// A change that can be made.
pub(super) struct Plan {
    /// The key that the reply is about.
    pub(super) id: KeyId,
    /// The records after it, with what happened to each. None: it is so already.
    pub(super) steps: Vec<Step>,
}

/// One record's part in a change.
pub(super) struct Step {
    pub(super) kind: EventKind,
    pub(super) record: KeyRecord,
    pub(super) fields: Vec<&'static str>,
}

/// A change, or the reply that says why not.
type Planned = Result<Plan, FamilyReply>;

/// What a rotation is asked for.
struct Rotation {
    new_id: KeyId,
    digest: Digest,
    grace: Millis,
    max_lifetime: Option<Millis>,
}

impl Plan {
    fn of(step: Step) -> Self {
        Self { id: step.record.id.clone(), steps: vec![step] }
    }

    fn nothing(id: &KeyId) -> Self {
        Self { id: id.clone(), steps: Vec::new() }
    }
}

impl Step {
    fn new(kind: EventKind, record: KeyRecord) -> Self {
        Self { kind, record, fields: Vec::new() }
    }

    /// The next version of a record, with one thing changed.
    fn next(kind: EventKind, record: &KeyRecord, change: impl FnOnce(&mut KeyRecord)) -> Self {
        let mut next = record.clone();
        next.version = next.version.saturating_add(1);
        change(&mut next);
        Self::new(kind, next)
    }
}

impl FamilyState {
    pub(super) fn plan(&self, change: Change, now: UnixMillis) -> Planned {
        match change {
            Change::Create { record } => self.create(*record),
            Change::Rotate { id, new_id, digest, grace, max_lifetime, version } => {
                let old = self.versioned(&id, version)?;
                self.rotate(old, Rotation { new_id, digest, grace, max_lifetime }, now)
            }
            Change::EndGrace { id, version } => end_grace(self.versioned(&id, version)?, now),
            Change::Update { id, version, patch } => {
                update(self.versioned(&id, Some(version))?, &patch)
            }
            Change::Disable { id, version } => {
                let record = self.versioned(&id, version)?;
                switch(record, KeyState::Disabled, EventKind::Disabled)
            }
            Change::Enable { id, version } => {
                let record = self.versioned(&id, version)?;
                switch(record, KeyState::Active, EventKind::Enabled)
            }
            Change::Revoke { id, whole_family } => self.revoke(&id, whole_family),
            Change::Suspend { id } => self.suspend(&id, true),
            Change::Resume { id } => self.suspend(&id, false),
            Change::Rehash { id, digest } => rehash(self.known(&id)?, digest),
        }
    }

    fn known(&self, id: &KeyId) -> Result<&KeyRecord, FamilyReply> {
        self.records.get(id).ok_or(FamilyReply::Unknown)
    }

    /// The record, if a version that is told is the present one.
    fn versioned(&self, id: &KeyId, version: Option<u64>) -> Result<&KeyRecord, FamilyReply> {
        let record = self.known(id)?;
        if version.is_none_or(|version| version == record.version) {
            return Ok(record);
        }
        Err(FamilyReply::VersionConflict { current: record.version })
    }

    /// The first record of a family. The very same one again is no mistake, but a repeated call.
    fn create(&self, record: KeyRecord) -> Planned {
        let record = KeyRecord { version: 1, ..record };
        match self.records.get(&record.id) {
            Some(known) if *known == record => Ok(Plan::nothing(&record.id)),
            None if self.records.is_empty() => Ok(Plan::of(Step::new(EventKind::Created, record))),
            _ => Err(impossible(Obstacle::Exists)),
        }
    }

    /// The new key has all of the old one but secret, id and expiry: the old lifetime counts from
    /// now. The old one ends with its grace period, and one that was still in grace ends now.
    fn rotate(&self, old: &KeyRecord, asked: Rotation, now: UnixMillis) -> Planned {
        let Rotation { new_id, digest, grace, max_lifetime } = asked;
        match old.state {
            KeyState::Revoked => return Err(impossible(Obstacle::Revoked)),
            KeyState::Disabled => return Err(impossible(Obstacle::Disabled)),
            KeyState::Active if old.is_expired(now) => return Err(impossible(Obstacle::Expired)),
            KeyState::Active => {}
        }
        if let Some(Deprecated { successor, .. }) = &old.deprecated {
            return Err(impossible(Obstacle::Rotated(successor.clone())));
        }
        if self.records.contains_key(&new_id) {
            return Err(impossible(Obstacle::Exists));
        }
        let lifetime = max_lifetime.map_or(old.lifetime, |most| most.min(old.lifetime));
        let new = KeyRecord {
            id: new_id.clone(),
            version: 1,
            created_at: now,
            expires_at: now.plus(lifetime),
            lifetime,
            digest,
            ..old.clone()
        };
        let still_in_grace = |record: &&KeyRecord| {
            record.deprecated.is_some() && !record.is_expired(now) && !is_revoked(record)
        };
        let ended =
            self.records.values().filter(still_in_grace).map(|record| {
                Step::next(EventKind::GraceEnded, record, |next| next.expires_at = now)
            });
        let rotated = Step::next(EventKind::Rotated, old, |next| {
            next.expires_at = next.expires_at.min(now.plus(grace));
            next.deprecated = Some(Deprecated { since: now, successor: new_id.clone() });
        });
        let created = Step::new(EventKind::Created, new);
        Ok(Plan { id: new_id.clone(), steps: ended.chain([rotated, created]).collect() })
    }

    fn revoke(&self, id: &KeyId, whole_family: bool) -> Planned {
        let record = self.known(id)?;
        let listed = |other: &&KeyRecord| whole_family || other.id == record.id;
        let alive = self.records.values().filter(listed).filter(|other| !is_revoked(other));
        let steps = alive.map(|other| {
            Step::next(EventKind::Revoked, other, |next| next.state = KeyState::Revoked)
        });
        Ok(Plan { id: id.clone(), steps: steps.collect() })
    }

    /// Every key that could be used again, whichever was named: one that has expired too, because
    /// its end can be changed.
    fn suspend(&self, id: &KeyId, suspended: bool) -> Planned {
        self.known(id)?;
        let kind = if suspended { EventKind::Suspended } else { EventKind::Resumed };
        let other = |record: &&KeyRecord| !is_revoked(record) && record.suspended != suspended;
        let steps = self.records.values().filter(other);
        let steps = steps.map(|record| Step::next(kind, record, |next| next.suspended = suspended));
        Ok(Plan { id: id.clone(), steps: steps.collect() })
    }
}

fn end_grace(record: &KeyRecord, now: UnixMillis) -> Planned {
    if is_revoked(record) {
        return Err(impossible(Obstacle::Revoked));
    }
    if record.deprecated.is_none() {
        return Err(impossible(Obstacle::NotRotated));
    }
    if record.is_expired(now) {
        return Ok(Plan::nothing(&record.id));
    }
    Ok(Plan::of(Step::next(EventKind::GraceEnded, record, |next| next.expires_at = now)))
}

fn update(record: &KeyRecord, patch: &KeyPatch) -> Planned {
    if is_revoked(record) {
        return Err(impossible(Obstacle::Revoked));
    }
    if record.deprecated.is_some() && patch.expires_at.is_some_and(|end| end > record.expires_at) {
        return Err(impossible(Obstacle::LongerGrace));
    }
    let (patched, fields) = patch.apply_to(record);
    if fields.is_empty() {
        return Ok(Plan::nothing(&record.id));
    }
    let step = Step::next(EventKind::Updated, &patched, |_| {});
    Ok(Plan::of(Step { fields, ..step }))
}

fn switch(record: &KeyRecord, state: KeyState, kind: EventKind) -> Planned {
    if is_revoked(record) {
        return Err(impossible(Obstacle::Revoked));
    }
    if record.state == state {
        return Ok(Plan::nothing(&record.id));
    }
    Ok(Plan::of(Step::next(kind, record, |next| next.state = state)))
}

/// A digest under the pepper it has, or an older one, comes too late: somebody else was first.
fn rehash(record: &KeyRecord, digest: Digest) -> Planned {
    if is_revoked(record) {
        return Err(impossible(Obstacle::Revoked));
    }
    if digest.pepper <= record.digest.pepper {
        return Ok(Plan::nothing(&record.id));
    }
    Ok(Plan::of(Step::next(EventKind::Rehashed, record, |next| next.digest = digest)))
}

fn is_revoked(record: &KeyRecord) -> bool {
    record.state == KeyState::Revoked
}

fn impossible(obstacle: Obstacle) -> FamilyReply {
    FamilyReply::Impossible { obstacle }
}
