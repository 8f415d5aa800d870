use super::*;

fn nets(texts: &[&str]) -> Vec<IpNet> {
    let nets = texts.iter().map(|text| text.parse().expect("a network"));
    nets.collect()
}

fn why(guard: &AddressGuard, address: &str) -> Option<Why> {
    let parsed = address.parse().expect(address);
    guard.check(parsed).err().map(|denied| denied.why)
}

#[test]
fn what_no_setting_allows() {
    let everything = AddressGuard::new(nets(&["0.0.0.0/0", "::/0"]), vec![], vec![]);
    let open = AddressGuard::default();
    for (ip, expected) in [
        ("127.0.0.1", None),
        ("10.1.2.3", None),
        ("192.168.0.1", None),
        ("100.64.0.1", None),
        ("8.8.8.8", None),
        ("[::1]", None),
        ("[fd00::1]", None),
        ("[2600::1]", None),
        ("169.253.255.255", None),
        ("169.254.0.0", Some(Why::LinkLocal)),
        ("169.254.255.255", Some(Why::LinkLocal)),
        ("169.255.0.0", None),
        ("169.254.169.254", Some(Why::Metadata)),
        ("168.63.129.16", Some(Why::Metadata)),
        ("100.100.100.200", Some(Why::Metadata)),
        ("[fd00:ec2::254]", Some(Why::Metadata)),
        ("[fd00:ec2::253]", None),
        ("[fd20:ce::254]", Some(Why::Metadata)),
        ("[fe80::1]", Some(Why::LinkLocal)),
        ("[febf:ffff::1]", Some(Why::LinkLocal)),
        ("[fec0::1]", None),
        ("0.0.0.0", Some(Why::Unspecified)),
        ("0.0.0.1", Some(Why::Unspecified)),
        ("[::]", Some(Why::Unspecified)),
        ("224.0.0.1", Some(Why::Multicast)),
        ("239.255.255.255", Some(Why::Multicast)),
        ("[ff02::1]", Some(Why::Multicast)),
        ("255.255.255.255", Some(Why::Broadcast)),
        // In the clothes of IPv6.
        ("[::ffff:127.0.0.1]", None),
        ("[::ffff:169.254.169.254]", Some(Why::Metadata)),
        ("[::ffff:0.0.0.0]", Some(Why::Unspecified)),
        ("[::ffff:255.255.255.255]", Some(Why::Broadcast)),
        ("[::169.254.1.1]", Some(Why::LinkLocal)),
        ("[::2]", Some(Why::Unspecified)),
        ("[64:ff9b::169.254.169.254]", Some(Why::Metadata)),
        ("[64:ff9b::224.0.0.1]", Some(Why::Multicast)),
        ("[64:ff9b::8.8.8.8]", None),
        ("[2002:a9fe:a9fe::1]", Some(Why::Metadata)),
        ("[2002:808:808::1]", None),
        // 169.254.169.254 with every bit turned.
        ("[2001:0:808:808::5601:5601]", Some(Why::Metadata)),
        ("[2001:0:a9fe:101::f7f7:f7f7]", Some(Why::LinkLocal)),
        ("[2001:0:808:808::f7f7:f7f7]", None),
        ("[2001:db8::5601:5601]", None),
    ] {
        for guard in [&open, &everything] {
            let address = format!("{ip}:9001");
            // A wrapped address that an allowed network names is judged by its inside.
            assert_eq!(why(guard, &address), expected, "{address}");
        }
    }
}

#[test]
fn networks_that_people_name() {
    let (private, lab) = (["10.0.0.0/8", "fd00::/8"], ["10.66.0.0/16", "fd00:66::/32"]);
    let guard = AddressGuard::new(nets(&private), nets(&lab), vec![]);
    let denied = |at: usize| Some(Why::DeniedNetwork(nets(&lab)[at]));
    for (ip, expected) in [
        ("10.1.2.3", None),
        ("10.66.0.1", denied(0)),
        ("127.0.0.1", Some(Why::NotAllowed)),
        ("8.8.8.8", Some(Why::NotAllowed)),
        ("[fd00::1]", None),
        ("[fd00:66::1]", denied(1)),
        ("[::1]", Some(Why::NotAllowed)),
        ("[::ffff:10.1.2.3]", None),
        ("[::ffff:10.66.0.1]", denied(0)),
        ("[::ffff:8.8.8.8]", Some(Why::NotAllowed)),
        ("[64:ff9b::10.1.2.3]", None),
        ("[64:ff9b::10.66.0.1]", denied(0)),
        // A relay is somewhere else than the address inside.
        ("[2002:a01:203::1]", Some(Why::NotAllowed)),
        ("[2002:a42:1::1]", denied(0)),
    ] {
        assert_eq!(why(&guard, &format!("{ip}:9001")), expected, "{ip}");
    }
    let no_nat64 = AddressGuard::new(vec![], nets(&["64:ff9b::/96"]), vec![]);
    assert!(why(&no_nat64, "[64:ff9b::8.8.8.8]:80").is_some());
    assert_eq!(why(&no_nat64, "8.8.8.8:80"), None);
}

