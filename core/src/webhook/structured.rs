//! The little of structured fields (RFC 9651) that message signatures use.
//!
//! Only the one spelling that serialisers write is read, so that what was parsed is what was sent
//! and can be signed as it stands.

use data_encoding::BASE64;

/// A value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare<'t> {
    Integer(u64),
    Text(&'t str),
    Other,
}

/// A list of names with parameters behind it, as it stands.
#[derive(Clone, Debug)]
pub(super) struct InnerList<'t> {
    pub(super) label: &'t str,
    /// The list and its parameters, byte by byte.
    pub(super) raw: &'t str,
    /// The names; none for one that has parameters of its own.
    pub(super) names: Vec<Option<&'t str>>,
    pub(super) parameters: Vec<(&'t str, Bare<'t>)>,
}

/// A dictionary of lists of names; none if it is anything else, or a label stands there twice.
pub(super) fn inner_lists(text: &str) -> Option<Vec<InnerList<'_>>> {
    let mut scan = Scan { rest: text };
    let mut lists: Vec<InnerList<'_>> = Vec::new();
    loop {
        let label = scan.key()?;
        scan.eat('=')?;
        let before = scan.rest;
        let (names, parameters) = (scan.names()?, scan.parameters()?);
        let length = before.len().checked_sub(scan.rest.len())?;
        let raw = before.get(..length)?;
        if lists.iter().any(|list| list.label == label) {
            return None;
        }
        lists.push(InnerList { label, raw, names, parameters });
        if scan.ended_or_comma()? {
            return Some(lists);
        }
    }
}

/// A dictionary of bytes.
pub(super) fn byte_members(text: &str) -> Option<Vec<(&str, Vec<u8>)>> {
    let mut scan = Scan { rest: text };
    let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
    loop {
        let label = scan.key()?;
        scan.eat('=')?;
        let bytes = scan.bytes()?;
        scan.parameters()?;
        if members.iter().any(|(known, _)| *known == label) {
            return None;
        }
        members.push((label, bytes));
        if scan.ended_or_comma()? {
            return Some(members);
        }
    }
}

struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Scan<'t> {
    fn eat(&mut self, sign: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    fn take(&mut self, of_it: impl Fn(u8) -> bool) -> &'t str {
        let length = self.rest.bytes().take_while(|byte| of_it(*byte)).count();
        // What is taken is ASCII in every use, so it ends between two characters.
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or(("", self.rest));
        self.rest = rest;
        taken
    }

    fn key(&mut self) -> Option<&'t str> {
        let of_a_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b);
        let key = self.take(of_a_key);
        key.starts_with(|first: char| first.is_ascii_lowercase() || first == '*').then_some(key)
    }

    fn text(&mut self) -> Option<&'t str> {
        self.eat('"')?;
        let text = self.take(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\');
        self.eat('"')?;
        Some(text)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        self.eat(':')?;
        let text = self.take(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        self.eat(':')?;
        BASE64.decode(text.as_bytes()).ok()
    }

    fn names(&mut self) -> Option<Vec<Option<&'t str>>> {
        self.eat('(')?;
        let mut names = Vec::new();
        while self.eat(')').is_none() {
            if !names.is_empty() {
                self.eat(' ')?;
            }
            let name = self.text()?;
            names.push(self.parameters()?.is_empty().then_some(name));
        }
        Some(names)
    }

    fn parameters(&mut self) -> Option<Vec<(&'t str, Bare<'t>)>> {
        let mut parameters = Vec::new();
        while self.eat(';').is_some() {
            let name = self.key()?;
            let value = if self.eat('=').is_some() { self.bare()? } else { Bare::Other };
            if parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(parameters)
    }

    fn bare(&mut self) -> Option<Bare<'t>> {
        match self.rest.bytes().next()? {
            b'"' => self.text().map(Bare::Text),
            b':' => self.bytes().map(|_| Bare::Other),
            b'0'..=b'9' => whole_number(self.take(|b| b.is_ascii_digit())).map(Bare::Integer),
            b'?' => {
                self.eat('?')?;
                matches!(self.take(|b| b.is_ascii_digit()), "0" | "1").then_some(Bare::Other)
            }
            _ => {
                let of_a_token =
                    |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b);
                (!self.take(of_a_token).is_empty()).then_some(Bare::Other)
            }
        }
    }

    /// True at the end of the text; moves behind the comma otherwise.
    fn ended_or_comma(&mut self) -> Option<bool> {
        let blank = |b: u8| b == b' ' || b == b'\t';
        self.take(blank);
        if self.rest.is_empty() {
            return Some(true);
        }
        self.eat(',')?;
        self.take(blank);
        Some(false)
    }
}

/// A number of digits alone: no sign, no blank, no zero in front, nothing that does not fit.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let zero_in_front = text.len() > 1 && text.starts_with('0');
    (plain && !zero_in_front && (1..=15).contains(&text.len())).then(|| text.parse().ok())?
}
