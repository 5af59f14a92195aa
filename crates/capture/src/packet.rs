//! One record of a capture.

use crate::Block;
use wire::{LinkType, Timestamp};

/// One captured packet, borrowed from its [`Reader`](crate::Reader) until the next one is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// What the first byte is; `None` where a pcapng packet names an interface that its section
    /// does not describe.
    pub link: Option<LinkType>,
    /// The number of the interface in its pcapng section, from 0; always 0 in a pcap file.
    pub interface: u32,
    /// When it was captured, if it [has a time](Self::has_time).
    pub time: Timestamp,
    /// A record without time (pcapng's simple packet block) has the time of the packet before it, and none
    /// where there is none in this file. (An `Option` would be copied to and fro: see
    /// [`Timestamp::again`].)
    pub has_time: bool,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How many bytes the packet had on the wire; never fewer than were captured, whatever the file
    /// claims.
    pub wire_len: u32,
    /// The packet's number in its file, from 1, as tcpdump and tshark count; but tshark also counts
    /// custom and other blocks that hold no packet.
    pub number: u64,
    /// Where its record begins in the file, in bytes.
    pub offset: u64,
    /// The block that its bytes stand in.
    pub block: &'a Block,
}

impl Packet<'_> {
    /// The same, read number by number.
    ///
    /// What is lent out stands in memory, and a compiler lends out the original where it sees that a copy is one. To
    /// lend this out, on a way that few packets go, leaves the packets of all other ways in registers.
    #[inline(always)]
    #[must_use]
    pub fn again(&self) -> Self {
        let &Self { link, interface, has_time, bytes, wire_len, number, offset, block, .. } = self;
        let time = self.time.again();
        Self { link, interface, time, has_time, bytes, wire_len, number, offset, block }
    }
}
