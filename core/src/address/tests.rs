use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_has_no_other_spellings_than_the_standard_ones() {
    for (text, expected, reason) in [
        ("192.0.2.1", Some("192.0.2.1"), "IPv4"),
        ("2001:DB8:0::1", Some("2001:db8::1"), "IPv6 in any case and length"),
        ("::ffff:192.0.2.1", Some("192.0.2.1"), "IPv4 within IPv6"),
        ("::ffff:c000:201", Some("192.0.2.1"), "the same in hexadecimal"),
        ("::192.0.2.1", Some("::c000:201"), "the deprecated compatible form stays IPv6"),
        ("", None, "empty"),
        ("unknown", None, "a word"),
        ("localhost", None, "a name"),
        (" 192.0.2.1", None, "a blank"),
        ("192.0.2.1:80", None, "a port"),
        ("[::1]", None, "brackets"),
        ("192.0.2.1, 192.0.2.2", None, "a list"),
        ("192.0.2.010", None, "a leading zero"),
        ("0300.0.2.1", None, "octal"),
        ("0x7f.0.0.1", None, "hexadecimal"),
        ("127.1", None, "short"),
        ("3221225985", None, "one number"),
        ("192.0.2.256", None, "too large"),
        ("fe80::1%eth0", None, "a zone"),
        ("1:2:3:4:5:6:7", None, "too few groups"),
        ("::ffff:192.0.2.010", None, "a leading zero within IPv6"),
        ("١٩٢.0.2.1", None, "digits of another script"),
    ] {
        assert_eq!(parse_address(text), expected.map(ip), "{text}: {reason}");
    }
}

#[test]
fn a_network_is_read_in_one_form() {
    for (text, expected, reason) in [
        ("192.0.2.0/24", "192.0.2.0/24", "IPv4"),
        ("192.0.2.1", "192.0.2.1/32", "one address"),
        ("0.0.0.0/0", "0.0.0.0/0", "all of IPv4"),
        ("2001:DB8::/32", "2001:db8::/32", "IPv6 in upper case"),
        ("::1", "::1/128", "one address"),
        ("::/0", "::/0", "all of IPv6"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24", "IPv4 within IPv6"),
        ("::ffff:c000:201", "192.0.2.1/32", "one such address"),
        ("::ffff:0:0/96", "0.0.0.0/0", "all of IPv4 within IPv6"),
    ] {
        let network = Cidr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(network.to_string(), expected, "{reason}");
        let json = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Cidr>(&json).unwrap(), network, "{reason}");
    }
}

