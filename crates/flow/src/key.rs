//! Who talks to whom.

use std::net::{IpAddr, Ipv4Addr};
use wire::{Ends, VlanIds};

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// The address.
    pub addr: IpAddr,
    /// The port; 0 for protocols without ports.
    pub port: u16,
}

/// The two ends and the protocol of a flow, the same whichever end sent the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowKey(Kind);

/// IPv4 without VLANs is what most packets of most captures are; it is compared and hashed as two
/// numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Narrow(Narrow),
    Wide(Wide),
}

/// IPv4, no VLANs. The lower end is first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Narrow {
    addrs: [u32; 2],
    ports: [u16; 2],
    protocol: u8,
}

impl Narrow {
    #[inline(always)]
    fn compact(&self) -> Compact {
        let Self { addrs: [a, b], ports: [c, d], protocol } = *self;
        let addrs = u64::from(a) | u64::from(b) << 32;
        Compact { addrs, ports: u32::from(c) | u32::from(d) << 16, protocol }
    }
}

/// The same with both addresses in one number, and both ports, those of end 1 in the high halves.
///
/// It is kept so: what was written in one piece a moment ago can be read in one piece, while two that were written one
/// after the other are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Compact {
    addrs: u64,
    ports: u32,
    protocol: u8,
}

impl Compact {
    /// An end's address, and its port.
    #[inline(always)]
    fn end(&self, index: usize) -> (u32, u16) {
        ((self.addrs >> (32 * index)) as u32, (self.ports >> (16 * index)) as u16)
    }
}

/// Everything else. IPv4 addresses are in the second half of theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wide {
    addrs: [[u64; 2]; 2],
    ports: [u16; 2],
    protocol: u8,
    v6: bool,
    vlans: VlanIds,
}

/// A key where it stands. (A key by value has 48 bytes, most of them of no meaning where it is narrow; to copy those a
/// processor waits for whatever was written in their place.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyRef<'a> {
    Narrow(Compact),
    Wide(&'a Wide),
}

impl FlowKey {
    /// The key of a packet from `src` to `dst`, and the index (0 or 1) that `src` has in it. Ends of
    /// two families are none of one packet; such a key is that of `src` alone.
    pub fn new(protocol: u8, src: Endpoint, dst: Endpoint) -> (Self, usize) {
        let ends = Ends::new(src.addr, dst.addr).or_else(|| Ends::new(src.addr, src.addr));
        let ends = ends.unwrap_or(Ends::V4 { src: 0, dst: 0 });
        Self::between(protocol, ends, [src.port, dst.port], VlanIds::NONE)
    }

    /// The key of a packet between `ends` with these ports, the source's first, and the index (0 or 1)
    /// that the source has in it. The VLANs tell flows apart.
    ///
    /// The lower end comes first, so that both directions have the same key.
    #[inline(always)]
    pub fn between(protocol: u8, ends: Ends, ports: [u16; 2], vlans: VlanIds) -> (Self, usize) {
        let [from, to] = ports;
        match ends {
            Ends::V4 { src, dst } if vlans.is_empty() => {
                // Which end is the lower one is anybody's guess, also a processor's: no branch asks.
                let end = |addr: u32, port: u16| u64::from(addr) << 16 | u64::from(port);
                let (src, dst) = (end(src, from), end(dst, to));
                let ends = [src.min(dst), src.max(dst)];
                let (addrs, ports) =
                    (ends.map(|end| (end >> 16) as u32), ends.map(|end| end as u16));
                (Self(Kind::Narrow(Narrow { addrs, ports, protocol })), usize::from(dst < src))
            }
            _ => Self::wide(protocol, ends, ports, vlans),
        }
    }

