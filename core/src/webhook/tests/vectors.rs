//! One event of every scheme that is right, byte by byte.
//!
//! What is published stands in the provider's documentation or in the tests of its SDK; what is
//! computed was made with Python's `hmac` and Node's `crypto`, from the provider's description.

use std::sync::LazyLock;

use serde::Deserialize;

/// A request that is right.
#[derive(Deserialize)]
pub(super) struct Right {
    pub(super) scheme: String,
    /// Where it comes from.
    pub(super) from: String,
    pub(super) secret: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Seconds since 1970.
    pub(super) now: u64,
    pub(super) id: Option<String>,
    pub(super) id_signed: bool,
    /// Whether every byte of the body is sure.
    pub(super) whole: bool,
}

pub(super) static RIGHT: LazyLock<Vec<Right>> =
    LazyLock::new(|| serde_json::from_str(include_str!("vectors.json")).unwrap());
