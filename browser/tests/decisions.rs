//! The decisions as a page meets them: in Node, and in Chrome with `WASM_BINDGEN_USE_BROWSER=1`.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use tollgate_browser::{explain_request, inspect_key, match_address, match_origin};
use wasm_bindgen_test::wasm_bindgen_test;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[wasm_bindgen_test]
fn a_whole_key_is_told_from_lookalikes() {
    // CRC-32 of the text before it, made by another implementation (Python's zlib).
    let key = "tg_prod_sk_0123456789ABCDEF_00000000000000000000000000000000";
    let check = "3mNEnS";
    let told = read(&inspect_key(&format!(" {key}{check}\n")));
    assert_eq!(
        told,
        json!({"whole": true, "brand": "tg", "environment": "prod", "kind": "sk", "id": "0123456789ABCDEF"})
    );
    for lookalike in [
        "",
        "hello",
        key,
        &format!("{key}{check}0"),
        &format!("{key}000000"),
        "tg_prod_sk_\u{1F511}",
    ] {
        let told = read(&inspect_key(lookalike));
        assert_eq!(told["whole"], json!(false), "{lookalike}");
        assert!(!told.to_string().contains("0000000000"), "{lookalike}: no secret comes back");
    }
}

#[wasm_bindgen_test]
fn origins_and_addresses_match_as_at_the_edge() {
    for (pattern, origin, told) in [
        ("https://app.example.com", "https://app.example.com", json!({"match": true})),
        ("https://app.example.com", "https://app.example.com.evil.com", json!({"match": false})),
        ("https://*.example.com", "https://a.b.example.com", json!({"match": true})),
        ("https://*.example.com", "https://example.com", json!({"match": false})),
        ("https://*.example.com", "null", json!({"match": false})),
    ] {
        assert_eq!(read(&match_origin(pattern, origin)), told, "{pattern} {origin}");
    }
    assert!(read(&match_origin("null", "null"))["error"].is_string());
    for (entry, address, told) in [
        ("192.0.2.0/24", "192.0.2.9", json!({"match": true})),
        ("192.0.2.0/24", "::ffff:192.0.2.9", json!({"match": true})),
        ("2001:db8::/32", "2001:db9::1", json!({"match": false})),
        ("192.0.2.0/24", "nonsense", json!({"match": false})),
    ] {
        assert_eq!(read(&match_address(entry, address)), told, "{entry} {address}");
    }
    assert!(read(&match_address("192.0.2.1/24", "x"))["error"].is_string());
}

#[wasm_bindgen_test]
fn a_page_can_walk_the_road() {
    let module = json!({"tollgate_policy": 1, "source": {
        "version": 1,
        "gate": {"realm": "t"},
        "environment": {"dev": {"upstream": {"b": "http://127.0.0.1:9"}}},
        "upstream": {"b": {}},
        "route": [{"name": "r", "path": "/r", "methods": ["GET"], "upstream": "b", "auth": "public",
                   "origins": ["https://app.example.com"]}],
    }})
    .to_string();
    let ask = |origin: &str| {
        let request = json!({"method": "GET", "url": "https://gate.example/r", "headers": [["Origin", origin]]});
        read(&explain_request(&module, "dev", "", &request.to_string(), 1.8e12))
    };
    assert_eq!(ask("https://app.example.com")["outcome"], json!("forward"));
    let refused = ask("https://evil.com");
    assert_eq!(
        (&refused["outcome"], &refused["code"]),
        (&json!("refuse"), &json!("origin_not_allowed"))
    );
    assert_eq!(refused["steps"].as_array().map(Vec::len), Some(12));
    for (module, environment, request) in
        [("{}", "dev", "{}"), (&*module, "nowhere", "{}"), (&*module, "dev", "")]
    {
        assert!(
            read(&explain_request(module, environment, "", request, f64::NAN))["error"].is_string()
        );
    }
}
