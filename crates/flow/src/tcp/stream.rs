//! One direction of a TCP connection.

use super::acks::Acks;
use super::ending::WaitingFin;
use super::far::FarAhead;
use super::position::{self, Mark};
use super::{FAR_AHEAD, LATE_SYN};
use crate::ledger::Counter;
use crate::outlet::Outlet;
use crate::pieces::{Piece, Pieces};
use crate::{Sink, Source};
use std::collections::VecDeque;

/// What is known of the packet that brought held bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) source: Source,
    /// The packet's number in the connection.
    pub(super) n: u64,
    /// Captured frames that it is made of.
    pub(super) frames: u32,
    /// It may be a keep-alive probe, whose byte is garbage.
    pub(super) weak: bool,
}

/// One direction. Positions are those of [`position`].
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The first position seen, from the sender or from the peer's acknowledgements.
    pub(super) reference: Mark,
    /// The SYN's position.
    pub(super) isn: Mark,
    /// The anchor: where offset 0 stands. The next byte to deliver is known from then on.
    pub(super) base: Mark,
    pub(super) next: u64,
    /// One past the highest byte seen, those cut by the snap length included.
    pub(super) seen: Mark,
    pub(super) fin: Mark,
    pub(super) acks: Acks,
    /// The number of this end's last packet in the connection.
    pub(super) last_packet: u64,
    /// What is kept only while something is out of order.
    pub(super) disorder: Option<Box<Disorder>>,
    /// Bytes that the SYN carried.
    pub(super) syn_len: u32,
    /// The SYN itself was not seen; the peer's SYN-ACK told where it must have been.
    pub(super) isn_inferred: bool,
    /// Was a byte delivered?
    pub(super) delivered: bool,
    /// Did this end send anything?
    pub(super) spoke: bool,
}

/// What a direction keeps while something is out of order.
#[derive(Debug, Default)]
pub(super) struct Disorder {
    pub(super) held: Pieces<Held>,
    /// The packet that brought the first of the bytes held now.
    pub(super) held_since: u64,
    /// Weak bytes held; never too low.
    pub(super) weak: usize,
    pub(super) far: FarAhead,
    /// The last gaps.
    pub(super) gaps: VecDeque<(u64, u64)>,
    /// One past the highest byte cut by the snap length.
    pub(super) snapped: Mark,
    /// The FIN, while the sink was not told of it.
    pub(super) fin: Option<WaitingFin>,
}

impl Disorder {
    /// Is nothing held?
    pub(super) fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.far.is_empty()
    }

    /// Is nothing in it?
    fn is_of_no_use(&self) -> bool {
        self.is_at_rest()
            && self.gaps.is_empty()
            && self.snapped.get().is_none()
            && self.fin.is_none()
    }
}

/// What the rest of the connection asks.
impl Stream {
    pub(super) fn has_isn(&self) -> bool {
        self.isn().is_some() && !self.isn_inferred
    }

    pub(super) fn isn(&self) -> Option<u64> {
        self.isn.get()
    }

    pub(super) fn fin(&self) -> Option<u64> {
        self.fin.get()
    }

    pub(super) fn seen(&self) -> Option<u64> {
        self.seen.get()
    }

    pub(super) fn base(&self) -> Option<u64> {
        self.base.get()
    }

    /// The next byte to deliver, once the anchor is known.
    pub(super) fn next(&self) -> Option<u64> {
        self.base().map(|_| self.next)
    }

    /// The lowest bytes held.
    pub(super) fn first_held(&self) -> Option<(u64, &Piece<Held>)> {
        self.disorder.as_ref()?.held.first()
    }

    pub(super) fn holds_nothing(&self) -> bool {
        self.disorder.as_ref().is_none_or(|disorder| disorder.held.is_empty())
    }

