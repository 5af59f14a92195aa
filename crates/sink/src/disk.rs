//! How much disk the files of connections take.

use crate::SinkError;
use crate::os::Dir;
use crate::recency::Recency;
use crate::slab::Slab;
use hashbrown::HashTable;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Files take disk in blocks of this size on nearly every file system.
const BLOCK: u64 = 4096;

/// What is done when there is no room for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// Nothing more is written. Whoever reads the input is to [ask](Disk::is_full), and to stop.
    Stop,
    /// The files that were written longest ago are removed. A connection that goes on begins its file anew.
    DropOldest,
}

/// What did not stay on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskCounts {
    /// Files removed.
    pub removed_files: u64,
    /// Bytes that were in them.
    pub removed_bytes: u64,
    /// Bytes that were not written.
    pub left_out: u64,
}

/// The disk that the files of all workers may take together. Clones share it.
///
/// Each file that is there costs about 100 bytes of memory: which was written longest ago must be known.
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

struct Shared {
    most: u64,
    when_full: WhenFull,
    files: Mutex<Files>,
    /// Something that was written to is not any more.
    written: Condvar,
    /// There was no room for something: nothing more is written, so that no file has a hole.
    full: AtomicBool,
    left_out: AtomicU64,
    hasher: RandomState,
}

/// The files that are there.
#[derive(Default)]
struct Files {
    /// What they take, in bytes.
    used: u64,
    files: Slab<Written>,
    by_name: HashTable<u32>,
    /// Those that nobody writes to at this moment, by their last write.
    recent: Recency,
    counts: DiskCounts,
    /// How many are written to at this moment.
    busy: usize,
    /// When it is next looked whether they are all there.
    look: Option<Instant>,
}

#[derive(Default)]
struct Written {
    name: Box<str>,
    /// How long it is when what is written now is in it.
    bytes: u64,
    /// How much is written now.
    more: u64,
    /// Is it written to at this moment?
    busy: bool,
}

/// May bytes be written? The number of the file, to which they may, is to be given back
/// [afterwards](Disk::written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// Yes, to a file that was there.
    Further(u32),
    /// Yes, to a new file: there is none, or no more.
    Anew(u32),
    /// No.
    None,
}

/// How often it is looked whether files are still there, at most.
const LOOK: Duration = Duration::from_secs(1);

impl Disk {
    /// So many bytes of disk.
    pub fn new(most: u64, when_full: WhenFull) -> Self {
        Self(Arc::new(Shared {
            most,
            when_full,
            files: Mutex::default(),
            written: Condvar::new(),
            full: AtomicBool::new(false),
            left_out: AtomicU64::new(0),
            hasher: RandomState::new(),
        }))
    }

