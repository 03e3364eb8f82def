use super::*;
use crate::policy::Source;
use crate::road::{Step, Verdict};
use crate::time::Millis;
use crate::webhook::{Event, Keys, Portable, sign, verify};

const SECRET: &str = "whsec_c2l4dGVlbiBieXRlcyBvciBzbw==";
const BODY: &str = r#"{"id":"evt_1","type":"ping"}"#;

fn source(fields: &serde_json::Value) -> serde_json::Value {
    let mut source = json!({ "name": "hook", "path": "/hooks/shop", "scheme": "stripe",
        "secrets": ["${secret:SHOP}"], "upstream": "shop", "body_limit": "1KiB" });
    let members = fields.as_object().unwrap().clone();
    source.as_object_mut().unwrap().extend(members);
    source
}

fn keys(source: &Source) -> Keys {
    Keys::read(&source.scheme.scheme(), &[Secret::new(SECRET)]).unwrap()
}

/// What the source's provider would send.
fn sent(source: &Source, at: UnixMillis) -> Request {
    signed(source, SECRET, BODY, at)
}

fn signed(source: &Source, secret: &str, body: &str, at: UnixMillis) -> Request {
    let scheme = source.scheme.scheme();
    let event =
        Event { method: "POST", url: None, id: "evt_1", headers: &[], body: body.as_bytes() };
    let signed = sign(&scheme, &Secret::new(secret), &event, at, &Portable).unwrap();
    Request {
        method: "POST".to_owned(),
        body: Some(Body::Text(body.to_owned())),
        headers: signed.headers,
        ..request("/hooks/shop", &[])
    }
}

type Change<'c> = &'c dyn Fn(&mut Request);

/// The explanation, its last step that was not skipped, and what that says.
fn looked_at(fields: &serde_json::Value, change: impl FnOnce(&mut Request)) -> (Explanation, Note) {
    let policy = policy_with(&source(fields));
    let source = policy.sources[0].clone();
    let mut request = sent(&source, NOW);
    change(&mut request);
    let told = match explain(policy, None, &request, &Asks::with_the_policy(NOW), &[7; 40]) {
        Explained::Told(told) => *told,
        Explained::Signed(webhook) => {
            let scheme = source.scheme.scheme();
            let limit = usize::try_from(source.body_limit).unwrap();
            let found = verify(&scheme, &keys(&source), &webhook.request(), limit, NOW, &Portable);
            webhook.told(&found)
        }
    };
    let last = told.steps.iter().rfind(|note| note.result != Verdict::Skipped).unwrap().clone();
    (told, last)
}

