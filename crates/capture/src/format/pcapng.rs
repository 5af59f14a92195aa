//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, each with its length before and after it.

use super::interface::{Clock, Interface};
use super::{AtHand, ByteOrder, Record, cut, header_cut, no_capture};
use crate::error::{Fault, Reason};
use crate::window::{MAX_RECORD, Window};
use wire::{LinkType, Timestamp};

/// Type of the section header block; it reads the same in both byte orders.
pub(crate) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// The obsolete packet block, still found in old files.
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

/// Where the packet begins in an enhanced packet block.
pub(crate) const ENHANCED_HEADER: usize = 28;

/// Type and length, and the length again at the end.
const FRAME: u32 = 12;

/// How many interfaces of a section are remembered: what the obsolete packet block can name. A
/// hostile file could describe any number of them; packets of later ones have no link type.
const MAX_INTERFACES: usize = 1 << 16;

/// One pcapng file, inside one of its sections.
pub(crate) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// The time of the last packet, for one that has none.
    time: Option<Timestamp>,
}

/// Type and length of the block that begins at the window's start.
#[derive(Clone, Copy)]
struct Head {
    kind: u32,
    length: u32,
}

/// What the packet blocks say in different places.
struct Fields {
    interface: u32,
    /// Ticks of the interface's clock.
    ticks: Option<u64>,
    captured: u32,
    wire: u32,
    /// Where the bytes begin in the block.
    data: usize,
}

impl Pcapng {
    /// Reads the first section header, whose type was seen.
    pub(crate) fn read_header(window: &mut Window) -> Result<Self, Reason> {
        let mut this = Self { order: ByteOrder::Little, interfaces: Vec::new(), time: None };
        if !window.need(12).map_err(Reason::Read)? {
            return Err(header_cut(window, 28));
        }
        if byte_order(window.bytes()).is_none() {
            return Err(no_capture(window.bytes()));
        }
        this.section(window).map_err(|fault| match fault.reason {
            Reason::Cut { needed, .. } => header_cut(window, needed as usize),
            Reason::Corrupt(what) => Reason::Header(what),
            other => other,
        })?;
        Ok(this)
    }

    /// Takes the next packet, whose record is described in `record`; `false` where there is none.
    #[inline]
    pub(crate) fn next(&mut self, window: &mut Window, record: &mut Record) -> Result<bool, Fault> {
        let Some(head) = self.next_packet_block(window)? else { return Ok(false) };
        let least = match head.kind {
            ENHANCED | PACKET => 32,
            _ => 16,
        };
        let step = self.whole(window, head, least)?;
        let end = (head.length - 4) as usize;
        let offset = window.position();
        let fields = self.fields(head, &window.bytes()[..end]);
        // `fields` keeps `data` at 28 or 12, and `whole` checked that the block is longer.
        let captured = fields.captured as usize;
        if captured > end - fields.data {
            let room = end - fields.data;
            let what =
                format!("a packet of {captured} captured bytes in a block with room for {room}");
            return Err(Fault { at: offset, reason: Reason::Corrupt(what) });
        }
        let interface = self.interfaces.get(fields.interface as usize);
        if let Some(ticks) = fields.ticks {
            let clock = interface.map_or(Clock::DEFAULT, |found| found.clock);
            self.time = Some(clock.time(ticks));
        }
        let start = window.take(step).start + fields.data;
        record.link = interface.map(|found| found.link);
        record.interface = fields.interface;
        record.time = self.time.unwrap_or_default();
        record.has_time = self.time.is_some();
        record.bytes = start..start + captured;
        record.wire_len = fields.wire.max(fields.captured);
        record.offset = offset;
        Ok(true)
    }

