//! Bytes of many connections on their way to files: few descriptors, bounded memory, and one open,
//! one write and one close for a file that is small.

use crate::SinkError;
use crate::allowance::Allowance;
use crate::buffer::{Buffer, Pool};
use crate::disk::{Disk, Room};
use crate::leaving::Leaving;
use crate::os::{self, Dir, Pen};
use crate::recency::Recency;
use crate::slab::Slab;
use crate::slots::{NONE, Slots};
use crate::turn::Turn;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A stream writes its bytes when it has so many: enough that a write costs more for its bytes than
/// for the call, few enough that hundreds of busy connections do not fill the budget.
const WRITE_AT: usize = 128 << 10;

/// A run of zeros shorter than this is written like any other bytes; a longer one is left out of the
/// file (a sparse hole), for which what came before it must be written first.
const HOLE_AT: u64 = WRITE_AT as u64 / 2;

/// The files of all connections of a worker.
pub(crate) struct Store {
    /// Where files go.
    pub(crate) dir: Dir,
    pub(crate) max_open: usize,
    allowance: Allowance,
    /// Memory that counts against the allowance, in bytes.
    held: usize,
    pub(crate) slots: Slots,
    pub(crate) streams: Slab<Stream>,
    /// Streams by their last bytes.
    recent: Recency,
    /// Streams with an open file, by their last write.
    pub(crate) open: Recency,
    /// What is written next, and then closed.
    pub(crate) leaving: Vec<Leaving>,
    /// How many bytes of them there are.
    pub(crate) leaving_bytes: usize,
    pub(crate) turn: Turn,
    pub(crate) pool: Pool,
    /// What files may take, where that is bounded.
    pub(crate) disk: Option<Disk>,
    /// A file that somebody took away is begun anew.
    begins_anew: bool,
}

/// A file that has bytes to write or is open.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) slot: u32,
    pub(crate) index: u8,
    name: String,
    buffer: Buffer,
    pub(crate) file: Option<File>,
    /// Were there bytes in the buffer when it was last asked what waits?
    waited: bool,
}

impl Stream {
    /// What it costs, in bytes: itself, its places in two lists and what an allocator adds to each
    /// of two allocations.
    fn cost(&self) -> usize {
        size_of::<Self>() + 16 + 32 + self.name.capacity() + self.buffer.capacity()
    }
}

impl Store {
    /// A store of files in `dir` that opens at most `max_open` of them at once (at least one) and
    /// holds at most about `budget` bytes.
    pub(crate) fn new(dir: PathBuf, max_open: usize, budget: usize) -> Self {
        Self {
            dir: Dir::new(dir),
            max_open: max_open.max(1),
            allowance: Allowance::new(budget),
            held: 0,
            slots: Slots::default(),
            streams: Slab::default(),
            recent: Recency::default(),
            open: Recency::default(),
            leaving: Vec::new(),
            leaving_bytes: 0,
            turn: Turn::default(),
            pool: Pool::default(),
            disk: None,
            begins_anew: false,
        }
    }

    /// The same, whose files take no more disk than there is, with those of others.
    pub(crate) fn with_disk(self, disk: Option<Disk>) -> Self {
        let begins_anew = self.begins_anew || disk.is_some();
        Self { disk, begins_anew, ..self }
    }

    /// The same, which creates files in turn with others.
    pub(crate) fn in_turn(self, turn: Turn) -> Self {
        Self { turn, ..self }
    }

    /// The same, which begins a file anew that somebody took away.
    pub(crate) fn beginning_anew(self, begins_anew: bool) -> Self {
        Self { begins_anew: self.begins_anew || begins_anew, ..self }
    }

    /// Creates the directory, with those above it.
    pub(crate) fn prepare(&self) -> Result<(), SinkError> {
        std::fs::create_dir_all(self.dir.path()).map_err(|source| SinkError::File {
            action: "create",
            path: self.dir.path().into(),
            source,
        })
    }

    /// Makes a place for a connection, with a number of its owner's own.
    pub(crate) fn insert(&mut self, tag: u32) -> u32 {
        self.slots.insert(tag)
    }

    /// The owner's number.
    pub(crate) fn tag(&self, slot: u32) -> u32 {
        self.slots.tag(slot)
    }

