//! What the rings of a capture share.

use super::ring::Ring;
use crate::config::{self, Config};
use crate::run::Run;
use crate::stop::Stop;
use crate::workers::{Counted, Halted};
use capture::{LiveStats, Packet, RecordError, Recorder};
use sink::Disk;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use wire::Timestamp;

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
    /// The time of the latest packet, in nanoseconds since 1970; 0 where there was none.
    latest: AtomicI64,
    /// What each ring showed last.
    shown: Vec<Mutex<Shown>>,
    recorder: Option<Mutex<Recorder>>,
}

/// What a ring shows of itself.
#[derive(Default)]
struct Shown {
    stats: LiveStats,
    counted: Counted,
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
            latest: AtomicI64::new(0),
            shown: (0..plan.rings).map(|_| Mutex::default()).collect(),
            recorder: recorder.map(Mutex::new),
        }
    }

    /// Is nothing more to be taken but what has come?
    pub(super) fn is_to_stop(&self) -> bool {
        self.stop.is_wanted() || self.to_stop.load(Ordering::Relaxed)
    }

    /// From now on, nothing is taken but what has come.
    pub(super) fn stop(&self) {
        self.to_stop.store(true, Ordering::Relaxed);
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

    /// Ends the recording.
    pub(super) fn finish_recording(self, stats: LiveStats) -> Result<(), RecordError> {
        match self.recorder {
            None => Ok(()),
            Some(recorder) => {
                recorder.into_inner().unwrap_or_else(PoisonError::into_inner).finish(stats)
            }
        }
    }

    fn recorder(&self) -> Option<MutexGuard<'_, Recorder>> {
        Some(self.recorder.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A packet had this time.
    pub(super) fn note_time(&self, time: &Timestamp) {
        let nanos = time.nanos_since(Timestamp::default());
        self.latest.store(i64::try_from(nanos).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The time of the latest packet.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        let nanos = Some(self.latest.load(Ordering::Relaxed)).filter(|&nanos| nanos != 0)?;
        let (secs, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        Some(Timestamp::fine(secs, nanos as u32))
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes captured.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Shows the others what a ring has counted.
    pub(super) fn show(&self, ring: &mut Ring<'_>, run: &Run<'_>) {
        let Some(shown) = self.shown.get(ring.origin.number - 1) else { return };
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.stats = ring.live.stats();
        shown.counted = run.counted_by_intake();
    }

    /// What the kernel says of all rings.
    pub(super) fn stats(&self) -> LiveStats {
        let mut stats = LiveStats::default();
        for shown in &self.shown {
            stats += &shown.lock().unwrap_or_else(PoisonError::into_inner).stats;
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
