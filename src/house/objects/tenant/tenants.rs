//! The tenant as operators own it, keys that are on their way to the registry, and what the object
//! over all tenants is to be told.

use tollgate_core::audit::Draft;
use tollgate_core::family::{FamilyReply, FamilyRequest};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{ALL_TENANTS, Entry, RegistryRequest};
use tollgate_core::road::Fault;
use tollgate_core::tenant::{
    Asked, Counted, Job, JobKind, JobSeed, Mandate, OVERDUE, OnTheWay, Takes, Target, Tenant,
    TenantQuery, TenantReply, TenantRequest,
};
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::JsValue;
use worker::SqlStorageValue;

use super::super::store::{Row, Upgrade, damaged, note_fault, one_count, one_text};
use super::TenantObject;
use super::registry::{instant, integer, json};
use crate::house::bindings;
use crate::platform::now;

/// `on_the_way`: keys that were announced and have not arrived in the registry in that version, by
/// the attempt to make them so; `adds` is 1 where there is one more live key by it. At `next_at`,
/// after so many `tries`, their families are asked. `notice`: what the object over all is told.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tenant (
        name TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS on_the_way (
        id TEXT NOT NULL, version INTEGER NOT NULL, attempt TEXT NOT NULL, adds INTEGER NOT NULL,
        at INTEGER NOT NULL, tries INTEGER NOT NULL, next_at INTEGER NOT NULL,
        PRIMARY KEY (id, version, attempt)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS on_the_way_order ON on_the_way (at);
    CREATE INDEX IF NOT EXISTS on_the_way_due ON on_the_way (next_at);
    CREATE TABLE IF NOT EXISTS notice (seq INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL)";

/// Of keys of an object from before there were tenants.
pub(super) const UPGRADE: Upgrade = Upgrade {
    when: "SELECT 1 FROM sqlite_master WHERE name = 'entry'
           AND NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'tenant')",
    then: "CREATE TABLE tenant (
               name TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL,
               record TEXT NOT NULL
           ) WITHOUT ROWID;
           INSERT INTO tenant SELECT tenant, 1, 'active',
               json_object('name', tenant, 'version', 1, 'created_at', min(created_at))
           FROM entry WHERE tenant <> '*' GROUP BY tenant",
};

/// How long a notice waits for its caller to have it delivered, before the alarm does.
const DELIVERY: Millis = Millis::secs(2);
/// Rows that are looked at in one turn of the alarm.
const BATCH: u64 = 40;
/// The longest pause before a family that did not answer is asked again.
const LONGEST_PAUSE: Millis = Millis::days(1);

/// One key that is announced.
struct Announcement {
    tenant: String,
    id: KeyId,
    version: u64,
    attempt: String,
    takes: Takes,
    asked: Asked,
}

/// One that should have arrived long ago.
struct Overdue {
    id: KeyId,
    version: u64,
    attempt: String,
    tries: u32,
}

impl TenantObject {
    pub(super) fn tenant(&self, request: TenantRequest, now: UnixMillis) -> Result<String, Fault> {
        let reply = match request {
            TenantRequest::Announce { tenant, id, version, attempt, takes, asked } => {
                self.announce(&Announcement { tenant, id, version, attempt, takes, asked }, now)?
            }
            TenantRequest::Withdraw { id, version, attempt } => {
                self.forget_coming(&id, version, &attempt)?;
                TenantReply::Done
            }
            TenantRequest::OnTheWay { until } => TenantReply::OnTheWay(self.on_the_way(until)?),
            TenantRequest::Read { name } => match self.read_tenant(&name)? {
                Some(tenant) => self.told(tenant, None, now)?,
                None => TenantReply::Unknown,
            },
            TenantRequest::Create { tenant, event } => self.create_tenant(*tenant, *event, now)?,
            TenantRequest::Update { tenant, job, event } => {
                self.update_tenant(*tenant, job, *event, now)?
            }
            TenantRequest::Copy { tenant, event } => {
                self.keep_tenant(&tenant)?;
                self.append(event.as_deref().map(core::slice::from_ref).unwrap_or_default(), now)?;
                TenantReply::Done
            }
            TenantRequest::List(query) => self.list_tenants(&query, now)?,
        };
        json(&reply)
    }

