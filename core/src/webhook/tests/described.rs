//! Schemes that a policy describes.

use super::*;

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn verdict(
    described: &[(&str, &str)],
    secret: &str,
    headers: &[(&str, &str)],
    body: &str,
    now: u64,
) -> Result<Verified, Failure> {
    let description = Description::read(&fields(described)).unwrap();
    let scheme = description.scheme();
    let keys = Keys::read(&scheme, &[Secret::new(secret)]).unwrap();
    let headers = fields(headers);
    let request = Request { method: "POST", url: "", headers: &headers, body: body.as_bytes() };
    verify(&scheme, &keys, &request, BODY_LIMIT, UnixMillis::from_secs(now), &Portable)
}

#[test]
fn a_described_scheme_verifies() {
    let plain = [
        ("header", "X-Signature"),
        ("algorithm", "sha256"),
        ("encoding", "hex"),
        ("template", "{body}"),
    ];
    // Published: stripe-node, test/crypto/helpers.ts.
    let json = r#"{"obj1":"hello","obj2":"world"}"#;
    let mac = "bebb1a643997f419b315ddba19e6f5411e1ce7f810ba6d3617ce72823092f363";
    assert!(verdict(&plain, "test_secret", &[("x-signature", mac)], json, 0).is_ok());
    let emoji = "837da296d05c4fe31f61d5d7ead035099d9585a5bcde87de952012a78f0b0c43";
    assert!(verdict(&plain, "test_secret", &[("x-signature", emoji)], "\u{1f600}", 0).is_ok());
    // Published: adnanh/webhook, internal/hook/hook_test.go.
    let prefixed = [&plain[..], &[("prefix", "sha256=")]].concat();
    let mac = "sha256=f417af3a21bd70379b5796d5f013915e7029f62c580fb0f500f59a35a6f04c89";
    let verified =
        verdict(&prefixed, "secret", &[("X-Signature", mac)], r#"{"a": "z"}"#, 0).unwrap();
    assert_eq!((verified.id, verified.timestamp, verified.covers), (None, None, Covers::Body));
    let bare = mac.replace("sha256=", "");
    assert!(verdict(&prefixed, "secret", &[("X-Signature", &bare)], r#"{"a": "z"}"#, 0).is_err());
}

#[test]
fn a_described_list_with_a_time_verifies() {
    // Published: convoy, pkg/signature/testdata/signature-vectors.json.
    let described = [
        ("header", "X-Convoy-Signature"),
        ("algorithm", "sha256"),
        ("encoding", "hex"),
        ("template", "{timestamp},{body}"),
        ("separator", ","),
        ("prefix", "v1="),
        ("timestamp", "t="),
    ];
    let body = r#"{"event":"charge.success","amount":1000,"currency":"NGN"}"#;
    let right = "t=1700000000,v1=77b8b9269f25a199846a55a2bd25b3fba151c70fdae60bb1dcd87fbbc943c55c";
    let at = |signature: &str, now| {
        verdict(
            &described,
            "convoy-webhook-secret",
            &[("X-Convoy-Signature", signature)],
            body,
            now,
        )
    };
    assert!(at(right, 1_700_000_000).is_ok());
    assert!(at(right, 1_700_000_300).is_ok());
    assert_eq!(at(right, 1_700_000_301).unwrap_err().reason(), "timestamp_out_of_range");
    assert_eq!(at(right, 1_699_999_699).unwrap_err().reason(), "timestamp_out_of_range");
    assert!(at(&right.replace("t=1700000000,", ""), 1_700_000_000).is_err());
    assert!(at("t=1700000000,v1=1234567890", 1_700_000_000).is_err());
    let sha512 =
        "bMdy3IGUKuG1/6kcOmoHsNN+3I3GvYPjUYohnx8Z/3GuG3bWsyCUDUFMI2oarX95MLY+DxkolRlV0xIZVF4bZg==";
    let simple = [
        ("header", "X-Convoy-Signature"),
        ("algorithm", "sha512"),
        ("encoding", "base64"),
        ("template", "{body}"),
    ];
    assert!(
        verdict(&simple, "convoy-webhook-secret", &[("X-Convoy-Signature", sha512)], body, 0)
            .is_ok()
    );
}

#[test]
fn headers_that_are_signed_are_signed_whole() {
    let described = [
        ("header", "X-Sig"),
        ("algorithm", "sha256"),
        ("encoding", "base64url"),
        ("template", "{header:X-Topic}\n{id}\n{body}"),
        ("id", "X-Id"),
        ("key", "hex"),
    ];
    // Python: base64.urlsafe_b64encode(hmac.new(bytes([1]), b"orders\n7\n{}", "sha256").digest())
    let signature = "qLeoUz_iaoFRnqGCRoqwkcHj7Yw_w-4lOqkapjlz6NQ=";
    let with = |topic: &str, id: &str, signature: &str, body: &str| {
        let headers = [("X-Sig", signature), ("X-Topic", topic), ("X-Id", id)];
        verdict(&described, "01", &headers, body, 0)
    };
    let verified = with("orders", "7", signature, "{}").unwrap();
    assert_eq!((verified.id.as_deref(), verified.id_signed), (Some("7"), true));
    assert!(with("orders", "7", signature.trim_end_matches('='), "{}").is_ok());
    assert!(with("orders", "8", signature, "{}").is_err());
    assert!(with("order", "7", signature, "{}").is_err());
    assert!(with("", "7", signature, "{}").is_err());
    assert!(with("orders\n7", "{}", signature, "").is_err());
}

#[test]
fn every_fault_of_a_description_is_told_at_once() {
    let good = [
        ("header", "X-Sig"),
        ("algorithm", "sha256"),
        ("encoding", "hex"),
        ("template", "{timestamp}.{body}"),
        ("timestamp", "X-Time"),
        ("tolerance", "10m"),
    ];
    assert!(Description::read(&fields(&good)).is_ok());
    let told = |changes: &[(&str, &str)]| -> Vec<String> {
        let mut all = good.to_vec();
        all.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        all.extend(changes.iter().filter(|(_, text)| *text != "-"));
        match Description::read(&fields(&all)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    };
    for (changes, expected) in [
        (&[("header", "-")][..], &["header is missing"][..]),
        (&[("header", "a b")], &["header is no header's name"]),
        (&[("algorithm", "md5")], &["algorithm is none of sha256, sha512, sha1"]),
        (&[("encoding", "")], &["encoding is empty"]),
        (&[("templat", "x")], &["templat is not known: did you mean `template`?"]),
        (&[("tolerance", "2d")], &["tolerance is not between 1s and 24h"]),
        (&[("separator", "ab")], &["separator is not one sign, such as , or ;"]),
        (&[("timestamp", "t=")], &["separator is missing: it divides the time from the signature"]),
        (
            &[("timestamp", "-"), ("tolerance", "-")],
            &["timestamp is missing: the template has {timestamp}"],
        ),
        (
            &[("template", "{timestamp}")],
            &["template has no {body}: anyone could send another one"],
        ),
        (
            &[("template", "{body}")],
            &["template has no {timestamp}: a time that is not signed proves nothing"],
        ),
        (&[("template", "{timestamp}.{id}.{body}")], &["id is missing: the template has {id}"]),
        (
            &[("template", "{timestamp}.{body")],
            &["template has a `{` or a `}` without its other half"],
        ),
        (
            &[("template", "{timestamp}.{id}{body}"), ("id", "X-Id")],
            &["template has two places side by side that could be divided in another way: \
                 write a sign between them"],
        ),
        (
            &[("header", "-"), ("algorithm", "md5")],
            &["header is missing", "algorithm is none of sha256, sha512, sha1"],
        ),
    ] {
        assert_eq!(told(changes), expected, "{changes:?}");
    }
    let twice = fields(&[&good[..], &[("header", "X-Sig")]].concat());
    assert_eq!(Description::read(&twice).unwrap_err()[0].to_string(), "header stands there twice");
}