    /// Appends to file `index` (0 or 1) of a connection what `write` appends to a buffer, about
    /// `room` bytes. `name` appends the file's name to an empty text, and is asked when the file has no stream yet.
    pub(crate) fn append(
        &mut self,
        slot: u32,
        index: usize,
        name: impl FnOnce(&mut String),
        room: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SinkError> {
        let id = self.stream(slot, index, name);
        let stream = &mut self.streams[id];
        let before = stream.buffer.capacity();
        self.pool.make_room(&mut stream.buffer, room);
        write(stream.buffer.last());
        self.held = self.held - before + stream.buffer.capacity();
        if stream.buffer.len() >= WRITE_AT {
            self.write_out(id)?;
        }
        self.keep_budget()
    }

    /// Appends `len` zero bytes, as a sparse hole where there are many.
    pub(crate) fn append_zeros(
        &mut self,
        slot: u32,
        index: usize,
        name: impl FnOnce(&mut String),
        len: u64,
    ) -> Result<(), SinkError> {
        match usize::try_from(len) {
            Ok(len) if (len as u64) < HOLE_AT => {
                self.append(slot, index, name, len, |buffer| buffer.resize(buffer.len() + len, 0))
            }
            _ => {
                let id = self.stream(slot, index, name);
                if !self.write_out(id)? {
                    return Ok(());
                }
                let stream = &self.streams[id];
                self.disk.iter().for_each(|disk| disk.hole(&stream.name));
                lengthen(&stream.file, len).map_err(|e| self.failed("write", &stream.name, e))?;
                self.keep_budget()
            }
        }
    }

    /// Writes what a connection has and closes its files; more may come.
    pub(crate) fn settle(&mut self, slot: u32) -> Result<(), SinkError> {
        for id in self.slots.streams(slot) {
            if id != NONE {
                self.put_away(id)?;
            }
        }
        Ok(())
    }

    /// Writes what a connection has and forgets it.
    pub(crate) fn remove(&mut self, slot: u32) -> Result<(), SinkError> {
        self.settle(slot)?;
        self.slots.remove(slot);
        Ok(())
    }

    /// Writes a whole file.
    pub(crate) fn write_file(&mut self, name: String, bytes: Vec<u8>) -> Result<(), SinkError> {
        self.leave(Leaving { name, bytes: bytes.into(), file: None, created: false })
    }

    /// Writes the bytes that waited when this was called the last time and still do, so that none waits for
    /// longer than twice the time between two calls.
    pub(crate) fn write_waiting(&mut self) -> Result<(), SinkError> {
        let mut due = Vec::new();
        for (id, stream) in self.streams.iter_mut() {
            let waits = !stream.buffer.is_empty();
            if std::mem::replace(&mut stream.waited, waits) && waits {
                due.push(id);
            }
        }
        due.into_iter().try_for_each(|id| self.write_out(id).map(drop))?;
        self.write_leaving()
    }

    /// Writes everything and closes all files. What can be written is, whatever fails, until there is
    /// no room for anything; the first failure is told.
    pub(crate) fn finish(&mut self) -> Result<(), SinkError> {
        let mut result = Ok(());
        while let Some(id) = self.recent.oldest() {
            let written = self.put_away(id);
            if written.as_ref().is_err_and(SinkError::is_disk_full) {
                return result.and(written);
            }
            result = result.and(written);
        }
        result.and(self.write_leaving())
    }

    /// The stream of a connection's file, now the most recently active one.
    fn stream(&mut self, slot: u32, index: usize, name: impl FnOnce(&mut String)) -> u32 {
        let mut id = self.slots.streams(slot)[index];
        if id == NONE {
            if self.slots.was_created(slot, index) {
                self.allowance.note_going_on();
            }
            let mut text = self.pool.name();
            name(&mut text);
            let (buffer, index_of) = (Buffer::default(), u8::from(index == 1));
            let stream =
                Stream { slot, index: index_of, name: text, buffer, file: None, waited: false };
            self.held += stream.cost();
            id = self.streams.insert(stream);
            self.slots.set_stream(slot, index, id);
        }
        self.recent.touch(id);
        id
    }

    /// Puts the least recently active streams away until no more waits than may. It may be the one that
    /// has just spoken.
    fn keep_budget(&mut self) -> Result<(), SinkError> {
        while (self.held > self.allowance.bytes() || self.recent.len() > self.allowance.files())
            && let Some(id) = self.recent.oldest()
        {
            self.put_away(id)?;
        }
        Ok(())
    }

    /// Forgets a stream, whose bytes are written and whose file is closed soon.
    fn put_away(&mut self, id: u32) -> Result<(), SinkError> {
        self.recent.remove(id);
        self.open.remove(id);
        let stream = self.streams.remove(id);
        self.held -= stream.cost();
        let (slot, index) = (stream.slot, usize::from(stream.index));
        self.slots.set_stream(slot, index, NONE);
        let Stream { name, buffer: mut bytes, file, .. } = stream;
        let file = file.filter(|file| !self.begins_anew || !os::is_removed(file));
        if bytes.is_empty() {
            self.pool.take_back(&mut bytes);
            self.pool.take_back_name(name);
            return Ok(());
        }
        self.allowance.note_written();
        let created = self.slots.was_created(slot, index);
        self.slots.set_created(slot, index, true);
        self.leave(Leaving { name, bytes, file, created })
    }

    /// Writes a stream's bytes, the file left open. `false` where there was no room on the disk.
    fn write_out(&mut self, id: u32) -> Result<bool, SinkError> {
        if self.begins_anew && self.streams[id].file.as_ref().is_some_and(os::is_removed) {
            self.open.remove(id);
            self.streams[id].file = None;
        }
        if self.streams[id].file.is_none() {
            // Its first bytes may be among those that wait.
            self.write_leaving()?;
        }
        let name = std::mem::take(&mut self.streams[id].name);
        let room = self.make_room(&name, self.streams[id].buffer.len());
        self.streams[id].name = name;
        let room = room?;
        match room {
            Some(Room::Anew(_)) => self.begin_anew(id),
            Some(Room::None) => {
                self.take_back_bytes(id);
                return Ok(false);
            }
            Some(Room::Further(_)) | None => {}
        }
        let written = self.write_out_there(id);
        self.give_back(room);
        written.map(|()| true)
    }

    /// A stream's bytes are written, or never will be.
    fn take_back_bytes(&mut self, id: u32) {
        let stream = &mut self.streams[id];
        stream.waited = false;
        self.held -= stream.buffer.capacity();
        self.pool.take_back(&mut stream.buffer);
    }

    fn write_out_there(&mut self, id: u32) -> Result<(), SinkError> {
        if self.streams[id].file.is_none() {
            let stream = &mut self.streams[id];
            let (slot, index) = (stream.slot, usize::from(stream.index));
            let name = std::mem::take(&mut stream.name);
            let file = self.open_file(&name, self.slots.was_created(slot, index));
            self.streams[id].name = name;
            self.streams[id].file = Some(file?);
            self.slots.set_created(slot, index, true);
        }
        self.open.touch(id);
        let stream = &mut self.streams[id];
        let written = match &stream.file {
            Some(file) => stream.buffer.write_to(&mut Pen::at_end(file)),
            None => Ok(()),
        };
        self.take_back_bytes(id);
        written.map_err(|e| self.failed("write", &self.streams[id].name, e))
    }

    /// Opens a file, closing others where there are too many.
    pub(crate) fn open_file(&mut self, name: &str, created: bool) -> Result<File, SinkError> {
        while self.open.len() >= self.max_open && self.close_one() {}
        loop {
            let opened = if created { self.dir.append(name) } else { self.dir.create(name) };
            let opened = match opened {
                Err(e) if created && self.begins_anew && e.kind() == ErrorKind::NotFound => {
                    self.disk.iter().for_each(|disk| disk.begun_anew(name));
                    self.dir.create(name)
                }
                opened => opened,
            };
            match opened {
                // Others in this process have descriptors too: what was promised may not be there.
                Err(e) if os::is_out_of_descriptors(&e) && self.close_one() => {}
                Err(e) => return Err(self.failed("open", name, e)),
                Ok(file) => return Ok(file),
            }
        }
    }

    /// Closes the file least recently written to; `false` when none is open.
    pub(crate) fn close_one(&mut self) -> bool {
        let Some(id) = self.open.oldest() else { return false };
        self.open.remove(id);
        self.streams[id].file = None;
        true
    }

    /// What failed, and where.
    pub(crate) fn failed(&self, action: &'static str, name: &str, source: io::Error) -> SinkError {
        SinkError::File { action, path: self.dir.path().join(name), source }
    }
}

/// Moves a file's end by `len`, where the bytes after it will be appended.
fn lengthen(file: &Option<File>, len: u64) -> io::Result<()> {
    let Some(file) = file else { return Ok(()) };
    file.set_len(file.metadata()?.len().saturating_add(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::WhenFull;
    use crate::leaving::WAITING;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::path::Path;
    use tempfile::TempDir;

    fn store(dir: &TempDir, max_open: usize, budget: usize) -> Store {
        Store::new(dir.path().into(), max_open, budget)
    }

    fn append(store: &mut Store, slot: u32, name: &str, bytes: &[u8]) {
        let write = |buffer: &mut Vec<u8>| buffer.extend_from_slice(bytes);
        store.append(slot, 0, |text| text.push_str(name), bytes.len(), write).unwrap();
    }

    /// All files of a directory with their contents.
    fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
            .collect()
    }

    #[test]
    fn a_small_file_appears_when_its_connection_is_settled() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 1 << 20);
        let slot = store.insert(7);
        append(&mut store, slot, "a", b"one ");
        append(&mut store, slot, "a", b"two");
        assert!(contents(dir.path()).is_empty());
        store.settle(slot).unwrap();
        assert!(contents(dir.path()).is_empty(), "it waits for others");
        store.write_leaving().unwrap();
        assert_eq!(contents(dir.path())["a"], b"one two");
        assert_eq!((store.held, store.open.len()), (0, 0));
        append(&mut store, slot, "a", b", late");
        store.remove(slot).unwrap();
        store.write_leaving().unwrap();
        assert_eq!(contents(dir.path())["a"], b"one two, late");
    }

