//! The audit: a chain of what happened, and no way to change it. Lines are put at its end, and
//! nothing here ever updates or deletes one.

use std::collections::BTreeSet;

use tollgate_core::audit::{AuditQuery, AuditRequest, Draft, Exported, Paged, Reply, Tip};
use tollgate_core::chunk::chunks;
use tollgate_core::manage::without_keys;
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use worker::SqlStorageValue;

use super::super::store::{MOST_BYTES, Row, damaged, one_count, one_text};
use super::TenantObject;
use super::registry::{instant, integer, json};
use crate::gate::gate;

/// `line` is the entry, byte by byte as its hash was made; the other columns are what is looked for
/// in it. An entry that names its occurrence is there once, however often it is told. What happened
/// may be told late; `latest` is the latest time in the chain up to this entry, which never goes
/// back, so that all that happened since some time is found without looking through the whole chain.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS audit (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, actor TEXT NOT NULL,
        key TEXT, once TEXT UNIQUE, latest INTEGER NOT NULL, line TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS audit_latest ON audit (latest);
    CREATE INDEX IF NOT EXISTS audit_type ON audit (type);
    CREATE INDEX IF NOT EXISTS audit_actor ON audit (actor);
    CREATE INDEX IF NOT EXISTS audit_actor_type ON audit (actor, type);
    CREATE INDEX IF NOT EXISTS audit_key ON audit (key) WHERE key IS NOT NULL;";

/// One statement for many lines, so that all of them are there or none.
const APPEND: &str = "
    INSERT INTO audit
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'), json_extract(value, '$[7]')
    FROM json_each(?)";

/// No entry before these happened since that time.
const SINCE: &str =
    " AND seq >= (SELECT seq FROM audit WHERE latest >= ? ORDER BY latest, seq LIMIT 1)";

/// Lines that go into one statement.
const CHUNK: usize = 200;
/// Lines that are read at a time.
const READ: u64 = 100;
/// Bytes of lines after which an export ends, whatever was asked for: it goes through the memory of
/// an isolate.
const MAX_EXPORT: usize = 4 * 1024 * 1024;

impl TenantObject {
    /// Puts these at the end of the chain, in order, those that are not in it yet.
    pub(super) fn append(&self, drafts: &[Draft], now: UnixMillis) -> Result<(), Fault> {
        let drafts = self.not_yet_audited(drafts)?;
        if drafts.is_empty() {
            return Ok(());
        }
        let chain = self.store.name()?;
        let gate = gate(&self.env)?;
        let brand = &gate.policy.gate.key_brand;
        let (mut tip, mut latest) = (self.audit_tip()?, self.audit_latest()?);
        let mut rows = Vec::new();
        for draft in drafts {
            let line = tip
                .line(&chain, draft, now, |text| without_keys(brand, text))
                .map_err(|error| told(&error))?;
            let Draft { at, kind, actor, key, once, .. } = draft;
            let at = at.as_millis();
            latest = latest.max(at);
            rows.push((tip.seq, at, kind, actor, key, once, latest, line));
        }
        // What is looked for in a line stands in it.
        for rows in chunks(&rows, CHUNK, MOST_BYTES, |(.., line)| line.len().saturating_mul(2)) {
            self.store.write(APPEND, vec![json(&rows)?.into()])?;
        }
        let types = rows.iter().map(|(_, _, kind, ..)| kind.as_str());
        self.outbound_grew(types, tip.seq, now)
    }

    pub(super) fn audit(&self, request: AuditRequest, now: UnixMillis) -> Result<String, Fault> {
        match request {
            AuditRequest::Append(drafts) => {
                self.append(&drafts, now)?;
                Ok("{}".to_owned())
            }
            AuditRequest::Page(query) => self.audit_page(&query),
            AuditRequest::Export { after, limit } => self.audit_export(after, limit),
            AuditRequest::Watch => self.watch_events(),
            AuditRequest::Follow { after, types, limit } => self.follow(after, &types, limit),
        }
    }