#[test]
fn webhooks_go_to_public_addresses_and_to_those_that_people_name() {
    let own = || vec!["10.0.0.1:8080".parse().expect("an address")];
    let strict = AddressGuard::for_webhooks(vec![], vec![], own());
    let wide = ["0.0.0.0/0", "::/0"];
    let wide = AddressGuard::for_webhooks(nets(&wide), nets(&["10.66.0.0/16"]), own());
    let lab = Some(Why::DeniedForWebhooks(nets(&["10.66.0.0/16"])[0]));
    let private = Some(Why::NotPublic);
    for (ip, strictly, widely) in [
        ("8.8.8.8", None, None),
        ("172.15.255.255", None, None),
        ("172.32.0.0", None, None),
        ("100.128.0.0", None, None),
        ("198.20.0.0", None, None),
        ("223.255.255.255", None, None),
        ("[2600::1]", None, None),
        ("[2001:200::1]", None, None),
        ("[::ffff:8.8.8.8]", None, None),
        ("[64:ff9b::8.8.8.8]", None, None),
        ("[2002:808:808::1]", None, None),
        ("10.1.2.3", private, None),
        ("10.66.1.2", private, lab),
        ("127.0.0.1", private, None),
        ("127.255.255.255", private, None),
        ("100.64.0.0", private, None),
        ("100.127.255.255", private, None),
        ("172.16.0.0", private, None),
        ("172.31.255.255", private, None),
        ("192.168.1.1", private, None),
        ("192.0.2.1", private, None),
        ("198.19.255.255", private, None),
        ("240.0.0.1", private, None),
        ("[::1]", private, None),
        ("[fd00::1]", private, None),
        ("[fec0::1]", private, None),
        ("[2001:db8::1]", private, None),
        ("[2001:0:808:808::f7f7:f7f7]", private, None),
        ("[64:ff9b:1::8.8.8.8]", private, None),
        ("[4000::1]", private, None),
        ("[::ffff:127.0.0.1]", private, None),
        ("[64:ff9b::192.168.0.1]", private, None),
        ("[2002:a01:203::1]", private, None),
        ("[2002:7f00:1::]", private, None),
        ("0.0.0.0", Some(Why::Unspecified), Some(Why::Unspecified)),
        ("[::]", Some(Why::Unspecified), Some(Why::Unspecified)),
        ("224.0.0.1", Some(Why::Multicast), Some(Why::Multicast)),
        ("169.254.0.1", Some(Why::LinkLocal), Some(Why::LinkLocal)),
        ("[fe80::1]", Some(Why::LinkLocal), Some(Why::LinkLocal)),
        ("169.254.169.254", Some(Why::Metadata), Some(Why::Metadata)),
    ] {
        let address = format!("{ip}:443");
        assert_eq!(why(&strict, &address), strictly, "{address}");
        assert_eq!(why(&wide, &address), widely, "{address}");
    }
    assert_eq!(why(&wide, "10.0.0.1:8080"), Some(Why::OwnListener));
    let denied = strict.check_host("127.0.0.1", 80).expect_err("denied");
    assert_eq!(
        denied.to_string(),
        "127.0.0.1:80 is not allowed for webhooks: it is not a public address, and in none of \
         webhook.allow_networks"
    );
}

