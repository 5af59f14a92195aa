//! A run over the packets of an interface.

use crate::config;
use crate::run::{Origin, Progressed, Run};
use crate::workers::{Halted, Workers};
use capture::{Interface, Live, LiveConfig, LiveError};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::Timestamp;

/// How often connections are asked whether they were silent for too long.
const TICK: Duration = Duration::from_millis(250);

impl<'a> Run<'a> {
    /// Captures until it is told to stop. `false` where the filter is wrong: then nothing was created.
    ///
    /// # Errors
    /// There is no such interface, or it may not be captured from; or output cannot be prepared.
    pub(crate) fn capture(
        &mut self,
        plan: &'a config::Live,
        inputs: &mut Vec<(Origin<'a>, Progressed)>,
    ) -> anyhow::Result<bool> {
        let all = capture::interfaces()?;
        let name = &Interface::find(&plan.interface, &all)?.name;
        let opened = Live::open(&LiveConfig {
            interface: name.clone(),
            snap_length: plan.snap_length,
            buffer_size: plan.buffer_size,
            promiscuous: plan.promiscuous,
            filter: self.config.filter.clone(),
        });
        let mut live = match opened {
            Err(error @ LiveError::Filter { .. }) => {
                self.notes.problem(error);
                return Ok(false);
            }
            opened => opened?,
        };
        self.workers = Some(Workers::start(self.config)?);
        self.note_time_zone();
        let origin =
            Origin { number: 1, name: name.clone().into(), path: Path::new(&plan.interface) };
        self.notes.detail(|| format!("capturing on {name}"));
        let mut became = Progressed { readable: true, ..Progressed::default() };
        // Why workers halt is said at the end.
        let _ = self.follow(&mut live, plan, &origin, &mut became);
        became.packets = live.packets();
        let stats = live.stats();
        if stats.dropped + stats.dropped_by_interface > 0 {
            let problem = format!(
                "{} packets were lost because they came faster than they were read, {} by the \
                 interface: give a larger --buffer-size, or a filter",
                stats.dropped, stats.dropped_by_interface
            );
            self.notes.problem(format_args!("{name}: {problem}"));
            became.problem.get_or_insert(problem);
        }
        inputs.push((origin, became));
        Ok(true)
    }

    /// Takes packets until there is a reason to stop.
    fn follow(
        &mut self,
        live: &mut Live,
        plan: &config::Live,
        origin: &Origin<'_>,
        became: &mut Progressed,
    ) -> Result<(), Halted> {
        let begun = Instant::now();
        let (mut told, mut written) = (begun, begun);
        // The time is that of the last packet and what has passed since: clocks are set now and then, that of
        // this machine and, where it is another, that of the packets.
        let mut clock = (0, begun);
        let mut rest: Option<Rest> = None;
        while plan.max_packets.is_none_or(|most| live.packets() < most)
            && plan.max_bytes.is_none_or(|most| became.bytes < most)
        {
            if rest.is_none() {
                let is_time = plan.duration.is_some_and(|duration| begun.elapsed() >= duration);
                rest = (is_time || self.stop.is_wanted()).then(|| Rest::of(live));
            }
            if rest.as_ref().is_some_and(|rest| live.packets() >= rest.packets) {
                break;
            }
            match live.next_packet() {
                Ok(Some(packet)) => {
                    became.bytes += packet.bytes.len() as u64;
                    self.take(origin, &packet)?;
                    if rest.as_ref().is_some_and(|rest| self.clock.nanos_since(rest.time) > 0) {
                        break;
                    }
                    if live.has_next() {
                        continue;
                    }
                }
                Ok(None)
                    if rest.as_ref().is_some_and(|r| r.since.elapsed() >= capture::HANDED_OVER) =>
                {
                    break;
                }
                // The next one may be long in coming.
                Ok(None) => self.workers.as_mut().map_or(Ok(()), Workers::flush)?,
                Err(error) => {
                    self.notes.problem(&error);
                    became.problem = Some(error.detail());
                    break;
                }
            }
            let now = Instant::now();
            if live.packets() > clock.0 {
                clock = (live.packets(), now);
            }
            let Some(workers) = &mut self.workers else { break };
            if now - told >= TICK && clock.0 > 0 {
                let write = now - written >= plan.flush_interval / 2;
                workers.tell_time(later(self.clock.again(), now - clock.1), write)?;
                told = now;
                if write {
                    written = now;
                }
            }
            let connections = workers.connections();
            self.notes.progress().show(became.bytes, connections);
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
}

/// So much later.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    let nanos = u64::from(time.subsec_nanos()) + u64::from(by.subsec_nanos());
    let secs = time.secs().saturating_add_unsigned(by.as_secs() + nanos / 1_000_000_000);
    Timestamp::fine(secs, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        let time = later(Timestamp::fine(5, 900_000_000), Duration::from_millis(2250));
        assert_eq!(time, Timestamp::fine(8, 150_000_000));
        assert_eq!(later(Timestamp::fine(i64::MAX, 0), Duration::MAX).secs(), i64::MAX);
    }
}
