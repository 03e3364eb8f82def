//! What a family's object said to a change, as the management API answers it.

use crate::family::{Change, FamilyReply, FamilyRequest, FamilyState, Obstacle};
use crate::key::KeyRecord;
use crate::problem::{Code, Problem};
use crate::time::UnixMillis;

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The key that was asked about; of a rotation the new one.
    pub record: KeyRecord,
    /// Other keys of the family that changed with it.
    pub also: Vec<KeyRecord>,
}

impl Changed {
    /// Reads the reply; None when the object was not reached.
    ///
    /// # Errors
    /// `not_found`, `version_conflict`, `state_conflict`, `admission_unavailable`.
    pub fn read(reply: Option<FamilyReply>) -> Result<Self, Box<Problem>> {
        Err(Box::new(match reply {
            Some(FamilyReply::Changed { record, also }) => {
                return Ok(Self { record: *record, also });
            }
            Some(FamilyReply::VersionConflict { current }) => version_conflict(current),
            Some(FamilyReply::Impossible { obstacle }) => obstructed(&obstacle),
            Some(FamilyReply::Unknown) => Code::NotFound.into(),
            _ => Code::AdmissionUnavailable.into(),
        }))
    }
}

/// What a family of this one key would say to `change`: for changes that leave something behind
/// elsewhere before the family is asked.
///
/// # Errors
/// Those of [`Changed::read`].
pub fn rehearsed(record: &KeyRecord, change: &Change, now: UnixMillis) -> Result<(), Box<Problem>> {
    let request = FamilyRequest::change("", change.clone());
    let (reply, _) = FamilyState::of(record.clone()).apply(request, now);
    Changed::read(Some(reply)).map(|_| ())
}

/// The refusal of a change that was made for another version than the present one.
pub fn version_conflict(current: u64) -> Problem {
    let detail = format!("The key has version {current} now.");
    Problem::new(Code::VersionConflict).detail(detail).with("version", current)
}

fn obstructed(obstacle: &Obstacle) -> Problem {
    let mut detail = obstacle.to_string();
    if let Some(first) = detail.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    detail.push('.');
    Problem::new(Code::StateConflict).detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::{Deprecated, KeyState};
    use crate::manage::tests::{NOW, body, made};
    use crate::time::Millis;

    #[test]
    fn a_rotation_that_must_fail_is_known_before_anything_is_left_behind() {
        let (old, new) = (made(&body("sk", json!({}))), made(&body("sk", json!({ "name": "b" }))));
        let new = new.record;
        let with = |change: &dyn Fn(&mut KeyRecord)| {
            let mut record = old.record.clone();
            change(&mut record);
            record
        };
        let successor = Deprecated { since: NOW, successor: new.id.clone() };
        for (record, now, code) in [
            (with(&|_| {}), NOW, None),
            (with(&|r| r.state = KeyState::Revoked), NOW, Some(Code::StateConflict)),
            (with(&|r| r.state = KeyState::Disabled), NOW, Some(Code::StateConflict)),
            (with(&|_| {}), old.record.expires_at, Some(Code::StateConflict)),
            (with(&|r| r.deprecated = Some(successor.clone())), NOW, Some(Code::StateConflict)),
            (with(&|r| r.version = 2), NOW, Some(Code::VersionConflict)),
        ] {
            let rotation = Change::Rotate {
                id: record.id.clone(),
                new_id: new.id.clone(),
                digest: new.digest.clone(),
                grace: Millis::hours(48),
                max_lifetime: None,
                version: Some(1),
            };
            let said = rehearsed(&record, &rotation, now).err().map(|problem| problem.code);
            assert_eq!(said, code, "{record:?}");
        }
    }

    #[test]
    fn a_reply_is_told_with_its_code() {
        for (reply, code, detail) in [
            (None, Code::AdmissionUnavailable, ""),
            (Some(FamilyReply::Claimed), Code::AdmissionUnavailable, ""),
            (Some(FamilyReply::Unknown), Code::NotFound, ""),
            (
                Some(FamilyReply::VersionConflict { current: 7 }),
                Code::VersionConflict,
                "The key has version 7 now.",
            ),
            (
                Some(FamilyReply::Impossible { obstacle: Obstacle::Revoked }),
                Code::StateConflict,
                "The key is revoked, which is for good.",
            ),
        ] {
            let problem = Changed::read(reply).unwrap_err();
            assert_eq!((problem.code, problem.detail.as_str()), (code, detail));
        }
        assert_eq!(version_conflict(7).extra.get("version"), Some(&serde_json::json!(7)));
    }
}
