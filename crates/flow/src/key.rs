//! Who talks to whom.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::VlanIds;

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// The address.
    pub addr: IpAddr,
    /// The port; 0 for protocols without ports.
    pub port: u16,
}

/// The two ends and the protocol of a flow, the same whichever end sent the packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowKey {
    addrs: [Address; 2],
    ports: [u16; 2],
    protocol: u8,
    v6: bool,
    vlans: VlanIds,
}

/// An address as two numbers, most significant first: comparing and hashing 16 bytes one by one took
/// 300 instructions a packet. IPv4 has its four bytes in the second.
type Address = [u64; 2];

impl FlowKey {
    /// The key of a packet from `src` to `dst`, and the index (0 or 1) that `src` has in it.
    ///
    /// The lower end comes first, so that both directions have the same key.
    #[inline]
    pub fn new(protocol: u8, src: Endpoint, dst: Endpoint) -> (Self, usize) {
        let (from, to) = (numbers(src.addr), numbers(dst.addr));
        let swapped = (to, dst.port) < (from, src.port);
        let (addrs, ports) = match swapped {
            false => ([from, to], [src.port, dst.port]),
            true => ([to, from], [dst.port, src.port]),
        };
        let (v6, vlans) = (src.addr.is_ipv6(), VlanIds::NONE);
        (Self { addrs, ports, protocol, v6, vlans }, usize::from(swapped))
    }

    /// The key of the same ends in these VLANs, where those tell flows apart.
    pub fn in_vlans(self, vlans: VlanIds) -> Self {
        Self { vlans, ..self }
    }

    /// The IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The VLANs that are a part of it.
    pub fn vlans(&self) -> VlanIds {
        self.vlans
    }

    /// The end with index 0 or 1; any other index is taken for 1.
    pub fn end(&self, index: usize) -> Endpoint {
        let index = index.min(1);
        let [high, low] = self.addrs[index];
        let addr = if self.v6 {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(low as u32))
        };
        Endpoint { addr, port: self.ports[index] }
    }

    /// Are both ends the same address and port, so that nobody can tell the two directions apart?
    #[inline]
    pub fn ends_are_equal(&self) -> bool {
        self.addrs[0] == self.addrs[1] && self.ports[0] == self.ports[1]
    }

    /// A hash that is the same in every run, on every machine and for both directions.
    ///
    /// It picks the shard. It is made of what a file name shows and nothing else, so that connections
    /// whose names would be the same meet in one shard. It need not withstand an attacker: shards
    /// are bounded each for itself, and the tables inside are seeded at random.
    #[inline]
    pub fn fixed_hash(&self) -> u64 {
        let mut h = mix(u64::from(self.protocol) << 1 | u64::from(self.v6));
        for ([high, low], port) in self.addrs.iter().zip(self.ports) {
            h = mix(h ^ high ^ u64::from(port) << 48);
            h = mix(h ^ low);
        }
        h
    }
}

