//! `tollgate policy`: is a policy good, and the module to deploy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_core::policy::{CheckedFile, Node, Policy, PolicyError, write_module};
use tollgate_core::time::UnixMillis;

use crate::suffixes::PublicSuffixList;
use crate::{clock, toml_source};

/// Check a policy, or turn it into the module that the Worker is deployed with.
///
/// Exits with 0 if the policy is good, 1 if it is not, 2 if the file cannot be read or written.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Find every mistake in a policy, each with its place and a suggestion.
    Check {
        /// The policy, such as tollgate.toml.
        file: PathBuf,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a policy and write the module to deploy. A bad policy writes nothing.
    Build {
        /// The policy, such as tollgate.toml.
        file: PathBuf,
        /// Where the module goes, such as build/policy.json.
        #[arg(short, long, value_name = "OUT.json")]
        output: PathBuf,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A policy without an error, and the tree that it was read from.
#[derive(Debug)]
pub(crate) struct Checked {
    root: Node,
    /// What it says, for each environment.
    pub(crate) file: CheckedFile,
}

/// Prints the answer, and returns the exit code that tells it.
pub(crate) fn run(args: &PolicyArgs) -> Result<ExitCode> {
    let (file, output, json) = match &args.what {
        What::Check { file, json } => (file, None, *json),
        What::Build { file, output, json } => (file, Some(output), *json),
    };
    let text = read(file)?;
    let checked = match check(&text, clock::now()) {
        Ok(checked) => checked,
        Err(errors) => {
            tell_errors(file, &errors, json);
            return Ok(ExitCode::from(1));
        }
    };
    if let Some(output) = output {
        write(output, &write_module(&checked.root))?;
    }
    tell_good(file, output.map(PathBuf::as_path), &checked.file, json);
    Ok(ExitCode::SUCCESS)
}

/// The text of a policy; `-` is standard input.
pub(crate) fn read(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("cannot read standard input");
    }
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads and checks the text of a policy, with the whole public suffix list.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub(crate) fn check(text: &str, now: UnixMillis) -> Result<Checked, Vec<PolicyError>> {
    let root = toml_source::parse(text)?;
    let file = Policy::check(&root, &PublicSuffixList, now)?;
    Ok(Checked { root, file })
}

/// All errors: for people on standard error, for programs as a list on standard output.
pub(crate) fn tell_errors(file: &Path, errors: &[PolicyError], json: bool) {
    if json {
        println!("{}", json!({ "valid": false, "errors": errors }));
        return;
    }
    eprint!("{}", shown(&file.display().to_string(), errors));
}

fn shown(file: &str, errors: &[PolicyError]) -> String {
    let mut lines: Vec<String> = errors.iter().map(|error| error.in_file(file)).collect();
    lines.push(match errors.len() {
        1 => "1 error".to_owned(),
        many => format!("{many} errors"),
    });
    lines.join("\n") + "\n"
}

fn tell_good(file: &Path, output: Option<&Path>, policy: &CheckedFile, json: bool) {
    let environments: Vec<&str> = policy.environments().collect();
    if json {
        println!("{}", json!({ "valid": true, "environments": environments, "output": output }));
        return;
    }
    let written = output.map(|output| format!(": {}", output.display())).unwrap_or_default();
    println!("{} is good ({}){written}", file.display(), environments.join(", "));
}

/// Into a file beside the one that is meant, then in its place: a reader never sees half of it.
fn write(output: &Path, text: &str) -> Result<()> {
    let mut beside = output.as_os_str().to_owned();
    beside.push(".tmp");
    let told = || format!("cannot write {}", output.display());
    fs::write(&beside, text).with_context(told)?;
    fs::rename(&beside, output).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::policy::parse_module;

    /// 2026-06-01.
    const NOW: UnixMillis = UnixMillis::from_secs(1_780_272_000);
    const DEMO: &str = include_str!("../../tollgate.toml");

    #[test]
    fn the_demo_is_good_in_every_environment() {
        let checked =
            check(DEMO, NOW).unwrap_or_else(|errors| panic!("{}", shown("demo", &errors)));
        let names: Vec<String> = checked.file.environments().map(str::to_owned).collect();
        assert_eq!(names, ["dev", "production", "staging"]);
        for name in names {
            let policy = checked.file.clone().select(&name).unwrap();
            assert_eq!(policy.routes.len(), 6, "{name}");
            assert_eq!(policy.secrets(), ["BILLING_TOKEN"], "{name}");
        }
    }

    #[test]
    fn toml_and_its_module_are_one_policy() {
        let checked = check(DEMO, NOW).unwrap();
        let module = write_module(&checked.root);
        let read = parse_module(&module, NOW).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", checked.file));
    }

    #[test]
    fn errors_are_told_like_those_of_a_compiler() {
        let bad = DEMO
            .replace("auth = \"public\"", "auth = \"pubic\"")
            .replace("realm = \"tollgate demo\"", "relm = \"tollgate demo\"")
            .replace("https://app.example.com", "https://*.github.io");
        let errors = check(&bad, NOW).unwrap_err();
        let text = shown("tollgate.toml", &errors);
        let line = |needle: &str| 1 + bad.lines().position(|line| line.contains(needle)).unwrap();
        let (realm, auth) = (line("relm ="), line("pubic"));
        assert!(
            text.starts_with(&format!(
                "tollgate.toml:{}:1: gate.realm: is missing\n\
             tollgate.toml:{realm}:1: gate.relm: unknown field\n  help: did you mean `realm`?\n",
                realm - 1
            )),
            "{text}"
        );
        assert!(
            text.contains(&format!(
                "tollgate.toml:{auth}:8: route \"status\", auth: \"pubic\" is unknown\n  \
             help: did you mean \"public\"?\n"
            )),
            "{text}"
        );
        assert!(
            text.contains("route \"list-invoices\", origins[0]: "),
            "the whole suffix list: {text}"
        );
        assert!(text.ends_with("\n8 errors\n"), "{text}");
        let json = serde_json::to_value(&errors).unwrap();
        assert_eq!(json[0]["line"], realm - 1, "the missing field stands at its table");
        assert_eq!(json[0]["path"], "gate.realm");
    }

    /// A native date of TOML is text in the module, and means the same.
    #[test]
    fn dates_survive_the_module() {
        let text = DEMO
            .replace("name = \"status\"", "name = \"status\"\ndeprecated = { since = 2026-06-01 }");
        let checked = check(&text, NOW).unwrap();
        let read = parse_module(&write_module(&checked.root), NOW).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", checked.file));
    }
}
