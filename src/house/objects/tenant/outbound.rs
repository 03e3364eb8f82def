//! Events on their way out: the audit is their log, and the keeper of the tenant's endpoints is told
//! when it has new ones. It reads them by number, so that it misses none, however late it is told.

use tollgate_core::audit::{Reply, Watched};
use tollgate_core::endpoint::{EndpointReply, EndpointRequest, is_event};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use worker::SqlStorageValue;

use super::super::store::damaged;
use super::TenantObject;
use super::registry::{integer, json};
use crate::house::bindings;

/// One row, once somebody wants events: the number of the last one, and of the last that the keeper
/// was told of. A tenant without endpoints has none, and pays nothing: the first event after its last
/// endpoint went finds that nobody wants it, and takes the row away.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS outbound (
        one INTEGER PRIMARY KEY, last INTEGER NOT NULL, told INTEGER NOT NULL
    );";

impl TenantObject {
    /// Events are wanted from now on.
    pub(super) fn watch_events(&self) -> Result<String, Fault> {
        let last = self.audit_tip()?.seq;
        self.wanted(last)?;
        json(&Watched { last })
    }

    /// Somebody wants events, and is told of the chain up to `last` with this answer. Whoever said
    /// before it that nobody does is not believed.
    fn wanted(&self, last: u64) -> Result<(), Fault> {
        self.wanted.set(self.wanted.get().saturating_add(1));
        if self.outbound()?.is_some() {
            return Ok(());
        }
        self.store.write(
            "INSERT OR IGNORE INTO outbound VALUES (1, ?, ?)",
            vec![integer(last), integer(last)],
        )
    }

    /// The chain has grown to `last`, by entries of these types.
    pub(super) fn outbound_grew<'k>(
        &self,
        mut types: impl Iterator<Item = &'k str>,
        last: u64,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        if !types.any(is_event) || self.outbound()?.is_none() {
            return Ok(());
        }
        self.store.write("UPDATE outbound SET last = ?", vec![integer(last)])?;
        self.store.wake_at(now)
    }

    /// Entries of these types after `after`, and how far the chain goes. Whoever reads wants them.
    pub(super) fn follow(&self, after: u64, types: &[String], limit: u64) -> Result<String, Fault> {
        let last = self.audit_tip()?.seq;
        self.wanted(last)?;
        let rows = self.store.rows(
            "SELECT line FROM audit WHERE seq > ? AND type IN (SELECT value FROM json_each(?)) \
             ORDER BY seq LIMIT ?",
            vec![integer(after), json(&types)?.into(), integer(limit)],
        )?;
        let lines =
            rows.into_iter().map(|row| super::super::store::one_text(row).ok_or_else(damaged));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        Reply::write(&Watched { last }, &lines).map_err(|error| Fault(error.to_string()))
    }

    pub(super) fn has_outbound(&self) -> Result<bool, Fault> {
        Ok(self.outbound()?.is_some_and(|(last, told)| last > told))
    }

    /// Tells the keeper of the endpoints that there are events; when there are more. If nobody wants
    /// them, and nobody said otherwise while the keeper was asked, it is not told again.
    ///
    /// Nothing is lost by that: a keeper that has its first endpoint reads the chain after it has stored
    /// it, by its own number, and so is watched for again.
    pub(super) async fn tend_outbound(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Fault> {
        let Some((last, _)) = self.outbound()?.filter(|(last, told)| last > told) else {
            return Ok(None);
        };
        let wake = json(&EndpointRequest::Wake { last })?;
        let name = self.store.name()?;
        let wanted = self.wanted.get();
        let reply = bindings::call_object(&self.env, bindings::ENDPOINT, &name, &wake).await?;
        let reply: EndpointReply =
            serde_json::from_str(&reply).map_err(|error| Fault(error.to_string()))?;
        if reply == EndpointReply::Unwanted && wanted == self.wanted.get() {
            self.store.write("DELETE FROM outbound", Vec::new())?;
            return Ok(None);
        }
        self.store.write("UPDATE outbound SET told = ?", vec![integer(last)])?;
        Ok(self.has_outbound()?.then_some(now))
    }

    /// The last event, and the last that was told of.
    fn outbound(&self) -> Result<Option<(u64, u64)>, Fault> {
        let rows = self.store.rows("SELECT last, told FROM outbound", Vec::new())?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let Ok([SqlStorageValue::Integer(last), SqlStorageValue::Integer(told)]) =
            <[_; 2]>::try_from(row)
        else {
            return Err(damaged());
        };
        let number = |number: i64| u64::try_from(number).map_err(|_| damaged());
        Ok(Some((number(last)?, number(told)?)))
    }
}
