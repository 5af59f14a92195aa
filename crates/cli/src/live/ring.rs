//! One ring, and the thread that reads it.

use super::together::Together;
use super::watch::Watch;
use crate::config;
use crate::run::{Origin, Progressed, Run};
use crate::workers::{Halted, Workers};
use capture::Live;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a ring is looked after.
const TICK: Duration = Duration::from_millis(250);

/// A capture, and what became of it.
pub(super) struct Ring<'a> {
    pub(super) live: Live,
    pub(super) origin: Origin<'a>,
    pub(super) became: Progressed,
}

impl<'a> Ring<'a> {
    pub(super) fn new(live: Live, plan: &'a config::Live) -> Self {
        let name = live.name().to_owned().into();
        let origin = Origin { number: 1, name, path: Path::new(&plan.interface) };
        Self { live, origin, became: Progressed { readable: true, ..Progressed::default() } }
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
        let result = self.follow_until_over(ring, together, watch);
        // Whatever it was, the others need not go on.
        together.end();
        together.show(ring, self);
        result
    }

    fn follow_until_over(
        &mut self,
        ring: &mut Ring<'_>,
        together: &Together<'_>,
        mut watch: Option<&mut Watch<'_>>,
    ) -> Result<(), Halted> {
        let mut looked = Instant::now();
        while !together.is_over() {
            match ring.live.next_packet() {
                Ok(Some(packet)) => {
                    if !together.may_take(&packet) {
                        break;
                    }
                    ring.became.packets += 1;
                    ring.became.bytes += packet.bytes.len() as u64;
                    together.record(&packet)?;
                    self.take(&ring.origin, &packet)?;
                    if ring.live.has_next() {
                        continue;
                    }
                }
                // The next one may be long in coming.
                Ok(None) => self.workers.as_mut().map_or(Ok(()), Workers::flush)?,
                Err(error) => {
                    self.notes.problem(&error);
                    ring.became.problem = Some(error.detail());
                    break;
                }
            }
            let now = Instant::now();
            if ring.became.packets > 0 {
                together.note_time(&self.clock);
            }
            if now - looked >= TICK {
                looked = now;
                together.show(ring, self);
                if let Some(watch) = &mut watch {
                    watch.look(self, together, now)?;
                }
            }
            together.look(now);
        }
        Ok(())
    }
}
