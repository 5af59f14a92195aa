//! TCP reassembly: two directions of bytes, put in order whatever the network or the tap did to them.
//!
//! The rules are numbered as in ARCHITECTURE.md, "Rules of reassembly". In short: sequence numbers
//! become 64-bit positions at once ([`position`]); a segment finds its connection by its own numbers
//! ([`route`]); what cannot be delivered yet is held ([`stream`]), a FIN too ([`ending`]); and a hole
//! becomes a gap when the peer's acknowledgements ([`acks`]), the amount of traffic behind it or a limit
//! prove that it will not be filled. Time proves nothing.

mod acks;
mod asleep;
mod data;
mod ending;
mod far;
mod next;
mod orderly;
mod position;
mod release;
mod route;
mod short;
mod state;
mod stream;

use release::Occasion;
pub(crate) use route::{Join, Route, is_of_newest, route};
pub(crate) use short::ShortTcp;
pub(crate) use state::{Full, Next, State};
use stream::Stream;

use crate::outlet::Outlet;
use crate::timeouts::Phase;
use crate::{Ended, Overlap, Sink};
use wire::{Segment, TcpFlags};

/// Rule 3(b): how far a SYN may lie below what it is the SYN of.
const LATE_SYN: u64 = 1 << 20;
/// Rule 4: how far from a connection that is over data still belongs to it.
const FITS: u64 = 1 << 20;
/// Rule 6: packets and bytes after which a direction without a SYN begins where it is.
const ANCHOR_PACKETS: u64 = 32;
const ANCHOR_BYTES: usize = 64 << 10;
/// Rules 6 and 8: how far the peer's acknowledgement may lie from the bytes that were seen. Half of
/// the sequence space that can be told from the other half.
const ACK_REACH: u64 = 1 << 30;
/// Rule 8(a): packets after which an acknowledgement has waited long enough for the bytes it is for.
/// Captures with packets moved up to 12 places need 16.
const PROOF_PACKETS: u64 = 32;
/// Rule 8(b): packets of one side alone, after which it is a capture of one direction.
const ONE_SIDED_PACKETS: u64 = 1024;
/// Rule 8(b): bytes behind a hole, after which it will not be filled.
const PAST_HOLE: usize = 4 << 20;
/// Rule 8: a segment further ahead than this waits for a second witness.
const FAR_AHEAD: u64 = 64 << 20;

/// What a direction that holds anything costs beside its pieces, in bytes: what it keeps only then, the map's
/// first node, which has room for eleven, and its connection's being awake.
const HOLDING: usize = 1 << 10;

/// What a segment says, beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// How many bytes it has, or had on the wire.
    pub(crate) len: u32,
    pub(crate) flags: TcpFlags,
    /// Did the snap length cut some off?
    pub(crate) cut: bool,
}

impl Head {
    #[inline(always)]
    pub(crate) fn of(segment: &Segment<'_>) -> Self {
        let Segment { seq, ack, flags, payload, .. } = *segment;
        Self { seq, ack, len: payload.len, flags, cut: payload.missing() > 0 }
    }

    /// Is it a SYN that brings nothing and answers nothing?
    #[inline(always)]
    pub(crate) fn is_bare_syn(&self) -> bool {
        self.flags.is_plain_syn() && self.len == 0
    }
}

/// What every step of a packet needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The packet's number in its connection, from 1.
    pub(crate) n: u64,
    /// Captured frames that the packet is made of.
    pub(crate) frames: u64,
    /// Does it end its direction?
    pub(crate) fin: bool,
    /// Whose bytes count.
    pub(crate) overlap: Overlap,
    /// Bytes that a direction may hold, bookkeeping included.
    pub(crate) cap: usize,
    /// Segments far ahead that a direction keeps.
    pub(crate) far_ahead: usize,
}

/// Did an end reset the connection?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Reset {
    #[default]
    No,
    /// It did. The sink is told when nothing else waits.
    Waits,
    /// It did, and the sink was told.
    Told,
}

/// The two directions of a TCP connection. They are numbered as the ends of the flow key, not as sides.
#[derive(Debug, Default)]
pub(crate) struct Tcp {
    streams: [Stream; 2],
    /// Which ends sent a SYN without ACK.
    plain_syn: [bool; 2],
    /// Which ends reset the connection.
    reset: [Reset; 2],
    settled: bool,
    /// Can segments go the [short way](next)?
    in_order: bool,
    /// Segments up to now, whatever they were made of.
    packets: u64,
    /// The owner's note: when, by its count, it last spoke while bytes are held; 0 where none are.
    pub(crate) holds_since: u64,
}

