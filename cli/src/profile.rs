//! `tollgate profile`: the addresses of gates under names, in a file that never holds a credential.
//!
//! The file decides where a credential is sent. So it is read strictly: what is not an address, what
//! looks like a credential, and a file that anybody may write, are errors.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::check_address;
use crate::table;

/// The profile that holds where none is named.
const DEFAULT: &str = "default";
/// The longest name of a profile.
const NAME_LEN: usize = 64;
/// From this length on a run of letters and digits is no word.
const SECRET_LEN: usize = 32;

/// Keep the addresses of gates under names.
///
/// They are in profiles.toml, in the folder tollgate of $`XDG_CONFIG_HOME` or ~/.config. A credential
/// is never kept there: it comes from the environment, from standard input, or from a prompt.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProfileArgs {
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ProfileCommand {
    /// List the profiles.
    List,
    /// Keep a gate's address under a name; the one called `default` holds where none is named.
    Set {
        /// The name: letters, digits, `-` and `_`.
        name: String,
        /// The gate's admin host, such as <https://gate.example.com>.
        #[arg(value_name = "URL")]
        gate: String,
    },
    /// Forget a profile.
    Remove {
        /// Its name.
        name: String,
    },
}

/// The file: each profile a table.
type Profiles = BTreeMap<String, Profile>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    gate: String,
}

pub(crate) fn run(args: &ProfileArgs) -> Result<ExitCode> {
    let file = file().context("where? Neither XDG_CONFIG_HOME nor HOME is set")?;
    let mut profiles = read(&file)?;
    match &args.command {
        ProfileCommand::List => {}
        ProfileCommand::Set { name, gate } => {
            check(name, gate)?;
            profiles.insert(name.clone(), Profile { gate: gate.clone() });
            write(&file, &profiles)?;
        }
        ProfileCommand::Remove { name } => {
            if profiles.remove(name).is_none() {
                eprintln!("tollgate: there is no profile {name:?}");
                return Ok(ExitCode::FAILURE);
            }
            write(&file, &profiles)?;
        }
    }
    let list: Vec<_> = profiles
        .iter()
        .map(|(name, profile)| json!({ "name": name, "gate": profile.gate }))
        .collect();
    if args.json {
        println!("{}", json!({ "profiles": list, "file": file }));
    } else if list.is_empty() {
        println!("no profiles");
    } else {
        print!("{}", table::columns(&["name", "gate"], &list));
    }
    Ok(ExitCode::SUCCESS)
}

/// The address that is kept under a name.
pub(crate) fn address_of(name: &str) -> Result<String> {
    let file = file().context("where are the profiles? Neither XDG_CONFIG_HOME nor HOME is set")?;
    let mut profiles = read(&file)?;
    let Some(profile) = profiles.remove(name) else {
        let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
        bail!("there is no profile {name:?} in {}: it has {}", file.display(), told(&known));
    };
    Ok(profile.gate)
}

/// The address that holds where none is named.
pub(crate) fn default_address() -> Result<Option<String>> {
    let Some(file) = file() else { return Ok(None) };
    Ok(read(&file)?.remove(DEFAULT).map(|profile| profile.gate))
}

fn told(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// As the XDG base directory specification says it: a relative folder does not count.
fn file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
    };
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .or_else(|| absolute("APPDATA"))?;
    Some(folder.join("tollgate").join("profiles.toml"))
}

fn read(file: &Path) -> Result<Profiles> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Profiles::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    check_mode(file)?;
    parse(&text).with_context(|| file.display().to_string())
}

/// Whoever may write the file may have the next credential sent to them.
#[cfg(unix)]
fn check_mode(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file).map_or(0, |about| about.permissions().mode());
    ensure!(mode & 0o002 == 0, "{}: everybody may write it: chmod o-w", file.display());
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}

/// What is wrong is told by its line and never repeated: it may be a credential.
fn parse(text: &str) -> Result<Profiles> {
    let line = text.lines().position(looks_secret);
    if let Some(line) = line {
        let line = line.saturating_add(1);
        bail!("line {line} holds what looks like a credential: take it out, and make a new one");
    }
    let profiles: Profiles = toml::from_str(text)
        .map_err(|error| anyhow::anyhow!("is not a list of profiles: {}", error.message()))?;
    profiles.iter().try_for_each(|(name, profile)| check(name, &profile.gate))?;
    Ok(profiles)
}

