//! `tollgate key inspect`: what the text of a key tells, offline.

use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::key::{Key, KeyTextError, SESSION_KIND, TOKEN_KIND, Token};
use tollgate_core::people::SessionToken;
use tollgate_core::scope::joined;

/// Look at a key without a gate.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeyCommand {
    /// Tell a key from what only looks like one: whether it was copied whole, and what it is for.
    ///
    /// Access tokens and session tokens are told apart as well. Exits with 0 for a whole one, which
    /// says nothing about its being known to any gate, and with 1 for anything else. Its secret is
    /// not shown.
    Inspect {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// The key; - reads it from standard input, where no other process sees it.
        key: String,
    },
}

/// What a text is.
enum Found {
    Key(Key),
    Token(Box<Token>),
    Session(SessionToken),
}

fn look(text: &str) -> Result<Found, KeyTextError> {
    let error = match Key::parse(text) {
        Ok(key) => return Ok(Found::Key(key)),
        Err(error) => error,
    };
    if let Some(session) = SessionToken::parse(text) {
        return Ok(Found::Session(session));
    }
    match Token::parse(text) {
        Ok(token) => Ok(Found::Token(Box::new(token))),
        Err(KeyTextError::Check) => Err(KeyTextError::Check),
        Err(_) => Err(error),
    }
}

pub(crate) fn run(args: &KeyArgs) -> Result<ExitCode> {
    let KeyCommand::Inspect { json, key } = &args.command;
    let text = if key == "-" { read_stdin()? } else { key.clone() };
    let looked_at = look(text.trim());
    if *json {
        println!("{}", to_json(&looked_at));
    } else {
        print!("{}", shown(&looked_at));
    }
    Ok(if looked_at.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All of standard input, as text.
pub(crate) fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

fn to_json(looked_at: &Result<Found, KeyTextError>) -> Value {
    let found = match looked_at {
        Ok(found) => found,
        Err(error) => return json!({ "whole": false, "reason": error.to_string() }),
    };
    let (brand, environment, kind, id) = found.words();
    let mut told = json!({
        "whole": true, "brand": brand, "environment": environment, "kind": kind, "id": id,
    });
    if let (Found::Token(token), Value::Object(members)) = (found, &mut told) {
        let claims = &token.claims;
        members.insert("issued_at".to_owned(), claims.issued_at.to_rfc3339().into());
        members.insert("expires_at".to_owned(), claims.expires_at.to_rfc3339().into());
        members.insert("scopes".to_owned(), json!(claims.scopes));
    }
    told
}

fn shown(looked_at: &Result<Found, KeyTextError>) -> String {
    let found = match looked_at {
        Ok(found) => found,
        Err(error) => return format!("not a whole key: {error}\n"),
    };
    let (brand, environment, kind, id) = found.words();
    let mut lines = vec![
        ("format", format!("{brand}_{environment}_{kind}_… , whole")),
        ("environment", environment.to_owned()),
        ("kind", format!("{kind} ({})", meaning(kind))),
        (if matches!(found, Found::Key(_)) { "id" } else { "of key" }, id.to_owned()),
    ];
    if let Found::Token(token) = found {
        let claims = &token.claims;
        lines.push(("issued", claims.issued_at.to_rfc3339()));
        lines.push(("ends", claims.expires_at.to_rfc3339()));
        lines.push(("scopes", joined(&claims.scopes)));
    }
    lines.push(("checksum", "fits".to_owned()));
    let lines: Vec<String> =
        lines.iter().map(|(name, value)| format!("{name:12} {value}")).collect();
    lines.join("\n") + "\n"
}

impl Found {
    /// Brand, environment, kind, and the id of the key.
    fn words(&self) -> (&str, &'static str, &'static str, &str) {
        match self {
            Self::Key(Key { prefix, id, .. }) => {
                (&prefix.brand, prefix.environment.as_str(), prefix.kind.as_str(), id.as_str())
            }
            Self::Token(token) => {
                (&token.brand, token.environment.as_str(), TOKEN_KIND, token.id.as_str())
            }
            Self::Session(session) => {
                let id = session.key.as_str();
                (&session.brand, session.environment.as_str(), SESSION_KIND, id)
            }
        }
    }
}

fn meaning(kind: &str) -> &'static str {
    match kind {
        "pk" => "publishable: for pages",
        "sk" => "secret: for servers",
        "rk" => "restricted: for servers, each scope names one resource",
        TOKEN_KIND => "access token: in a key's place for some minutes",
        SESSION_KIND => "session of an admin",
        _ => "admin: for the management API",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::key::checksum;

    fn whole_of(front: &str, rest: &str) -> String {
        let body = format!("{front}_{rest}");
        format!("{body}{}", checksum(&body))
    }

    fn whole() -> String {
        whole_of("tg_dev_sk_abcdefghij012345", &"S".repeat(32))
    }

    #[test]
    fn a_whole_key_is_taken_apart_and_its_secret_is_not_shown() {
        let key = look(&whole());
        assert_eq!(
            to_json(&key),
            json!({
                "whole": true, "brand": "tg", "environment": "dev", "kind": "sk",
                "id": "abcdefghij012345",
            })
        );
        assert!(!shown(&key).contains("SSS"));
        assert!(shown(&key).contains("id           abcdefghij012345\n"));
    }

    #[test]
    fn what_stands_for_a_key_is_told_as_what_it_is() {
        let session = whole_of("tg_dev_ss_abcdefghij012345", &"S".repeat(32));
        let told = to_json(&look(&session));
        assert_eq!((&told["kind"], &told["id"]), (&json!("ss"), &json!("abcdefghij012345")));
        assert!(!shown(&look(&session)).contains("SSS"));
        // Form 1, pepper 1, the epoch, 300 s, no randomness, `a:b`; and what would be the MAC.
        let claims = "040000010000000000000004ifg0000000000000c4t64";
        let token = whole_of("tg_prod_tk_abcdefghij012345", &format!("{claims}{}", "0".repeat(52)));
        let told = to_json(&look(&token));
        assert_eq!(
            told,
            json!({
                "whole": true, "brand": "tg", "environment": "prod", "kind": "tk",
                "id": "abcdefghij012345", "issued_at": "1970-01-01T00:00:00Z",
                "expires_at": "1970-01-01T00:05:00Z", "scopes": ["a:b"],
            })
        );
        assert!(shown(&look(&token)).contains("scopes       a:b\n"));
    }

    #[test]
    fn what_is_not_whole_is_told_why() {
        let session = whole_of("tg_dev_ss_abcdefghij012345", &"S".repeat(32));
        for (text, reason) in [
            (whole().replace("_sk_", "_pk_"), "checksum"),
            (whole().replace("dev", "test"), "form"),
            (session.replace("SSSS", "SSST"), "form"),
            (String::new(), "form"),
            ("x".repeat(100_000), "form"),
        ] {
            let told = to_json(&look(&text));
            assert_eq!(told["whole"], json!(false));
            assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
        }
    }
}
