//! Keeping a client's query from naming what the gate sets.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Unreserved characters of RFC 3986 stand as they are.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `query` without the parameters that a backend could take for one of `protected`.
///
/// A query that names none of them is passed on as it was sent, byte by byte. Readers of queries
/// differ, so a name counts in every reading: decoded, with `+` as a blank, split at `;` too, up
/// to a bracket (`tenant[]`), and with `_`, `-`, `.` and blanks as one (PHP folds them).
pub fn clean_query(query: Option<&str>, protected: &[&str]) -> Option<String> {
    let query = query?;
    if protected.is_empty() {
        return Some(query.to_owned());
    }
    let kept = query.split('&').filter(|item| !names_any(item, protected));
    Some(kept.collect::<Vec<_>>().join("&"))
}

/// A value for a query, encoded.
pub fn encode_query_value(value: &str) -> String {
    utf8_percent_encode(value, VALUE).to_string()
}

fn names_any(item: &str, protected: &[&str]) -> bool {
    item.split(';').any(|pair| {
        let raw = pair.split('=').next().unwrap_or_default().replace('+', " ");
        // Decoded twice: some backends do, and the gate forwards what they would read.
        let once = percent_decode_str(&raw).decode_utf8_lossy().into_owned();
        let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
        [&once, &twice].iter().any(|name| {
            let name = name.split('[').next().unwrap_or_default();
            protected.iter().any(|protected| same_parameter(name, protected))
        })
    })
}

fn same_parameter(a: &str, b: &str) -> bool {
    let folded = |text: &str| -> Vec<u8> {
        let trimmed = text.trim().trim_end_matches('\0');
        let fold = |byte: u8| match byte {
            b'_' | b'.' | b' ' => b'-',
            other => other.to_ascii_lowercase(),
        };
        trimmed.bytes().map(fold).collect()
    };
    folded(a) == folded(b)
}