fn check(name: &str, gate: &str) -> Result<()> {
    ensure!(!looks_secret(name) && !looks_secret(gate), "that looks like a credential");
    let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let named = (1..=NAME_LEN).contains(&name.len()) && name.bytes().all(of_a_name);
    ensure!(named, "{name:?} is not a name: 1 to {NAME_LEN} letters, digits, `-` and `_`");
    check_address(gate)
}

/// True for a line with a run of characters as keys, tokens and their encodings have it. Hosts have
/// dots, and no part of them is as long without a hyphen or with capitals.
fn looks_secret(line: &str) -> bool {
    let of_a_secret = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let runs = line.split(|c| !of_a_secret(c)).filter(|run| run.len() >= SECRET_LEN);
    let mut runs = runs.map(|run| {
        let unbroken = run.split('-').any(|part| part.len() >= SECRET_LEN);
        unbroken || run.bytes().any(|b| b.is_ascii_uppercase())
    });
    runs.any(|secret| secret)
}

/// Puts the file in the place of the old one, whole.
fn write(file: &Path, profiles: &Profiles) -> Result<()> {
    let text = toml::to_string(profiles).context("cannot write the profiles")?;
    let folder = file.parent().context("the profiles have no folder")?;
    let beside = file.with_extension(format!("toml.{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&beside, text))
        .and_then(|()| fs::rename(&beside, file))
        .inspect_err(|_| drop(fs::remove_file(&beside)))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_addresses_and_nothing_else() {
        let text = "# ours\n[default]\ngate = \"https://gate.example.com\"\n\
                    [a-long-name-of-a-staging-environment_2]\n\
                    gate = \"http://gate.localhost:8787\"\n";
        let names: Vec<String> = parse(text).unwrap().into_keys().collect();
        assert_eq!(names, ["a-long-name-of-a-staging-environment_2", "default"]);
        assert_eq!(parse("").unwrap(), Profiles::new());
        for (text, reason) in [
            ("[a]", "no address"),
            ("a = \"https://gate.example.com\"", "no table"),
            ("[a]\ngate = \"gate.example.com\"", "no address"),
            ("[a]\ngate = \"http://gate.example.com\"", "in the clear"),
            ("[a]\ngate = \"https://u:p@gate.example.com\"", "a password"),
            ("[a]\ngate = \"https://gate.example.com/?token=x\"", "a query"),
            ("[a]\ngate = \"https://gate.example.com\"\ntoken = \"x\"", "a field for a credential"),
            ("[\"a b\"]\ngate = \"https://gate.example.com\"", "no name"),
        ] {
            assert!(parse(text).is_err(), "{text}: {reason}");
        }
    }

    #[test]
    fn what_looks_like_a_credential_is_told_and_not_repeated() {
        let hex = "0123456789abcdef".repeat(4);
        let base64 = "q-Zt3Xk9Vb1Lm7Np5Rs2Tu8Wy4Ac6De0Fg-Hi_Jk2Lm";
        for secret in [
            "tg_prod_ak_abcdefghij012345_SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS123456",
            hex.as_str(),
            base64,
            "q/Zt3Xk9Vb1Lm7Np5Rs2Tu8Wy4Ac6De0Fg+Hi/Jk2Lm=",
        ] {
            for text in [
                format!("# {secret}"),
                format!("[a]\ngate = \"https://gate.example.com\" # {secret}"),
                format!("[{secret}]\ngate = \"https://gate.example.com\""),
                format!("[a]\ngate = \"https://{secret}.example.com\""),
                format!("[a]\ngate = \"{secret}\""),
                format!("[a]\ntoken = \"{secret}\""),
            ] {
                let error = format!("{:#}", parse(&text).unwrap_err());
                assert!(error.contains("looks like a credential"), "{error}");
                assert!(!error.contains(secret), "{error}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let profile = Profile { gate: "https://gate.example.com".to_owned() };
        let profiles = Profiles::from([("live".to_owned(), profile)]);
        assert_eq!(parse(&toml::to_string(&profiles).unwrap()).unwrap(), profiles);
    }
}
