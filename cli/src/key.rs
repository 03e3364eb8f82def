//! `tollgate key inspect`: what the text of a key tells, offline.

use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::key::{Key, KeyTextError};

/// Look at a key without a gate.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeyCommand {
    /// Tell whether a key was copied whole, and what it is for.
    ///
    /// Exits with 0 for a whole key, which says nothing about its being known to any gate, and
    /// with 1 for anything else. Its secret is not shown.
    Inspect {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// The key; - reads it from standard input, where no other process sees it.
        key: String,
    },
}

pub(crate) fn run(args: &KeyArgs) -> Result<ExitCode> {
    let KeyCommand::Inspect { json, key } = &args.command;
    let text = if key == "-" { read_stdin()? } else { key.clone() };
    let looked_at = Key::parse(text.trim());
    if *json {
        println!("{}", to_json(looked_at.as_ref()));
    } else {
        print!("{}", shown(looked_at.as_ref()));
    }
    Ok(if looked_at.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All of standard input, as text.
pub(crate) fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

fn to_json(looked_at: Result<&Key, &KeyTextError>) -> Value {
    match looked_at {
        Ok(Key { prefix, id, .. }) => json!({
            "whole": true,
            "brand": prefix.brand,
            "environment": prefix.environment.as_str(),
            "kind": prefix.kind.as_str(),
            "id": id,
        }),
        Err(error) => json!({ "whole": false, "reason": error.to_string() }),
    }
}

fn shown(looked_at: Result<&Key, &KeyTextError>) -> String {
    match looked_at {
        Ok(Key { prefix, id, .. }) => format!(
            "format       {}_… , whole\n\
             environment  {}\n\
             kind         {} ({})\n\
             id           {id}\n\
             checksum     fits\n",
            prefix,
            prefix.environment.as_str(),
            prefix.kind.as_str(),
            meaning(prefix.kind.as_str()),
        ),
        Err(error) => format!("not a whole key: {error}\n"),
    }
}

fn meaning(kind: &str) -> &'static str {
    match kind {
        "pk" => "publishable: for pages",
        "sk" => "secret: for servers",
        "rk" => "restricted: for servers, each scope names one resource",
        _ => "admin: for the management API",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::key::checksum;

    fn whole() -> String {
        let body = format!("tg_dev_sk_abcdefghij012345_{}", "S".repeat(32));
        format!("{body}{}", checksum(&body))
    }

    #[test]
    fn a_whole_key_is_taken_apart_and_its_secret_is_not_shown() {
        let key = Key::parse(&whole());
        assert_eq!(
            to_json(key.as_ref()),
            json!({
                "whole": true, "brand": "tg", "environment": "dev", "kind": "sk",
                "id": "abcdefghij012345",
            })
        );
        assert!(!shown(key.as_ref()).contains("SSS"));
    }

    #[test]
    fn what_is_not_whole_is_told_why() {
        for (text, reason) in [
            (whole().replace("_sk_", "_pk_"), "checksum"),
            (whole().replace("dev", "test"), "form"),
            (String::new(), "form"),
            ("x".repeat(100_000), "form"),
        ] {
            let told = to_json(Key::parse(&text).as_ref());
            assert_eq!(told["whole"], json!(false));
            assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
        }
    }
}
