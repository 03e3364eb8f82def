//! The registry of one tenant's keys, or of all: for lists, filters and the index of origins. It
//! follows from the families' outboxes and may be behind them; it decides nothing.

use serde::Serialize;
use tollgate_core::key::{KeyId, KeyKind, KeyState};
use tollgate_core::manage::{
    Cursor, Entry, Found, ListQuery, ListedState, Origins, Page, RegistryRequest, Store as Counts,
};
use tollgate_core::origin::{OriginPattern, SingleLabels};
use tollgate_core::road::Fault;
use tollgate_core::road::origin::ORIGINS_MESSAGE;
use tollgate_core::time::UnixMillis;
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, SqlStorageValue, State, durable_object};

use super::store::{Row, Store, damaged, one_count, one_text, refuse};
use crate::gate::now;

/// `view` is what is shown of the key; the other columns are what is looked for in it.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        id TEXT PRIMARY KEY, family TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        owner TEXT, tags TEXT NOT NULL, origins TEXT NOT NULL, any_origin INTEGER NOT NULL,
        state TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        version INTEGER NOT NULL, pepper INTEGER NOT NULL, view TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_order ON entry (created_at DESC, id DESC);
    CREATE INDEX IF NOT EXISTS entry_tenant ON entry (tenant, created_at DESC, id DESC);
    CREATE INDEX IF NOT EXISTS entry_kind ON entry (kind, state, expires_at);";

/// An older version of a key does not replace a newer one, so each event may come twice and late.
const APPLY: &str = "
    INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        family = excluded.family, tenant = excluded.tenant, kind = excluded.kind,
        owner = excluded.owner, tags = excluded.tags, origins = excluded.origins,
        any_origin = excluded.any_origin, state = excluded.state,
        created_at = excluded.created_at, expires_at = excluded.expires_at,
        version = excluded.version, pepper = excluded.pepper, view = excluded.view
    WHERE excluded.version > entry.version";

/// The keys of one tenant, or of all.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct TenantObject {
    store: Store,
}

impl DurableObject for TenantObject {
    fn new(state: State, _: Env) -> Self {
        Self { store: Store::new(state, SCHEMA) }
    }

    async fn fetch(&self, _: Request) -> worker::Result<Response> {
        Response::error("objects are called by their methods", 404)
    }
}

#[wasm_bindgen]
impl TenantObject {
    /// Answers a [`RegistryRequest`], both as JSON.
    ///
    /// # Errors
    /// When the request makes no sense, or storage fails.
    pub fn call(&self, message: &str) -> Result<String, JsValue> {
        self.answer(message).map_err(|fault| refuse("tenant", &fault))
    }
}

impl TenantObject {
    fn answer(&self, message: &str) -> Result<String, Fault> {
        let now = now();
        if message == ORIGINS_MESSAGE {
            return json(&self.origins(now)?);
        }
        match serde_json::from_str(message).map_err(|error| Fault(error.to_string()))? {
            RegistryRequest::Apply(entries) => {
                entries.into_iter().try_for_each(|entry| self.apply(entry))?;
                Ok("{}".to_owned())
            }
            RegistryRequest::List(query) => self.list(&query, now),
            RegistryRequest::Counts { pepper } => json(&self.counts(pepper, now)?),
        }
    }

    fn apply(&self, entry: Entry) -> Result<(), Fault> {
        let values = vec![
            entry.id.into(),
            entry.family.into(),
            entry.tenant.into(),
            entry.kind.as_str().into(),
            entry.owner.into(),
            entry.tags.into(),
            entry.origins.into(),
            integer(u64::from(entry.allow_any_origin)),
            state_name(entry.state).into(),
            instant(entry.created_at),
            instant(entry.expires_at),
            integer(entry.version),
            integer(u64::from(entry.pepper)),
            entry.view.into(),
        ];
        self.store.write(APPLY, values)
    }

