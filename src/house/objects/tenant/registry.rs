//! The registry of a tenant's keys: for lists, filters and the index of origins. It follows from the
//! families' outboxes and may be behind them; it decides nothing.

use serde::Serialize;
use tollgate_core::key::{KeyId, KeyKind, KeyState};
use tollgate_core::manage::{
    Cursor, Entry, Found, ListQuery, ListedState, Origins, Page, Store as Counts,
};
use tollgate_core::origin::{OriginPattern, SingleLabels};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use worker::SqlStorageValue;

use super::super::store::{Row, Upgrade, damaged, one_count, one_text};
use super::TenantObject;

/// `view` is what is shown of the key; the other columns are what is looked for in it. The two
/// indexes for pages hold all that a list can be narrowed to, in the order of the list, so that the
/// keys of a page are found without reading any other; `entry_live` is for counting.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        id TEXT PRIMARY KEY, family TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        owner TEXT, tags TEXT NOT NULL, origins TEXT NOT NULL, any_origin INTEGER NOT NULL,
        state TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        version INTEGER NOT NULL, pepper INTEGER NOT NULL, view TEXT NOT NULL,
        last_used_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_page ON entry
        (created_at DESC, id DESC, kind, state, owner, expires_at, last_used_at);
    CREATE INDEX IF NOT EXISTS entry_tenant_page ON entry
        (tenant, created_at DESC, id DESC, kind, state, owner, expires_at, last_used_at);
    CREATE INDEX IF NOT EXISTS entry_owner ON entry (owner, created_at DESC, id DESC);
    CREATE INDEX IF NOT EXISTS entry_live ON entry (tenant, state, expires_at);
    CREATE INDEX IF NOT EXISTS entry_kind ON entry (kind, state, expires_at);
    CREATE INDEX IF NOT EXISTS entry_family ON entry (family);
    CREATE TABLE IF NOT EXISTS tag (
        tag TEXT NOT NULL, created_at INTEGER NOT NULL, id TEXT NOT NULL,
        PRIMARY KEY (tag, created_at DESC, id DESC)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS tag_of ON tag (id);";

/// From the tables of the first version.
pub(super) const UPGRADES: &[Upgrade] = &[
    Upgrade {
        when: "SELECT 1 FROM sqlite_master WHERE name = 'entry' AND sql NOT LIKE '%last_used_at%'",
        then: "ALTER TABLE entry ADD COLUMN last_used_at INTEGER;
               DROP INDEX IF EXISTS entry_order; DROP INDEX IF EXISTS entry_tenant",
    },
    Upgrade {
        when: "SELECT 1 FROM sqlite_master WHERE name = 'entry'
               AND NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'tag')",
        then: "CREATE TABLE tag (
                   tag TEXT NOT NULL, created_at INTEGER NOT NULL, id TEXT NOT NULL,
                   PRIMARY KEY (tag, created_at DESC, id DESC)
               ) WITHOUT ROWID;
               INSERT OR IGNORE INTO tag SELECT tag.value, entry.created_at, entry.id
               FROM entry, json_each(entry.tags) AS tag",
    },
    super::tenants::UPGRADE,
];

/// The tags of a key that has none.
const NO_TAGS: &str = "[]";

/// An older version of a key does not replace a newer one, so each event may come twice and late. Of
/// a key that is new here its use may have been told before.
const APPLY: &str = "
    INSERT INTO entry (
        id, family, tenant, kind, owner, tags, origins, any_origin, state,
        created_at, expires_at, version, pepper, view, last_used_at
    ) VALUES (
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
        (SELECT last_at FROM usage_key WHERE name = ?1)
    )
    ON CONFLICT (id) DO UPDATE SET
        family = excluded.family, tenant = excluded.tenant, kind = excluded.kind,
        owner = excluded.owner, tags = excluded.tags, origins = excluded.origins,
        any_origin = excluded.any_origin, state = excluded.state,
        created_at = excluded.created_at, expires_at = excluded.expires_at,
        version = excluded.version, pepper = excluded.pepper, view = excluded.view
    WHERE excluded.version > entry.version";

