//! Builders of capture files for tests.

use crate::{Block, Packet, ReadError, Reader};
use std::io::{self, Cursor, Read};
use std::iter::once;
use wire::{LinkType, Timestamp};

/// Gives one byte at a time, and fails the test when asked again after the end.
pub(crate) struct Trickle(std::vec::IntoIter<u8>, bool);

impl Trickle {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter(), false)
    }
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.1, "read again after the end");
        match self.0.next() {
            Some(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            None => {
                self.1 = true;
                Ok(0)
            }
        }
    }
}

/// A packet that outlives its reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) link: Option<LinkType>,
    pub(crate) interface: u32,
    pub(crate) time: Option<Timestamp>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) number: u64,
    pub(crate) offset: u64,
}

impl From<Packet<'_>> for Owned {
    fn from(packet: Packet<'_>) -> Self {
        let Packet { link, interface, time, has_time, bytes, wire_len, number, offset, .. } =
            packet;
        let time = has_time.then_some(time);
        Self { link, interface, time, bytes: bytes.to_vec(), wire_len, number, offset }
    }
}

pub(crate) fn reader(bytes: Vec<u8>) -> Reader {
    Reader::from_read("test", Box::new(Cursor::new(bytes))).unwrap()
}

/// The packets before the end or the first error, and that error. They are asked for one by one and in stretches by
/// turns.
pub(crate) fn read_out(reader: &mut Reader) -> (Vec<Owned>, Option<ReadError>) {
    let mut packets: Vec<Owned> = Vec::new();
    for turn in 0.. {
        let before = packets.len();
        let result = match turn % 4 {
            0 => reader.next_packet().map(|packet| packets.extend(packet.map(Owned::from))),
            most => reader.stretch().map(|stretch| {
                let all = stretch.into_iter().flat_map(|(first, rest)| once(first).chain(rest));
                packets.extend(all.map(Owned::from).take(most * 2));
            }),
        };
        assert!(packets.last().is_none_or(|last| last.number == reader.packets()));
        match result {
            Ok(()) if packets.len() > before => {}
            Ok(()) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
    unreachable!("there is no end to turns")
}

/// All packets of a capture without damage.
pub(crate) fn all(reader: &mut Reader) -> Vec<Owned> {
    let (packets, error) = read_out(reader);
    assert!(error.is_none(), "{error:?}");
    packets
}

/// The first error of a damaged capture, its header's included.
pub(crate) fn first_error(bytes: Vec<u8>) -> ReadError {
    match Reader::from_read("test", Box::new(Cursor::new(bytes))) {
        Ok(mut reader) => read_out(&mut reader).1.unwrap(),
        Err(error) => error,
    }
}

/// Bytes written in one byte order.
#[derive(Clone)]
struct Writer {
    big: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }
}

/// A pcap file being built.
#[derive(Clone)]
pub(crate) struct PcapFile {
    out: Writer,
    patched: bool,
}

impl PcapFile {
    pub(crate) fn new(magic: u32, big: bool, link: u32) -> Self {
        let mut out = Writer { big, bytes: Vec::new() };
        out.u32(magic);
        out.u16(2);
        out.u16(4);
        out.u32(0);
        out.u32(0);
        out.u32(262_144);
        out.u32(link);
        Self { out, patched: magic == 0xa1b2_cd34 }
    }

    pub(crate) fn version(&mut self, major: u16, minor: u16) {
        let rest = self.out.bytes.split_off(8);
        self.out.bytes.truncate(4);
        self.out.u16(major);
        self.out.u16(minor);
        self.out.bytes.extend(rest);
    }

    pub(crate) fn packet(&mut self, secs: u32, fraction: u32, bytes: &[u8], wire_len: u32) {
        self.record(secs, fraction, (u32::try_from(bytes.len()).unwrap(), wire_len), bytes);
    }

    /// A record with any two lengths, true or not.
    pub(crate) fn record(&mut self, secs: u32, fraction: u32, lengths: (u32, u32), bytes: &[u8]) {
        [secs, fraction, lengths.0, lengths.1].into_iter().for_each(|value| self.out.u32(value));
        if self.patched {
            self.out.bytes.extend(b"\0\0\0\x02\x08\0\0\0");
        }
        self.out.bytes.extend(bytes);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.out.bytes.clone()
    }
}

/// A pcapng file being built. Each method adds one block.
#[derive(Clone)]
pub(crate) struct PcapngFile {
    out: Writer,
}

impl PcapngFile {
    pub(crate) fn new(big: bool) -> Self {
        let mut this = Self { out: Writer { big, bytes: Vec::new() } };
        this.section(big);
        this
    }

    fn body(&self) -> Writer {
        Writer { big: self.out.big, bytes: Vec::new() }
    }

    /// A block of any type, padded; returns where it begins.
    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) -> u64 {
        let at = self.out.bytes.len() as u64;
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        self.out.u32(kind);
        self.out.u32(length);
        self.out.bytes.extend(body);
        self.out.bytes.extend(vec![0; padded - body.len()]);
        self.out.u32(length);
        at
    }

    /// A block as some writers leave it: the length does not count the padding, which may be there.
    pub(crate) fn unaligned_block(&mut self, kind: u32, body: &[u8], padding: usize) {
        let length = u32::try_from(body.len() + 12).unwrap();
        self.out.u32(kind);
        self.out.u32(length);
        self.out.bytes.extend(body);
        self.out.bytes.extend(vec![0; padding]);
        self.out.u32(length);
    }

    pub(crate) fn section(&mut self, big: bool) {
        self.out.big = big;
        let mut body = self.body();
        body.u32(0x1a2b_3c4d);
        body.u16(1);
        body.u16(0);
        body.bytes.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body.bytes);
    }

    /// An interface; options as (code, value).
    pub(crate) fn interface(&mut self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) {
        let mut body = self.body();
        body.u16(link);
        body.u16(0);
        body.u32(snap_len);
        for (code, value) in options {
            body.u16(*code);
            body.u16(u16::try_from(value.len()).unwrap());
            body.bytes.extend(*value);
            body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        }
        self.block(1, &body.bytes);
    }

    pub(crate) fn enhanced_body(
        &self,
        interface: u32,
        ticks: u64,
        bytes: &[u8],
        wire_len: u32,
    ) -> Vec<u8> {
        let mut body = self.body();
        body.u32(interface);
        body.u32((ticks >> 32) as u32);
        body.u32(ticks as u32);
        body.u32(u32::try_from(bytes.len()).unwrap());
        body.u32(wire_len);
        body.bytes.extend(bytes);
        body.bytes
    }

    pub(crate) fn enhanced(
        &mut self,
        interface: u32,
        ticks: u64,
        bytes: &[u8],
        wire_len: u32,
    ) -> u64 {
        let body = self.enhanced_body(interface, ticks, bytes, wire_len);
        self.block(6, &body)
    }

    /// The obsolete packet block, with some drops counted.
    pub(crate) fn obsolete(
        &mut self,
        interface: u16,
        ticks: u64,
        bytes: &[u8],
        wire_len: u32,
    ) -> u64 {
        let mut body = self.body();
        body.u16(interface);
        body.u16(99);
        body.bytes.extend(&self.enhanced_body(0, ticks, bytes, wire_len)[4..]);
        self.block(2, &body.bytes)
    }

    pub(crate) fn simple(&mut self, bytes: &[u8], wire_len: u32) -> u64 {
        let mut body = self.body();
        body.u32(wire_len);
        body.bytes.extend(bytes);
        self.block(3, &body.bytes)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.out.bytes.clone()
    }
}

/// A packet as a live capture gives it: all bytes of a block, at so many seconds and 5 ns.
pub(crate) fn live_packet(secs: i64, block: &Block) -> Packet<'_> {
    Packet {
        link: Some(LinkType::ETHERNET),
        interface: 0,
        time: Timestamp::fine(secs, 5),
        has_time: true,
        bytes: block.bytes(),
        wire_len: block.bytes().len() as u32,
        number: 1,
        offset: 0,
        block,
    }
}
