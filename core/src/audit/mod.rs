//! The audit: every management act, also the refused ones, and everything that happened to keys,
//! in a chain of SHA-256 hashes, one chain per tenant and one over all (SPEC section 8).
//!
//! Scope: what an entry says ([`Draft`]), the line that it becomes ([`Tip::line`]), the head of an
//! export that is signed ([`Head`]), and finding whatever was done to an export ([`Verifier`]).
//! Out of scope: keeping lines, which is the tenant's object's; signing, which is the platform's.

mod chain;
mod hush;
mod verify;

pub use chain::{Head, Tip, signing_seed};
pub use hush::Hush;
pub use verify::{Broken, Reason, Report, SignatureCheck, Verifier, public_key};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::Code;
use crate::time::UnixMillis;

/// Something that happened, before it has its place in a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// When.
    pub at: UnixMillis,
    /// What: `key.created`, `session.opened`, `management.refused` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who did it: the id of an admin key, `root`, or `gate` for what came by itself.
    pub actor: String,
    /// The tenant that it concerns; `*` for what concerns the gate.
    pub tenant: String,
    /// The key that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The management call, such as `POST keys/{id}/rotate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Why it was refused; None: it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The `X-Request-Id` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The address that the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The names of the fields that changed. Never their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What belongs to this type alone.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
    /// Names the occurrence, so that one that is delivered twice is written down once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<String>,
}

/// What the keeper of a chain is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditRequest {
    /// Put these at the end of the chain, in order. Answered with `{}`.
    Append(Vec<Draft>),
    /// Some entries, newest first. Answered with [`Paged`] and the lines, as [`Reply`].
    Page(AuditQuery),
    /// Whole lines, oldest first. Answered with [`Exported`] and the lines, as [`Reply`].
    Export {
        /// Those after this one.
        after: u64,
        /// At most so many.
        limit: u64,
    },
}

/// Which entries to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    /// At most so many.
    pub limit: u64,
    /// Older than this one. It names an entry, and entries only ever come after the newest: what is
    /// written while somebody pages through disturbs no page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// About this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Done by this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Happened then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UnixMillis>,
    /// Happened before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UnixMillis>,
}

/// What goes before the lines of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paged {
    /// Where the next page begins; None on the last one.
    pub next: Option<u64>,
}

/// What goes before the lines of an export: what its head says of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The end of the chain before the first line.
    pub after: Tip,
    /// The last line.
    pub to: Tip,
    /// The number of the chain's last entry at that moment.
    pub last: u64,
}

/// An answer that is made of lines: JSON about them, and then the lines as they are. They are not
/// put into JSON once more, which would make them larger by a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply;

impl Reply {
    /// The answer.
    pub fn write(about: &impl Serialize, lines: &[String]) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(about)?;
        text.push('\n');
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        Ok(text)
    }

    /// What is said of the lines, and the lines, each with its line break.
    pub fn read<T: for<'t> Deserialize<'t>>(text: &str) -> Option<(T, &str)> {
        let (about, lines) = text.split_once('\n')?;
        Some((serde_json::from_str(about).ok()?, lines))
    }
}

#[cfg(test)]
mod tests;
