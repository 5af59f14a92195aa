//! What time does to the connections of a shard.

use crate::arrival::Label;
use crate::entry::Entry;
use crate::lives::Lives;
use crate::shard::{Shard, outlet};
use crate::tcp::State;
use crate::timeouts::Phase;
use crate::{Ended, Side, Sink, Timeouts};
use std::time::Duration;
use wire::{Timestamp, protocol};

/// So many of a shard's connections that hold bytes are looked at when time is told.
const AT_ONCE: usize = 256;

impl<H: Copy> Shard<H> {
    /// It is `now`, and no packet may come for long: ends the connections that were silent for too long, and
    /// lets those that hold bytes give up what they wait for. Does nothing where
    /// [nobody tells the time](crate::Timeouts::quiet).
    ///
    /// # Errors
    /// The sink's own.
    pub(crate) fn handle_timeout<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        now: Timestamp,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Some(timeouts) = self.told_time() else { return Ok(()) };
        let table = &self.table;
        self.timers.tidy(table.len(), |due| table.opened(lives, due.index) == due.opened);
        self.give_up_waiting(lives, now, timeouts.quiet.unwrap_or_default(), sink)?;
        // Whoever is looked at may be due again at once, at the ends of time.
        for due in self.timers.all_due(now) {
            // Its slot may be another's by now, or nobody's.
            if self.table.opened(lives, due.index) == due.opened {
                self.look_at(lives, due.index, due.opened, now, &timeouts, sink)?;
            }
        }
        Ok(())
    }

    /// The timeouts, where time is told.
    #[inline]
    pub(crate) fn told_time(&self) -> Option<Timeouts> {
        // No copy where there are none: most packets come from files.
        match &self.config.timeouts {
            Some(timeouts) if timeouts.quiet.is_some() => Some(*timeouts),
            _ => None,
        }
    }

    /// A new connection is to be looked at when it was silent for too long.
    #[cold]
    pub(crate) fn look_after_new(&mut self, index: u32, label: &Label) {
        let Some(timeouts) = self.told_time() else { return };
        let wait = match label.key.protocol() {
            // It may be established at once.
            protocol::TCP => timeouts.half_open.min(timeouts.established),
            other => timeouts.of_messages(other),
        };
        self.timers.add(index, label.serial, label.source.time, wait);
    }

    /// A connection is to be looked at when it was silent for so long.
    pub(crate) fn look_after(&mut self, lives: &mut Lives<H>, index: u32, wait: Duration) {
        if let Some((entry, _)) = self.table.awake(lives, index) {
            let (opened, last) = (entry.opened, entry.last.time);
            self.timers.add(index, opened, last, wait);
        }
    }

    /// Ends a connection if it was silent for too long at `now`, or sees to it that it is looked at again.
    fn look_at<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        index: u32,
        opened: u64,
        now: Timestamp,
        timeouts: &Timeouts,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let asleep;
        let (entry, tcp) = match self.table.awake(lives, index) {
            Some((entry, tcp)) => (&*entry, tcp.map(|tcp| &*tcp)),
            None => {
                asleep = self.table.recall(index);
                let Some((entry, tcp)) = &asleep else { return Ok(()) };
                (entry, tcp.as_ref())
            }
        };
        let idle = timeout(timeouts, entry, tcp);
        if entry.is_idle(now, idle) {
            return self.close(lives, index, Ended::Idle, sink);
        }
        let (last, soonest) = (entry.latest(), timeouts.established);
        let can_change = tcp.is_some_and(|tcp| tcp.phase() == Phase::HalfOpen);
        self.timers.add(index, opened, last, if can_change { idle.min(soonest) } else { idle });
        Ok(())
    }

    /// Connections that hold bytes and were silent for so long wait for nothing any more.
    fn give_up_waiting<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        now: Timestamp,
        quiet: Duration,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        // Nearly always the first is idle for longest. Where a clock was set back, it is not.
        let waiting: Vec<u32> =
            self.holders.iter().take(AT_ONCE).map(|&(_, index)| index).collect();
        for index in waiting {
            let Some((entry, Some(tcp))) = self.table.awake(lives, index) else { continue };
            if !entry.is_idle(now, quiet) {
                continue;
            }
            let order = Side::BOTH.map(|side| entry.connection.index(side));
            // As at the end: the time of a gap is that of the last packet, whenever somebody looked.
            let source = entry.last;
            let mut out = outlet(entry, &mut self.books, &mut self.totals, sink, source);
            let (was_settled, before) = (tcp.is_settled(), tcp.cost());
            tcp.in_full().wait_no_more(order, &mut out)?;
            self.let_go(lives, index, before, was_settled, sink)?;
        }
        Ok(())
    }
}

/// After how long a silence a connection ends.
pub(crate) fn timeout<H>(timeouts: &Timeouts, entry: &Entry<H>, tcp: Option<&State>) -> Duration {
    match tcp {
        Some(tcp) => timeouts.of(tcp.phase()),
        None => timeouts.of_messages(entry.connection.protocol()),
    }
}
