//! The holder of an admin key: its second factor and its sessions. Whatever is asked, the key comes
//! first, and is told of only to whoever shows a session of it.

use super::state::Admission;
use super::{FamilyReply, FamilyState, Write};
use crate::key::{KeyId, KeyRecord, KeyState};
use crate::people::{Asked, PeopleReply, PeopleRequest, Seen};
use crate::time::UnixMillis;

impl FamilyState {
    pub(super) fn answer_people(
        &mut self,
        asked: Asked,
        now: UnixMillis,
    ) -> (FamilyReply, Vec<Write>) {
        let Asked { key, request } = asked;
        let Some(record) = self.records.get(&key) else {
            return (FamilyReply::Unknown, Vec::new());
        };
        if let PeopleRequest::Find(shown) | PeopleRequest::Admit { shown, .. } = &request {
            let seen = self.people.look(&key, shown, now);
            if matches!(seen, Seen::Never) {
                return (FamilyReply::People(PeopleReply::NoSession), Vec::new());
            }
            if !record.is_live(now) {
                return (FamilyReply::Refused { record: Box::new(record.clone()) }, Vec::new());
            }
            if matches!(seen, Seen::Over) {
                return (FamilyReply::People(PeopleReply::Over), Vec::new());
            }
        }
        if let PeopleRequest::Admit { version, charges, .. } = request {
            let asked = Admission { charges: &charges, slot: None, rehash: None, ahead: 0 };
            return self.admit(&key, version, asked, now);
        }
        if !record.is_live(now) && !matches!(request, PeopleRequest::Close(_)) {
            return (FamilyReply::Refused { record: Box::new(record.clone()) }, Vec::new());
        }
        if let PeopleRequest::Invite { judged, .. } = &request {
            let unjudged = self.unjudged(judged, now);
            if !unjudged.is_empty() {
                return (FamilyReply::People(PeopleReply::Unjudged(unjudged)), Vec::new());
            }
        }
        let (reply, changed) = self.people.answer(record, request, now);
        let writes = if changed { self.people_writes() } else { Vec::new() };
        (FamilyReply::People(reply), writes)
    }

    /// The keys that the second factor is of and that are not among these, as they are now. One that
    /// is off or past its end may come back; a rotated one that is past its end does not.
    fn unjudged(&self, judged: &[(KeyId, u64)], now: UnixMillis) -> Vec<KeyRecord> {
        let is_gone = |record: &KeyRecord| {
            record.state == KeyState::Revoked
                || (record.deprecated.is_some() && record.is_expired(now))
        };
        let was_judged = |record: &KeyRecord| {
            judged.iter().any(|(id, version)| *id == record.id && *version == record.version)
        };
        let records = self.records.values();
        records.filter(|record| !is_gone(record) && !was_judged(record)).cloned().collect()
    }

    /// What opens nothing any more has no sessions, also not when it opens something again: so they
    /// end as well when it had come to its end before this change of it. To be called before the
    /// record is taken.
    pub(super) fn end_sessions(&mut self, record: &KeyRecord, now: UnixMillis) -> Option<Write> {
        let was_live = self.records.get(&record.id).is_none_or(|old| old.is_live(now));
        let goes_on = was_live && record.is_live(now);
        let ended = !goes_on && self.people.end_sessions_of(&record.id);
        ended.then(|| Write::PutPeople(Box::new(self.people.clone())))
    }

    fn people_writes(&self) -> Vec<Write> {
        vec![Write::PutPeople(Box::new(self.people.clone())), Write::PutMeta(self.meta())]
    }
}
