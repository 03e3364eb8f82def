//! The object's state, and the transition from one to the next.

use std::collections::BTreeMap;

use super::change::{Plan, Step};
use super::{Change, Event, FamilyReply, FamilyRequest, KeySummary, Meta, Obstacle, Write};
use crate::key::{Digest, KeyId, KeyRecord, KeyState};
use crate::limit::{Charge, ObjectClock, Windows};
use crate::time::UnixMillis;

/// Who changes what nobody asked for, in the audit.
const GATE: &str = "gate";

/// All that one family's object knows. The object that a rotated key's id names has one too: it
/// knows nothing but where the family is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyState {
    pub(super) records: BTreeMap<KeyId, KeyRecord>,
    pub(super) windows: Windows,
    pub(super) clock: ObjectClock,
    /// The number of the last event.
    pub(super) seq: u64,
    pub(super) alias: Option<KeyId>,
}

impl FamilyState {
    /// Answers a request. `wall` is the time now. The writes are to be stored in one transaction
    /// before the reply leaves; if that fails, the object must be read back from what is stored.
    /// A reply that refuses comes without writes, and the state is as it was.
    pub fn apply(&mut self, request: FamilyRequest, wall: UnixMillis) -> (FamilyReply, Vec<Write>) {
        let now = self.clock.read(wall);
        match (request, self.alias.clone()) {
            (FamilyRequest::Claim { family }, _) => self.claim(family),
            (_, Some(family)) => (FamilyReply::Moved { family }, Vec::new()),
            (FamilyRequest::Admit { id, version, charges, rehash }, None) => {
                self.admit(&id, version, &charges, rehash, now)
            }
            (FamilyRequest::Read { id }, None) => match self.records.get(&id) {
                Some(record) => (FamilyReply::Record { record: boxed(record) }, Vec::new()),
                None => (FamilyReply::Unknown, Vec::new()),
            },
            (FamilyRequest::Change { actor, change }, None) => match self.plan(change, now) {
                Ok(plan) => self.make(plan, &actor, now),
                Err(refused) => (refused, Vec::new()),
            },
        }
    }

    /// To be called when the object has been idle for some seconds, before its memory goes: what
    /// was reserved ahead is given back, and rows that are not needed any more are deleted.
    pub fn settle(&mut self, wall: UnixMillis) -> Vec<Write> {
        let now = self.clock.read(wall);
        self.windows.settle(now);
        self.window_writes()
    }

    /// A family of this one key, of which nothing was counted yet.
    pub fn of(record: KeyRecord) -> Self {
        Self { records: BTreeMap::from([(record.id.clone(), record)]), ..Self::default() }
    }

    /// Every key of the family.
    pub fn records(&self) -> impl Iterator<Item = &KeyRecord> {
        self.records.values()
    }

    /// The record of a key.
    pub fn record(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.records.get(id)
    }

    fn admit(
        &mut self,
        id: &KeyId,
        version: u64,
        charges: &[Charge],
        rehash: Option<Digest>,
        now: UnixMillis,
    ) -> (FamilyReply, Vec<Write>) {
        let Some(record) = self.records.get(id) else {
            return (FamilyReply::Unknown, Vec::new());
        };
        if record.state != KeyState::Active || record.is_expired(now) {
            return (FamilyReply::Refused { record: boxed(record) }, Vec::new());
        }
        if record.version != version {
            return (FamilyReply::Stale { record: boxed(record) }, Vec::new());
        }
        let verdict = self.windows.charge(charges, now);
        let mut writes = self.window_writes();
        let change = rehash
            .filter(|_| verdict.is_admitted())
            .map(|digest| Change::Rehash { id: id.clone(), digest });
        if let Some(Ok(plan)) = change.map(|change| self.plan(change, now)) {
            writes.extend(self.make(plan, GATE, now).1);
        }
        (FamilyReply::Verdict(verdict), writes)
    }

    fn claim(&mut self, family: KeyId) -> (FamilyReply, Vec<Write>) {
        match &self.alias {
            Some(known) if *known == family => (FamilyReply::Claimed, Vec::new()),
            None if self.records.is_empty() => {
                self.alias = Some(family);
                (FamilyReply::Claimed, vec![Write::PutMeta(self.meta())])
            }
            _ => (FamilyReply::Impossible { obstacle: Obstacle::Exists }, Vec::new()),
        }
    }

    fn make(&mut self, plan: Plan, actor: &str, now: UnixMillis) -> (FamilyReply, Vec<Write>) {
        let Plan { id, steps } = plan;
        let mut writes = Vec::new();
        let mut also = Vec::new();
        for Step { kind, record, fields } in steps {
            self.seq = self.seq.saturating_add(1);
            let fields = fields.into_iter().map(str::to_owned).collect();
            let (actor, key) = (actor.to_owned(), KeySummary::from(&record));
            let event = Event { seq: self.seq, at: now, actor, kind, fields, key };
            writes.push(Write::PutRecord(boxed(&record)));
            writes.push(Write::Outbox(Box::new(event)));
            self.records.insert(record.id.clone(), record.clone());
            if record.id != id {
                also.push(record);
            }
        }
        if !writes.is_empty() {
            writes.push(Write::PutMeta(self.meta()));
        }
        match self.records.get(&id) {
            Some(record) => (FamilyReply::Changed { record: boxed(record), also }, writes),
            None => (FamilyReply::Unknown, writes),
        }
    }

    fn window_writes(&mut self) -> Vec<Write> {
        let writes = self.windows.take_writes().into_iter().map(|(row, snapshot)| match snapshot {
            Some(snapshot) => Write::PutWindow { row, snapshot },
            None => Write::DeleteWindow { row },
        });
        let mut writes: Vec<Write> = writes.collect();
        if writes.iter().any(|write| matches!(write, Write::DeleteWindow { .. })) {
            writes.push(Write::PutMeta(self.meta()));
        }
        writes
    }

    fn meta(&self) -> Meta {
        Meta { clock: self.clock.last(), seq: self.seq, alias: self.alias.clone() }
    }
}

fn boxed(record: &KeyRecord) -> Box<KeyRecord> {
    Box::new(record.clone())
}
