//! A shard: some of the flow keys, and everything that is kept of their connections.

use crate::arrival::Label;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::fresh::Fresh;
use crate::lives::Lives;
use crate::outlet::Outlet;
use crate::silence::timeout;
use crate::slot::{Aged, List};
use crate::table::{Last, Table};
use crate::tcp::{self, Full, Join, Route, State, Step, Tcp};
use crate::timeouts::{Phase, Timers};
use crate::{Arrival, Began, Books, Config, Ended, Limit, SHARDS, Side, Sink, Source, Totals};
use std::collections::BTreeSet;
use wire::{Segment, TcpFlags};

/// The connections of a shard that are still open when the input ends, in the order of their first
/// packets.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    newest_first: Vec<u32>,
}

/// When a connection was opened: what comes first in the input is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Opened(u64);

/// Some of the connections.
///
/// What is needed to open and to close one comes first: packets of one shard come one in 64, and each line of it has to be
/// fetched anew.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Shard<H> {
    pub(crate) table: Table<H>,
    pub(crate) books: Books,
    pub(crate) config: Config,
    pub(crate) totals: Totals,
    /// Bytes held out of order by all connections, bookkeeping included.
    buffered: usize,
    /// Connections that are over since not long ago, and awake.
    pub(crate) fresh: Fresh,
    /// When connections are to be looked at, where time is told.
    pub(crate) timers: Timers,
    /// The connections that hold them, by when they last spoke.
    pub(crate) holders: BTreeSet<(u64, u32)>,
    /// How often one that holds bytes spoke. (Serial numbers of packets say nothing of that where several
    /// intakes take turns.)
    spoken: u64,
}

impl<H: Copy> Shard<H> {
    /// An empty shard that keeps to its part of the limits.
    pub(crate) fn new(config: Config) -> Self {
        let (table, books) = (Table::new(config.awake / SHARDS), Books::default());
        let totals = Totals::default();
        let (fresh, holders) = (Fresh::default(), BTreeSet::new());
        let timers = Timers::default();
        Self { table, config, books, totals, buffered: 0, fresh, timers, holders, spoken: 0 }
    }

    /// What became of the packets that came here, but for the count of those that were assigned: whoever hands them
    /// over has that.
    pub(crate) fn books(&self) -> &Books {
        &self.books
    }

    /// Sums over the connections that were here.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Connections held, those that linger included.
    pub(crate) fn connections(&self) -> usize {
        self.table.len()
    }

    /// Bytes held out of order, bookkeeping included.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// A connection may be opened soon by one with this label: what that needs is fetched.
    #[inline(always)]
    pub(crate) fn fetch(&self, label: &Label) {
        self.table.fetch_key(label.key.view());
    }

    /// A message with this label may come soon: what that needs is fetched.
    #[inline(always)]
    pub(crate) fn fetch_message(&self, label: &Label) {
        self.table.fetch_message(&label.key, label.hash);
    }

    /// The same, a little later.
    #[inline(always)]
    pub(crate) fn fetch_entry(&self, label: &Label) {
        self.table.fetch_entry(label.hash);
    }

    /// The connections that are open, as a queue for [`Self::finish_next`].
    pub(crate) fn open_connections(&self, lives: &Lives<H>) -> OpenConnections {
        OpenConnections {
            newest_first: self.table.by_first_packet(lives).into_iter().rev().collect(),
        }
    }

