//! Numbers of bytes as people write them: `1MiB`.

use super::error::Wrong;

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `0B`, `512B`, `64KiB`, `1MiB` or `5GiB`: digits, then one unit, up to `most` bytes.
pub(super) fn parse(text: &str, most: u64) -> Result<u64, Wrong> {
    let wrong = || {
        let message = format!("{text:?} is not a size");
        Wrong::help(message, "a whole number and a unit: 512B, 64KiB, 1MiB or 5GiB")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(*scale) {
        Some(bytes) if bytes <= most => Ok(bytes),
        _ => Err(Wrong::new(format!("must be at most {}", display(most)))),
    }
}

/// The longest unit that says the number whole.
fn display(bytes: u64) -> String {
    let fits = UNITS.iter().find(|(_, scale)| bytes.is_multiple_of(*scale));
    let (unit, scale) = fits.copied().unwrap_or(("B", 1));
    format!("{}{unit}", bytes.checked_div(scale).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("5GiB", 5_368_709_120),
        ] {
            assert_eq!(parse(text, 5 << 30), Ok(bytes), "{text}");
        }
        for (text, reason) in [
            ("", "empty"),
            ("1", "no unit"),
            ("MiB", "no number"),
            ("1MB", "a unit of tens is not a unit of twos"),
            ("1mib", "units keep their case"),
            ("1.5MiB", "a fraction"),
            ("-1B", "a sign"),
            ("+1B", "a sign"),
            ("1 MiB", "a blank"),
            ("99999999999999999999B", "beyond 64 bits"),
        ] {
            assert!(parse(text, u64::MAX).is_err(), "{text}: {reason}");
        }
        let over = parse("5GiB", 100 << 20).unwrap_err();
        assert_eq!(over.message, "must be at most 100MiB");
        assert!(parse("18014398509481984KiB", u64::MAX).is_err(), "the product leaves 64 bits");
    }
}
