use proptest::prelude::*;

use super::DestinationError as E;
use super::*;

const HOSTS: &[&str] = &["api.acme.com", "gate.acme.com"];
const PRODUCTION: Home<'static> = Home { hosts: HOSTS, production: true };
const DEV: Home<'static> = Home { hosts: HOSTS, production: false };

fn parse(text: &str, home: Home<'_>) -> Result<String, DestinationError> {
    Destination::parse(text, home).map(|destination| destination.to_string())
}

#[test]
fn a_public_server_is_a_destination() {
    for (text, plain) in [
        ("https://hooks.acme.com", "https://hooks.acme.com"),
        ("https://hooks.acme.com/", "https://hooks.acme.com/"),
        ("https://hooks.acme.com:443/a", "https://hooks.acme.com/a"),
        ("https://HOOKS.Acme.com/Path", "https://hooks.acme.com/Path"),
        ("https://hooks.acme.com/a/b?c=d&e=%20", "https://hooks.acme.com/a/b?c=d&e=%20"),
        ("https://hooks.acme.com?c=d", "https://hooks.acme.com?c=d"),
        ("https://hooks.acme.com/a:8443/@b", "https://hooks.acme.com/a:8443/@b"),
        ("https://xn--bcher-kva.de/", "https://xn--bcher-kva.de/"),
        ("https://under_score.acme.com/", "https://under_score.acme.com/"),
        ("https://a.b.c.d.e.acme.co.uk/x", "https://a.b.c.d.e.acme.co.uk/x"),
        ("https://www.example.com/", "https://www.example.com/"),
        ("https://internal.acme.com/", "https://internal.acme.com/"),
        ("https://notlocalhost.com/", "https://notlocalhost.com/"),
        ("https://localhost.acme.com/", "https://localhost.acme.com/"),
        ("https://mylocal.dev/", "https://mylocal.dev/"),
        ("https://api.acme.com.evil.net/", "https://api.acme.com.evil.net/"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://8.8.8.8:443/x", "https://8.8.8.8/x"),
        ("https://172.32.0.1/", "https://172.32.0.1/"),
        ("https://100.128.0.1/", "https://100.128.0.1/"),
        ("https://192.0.1.1/", "https://192.0.1.1/"),
        ("https://223.255.255.255/", "https://223.255.255.255/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://[2a00:1450:4001::1]:443/x", "https://[2a00:1450:4001::1]/x"),
    ] {
        assert_eq!(parse(text, PRODUCTION).as_deref(), Ok(plain), "{text}");
        assert_eq!(parse(text, DEV).as_deref(), Ok(plain), "{text}");
    }
}

#[test]
fn what_is_none_says_why() {
    for (text, why) in [
        // No URL, or not in its one spelling.
        ("", E::Form),
        ("hooks.acme.com", E::Scheme),
        ("//hooks.acme.com", E::Scheme),
        ("ftp://hooks.acme.com", E::Scheme),
        ("file:///etc/passwd", E::Scheme),
        ("javascript:alert(1)", E::Scheme),
        ("gopher://hooks.acme.com/_x", E::Scheme),
        ("HTTPS://hooks.acme.com", E::Scheme),
        ("https:/hooks.acme.com", E::Scheme),
        ("https:hooks.acme.com", E::Scheme),
        (" https://hooks.acme.com", E::Scheme),
        ("http://hooks.acme.com", E::Scheme),
        ("http://10.0.0.1", E::Scheme),
        ("https://hooks.acme.com/a b", E::Character),
        ("https://hooks.acme.com/\n", E::Character),
        ("https://hooks.acme.com\\@10.0.0.1/", E::Character),
        ("https://hooks.acme.com/\u{e9}", E::Character),
        ("https://hooks\t.acme.com/", E::Character),
        ("https://", E::Host),
        ("https:///x", E::Host),
        ("https://.acme.com", E::Host),
        ("https://hooks..acme.com", E::Host),
        ("https://-hooks.acme.com", E::Host),
        ("https://hooks.acme.com.", E::Host),
        ("https://hooks.acme.com./", E::Host),
        ("https://ho%6fks.acme.com", E::Host),
        ("https://%31%30.0.0.1", E::Host),
        ("https://*.acme.com", E::Host),
        ("https://[::1", E::Host),
        ("https://[::1]x", E::Host),
        ("https://2606:4700::1111/", E::Port),
        // Who would send it, and where to.
        ("https://user@hooks.acme.com", E::Userinfo),
        ("https://user:pass@hooks.acme.com", E::Userinfo),
        ("https://@hooks.acme.com", E::Userinfo),
        ("https://hooks.acme.com:443@10.0.0.1", E::Userinfo),
        ("https://1.1.1.1@127.0.0.1/", E::Userinfo),
        ("https://hooks.acme.com#x", E::Fragment),
        ("https://hooks.acme.com#@10.0.0.1", E::Fragment),
        ("https://hooks.acme.com/x#", E::Fragment),
        ("https://hooks.acme.com:80", E::Port),
        ("https://hooks.acme.com:8443", E::Port),
        ("https://hooks.acme.com:", E::Port),
        ("https://hooks.acme.com:0443", E::Port),
        ("https://hooks.acme.com:+443", E::Port),
        ("https://hooks.acme.com:65979", E::Port),
        ("https://api.acme.com/v1", E::Gate),
        ("https://API.acme.com:443/", E::Gate),
        ("https://gate.acme.com/_tollgate/v1/keys", E::Gate),
        // This machine.
        ("https://localhost", E::NotPublic),
        ("https://LOCALHOST/", E::NotPublic),
        ("https://a.localhost", E::NotPublic),
        ("https://localhost./", E::Host),
        ("https://localhost.localdomain", E::NotPublic),
        ("https://127.0.0.1", E::NotPublic),
        ("https://127.255.255.254", E::NotPublic),
        ("https://[::1]", E::NotPublic),
        ("https://[0:0:0:0:0:0:0:1]", E::NotPublic),
        ("https://[0000::0001]", E::NotPublic),
        ("https://0.0.0.0", E::NotPublic),
        ("https://[::]", E::NotPublic),
        // Old, foreign and short spellings of IPv4.
        ("https://2130706433", E::Host),
        ("https://0x7f000001", E::Host),
        ("https://0x7f.0.0.1", E::Host),
        ("https://0X7F.1", E::Host),
        ("https://017700000001", E::Host),
        ("https://0177.0.0.1", E::Host),
        ("https://127.1", E::Host),
        ("https://127.0.1", E::Host),
        ("https://127.0.0.01", E::Host),
        ("https://127.0.0.1.", E::Host),
        ("https://127.0.0.0x1", E::Host),
        ("https://10.1", E::Host),
        ("https://0", E::Host),
        ("https://0x", E::Host),
        ("https://256.256.256.256", E::Host),
        ("https://1.2.3.4.5", E::Host),
        ("https://3232235777", E::Host),
        ("https://0xa9fea9fe", E::Host),
        ("https://2852039166", E::Host),
        ("https://0251.0376.0251.0376", E::Host),
        ("https://\u{ff11}\u{ff12}\u{ff17}.0.0.1", E::Character),
        ("https://\u{2460}\u{2461}\u{2466}.0.0.1", E::Character),
        ("https://127\u{3002}0\u{3002}0\u{3002}1", E::Character),
        ("https://\u{24db}ocalhost", E::Character),
        // Private, shared and link-local networks.
        ("https://10.0.0.1", E::NotPublic),
        ("https://10.255.255.255", E::NotPublic),
        ("https://172.16.0.1", E::NotPublic),
        ("https://172.31.255.255", E::NotPublic),
        ("https://192.168.0.1", E::NotPublic),
        ("https://100.64.0.1", E::NotPublic),
        ("https://100.127.255.255", E::NotPublic),
        ("https://169.254.0.1", E::NotPublic),
        ("https://0.1.2.3", E::NotPublic),
        ("https://[fe80::1]", E::NotPublic),
        ("https://[febf::1]", E::NotPublic),
        ("https://[fe80::1%eth0]", E::Host),
        ("https://[fe80::1%25eth0]", E::Host),
        ("https://[fc00::1]", E::NotPublic),
        ("https://[fdff::1]", E::NotPublic),
        ("https://[fec0::1]", E::NotPublic),
        // IPv4 inside IPv6.
        ("https://[::ffff:127.0.0.1]", E::NotPublic),
        ("https://[::ffff:7f00:1]", E::NotPublic),
        ("https://[::ffff:10.0.0.1]", E::NotPublic),
        ("https://[::ffff:1.1.1.1]", E::NotPublic),
        ("https://[0:0:0:0:0:ffff:a9fe:a9fe]", E::NotPublic),
        ("https://[::127.0.0.1]", E::NotPublic),
        ("https://[::ffff:0:127.0.0.1]", E::NotPublic),
        ("https://[64:ff9b::7f00:1]", E::NotPublic),
        ("https://[64:ff9b::10.0.0.1]", E::NotPublic),
        ("https://[64:ff9b:1::a00:1]", E::NotPublic),
        ("https://[2002:7f00:1::]", E::NotPublic),
        ("https://[2002:a9fe:a9fe::1]", E::NotPublic),
        ("https://[2001:0:4136:e378:8000:63bf:f5ff:fffe]", E::NotPublic),
        ("https://[::ffff:0x7f.1]", E::Host),
        // Addresses that are nobody's.
        ("https://192.0.0.8", E::NotPublic),
        ("https://192.0.2.1", E::NotPublic),
        ("https://198.51.100.1", E::NotPublic),
        ("https://203.0.113.1", E::NotPublic),
        ("https://198.18.0.1", E::NotPublic),
        ("https://198.19.255.255", E::NotPublic),
        ("https://192.88.99.1", E::NotPublic),
        ("https://224.0.0.1", E::NotPublic),
        ("https://239.255.255.255", E::NotPublic),
        ("https://240.0.0.1", E::NotPublic),
        ("https://255.255.255.255", E::NotPublic),
        ("https://[ff02::1]", E::NotPublic),
        ("https://[2001:db8::1]", E::NotPublic),
        ("https://[3fff::1]", E::NotPublic),
        ("https://[100::1]", E::NotPublic),
        ("https://[5f00::1]", E::NotPublic),
        // Metadata services.
        ("https://169.254.169.254/latest/meta-data", E::NotPublic),
        ("https://169.254.170.2/v2/credentials", E::NotPublic),
        ("https://[fd00:ec2::254]/", E::NotPublic),
        ("https://100.100.100.200/", E::NotPublic),
        ("https://192.0.0.192/", E::NotPublic),
        ("https://168.63.129.16/", E::NotPublic),
        ("https://metadata.google.internal/", E::NotPublic),
        ("https://METADATA.Google.INTERNAL/", E::NotPublic),
        ("https://metadata.goog/", E::NotPublic),
        ("https://metadata/", E::NotPublic),
        ("https://instance-data.ec2.internal/", E::NotPublic),
        // Names that are private.
        ("https://backend", E::NotPublic),
        ("https://db.internal", E::NotPublic),
        ("https://printer.local", E::NotPublic),
        ("https://nas.lan", E::NotPublic),
        ("https://wiki.corp", E::NotPublic),
        ("https://router.home.arpa", E::NotPublic),
        ("https://1.0.0.127.in-addr.arpa", E::NotPublic),
        ("https://kubernetes.default.svc", E::NotPublic),
        ("https://app.default.svc.cluster.local", E::NotPublic),
        ("https://hidden.onion", E::NotPublic),
        ("https://a.test", E::NotPublic),
        ("https://a.invalid", E::NotPublic),
    ] {
        assert_eq!(parse(text, PRODUCTION), Err(why), "{text}");
    }
    assert_eq!(parse(&format!("https://acme.com/{}", "a".repeat(MAX_URL)), PRODUCTION), Err(E::Form));
    assert_eq!(parse(&format!("https://{}.com", "a".repeat(64)), PRODUCTION), Err(E::Host));
    assert_eq!(parse(&format!("https://{}com", "abcdefg.".repeat(32)), PRODUCTION), Err(E::Host));
}

#[test]
fn in_dev_this_machine_is_one_and_nothing_else_is_let_off() {
    for text in [
        "http://127.0.0.1:3000/x", "http://localhost:3000", "https://a.localhost:8443/", "http://[::1]:9/", "http://127.0.0.1",
    ] {
        assert_eq!(parse(text, DEV).as_deref(), Ok(text));
        assert!(parse(text, PRODUCTION).is_err(), "{text}");
    }
    for (text, why) in [
        ("http://hooks.acme.com", E::Scheme),
        ("http://10.0.0.1:80", E::Scheme),
        ("https://10.0.0.1", E::NotPublic),
        ("https://169.254.169.254", E::NotPublic),
        ("https://[::ffff:127.0.0.1]", E::NotPublic),
        ("https://0.0.0.0", E::NotPublic),
        ("https://backend", E::NotPublic),
        ("https://api.acme.com", E::Gate),
        ("https://hooks.acme.com:8443", E::Port),
        ("http://user@127.0.0.1", E::Userinfo),
        ("http://127.1:3000", E::Host),
        ("http://localhost:3000#a", E::Fragment),
        ("http://localhost:0", E::Port),
    ] {
        assert_eq!(parse(text, DEV), Err(why), "{text}");
    }
}

#[test]
fn every_network_is_one() {
    for text in NOT_PUBLIC_V4.iter().chain(&NOT_PUBLIC_V6).chain(&[PUBLIC_V6]) {
        assert!(Cidr::parse(text).is_ok(), "{text}");
    }
    assert!(NOT_PUBLIC_NAMES.is_sorted());
}

proptest! {
    #[test]
    fn no_text_is_too_strange_and_what_is_accepted_is_accepted_again(text in "(https?://)?[\\PC]{0,40}") {
        for home in [PRODUCTION, DEV] {
            if let Ok(found) = Destination::parse(&text, home) {
                prop_assert_eq!(Destination::parse(found.as_str(), home), Ok(found));
            }
        }
    }

    #[test]
    fn no_address_that_is_not_global_passes(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        let passes = parse(&format!("https://{address}/"), PRODUCTION).is_ok();
        let closed = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
            || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
        prop_assert!(!(passes && closed), "{address}");
    }

    #[test]
    fn of_ipv6_only_what_is_handed_out_passes(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let passes = parse(&format!("https://[{address}]/"), PRODUCTION).is_ok();
        prop_assert!(!passes || bits >> 125 == 1, "{address}");
    }
}
