//! One direction of a TCP connection.

use super::acks::Acks;
use super::far::{Far, FarAhead};
use super::{
    ACK_REACH, ANCHOR_BYTES, ANCHOR_PACKETS, FAR_AHEAD, LATE_SYN, ONE_SIDED_PACKETS, PAST_HOLE,
    Step, position,
};
use crate::ledger::Counter;
use crate::outlet::Outlet;
use crate::pieces::Pieces;
use crate::{Limit, Overlap, Sink, Source};
use std::collections::VecDeque;
use wire::Payload;

/// How many of a direction's gaps are remembered, to tell bytes that come too late from bytes that come
/// again. What comes for an older one counts as a repetition.
const GAPS_REMEMBERED: usize = 64;

/// What is known of the packet that brought held bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Held {
    source: Source,
    /// The packet's number in the connection.
    n: u64,
    /// It may be a keep-alive probe, whose byte is garbage.
    weak: bool,
}

/// One direction. Positions are those of [`position`].
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The first position seen, from the sender or from the peer's acknowledgements.
    reference: Option<u64>,
    /// The SYN's position.
    isn: Option<u64>,
    /// The SYN itself was not seen; the peer's SYN-ACK told where it must have been.
    isn_inferred: bool,
    /// Bytes that the SYN carried.
    syn_len: u32,
    /// The anchor: where offset 0 stands. The next byte to deliver is known from then on.
    base: Option<u64>,
    next: u64,
    /// Was a byte delivered?
    delivered: bool,
    /// One past the highest byte seen, those cut by the snap length included.
    seen: Option<u64>,
    /// One past the highest byte cut by the snap length.
    snapped: Option<u64>,
    fin: Option<u64>,
    /// Did this end send anything, and the number of its last packet in the connection.
    spoke: bool,
    last_packet: u64,
    acks: Acks,
    held: Pieces<Held>,
    /// The packet that brought the first of the bytes held now.
    held_since: u64,
    /// Weak bytes held; never too low.
    weak: usize,
    far: FarAhead,
    gaps: VecDeque<(u64, u64)>,
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
    fn highest(&self) -> Option<u64> {
        [self.next(), self.seen, self.acks.highest()].into_iter().flatten().max()
    }
}

