//! What goes out of a direction, and when: the anchor (rule 6), holes and gaps (rule 8).

use super::position::Mark;
use super::stream::{Held, Stream};
use super::{ACK_REACH, ANCHOR_BYTES, ANCHOR_PACKETS, ONE_SIDED_PACKETS, PAST_HOLE, Step};
use crate::ledger::Counter;
use crate::outlet::Outlet;
use crate::pieces::Piece;
use crate::{Limit, Sink, Source};

/// How many of a direction's gaps are remembered, to tell bytes that come too late from bytes that come
/// again. What comes for an older one counts as a repetition.
const GAPS_REMEMBERED: usize = 64;

/// Why a direction is asked for what it has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Occasion<'a> {
    /// A packet came; the number of the peer's last one.
    Packet(&'a Step, u64),
    /// Nothing more will come.
    End,
}

impl Stream {
    /// May this direction begin where it is, or has it begun? Without held bytes there is no question.
    pub(super) fn is_ready(&self, step: &Step) -> bool {
        let Some(disorder) = self.disorder.as_ref().filter(|_| self.base().is_none()) else {
            return true;
        };
        disorder.held.is_empty()
            || step.n.saturating_sub(disorder.held_since) >= ANCHOR_PACKETS
            || disorder.held.bytes() >= ANCHOR_BYTES
    }

    /// Is it at the limit of what it may hold?
    pub(super) fn is_full(&self, step: &Step) -> bool {
        self.cost() > step.cap
    }

    /// The number of the packet whose bytes can go out next, after a gap if need be. The direction must
    /// have begun.
    pub(super) fn next_out<S: Sink>(
        &mut self,
        end: usize,
        occasion: Occasion<'_>,
        out: &mut Outlet<'_, S>,
    ) -> Option<u64> {
        let full = match occasion {
            Occasion::Packet(step, _) => self.is_full(step),
            Occasion::End => false,
        };
        self.base()?;
        loop {
            let (first, piece) = self.first_held()?;
            let (n, weak) = (piece.meta.n, piece.meta.weak);
            if first <= self.next {
                return Some(n);
            }
            // A weak byte behind a hole goes with the hole.
            let proved = match occasion {
                Occasion::End => true,
                Occasion::Packet(step, peer_last) => {
                    let behind = self.disorder.as_ref().map_or(0, |d| d.held.bytes());
                    full || behind >= PAST_HOLE
                        || step.n.saturating_sub(peer_last.max(n)) >= ONE_SIDED_PACKETS
                        || self.acks.prove(first + u64::from(weak), step.n)
                }
            };
            match (proved, weak) {
                (false, _) => return None,
                (true, false) => return Some(n),
                (true, true) => self.drop_weak(end, out),
            }
        }
    }

    /// Delivers what [`Self::next_out`] announced: the lowest bytes held, and the gap before them.
    pub(super) fn put_out<S: Sink>(
        &mut self,
        end: usize,
        occasion: Occasion<'_>,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let full = matches!(occasion, Occasion::Packet(step, _) if self.is_full(step));
        let Some((first, piece)) = self.take_first() else { return Ok(()) };
        if full && first > self.next {
            out.limit(Limit::BufferedPerDirection);
        }
        self.give_up(end, first, out)?;
        self.deliver(end, &piece.bytes, piece.meta.source, out)
    }

    /// Gives up the first hole, or begins where the direction is, and what was never confirmed. `false`
    /// when that freed nothing.
    pub(super) fn relieve<S: Sink>(
        &mut self,
        end: usize,
        out: &mut Outlet<'_, S>,
    ) -> Result<bool, S::Error> {
        let before = self.cost();
        self.drop_far(end, out);
        self.begin(end, out);
        if self.next_out(end, Occasion::End, out).is_some() {
            self.put_out(end, Occasion::End, out)?;
        }
        while self.first_held().is_some_and(|(first, _)| first <= self.next) {
            self.put_out(end, Occasion::End, out)?;
        }
        Ok(self.cost() < before)
    }