#[test]
fn weirs_own_listeners() {
    let own = |text: &str| {
        let own = text.parse().expect("an address");
        AddressGuard::new(vec![], vec![], vec![own])
    };
    let ours = Some(Why::OwnListener);
    for (listener, address, expected) in [
        ("127.0.0.1:8080", "127.0.0.1:8080", ours),
        ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", ours),
        ("127.0.0.1:8080", "127.0.0.1:8081", None),
        ("127.0.0.1:8080", "127.0.0.2:8080", None),
        ("127.0.0.1:8080", "[::1]:8080", None),
        ("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", ours),
        ("0.0.0.0:8080", "127.0.0.1:8080", ours),
        ("0.0.0.0:8080", "127.9.9.9:8080", ours),
        ("0.0.0.0:8080", "127.0.0.1:9001", None),
        ("0.0.0.0:8080", "[::1]:8080", None),
        ("[::]:8080", "[::1]:8080", ours),
        ("[::]:8080", "127.0.0.1:8080", ours),
        // Reserved for documentation: no machine's own.
        ("0.0.0.0:8080", "192.0.2.1:8080", None),
    ] {
        let found = why(&own(listener), address);
        assert_eq!(found, expected, "{listener} beside {address}");
    }
}

/// Whatever address of its own this machine sends from, it knows for its own.
#[test]
fn an_address_of_this_machine_is_known() {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Without a network, there is no address but loopback's.
    let own = match socket.connect("192.0.2.1:9") {
        Ok(()) => socket.local_addr().expect("an address").ip(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    };
    assert!(is_of_this_machine(own), "{own}");
    let guard = AddressGuard::new(vec![], vec![], vec!["0.0.0.0:8080".parse().expect("any")]);
    assert_eq!(why(&guard, &format!("{own}:8080")), Some(Why::OwnListener));
}

#[test]
fn what_is_registered_is_judged_as_far_as_it_is_known() {
    let guard = AddressGuard::new(
        vec![],
        nets(&["127.0.0.0/8"]),
        vec!["[::1]:8080".parse().expect("an address")],
    );
    for (url, words) in [
        ("http://localhost:9001", None),
        ("http://model.example", None),
        ("http://10.0.0.1/base", None),
        ("http://[::1]:9001", None),
        // Numbers that only a resolver takes for an address are judged when it has done so.
        ("http://2130706433:9001", None),
        (
            "http://127.0.0.1:9001",
            Some(
                "127.0.0.1:9001 is not allowed as a backend: it is in 127.0.0.0/8, which \
                 upstream.deny_networks names",
            ),
        ),
        (
            "http://[::ffff:7f00:1]",
            Some(
                "[::ffff:127.0.0.1]:80 is not allowed as a backend: it is in 127.0.0.0/8, which \
                 upstream.deny_networks names",
            ),
        ),
        (
            "http://[::1]:8080/predict",
            Some("[::1]:8080 is not allowed as a backend: weir itself listens there"),
        ),
        (
            "http://169.254.169.254/latest/meta-data",
            Some(
                "169.254.169.254:80 is not allowed as a backend: it is a cloud's metadata \
                 service",
            ),
        ),
        (
            "http://Metadata.Google.Internal./x",
            Some(
                "metadata.google.internal. is not allowed as a backend: it is a cloud's \
                 metadata service",
            ),
        ),
    ] {
        let parsed = BackendUrl::parse(url).expect(url);
        let denied = guard.check_url(&parsed).err();
        let denied = denied.map(|denied| denied.to_string());
        assert_eq!(denied.as_deref(), words, "{url}");
    }
}

#[test]
fn every_denied_backend_of_a_version_is_named() {
    let guard = AddressGuard::new(vec![], nets(&["10.0.0.0/8"]), vec![]);
    let version = |challenger: &str| {
        VersionSpec::from_json(&serde_json::json!({
            "main": {"backends": [{"url": "http://m"}, {"url": "http://10.1.1.1"}]},
            "challenger": {"backends": [{"url": challenger}]},
        }))
        .expect("a version")
    };
    let mistakes = guard.check_version("/version", &version("http://169.254.1.1:1"));
    assert_eq!(
        mistakes.expect_err("denied").to_string(),
        "/version/main/backends/1/url: 10.1.1.1:80 is not allowed as a backend: it is in \
         10.0.0.0/8, which upstream.deny_networks names\n\
         /version/challenger/backends/0/url: 169.254.1.1:1 is not allowed as a backend: it is \
         link-local"
    );
    let open = AddressGuard::default();
    assert_eq!(open.check_version("", &version("http://10.1.1.2")), Ok(()));
}
