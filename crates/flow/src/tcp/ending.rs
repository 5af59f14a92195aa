//! When the sink is told that an end has sent FIN or RST (rule 4).
//!
//! A FIN stands in its direction as a byte would, and waits as one would: until all before it went out, or is
//! a gap. An RST has no place, and waits until nothing else does. What waits is kept with what is out of
//! order, so that nearly all connections need no room for it.

use super::position::Mark;
use super::stream::Stream;
use super::{Reset, Tcp};
use crate::outlet::Outlet;
use crate::varint::{Reader, Writer};
use crate::{EndFlag, Side, Sink, Source};

/// The packet that brought a FIN of which the sink was not told yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WaitingFin {
    /// Its number in the connection.
    pub(super) n: u64,
    pub(super) source: Source,
}

impl WaitingFin {
    /// Puts it down, or that there is none.
    pub(super) fn put(fin: Option<Self>, out: &mut Writer<'_>) {
        out.put(u64::from(fin.is_some()));
        if let Some(Self { n, source }) = fin {
            out.put(n);
            source.put(out);
        }
    }

    /// What was put down.
    pub(super) fn take(bytes: &mut Reader<'_>) -> Option<Self> {
        let there = bytes.take() > 0;
        there.then(|| Self { n: bytes.take(), source: Source::take(bytes) })
    }
}

impl Stream {
    /// The FIN at `at` counts from now on; packet `n` brought it. Tells the sink if it is next. (Otherwise
    /// [`Tcp::put_out`] does when it is.)
    pub(super) fn set_fin<S: Sink>(
        &mut self,
        end: usize,
        at: u64,
        n: u64,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let told = self.fin().is_some() && self.waiting_fin().is_none();
        self.fin = Mark::at(at);
        if told {
            return Ok(());
        }
        if self.next().is_some_and(|next| next >= at) {
            return self.tell_fin(end, out);
        }
        self.disorder().fin = Some(WaitingFin { n, source: out.now() });
        Ok(())
    }

    /// The FIN was none.
    pub(super) fn forget_fin(&mut self) {
        self.fin = Mark::default();
        self.take_waiting_fin();
    }

    /// Bytes went out that stand before the FIN. If the sink was told of it, because nothing else was known
    /// of this direction, that was too early: it will be told again.
    pub(super) fn await_fin_again(&mut self, source: Source) {
        self.disorder().fin.get_or_insert(WaitingFin { n: 0, source });
    }

    /// The FIN of which the sink was not told yet.
    pub(super) fn waiting_fin(&self) -> Option<&WaitingFin> {
        self.disorder.as_ref()?.fin.as_ref()
    }

    fn take_waiting_fin(&mut self) -> Option<WaitingFin> {
        self.disorder.as_mut()?.fin.take()
    }

    /// Tells the sink of the FIN, which is next.
    pub(super) fn tell_fin<S: Sink>(
        &mut self,
        end: usize,
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        let source = self.take_waiting_fin().map_or(out.now(), |fin| fin.source);
        out.ended(end, EndFlag::Fin, source)
    }

    /// Does it hold bytes because it is not known where it begins?
    fn waits_to_begin(&self) -> bool {
        self.base().is_none() && !self.holds_nothing()
    }

    /// Does nothing wait, neither bytes nor the FIN?
    pub(super) fn awaits_nothing(&self) -> bool {
        self.holds_nothing() && self.waiting_fin().is_none()
    }
}

impl Tcp {
    /// The number of the packet whose FIN is next in the direction of `end`, if one waits. Where nothing but
    /// the FIN is known of a direction, it is next when the other one has begun.
    pub(super) fn fin_due(&self, end: usize) -> Option<u64> {
        let (me, peer) = (&self.streams[end & 1], &self.streams[1 - (end & 1)]);
        let waiting = me.waiting_fin()?;
        let due = match (me.next(), me.first_held()) {
            (Some(next), None) => me.fin().is_some_and(|fin| next >= fin),
            // Bytes that stand at the FIN go on over it.
            (Some(next), Some((first, _))) => {
                me.fin().is_some_and(|fin| next >= fin) && first > next
            }
            (None, None) => !peer.waits_to_begin(),
            (None, Some(_)) => false,
        };
        due.then_some(waiting.n)
    }

    /// Tells the sink of the FINs that are next.
    pub(super) fn tell_fins<S: Sink>(&mut self, out: &mut Outlet<'_, S>) -> Result<(), S::Error> {
        let due = |tcp: &Self, end| Some((tcp.fin_due(end)?, end));
        while let Some((_, end)) = due(self, 0).into_iter().chain(due(self, 1)).min() {
            self.streams[end].tell_fin(end, out)?;
        }
        Ok(())
    }

    /// Tells the sink who reset the connection, once nothing waits that was to come before.
    pub(super) fn tell_resets<S: Sink>(&mut self, out: &mut Outlet<'_, S>) -> Result<(), S::Error> {
        if !self.reset.contains(&Reset::Waits) || !self.streams.iter().all(Stream::awaits_nothing) {
            return Ok(());
        }
        for end in Side::BOTH.map(|side| out.connection.index(side)) {
            if self.reset[end] == Reset::Waits {
                self.reset[end] = Reset::Told;
                out.ended(end, EndFlag::Rst, out.now())?;
            }
        }
        Ok(())
    }
}
