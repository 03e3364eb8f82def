//! Jobs over many keys: the list of each, and its steps, which the alarm takes one after the other.
//! What a job does next is [`Job::next`]'s to say.

mod settling;

use core::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Promise};
use tollgate_core::audit::Draft;
use tollgate_core::family::{FamilyReply, FamilyRequest};
use tollgate_core::key::{KeyId, KeyRecord};
use tollgate_core::manage::{ALL_TENANTS, RegistryRequest};
use tollgate_core::road::Fault;
use tollgate_core::tenant::{
    Job, JobPage, JobQuery, JobReply, JobRequest, JobState, Listed, Mandate, STEP, Step, Target,
    pause,
};
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::SqlStorageValue;

use super::super::store::{Row, damaged, note_fault, one_count, one_text, refuse};
use super::TenantObject;
use super::registry::{Filter, instant, integer, json};
use super::tenants::ask_family;
use crate::house::bindings;
use crate::platform::now;

/// `here`: 0 for what another object does, whose job this is a copy of. A key of a list is
/// `pending`, `done` or `skipped`, or `coming` while it is not known whether the job is about it;
/// one that failed has the time of its next try. `tries` are counted before the family is asked, so
/// that it is known where a change may be under way; one that another job has under way may be made
/// up to `until`, and the key is changed once more after that.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS job (
        id TEXT PRIMARY KEY, here INTEGER NOT NULL, tenant TEXT NOT NULL, state TEXT NOT NULL,
        revision INTEGER NOT NULL, ends INTEGER, record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS job_state ON job (state, here, id);
    CREATE TABLE IF NOT EXISTS job_key (
        job TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
        next_at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (job, id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS job_key_due ON job_key (job, state, next_at)";

/// Keys that a dry run names.
const SHOWN: u64 = 100;
/// When a step that could not be taken is tried again.
const AGAIN: Millis = Millis::secs(5);

/// A key of a list that is due.
struct Due {
    id: KeyId,
    tries: u32,
    until: UnixMillis,
}

/// A key, and what its family said.
type Said = (Due, Result<FamilyReply, Fault>);

impl TenantObject {
    pub(super) fn job(&self, request: JobRequest, now: UnixMillis) -> Result<String, Fault> {
        let reply = match request {
            JobRequest::Start { job, event } => {
                let job = match self.read_job(&job.id)? {
                    Some(known) => known,
                    None => self.start(Job { started_at: now, ..*job }, *event, now)?,
                };
                JobReply::Job(Box::new(job))
            }
            JobRequest::Rehearse { target, mandate } => self.rehearse(&target, &mandate)?,
            JobRequest::Read { id } => match self.read_job(&id)? {
                Some(job) => {
                    // Whoever looks at a job that should go on sets it going, if nothing else does.
                    let rests = !self.store.has_alarm() && !self.stepping.get();
                    if rests && job.state() == JobState::Running {
                        self.store.wake_at(now)?;
                    }
                    JobReply::Job(Box::new(job))
                }
                None => JobReply::Unknown,
            },
            JobRequest::List(query) => JobReply::Page(self.list_jobs(&query)?),
            JobRequest::Copy { job, event } => {
                self.keep_job(&job, false)?;
                self.append(event.as_deref().map(core::slice::from_ref).unwrap_or_default(), now)?;
                JobReply::Done
            }
        };
        json(&reply)
    }

    /// Makes the list of a job and begins it.
    pub(super) fn start(&self, mut job: Job, event: Draft, now: UnixMillis) -> Result<Job, Fault> {
        self.list_keys(&job, UnixMillis::from_millis(u64::MAX))?;
        self.store.write(
            "INSERT OR IGNORE INTO job_key SELECT ?, id, 'coming', 0, 0, 0 FROM on_the_way",
            vec![job.id.as_str().into()],
        )?;
        job.tally.skipped = self.count(&job, "skipped")?;
        job.tally.total = self.count(&job, "pending")?;
        let event = job.event(Draft { at: now, kind: "job.started".to_owned(), ..event });
        self.append(core::slice::from_ref(&event), now)?;
        self.stored(&mut job, Some(event), now)?;
        self.store.wake_at(now)?;
        Ok(job)
    }

    /// Puts keys that the registry knows on a job's list, if they are not on it: those that were
    /// made up to this instant, and those that were on their way when the job began.
    fn list_keys(&self, job: &Job, made_until: UnixMillis) -> Result<(), Fault> {
        let mut filter = about(&job.target);
        filter.and(
            "(created_at <= ? OR id IN \
             (SELECT id FROM job_key WHERE job = ? AND state = 'coming'))",
            [instant(made_until), job.id.as_str().into()],
        );
        let (may, mandate) = within(&job.mandate)?;
        let Filter { conditions, values } = filter;
        let statement = format!(
            "INSERT INTO job_key \
             SELECT ?, id, CASE WHEN {may} THEN 'pending' ELSE 'skipped' END, 0, 0, 0 \
             FROM entry WHERE {conditions} \
             ON CONFLICT (job, id) DO UPDATE SET state = excluded.state, tries = 0, next_at = 0 \
             WHERE job_key.state = 'coming'"
        );
        let mut all = vec![job.id.as_str().into()];
        all.extend(mandate);
        all.extend(values);
        self.store.write(&statement, all)
    }

    fn rehearse(&self, target: &Target, mandate: &Mandate) -> Result<JobReply, Fault> {
        let (may, mandate) = within(mandate)?;
        let Filter { conditions, values } = about(target);
        let count = |wanted: &str| {
            let all = mandate.iter().chain(&values).cloned().collect();
            let statement =
                format!("SELECT count(*) FROM entry WHERE ({may}) = {wanted} AND {conditions}");
            let rows = self.store.rows(&statement, all)?;
            Ok::<_, Fault>(rows.into_iter().next().and_then(one_count).unwrap_or(0))
        };
        let (count, skipped) = (count("TRUE")?, count("FALSE")?);
        let mut all: Vec<_> = mandate.iter().chain(&values).cloned().collect();
        all.push(integer(SHOWN));
        let statement = format!(
            "SELECT id FROM entry WHERE {may} AND {conditions} \
             ORDER BY created_at DESC, id DESC LIMIT ?"
        );
        let rows = self.store.rows(&statement, all)?;
        let keys = rows.into_iter().map(|row| one_text(row).ok_or_else(damaged));
        Ok(JobReply::Rehearsed { count, skipped, keys: keys.collect::<Result<_, _>>()? })
    }

    fn count(&self, job: &Job, state: &str) -> Result<u64, Fault> {
        let rows = self.store.rows(
            "SELECT count(*) FROM job_key WHERE job = ? AND state = ?",
            vec![job.id.as_str().into(), state.into()],
        )?;
        Ok(rows.into_iter().next().and_then(one_count).unwrap_or(0))
    }

    fn failed(&self, job: &Job) -> Result<u64, Fault> {
        let rows = self.store.rows(
            "SELECT count(*) FROM job_key \
             WHERE job = ? AND state IN ('pending', 'coming') AND next_at > 0 AND tries > 0",
            vec![job.id.as_str().into()],
        )?;
        Ok(rows.into_iter().next().and_then(one_count).unwrap_or(0))
    }

    fn read_job(&self, id: &str) -> Result<Option<Job>, Fault> {
        let rows = self.store.rows("SELECT record FROM job WHERE id = ?", vec![id.into()])?;
        rows.into_iter().next().map(job).transpose()
    }

    fn list_jobs(&self, query: &JobQuery) -> Result<JobPage, Fault> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let rows = self.store.rows(
            "SELECT record FROM job WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR tenant = ?2) \
             AND (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4",
            vec![
                query.after.clone().into(),
                query.tenant.clone().into(),
                query.state.map(|state| state.as_str().to_owned()).into(),
                integer(query.limit.saturating_add(1)),
            ],
        )?;
        let more = rows.len() > limit;
        let jobs = rows.into_iter().take(limit).map(job).collect::<Result<_, _>>()?;
        Ok(JobPage { jobs, more })
    }

    /// Of two copies of one job the newer one stays.
    fn keep_job(&self, job: &Job, here: bool) -> Result<(), Fault> {
        self.store.write(
            "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
             state = excluded.state, revision = excluded.revision, ends = excluded.ends, \
             record = excluded.record WHERE excluded.revision > job.revision",
            vec![
                job.id.as_str().into(),
                integer(u64::from(here)),
                job.target.keeper().into(),
                job.state().as_str().into(),
                integer(job.revision),
                job.ends().map(UnixMillis::as_millis).map_or(SqlStorageValue::Null, integer),
                json(job)?.into(),
            ],
        )
    }

    /// Stores how far a job is, and tells the object over all tenants.
    fn stored(&self, job: &mut Job, event: Option<Draft>, now: UnixMillis) -> Result<(), Fault> {
        job.revision = job.revision.saturating_add(1);
        self.keep_job(job, true)?;
        if job.target.keeper() == ALL_TENANTS {
            return Ok(());
        }
        let copy = JobRequest::Copy { job: Box::new(job.clone()), event: event.map(Box::new) };
        self.tell(&RegistryRequest::Job(copy), now)
    }

    /// One step of every job that goes on; returns when there is more to do.
    pub(super) async fn tend_jobs(&self) -> Result<Option<UnixMillis>, Fault> {
        if self.stepping.replace(true) {
            return Ok(None);
        }
        let next = self.step_jobs().await;
        self.stepping.set(false);
        next
    }

    async fn step_jobs(&self) -> Result<Option<UnixMillis>, Fault> {
        self.store.rows("DELETE FROM job WHERE ends <= ?", vec![instant(now())])?;
        // While none of them has anything under way from here.
        self.supersede(&self.running()?)?;
        let mut next: Option<UnixMillis> = None;
        for job in self.running()? {
            // A job that cannot go on holds up no other.
            let at = self.step(job).await.unwrap_or_else(|fault| {
                refuse("tenant", &fault);
                Some(now().plus(AGAIN))
            });
            next = next.into_iter().chain(at).min();
        }
        if next.is_some() {
            return Ok(next);
        }
        let ends = "SELECT min(ends) FROM job WHERE ends IS NOT NULL";
        let ends = self.store.rows(ends, Vec::new())?.into_iter().next().and_then(one_count);
        Ok(ends.map(UnixMillis::from_millis))
    }

    /// The jobs that this object has to go on with.
    fn running(&self) -> Result<Vec<Job>, Fault> {
        let rows = self.store.rows(
            "SELECT record FROM job WHERE state = ? AND here = 1 ORDER BY id",
            vec![JobState::Running.as_str().into()],
        )?;
        // One that cannot be read holds up no other.
        let read = rows.into_iter().map(job);
        Ok(read.filter_map(|job| job.inspect_err(|fault| note_fault("jobs", fault)).ok()).collect())
    }

    /// True while a job goes on here.
    pub(super) fn has_jobs(&self) -> Result<bool, Fault> {
        let running = "SELECT 1 FROM job WHERE state = ? AND here = 1 LIMIT 1";
        Ok(!self.store.rows(running, vec![JobState::Running.as_str().into()])?.is_empty())
    }

    /// One step of a job; returns when the next one is due, if there is one.
    async fn step(&self, mut job: Job) -> Result<Option<UnixMillis>, Fault> {
        match job.next(self.listed(&job)?, now()) {
            Step::Change => self.change_keys(&mut job).await?,
            Step::Settle(after) => self.settle(&mut job, after.as_deref()).await?,
            Step::Look => self.look(&mut job)?,
            Step::Wait(at) => return Ok(Some(at)),
            Step::Rest => return Ok(None),
        }
        // Whoever watches sees it come on; the alarm tells what cannot be told now.
        self.tell_all().await.unwrap_or_else(|fault| note_fault("*", &fault));
        Ok((job.state() == JobState::Running).then(now))
    }

    fn listed(&self, job: &Job) -> Result<Listed, Fault> {
        let rows = self.store.rows(
            "SELECT next_at FROM job_key WHERE job = ? AND state = 'pending' \
             ORDER BY next_at LIMIT 1",
            vec![job.id.as_str().into()],
        )?;
        Ok(match rows.into_iter().next().and_then(one_count).map(UnixMillis::from_millis) {
            None => Listed::Done,
            Some(at) if at <= now() => Listed::Due,
            Some(at) => Listed::Later(at),
        })
    }

    /// Changes the keys that are due. What their families said is stored together with how far
    /// the job is; what was changed and not stored is changed again, without effect.
    async fn change_keys(&self, job: &mut Job) -> Result<(), Fault> {
        let rows = self.store.rows(
            "SELECT id, tries, until FROM job_key \
             WHERE job = ? AND state = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?",
            vec![job.id.as_str().into(), instant(now()), integer(STEP.into())],
        )?;
        let due = rows.into_iter().map(|row| due_key(row).ok_or_else(damaged));
        let due = due.collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<&KeyId> = due.iter().map(|key| &key.id).collect();
        self.store.write(
            "UPDATE job_key SET tries = tries + 1 \
             WHERE job = ? AND id IN (SELECT value FROM json_each(?))",
            vec![job.id.as_str().into(), json(&ids)?.into()],
        )?;
        let said = self.said_to_each(job, due).await?;
        let now = now();
        for (Due { id, tries, until }, reply) in said {
            match reply {
                Ok(reply) if Job::is_done(&reply) => {
                    if until > now {
                        self.key_again(job, &id)?;
                    } else {
                        self.key_done(job, &id)?;
                        job.tally.done = job.tally.done.saturating_add(1);
                    }
                    if let FamilyReply::Changed { record, also } = reply {
                        let all: Vec<KeyRecord> = core::iter::once(*record).chain(also).collect();
                        for record in &all {
                            // It is changed, and its family tells the registry too.
                            let taken = self.take_over(record, now);
                            taken.unwrap_or_else(|fault| note_fault(record.id.as_str(), &fault));
                        }
                    }
                }
                Ok(other) => self.key_failed(job, &id, tries, &format!("{other:?}"), now)?,
                Err(Fault(fault)) => self.key_failed(job, &id, tries, &fault, now)?,
            }
        }
        job.tally.failed = self.failed(job)?;
        self.stored(job, None, now)
    }

    /// What each key's family says to the job's change, all of them asked at once.
    async fn said_to_each(&self, job: &Job, due: Vec<Due>) -> Result<Vec<Said>, Fault> {
        let said: Rc<RefCell<Vec<Said>>> = Rc::default();
        let asked = Array::new();
        for key in due {
            let change = FamilyRequest::change(job.actor.clone(), job.change(key.id.clone()));
            let (env, said) = (JsValue::clone(&self.env), Rc::clone(&said));
            asked.push(&future_to_promise(async move {
                let reply = ask_family(&env, &key.id, &change).await;
                said.borrow_mut().push((key, reply));
                Ok(JsValue::UNDEFINED)
            }));
        }
        JsFuture::from(Promise::all(&asked)).await.map_err(|error| bindings::fault(&error))?;
        Ok(said.take())
    }

    fn key_done(&self, job: &Job, id: &KeyId) -> Result<(), Fault> {
        self.store.write(
            "UPDATE job_key SET state = 'done' WHERE job = ? AND id = ?",
            vec![job.id.as_str().into(), id.as_str().into()],
        )
    }

    /// It is changed; but a change that another job asked for may come after it.
    fn key_again(&self, job: &Job, id: &KeyId) -> Result<(), Fault> {
        self.store.write(
            "UPDATE job_key SET tries = 0, next_at = until WHERE job = ? AND id = ?",
            vec![job.id.as_str().into(), id.as_str().into()],
        )
    }

    fn key_failed(
        &self,
        job: &Job,
        id: &KeyId,
        tries: u32,
        fault: &str,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let job_id = &job.id;
        worker::console_error!("{{\"job\":{job_id:?},\"key\":\"{id}\",\"fault\":{fault:?}}}");
        let tries = tries.saturating_add(1);
        let at = instant(now.plus(pause(tries)));
        self.store.write(
            "UPDATE job_key SET tries = ?, next_at = ? WHERE job = ? AND id = ?",
            vec![integer(tries.into()), at, job.id.as_str().into(), id.as_str().into()],
        )
    }

    /// Looks through the registry for keys that are not on the list: without any, that is the end.
    fn look(&self, job: &mut Job) -> Result<(), Fault> {
        let (now, before) = (now(), job.tally.total);
        self.list_keys(job, job.started_at)?;
        self.relisted(job)?;
        if job.looked(job.tally.total > before, now) {
            return self.ended(job, now);
        }
        self.stored(job, None, now)
    }

    /// Stores a job that has ended. Its list is not needed any more.
    fn ended(&self, job: &mut Job, now: UnixMillis) -> Result<(), Fault> {
        let event = job.done_event(now);
        self.append(core::slice::from_ref(&event), now)?;
        self.stored(job, Some(event), now)?;
        let list = "DELETE FROM job_key WHERE job = ?";
        self.store.write(list, vec![job.id.as_str().into()])
    }

    /// The list may have grown.
    fn relisted(&self, job: &mut Job) -> Result<(), Fault> {
        job.tally.total = self.count(job, "pending")?.saturating_add(self.count(job, "done")?);
        job.tally.skipped = self.count(job, "skipped")?;
        Ok(())
    }
}

/// The keys that a job is about. Of those that are revoked, which is for good, none.
fn about(target: &Target) -> Filter {
    let mut filter = Filter::default();
    filter.and("state <> 'revoked'", []);
    if let Some(tenant) = &target.tenant {
        filter.and("tenant = ?", [tenant.as_str().into()]);
    }
    if let Some(family) = &target.family {
        filter.and("family = ?", [family.as_str().into()]);
    }
    if let Some(tag) = &target.tag {
        filter.and("id IN (SELECT id FROM tag WHERE tag = ?)", [tag.as_str().into()]);
    }
    filter
}

/// The condition that a key may be changed, and the values in it.
fn within(mandate: &Mandate) -> Result<(&'static str, [SqlStorageValue; 2]), Fault> {
    let spared = mandate.spared.as_ref().map_or("", KeyId::as_str);
    let may = "kind IN (SELECT value FROM json_each(?)) AND family <> ?";
    Ok((may, [json(&mandate.kinds)?.into(), spared.into()]))
}

fn job(row: Row) -> Result<Job, Fault> {
    let text = one_text(row).ok_or_else(damaged)?;
    serde_json::from_str(&text).map_err(|error| Fault(error.to_string()))
}

fn due_key(row: Row) -> Option<Due> {
    use SqlStorageValue::{Integer, String};
    let Ok([String(id), Integer(tries), Integer(until)]) = <[_; 3]>::try_from(row) else {
        return None;
    };
    let until = UnixMillis::from_millis(until.try_into().ok()?);
    Some(Due { id: KeyId::parse(&id).ok()?, tries: tries.try_into().ok()?, until })
}
