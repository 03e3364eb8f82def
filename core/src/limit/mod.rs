//! Limits: what a limit is, what is asked of an object, and what it answers (SPEC section 4).
//!
//! | what | where |
//! |---|---|
//! | as it is written: name, measures, counted by what, exact or leased | [`Limit`] |
//! | what one request asks of an object, and its answer | [`Charge`], [`Verdict`] |
//! | all counts of one object, charged together or not at all | [`Counts`] |
//! | one count: of any window, of a bucket, of a calendar period, of what is in flight | `window`, `level`, `period`, `slots` |
//! | what an isolate was given ahead | [`Leases`] |
//! | what a client is told | [`rate_limit_headers`] |

mod ahead;
mod by;
mod charge;
mod clock;
mod count;
mod counts;
mod headers;
mod lease;
mod level;
mod measure;
mod named;
mod period;
mod slots;
mod window;

pub use by::{LimitBy, LimitByError};
pub use charge::{Charge, Grant, Slot, Standing, Verdict};
pub use clock::ObjectClock;
pub use counts::{Counts, MAX_BUCKETS, Writes};
pub use headers::rate_limit_headers;
pub use lease::{LeaseName, Leased, Leases};
pub use measure::{
    Bucket, BurstError, Concurrency, ConcurrencyError, Kind, MAX_LEASE, MAX_REQUESTS, MAX_WINDOW,
    Measure, Period, Quota, QuotaError, Rate, RateError,
};
pub use named::{Limit, LimitError, LimitText, Mode, ROUTE_PREFIX, valid_limit_name};

#[cfg(test)]
mod tests;