    /// The lowest byte that is known: the anchor, else the lowest held.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.base().or(self.first_held().map(|(at, _)| at))
    }

    /// Did the other end acknowledge anything, or did bytes of it come?
    pub(super) fn is_acknowledged(&self) -> bool {
        self.delivered || self.acks.highest().is_some()
    }

    /// Everything up to the FIN is delivered.
    pub(super) fn is_settled(&self) -> bool {
        self.fin().is_some_and(|fin| self.next().is_none_or(|next| next >= fin))
            && self.holds_nothing()
    }

    /// Forgets what is kept only while something is missing, where nothing is: what is next can then be
    /// taken in on the short way.
    pub(super) fn tidy(&mut self) {
        if self.disorder.is_none() && !self.acks.has_evidence() {
            return;
        }
        if self.disorder.as_ref().is_some_and(|disorder| disorder.is_of_no_use()) {
            self.disorder = None;
        }
        if self.disorder.as_ref().is_none_or(|disorder| disorder.is_at_rest())
            && let Some(next) = self.next()
        {
            self.acks.tidy(next + u64::from(self.fin() == Some(next)));
        }
    }

    /// Is all the same but what is kept only while something is out of order?
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let of = |stream: &Self| {
            let Self { reference, isn, base, next, seen, fin, last_packet, .. } = *stream;
            let Self { syn_len, isn_inferred, delivered, spoke, .. } = *stream;
            let flags = (isn_inferred, delivered, spoke);
            (
                reference,
                isn,
                base,
                next,
                seen,
                fin,
                stream.acks.known(),
                last_packet,
                syn_len,
                flags,
            )
        };
        of(self) == of(other)
    }

    pub(super) fn cost(&self) -> usize {
        self.disorder.as_ref().map_or(0, |disorder| disorder.held.cost() + disorder.far.cost())
    }

    pub(super) fn disorder(&mut self) -> &mut Disorder {
        self.disorder.get_or_insert_default()
    }

    /// Where `seq` stands, as far as anything is known of this direction.
    pub(super) fn locate(&self, seq: u32) -> Option<u64> {
        self.next().or(self.reference.get()).map(|near| position::nearest(seq, near))
    }

    /// Where `seq` stands; the first one of all is the reference from then on.
    pub(super) fn place(&mut self, seq: u32) -> u64 {
        self.locate(seq).unwrap_or_else(|| {
            let first = position::first(seq);
            self.reference = Mark::at(first);
            first
        })
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
        if self.isn().is_some_and(|isn| isn as u32 == seq) && !self.isn_inferred {
            // A repetition. Its position need not be looked for: the stream may be gigabytes further.
            self.syn_len = self.syn_len.max(len);
            return;
        }
        let mut isn = self.place(seq);
        let known = self.isn().filter(|_| !(self.isn_inferred && late));
        if known.is_some_and(|known| known != isn) && !self.delivered {
            // Rule 3(d): another ISN, and nothing was made of the first (the case of
            // tls_multiple_synack_different_seq.pcapng). What was held belonged to that one.
            let held = self.disorder.as_ref().map_or(0, |disorder| disorder.held.bytes());
            out.add(end, Counter::BeforeStart, held as u64);
            self.drop_far(end, out);
            *self = Self { last_packet: self.last_packet, spoke: self.spoke, ..Self::default() };
            isn = self.place(seq);
        }
        if self.fin().is_some_and(|fin| fin <= isn) {
            self.forget_fin();
        }
        self.isn = Mark::at(isn);
        self.isn_inferred = false;
        if !self.delivered {
            self.anchor_at(end, isn + 1, out);
        }
        self.syn_len = self.syn_len.max(len);
    }

    /// The peer's SYN-ACK acknowledges `ack`: where this direction begins, unless its SYN is known.
    pub(super) fn infer_start<S: Sink>(&mut self, end: usize, ack: u32, out: &mut Outlet<'_, S>) {
        if self.isn().is_some() {
            return;
        }
        let start = self.place(ack);
        if self.lowest().is_none_or(|low| low.checked_sub(start).is_some_and(|d| d <= LATE_SYN)) {
            if self.fin().is_some_and(|fin| fin < start) {
                self.forget_fin();
            }
            self.isn = Mark::at(start - 1);
            self.isn_inferred = true;
            if !self.delivered {
                self.anchor_at(end, start, out);
            }
        }
    }

    /// The peer's packet `n` acknowledges everything before `ack`.
    pub(super) fn acknowledge(&mut self, ack: u32, n: u64) {
        let ack = self.place(ack);
        if self.isn().is_some_and(|isn| ack <= isn) {
            return;
        }
        let limit = self.seen().or(self.isn().map(|isn| isn + 1)).unwrap_or(ack);
        let limit = limit.max(self.fin().map_or(0, |fin| fin + 1));
        let limit = limit.max(self.acks.highest().unwrap_or(0));
        let witnessed = self.disorder.as_ref().is_some_and(|disorder| disorder.far.is_near(ack));
        let next = self.next().unwrap_or(0);
        // Where the FIN is next, its acknowledgement speaks of no byte.
        let delivered = next + u64::from(self.fin() == Some(next));
        self.acks.note(ack, n, limit, delivered, witnessed);
    }

    /// A FIN behind the byte before `at`. The lowest one at or above the highest byte seen counts.
    pub(super) fn note_fin<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        n: u64,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let beyond = self.highest().is_some_and(|high| at.saturating_sub(high) > FAR_AHEAD);
        if beyond || self.seen().is_some_and(|seen| at < seen) {
            return Ok(());
        }
        if self.fin().is_some_and(|fin| at >= fin) {
            return Ok(());
        }
        self.acks.bytes_came(at + 1, n, self.next().unwrap_or(0));
        self.set_fin(end, at, n, out)
    }

    /// The highest position that something speaks for.
    pub(super) fn highest(&self) -> Option<u64> {
        [self.next(), self.seen(), self.acks.highest()].into_iter().flatten().max()
    }
}