    #[cold]
    fn wide(protocol: u8, ends: Ends, ports: [u16; 2], vlans: VlanIds) -> (Self, usize) {
        let [from, to] = ports;
        let (src, dst) = match ends {
            Ends::V4 { src, dst } => ([0, u64::from(src)], [0, u64::from(dst)]),
            Ends::V6 { src, dst } => (src, dst),
        };
        let swapped = (dst, to) < (src, from);
        let (addrs, ports) = if swapped { ([dst, src], [to, from]) } else { ([src, dst], ports) };
        let wide = Wide { addrs, ports, protocol, v6: ends.is_v6(), vlans };
        (Self(Kind::Wide(wide)), usize::from(swapped))
    }

    /// The same, read number by number: see [`Label::again`](crate::arrival::Label::again).
    #[inline(always)]
    pub(crate) fn again(&self) -> Self {
        match self.0 {
            Kind::Narrow(Narrow { addrs: [a, b], ports: [c, d], protocol }) => {
                Self(Kind::Narrow(Narrow { addrs: [a, b], ports: [c, d], protocol }))
            }
            Kind::Wide(wide) => Self(Kind::Wide(wide)),
        }
    }

    /// The same, where it stands.
    #[inline(always)]
    pub(crate) fn view(&self) -> KeyRef<'_> {
        match &self.0 {
            Kind::Narrow(narrow) => KeyRef::Narrow(narrow.compact()),
            Kind::Wide(wide) => KeyRef::Wide(wide),
        }
    }

    /// The IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.view().protocol()
    }

    /// The VLANs that are a part of it.
    pub fn vlans(&self) -> VlanIds {
        self.view().vlans()
    }

    /// The end with index 0 or 1; any other index is taken for 1.
    pub fn end(&self, index: usize) -> Endpoint {
        self.view().end(index)
    }

    /// Are both ends the same address and port, so that nobody can tell the two directions apart?
    #[inline]
    pub fn ends_are_equal(&self) -> bool {
        self.view().ends_are_equal()
    }

    /// A hash that is the same in every run, on every machine and for both directions.
    ///
    /// It picks the shard. It is made of what a file name shows and nothing else, so that connections
    /// whose names would be the same meet in one shard. It need not withstand an attacker: shards
    /// are bounded each for itself, and the tables inside are seeded at random.
    #[inline(always)]
    pub fn fixed_hash(&self) -> u64 {
        // (By way of the view it took 12 instructions a packet more.)
        match &self.0 {
            Kind::Narrow(narrow) => FIXED.hash_compact(&narrow.compact()),
            Kind::Wide(wide) => wide.fixed_hash(),
        }
    }
}

impl KeyRef<'_> {
    /// The IP protocol number.
    #[inline]
    pub(crate) fn protocol(self) -> u8 {
        match self {
            Self::Narrow(compact) => compact.protocol,
            Self::Wide(wide) => wide.protocol,
        }
    }

    /// The VLANs that are a part of it.
    #[inline]
    pub(crate) fn vlans(self) -> VlanIds {
        match self {
            Self::Narrow(_) => VlanIds::NONE,
            Self::Wide(wide) => wide.vlans,
        }
    }

    /// The end with index 0 or 1; any other index is taken for 1.
    #[inline]
    pub(crate) fn end(self, index: usize) -> Endpoint {
        let index = index.min(1);
        let (ends, ports) = match self {
            Self::Narrow(compact) => {
                let (addr, port) = compact.end(index);
                return Endpoint { addr: Ipv4Addr::from_bits(addr).into(), port };
            }
            Self::Wide(Wide { addrs: [src, dst], ports, v6: true, .. }) => {
                (Ends::V6 { src: *src, dst: *dst }, *ports)
            }
            Self::Wide(Wide { addrs: [[_, src], [_, dst]], ports, .. }) => {
                (Ends::V4 { src: *src as u32, dst: *dst as u32 }, *ports)
            }
        };
        let addr = if index == 0 { ends.src() } else { ends.dst() };
        Endpoint { addr, port: ports[index] }
    }

    /// See [`FlowKey::ends_are_equal`].
    #[inline]
    pub(crate) fn ends_are_equal(self) -> bool {
        match self {
            Self::Narrow(compact) => compact.end(0) == compact.end(1),
            Self::Wide(Wide { addrs: [a, b], ports: [c, d], .. }) => a == b && c == d,
        }
    }

    /// See [`FlowKey::fixed_hash`].
    #[inline(always)]
    pub(crate) fn fixed_hash(self) -> u64 {
        match self {
            Self::Narrow(compact) => FIXED.hash_compact(&compact),
            Self::Wide(wide) => wide.fixed_hash(),
        }
    }

    /// A hash by a seed of this run, for tables.
    #[inline]
    pub(crate) fn hash(self, seed: &Seed) -> u64 {
        match self {
            Self::Narrow(compact) => seed.hash_compact(&compact),
            Self::Wide(wide) => seed.hash_wide(wide) ^ seed.hash_vlans(wide.vlans),
        }
    }
}

