//! A shard: some of the flow keys, and everything that is kept of their connections.

use crate::connection::Connection;
use crate::key::{Endpoint, FlowKey};
use crate::outlet::Outlet;
use crate::table::{List, Table};
use crate::tcp::{self, Join, Route, Step, Tcp};
use crate::{Books, Config, Ended, Limit, Side, Sink, Source, Totals};
use std::collections::BTreeMap;
use wire::{Body, Datagram, Payload, Segment, TcpFlags};

/// How many shards there are: the same in every run, so that what is found does not depend on how many
/// threads share them. Enough for 64 cores; few enough that a 64th of every limit is still useful.
pub const SHARDS: usize = 64;

/// Connections with the same ends that are held at once. Each segment is compared with all of them, so
/// a flood of SYNs between two ports must not make the list long.
const PER_KEY: usize = 16;

/// The shard that a key belongs to.
pub(crate) fn shard_of(key: &FlowKey) -> usize {
    (key.fixed_hash() % SHARDS as u64) as usize
}

/// A whole datagram on its way to its shard.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub(crate) key: FlowKey,
    /// Which end of the key sent it.
    pub(crate) from: usize,
    pub(crate) body: Body<'a>,
    pub(crate) source: Source,
    /// Its number, over all inputs in the order in which they are read. No two datagrams have the same.
    pub(crate) serial: u64,
    /// Captured frames that it is made of; 0 where another datagram in its frame counts that.
    pub(crate) frames: u64,
}

impl<'a> Arrival<'a> {
    pub(crate) fn new(source: Source, serial: u64, frames: u64, datagram: &Datagram<'a>) -> Self {
        let src = Endpoint { addr: datagram.src, port: datagram.src_port };
        let dst = Endpoint { addr: datagram.dst, port: datagram.dst_port };
        let (key, from) = FlowKey::new(datagram.protocol, src, dst);
        Self { key, from, body: datagram.body, source, serial, frames }
    }

    /// The shard that takes it, below [`SHARDS`].
    pub fn shard(&self) -> usize {
        shard_of(&self.key)
    }
}

/// The connections of a shard that are still open when the input ends, in the order of their first
/// packets.
#[derive(Debug)]
pub struct OpenConnections {
    newest_first: Vec<u32>,
}

/// When a connection was opened: what comes first in the input is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Opened(u64);

/// Some of the connections.
#[derive(Debug)]
pub struct Shard<H> {
    table: Table<H>,
    config: Config,
    books: Books,
    totals: Totals,
    /// Bytes held out of order by all connections, bookkeeping included.
    buffered: usize,
    /// The connections that hold them, by the packets with which they last spoke.
    holders: BTreeMap<u64, u32>,
}

impl<H: Copy> Shard<H> {
    /// An empty shard that keeps to its part of the limits.
    pub fn new(config: Config) -> Self {
        let (table, books, totals) = (Table::default(), Books::default(), Totals::default());
        Self { table, config, books, totals, buffered: 0, holders: BTreeMap::new() }
    }

