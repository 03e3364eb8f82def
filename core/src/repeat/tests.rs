use super::*;
use crate::problem::Code;
use crate::text::Secret;
use crate::time::UnixMillis;

const BEGUN: UnixMillis = UnixMillis::from_secs(1_800_000_000);

fn value(text: &str) -> Option<IdempotencyKey> {
    IdempotencyKey::parse(text).ok()
}

#[test]
fn a_value_is_read_bare_or_quoted_and_is_the_same() {
    for (header, same_as) in [
        ("abc", "abc"),
        ("\"abc\"", "abc"),
        (" abc\t", "abc"),
        (" \"abc\" ", "abc"),
        ("\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\""),
        ("a\\b", "\"a\\\\b\""),
        ("\"a,b\"", "\"a,b\""),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (";'!~", ";'!~"),
    ] {
        assert!(value(header).is_some(), "{header}");
        assert_eq!(value(header), value(same_as), "{header}");
    }
    let longest = "x".repeat(255);
    assert!(value(&longest).is_some());
    assert_eq!(value(&format!("\"{longest}\"")), value(&longest));
    assert!(value(&format!("\"{}\"", "\\\\".repeat(255))).is_some(), "counted without the quoting");
    for header in [
        "",
        " ",
        "\"\"",
        "\"",
        "\"abc",
        "abc\"",
        "a\"b",
        "\"abc\";p=1",
        "\"a\"b\"",
        "\"a\\",
        "\"a\\n\"",
        "a b",
        "\"a b\"",
        "a\u{7f}",
        "ä",
        "\"ä\"",
        &"x".repeat(256),
        &format!("\"{}\"", "x".repeat(256)),
    ] {
        assert_eq!(value(header), None, "{header}");
    }
}

#[test]
fn a_name_is_of_an_actor_and_a_fingerprint_of_a_request() {
    let (key, other_key) = (value("k").unwrap(), value("l").unwrap());
    let ask = Ask { actor: "a", key: &key, method: "POST", path: "/p", query: "q", body: b"{}" };
    for (why, other, same_name, same_request) in [
        ("itself", ask, true, true),
        ("another actor", Ask { actor: "b", ..ask }, false, true),
        ("another value", Ask { key: &other_key, ..ask }, false, true),
        ("another method", Ask { method: "PATCH", ..ask }, true, false),
        ("another path", Ask { path: "/q", ..ask }, true, false),
        ("another query", Ask { query: "", ..ask }, true, false),
        ("another body", Ask { body: b"{} ", ..ask }, true, false),
        ("parts that run together", Ask { path: "/pq", query: "", ..ask }, true, false),
    ] {
        assert_eq!(ask.name() == other.name(), same_name, "{why}");
        assert_eq!(ask.fingerprint() == other.fingerprint(), same_request, "{why}");
    }
    assert_eq!((ask.name().len(), ask.fingerprint().len()), (43, 43));
}

#[test]
fn an_answer_opens_for_one_credential_and_one_attempt() {
    let key = |credential: &str, name: &str| answer_key(&Secret::new(credential), name).unwrap();
    assert_eq!(key("c", "n"), key("c", "n"));
    assert_ne!(key("c", "n"), key("d", "n"));
    assert_ne!(key("c", "n"), key("c", "o"));
}

/// A keeper of one name.
#[derive(Default)]
struct Keeper(Option<Attempt>);

impl Keeper {
    fn say(&mut self, request: RepeatRequest, after: Millis) -> RepeatReply {
        let (reply, stored) = Attempt::apply(self.0.take(), request, BEGUN.plus(after));
        self.0 = stored;
        reply
    }

    fn begin(&mut self, fingerprint: &str, attempt: &str, after: Millis) -> RepeatReply {
        let (name, fingerprint) = ("n".to_owned(), fingerprint.to_owned());
        self.say(RepeatRequest::Begin { name, fingerprint, attempt: attempt.to_owned() }, after)
    }

    fn finish(&mut self, attempt: &str, secret: bool, after: Millis) {
        let answer = Kept { sealed: Some(attempt.to_owned()), secret };
        let (name, attempt) = ("n".to_owned(), attempt.to_owned());
        self.say(RepeatRequest::Finish { name, attempt, answer }, after);
    }

    fn abandon(&mut self, attempt: &str, after: Millis) {
        let (name, attempt) = ("n".to_owned(), attempt.to_owned());
        self.say(RepeatRequest::Abandon { name, attempt }, after);
    }
}

#[test]
fn what_was_done_is_answered_again_for_a_day() {
    let mut keeper = Keeper::default();
    assert_eq!(keeper.begin("f", "1", Millis::ZERO), RepeatReply::Started);
    keeper.finish("1", false, Millis::secs(1));
    let just_before = Millis::millis(KEPT.as_millis() - 1);
    for after in [Millis::secs(1), SECRET_KEPT, Millis::hours(3), just_before] {
        assert_eq!(keeper.begin("f", "2", after), RepeatReply::Done("1".into()), "{after}");
        assert_eq!(keeper.begin("g", "2", after), RepeatReply::Mismatch, "{after}");
    }
    assert_eq!(keeper.0.as_ref().unwrap().changes_at(), BEGUN.plus(KEPT));
    assert_eq!(keeper.begin("g", "3", KEPT), RepeatReply::Started);
}