#[test]
fn what_is_no_network_is_refused_with_what_to_write() {
    let address = "this is no address: write 192.0.2.0/24, 2001:db8::/32, or one address";
    let short = "what follows the slash is a number from 0 to 32 without leading zeros";
    let long = "what follows the slash is a number from 0 to 128 without leading zeros";
    for (text, expected) in [
        ("", address),
        ("localhost", address),
        ("192.0.2.*", address),
        ("192.0.2.0-192.0.2.9", address),
        ("192.0.2/24", address),
        (" 192.0.2.0/24", address),
        ("[::1]/128", address),
        ("fe80::1%eth0/64", address),
        ("192.0.2.0/", short),
        ("192.0.2.0/33", short),
        ("192.0.2.0/024", short),
        ("192.0.2.0/+24", short),
        ("192.0.2.0/-1", short),
        ("192.0.2.0/ 24", short),
        ("192.0.2.0/24/24", short),
        ("192.0.2.0/256", short),
        ("192.0.2.0/255.255.255.0", short),
        ("::/129", long),
        (
            "192.0.2.1/24",
            "bits are set beyond the prefix: write 192.0.2.0/24 for the network or 192.0.2.1/32 \
             for one address",
        ),
        (
            "2001:db8::1/32",
            "bits are set beyond the prefix: write 2001:db8::/32 for the network or \
             2001:db8::1/128 for one address",
        ),
        (
            "::ffff:192.0.2.1/120",
            "bits are set beyond the prefix: write 192.0.2.0/24 for the network or 192.0.2.1/32 \
             for one address",
        ),
    ] {
        assert_eq!(Cidr::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn a_network_contains_its_addresses_in_every_spelling_and_no_others() {
    for (network, address, expected, reason) in [
        ("192.0.2.128/25", "192.0.2.127", false, "one below"),
        ("192.0.2.128/25", "192.0.2.128", true, "the first"),
        ("192.0.2.128/25", "192.0.2.255", true, "the last"),
        ("192.0.2.128/25", "192.0.3.0", false, "one above"),
        ("192.0.2.4/31", "192.0.2.5", true, "two addresses"),
        ("192.0.2.1", "192.0.2.1", true, "one address"),
        ("192.0.2.0/24", "::ffff:192.0.2.1", true, "IPv4 within IPv6"),
        ("::ffff:192.0.2.0/120", "192.0.2.1", true, "a rule so written"),
        ("::ffff:192.0.2.0/120", "::ffff:192.0.2.1", true, "both so written"),
        ("192.0.2.0/24", "64:ff9b::c000:201", false, "NAT64 is IPv6"),
        ("192.0.2.0/24", "2002:c000:201::", false, "6to4 is IPv6"),
        ("0.0.0.0/0", "255.255.255.255", true, "no bits compared"),
        ("0.0.0.0/0", "::1", false, "all of IPv4 is not IPv6"),
        ("::/0", "2001:db8::1", true, "no bits compared"),
        ("::/0", "192.0.2.1", false, "all of IPv6 is not IPv4"),
        ("::/0", "::ffff:192.0.2.1", false, "nor IPv4 within it"),
        ("2001:db8::/32", "2001:db8:ffff::1", true, "inside"),
        ("2001:db8::/127", "2001:db8::2", false, "one above"),
        ("::1/128", "0:0:0:0:0:0:0:1", true, "another spelling"),
    ] {
        let network = Cidr::parse(network).unwrap();
        assert_eq!(network.contains(ip(address)), expected, "{network} {address}: {reason}");
    }
}

#[test]
fn an_empty_list_is_everybody_and_any_other_is_nobody_unreadable() {
    let some =
        Cidrs(vec![Cidr::parse("192.0.2.1").unwrap(), Cidr::parse("2001:db8::/32").unwrap()]);
    let all = Cidrs(vec![Cidr::parse("0.0.0.0/0").unwrap(), Cidr::parse("::/0").unwrap()]);
    for (list, address, expected, reason) in [
        (&Cidrs::default(), Some("192.0.2.9"), true, "no entry, all addresses"),
        (&Cidrs::default(), None, true, "no entry, not even a readable one is asked for"),
        (&some, Some("192.0.2.1"), true, "the first entry"),
        (&some, Some("2001:db8::9"), true, "the second entry"),
        (&some, Some("192.0.2.2"), false, "none"),
        (&some, None, false, "unreadable"),
        (&all, None, false, "unreadable is not even in all networks"),
    ] {
        assert_eq!(list.allows(address.map(ip)), expected, "{reason}");
    }
}

#[test]
fn the_clients_address_stands_where_the_policy_says() {
    let forwarded = |hops| ClientIpSource::XForwardedFor { trusted_hops: hops };
    let list = "192.0.2.66, 192.0.2.1,\t198.51.100.7:4711 , [2001:db8::1]:443";
    for (source, header, socket, expected, reason) in [
        (ClientIpSource::CfConnectingIp, Some("192.0.2.1"), None, Some("192.0.2.1"), "the header"),
        (ClientIpSource::CfConnectingIp, None, Some("192.0.2.9:1"), None, "never the socket then"),
        (ClientIpSource::CfConnectingIp, Some("192.0.2.1, 192.0.2.2"), None, None, "two lines"),
        (ClientIpSource::Socket, Some("192.0.2.1"), Some("192.0.2.9:1"), Some("192.0.2.9"), "IPv4"),
        (ClientIpSource::Socket, None, Some("[2001:db8::1]:9"), Some("2001:db8::1"), "IPv6"),
        (ClientIpSource::Socket, None, Some("[::ffff:192.0.2.9]:9"), Some("192.0.2.9"), "mapped"),
        (ClientIpSource::Socket, None, Some("[fe80::1%2]:9"), None, "a zone"),
        (ClientIpSource::Socket, None, Some("192.0.2.9"), None, "no port"),
        (ClientIpSource::Socket, None, None, None, "no socket"),
        (forwarded(1), Some(list), None, Some("2001:db8::1"), "what the only proxy appended"),
        (forwarded(2), Some(list), None, Some("198.51.100.7"), "the second from the right"),
        (forwarded(3), Some(list), None, Some("192.0.2.1"), "the third"),
        (forwarded(5), Some(list), None, None, "fewer entries than proxies"),
        (forwarded(1), Some("192.0.2.1, unknown"), None, None, "an entry that is no address"),
        (forwarded(1), Some("192.0.2.1,"), None, None, "an empty entry"),
        (forwarded(1), None, Some("192.0.2.9:1"), None, "no header"),
        (forwarded(0), Some(list), None, None, "cannot be written, and reads nothing"),
    ] {
        let read = source.read(&|_| header.map(ToOwned::to_owned), socket);
        assert_eq!(read, expected.map(ip), "{source}: {reason}");
    }
}

#[test]
fn a_source_asks_for_its_own_header_only() {
    for (source, name) in [
        (ClientIpSource::CfConnectingIp, "cf-connecting-ip"),
        (ClientIpSource::XForwardedFor { trusted_hops: 1 }, "x-forwarded-for"),
    ] {
        let only = |asked: &str| (asked == name).then(|| "192.0.2.1".to_owned());
        assert_eq!(source.read(&only, None), Some(ip("192.0.2.1")), "{name}");
    }
}

#[test]
fn a_source_is_its_text() {
    for text in ["cf-connecting-ip", "socket", "x-forwarded-for:1", "x-forwarded-for:255"] {
        let source: ClientIpSource = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        assert_eq!(serde_json::to_string(&source).unwrap(), format!("\"{text}\""));
    }
    for text in [
        "",
        "CF-Connecting-IP",
        "x-forwarded-for",
        "x-forwarded-for:",
        "x-forwarded-for:0",
        "x-forwarded-for:01",
        "x-forwarded-for:+1",
        "x-forwarded-for:256",
        "x-real-ip",
    ] {
        assert_eq!(text.parse::<ClientIpSource>(), Err(ClientIpSourceError), "{text}");
    }
}

#[test]
fn failures_are_counted_by_what_one_subscriber_has() {
    for (address, expected) in [
        (Some("192.0.2.1"), "192.0.2.1"),
        (Some("::ffff:192.0.2.1"), "192.0.2.1"),
        (Some("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"),
        (Some("2001:db8:1:2::"), "2001:db8:1:2::/64"),
        (None, "unreadable"),
    ] {
        assert_eq!(failure_block(address.map(ip)), expected);
    }
}
