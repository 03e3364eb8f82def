//! The command `tollgate`: for operators and for scripts.
//!
//! It decides nothing: the core does. Exit codes: 0 yes, 1 no, 2 wrong usage or bad input.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod anomalies;
mod audit;
mod client;
mod clock;
mod completions;
mod explain;
mod hooks;
mod jobs;
mod key;
mod keys;
mod matching;
mod policy;
mod profile;
mod progress;
mod record;
mod session;
mod suffixes;
mod table;
mod tenants;
mod toml_source;
mod usage;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Tollgate on the command line: check policies, try decisions, manage keys.
///
/// Every command exits with 0 for yes, 1 for no, and 2 for wrong usage or bad input, and prints
/// JSON with --json.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Policy(policy::PolicyArgs),
    Explain(explain::ExplainArgs),
    Match(matching::MatchArgs),
    Key(key::KeyArgs),
    Hooks(hooks::HooksArgs),
    Keys(keys::KeysArgs),
    Tenants(tenants::TenantsArgs),
    Jobs(jobs::JobsArgs),
    Anomalies(anomalies::AnomaliesArgs),
    Audit(audit::AuditArgs),
    Usage(usage::UsageArgs),
    Session(session::SessionArgs),
    Profile(profile::ProfileArgs),
    Completions(completions::CompletionsArgs),
}

fn main() -> ExitCode {
    // clap itself ends wrong usage with 2.
    let cli = Cli::parse();
    run(&cli.command).unwrap_or_else(|error| {
        eprintln!("tollgate: {error:#}");
        ExitCode::from(2)
    })
}

fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Policy(args) => policy::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Match(args) => Ok(matching::run(args)),
        Command::Key(args) => key::run(args),
        Command::Hooks(args) => hooks::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Tenants(args) => tenants::run(args),
        Command::Jobs(args) => jobs::run(args),
        Command::Anomalies(args) => anomalies::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Usage(args) => usage::run(args),
        Command::Session(args) => session::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
