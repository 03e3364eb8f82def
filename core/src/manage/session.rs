//! The calls about sessions: bodies, cookies, and what is shown of a session.

use serde_json::{Value, json};

use super::caller::Caller;
use super::credential::SESSION_COOKIE;
use super::field::{Errors, Field, Object};
use crate::key::KeyRecord;
use crate::people::{SessionKind, SessionView};
use crate::problem::Problem;
use crate::text::Secret;
use crate::time::UnixMillis;

/// The longest code that is looked at, in characters, blanks included.
const MAX_CODE: usize = 64;

/// `POST session`.
#[derive(Clone, Debug)]
pub struct OpenAsk {
    /// Where the session is to be used.
    pub kind: SessionKind,
    /// With what besides the key.
    pub with: With,
}

/// What somebody shows besides the key.
#[derive(Clone, Debug)]
pub enum With {
    /// Nothing.
    Nothing,
    /// A code of the authenticator app.
    Code(Secret),
    /// What may be a recovery code.
    Recovery(Secret),
}

impl OpenAsk {
    /// Reads the body.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn read(body: &Value) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let read = Object::body(body, &["kind", "code", "recovery_code"], &[], &errors);
        let ask = read.and_then(|body| {
            let kind = body.field("kind").required();
            let kind = kind.read(|text| SessionKind::parse(text).ok_or("has to be console or cli"));
            let totp = code(&body.field("code"));
            let recovery = code(&body.field("recovery_code"));
            if totp.is_some() && recovery.is_some() {
                errors.note("recovery_code", "stands in place of `code`: leave one of them out");
            }
            let with = match (totp, recovery) {
                (Some(code), _) => With::Code(code),
                (None, Some(recovery)) => With::Recovery(recovery),
                (None, None) => With::Nothing,
            };
            Some(Self { kind: kind?, with })
        });
        errors.settle(ask)
    }
}

/// Reads the body of `POST session/enrol`: what may be an enrolment code.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn read_enrol(body: &Value) -> Result<Secret, Box<Problem>> {
    let errors = Errors::default();
    let read = Object::body(body, &["enrolment_code"], &[], &errors);
    let code = read.and_then(|body| code(&body.field("enrolment_code").required()));
    errors.settle(code)
}

/// Reads the body of `POST session/enrol/confirm`: a code of the app.
///
/// # Errors
/// `invalid_field` with everything that is wrong.
pub fn read_confirm(body: &Value) -> Result<Secret, Box<Problem>> {
    let errors = Errors::default();
    let read = Object::body(body, &["code"], &[], &errors);
    let code = read.and_then(|body| code(&body.field("code").required()));
    errors.settle(code)
}

/// Reads the body of `POST keys/{id}/enrolment`, which has nothing to say.
///
/// # Errors
/// `invalid_field` for whatever it says.
pub fn read_renewal(body: &Value) -> Result<(), Box<Problem>> {
    let errors = Errors::default();
    let read = Object::body(body, &[], &[], &errors).map(|_| ());
    errors.settle(read)
}

fn code(field: &Field<'_>) -> Option<Secret> {
    field.read(|text| {
        let wrong = format!("is longer than {MAX_CODE} characters");
        if text.chars().count() > MAX_CODE { Err(wrong) } else { Ok(Secret::new(text)) }
    })
}

/// A session as it is shown.
pub fn session_resource(record: &KeyRecord, session: &SessionView) -> Value {
    json!({
        "kind": session.kind.as_str(),
        "key": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": record.scopes,
        "expires_at": session.expires_at.to_rfc3339(),
        "second_factor": session.second_factor,
    })
}

/// Who calls, and until when: of a session the session, of a key the key itself. `root` has no end.
pub fn caller_resource(caller: &Caller) -> Value {
    match caller {
        Caller::Root => json!({
            "kind": "root",
            "key": null,
            "name": "root",
            "tenant": "*",
            "scopes": [],
            "expires_at": null,
            "second_factor": false,
        }),
        Caller::Key(record) => json!({
            "kind": "key",
            "key": record.id,
            "name": record.name,
            "tenant": record.tenant,
            "scopes": record.scopes,
            "expires_at": record.expires_at.to_rfc3339(),
            "second_factor": false,
        }),
        Caller::Session { record, session } => session_resource(record, session),
    }
}

/// `Set-Cookie` of a new session.
pub fn session_cookie(token: &Secret, expires_at: UnixMillis, now: UnixMillis) -> String {
    cookie(token.expose(), expires_at.since(now).as_millis() / 1_000)
}

