//! A request's head as one text: what a shell hands over in a single crossing.

use super::Head;

/// The head of a request, in lines: method, URL, socket, TLS version, country, `1` if a body comes
/// with it, and then each header's name in lower case and its value. What the platform does not
/// tell is an empty line.
///
/// No part can hold a line break: methods, URLs and headers have none by HTTP's own grammar, and
/// the platform refuses to make such a request. A text that ends early has empty parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadText {
    text: String,
    /// Where each line ends. It is looked through for a dozen headers.
    ends: Vec<usize>,
}

/// Lines before the headers.
const FIXED: usize = 6;

impl HeadText {
    /// Takes a head.
    pub fn new(text: String) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
        Self { ends: ends.collect(), text }
    }

    fn line(&self, at: usize) -> &str {
        let start = match at.checked_sub(1) {
            Some(before) => self.ends.get(before).map(|end| end.saturating_add(1)),
            None => Some(0),
        };
        let range = start.zip(self.ends.get(at)).map(|(start, end)| start..*end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    fn told(&self, at: usize) -> Option<String> {
        Some(self.line(at)).filter(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Names and values.
    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = (FIXED..self.ends.len()).step_by(2);
        names.map(|at| (self.line(at), self.line(at.saturating_add(1))))
    }
}

impl Head for HeadText {
    fn method(&self) -> String {
        self.line(0).to_owned()
    }

    fn url(&self) -> String {
        self.line(1).to_owned()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }

    fn header_names(&self) -> Vec<String> {
        self.headers().map(|(name, _)| name.to_owned()).collect()
    }

    fn socket(&self) -> Option<String> {
        self.told(2)
    }

    fn tls_version(&self) -> Option<String> {
        self.told(3)
    }

    fn country(&self) -> Option<String> {
        self.told(4)
    }

    fn has_body(&self) -> bool {
        self.line(5) == "1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read_from_its_line() {
        let head = HeadText::new(
            "POST\nhttps://a.example/b?c=d\n10.0.0.1:5\nTLSv1.3\nDE\n1\nhost\na.example\nx-empty\n\norigin\nhttps://b.example\n"
                .to_owned(),
        );
        assert_eq!(head.method(), "POST");
        assert_eq!(head.url(), "https://a.example/b?c=d");
        assert_eq!(head.socket().as_deref(), Some("10.0.0.1:5"));
        assert_eq!(head.tls_version().as_deref(), Some("TLSv1.3"));
        assert_eq!(head.country().as_deref(), Some("DE"));
        assert!(head.has_body());
        assert_eq!(head.header_names(), ["host", "x-empty", "origin"]);
        for (name, value) in [
            ("host", Some("a.example")),
            ("x-empty", Some("")),
            ("origin", Some("https://b.example")),
            ("https://b.example", None),
            ("", None),
            ("DE", None),
        ] {
            assert_eq!(head.header(name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn what_is_not_told_is_not_there() {
        let bare = HeadText::new("GET\nhttps://a.example/\n\n\n\n\n".to_owned());
        for head in [bare, HeadText::default(), HeadText::new("GET\n".to_owned())] {
            assert_eq!((head.socket(), head.tls_version(), head.country()), (None, None, None));
            assert!(!head.has_body());
            assert_eq!(head.header_names(), [""; 0]);
            assert_eq!(head.header("host"), None);
        }
    }
}