    /// Segments far ahead that nothing confirmed belong to no connection.
    pub(super) fn drop_far<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) {
        if let Some(disorder) = &mut self.disorder {
            for far in disorder.far.take_all() {
                out.implausible(end, far.frames);
            }
        }
    }

    /// Nothing is held any more: says what is still missing at the end.
    pub(super) fn finish<S: Sink>(
        &mut self,
        end: usize,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        match self.known_end() {
            Some(to) if self.base().is_some() && to > self.next => {
                self.give_up(end, to, out)?;
                if self.fin() == Some(to) { self.tell_fin(end, out) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Where the direction must have reached at least (rule 8(d)): its FIN; else what the peer
    /// acknowledged twice, or what the snap length cut.
    fn known_end(&self) -> Option<u64> {
        if self.fin().is_some() {
            return self.fin();
        }
        // One beyond the last byte may be the acknowledgement of a FIN that was not captured.
        let acked = self.acks.confirmed_above(self.next + 1);
        let acked = acked.filter(|&ack| ack <= self.next + ACK_REACH);
        acked.max(self.disorder.as_ref().and_then(|disorder| disorder.snapped.get()))
    }

    /// Without a SYN: begins at the peer's first acknowledgement if that is near below the lowest byte
    /// held, else at that byte (rule 6).
    pub(super) fn begin<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) {
        if self.base().is_some() {
            return;
        }
        let Some((lowest, _)) = self.first_held() else { return };
        let acked = self
            .acks
            .first()
            .filter(|ack| lowest.checked_sub(*ack).is_some_and(|d| d <= ACK_REACH));
        self.anchor_at(end, acked.unwrap_or(lowest), out);
    }

    /// Offset 0 stands at `base`.
    pub(super) fn anchor_at<S: Sink>(&mut self, end: usize, base: u64, out: &mut Outlet<'_, S>) {
        self.base = Mark::at(base);
        self.next = base;
        if let Some(disorder) = &mut self.disorder {
            out.add(end, Counter::BeforeStart, disorder.held.drop_below(base) as u64);
        }
    }

    /// Bytes are next.
    pub(super) fn deliver<S: Sink>(
        &mut self,
        end: usize,
        bytes: &[u8],
        source: Source,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        self.next += bytes.len() as u64;
        self.delivered = true;
        match self.fin() {
            // A FIN that data goes on over was none.
            Some(fin) if self.next > fin => self.forget_fin(),
            Some(_) => self.await_fin_again(out.now()),
            None => {}
        }
        out.data(end, bytes, source)
    }

    /// The hole up to `to`, if there is one, is a gap.
    fn give_up<S: Sink>(
        &mut self,
        end: usize,
        to: u64,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        if to <= self.next {
            return Ok(());
        }
        if to == self.next + 1 && self.fin() == Some(self.next) {
            // Behind the FIN's own number, which is no byte's.
            self.next = to;
            return Ok(());
        }
        let gap = (self.next, to);
        let gaps = &mut self.disorder().gaps;
        if gaps.len() >= GAPS_REMEMBERED {
            gaps.pop_front();
        }
        gaps.push_back(gap);
        let len = to - self.next;
        self.next = to;
        out.gap(end, len)
    }

    /// The weak byte behind the hole was a keep-alive: it becomes part of the hole.
    fn drop_weak<S: Sink>(&mut self, end: usize, out: &mut Outlet<'_, S>) {
        if self.take_first().is_some() {
            out.add(end, Counter::KeepAlive, 1);
        }
    }

    /// Takes the lowest bytes out of what is held.
    pub(super) fn take_first(&mut self) -> Option<(u64, Piece<Held>)> {
        let disorder = self.disorder.as_mut()?;
        let (first, piece) = disorder.held.pop_first()?;
        disorder.weak = disorder.weak.saturating_sub(usize::from(piece.meta.weak));
        Some((first, piece))
    }
}
