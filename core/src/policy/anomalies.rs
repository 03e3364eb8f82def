//! `[anomalies]`: from when on what a key does is worth telling somebody.

use crate::limit::Rate;
use crate::time::Millis;

use super::rate;
use super::reader::{Field, Shape, unknown_word};

pub(super) const ANOMALIES: Shape = Shape {
    at: "anomalies",
    fields: &["refusals", "volume", "routes", "countries", "old_keys", "learn"],
};
pub(super) const REFUSALS: Shape =
    Shape { at: "anomalies.refusals", fields: &["requests", "window"] };
pub(super) const VOLUME: Shape = Shape { at: "anomalies.volume", fields: &["factor", "at_least"] };

/// What turns a detector off.
const OFF: &str = "off";

/// The thresholds of the detectors; None is one that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomalies {
    /// So many requests of one key refused with 401 or 403, in a window of this length.
    pub refusals: Option<Rate>,
    /// An hour far busier than the key's busiest in its last 7 days.
    pub volume: Option<Volume>,
    /// A route that the key never used.
    pub routes: bool,
    /// A country that the key was never used from.
    pub countries: bool,
    /// Use of a key that was rotated and works on for its grace period.
    pub old_keys: bool,
    /// For this long after its first use a key is only watched: what it does then is usual.
    pub learn: Millis,
}

/// When an hour is too busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// So many times the requests of the busiest hour.
    pub factor: u64,
    /// And at least so many.
    pub at_least: u64,
}

impl Default for Anomalies {
    fn default() -> Self {
        Self {
            refusals: Rate::new(20, Millis::minutes(5)).ok(),
            volume: Some(Volume::default()),
            routes: true,
            countries: true,
            old_keys: true,
            learn: Millis::hours(24),
        }
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self { factor: 3, at_least: 1_000 }
    }
}

/// Reads `[anomalies]`; what is wrong was told, and is read as if it were not there.
pub(super) fn read(field: &Field<'_>) -> Anomalies {
    let Some(table) = field.table(&ANOMALIES) else { return Anomalies::default() };
    let default = Anomalies::default();
    let (refusals, volume) = (table.field("refusals"), table.field("volume"));
    let on = |name| {
        let choice = table.field(name).choice(&[("on", true), (OFF, false)]);
        choice.unwrap_or(true)
    };
    Anomalies {
        refusals: detector(&refusals, default.refusals, |field| rate::read(field, &REFUSALS)),
        volume: detector(&volume, default.volume, read_volume),
        routes: on("routes"),
        countries: on("countries"),
        old_keys: on("old_keys"),
        learn: table
            .field("learn")
            .duration(&(Millis::ZERO..=Millis::days(30)))
            .unwrap_or(default.learn),
    }
}

/// `"off"`, or a table.
fn detector<T>(
    field: &Field<'_>,
    default: Option<T>,
    read: impl FnOnce(&Field<'_>) -> Option<T>,
) -> Option<T> {
    match field.word() {
        _ if !field.is_given() => default,
        Some(OFF) => None,
        Some(other) => {
            field.wrong(unknown_word(other, &[OFF]));
            None
        }
        None => read(field),
    }
}

fn read_volume(field: &Field<'_>) -> Option<Volume> {
    let table = field.table(&VOLUME)?;
    let default = Volume::default();
    let factor = table.field("factor").integer(&(2..=1_000));
    let at_least = table.field("at_least").integer(&(1..=1_000_000_000));
    Some(Volume {
        factor: factor.unwrap_or(default.factor),
        at_least: at_least.unwrap_or(default.at_least),
    })
}
