//! A message can be taken apart in one way only.

use proptest::prelude::*;

use super::*;
use crate::webhook::template::{Filling, fill};
use crate::webhook::verify::{is_id, read_time};

/// The public URL; the query behind it is the sender's.
const URL: &str = "http://a/b";
/// When it is: 1700000000 seconds, and the window is five minutes.
const NOW: u64 = 1_700_000_000_000;
const WINDOW: u64 = 300_000;

const HEADERS: [&str; 2] = ["X-A", "X-B"];

/// What a sender chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    id: Option<String>,
    headers: [Option<String>; 2],
    time: Option<String>,
    url: Option<String>,
    body: Option<String>,
}

impl Values {
    fn place(&mut self, piece: &Piece<'_>) -> Option<&mut Option<String>> {
        Some(match piece {
            Piece::Id => &mut self.id,
            Piece::Header(name) => &mut self.headers[usize::from(*name != HEADERS[0])],
            Piece::Timestamp => &mut self.time,
            Piece::Url => &mut self.url,
            Piece::Body => &mut self.body,
            _ => return None,
        })
    }

    /// The message of these, if they are such as the verifier lets through.
    fn message(&self, pieces: &[Piece<'_>], unit: Unit) -> Option<Vec<u8>> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let near = |time: &String| {
            let at = read_time(unit, time).ok();
            at.is_some_and(|at| at.as_millis().abs_diff(NOW) <= WINDOW)
        };
        let of_a_url = |url: &String| url == URL || url.starts_with("http://a/b?");
        let good = self.id.as_ref().is_none_or(|id| is_id(id))
            && self.time.as_ref().is_none_or(near)
            && self.url.as_ref().is_none_or(of_a_url);
        if !good {
            return None;
        }
        let named = HEADERS.into_iter().zip(&self.headers);
        let headers: Vec<(String, String)> =
            named.map(|(name, value)| (name.to_owned(), text(value))).collect();
        let (id, time, url, body) =
            (text(&self.id), text(&self.time), text(&self.url), text(&self.body));
        // A header loses the blanks around it before it comes here.
        let trimmed = |(_, value): &(String, String)| value.trim() == value;
        if !headers.iter().all(trimmed) {
            return None;
        }
        let request =
            Request { method: "POST", url: &url, headers: &headers, body: body.as_bytes() };
        let filling = Filling {
            request: &request,
            timestamp: Some(&time),
            id: Some(&id),
            json: None,
            form: &[],
            unit,
        };
        fill(pieces, &filling, &url).ok().map(|message| message.concat())
    }
}

