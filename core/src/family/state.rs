//! The object's state, and the transition from one to the next.

use std::collections::BTreeMap;

use super::change::{Plan, Step};
use super::tally::Tallies;
use super::{
    Change, Due, Event, EventKind, FamilyReply, FamilyRequest, KeySummary, Meta, Obstacle, Told,
    Write, due,
};
use crate::key::{Digest, KeyId, KeyRecord};
use crate::limit::{Charge, Counts, ObjectClock, Slot};
use crate::people::People;
use crate::time::{Millis, UnixMillis};
use crate::usage::Tally;

/// Who changes what nobody asked for, in the audit.
const GATE: &str = "gate";

/// All that one family's object knows. The object that a rotated key's id names has one too: it
/// knows nothing but where the family is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyState {
    pub(super) records: BTreeMap<KeyId, KeyRecord>,
    pub(super) counts: Counts,
    pub(super) tallies: Tallies,
    /// What was told of keys, as far as it is not what a new key begins with.
    pub(super) told: BTreeMap<KeyId, Told>,
    /// Of an admin key: its second factor and its sessions.
    pub(super) people: People,
    pub(super) clock: ObjectClock,
    /// The number of the last event.
    pub(super) seq: u64,
    pub(super) alias: Option<KeyId>,
}

/// What one request with a key asks for.
pub(super) struct Admission<'a> {
    pub(super) charges: &'a [Charge],
    pub(super) slot: Option<&'a Slot>,
    pub(super) rehash: Option<Digest>,
    pub(super) ahead: u32,
}

/// Who changes something, and the call that brought it.
struct By {
    actor: String,
    request_id: Option<String>,
    address: Option<String>,
}

