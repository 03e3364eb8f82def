//! Which refusals are written down one by one. A caller who is refused pays nothing for it in some
//! cases, so that a flood of refusals must not become a flood of entries.

use std::collections::BTreeMap;

use crate::problem::Code;
use crate::time::{Millis, UnixMillis};

/// Refusals of one caller that are written down in one window.
const MOST: u64 = 300;
/// The window.
const WINDOW: Millis = Millis::minutes(1);
/// Callers and codes that are remembered.
const MAX_KNOWN: usize = 1_000;

/// What was refused lately, in one isolate.
#[derive(Debug, Default)]
pub struct Hush(BTreeMap<(String, Option<Code>), Lately>);

#[derive(Debug)]
struct Lately {
    since: UnixMillis,
    written: u64,
    /// Refusals since the last entry that were not written down.
    left_out: u64,
}

impl Hush {
    /// Whether a refusal of this caller is to be written down; if so, how many before it were not.
    ///
    /// One a minute that says that there were too many (429), and 300 a minute of the others.
    pub fn admit(&mut self, caller: &str, code: Code, now: UnixMillis) -> Option<u64> {
        let too_many = code.status() == 429;
        let most = if too_many { 1 } else { MOST };
        let name = (caller.to_owned(), too_many.then_some(code));
        if !self.0.contains_key(&name) && self.0.len() >= MAX_KNOWN {
            self.0.retain(|_, lately| now.since(lately.since) < WINDOW);
            // Whoever fills it up within a minute has that many keys.
            if self.0.len() >= MAX_KNOWN {
                self.0.clear();
            }
        }
        let new = || Lately { since: now, written: 0, left_out: 0 };
        let lately = self.0.entry(name).or_insert_with(new);
        if now.since(lately.since) >= WINDOW || now < lately.since {
            lately.since = now;
            lately.written = 0;
        }
        if lately.written >= most {
            lately.left_out = lately.left_out.saturating_add(1);
            return None;
        }
        lately.written = lately.written.saturating_add(1);
        Some(core::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written_down() {
        let mut hush = Hush::default();
        let at = UnixMillis::from_millis;
        // One of "too many", each code by itself, each caller by itself.
        assert_eq!(hush.admit("a", Code::RateLimited, at(0)), Some(0));
        for ms in 1..1_000 {
            assert_eq!(hush.admit("a", Code::RateLimited, at(ms)), None);
        }
        assert_eq!(hush.admit("b", Code::RateLimited, at(1)), Some(0));
        assert_eq!(hush.admit("a", Code::TooManyFailures, at(1)), Some(0));
        assert_eq!(hush.admit("a", Code::RateLimited, at(59_999)), None);
        assert_eq!(hush.admit("a", Code::RateLimited, at(60_000)), Some(1_000));
        assert_eq!(hush.admit("a", Code::RateLimited, at(120_000)), Some(0));
        // Three hundred of the rest, together.
        for n in 0..MOST {
            let code = if n % 2 == 0 { Code::NotFound } else { Code::InvalidField };
            assert_eq!(hush.admit("a", code, at(n)), Some(0));
        }
        assert_eq!(hush.admit("a", Code::NotFound, at(400)), None);
        assert_eq!(hush.admit("a", Code::NotFound, at(60_000)), Some(1));
        // A clock that goes back starts anew.
        assert_eq!(hush.admit("a", Code::NotFound, at(0)), Some(0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut hush = Hush::default();
        let now = UnixMillis::from_millis(5);
        for n in 0..5_000 {
            assert_eq!(hush.admit(&n.to_string(), Code::NotFound, now), Some(0));
            assert!(hush.0.len() <= MAX_KNOWN);
        }
    }
}
