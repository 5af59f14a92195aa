//! Random packets, built by `etherparse`, and headers of every link layer around them.

use etherparse::{
    IpAuthHeader, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, Ipv6RoutingExtensions, PacketBuilder,
    TcpHeader,
};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::LinkType;

/// What a packet is made of.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// With its extensions; lengths and next headers are set when it is built.
    pub(crate) ip: IpHeaders,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Tcp(Box<TcpHeader>),
    Udp(u16, u16),
    /// A protocol without a header of its own, and one that etherparse does not look into.
    Other(u8),
}

impl Packet {
    /// The packet from the IP header on.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let builder = PacketBuilder::ip(self.ip.clone());
        let mut bytes = Vec::new();
        match &self.transport {
            Transport::Tcp(header) => {
                builder.tcp_header((**header).clone()).write(&mut bytes, &self.payload)
            }
            Transport::Udp(src, dst) => builder.udp(*src, *dst).write(&mut bytes, &self.payload),
            Transport::Other(number) => builder.write(&mut bytes, IpNumber(*number), &self.payload),
        }
        .expect("a packet below 64 KiB can be built");
        bytes
    }

    pub(crate) fn is_v6(&self) -> bool {
        matches!(self.ip, IpHeaders::Ipv6(..))
    }
}

/// Any packet that is no fragment. Its payload is short enough for a frame with an 802.3 length.
pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![3 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 40..700)];
    (ip(), transport(), payload).prop_map(|(ip, transport, payload)| Packet {
        ip,
        transport,
        payload,
    })
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        4 => tcp().prop_map(|header| Transport::Tcp(Box::new(header))),
        2 => any::<(u16, u16)>().prop_map(|(src, dst)| Transport::Udp(src, dst)),
        1 => prop_oneof![Just(47), Just(50), Just(89), Just(103), Just(253)].prop_map(Transport::Other),
    ]
}

fn tcp() -> impl Strategy<Value = TcpHeader> {
    let ports = any::<(u16, u16)>();
    let numbers = any::<(u32, u32, u16, u16)>();
    (ports, numbers, any::<[bool; 9]>(), words(0..=10)).prop_map(
        |((src, dst), (seq, ack, window, urgent), flags, options)| {
            let mut header = TcpHeader::new(src, dst, seq, window);
            header.acknowledgment_number = ack;
            header.urgent_pointer = urgent;
            [header.fin, header.syn, header.rst, header.psh, header.ack, ..] = flags;
            [.., header.urg, header.ece, header.cwr, header.ns] = flags;
            header.set_options_raw(&options).expect("whole words, at most ten");
            header
        },
    )
}

fn ip() -> impl Strategy<Value = IpHeaders> {
    prop_oneof![ipv4(), ipv6()]
}

fn ipv4() -> impl Strategy<Value = IpHeaders> {
    (any::<([u8; 4], [u8; 4], u16, u8)>(), words(0..=10), proptest::option::of(auth())).prop_map(
        |((src, dst, id, ttl), options, auth)| {
            let mut header = Ipv4Header::new(0, ttl, IpNumber(253), src, dst)
                .expect("no payload is not too long");
            header.identification = id;
            header.options = options.as_slice().try_into().expect("whole words, at most ten");
            IpHeaders::Ipv4(header, Ipv4Extensions { auth })
        },
    )
}

fn ipv6() -> impl Strategy<Value = IpHeaders> {
    let addresses = any::<([u8; 16], [u8; 16])>();
    (addresses, extensions()).prop_map(|((source, destination), extensions)| {
        let header = Ipv6Header { source, destination, hop_limit: 64, ..Default::default() };
        IpHeaders::Ipv6(header, extensions)
    })
}

fn extensions() -> impl Strategy<Value = Ipv6Extensions> {
    let option = proptest::option::weighted::<Ipv6RawStrategy>;
    type Ipv6RawStrategy = BoxedStrategy<Ipv6RawExtHeader>;
    let atomic = proptest::option::weighted(0.2, any::<u32>());
    (
        option(0.2, raw().boxed()),
        option(0.2, raw().boxed()),
        option(0.2, raw().boxed()),
        option(0.5, raw().boxed()),
        atomic,
        proptest::option::weighted(0.2, auth()),
    )
        .prop_map(|(hop_by_hop_options, destination_options, routing, last, atomic, auth)| {
            Ipv6Extensions {
                hop_by_hop_options,
                destination_options,
                routing: routing.map(|routing| Ipv6RoutingExtensions {
                    routing,
                    final_destination_options: last,
                }),
                fragment: atomic.map(|id| fragment_header(0, false, id)),
                auth,
            }
        })
}

