//! Writes under one `Idempotency-Key`, in any order of attempts, answers and silences.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use proptest::prelude::*;
use tollgate_core::repeat::{Attempt, KEPT, Kept, RepeatReply, RepeatRequest, SECRET_KEPT};
use tollgate_core::time::{Millis, UnixMillis};

#[derive(Clone, Debug)]
enum Event {
    Begin { fingerprint: u8 },
    Finish { of: usize, secret: bool },
    Abandon { of: usize },
    Wait(u64),
    Tidy,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        5 => (0..2_u8).prop_map(|fingerprint| Event::Begin { fingerprint }),
        3 => (0..4_usize, any::<bool>()).prop_map(|(of, secret)| Event::Finish { of, secret }),
        1 => (0..4_usize).prop_map(|of| Event::Abandon { of }),
        2 => prop_oneof![0..70_000_u64, 500_000..700_000_u64, 80_000_000..90_000_000_u64].prop_map(Event::Wait),
        1 => Just(Event::Tidy),
    ];
    prop::collection::vec(event, 0..60)
}

/// What one attempt came to, as a bystander saw it.
#[derive(Clone, Debug)]
struct Seen {
    at: UnixMillis,
    fingerprint: String,
    abandoned: bool,
    finished: Option<bool>,
}

proptest! {
    /// Within a day no second attempt starts unless the first said that it was not done; an answer
    /// is the first one's, goes to the same request alone, and a secret's only for ten minutes.
    #[test]
    fn a_write_is_done_once(events in events()) {
        let mut now = UnixMillis::from_secs(1_800_000_000);
        let mut stored: Option<Attempt> = None;
        let mut attempts: Vec<Seen> = Vec::new();
        for event in events {
            let name = "n".to_owned();
            let request = match event {
                Event::Wait(ms) => {
                    now = now.plus(Millis::millis(ms));
                    continue;
                }
                Event::Tidy => {
                    // Tidying when it is due, or at any other time, changes no reply.
                    stored = stored.and_then(|stored| stored.at(now));
                    prop_assert!(stored.as_ref().is_none_or(|stored| stored.changes_at() > now));
                    continue;
                }
                Event::Begin { fingerprint } => {
                    let attempt = attempts.len().to_string();
                    RepeatRequest::Begin { name, fingerprint: fingerprint.to_string(), attempt }
                }
                Event::Finish { of, secret } => RepeatRequest::Finish {
                    name,
                    attempt: of.to_string(),
                    answer: Kept { sealed: Some(of.to_string()), secret },
                },
                Event::Abandon { of } => RepeatRequest::Abandon { name, attempt: of.to_string() },
            };
            let (reply, after) = Attempt::apply(stored, request.clone(), now);
            // What is stored survives being written down.
            stored = after.map(|after| {
                serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap()
            });
            let open = |seen: &Seen| now < seen.at.plus(KEPT) && !seen.abandoned;
            match request {
                RepeatRequest::Begin { fingerprint, .. } => {
                    let last = attempts.iter().rposition(open);
                    match (reply, last) {
                        (RepeatReply::Started, None) => attempts.push(Seen {
                            at: now,
                            fingerprint,
                            abandoned: false,
                            finished: None,
                        }),
                        (RepeatReply::Started, Some(_)) => prop_assert!(false, "done twice"),
                        (reply, Some(last)) => {
                            let seen = &attempts[last];
                            let same = seen.fingerprint == fingerprint;
                            prop_assert_eq!(reply == RepeatReply::Mismatch, !same);
                            if let RepeatReply::Done(answer) = reply {
                                prop_assert_eq!(answer, last.to_string());
                                let secret = seen.finished.unwrap();
                                prop_assert!(!secret || now < seen.at.plus(SECRET_KEPT));
                            } else if same {
                                let kept = seen.finished.is_some_and(|secret| {
                                    !secret || now < seen.at.plus(SECRET_KEPT)
                                });
                                prop_assert!(!kept, "an answer was lost");
                            }
                        }
                        (reply, None) => prop_assert!(false, "{reply:?} to the first attempt"),
                    }
                }
                RepeatRequest::Finish { attempt, answer, .. } => {
                    let of: usize = attempt.parse().unwrap();
                    if let Some(seen) = attempts.get_mut(of).filter(|seen| open(seen)) {
                        seen.finished = seen.finished.or(Some(answer.secret));
                    }
                }
                RepeatRequest::Abandon { attempt, .. } => {
                    let of: usize = attempt.parse().unwrap();
                    if let Some(seen) = attempts.get_mut(of).filter(|seen| open(seen)) {
                        seen.abandoned = seen.finished.is_none();
                    }
                }
            }
        }
    }
}
