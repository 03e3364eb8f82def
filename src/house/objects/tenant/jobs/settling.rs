//! What a job finds besides its list: changes that are on their way, and jobs whose place it takes.

use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{ALL_TENANTS, RegistryRequest};
use tollgate_core::road::Fault;
use tollgate_core::tenant::{Job, OnTheWay, TenantReply, TenantRequest};
use tollgate_core::time::UnixMillis;

use super::super::super::store::note_fault;
use super::super::TenantObject;
use super::super::registry::{instant, json};
use crate::house::bindings;
use crate::platform::now;

/// Keepers that are asked in one step what is on its way to them.
const KEEPERS: u32 = 20;

impl TenantObject {
    /// Ends jobs whose place another one has taken, and has that one see to the keys that they may
    /// have a change under way to.
    pub(super) fn supersede(&self, running: &[Job]) -> Result<(), Fault> {
        let now = now();
        for old in running {
            let later = running.iter().filter(|job| old.gives_way_to(job));
            let Some(by) = later.max_by_key(|job| (job.turn, &job.id)) else { continue };
            // It may have taken another one's place a moment ago.
            let Some(mut by) = self.read_job(&by.id)? else { continue };
            let mut old = old.clone();
            self.store.write(
                "INSERT INTO job_key SELECT ?, id, 'pending', 0, 0, ? FROM job_key \
                 WHERE job = ? AND state = 'pending' AND (tries > 0 OR until > ?) \
                 ON CONFLICT (job, id) DO UPDATE SET state = 'pending', next_at = 0, \
                 until = excluded.until",
                vec![
                    by.id.as_str().into(),
                    instant(Job::in_flight_until(now)),
                    old.id.as_str().into(),
                    instant(now),
                ],
            )?;
            self.relisted(&mut by)?;
            self.stored(&mut by, None, now)?;
            old.superseded(&by, self.count(&old, "pending")?, now);
            self.ended(&mut old, now)?;
        }
        Ok(())
    }

    /// Asks about changes that were announced before the job began and have not arrived: here, and
    /// for a job over all tenants in the object of each. What does not answer is asked again, and
    /// keeps the job from its end, but not from the rest.
    pub(super) async fn settle(&self, job: &mut Job, after: Option<&str>) -> Result<(), Fault> {
        let (mut coming, mut last, mut open) = (Vec::new(), None, false);
        if after.is_none() {
            coming.extend(self.on_the_way(job.started_at)?);
            self.store.write(
                "UPDATE job_key SET tries = 0, next_at = 0 WHERE job = ? AND state = 'coming'",
                vec![job.id.as_str().into()],
            )?;
        }
        if job.target.keeper() == ALL_TENANTS && job.target.tenant.is_none() {
            let keepers = self.tenants_after(after.unwrap_or_default(), KEEPERS)?;
            for keeper in &keepers {
                match self.on_the_way_to(keeper, job.started_at).await {
                    Ok(more) => coming.extend(more),
                    Err(fault) => {
                        note_fault(keeper, &fault);
                        open = true;
                    }
                }
            }
            last = keepers.into_iter().last();
        }
        for OnTheWay { id, version, at } in coming {
            let arrived = match self.record_of(&id).await {
                Ok(Some(record)) if record.version >= version => self.arrived_for(job, &record),
                // Its family has not been asked yet, or never will be.
                Ok(_) => {
                    open |= Job::may_still_come(at, now());
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = arrived {
                note_fault(id.as_str(), &fault);
                self.unheard_of(job, &id)?;
                open = true;
            }
        }
        self.list_keys(job, job.started_at)?;
        job.settled(last, open, now());
        self.relisted(job)?;
        job.tally.failed = self.failed(job)?;
        self.stored(job, None, now())
    }

    /// What was on its way to the registry when the job began is there.
    fn arrived_for(&self, job: &Job, record: &KeyRecord) -> Result<(), Fault> {
        self.store.write(
            "INSERT OR IGNORE INTO job_key VALUES (?, ?, 'coming', 0, 0, 0)",
            vec![job.id.as_str().into(), record.id.as_str().into()],
        )?;
        self.take_over(record, now())
    }

    /// Its family does not say whether it is there. Nor is it known whether the job is about it: it
    /// counts as failed, and is not changed.
    fn unheard_of(&self, job: &Job, id: &KeyId) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO job_key VALUES (?, ?, 'coming', 1, ?, 0) ON CONFLICT (job, id) \
             DO UPDATE SET tries = 1, next_at = excluded.next_at WHERE state = 'coming'",
            vec![job.id.as_str().into(), id.as_str().into(), instant(now())],
        )
    }

    async fn on_the_way_to(&self, keeper: &str, until: UnixMillis) -> Result<Vec<OnTheWay>, Fault> {
        let ask = RegistryRequest::Tenant(TenantRequest::OnTheWay { until });
        let reply =
            bindings::call_object(&self.env, bindings::TENANT, keeper, &json(&ask)?).await?;
        match serde_json::from_str(&reply).map_err(|error| Fault(error.to_string()))? {
            TenantReply::OnTheWay(coming) => Ok(coming),
            other => Err(Fault(format!("what is on the way was asked, and {other:?} came back"))),
        }
    }
}
