//! `Access-Control-Request-Headers`: the names of the headers that a page wants to send.
//!
//! Browsers send them in lower case, sorted, joined by a bare comma (Fetch section 4.8); proxies
//! may add blanks, split lines, and leave empty entries (RFC 9110 section 5.6.1). That much is
//! taken; the rest is malformed. All bounds are far beyond any real page.

use super::valid_token;

/// Bytes of the whole value.
const MAX_BYTES: usize = 4_096;
/// Entries, the empty ones too.
const MAX_ENTRIES: usize = 128;

/// The names in lower case, each once, in the order asked.
///
/// # Errors
/// The first entry that is no name, or where the list went over a bound, as [`shown`].
pub(super) fn names(value: &str) -> Result<Vec<String>, String> {
    if value.len() > MAX_BYTES {
        return Err(shown(value));
    }
    let mut names: Vec<String> = Vec::new();
    for (at, entry) in value.split(',').enumerate() {
        let entry = entry.trim_matches([' ', '\t']);
        if at >= MAX_ENTRIES {
            return Err(shown(entry));
        }
        if entry.is_empty() {
            continue;
        }
        if !valid_token(entry) {
            return Err(shown(entry));
        }
        let name = entry.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// At most 64 characters that can stand in a log line and on a page; `?` for all others.
pub(super) fn shown(entry: &str) -> String {
    entry.chars().take(64).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}
