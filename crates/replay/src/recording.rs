//! A recorded connection, wherever it comes from.

use flow::{Endpoint, Side};
use wire::Timestamp;

/// How the two ends talked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// A stream of bytes each way.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Transport {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// That with this IP protocol number, if it is one that can be replayed.
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp].into_iter().find(|transport| transport.number() == number)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// How a side ended what it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// It has said all: a FIN.
    Fin,
    /// It broke off: a RST.
    Rst,
}

/// What one side did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It sent bytes: a datagram, or what one segment brought.
    Data {
        /// Where they stand in the recording's bytes.
        start: usize,
        /// How many there are.
        len: usize,
        /// Bytes at the end of a datagram that were not captured.
        cut: u64,
    },
    /// It sent so many bytes that were not captured. Only in a stream; never 0.
    Gap(u64),
    /// It ended.
    Finish(Finish),
}

/// Something that happened in a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Who did it.
    pub side: Side,
    /// When, in nanoseconds since the connection's first packet; may be negative where clocks stepped back.
    pub at: i64,
    /// What it was.
    pub what: What,
}

/// A place where bytes were not captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Whose bytes.
    pub side: Side,
    /// Where in what the side sent, missing bytes counted.
    pub offset: u64,
    /// How many.
    pub len: u64,
}

/// A recorded connection: what both sides did, in the order in which it was captured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    name: String,
    transport: Transport,
    ends: Option<[Endpoint; 2]>,
    began: Option<Timestamp>,
    knows_ends: bool,
    events: Vec<Event>,
    bytes: Vec<u8>,
}

