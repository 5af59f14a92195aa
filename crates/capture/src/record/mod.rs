//! Packets recorded as they were captured: pcapng files, one after the other where that is asked for.
//!
//! Whoever captures must not wait for a disk: packets are put into pieces here, and a thread writes those.

mod blocks;
mod writer;

use crate::{LiveStats, Packet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use wire::{LinkType, Timestamp};
use writer::{Message, Names};

/// A piece is handed over when it has so many bytes.
const PIECE: usize = 1 << 20;

/// How often it is looked whether there is room for another.
const LOOK: Duration = Duration::from_millis(1);

/// Whoever takes nothing for so long is not waited for when it is time to stop.
const STUCK: Duration = Duration::from_secs(3);

/// By so many nanoseconds packets of several rings may be out of order.
const STEP: i128 = 1_000_000_000;

/// Pieces that wait to be written: what a disk may take a moment for.
const WAITING: usize = 32;

/// What to record, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordConfig {
    /// The file; where there is one after the other, each gets a number and its time before the extension.
    pub path: PathBuf,
    /// When the next file begins, and how many are kept.
    pub rotation: Rotation,
    /// Times in the names of files are in UTC.
    pub utc: bool,
    /// What the first byte of packets is.
    pub link: LinkType,
    /// So many bytes of each packet are captured.
    pub snap_length: u32,
    /// The interface's name.
    pub interface: String,
    /// The filter that packets have passed.
    pub filter: Option<String>,
}

/// When the next file begins, and how many are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rotation {
    /// Before a file would have more bytes than this. A single packet may be longer.
    pub size: Option<u64>,
    /// With the first packet so much later than the first one of the file.
    pub time: Option<Duration>,
    /// The oldest file is removed when there would be more than so many.
    pub count: Option<usize>,
}

impl Rotation {
    /// Is there more than one file?
    pub fn is_wanted(&self) -> bool {
        self.size.is_some() || self.time.is_some()
    }
}

/// A recording failed. Its `Display` names the file; the reason is the error's source.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the recording {}", path.display())]
pub struct RecordError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl RecordError {
    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.into(), source }
    }
}

/// The thread that writes has failed: what happened is told by [`finish`](Recorder::finish).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// Records packets.
pub struct Recorder {
    rotation: Rotation,
    /// What each file begins with.
    header: Vec<u8>,
    /// What was not handed over yet.
    piece: Vec<u8>,
    /// Of the file that is written now: how many bytes it gets, that which was not handed over included, and
    /// when its first packet came.
    size: u64,
    began: Option<Timestamp>,
    last: Timestamp,
    stats: LiveStats,
    path: PathBuf,
    /// Something was not written, since nobody took it.
    lost: bool,
    pieces: SyncSender<Message>,
    /// Is a disk that takes nothing not to be waited for any more?
    gives_up: Box<dyn Fn() -> bool + Send>,
    written: Receiver<Vec<u8>>,
    thread: JoinHandle<Result<(), RecordError>>,
}