/// `Set-Cookie` that ends a session in the browser.
pub fn ended_cookie() -> String {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u64) -> String {
    format!(
        "{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::tests::{NOW, body, made};
    use crate::time::Millis;

    fn told(read: Result<String, Box<Problem>>) -> String {
        read.unwrap_or_else(|problem| {
            let errors = problem.errors.iter().map(|error| error.field.as_str());
            format!("wrong: {}", errors.collect::<Vec<_>>().join(", "))
        })
    }

    #[test]
    fn a_session_is_asked_for_with_one_code_or_none() {
        let long = "1".repeat(65);
        for (body, expected) in [
            (json!({ "kind": "console" }), "console nothing"),
            (json!({ "kind": "cli", "code": "123 456" }), "cli code 123 456"),
            (json!({ "kind": "cli", "code": null }), "cli nothing"),
            (
                json!({ "kind": "console", "recovery_code": "abcde-fgh1j" }),
                "console recovery abcde-fgh1j",
            ),
            (json!({ "kind": "console", "recovery_code": "no" }), "console recovery no"),
            (json!({}), "wrong: kind"),
            (json!({ "kind": "root" }), "wrong: kind"),
            (json!({ "kind": "cli", "code": 123_456 }), "wrong: code"),
            (json!({ "kind": "cli", "code": long }), "wrong: code"),
            (json!({ "kind": "cli", "code": "1", "recovery_code": "2" }), "wrong: recovery_code"),
            (json!({ "kind": "cli", "key": "k" }), "wrong: key"),
        ] {
            let read = OpenAsk::read(&body).map(|ask| {
                let with = match ask.with {
                    With::Nothing => "nothing".to_owned(),
                    With::Code(code) => format!("code {}", code.expose()),
                    With::Recovery(code) => format!("recovery {}", code.expose()),
                };
                format!("{} {with}", ask.kind.as_str())
            });
            assert_eq!(told(read), expected, "{body}");
        }
    }

    #[test]
    fn enrolling_takes_a_code_each_time() {
        for (body, expected) in [
            (json!({ "enrolment_code": "abcd-efgh-ijkl-mnop" }), "abcd-efgh-ijkl-mnop"),
            (json!({}), "wrong: enrolment_code"),
            (json!({ "enrolment_code": ["x"] }), "wrong: enrolment_code"),
        ] {
            let read = read_enrol(&body).map(|code| code.expose().to_owned());
            assert_eq!(told(read), expected, "{body}");
        }
        for (body, expected) in [
            (json!({ "code": "123456" }), "123456"),
            (json!({}), "wrong: code"),
            (json!({ "code": null }), "wrong: code"),
            (json!({ "code": "1", "more": 1 }), "wrong: more"),
        ] {
            let read = read_confirm(&body).map(|code| code.expose().to_owned());
            assert_eq!(told(read), expected, "{body}");
        }
        for (body, expected) in [(json!({}), ""), (json!({ "code": "1" }), "wrong: code")] {
            assert_eq!(told(read_renewal(&body).map(|()| String::new())), expected, "{body}");
        }
    }

    #[test]
    fn a_cookie_has_its_flags_and_nothing_more() {
        let end = NOW.plus(Millis::hours(12));
        assert_eq!(
            session_cookie(&Secret::new("t"), end, NOW),
            "__Host-tollgate=t; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            ended_cookie(),
            "__Host-tollgate=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn a_caller_sees_who_it_is_and_until_when() {
        let record = Box::new(made(&body("ak", json!({ "scopes": ["keys:read"] }))).record);
        let session = SessionView {
            kind: SessionKind::Cli,
            expires_at: NOW.plus(Millis::minutes(15)),
            second_factor: true,
        };
        let end = record.expires_at.to_rfc3339();
        for (caller, kind, expires_at, second_factor) in [
            (Caller::Root, "root", json!(null), false),
            (Caller::Key(record.clone()), "key", json!(end), false),
            (
                Caller::Session { record: record.clone(), session },
                "cli",
                json!(NOW.plus(Millis::minutes(15)).to_rfc3339()),
                true,
            ),
        ] {
            let shown = caller_resource(&caller);
            assert_eq!(shown["kind"], kind);
            assert_eq!(shown["expires_at"], expires_at);
            assert_eq!(shown["second_factor"], second_factor);
            assert_eq!(shown.as_object().unwrap().len(), 7);
        }
    }
}