impl Recording {
    /// A recording in which nothing happened yet, as messages name it.
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        Self {
            name: name.into(),
            transport,
            ends: None,
            began: None,
            knows_ends: false,
            events: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Who talked, side 0 first.
    pub fn between(self, ends: Option<[Endpoint; 2]>) -> Self {
        Self { ends, ..self }
    }

    /// When its first packet was captured.
    pub fn since(self, began: Option<Timestamp>) -> Self {
        Self { began, ..self }
    }

    /// It has the FIN and RST of both sides, as far as there were any: those of a dump have not.
    pub fn with_finishes(self) -> Self {
        Self { knows_ends: true, ..self }
    }

    /// Makes room for so many events more and bytes of data, and for no others.
    pub fn reserve(&mut self, events: usize, bytes: usize) {
        self.events.reserve_exact(events);
        self.bytes.reserve_exact(bytes);
    }

    /// `side` sent bytes.
    pub fn push_data(&mut self, side: Side, at: i64, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push(side, at, What::Data { start, len: bytes.len(), cut: 0 });
    }

    /// `side` sent so many bytes that were not captured. Those of a datagram belong to the last one, if it is
    /// from the `same_packet`, else they are one of their own.
    pub fn push_gap(&mut self, side: Side, at: i64, len: u64, same_packet: bool) {
        if self.transport == Transport::Tcp {
            if len > 0 {
                self.push(side, at, What::Gap(len));
            }
            return;
        }
        if let Some(Event { side: of, what: What::Data { cut, .. }, .. }) = self.events.last_mut()
            && same_packet
            && *of == side
        {
            *cut = cut.saturating_add(len);
            return;
        }
        self.push(side, at, What::Data { start: self.bytes.len(), len: 0, cut: len });
    }

    /// `side` ended what it sends.
    pub fn push_finish(&mut self, side: Side, at: i64, finish: Finish) {
        self.push(side, at, What::Finish(finish));
    }

    /// The other end turned out to be side 0.
    pub(crate) fn swap_sides(&mut self) {
        for event in &mut self.events {
            event.side = Side::BOTH[1 - event.side.index()];
        }
        self.ends = self.ends.map(|[from, to]| [to, from]);
    }

    /// What stands behind a gap of a stream waited, when it was captured, for what did not come, while the other side
    /// went on: puts all back to where it was captured.
    /// `captured` is a mark of when each event was, as the number of its packet.
    pub(crate) fn settle_order_by(&mut self, mut captured: Vec<i64>) {
        let is_gap = |event: &Event| matches!(event.what, What::Gap(_));
        if captured.len() != self.events.len() || !self.events.iter().any(is_gap) {
            return;
        }
        // A gap is where its side goes on, not where it was found out.
        let mut next = [None; 2];
        for (event, mark) in self.events.iter().zip(&mut captured).rev() {
            let next = &mut next[event.side.index()];
            match event.what {
                What::Gap(_) => *mark = next.unwrap_or(*mark).min(*mark),
                _ => *next = Some(*mark),
            }
        }
        // A side stays in its order: what waited for a repetition came with it.
        let mut latest = [i64::MIN; 2];
        for (event, mark) in self.events.iter().zip(&mut captured) {
            let latest = &mut latest[event.side.index()];
            *latest = (*mark).max(*latest);
            *mark = *latest;
        }
        if !captured.is_sorted() {
            self.sort_by(captured);
        }
    }

    /// Puts events into the order of their marks. What a gap stands for has the time of what follows.
    fn sort_by(&mut self, marks: Vec<i64>) {
        let mut marked: Vec<_> = marks.into_iter().zip(std::mem::take(&mut self.events)).collect();
        marked.sort_by_key(|(mark, _)| *mark);
        self.events = marked.into_iter().map(|(_, event)| event).collect();
        let mut next = [None; 2];
        for event in self.events.iter_mut().rev() {
            let next = &mut next[event.side.index()];
            match event.what {
                What::Gap(_) => event.at = next.unwrap_or(event.at).min(event.at),
                _ => *next = Some(event.at),
            }
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for event in &mut self.events {
            if let What::Data { start, len, .. } = &mut event.what {
                let from = std::mem::replace(start, bytes.len());
                bytes.extend_from_slice(self.bytes.get(from..from + *len).unwrap_or_default());
            }
        }
        self.bytes = bytes;
    }

    /// All has happened: of each side the last FIN and the last RST stay. A FIN that more bytes of its side follow was
    /// none; a RST that bytes or a FIN follow crossed them, and comes after them.
    pub(crate) fn settle_finishes(&mut self) {
        let is_data = |event: &Event| !matches!(event.what, What::Finish(_));
        let last_data = Side::BOTH
            .map(|side| self.events.iter().rposition(|event| event.side == side && is_data(event)));
        let last = |side: Side, finish| {
            let what = What::Finish(finish);
            self.events.iter().rposition(|event| event.side == side && event.what == what)
        };
        let fins = Side::BOTH
            .map(|side| last(side, Finish::Fin).filter(|fin| Some(*fin) > last_data[side.index()]));
        let resets = Side::BOTH.map(|side| last(side, Finish::Rst));
        let crossing = last_data.into_iter().chain(fins).max().flatten();
        let mut crossed = Vec::new();
        let mut n = 0;
        self.events.retain(|event| {
            let this = Some(n);
            n += 1;
            match event.what {
                What::Finish(Finish::Fin) => fins.contains(&this),
                What::Finish(Finish::Rst) if !resets.contains(&this) => false,
                What::Finish(Finish::Rst) if this < crossing => {
                    crossed.push(*event);
                    false
                }
                _ => true,
            }
        });
        let after = self.events.last().map_or(0, |event| event.at);
        self.events
            .extend(crossed.into_iter().map(|event| Event { at: event.at.max(after), ..event }));
    }

    fn push(&mut self, side: Side, at: i64, what: What) {
        self.events.push(Event { side, at, what });
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the ends talked.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Who talked, side 0 first, if that is known.
    pub fn ends(&self) -> Option<[Endpoint; 2]> {
        self.ends
    }

    /// When its first packet was captured, if that is known.
    pub fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Are FIN and RST among the events, as far as there were any?
    pub fn knows_finishes(&self) -> bool {
        self.knows_ends
    }

    /// What happened, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// All captured bytes, of both sides, in the order of events.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Memory that it takes, about.
    pub fn cost(&self) -> usize {
        self.bytes.capacity() + self.events.capacity() * size_of::<Event>() + self.name.len() + 256
    }

    /// Captured bytes of a side.
    pub fn len_of(&self, side: Side) -> u64 {
        let of_side = self.events.iter().filter(|event| event.side == side);
        of_side
            .map(|event| match event.what {
                What::Data { len, .. } => len as u64,
                What::Gap(_) | What::Finish(_) => 0,
            })
            .sum()
    }

    /// The places where bytes are missing, in the order of events.
    pub fn missing(&self) -> impl Iterator<Item = Missing> {
        let mut offsets = [0u64; 2];
        self.events.iter().filter_map(move |event| {
            let (len, missing) = match event.what {
                What::Data { len, cut, .. } => (len as u64, cut),
                What::Gap(len) => (0, len),
                What::Finish(_) => (0, 0),
            };
            let at = &mut offsets[event.side.index()];
            let offset = at.saturating_add(len);
            *at = offset.saturating_add(missing);
            (missing > 0).then_some(Missing { side: event.side, offset, len: missing })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_bytes_are_named_by_their_offset() {
        let mut recording = Recording::new("a", Transport::Tcp);
        recording.push_data(Side::Zero, 0, b"abc");
        recording.push_gap(Side::One, 1, 7, false);
        recording.push_gap(Side::Zero, 2, 2, false);
        recording.push_data(Side::Zero, 3, b"f");
        recording.push_finish(Side::Zero, 3, Finish::Fin);
        let missing: Vec<_> = recording.missing().collect();
        let of = |side, offset, len| Missing { side, offset, len };
        assert_eq!(missing, [of(Side::One, 0, 7), of(Side::Zero, 3, 2)]);
        assert_eq!((recording.len_of(Side::Zero), recording.len_of(Side::One)), (4, 0));
    }

    #[test]
    fn the_last_fin_counts_and_a_rst_that_bytes_crossed_comes_after_them() {
        let mut recording = Recording::new("a", Transport::Tcp);
        recording.push_finish(Side::Zero, 0, Finish::Fin);
        recording.push_data(Side::Zero, 1, b"a");
        recording.push_finish(Side::Zero, 2, Finish::Fin);
        recording.push_finish(Side::One, 3, Finish::Rst);
        recording.push_data(Side::One, 4, b"b");
        recording.push_finish(Side::One, 4, Finish::Fin);
        recording.push_data(Side::One, 5, b"c");
        recording.settle_finishes();
        let told: Vec<_> = recording.events().iter().map(|event| (event.at, event.what)).collect();
        let data = |start| What::Data { start, len: 1, cut: 0 };
        let (fin, rst) = (What::Finish(Finish::Fin), What::Finish(Finish::Rst));
        assert_eq!(told, [(1, data(0)), (2, fin), (4, data(1)), (5, data(2)), (5, rst)]);
    }

    #[test]
    fn a_rst_that_a_fin_crossed_comes_after_it() {
        // PcapPlusPlus' tls.pcap: the browser breaks off, and then the server's FIN arrives.
        let mut recording = Recording::new("a", Transport::Tcp);
        recording.push_finish(Side::Zero, 0, Finish::Fin);
        recording.push_finish(Side::Zero, 1, Finish::Rst);
        recording.push_finish(Side::One, 2, Finish::Fin);
        recording.settle_finishes();
        let told: Vec<_> = recording.events().iter().map(|e| (e.at, e.side, e.what)).collect();
        let (fin, rst) = (What::Finish(Finish::Fin), What::Finish(Finish::Rst));
        assert_eq!(told, [(0, Side::Zero, fin), (2, Side::One, fin), (2, Side::Zero, rst)]);
    }

    #[test]
    fn what_waited_behind_a_gap_is_put_back() {
        let mut recording = Recording::new("a", Transport::Tcp);
        // "ask" and, a gap later, "ed" of side 0, the answer, and one more turn of each.
        recording.push_data(Side::Zero, 1, b"ask");
        recording.push_data(Side::One, 4, b"answer");
        recording.push_gap(Side::Zero, 60, 9, false);
        recording.push_data(Side::Zero, 3, b"ed");
        recording.push_data(Side::Zero, 5, b"more");
        recording.push_data(Side::One, 6, b"all");
        recording.push_finish(Side::Zero, 7, Finish::Fin);
        let captured = recording.events().iter().map(|event| event.at).collect();
        recording.settle_order_by(captured);
        let told: Vec<_> = recording.events().iter().map(|e| (e.side.index(), e.at)).collect();
        assert_eq!(told, [(0, 1), (0, 3), (0, 3), (1, 4), (0, 5), (1, 6), (0, 7)]);
        assert_eq!(recording.bytes(), b"askedanswermoreall");
        let missing: Vec<_> = recording.missing().collect();
        assert_eq!(missing, [Missing { side: Side::Zero, offset: 3, len: 9 }]);
    }

    #[test]
    fn what_is_cut_off_a_datagram_belongs_to_it() {
        let mut recording = Recording::new("a", Transport::Udp);
        recording.push_data(Side::Zero, 0, b"abc");
        recording.push_gap(Side::Zero, 0, 5, true);
        recording.push_gap(Side::Zero, 1, 9, false);
        let whats: Vec<_> = recording.events().iter().map(|event| event.what).collect();
        let data = |start, len, cut| What::Data { start, len, cut };
        assert_eq!(whats, [data(0, 3, 5), data(3, 0, 9)]);
    }
}