    /// The packet at the beginning of `bytes`, if it is all there, in an enhanced packet block as it should be.
    #[inline(always)]
    pub(crate) fn at_hand<'a>(&mut self, bytes: &'a [u8]) -> Option<AtHand<'a>> {
        let head = Head { kind: self.order.u32_at(bytes, 0), length: self.order.u32_at(bytes, 4) };
        if head.kind != ENHANCED || !(32..=MAX_RECORD).contains(&head.length) {
            return None;
        }
        let (block, rest) = bytes.split_at_checked(head.length as usize)?;
        let (block, trailer) = block.split_last_chunk::<4>()?;
        let Fields { interface: number, ticks, captured, wire, data } = self.fields(head, block);
        if self.order.u32(*trailer) != head.length || !head.length.is_multiple_of(4) {
            return None;
        }
        let bytes = block.get(data..)?.get(..captured as usize)?;
        let interface = self.interfaces.get(number as usize)?;
        let time = interface.clock.time(ticks?);
        self.time = Some(time);
        Some(AtHand {
            link: Some(interface.link),
            interface: number,
            time,
            has_time: true,
            wire_len: wire.max(captured),
            bytes,
            rest,
            header: ENHANCED_HEADER,
        })
    }

    /// The length of the packet's block that `bytes` begin with, if its header is there. Behind a block
    /// of another kind nobody knows what comes.
    pub(crate) fn next_length(&self, bytes: &[u8]) -> Option<u64> {
        bytes.get(..8)?;
        if !matches!(self.order.u32_at(bytes, 0), ENHANCED | PACKET | SIMPLE) {
            return None;
        }
        Some(u64::from(self.order.u32_at(bytes, 4)))
    }

    /// The link type of the packet that comes next; of the first interface where it names none.
    pub(crate) fn next_link(&mut self, window: &mut Window) -> Result<Option<LinkType>, Fault> {
        let mut number = 0;
        if let Some(head) = self.next_packet_block(window)? {
            if !need(window, 12)? {
                return Err(cut(window, head.length as usize));
            }
            number = match head.kind {
                ENHANCED => self.order.u32_at(window.bytes(), 8) as usize,
                PACKET => usize::from(self.order.u16_at(window.bytes(), 8)),
                _ => 0,
            };
        }
        let named = self.interfaces.get(number).map(|interface| interface.link);
        Ok(named.or(self.first_link()))
    }

    /// The link type of the first interface of this section that was met.
    pub(crate) fn first_link(&self) -> Option<LinkType> {
        self.interfaces.first().map(|interface| interface.link)
    }

    /// Reads blocks until one that holds a packet begins, which is left where it is.
    #[inline]
    fn next_packet_block(&mut self, window: &mut Window) -> Result<Option<Head>, Fault> {
        loop {
            if !need(window, 8)? {
                return if window.bytes().is_empty() { Ok(None) } else { Err(cut(window, 8)) };
            }
            let kind = self.order.u32_at(window.bytes(), 0);
            let head = Head { kind, length: self.order.u32_at(window.bytes(), 4) };
            match kind {
                ENHANCED | SIMPLE | PACKET => return Ok(Some(head)),
                SECTION => self.section(window)?,
                INTERFACE => self.interface(window, head)?,
                _ => self.skip(window, head)?,
            }
        }
    }

    #[inline]
    fn fields(&self, head: Head, block: &[u8]) -> Fields {
        let u32_at = |offset| self.order.u32_at(block, offset);
        if head.kind == SIMPLE {
            return self.simple(block);
        }
        let interface = if head.kind == ENHANCED {
            u32_at(8)
        } else {
            // The other half counts dropped packets.
            u32::from(self.order.u16_at(block, 8))
        };
        let ticks = Some(u64::from(u32_at(12)) << 32 | u64::from(u32_at(16)));
        Fields { interface, ticks, captured: u32_at(20), wire: u32_at(24), data: 28 }
    }

    /// A simple packet block does not say how many bytes were captured: it is the least of the
    /// length on the wire, the snap length and the room in the block.
    #[cold]
    fn simple(&self, block: &[u8]) -> Fields {
        let wire = self.order.u32_at(block, 8);
        let limit = match self.interfaces.first() {
            Some(&Interface { snap_len, .. }) if snap_len > 0 => snap_len,
            _ => u32::MAX,
        };
        // A block is no longer than `MAX_RECORD`.
        let room = (block.len() - 12) as u32;
        Fields { interface: 0, ticks: None, captured: wire.min(limit).min(room), wire, data: 12 }
    }

    /// Reads a section header: from here on its byte order, and interfaces from 0 again.
    #[cold]
    fn section(&mut self, window: &mut Window) -> Result<(), Fault> {
        if !need(window, 12)? {
            return Err(cut(window, 28));
        }
        let at = window.position();
        let corrupt = |what: String| Err(Fault { at, reason: Reason::Corrupt(what) });
        let Some(order) = byte_order(window.bytes()) else {
            return corrupt("a section header without its byte order mark".into());
        };
        self.order = order;
        let head = Head { kind: SECTION, length: order.u32_at(window.bytes(), 4) };
        let step = self.whole(window, head, 28)?;
        let block = window.bytes();
        let (major, minor) = (order.u16_at(block, 12), order.u16_at(block, 14));
        if major != 1 {
            return corrupt(format!("unknown pcapng version {major}.{minor}"));
        }
        self.interfaces.clear();
        window.take(step);
        Ok(())
    }

    #[cold]
    fn interface(&mut self, window: &mut Window, head: Head) -> Result<(), Fault> {
        let step = self.whole(window, head, 20)?;
        if self.interfaces.len() < MAX_INTERFACES {
            let body = &window.bytes()[8..(head.length - 4) as usize];
            self.interfaces.push(Interface::read(body, self.order));
        }
        window.take(step);
        Ok(())
    }

    /// Passes over a block that holds no packets. It is not held in memory, however long.
    #[cold]
    fn skip(&mut self, window: &mut Window, head: Head) -> Result<(), Fault> {
        let at = window.position();
        check_least(window, head, FRAME)?;
        let body = u64::from(head.length - 4);
        let passed =
            window.skip(body).map_err(|error| Fault { at, reason: Reason::Read(error) })?;
        if passed == body
            && let Some(step) = self.trailer(window, head, 0, at)?
        {
            window.take(step);
            return Ok(());
        }
        let found = passed + window.bytes().len() as u64;
        Err(Fault { at, reason: Reason::Cut { needed: u64::from(head.length), found } })
    }

    /// Makes a whole block of at least `least` bytes available and checks that both lengths agree;
    /// returns how many bytes to take.
    #[inline]
    fn whole(&self, window: &mut Window, head: Head, least: u32) -> Result<usize, Fault> {
        check_least(window, head, least)?;
        if head.length > MAX_RECORD {
            let reason = Reason::TooLong { claimed: head.length };
            return Err(Fault { at: window.position(), reason });
        }
        let length = head.length as usize;
        if !need(window, length)? {
            return Err(cut(window, length));
        }
        if self.order.u32_at(window.bytes(), length - 4) == head.length && length.is_multiple_of(4)
        {
            return Ok(length);
        }
        let at = window.position();
        self.trailer(window, head, length - 4, at)?
            .ok_or_else(|| cut(window, length.next_multiple_of(4)))
    }

    /// Checks the second length, `before` bytes into the window; returns the place behind it, or
    /// `None` where the file ends before.
    ///
    /// Blocks are padded to four bytes, and their length counts that. Some writers leave it out of
    /// the length, others leave out the padding itself: both are read, where the lengths agree.
    #[cold]
    fn trailer(
        &self,
        window: &mut Window,
        head: Head,
        before: usize,
        at: u64,
    ) -> Result<Option<usize>, Fault> {
        let padding = (head.length.next_multiple_of(4) - head.length) as usize;
        for before in [before, before + padding] {
            if !need(window, before + 4)? {
                return Ok(None);
            }
            if self.order.u32_at(window.bytes(), before) == head.length {
                return Ok(Some(before + 4));
            }
        }
        let after = self.order.u32_at(window.bytes(), before);
        let what = format!("a block of {} bytes that ends as one of {after}", head.length);
        Err(Fault { at, reason: Reason::Corrupt(what) })
    }
}

