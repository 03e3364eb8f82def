use super::*;

#[test]
fn a_path_has_one_form_or_none() {
    for (url, path) in [
        ("https://a", Ok("/")),
        ("https://a/", Ok("/")),
        ("https://a?x", Ok("/")),
        ("https://a/v1/invoices", Ok("/v1/invoices")),
        ("https://a/v1/invoices/", Ok("/v1/invoices/")),
        ("https://a/v1/%69nvoices", Ok("/v1/invoices")),
        ("https://a/%7Euser", Ok("/~user")),
        ("https://a/a%20b", Ok("/a%20b")),
        ("https://a/größe", Ok("/gr%C3%B6%C3%9Fe")),
        ("https://a/gr%c3%b6%c3%9fe", Ok("/gr%C3%B6%C3%9Fe")),
        ("https://a/a:b@c!d$e&f'g(h)*+,;=", Ok("/a:b@c!d$e&f'g(h)*+,;=")),
        ("https://a/100%25", Ok("/100%25")),
        ("https://a/.well-known", Ok("/.well-known")),
        ("https://a/a/../b", Err(UrlError::Dot)),
        ("https://a/.", Err(UrlError::Dot)),
        ("https://a/..;/b", Err(UrlError::Dot)),
        ("https://a/.;x=1/b", Err(UrlError::Dot)),
        ("https://a/b;x=..", Ok("/b;x=..")),
        ("https://a/%2e%2e/b", Err(UrlError::Dot)),
        ("https://a/x%2Ey", Err(UrlError::Dot)),
        ("https://a//b", Err(UrlError::Empty)),
        ("https://a/b//", Err(UrlError::Empty)),
        ("https://a/a\\b", Err(UrlError::Backslash)),
        ("https://a\\b", Err(UrlError::Backslash)),
        ("https://a/a%5Cb", Err(UrlError::Backslash)),
        ("https://a/a%2Fb", Err(UrlError::Slash)),
        ("https://a/%", Err(UrlError::Encoding)),
        ("https://a/%4", Err(UrlError::Encoding)),
        ("https://a/%zz", Err(UrlError::Encoding)),
        ("https://a/%ff", Err(UrlError::Encoding)),
        ("https://a/%00", Err(UrlError::Encoding)),
        ("https://a/%0d%0a", Err(UrlError::Encoding)),
        ("ftp://a/", Err(UrlError::Address)),
        ("https:///b", Err(UrlError::Address)),
        ("https://u@a/", Err(UrlError::Address)),
        ("/a", Err(UrlError::Address)),
    ] {
        let got = RequestUrl::parse(url).map(|url| url.path);
        assert_eq!(got.as_deref().map_err(|e| *e), path, "{url}");
    }
}

#[test]
fn the_one_form_is_a_fixed_point() {
    for path in ["/v1/%69", "/größe", "/a%20b/", "/100%25"] {
        let once = RequestUrl::parse(&format!("https://a{path}")).unwrap().path;
        let twice = RequestUrl::parse(&format!("https://a{once}")).unwrap().path;
        assert_eq!(once, twice);
    }
}

#[test]
fn a_url_comes_apart() {
    let url = RequestUrl::parse("http://API.example.com:8080/a?b=c?d#e").unwrap();
    assert_eq!(url.authority, "api.example.com:8080");
    assert_eq!(url.host(), "api.example.com");
    assert_eq!(url.query.as_deref(), Some("b=c?d"));
    assert_eq!(url.base(), "http://api.example.com:8080");
    assert!(!url.secure);
    assert_eq!(RequestUrl::parse("https://[::1]:9/").unwrap().host(), "[::1]");
    for (host, loopback) in [
        ("localhost", true),
        ("gate.localhost", true),
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("[::1]", true),
        ("localhost.evil.com", false),
        ("notlocalhost", false),
        ("127.0.0.1.evil.com", false),
        ("10.0.0.1", false),
    ] {
        let url = RequestUrl::parse(&format!("http://{host}:1/")).unwrap();
        assert_eq!(url.is_loopback(), loopback, "{host}");
    }
}

#[test]
fn ids_are_ordered_by_time_and_differ_by_chance() {
    let at = |ms| UnixMillis::from_millis(ms);
    let early = RequestId::new(at(1_795_319_029_007), &[0; 40]);
    let late = RequestId::new(at(1_795_319_029_008), &[0; 40]);
    assert!(early.as_str() < late.as_str());
    assert_eq!(early.as_str().len(), 19);
    assert_ne!(RequestId::new(at(1), &[1; 40]), RequestId::new(at(1), &[2; 40]));
}