    /// The input has ended: closes the oldest connection of the queue, if one is left.
    ///
    /// # Errors
    /// The sink's own.
    pub(crate) fn finish_next<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        open: &mut OpenConnections,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Some(index) = open.newest_first.pop() else { return Ok(()) };
        if let [.., later, next] = open.newest_first[..] {
            self.table.fetch(next, later);
        }
        self.conclude(lives, index, Ended::InputEnded, sink)
    }

    /// All connections of the queue are closed: forgets them, but for what is among [`Lives`]. (One by one, that took half of the time of
    /// closing a million connections.)
    pub(crate) fn forget_all(&mut self) {
        self.table.clear();
        self.fresh.clear();
        self.timers.clear();
        self.holders.clear();
        self.buffered = 0;
    }

    /// When the next connection of the queue was opened, for comparison with other shards.
    pub(crate) fn next_opened(&self, lives: &Lives<H>, open: &OpenConnections) -> Option<Opened> {
        open.newest_first.last().map(|&index| Opened(self.table.opened(lives, index)))
    }

    /// One that spoke longest ago sleeps, if more are active than may be. To be called before any may be opened or
    /// woken up.
    #[inline]
    pub(crate) fn retire(&mut self, lives: &mut Lives<H>) {
        if self.table.is_crowded() {
            self.table.retire(lives);
        }
    }

    #[inline(never)]
    pub(crate) fn handle_message<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.retire(lives);
        let payload = arrival.body.payload();
        let known = self.table.newest_again(&arrival.label.key, arrival.label.hash);
        let index = match self.unless_idle(lives, known, arrival, sink)? {
            Some(index) => index,
            None => self.open(lives, known.is_none(), arrival, arrival.label.from(), sink)?,
        };
        self.table.wake(lives, index);
        self.table.touch(lives, index);
        let Some((entry, _)) = self.table.awake(lives, index) else { return Ok(()) };
        entry.note_packet(&arrival.label);
        let mut out = outlet(entry, &mut self.books, &mut self.totals, sink, arrival.label.source);
        out.data(arrival.label.from(), payload.bytes, arrival.label.source)?;
        out.gap(arrival.label.from(), u64::from(payload.missing()))
    }

    /// Finds or opens the connection of a segment, whatever it is. `newest` is the newest of its key.
    #[inline(never)]
    pub(crate) fn handle_with_care<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        newest: Option<u32>,
        arrival: &Arrival<'_>,
        segment: &Segment<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        // A socket that talks to itself acknowledges its own bytes, not those of another end.
        let own;
        let segment = if arrival.label.key.ends_are_equal() {
            own = Segment { flags: TcpFlags(segment.flags.0 & !TcpFlags::ACK.0), ..*segment };
            &own
        } else {
            segment
        };
        let (known, join) = self.find(lives, newest, arrival, segment);
        let known = self.unless_idle(lives, known, arrival, sink)?;
        let (index, join) = match known {
            Some(index) => (index, join),
            None => {
                let initiator = initiator(arrival, segment);
                (self.open(lives, newest.is_none(), arrival, initiator, sink)?, Join::Plain)
            }
        };
        self.table.wake(lives, index);
        if segment.flags.has(TcpFlags::SYN) && (known.is_none() || join == Join::LateSyn) {
            self.learn_initiator(lives, index, initiator(arrival, segment));
        }
        self.take_in(lives, index, arrival, segment, join, sink)?;
        self.hold_buffered(lives, arrival.label.source, sink)
    }

    /// Gives a segment to its connection.
    fn take_in<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        arrival: &Arrival<'_>,
        segment: &Segment<'_>,
        join: Join,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Some((entry, Some(tcp))) = self.table.awake(lives, index) else { return Ok(()) };
        let tcp = tcp.in_full();
        entry.note_packet(&arrival.label);
        let limits = &self.config.limits;
        let step = Step {
            n: tcp.packets() + 1,
            frames: arrival.label.frames.into(),
            fin: segment.flags.has(TcpFlags::FIN),
            overlap: self.config.overlap,
            cap: limits.buffered_per_direction,
            far_ahead: limits.far_ahead,
        };
        let (was_settled, cost) = (tcp.is_settled(), tcp.cost());
        let phase = tcp.phase();
        let mut out = outlet(entry, &mut self.books, &mut self.totals, sink, arrival.label.source);
        tcp.handle(arrival.label.from(), segment, join, &step, &mut out)?;
        let (over, held) = (tcp.is_over(), tcp.cost());
        let closes = phase != Phase::Closing && tcp.phase() == Phase::Closing;
        if let Some(timeouts) = self.told_time().filter(|_| closes) {
            self.look_after(lives, index, timeouts.closing);
        }
        if held > 0 || cost > 0 {
            self.note_cost(lives, index, cost, true);
        }
        match over {
            false => self.table.touch(lives, index),
            true => self.rest(lives, index, was_settled, sink)?,
        }
        Ok(())
    }

    /// Keeps count of what is held, after a connection that cost `before` changed; because it spoke?
    pub(crate) fn note_cost(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        before: usize,
        spoke: bool,
    ) {
        let Some((_, Some(tcp))) = self.table.awake(lives, index) else { return };
        let cost = tcp.cost();
        self.buffered = self.buffered - before + cost;
        self.spoken += u64::from(spoke);
        let since = if spoke { self.spoken } else { tcp.holds_since() };
        let holds_since = if cost > 0 { since } else { 0 };
        let held_since = std::mem::replace(&mut tcp.in_full().holds_since, holds_since);
        if held_since != holds_since {
            let known = self.holders.remove(&(held_since, index));
            debug_assert_eq!(known, held_since > 0);
            if holds_since > 0 {
                self.holders.insert((holds_since, index));
            }
        }
    }

    /// Holds the limit of what is buffered: those that spoke longest ago give up their holes first.
    fn hold_buffered<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        now: Source,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        while self.buffered > self.config.limits.buffered / SHARDS {
            let Some(&(_, index)) = self.holders.first() else { break };
            let Some((entry, Some(tcp))) = self.table.awake(lives, index) else { break };
            let mut out = outlet(entry, &mut self.books, &mut self.totals, sink, now);
            let (was_settled, before) = (tcp.is_settled(), tcp.cost());
            out.limit(Limit::Buffered);
            if !tcp.in_full().relieve(&mut out)? {
                break;
            }
            self.let_go(lives, index, before, was_settled, sink)?;
        }
        Ok(())
    }

    /// A connection that held bytes, and cost `before`, has given some or all of them up without having spoken.
    pub(crate) fn let_go<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        before: usize,
        was_settled: bool,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.note_cost(lives, index, before, false);
        if self.table.awake_tcp(lives, index).is_some_and(State::is_settled) && !was_settled {
            return self.rest(lives, index, was_settled, sink);
        }
        self.table.sleep(lives, index);
        Ok(())
    }

    /// The connection that a segment belongs to, if any; `newest` is the newest one of its key.
    fn find(
        &self,
        lives: &Lives<H>,
        newest: Option<u32>,
        arrival: &Arrival<'_>,
        segment: &Segment<'_>,
    ) -> (Option<u32>, Join) {
        let Some(newest) = newest else { return (None, Join::Plain) };
        let careful = segment.flags.has(TcpFlags::SYN)
            || self.table.awake_tcp(lives, newest).is_none_or(State::is_ending)
            || self.table.older(newest).is_some();
        if !careful {
            return (Some(newest), Join::Plain);
        }
        // The others may sleep, and would have to be looked at each time.
        if let Some(tcp) = self.table.view(lives, newest)
            && (self.table.older(newest).is_none()
                || tcp::is_of_newest(&tcp, arrival.label.from(), segment))
        {
            return match tcp::route(&[&*tcp], arrival.label.from(), segment) {
                Route::Opens => (None, Join::Plain),
                Route::Joins(_, join) => (Some(newest), join),
            };
        }
        let (indexes, views): (Vec<u32>, Vec<Full<'_>>) = self
            .table
            .of_key(&arrival.label.key)
            .filter_map(|index| Some((index, self.table.view(lives, index)?)))
            .unzip();
        let states: Vec<&Tcp> = views.iter().map(|tcp| &**tcp).collect();
        match tcp::route(&states, arrival.label.from(), segment) {
            Route::Opens => (None, Join::Plain),
            Route::Joins(i, join) => (indexes.get(i).copied(), join),
        }
    }

    /// The same connection, unless it was idle for too long: then it is closed.
    fn unless_idle<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        known: Option<u32>,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<Option<u32>, S::Error> {
        let (Some(index), Some(timeouts)) = (known, &self.config.timeouts) else {
            return Ok(known);
        };
        self.table.wake(lives, index);
        let Some((entry, tcp)) = self.table.awake(lives, index) else { return Ok(None) };
        let idle = timeout(timeouts, entry, tcp.as_deref());
        if !entry.was_idle(arrival.label.source.time, idle) {
            return Ok(known);
        }
        self.close(lives, index, Ended::Idle, sink)?;
        Ok(None)
    }

    /// Opens a connection, after making room for it. `first` where there is none of its key.
    pub(crate) fn open<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        first: bool,
        arrival: &Arrival<'_>,
        initiator: usize,
        sink: &mut S,
    ) -> Result<u32, S::Error> {
        let max = (self.config.limits.connections / SHARDS).max(1);
        while self.table.len() >= max {
            let aged = [Aged::Lingering, Aged::Dormant].into_iter();
            let oldest = aged.filter_map(|list| self.table.oldest(list)).next();
            let Some(oldest) = oldest.or_else(|| self.table.least_recently_active(lives)) else {
                break;
            };
            self.close_for(lives, Limit::Connections, oldest, sink)?;
        }
        let per_key = self.config.limits.per_key.max(1);
        let oldest = match first {
            true => None,
            false => self.table.of_key(&arrival.label.key).nth(per_key - 1),
        };
        if let Some(oldest) = oldest {
            self.close_for(lives, Limit::PerKey, oldest, sink)?;
        }
        let connection = Connection::of(arrival.label.key.view(), initiator, arrival.label.source);
        self.totals.connections[usize::from(connection.protocol())] += 1;
        let handle = sink.opened(&connection)?;
        let Label { key, hash, serial, .. } = &arrival.label;
        let index = self.table.insert(lives, connection, (key, *hash), *serial, handle, first);
        if self.config.timeouts.is_some() {
            self.look_after_new(index, &arrival.label);
        }
        Ok(index)
    }

    /// Rule 2: a SYN says who the initiator is, if nothing went out before.
    fn learn_initiator(&mut self, lives: &mut Lives<H>, index: u32, initiator: usize) {
        let Some((entry, _)) = self.table.awake(lives, index) else { return };
        if !entry.initiator_known && !entry.ledger.has_output() {
            entry.connection.set_initiator(initiator);
        }
        entry.initiator_known = true;
    }

    /// A connection that is over now, or was so before (`was_settled`), was given what is next in it.
    #[inline(always)]
    pub(crate) fn note_over<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        was_settled: bool,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        // The last acknowledgement of the connection that was over last: as a rule nothing more comes, and all of it
        // is at hand.
        if was_settled && self.fresh.is_newest(index) && self.table.rests_newest(index) {
            if self.table.sleep_in_short(lives, index) {
                self.fresh.drop_newest();
            }
            return Ok(());
        }
        self.rest(lives, index, was_settled, sink)
    }

    /// A connection is over: tells the sink when that is new, and keeps what stragglers need.
    pub(crate) fn rest<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        was_settled: bool,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        if let Some((entry, Some(tcp))) = self.table.awake(lives, index)
            && tcp.is_settled()
            && !was_settled
        {
            sink.settled(entry.handle, &entry.connection)?;
        }
        if let Some(timeouts) = self.told_time()
            && !self.table.is_in(index, List::LINGERING)
        {
            self.look_after(lives, index, timeouts.linger);
        }
        self.table.move_to(index, Aged::Lingering);
        if let Some(rested) = self.fresh.push(index, self.config.awake / SHARDS) {
            self.table.sleep(lives, rested);
        }
        while self.table.count(Aged::Lingering) > (self.config.limits.lingering / SHARDS).max(1) {
            let Some(oldest) = self.table.oldest(Aged::Lingering) else { break };
            self.close_for(lives, Limit::Lingering, oldest, sink)?;
            self.table.fetch_resting();
        }
        Ok(())
    }

    /// Ends a connection because a limit was reached.
    fn close_for<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        limit: Limit,
        index: u32,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.totals.limits[limit as usize] += 1;
        self.close(lives, index, Ended::Limit, sink)
    }

    /// Ends a connection: what is held goes out, what is missing is said. `ended` is how, where the ends
    /// did not say it.
    pub(crate) fn close<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        ended: Ended,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.conclude(lives, index, ended, sink)?;
        self.table.remove(lives, index);
        Ok(())
    }

    /// Says the last of a connection. It is to be forgotten then.
    fn conclude<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        ended: Ended,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        if let Some((short, slot)) = self.table.short_at(index) {
            short.ledger().add_to(&mut self.totals.sides);
            if !sink.wants_reports() {
                return Ok(());
            }
            let (handle, entry) = (slot.handle, short.entry(slot.key.view(), slot.handle));
            return sink.closed(handle, &entry.report(Began::Syn, Ended::Fin));
        }
        let mut asleep;
        let (entry, last) = match self.table.awake(lives, index) {
            Some((entry, tcp)) => (entry, tcp.map_or(Last::Message, Last::Tcp)),
            None => {
                asleep = self.table.recall_last(index);
                let Some((entry, last)) = &mut asleep else { return Ok(()) };
                (entry, last.as_mut())
            }
        };
        let began = |syn_seen: bool| if syn_seen { Began::Syn } else { Began::MidStream };
        let (began, ended) = match last {
            Last::Message => (Began::FirstPacket, ended),
            Last::Settled { syn_seen } => (began(syn_seen), Ended::Fin),
            Last::Tcp(tcp) => {
                self.buffered -= tcp.cost();
                if tcp.holds_since() > 0 {
                    self.holders.remove(&(tcp.holds_since(), index));
                }
                let order = Side::BOTH.map(|side| entry.connection.index(side));
                let now = entry.last;
                let mut out = outlet(entry, &mut self.books, &mut self.totals, sink, now);
                tcp.finish(order, &mut out)?;
                (began(tcp.syn_seen()), tcp.ended().unwrap_or(ended))
            }
        };
        entry.ledger.add_to(&mut self.totals.sides);
        match sink.wants_reports() {
            true => sink.closed(entry.handle, &entry.report(began, ended)),
            false => Ok(()),
        }
    }
}

/// The end that opened a connection whose first segment, or late SYN, this is: the sender of a SYN, but
/// the other end of a SYN-ACK's.
fn initiator(arrival: &Arrival<'_>, segment: &Segment<'_>) -> usize {
    let answers = segment.flags.has(TcpFlags::SYN) && segment.flags.has(TcpFlags::ACK);
    if arrival.label.key.ends_are_equal() { 0 } else { arrival.label.from() ^ usize::from(answers) }
}

/// The way out of a connection while the packet `now` is handled.
pub(crate) fn outlet<'a, S: Sink>(
    entry: &'a mut Entry<S::Handle>,
    books: &'a mut Books,
    totals: &'a mut Totals,
    sink: &'a mut S,
    now: Source,
) -> Outlet<'a, S> {
    let Entry { handle, connection, ledger, .. } = entry;
    Outlet { sink, handle: *handle, connection, ledger, books, totals, now }
}