/// What the data is.
impl Stream {
    /// Takes in the data of a segment, which begins at `at`.
    pub(super) fn data<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        payload: Payload<'_>,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let after = at + u64::from(payload.len);
        let weak = payload.len == 1 && self.may_be_keep_alive(after);
        if weak && self.next().is_some_and(|next| after <= next) {
            out.add(end, Counter::KeepAlive, 1);
            return Ok(());
        }
        let mut fresh = (at, payload.bytes);
        let mut repeated = 0;
        if let Some(next) = self.next() {
            let old = next.saturating_sub(at).min(payload.bytes.len() as u64);
            repeated = self.count_old(end, at, at + old, out);
            fresh = (at + old, &payload.bytes[old as usize..]);
            let ahead = self.highest().is_some_and(|high| at.saturating_sub(high) > FAR_AHEAD);
            if ahead && !self.far.confirm(at) {
                self.keep_far(at, payload, step, out);
                return Ok(());
            }
        }
        let seen_before = self.seen.unwrap_or(0);
        self.note_seen(after, payload.missing() > 0, step.n);
        let mut new = 0;
        if !fresh.1.is_empty() {
            let covered = self.take_in(end, fresh, weak, step, out)?;
            new = fresh.1.len() as u64 - covered;
            repeated += covered;
        }
        let kind = if new == 0 { Counter::Retransmitted } else { Counter::Overlapping };
        out.add(end, kind, u64::from(repeated > 0));
        out.add(end, Counter::OutOfOrder, u64::from(new > 0 && fresh.0 < seen_before));
        self.take_in_confirmed(end, at, step, out)
    }

    /// Delivers new bytes that are next, holds others. Returns how many had come before.
    fn take_in<S: Sink>(
        &mut self,
        end: usize,
        (at, bytes): (u64, &[u8]),
        weak: bool,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<u64, S::Error> {
        let after = at + bytes.len() as u64;
        if self.next() == Some(at) && self.held.first().is_none_or(|(first, _)| after <= first) {
            self.deliver(end, bytes, out.now(), out)?;
            return Ok(0);
        }
        if self.held.is_empty() {
            self.held_since = step.n;
        }
        let overlap = if weak { Overlap::First } else { step.overlap };
        if !weak && self.weak > 0 {
            let gone = self.held.remove_where(at, after, |piece| piece.meta.weak);
            self.weak = self.weak.saturating_sub(gone);
            out.add(end, Counter::KeepAlive, gone as u64);
        }
        let meta = Held { source: out.now(), n: step.n, weak };
        let inserted = self.held.insert(at, bytes, meta, overlap);
        if weak {
            self.weak += inserted.fresh;
            out.add(end, Counter::KeepAlive, inserted.covered as u64);
            return Ok(inserted.covered as u64);
        }
        if inserted.conflict {
            out.conflict(end)?;
        }
        Ok(inserted.covered as u64)
    }

    /// A segment of one byte that ends at the next expected or at the highest acknowledged byte looks
    /// like a keep-alive probe (RFC 9293, section 3.8.4). One-byte messages of Telnet, VNC and
    /// databases look the same when packets change places, so it is only a candidate.
    fn may_be_keep_alive(&self, after: u64) -> bool {
        [self.next(), self.acks.highest(), self.acks.raw()].contains(&Some(after))
    }

    /// Counts bytes below the next one; how many of them are plain repetitions.
    fn count_old<S: Sink>(
        &mut self,
        end: usize,
        from: u64,
        to: u64,
        out: &mut Outlet<'_, S>,
    ) -> u64 {
        let start = self.base.unwrap_or(from).clamp(from, to);
        let overlap = |&(a, b): &(u64, u64)| b.min(to).saturating_sub(a.max(start));
        let late: u64 = self.gaps.iter().map(overlap).sum();
        out.add(end, Counter::BeforeStart, start - from);
        out.add(end, Counter::Late, late);
        to - start - late
    }

    fn note_seen(&mut self, after: u64, snapped: bool, n: u64) {
        let seen = self.seen.map_or(after, |seen| seen.max(after));
        self.seen = Some(seen);
        if snapped {
            self.snapped = self.snapped.max(Some(after));
        }
        self.acks.bytes_came(seen, n, self.next().unwrap_or(0));
    }

    fn keep_far<S: Sink>(
        &mut self,
        at: u64,
        payload: Payload<'_>,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) {
        let Payload { bytes, len } = payload;
        let far = Far { at, bytes: bytes.into(), len, source: out.now(), frames: step.frames };
        if let Some(oldest) = self.far.keep(far) {
            out.limit(Limit::FarAhead);
            out.implausible(oldest.frames);
        }
    }

    /// Segments far ahead that the one at `at` confirms.
    fn take_in_confirmed<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        while !self.far.is_empty() {
            let Some(far) = self.far.take_near(at) else { break };
            let now = out.set_now(far.source);
            let payload = Payload { bytes: &far.bytes, len: far.len };
            let result = self.data(end, far.at, payload, step, out);
            out.set_now(now);
            result?;
        }
        Ok(())
    }
}

