//! Sending again: what was named, or all since a time, so many in each call.

use tollgate_core::chunk::chunks;
use tollgate_core::endpoint::{Delivery, Endpoint, EndpointReply, Place, Replay, ReplayWhich};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use worker::SqlStorageValue;

use super::super::store::{MOST_BYTES, Row, damaged, one_count, one_text, two_texts};
use super::Keeper;
use super::table::{instant, integer, json, parse};

/// Deliveries that one call looks at and puts on their way. Whoever asks, asks again: a month of them
/// would hold up the object, and fill its memory.
const AT_ONCE: u64 = 2_000;
/// Rows that go into one statement.
const CHUNK: usize = 500;

/// Those of these events that were meant for the endpoint.
const NAMED: &str = "SELECT event, record FROM delivery WHERE endpoint = ? AND state <> 'pending' \
    AND event IN (SELECT value FROM json_each(?))";
/// Those that happened then or later, in this state. What is on its way already stays so.
const SINCE: &str = "FROM delivery JOIN event ON event.id = delivery.event \
    WHERE delivery.endpoint = ?1 AND delivery.state <> 'pending' \
    AND (?2 IS NULL OR delivery.state = ?2) AND event.at >= ?3";

/// A delivery as it is kept: its event, when it is tried next in milliseconds since 1970, its record.
type Kept = (String, u64, String);

impl Keeper {
    pub(super) fn replay(
        &self,
        endpoint: &Endpoint,
        replay: &Replay,
        from: Option<Place>,
        now: UnixMillis,
    ) -> Result<EndpointReply, Fault> {
        if !endpoint.is_on() {
            return Ok(EndpointReply::Disabled);
        }
        let (rows, next) = match &replay.which {
            ReplayWhich::Ids(ids) => {
                let values = vec![endpoint.id.as_str().into(), json(ids)?.into()];
                (self.store.rows(NAMED, values)?, None)
            }
            ReplayWhich::Since { since, state } => {
                let state = state.map(|state| state.as_str().to_owned());
                let chosen = vec![endpoint.id.as_str().into(), state.into(), instant(*since)];
                if replay.dry_run {
                    let query = format!("SELECT count(*) {SINCE}");
                    let row = self.store.rows(&query, chosen)?.into_iter().next();
                    let count = row.and_then(one_count).ok_or_else(damaged)?;
                    return Ok(EndpointReply::Replayed { count, next: None });
                }
                let from = if from.is_none() { self.whole(&endpoint.id)? } else { from };
                from.map_or_else(|| Ok((Vec::new(), None)), |place| self.part(chosen, place))?
            }
        };
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if count > 0 && !replay.dry_run {
            self.send_again(&endpoint.id, rows, now)?;
            self.store.wake_at(now)?;
        }
        Ok(EndpointReply::Replayed { count, next })
    }

    /// The next of those that are chosen, and where to go on.
    fn part(
        &self,
        mut chosen: Vec<SqlStorageValue>,
        Place { after, last }: Place,
    ) -> Result<(Vec<Row>, Option<Place>), Fault> {
        chosen.extend([after.into(), last.as_str().into(), integer(AT_ONCE)]);
        let query = format!(
            "SELECT delivery.event, delivery.record {SINCE} AND delivery.event > ?4 \
             AND delivery.event <= ?5 ORDER BY delivery.event LIMIT ?6"
        );
        let rows = self.store.rows(&query, chosen)?;
        let full = u64::try_from(rows.len()).is_ok_and(|count| count >= AT_ONCE);
        let end = rows.last().filter(|_| full).cloned().and_then(two_texts);
        Ok((rows, end.map(|(after, _)| Place { after, last })))
    }

    /// From before its first event to the last that it has now; None: it has none.
    fn whole(&self, endpoint: &str) -> Result<Option<Place>, Fault> {
        let last = "SELECT event FROM delivery WHERE endpoint = ? ORDER BY event DESC LIMIT 1";
        let row = self.store.rows(last, vec![endpoint.into()])?.into_iter().next();
        let last = row.map(|row| one_text(row).ok_or_else(damaged)).transpose()?;
        Ok(last.map(|last| Place { after: String::new(), last }))
    }

    fn send_again(&self, endpoint: &str, rows: Vec<Row>, now: UnixMillis) -> Result<(), Fault> {
        let mut kept: Vec<Kept> = Vec::new();
        for row in rows {
            let (event, record) = two_texts(row).ok_or_else(damaged)?;
            let mut delivery: Delivery = parse(&record)?;
            delivery.replay(now);
            kept.push((event, delivery.next_at.as_millis(), json(&delivery)?));
        }
        self.store.transaction(&mut || {
            // A text within a text has its quotes escaped.
            let size = |(.., record): &Kept| record.len().saturating_mul(2);
            for chunk in chunks(&kept, CHUNK, MOST_BYTES, size) {
                let values: Vec<SqlStorageValue> = vec![endpoint.into(), json(&chunk)?.into()];
                self.store.write(
                    "INSERT OR REPLACE INTO delivery SELECT ?1, json_extract(value, '$[0]'), \
                     'pending', json_extract(value, '$[1]'), json_extract(value, '$[2]') \
                     FROM json_each(?2)",
                    values,
                )?;
            }
            Ok(())
        })
    }
}
