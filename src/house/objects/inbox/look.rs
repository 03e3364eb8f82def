//! Looking at events, and having them delivered again.

use tollgate_core::inbox::{
    EventId, EventPage, EventQuery, EventView, InboxReply, Replay, State, Turn, WhichState,
};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use tollgate_core::webhook::base64;
use worker::SqlStorageValue;

use super::super::store::{Row, damaged, one_count, one_text};
use super::take::read_received;
use super::{Inbox, instant, integer};
use crate::platform::now;

/// So many events are looked at for those in one state.
const LOOKED_AT: usize = 2_000;
/// So many events are put back in one call: whoever asks, asks again.
const REPLAYED: u64 = 1_000;
/// The columns of an [`EventView`].
const VIEW: &str = "id, state, due, attempts, tries, received, length(body)";

impl Inbox {
    pub(super) fn list(&self, query: &EventQuery) -> Result<EventPage, Fault> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        // What is not looked for is passed over for so long only: the rest is for the next page.
        let looks = if query.state.is_some() { LOOKED_AT } else { limit.saturating_add(1) };
        let among =
            "FROM entry WHERE id < coalesce(?1, '~') AND id >= coalesce(?2, '') ORDER BY id DESC";
        let from = query.before.as_ref().map(|id| id.as_str().to_owned());
        let to = query.since.map(|at| EventId::first_of(at).to_string());
        let bounds = || vec![from.clone().into(), to.clone().into()];
        let statement = format!(
            "SELECT {VIEW} FROM (SELECT seq, id, state, due, attempts, tries {among} LIMIT {looks}) \
             JOIN content USING (seq) WHERE (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4"
        );
        let mut values = bounds();
        values.push(query.state.map_or(SqlStorageValue::Null, |it| integer(it.number().into())));
        values.push(integer(u64::from(query.limit).saturating_add(1)));
        let rows = self.store.rows(&statement, values)?;
        let more = rows.len() > limit;
        let events = rows.into_iter().take(limit).map(view).collect::<Result<_, _>>()?;
        let mut looked_to = None;
        if !more && query.state.is_some() {
            let last = LOOKED_AT.saturating_sub(1);
            let last = format!("SELECT id {among} LIMIT 1 OFFSET {last}");
            let row = self.store.rows(&last, bounds())?.into_iter().next();
            looked_to = row.and_then(one_text).and_then(|id| EventId::parse(&id));
        }
        Ok(EventPage { events, more, looked_to })
    }

    pub(super) fn show(&self, id: &EventId) -> Result<InboxReply, Fault> {
        let statement =
            format!("SELECT {VIEW}, body FROM entry JOIN content USING (seq) WHERE id = ?");
        let rows = self.store.rows(&statement, vec![id.as_str().into()])?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(InboxReply::Unknown) };
        let Some(SqlStorageValue::Blob(body)) = row.pop() else { return Err(damaged()) };
        Ok(InboxReply::Event(Box::new(view(row)?), base64(&body)))
    }

    /// Puts events back to the beginning of the schedule, each once: whoever asks for many goes on
    /// after the last one. One that is pending has its turn now; of one that is on its way the
    /// attempt counts.
    pub(super) fn replay(
        &self,
        replay: &Replay,
        after: u64,
        asked: UnixMillis,
    ) -> Result<InboxReply, Fault> {
        let ids = replay.ids.as_ref().map(serde_json::to_string).transpose();
        let ids = ids.map_err(|error| Fault(error.to_string()))?;
        // By name any may be meant; of all others those that have ended.
        let chosen = "SELECT seq FROM entry WHERE seq > ?4 AND at <= ?5 AND \
             (?1 IS NULL OR id IN (SELECT value FROM json_each(?1))) \
             AND (?1 IS NOT NULL OR state = 2 OR (?2 AND state = 1)) \
             AND (?3 IS NULL OR at >= ?3)";
        let values = vec![
            ids.into(),
            integer(u64::from(replay.state == WhichState::All)),
            replay.since.map_or(SqlStorageValue::Null, instant),
            integer(after),
            instant(asked),
        ];
        if replay.dry_run {
            let statement = format!("SELECT count(*) FROM ({chosen})");
            let rows = self.store.rows(&statement, values)?;
            let count = rows.into_iter().next().and_then(one_count).unwrap_or(0);
            return Ok(InboxReply::Replayed { count, next: None });
        }
        let now = now();
        let statement = format!(
            "UPDATE entry SET state = 0, due = {}, attempts = 0 \
             WHERE seq IN ({chosen} ORDER BY seq LIMIT {REPLAYED}) RETURNING seq",
            now.as_millis(),
        );
        let rows = self.store.rows(&statement, values)?;
        let seqs: Option<Vec<u64>> = rows.into_iter().map(one_count).collect();
        let seqs = seqs.ok_or_else(damaged)?;
        let count = u64::try_from(seqs.len()).unwrap_or(0);
        if count > 0 {
            self.behind.set(true);
            if self.works_until.get().is_none() {
                self.store.wake_at(now)?;
            }
        }
        let next = seqs.into_iter().max().filter(|_| count == REPLAYED);
        Ok(InboxReply::Replayed { count, next })
    }
}

fn view(row: Row) -> Result<EventView, Fault> {
    use SqlStorageValue::{Integer, String};
    let row = <[SqlStorageValue; 7]>::try_from(row);
    let Ok(
        [
            String(id),
            Integer(state),
            Integer(due),
            Integer(attempts),
            String(tries),
            String(received),
            Integer(size),
        ],
    ) = row
    else {
        return Err(damaged());
    };
    let number = |number: i64| u64::try_from(number).map_err(|_| damaged());
    let state = u8::try_from(state).ok().and_then(State::of_number).ok_or_else(damaged)?;
    Ok(EventView {
        id: EventId::parse(&id).ok_or_else(damaged)?,
        received: read_received(&received)?,
        size: number(size)?,
        turn: Turn {
            state,
            due: UnixMillis::from_millis(number(due)?),
            attempts: u32::try_from(attempts).map_err(|_| damaged())?,
            tries: serde_json::from_str(&tries).map_err(|error| Fault(error.to_string()))?,
        },
    })
}
