//! From the text of a policy to the tree that the core checks, every value with its place.

use tollgate_core::policy::{Entry, Node, Place, PolicyError, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Reads TOML.
///
/// # Errors
/// Every place where the text is not TOML, or holds a number that no field could take.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<PolicyError>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<PolicyError> = errors
        .iter()
        .map(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            PolicyError::new(lines.place(at), error.message())
        })
        .collect();
    let place = lines.place(document.span().start);
    let value = table(document.get_ref(), &lines, &mut errors);
    if errors.is_empty() {
        return Ok(Node { place, value });
    }
    errors.sort_by_key(|error| error.place);
    Err(errors)
}

fn node(spanned: &Spanned<DeValue<'_>>, lines: &Lines<'_>, errors: &mut Vec<PolicyError>) -> Node {
    let place = lines.place(spanned.span().start);
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => integer(number, place, errors),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Datetime(date.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| node(item, lines, errors)).collect())
        }
        DeValue::Table(entries) => table(entries, lines, errors),
    };
    Node { place, value }
}

fn table(entries: &DeTable<'_>, lines: &Lines<'_>, errors: &mut Vec<PolicyError>) -> Value {
    let entries = entries.iter().map(|(key, value)| Entry {
        key: key.get_ref().clone().into_owned(),
        place: lines.place(key.span().start),
        node: node(value, lines, errors),
    });
    Value::Table(entries.collect())
}

/// TOML allows larger numbers than any reader must take.
fn integer(number: &DeInteger<'_>, place: Place, errors: &mut Vec<PolicyError>) -> Value {
    let read = i64::from_str_radix(number.as_str(), number.radix());
    if read.is_err() {
        errors.push(PolicyError::new(place, format!("{number} is too large a number")));
    }
    Value::Integer(read.unwrap_or_default())
}

/// Where each line of a text begins, in bytes.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self { text, starts: core::iter::once(0).chain(breaks).collect() }
    }

    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        let column = before.chars().count().saturating_add(1);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(column) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `route[0].cors` and its place as `line:column`, for every value.
    fn places(node: &Node, path: &str, found: &mut Vec<String>) {
        found.push(format!("{path} {}:{}", node.place.line, node.place.column));
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    let (line, column) = (entry.place.line, entry.place.column);
                    let path = format!("{path}.{}", entry.key);
                    found.push(format!("{path}= {line}:{column}"));
                    places(&entry.node, &path, found);
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    places(item, &format!("{path}[{at}]"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_value_has_its_place() {
        let text = "a = 1\n\"ß\" = { b = [true, \"x\"] } # é\n[t.u]\nd = 2026-06-01\n[[l]]\n[[l]]\ne = 1.5\n";
        let mut found = Vec::new();
        places(&parse(text).unwrap(), "", &mut found);
        assert_eq!(
            found,
            [
                " 1:1",
                ".a= 1:1",
                ".a 1:5",
                ".l= 5:3",
                ".l 5:1",
                ".l[0] 5:1",
                ".l[1] 6:1",
                ".l[1].e= 7:1",
                ".l[1].e 7:5",
                ".t= 3:2",
                ".t 3:2",
                ".t.u= 3:4",
                ".t.u 3:1",
                ".t.u.d= 4:1",
                ".t.u.d 4:5",
                ".ß= 2:1",
                ".ß 2:7",
                ".ß.b= 2:9",
                ".ß.b 2:13",
                ".ß.b[0] 2:14",
                ".ß.b[1] 2:20",
            ]
        );
    }

    #[test]
    fn all_errors_of_syntax_are_told_with_their_places() {
        for (text, expected) in [
            ("a = \nb = 1\nb = 2\n", &[(1, 5), (3, 1)][..]),
            ("[t]\n[t]\n", &[(2, 2)]),
            ("a = 99999999999999999999\n", &[(1, 5)]),
            ("a = 'x", &[(1, 7)]),
        ] {
            let errors = parse(text).unwrap_err();
            let places: Vec<(u32, u32)> =
                errors.iter().map(|error| (error.place.line, error.place.column)).collect();
            assert_eq!(places, expected, "{text:?}: {errors:?}");
        }
    }
}
