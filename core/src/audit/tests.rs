//! A chain in which one flipped bit anywhere is found.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::*;
use crate::time::Millis;
use data_encoding::BASE64URL_NOPAD;

const KEY: [u8; 32] = [7; 32];

/// Stands in for Ed25519, of which the core has no code: a MAC under the public key.
fn signature(key: &[u8; 32], text: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    for (half, part) in signature.chunks_mut(32).enumerate() {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(&[u8::try_from(half).unwrap()]);
        mac.update(text);
        part.copy_from_slice(&mac.finalize().into_bytes());
    }
    signature
}

fn check(key: &[u8; 32], text: &[u8], signed: &[u8; 64]) -> bool {
    signature(key, text) == *signed
}

fn draft(n: u64) -> Draft {
    let refused = n.is_multiple_of(3);
    Draft {
        at: UnixMillis::from_millis(1_795_319_029_000 + n),
        kind: if refused { "management.refused" } else { "key.updated" }.to_owned(),
        actor: "root".to_owned(),
        tenant: "acme".to_owned(),
        key: Some("abcdefghij012345".to_owned()),
        call: refused.then(|| "PATCH keys/{id}".to_owned()),
        code: refused.then_some(Code::VersionConflict),
        request_id: Some(format!("0Vbfu4rRxUBt34a5{n:04}")),
        address: n.is_multiple_of(2).then(|| "2001:db8::1".to_owned()),
        fields: if refused { vec![] } else { vec!["tags".to_owned(), "limits".to_owned()] },
        // What looks like the end of a line is not one.
        detail: json!({ "ä\n": "\u{0}\",\"hash\":\"", "hash": { "a": 1, "hash": "0".repeat(64) } })
            .as_object()
            .unwrap()
            .clone(),
        once: Some(n.to_string()),
    }
}

/// A chain's lines after `after`, and their head.
fn export(tip: &mut Tip, count: u64, last: u64) -> Vec<String> {
    let after = tip.clone();
    let mut lines: Vec<String> = (0..count)
        .map(|n| {
            tip.line("acme", &draft(after.seq + n), draft(after.seq + n).at, str::to_owned).unwrap()
        })
        .collect();
    lines.push(head(&after, tip, last, &KEY));
    lines
}

fn head(after: &Tip, tip: &Tip, last: u64, key: &[u8; 32]) -> String {
    let head = Head {
        chain: "acme".to_owned(),
        after: after.seq,
        prev: after.hash.clone(),
        seq: tip.seq,
        hash: tip.hash.clone(),
        count: tip.seq - after.seq,
        last,
        at: "2026-11-22T03:43:49Z".to_owned(),
    };
    let text = head.text().unwrap();
    Head::line(&text, &signature(key, text.as_bytes()), &BASE64URL_NOPAD.encode(key))
}

fn file(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn verify(bytes: &[u8]) -> Result<Report, Broken> {
    trusting(bytes, Vec::new())
}

fn trusting(bytes: &[u8], keys: Vec<[u8; 32]>) -> Result<Report, Broken> {
    read(Verifier::new(check, keys), bytes)
}

fn read(mut verifier: Verifier, bytes: &[u8]) -> Result<Report, Broken> {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        verifier.read(line)?;
    }
    verifier.end()
}

fn reason(lines: &[String]) -> &'static str {
    verify(&file(lines)).map_or_else(|broken| broken.reason.as_str(), |_| "whole")
}

/// Two exports, one after the other, the way the command line pages.
fn paged() -> Vec<String> {
    let mut tip = Tip::default();
    let mut lines = export(&mut tip, 7, 20);
    lines.extend(export(&mut tip, 13, 20));
    lines
}

