use super::*;

fn kind(address: &str) -> Option<Special> {
    special(address.parse().unwrap())
}

#[test]
fn public_addresses_are_not_special() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "2001:200::1",
        "2001:db9::1",
        "2003::1",
        "3ffe::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ];
    for address in public {
        assert_eq!(kind(address), None, "{address}");
    }
}

#[test]
fn every_other_address_is_told_apart() {
    use Special::*;
    let cases = [
        (Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"][..]),
        (Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"]),
        (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]),
        (Private, &["fc00::", "fd00:ec2::254", "fdff::1", "fec0::1", "feff::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]),
        (LinkLocal, &["169.254.0.0", "169.254.169.254", "fe80::1", "febf::1", "::ffff:a9fe:a9fe"]),
        (LinkLocal, &["64:ff9b::169.254.169.254", "2606:4700::5efe:169.254.169.254", "2606:4700::200:5efe:a9fe:a9fe"]),
        (Shared, &["100.64.0.0", "100.100.100.200", "100.127.255.255", "::ffff:100.64.0.1"]),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
        (Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"]),
        (Benchmarking, &["198.18.0.0", "198.19.255.255"]),
        (Transition, &["192.88.99.1", "::127.0.0.1", "::8.8.8.8", "::2", "2002:7f00:1::", "2002:808:808::1"]),
        (Transition, &["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "64:ff9b:1::8.8.8.8"]),
        (Transition, &["2606:4700::5efe:8.8.8.8"]),
        (
            Reserved,
            &["192.0.0.8", "240.0.0.0", "255.255.255.255", "100::1", "::ffff:0:127.0.0.1", "4000::1", "5f00::1"],
        ),
    ];
    for (special, addresses) in cases {
        for address in addresses {
            assert_eq!(kind(address), Some(special), "{address}");
        }
    }
}

fn rules(allowed: &[&str]) -> AddressRules {
    AddressRules::new(allowed.iter().map(|text| text.parse().unwrap()))
}

#[test]
fn what_is_allowed_is_what_was_written() {
    let rules = rules(&["10.1.0.0/16", "127.0.0.2", "::1", "fd00::/8", "Intranet.Example.", "*.corp.example"]);
    let reached = ["10.1.0.0", "10.1.255.255", "127.0.0.2", "::ffff:127.0.0.2", "::1", "fd12::1", "8.8.8.8"];
    for address in reached {
        assert_eq!(rules.check(address.parse().unwrap()), Ok(()), "{address}");
    }
    for address in ["10.2.0.0", "10.0.255.255", "127.0.0.1", "127.0.0.3", "fc00::1", "::2", "0.0.0.0"] {
        assert!(rules.check(address.parse().unwrap()).is_err(), "{address}");
    }
    for name in ["intranet.example", "INTRANET.example", "intranet.example.", "a.corp.example", "a.b.corp.example."] {
        assert!(rules.allows_name(name), "{name}");
    }
    for name in ["example", "x.intranet.example", "corp.example", "acorp.example", "corp.example.org", ""] {
        assert!(!rules.allows_name(name), "{name}");
    }
}

#[test]
fn a_range_of_everything_allows_everything() {
    let rules = rules(&["0.0.0.0/0", "::/0"]);
    for address in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"] {
        assert_eq!(rules.check(address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[test]
fn what_is_neither_host_nor_network_is_refused() {
    for bad in [
        "",
        "*",
        "*.",
        "10.0.0.0/33",
        "::1/129",
        "10.0.0.0/",
        "10.0.0/8",
        "/8",
        "http://a",
        "a b",
        "a/8",
        "a.*",
        "*.1.1.1.1",
    ] {
        let error = bad.parse::<Allowance>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("found `{bad}`")), "{error}");
    }
}
