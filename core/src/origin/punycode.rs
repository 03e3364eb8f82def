//! Punycode (RFC 3492), as far as telling whether a label is some.

/// True when the text decodes under RFC 3492 section 6.2 to code points, at least one of them
/// beyond ASCII. A label that does not is a slip of the pen: no browser can reach such a host.
#[allow(clippy::arithmetic_side_effects)] // a label has at most 63 bytes; growth is checked
pub(super) fn is_punycode(text: &str) -> bool {
    let (basic, digits) = text.rsplit_once('-').unwrap_or(("", text));
    let mut count = u32::try_from(basic.len()).unwrap_or(u32::MAX / 2);
    let (mut code, mut at, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut bytes = digits.bytes();
    let mut first = true;
    loop {
        let start = at;
        let (mut weight, mut k) = (1_u32, 36_u32);
        loop {
            let digit = match bytes.next() {
                Some(b @ b'a'..=b'z') => u32::from(b - b'a'),
                Some(b @ b'0'..=b'9') => u32::from(b - b'0') + 26,
                // The end between two numbers is the end of the label.
                None if weight == 1 && k == 36 && !first => return true,
                _ => return false,
            };
            let Some(next) = digit.checked_mul(weight).and_then(|add| at.checked_add(add)) else {
                return false;
            };
            at = next;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            let Some(next) = weight.checked_mul(36 - threshold) else {
                return false;
            };
            (weight, k) = (next, k + 36);
        }
        count += 1;
        bias = adapted(at - start, count, first);
        let Some(next) = code.checked_add(at / count) else {
            return false;
        };
        if char::from_u32(next).is_none() {
            return false;
        }
        (code, at, first) = (next, at % count + 1, false);
    }
}

/// The bias after one more code point, RFC 3492 section 6.1.
#[allow(clippy::arithmetic_side_effects)] // divisors are constant or at least 1
fn adapted(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}