/// A fragment header, `offset` in units of 8 bytes.
pub(crate) fn fragment_header(offset: u16, more: bool, id: u32) -> Ipv6FragmentHeader {
    let offset = IpFragOffset::try_new(offset).expect("13 bits");
    Ipv6FragmentHeader::new(IpNumber(0), offset, more, id)
}

/// A hop-by-hop, destination options or routing header.
fn raw() -> impl Strategy<Value = Ipv6RawExtHeader> {
    (0..4usize, any::<u8>()).prop_map(|(eights, fill)| {
        let payload = vec![fill; 6 + 8 * eights];
        Ipv6RawExtHeader::new_raw(IpNumber(0), &payload).expect("6 bytes and whole eights")
    })
}

fn auth() -> impl Strategy<Value = IpAuthHeader> {
    (any::<(u32, u32)>(), words(0..=8)).prop_map(|((spi, sequence), check)| {
        IpAuthHeader::new(IpNumber(0), spi, sequence, &check).expect("whole words")
    })
}

/// So many 32-bit words of any bytes.
fn words(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), count).prop_map(|words| words.concat())
}

/// Frames of every link type, and every way to carry IP in it that has a header of its own, around
/// one packet below 1500 bytes. All of them carry the same.
pub(crate) fn carried(packet: &Packet) -> Vec<(LinkType, Vec<u8>)> {
    let (ethertype, family, ppp) =
        if packet.is_v6() { ([0x86, 0xdd], 10, 0x57) } else { ([0x08, 0x00], 2, 0x21) };
    let ip = packet.bytes();
    let be = |plus: usize| u16::try_from(ip.len() + plus).expect("a short packet").to_be_bytes();
    let le = |plus: usize| u16::try_from(ip.len() + plus).expect("a short packet").to_le_bytes();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ethertype].concat();
    let pppoe = [&[0x11, 0, 0, 7][..], &be(2), &[0, ppp]].concat();
    let addresses = [2; 12];
    let labels = [0, 1, 0, 64, 0, 1, 1, 64];
    let sll = |protocol: &[u8]| [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], protocol].concat();
    let wlan =
        |first: u8, flags: u8, more: &[u8]| [&[first, flags][..], &[0; 22], more, &snap].concat();
    let raw_version = if packet.is_v6() { LinkType::IPV6 } else { LinkType::IPV4 };

    let mut headers = vec![
        (raw_version, vec![]),
        (LinkType::RAW, vec![]),
        (LinkType::DLT_RAW, vec![]),
        (LinkType::DLT_RAW_OPENBSD, vec![]),
        (LinkType::NULL, vec![family, 0, 0, 0]),
        (LinkType::LOOP, vec![0, 0, 0, family]),
        (LinkType::ETHERNET, [&addresses[..], &ethertype].concat()),
        (LinkType::ETHERNET, [&addresses[..], &be(8), &snap].concat()),
        (LinkType::ETHERNET, [&addresses[..], &be(3), &[6, 6, 3]].concat()),
        (LinkType::ETHERNET, [&addresses[..], &[0x81, 0, 0, 7], &ethertype].concat()),
        (LinkType::ETHERNET, [&addresses[..], &[0x88, 0x47], &labels].concat()),
        (LinkType::ETHERNET, [&addresses[..], &[0x88, 0x64], &pppoe].concat()),
        (LinkType::LINUX_SLL, sll(&ethertype)),
        (LinkType::LINUX_SLL, [&sll(&[0, 4])[..], &snap].concat()),
        (LinkType::LINUX_SLL2, [&ethertype[..], &[0; 6], &[0, 1, 0, 6], &[2; 8]].concat()),
        (LinkType::PPP, vec![0xff, 3, 0, ppp]),
        (LinkType::PPP, vec![ppp]),
        (LinkType::PPP_HDLC, vec![0xff, 3, 0, ppp]),
        (LinkType::PPP_HDLC, [&[0x0f, 0][..], &ethertype].concat()),
        (LinkType::C_HDLC, [&[0x8f, 0][..], &ethertype].concat()),
        (LinkType::PPP_ETHER, pppoe),
        (LinkType::IEEE802_11, wlan(0x08, 1, &[])),
        (LinkType::IEEE802_11, wlan(0x88, 0x83, &[0; 12])),
        (
            LinkType::IEEE802_11_RADIOTAP,
            [&[0, 0, 9, 0, 2, 0, 0, 0, 0x20][..], &wlan(0x88, 1, &[0; 4])].concat(),
        ),
        (LinkType::PPI, [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wlan(0x08, 1, &[])].concat()),
        (
            LinkType::NFLOG,
            [&[family, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0][..], &le(4), &[9, 0]].concat(),
        ),
        (
            LinkType::NFLOG,
            [&[family, 0, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0][..], &be(4), &[0, 9]].concat(),
        ),
    ];
    for (_, frame) in &mut headers {
        frame.extend(&ip);
    }
    headers
}
