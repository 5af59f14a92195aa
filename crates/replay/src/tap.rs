//! Recordings out of a capture.

use crate::recording::{Finish, Recording, Transport};
use flow::{Chunk, Config, Connection, End, EndFlag, Engine, Gap, Report, Side, Sink, Source};
use sink::Names;
use std::fmt;
use thiserror::Error;
use wire::{Frame, Timestamp};

/// Which connections of a capture are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// By number, from 1, in the order of their first packets.
    Numbers(std::ops::RangeInclusive<u64>),
    /// By the name that files have, without an extension.
    Name(String),
}

impl Wanted {
    /// Is it the connection with this number and this name?
    pub fn is(&self, number: u64, name: &str) -> bool {
        match self {
            Self::Numbers(numbers) => numbers.contains(&number),
            Self::Name(wanted) => wanted == name,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(numbers) if numbers.start() == numbers.end() => numbers.start().fmt(f),
            Self::Numbers(numbers) => write!(f, "{}-{}", numbers.start(), numbers.end()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The recordings take more memory than they may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "the recordings take more than {0} MiB; choose some (--connection, -e), or give more (--max-memory)"
)]
pub struct TooMuch(pub usize);

/// A connection of the capture.
enum Entry {
    /// Nothing has happened yet that tells which side is which.
    New,
    /// It is not wanted.
    Left,
    /// It is recorded.
    Recorded(Box<Kept>),
}

struct Kept {
    recording: Recording,
    /// The packet that brought the last datagram.
    last: u64,
    /// The packet that brought each event, in the order of the inputs.
    packets: Vec<i64>,
    cost: usize,
}

/// Takes connections out of a capture, frame by frame.
pub struct Taker {
    engine: Engine<u32>,
    tap: Tap,
}

// The engine is compiled for this here, and not where a program uses it for something else too: there, both would be
// slower by 1 %: the compiler puts into its callers only what has few of them.
impl Taker {
    /// Takes those that are `wanted`, all where there are none, of one transport or both. They may take `most` bytes
    /// of memory. Names have times in UTC or in the local zone.
    pub fn new(wanted: Vec<Wanted>, transport: Option<Transport>, utc: bool, most: usize) -> Self {
        let tap = Tap::new(wanted, transport, utc, most);
        Self { engine: Engine::new(Config::default()), tap }
    }

    /// Takes in a frame. Frames must come in the order of the input.
    ///
    /// # Errors
    /// The recordings take more memory than they may.
    #[inline(never)]
    pub fn handle_packet(&mut self, source: Source, frame: &Frame<'_>) -> Result<(), TooMuch> {
        self.engine.handle_packet(source, frame, &mut self.tap)
    }

    /// The input has ended: the recordings, each with its number, in the order of first packets; and how many
    /// connections were left out for their protocol.
    ///
    /// # Errors
    /// The recordings take more memory than they may.
    pub fn finish(mut self) -> Result<(Vec<(u64, Recording)>, u64), TooMuch> {
        self.engine.finish(&mut self.tap)?;
        let Tap { mut recorded, other_protocols, .. } = self.tap;
        recorded.sort_by_key(|(number, _)| *number);
        Ok((recorded, other_protocols))
    }
}

/// A sink that keeps what happens.
struct Tap {
    wanted: Vec<Wanted>,
    transport: Option<Transport>,
    names: Names,
    /// Each connection, in the order of first packets, with its number among those of the same name.
    entries: Vec<(Entry, u32)>,
    recorded: Vec<(u64, Recording)>,
    /// Connections that are wanted but cannot be played, for their protocol.
    other_protocols: u64,
    /// The inputs, in the order in which they were read.
    files: Vec<u32>,
    most: usize,
    cost: usize,
}

impl Tap {
    fn new(wanted: Vec<Wanted>, transport: Option<Transport>, utc: bool, most: usize) -> Self {
        Self {
            wanted,
            transport,
            names: Names::new(utc),
            entries: Vec::new(),
            recorded: Vec::new(),
            other_protocols: 0,
            files: Vec::new(),
            most,
            cost: 0,
        }
    }

    fn is_wanted(&mut self, handle: u32, connection: &Connection) -> bool {
        if self.wanted.is_empty() {
            return true;
        }
        let number = u64::from(handle) + 1;
        let by_name = self.wanted.iter().any(|wanted| matches!(wanted, Wanted::Name(_)));
        let alike = self.entries.get(handle as usize).map_or(1, |(_, alike)| *alike);
        // There may be millions, and hardly ever anybody asks.
        let name = if by_name { self.names.name(connection, alike) } else { String::new() };
        self.wanted.iter().any(|wanted| wanted.is(number, &name))
    }

    /// What is kept of a connection, if it is wanted.
    fn kept(&mut self, handle: u32, connection: &Connection) -> Option<&mut Kept> {
        let is_new = matches!(self.entries.get(handle as usize), Some((Entry::New, _)));
        if is_new {
            let entry = self.begin(handle, connection);
            if let Some((place, _)) = self.entries.get_mut(handle as usize) {
                *place = entry;
            }
        }
        let Some((Entry::Recorded(kept), _)) = self.entries.get_mut(handle as usize) else {
            return None;
        };
        if kept.recording.ends() != Some(Side::BOTH.map(|side| connection.end(side))) {
            // Until there are bytes, the other end may turn out to be the initiator.
            kept.recording.swap_sides();
        }
        Some(kept)
    }

    fn begin(&mut self, handle: u32, connection: &Connection) -> Entry {
        if !self.is_wanted(handle, connection) {
            return Entry::Left;
        }
        let Some(transport) = Transport::of_number(connection.protocol()) else {
            self.other_protocols += 1;
            return Entry::Left;
        };
        if self.transport.is_some_and(|only| only != transport) {
            return Entry::Left;
        }
        let alike = self.entries.get(handle as usize).map_or(1, |(_, alike)| *alike);
        let recording = Recording::new(self.names.name(connection, alike), transport)
            .between(Some(Side::BOTH.map(|side| connection.end(side))))
            .since(Some(connection.first().time))
            .with_finishes();
        Entry::Recorded(Box::new(Kept { recording, last: 0, packets: Vec::new(), cost: 0 }))
    }

    /// Counts what a connection has come to take. (Asking is a few additions.)
    fn account(&mut self, handle: u32) -> Result<(), TooMuch> {
        if let Some((Entry::Recorded(kept), _)) = self.entries.get_mut(handle as usize) {
            let cost = kept.recording.cost() + kept.packets.capacity() * size_of::<i64>();
            self.cost += cost - kept.cost.min(cost);
            kept.cost = cost;
        }
        if self.cost > self.most { Err(TooMuch(self.most >> 20)) } else { Ok(()) }
    }
}

impl Kept {
    /// Something happened, which this packet brought.
    fn note(&mut self, packet: i64) {
        self.packets.resize(self.recording.events().len(), packet);
    }
}

impl Tap {
    /// Where a packet stands among all that were read.
    fn place(&mut self, source: Source) -> i64 {
        let file = source.file();
        let known = self.files.iter().rposition(|known| *known == file);
        let order = known.unwrap_or_else(|| {
            self.files.push(file);
            self.files.len() - 1
        });
        // A packet's number has 44 bits, and files 20.
        (i64::try_from(order).unwrap_or(0) << 43)
            .saturating_add(source.number() as i64 & ((1 << 43) - 1))
    }
}

/// Nanoseconds since the connection's first packet.
fn since(time: Timestamp, connection: &Connection) -> i64 {
    let nanos = time.nanos_since(connection.first().time);
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

impl Sink for Tap {
    type Handle = u32;
    type Error = TooMuch;

    fn opened(&mut self, connection: &Connection) -> Result<u32, TooMuch> {
        let alike = self.names.number(connection);
        let handle = u32::try_from(self.entries.len()).map_err(|_| TooMuch(self.most >> 20))?;
        self.entries.push((Entry::New, alike));
        self.cost += size_of::<(Entry, u32)>();
        Ok(handle)
    }

    fn data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), TooMuch> {
        let place = self.place(chunk.source);
        if let Some(kept) = self.kept(handle, connection) {
            let at = since(chunk.source.time, connection);
            kept.recording.push_data(chunk.side, at, chunk.bytes);
            kept.last = chunk.source.number();
            kept.note(place);
        }
        self.account(handle)
    }

    fn gap(&mut self, handle: u32, connection: &Connection, gap: &Gap) -> Result<(), TooMuch> {
        let place = self.place(gap.source);
        if let Some(kept) = self.kept(handle, connection) {
            let at = since(gap.source.time, connection);
            let same = kept.last == gap.source.number();
            kept.recording.push_gap(gap.side, at, gap.len, same);
            kept.note(place);
        }
        self.account(handle)
    }

    fn ended(&mut self, handle: u32, connection: &Connection, end: &End) -> Result<(), TooMuch> {
        let place = self.place(end.source);
        if let Some(kept) = self.kept(handle, connection) {
            let finish = match end.flag {
                EndFlag::Fin => Finish::Fin,
                EndFlag::Rst => Finish::Rst,
            };
            kept.recording.push_finish(end.side, since(end.source.time, connection), finish);
            kept.note(place);
        }
        self.account(handle)
    }

    fn closed(&mut self, handle: u32, report: &Report) -> Result<(), TooMuch> {
        let [from, to] = report.ends;
        let (key, initiator) = flow::FlowKey::new(report.protocol, from, to);
        // It may have said nothing.
        let _ = self.kept(handle, &Connection::new(key, initiator, report.first));
        let Some((entry, _)) = self.entries.get_mut(handle as usize) else { return Ok(()) };
        if let Entry::Recorded(mut kept) = std::mem::replace(entry, Entry::Left) {
            if kept.recording.transport() == Transport::Tcp {
                kept.recording.settle_order_by(std::mem::take(&mut kept.packets));
            }
            kept.recording.settle_finishes();
            self.recorded.push((u64::from(handle) + 1, kept.recording));
        }
        self.account(handle)
    }
}