/// What goes out.
impl Stream {
    /// Delivers and gives up what can be, after packet `step.n`, whatever it brought. `peer_last` is
    /// the number of the peer's last packet.
    pub(super) fn advance<S: Sink>(
        &mut self,
        end: usize,
        peer_last: u64,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        if self.held.is_empty() {
            return Ok(());
        }
        if self.base.is_none() {
            let waited = step.n.saturating_sub(self.held_since) >= ANCHOR_PACKETS;
            if !waited && self.held.bytes() < ANCHOR_BYTES && self.cost() < step.cap {
                return Ok(());
            }
            self.anchor(end, out);
        }
        self.drain(end, out)?;
        while let Some((first, piece)) = self.held.first() {
            let open_since = peer_last.max(piece.meta.n);
            let weak = piece.meta.weak;
            let full = self.cost() > step.cap;
            let behind = self.held.bytes() >= PAST_HOLE
                || step.n.saturating_sub(open_since) >= ONE_SIDED_PACKETS;
            if weak && (full || behind || self.acks.prove(first + 1, step.n)) {
                self.drop_weak(end, out);
            } else if full || behind || self.acks.prove(first, step.n) {
                if full {
                    out.limit(Limit::BufferedPerDirection);
                }
                self.give_up(end, first, out)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Gives up the first hole, or begins where the direction is.
    pub(super) fn relieve<S: Sink>(
        &mut self,
        end: usize,
        out: &mut Outlet<'_, S>,
    ) -> Result<bool, S::Error> {
        for far in self.far.take_all() {
            out.implausible(far.frames);
        }
        if self.held.is_empty() {
            return Ok(false);
        }
        if self.base.is_none() {
            self.anchor(end, out);
            self.drain(end, out)?;
        } else if let Some((first, _)) = self.held.first() {
            self.give_up(end, first, out)?;
        }
        Ok(true)
    }

    /// Nothing more will come.
    pub(super) fn finish<S: Sink>(
        &mut self,
        end: usize,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        for far in self.far.take_all() {
            out.implausible(far.frames);
        }
        if self.base.is_none() && !self.held.is_empty() {
            self.anchor(end, out);
        }
        if self.base.is_none() {
            return Ok(());
        }
        self.drain(end, out)?;
        while let Some((first, piece)) = self.held.first() {
            if piece.meta.weak {
                self.drop_weak(end, out);
            } else {
                self.give_up(end, first, out)?;
            }
        }
        match self.known_end() {
            Some(to) if to > self.next => self.give_up(end, to, out),
            _ => Ok(()),
        }
    }

    /// Where the direction must have reached at least (rule 8(d)): its FIN; else what the peer
    /// acknowledged twice, or what the snap length cut.
    fn known_end(&self) -> Option<u64> {
        if self.fin.is_some() {
            return self.fin;
        }
        // One beyond the last byte may be the acknowledgement of a FIN that was not captured.
        let acked = self
            .acks
            .raw_repeated()
            .filter(|&ack| ack > self.next + 1 && ack <= self.next + ACK_REACH);
        acked.max(self.snapped)
    }

    /// Without a SYN: begins at the peer's first acknowledgement if that is near below the lowest byte
    /// held, else at that byte (rule 6).
    fn anchor<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) {
        let Some((lowest, _)) = self.held.first() else { return };
        let acked = self
            .acks
            .first()
            .filter(|ack| lowest.checked_sub(*ack).is_some_and(|d| d <= ACK_REACH));
        self.anchor_at(end, acked.unwrap_or(lowest), out);
    }

    fn anchor_at<S: Sink>(&mut self, end: usize, base: u64, out: &mut Outlet<'_, S>) {
        self.base = Some(base);
        self.next = base;
        out.add(end, Counter::BeforeStart, self.held.drop_below(base) as u64);
    }

    /// Delivers everything held that is next.
    fn drain<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) -> Result<(), S::Error> {
        while self.held.first().is_some_and(|(first, _)| first <= self.next) {
            let Some((_, piece)) = self.held.pop_first() else { break };
            self.weak = self.weak.saturating_sub(usize::from(piece.meta.weak));
            self.deliver(end, &piece.bytes, piece.meta.source, out)?;
        }
        Ok(())
    }

    fn deliver<S: Sink>(
        &mut self,
        end: usize,
        bytes: &[u8],
        source: Source,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        self.next += bytes.len() as u64;
        self.delivered = true;
        out.data(end, bytes, source)
    }

    /// The hole up to `to` is a gap; what lies behind it can go out.
    fn give_up<S: Sink>(
        &mut self,
        end: usize,
        to: u64,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        if self.gaps.len() >= GAPS_REMEMBERED {
            self.gaps.pop_front();
        }
        self.gaps.push_back((self.next, to));
        let len = to - self.next;
        self.next = to;
        out.gap(end, len)?;
        self.drain(end, out)
    }

    /// The weak byte behind the hole was a keep-alive: it becomes part of the hole.
    fn drop_weak<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) {
        if self.held.pop_first().is_some() {
            self.weak = self.weak.saturating_sub(1);
            out.add(end, Counter::KeepAlive, 1);
        }
    }
}