#[test]
fn a_secret_is_shown_again_for_ten_minutes() {
    let mut keeper = Keeper::default();
    keeper.begin("f", "1", Millis::ZERO);
    keeper.finish("1", true, Millis::secs(1));
    assert_eq!(keeper.0.as_ref().unwrap().changes_at(), BEGUN.plus(SECRET_KEPT));
    let just_before = Millis::millis(SECRET_KEPT.as_millis() - 1);
    assert_eq!(keeper.begin("f", "2", just_before), RepeatReply::Done("1".into()));
    for after in [SECRET_KEPT, Millis::hours(23)] {
        assert_eq!(keeper.begin("f", "2", after), RepeatReply::NotKept, "{after}");
        assert_eq!(keeper.begin("g", "2", after), RepeatReply::Mismatch, "{after}");
    }
    let left = keeper.0.clone().unwrap();
    assert!(!serde_json::to_string(&left).unwrap().contains("sealed"));
    assert_eq!(left.changes_at(), BEGUN.plus(KEPT));
    assert_eq!(left.at(BEGUN.plus(KEPT)), None);
}

#[test]
fn an_attempt_that_is_never_heard_of_again_is_not_made_twice() {
    let mut keeper = Keeper::default();
    keeper.begin("f", "1", Millis::ZERO);
    let just_before = Millis::millis(DEADLINE.as_millis() - 1);
    assert_eq!(keeper.begin("f", "2", just_before), RepeatReply::InProgress);
    assert_eq!(keeper.begin("g", "2", just_before), RepeatReply::Mismatch);
    assert_eq!(keeper.begin("f", "2", DEADLINE), RepeatReply::Unknown);
    assert_eq!(keeper.begin("f", "2", Millis::hours(23)), RepeatReply::Unknown);
    // It was slow, not gone.
    keeper.finish("1", false, Millis::hours(23));
    assert_eq!(keeper.begin("f", "2", Millis::hours(23)), RepeatReply::Done("1".into()));
    assert_eq!(keeper.begin("f", "2", KEPT), RepeatReply::Started);
}

#[test]
fn what_was_not_done_is_tried_again() {
    let mut keeper = Keeper::default();
    keeper.begin("f", "1", Millis::ZERO);
    keeper.abandon("1", Millis::secs(1));
    assert_eq!(keeper.0, None);
    assert_eq!(keeper.begin("g", "2", Millis::secs(2)), RepeatReply::Started);
    // The first one speaks up late: the second is another's.
    keeper.abandon("1", Millis::secs(3));
    keeper.finish("1", false, Millis::secs(3));
    assert_eq!(keeper.begin("g", "3", Millis::secs(3)), RepeatReply::InProgress);
    keeper.finish("2", false, Millis::secs(4));
    keeper.abandon("2", Millis::secs(5));
    keeper.finish("2", true, Millis::secs(5));
    assert_eq!(keeper.begin("g", "3", Millis::secs(5)), RepeatReply::Done("2".into()));
}

#[test]
fn what_cannot_be_kept_is_done_once_all_the_same() {
    let mut keeper = Keeper::default();
    keeper.begin("f", "1", Millis::ZERO);
    let (name, attempt) = ("n".to_owned(), "1".to_owned());
    let answer = Kept { sealed: None, secret: false };
    keeper.say(RepeatRequest::Finish { name, attempt, answer }, Millis::secs(1));
    assert_eq!(keeper.begin("f", "2", Millis::secs(2)), RepeatReply::NotKept);
}

#[test]
fn each_reply_that_is_a_refusal_has_its_code() {
    for (reply, code, retry_after) in [
        (RepeatReply::Started, None, None),
        (RepeatReply::Noted, None, None),
        (RepeatReply::Done(String::new()), None, None),
        (RepeatReply::InProgress, Some(Code::IdempotencyInProgress), Some(ASK_AGAIN)),
        (RepeatReply::Mismatch, Some(Code::IdempotencyMismatch), None),
        (RepeatReply::Unknown, Some(Code::IdempotencyOutcomeUnknown), None),
        (RepeatReply::NotKept, Some(Code::IdempotencyResultNotKept), None),
    ] {
        let problem = reply.problem();
        assert_eq!(problem.as_ref().map(|problem| problem.code), code);
        assert_eq!(problem.and_then(|problem| problem.retry_after), retry_after);
    }
}

#[test]
fn what_may_have_been_done_is_not_tried_again() {
    for (status, changed, ending) in [
        (200, true, Ending::Done),
        (201, true, Ending::Done),
        (400, false, Ending::Done),
        (403, false, Ending::Done),
        (404, false, Ending::Done),
        (409, true, Ending::Done),
        (401, false, Ending::NotDone),
        (408, true, Ending::NotDone),
        (425, false, Ending::NotDone),
        (429, false, Ending::NotDone),
        (500, false, Ending::NotDone),
        (501, false, Ending::NotDone),
        (503, false, Ending::NotDone),
        (500, true, Ending::Unknown),
        (503, true, Ending::Unknown),
    ] {
        assert_eq!(ending_of(status, changed), ending, "{status} {changed}");
    }
}