/// Every way to take a message apart that the verifier lets through.
fn all_of(pieces: &[Piece<'_>], unit: Unit, message: &str) -> Vec<Values> {
    let mut found = Vec::new();
    walk(pieces, pieces, unit, message, message, Values::default(), &mut found);
    found
}

fn walk(
    all: &[Piece<'_>],
    left: &[Piece<'_>],
    unit: Unit,
    whole: &str,
    rest: &str,
    values: Values,
    found: &mut Vec<Values>,
) {
    let Some((piece, left)) = left.split_first() else {
        let right = rest.is_empty()
            && values.message(all, unit).is_some_and(|message| message == whole.as_bytes());
        if right && !found.contains(&values) {
            found.push(values);
        }
        return;
    };
    let fixed = match piece {
        Piece::Literal(text) => Some((*text).to_owned()),
        Piece::Method => Some("POST".to_owned()),
        piece => values.clone().place(piece).and_then(|place| place.clone()),
    };
    if let Some(text) = fixed {
        if let Some(rest) = rest.strip_prefix(&text) {
            walk(all, left, unit, whole, rest, values, found);
        }
        return;
    }
    for end in 0..=rest.len() {
        let (value, rest) = rest.split_at(end);
        // What is no time, no URL and no id is not looked into further: there are many.
        let possible = match piece {
            Piece::Timestamp => read_time(unit, value).is_ok(),
            Piece::Url => value.starts_with(URL),
            Piece::Id => is_id(value),
            Piece::Header(_) => !value.is_empty(),
            _ => true,
        };
        if possible {
            let mut values = values.clone();
            *values.place(piece).unwrap() = Some(value.to_owned());
            walk(all, left, unit, whole, rest, values, found);
        }
    }
}

fn units() -> impl Strategy<Value = Unit> {
    prop::sample::select(vec![Unit::Seconds, Unit::Millis, Unit::Rfc3339])
}

fn times(unit: Unit) -> [&'static str; 2] {
    match unit {
        Unit::Seconds => ["1700000000", "1700000100"],
        Unit::Millis => ["1700000000000", "1700000100000"],
        Unit::Rfc3339 => ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21.5Z"],
    }
}

fn templates() -> impl Strategy<Value = String> {
    let place = prop::sample::select(vec![
        "{body}",
        "{body}",
        "{timestamp}",
        "{id}",
        "{url}",
        "{method}",
        "{header:X-A}",
        "{header:X-B}",
        ".",
        "\n",
        ":",
        "1",
        "?",
    ]);
    // Those that it takes many tries to come by.
    let rare = prop::sample::select(vec![
        "{id}{timestamp}{body}",
        "{header:X-A}{timestamp}{body}",
        "{id}.{timestamp}.{body}",
        "{id}:{header:X-A}:{body}",
        "{method}{url}\n{body}",
        "{body}{url}{timestamp}",
    ]);
    prop_oneof![
        2 => prop::collection::vec(place, 1..7).prop_map(|places| places.concat()),
        1 => rare.prop_map(str::to_owned),
    ]
}

/// Texts of what could be taken for something else.
fn texts(unit: Unit, most: usize) -> impl Strategy<Value = String> {
    let [one, other] = times(unit);
    let piece =
        prop::sample::select(vec![one, other, ".", "\n", ":", "1", "7", "x", "?", "POST", URL, ""]);
    prop::collection::vec(piece, 0..most).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn filled()(unit in units())(
        unit in Just(unit), template in templates(), time in prop::sample::select(times(unit).to_vec()),
        id in texts(unit, 3), a in texts(unit, 3), b in texts(unit, 3), query in texts(unit, 4),
        body in texts(unit, 5)
    ) -> (Unit, String, Values) {
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let pieces = pieces(&template).unwrap();
        let mut values = Values::default();
        for piece in &pieces {
            let text = match piece {
                Piece::Id => &id,
                Piece::Header("X-A") => &a,
                Piece::Header(_) => &b,
                Piece::Timestamp => time,
                Piece::Url => &format!("{URL}{query}"),
                _ => &body,
            };
            if let Some(place) = values.place(piece) {
                *place = Some(text.to_owned());
            }
        }
        drop(pieces);
        (unit, template, values)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_two_requests_make_the_same_message((unit, template, values) in filled()) {
        let pieces = pieces(&template).unwrap();
        let good = pieces.contains(&Piece::Body) && check_unambiguous(&pieces, unit).is_ok();
        let message = values.message(&pieces, unit).filter(|message| good && message.len() <= 80);
        if let Some(message) = message {
            let message = String::from_utf8(message).unwrap();
            prop_assert_eq!(all_of(&pieces, unit, &message), [values], "{}", template);
        }
    }
}

#[test]
fn what_could_be_divided_in_another_way_is_no_template() {
    use TemplateError::{Ambiguous, BehindBody, OpenUrl};
    for (template, unit, expected) in [
        ("{timestamp}.{body}.{id}", Unit::Seconds, Err(BehindBody)),
        ("{body}:{header:X-Topic}", Unit::Seconds, Err(BehindBody)),
        ("{body}{url}.{id}", Unit::Seconds, Err(BehindBody)),
        ("{url}{id}.{body}", Unit::Seconds, Err(OpenUrl)),
        ("{url}{body}", Unit::Seconds, Err(OpenUrl)),
        ("{url}.{body}", Unit::Seconds, Err(OpenUrl)),
        ("{url}{timestamp}{body}", Unit::Seconds, Err(OpenUrl)),
        ("{id}{timestamp}{body}", Unit::Seconds, Err(Ambiguous)),
        ("{id}{body}", Unit::Rfc3339, Err(Ambiguous)),
        ("{id}{timestamp}{body}", Unit::Rfc3339, Ok(())),
        ("{id}.{timestamp}.{body}", Unit::Seconds, Ok(())),
        ("{header:X-Topic}\n{id}\n{body}", Unit::Seconds, Ok(())),
        ("{method}{url}\n{body}", Unit::Seconds, Ok(())),
        ("{method} {url} {body}", Unit::Seconds, Ok(())),
        ("{body}{url}", Unit::Seconds, Ok(())),
        ("{body}{timestamp}", Unit::Millis, Ok(())),
        ("{body}", Unit::Seconds, Ok(())),
    ] {
        let found = check_unambiguous(&pieces(template).unwrap(), unit);
        assert_eq!(found, expected, "{template}");
    }
}

#[test]
fn what_only_a_value_can_make_ambiguous_is_refused_with_the_value() {
    let message =
        |template: &str, unit, values: &Values| values.message(&pieces(template).unwrap(), unit);
    let some = |text: &str| Some(text.to_owned());
    let [time, _] = times(Unit::Rfc3339);
    // The time of an id that swallows one is a time of the body.
    let swallowed = Values {
        id: some(&format!("x{time}")),
        time: some(time),
        body: some("{}"),
        ..Values::default()
    };
    let plain = Values { id: some("x"), body: some(&format!("{time}{{}}")), ..swallowed.clone() };
    let twitch = "{id}{timestamp}{body}";
    assert_eq!(message(twitch, Unit::Rfc3339, &swallowed), None);
    assert!(message(twitch, Unit::Rfc3339, &plain).is_some());
    // Behind the body a URL has no query.
    let of = |url: &str| Values { url: some(url), body: some("{}"), ..Values::default() };
    assert!(message("{body}{url}", Unit::Seconds, &of(URL)).is_some());
    assert_eq!(message("{body}{url}", Unit::Seconds, &of("http://a/b?c")), None);
    assert_eq!(message("{url}\n{body}", Unit::Seconds, &of("http://a/b?c\nd")), None);
    assert!(message("{url}\n{body}", Unit::Seconds, &of("http://a/b?c")).is_some());
    let sent = Sent::first("twitch");
    let id = sent.header("Twitch-Eventsub-Message-Id").to_owned() + ":";
    let failure = sent.with("Twitch-Eventsub-Message-Id", &id).verify().unwrap_err();
    assert!(matches!(failure, Failure::Malformed { part: Part::Id, .. }), "{failure}");
}
