//! Messages that no request waits for, and what follows from their replies.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ObjectClass;
use super::admission::Renewal;
use super::isolate::Isolate;
use crate::time::UnixMillis;

/// Replies that are waited for at a time; at about 300 bytes each 3 MB. Whoever is forgotten here
/// waits for what it is about to run out by itself.
const MAX_AWAITED: usize = 10_000;

/// A message to an object that no request waits for: given back, released, asked for ahead. It is
/// sent once and never again; what is lost with it comes back by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Which class of objects.
    pub class: ObjectClass,
    /// The object's name.
    pub name: String,
    /// The message, as JSON.
    pub message: String,
    /// Set where the reply matters: [`Isolate::errand_done`] takes it under this number.
    pub reply: Option<u32>,
}

impl Errand {
    pub(super) fn new(class: ObjectClass, name: &str, message: &impl Serialize) -> Self {
        let message = serde_json::to_string(message).unwrap_or_default();
        Self { class, name: name.to_owned(), message, reply: None }
    }

    /// The same, with a reply that means something to this isolate.
    pub(super) fn answered_by(
        self,
        isolate: &mut Isolate,
        awaited: impl FnOnce() -> Awaited,
    ) -> Self {
        Self { reply: Some(isolate.awaited.number(awaited())), ..self }
    }
}

/// What the reply to an errand is about.
#[derive(Debug)]
pub(super) enum Awaited {
    /// A place in flight at this object comes free: it need not be full any more.
    Place { object: String },
    /// A lease is renewed.
    Renewal(Renewal),
}

/// The errands whose replies matter, by their numbers.
#[derive(Debug, Default)]
pub(super) struct AwaitedReplies {
    waiting: BTreeMap<u32, Awaited>,
    next: u32,
}

impl AwaitedReplies {
    fn number(&mut self, awaited: Awaited) -> u32 {
        if self.waiting.len() >= MAX_AWAITED {
            self.waiting.pop_first();
        }
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(self.next, awaited);
        self.next
    }
}

impl Isolate {
    /// Takes the reply to an [`Errand`] that has a number; None: it did not come.
    pub fn errand_done(&mut self, number: u32, reply: Option<&str>, now: UnixMillis) {
        match self.awaited.waiting.remove(&number) {
            Some(Awaited::Place { object }) if reply.is_some() => self.denials.forget(&object),
            Some(Awaited::Renewal(renewal)) => renewal.done(self, reply, now),
            Some(Awaited::Place { .. }) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_bounded_and_the_oldest_is_forgotten() {
        let mut replies = AwaitedReplies::default();
        let place = || Awaited::Place { object: "o".to_owned() };
        let first = replies.number(place());
        let numbers: Vec<u32> = (1..MAX_AWAITED).map(|_| replies.number(place())).collect();
        assert!(replies.waiting.contains_key(&first));
        let last = replies.number(place());
        assert_eq!(replies.waiting.len(), MAX_AWAITED);
        assert!(!replies.waiting.contains_key(&first));
        assert!(numbers.iter().chain([&last]).all(|number| replies.waiting.contains_key(number)));
    }
}
