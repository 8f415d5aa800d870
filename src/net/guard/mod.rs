//! Where backends and the receivers of webhooks may be. Asked when one is registered, and again for
//! each address right before it is connected to, since a name may stand for another address by then.
//!
//! ```text
//! address ──faces──▶ itself, and the IPv4 addresses inside of it
//!                      │ any of them link-local, metadata, weir's own ..., in `deny`  ──▶ denied
//!                      └ the one it reaches is not in `allow`, where that has entries ──▶ denied
//! ```
//!
//! For backends, loopback and private networks are fine unless they are denied: that is where models
//! live. The receivers of webhooks are named by whoever holds a key, so for them it is the other way
//! round: the public internet is fine, and `allow` opens more.

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
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

/// Where backends may be, or the receivers of webhooks.
#[derive(Debug, Default)]
pub struct AddressGuard {
    purpose: Purpose,
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    own: Vec<SocketAddr>,
    /// When a denied address was last logged, in milliseconds of the monotonic clock; 0: never.
    told_ms: AtomicU64,
}

/// What a guard's addresses are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Purpose {
    #[default]
    Backend,
    Webhook,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target} is not allowed {}: {why}", .purpose.words())]
pub struct Denied {
    target: String,
    purpose: Purpose,
    why: Why,
}

/// Why it may not.
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
    /// The same of webhooks.
    #[error("it is in {0}, which webhook.deny_networks names")]
    DeniedForWebhooks(IpNet),
    /// Inside of some network, where whoever holds a key has nothing to look for.
    #[error("it is not a public address, and in none of webhook.allow_networks")]
    NotPublic,
}

// === impl Purpose ===

impl Purpose {
    fn words(self) -> &'static str {
        match self {
            Self::Backend => "as a backend",
            Self::Webhook => "for webhooks",
        }
    }
}

// === impl AddressGuard ===

impl AddressGuard {
    /// Takes the networks where backends may be (all, when there are none), those where they may
    /// not be, and the addresses on which weir itself listens, with the ports that were bound.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        let own = own.into_iter();
        Self {
            purpose: Purpose::Backend,
            allow,
            deny,
            own: own
                .map(|own| SocketAddr::new(own.ip().to_canonical(), own.port()))
                .collect(),
            told_ms: AtomicU64::new(0),
        }
    }

    /// The same for the receivers of webhooks: those at public addresses, and those in `allow`.
    pub fn for_webhooks(allow: Vec<IpNet>, deny: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        Self {
            purpose: Purpose::Webhook,
            ..Self::new(allow, deny, own)
        }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denied> {
        let judged = self.judge(address);
        judged.map_err(|why| self.denied(address.to_string(), why))
    }

    /// Whether a backend may be registered. A host name passes, unless it is a known one of a
    /// metadata service: what it stands for is judged when it is connected to.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check_url(&self, url: &BackendUrl) -> Result<(), Denied> {
        self.check_host(url.host(), url.port())
    }

    /// Whether a host as an address has it, lower-cased, may be connected to, as far as it is known
    /// without a look-up.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), Denied> {
        if METADATA_NAMES.contains(&host.trim_end_matches('.')) {
            return Err(self.denied(host.to_owned(), Why::Metadata));
        }
        match literal(host) {
            Some(ip) => self.check(SocketAddr::new(ip, port)),
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

    fn denied(&self, target: String, why: Why) -> Denied {
        Denied {
            target,
            purpose: self.purpose,
            why,
        }
    }

    fn judge(&self, address: SocketAddr) -> Result<(), Why> {
        let faces = Faces::of(address.ip());
        for &ip in &faces.all {
            always(ip)?;
            if self.is_own(ip, address.port()) {
                return Err(Why::OwnListener);
            }
            if let Some(network) = self.deny.iter().find(|network| network.contains(&ip)) {
                return Err(match self.purpose {
                    Purpose::Backend => Why::DeniedNetwork(*network),
                    Purpose::Webhook => Why::DeniedForWebhooks(*network),
                });
            }
        }
        let mut allow = self.allow.iter();
        let allowed = allow.any(|network| network.contains(&faces.reached));
        match self.purpose {
            Purpose::Backend if allowed || self.allow.is_empty() => Ok(()),
            Purpose::Backend => Err(Why::NotAllowed),
            Purpose::Webhook if allowed || faces.are_public() => Ok(()),
            Purpose::Webhook => Err(Why::NotPublic),
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
    pub(super) fn tell(&self, target: &dyn fmt::Display, denied: &Denied) {
        let now = Tick::coarse().as_ms().max(1);
        // Relaxed: it orders nothing, and two lines at once do no harm.
        let told = self.told_ms.load(Ordering::Relaxed);
        if told == 0 || now.saturating_sub(told) >= TELL_EVERY_MS {
            self.told_ms.store(now, Ordering::Relaxed);
            match self.purpose {
                Purpose::Backend => {
                    tracing::warn!(backend = %target, reason = %denied, "backend address denied");
                }
                Purpose::Webhook => {
                    tracing::warn!(host = %target, reason = %denied, "webhook address denied");
                }
            }
        }
    }
}

/// A host as an address, when it is one and no name has to be looked up.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
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

/// Networks that are nobody's on the public internet, or not those of one machine (IANA's registries
/// of special-purpose addresses). [`always`] has the rest.
const SPECIAL_V4: [([u8; 4], u8); 14] = [
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([0, 0, 0, 0], 8),
    // Multicast, reserved, broadcast.
    ([224, 0, 0, 0], 3),
];

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let bits = u32::from(ip);
            let mut special = SPECIAL_V4.iter();
            !special.any(|&(network, length)| {
                (bits ^ u32::from(Ipv4Addr::from(network))) >> (32 - length) == 0
            })
        }
        // Global unicast is 2000::/3 alone; the rest of IPv6 is local, special, or not given out.
        IpAddr::V6(ip) => match ip.segments() {
            // The IETF's own, Teredo among them; documentation; segment routing.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
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

impl Faces {
    /// Whether the one that is reached is public, and those inside of it that a relay may reach.
    fn are_public(&self) -> bool {
        // The first is the address as it is written, which may be a mere wrapping.
        is_public(self.reached) && self.all[1..].iter().all(|&ip| is_public(ip))
    }
}
