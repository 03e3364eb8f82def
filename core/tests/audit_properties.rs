//! The chain of the audit, for any entries: whole as it was written, and broken by any change.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tollgate_core::audit::{Broken, Draft, Head, Report, Tip, Verifier};
use tollgate_core::problem::Code;
use tollgate_core::time::UnixMillis;

/// No signature at all: what these tests change is never the head. That every bit of a head counts
/// is tested where there are signatures.
fn believed(_: &[u8; 32], _: &[u8], _: &[u8; 64]) -> bool {
    true
}

prop_compose! {
    fn draft()(
        at in 0_u64..4_000_000_000_000,
        texts in (".{0,30}", ".{0,30}", "[a-z-]{1,20}"),
        key in option::of("[0-9A-Za-z]{16}"),
        detail in vec((".{0,8}", ".{0,40}"), 0..4),
        fields in vec("[a-z_]{1,10}", 0..3),
        refused: bool,
    ) -> Draft {
        let members = detail.into_iter().map(|(name, value)| (name, Value::String(value)));
        let (kind, actor, tenant) = texts;
        Draft {
            at: UnixMillis::from_millis(at),
            kind,
            actor,
            tenant,
            key,
            call: refused.then(|| "POST keys/{id}/rotate".to_owned()),
            code: refused.then_some(Code::StateConflict),
            request_id: None,
            address: None,
            fields,
            detail: members.collect::<Map<_, _>>(),
            once: None,
        }
    }
}

/// The lines of the chain, and a head after each `page` of them.
fn written(drafts: &[Draft], page: usize) -> Vec<String> {
    let mut tip = Tip::default();
    let mut lines = Vec::new();
    let total = u64::try_from(drafts.len()).unwrap();
    for drafts in drafts.chunks(page) {
        let after = tip.clone();
        for draft in drafts {
            lines.push(tip.line("*", draft, draft.at, str::to_owned).unwrap());
        }
        let head = Head {
            chain: "*".to_owned(),
            after: after.seq,
            prev: after.hash,
            seq: tip.seq,
            hash: tip.hash.clone(),
            count: tip.seq - after.seq,
            last: total,
            at: "2026-11-22T03:43:49Z".to_owned(),
        };
        lines.push(Head::line(&head.text().unwrap(), &[0; 64], &"A".repeat(43)));
    }
    lines
}

fn verified(lines: &[String]) -> Result<Report, Broken> {
    let mut verifier = Verifier::new(believed, Vec::new());
    for line in lines {
        verifier.read(&[line.as_bytes(), b"\n"].concat())?;
    }
    verifier.end()
}

proptest! {
    #[test]
    fn any_chain_is_whole_as_written_and_broken_by_any_change(
        drafts in vec(draft(), 1..30),
        page in 1_usize..10,
        (at, other, bit) in (any::<Index>(), any::<Index>(), any::<Index>()),
    ) {
        let lines = written(&drafts, page);
        let report = verified(&lines).unwrap();
        prop_assert_eq!(report.count, drafts.len() as u64);
        prop_assert_eq!(report.chain, "*");
        for (line, draft) in lines.iter().filter(|line| !line.starts_with("{\"head\"")).zip(&drafts) {
            let read: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&read["actor"], &json!(draft.actor));
            let detail = read.get("detail").cloned().unwrap_or_else(|| json!({}));
            prop_assert_eq!(detail, json!(draft.detail));
        }

        let entries: Vec<usize> =
            (0..lines.len()).filter(|at| !lines[*at].starts_with("{\"head\"")).collect();
        let at = entries[at.index(entries.len())];
        let other = entries[other.index(entries.len())];
        // One bit of one entry.
        let mut bytes = lines[at].clone().into_bytes();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut verifier = Verifier::new(believed, Vec::new());
        let flipped = lines.iter().enumerate().try_for_each(|(n, line)| {
            let line = if n == at { bytes.as_slice() } else { line.as_bytes() };
            line.split_inclusive(|b| *b == b'\n').try_for_each(|part| {
                let ended = part.ends_with(b"\n");
                verifier.read(&[part, if ended { b"" } else { b"\n" }].concat())
            })
        });
        prop_assert!(flipped.is_err() || verifier.end().is_err());
        // One entry gone, doubled, or in the place of another.
        let mut changed = lines.clone();
        changed.remove(at);
        prop_assert!(verified(&changed).is_err());
        let mut changed = lines.clone();
        changed.insert(at, lines[at].clone());
        prop_assert!(verified(&changed).is_err());
        if at != other {
            let mut changed = lines.clone();
            changed.swap(at, other);
            prop_assert!(verified(&changed).is_err());
        }
        // The end gone, from any line on.
        prop_assert!(verified(&lines[..at]).is_err());
    }
}
