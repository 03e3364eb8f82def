//! Sessions that an isolate has seen: whom it knows is not kept out by the failures of strangers at
//! the same address.

use std::collections::VecDeque;

use crate::key::Digest;
use crate::time::UnixMillis;

/// Sessions that are remembered at a time.
const MOST: usize = 500;

/// What is kept of their tokens, and when they end. That one is here says nothing about its being
/// good still: its key's object is asked all the same.
#[derive(Clone, Debug, Default)]
pub struct KnownSessions {
    live: VecDeque<(Digest, UnixMillis)>,
    /// Those that were found over, which is for good.
    over: VecDeque<Digest>,
}

impl KnownSessions {
    /// A session that was found good, by what may be kept of its token.
    pub fn learn(&mut self, digests: &[Digest], ends: UnixMillis, now: UnixMillis) {
        if self.know(digests, now) {
            return;
        }
        self.live.retain(|(_, ends)| now < *ends);
        if self.live.len() >= MOST {
            self.live.pop_front();
        }
        self.live.extend(digests.first().map(|digest| (digest.clone(), ends)));
    }

    /// A session that was found over.
    pub fn end(&mut self, digests: &[Digest]) {
        if self.knows_over(digests) {
            return;
        }
        if self.over.len() >= MOST {
            self.over.pop_front();
        }
        self.over.extend(digests.first().cloned());
    }

    /// True for a session that was found over.
    pub fn knows_over(&self, digests: &[Digest]) -> bool {
        self.over.iter().any(|known| digests.iter().any(|digest| digest.same(known)))
    }

    /// True for a session that was seen, and that has not ended by itself.
    pub fn know(&self, digests: &[Digest], now: UnixMillis) -> bool {
        let is_it = |(known, ends): &(Digest, UnixMillis)| {
            now < *ends && digests.iter().any(|digest| digest.same(known))
        };
        self.live.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::tests::mark;
    use crate::time::Millis;

    #[test]
    fn a_session_is_known_until_it_ends_or_too_many_came_after_it() {
        let now = UnixMillis::from_secs(1_790_000_000);
        let at = |secs| now.plus(Millis::secs(secs));
        let mut known = KnownSessions::default();
        let (first, other) = ([mark("new pepper"), mark("first")], [mark("other")]);
        assert!(!known.know(&first, now));
        known.learn(&first, at(900), now);
        assert!(known.know(&first, at(899)));
        assert!(!known.know(&first, at(900)));
        assert!(!known.know(&other, now));
        known.learn(&[], at(900), now);
        for n in 0..MOST {
            assert!(known.know(&first, now), "{n}");
            known.learn(&[mark(&n.to_string())], at(900), now);
        }
        assert!(!known.know(&first, now));
        known.learn(&other, at(2_000), at(1_000));
        assert_eq!(known.live.len(), 1, "those that have ended are gone");
    }

    #[test]
    fn a_session_is_known_to_be_over_until_too_many_came_after_it() {
        let mut known = KnownSessions::default();
        let first = [mark("new pepper"), mark("first")];
        assert!(!known.knows_over(&first));
        for _ in 0..2 {
            known.end(&first);
        }
        known.end(&[]);
        assert_eq!(known.over.len(), 1);
        for n in 0..MOST {
            assert!(known.knows_over(&first), "{n}");
            known.end(&[mark(&n.to_string())]);
        }
        assert!(!known.knows_over(&first));
        assert_eq!(known.over.len(), MOST);
    }
}