#[test]
fn a_refusal_names_the_step_of_the_verification() {
    let old = |request: &mut Request| {
        let policy = policy_with(&source(&json!({})));
        *request = sent(&policy.sources[0], NOW.minus(Millis::secs(400)));
    };
    let cases: [(&str, Change<'_>, Code, &str); 6] = [
        ("header", &|it| it.headers.clear(), Code::SignatureMissing, "header: "),
        (
            "encoding",
            &|it| it.headers[0].1 = "t=+1,v1=00".into(),
            Code::SignatureInvalid,
            "encoding: ",
        ),
        (
            "signature",
            &|it| it.body = Some(Body::Text("{}".into())),
            Code::SignatureInvalid,
            "signature: ",
        ),
        ("time", &old, Code::TimestampOutOfRange, "time: the signed time is 400s ago"),
        ("size", &|it| it.body = Some(Body::Text("x".repeat(1_025))), Code::BodyTooLarge, "size: "),
        ("method", &|it| it.method = "PUT".into(), Code::MethodNotAllowed, "stripe takes POST"),
    ];
    for (what, change, code, detail) in cases {
        let (told, last) = looked_at(&json!({}), change);
        assert_eq!((told.outcome, told.code), ("refuse", Some(code)), "{what}: {told:?}");
        assert_eq!(told.status, Some(code.status()), "{what}");
        assert_eq!(last.result, Verdict::Refused, "{what}");
        assert!(last.detail.starts_with(detail), "{what}: {}", last.detail);
        let step = if what == "method" { Step::Sender } else { Step::Signature };
        assert_eq!(last.step, step, "{what}");
        let right = &sent(&policy_with(&source(&json!({}))).sources[0], NOW).headers[0].1;
        let right = right.rsplit('=').next().unwrap();
        assert!(!format!("{told:?}").contains(right), "{what}: the right signature is told");
    }
}

#[test]
fn a_good_one_goes_to_its_backend() {
    let (told, last) = looked_at(&json!({}), |_| ());
    assert_eq!((told.outcome, told.status, told.code), ("webhook", Some(202), None));
    assert_eq!((last.step, last.result), (Step::Forward, Verdict::Passed));
    let names: Vec<Step> = told.steps.iter().map(|note| note.step).collect();
    assert_eq!(names[3..6], [Step::Route, Step::Sender, Step::Signature]);
    assert_eq!(names.len(), Step::ALL.len() + 2, "each step once");
    let signature = &told.steps[5].detail;
    assert!(signature.starts_with("by secret 1, id evt_1 (signed), signed at "), "{signature}");
    let (told, _) = looked_at(&json!({ "delivery": "forward" }), |_| ());
    assert_eq!((told.outcome, told.status), ("webhook", None), "the backend says");
}

#[test]
fn an_address_that_may_not_send_is_refused_before_the_signature() {
    let (told, last) = looked_at(&json!({ "addresses": ["192.0.2.0/24"] }), |request| {
        request.client_ip = Some("198.51.100.7".to_owned());
    });
    assert_eq!((told.code, last.step), (Some(Code::IpNotAllowed), Step::Sender));
    assert_eq!(last.detail, "198.51.100.7 is in none of `addresses`");
}

#[test]
fn in_shadow_it_would_be_refused_and_goes_on() {
    let until = NOW.plus(Millis::days(1)).to_rfc3339();
    let shadow = json!({ "shadow": { "checks": ["signatures"], "until": until[..10] } });
    let (told, _) = looked_at(&shadow, |request| request.headers.clear());
    assert_eq!((told.outcome, told.code), ("webhook", None));
    assert_eq!(told.steps[5].result, Verdict::WouldRefuse);
}

#[test]
fn without_a_body_or_a_secret_the_signature_is_not_looked_at() {
    let policy = policy();
    let mut request = sent(&policy.sources[0], NOW);
    let told = told(policy.clone(), None, &request);
    let last = &told.steps[5];
    assert_eq!((told.outcome, told.status, told.code), ("webhook", None, None));
    assert_eq!((last.step, last.result), (Step::Signature, Verdict::Skipped));
    assert_eq!(last.detail, "no secret is known here");
    request.body = None;
    let Explained::Told(told) =
        explain(policy, None, &request, &Asks::with_the_policy(NOW), &[7; 40])
    else {
        panic!("the signature of a body that is not there is to be looked at")
    };
    assert_eq!(told.steps[5].detail, "no body was given, and the signature is over the body");
    let (told, last) = looked_at(&json!({}), |request| {
        request.headers.push(("content-length".to_owned(), "1025".to_owned()));
    });
    assert_eq!((told.code, last.step), (Some(Code::BodyTooLarge), Step::Route));
}

#[test]
fn a_challenge_is_told_without_its_answer() {
    let slack = json!({ "scheme": "slack", "secrets": ["${secret:SHOP}"] });
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let policy = policy_with(&source(&slack));
    let scheme = policy.sources[0].scheme.scheme();
    let keys = Keys::read(&scheme, &[Secret::new("slack")]).unwrap();
    let request = signed(&policy.sources[0], "slack", body, NOW);
    let told = match explain(policy.clone(), None, &request, &Asks::with_the_policy(NOW), &[7; 40])
    {
        Explained::Told(told) => *told,
        Explained::Signed(webhook) => {
            let found = verify(&scheme, &keys, &webhook.request(), 1_024, NOW, &Portable);
            webhook.told(&found)
        }
    };
    assert_eq!((told.outcome, told.status), ("answer", Some(200)));
    assert!(!format!("{told:?}").contains("3eZbrw1aBm2"), "{told:?}");
}

#[test]
fn a_body_is_a_text_or_base64() {
    let read = |body: serde_json::Value| {
        let request = json!({ "method": "POST", "url": "https://a", "body": body });
        serde_json::from_value::<Request>(request)
            .ok()
            .map(|request| request.body.map(|body| body.bytes().to_vec()))
    };
    assert_eq!(read(json!("a")), Some(Some(b"a".to_vec())));
    assert_eq!(read(json!({ "base64": "AP8=" })), Some(Some(vec![0, 255])));
    assert_eq!(read(json!(null)), Some(None));
    for wrong in [json!({ "base64": "AP8" }), json!({ "text": "a" }), json!(1), json!(["a"])] {
        assert_eq!(read(wrong.clone()), None, "{wrong}");
    }
}

#[test]
fn of_a_source_that_is_not_theirs_nobody_is_told_what_it_is_like() {
    let strict = json!({ "addresses": ["192.0.2.0/24"] });
    let policy = policy_with(&source(&strict));
    let asks = Asks { now: NOW, sees: &|_| false };
    let good = sent(&policy.sources[0], NOW);
    let told = |change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        match explain(policy.clone(), None, &request, &asks, &[7; 40]) {
            Explained::Told(told) => *told,
            Explained::Signed(_) => panic!("its signature is to be looked at"),
        }
    };
    let same = told(&|_| ());
    assert_eq!((same.outcome, same.status, same.code), ("webhook", None, None));
    let changes: [Change<'_>; 4] = [
        &|request| request.client_ip = Some("192.0.2.7".to_owned()),
        &|request| request.client_ip = Some("198.51.100.7".to_owned()),
        &|request| request.method = "PUT".to_owned(),
        &|request| request.body = None,
    ];
    for change in changes {
        let other = told(change);
        assert_eq!((other.outcome, other.code), ("webhook", None));
        assert_eq!(other.steps[4], same.steps[4]);
    }
}
