//! What the engine pushes, and to whom.

use crate::{Connection, Endpoint, SideStats, Source};
use std::fmt;
use wire::VlanIds;

/// A direction of a connection: what side 0, the initiator, sends, or what side 1 sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The initiator.
    Zero,
    /// The other end.
    One,
}

impl Side {
    /// Both sides, in order.
    pub const BOTH: [Self; 2] = [Self::Zero, Self::One];

    /// 0 or 1.
    pub fn index(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

/// Bytes of one packet that are next in their direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk<'a> {
    /// Who sent them.
    pub side: Side,
    /// Where they stand in their direction's stream, in bytes, missing bytes counted.
    pub offset: u64,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// The packet that brought them.
    pub source: Source,
}

/// Bytes that will not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Who sent them.
    pub side: Side,
    /// Where the first missing byte stands in the direction's stream.
    pub offset: u64,
    /// How many bytes are missing; never 0.
    pub len: u64,
    /// The packet that decided it.
    pub source: Source,
}

/// Bytes that came twice and differ, while the first ones were still held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// Who sent them.
    pub side: Side,
    /// The packet whose bytes differ from those held before it.
    pub source: Source,
}

/// The TCP flag that ended a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndFlag {
    /// FIN: its sender sends nothing more.
    Fin,
    /// RST: its sender breaks off the connection.
    Rst,
}

/// A side ended what it sends, or all of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Who sent the flag.
    pub side: Side,
    /// Which one.
    pub flag: EndFlag,
    /// The packet that brought it. If it had to wait: that of a FIN all the same, for an RST the packet at
    /// which the waiting ended.
    pub source: Source,
}

/// How a connection began, as far as the capture shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Began {
    /// A TCP SYN (or SYN-ACK) was seen.
    Syn,
    /// TCP, without a SYN.
    MidStream,
    /// A protocol that has no opening: it began with its first packet.
    FirstPacket,
}

impl fmt::Display for Began {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN seen",
            Self::MidStream => "mid-stream",
            Self::FirstPacket => "first packet",
        })
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Both sides sent FIN and everything up to it was delivered.
    Fin,
    /// One side sent RST.
    Rst,
    /// The input ended first.
    InputEnded,
    /// Nothing came for longer than the idle time asked for.
    Idle,
    /// A limit made room for newer connections.
    Limit,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::InputEnded => "input ended",
            Self::Idle => "idle",
            Self::Limit => "limit",
        })
    }
}

/// All that is known of a connection when it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The IP protocol number.
    pub protocol: u8,
    /// The VLANs that tell it from others with the same ends.
    pub vlans: VlanIds,
    /// The ends, side 0 first.
    pub ends: [Endpoint; 2],
    /// The first packet.
    pub first: Source,
    /// The last packet, in the order of the input.
    pub last: Source,
    /// How it began.
    pub began: Began,
    /// How it ended.
    pub ended: Ended,
    /// What each side sent, side 0 first.
    pub sides: [SideStats; 2],
}

/// What is made of connections.
///
/// The engine pushes rather than being asked: a packet may complete several chunks of either
/// direction, and they must be used while the packet's bytes are still borrowed. Every method may
/// stop the run by returning an error, which the engine hands up unchanged.
///
/// For each connection the calls are: [`opened`](Self::opened) once, then
/// [`data`](Self::data), [`gap`](Self::gap), [`conflict`](Self::conflict), [`ended`](Self::ended) and
/// [`settled`](Self::settled) in any number, then [`closed`](Self::closed) once. Which end is side 0
/// may still change until the first `data`, `gap` or `closed`; a `conflict` or `ended` before them may
/// name a side that turns out to be the other.
pub trait Sink {
    /// What the sink wants to be given back with every event of a connection.
    type Handle: Copy;
    /// Why the sink cannot go on.
    type Error;

    /// The first packet of a connection came.
    ///
    /// # Errors
    /// The sink's own.
    fn opened(&mut self, connection: &Connection) -> Result<Self::Handle, Self::Error>;

    /// Bytes are next in their direction.
    ///
    /// # Errors
    /// The sink's own.
    fn data(
        &mut self,
        handle: Self::Handle,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), Self::Error> {
        let _ = (handle, connection, chunk);
        Ok(())
    }

    /// The next bytes of a direction will not come.
    ///
    /// # Errors
    /// The sink's own.
    fn gap(
        &mut self,
        handle: Self::Handle,
        connection: &Connection,
        gap: &Gap,
    ) -> Result<(), Self::Error> {
        let _ = (handle, connection, gap);
        Ok(())
    }

    /// Two packets brought different bytes for the same place.
    ///
    /// # Errors
    /// The sink's own.
    fn conflict(
        &mut self,
        handle: Self::Handle,
        connection: &Connection,
        conflict: &Conflict,
    ) -> Result<(), Self::Error> {
        let _ = (handle, connection, conflict);
        Ok(())
    }

    /// TCP only: a side sent FIN or RST. It comes where the flag stands among what was sent, not where its
    /// packet does.
    ///
    /// A FIN comes when it is next, as a byte at its place would: after all data and gaps of its side, though
    /// its packet may have come before theirs. (Of a direction that shows nothing but its FIN nobody knows
    /// what is missing: that comes at once, or when the other direction has begun.) An RST comes with its
    /// packet, or, while bytes or a FIN of either side wait for what is missing before them, after these; at
    /// the latest before [`closed`](Self::closed).
    ///
    /// Repetitions are not told. More may come all the same. Data or gaps of a side after its FIN, another
    /// SYN, and, for an RST, data with which its sender goes on in sequence take it back: if the side ends
    /// again, this is called again, so that the last call counts.
    ///
    /// # Errors
    /// The sink's own.
    #[inline]
    fn ended(
        &mut self,
        handle: Self::Handle,
        connection: &Connection,
        end: &End,
    ) -> Result<(), Self::Error> {
        let _ = (handle, connection, end);
        Ok(())
    }

    /// Both directions are complete up to their FIN: a good moment to write and close files. More may
    /// come all the same.
    ///
    /// # Errors
    /// The sink's own.
    fn settled(
        &mut self,
        handle: Self::Handle,
        connection: &Connection,
    ) -> Result<(), Self::Error> {
        let _ = (handle, connection);
        Ok(())
    }

    /// Is anything to be done of connections that are over? Where not, nothing is put together for
    /// [`closed`](Self::closed), which is not called.
    #[inline(always)]
    fn wants_reports(&self) -> bool {
        true
    }

    /// The connection is over; the handle is not used again.
    ///
    /// # Errors
    /// The sink's own.
    fn closed(&mut self, handle: Self::Handle, report: &Report) -> Result<(), Self::Error> {
        let _ = (handle, report);
        Ok(())
    }
}
