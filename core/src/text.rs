//! Small work on texts: secrets that do not show themselves, base62, and "did you mean".

use core::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// A text that must not be shown: no Display, and Debug tells only that it is there.
///
/// Reading it is spelled [`Secret::expose`], so that every place that does can be found.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for comparing, signing, and sending to its one rightful receiver.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in time that depends on the lengths alone.
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// The digits of base62 in the order of their values.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `value` as exactly `width` base62 digits; what does not fit is cut off at the front.
pub fn base62(mut value: u64, width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let at = usize::try_from(value % 62).unwrap_or_default();
        *digit = BASE62.get(at).copied().unwrap_or(b'0');
        value /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// `width` base62 characters from random bytes, each equally likely.
///
/// A byte of 248 or more is passed over (62 * 4 = 248), which is what keeps the digits unbiased;
/// None when `random` runs out, so a caller hands in twice the width and asks again if need be.
pub fn random_base62(random: &[u8], width: usize) -> Option<String> {
    let digits = random.iter().filter(|byte| **byte < 248);
    let text: String = digits
        .take(width)
        .filter_map(|byte| BASE62.get(usize::from(byte % 62)))
        .map(|digit| char::from(*digit))
        .collect();
    (text.len() == width).then_some(text)
}

/// True for a text of base62 characters only; also for the empty one.
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The candidate that a writer of `name` most likely meant: at most two edits away, and nearer
/// than half of its own length.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 2 && edits.saturating_mul(2) < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance by bytes; names are short and ASCII.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        for (b, above) in to.bytes().zip(row.iter_mut().skip(1)) {
            let cost = diagonal.saturating_add(usize::from(a != b));
            diagonal = *above;
            left = cost.min(left.saturating_add(1)).min(above.saturating_add(1));
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let secret = Secret::new("hunter2hunter2hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert!(secret.matches("hunter2hunter2hunter2"));
        assert!(!secret.matches("hunter2"));
    }

    #[test]
    fn base62_has_a_fixed_width() {
        assert_eq!(base62(0, 6), "000000");
        assert_eq!(base62(61, 6), "00000z");
        assert_eq!(base62(u64::from(u32::MAX), 6), "4gfFC3");
    }

    #[test]
    fn random_base62_passes_over_biased_bytes_and_never_falls_short() {
        assert_eq!(random_base62(&[0, 250, 61, 62, 247], 4).as_deref(), Some("0z0z"));
        assert_eq!(random_base62(&[255; 64], 1), None);
    }

    #[test]
    fn suggestions_are_near_or_absent() {
        let fields = ["origins", "methods", "upstream", "auth"];
        assert_eq!(closest("orgins", fields), Some("origins"));
        assert_eq!(closest("method", fields), Some("methods"));
        assert_eq!(closest("x", fields), None);
        assert_eq!(closest("", fields), None);
    }
}