impl Wide {
    /// What there is of it in an IPv4 key without VLANs.
    fn narrowed(&self) -> Narrow {
        let Self { addrs: [[_, a], [_, b]], ports, protocol, .. } = *self;
        Narrow { addrs: [a as u32, b as u32], ports, protocol }
    }

    /// See [`FlowKey::fixed_hash`]. The same ends have the same names with VLANs and without.
    #[inline(always)]
    fn fixed_hash(&self) -> u64 {
        if self.v6 { FIXED.hash_wide(self) } else { FIXED.hash_compact(&self.narrowed().compact()) }
    }
}

/// What makes a hash one that nobody outside can foresee.
///
/// The hash is a multiply-and-fold one (as wyhash and foldhash are), over a few numbers of known
/// length. A derived `Hash` of the same key took 180 instructions a packet, this takes 15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed([u64; 2]);

/// The one of the [fixed hash](FlowKey::fixed_hash): digits of pi.
const FIXED: Seed = Seed([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);

impl Seed {
    /// One that no other run has.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }

    #[inline]
    fn hash_compact(&self, compact: &Compact) -> u64 {
        let Compact { addrs, ports, protocol } = *compact;
        let ports = u64::from(ports) << 8 | u64::from(protocol);
        self.finish(fold(addrs ^ self.0[0], ports ^ self.0[1]))
    }

    #[inline]
    fn hash_wide(&self, wide: &Wide) -> u64 {
        let Wide { addrs: [[a, b], [c, d]], ports: [e, f], protocol, v6, .. } = *wide;
        let ports = u64::from(e) << 32 | u64::from(f) << 16 | u64::from(protocol);
        let ports = ports | u64::from(v6) << 15 | 1 << 63;
        let first = fold(a ^ self.0[0], b ^ self.0[1]);
        let second = fold(c ^ self.0[1], d ^ self.0[0]);
        self.finish(fold(first ^ ports, second ^ self.0[1]))
    }

    #[cold]
    fn hash_vlans(&self, vlans: VlanIds) -> u64 {
        let ids = vlans.iter().fold(1, |ids, id| ids << 12 | u64::from(id));
        if vlans.is_empty() { 0 } else { self.finish(fold(ids ^ self.0[1], self.0[0])) }
    }

    /// One more round, so that every bit of the result hangs on every bit of what went in.
    #[inline]
    fn finish(&self, hash: u64) -> u64 {
        fold(hash ^ self.0[1], 0x9e37_79b9_7f4a_7c15)
    }
}

/// Both halves of the product of two numbers.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide >> 64) as u64 ^ wide as u64
}

/// A key as it is kept with a connection: 16 bytes where it is narrow, as those of millions are.
#[derive(Clone, Debug)]
pub(crate) enum KeptKey {
    /// The numbers of a [`Compact`]: there is room for a mark beside them.
    Narrow {
        addrs: u64,
        ports: u32,
        protocol: u8,
    },
    Wide(Box<Wide>),
}

