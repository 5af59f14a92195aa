//! One direction of a TCP connection.

use super::acks::Acks;
use super::far::FarAhead;
use super::{FAR_AHEAD, LATE_SYN, position};
use crate::ledger::Counter;
use crate::outlet::Outlet;
use crate::pieces::Pieces;
use crate::{Sink, Source};
use std::collections::VecDeque;

/// What is known of the packet that brought held bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) source: Source,
    /// The packet's number in the connection.
    pub(super) n: u64,
    /// It may be a keep-alive probe, whose byte is garbage.
    pub(super) weak: bool,
}

/// One direction. Positions are those of [`position`].
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The first position seen, from the sender or from the peer's acknowledgements.
    pub(super) reference: Option<u64>,
    /// The SYN's position.
    pub(super) isn: Option<u64>,
    /// The SYN itself was not seen; the peer's SYN-ACK told where it must have been.
    pub(super) isn_inferred: bool,
    /// Bytes that the SYN carried.
    pub(super) syn_len: u32,
    /// The anchor: where offset 0 stands. The next byte to deliver is known from then on.
    pub(super) base: Option<u64>,
    pub(super) next: u64,
    /// Was a byte delivered?
    pub(super) delivered: bool,
    /// One past the highest byte seen, those cut by the snap length included.
    pub(super) seen: Option<u64>,
    /// One past the highest byte cut by the snap length.
    pub(super) snapped: Option<u64>,
    pub(super) fin: Option<u64>,
    /// Did this end send anything, and the number of its last packet in the connection.
    pub(super) spoke: bool,
    pub(super) last_packet: u64,
    pub(super) acks: Acks,
    pub(super) held: Pieces<Held>,
    /// The packet that brought the first of the bytes held now.
    pub(super) held_since: u64,
    /// Weak bytes held; never too low.
    pub(super) weak: usize,
    pub(super) far: FarAhead,
    pub(super) gaps: VecDeque<(u64, u64)>,
}

/// What the rest of the connection asks.
impl Stream {
    pub(super) fn has_isn(&self) -> bool {
        self.isn.is_some() && !self.isn_inferred
    }

    pub(super) fn isn(&self) -> Option<u64> {
        self.isn
    }

    pub(super) fn isn_is_inferred(&self) -> bool {
        self.isn_inferred
    }

    pub(super) fn syn_len(&self) -> u32 {
        self.syn_len
    }

    pub(super) fn fin(&self) -> Option<u64> {
        self.fin
    }

    pub(super) fn seen(&self) -> Option<u64> {
        self.seen
    }

    pub(super) fn acks(&self) -> &Acks {
        &self.acks
    }

    pub(super) fn spoke(&self) -> bool {
        self.spoke
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.delivered
    }

    pub(super) fn last_packet(&self) -> u64 {
        self.last_packet
    }

    /// The next byte to deliver, once the anchor is known.
    pub(super) fn next(&self) -> Option<u64> {
        self.base.map(|_| self.next)
    }

    /// The lowest byte that is known: the anchor, else the lowest held, else the first seen.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.base.or(self.held.first().map(|(at, _)| at)).or(self.reference)
    }

    /// Everything up to the FIN is delivered.
    pub(super) fn is_settled(&self) -> bool {
        self.held.is_empty()
            && self.fin.is_some_and(|fin| self.next().is_none_or(|next| next >= fin))
    }

    /// Is there nothing that could go out?
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn cost(&self) -> usize {
        self.held.cost() + self.far.cost()
    }

    /// Where `seq` stands, as far as anything is known of this direction.
    pub(super) fn locate(&self, seq: u32) -> Option<u64> {
        self.next().or(self.reference).map(|near| position::nearest(seq, near))
    }

    /// Where `seq` stands; the first one of all is the reference from then on.
    pub(super) fn place(&mut self, seq: u32) -> u64 {
        self.locate(seq).unwrap_or_else(|| *self.reference.insert(position::first(seq)))
    }
}

/// What the headers say.
impl Stream {
    /// The sender's packet `n` came, beginning at `seq`.
    pub(super) fn note_packet(&mut self, seq: u32, n: u64) {
        self.spoke = true;
        self.last_packet = n;
        self.place(seq);
    }

    /// The sender's SYN. `late` where it joined by rule 3(b).
    pub(super) fn synchronise<S: Sink>(
        &mut self,
        end: usize,
        seq: u32,
        len: u32,
        late: bool,
        out: &mut Outlet<'_, S>,
    ) {
        let mut isn = self.place(seq);
        let known = self.isn.filter(|_| !(self.isn_inferred && late));
        if known.is_some_and(|known| known != isn) && !self.delivered {
            // Rule 3(d): another ISN, and nothing was made of the first (the case of
            // tls_multiple_synack_different_seq.pcapng). What was held belonged to that one.
            out.add(end, Counter::BeforeStart, self.held.bytes() as u64);
            *self = Self { last_packet: self.last_packet, spoke: self.spoke, ..Self::default() };
            isn = self.place(seq);
        }
        if self.fin.is_some_and(|fin| fin <= isn) {
            self.fin = None;
        }
        if self.isn != Some(isn) || self.isn_inferred {
            self.isn = Some(isn);
            self.isn_inferred = false;
            if !self.delivered {
                self.anchor_at(end, isn + 1, out);
            }
        }
        self.syn_len = self.syn_len.max(len);
    }

    /// The peer's SYN-ACK acknowledges `ack`: where this direction begins, unless its SYN is known.
    pub(super) fn infer_start<S: Sink>(&mut self, end: usize, ack: u32, out: &mut Outlet<'_, S>) {
        if self.isn.is_some() {
            return;
        }
        let start = self.place(ack);
        let lowest = self.base.or(self.held.first().map(|(at, _)| at));
        if lowest.is_none_or(|low| low.checked_sub(start).is_some_and(|d| d <= LATE_SYN)) {
            self.fin = self.fin.filter(|&fin| fin >= start);
            self.isn = Some(start - 1);
            self.isn_inferred = true;
            if !self.delivered {
                self.anchor_at(end, start, out);
            }
        }
    }

    /// The peer's packet `n` acknowledges everything before `ack`.
    pub(super) fn acknowledge(&mut self, ack: u32, n: u64) {
        let ack = self.place(ack);
        if self.isn.is_some_and(|isn| ack <= isn) {
            return;
        }
        let limit = self.seen.or(self.isn.map(|isn| isn + 1)).unwrap_or(ack);
        let limit = limit.max(self.fin.map_or(0, |fin| fin + 1));
        self.acks.note(ack, n, limit, self.next().unwrap_or(0));
    }

    /// A FIN behind the byte before `at`. The lowest one at or above the highest byte seen counts.
    pub(super) fn note_fin(&mut self, at: u64) {
        let beyond = self.highest().is_some_and(|high| at.saturating_sub(high) > FAR_AHEAD);
        if beyond || self.seen.is_some_and(|seen| at < seen) {
            return;
        }
        if self.fin.is_none_or(|fin| at < fin) {
            self.fin = Some(at);
        }
    }

    /// Data of `len` bytes from `at` on: a FIN that it goes on over in sequence was none.
    pub(super) fn cancel_fin_inside(&mut self, at: u64, len: u32) {
        let Some(next) = self.next() else { return };
        let goes_on = at <= next && next < at + u64::from(len);
        if goes_on && self.fin.is_some_and(|fin| next >= fin) {
            self.fin = None;
        }
    }

    /// The highest position that something speaks for.
    pub(super) fn highest(&self) -> Option<u64> {
        [self.next(), self.seen, self.acks.highest()].into_iter().flatten().max()
    }
}
