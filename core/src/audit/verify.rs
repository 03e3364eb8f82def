//! Finding whatever was done to an export: any byte that is not as it was written.
//!
//! A file is one export, or several of one chain, one after the other, each with its signed head.
//! It may begin in the middle of a chain; then it is whole from there on, and says so.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::chain::{Head, SignedHead, Tip, hash_of, parts};

/// True when the signature over the text was made with the private half of the key.
pub type SignatureCheck = fn(public_key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> bool;

/// Reads a file line by line.
#[derive(Clone, Debug)]
pub struct Verifier {
    check: SignatureCheck,
    /// Whom heads must be signed by; empty: by whom they say.
    trusted: Vec<[u8; 32]>,
    /// Lines read.
    lines: u64,
    chain: Option<String>,
    /// What came before the file's first entry.
    start: Option<Tip>,
    /// What came before the first entry since the last head.
    section: Option<Tip>,
    /// The last entry.
    tip: Option<Tip>,
    /// The last head, if nothing came after it.
    head: Option<Head>,
    keys: Vec<String>,
}

/// A file in which everything is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The tenant of the chain; `*` is the one over all.
    pub chain: String,
    /// The number of the last entry before the file's first one; 0: it has the chain's beginning.
    pub after: u64,
    /// The number of its last entry.
    pub seq: u64,
    /// The hash of its last entry.
    pub hash: String,
    /// How many entries it has.
    pub count: u64,
    /// When its last head was signed.
    pub at: String,
    /// The keys that its heads are signed with.
    pub public_keys: Vec<String>,
}

/// The first line that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its number in the file, from 1. Where the end is missing, the number of the last line.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The file holds nothing.
    Empty,
    /// It is neither an entry nor a head.
    Malformed,
    /// Its bytes do not have the hash that it says.
    Changed,
    /// Entries are missing before it.
    Missing {
        /// The number of the first one.
        from: u64,
        /// The number of the last one.
        to: u64,
    },
    /// Its number does not come after the one before it.
    OutOfOrder {
        /// The number that should stand there.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// It was not written after the line before it.
    Unlinked,
    /// It is of another chain.
    OtherChain,
    /// The head does not fit the lines before it: one of those is missing or was put in.
    HeadMismatch,
    /// The head is not signed by whom it says.
    BadSignature,
    /// The head is signed with a key that is not trusted.
    OtherKey,
    /// The file ends before its last line is whole, or before a head.
    CutOff,
    /// The last head says that the chain goes on.
    Incomplete {
        /// The number of the chain's last entry when the head was signed.
        last: u64,
    },
}

impl Reason {
    /// Its name, for programs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::Changed => "changed",
            Self::Missing { .. } => "missing",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::Unlinked => "unlinked",
            Self::OtherChain => "other_chain",
            Self::HeadMismatch => "head_mismatch",
            Self::BadSignature => "bad_signature",
            Self::OtherKey => "other_key",
            Self::CutOff => "cut_off",
            Self::Incomplete { .. } => "incomplete",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("the file is empty"),
            Self::Malformed => out.write_str("neither an entry nor a head: it was changed"),
            Self::Changed => out.write_str("its hash does not fit: it was changed"),
            Self::Missing { from, to } if from == to => {
                write!(out, "entry {from} is missing before it")
            }
            Self::Missing { from, to } => {
                write!(out, "entries {from} to {to} are missing before it")
            }
            Self::OutOfOrder { expected, found } => {
                write!(out, "entry {found} stands where entry {expected} belongs")
            }
            Self::Unlinked => out.write_str("it does not follow the entry before it"),
            Self::OtherChain => out.write_str("it is of another chain"),
            Self::HeadMismatch => {
                out.write_str("the head does not fit the lines before it: some are missing or new")
            }
            Self::BadSignature => out.write_str("the head's signature does not fit"),
            Self::OtherKey => out.write_str("the head is signed with another key"),
            Self::CutOff => out.write_str("the end is missing: after it comes no signed head"),
            Self::Incomplete { last } => {
                write!(out, "the end is missing: the head says that the chain goes on to {last}")
            }
        }
    }
}

/// What is looked at in an entry; its hash stands for the rest.
#[derive(Deserialize)]
struct Entry {
    seq: u64,
    prev: String,
    chain: String,
}

impl Verifier {
    /// Reads nothing yet. Where `trusted` has keys, heads must be signed with one of them.
    pub fn new(check: SignatureCheck, trusted: Vec<[u8; 32]>) -> Self {
        Self {
            check,
            trusted,
            lines: 0,
            chain: None,
            start: None,
            section: None,
            tip: None,
            head: None,
            keys: Vec::new(),
        }
    }