#[inline]
fn numbers(addr: IpAddr) -> Address {
    match addr {
        IpAddr::V4(v4) => [0, u64::from(v4.to_bits())],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

/// One step of a multiply-and-fold hash.
#[inline]
fn mix(n: u64) -> u64 {
    let wide = u128::from(n ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    (wide >> 64) as u64 ^ wide as u64
}

/// A key as it is kept with a connection: 16 bytes where it is IPv4 without VLANs, as millions of a
/// capture's connections are.
#[derive(Clone, Debug)]
pub(crate) enum KeptKey {
    V4 { addrs: [u32; 2], ports: [u16; 2], protocol: u8 },
    Other(Box<FlowKey>),
}

impl From<FlowKey> for KeptKey {
    fn from(key: FlowKey) -> Self {
        if key.v6 || !key.vlans.is_empty() {
            return Self::Other(Box::new(key));
        }
        let addrs = key.addrs.map(|[_, low]| low as u32);
        Self::V4 { addrs, ports: key.ports, protocol: key.protocol }
    }
}

impl KeptKey {
    /// The key.
    #[inline]
    pub(crate) fn get(&self) -> FlowKey {
        match self {
            Self::V4 { addrs, ports, protocol } => FlowKey {
                addrs: addrs.map(|addr| [0, u64::from(addr)]),
                ports: *ports,
                protocol: *protocol,
                v6: false,
                vlans: VlanIds::NONE,
            },
            Self::Other(key) => **key,
        }
    }

    /// Is it this key?
    #[inline]
    pub(crate) fn is(&self, key: &FlowKey) -> bool {
        match self {
            Self::V4 { addrs, ports, protocol } => {
                // The high halves of IPv4 addresses are 0.
                [addrs[0], addrs[1]].map(|addr| [0, u64::from(addr)]) == key.addrs
                    && *ports == key.ports
                    && *protocol == key.protocol
                    && !key.v6
                    && key.vlans.is_empty()
            }
            Self::Other(kept) => **kept == *key,
        }
    }

    /// The IP protocol number.
    pub(crate) fn protocol(&self) -> u8 {
        match self {
            Self::V4 { protocol, .. } => *protocol,
            Self::Other(key) => key.protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(addr: &str, port: u16) -> Endpoint {
        Endpoint { addr: addr.parse().unwrap(), port }
    }

    #[test]
    fn both_directions_have_one_key() {
        let (a, b) = (end("10.0.0.1", 80), end("10.0.0.2", 40000));
        let (there, from_a) = FlowKey::new(6, a, b);
        let (back, from_b) = FlowKey::new(6, b, a);
        assert_eq!(there, back);
        assert_eq!((from_a, from_b), (0, 1));
        assert_eq!((there.end(0), there.end(1)), (a, b));
        assert_eq!(there.fixed_hash(), back.fixed_hash());
    }

    #[test]
    fn a_mapped_address_is_not_the_address_it_maps() {
        let (v4, _) = FlowKey::new(17, end("1.2.3.4", 1), end("1.2.3.5", 1));
        let (v6, _) = FlowKey::new(17, end("::ffff:1.2.3.4", 1), end("::ffff:1.2.3.5", 1));
        assert_ne!(v4, v6);
    }

    #[test]
    fn protocol_and_ports_tell_flows_apart() {
        let (a, b) = (end("::1", 5), end("::1", 6));
        let key = FlowKey::new(6, a, b).0;
        assert_ne!(key, FlowKey::new(17, a, b).0);
        assert_ne!(key, FlowKey::new(6, a, end("::1", 7)).0);
        assert!(!key.ends_are_equal());
        assert!(FlowKey::new(6, a, a).0.ends_are_equal());
    }

    #[test]
    fn the_fixed_hash_stays_what_it_was() {
        // Shards, and with them the order of the console's last lines, hang on this value.
        let key = FlowKey::new(6, end("10.0.0.1", 80), end("10.0.0.2", 40000)).0;
        assert_eq!(key.fixed_hash() % 64, 53);
    }

    #[test]
    fn vlans_are_a_part_of_the_key_and_not_of_the_shard() {
        let (a, b) = (end("10.0.0.1", 5), end("10.0.0.2", 6));
        let key = FlowKey::new(6, a, b).0;
        let tagged = key.in_vlans(VlanIds::NONE.within(7));
        assert_ne!(key, tagged);
        assert_eq!(key.fixed_hash(), tagged.fixed_hash());
        assert_eq!(tagged.vlans(), VlanIds::NONE.within(7));
    }

    #[test]
    fn a_kept_key_is_the_key() {
        let ends = [end("10.0.0.1", 5), end("10.0.0.2", 6), end("::1", 5), end("::2", 6)];
        let v4 = FlowKey::new(6, ends[0], ends[1]).0;
        let keys = [
            v4,
            FlowKey::new(17, ends[0], ends[1]).0,
            FlowKey::new(6, ends[0], ends[0]).0,
            FlowKey::new(6, ends[2], ends[3]).0,
            v4.in_vlans(VlanIds::NONE.within(7)),
        ];
        for (i, key) in keys.iter().enumerate() {
            let kept = KeptKey::from(*key);
            assert_eq!((kept.get(), kept.protocol()), (*key, key.protocol()));
            for (k, other) in keys.iter().enumerate() {
                assert_eq!(kept.is(other), i == k, "{key:?} {other:?}");
            }
        }
        assert_eq!(size_of::<KeptKey>(), 16);
    }
}
