//! What the data of a segment is: new, known, a keep-alive, or not to be believed yet.

use super::far::Far;
use super::position::Mark;
use super::stream::{Held, Stream};
use super::{FAR_AHEAD, Step};
use crate::ledger::Counter;
use crate::outlet::Outlet;
use crate::{Limit, Overlap, Sink};
use wire::Payload;

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
        self.judge(end, at, payload, false, step, out)
    }

    /// The same. `witnessed` where another segment has spoken for it, should it seem astray.
    fn judge<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        payload: Payload<'_>,
        witnessed: bool,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let after = at + u64::from(payload.len);
        let weak = payload.len == 1 && self.may_be_keep_alive(after);
        let of_fin = weak && self.fin() == Some(at);
        if weak && (of_fin || self.next().is_some_and(|next| after <= next)) {
            out.add(end, Counter::KeepAlive, 1);
            return Ok(());
        }
        let mut fresh = (at, payload.bytes);
        let mut repeated = 0;
        if let Some(next) = self.next() {
            let old = next.saturating_sub(at).min(payload.bytes.len() as u64);
            repeated = self.count_old(end, at, at + old, out);
            fresh = (at + old, &payload.bytes[old as usize..]);
        }
        if self.is_astray(at, after) {
            if !witnessed && !self.is_confirmed(at) {
                self.keep_far(end, at, payload, step, out);
                return Ok(());
            }
            self.doubt_the_first(end, step, out);
            if !witnessed {
                // What it confirms was captured before it, so its bytes come first.
                self.take_in_confirmed(end, at, step, out)?;
                return self.judge(end, at, payload, true, step, out);
            }
        }
        let seen_before = self.seen().unwrap_or(0);
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
        if self.next() == Some(at) && self.first_held().is_none_or(|(first, _)| after <= first) {
            self.deliver(end, bytes, out.now(), out)?;
            return Ok(0);
        }
        let disorder = self.disorder();
        if disorder.held.is_empty() {
            disorder.held_since = step.n;
        }
        let overlap = if weak { Overlap::First } else { step.overlap };
        if !weak && disorder.weak > 0 {
            let gone = disorder.held.remove_where(at, after, |piece| piece.meta.weak);
            disorder.weak = disorder.weak.saturating_sub(gone);
            out.add(end, Counter::KeepAlive, gone as u64);
        }
        let frames = u32::try_from(step.frames).unwrap_or(u32::MAX);
        let meta = Held { source: out.now(), n: step.n, frames, weak };
        let inserted = disorder.held.insert(at, bytes, meta, overlap);
        if weak {
            disorder.weak += inserted.fresh;
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
        if from == to {
            return 0;
        }
        let start = self.base().unwrap_or(from).clamp(from, to);
        let overlap = |&(a, b): &(u64, u64)| b.min(to).saturating_sub(a.max(start));
        let gaps = self.disorder.iter().flat_map(|disorder| &disorder.gaps);
        let late: u64 = gaps.map(overlap).sum();
        out.add(end, Counter::BeforeStart, start - from);
        out.add(end, Counter::Late, late);
        to - start - late
    }

    fn note_seen(&mut self, after: u64, snapped: bool, n: u64) {
        let seen = self.seen().map_or(after, |seen| seen.max(after));
        self.seen = Mark::at(seen);
        if snapped {
            let disorder = self.disorder();
            disorder.snapped = Mark::at(after.max(disorder.snapped.get().unwrap_or(0)));
        }
        self.acks.bytes_came(seen, n, self.next().unwrap_or(0));
    }

    /// Do bytes lie more than 64 MiB from what is known of this direction: ahead of all of it, or, where it
    /// has not begun, on either side of what is held?
    fn is_astray(&self, at: u64, after: u64) -> bool {
        let (low, high) = match (self.base(), self.first_held()) {
            (Some(_), _) => (0, self.highest()),
            (None, Some((low, _))) => (low, self.seen()),
            (None, None) => return false,
        };
        let ahead = high.is_some_and(|high| at.saturating_sub(high) > FAR_AHEAD);
        ahead || low.saturating_sub(after) > FAR_AHEAD
    }

    /// Does anything else speak for bytes that are astray: another segment near them, or the peer?
    fn is_confirmed(&self, at: u64) -> bool {
        let peer = match self.base() {
            Some(_) => self.acks.speak_for(at),
            None => self.acks.are_near(at, at),
        };
        peer || self.disorder.as_ref().is_some_and(|disorder| disorder.far.confirm(at))
    }

    /// What seemed astray is confirmed. In a direction that has not begun, the one segment before it may
    /// be the stray one: it waits for a witness now, if it has none.
    fn doubt_the_first<S: Sink>(&mut self, end: usize, step: &Step, out: &mut Outlet<'_, S>) {
        let alone = self.base().is_none() && self.disorder().held.len() == 1;
        let Some((at, piece)) = self.first_held().filter(|_| alone) else { return };
        let after = at + piece.bytes.len() as u64;
        if self.acks.are_near(at, after) {
            return;
        }
        let Some((_, piece)) = self.take_first() else { return };
        let fin = self.fin() == Some(after);
        if fin {
            self.forget_fin();
        }
        self.seen = Mark::default();
        let (bytes, source) = (piece.bytes, piece.meta.source);
        let (len, frames) = (bytes.len() as u32, u64::from(piece.meta.frames));
        self.keep(end, Far { at, bytes, len, fin, source, frames }, step, out);
    }

    fn keep_far<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        payload: Payload<'_>,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) {
        let Payload { bytes, len } = payload;
        let (fin, frames) = (step.fin, step.frames);
        let far = Far { at, bytes: bytes.into(), len, fin, source: out.now(), frames };
        self.keep(end, far, step, out);
    }

    fn keep<S: Sink>(&mut self, end: usize, far: Far, step: &Step, out: &mut Outlet<'_, S>) {
        if let Some(oldest) = self.disorder().far.keep(far, step.far_ahead) {
            out.limit(Limit::FarAhead);
            out.implausible(end, oldest.frames);
        }
    }

    /// Segments far ahead that the peer's acknowledgement confirms.
    pub(super) fn take_in_acknowledged<S: Sink>(
        &mut self,
        end: usize,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        match self.acks.highest() {
            Some(ack) if self.disorder.is_some() => self.take_in_confirmed(end, ack, step, out),
            _ => Ok(()),
        }
    }

    /// Segments far ahead that something near `at` confirms.
    fn take_in_confirmed<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        step: &Step,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let Some(disorder) = self.disorder.as_mut().filter(|d| !d.far.is_empty()) else {
            return Ok(());
        };
        for far in disorder.far.take_near(at) {
            let now = out.set_now(far.source);
            let payload = Payload { bytes: &far.bytes, len: far.len };
            let mut result = self.judge(end, far.at, payload, true, step, out);
            if far.fin && result.is_ok() {
                result = self.note_fin(end, far.at + u64::from(far.len), step.n, out);
            }
            out.set_now(now);
            result?;
        }
        Ok(())
    }
}
