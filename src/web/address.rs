//! Which IP addresses the public can reach, and which names and networks the operator allows besides.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What an address is that is not everybody's to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    Loopback,
    Private,
    /// Clouds keep the metadata and keys of a machine at one of these.
    LinkLocal,
    Shared,
    Multicast,
    Unspecified,
    Documentation,
    Benchmarking,
    Transition,
    Reserved,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "an address shared behind a carrier's NAT",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "an address of no host",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Transition => "an address of an IPv6 transition mechanism",
            Self::Reserved => "a reserved address",
        })
    }
}

/// IANA's special-purpose registry for IPv4, as far as it is not globally reachable.
const SPECIAL_V4: &[([u8; 4], u8, Special)] = &[
    ([0, 0, 0, 0], 8, Special::Unspecified),
    ([10, 0, 0, 0], 8, Special::Private),
    ([100, 64, 0, 0], 10, Special::Shared),
    ([127, 0, 0, 0], 8, Special::Loopback),
    ([169, 254, 0, 0], 16, Special::LinkLocal),
    ([172, 16, 0, 0], 12, Special::Private),
    ([192, 0, 0, 0], 24, Special::Reserved),
    ([192, 0, 2, 0], 24, Special::Documentation),
    ([192, 88, 99, 0], 24, Special::Transition),
    ([192, 168, 0, 0], 16, Special::Private),
    ([198, 18, 0, 0], 15, Special::Benchmarking),
    ([198, 51, 100, 0], 24, Special::Documentation),
    ([203, 0, 113, 0], 24, Special::Documentation),
    ([224, 0, 0, 0], 4, Special::Multicast),
    ([240, 0, 0, 0], 4, Special::Reserved),
];

/// The same for IPv6; the first that fits counts. What is outside of 2000::/3 and not here is reserved.
const SPECIAL_V6: &[([u16; 8], u8, Special)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Special::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Special::Loopback),
    // IPv4-compatible, long out of use.
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Special::Transition),
    // NAT64 of a network's own.
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Special::Transition),
    // Teredo, benchmarks and identifiers that are no addresses.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Special::Transition),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Special::Documentation),
    // 6to4: packets to it go to the IPv4 address inside.
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Special::Transition),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Special::Documentation),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Special::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Special::LinkLocal),
    // Site-local, the private addresses of old.
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Special::Private),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Special::Multicast),
];

/// What an address is, unless it is one of the public internet.
pub fn special(address: IpAddr) -> Option<Special> {
    match address.to_canonical() {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let fits = |(start, length, _): &&([u8; 4], u8, Special)| {
        Network { start: Ipv4Addr::from(*start).into(), length: *length }.contains(address.into())
    };
    SPECIAL_V4.iter().find(fits).map(|(.., special)| *special)
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let fits = |(start, length, _): &&([u16; 8], u8, Special)| {
        Network { start: Ipv6Addr::from(*start).into(), length: *length }.contains(address.into())
    };
    if let Some((.., special)) = SPECIAL_V6.iter().find(fits) {
        return Some(*special);
    }
    let segments = address.segments();
    let [.., isatap, mark, high, low] = segments;
    // A translator or a tunnel, where there is one, sends the packets on to the IPv4 address inside.
    let inner = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if segments.starts_with(&[0x64, 0xff9b, 0, 0, 0, 0]) {
        return special_v4(inner);
    }
    if isatap & !0x0200 == 0 && mark == 0x5efe {
        return special_v4(inner).or(Some(Special::Transition));
    }
    let is_global_unicast = address.to_bits() >> 125 == 1;
    (!is_global_unicast).then_some(Special::Reserved)
}

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    start: IpAddr,
    length: u8,
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let shared = match (self.start, address) {
            (IpAddr::V4(start), IpAddr::V4(address)) => (start.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V6(start), IpAddr::V6(address)) => (start.to_bits() ^ address.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= u32::from(self.length)
    }
}

/// A host or network that the operator allows although it may not be public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance(Allowed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    /// In lower case and without a dot at its end.
    Host(String),
    /// What follows `*.`, for all names below it.
    Below(String),
    Network(Network),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name, an address, or a network such as 10.0.0.0/8; found `{}`", .0.escape_debug())]
pub struct NoAllowance(String);

impl FromStr for Allowance {
    type Err = NoAllowance;

    fn from_str(text: &str) -> Result<Self, NoAllowance> {
        let allowed = match text.strip_prefix("*.") {
            Some(rest) => host(rest).map(Allowed::Below),
            None => network(text).map(Allowed::Network).or_else(|| host(text).map(Allowed::Host)),
        };
        allowed.map(Self).ok_or_else(|| NoAllowance(text.to_owned()))
    }
}

fn network(text: &str) -> Option<Network> {
    let (start, length) = match text.split_once('/') {
        Some((start, length)) => (start, Some(length)),
        None => (text, None),
    };
    let start: IpAddr = start.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let most = if start.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), |length| length.parse().ok().filter(|length| *length <= most))?;
    Some(Network { start, length })
}

/// A name as the URL parser would spell it; that way `EXAMPLE.org.` is found again.
fn host(text: &str) -> Option<String> {
    match url::Host::parse(text).ok()? {
        url::Host::Domain(name) if !text.contains(['/', '*']) => Some(name.trim_end_matches('.').to_owned()),
        _ => None,
    }
}

/// The addresses that may be reached: the public ones, and what the operator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    allowed: Vec<Allowance>,
}

impl AddressRules {
    pub fn new(allowed: impl IntoIterator<Item = Allowance>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Fails for an address that is neither public nor allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), Special> {
        let Some(special) = special(address) else { return Ok(()) };
        let forms = [address, address.to_canonical()];
        let in_network = |Allowance(allowed): &Allowance| match allowed {
            Allowed::Network(network) => forms.iter().any(|form| network.contains(*form)),
            Allowed::Host(_) | Allowed::Below(_) => false,
        };
        if self.allowed.iter().any(in_network) { Ok(()) } else { Err(special) }
    }

    /// Whether a name may lead anywhere.
    pub fn allows_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.allowed.iter().any(|Allowance(allowed)| match allowed {
            Allowed::Host(host) => *host == name,
            Allowed::Below(host) => name.strip_suffix(host.as_str()).is_some_and(|start| start.ends_with('.')),
            Allowed::Network(_) => false,
        })
    }
}

#[cfg(test)]
mod tests;
