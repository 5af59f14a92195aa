//! What tests do with captures: other people's code reads them.

use std::io;

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};

use crate::frame::End;
use crate::writer::{Made, Writer};

/// A capture that `write` makes.
pub(crate) fn made(
    write: impl FnOnce(&mut Writer<&mut Vec<u8>>) -> io::Result<()>,
) -> (Vec<u8>, Made) {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out).unwrap();
    write(&mut writer).unwrap();
    let made = writer.finish().unwrap();
    (out, made)
}

/// Calls `see` with the microseconds and the bytes of every frame.
pub(crate) fn each_frame(capture: &[u8], mut see: impl FnMut(u64, &[u8])) {
    let mut reader = create_reader(1 << 16, capture).unwrap();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                if let PcapBlockOwned::Legacy(record) = block {
                    let micros = u64::from(record.ts_sec) * 1_000_000 + u64::from(record.ts_usec);
                    see(micros, record.data);
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => return,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Calls `see` with the microseconds, the ends and the transport of every packet.
pub(crate) fn each_packet(capture: &[u8], mut see: impl FnMut(u64, End, End, &TransportSlice<'_>)) {
    each_frame(capture, |micros, data| {
        let packet = SlicedPacket::from_ethernet(data).unwrap();
        let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
        let transport = packet.transport.expect("a transport");
        let ports = match &transport {
            TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
            TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port()),
            other => panic!("{other:?}"),
        };
        let from = End { address: ip.header().source(), port: ports.0 };
        let to = End { address: ip.header().destination(), port: ports.1 };
        see(micros, from, to, &transport);
    });
}

/// The same of a capture that has TCP alone.
pub(crate) fn each_segment(capture: &[u8], mut see: impl FnMut(u64, End, End, &TcpSlice<'_>)) {
    each_packet(capture, |micros, from, to, transport| {
        let TransportSlice::Tcp(tcp) = transport else { panic!("no TCP") };
        see(micros, from, to, tcp);
    });
}
