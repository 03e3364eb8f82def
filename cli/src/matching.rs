//! `tollgate match`: would an allow-list let this origin or this address in?

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::address::{Cidr, parse_address};
use tollgate_core::origin::OriginPattern;

use crate::suffixes::PublicSuffixList;

/// Try an origin or an address against an allow-list.
///
/// Exits with 0 if it matches, 1 if it does not, 2 if a pattern is invalid.
#[derive(Args, Clone, Debug)]
pub(crate) struct MatchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Try the value of an `Origin` header, as a browser sends it.
    Origin {
        /// Patterns: an exact origin, `https://*.example.com`, `:*` for any port, or `*`.
        #[arg(long = "allow", value_name = "PATTERN", required = true, num_args = 1..)]
        allow: Vec<String>,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
        /// The received origin.
        origin: String,
    },
    /// Try a client's address.
    Ip {
        /// Networks such as `192.0.2.0/24` and `2001:db8::/32`, or single addresses.
        #[arg(long = "allow", value_name = "CIDR", required = true, num_args = 1..)]
        allow: Vec<String>,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
        /// The client's address.
        address: String,
    },
}

/// The entry that matched, if any; or every entry that is wrong.
type Answer = Result<Option<String>, Vec<String>>;

/// Prints the answer, and returns the exit code that tells it.
pub(crate) fn run(args: &MatchArgs) -> ExitCode {
    match &args.what {
        What::Origin { allow, json, origin } => tell(&match_origin(allow, origin), *json),
        What::Ip { allow, json, address } => tell(&match_address(allow, address), *json),
    }
}

/// Blanks and tabs around the origin are dropped, as around any field's value before the gate
/// sees it (RFC 9110 section 5.5).
fn match_origin(allow: &[String], origin: &str) -> Answer {
    let origin = origin.trim_matches([' ', '\t']);
    first_match(allow, |text| {
        if text == "*" {
            return Ok(true);
        }
        OriginPattern::parse(text, &PublicSuffixList).map(|pattern| pattern.matches(origin))
    })
}

/// What is no address lies in no network.
fn match_address(allow: &[String], address: &str) -> Answer {
    let address = parse_address(address);
    first_match(allow, |text| {
        Cidr::parse(text).map(|network| address.is_some_and(|address| network.contains(address)))
    })
}

/// Reads every entry, so that a wrong one is told even behind one that matches.
fn first_match<E: std::fmt::Display>(
    allow: &[String],
    matches: impl Fn(&str) -> Result<bool, E>,
) -> Answer {
    let mut first = None;
    let mut errors = Vec::new();
    for text in allow {
        match matches(text) {
            Ok(true) => first = first.or_else(|| Some(text.clone())),
            Ok(false) => {}
            Err(error) => errors.push(format!("{text:?}: {error}")),
        }
    }
    if errors.is_empty() { Ok(first) } else { Err(errors) }
}

fn tell(answer: &Answer, as_json: bool) -> ExitCode {
    if as_json {
        println!("{}", to_json(answer));
    } else {
        match answer {
            Ok(Some(pattern)) => println!("match: {pattern}"),
            Ok(None) => println!("no match"),
            Err(errors) => errors.iter().for_each(|error| eprintln!("error: {error}")),
        }
    }
    match answer {
        Ok(Some(_)) => ExitCode::SUCCESS,
        Ok(None) => ExitCode::from(1),
        Err(_) => ExitCode::from(2),
    }
}

fn to_json(answer: &Answer) -> Value {
    match answer {
        Ok(pattern) => json!({ "match": pattern.is_some(), "pattern": pattern }),
        Err(errors) => json!({ "error": errors.join("; ") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn origins_are_told_by_the_entry_that_matched() {
        for (allow, origin, expected, reason) in [
            (&["https://a.example"][..], "https://a.example", Some("https://a.example"), "exact"),
            (&["https://a.example", "*"], "null", Some("*"), "`*` is for every origin"),
            (&["https://a.example"], " https://a.example\t", Some("https://a.example"), "blanks"),
            (&["https://a.example"], "https://a.example\u{b}", None, "not a blank of HTTP"),
            (&["https://a.example"], "", None, "empty"),
        ] {
            let answer = match_origin(&list(allow), origin);
            assert_eq!(answer, Ok(expected.map(ToOwned::to_owned)), "{reason}");
        }
    }

    #[test]
    fn every_wrong_entry_is_told_even_beside_one_that_matches() {
        let allow = list(&["*", "https://*.github.io", "https://a.example/"]);
        let errors = match_origin(&allow, "https://a.example").unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[1].ends_with("write https://a.example"), "{}", errors[1]);
    }

    #[test]
    fn what_is_no_address_matches_nothing() {
        for (allow, address, expected) in [
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("0.0.0.0/0", "192.0.2.7, 10.0.0.1", false),
            ("0.0.0.0/0", "unknown", false),
        ] {
            let answer = match_address(&list(&[allow]), address);
            assert_eq!(answer.map(|entry| entry.is_some()), Ok(expected), "{address}");
        }
    }

    #[test]
    fn json_tells_the_same() {
        for (answer, expected) in [
            (Ok(Some("*".to_owned())), r#"{"match":true,"pattern":"*"}"#),
            (Ok(None), r#"{"match":false,"pattern":null}"#),
            (Err(list(&["one", "two"])), r#"{"error":"one; two"}"#),
        ] {
            assert_eq!(to_json(&answer).to_string(), expected);
        }
    }
}
