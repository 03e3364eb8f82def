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

/// The type of the entry about a webhook that could not be delivered.
pub const WEBHOOK_DEAD: &str = "webhook.dead";

impl Draft {
    /// Something that came by itself.
    pub fn by_gate(kind: &str, tenant: &str, at: UnixMillis) -> Self {
        Self {
            at,
            kind: kind.to_owned(),
            actor: "gate".to_owned(),
            tenant: tenant.to_owned(),
            key: None,
            call: None,
            code: None,
            request_id: None,
            address: None,
            fields: Vec::new(),
            detail: Map::new(),
            once: None,
        }
    }

    /// A webhook of this source was given up: the inbox has it as a dead letter. `status` is that of
    /// the last answer, if there was one. It goes into the chain of the source's tenant, and into the
    /// one over all.
    pub fn webhook_dead(
        source: &str,
        event: &str,
        tenant: &str,
        attempts: u32,
        status: Option<u16>,
        at: UnixMillis,
    ) -> Self {
        let mut draft = Self::by_gate(WEBHOOK_DEAD, tenant, at);
        draft.detail.insert("source".to_owned(), source.into());
        draft.detail.insert("event".to_owned(), event.into());
        draft.detail.insert("attempts".to_owned(), attempts.into());
        draft.detail.insert("status".to_owned(), serde_json::json!(status));
        // One that is replayed may die once more.
        draft.once = Some(format!("{WEBHOOK_DEAD}/{source}/{event}/{}", at.as_millis()));
        draft
    }
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
    /// Events are wanted: have the keeper of endpoints told of those to come. Answered with
    /// [`Watched`].
    Watch,
    /// Lines of these types, oldest first, and then as `Watch`. Answered with [`Watched`] and the lines,
    /// as [`Reply`].
    Follow {
        /// Those after this one.
        after: u64,
        /// Of these types.
        types: Vec<String>,
        /// At most so many.
        limit: u64,
    },
}

/// How far a chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The number of its last entry.
    pub last: u64,
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
