//! What the rings of a capture share.

use crate::config::{self, Config};
use crate::stop::Stop;
use crate::workers::{Counted, Halted};
use capture::{LiveStats, Packet, Recorder};
use sink::Disk;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::Timestamp;

/// How often rings are looked after; more often where bytes are to be written soon.
const TICK: Duration = Duration::from_millis(250);
const SHORT_TICK: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_millis(1500);

/// By so much a look may be late, and the kernel with a packet.
const LATE: Duration = Duration::from_millis(150);

/// What the rings of a capture share.
pub(super) struct Together<'a> {
    pub(super) plan: &'a config::Live,
    pub(super) disk: Option<&'a Disk>,
    pub(super) begun: Instant,
    stop: Stop,
    /// Nothing more is taken but what has come.
    to_stop: AtomicBool,
    /// Nothing more is taken.
    over: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
    /// What each ring showed last.
    shown: Vec<Mutex<Shown>>,
    recorder: Option<Mutex<Recorder>>,
}

/// What a ring shows of itself.
#[derive(Default)]
struct Shown {
    stats: LiveStats,
    counted: Counted,
    /// The time of its last packet, if one came since somebody asked.
    latest: Option<Timestamp>,
    /// When that was shown; and the time of the last packet, if others wait to be taken.
    at: Option<Instant>,
    behind: Option<Timestamp>,
}

impl<'a> Together<'a> {
    pub(super) fn new(
        plan: &'a config::Live,
        config: &'a Config,
        stop: Stop,
        recorder: Option<Recorder>,
    ) -> Self {
        Self {
            plan,
            disk: config.output.disk.as_ref(),
            begun: Instant::now(),
            stop,
            to_stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            shown: (0..plan.rings).map(|_| Mutex::default()).collect(),
            recorder: recorder.map(Mutex::new),
        }
    }

    /// How often rings are looked after.
    pub(super) fn tick(&self) -> Duration {
        if self.plan.flush_interval < SOON { SHORT_TICK } else { TICK }
    }

    /// How long after what waited was written it is to be done again. What came just after once is written the
    /// second time after that.
    pub(super) fn write_after(&self) -> Duration {
        (self.plan.flush_interval / 2).saturating_sub(self.tick() + LATE)
    }

    /// Is nothing more to be taken but what has come?
    pub(super) fn is_to_stop(&self) -> bool {
        self.stop.is_wanted() || self.to_stop.load(Ordering::Relaxed)
    }

    /// From now on, nothing is taken but what has come; was that so before?
    pub(super) fn stop(&self) -> bool {
        self.to_stop.swap(true, Ordering::Relaxed)
    }

    /// Is nothing more to be taken?
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// From now on, nothing is taken.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Looks for reasons that need not be asked for with each packet.
    pub(super) fn look(&self, now: Instant) {
        if self.plan.duration.is_some_and(|most| now - self.begun >= most) {
            self.stop();
        }
        if self.disk.is_some_and(Disk::is_full) {
            self.end();
        }
    }

    /// Counts a packet, if it is not one too many.
    pub(super) fn may_take(&self, packet: &Packet<'_>) -> bool {
        let len = packet.bytes.len() as u64;
        let packets = self.packets.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(len, Ordering::Relaxed) + len;
        let (max_packets, max_bytes) = (self.plan.max_packets, self.plan.max_bytes);
        if max_packets.is_some_and(|most| packets >= most)
            || max_bytes.is_some_and(|most| bytes >= most)
        {
            self.end();
        }
        let too_many = max_packets.is_some_and(|most| packets > most)
            || max_bytes.is_some_and(|most| bytes - len >= most);
        !too_many
    }

    /// Records a packet, if that is wanted.
    pub(super) fn record(&self, packet: &Packet<'_>) -> Result<(), Halted> {
        match self.recorder() {
            None => Ok(()),
            // What happened is told at the end.
            Some(mut recorder) => recorder.record(packet).map_err(|_| Halted),
        }
    }

    /// Writes what was recorded.
    pub(super) fn write_recording(&self) -> Result<(), Halted> {
        match self.recorder() {
            None => Ok(()),
            Some(mut recorder) => recorder.flush(self.stats()).map_err(|_| Halted),
        }
    }

    /// The recording, which is to be ended.
    pub(super) fn into_recorder(self) -> Option<Recorder> {
        self.recorder.map(|recorder| recorder.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn recorder(&self) -> Option<MutexGuard<'_, Recorder>> {
        Some(self.recorder.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The time of the latest of the packets that came since this was asked. (Where a clock was set back, that is
    /// earlier than others before.)
    pub(super) fn take_latest(&self) -> Option<Timestamp> {
        let latest = |shown: &Mutex<Shown>| {
            shown.lock().unwrap_or_else(PoisonError::into_inner).latest.take()
        };
        let later = |a: Timestamp, b: Timestamp| if a.nanos_since(b.again()) > 0 { a } else { b };
        self.shown.iter().filter_map(latest).reduce(later)
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes captured.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Shows the others what a ring has counted, when its last packet came, if one came since it did so, and whether
    /// it had taken all at some moment since.
    pub(super) fn show(
        &self,
        ring: usize,
        (stats, counted): (LiveStats, Counted),
        (clock, is_new): (Timestamp, bool),
        caught_up: bool,
    ) {
        let Some(shown) = self.shown.get(ring) else { return };
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = if is_new { Some(clock.again()) } else { shown.latest.take() };
        let behind = (!caught_up).then_some(clock);
        *shown = Shown { stats, counted, latest, at: Some(Instant::now()), behind };
    }

    /// The time up to which all rings have taken their packets, where `since` then it was `latest`: a ring that others
    /// are ahead of must not take for silence what it has not looked at yet.
    pub(super) fn all_are_at(&self, (latest, since): &(Timestamp, Instant)) -> Timestamp {
        let earlier = |a: Timestamp, b: Timestamp| if a.nanos_since(b.again()) < 0 { a } else { b };
        let of_ring = |shown: &Mutex<Shown>| {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = shown.at?.saturating_duration_since(*since);
            Some(
                shown
                    .behind
                    .as_ref()
                    .map_or_else(|| later(latest.again(), passed), Timestamp::again),
            )
        };
        self.shown.iter().filter_map(of_ring).reduce(earlier).unwrap_or_else(|| latest.again())
    }

    /// What the kernel says of all rings.
    pub(super) fn stats(&self) -> LiveStats {
        let mut stats = LiveStats::default();
        for shown in &self.shown {
            stats.add_ring(&shown.lock().unwrap_or_else(PoisonError::into_inner).stats);
        }
        stats
    }

    /// What was counted before datagrams came to the workers.
    pub(super) fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        for shown in &self.shown {
            counted += &shown.lock().unwrap_or_else(PoisonError::into_inner).counted;
        }
        counted
    }
}

/// So much later.
pub(super) fn later(time: Timestamp, by: Duration) -> Timestamp {
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
