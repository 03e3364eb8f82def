//! `{ requests = 60, window = "1m" }`, wherever a policy states a rate.

use crate::limit::{Rate, RateError};
use crate::time::Millis;

use super::error::Wrong;
use super::reader::{Field, Shape};

/// Reads a rate. What a rate may be is judged by [`Rate::new`] alone.
pub(super) fn read(field: &Field<'_>, shape: &'static Shape) -> Option<Rate> {
    let table = field.table(shape)?;
    let requests = table.field("requests").required();
    let window = table.field("window").required();
    let number = requests.integer(&(0..=u64::from(u32::MAX)));
    let span = window.parsed(|text| Millis::parse(text).map_err(Wrong::told));
    let number = u32::try_from(number?).ok()?;
    match Rate::new(number, span?) {
        Ok(rate) => Some(rate),
        Err(error) => {
            let at = if matches!(error, RateError::Requests(_)) { &requests } else { &window };
            at.wrong(Wrong::told(error));
            None
        }
    }
}
