//! `tollgate audit verify`: is an export as it was written? Offline.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tollgate_core::audit::{Broken, Report, Verifier, public_key};

/// The longest line that is read; a real one is a few KiB at the most.
const MAX_LINE: u64 = 1024 * 1024;

#[derive(Args, Clone, Debug)]
pub(super) struct VerifyArgs {
    /// The export; - reads standard input.
    file: PathBuf,
    /// The gate's public key, as `tollgate audit key` prints it. More than once for a gate whose
    /// key was changed. Without it, heads are checked against the keys in the file alone.
    #[arg(long, value_name = "KEY", value_parser = key)]
    public_key: Vec<[u8; 32]>,
}

impl VerifyArgs {
    pub(super) fn run(&self, json: bool) -> Result<ExitCode> {
        let cannot = || format!("cannot read {}", self.file.display());
        let mut lines: Box<dyn BufRead> = if self.file == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).with_context(cannot)?))
        };
        let trusted = !self.public_key.is_empty();
        let found = read(&mut lines, self.public_key.clone()).with_context(cannot)?;
        match (&found, json) {
            (Ok(report), true) => {
                let mut told = told(report);
                told.as_object_mut()
                    .map(|members| members.insert("trusted".into(), trusted.into()));
                println!("{told}");
            }
            (Ok(report), false) => print!("{}", whole(report, trusted)),
            (Err(broken), true) => println!(
                "{}",
                json!({ "valid": false, "line": broken.line, "reason": broken.reason.as_str(),
                    "detail": broken.reason.to_string() })
            ),
            (Err(broken), false) => {
                println!("changed: line {}: {}", broken.line, broken.reason);
            }
        }
        Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn key(text: &str) -> Result<[u8; 32], &'static str> {
    public_key(text).ok_or("is no Ed25519 public key in base64url (43 characters)")
}

fn read(lines: &mut impl BufRead, trusted: Vec<[u8; 32]>) -> io::Result<Result<Report, Broken>> {
    let mut verifier = Verifier::new(is_signed, trusted);
    while let Some(line) = line_of(lines)? {
        if let Err(broken) = verifier.read(&line) {
            return Ok(Err(broken));
        }
    }
    Ok(verifier.end())
}

/// The next line with its line break; the last one may have none.
pub(super) fn line_of(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(Some(line).filter(|line| !line.is_empty()))
}

/// True when the Ed25519 signature over the text fits the public key.
pub(super) fn is_signed(public_key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(text, signature).is_ok()
}

/// What a whole file is, for programs.
pub(super) fn told(report: &Report) -> Value {
    let Report { chain, after, seq, hash, count, at, public_keys } = report;
    json!({ "valid": true, "chain": chain, "after": after, "seq": seq, "hash": hash,
        "count": count, "at": at, "public_keys": public_keys })
}

/// The same for people.
fn whole(report: &Report, trusted: bool) -> String {
    let Report { chain, after, seq, count, at, public_keys, .. } = report;
    let mut told = format!("whole: {count} entries of the chain {chain}, up to {seq}, at {at}\n");
    if *after > 0 {
        told.push_str(&format_args!("It begins after entry {after}.\n").to_string());
    }
    let keys = public_keys.join(" ");
    if trusted {
        told.push_str(&["Signed with ", &keys, "\n"].concat());
    } else {
        told.push_str(&["Its head was only checked against the key in the file, ", &keys].concat());
        told.push_str(
            ".\nWhoever changed all of it could have signed it anew: say --public-key.\n",
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::Map;
    use tollgate_core::audit::{Draft, Head, Tip};
    use tollgate_core::time::UnixMillis;

    use super::*;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    /// A file of twenty entries and their head.
    fn file(signed_by: &Ed25519KeyPair, after: u64) -> String {
        let mut tip = Tip { seq: after, ..Tip::default() };
        let start = tip.clone();
        let mut file = String::new();
        for n in 1..=20 {
            let draft = Draft {
                at: UnixMillis::from_secs(1_795_319_029 + n),
                kind: "key.updated".to_owned(),
                actor: "root".to_owned(),
                tenant: "acme".to_owned(),
                key: Some("abcdefghij012345".to_owned()),
                call: None,
                code: None,
                request_id: None,
                address: None,
                fields: vec!["tags".to_owned()],
                detail: Map::new(),
                once: None,
            };
            file.push_str(&tip.line("acme", &draft, draft.at, str::to_owned).unwrap());
            file.push('\n');
        }
        let head = Head {
            chain: "acme".to_owned(),
            after,
            prev: start.hash,
            seq: tip.seq,
            hash: tip.hash,
            count: 20,
            last: tip.seq,
            at: "2026-11-22T03:43:49Z".to_owned(),
        };
        let text = head.text().unwrap();
        let signature = signed_by.sign(text.as_bytes());
        let line = Head::line(&text, signature.as_ref(), &public(signed_by));
        file + &line + "\n"
    }

    /// A public key as it is told.
    fn public(pair: &Ed25519KeyPair) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bits = 0_u32;
        let mut held = 0;
        let mut text = String::new();
        for byte in pair.public_key().as_ref() {
            bits = bits << 8 | u32::from(*byte);
            held += 8;
            while held >= 6 {
                held -= 6;
                text.push(char::from(DIGITS[(bits >> held & 63) as usize]));
            }
        }
        text.push(char::from(DIGITS[(bits << (6 - held) & 63) as usize]));
        text
    }

    fn verified(bytes: &[u8], trusted: Vec<[u8; 32]>) -> Result<Report, Broken> {
        read(&mut BufReader::new(bytes), trusted).unwrap()
    }

    #[test]
    fn a_whole_file_says_what_it_is() {
        let (gate, other) = (pair(7), pair(9));
        let report = verified(file(&gate, 0).as_bytes(), Vec::new()).unwrap();
        let told = whole(&report, false);
        assert!(told.starts_with("whole: 20 entries of the chain acme, up to 20, at 2026-11-22"));
        assert!(told.contains("only checked against the key in the file"));
        let trusted = key(&public(&gate)).unwrap();
        let later = verified(file(&gate, 5).as_bytes(), vec![trusted]).unwrap();
        let told = whole(&later, true);
        assert!(told.contains("It begins after entry 5.") && !told.contains("only checked"));
        let stranger = key(&public(&other)).unwrap();
        assert!(verified(file(&gate, 0).as_bytes(), vec![stranger, trusted]).is_ok());
        let broken = verified(file(&other, 0).as_bytes(), vec![trusted]).unwrap_err();
        assert_eq!((broken.line, broken.reason.as_str()), (21, "other_key"));
        assert!(key("short").is_err());
    }

    /// The signature is Ed25519's own here; that of the core's tests is not.
    #[test]
    fn one_flipped_bit_of_the_head_is_found() {
        let whole = file(&pair(7), 0).into_bytes();
        let head = whole.len() - 1 - whole.iter().rev().skip(1).position(|b| *b == b'\n').unwrap();
        for at in head..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(verified(&flipped, Vec::new()).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_not_read_into_memory() {
        let endless = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 1];
        let line = line_of(&mut BufReader::new(endless.as_slice())).unwrap().unwrap();
        assert_eq!(line.len() as u64, MAX_LINE);
        assert!(verified(&endless, Vec::new()).is_err());
    }
}