    fn not_yet_audited<'d>(&self, drafts: &'d [Draft]) -> Result<Vec<&'d Draft>, Fault> {
        let names: Vec<&String> = drafts.iter().filter_map(|draft| draft.once.as_ref()).collect();
        let mut written = BTreeSet::new();
        if !names.is_empty() {
            let known = "SELECT once FROM audit WHERE once IN (SELECT value FROM json_each(?))";
            for row in self.store.rows(known, vec![json(&names)?.into()])? {
                written.insert(one_text(row).ok_or_else(damaged)?);
            }
        }
        let new =
            |draft: &&Draft| draft.once.as_ref().is_none_or(|once| written.insert(once.clone()));
        Ok(drafts.iter().filter(new).collect())
    }

    /// The end of the chain.
    pub(super) fn audit_tip(&self) -> Result<Tip, Fault> {
        let last = "SELECT seq, line FROM audit ORDER BY seq DESC LIMIT 1";
        match self.store.rows(last, Vec::new())?.into_iter().next() {
            Some(row) => tip_of(row),
            None => Ok(Tip::default()),
        }
    }

    /// The latest time in the chain.
    fn audit_latest(&self) -> Result<u64, Fault> {
        let last = "SELECT latest FROM audit ORDER BY seq DESC LIMIT 1";
        match self.store.rows(last, Vec::new())?.into_iter().next() {
            Some(row) => one_count(row).ok_or_else(damaged),
            None => Ok(0),
        }
    }

    fn audit_page(&self, query: &AuditQuery) -> Result<String, Fault> {
        let AuditQuery { limit, before, key, actor, kind, from, to } = query;
        let mut conditions = "TRUE".to_owned();
        let mut values = Vec::new();
        for (condition, value) in [
            (" AND seq < ?", before.map(integer)),
            (" AND key = ?", key.as_deref().map(Into::into)),
            (" AND actor = ?", actor.as_deref().map(Into::into)),
            (" AND type = ?", kind.as_deref().map(Into::into)),
            (SINCE, from.map(instant)),
            (" AND at >= ?", from.map(instant)),
            (" AND at < ?", to.map(instant)),
        ] {
            if let Some(value) = value {
                conditions.push_str(condition);
                values.push(value);
            }
        }
        // One more than the page holds tells whether there is a next one.
        values.push(integer(limit.saturating_add(1)));
        let statement =
            format!("SELECT seq, line FROM audit WHERE {conditions} ORDER BY seq DESC LIMIT ?");
        let rows = self.store.rows(&statement, values)?;
        let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let mut lines = Vec::new();
        let mut next = None;
        for row in rows.into_iter().take(limit) {
            let (seq, line) = numbered(row)?;
            next = Some(seq).filter(|_| more);
            lines.push(line);
        }
        Reply::write(&Paged { next }, &lines).map_err(|error| told(&error))
    }

    fn audit_export(&self, after: u64, limit: u64) -> Result<String, Fault> {
        let last = self.audit_tip()?.seq;
        let after = self.audit_tip_at(after.min(last))?;
        let mut to = after.clone();
        let mut lines = Vec::new();
        let mut bytes = 0_usize;
        let end = after.seq.saturating_add(limit).min(last);
        let next = "SELECT seq, line FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?";
        while to.seq < end && bytes < MAX_EXPORT {
            let values = vec![integer(to.seq), integer(end), integer(READ)];
            let rows = self.store.rows(next, values)?;
            let (Some(row), was) = (rows.last(), to.seq) else { return Err(damaged()) };
            to = tip_of(row.clone())?;
            if to.seq <= was {
                return Err(damaged());
            }
            for row in rows {
                let (_, line) = numbered(row)?;
                bytes = bytes.saturating_add(line.len());
                lines.push(line);
            }
        }
        Reply::write(&Exported { after, to, last }, &lines).map_err(|error| told(&error))
    }

    /// The chain's end when this line was its last.
    fn audit_tip_at(&self, seq: u64) -> Result<Tip, Fault> {
        if seq == 0 {
            return Ok(Tip::default());
        }
        let one = "SELECT seq, line FROM audit WHERE seq = ?";
        let row = self.store.rows(one, vec![integer(seq)])?.into_iter().next();
        tip_of(row.ok_or_else(damaged)?)
    }
}

/// The number and the line of a row.
fn numbered(row: Row) -> Result<(u64, String), Fault> {
    match <[SqlStorageValue; 2]>::try_from(row) {
        Ok([SqlStorageValue::Integer(seq), SqlStorageValue::String(line)]) => {
            Ok((seq.try_into().map_err(|_| damaged())?, line))
        }
        _ => Err(damaged()),
    }
}

fn tip_of(row: Row) -> Result<Tip, Fault> {
    let (seq, line) = numbered(row)?;
    Tip::of(seq, &line).ok_or_else(damaged)
}

fn told(error: &serde_json::Error) -> Fault {
    Fault(error.to_string())
}
