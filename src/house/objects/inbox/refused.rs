//! Why webhooks were refused: the latest of them.

use tollgate_core::inbox::{KEPT_REFUSALS, REFUSALS_KEPT, Refusal, RefusalPage};
use tollgate_core::road::Fault;
use worker::SqlStorageValue;

use super::super::store::{Row, damaged};
use super::{Inbox, instant, integer};
use crate::platform::now;

impl Inbox {
    /// Keeps one more, and forgets those that there is no room for.
    pub(super) fn keep_refusal(&self, refusal: &Refusal) -> Result<(), Fault> {
        let told = serde_json::to_string(refusal).map_err(|error| Fault(error.to_string()))?;
        self.store.write(
            "INSERT INTO refusal (at, told) VALUES (?, ?)",
            vec![instant(refusal.at), told.into()],
        )?;
        self.store.write(
            "DELETE FROM refusal WHERE at <= ?1 \
             OR seq <= (SELECT max(seq) FROM refusal) - ?2",
            vec![instant(now().minus(REFUSALS_KEPT)), integer(KEPT_REFUSALS.into())],
        )
    }

    /// Those that are not too old to be shown, the latest first.
    pub(super) fn refusals(&self, limit: u32, before: Option<u64>) -> Result<RefusalPage, Fault> {
        let rows = self.store.rows(
            "SELECT seq, told FROM refusal WHERE at > ?1 AND (?2 IS NULL OR seq < ?2) \
             ORDER BY seq DESC LIMIT ?3",
            vec![
                instant(now().minus(REFUSALS_KEPT)),
                before.map_or(SqlStorageValue::Null, integer),
                integer(u64::from(limit).saturating_add(1)),
            ],
        )?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let refusals = rows.into_iter().take(limit).map(refusal).collect::<Result<_, _>>()?;
        Ok(RefusalPage { refusals, more })
    }
}

fn refusal(row: Row) -> Result<(u64, Refusal), Fault> {
    let Ok([SqlStorageValue::Integer(seq), SqlStorageValue::String(told)]) =
        <[SqlStorageValue; 2]>::try_from(row)
    else {
        return Err(damaged());
    };
    let refusal = serde_json::from_str(&told).map_err(|error| Fault(error.to_string()))?;
    Ok((seq.try_into().map_err(|_| damaged())?, refusal))
}
