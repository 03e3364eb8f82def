//! `tollgate audit export`: the whole chain, page after page, verified while it comes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tollgate_core::audit::Verifier;

use super::verify::{is_signed, line_of, told};
use crate::client::{Answer, Client, Streamed, member, with_query};
use crate::progress::Progress;

/// The largest refusal that is read.
const MAX_REFUSAL: u64 = 1024 * 1024;

#[derive(Args, Clone, Debug)]
pub(super) struct ExportArgs {
    /// The file to write; standard output if left out. It is replaced once the export is whole.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The chain of this tenant; of operators the one over all if it is left out.
    #[arg(long)]
    tenant: Option<String>,
    /// Only what came after the entry of this number.
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// How many entries to ask for at a time, 10000 at the most.
    #[arg(long, value_name = "COUNT")]
    page: Option<u64>,
}

impl ExportArgs {
    pub(super) fn run(&self, client: &Client, json: bool) -> Result<ExitCode> {
        let Some(path) = &self.out else {
            return self.write(client, &mut io::stdout().lock(), None, json);
        };
        // What is there already stays until there is something better.
        let part = part_of(path);
        let file =
            File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        let mut file = BufWriter::new(file);
        let written = self.write(client, &mut file, Some(path), json).and_then(|code| {
            file.flush()?;
            Ok(code)
        });
        match written {
            Ok(code) if code == ExitCode::SUCCESS => {
                fs::rename(&part, path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(code)
            }
            other => {
                let _ = fs::remove_file(&part);
                other
            }
        }
    }

    fn write(
        &self,
        client: &Client,
        out: &mut impl Write,
        path: Option<&Path>,
        json: bool,
    ) -> Result<ExitCode> {
        let mut progress = Progress::new("entries exported");
        let mut verifier = Verifier::new(is_signed, Vec::new());
        let first = self.after.unwrap_or(0);
        let mut after = first;
        loop {
            let mut page = self.page(client, after)?;
            if page.status != 200 {
                return refusal(page)?.tell(json, |_| String::new());
            }
            let mut last_line = Vec::new();
            while let Some(line) = line_of(&mut page.body).context("the answer broke off")? {
                if let Err(broken) = verifier.read(&line) {
                    bail!("line {} of what the gate sent: {}", broken.line, broken.reason);
                }
                out.write_all(&line).context("cannot write the export")?;
                last_line = line;
            }
            let head: Value = serde_json::from_slice(&last_line).unwrap_or_default();
            let number = |name| member(member(&head, "head"), name).as_u64();
            let (Some(seq), Some(last)) = (number("seq"), number("last")) else {
                bail!("the answer broke off: it has no head")
            };
            progress.tell(seq.saturating_sub(first), Some(last.saturating_sub(first)));
            if seq >= last {
                break;
            }
            if seq <= after {
                bail!("the gate sent nothing after entry {after}, of {last}");
            }
            after = seq;
        }
        drop(progress);
        let report = match verifier.end() {
            Ok(report) => report,
            Err(broken) => bail!("what the gate sent is not whole: {}", broken.reason),
        };
        out.flush().context("cannot write the export")?;
        if let Some(path) = path {
            if json {
                println!("{}", told(&report));
            } else {
                println!(
                    "{}: {} entries of the chain {}, up to {}",
                    path.display(),
                    report.count,
                    report.chain,
                    report.seq
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn page(&self, client: &Client, after: u64) -> Result<Streamed> {
        let (after, limit) = (after.to_string(), self.page.map(|page| page.to_string()));
        let query = [
            ("format", Some("ndjson")),
            ("tenant", self.tenant.as_deref()),
            ("after", Some(after.as_str())),
            ("limit", limit.as_deref()),
        ];
        client.stream(&with_query("audit", &query), "application/x-ndjson")
    }
}

/// A refusal, which is JSON.
fn refusal(page: Streamed) -> Result<Answer> {
    let text = io::read_to_string(io::Read::take(page.body, MAX_REFUSAL))?;
    let body = serde_json::from_str(&text).with_context(|| {
        format!("the answer is {}, and not as a gate's: is it one?", page.status)
    })?;
    Ok(Answer { status: page.status, body, retry_after: None })
}

/// Beside the file, so that it can take its place.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