    fn announce(&self, key: &Announcement, now: UnixMillis) -> Result<TenantReply, Fault> {
        let Announcement { tenant: name, id, version, attempt, takes, asked } = key;
        let mut untold = false;
        if name != ALL_TENANTS {
            let known = self.read_tenant(name)?;
            let tenant = known.clone().unwrap_or_else(|| Tenant::unmade(name, now));
            if let Some(stop) = tenant.stops(asked, *takes, || self.taken(name, id, now))? {
                return Ok(TenantReply::Stopped(stop));
            }
            if known.is_none() {
                self.keep_tenant(&tenant)?;
                self.tell_of(&tenant, None, now)?;
            }
            untold = tenant.version == 1 && self.has_notices()?;
        }
        let adds = u64::from(*takes != Takes::Nothing);
        self.store.write(
            "INSERT INTO on_the_way VALUES (?, ?, ?, ?, ?, 0, ?) \
             ON CONFLICT (id, version, attempt) DO UPDATE SET \
             adds = max(adds, excluded.adds), at = excluded.at, next_at = excluded.next_at",
            vec![
                id.as_str().into(),
                integer(*version),
                attempt.as_str().into(),
                integer(adds),
                instant(now),
                instant(now.plus(OVERDUE)),
            ],
        )?;
        self.store.wake_at(now.plus(OVERDUE))?;
        Ok(TenantReply::Announced { untold })
    }

    /// Live keys, with those that are on their way. The key that is asked about is not counted, and
    /// one that has arrived without being told of yet only once.
    fn taken(&self, tenant: &str, but: &KeyId, now: UnixMillis) -> Result<u64, Fault> {
        let coming = self.store.rows(
            "SELECT count(DISTINCT id) FROM on_the_way WHERE adds = 1 AND id <> ? \
             AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.id = on_the_way.id \
             AND state <> 'revoked' AND expires_at > ?)",
            vec![but.as_str().into(), instant(now)],
        )?;
        let coming = coming.into_iter().next().and_then(one_count).unwrap_or(0);
        Ok(coming.saturating_add(self.live(tenant, now)?))
    }

    fn live(&self, tenant: &str, now: UnixMillis) -> Result<u64, Fault> {
        let live = self.store.rows(
            "SELECT count(*) FROM entry INDEXED BY entry_live \
             WHERE tenant = ? AND state IN ('active', 'disabled') AND expires_at > ?",
            vec![tenant.into(), instant(now)],
        )?;
        Ok(live.into_iter().next().and_then(one_count).unwrap_or(0))
    }

    fn with_counts(&self, tenant: Tenant, now: UnixMillis) -> Result<Counted, Fault> {
        let total = self.store.rows(
            "SELECT count(*) FROM entry INDEXED BY entry_live WHERE tenant = ?",
            vec![tenant.name.as_str().into()],
        )?;
        let total = total.into_iter().next().and_then(one_count).unwrap_or(0);
        Ok(Counted { live: self.live(&tenant.name, now)?, total, tenant })
    }

    fn told(
        &self,
        tenant: Tenant,
        job: Option<Job>,
        now: UnixMillis,
    ) -> Result<TenantReply, Fault> {
        let counted = Box::new(self.with_counts(tenant, now)?);
        Ok(TenantReply::Tenant { counted, job: job.map(Box::new) })
    }

    /// The registry has the key in this version: it is not on its way any more.
    pub(super) fn arrived(&self, id: &str, version: u64) -> Result<(), Fault> {
        self.store.write(
            "DELETE FROM on_the_way WHERE id = ? AND version <= ?",
            vec![id.into(), integer(version)],
        )
    }

