//! W3C Trace Context: a trace is continued when the caller's header is sound, else started.

use core::fmt;

/// The value of `traceparent` that the gate sends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 lower-case hex digits, not all zero.
    id: String,
    /// 16 lower-case hex digits: the gate's own span.
    span: String,
    /// The flags; of a started trace: random id (02).
    flags: u8,
    /// True when the caller's trace goes on, so that its `tracestate` does too.
    pub continued: bool,
}

impl Trace {
    /// Continues `traceparent`, or starts a trace. `random`: 16 bytes for the trace, then 8 for
    /// the span.
    pub fn new(traceparent: Option<&str>, random: &[u8]) -> Self {
        let (trace, span) = random.split_at_checked(16).unwrap_or((random, &[]));
        let span = hex(span.get(..8).unwrap_or_default(), 16);
        match traceparent.and_then(parse) {
            Some((id, flags)) => Self { id, span, flags, continued: true },
            None => Self { id: hex(trace, 32), span, flags: 2, continued: false },
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{}-{}-{:02x}", self.id, self.span, self.flags)
    }
}

/// Trace id and flags of a sound header (W3C Trace Context section 3.2): version 00 has exactly
/// 55 characters, a higher one may go on behind a dash, ff is none.
fn parse(text: &str) -> Option<(String, u8)> {
    let (head, rest) = text.split_at_checked(55)?;
    let mut parts = head.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let sound = parts.next().is_none()
        && is_hex(version, 2)
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
        && version != "ff"
        && (rest.is_empty() || (version != "00" && rest.starts_with('-')));
    let flags = u8::from_str_radix(flags, 16).ok()?;
    // Of the flags only sampled (01) and random (02) have a meaning yet.
    sound.then(|| (trace.to_owned(), flags & 3))
}

fn is_hex(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, width: usize) -> bool {
    is_hex(text, width) && text.bytes().any(|b| b != b'0')
}

/// `bytes` as hex, filled up to `width`, never all zero.
fn hex(bytes: &[u8], width: usize) -> String {
    let mut text = data_encoding::HEXLOWER.encode(bytes);
    while text.len() < width {
        text.push('1');
    }
    if is_id(&text, width) { text } else { "1".repeat(width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_traces_go_on_and_others_start_anew() {
        let (trace, span) = ("12345678901234567890123456789012", "1234567890123456");
        let continued = |flags: &str| Some(format!("00-{trace}-0202020202020202-{flags}"));
        for (header, expected) in [
            (format!("00-{trace}-{span}-01"), continued("01")),
            (format!("00-{trace}-{span}-00"), continued("00")),
            (format!("00-{trace}-{span}-ff"), continued("03")),
            (format!("cc-{trace}-{span}-01-what-comes"), continued("01")),
            (format!("cc-{trace}-{span}-01"), continued("01")),
            (format!("cc-{trace}-{span}-01.x"), None),
            (format!("00-{trace}-{span}-01-x"), None),
            (format!("00-{trace}-{span}-01."), None),
            (format!("ff-{trace}-{span}-01"), None),
            (format!("0-{trace}-{span}-01"), None),
            (format!("00-{trace}1-{span}-01"), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{trace}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{span}-01", "4BF92F3577B34DA6A3CE929D0E0E4736"), None),
            (format!("00-{trace}-{span}-01, 00-{trace}-{span}-01"), None),
            (String::new(), None),
        ] {
            let made = Trace::new(Some(&header), &[2; 24]);
            let started = format!("00-{}-{}-02", "02".repeat(16), "02".repeat(8));
            assert_eq!(made.continued, expected.is_some(), "{header}");
            assert_eq!(made.to_string(), expected.unwrap_or(started), "{header}");
        }
        assert!(parse(&Trace::new(None, &[]).to_string()).is_some(), "even without chance");
        assert!(parse(&Trace::new(None, &[0; 24]).to_string()).is_some());
    }
}