/// The byte order that the mark in a section header, at least 12 bytes, shows.
fn byte_order(section: &[u8]) -> Option<ByteOrder> {
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .find(|order| order.u32_at(section, 8) == 0x1a2b_3c4d)
}

#[inline]
fn check_least(window: &Window, head: Head, least: u32) -> Result<(), Fault> {
    if head.length >= least {
        return Ok(());
    }
    let what = format!("a block of type {:#x} with length {}", head.kind, head.length);
    Err(Fault { at: window.position(), reason: Reason::Corrupt(what) })
}

#[inline]
fn need(window: &mut Window, wanted: usize) -> Result<bool, Fault> {
    let read = window.need(wanted);
    read.map_err(|error| Fault { at: window.position(), reason: Reason::Read(error) })
}

#[cfg(test)]
mod tests {
    use crate::Reader;
    use crate::testing::{Owned, PcapngFile, all, first_error, read_out, reader};
    use wire::{LinkType, Timestamp};

    const MICROS: u64 = 1_563_783_092_387_930;

    fn packets(file: &PcapngFile) -> Vec<Owned> {
        all(&mut reader(file.bytes()))
    }

    #[test]
    fn enhanced_packets_in_both_byte_orders() {
        for big in [false, true] {
            let mut file = PcapngFile::new(big);
            file.interface(1, 262_144, &[]);
            let first = file.enhanced(0, MICROS, b"first", 5);
            let second = file.enhanced(0, MICROS + 1, b"of 1400", 1400);
            let packets = packets(&file);
            assert_eq!(packets.len(), 2);
            assert_eq!(packets[0].link, Some(LinkType::ETHERNET));
            assert_eq!(packets[0].time, Some(Timestamp::new(1_563_783_092, 387_930_000)));
            assert_eq!((&packets[0].bytes[..], packets[0].wire_len), (&b"first"[..], 5));
            assert_eq!((packets[0].number, packets[0].offset), (1, first));
            assert_eq!((&packets[1].bytes[..], packets[1].wire_len), (&b"of 1400"[..], 1400));
            assert_eq!((packets[1].number, packets[1].offset), (2, second));
        }
    }

