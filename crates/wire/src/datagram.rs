//! The decoded view of one frame.

use crate::{Aggregate, Ends, LinkType, VlanIds};

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What its first byte is.
    pub link: LinkType,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How many bytes it had on the wire; more than `bytes` where the snap length cut it.
    pub wire_len: u32,
}

/// What [`decode`](crate::decode) found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded<'a> {
    /// A whole datagram.
    Datagram(Datagram<'a>),
    /// One fragment of a datagram.
    Fragment(Fragment<'a>),
    /// Several frames in one.
    Aggregate(Aggregate<'a>),
    /// One fragment of what an 802.11 frame carries.
    LinkFragment(LinkFragment<'a>),
}

impl Decoded<'_> {
    /// The same, in a VLAN tag with this id.
    pub(crate) fn in_vlan(mut self, id: u16) -> Self {
        let vlans = match &mut self {
            Self::Datagram(datagram) => &mut datagram.vlans,
            Self::Fragment(fragment) => &mut fragment.vlans,
            // No tag stands before an 802.11 header.
            Self::Aggregate(_) | Self::LinkFragment(_) => return self,
        };
        *vlans = vlans.within(id);
        self
    }
}

/// A whole IP datagram with its transport header read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Source and destination address.
    pub ends: Ends,
    /// The IP protocol number of the transport, after any extension headers.
    pub protocol: u8,
    /// Source port of TCP, UDP, SCTP, DCCP and UDP-Lite, else 0.
    pub src_port: u16,
    /// Destination port of the same, else 0.
    pub dst_port: u16,
    /// The VLAN tags it was found in.
    pub vlans: VlanIds,
    /// What the transport carries.
    pub body: Body<'a>,
}

/// What a datagram carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A UDP payload; for every other protocol the whole IP payload, its own header included.
    Message(Payload<'a>),
}

impl<'a> Body<'a> {
    /// The payload, whatever carries it.
    pub fn payload(&self) -> Payload<'a> {
        match self {
            Self::Tcp(segment) => segment.payload,
            Self::Message(payload) => *payload,
        }
    }
}

/// A TCP segment (RFC 9293, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Sequence number of the first byte (or of the SYN).
    pub seq: u32,
    /// Acknowledgement number; without meaning where `flags` has no ACK.
    pub ack: u32,
    /// The control bits.
    pub flags: TcpFlags,
    /// The window as sent, not scaled.
    pub window: u16,
    /// The segment's data.
    pub payload: Payload<'a>,
}

/// TCP's control bits, the low byte of the flags field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number has a meaning.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer has a meaning.
    pub const URG: Self = Self(0x20);

    /// Does it open a connection, and answer, end and reset none?
    #[inline(always)]
    pub fn is_plain_syn(self) -> bool {
        const TELLING: u8 = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
        self.0 & TELLING == Self::SYN.0
    }

    /// Are all bits of `other` set?
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Bytes that a layer carries, as far as they were captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload<'a> {
    /// The captured bytes: the first of `len`.
    pub bytes: &'a [u8],
    /// How many bytes there were on the wire; at least as many as were captured.
    pub len: u32,
}

impl<'a> Payload<'a> {
    /// A payload captured whole.
    #[inline(always)]
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    /// How many bytes were captured.
    #[inline(always)]
    pub fn captured(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// How many bytes the snap length cut off.
    pub fn missing(&self) -> u32 {
        self.len.saturating_sub(self.captured())
    }
}

/// One fragment of an IPv4 or IPv6 datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment<'a> {
    /// Source and destination address.
    pub ends: Ends,
    /// IPv4 identification (16 bits) or the IPv6 fragment header's identification (32 bits).
    pub id: u32,
    /// IPv4 protocol, or the next header that the IPv6 fragment header names. It may be an extension
    /// header.
    pub protocol: u8,
    /// Where the payload stands in the datagram's fragmentable part, in bytes, a multiple of 8.
    pub offset: u32,
    /// Do more fragments follow?
    pub more: bool,
    /// The VLAN tags it was found in.
    pub vlans: VlanIds,
    /// The fragment's payload.
    pub payload: Payload<'a>,
}

/// One fragment of an MSDU, or of an A-MSDU: of what an 802.11 data frame carries (IEEE 802.11-2020,
/// 10.4).
///
/// Transmitter, receiver, `tid` and `sequence` together say of which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkFragment<'a> {
    /// The station that sent it over the air, address 2.
    pub transmitter: [u8; 6],
    /// The station, or the group, that it was sent to over the air, address 1.
    pub receiver: [u8; 6],
    /// The traffic identifier of a QoS frame, 4 bits. Each has sequence numbers of its own.
    pub tid: Option<u8>,
    /// The sequence number, 12 bits, the same in all fragments.
    pub sequence: u16,
    /// The fragment's number, from 0 to 15.
    pub number: u8,
    /// Do more fragments follow?
    pub more: bool,
    /// Do the fragments make an A-MSDU? The first one counts.
    pub aggregate: bool,
    /// The fragment's part of the body. It begins where the one before ends.
    pub payload: Payload<'a>,
}
