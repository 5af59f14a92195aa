//! The capture formats: which one a source has, and the steps all of them share.

pub(crate) mod interface;
pub(crate) mod pcap;
pub(crate) mod pcapng;

use crate::error::{Fault, Reason};
use crate::window::Window;
use std::ops::Range;
use wire::{LinkType, Timestamp};

/// The format of one capture, with what has to be remembered between records.
pub(crate) enum Format {
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
}

/// What a record says of its packet.
///
/// It is written and read field by field. A packet that was handed up from function to function as a whole
/// was copied at each step, in pieces larger than those that had just been written, for which a
/// processor waits: three times 5 ns a packet.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) link: Option<LinkType>,
    pub(crate) interface: u32,
    pub(crate) time: Timestamp,
    pub(crate) has_time: bool,
    /// Where the packet's bytes stand in the window's block.
    pub(crate) bytes: Range<usize>,
    pub(crate) wire_len: u32,
    /// Where the record begins in the file.
    pub(crate) offset: u64,
}

/// A record of the most usual kind, all of which stands in the window.
pub(crate) struct AtHand<'a> {
    pub(crate) link: Option<LinkType>,
    pub(crate) interface: u32,
    pub(crate) time: Timestamp,
    pub(crate) has_time: bool,
    pub(crate) wire_len: u32,
    pub(crate) bytes: &'a [u8],
    /// What stands behind it.
    pub(crate) rest: &'a [u8],
    /// How long the header was.
    pub(crate) header: usize,
}

impl Format {
    /// The record at the beginning of `bytes`, if it is of the most usual kind and all there. `None` says nothing of
    /// any other.
    #[inline(always)]
    pub(crate) fn at_hand<'a>(&mut self, bytes: &'a [u8]) -> Option<AtHand<'a>> {
        match self {
            Self::Pcap(format) => format.at_hand(bytes),
            Self::Pcapng(format) => format.at_hand(bytes),
        }
    }

    /// Reads the file header.
    pub(crate) fn read_header(window: &mut Window) -> Result<Self, Reason> {
        let whole = window.need(4).map_err(Reason::Read)?;
        let Some(&magic) = window.bytes().first_chunk::<4>().filter(|_| whole) else {
            return Err(no_capture(window.bytes()));
        };
        if magic == pcapng::SECTION.to_le_bytes() {
            return pcapng::Pcapng::read_header(window).map(Self::Pcapng);
        }
        match pcap::Variant::of(magic) {
            Some(variant) => pcap::Pcap::read_header(window, variant).map(Self::Pcap),
            None => Err(no_capture(window.bytes())),
        }
    }

    /// Takes the next packet, whose record is described in `record` then; `false` where there is none.
    #[inline]
    pub(crate) fn next(&mut self, window: &mut Window, record: &mut Record) -> Result<bool, Fault> {
        match self {
            Self::Pcap(format) => format.next(window, record),
            Self::Pcapng(format) => format.next(window, record),
        }
    }

    /// The link type of the packet that comes next, without taking it.
    pub(crate) fn next_link(&mut self, window: &mut Window) -> Result<Option<LinkType>, Fault> {
        match self {
            Self::Pcap(format) => Ok(Some(format.link())),
            Self::Pcapng(format) => format.next_link(window),
        }
    }

    /// Was the next record read to its end? Then it can be given without waiting for the source.
    pub(crate) fn has_next(&self, window: &Window) -> bool {
        let length = match self {
            Self::Pcap(format) => format.next_length(window.bytes()),
            Self::Pcapng(format) => format.next_length(window.bytes()),
        };
        length.is_some_and(|length| length <= window.bytes().len() as u64)
    }

    /// The link type that is known without reading on.
    pub(crate) fn first_link(&self) -> Option<LinkType> {
        match self {
            Self::Pcap(format) => Some(format.link()),
            Self::Pcapng(format) => format.first_link(),
        }
    }
}

/// What a file that is no capture seems to be.
pub(crate) fn no_capture(bytes: &[u8]) -> Reason {
    if bytes.is_empty() {
        return Reason::Empty;
    }
    let known: [(&[u8], &str); 7] = [
        (b"\x1f\x8b", "gzip; unpack it first: zcat FILE | pcap2conn -r -"),
        (b"\x28\xb5\x2f\xfd", "zstd; unpack it first: zstdcat FILE | pcap2conn -r -"),
        (b"\xfd7zX", "xz; unpack it first: xzcat FILE | pcap2conn -r -"),
        (b"\x04\x22\x4d\x18", "lz4; unpack it first: lz4cat FILE | pcap2conn -r -"),
        (b"BZh", "bzip2; unpack it first: bzcat FILE | pcap2conn -r -"),
        (b"PK\x03\x04", "a zip archive; unpack it first"),
        (b"snoo", "snoop; convert it first: editcap FILE OTHER"),
    ];
    let looks_like = known.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|found| found.1);
    Reason::NotCapture { begins: bytes[..bytes.len().min(4)].to_vec(), looks_like }
}

/// A fault because the file ends where `needed` bytes should stand.
pub(crate) fn cut(window: &Window, needed: usize) -> Fault {
    let found = window.bytes().len() as u64;
    Fault { at: window.position(), reason: Reason::Cut { needed: needed as u64, found } }
}

/// The reason when the file header needs more bytes than there are.
pub(crate) fn header_cut(window: &Window, needed: usize) -> Reason {
    let found = window.bytes().len();
    Reason::Header(format!("its file header is cut: {needed} bytes are needed, {found} are there"))
}

/// Reads numbers in the byte order of the machine that wrote the capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The four numbers at the front; the caller has checked that they are there, else they are 0.
    #[inline]
    pub(crate) fn u32s(self, bytes: &[u8]) -> [u32; 4] {
        let bytes = bytes.first_chunk::<16>().unwrap_or(&[0; 16]);
        let numbers =
            std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|k| bytes[4 * i + k])));
        match self {
            Self::Little => numbers,
            Self::Big => numbers.map(u32::swap_bytes),
        }
    }

    /// The number at `offset`; the caller has checked that it is there, else it is 0.
    #[inline]
    pub(crate) fn u16_at(self, bytes: &[u8], offset: usize) -> u16 {
        self.u16(at(bytes, offset))
    }

    /// The number at `offset`; the caller has checked that it is there, else it is 0.
    #[inline]
    pub(crate) fn u32_at(self, bytes: &[u8], offset: usize) -> u32 {
        self.u32(at(bytes, offset))
    }
}

#[inline]
fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named_by_their_first_bytes() {
        assert!(matches!(no_capture(b""), Reason::Empty));
        let text = no_capture(b"\x1f\x8b\x08\x00").to_string();
        assert!(text.ends_with("but gzip; unpack it first: zcat FILE | pcap2conn -r -"), "{text}");
        let text = no_capture(b"snoop\0").to_string();
        assert!(text.ends_with("but snoop; convert it first: editcap FILE OTHER"), "{text}");
        let text = no_capture(b"GE").to_string();
        assert!(text.contains("(it begins with 47 45)"), "{text}");
    }

    #[test]
    fn numbers_beyond_the_bytes_are_zero_not_a_panic() {
        assert_eq!(ByteOrder::Big.u32_at(&[0, 0, 1, 2, 3], 1), 0x0001_0203);
        assert_eq!(ByteOrder::Little.u16_at(&[0, 1, 2], 1), 0x0201);
        assert_eq!(ByteOrder::Big.u32_at(&[1, 2, 3], 0), 0);
        assert_eq!(ByteOrder::Big.u32_at(&[1, 2, 3], 9), 0);
    }
}
