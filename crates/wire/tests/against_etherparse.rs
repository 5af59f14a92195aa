//! Random packets, read back by this crate and by `etherparse`: both must find what was put in.

mod packets;

use etherparse::{IpHeaders, NetSlice, SlicedPacket, TransportSlice};
use packets::{Packet, Transport, carried, fragment_header, packet};
use proptest::prelude::*;
use std::net::IpAddr;
use wire::{
    Body, Datagram, Decoded, Ends, Fragment, Frame, LinkType, Payload, TcpFlags, VlanIds, decode,
};

/// The datagram in a frame that was captured whole.
fn datagram(link: LinkType, bytes: &[u8]) -> Datagram<'_> {
    let wire_len = u32::try_from(bytes.len()).expect("a short frame");
    match decode(&Frame { link, bytes, wire_len }) {
        Ok(Decoded::Datagram(datagram)) => datagram,
        other => panic!("link type {link}: a datagram, not {other:?}"),
    }
}

/// The ends as they were put in.
fn ends(ip: &IpHeaders) -> (IpAddr, IpAddr) {
    match ip {
        IpHeaders::Ipv4(header, _) => (header.source.into(), header.destination.into()),
        IpHeaders::Ipv6(header, _) => (header.source.into(), header.destination.into()),
    }
}

/// What was put in is what is found.
fn assert_found(packet: &Packet, found: &Datagram<'_>) {
    assert_eq!((found.ends.src(), found.ends.dst()), ends(&packet.ip));
    let ports = (found.src_port, found.dst_port);
    match &packet.transport {
        Transport::Tcp(header) => {
            assert_eq!(found.protocol, 6);
            assert_eq!(ports, (header.source_port, header.destination_port));
            let Body::Tcp(segment) = found.body else { panic!("TCP gives a segment") };
            assert_eq!(segment.seq, header.sequence_number);
            assert_eq!(segment.ack, header.acknowledgment_number);
            assert_eq!(segment.window, header.window_size);
            let flags = [
                (TcpFlags::FIN, header.fin),
                (TcpFlags::SYN, header.syn),
                (TcpFlags::RST, header.rst),
                (TcpFlags::PSH, header.psh),
                (TcpFlags::ACK, header.ack),
                (TcpFlags::URG, header.urg),
            ];
            for (flag, set) in flags {
                assert_eq!(segment.flags.has(flag), set, "{flag:?}");
            }
        }
        Transport::Udp(src, dst) => {
            assert_eq!((found.protocol, ports), (17, (*src, *dst)));
            assert!(matches!(found.body, Body::Message(_)));
        }
        Transport::Other(number) => {
            assert_eq!((found.protocol, ports), (*number, (0, 0)));
            assert!(matches!(found.body, Body::Message(_)));
        }
    }
    assert_eq!(found.body.payload(), Payload::whole(&packet.payload));
}

/// What `etherparse` reads in the same frame is what is found.
fn assert_agrees(sliced: &SlicedPacket<'_>, found: &Datagram<'_>) {
    let (src, dst): (IpAddr, IpAddr) = match sliced.net.as_ref().expect("IP") {
        NetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Arp(_) => panic!("no ARP was built"),
    };
    assert_eq!((found.ends.src(), found.ends.dst()), (src, dst));
    let payload = found.body.payload().bytes;
    match (&sliced.transport, found.body) {
        (Some(TransportSlice::Tcp(tcp)), Body::Tcp(segment)) => {
            let ports = (tcp.source_port(), tcp.destination_port());
            assert_eq!((found.src_port, found.dst_port), ports);
            assert_eq!(
                (segment.seq, segment.ack),
                (tcp.sequence_number(), tcp.acknowledgment_number())
            );
            assert_eq!(segment.flags.0, tcp.header_slice()[13]);
            assert_eq!(payload, tcp.payload());
        }
        (Some(TransportSlice::Udp(udp)), Body::Message(_)) => {
            let ports = (udp.source_port(), udp.destination_port());
            assert_eq!((found.src_port, found.dst_port), ports);
            assert_eq!(payload, udp.payload());
        }
        (_, Body::Message(_)) => {
            let ip = sliced.ip_payload().expect("IP");
            assert_eq!((found.protocol, payload), (ip.ip_number.0, ip.payload));
        }
        (other, body) => panic!("{other:?} and {body:?}"),
    }
}