    #[test]
    fn what_waits_for_long_is_written_and_its_file_stays_open() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 1 << 20);
        let slots = [0, 1].map(|n| store.insert(n));
        append(&mut store, slots[0], "a", b"one ");
        store.write_waiting().unwrap();
        append(&mut store, slots[1], "b", b"later");
        assert!(contents(dir.path()).is_empty(), "not yet");
        store.write_waiting().unwrap();
        let files = contents(dir.path());
        assert_eq!((files.len(), &files["a"][..]), (1, &b"one "[..]));
        append(&mut store, slots[0], "a", b"two");
        store.write_waiting().unwrap();
        assert_eq!(contents(dir.path())["b"], b"later");
        assert_eq!(contents(dir.path())["a"], b"one ");
        store.write_waiting().unwrap();
        assert_eq!((&contents(dir.path())["a"][..], store.open.len()), (&b"one two"[..], 2));
        store.finish().unwrap();
        assert_eq!(store.held, 0);
    }

    #[test]
    fn a_large_buffer_is_written_and_its_file_stays_open() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 1 << 20);
        let slot = store.insert(0);
        append(&mut store, slot, "a", &[1; WRITE_AT - 1]);
        assert!(contents(dir.path()).is_empty());
        append(&mut store, slot, "a", &[2; 2]);
        assert_eq!(contents(dir.path())["a"].len(), WRITE_AT + 1);
        assert_eq!(store.open.len(), 1);
        assert!(store.held < 2 * WRITE_AT, "{}", store.held);
        append(&mut store, slot, "a", &vec![3; 10 * WRITE_AT]);
        assert!(store.held < 2 * WRITE_AT, "{}", store.held);
    }

    #[test]
    fn with_one_descriptor_files_take_turns() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 1, 1 << 30);
        let slots: Vec<u32> = (0..5).map(|n| store.insert(n)).collect();
        let piece = vec![b'x'; WRITE_AT];
        for _ in 0..3 {
            for &slot in &slots {
                append(&mut store, slot, &slot.to_string(), &piece);
                assert_eq!(store.open.len(), 1);
            }
        }
        store.write_file("m".into(), b"metadata".into()).unwrap();
        assert_eq!(store.open.len(), 0);
        store.finish().unwrap();
        for &slot in &slots {
            assert_eq!(contents(dir.path())[&slot.to_string()].len(), 3 * WRITE_AT);
        }
    }

    #[test]
    fn over_the_budget_the_least_recently_active_is_written() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 2500);
        let slots: Vec<u32> = (0..3).map(|n| store.insert(n)).collect();
        append(&mut store, slots[0], "a", &[1; 600]);
        append(&mut store, slots[1], "b", &[2; 600]);
        append(&mut store, slots[0], "a", &[1; 1]);
        append(&mut store, slots[2], "c", &[3; 600]);
        store.write_leaving().unwrap();
        assert_eq!(contents(dir.path()).into_keys().collect::<Vec<_>>(), ["b"]);
        assert!(store.held <= 2500);
        append(&mut store, slots[1], "b", &[2; 600]);
        store.write_leaving().unwrap();
        assert_eq!(contents(dir.path()).into_keys().collect::<Vec<_>>(), ["a", "b"]);
        store.finish().unwrap();
        assert_eq!(contents(dir.path())["b"], [2; 1200]);
    }

    #[test]
    fn long_runs_of_zeros_take_no_room() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 1 << 20);
        let slot = store.insert(0);
        append(&mut store, slot, "a", b"x");
        store.append_zeros(slot, 0, |name| name.push('a'), 3).unwrap();
        store.append_zeros(slot, 0, |name| name.push('a'), 1 << 30).unwrap();
        append(&mut store, slot, "a", b"y");
        store.append_zeros(slot, 0, |name| name.push('a'), 1 << 30).unwrap();
        store.remove(slot).unwrap();
        store.finish().unwrap();
        let path = dir.path().join("a");
        assert_eq!(path.metadata().unwrap().len(), (2 << 30) + 5);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{FileExt, MetadataExt};
            assert!(path.metadata().unwrap().blocks() < 100);
            let file = File::open(&path).unwrap();
            let mut around = [9; 3];
            file.read_exact_at(&mut around, (1 << 30) + 3).unwrap();
            assert_eq!(around, [0, b'y', 0]);
        }
    }

    #[test]
    fn a_directory_that_vanished_is_an_error_that_names_the_file() {
        let dir = TempDir::new().unwrap();
        let inner = dir.path().join("deep/er");
        let mut store = Store::new(inner.clone(), 9, 1 << 20);
        store.prepare().unwrap();
        let slot = store.insert(0);
        append(&mut store, slot, "a.txt", b"x");
        std::fs::remove_dir(&inner).unwrap();
        store.settle(slot).unwrap();
        let error = store.finish().unwrap_err();
        assert_eq!(error.to_string(), format!("cannot open {}", inner.join("a.txt").display()));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_directory_that_cannot_be_is_an_error() {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        let inner = dir.path().join("file/dir");
        let error = Store::new(inner.clone(), 9, 9).prepare().unwrap_err();
        assert_eq!(error.to_string(), format!("cannot create {}", inner.display()));
    }

    #[test]
    fn a_connection_that_speaks_again_at_once_loses_nothing() {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir, 9, 1 << 20);
        let slot = store.insert(0);
        append(&mut store, slot, "a", b"one");
        store.settle(slot).unwrap();
        // Its first bytes were not written yet.
        append(&mut store, slot, "a", &[b'x'; 2 * WRITE_AT]);
        append(&mut store, slot, "a", b"two");
        store.finish().unwrap();
        let bytes = contents(dir.path()).remove("a").unwrap();
        assert!(bytes.starts_with(b"onex") && bytes.ends_with(b"xtwo"));
        assert_eq!(bytes.len(), 2 * WRITE_AT + 6);
    }

    #[test]
    fn no_more_files_are_open_than_allowed_however_many_leave_together() {
        for max_open in [1, 2, 5, 100] {
            let dir = TempDir::new().unwrap();
            let mut store = store(&dir, max_open, 1 << 20);
            let slots: Vec<u32> = (0..50).map(|n| store.insert(n)).collect();
            for &slot in &slots {
                append(&mut store, slot, &slot.to_string(), b"x");
                store.settle(slot).unwrap();
                assert!(store.leaving.len() < WAITING);
            }
            store.finish().unwrap();
            assert_eq!(contents(dir.path()).len(), 50);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append { slot: usize, index: usize, len: usize },
        Zeros { slot: usize, index: usize, len: u64 },
        Settle { slot: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = prop_oneof![4 => 1usize..300, 1 => WRITE_AT - 10..WRITE_AT + 10];
        prop_oneof![
            8 => (0usize..6, 0usize..2, len)
                .prop_map(|(slot, index, len)| Step::Append { slot, index, len }),
            1 => (0usize..6, 0usize..2, prop_oneof![1..200u64, HOLE_AT..HOLE_AT + 9])
                .prop_map(|(slot, index, len)| Step::Zeros { slot, index, len }),
            1 => (0usize..6).prop_map(|slot| Step::Settle { slot }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn limits_never_change_a_byte(
            steps in proptest::collection::vec(step(), 1..60),
            max_open in 1usize..4,
            budget in prop_oneof![0..4000usize, Just(1 << 30)],
            bounded in any::<bool>(),
        ) {
            let dir = TempDir::new().unwrap();
            let disk = bounded.then(|| Disk::new(1 << 40, WhenFull::DropOldest));
            let mut store = store(&dir, max_open, budget).with_disk(disk);
            let slots: Vec<u32> = (0..6).map(|n| store.insert(n)).collect();
            let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Append { slot, index, len } => {
                        let name = format!("{slot}-{index}");
                        let bytes = vec![n as u8; len];
                        expected.entry(name.clone()).or_default().extend(&bytes);
                        store.append(slots[slot], index, |text| text.push_str(&name), len, |b| b.extend(&bytes)).unwrap();
                    }
                    Step::Zeros { slot, index, len } => {
                        let name = format!("{slot}-{index}");
                        let file = expected.entry(name.clone()).or_default();
                        file.resize(file.len() + len as usize, 0);
                        store.append_zeros(slots[slot], index, |text| text.push_str(&name), len).unwrap();
                    }
                    Step::Settle { slot } => store.settle(slots[slot]).unwrap(),
                }
                prop_assert!(store.open.len() <= max_open);
                prop_assert!(store.held <= budget);
            }
            store.finish().unwrap();
            prop_assert_eq!(store.held, 0);
            prop_assert_eq!(contents(dir.path()), expected);
        }

        /// Two that share the disk keep to it. What is left of a file is its end; or, where nothing more is
        /// written, its beginning.
        #[test]
        fn a_bounded_disk_leaves_the_end_of_a_file_or_its_beginning(
            steps in proptest::collection::vec((any::<bool>(), step()), 1..80),
            blocks in 1u64..40,
            drops in any::<bool>(),
            budget in prop_oneof![0..4000usize, Just(1 << 30)],
        ) {
            let dir = TempDir::new().unwrap();
            let when_full = if drops { WhenFull::DropOldest } else { WhenFull::Stop };
            let disk = Disk::new(blocks * 4096, when_full);
            let mut stores = [0, 1].map(|_| store(&dir, 2, budget).with_disk(Some(disk.clone())));
            let slots: Vec<u32> = (0..6).map(|n| stores.each_mut().map(|store| store.insert(n))[0]).collect();
            let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for (n, (second, step)) in steps.into_iter().enumerate() {
                let store = &mut stores[usize::from(second)];
                match step {
                    Step::Append { slot, index, len } => {
                        let name = format!("{second}-{slot}-{index}");
                        let bytes: Vec<u8> = (0..len).map(|i| (n * 7 + i) as u8).collect();
                        expected.entry(name.clone()).or_default().extend(&bytes);
                        store.append(slots[slot], index, |text| text.push_str(&name), len, |b| b.extend(&bytes)).unwrap();
                    }
                    Step::Zeros { slot, .. } | Step::Settle { slot } => store.settle(slots[slot]).unwrap(),
                }
            }
            stores.iter_mut().for_each(|store| store.finish().unwrap());
            let (mut on_disk, mut left) = (0, 0);
            for (name, bytes) in contents(dir.path()) {
                let whole = &expected[&name];
                let is_end = whole.ends_with(&bytes);
                prop_assert!(is_end || !drops || disk.is_full(), "{} is not the end", name);
                prop_assert!(is_end || whole.starts_with(&bytes) || drops, "{} has a hole", name);
                on_disk += (bytes.len() as u64).next_multiple_of(4096);
                left += bytes.len() as u64;
            }
            prop_assert!(on_disk <= blocks * 4096, "{} of {}", on_disk, blocks * 4096);
            prop_assert_eq!(on_disk, disk.used());
            let (all, counts) = (expected.values().map(Vec::len).sum::<usize>() as u64, disk.counts());
            prop_assert_eq!(left + counts.removed_bytes + counts.left_out, all);
        }
    }
}
