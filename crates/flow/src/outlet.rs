//! The way from a connection to the sink: what goes out is counted here.

use crate::ledger::{Counter, Ledger};
use crate::{
    Books, Chunk, Conflict, Connection, End, EndFlag, Gap, Limit, Reason, Side, Sink, Source,
    Totals,
};

/// Where the events of one connection go, while one packet is handled. Ends are those of the flow key;
/// sinks see sides.
pub(crate) struct Outlet<'a, S: Sink> {
    pub(crate) sink: &'a mut S,
    pub(crate) handle: S::Handle,
    pub(crate) connection: &'a Connection,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) books: &'a mut Books,
    pub(crate) totals: &'a mut Totals,
    /// The packet that is handled.
    pub(crate) now: Source,
}

impl<S: Sink> Outlet<'_, S> {
    /// The packet that is handled.
    pub(crate) fn now(&self) -> Source {
        self.now
    }

    /// Goes on as if `now` were the packet that is handled; the one that was before.
    pub(crate) fn set_now(&mut self, now: Source) -> Source {
        std::mem::replace(&mut self.now, now)
    }

    /// Adds `n` to a counter of `end`.
    pub(crate) fn add(&mut self, end: usize, counter: Counter, n: u64) {
        self.ledger.add(end, counter, n);
    }

    /// A limit was reached.
    pub(crate) fn limit(&mut self, limit: Limit) {
        self.totals.limits[limit as usize] += 1;
    }

    /// Packets from `end` that were assigned to this connection and that nothing confirmed.
    pub(crate) fn implausible(&mut self, end: usize, frames: u64) {
        self.ledger.take_packets(end, frames);
        self.books.move_to_set_aside(Reason::Implausible, frames);
    }

    /// Bytes are next. An empty run is none.
    pub(crate) fn data(
        &mut self,
        end: usize,
        bytes: &[u8],
        source: Source,
    ) -> Result<(), S::Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let offset = self.ledger.add_chunk(end, bytes.len());
        let chunk = Chunk { side: self.side(end), offset, bytes, source };
        self.sink.data(self.handle, self.connection, &chunk)
    }

    /// The next `len` bytes will not come.
    pub(crate) fn gap(&mut self, end: usize, len: u64) -> Result<(), S::Error> {
        if len == 0 {
            return Ok(());
        }
        let offset = self.ledger.offset(end);
        self.ledger.add(end, Counter::Missing, len);
        self.ledger.add(end, Counter::Gaps, 1);
        let gap = Gap { side: self.side(end), offset, len, source: self.now };
        self.sink.gap(self.handle, self.connection, &gap)
    }

    /// The packet's bytes differ from those held.
    pub(crate) fn conflict(&mut self, end: usize) -> Result<(), S::Error> {
        self.ledger.add(end, Counter::Conflicting, 1);
        let conflict = Conflict { side: self.side(end), source: self.now };
        self.sink.conflict(self.handle, self.connection, &conflict)
    }

    /// An end sent FIN or RST, with `source`.
    pub(crate) fn ended(
        &mut self,
        end: usize,
        flag: EndFlag,
        source: Source,
    ) -> Result<(), S::Error> {
        let end = End { side: self.side(end), flag, source };
        self.sink.ended(self.handle, self.connection, &end)
    }

    fn side(&self, end: usize) -> Side {
        self.connection.side(end)
    }
}
