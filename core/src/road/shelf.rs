//! Where walks lie while the shell fetches for them, under numbers.
//!
//! A client that resets its connection ends its request without a word: nothing runs for it any
//! more, and nobody would take its walk away. So each has a time when whatever it waits for has
//! failed for certain, and there is room for so many and no more.

use std::collections::HashMap;

use crate::time::{Millis, UnixMillis};

/// The time between two looks for what nobody comes back for.
const SWEEP: Millis = Millis::secs(1);

/// Things that wait, each under a number of its own.
#[derive(Debug)]
pub struct Shelf<T> {
    kept: HashMap<u32, Kept<T>>,
    most: usize,
    last: u32,
    /// Before this instant it is not looked through again.
    sweep_at: UnixMillis,
}

#[derive(Debug)]
struct Kept<T> {
    it: T,
    until: UnixMillis,
}

impl<T> Shelf<T> {
    /// Room for `most` things at a time.
    pub fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), most, last: 0, sweep_at: UnixMillis::default() }
    }

    /// Keeps a thing until it is taken, and for `wait` at the longest (and a second more, as it is
    /// looked for but once a second). Gives its number, which is never 0.
    ///
    /// # Errors
    ///
    /// The thing itself when there is no room.
    pub fn put(&mut self, it: T, wait: Millis, now: UnixMillis) -> Result<u32, T> {
        if now >= self.sweep_at {
            self.sweep_at = now.plus(SWEEP);
            self.kept.retain(|_, kept| kept.until > now);
        }
        if self.kept.len() >= self.most {
            return Err(it);
        }
        self.last = self.last.wrapping_add(1).max(1);
        self.kept.insert(self.last, Kept { it, until: now.plus(wait) });
        Ok(self.last)
    }

    /// Takes a thing away: once.
    pub fn take(&mut self, number: u32) -> Option<T> {
        self.kept.remove(&number).map(|kept| kept.it)
    }

    /// How many things wait.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixMillis {
        UnixMillis::from_secs(secs)
    }

    #[test]
    fn a_thing_is_taken_once_and_under_its_own_number() {
        let mut shelf = Shelf::new(10);
        let a = shelf.put("a", Millis::secs(5), at(0)).unwrap();
        let b = shelf.put("b", Millis::secs(5), at(0)).unwrap();
        assert!(a != b && a != 0 && b != 0);
        assert_eq!((shelf.take(b), shelf.take(a), shelf.take(a)), (Some("b"), Some("a"), None));
        assert!(shelf.is_empty());
    }

    #[test]
    fn what_nobody_comes_back_for_goes_when_its_time_is_over() {
        let mut shelf = Shelf::new(1_000);
        for _ in 0..500 {
            shelf.put("lost", Millis::secs(10), at(100)).unwrap();
        }
        let kept = shelf.put("slow", Millis::secs(60), at(100)).unwrap();
        shelf.put("next", Millis::secs(10), at(109)).unwrap();
        assert_eq!(shelf.len(), 502);
        shelf.put("later", Millis::secs(10), at(111)).unwrap();
        assert_eq!(shelf.len(), 3, "slow, next and later");
        assert_eq!(shelf.take(kept), Some("slow"));
    }

    #[test]
    fn a_full_shelf_takes_nothing_more_until_there_is_room() {
        let mut shelf = Shelf::new(2);
        let first = shelf.put(1, Millis::secs(10), at(0)).unwrap();
        assert!(shelf.put(2, Millis::secs(10), at(0)).is_ok());
        assert_eq!(shelf.put(3, Millis::secs(10), at(1)), Err(3), "and gives it back");
        shelf.take(first);
        assert!(shelf.put(4, Millis::secs(10), at(1)).is_ok());
    }
}
