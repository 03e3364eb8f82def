//! How far long work has come: one line on the terminal that is written over, and nothing at all
//! where standard error is no terminal, so that logs and scripts see only the outcome.

use std::io::{self, IsTerminal, Write};

use tollgate_core::time::{Millis, UnixMillis};

use crate::clock::now;

/// The eye needs no more.
const PAUSE: Millis = Millis::millis(100);
/// Back to the beginning of the line, and everything after it gone (ECMA-48 CR, EL).
const CLEAR: &str = "\r\u{1b}[K";

/// The line that tells how far the work has come. It is gone when this is.
pub(crate) struct Progress {
    what: &'static str,
    on_terminal: bool,
    shown_at: Option<UnixMillis>,
}

impl Progress {
    /// Begins to tell of `what`, such as `keys revoked`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, on_terminal: io::stderr().is_terminal(), shown_at: None }
    }

    /// So much is done, of so much where that is known.
    pub(crate) fn tell(&mut self, done: u64, total: Option<u64>) {
        let too_soon = self.shown_at.is_some_and(|at| now().since(at) < PAUSE);
        if self.on_terminal && (!too_soon || Some(done) == total) {
            self.shown_at = Some(now());
            let _ = write!(io::stderr(), "{CLEAR}{}", line(self.what, done, total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown_at.is_some() {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

fn line(what: &str, done: u64, total: Option<u64>) -> String {
    let Some(total) = total else { return format!("{done} {what}") };
    let percent = u128::from(done).saturating_mul(100).checked_div(total.into()).unwrap_or(100);
    format!("{done} of {total} {what} ({}%)", percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        for (done, total, told) in [
            (0, Some(10), "0 of 10 keys (0%)"),
            (9_999, Some(10_000), "9999 of 10000 keys (99%)"),
            (3, Some(3), "3 of 3 keys (100%)"),
            (0, Some(0), "0 of 0 keys (100%)"),
            (u64::MAX, Some(u64::MAX), "18446744073709551615 of 18446744073709551615 keys (100%)"),
            (7, None, "7 keys"),
        ] {
            assert_eq!(line("keys", done, total), told);
        }
    }
}