proptest! {
    #[test]
    fn every_link_layer_carries_the_same(packet in packet()) {
        for (link, frame) in carried(&packet) {
            assert_found(&packet, &datagram(link, &frame));
        }
    }

    #[test]
    fn etherparse_agrees_on_ethernet(
        packet in packet(),
        tags in proptest::collection::vec((0..4096u16, any::<bool>()), 0..=3),
        padding in 0..30usize,
    ) {
        let mut frame = vec![2; 12];
        for &(id, provider) in &tags {
            frame.extend(if provider { [0x88, 0xa8] } else { [0x81, 0x00] });
            frame.extend(id.to_be_bytes());
        }
        frame.extend(if packet.is_v6() { [0x86, 0xdd] } else { [0x08, 0x00] });
        let ip = packet.bytes();
        frame.extend(&ip);
        // An IPv6 payload length of 0 leaves the length to the frame: there, padding is no padding.
        if !(packet.is_v6() && ip.len() == 40) {
            frame.resize(frame.len() + padding, 0xee);
        }

        let found = datagram(LinkType::ETHERNET, &frame);
        assert_found(&packet, &found);
        assert_agrees(&SlicedPacket::from_ethernet(&frame).expect("a good frame"), &found);
        // 0 is the priority's tag, which names no VLAN.
        let ids = tags.iter().map(|&(id, _)| id).filter(|&id| id != 0);
        prop_assert!(found.vlans.iter().eq(ids));
    }

    #[test]
    fn etherparse_agrees_on_cooked_and_raw_frames(packet in packet()) {
        for (link, frame) in carried(&packet) {
            let sliced = match link {
                // 4 is LLC, which etherparse does not open.
                LinkType::LINUX_SLL if frame[14..16] != [0, 4] => SlicedPacket::from_linux_sll(&frame),
                LinkType::RAW => SlicedPacket::from_ip(&frame),
                _ => continue,
            };
            assert_agrees(&sliced.expect("a good frame"), &datagram(link, &frame));
        }
    }

    #[test]
    fn fragments_say_where_they_stand(
        mut packet in packet(),
        (offset, more, id) in (0..4096u16, any::<bool>(), any::<u16>()),
    ) {
        prop_assume!(offset != 0 || more);
        packet.transport = Transport::Other(253);
        packet.payload.truncate(packet.payload.len() / 8 * 8);
        // AH is part of what is fragmented; without it the payload is all of that.
        match &mut packet.ip {
            IpHeaders::Ipv4(header, extensions) => {
                extensions.auth = None;
                header.identification = id;
                header.more_fragments = more;
                header.fragment_offset = offset.try_into().expect("13 bits");
            }
            IpHeaders::Ipv6(_, extensions) => {
                extensions.auth = None;
                if let Some(routing) = &mut extensions.routing {
                    routing.final_destination_options = None;
                }
                extensions.fragment = Some(fragment_header(offset, more, id.into()));
            }
        }
        let (src, dst) = ends(&packet.ip);
        let ends = Ends::new(src, dst).expect("one family");
        let payload = Payload::whole(&packet.payload);
        let (id, offset) = (u32::from(id), u32::from(offset) * 8);
        let vlans = VlanIds::NONE;
        let fragment = Fragment { ends, id, protocol: 253, offset, more, vlans, payload };
        for (link, bytes) in carried(&packet) {
            let frame = Frame { link, bytes: &bytes, wire_len: 0 };
            let Ok(Decoded::Fragment(found)) = decode(&frame) else { panic!("link type {link}") };
            prop_assert_eq!(found, Fragment { vlans: found.vlans, ..fragment }, "link type {}", link);
            // One of the frames has a tag, the same every time.
            prop_assert!(found.vlans.is_empty() || found.vlans.iter().eq([7]));
        }
    }
}