impl From<KeyRef<'_>> for KeptKey {
    #[inline]
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Narrow(Compact { addrs, ports, protocol }) => {
                Self::Narrow { addrs, ports, protocol }
            }
            KeyRef::Wide(wide) => Self::Wide(Box::new(*wide)),
        }
    }
}

impl KeptKey {
    /// The key by value.
    #[inline]
    pub(crate) fn get(&self) -> FlowKey {
        FlowKey(match self.view() {
            KeyRef::Narrow(compact) => {
                let [(a, c), (b, d)] = [compact.end(0), compact.end(1)];
                let Compact { protocol, .. } = compact;
                Kind::Narrow(Narrow { addrs: [a, b], ports: [c, d], protocol })
            }
            KeyRef::Wide(wide) => Kind::Wide(*wide),
        })
    }

    /// The key.
    #[inline(always)]
    pub(crate) fn view(&self) -> KeyRef<'_> {
        match self {
            &Self::Narrow { addrs, ports, protocol } => {
                KeyRef::Narrow(Compact { addrs, ports, protocol })
            }
            Self::Wide(wide) => KeyRef::Wide(wide),
        }
    }

    /// The same, read number by number: see [`Label::again`](crate::arrival::Label::again).
    #[inline(always)]
    pub(crate) fn again(self) -> Self {
        match self {
            Self::Narrow { addrs, ports, protocol } => Self::Narrow { addrs, ports, protocol },
            Self::Wide(wide) => Self::Wide(wide),
        }
    }

    /// Is it this key?
    #[inline]
    pub(crate) fn is(&self, key: &FlowKey) -> bool {
        match (self, &key.0) {
            (&Self::Narrow { addrs, ports, protocol }, Kind::Narrow(narrow)) => {
                Compact { addrs, ports, protocol } == narrow.compact()
            }
            (Self::Wide(kept), Kind::Wide(wide)) => **kept == *wide,
            _ => false,
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
        assert_eq!(key.fixed_hash() % 64, 24);
    }

    #[test]
    fn vlans_are_a_part_of_the_key_and_not_of_the_shard() {
        let (a, b) = (end("10.0.0.1", 5), end("10.0.0.2", 6));
        let key = FlowKey::new(6, a, b).0;
        let ends = Ends::new(a.addr, b.addr).unwrap();
        let vlans = VlanIds::NONE.within(7);
        let tagged = FlowKey::between(6, ends, [5, 6], vlans).0;
        assert_ne!(key, tagged);
        assert_eq!(key.fixed_hash(), tagged.fixed_hash());
        assert_eq!(tagged.vlans(), vlans);
        assert_eq!((tagged.end(0), tagged.end(1)), (a, b));
        let seed = Seed::random();
        assert_ne!(key.view().hash(&seed), tagged.view().hash(&seed));
    }

    #[test]
    fn a_kept_key_is_the_key() {
        let ends = [end("10.0.0.1", 5), end("10.0.0.2", 6), end("::1", 5), end("::2", 6)];
        let keys = [
            FlowKey::new(6, ends[0], ends[1]).0,
            FlowKey::new(17, ends[0], ends[1]).0,
            FlowKey::new(6, ends[0], ends[0]).0,
            FlowKey::new(6, ends[2], ends[3]).0,
            FlowKey::between(6, Ends::V4 { src: 7, dst: 8 }, [1, 2], VlanIds::NONE.within(7)).0,
            FlowKey::between(6, Ends::V4 { src: 7, dst: 8 }, [1, 2], VlanIds::NONE.within(8)).0,
        ];
        for (i, key) in keys.iter().enumerate() {
            let kept = KeptKey::from(key.view());
            assert_eq!((kept.get(), kept.view()), (*key, key.view()));
            for (k, other) in keys.iter().enumerate() {
                assert_eq!(kept.is(other), i == k, "{key:?} {other:?}");
            }
        }
        assert_eq!(size_of::<KeptKey>(), 16);
    }
}
