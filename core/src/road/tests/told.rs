//! What the road understands of a family's object.

use super::world::*;
use crate::family::{FamilyReply, Obstacle};
use crate::limit::Counts;
use crate::people::PeopleReply;
use crate::road::Supplied;
use crate::road::admission::{CounterReply, CounterRequest};
use crate::road::told::Told;

#[test]
fn it_is_what_concerns_the_road_and_nothing_more() {
    let mut world = World::new();
    let key = world.server_key();
    let record = || Box::new(world.record(&key));
    let family = record().family.clone();
    let charge = CounterRequest::Charge { charges: Vec::new(), slot: None, ahead: 0 };
    let CounterReply::Verdict(verdict) = charge.answer(&mut Counts::default(), start()) else {
        panic!("a charge was answered with something else");
    };
    let cases = [
        (FamilyReply::Verdict(verdict.clone()), Some(Told::Verdict(verdict))),
        (FamilyReply::Refused { record: record() }, Some(Told::Refused { record: record() })),
        (FamilyReply::Stale { record: record() }, Some(Told::Stale { record: record() })),
        (FamilyReply::Record { record: record() }, Some(Told::Record { record: record() })),
        (FamilyReply::Unknown, Some(Told::Unknown)),
        (FamilyReply::Moved { family: family.clone() }, Some(Told::Moved { family })),
        (FamilyReply::Claimed, None),
        (FamilyReply::Released, None),
        (FamilyReply::People(PeopleReply::Over), None),
        (FamilyReply::Changed { record: record(), also: Vec::new() }, None),
        (FamilyReply::VersionConflict { current: 1 }, None),
        (FamilyReply::Impossible { obstacle: Obstacle::Revoked }, None),
    ];
    for (reply, told) in cases {
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(Told::of(&Supplied::Object(text)), told, "{reply:?}");
    }
    for supplied in
        [Supplied::Failed, Supplied::Cached(Some("{}".into())), Supplied::Object("{}".into())]
    {
        assert_eq!(Told::of(&supplied), None, "{supplied:?}");
    }
}