    #[test]
    fn each_interface_has_its_link_type_and_clock() {
        let mut file = PcapngFile::new(false);
        file.interface(1, 0, &[(2, b"eth0"), (9, &[9])]);
        file.interface(113, 0, &[(9, &[0x80 | 10]), (14, &100_i64.to_le_bytes())]);
        file.enhanced(1, 1536, b"b", 1);
        file.enhanced(0, 1_000_000_001, b"a", 1);
        let packets = packets(&file);
        assert_eq!((packets[0].link, packets[0].interface), (Some(LinkType::LINUX_SLL), 1));
        assert_eq!(packets[0].time, Some(Timestamp::new(101, 500_000_000)));
        assert_eq!((packets[1].link, packets[1].interface), (Some(LinkType::ETHERNET), 0));
        assert_eq!(packets[1].time, Some(Timestamp::fine(1, 1)));
    }

    #[test]
    fn a_new_section_has_its_own_byte_order_and_interfaces() {
        let mut file = PcapngFile::new(false);
        file.interface(1, 0, &[]);
        file.enhanced(0, 1, b"little", 6);
        file.section(true);
        file.interface(101, 0, &[]);
        file.enhanced(0, 2, b"big", 3);
        file.enhanced(1, 3, b"nobody's", 8);
        let packets = packets(&file);
        assert_eq!((packets[1].link, &packets[1].bytes[..]), (Some(LinkType::RAW), &b"big"[..]));
        assert_eq!(packets[1].time, Some(Timestamp::new(0, 2000)));
        assert_eq!((packets[2].link, packets[2].interface), (None, 1));
        assert_eq!(packets[2].bytes, b"nobody's");
    }

    #[test]
    fn a_simple_packet_has_the_time_before_it_and_ends_at_the_snap_length() {
        let mut file = PcapngFile::new(true);
        file.interface(101, 6, &[]);
        file.simple(b"snappe", 90);
        file.enhanced(0, MICROS, b"e", 1);
        file.simple(b"abc", 3);
        let snapped = packets(&file);
        assert_eq!(snapped[0].time, None, "none before it");
        assert_eq!((&snapped[0].bytes[..], snapped[0].wire_len), (&b"snappe"[..], 90));
        assert_eq!(snapped[2].time, Some(Timestamp::new(1_563_783_092, 387_930_000)));
        assert_eq!((&snapped[2].bytes[..], snapped[2].wire_len), (&b"abc"[..], 3));
        assert_eq!(snapped[2].link, Some(LinkType::RAW));

        let mut file = PcapngFile::new(true);
        file.interface(101, 0, &[]);
        file.simple(b"four", 9);
        assert_eq!(packets(&file)[0].bytes, b"four", "no more than the block has");
    }

