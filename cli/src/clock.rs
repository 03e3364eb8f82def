//! The one place of the command line that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tollgate_core::time::UnixMillis;

/// Now, by this machine.
#[allow(clippy::disallowed_methods)] // the core takes time as an argument: here it comes from
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