impl Recorder {
    /// Creates the file. Where there is to be one after the other, the first is created with the first packet,
    /// whose time it has in its name. Where the disk takes nothing, it is waited for until `gives_up`.
    ///
    /// # Errors
    /// The file cannot be created, or no file in its folder.
    pub fn create(
        config: &RecordConfig,
        gives_up: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, RecordError> {
        let failed = |error| RecordError::new("create", &config.path, error);
        let header = blocks::header(config);
        let names = Names::new(&config.path, config.rotation, config.utc);
        let file = names.open_first()?;
        let (pieces, messages) = sync_channel(WAITING);
        let (returns, written) = channel();
        let work = move || writer::write(names, file, &messages, &returns);
        let thread = Builder::new().name("recording".into()).spawn(work).map_err(failed)?;
        Ok(Self {
            rotation: config.rotation,
            size: 0,
            began: None,
            last: Timestamp::default(),
            stats: LiveStats::default(),
            path: config.path.clone(),
            lost: false,
            piece: if config.rotation.is_wanted() { Vec::new() } else { header.clone() },
            header,
            pieces,
            gives_up: Box::new(gives_up),
            written,
            thread,
        })
    }

    /// Records a packet.
    ///
    /// # Errors
    /// Writing has failed.
    pub fn record(&mut self, packet: &Packet<'_>) -> Result<(), Failed> {
        if self.rotation.is_wanted() && self.is_for_the_next(packet) {
            self.next_file(packet.time.again())?;
        }
        let before = self.piece.len();
        blocks::push_packet(&mut self.piece, packet);
        self.size += (self.piece.len() - before) as u64;
        self.began.get_or_insert(packet.time.again());
        self.last = packet.time.again();
        if self.piece.len() >= PIECE { self.hand_over() } else { Ok(()) }
    }

    /// Passes on what was recorded, for the time in which nothing more comes.
    ///
    /// # Errors
    /// Writing has failed.
    pub fn flush(&mut self, stats: LiveStats) -> Result<(), Failed> {
        self.stats = stats;
        self.hand_over()
    }

    /// Ends the recording with what the kernel says of the capture.
    ///
    /// # Errors
    /// Some of it could not be written.
    pub fn finish(mut self, stats: LiveStats) -> Result<(), RecordError> {
        self.stats = stats;
        self.end_file();
        // Where writing failed, the thread says why.
        let _ = self.hand_over();
        drop(self.pieces);
        match self.thread.join() {
            Ok(Ok(())) if self.lost => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "it took nothing for seconds");
                Err(RecordError::new("write", &self.path, error))
            }
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Does the next file begin with this packet?
    fn is_for_the_next(&self, packet: &Packet<'_>) -> bool {
        let Some(began) = &self.began else { return true };
        let is_full = |most| self.size + blocks::packet_size(packet) + blocks::STATISTICS > most;
        let since = packet.time.nanos_since(began.again());
        // A clock that was set back begins a file, too: else this one would go on until it is as late again.
        let is_late = |time: Duration| since >= time.as_nanos() as i128 || since < -STEP;
        self.rotation.size.is_some_and(is_full) || self.rotation.time.is_some_and(is_late)
    }

    fn next_file(&mut self, time: Timestamp) -> Result<(), Failed> {
        if self.began.is_some() {
            self.end_file();
        }
        self.hand_over()?;
        self.send(Message::Next(time.again()))?;
        self.piece.extend_from_slice(&self.header);
        self.size = self.header.len() as u64;
        self.began = Some(time);
        Ok(())
    }

    /// A file ends with what the kernel says of the capture so far.
    fn end_file(&mut self) {
        if self.began.is_some() || !self.rotation.is_wanted() {
            blocks::push_statistics(&mut self.piece, &self.last, &self.stats);
        }
    }

    fn hand_over(&mut self) -> Result<(), Failed> {
        if self.piece.is_empty() {
            return match self.pieces.try_send(Message::Nothing) {
                Err(TrySendError::Disconnected(_)) => Err(Failed),
                _ => Ok(()),
            };
        }
        let next =
            self.written.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE + PIECE / 8));
        let piece = std::mem::replace(&mut self.piece, next);
        self.send(Message::Piece(piece))
    }

    /// Sends the thread something, and waits where much waits for it.
    fn send(&mut self, mut message: Message) -> Result<(), Failed> {
        let mut stuck: Option<Instant> = None;
        loop {
            message = match self.pieces.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Failed),
                Err(TrySendError::Full(message)) => message,
            };
            // One that is only late is waited for.
            if (self.gives_up)() && stuck.get_or_insert_with(Instant::now).elapsed() > STUCK {
                self.lost = true;
                return Err(Failed);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::live_packet;
    use crate::{Block, Reader};
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    fn config(dir: &TempDir, rotation: Rotation) -> RecordConfig {
        RecordConfig {
            path: dir.path().join("all.of it.pcapng"),
            rotation,
            utc: true,
            link: LinkType::ETHERNET,
            snap_length: 262_144,
            interface: "eth0".into(),
            filter: Some("tcp".into()),
        }
    }

    /// Records packets of these times and lengths.
    fn record(config: &RecordConfig, packets: &[(i64, usize)]) {
        let mut recorder = Recorder::create(config, || false).unwrap();
        for &(secs, len) in packets {
            let block = Block::new(len);
            recorder.record(&live_packet(secs, &block)).unwrap();
        }
        let stats = LiveStats { received: 9, dropped: 2, dropped_by_interface: 1 };
        recorder.finish(stats).unwrap();
    }

    /// The times and lengths of the packets of each file.
    fn recorded(dir: &TempDir) -> BTreeMap<String, Vec<(i64, usize)>> {
        let entries = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                let mut reader = Reader::open(entry.path()).unwrap();
                let mut packets = Vec::new();
                while let Some(packet) = reader.next_packet().unwrap() {
                    assert_eq!(packet.time.subsec_nanos(), 5);
                    packets.push((packet.time.secs(), packet.bytes.len()));
                }
                (entry.file_name().into_string().unwrap(), packets)
            })
            .collect()
    }

    #[test]
    fn one_file_has_all_packets() {
        let dir = TempDir::new().unwrap();
        let packets: Vec<_> = (0..5000).map(|i| (i, (i as usize * 7) % 1500)).collect();
        record(&config(&dir, Rotation::default()), &packets);
        assert_eq!(recorded(&dir), BTreeMap::from([("all.of it.pcapng".into(), packets)]));
    }

    #[test]
    fn a_recording_without_packets_is_a_capture() {
        let dir = TempDir::new().unwrap();
        record(&config(&dir, Rotation::default()), &[]);
        assert_eq!(recorded(&dir), BTreeMap::from([("all.of it.pcapng".into(), vec![])]));
        let other = TempDir::new().unwrap();
        record(&config(&other, Rotation { size: Some(100), ..Rotation::default() }), &[]);
        assert_eq!(recorded(&other), BTreeMap::new());
    }

    #[test]
    fn files_follow_one_another_by_size() {
        let dir = TempDir::new().unwrap();
        let rotation = Rotation { size: Some(10_000), ..Rotation::default() };
        let packets: Vec<_> = (0..100).map(|i| (i, 1000)).collect();
        record(&config(&dir, rotation), &packets);
        let files = recorded(&dir);
        assert_eq!(files.values().flatten().copied().collect::<Vec<_>>(), packets);
        assert!(files.len() > 10 && files.len() < 15, "{}", files.len());
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let len = entry.unwrap().metadata().unwrap().len();
            assert!(len <= 10_000, "{len}");
        }
        assert!(files.contains_key("all.of it_00001_19700101000000.pcapng"), "{:?}", files.keys());
        assert!(files.keys().nth(1).unwrap().starts_with("all.of it_00002_197001010000"));
    }

    #[test]
    fn files_follow_one_another_by_time_and_the_newest_are_kept() {
        let dir = TempDir::new().unwrap();
        let rotation =
            Rotation { time: Some(Duration::from_secs(10)), count: Some(2), ..Rotation::default() };
        let packets = [(100, 1), (109, 2), (110, 3), (111, 4), (150, 5), (4, 6), (2, 7), (12, 8)];
        record(&config(&dir, rotation), &packets);
        let name = |n, time| format!("all.of it_{n:05}_1970010100{time:04}.pcapng");
        let newest = [(name(5, 2), vec![(2, 7)]), (name(6, 12), vec![(12, 8)])];
        assert_eq!(recorded(&dir), BTreeMap::from(newest));
    }

    #[test]
    fn files_that_were_there_stay() {
        let dir = TempDir::new().unwrap();
        let rotation = Rotation { size: Some(1 << 20), ..Rotation::default() };
        std::fs::write(dir.path().join("all.of it.trial.pcapng"), "mine").unwrap();
        record(&config(&dir, rotation), &[(7, 1)]);
        record(&config(&dir, rotation), &[(7, 2)]);
        let name = |n| dir.path().join(format!("all.of it_{n:05}_19700101000007.pcapng"));
        assert!(name(1).exists() && name(2).exists());
        assert_eq!(std::fs::read(dir.path().join("all.of it.trial.pcapng")).unwrap(), b"mine");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_waited_for_until_nobody_wants_to() {
        let dir = TempDir::new().unwrap();
        let mut config = config(&dir, Rotation::default());
        config.path = dir.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&config.path).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mkfifo");
            return;
        }
        let reader = std::thread::spawn({
            let path = config.path.clone();
            // Somebody who opens it, and reads nothing for long.
            move || (std::fs::File::open(path), std::thread::sleep(Duration::from_secs(6)))
        });
        let mut recorder = Recorder::create(&config, || true).unwrap();
        let block = Block::new(1 << 20);
        let recorded = (0..100).position(|_| recorder.record(&live_packet(1, &block)).is_err());
        assert!(recorded.is_some_and(|n| n > WAITING), "{recorded:?}");
        // The pipe breaks.
        drop(reader.join());
        assert!(recorder.finish(LiveStats::default()).is_err());
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let dir = TempDir::new().unwrap();
        let mut nowhere = config(&dir, Rotation::default());
        nowhere.path = dir.path().join("no/such/folder.pcapng");
        let error = Recorder::create(&nowhere, || false).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("cannot create the recording /"), "{error}");
        nowhere.rotation.size = Some(1 << 20);
        assert!(Recorder::create(&nowhere, || false).is_err(), "before the first packet");
        if cfg!(target_os = "linux") {
            nowhere.rotation.size = None;
            nowhere.path = "/dev/full".into();
            let mut full = Recorder::create(&nowhere, || false).unwrap();
            full.flush(LiveStats::default()).unwrap();
            let block = Block::new(1 << 20);
            while full.record(&live_packet(1, &block)).is_ok() {}
            assert_eq!(full.flush(LiveStats::default()), Err(Failed));
            let error = full.finish(LiveStats::default()).unwrap_err();
            assert_eq!(error.to_string(), "cannot write the recording /dev/full");
            assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        }
    }
}