    fn forget_coming(&self, id: &KeyId, version: u64, attempt: &str) -> Result<(), Fault> {
        self.store.write(
            "DELETE FROM on_the_way WHERE id = ? AND version = ? AND attempt = ?",
            vec![id.as_str().into(), integer(version), attempt.into()],
        )
    }

    /// A tenant comes to be with its first key, if nobody has made it.
    pub(super) fn born(&self, name: &str, at: UnixMillis) -> Result<(), Fault> {
        if name == ALL_TENANTS {
            return Ok(());
        }
        self.store.write(
            "INSERT OR IGNORE INTO tenant VALUES (?, 1, 'active', ?)",
            vec![name.into(), json(&Tenant::unmade(name, at))?.into()],
        )
    }

    /// Changes that were announced up to this instant and have not arrived, the oldest first.
    pub(super) fn on_the_way(&self, until: UnixMillis) -> Result<Vec<OnTheWay>, Fault> {
        let rows = self.store.rows(
            "SELECT id, version, at FROM on_the_way WHERE at <= ? ORDER BY at",
            vec![instant(until)],
        )?;
        rows.into_iter().map(|row| on_its_way(row).ok_or_else(damaged)).collect()
    }

    fn read_tenant(&self, name: &str) -> Result<Option<Tenant>, Fault> {
        let query = "SELECT record FROM tenant WHERE name = ?";
        let rows = self.store.rows(query, vec![name.into()])?;
        rows.into_iter().next().map(tenant).transpose()
    }

