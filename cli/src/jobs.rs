//! `tollgate jobs`: changes of many keys, and how far they are.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::{Answer, Client, GateArgs, encoded, member};
use crate::progress::Progress;
use crate::table::{self, text};

/// How often a job is looked at that is waited for.
const PAUSE: Duration = Duration::from_millis(300);
/// The columns of a list.
const COLUMNS: [&str; 9] =
    ["id", "kind", "state", "tenant", "tag", "family", "total", "done", "started_at"];
/// The lines of one job.
const FIELDS: [&str; 14] = [
    "id",
    "kind",
    "state",
    "tenant",
    "tag",
    "family",
    "total",
    "done",
    "failed",
    "skipped",
    "actor",
    "started_at",
    "finished_at",
    "superseded_by",
];

/// List and show jobs: changes of many keys at once, which the gate does by itself.
///
/// Exits with 0 when the gate answered, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, newest first.
    List {
        /// Of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        /// In this state: running or done.
        #[arg(long)]
        state: Option<String>,
        /// At most so many; all of them if left out.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one job.
    Show {
        /// The job's id.
        id: String,
        /// Wait until it is done.
        #[arg(long)]
        wait: bool,
    },
}

pub(crate) fn run(args: &JobsArgs) -> Result<ExitCode> {
    let client = args.gate.client()?;
    match &args.command {
        JobsCommand::List { tenant, state, limit } => {
            let query = [("tenant", tenant.as_deref()), ("state", state.as_deref())];
            let answer = client.list("jobs", &query, "jobs", *limit)?;
            let jobs = member(&answer.body, "jobs").as_array().map_or(&[][..], Vec::as_slice);
            answer.tell(args.json, |_| listed(jobs))
        }
        JobsCommand::Show { id, wait } => {
            let answer = show(&client, id)?;
            let answer = if *wait { waited(&client, answer)? } else { answer };
            answer.tell(args.json, |body| shown(member(body, "job")))
        }
    }
}

/// The answer about the job that `answer` tells of, once it is done. An answer without a job, as
/// it is.
pub(crate) fn waited(client: &Client, mut answer: Answer) -> Result<Answer> {
    let mut progress = Progress::new("keys");
    loop {
        let job = member(&answer.body, "job");
        let Some(id) = member(job, "id").as_str().filter(|_| answer.is_success()) else {
            return Ok(answer);
        };
        let id = id.to_owned();
        let done = member(job, "done").as_u64().unwrap_or_default();
        progress.tell(done, member(job, "total").as_u64());
        if member(job, "state") == "done" {
            return Ok(answer);
        }
        sleep(PAUSE);
        answer = show(client, &id)?;
    }
}

fn show(client: &Client, id: &str) -> Result<Answer> {
    client.call("GET", &["jobs/", &encoded(id)].concat(), None)
}

/// One job, a line for each of its fields that say something.
pub(crate) fn shown(job: &Value) -> String {
    let lines = FIELDS.iter().filter_map(|name| {
        let value = text(member(job, name));
        (!value.is_empty()).then(|| format!("{:<12} {value}\n", name.replace('_', " ")))
    });
    lines.collect()
}

fn listed(jobs: &[Value]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    table::columns(&COLUMNS, jobs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_shows_how_far_it_is() {
        let job = json!({
            "id": "0Vabc", "kind": "revoke", "tenant": "acme", "tag": null, "family": null,
            "state": "running", "total": 7, "done": 3, "failed": 0, "skipped": 1, "actor": "root",
            "started_at": "2026-11-22T03:00:00Z", "finished_at": null,
        });
        assert_eq!(
            shown(&job),
            "id           0Vabc\n\
             kind         revoke\n\
             state        running\n\
             tenant       acme\n\
             total        7\n\
             done         3\n\
             failed       0\n\
             skipped      1\n\
             actor        root\n\
             started at   2026-11-22T03:00:00Z\n"
        );
        assert_eq!(
            listed(&[job]),
            "ID     KIND    STATE    TENANT  TAG  FAMILY  TOTAL  DONE  STARTED AT\n\
             0Vabc  revoke  running  acme                 7      3     2026-11-22T03:00:00Z\n"
        );
        assert_eq!(listed(&[]), "no jobs\n");
    }
}
