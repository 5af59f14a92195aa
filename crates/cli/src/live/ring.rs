//! One ring, and the thread that reads it.

use super::together::{Together, later};
use super::watch::Watch;
use crate::config;
use crate::run::{Origin, Progressed, Run};
use crate::workers::{Halted, Workers};
use capture::Live;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use wire::Timestamp;

/// A capture, and what became of it.
pub(super) struct Ring<'a> {
    pub(super) live: Live,
    pub(super) origin: Origin<'a>,
    pub(super) became: Progressed,
    /// How many packets there were when it [last showed](Together::show) what was counted.
    shown: u64,
    /// Were all packets taken that had come, at some moment since then?
    caught_up: bool,
}

impl<'a> Ring<'a> {
    pub(super) fn new(live: Live, plan: &'a config::Live) -> Self {
        let name = live.name().to_owned().into();
        let origin = Origin { number: 1, name, path: Path::new(&plan.interface) };
        let became = Progressed { readable: true, ..Progressed::default() };
        Self { live, origin, became, shown: 0, caught_up: false }
    }

    /// Shows the others what was counted.
    fn show(&mut self, run: &Run<'_>, together: &Together<'_>) {
        let before = std::mem::replace(&mut self.shown, self.became.packets);
        let is_new = before < self.became.packets;
        let counted = (self.live.stats(), run.counted_by_intake());
        let caught_up = std::mem::take(&mut self.caught_up);
        together.show(self.origin.number - 1, counted, (run.clock.again(), is_new), caught_up);
    }
}

impl Run<'_> {
    /// Takes a ring's packets until there is a reason to stop. Whoever has the watch looks at the time.
    pub(super) fn follow(
        &mut self,
        ring: &mut Ring<'_>,
        together: &Together<'_>,
        watch: Option<&mut Watch<'_>>,
    ) -> Result<(), Halted> {
        let result = self.follow_to_the_end(ring, together, watch);
        if result.is_err() {
            together.end();
        }
        ring.show(self, together);
        result
    }

    fn follow_to_the_end(
        &mut self,
        ring: &mut Ring<'_>,
        together: &Together<'_>,
        mut watch: Option<&mut Watch<'_>>,
    ) -> Result<(), Halted> {
        let (mut looked, mut rest) = (Instant::now(), None);
        let tick = together.tick();
        while !together.is_over() {
            if rest.is_none() && together.is_to_stop() {
                rest = Some(Rest::of(&mut ring.live));
            }
            if rest.as_ref().is_some_and(|rest| rest.has_come(ring.live.packets())) {
                break;
            }
            match ring.live.next_packet() {
                Ok(Some(packet)) => {
                    if !together.may_take(&packet) {
                        break;
                    }
                    ring.became.packets += 1;
                    ring.became.bytes += packet.bytes.len() as u64;
                    together.record(&packet)?;
                    self.take(&ring.origin, &packet)?;
                    if rest.as_ref().is_some_and(|rest| rest.is_before(&self.clock)) {
                        break;
                    }
                    if ring.live.has_next() {
                        continue;
                    }
                }
                Ok(None) if rest.as_ref().is_some_and(Rest::is_late) => break,
                // The next one may be long in coming.
                Ok(None) => {
                    ring.caught_up = true;
                    self.workers.as_mut().map_or(Ok(()), Workers::flush)?;
                }
                Err(error) => {
                    ring.became.problem = Some(error.detail());
                    // The others have their rest to take, and the same to say.
                    if !together.stop() {
                        self.notes.problem(&error);
                    }
                    break;
                }
            }
            let now = Instant::now();
            if now - looked >= tick {
                looked = now;
                ring.show(self, together);
                if let Some(watch) = &mut watch {
                    watch.look(self, together, now)?;
                }
            }
            together.look(now);
        }
        Ok(())
    }
}

/// What had come when it was time to stop, and may still be in the kernel's ring: up to so many packets in all, up
/// to this time. The kernel counts those too that libpcap leaves out (what goes out over the loopback interface
/// comes in again), and clocks may be set, so that both are looked at.
struct Rest {
    since: Instant,
    time: Timestamp,
    packets: u64,
}

impl Rest {
    fn of(live: &mut Live) -> Self {
        let stats = live.stats();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            since: Instant::now(),
            time: later(Timestamp::default(), time),
            packets: stats.received.saturating_sub(stats.dropped),
        }
    }

    /// Were so many packets all of it?
    fn has_come(&self, packets: u64) -> bool {
        packets >= self.packets
    }

    /// Does a packet of this time belong to it no more?
    fn is_before(&self, time: &Timestamp) -> bool {
        time.nanos_since(self.time) > 0
    }

    /// Is there none, if there is none at this moment?
    fn is_late(&self) -> bool {
        self.since.elapsed() >= capture::HANDED_OVER
    }
}
