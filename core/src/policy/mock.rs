//! `mock`: an answer of the gate itself in the place of an upstream.

use super::error::Wrong;
use super::reader::{Field, Shape};

pub(super) const MOCK: Shape =
    Shape { at: "route[].mock", fields: &["status", "content_type", "body"] };
pub(super) const MOCK_OVERRIDE: Shape =
    Shape { at: "environment.*.route.*.mock", fields: &["status", "content_type", "body"] };

/// A canned answer. Everything before the upstream is decided as ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mock {
    /// 200 to 599.
    pub status: u16,
    /// The value of `Content-Type`: visible ASCII and blanks.
    pub content_type: String,
    /// The whole body; empty for 204, 205 and 304.
    pub body: String,
}

pub(super) fn read(field: &Field<'_>, shape: &'static Shape) -> Option<Mock> {
    let table = field.table(shape)?;
    let status_at = table.field("status");
    let status = if status_at.is_given() {
        status_at.integer(&(200..=599)).and_then(|status| u16::try_from(status).ok())
    } else {
        Some(200)
    };
    let body_at = table.field("body");
    let body = body_at.text().unwrap_or_default().to_owned();
    if let Some(status @ (204 | 205 | 304)) = status.filter(|_| !body.is_empty()) {
        body_at.wrong(Wrong::new(format!("an answer with status {status} has no body")));
    }
    let content_type = table.field("content_type").parsed(media_type);
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    Some(Mock { status: status?, content_type, body })
}

fn media_type(text: &str) -> Result<String, Wrong> {
    let plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.trim() == text;
    let halves =
        text.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    if plain && halves {
        return Ok(text.to_owned());
    }
    Err(Wrong::help(format!("{text:?} is not a media type"), "as in application/json"))
}
