//! Ethernet frames with IPv4 and TCP or UDP.

use crate::checksum::Sum;

/// Most payload in a 1500-byte packet that carries the timestamp option (RFC 7323).
pub(crate) const SEGMENT: usize = 1448;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Clients, each with its own address; a connection's number gives its client and port.
const CLIENTS: u32 = 250;
const FIRST_PORT: u16 = 1024;
/// More would use a client's port a second time.
pub(crate) const MAX_CONNECTIONS: u32 = CLIENTS * 64_000;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct End {
    pub(crate) address: [u8; 4],
    pub(crate) port: u16,
}

impl End {
    /// The client of connection `number`, which no other connection has.
    pub(crate) fn client(number: u32) -> Self {
        Self {
            address: [198, 18, 0, 1 + (number % CLIENTS) as u8],
            port: FIRST_PORT + (number / CLIENTS) as u16,
        }
    }

    /// A server, the `host`th from 0, at most 253.
    pub(crate) fn server(host: u32, port: u16) -> Self {
        Self { address: [198, 19, 0, 1 + host as u8], port }
    }
}

/// What a frame can be made of.
pub(crate) trait Packet {
    /// Appends the frame.
    fn build(&self, frame: &mut Vec<u8>);
    /// What it carries.
    fn payload(&self) -> &[u8];
}

/// What differs between the segments of one direction.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) flags: u8,
    /// IP identification.
    pub(crate) number: u16,
    /// Timestamp option: own clock and echo, in milliseconds.
    pub(crate) clock: (u32, u32),
    pub(crate) payload: &'a [u8],
}

impl Packet for Segment<'_> {
    fn build(&self, frame: &mut Vec<u8>) {
        let options = options(self);
        let tcp = 20 + options.len();
        let start = ip(frame, self.from, self.to, self.number, TCP, tcp + self.payload.len());
        frame.extend(self.from.port.to_be_bytes());
        frame.extend(self.to.port.to_be_bytes());
        frame.extend(self.sequence.to_be_bytes());
        frame.extend(self.acknowledgement.to_be_bytes());
        frame.extend([((tcp / 4) as u8) << 4, self.flags]);
        frame.extend(502u16.to_be_bytes()); // window, scaled by 128
        frame.extend([0; 4]); // checksum to come, no urgent data
        frame.extend(options);
        frame.extend(self.payload);
        let sum = checksum(self.from, self.to, TCP, &frame[start..]);
        frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }
}

/// A UDP datagram.
pub(crate) struct Datagram<'a> {
    pub(crate) from: End,
    pub(crate) to: End,
    /// IP identification.
    pub(crate) number: u16,
    pub(crate) payload: &'a [u8],
}

impl Packet for Datagram<'_> {
    fn build(&self, frame: &mut Vec<u8>) {
        let udp = 8 + self.payload.len();
        let start = ip(frame, self.from, self.to, self.number, UDP, udp);
        frame.extend(self.from.port.to_be_bytes());
        frame.extend(self.to.port.to_be_bytes());
        frame.extend((udp as u16).to_be_bytes());
        frame.extend([0; 2]); // checksum to come
        frame.extend(self.payload);
        let sum = checksum(self.from, self.to, UDP, &frame[start..]);
        // 0 would mean that there is none (RFC 768).
        let sum = if sum == 0 { 0xFFFF } else { sum };
        frame[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }
}

/// Appends the headers of Ethernet and IPv4; where what they carry begins.
fn ip(frame: &mut Vec<u8>, from: End, to: End, number: u16, protocol: u8, carried: usize) -> usize {
    let mac = |end: End| {
        let [a, b, c, d] = end.address;
        [0x02, 0, a, b, c, d]
    };
    frame.extend(mac(to));
    frame.extend(mac(from));
    frame.extend(0x0800_u16.to_be_bytes());
    frame.extend([0x45, 0]);
    frame.extend(((IPV4 + carried) as u16).to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.extend([0x40, 0, 64, protocol, 0, 0]); // do not fragment, time to live, checksum to come
    frame.extend(from.address);
    frame.extend(to.address);
    let sum = Sum::default().bytes(&frame[ETHERNET..]).finish();
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
    frame.len()
}

/// The checksum of a transport header and what it carries.
fn checksum(from: End, to: End, protocol: u8, carried: &[u8]) -> u16 {
    Sum::default()
        .bytes(&from.address)
        .bytes(&to.address)
        .number(u32::from(protocol) + carried.len() as u32)
        .bytes(carried)
        .finish()
}

/// As Linux sends them: with SYN maximum segment size 1460, SACK permitted, timestamps and window
/// scale 7; else timestamps alone.
fn options(segment: &Segment<'_>) -> Vec<u8> {
    let mut options = Vec::with_capacity(20);
    if segment.flags & SYN != 0 {
        options.extend([2, 4, 5, 180, 4, 2]);
    } else {
        options.extend([1, 1]);
    }
    options.extend([8, 10]);
    options.extend(segment.clock.0.to_be_bytes());
    options.extend(segment.clock.1.to_be_bytes());
    if segment.flags & SYN != 0 {
        options.extend([1, 3, 3, 7]);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    const FROM: End = End { address: [198, 18, 0, 1], port: 1024 };
    const TO: End = End { address: [198, 19, 0, 9], port: 80 };

    fn check(packet: &impl Packet) {
        let mut frame = Vec::new();
        packet.build(&mut frame);
        let decoded = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = decoded.net else { panic!("no IPv4") };
        let header = ip.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        match decoded.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                let sum = tcp.calc_checksum_ipv4(header.source, header.destination);
                assert_eq!(tcp.checksum(), sum.unwrap());
                assert_eq!(tcp.payload(), packet.payload());
            }
            Some(TransportSlice::Udp(udp)) => {
                let read = udp.to_header();
                assert_eq!(read.checksum, read.calc_checksum_ipv4(&header, udp.payload()).unwrap());
                assert_eq!(udp.payload(), packet.payload());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn checksums_are_right() {
        for payload in [&b""[..], b"odd", b"even", &[0xFF; SEGMENT]] {
            check(&Segment {
                from: FROM,
                to: TO,
                sequence: 0xFFFF_FFFE,
                acknowledgement: 7,
                flags: PSH | ACK,
                number: 5,
                clock: (1, 2),
                payload,
            });
            check(&Datagram { from: FROM, to: TO, number: 6, payload });
        }
    }

    #[test]
    fn a_datagram_whose_sum_is_zero_says_so() {
        let mut frame = Vec::new();
        Datagram { from: FROM, to: TO, number: 6, payload: &[0, 0] }.build(&mut frame);
        let sum = u16::from_be_bytes([frame[40], frame[41]]);
        // With its own checksum as payload, a datagram's sum becomes that of nothing.
        Datagram { from: FROM, to: TO, number: 6, payload: &sum.to_be_bytes() }.build(&mut frame);
        assert_eq!(frame[44 + 40..44 + 42], [0xFF, 0xFF]);
    }
}