    /// What became of the packets that came here.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Sums over the connections that were here.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Connections held, those that linger included.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Takes in a datagram.
    ///
    /// # Errors
    /// The sink's own.
    pub fn handle<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.books.count_assigned(arrival.frames);
        match &arrival.body {
            Body::Tcp(segment) => self.handle_segment(arrival, segment, sink),
            Body::Message(payload) => self.handle_message(arrival, *payload, sink),
        }
    }

    /// The connections that are open, as a queue for [`Self::finish_next`].
    pub fn open_connections(&self) -> OpenConnections {
        OpenConnections { newest_first: self.table.by_first_packet().into_iter().rev().collect() }
    }

    /// The input has ended: closes the oldest connection of the queue, if one is left.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish_next<S: Sink<Handle = H>>(
        &mut self,
        open: &mut OpenConnections,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        match open.newest_first.pop() {
            Some(index) => self.close(index, Ended::InputEnded, sink),
            None => Ok(()),
        }
    }

    /// When the next connection of the queue was opened, for comparison with other shards.
    pub fn next_opened(&self, open: &OpenConnections) -> Option<Opened> {
        open.newest_first.last().map(|&index| Opened(self.table.opened(index)))
    }

    fn handle_message<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        payload: Payload<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let known = self.table.of_key(&arrival.key).next();
        let index = match self.unless_idle(known, arrival, sink)? {
            Some(index) => index,
            None => self.open(arrival, arrival.from, false, sink)?,
        };
        self.table.touch(index, List::Active);
        let (_, mut out) = self.note_packet(index, arrival, sink);
        out.data(arrival.from, payload.bytes, arrival.source)?;
        out.gap(arrival.from, u64::from(payload.missing()))
    }

    fn handle_segment<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        segment: &Segment<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        // A socket that talks to itself acknowledges its own bytes, not those of another end.
        let own;
        let segment = if arrival.key.ends_are_equal() {
            own = Segment { flags: TcpFlags(segment.flags.0 & !TcpFlags::ACK.0), ..*segment };
            &own
        } else {
            segment
        };
        let (known, join) = self.find(arrival, segment);
        let known = self.unless_idle(known, arrival, sink)?;
        let syn = segment.flags.has(TcpFlags::SYN);
        // The sender of a SYN is the initiator, the sender of a SYN-ACK the other end.
        let answers = usize::from(syn && segment.flags.has(TcpFlags::ACK));
        let initiator = if arrival.key.ends_are_equal() { 0 } else { arrival.from ^ answers };
        let (index, join) = match known {
            Some(index) => (index, join),
            None => (self.open(arrival, initiator, true, sink)?, Join::Plain),
        };
        if syn && (known.is_none() || join == Join::LateSyn) {
            self.learn_initiator(index, initiator);
        }
        let step = Step {
            n: self.tcp(index).map_or(0, Tcp::packets) + 1,
            frames: arrival.frames,
            fin: segment.flags.has(TcpFlags::FIN),
            overlap: self.config.overlap,
            cap: self.config.limits.buffered_per_direction,
        };
        let was_settled = self.tcp(index).is_some_and(Tcp::is_settled);
        let cost = self.tcp(index).map_or(0, Tcp::cost);
        if let (Some(tcp), mut out) = self.note_packet(index, arrival, sink) {
            tcp.handle(arrival.from, segment, join, &step, &mut out)?;
        }
        self.note_cost(index, cost, Some(arrival.serial));
        self.place(index, was_settled, sink)?;
        self.hold_buffered(arrival.source, sink)
    }

    /// Keeps count of what is held, after a connection that cost `before` changed. `serial` is the
    /// number of the packet that it spoke with, if it did.
    fn note_cost(&mut self, index: u32, before: usize, serial: Option<u64>) {
        let Some(tcp) = self.table.get_mut(index).and_then(|entry| entry.tcp.as_mut()) else {
            return;
        };
        let cost = tcp.cost();
        self.buffered = self.buffered - before + cost;
        let spoke = serial.unwrap_or(tcp.holds_since);
        let holds_since = if cost > 0 { spoke } else { 0 };
        let held_since = std::mem::replace(&mut tcp.holds_since, holds_since);
        if held_since != holds_since {
            self.holders.remove(&held_since);
            if holds_since > 0 {
                self.holders.insert(holds_since, index);
            }
        }
    }

    /// Holds the limit of what is buffered: those that spoke longest ago give up their holes first.
    fn hold_buffered<S: Sink<Handle = H>>(
        &mut self,
        now: Source,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        while self.buffered > self.config.limits.buffered / SHARDS {
            let Some((_, &index)) = self.holders.first_key_value() else { break };
            let Some(entry) = self.table.get_mut(index) else { break };
            let (Some(tcp), mut out) = entry.outlet(&mut self.books, &mut self.totals, sink) else {
                break;
            };
            let (was_settled, before) = (tcp.is_settled(), tcp.cost());
            out.set_now(now);
            out.limit(Limit::Buffered);
            if !tcp.relieve(&mut out)? {
                break;
            }
            self.note_cost(index, before, None);
            if !was_settled && self.tcp(index).is_some_and(Tcp::is_settled) {
                self.place(index, was_settled, sink)?;
            }
        }
        Ok(())
    }

    /// The connection that a segment belongs to, if any.
    fn find(&self, arrival: &Arrival<'_>, segment: &Segment<'_>) -> (Option<u32>, Join) {
        let mut of_key = self.table.of_key(&arrival.key);
        let Some(newest) = of_key.next() else { return (None, Join::Plain) };
        let careful = segment.flags.has(TcpFlags::SYN)
            || self.tcp(newest).is_none_or(Tcp::is_ending)
            || of_key.next().is_some();
        if !careful {
            return (Some(newest), Join::Plain);
        }
        let (indexes, states): (Vec<u32>, Vec<&Tcp>) = self
            .table
            .of_key(&arrival.key)
            .filter_map(|index| Some((index, self.tcp(index)?)))
            .unzip();
        match tcp::route(&states, arrival.from, segment) {
            Route::Opens => (None, Join::Plain),
            Route::Joins(i, join) => (indexes.get(i).copied(), join),
        }
    }

    fn tcp(&self, index: u32) -> Option<&Tcp> {
        self.table.get(index)?.tcp.as_deref()
    }

    /// The same connection, unless it was idle for too long: then it is closed.
    fn unless_idle<S: Sink<Handle = H>>(
        &mut self,
        known: Option<u32>,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<Option<u32>, S::Error> {
        let Some((index, idle)) = known.zip(self.config.idle) else { return Ok(known) };
        let last = self.table.get(index).map_or(arrival.source, |entry| entry.last);
        let quiet = arrival.source.time.nanos_since(last.time);
        if quiet <= i128::try_from(idle.as_nanos()).unwrap_or(i128::MAX) {
            return Ok(known);
        }
        self.close(index, Ended::Idle, sink)?;
        Ok(None)
    }

    /// Opens a connection, after making room for it.
    fn open<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        initiator: usize,
        tcp: bool,
        sink: &mut S,
    ) -> Result<u32, S::Error> {
        let max = (self.config.limits.connections / SHARDS).max(1);
        while self.table.len() >= max {
            let oldest = self.table.oldest(List::Lingering).or(self.table.oldest(List::Active));
            let Some(oldest) = oldest else { break };
            self.totals.limits[Limit::Connections as usize] += 1;
            self.close(oldest, Ended::Limit, sink)?;
        }
        let oldest = self.table.of_key(&arrival.key).nth(PER_KEY - 1);
        if let Some(oldest) = oldest {
            self.totals.limits[Limit::PerKey as usize] += 1;
            self.close(oldest, Ended::Limit, sink)?;
        }
        let connection = Connection::new(arrival.key, initiator, arrival.source);
        self.totals.connections[usize::from(connection.protocol())] += 1;
        let handle = sink.opened(&connection)?;
        Ok(self.table.insert(connection, arrival.serial, handle, tcp))
    }

    /// Rule 2: a SYN says who the initiator is, if nothing went out before.
    fn learn_initiator(&mut self, index: u32, initiator: usize) {
        let Some(entry) = self.table.get_mut(index) else { return };
        if !entry.initiator_known && !entry.ledger.has_output() {
            entry.connection.set_initiator(initiator);
        }
        entry.initiator_known = true;
    }

    /// Puts a connection in the list that it belongs to after a segment.
    fn place<S: Sink<Handle = H>>(
        &mut self,
        index: u32,
        was_settled: bool,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Some(entry) = self.table.get(index) else { return Ok(()) };
        let Some(tcp) = &entry.tcp else { return Ok(()) };
        let over = tcp.is_over();
        if tcp.is_settled() && !was_settled {
            sink.settled(entry.handle, &entry.connection)?;
        }
        self.table.touch(index, if over { List::Lingering } else { List::Active });
        while self.table.count(List::Lingering) > (self.config.limits.lingering / SHARDS).max(1) {
            let Some(oldest) = self.table.oldest(List::Lingering) else { break };
            self.close(oldest, Ended::InputEnded, sink)?;
        }
        Ok(())
    }

    /// Ends a connection: what is held goes out, what is missing is said.
    fn close<S: Sink<Handle = H>>(
        &mut self,
        index: u32,
        ended: Ended,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Some(mut entry) = self.table.remove(index) else { return Ok(()) };
        let order = Side::BOTH.map(|side| entry.connection.index(side));
        let (tcp, mut out) = entry.outlet(&mut self.books, &mut self.totals, sink);
        if let Some(tcp) = tcp {
            self.buffered -= tcp.cost();
            self.holders.remove(&tcp.holds_since);
            tcp.finish(order, &mut out)?;
        }
        let report = entry.report(entry.ended(ended));
        for side in &report.sides {
            self.totals.sides += side;
        }
        sink.closed(entry.handle, &report)
    }

    /// Notes a packet in a connection; its TCP state, and the way out of it.
    fn note_packet<'a, S: Sink<Handle = H>>(
        &'a mut self,
        index: u32,
        arrival: &Arrival<'_>,
        sink: &'a mut S,
    ) -> (Option<&'a mut Tcp>, Outlet<'a, S>) {
        let entry = self.table.get_mut(index).expect("the index was found or made just now");
        entry.last = arrival.source;
        entry.ledger.add_packets(arrival.from, arrival.frames);
        entry.outlet(&mut self.books, &mut self.totals, sink)
    }
}
