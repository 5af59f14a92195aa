//! Frames, byte by byte, as a network card would have seen them. Checksums are left at 0: nobody here
//! reads them.

use std::net::IpAddr;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// The shortest Ethernet frame. Shorter ones are padded, with bytes that nobody must take for data.
pub(crate) const SHORTEST: usize = 60;

/// Ethernet around `packet`, with a VLAN tag where one is given.
pub(crate) fn ethernet(vlan: Option<u16>, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if let Some(vlan) = vlan {
        frame.extend(0x8100_u16.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// An IP packet of the family of `ends`, in an Ethernet frame.
pub(crate) fn ip(ends: [IpAddr; 2], vlan: Option<u16>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match ends {
        [IpAddr::V4(_), _] => ethernet(vlan, 0x0800, &ipv4(ends, 0, 0, protocol, payload)),
        [IpAddr::V6(_), _] => ethernet(vlan, 0x86dd, &ipv6(ends, protocol, payload)),
    }
}

/// An IPv4 packet; `place` is the field of flags and fragment offset.
pub(crate) fn ipv4(
    ends: [IpAddr; 2],
    id: u16,
    place: u16,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).expect("tests build no longer packets");
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    for end in ends {
        let IpAddr::V4(addr) = end else { panic!("both ends of one family") };
        packet.extend(addr.octets());
    }
    packet.extend(payload);
    packet
}

/// An IPv6 packet.
pub(crate) fn ipv6(ends: [IpAddr; 2], next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("tests build no longer packets");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([next, 64]);
    for end in ends {
        let IpAddr::V6(addr) = end else { panic!("both ends of one family") };
        packet.extend(addr.octets());
    }
    packet.extend(payload);
    packet
}

/// One fragment of a datagram of protocol `protocol`, in an Ethernet frame: `part` stands `offset`
/// bytes into what is fragmented, and `more` follow.
pub(crate) fn fragment(
    ends: [IpAddr; 2],
    id: u16,
    (offset, more): (u16, bool),
    protocol: u8,
    part: &[u8],
) -> Vec<u8> {
    assert_eq!(offset % 8, 0, "offsets count in eights");
    match ends {
        [IpAddr::V4(_), _] => {
            let place = (offset / 8) | (u16::from(more) << 13);
            ethernet(None, 0x0800, &ipv4(ends, id, place, protocol, part))
        }
        [IpAddr::V6(_), _] => {
            let mut payload = vec![protocol, 0];
            payload.extend((offset | u16::from(more)).to_be_bytes());
            payload.extend(u32::from(id).to_be_bytes());
            payload.extend(part);
            ethernet(None, 0x86dd, &ipv6(ends, 44, &payload))
        }
    }
}

/// A TCP header without options, and data.
pub(crate) fn tcp(ports: [u16; 2], seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + data.len());
    segment.extend(ports[0].to_be_bytes());
    segment.extend(ports[1].to_be_bytes());
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(data);
    segment
}

/// A UDP header and data.
pub(crate) fn udp(ports: [u16; 2], data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + data.len()).expect("tests build no longer datagrams");
    let mut datagram = Vec::with_capacity(8 + data.len());
    datagram.extend(ports[0].to_be_bytes());
    datagram.extend(ports[1].to_be_bytes());
    datagram.extend(len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

/// What Ethernet frames carry, as the body of an 802.11 frame with an A-MSDU.
pub(crate) fn amsdu(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        let msdu = msdu(frame);
        body.resize(body.len().next_multiple_of(4), 0xee);
        body.extend([2; 12]);
        body.extend(
            u16::try_from(msdu.len()).expect("tests build no longer packets").to_be_bytes(),
        );
        body.extend(msdu);
    }
    body
}

/// What an Ethernet frame carries, as 802.11 has it: LLC and SNAP, then the packet.
pub(crate) fn msdu(frame: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0][..], frame.get(12..).unwrap_or_default()].concat()
}

/// A QoS data frame of 802.11: its sequence number, the number of the fragment and whether more follow, the
/// low byte of QoS control, the body.
pub(crate) fn wlan((sequence, fragment, more): (u8, u8, bool), qos: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x88, 0x02 | u8::from(more) << 2, 0, 0];
    frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2]);
    frame.extend((u16::from(sequence) << 4 | u16::from(fragment)).to_le_bytes());
    frame.extend([qos, 0]);
    frame.extend(body);
    frame
}