#[test]
fn a_line_says_what_happened_and_what_it_stands_on() {
    let mut tip = Tip::default();
    let later = draft(3).at.plus(Millis::millis(35));
    let first = tip.line("acme", &draft(3), later, str::to_owned).unwrap();
    let hash = tip.hash.clone();
    let second = tip.line("acme", &draft(1), draft(1).at, |text| text.replace("2001", "")).unwrap();
    let read: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        read,
        json!({
            "seq": 1, "prev": "0".repeat(64), "chain": "acme", "at": "2026-11-22T03:43:49.003Z",
            "recorded_at": "2026-11-22T03:43:49.038Z",
            "type": "management.refused", "actor": "root", "tenant": "acme",
            "key": "abcdefghij012345", "call": "PATCH keys/{id}", "code": "version_conflict",
            "request_id": "0Vbfu4rRxUBt34a50003", "detail": draft(3).detail, "hash": hash,
        })
    );
    assert!(first.ends_with(&format!(r#","hash":"{hash}"}}"#)));
    let read: Value = serde_json::from_str(&second).unwrap();
    assert_eq!((&read["seq"], &read["prev"]), (&json!(2), &json!(hash)));
    assert_eq!(read["fields"], json!(["tags", "limits"]));
    assert_eq!(Tip::of(2, &second), Some(tip));
    assert_eq!(Tip::of(2, &second[1..second.len() - 1]), None);
}

/// The rule as the docs say it, worked out by hand.
#[test]
fn the_hash_is_over_the_bytes_in_front_of_it() {
    use sha2::Digest;
    let mut tip = Tip::default();
    let line = tip.line("*", &draft(1), draft(1).at, str::to_owned).unwrap();
    let (body, _) = line.rsplit_once(r#","hash":"#).unwrap();
    let sha = Sha256::digest(format!("{}\n{body}", "0".repeat(64)));
    assert_eq!(data_encoding::HEXLOWER.encode(&sha), tip.hash);
}

#[test]
fn whole_files_are_whole() {
    let lines = paged();
    let report = verify(&file(&lines)).unwrap();
    assert_eq!((report.after, report.seq, report.count), (0, 20, 20));
    assert_eq!((report.chain.as_str(), report.at.as_str()), ("acme", "2026-11-22T03:43:49Z"));
    assert_eq!(report.public_keys, [BASE64URL_NOPAD.encode(&KEY)]);
    assert!(trusting(&file(&lines), vec![[1; 32], KEY]).is_ok());
    // From the middle on.
    let later = verify(&file(&lines[8..])).unwrap();
    assert_eq!((later.after, later.seq, later.count), (7, 20, 13));
    // Of a chain without anything new, and of one without anything at all.
    let tip = Tip { seq: 20, hash: report.hash.clone() };
    let empty = verify(&file(&[head(&tip, &tip, 20, &KEY)])).unwrap();
    assert_eq!((empty.after, empty.seq, empty.count, empty.hash), (20, 20, 0, report.hash));
    let start = Tip::default();
    assert_eq!(verify(&file(&[head(&start, &start, 0, &KEY)])).unwrap().seq, 0);
    // A file that only says where it begins, and then goes on.
    let mut tip = Tip::default();
    let mut lines = vec![head(&tip, &tip, 0, &KEY)];
    lines.extend(export(&mut tip, 2, 2));
    assert_eq!(verify(&file(&lines)).unwrap().count, 2);
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let whole = file(&paged());
    // What stands before a flipped line is read as ever: it is not read anew for each bit.
    let mut before = Verifier::new(check, Vec::new());
    let mut start = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = whole[start..].to_vec();
        for at in 0..line.len() {
            for bit in 0..8 {
                rest[at] ^= 1 << bit;
                assert!(read(before.clone(), &rest).is_err(), "byte {} bit {bit}", start + at);
                rest[at] ^= 1 << bit;
            }
        }
        before.read(line).unwrap();
        start += line.len();
    }
    assert!(start > 8_000 && before.end().is_ok());
}

#[test]
fn a_file_that_is_cut_anywhere_is_not_whole() {
    let whole = file(&paged());
    for length in 0..whole.len() {
        assert!(verify(&whole[..length]).is_err(), "{length}");
    }
    for extra in [&b"\n"[..], b" ", b"{}\n", b"\0"] {
        assert!(verify(&[&whole[..], extra].concat()).is_err());
    }
}

#[test]
fn a_line_that_is_gone_doubled_or_moved_is_found() {
    let lines = paged();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        // Nothing but the first export's lines and head may go, all of them together.
        assert_ne!(reason(&without), "whole", "without {at}");
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        assert_ne!(reason(&doubled), "whole", "{at} doubled");
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            assert_ne!(reason(&swapped), "whole", "{at} and {other} swapped");
            let mut moved = lines.clone();
            let line = moved.remove(at);
            moved.insert(other, line);
            assert_ne!(reason(&moved), "whole", "{at} moved to {other}");
            let mut gap = lines.clone();
            gap.drain(at..other);
            // The first export as a whole, so that the file begins in the middle of the chain.
            let middle = at == 0 && other == 8;
            assert_eq!(reason(&gap) == "whole", middle, "without {at} to {other}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let lines = paged();
    let with = |at: usize, line: String| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines
    };
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines
    };
    // Somebody rewrites an entry, and all hashes from there on, but cannot sign.
    let mut tip = Tip::of(3, &lines[2]).unwrap();
    let mut rewritten = lines.clone();
    for (line, n) in rewritten.iter_mut().skip(3).take(4).zip(100..) {
        *line = tip.line("acme", &draft(n), draft(n).at, str::to_owned).unwrap();
    }
    // Somebody does that, and signs with a key of their own.
    let mut forged = rewritten[..7].to_vec();
    forged.push(head(&Tip::default(), &tip, 7, &[9; 32]));
    let mut other = Tip::of(3, &lines[2]).unwrap();
    let mut fork = Tip::of(2, &lines[1]).unwrap();
    fork.line("acme", &draft(50), draft(50).at, str::to_owned).unwrap();
    for (lines, line, reason) in [
        (vec![], 0, "empty"),
        (with(3, "{}".to_owned()), 4, "malformed"),
        (with(3, String::new()), 4, "malformed"),
        (with(7, lines[7].replace("Ed25519", "Ed25518")), 8, "malformed"),
        (with(3, lines[3].replace("root", "nobody")), 4, "changed"),
        (without(3), 4, "missing"),
        (with(3, lines[2].clone()), 4, "out_of_order"),
        (with(3, fork.line("acme", &draft(3), draft(3).at, str::to_owned).unwrap()), 4, "unlinked"),
        (
            with(3, other.line("other", &draft(3), draft(3).at, str::to_owned).unwrap()),
            4,
            "other_chain",
        ),
        (without(7), 21, "head_mismatch"),
        (rewritten.clone(), 8, "head_mismatch"),
        (with(7, lines[7].replace(r#""count":7"#, r#""count":6"#)), 8, "bad_signature"),
        (lines[..20].to_vec(), 20, "cut_off"),
        (lines[..8].to_vec(), 8, "incomplete"),
    ] {
        let broken = verify(&file(&lines)).unwrap_err();
        assert_eq!((broken.line, broken.reason.as_str()), (line, reason));
        assert!(!broken.reason.to_string().is_empty());
    }
    assert_eq!(
        verify(&file(&without(3))).unwrap_err().reason.to_string(),
        "entry 4 is missing before it"
    );
    // Only the right key tells that it is a forgery.
    assert!(verify(&file(&forged)).is_ok());
    let broken = trusting(&file(&forged), vec![KEY]).unwrap_err();
    assert_eq!((broken.line, broken.reason), (8, Reason::OtherKey));
    // Heads that say of themselves what they are not.
    let tip = Tip::of(7, &lines[6]).unwrap();
    for head in [
        head(&Tip { seq: 1, ..Tip::default() }, &tip, 20, &KEY),
        head(&Tip { seq: 0, hash: tip.hash.clone() }, &tip, 20, &KEY),
        head(&Tip::default(), &tip, 6, &KEY),
    ] {
        assert_eq!(reason(&with(7, head)), "head_mismatch");
    }
}

#[test]
fn an_answer_of_lines_is_read_as_it_was_written() {
    let lines = ["{\"a\":1}".to_owned(), "{\"b\":\"\\n\"}".to_owned()];
    let text = Reply::write(&Paged { next: Some(7) }, &lines).unwrap();
    assert_eq!(text, "{\"next\":7}\n{\"a\":1}\n{\"b\":\"\\n\"}\n");
    let read: (Paged, &str) = Reply::read(&text).unwrap();
    assert_eq!(read, (Paged { next: Some(7) }, "{\"a\":1}\n{\"b\":\"\\n\"}\n"));
    assert_eq!(Reply::read::<Paged>("{\"next\":null}"), None);
}