    fn list(&self, query: &ListQuery, now: UnixMillis) -> Result<String, Fault> {
        let mut filter = Filter::default();
        if let Some(cursor) = &query.cursor {
            let values = [instant(cursor.created_at), cursor.id.as_str().into()];
            filter.and("(created_at, id) < (?, ?)", values);
        }
        if let Some(tenant) = &query.tenant {
            filter.and("tenant = ?", [tenant.as_str().into()]);
        }
        if let Some(owner) = &query.owner {
            filter.and("owner = ?", [owner.as_str().into()]);
        }
        if let Some(kind) = query.kind {
            filter.and("kind = ?", [kind.as_str().into()]);
        }
        if let Some(tag) = &query.tag {
            let held = "EXISTS (SELECT 1 FROM json_each(entry.tags) AS tag WHERE tag.value = ?)";
            filter.and(held, [tag.as_str().into()]);
        }
        // As `KeyView::state_at` tells it.
        match query.state {
            Some(ListedState::Revoked) => filter.and("state = 'revoked'", []),
            Some(ListedState::Expired) => {
                filter.and("state <> 'revoked' AND expires_at <= ?", [instant(now)]);
            }
            Some(ListedState::Disabled) => {
                filter.and("state = 'disabled' AND expires_at > ?", [instant(now)]);
            }
            Some(ListedState::Active) => {
                filter.and("state = 'active' AND expires_at > ?", [instant(now)]);
            }
            None => {}
        }
        let Filter { conditions, mut values } = filter;
        values.push(integer(Page::wanted(query)));
        let statement = format!(
            "SELECT created_at, id, view FROM entry WHERE {conditions} \
             ORDER BY created_at DESC, id DESC LIMIT ?"
        );
        let rows = self.store.rows(&statement, values)?;
        let found = rows.into_iter().map(|row| found(row).ok_or_else(damaged));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Page::write(&found, query).map_err(|error| Fault(error.to_string()))
    }

    fn origins(&self, now: UnixMillis) -> Result<Origins, Fault> {
        let live = "kind = 'pk' AND state = 'active' AND expires_at > ?";
        let statement = format!(
            "SELECT DISTINCT origin.value FROM entry, json_each(entry.origins) AS origin WHERE {live}"
        );
        let rows = self.store.rows(&statement, vec![instant(now)])?;
        let patterns = rows.into_iter().filter_map(one_text);
        // One that this version does not understand lets nobody in.
        let origins =
            patterns.filter_map(|text| OriginPattern::parse(&text, &SingleLabels).ok()).collect();
        let statement = format!("SELECT 1 FROM entry WHERE {live} AND any_origin = 1 LIMIT 1");
        let any = !self.store.rows(&statement, vec![instant(now)])?.is_empty();
        Ok(Origins { origins, any })
    }

    fn counts(&self, pepper: u32, now: UnixMillis) -> Result<Counts, Fault> {
        let count = |condition: &str, value: SqlStorageValue| {
            let statement = format!(
                "SELECT count(*) FROM entry \
                 WHERE state <> 'revoked' AND expires_at > ? AND {condition}"
            );
            let rows = self.store.rows(&statement, vec![instant(now), value])?;
            Ok(rows.into_iter().next().and_then(one_count).unwrap_or(0))
        };
        Ok(Counts {
            admin_keys: count("kind = ?", KeyKind::Ak.as_str().into())?,
            on_old_peppers: count("pepper < ?", integer(u64::from(pepper)))?,
        })
    }
}

/// Conditions that all have to hold, and the values in them.
struct Filter {
    conditions: String,
    values: Vec<SqlStorageValue>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { conditions: "TRUE".to_owned(), values: Vec::new() }
    }
}

impl Filter {
    /// `condition` is a text of this file, never one of a caller.
    fn and<const N: usize>(&mut self, condition: &'static str, values: [SqlStorageValue; N]) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.values.extend(values);
    }
}

fn found(row: Row) -> Option<Found> {
    use SqlStorageValue::{Integer, String};
    let Ok([Integer(created_at), String(id), String(view)]) = <[_; 3]>::try_from(row) else {
        return None;
    };
    let created_at = UnixMillis::from_millis(created_at.try_into().ok()?);
    Some(Found { at: Cursor { created_at, id: KeyId::parse(&id).ok()? }, view })
}

const fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Disabled => "disabled",
        KeyState::Revoked => "revoked",
    }
}

fn instant(at: UnixMillis) -> SqlStorageValue {
    integer(at.as_millis())
}

/// Beyond what JavaScript's numbers hold, the largest that they do.
fn integer(number: u64) -> SqlStorageValue {
    const MAX_SAFE: i64 = (1 << 53) - 1;
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(MAX_SAFE).min(MAX_SAFE))
}

fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault(error.to_string()))
}