    /// Of two copies of one tenant the one with the higher version stays.
    fn keep_tenant(&self, tenant: &Tenant) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO tenant VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET \
             version = excluded.version, state = excluded.state, record = excluded.record \
             WHERE excluded.version >= tenant.version",
            vec![
                tenant.name.as_str().into(),
                integer(tenant.version),
                tenant.state.as_str().into(),
                json(tenant)?.into(),
            ],
        )
    }

    fn create_tenant(
        &self,
        tenant: Tenant,
        event: Draft,
        now: UnixMillis,
    ) -> Result<TenantReply, Fault> {
        if self.read_tenant(&tenant.name)?.is_some() {
            return Ok(TenantReply::Exists);
        }
        let tenant = Tenant { version: 1, created_at: now, ..tenant };
        let fields = Tenant::unmade(&tenant.name, now).differences(&tenant);
        self.changed(&tenant, &fields, event, now)?;
        self.told(tenant, None, now)
    }

    fn update_tenant(
        &self,
        tenant: Tenant,
        job: JobSeed,
        event: Draft,
        now: UnixMillis,
    ) -> Result<TenantReply, Fault> {
        let Some(old) = self.read_tenant(&tenant.name)? else { return Ok(TenantReply::Unknown) };
        if old.version != tenant.version {
            return Ok(TenantReply::VersionConflict { current: old.version });
        }
        let fields = old.differences(&tenant);
        if fields.is_empty() {
            return self.told(old, None, now);
        }
        let tenant = Tenant { version: old.version.saturating_add(1), ..tenant };
        // Before anything of the tenant is changed: no tenant is switched without its keys.
        let job = if old.state == tenant.state {
            None
        } else {
            let target = Target { tenant: Some(tenant.name.clone()), ..Target::default() };
            let kind = JobKind::switching_to(tenant.state);
            let job = Job::new(job, kind, target, Mandate::everything(), now);
            Some(self.start(Job { turn: tenant.version, ..job }, event.clone(), now)?)
        };
        self.changed(&tenant, &fields, event, now)?;
        self.told(tenant, job, now)
    }

    /// Stores the tenant, and tells everybody.
    fn changed(
        &self,
        tenant: &Tenant,
        fields: &[&str],
        event: Draft,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let event = Draft {
            at: now,
            tenant: tenant.name.clone(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            once: Some(format!("{}/{}/{}", event.kind, tenant.name, tenant.version)),
            ..event
        };
        self.keep_tenant(tenant)?;
        self.append(core::slice::from_ref(&event), now)?;
        self.tell_of(tenant, Some(event), now)
    }

    fn tell_of(&self, tenant: &Tenant, event: Option<Draft>, now: UnixMillis) -> Result<(), Fault> {
        let (tenant, event) = (Box::new(tenant.clone()), event.map(Box::new));
        self.tell(&RegistryRequest::Tenant(TenantRequest::Copy { tenant, event }), now)
    }

    /// Has the object over all tenants be told this, whatever happens to this one.
    pub(super) fn tell(&self, notice: &RegistryRequest, now: UnixMillis) -> Result<(), Fault> {
        self.store.write("INSERT INTO notice (message) VALUES (?)", vec![json(notice)?.into()])?;
        self.store.wake_at(now.plus(DELIVERY))
    }

    pub(super) fn has_notices(&self) -> Result<bool, Fault> {
        Ok(!self.store.rows("SELECT 1 FROM notice LIMIT 1", Vec::new())?.is_empty())
    }

    /// Tells the object over all tenants what it is to be told, in order.
    pub(super) async fn tell_all(&self) -> Result<(), Fault> {
        loop {
            let first = "SELECT seq, message FROM notice ORDER BY seq LIMIT 1";
            let Some(row) = self.store.rows(first, Vec::new())?.into_iter().next() else {
                return Ok(());
            };
            let Ok([SqlStorageValue::Integer(seq), SqlStorageValue::String(message)]) =
                <[_; 2]>::try_from(row)
            else {
                return Err(damaged());
            };
            bindings::call_object(&self.env, bindings::TENANT, ALL_TENANTS, &message).await?;
            let told = vec![SqlStorageValue::Integer(seq)];
            self.store.write("DELETE FROM notice WHERE seq = ?", told)?;
        }
    }

    fn list_tenants(&self, query: &TenantQuery, now: UnixMillis) -> Result<TenantReply, Fault> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let state = query.state.map(|state| state.as_str().to_owned());
        let rows = self.store.rows(
            "SELECT record FROM tenant WHERE name > ?1 AND (?2 IS NULL OR state = ?2) \
             ORDER BY name LIMIT ?3",
            vec![
                query.after.clone().unwrap_or_default().into(),
                state.into(),
                integer(query.limit.saturating_add(1)),
            ],
        )?;
        let more = rows.len() > limit;
        let shown = rows.into_iter().take(limit);
        let tenants = shown.map(|row| self.with_counts(tenant(row)?, now));
        Ok(TenantReply::Page { tenants: tenants.collect::<Result<_, _>>()?, more })
    }

    /// The names of tenants after this one, in order.
    pub(super) fn tenants_after(&self, name: &str, most: u32) -> Result<Vec<String>, Fault> {
        let rows = self.store.rows(
            "SELECT name FROM tenant WHERE name > ? ORDER BY name LIMIT ?",
            vec![name.into(), integer(most.into())],
        )?;
        rows.into_iter().map(|row| one_text(row).ok_or_else(damaged)).collect()
    }

    /// Tells what is to be told, and asks about announced changes that should have arrived long
    /// ago: their families' objects know what came of them.
    pub(super) async fn tend_tenants(&self) -> Result<Option<UnixMillis>, Fault> {
        // Whether the object over all can be reached is nothing to the families.
        let told = self.tell_all().await;
        for key in self.overdue(now(), BATCH)? {
            let asked = match self.record_of(&key.id).await {
                Ok(Some(record)) => self.take_over(&record, now()),
                Ok(None) => Ok(()),
                Err(fault) => Err(fault),
            };
            match asked {
                // One that is not so by now will not be: its call ended minutes ago.
                Ok(()) => self.forget_coming(&key.id, key.version, &key.attempt)?,
                Err(fault) => {
                    note_fault(key.id.as_str(), &fault);
                    self.ask_later(&key, now())?;
                }
            }
        }
        told?;
        let next = "SELECT next_at FROM on_the_way ORDER BY next_at LIMIT 1";
        let next = self.store.rows(next, Vec::new())?.into_iter().next().and_then(one_count);
        Ok(next.map(UnixMillis::from_millis))
    }

    pub(super) fn has_overdue(&self, now: UnixMillis) -> Result<bool, Fault> {
        Ok(!self.overdue(now, 1)?.is_empty())
    }

    /// Changes whose families are to be asked what came of them.
    fn overdue(&self, now: UnixMillis, most: u64) -> Result<Vec<Overdue>, Fault> {
        let rows = self.store.rows(
            "SELECT id, version, attempt, tries FROM on_the_way WHERE next_at <= ? \
             ORDER BY next_at LIMIT ?",
            vec![instant(now), integer(most)],
        )?;
        rows.into_iter().map(|row| overdue(row).ok_or_else(damaged)).collect()
    }

    /// Its family did not answer: others have their turn, and it once more after a pause that
    /// doubles each time.
    fn ask_later(&self, key: &Overdue, now: UnixMillis) -> Result<(), Fault> {
        let pause = OVERDUE.as_millis().saturating_mul(1 << key.tries.min(16));
        let pause = Millis::millis(pause).min(LONGEST_PAUSE);
        self.store.write(
            "UPDATE on_the_way SET tries = tries + 1, next_at = ? \
             WHERE id = ? AND version = ? AND attempt = ?",
            vec![
                instant(now.plus(pause)),
                key.id.as_str().into(),
                integer(key.version),
                key.attempt.as_str().into(),
            ],
        )
    }

    /// A key as its family's object knows it.
    pub(super) async fn record_of(&self, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
        let read = FamilyRequest::Read { id: id.clone() };
        match ask_family(&self.env, id, &read).await? {
            FamilyReply::Record { record } => Ok(Some(*record)),
            FamilyReply::Unknown => Ok(None),
            other => Err(Fault(format!("a record was read, and {other:?} came back"))),
        }
    }

    /// What a family's object has said of its key, before its outbox does.
    pub(super) fn take_over(&self, record: &KeyRecord, now: UnixMillis) -> Result<(), Fault> {
        let entry = Entry::try_from(record).map_err(|error| Fault(error.to_string()))?;
        self.apply(entry, now)
    }
}

