//! Where backends may be. Asked when a backend is registered, and again for each address right
//! before it is connected to, since a name may stand for another address by then.
//!
//! ```text
//! address ──faces──▶ itself, and the IPv4 addresses inside of it
//!                      │ any of them link-local, metadata, weir's own ..., in `deny`  ──▶ denied
//!                      └ the one it reaches is not in `allow`, where that has entries ──▶ denied
//! ```
//!
//! Loopback and private networks are fine unless they are denied: that is where models live.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicU64, Ordering},
};

use ipnet::IpNet;
use smallvec::{SmallVec, smallvec};

use crate::{
    base::clock::Tick,
    spec::{BackendUrl, Mistakes, VersionSpec},
};

/// Addresses at which clouds hand out their credentials. Most of them are link-local, these are
/// not: AWS, Google and Oracle in IPv6; Azure, Alibaba and Oracle in IPv4.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// Names that stand for such addresses. They would be found out when they are looked up; a person
/// who registers one hears it at once.
const METADATA_NAMES: [&str; 4] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
];

/// From one log line about denied addresses to the next: probes and requests ask often.
const TELL_EVERY_MS: u64 = 10_000;

/// Where backends may be.
#[derive(Debug, Default)]
pub struct AddressGuard {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    own: Vec<SocketAddr>,
    /// When a denied address was last logged, in milliseconds of the monotonic clock; 0: never.
    told_ms: AtomicU64,
}

/// An address where no backend may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target} is not allowed as a backend: {why}")]
pub struct Denied {
    target: String,
    why: Why,
}

/// Why no backend may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Reaches whatever is on the same wire.
    #[error("it is link-local")]
    LinkLocal,
    /// Where a cloud hands out credentials.
    #[error("it is a cloud's metadata service")]
    Metadata,
    /// Many at once.
    #[error("it is a multicast address")]
    Multicast,
    /// All at once.
    #[error("it is the broadcast address")]
    Broadcast,
    /// Nobody's, or whoever listens on this machine.
    #[error("it is unspecified")]
    Unspecified,
    /// A request would come back in.
    #[error("weir itself listens there")]
    OwnListener,
    /// The operator says so.
    #[error("it is in {0}, which upstream.deny_networks names")]
    DeniedNetwork(IpNet),
    /// The operator names others.
    #[error("it is in none of upstream.allow_networks")]
    NotAllowed,
}

// === impl AddressGuard ===

impl AddressGuard {
    /// Takes the networks where backends may be (all, when there are none), those where they may
    /// not be, and the addresses on which weir itself listens, with the ports that were bound.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        let own = own.into_iter();
        Self {
            allow,
            deny,
            own: own
                .map(|own| SocketAddr::new(own.ip().to_canonical(), own.port()))
                .collect(),
            told_ms: AtomicU64::new(0),
        }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denied> {
        self.judge(address).map_err(|why| Denied {
            target: address.to_string(),
            why,
        })
    }

