//! Every parser of what a stranger sends takes any text, and what it gives is sound.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use tollgate_core::forward::{
    Keep, LeakGuard, Relay, Trace, answer_edits, clean_query, request_edits,
};
use tollgate_core::header::is_repeated;
use tollgate_core::request::{RequestUrl, decode_value};
use tollgate_core::text::Secret;
use tollgate_core::time::{Millis, UnixMillis};

/// Texts of the kind that readers of URLs disagree about.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "//", ".", "..", ";", "\\", "%2e", "%2F", "%5c", "%25", "%", "%zz", "%00", "a", "é",
        "%C3%A9", "?", "#", ":", "@", "+", " ", "..;",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_path_has_one_form_that_is_its_own_form(path in prop_oneof![paths(), any::<String>()]) {
        if let Ok(url) = RequestUrl::parse(&format!("https://a.example/{path}")) {
            let again = RequestUrl::parse(&format!("https://a.example{}", url.path)).unwrap();
            prop_assert_eq!(&again.path, &url.path);
            prop_assert!(url.path.is_ascii() && url.path.starts_with('/'));
            for segment in url.path.split('/') {
                prop_assert!(!matches!(segment.split(';').next(), Some("." | "..")), "{}", url.path);
                prop_assert!(!segment.to_ascii_lowercase().contains("%2f"), "{}", url.path);
                prop_assert!(decode_value(segment).is_some(), "{}", url.path);
            }
            prop_assert!(!url.path.contains("//") && !url.path.contains('\\'));
        }
    }

    #[test]
    fn any_url_is_taken_apart_or_refused(text in any::<String>()) {
        let _ = RequestUrl::parse(&text);
        if let Ok(url) = RequestUrl::split(&format!("https://{text}")) {
            let _ = (url.host().to_owned(), url.is_loopback(), url.base());
        }
    }

    #[test]
    fn no_protected_name_is_left_in_a_query(
        noise in "[a-z=&;%+._\\[\\]-]{0,20}", spelled in prop::sample::select(vec![
            "tenant", "TENANT", "t%65nant", "%74enant", "tenant[]", "tenant%5B0%5D", "tenant%255b", ".tenant", "tenant "
        ])
    ) {
        let query = format!("{noise}&{spelled}=evil&{noise}");
        let clean = clean_query(Some(&query), &["tenant"]).unwrap();
        if spelled != ".tenant" {
            prop_assert!(!clean.contains("evil"), "{} -> {}", query, clean);
        }
        prop_assert_eq!(clean_query(Some(&query), &[]), Some(query));
    }

    #[test]
    fn a_trace_is_always_sound(header in prop_oneof![any::<String>(), "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.{0,3}"],
        random in prop::collection::vec(any::<u8>(), 0..40)) {
        let trace = Trace::new(Some(&header), &random).to_string();
        let parts: Vec<&str> = trace.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        prop_assert_eq!(lengths, [2, 32, 16, 2]);
        prop_assert!(Trace::new(Some(&trace), &[]).continued, "{}", trace);
    }

    #[test]
    fn headers_of_any_kind_are_judged(
        names in prop::collection::vec("[!-~]{1,20}", 0..8), connection in any::<String>(), cookie in any::<String>(),
        value in any::<String>()
    ) {
        let keep = Keep { authorization: true, cookies: true };
        let edits = request_edits(&names, Some(&connection), Some(&cookie), keep, &["x-company"]);
        prop_assert!(edits.remove.iter().all(|name| names.contains(name)));
        let headers: Vec<(String, String)> = names.iter().map(|name| (name.clone(), value.clone())).collect();
        let secret = Secret::new("a-secret-of-enough-bytes");
        let guard = LeakGuard::new([&secret]);
        let leaks = value.contains(secret.expose());
        prop_assert_eq!(matches!(answer_edits(&headers, &guard, "https://g"), Relay::Leak { .. }), leaks && !headers.is_empty());
        let _ = is_repeated(&value);
    }

    #[test]
    fn any_text_is_a_time_or_none(text in any::<String>(), ms in 0_u64..253_402_300_800_000) {
        let _ = Millis::parse(&text);
        let _ = UnixMillis::parse_rfc3339(&text);
        let at = UnixMillis::from_millis(ms);
        prop_assert_eq!(UnixMillis::parse_rfc3339(&at.to_rfc3339()), Some(at));
        let span = Millis::millis(ms);
        prop_assert_eq!(Millis::parse(&span.to_string()).unwrap(), span);
    }
}