    #[test]
    fn the_obsolete_packet_block_names_its_interface_in_16_bits() {
        for big in [false, true] {
            let mut file = PcapngFile::new(big);
            file.interface(1, 0, &[]);
            file.interface(12, 0, &[]);
            file.obsolete(1, MICROS, b"old", 30);
            let packets = packets(&file);
            assert_eq!((packets[0].link, packets[0].interface), (Some(LinkType(12)), 1));
            assert_eq!((&packets[0].bytes[..], packets[0].wire_len), (&b"old"[..], 30));
            assert_eq!(packets[0].time, Some(Timestamp::new(1_563_783_092, 387_930_000)));
        }
    }

    #[test]
    fn other_blocks_are_passed_over_also_when_larger_than_the_window_and_the_record_limit() {
        let mut file = PcapngFile::new(false);
        file.block(5, b"statistics before any interface");
        file.interface(1, 0, &[]);
        file.block(0x0bad_cafe, &vec![7; 20_000_000]);
        file.block(10, b"");
        file.enhanced(0, 1, b"x", 1);
        assert_eq!(packets(&file).len(), 1);
    }

    #[test]
    fn lengths_that_do_not_count_the_padding_are_read() {
        for padding in [0, 3] {
            let mut file = PcapngFile::new(false);
            file.interface(1, 0, &[]);
            let body = file.enhanced_body(0, 1, b"five!", 5);
            file.unaligned_block(6, &body, padding);
            file.unaligned_block(5, b"stats", padding);
            file.enhanced(0, 2, b"next", 4);
            let packets = packets(&file);
            assert_eq!(
                (&packets[0].bytes[..], &packets[1].bytes[..]),
                (&b"five!"[..], &b"next"[..])
            );
        }
    }

    #[test]
    fn more_interfaces_than_can_be_remembered_cost_their_packets_the_link_type_only() {
        let mut file = PcapngFile::new(false);
        (0..=super::MAX_INTERFACES).for_each(|_| file.interface(1, 0, &[]));
        file.enhanced(0xffff, 1, b"last known", 10);
        file.enhanced(0x1_0000, 1, b"beyond", 6);
        let packets = packets(&file);
        assert_eq!((packets[0].link, packets[1].link), (Some(LinkType::ETHERNET), None));
    }

    #[test]
    fn the_link_type_can_be_asked_before_the_first_packet() {
        let mut file = PcapngFile::new(false);
        assert_eq!(reader(file.bytes()).link_hint(), None);
        file.interface(1, 0, &[]);
        file.block(5, b"");
        file.interface(113, 0, &[]);
        assert_eq!(reader(file.bytes()).link_hint(), Some(LinkType::ETHERNET));
        file.enhanced(1, 1, b"x", 1);
        let mut asked = reader(file.bytes());
        assert_eq!(asked.link_hint(), Some(LinkType::LINUX_SLL));
        assert_eq!(all(&mut asked), packets(&file), "asking takes nothing");
    }

    #[test]
    fn damage_met_while_looking_ahead_is_told_when_the_packet_is_asked_for() {
        let mut file = PcapngFile::new(false);
        file.interface(101, 0, &[]);
        let at = file.block(1, b"cut");
        let raw = Some(LinkType::RAW);
        let mut reader = reader(file.bytes());
        assert_eq!((reader.link_hint(), reader.link_hint()), (raw, raw));
        let error = reader.next_packet().unwrap_err();
        assert_eq!(error.offset(), Some(at));
        assert!(reader.next_packet().unwrap().is_none());
    }

    /// A good packet, then what `damage` adds at byte 84.
    fn damaged(damage: impl Fn(&mut PcapngFile) -> Vec<u8>) -> String {
        let mut file = PcapngFile::new(false);
        file.interface(1, 0, &[]);
        file.enhanced(0, 1, b"good", 4);
        let (packets, error) = read_out(&mut reader(damage(&mut file)));
        assert_eq!(packets.len(), 1);
        let error = error.unwrap();
        assert!(!error.is_unreadable());
        error.to_string()
    }