impl TenantObject {
    /// Takes a key as it is now, unless a newer version of it is here.
    pub(super) fn apply(&self, entry: Entry, now: UnixMillis) -> Result<(), Fault> {
        let id: SqlStorageValue = entry.id.clone().into();
        let known = self.store.rows("SELECT version FROM entry WHERE id = ?", vec![id.clone()])?;
        let known = known.into_iter().next().map(|row| one_count(row).ok_or_else(damaged));
        let known = known.transpose()?;
        if known.is_some_and(|known| known >= entry.version) {
            return Ok(());
        }
        if known.is_none() {
            self.born(&entry.tenant, entry.created_at.min(now))?;
        }
        let created_at = instant(entry.created_at);
        let tags = entry.tags.clone();
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
            created_at.clone(),
            instant(entry.expires_at),
            integer(entry.version),
            integer(u64::from(entry.pepper)),
            entry.view.into(),
        ];
        self.store.write(APPLY, values)?;
        if known.is_some() {
            self.store.write("DELETE FROM tag WHERE id = ?", vec![id.clone()])?;
        }
        if tags == NO_TAGS {
            return Ok(());
        }
        let tagged = "INSERT OR IGNORE INTO tag SELECT value, ?, ? FROM json_each(?)";
        self.store.write(tagged, vec![created_at, id, tags.into()])
    }

    /// The key was used. May come late and in any order. False for one that is not here.
    pub(super) fn used(&self, key: &str, at: UnixMillis) -> Result<bool, Fault> {
        self.store.write(
            "UPDATE entry SET last_used_at = ?1 \
             WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1",
            vec![instant(at), key.into()],
        )?;
        let known = "SELECT 1 FROM entry WHERE id = ?";
        Ok(!self.store.rows(known, vec![key.into()])?.is_empty())
    }

    pub(super) fn list(&self, query: &ListQuery, now: UnixMillis) -> Result<String, Fault> {
        let mut filter = Filter::default();
        // Whatever a list is narrowed by comes out of one index, in the order of the list.
        let from = if let Some(tag) = &query.tag {
            filter.and("tag.tag = ?", [tag.as_str().into()]);
            "tag CROSS JOIN entry ON entry.id = tag.id"
        } else if query.tenant.is_some() {
            "entry INDEXED BY entry_tenant_page"
        } else if query.owner.is_some() {
            "entry INDEXED BY entry_owner"
        } else {
            "entry INDEXED BY entry_page"
        };
        let ordered = if query.tag.is_some() { "tag" } else { "entry" };
        if let Some(cursor) = &query.cursor {
            let values = [instant(cursor.created_at), cursor.id.as_str().into()];
            match ordered {
                "tag" => filter.and("(tag.created_at, tag.id) < (?, ?)", values),
                _ => filter.and("(entry.created_at, entry.id) < (?, ?)", values),
            }
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
        if let Some(since) = query.unused_since {
            // One that was never used counts from its making.
            filter.and("coalesce(last_used_at, entry.created_at) < ?", [instant(since)]);
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
            "SELECT created_at, id, view, last_used_at FROM entry WHERE id IN (\
                 SELECT entry.id FROM {from} WHERE {conditions} \
                 ORDER BY {ordered}.created_at DESC, {ordered}.id DESC LIMIT ?\
             ) ORDER BY created_at DESC, id DESC"
        );
        let rows = self.store.rows(&statement, values)?;
        let found = rows.into_iter().map(|row| found(row).ok_or_else(damaged));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Page::write(&found, query).map_err(|error| Fault(error.to_string()))
    }

    pub(super) fn origins(&self, now: UnixMillis) -> Result<Origins, Fault> {
        let live = "kind = 'pk' AND state = 'active' AND expires_at > ? \
                    AND json_extract(view, '$.suspended') IS NULL";
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

    pub(super) fn counts(&self, pepper: u32, now: UnixMillis) -> Result<Counts, Fault> {
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
pub(super) struct Filter {
    pub(super) conditions: String,
    pub(super) values: Vec<SqlStorageValue>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { conditions: "TRUE".to_owned(), values: Vec::new() }
    }
}

impl Filter {
    /// `condition` is a text of this file, never one of a caller.
    pub(super) fn and<const N: usize>(
        &mut self,
        condition: &'static str,
        values: [SqlStorageValue; N],
    ) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.values.extend(values);
    }
}

fn found(row: Row) -> Option<Found> {
    use SqlStorageValue::{Integer, String};
    let Ok([Integer(created_at), String(id), String(view), used]) = <[_; 4]>::try_from(row) else {
        return None;
    };
    let at = |millis: i64| Some(UnixMillis::from_millis(millis.try_into().ok()?));
    let last_used_at = match used {
        Integer(used) => Some(at(used)?),
        _ => None,
    };
    let at = Cursor { created_at: at(created_at)?, id: KeyId::parse(&id).ok()? };
    Some(Found { at, view, last_used_at })
}

const fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Disabled => "disabled",
        KeyState::Revoked => "revoked",
    }
}

pub(super) fn instant(at: UnixMillis) -> SqlStorageValue {
    integer(at.as_millis())
}

/// Beyond what JavaScript's numbers hold, the largest that they do.
pub(super) fn integer(number: u64) -> SqlStorageValue {
    const MAX_SAFE: i64 = (1 << 53) - 1;
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(MAX_SAFE).min(MAX_SAFE))
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault(error.to_string()))
}