    /// The next line, with the line break that ends it.
    ///
    /// # Errors
    /// When it is not as it was written. Nothing is to be read after that.
    pub fn read(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.lines = self.lines.saturating_add(1);
        let read = match line.strip_suffix(b"\n") {
            None => Err(Reason::CutOff),
            Some(line) if SignedHead::begins(line) => self.head(line),
            Some(line) => self.entry(line),
        };
        read.map_err(|reason| self.broken(reason))
    }

    /// Says what the file is, now that it has no more lines.
    ///
    /// # Errors
    /// When its end is missing.
    pub fn end(self) -> Result<Report, Broken> {
        if self.lines == 0 {
            return Err(self.broken(Reason::Empty));
        }
        let (Some(head), Some(start)) = (&self.head, &self.start) else {
            return Err(self.broken(Reason::CutOff));
        };
        if head.last > head.seq {
            return Err(self.broken(Reason::Incomplete { last: head.last }));
        }
        Ok(Report {
            chain: head.chain.clone(),
            after: start.seq,
            seq: head.seq,
            hash: head.hash.clone(),
            count: head.seq.saturating_sub(start.seq),
            at: head.at.clone(),
            public_keys: self.keys,
        })
    }

    fn broken(&self, reason: Reason) -> Broken {
        Broken { line: self.lines, reason }
    }

    fn entry(&mut self, line: &[u8]) -> Result<(), Reason> {
        let (body, hash) = parts(line).ok_or(Reason::Malformed)?;
        let entry: Entry = serde_json::from_slice(line).map_err(|_| Reason::Malformed)?;
        if hash_of(&entry.prev, body) != hash {
            return Err(Reason::Changed);
        }
        let before = entry.seq.checked_sub(1).ok_or(Reason::Malformed)?;
        let before = Tip { seq: before, hash: entry.prev };
        match &self.tip {
            Some(tip) => follows(tip, &before)?,
            None if before.seq == 0 => follows(&Tip::default(), &before)?,
            None => {}
        }
        self.of_chain(&entry.chain)?;
        self.start.get_or_insert_with(|| before.clone());
        self.section.get_or_insert(before);
        self.tip = Some(Tip { seq: entry.seq, hash: hash.to_owned() });
        self.head = None;
        Ok(())
    }

    fn head(&mut self, line: &[u8]) -> Result<(), Reason> {
        let signed = SignedHead::parse(line).ok_or(Reason::Malformed)?;
        let head: Head = serde_json::from_slice(signed.text).map_err(|_| Reason::Malformed)?;
        let key: [u8; 32] = decoded(signed.public_key).ok_or(Reason::Malformed)?;
        let signature: [u8; 64] = decoded(signed.signature).ok_or(Reason::Malformed)?;
        if !self.trusted.is_empty() && !self.trusted.contains(&key) {
            return Err(Reason::OtherKey);
        }
        if !(self.check)(&key, signed.text, &signature) {
            return Err(Reason::BadSignature);
        }
        self.of_chain(&head.chain)?;
        let to = Tip { seq: head.seq, hash: head.hash.clone() };
        let after = Tip { seq: head.after, hash: head.prev.clone() };
        let fits = match (self.section.take(), &self.tip) {
            (Some(section), Some(tip)) => section == after && *tip == to,
            // Of a chain without anything new: only by itself, so that none can be put in.
            _ => self.lines == 1 && after == to,
        };
        if !fits || head.seq.checked_sub(head.after) != Some(head.count) || head.last < head.seq {
            return Err(Reason::HeadMismatch);
        }
        self.start.get_or_insert(after);
        self.tip = Some(to);
        let key = BASE64URL_NOPAD.encode(&key);
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self.head = Some(head);
        Ok(())
    }

    fn of_chain(&mut self, chain: &str) -> Result<(), Reason> {
        let known = self.chain.get_or_insert_with(|| chain.to_owned());
        if known == chain { Ok(()) } else { Err(Reason::OtherChain) }
    }
}

/// Nothing, if what an entry stands on is what stands before it.
fn follows(tip: &Tip, before: &Tip) -> Result<(), Reason> {
    if before.seq > tip.seq {
        return Err(Reason::Missing { from: tip.seq.saturating_add(1), to: before.seq });
    }
    if before.seq < tip.seq {
        let (expected, found) = (tip.seq.saturating_add(1), before.seq.saturating_add(1));
        return Err(Reason::OutOfOrder { expected, found });
    }
    if before.hash == tip.hash { Ok(()) } else { Err(Reason::Unlinked) }
}

/// A public key as `GET audit/key` tells it.
pub fn public_key(text: &str) -> Option<[u8; 32]> {
    decoded(text.as_bytes())
}

/// So many bytes in base64url without padding, in their one spelling.
fn decoded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    BASE64URL_NOPAD.decode(text).ok()?.try_into().ok()
}