    #[test]
    fn damage_is_told_with_its_place_after_the_packets_before_it() {
        let place = "test: at byte 84, packet 2: ";
        let raw =
            |bytes: &'static [u8]| move |file: &mut PcapngFile| [&file.bytes(), bytes].concat();
        let cut = |needed, found| {
            format!(
                "{place}the file ends here: {needed} bytes are needed, {found} are left; capture \
                 or copy it again"
            )
        };
        let corrupt = |what: &str| format!("{place}corrupt: {what}; what follows is lost");
        assert_eq!(damaged(raw(b"\x06\0\0")), cut(8, 3));
        assert_eq!(damaged(raw(b"\x06\0\0\0\x24\0\0\0xxxx")), cut(36, 12));
        assert_eq!(damaged(raw(b"\x05\0\0\0\x24\0\0\0xxxx")), cut(36, 12));
        assert_eq!(damaged(raw(b"\x05\0\0\0\x10\0\0\0xxxx\x10\0")), cut(16, 14));
        assert_eq!(damaged(raw(b"\x0a\x0d\x0d\x0a\x1c\0\0\0")), cut(28, 8));
        assert_eq!(
            damaged(raw(b"\x06\0\0\0\x10\0\0\0xxxx\x10\0\0\0")),
            corrupt("a block of type 0x6 with length 16")
        );
        assert_eq!(
            damaged(raw(b"\x05\0\0\0\x10\0\0\0xxxx\x14\0\0\0")),
            corrupt("a block of 16 bytes that ends as one of 20")
        );
        assert_eq!(
            damaged(raw(b"\x03\0\0\0\x10\0\0\0xxxx\x14\0\0\0")),
            corrupt("a block of 16 bytes that ends as one of 20")
        );
        assert_eq!(
            damaged(raw(b"\x06\0\0\0\x04\0\0\x01xxxx")),
            corrupt("a record of 16777220 bytes, none is longer than 16777216")
        );
        let another_version = |file: &mut PcapngFile| {
            file.block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x02\0\0\0........");
            file.bytes()
        };
        assert_eq!(damaged(another_version), corrupt("unknown pcapng version 2.0"));
        assert_eq!(
            damaged(raw(b"\x0a\x0d\x0d\x0a\x1c\0\0\0wxyz")),
            corrupt("a section header without its byte order mark")
        );
        let long_packet = |file: &mut PcapngFile| {
            let mut body = file.enhanced_body(0, 1, b"four", 4);
            body[12] = 5;
            file.block(6, &body);
            file.bytes()
        };
        assert_eq!(
            damaged(long_packet),
            corrupt("a packet of 5 captured bytes in a block with room for 4")
        );
    }

    #[test]
    fn a_section_header_that_is_cut_or_of_an_unknown_version_is_unreadable() {
        let whole = PcapngFile::new(true).bytes();
        for length in [4, 11, 12, 27] {
            let error = first_error(whole[..length].to_vec());
            assert!(error.is_unreadable());
            assert_eq!(
                error.to_string(),
                format!(
                    "test: its file header is cut: 28 bytes are needed, {length} are there; \
                     capture or copy it again"
                )
            );
        }
        let mut version = whole.clone();
        version[13] = 2;
        let error = first_error(version);
        assert!(error.is_unreadable());
        assert_eq!(error.to_string(), "test: unknown pcapng version 2.0; capture or copy it again");
        let mut text = whole;
        text[8] = b'?';
        let error = first_error(text);
        assert!(error.is_unreadable());
        assert!(error.to_string().contains("neither pcap nor pcapng (it begins with 0a 0d 0d 0a)"));
    }

    #[test]
    fn the_reader_says_where_it_is() {
        let mut file = PcapngFile::new(false);
        file.interface(1, 0, &[]);
        file.enhanced(0, 1, b"good", 4);
        let mut reader: Reader = reader(file.bytes());
        assert_eq!((reader.bytes_read(), reader.packets(), reader.name()), (28, 0, "test"));
        assert!(reader.next_packet().unwrap().is_some());
        assert_eq!((reader.bytes_read(), reader.packets()), (84, 1));
    }
}
