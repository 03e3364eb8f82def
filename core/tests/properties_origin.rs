//! What holds for every origin, address and preflight, however it is made up.
#![cfg(not(target_arch = "wasm32"))]

use std::net::IpAddr;

use proptest::prelude::*;
use tollgate_core::address::{Cidr, ClientIpSource, failure_block, parse_address};
use tollgate_core::cors::{AllowedOrigins, CorsConfig, CorsPolicy, CorsRefusal, classify};
use tollgate_core::origin::{OriginPattern, SingleLabels};

/// What origins and the attacks on them are made of.
#[rustfmt::skip] // one list, not one piece to a line
const PIECES: &[&str] = &[
    "https://", "http://", "capacitor://", "null", "*", "*.", "example", ".", "com", "localhost",
    ":", "443", "80", "8443", "65536", "0", "[", "]", "::1", "127.0.0.1", "127.1", "0x7f", "/",
    "\\", "@", "?", "#", "%2e", " ", "\t", "\0", "A", "a", "-", "_", "xn--", "bcher-kva", "ü",
    "。", "\u{ad}", ",", "evil",
];

/// Texts made of those pieces, and any others.
fn near_origins() -> impl Strategy<Value = String> {
    let made_up = prop::collection::vec(prop::sample::select(PIECES), 0..9);
    prop_oneof![made_up.prop_map(|pieces| pieces.concat()), any::<String>()]
}

fn labels() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z0-9_-]{1,10}", 1..5).prop_map(|labels| labels.join("."))
}

proptest! {
    /// No text makes a parser panic, and what it takes it gives back as it was.
    #[test]
    fn any_text_is_a_pattern_or_an_error(text in near_origins(), origin in near_origins()) {
        match OriginPattern::parse(&text, &SingleLabels) {
            Ok(pattern) => {
                prop_assert_eq!(pattern.as_str(), &text);
                prop_assert!(text.is_ascii());
                let _ = pattern.matches(&origin);
            }
            Err(error) => {
                if let Some(suggestion) = error.suggestion() {
                    prop_assert!(OriginPattern::parse(suggestion, &SingleLabels).is_ok());
                }
            }
        }
    }

    /// An exact pattern means itself and no other text.
    #[test]
    fn an_exact_pattern_is_equality(text in near_origins(), origin in near_origins()) {
        if let Ok(pattern) = OriginPattern::parse(&text, &SingleLabels)
            && !text.contains('*')
        {
            prop_assert!(pattern.matches(&text));
            prop_assert_eq!(pattern.matches(&origin), text == origin);
        }
    }

    /// What a wildcard lets in is its scheme, labels, a dot, and its base: nothing that a URL
    /// parser or a person would read as another host.
    #[test]
    fn a_wildcard_lets_in_names_below_its_base_only(origin in near_origins(), under in labels()) {
        let pattern = OriginPattern::parse("https://*.example.com", &SingleLabels).unwrap();
        let below = format!("https://{under}.example.com");
        prop_assert!(pattern.matches(&below));
        for origin in [origin.clone(), format!("https://{origin}.example.com"), below + &origin] {
            let name = origin.strip_prefix("https://").and_then(|o| o.strip_suffix(".example.com"));
            let clean = name.is_some_and(|name| {
                name.split('.').all(|label| {
                    !label.is_empty()
                        && label.bytes().all(|b| b"abcdefghijklmnopqrstuvwxyz0123456789-_".contains(&b))
                })
            });
            prop_assert_eq!(pattern.matches(&origin), clean && origin.len() <= 8 + 253);
        }
    }

    /// A network contains exactly the addresses that share its first bits, by another computation.
    #[test]
    fn containing_is_sharing_bits(a in any::<IpAddr>(), b in any::<IpAddr>(), prefix in 0_u8..=128) {
        if let Ok(network) = Cidr::parse(&format!("{a}/{prefix}")) {
            let bits = |address: IpAddr| match address.to_canonical() {
                IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
                IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
            };
            let kept = network.to_string().rsplit_once('/').unwrap().1.parse::<usize>().unwrap();
            let same = bits(a).len() == bits(b).len() && bits(a).get(..kept) == bits(b).get(..kept);
            prop_assert_eq!(network.contains(b), same);
            prop_assert!(network.contains(a));
        }
    }

    /// A prefix that is too long for the address is told with two mends, and both are networks.
    #[test]
    fn every_address_is_a_network_at_every_prefix(a in any::<IpAddr>(), prefix in 0_u8..=128) {
        let text = format!("{a}/{prefix}");
        match Cidr::parse(&text) {
            Ok(network) => prop_assert_eq!(Cidr::parse(&network.to_string()), Ok(network)),
            Err(error) => {
                let told = error.to_string();
                if let Some(mends) = told.strip_prefix("bits are set beyond the prefix: write ") {
                    let network = Cidr::parse(mends.split(' ').next().unwrap()).unwrap();
                    prop_assert!(network.contains(a) || a.to_canonical() != a);
                } else {
                    prop_assert!(a.is_ipv4() && prefix > 32, "{}: {}", text, told);
                }
            }
        }
    }

    /// No text makes the readers of addresses panic.
    #[test]
    fn any_text_is_an_address_or_none(text in "[0-9a-fx:.,%/\\[\\] ]{0,40}|\\PC{0,40}") {
        let address = parse_address(&text);
        let _ = (Cidr::parse(&text), text.parse::<ClientIpSource>(), failure_block(address));
        for source in ["cf-connecting-ip", "x-forwarded-for:1", "x-forwarded-for:3", "socket"] {
            let source: ClientIpSource = source.parse().unwrap();
            let _ = source.read(&|_| Some(text.clone()), Some(&text));
        }
    }

    /// No preflight makes the gate panic, echo more than was asked, or grant a name it was not
    /// told to; a refusal is short and printable.
    #[test]
    fn a_preflight_grants_at_most_what_was_asked(
        origin in near_origins(),
        method in "(GET|get|PUT|TRACE|\\PC{0,6})",
        headers in "((content-type|X-Own|authorization|\\PC{0,8})[, \t]{0,3}){0,200}",
    ) {
        let config = CorsConfig {
            headers: vec!["Content-Type".to_owned(), "X-Own".to_owned()],
            ..CorsConfig::default()
        };
        let methods = vec!["GET".to_owned(), "PUT".to_owned()];
        let route = CorsPolicy::build(AllowedOrigins::Any, methods, config, &[]).unwrap();
        let _ = classify(&method, Some(&origin), Some(&method), Some(&headers));
        match route.preflight(&origin, &method, Some(&headers), false) {
            Ok(grant) => {
                prop_assert!(method == "GET" || method == "PUT");
                let allowed = grant.headers.iter().find(|h| h.0 == "Access-Control-Allow-Headers");
                for name in allowed.iter().flat_map(|h| h.1.split(", ")) {
                    prop_assert!(name == "content-type" || name == "x-own");
                    prop_assert!(headers.to_ascii_lowercase().contains(name));
                }
            }
            Err(CorsRefusal::Header(name)) => {
                prop_assert!(name.len() <= 64);
                prop_assert!(name.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            }
            Err(_) => {}
        }
    }
}