/// Asks the object that `id` names, or the one that it says is the family's.
pub(super) async fn ask_family(
    env: &JsValue,
    id: &KeyId,
    request: &FamilyRequest,
) -> Result<FamilyReply, Fault> {
    let message = json(request)?;
    let mut object = id.clone();
    for _ in 0..2 {
        let reply = bindings::call_object(env, bindings::KEY, object.as_str(), &message).await?;
        match serde_json::from_str(&reply).map_err(|error| Fault(error.to_string()))? {
            FamilyReply::Moved { family } => object = family,
            reply => return Ok(reply),
        }
    }
    Err(Fault(format!("the family of {id} is nowhere")))
}

fn tenant(row: Row) -> Result<Tenant, Fault> {
    let text = one_text(row).ok_or_else(damaged)?;
    serde_json::from_str(&text).map_err(|error| Fault(error.to_string()))
}

fn on_its_way(row: Row) -> Option<OnTheWay> {
    use SqlStorageValue::{Integer, String};
    let Ok([String(id), Integer(version), Integer(at)]) = <[_; 3]>::try_from(row) else {
        return None;
    };
    Some(OnTheWay {
        id: KeyId::parse(&id).ok()?,
        version: version.try_into().ok()?,
        at: UnixMillis::from_millis(at.try_into().ok()?),
    })
}

fn overdue(row: Row) -> Option<Overdue> {
    use SqlStorageValue::{Integer, String};
    let Ok([String(id), Integer(version), String(attempt), Integer(tries)]) =
        <[_; 4]>::try_from(row)
    else {
        return None;
    };
    let (version, tries) = (version.try_into().ok()?, tries.try_into().ok()?);
    Some(Overdue { id: KeyId::parse(&id).ok()?, version, attempt, tries })
}