impl Tcp {
    /// Was a SYN seen?
    pub(crate) fn syn_seen(&self) -> bool {
        self.streams.iter().any(Stream::has_isn)
    }

    /// How the ends ended it, if they did.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match (self.settled, self.is_reset()) {
            (true, _) => Some(Ended::Fin),
            (false, true) => Some(Ended::Rst),
            (false, false) => None,
        }
    }

    /// Did one end reset the connection?
    fn is_reset(&self) -> bool {
        self.reset != [Reset::No; 2]
    }

    /// How many segments came.
    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// Is everything up to both FINs delivered?
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Is nothing more to be expected?
    pub(crate) fn is_over(&self) -> bool {
        self.is_reset() || self.settled
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> Phase {
        let [low, high] = &self.streams;
        if self.is_over() {
            Phase::Over
        } else if low.fin().or(high.fin()).is_some() {
            Phase::Closing
        } else if self.syn_seen() && !self.streams.iter().all(Stream::is_acknowledged) {
            Phase::HalfOpen
        } else {
            Phase::Established
        }
    }

    /// What it costs to hold bytes out of order, in bytes; 0 where none are held.
    pub(crate) fn cost(&self) -> usize {
        let cost = |stream: &Stream| match stream.cost() {
            0 => 0,
            pieces => pieces + HOLDING,
        };
        self.streams.iter().map(cost).sum()
    }

    /// Takes in a segment that `from` sent, having [joined](route) the connection as `join`.
    pub(crate) fn handle<S: Sink>(
        &mut self,
        from: usize,
        segment: &Segment<'_>,
        join: Join,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let flags = segment.flags;
        let reset = flags.has(TcpFlags::RST);
        // An RST from nowhere ends nothing (RFC 9293, section 3.10.7.4, first check).
        let resets = reset && route::distance(&self.streams[from], segment.seq) <= FITS;
        self.packets = step.n;
        if join == Join::Ignored {
            return Ok(());
        }
        if flags.has(TcpFlags::SYN) {
            self.synchronise(from, segment, join, out);
        }
        let (me, peer) = self.ends(from);
        me.note_packet(segment.seq, step.n);
        if flags.has(TcpFlags::ACK) && !reset {
            peer.acknowledge(segment.ack, step.n);
            peer.take_in_acknowledged(1 - from, step, out)?;
        }
        // What this packet's acknowledgement releases comes before what the packet carries.
        let occasion = Occasion::Packet(step, step.n);
        while self.next_out(1 - from, occasion, out).is_some() {
            self.put_out(1 - from, occasion, out)?;
        }
        let (me, _) = self.ends(from);
        let first = me.place(segment.seq) + u64::from(flags.has(TcpFlags::SYN));
        let next = me.next();
        if !reset && segment.payload.len > 0 {
            me.data(from, first, segment.payload, step, out)?;
        }
        let goes_on = me.next() > next;
        if flags.has(TcpFlags::FIN) {
            let len = if reset { 0 } else { segment.payload.len };
            me.note_fin(from, first + u64::from(len), step.n, out)?;
        }
        self.reset[from] = match self.reset[from] {
            Reset::No if resets => Reset::Waits,
            // Whoever goes on in sequence did not reset.
            _ if goes_on => Reset::No,
            known => known,
        };
        self.release(step, out)?;
        self.tell_resets(out)?;
        self.settled = self.streams.iter().all(Stream::is_settled);
        self.streams.iter_mut().for_each(Stream::tidy);
        self.note_order();
        Ok(())
    }

    /// Puts out what packet `step.n` made ready.
    fn release<S: Sink>(&mut self, step: &Step, out: &mut Outlet<'_, S>) -> Result<(), S::Error> {
        if self.streams.iter().all(Stream::awaits_nothing) {
            return Ok(());
        }
        // Directions without a SYN begin together, so that a conversation caught in the middle comes out
        // as one: one that is ready waits for the other, which is so at most 32 packets later.
        let together = self.streams.iter().all(|stream| stream.is_ready(step));
        for (end, stream) in self.streams.iter_mut().enumerate() {
            if together || stream.is_full(step) {
                stream.begin(end, out);
            }
        }
        let last = [1, 0].map(|peer: usize| self.streams[peer].last_packet);
        self.put_out_all([0, 1], last.map(|peer_last| Occasion::Packet(step, peer_last)), out)
    }

    /// Puts out everything that is ready: what packets brought earlier comes first, each direction in
    /// its own order.
    fn put_out_all<S: Sink>(
        &mut self,
        order: [usize; 2],
        occasions: [Occasion<'_>; 2],
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        loop {
            let [a, b] = order.map(|end| self.next_out(end, occasions[end], out).map(|n| (n, end)));
            let Some((_, end)) = a.into_iter().chain(b).min_by_key(|&(n, _)| n) else {
                return Ok(());
            };
            self.put_out(end, occasions[end], out)?;
        }
    }

    /// The number of the packet whose bytes, or whose FIN, can go out next in the direction of `end`.
    fn next_out<S: Sink>(
        &mut self,
        end: usize,
        occasion: Occasion<'_>,
        out: &mut Outlet<'_, S>,
    ) -> Option<u64> {
        self.fin_due(end).or_else(|| self.streams[end].next_out(end, occasion, out))
    }

    /// Puts out what [`Self::next_out`] announced.
    fn put_out<S: Sink>(
        &mut self,
        end: usize,
        occasion: Occasion<'_>,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        match self.fin_due(end) {
            Some(_) => self.streams[end].tell_fin(end, out),
            None => self.streams[end].put_out(end, occasion, out),
        }
    }

    /// Gives up the first hole of a direction of this connection, or lets a direction begin where it
    /// is. `false` when nothing is held.
    pub(crate) fn relieve<S: Sink>(&mut self, out: &mut Outlet<'_, S>) -> Result<bool, S::Error> {
        let larger = usize::from(self.streams[1].cost() > self.streams[0].cost());
        let relieved = self.streams[larger].relieve(larger, out)?;
        self.tell_fins(out)?;
        self.tell_resets(out)?;
        self.settled = self.streams.iter().all(Stream::is_settled);
        self.note_order();
        Ok(relieved)
    }

    /// Nothing is waited for any more: both directions begin, and what is held comes as at the end.
    /// `order` names the ends, side 0 first.
    pub(crate) fn wait_no_more<S: Sink>(
        &mut self,
        order: [usize; 2],
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        self.put_out_rest(order, out)?;
        self.tell_resets(out)?;
        self.settled = self.streams.iter().all(Stream::is_settled);
        self.note_order();
        Ok(())
    }

    /// Nothing more will come: every hole is a gap now. `order` names the ends, side 0 first.
    pub(crate) fn finish<S: Sink>(
        &mut self,
        order: [usize; 2],
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        self.put_out_rest(order, out)?;
        order.into_iter().try_for_each(|end| self.streams[end].finish(end, out))?;
        self.tell_resets(out)?;
        self.settled = self.streams.iter().all(Stream::is_settled);
        Ok(())
    }

    /// Puts out all that is held, whatever is missing before it.
    fn put_out_rest<S: Sink>(
        &mut self,
        order: [usize; 2],
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        for end in order {
            self.streams[end].drop_far(end, out);
            self.streams[end].begin(end, out);
        }
        self.put_out_all(order, [Occasion::End; 2], out)
    }

    fn ends(&mut self, from: usize) -> (&mut Stream, &mut Stream) {
        let [low, high] = &mut self.streams;
        if from == 0 { (low, high) } else { (high, low) }
    }

    /// A SYN fixes where its sender's bytes begin, and a SYN-ACK tells where the peer's did.
    fn synchronise<S: Sink>(
        &mut self,
        from: usize,
        segment: &Segment<'_>,
        join: Join,
        out: &mut Outlet<'_, S>,
    ) {
        let answers = segment.flags.has(TcpFlags::ACK);
        self.plain_syn[from] |= !answers;
        match join {
            Join::Ignored => return,
            Join::Repeat => self.reset = [Reset::No; 2],
            Join::Plain | Join::LateSyn => {}
        }
        let reset = segment.flags.has(TcpFlags::RST);
        let (me, peer) = self.ends(from);
        me.synchronise(from, segment.seq, segment.payload.len, join == Join::LateSyn, out);
        if answers && !reset {
            peer.infer_start(1 - from, segment.ack, out);
        }
    }
}
