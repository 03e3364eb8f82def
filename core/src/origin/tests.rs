use super::*;

/// Enough of the list to tell that parsing asks it.
struct SomeSuffixes;

impl PublicSuffixes for SomeSuffixes {
    fn is_public_suffix(&self, domain: &str) -> bool {
        !domain.contains('.') || domain == "co.uk" || domain == "github.io"
    }
}

fn pattern(text: &str) -> OriginPattern {
    OriginPattern::parse(text, &SomeSuffixes).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Each table: what the entry means, and everything near to it that it does not mean.
fn assert_matches(text: &str, origins: &[(&str, bool, &str)]) {
    let pattern = pattern(text);
    for (origin, expected, reason) in origins {
        assert_eq!(pattern.matches(origin), *expected, "{text} and {origin:?}: {reason}");
    }
}

#[test]
fn an_exact_origin_means_its_own_bytes_and_nothing_more() {
    assert_matches(
        "https://app.example.com",
        &[
            ("https://app.example.com", true, "itself"),
            ("", false, "empty"),
            ("null", false, "opaque"),
            ("*", false, "a wildcard sent by a client"),
            ("http://app.example.com", false, "another scheme"),
            ("https://app.example.com:443", false, "the default port is never serialised"),
            ("https://app.example.com:8443", false, "another port"),
            ("https://app.example.com:", false, "an empty port"),
            ("https://app.example.com.", false, "a final dot"),
            ("https://app.example.com/", false, "a path"),
            ("https://app.example.com?", false, "a query"),
            ("https://app.example.com#", false, "a fragment"),
            ("https://app.example.com\\@evil.example", false, "a backslash that parsers fold"),
            ("https://user@app.example.com", false, "a user"),
            ("https://app.example.com@evil.example", false, "a user that looks like the host"),
            ("https://app.example.com.evil.example", false, "a host that starts alike"),
            ("https://app.example.com-evil.example", false, "a label that starts alike"),
            ("https://evilapp.example.com", false, "a host that ends alike"),
            ("https://app.example.co", false, "cut off at the end"),
            ("https://appxexample.com", false, "a dot that is not any character"),
            ("HTTPS://app.example.com", false, "a scheme in upper case"),
            ("https://APP.example.com", false, "a host in upper case"),
            ("https:app.example.com", false, "a form that URL parsers mend"),
            ("https:/app.example.com", false, "another one"),
            ("//app.example.com", false, "no scheme"),
            ("app.example.com", false, "no scheme at all"),
            (" https://app.example.com", false, "a blank"),
            ("https://app.example.com\u{b}", false, "a vertical tab"),
            ("https://app.example.com\0", false, "a NUL"),
            ("https://app.example.com https://evil.example", false, "a list"),
            ("https://app.example.com, https://evil.example", false, "joined lines"),
            ("https://app。example.com", false, "a full stop that IDNA folds"),
            ("https://ａpp.example.com", false, "a full-width letter that IDNA folds"),
            ("https://app.exam\u{ad}ple.com", false, "a soft hyphen that IDNA drops"),
        ],
    );
}

#[test]
fn a_port_is_compared_as_it_is_written() {
    assert_matches(
        "https://app.example.com:8443",
        &[
            ("https://app.example.com:8443", true, "itself"),
            ("https://app.example.com", false, "no port"),
            ("https://app.example.com:844", false, "cut off"),
            ("https://app.example.com:84430", false, "longer"),
            ("https://app.example.com:08443", false, "a leading zero"),
            ("https://app.example.com:+8443", false, "a sign, which number parsers take"),
            ("https://app.example.com:73979", false, "8443 + 65536, the same in 16 bits"),
            ("https://app.example.com:８４４３", false, "full-width digits"),
        ],
    );
}

#[test]
fn a_wildcard_means_one_or_more_labels_and_never_the_bare_domain() {
    let longest = format!("https://{}.example.com", "a.".repeat(120).trim_end_matches('.'));
    let too_long = format!("https://{}.example.com", "a.".repeat(122).trim_end_matches('.'));
    assert_eq!((longest.len(), too_long.len()), (8 + 251, 8 + 255));
    assert_matches(
        "https://*.example.com",
        &[
            ("https://a.example.com", true, "one label"),
            ("https://a.b.example.com", true, "two labels"),
            ("https://foo_bar.example.com", true, "an underscore"),
            ("https://a--b.example.com", true, "hyphens"),
            ("https://xn--bcher-kva.example.com", true, "an encoded label"),
            ("https://1.example.com", true, "a number"),
            (&longest, true, "a host of at most 253 bytes"),
            (&too_long, false, "a host that is too long to exist"),
            ("https://example.com", false, "the bare domain"),
            ("https://.example.com", false, "an empty label"),
            ("https://a..example.com", false, "an empty label in between"),
            ("https://aexample.com", false, "no dot before the base"),
            ("https://*.example.com", false, "the pattern itself"),
            ("https://A.example.com", false, "upper case"),
            ("https://a.example.com:8443", false, "a port"),
            ("https://a.example.com.evil.example", false, "the base is not the end"),
            ("http://a.example.com", false, "another scheme"),
            ("https://evil.example#.example.com", false, "a fragment as a label"),
            ("https://evil.example/.example.com", false, "a path as a label"),
            ("https://evil.example\\.example.com", false, "a backslash as a label"),
            ("https://evil.example:x.example.com", false, "a port as a label"),
            ("https://evil.example:443@a.example.com", false, "a user as a label"),
            ("https://a%2eb.example.com", false, "an encoded dot"),
            ("https://a`.example.com", false, "a character that some browsers let through"),
            ("https://bücher.example.com", false, "a label that is not ASCII"),
            ("https://a。example.com", false, "a full stop that IDNA folds"),
            ("https://[::1].example.com", false, "an address as a label"),
        ],
    );
}

#[test]
fn any_port_means_none_or_a_serialised_one() {
    assert_matches(
        "https://*.example.com:*",
        &[
            ("https://a.example.com", true, "the default port"),
            ("https://a.example.com:1", true, "the first"),
            ("https://a.example.com:65535", true, "the last"),
            ("https://a.example.com:80", true, "the default of another scheme"),
            ("https://a.example.com:443", false, "the default is never serialised"),
            ("https://a.example.com:0", false, "no port"),
            ("https://a.example.com:65536", false, "beyond the last"),
            ("https://a.example.com:", false, "empty"),
            ("https://a.example.com:080", false, "a leading zero"),
            ("https://a.example.com:80a", false, "no number"),
            ("https://a.example.com:*", false, "the pattern itself"),
            ("https://a.example.com:1:1", false, "two ports"),
            ("https://example.com:1", false, "the bare domain"),
        ],
    );
    assert_matches(
        "http://[::1]:*",
        &[
            ("http://[::1]", true, "the default port"),
            ("http://[::1]:3000", true, "another"),
            ("http://[::1]3000", false, "no colon"),
            ("http://[::1]:3000]", false, "more than a port"),
            ("http://[0000::1]:3000", false, "another spelling of the address"),
            ("http://[::1%25lo]:3000", false, "a zone"),
        ],
    );
}

#[test]
fn loopback_addresses_have_one_spelling() {
    assert_matches(
        "http://127.0.0.1:3000",
        &[
            ("http://127.0.0.1:3000", true, "itself"),
            ("http://localhost:3000", false, "a name is another origin"),
            ("http://127.1:3000", false, "short"),
            ("http://2130706433:3000", false, "one number"),
            ("http://0x7f.0.0.1:3000", false, "hexadecimal"),
            ("http://0177.0.0.1:3000", false, "octal"),
            ("http://127.0.0.1.nip.io:3000", false, "a name that starts alike"),
        ],
    );
}

#[test]
fn what_a_browser_may_send_is_a_pattern() {
    for (text, loopback, reason) in [
        ("https://example.com", false, "a domain"),
        ("https://intranet", false, "a name of one label"),
        ("https://*.example.com:8443", false, "a wildcard with a port"),
        ("https://*.example.co.uk", false, "one owner's domain below a public suffix"),
        ("https://acme.github.io", false, "one owner's part of a private suffix"),
        ("https://a_b.example.com", false, "an underscore"),
        ("https://xn--bcher-kva.example", false, "an encoded name"),
        ("https://192.0.2.1", false, "an IPv4 address"),
        ("https://[2001:db8::1]:8443", false, "an IPv6 address"),
        ("https://[::ffff:c000:201]", false, "a mapped address as browsers serialise it"),
        ("http://localhost", true, "loopback by name"),
        ("http://localhost:*", true, "loopback on any port"),
        ("http://app.localhost:3000", true, "a name below localhost"),
        ("http://*.localhost:3000", true, "all names below localhost are one machine"),
        ("http://127.8.9.10:3000", true, "all of 127.0.0.0/8"),
        ("http://[::1]:3000", true, "IPv6 loopback"),
        ("http://[::ffff:7f00:1]", true, "IPv4 loopback within IPv6"),
        ("https://localhost:8443", true, "loopback with TLS"),
        ("capacitor://localhost", false, "an application, whose host is only a name"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", false, "a browser extension"),
        ("safari-web-extension://9A3C7D60-51F4-4E0C-8D3C-0D0B7F6C3A11", false, "case is kept"),
    ] {
        let pattern = pattern(text);
        assert_eq!((pattern.as_str(), pattern.is_loopback()), (text, loopback), "{reason}");
    }
}

/// Each row: what is written, why it is wrong, and what to write instead.
fn assert_refused(rows: &[(&str, &str, Option<&str>)]) {
    for (text, reason, suggestion) in rows {
        let error = OriginPattern::parse(text, &SomeSuffixes).unwrap_err();
        assert_eq!(error.suggestion(), *suggestion, "{text}");
        let written = suggestion.map_or(String::new(), |text| format!(": write {text}"));
        assert_eq!(error.to_string(), format!("{reason}{written}"), "{text}");
    }
}

#[test]
fn what_no_browser_sends_is_refused_with_what_to_write() {
    assert_refused(&[
        ("", "an empty text is no origin", None),
        ("*", "`*` is not a pattern here: name the origins", None),
        ("https://example.com/", "an origin ends before the path", Some("https://example.com")),
        ("https://example.com?a=b", "an origin ends before the path", Some("https://example.com")),
        ("https://example.com\\", "an origin ends before the path", Some("https://example.com")),
        ("https://me:pw@example.com", "an origin names no user", Some("https://example.com")),
        ("example.com", "an origin starts with its scheme and ://", Some("https://example.com")),
        (
            "*.example.com",
            "an origin starts with its scheme and ://",
            Some("https://*.example.com"),
        ),
        (
            "https:/example.com",
            "an origin starts with its scheme and ://",
            Some("https://example.com"),
        ),
        ("//example.com", "an origin starts with its scheme and ://", Some("https://example.com")),
        ("1://example.com", "an origin starts with its scheme, such as https://", None),
        ("file:///etc", "no page has an origin of this scheme: use https", None),
        ("wss://example.com", "no page has an origin of this scheme: use https", None),
        (" https://example.com", "no blanks around an origin", Some("https://example.com")),
        ("https://exa mple.com", "a host is made of letters, digits, hyphens and dots", None),
        (
            "https://Example.com:8443",
            "browsers send the host in lower case",
            Some("https://example.com:8443"),
        ),
        (
            "HTTPS://Example.com:443/",
            "browsers send the scheme in lower case",
            Some("https://example.com"),
        ),
        (
            "https://bücher.example",
            "an origin is ASCII: write the host as browsers send it (xn--…)",
            None,
        ),
        ("https://example.com:443", "browsers omit the default port", Some("https://example.com")),
        ("http://localhost:80", "browsers omit the default port", Some("http://localhost")),
        (
            "https://example.com:08443",
            "a port has no leading zeros",
            Some("https://example.com:8443"),
        ),
        ("https://example.com:", "a port is missing after the colon", Some("https://example.com")),
        ("https://example.com:0", "a port is a number from 1 to 65535, or `*` for any", None),
        ("https://example.com:65536", "a port is a number from 1 to 65535, or `*` for any", None),
        ("https://example.com:+1", "a port is a number from 1 to 65535, or `*` for any", None),
        ("http://example.com", "http is for loopback hosts only", Some("https://example.com")),
        (
            "http://127.0.0.1.nip.io",
            "http is for loopback hosts only",
            Some("https://127.0.0.1.nip.io"),
        ),
    ]);
}

#[test]
fn what_is_no_host_is_refused_with_what_to_write() {
    assert_refused(&[
        (
            "https://example.com.",
            "a host with a final dot is another host to browsers",
            Some("https://example.com"),
        ),
        ("https://", "the host is missing: name a domain of your own", None),
        ("https://*", "the host is missing: name a domain of your own", None),
        ("https://*:*", "the host is missing: name a domain of your own", None),
        ("https://a..example.com", "a host has no empty labels", None),
        ("https://-a.example.com", "no label of a host starts or ends with a hyphen", None),
        ("https://xn--f.example", "this label starts with xn-- but encodes no name", None),
        ("https://xn--a-.example", "no label of a host starts or ends with a hyphen", None),
        (
            "https://**.example.com",
            "`*` stands for the first labels only, as in https://*.example.com",
            Some("https://*.example.com"),
        ),
        (
            "https://app.*.com",
            "`*` stands for the first labels only, as in https://*.example.com",
            None,
        ),
        (
            "https://127.1",
            "browsers send an IPv4 address as four decimal numbers without leading zeros",
            None,
        ),
        (
            "https://a.example.0x7f",
            "browsers send an IPv4 address as four decimal numbers without leading zeros",
            None,
        ),
        ("http://*.127.0.0.1", "an address has no names before it: write the address alone", None),
        ("http://*.[::1]", "an address has no names before it: write the address alone", None),
        ("http://::1", "an IPv6 address stands in brackets", Some("http://[::1]")),
        ("http://[::1", "the bracket of an IPv6 address is not closed", None),
        ("http://[::1]a", "only a port may follow an IPv6 address", None),
        ("http://[fe80::1%eth0]", "an origin has no zone (`%…`)", None),
        ("http://[localhost]", "this is no IPv6 address", None),
        (
            "http://[0:0::1]:3000",
            "browsers send an IPv6 address in its shortest form",
            Some("http://[::1]:3000"),
        ),
        (
            "https://[::ffff:192.0.2.1]",
            "browsers send an IPv6 address in its shortest form",
            Some("https://[::ffff:c000:201]"),
        ),
        ("capacitor://", "a host of letters, digits, hyphens and dots is missing", None),
        ("app://*.example.com", "wildcards are for https and loopback origins only", None),
    ]);
    for text in ["null", &"a".repeat(301), &format!("https://{}.com", "a".repeat(64))] {
        assert!(OriginPattern::parse(text, &SomeSuffixes).is_err(), "{text}");
    }
}

#[test]
fn a_wildcard_needs_a_base_with_one_owner() {
    for (text, edge, whole, reason) in [
        ("https://*.com", false, false, "a single label"),
        ("https://*.com:*", false, false, "a single label, any port"),
        ("https://*.co.uk", true, false, "known to the whole list only"),
        ("https://*.github.io", true, false, "known to the private section only"),
        ("https://*.example.com", true, true, "a domain of one owner"),
        ("https://com", true, true, "an exact origin has one owner whatever its name"),
    ] {
        assert_eq!(OriginPattern::parse(text, &SingleLabels).is_ok(), edge, "{text}: {reason}");
        assert_eq!(OriginPattern::parse(text, &SomeSuffixes).is_ok(), whole, "{text}: {reason}");
    }
}

#[test]
fn encoded_labels_decode_to_something() {
    for (label, valid, reason) in [
        ("xn--bcher-kva", true, "bücher"),
        ("xn--mnchen-3ya", true, "münchen"),
        ("xn--fiqs8s", true, "no ASCII in it"),
        ("xn--ls8h", true, "beyond 16 bits"),
        ("xn--f", false, "a number that does not end"),
        ("xn--", false, "nothing (and a hyphen at the end)"),
        ("xn--99999999", false, "beyond Unicode"),
    ] {
        let text = format!("https://{label}.example");
        assert_eq!(OriginPattern::parse(&text, &SomeSuffixes).is_ok(), valid, "{label}: {reason}");
    }
}

#[test]
fn a_list_tells_all_its_errors_with_their_places() {
    let wrong = parse_list(["https://a.example/", "https://b.example", "null"], &SomeSuffixes);
    let places: Vec<usize> = wrong.unwrap_err().iter().map(|(at, _)| *at).collect();
    assert_eq!(places, [0, 2]);
    assert_eq!(parse_list(["https://b.example"], &SomeSuffixes).unwrap().len(), 1);
}

#[test]
fn as_json_a_pattern_is_its_text() {
    let text = "\"https://*.example.com:*\"";
    let read: OriginPattern = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert!(serde_json::from_str::<OriginPattern>("\"https://*.com\"").is_err());
}