    /// Was something not written because there was no room?
    pub fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }

    /// What did not stay, or come, on the disk.
    pub fn counts(&self) -> DiskCounts {
        DiskCounts { left_out: self.0.left_out.load(Ordering::Relaxed), ..self.files().counts }
    }

    /// What files take, in bytes.
    pub fn used(&self) -> u64 {
        self.files().used
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for so many bytes at the end of a file, which are to be written now: until they are, the file
    /// is not removed.
    pub(crate) fn make_room(
        &self,
        dir: &mut Dir,
        name: &str,
        bytes: u64,
    ) -> Result<Room, SinkError> {
        let Shared { most, when_full, hasher, .. } = &*self.0;
        let hash = |name: &str| hasher.hash_one(name);
        let mut files = self.files();
        while !self.is_full() {
            let known = files.find(hash(name), name);
            // Others go before it.
            known.into_iter().for_each(|number| files.recent.touch(number));
            let before = known.map_or(0, |number| files.files[number].bytes);
            let more = on_disk(before.saturating_add(bytes)) - on_disk(before);
            if files.used.saturating_add(more) <= *most {
                files.used += more;
                let number = known.unwrap_or_else(|| files.insert(hash, name));
                let file = &mut files.files[number];
                (file.bytes, file.more, file.busy) = (file.bytes + bytes, bytes, true);
                files.busy += 1;
                files.recent.remove(number);
                return Ok(if known.is_some() {
                    Room::Further(number)
                } else {
                    Room::Anew(number)
                });
            }
            let drops = *when_full == WhenFull::DropOldest;
            // Somebody may have collected some: nothing need be removed for those.
            if files.forget_missing(hash, dir, !drops) {
                continue;
            }
            match files.recent.oldest().filter(|_| drops) {
                Some(oldest) => files.remove(oldest, hash, dir)?,
                // One that is written to can be removed then.
                None if drops && files.busy > 0 && on_disk(bytes) <= *most => {
                    let waited = self.0.written.wait_timeout(files, LOOK);
                    files = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => self.0.full.store(true, Ordering::Relaxed),
            }
        }
        self.0.left_out.fetch_add(bytes, Ordering::Relaxed);
        Ok(Room::None)
    }

    /// The bytes for which there was room are written, or could not be.
    pub(crate) fn written(&self, number: u32) {
        let mut files = self.files();
        let file = &mut files.files[number];
        (file.more, file.busy) = (0, false);
        files.busy -= 1;
        files.recent.touch(number);
        drop(files);
        self.0.written.notify_all();
    }

    /// A hole follows at the end of a file: what comes after it is in another block.
    pub(crate) fn hole(&self, name: &str) {
        let mut files = self.files();
        if let Some(number) = files.find(self.0.hasher.hash_one(name), name) {
            let file = &mut files.files[number];
            file.bytes = on_disk(file.bytes);
        }
    }

    /// The file was not there any more: it has nothing but what is written now.
    pub(crate) fn begun_anew(&self, name: &str) {
        let mut files = self.files();
        let Some(number) = files.find(self.0.hasher.hash_one(name), name) else { return };
        let file = &mut files.files[number];
        let before = std::mem::replace(&mut file.bytes, file.more);
        let now = file.bytes;
        files.used = files.used - on_disk(before) + on_disk(now);
    }
}

impl Files {
    fn find(&self, hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(hash, |&number| *self.files[number].name == *name).copied()
    }

    fn insert(&mut self, hash: impl Fn(&str) -> u64, name: &str) -> u32 {
        let Self { files, by_name, .. } = self;
        let number = files.insert(Written { name: name.into(), ..Written::default() });
        by_name.insert_unique(hash(name), number, |&number| hash(&files[number].name));
        number
    }

    /// Takes a file away. Its bytes are given free at once, also where it is still open.
    fn remove(
        &mut self,
        number: u32,
        hash: impl Fn(&str) -> u64,
        dir: &mut Dir,
    ) -> Result<(), SinkError> {
        let Written { name, bytes, .. } = self.forget(number, hash);
        match dir.empty_and_remove(&name) {
            Ok(was_there) => {
                self.counts.removed_files += u64::from(was_there);
                self.counts.removed_bytes += if was_there { bytes } else { 0 };
                Ok(())
            }
            Err(source) => {
                Err(SinkError::File { action: "remove", path: dir.path().join(&*name), source })
            }
        }
    }

    fn forget(&mut self, number: u32, hash: impl Fn(&str) -> u64) -> Written {
        self.recent.remove(number);
        let found = self.by_name.find_entry(hash(&self.files[number].name), |&n| n == number);
        if let Ok(entry) = found {
            entry.remove();
        }
        let written = self.files.remove(number);
        self.used -= on_disk(written.bytes);
        written
    }

    /// Forgets files that somebody else took away; were there any? That is looked for now, or if it was not long
    /// ago, measured by the time that it takes, not at all.
    fn forget_missing(&mut self, hash: impl Fn(&str) -> u64, dir: &mut Dir, now: bool) -> bool {
        let begun = Instant::now();
        if !now && self.look.is_some_and(|look| begun < look) {
            return false;
        }
        let idle = |(number, file): (u32, &mut Written)| {
            let is_missing = !file.busy && !file.name.is_empty() && !dir.has(&file.name);
            is_missing.then_some(number)
        };
        let missing: Vec<u32> = self.files.iter_mut().filter_map(idle).collect();
        for &number in &missing {
            self.forget(number, &hash);
        }
        self.look = Some(Instant::now() + LOOK.max(20 * begun.elapsed()));
        !missing.is_empty()
    }
}

/// What a file of so many bytes takes.
fn on_disk(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Whether it is the same one.
impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Disk {}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { most, when_full, .. } = &*self.0;
        f.debug_struct("Disk").field("most", most).field("when_full", when_full).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Wrote {
        Further,
        Anew,
        Nothing,
    }
    use Wrote::{Anew, Further, Nothing};

    /// Writes so many bytes to a file, if there is room.
    fn write(disk: &Disk, dir: &TempDir, name: &str, bytes: u64) -> Wrote {
        let room = disk.make_room(&mut Dir::new(dir.path().into()), name, bytes).unwrap();
        let path = dir.path().join(name);
        let (wrote, number, before) = match room {
            Room::None => return Nothing,
            Room::Anew(number) => (Anew, number, 0),
            Room::Further(number) => match fs::metadata(&path) {
                Ok(metadata) => (Further, number, metadata.len()),
                Err(_) => {
                    disk.begun_anew(name);
                    (Further, number, 0)
                }
            },
        };
        fs::write(path, vec![b'x'; (before + bytes) as usize]).unwrap();
        disk.written(number);
        wrote
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_take_whole_blocks() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(4 * BLOCK, WhenFull::Stop);
        assert_eq!(write(&disk, &dir, "a", 1), Anew);
        assert_eq!(write(&disk, &dir, "b", BLOCK), Anew);
        assert_eq!(write(&disk, &dir, "b", 1), Further);
        assert_eq!(write(&disk, &dir, "a", BLOCK - 1), Further);
        assert_eq!((disk.used(), disk.is_full()), (3 * BLOCK, false));
        assert_eq!(write(&disk, &dir, "a", 2 * BLOCK), Nothing);
        assert_eq!(write(&disk, &dir, "a", 1), Nothing, "it would have a hole");
        assert_eq!((disk.used(), disk.is_full()), (3 * BLOCK, true));
        let left_out = DiskCounts { left_out: 2 * BLOCK + 1, ..DiskCounts::default() };
        assert_eq!(disk.counts(), left_out);
    }

    #[test]
    fn what_was_written_longest_ago_goes_first() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(3 * BLOCK, WhenFull::DropOldest);
        for name in ["a", "b", "c"] {
            assert_eq!(write(&disk, &dir, name, 10), Anew);
        }
        assert_eq!(write(&disk, &dir, "a", 10), Further);
        assert_eq!(write(&disk, &dir, "d", 10), Anew);
        assert_eq!(names(&dir), ["a", "c", "d"]);
        assert_eq!(write(&disk, &dir, "e", 2 * BLOCK), Anew);
        assert_eq!(names(&dir), ["d", "e"]);
        assert_eq!(write(&disk, &dir, "a", 5), Anew);
        assert_eq!(names(&dir), ["a", "e"]);
        // One that grows takes all, and then its own beginning.
        assert_eq!(write(&disk, &dir, "e", BLOCK), Further);
        assert_eq!(write(&disk, &dir, "e", BLOCK), Anew);
        assert_eq!((names(&dir), disk.used()), (vec!["e".into()], BLOCK));
        let removed = DiskCounts { removed_files: 6, removed_bytes: 55 + 3 * BLOCK, left_out: 0 };
        assert_eq!(disk.counts(), removed);
        assert_eq!(write(&disk, &dir, "f", 4 * BLOCK), Nothing);
    }

    #[test]
    fn who_writes_to_a_removed_file_takes_no_disk() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(BLOCK, WhenFull::DropOldest);
        write(&disk, &dir, "a", 10);
        let open = fs::File::open(dir.path().join("a")).unwrap();
        // Somebody else may have taken it away.
        write(&disk, &dir, "b", 10);
        assert_eq!(open.metadata().unwrap().len(), 0);
        fs::remove_file(dir.path().join("b")).unwrap();
        write(&disk, &dir, "c", 10);
        assert_eq!(names(&dir), ["c"]);
    }

    #[test]
    fn a_file_that_is_written_to_is_not_removed() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(2 * BLOCK, WhenFull::DropOldest);
        let mut folder = Dir::new(dir.path().into());
        let Room::Anew(a) = disk.make_room(&mut folder, "a", 10).unwrap() else { panic!("new") };
        write(&disk, &dir, "b", 10);
        assert_eq!(write(&disk, &dir, "c", 10), Anew);
        assert_eq!(names(&dir), ["c"], "b went, and a was not written yet");
        disk.written(a);
        assert_eq!(disk.counts().removed_files, 1);
    }

    #[test]
    fn what_somebody_collected_makes_room() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(3 * BLOCK, WhenFull::Stop);
        for name in ["a", "b", "c"] {
            write(&disk, &dir, name, 10);
        }
        fs::remove_file(dir.path().join("a")).unwrap();
        fs::remove_file(dir.path().join("b")).unwrap();
        assert_eq!(write(&disk, &dir, "d", 10), Anew);
        assert_eq!((disk.used(), disk.counts()), (2 * BLOCK, DiskCounts::default()));
        // One that goes on begins anew.
        write(&disk, &dir, "d", BLOCK);
        fs::remove_file(dir.path().join("d")).unwrap();
        assert_eq!((write(&disk, &dir, "d", 10), disk.used()), (Further, 2 * BLOCK));
    }
}
