//! Ethernet frames with IPv4 and TCP, as pcap records.

use std::io::{self, Write};

use crate::checksum::Sum;

/// Most payload in a 1500-byte packet that carries the timestamp option (RFC 7323).
pub(crate) const SEGMENT: usize = 1448;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

const ETHERNET: usize = 14;
const IPV4: usize = 20;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct End {
    pub(crate) address: [u8; 4],
    pub(crate) port: u16,
}

/// What differs between the segments of one direction.
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

/// The header of a pcap file: microseconds, little endian, Ethernet.
pub(crate) fn write_file_header(out: &mut impl Write) -> io::Result<()> {
    let mut header = Vec::with_capacity(24);
    header.extend(0xA1B2_C3D4_u32.to_le_bytes());
    header.extend(2u16.to_le_bytes());
    header.extend(4u16.to_le_bytes());
    header.extend([0; 8]); // time zone and accuracy, unused
    header.extend(262_144_u32.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    out.write_all(&header)
}

/// Writes the record of a segment captured `micros` after 1970; `frame` is scratch space. Returns
/// the record's length.
pub(crate) fn write_record(
    out: &mut impl Write,
    micros: u64,
    segment: &Segment<'_>,
    frame: &mut Vec<u8>,
) -> io::Result<usize> {
    frame.clear();
    build(segment, frame);
    let length = (frame.len() as u32).to_le_bytes();
    let mut header = [0; 16];
    header[0..4].copy_from_slice(&((micros / 1_000_000) as u32).to_le_bytes());
    header[4..8].copy_from_slice(&((micros % 1_000_000) as u32).to_le_bytes());
    header[8..12].copy_from_slice(&length);
    header[12..16].copy_from_slice(&length);
    out.write_all(&header)?;
    out.write_all(frame)?;
    Ok(header.len() + frame.len())
}

fn build(segment: &Segment<'_>, frame: &mut Vec<u8>) {
    let mac = |end: End| {
        let [a, b, c, d] = end.address;
        [0x02, 0, a, b, c, d]
    };
    frame.extend(mac(segment.to));
    frame.extend(mac(segment.from));
    frame.extend(0x0800_u16.to_be_bytes());

    let options = options(segment);
    let tcp = 20 + options.len();
    let total = (IPV4 + tcp + segment.payload.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend(segment.number.to_be_bytes());
    frame.extend([0x40, 0, 64, 6, 0, 0]); // do not fragment, time to live, TCP, checksum to come
    frame.extend(segment.from.address);
    frame.extend(segment.to.address);
    let sum = Sum::default().bytes(&frame[ETHERNET..]).finish();
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());

    let start = frame.len();
    frame.extend(segment.from.port.to_be_bytes());
    frame.extend(segment.to.port.to_be_bytes());
    frame.extend(segment.sequence.to_be_bytes());
    frame.extend(segment.acknowledgement.to_be_bytes());
    frame.extend([((tcp / 4) as u8) << 4, segment.flags]);
    frame.extend(502u16.to_be_bytes()); // window, scaled by 128
    frame.extend([0; 4]); // checksum to come, no urgent data
    frame.extend(options);
    frame.extend(segment.payload);
    let sum = Sum::default()
        .bytes(&segment.from.address)
        .bytes(&segment.to.address)
        .number(6 + (frame.len() - start) as u32)
        .bytes(&frame[start..])
        .finish();
    frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
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

    fn record(flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let segment = Segment {
            from: End { address: [198, 18, 0, 1], port: 1024 },
            to: End { address: [198, 19, 0, 9], port: 80 },
            sequence: 0xFFFF_FFFE,
            acknowledgement: 7,
            flags,
            number: 5,
            clock: (1, 2),
            payload,
        };
        let length = write_record(&mut out, 3_000_004, &segment, &mut Vec::new()).unwrap();
        assert_eq!(length, out.len());
        out
    }

    #[test]
    fn a_record_has_its_time_and_length() {
        let made = record(ACK, b"odd");
        assert_eq!(made[..16], [3, 0, 0, 0, 4, 0, 0, 0, 69, 0, 0, 0, 69, 0, 0, 0]);
        assert_eq!(made.len(), 16 + 69);
        assert_eq!(record(SYN, b"").len(), 16 + 74);
        assert_eq!(record(ACK, &[0; SEGMENT]).len(), 16 + 1514);
    }

    #[test]
    fn checksums_are_right() {
        for payload in [&b""[..], b"odd", b"even", &[0xFF; SEGMENT]] {
            let made = record(PSH | ACK, payload);
            let packet = SlicedPacket::from_ethernet(&made[16..]).unwrap();
            let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
            let header = ip.header().to_header();
            let (from, to) = (header.source, header.destination);
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv4(from, to).unwrap());
            assert_eq!(tcp.payload(), payload);
        }
    }
}
