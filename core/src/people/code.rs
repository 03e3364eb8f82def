//! Codes that people type once: with which they enrol, and with which they get in without their
//! authenticator app.

use crate::text::Secret;

/// Codes with which somebody gets in without the app.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes that one code takes, of either sort.
pub const CODE_BYTES: usize = 16;

/// RFC 4648 base32: no two of these look alike.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The two sorts of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSort {
    /// From whoever made the key, to its holder: 80 bits.
    Enrolment,
    /// Kept for the day on which the app is gone: 50 bits, behind a growing pause.
    Recovery,
}

impl CodeSort {
    /// A fresh code, as it is shown: groups of letters and digits.
    pub fn make(self, random: &[u8; CODE_BYTES]) -> Secret {
        let letters: String = random
            .iter()
            .take(self.length())
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
            .map(|letter| char::from(*letter))
            .collect();
        let mut shown = String::new();
        for (at, letter) in letters.chars().enumerate() {
            if at > 0 && at.is_multiple_of(self.group()) {
                shown.push('-');
            }
            shown.push(letter);
        }
        Secret::new(shown)
    }

    /// What somebody typed, in the one form that it is kept in: without groups, in capitals, and
    /// with the letters for which digits that no code has are taken. None for what is no code.
    pub fn read(self, typed: &str) -> Option<Secret> {
        let code: String = typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                other => other,
            })
            .collect();
        let fits = code.len() == self.length() && code.bytes().all(|byte| ALPHABET.contains(&byte));
        fits.then(|| Secret::new(code))
    }

    const fn length(self) -> usize {
        match self {
            Self::Enrolment => 16,
            Self::Recovery => 10,
        }
    }

    const fn group(self) -> usize {
        match self {
            Self::Enrolment => 4,
            Self::Recovery => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_in_groups_and_read_however_it_is_typed() {
        let random: [u8; 16] = core::array::from_fn(|at| u8::try_from(at * 17).unwrap());
        let enrolment = CodeSort::Enrolment.make(&random);
        assert_eq!(enrolment.expose(), "ARCT-EVGX-IZK3-M5O7");
        let recovery = CodeSort::Recovery.make(&random);
        assert_eq!(recovery.expose(), "ARCTE-VGXIZ");
        for (sort, typed, code) in [
            (CodeSort::Enrolment, "ARCT-EVGX-IZK3-M5O7", Some("ARCTEVGXIZK3M5O7")),
            (CodeSort::Enrolment, " arct evgx izk3 m507\n", Some("ARCTEVGXIZK3M5O7")),
            (CodeSort::Enrolment, "ARCTE-VGXIZ", None),
            (CodeSort::Recovery, "arcte-vgx1z", Some("ARCTEVGXIZ")),
            (CodeSort::Recovery, "8rcte vgxiz", Some("BRCTEVGXIZ")),
            (CodeSort::Recovery, "ARCTE-VGXI", None),
            (CodeSort::Recovery, "ARCTE-VGXI9", None),
            (CodeSort::Recovery, "ARCTE_VGXIZ", None),
            (CodeSort::Recovery, "", None),
            (CodeSort::Recovery, "ÄRCTEVGXI", None),
        ] {
            let read = sort.read(typed);
            assert_eq!(read.as_ref().map(Secret::expose), code, "{typed}");
        }
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut seen = std::collections::BTreeMap::new();
        for byte in 0..=255_u8 {
            let code = CodeSort::Recovery.make(&[byte; CODE_BYTES]);
            *seen.entry(code.expose().chars().next().unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 32);
        assert!(seen.values().all(|count| *count == 8), "{seen:?}");
    }
}
