//! What is done now and then while a capture goes on.

use super::figures::Figures;
use super::metrics::Exporter;
use super::together::Together;
use crate::run::Run;
use crate::workers::{Halted, Tick};
use std::time::Instant;
use wire::Timestamp;

/// Tells the workers the time, and people and programs how it goes.
pub(super) struct Watch<'a> {
    exporter: Option<&'a Exporter>,
    written: Instant,
    /// When it is next to be said how it goes.
    due: Option<Instant>,
    /// The time is that of the latest packet and what has passed since: clocks are set now and then, that of
    /// this machine and, where it is another, that of the packets.
    clock: Option<(Timestamp, Instant)>,
    /// Connections were to be counted; what came of it is there at the next look.
    counts: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(together: &Together<'_>, exporter: Option<&'a Exporter>) -> Self {
        let begun = together.begun;
        let due = together.plan.stats_interval.and_then(|interval| begun.checked_add(interval));
        Self { exporter, written: begun, due, clock: None, counts: false }
    }

    /// Looks at the time.
    pub(super) fn look(
        &mut self,
        run: &mut Run<'_>,
        together: &Together<'_>,
        now: Instant,
    ) -> Result<(), Halted> {
        let write = now - self.written >= together.write_after();
        let say = self.due.is_some_and(|due| now >= due);
        if self.counts {
            self.tell(run, together, say);
            self.counts = false;
            if let (true, Some(interval)) = (say, together.plan.stats_interval) {
                self.due =
                    self.due.map(|due| if now - due < interval { due + interval } else { now });
            }
        } else {
            self.counts = say || self.exporter.is_some_and(Exporter::is_asked);
        }
        if write {
            self.written = now;
            together.write_recording()?;
        }
        if let Some(latest) = together.take_latest() {
            self.clock = Some((latest, now));
        }
        let Some(clock) = &self.clock else { return Ok(()) };
        let time = together.all_are_at(clock);
        let Some(workers) = &mut run.workers else { return Ok(()) };
        workers.tell_time(Tick { now: time, write, count: self.counts })?;
        let connections = workers.connections();
        run.notes.progress().show(together.bytes(), connections);
        Ok(())
    }

    /// Tells people and programs how it goes.
    fn tell(&self, run: &Run<'_>, together: &Together<'_>, say: bool) {
        let mut counted =
            run.workers.as_ref().map(crate::workers::Workers::counted).unwrap_or_default();
        counted += &together.counted();
        let figures = Figures {
            elapsed: together.begun.elapsed(),
            packets: together.packets(),
            bytes: together.bytes(),
            stats: together.stats(),
            counted,
            disk: together.disk.map(|disk| (disk.used(), disk.counts())),
        };
        if say {
            run.notes.statistics(&figures.line());
        }
        if let Some(exporter) = self.exporter {
            exporter.publish(figures.exposition());
        }
    }
}