    /// Whether a backend may be registered. A host name passes, unless it is a known one of a
    /// metadata service: what it stands for is judged when it is connected to.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check_url(&self, url: &BackendUrl) -> Result<(), Denied> {
        if METADATA_NAMES.contains(&url.host().trim_end_matches('.')) {
            return Err(Denied {
                target: url.host().to_owned(),
                why: Why::Metadata,
            });
        }
        match url.ip() {
            Some(ip) => self.check(SocketAddr::new(ip, url.port())),
            None => Ok(()),
        }
    }

    /// Whether every backend of a version may be registered. `at` is the pointer to the version in
    /// what was sent.
    ///
    /// # Errors
    /// A mistake for each that may not, with the pointer to its address.
    pub fn check_version(&self, at: &str, version: &VersionSpec) -> Result<(), Mistakes> {
        let challenger = version.challenger.as_ref();
        let pools = [
            Some(("main", &version.main)),
            challenger.map(|challenger| ("challenger", &challenger.pool)),
        ];
        let backends = pools.into_iter().flatten().flat_map(|(pool, spec)| {
            let numbered = spec.backends.iter().enumerate();
            numbered.map(move |(i, backend)| (format!("{at}/{pool}/backends/{i}/url"), backend))
        });
        let denied = backends.filter_map(|(pointer, backend)| {
            let denied = self.check_url(&backend.url).err()?;
            Some((pointer, denied.to_string()))
        });
        Mistakes::found(denied).map_or(Ok(()), Err)
    }

    fn judge(&self, address: SocketAddr) -> Result<(), Why> {
        let faces = Faces::of(address.ip());
        for &ip in &faces.all {
            always(ip)?;
            if self.is_own(ip, address.port()) {
                return Err(Why::OwnListener);
            }
            if let Some(network) = self.deny.iter().find(|network| network.contains(&ip)) {
                return Err(Why::DeniedNetwork(*network));
            }
        }
        let mut allow = self.allow.iter();
        if self.allow.is_empty() || allow.any(|network| network.contains(&faces.reached)) {
            Ok(())
        } else {
            Err(Why::NotAllowed)
        }
    }

    /// Whether weir listens there: on the very address, or on all of the machine's.
    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().any(|own| {
            // A listener on `::` takes IPv4 as well, as most systems have it.
            let covers = own.ip().is_unspecified() && (own.is_ipv6() || ip.is_ipv4());
            own.port() == port && (own.ip() == ip || covers && is_of_this_machine(ip))
        })
    }

    /// Logs a denied address, unless one was logged just before: a backend whose probes fail for it
    /// says so in a line of its own.
    pub(super) fn tell(&self, url: &BackendUrl, denied: &Denied) {
        let now = Tick::coarse().as_ms().max(1);
        // Relaxed: it orders nothing, and two lines at once do no harm.
        let told = self.told_ms.load(Ordering::Relaxed);
        if told == 0 || now.saturating_sub(told) >= TELL_EVERY_MS {
            self.told_ms.store(now, Ordering::Relaxed);
            tracing::warn!(backend = %url, reason = %denied, "backend address denied");
        }
    }
}

/// What no setting allows.
fn always(ip: IpAddr) -> Result<(), Why> {
    if METADATA.contains(&ip) {
        return Err(Why::Metadata);
    }
    let (link_local, unspecified, broadcast) = match ip {
        // Linux takes 0.0.0.0 for loopback; nothing of 0.0.0.0/8 is anybody's.
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[0] == 0, ip.is_broadcast()),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.is_unspecified(), false),
    };
    match () {
        () if link_local => Err(Why::LinkLocal),
        () if unspecified => Err(Why::Unspecified),
        () if broadcast => Err(Why::Broadcast),
        () if ip.is_multicast() => Err(Why::Multicast),
        () => Ok(()),
    }
}

/// Whether an address is one of this machine's. Asks the routing table, by way of a socket that
/// sends nothing: whoever talks to an own address does so from that very address.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = || -> io::Result<IpAddr> {
        let socket = UdpSocket::bind((any, 0))?;
        // The port is not used, but must be one.
        socket.connect((ip, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    if ip.is_loopback() {
        return true;
    }
    match from() {
        Ok(from) => from == ip,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::AddrNotAvailable
        ),
    }
}

/// An address and the ones inside of it.
struct Faces {
    /// Every one that a packet to it may reach in the end.
    all: SmallVec<[IpAddr; 3]>,
    /// The one that an allowed network has to name.
    reached: IpAddr,
}

// === impl Faces ===

impl Faces {
    fn of(ip: IpAddr) -> Self {
        let IpAddr::V6(v6) = ip else {
            return Self {
                all: smallvec![ip],
                reached: ip,
            };
        };
        let octets = v6.octets();
        let inside = |at: usize| -> IpAddr {
            Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]).into()
        };
        match v6.segments() {
            // IPv4-mapped; IPv4-compatible, which `::` and `::1` are not; NAT64's own prefix.
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Self {
                all: smallvec![ip, inside(12)],
                reached: inside(12),
            },
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Self {
                all: smallvec![ip, inside(12)],
                reached: inside(12),
            },
            // 6to4.
            [0x2002, ..] => Self {
                all: smallvec![ip, inside(2)],
                reached: ip,
            },
            // Teredo: its server, and its client with every bit turned.
            [0x2001, 0, .., high, low] => {
                let client = Ipv4Addr::from(!(u32::from(high) << 16 | u32::from(low)));
                Self {
                    all: smallvec![ip, inside(4), client.into()],
                    reached: ip,
                }
            }
            _ => Self {
                all: smallvec![ip],
                reached: ip,
            },
        }
    }
}

#[cfg(test)]
mod tests {
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
}
