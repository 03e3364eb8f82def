//! Where a provider signs a part of the body: it cannot be taken for another part, nor for a body.

use super::*;

#[test]
fn twilio_signs_what_it_can_and_nothing_else_passes() {
    let sent = Sent::first("twilio");
    let form = String::from_utf8(sent.body.clone()).unwrap();
    let with_body = |body: &str| Sent { body: body.as_bytes().to_vec(), ..sent.clone() };
    // The same fields in another order and another encoding are the same fields.
    let (last, first) = form.rsplit_once('&').map(|(rest, last)| (last, rest)).unwrap();
    assert!(with_body(&format!("{last}&{first}")).verify().is_ok());
    assert!(with_body(&form.replace("CallSid", "%43allSid")).verify().is_ok());
    for (body, why) in [
        (form.replace("1234", "1235"), "another value"),
        (format!("{form}&Extra=1"), "one more"),
        (form.replace("Digits=1234&", ""), "one less"),
        (format!("{form}&"), "a field without a name"),
        (format!("{form}&="), "the same"),
        (String::new(), "no body"),
    ] {
        assert!(with_body(&body).verify().is_err(), "{why}");
    }
    for (url, why) in [
        ("https://mycompany.com/myapp.php?foo=1&bar=3", "another query"),
        ("https://mycompany.com/myapp.php", "none"),
        ("https://evil.example/myapp.php?foo=1&bar=2", "another host"),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "no TLS"),
        ("", "no URL"),
    ] {
        assert!(Sent { url: url.to_owned(), ..sent.clone() }.verify().is_err(), "{why}");
    }
    // A body that is no form has to be named by the URL.
    let json = RIGHT.iter().find(|right| right.url.contains("bodySHA256")).map(Sent::of).unwrap();
    let other = Sent { body: b"{\"property\": \"other\"}".to_vec(), ..json.clone() };
    assert_eq!(other.verify().unwrap_err(), Failure::BodyChanged);
    let as_form = json.clone().with("content-type", "application/x-www-form-urlencoded");
    assert!(as_form.verify().is_ok(), "the hash in the URL counts, whatever the body says it is");
    let plain = Sent { body: Vec::new(), url: sent.url.clone(), ..json };
    let plain = signing::signed_again(&plain);
    assert!(plain.verify().is_ok());
    let slipped_in = Sent { body: b"{}".to_vec(), ..plain };
    assert!(matches!(slipped_in.verify(), Err(Failure::Malformed { part: Part::Body, .. })));
}

#[test]
fn adyens_fields_cannot_be_divided_in_another_way() {
    let sent = RIGHT.iter().filter(|right| right.scheme == "adyen").nth(1).map(Sent::of).unwrap();
    let body = String::from_utf8(sent.body.clone()).unwrap();
    let with_body = |body: String| Sent { body: body.into_bytes(), ..sent.clone() };
    // What is not signed may be anything, and makes no new event.
    let changed = with_body(body.replace("\"reason\":\"reason\"", "\"reason\":\"none\""));
    let (one, other) = (sent.verify().unwrap(), changed.verify().unwrap());
    assert_eq!(one.covers, other.covers);
    for (body, why) in [
        (body.replace("1000", "9000"), "another amount"),
        (body.replace("\"true\"", "\"false\""), "another outcome"),
        // The same text with the colons elsewhere.
        (
            body.replace(
                "\"originalReference\":\"originalReference\"",
                "\"originalReference\":\"\"",
            )
            .replace(
                "\"pspReference\":\"pspReference\"",
                "\"pspReference\":\"pspReference:originalReference\"",
            ),
            "a colon in a word",
        ),
        (body.replace("\"live\"", "\"notificationItems\":[],\"live\""), "two members of one name"),
        (body.replace("\"pspReference\":", "\"pspReference\":\"x\",\"pspReference\":"), "the same"),
        (
            {
                let end = body.rfind(']').unwrap();
                let item = &body[body.find('[').unwrap() + 1..end];
                format!("{},{item}{}", &body[..end], &body[end..])
            },
            "two items",
        ),
    ] {
        assert!(with_body(body).verify().is_err(), "{why}");
    }
    // The signature of fields is none of a body that is the text of them.
    let text = "pspReference:originalReference:merchantAccount:reference:1000:EUR:CAPTURE:true";
    let item: serde_json::Value = serde_json::from_str(&body).unwrap();
    let path = "/notificationItems/0/NotificationRequestItem/additionalData/hmacSignature";
    let mac = item.pointer(path).and_then(serde_json::Value::as_str).unwrap();
    let turned = with_body(text.to_owned()).with("HmacSignature", mac);
    let key = turned.keys().unwrap();
    let of_text = [std::borrow::Cow::Borrowed(text.as_bytes())];
    let made = portable_mac(Algorithm::HmacSha256, &key.all()[0], &of_text).unwrap();
    assert_eq!(base64(&made), mac, "the text is the one that is signed");
    assert!(matches!(turned.verify(), Err(Failure::Malformed { part: Part::Body, .. })));
    // The signature of a whole body is no signature of fields that spell the same text.
    let whole = Sent::first("adyen");
    let text = String::from_utf8(whole.body.clone()).unwrap();
    let mut words = text.splitn(8, ':');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (psp, original, merchant, reference) = (word(), word(), word(), word());
    let item = serde_json::json!({ "notificationItems": [{ "NotificationRequestItem": {
        "additionalData": { "hmacSignature": whole.header("HmacSignature") },
        "pspReference": psp, "originalReference": original, "merchantAccountCode": merchant,
        "merchantReference": reference, "amount": { "value": word(), "currency": word() },
        "eventCode": word(), "success": word(),
    } }] });
    let mut forged = whole;
    forged.headers.clear();
    forged.body = item.to_string().into_bytes();
    let failure = forged.verify().unwrap_err();
    assert!(matches!(failure, Failure::Malformed { part: Part::Body, .. }), "{failure}");
}