impl By {
    fn gate() -> Self {
        Self { actor: GATE.to_owned(), request_id: None, address: None }
    }
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
            (FamilyRequest::Admit { id, version, charges, rehash, slot, ahead }, None) => {
                let asked = Admission { charges: &charges, slot: slot.as_ref(), rehash, ahead };
                self.admit(&id, version, asked, now)
            }
            (FamilyRequest::Lease { id, version, charges, ahead }, None) => {
                self.lease(&id, version, &charges, ahead, now)
            }
            (FamilyRequest::Release { charges, slot }, None) => {
                self.counts.release(&charges, &slot, now);
                (FamilyReply::Released, self.count_writes())
            }
            (FamilyRequest::People(asked), None) => self.answer_people(asked, now),
            (FamilyRequest::Read { id }, None) => match self.records.get(&id) {
                Some(record) => (FamilyReply::Record { record: boxed(record) }, Vec::new()),
                None => (FamilyReply::Unknown, Vec::new()),
            },
            (FamilyRequest::Change { actor, request_id, address, change }, None) => {
                match self.plan(change, now) {
                    Ok(plan) => self.make(plan, &By { actor, request_id, address }, now),
                    Err(refused) => (refused, Vec::new()),
                }
            }
        }
    }

    /// To be called when the object has been idle for some seconds, before its memory goes: what
    /// was reserved ahead is given back, what was counted is stored to the last, and rows that are
    /// not needed any more are deleted.
    pub fn settle(&mut self, wall: UnixMillis) -> Vec<Write> {
        let now = self.clock.read(wall);
        self.counts.settle(now);
        let mut writes = self.count_writes();
        writes.extend(self.tallies.take_writes());
        writes
    }

    /// True while something was counted that only [`Self::settle`] or [`Self::tally`] stores.
    pub fn has_unstored(&self) -> bool {
        self.tallies.has_unstored()
    }

    /// What the tenant's object is to be told of requests, once the writes are stored.
    pub fn tally(&mut self) -> (Vec<Tally>, Vec<Write>) {
        let writes = self.tallies.take_writes();
        let tally = |(key, hour, count): (&KeyId, UnixMillis, &super::Count)| {
            let tenant = self.records.get(key)?.tenant.clone();
            let (key, admitted, limited) = (key.clone(), count.admitted, count.limited.clone());
            Some(Tally { key, tenant, hour, admitted, limited })
        };
        (self.tallies.undelivered().filter_map(tally).collect(), writes)
    }

    /// The tenant's object has these.
    pub fn tallied(&mut self, tallies: &[Tally], wall: UnixMillis) -> Vec<Write> {
        let now = self.clock.read(wall);
        let mut writes = self.tallies.delivered(tallies, now);
        if !writes.is_empty() {
            writes.push(Write::PutMeta(self.meta()));
        }
        writes
    }

    /// Tells what is due of every key, and when something is due next: then this is to be called
    /// again. `rotate_after`: the age at which a key is due for a rotation.
    pub fn care(
        &mut self,
        rotate_after: Option<Millis>,
        wall: UnixMillis,
    ) -> (Vec<Write>, Option<UnixMillis>) {
        let now = self.clock.read(wall);
        let mut writes = Vec::new();
        let mut next: Option<UnixMillis> = None;
        for record in self.records.values() {
            let known = self.told.get(&record.id).cloned().unwrap_or_default();
            let Due { notices, told, next: at } = due(record, &known, rotate_after, now);
            next = next.into_iter().chain(at).min();
            if notices.is_empty() {
                continue;
            }
            for notice in notices {
                self.seq = self.seq.saturating_add(1);
                let event = Event {
                    days: Some(notice.days),
                    ..event(self.seq, now, &By::gate(), notice.kind, record)
                };
                writes.push(Write::Outbox(Box::new(event)));
            }
            self.told.insert(record.id.clone(), told.clone());
            writes.push(Write::PutTold { id: record.id.clone(), told });
        }
        if !writes.is_empty() {
            writes.push(Write::PutMeta(self.meta()));
        }
        (writes, next)
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

    /// What stands against any request with a key of this version.
    fn refusal(&self, id: &KeyId, version: u64, now: UnixMillis) -> Option<FamilyReply> {
        match self.records.get(id) {
            None => Some(FamilyReply::Unknown),
            Some(record) if !record.is_live(now) => {
                Some(FamilyReply::Refused { record: boxed(record) })
            }
            Some(record) if record.version != version => {
                Some(FamilyReply::Stale { record: boxed(record) })
            }
            Some(_) => None,
        }
    }

    /// Gives some requests ahead and admits none: only whoever spends them knows how many there were.
    fn lease(
        &mut self,
        id: &KeyId,
        version: u64,
        charges: &[Charge],
        ahead: u32,
        now: UnixMillis,
    ) -> (FamilyReply, Vec<Write>) {
        if let Some(refusal) = self.refusal(id, version, now) {
            return (refusal, Vec::new());
        }
        let verdict = self.counts.grant(charges, ahead, now);
        (FamilyReply::Verdict(verdict), self.count_writes())
    }

    pub(super) fn admit(
        &mut self,
        id: &KeyId,
        version: u64,
        asked: Admission<'_>,
        now: UnixMillis,
    ) -> (FamilyReply, Vec<Write>) {
        if let Some(refusal) = self.refusal(id, version, now) {
            return (refusal, Vec::new());
        }
        let Admission { charges, slot, rehash, ahead } = asked;
        // Charges are not told of a digest: the one request that brings it asks for itself.
        let ahead = if rehash.is_some() { 0 } else { ahead };
        let verdict = self.counts.admit(charges, slot, ahead, now);
        self.tallies.count(id, &verdict, now);
        let mut writes = self.count_writes();
        // Where no limit's count is stored for long, as in shadow, this count alone is.
        let reserve = charges.iter().map(|charge| charge.measure.reserve()).max().unwrap_or(1);
        let is_stored = writes.iter().any(|write| matches!(write, Write::PutWindow { .. }));
        if is_stored || (verdict.is_admitted() && self.tallies.unstored() > reserve) {
            writes.extend(self.tallies.take_writes());
        }
        let change = rehash
            .filter(|_| verdict.is_admitted())
            .map(|digest| Change::Rehash { id: id.clone(), digest });
        if let Some(Ok(plan)) = change.map(|change| self.plan(change, now)) {
            writes.extend(self.make(plan, &By::gate(), now).1);
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

    fn make(&mut self, plan: Plan, by: &By, now: UnixMillis) -> (FamilyReply, Vec<Write>) {
        let Plan { id, steps } = plan;
        let mut writes = Vec::new();
        let mut also = Vec::new();
        for Step { kind, record, fields } in steps {
            self.seq = self.seq.saturating_add(1);
            let fields = fields.into_iter().map(str::to_owned).collect();
            let event = Event { fields, ..event(self.seq, now, by, kind, &record) };
            writes.push(Write::PutRecord(boxed(&record)));
            writes.push(Write::Outbox(Box::new(event)));
            if kind == EventKind::Updated {
                writes.extend(self.note_end(&record, now));
            }
            writes.extend(self.end_sessions(&record, now));
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

    /// Whoever gives a key another end knows of the notices that lie before this moment.
    fn note_end(&mut self, record: &KeyRecord, now: UnixMillis) -> Option<Write> {
        let old = self.records.get(&record.id)?;
        if old.expires_at == record.expires_at {
            return None;
        }
        let known = self.told.get(&record.id).cloned().unwrap_or_default();
        let told = known.new_end(record, now);
        self.told.insert(record.id.clone(), told.clone());
        Some(Write::PutTold { id: record.id.clone(), told })
    }

    fn count_writes(&mut self) -> Vec<Write> {
        let writes = self.counts.take_writes().into_iter().map(|(row, snapshot)| match snapshot {
            Some(snapshot) => Write::PutWindow { row, snapshot },
            None => Write::DeleteWindow { row },
        });
        let mut writes: Vec<Write> = writes.collect();
        if writes.iter().any(|write| matches!(write, Write::DeleteWindow { .. })) {
            writes.push(Write::PutMeta(self.meta()));
        }
        writes
    }

    pub(super) fn meta(&self) -> Meta {
        Meta { clock: self.clock.last(), seq: self.seq, alias: self.alias.clone() }
    }
}

fn event(seq: u64, at: UnixMillis, by: &By, kind: EventKind, record: &KeyRecord) -> Event {
    let By { actor, request_id, address } = by;
    Event {
        seq,
        at,
        actor: actor.clone(),
        request_id: request_id.clone(),
        address: address.clone(),
        kind,
        fields: Vec::new(),
        days: None,
        key: KeySummary::from(record),
    }
}

fn boxed(record: &KeyRecord) -> Box<KeyRecord> {
    Box::new(record.clone())
}
