//! Frames, byte by byte. Checksums are left at 0: the program does not look at them, because captures
//! taken on the sending host have wrong ones (offloading).

use std::net::{IpAddr, SocketAddr};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// `10.0.0.1:80` or `[::1]:80`.
pub(crate) fn end(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address with a port"))
}

/// An Ethernet frame with a TCP segment.
pub(crate) fn tcp(
    from: &str,
    to: &str,
    flags: u8,
    seq: u32,
    ack: u32,
    data: impl AsRef<[u8]>,
) -> Vec<u8> {
    ethernet(&tcp_packet(from, to, flags, seq, ack, data))
}

/// An IP packet with a TCP segment.
pub(crate) fn tcp_packet(
    from: &str,
    to: &str,
    flags: u8,
    seq: u32,
    ack: u32,
    data: impl AsRef<[u8]>,
) -> Vec<u8> {
    let mut segment = ports(from, to);
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(data.as_ref());
    ip(6, end(from).ip(), end(to).ip(), &segment)
}

/// An Ethernet frame with a UDP datagram.
pub(crate) fn udp(from: &str, to: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    ethernet(&udp_packet(from, to, data))
}

/// An IP packet with a UDP datagram.
pub(crate) fn udp_packet(from: &str, to: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    ip(17, end(from).ip(), end(to).ip(), &udp_datagram(from, to, data))
}

/// A UDP header and data.
pub(crate) fn udp_datagram(from: &str, to: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut datagram = ports(from, to);
    datagram.extend(be16(8 + data.as_ref().len()));
    datagram.extend([0, 0]);
    datagram.extend(data.as_ref());
    datagram
}

/// An Ethernet frame with any IP protocol; both ends without a port.
pub(crate) fn other(protocol: u8, from: &str, to: &str, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let [from, to] = [from, to].map(|end| end.parse().expect("an address"));
    ethernet(&ip(protocol, from, to, payload.as_ref()))
}

/// An Ethernet frame around an IP packet, padded to 60 bytes as every network card does it.
pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame.resize(frame.len().max(60), 0xee);
    frame
}

/// An IP packet of the family of its ends.
pub(crate) fn ip(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => ipv4(protocol, from, to, 0, 0, payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend(be16(payload.len()));
            packet.extend([protocol, 64]);
            packet.extend([from.octets(), to.octets()].concat());
            packet.extend(payload);
            packet
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// An IPv4 packet; `place` is the field of flags and fragment offset.
pub(crate) fn ipv4(
    protocol: u8,
    from: IpAddr,
    to: IpAddr,
    id: u16,
    place: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(be16(20 + payload.len()));
    packet.extend(id.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    for addr in [from, to] {
        let IpAddr::V4(addr) = addr else { panic!("{addr} is not IPv4") };
        packet.extend(addr.octets());
    }
    packet.extend(payload);
    packet
}

/// An Ethernet frame with an ARP request: a packet that is not IP.
pub(crate) fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.resize(60, 0);
    frame
}

fn ports(from: &str, to: &str) -> Vec<u8> {
    [end(from).port().to_be_bytes(), end(to).port().to_be_bytes()].concat()
}

fn be16(n: usize) -> [u8; 2] {
    u16::try_from(n).expect("tests build no longer packets").to_be_bytes()
}
