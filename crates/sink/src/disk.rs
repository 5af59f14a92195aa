//! How much disk the files of connections take.

use crate::SinkError;
use crate::os::Dir;
use crate::recency::Recency;
use crate::slab::Slab;
use hashbrown::HashTable;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// By their last write.
    recent: Recency,
    counts: DiskCounts,
}

#[derive(Default)]
struct Written {
    name: Box<str>,
    bytes: u64,
}

/// May bytes be written?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// Yes, to a file that is there.
    Further,
    /// Yes, to a new file: there is none, or no more.
    Anew,
    /// No.
    None,
}

impl Disk {
    /// So many bytes of disk.
    pub fn new(most: u64, when_full: WhenFull) -> Self {
        Self(Arc::new(Shared {
            most,
            when_full,
            files: Mutex::default(),
            left_out: AtomicU64::new(0),
            hasher: RandomState::new(),
        }))
    }

    /// Was something not written because there was no room?
    pub fn is_full(&self) -> bool {
        self.0.left_out.load(Ordering::Relaxed) > 0
    }

    /// What did not stay, or come, on the disk.
    pub fn counts(&self) -> DiskCounts {
        let files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        DiskCounts { left_out: self.0.left_out.load(Ordering::Relaxed), ..files.counts }
    }

    /// What files take, in bytes.
    pub fn used(&self) -> u64 {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner).used
    }

    /// Makes room for so many bytes at the end of a file, which are to be written then.
    pub(crate) fn make_room(
        &self,
        dir: &mut Dir,
        name: &str,
        bytes: u64,
    ) -> Result<Room, SinkError> {
        let shared = &*self.0;
        let hash = |name: &str| shared.hasher.hash_one(name);
        let mut files = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let known = files.find(hash(name), name);
            // Others go before it.
            known.into_iter().for_each(|number| files.recent.touch(number));
            let before = known.map_or(0, |number| files.files[number].bytes);
            let more = on_disk(before.saturating_add(bytes)) - on_disk(before);
            if files.used.saturating_add(more) <= shared.most {
                files.used += more;
                let number = known.unwrap_or_else(|| files.insert(hash, name));
                files.files[number].bytes += bytes;
                files.recent.touch(number);
                return Ok(if known.is_some() { Room::Further } else { Room::Anew });
            }
            let full =
                shared.when_full == WhenFull::Stop || shared.left_out.load(Ordering::Relaxed) > 0;
            match files.recent.oldest().filter(|_| !full) {
                Some(oldest) => files.remove(oldest, hash, dir)?,
                None => {
                    shared.left_out.fetch_add(bytes, Ordering::Relaxed);
                    return Ok(Room::None);
                }
            }
        }
    }
}

impl Files {
    fn find(&self, hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(hash, |&number| *self.files[number].name == *name).copied()
    }

    fn insert(&mut self, hash: impl Fn(&str) -> u64, name: &str) -> u32 {
        let Self { files, by_name, .. } = self;
        let number = files.insert(Written { name: name.into(), bytes: 0 });
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
        self.recent.remove(number);
        if let Ok(entry) = self.by_name.find_entry(hash(&self.files[number].name), |&n| n == number)
        {
            entry.remove();
        }
        let Written { name, bytes } = self.files.remove(number);
        self.used -= on_disk(bytes);
        self.counts.removed_files += 1;
        self.counts.removed_bytes += bytes;
        dir.empty_and_remove(&name).map_err(|source| SinkError::File {
            action: "remove",
            path: dir.path().join(&*name),
            source,
        })
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

    /// Writes so many bytes to a file, if there is room.
    fn write(disk: &Disk, dir: &TempDir, name: &str, bytes: u64) -> Room {
        let room = disk.make_room(&mut Dir::new(dir.path().into()), name, bytes).unwrap();
        if room != Room::None {
            let path = dir.path().join(name);
            let before = if room == Room::Anew { 0 } else { fs::metadata(&path).unwrap().len() };
            fs::write(path, vec![b'x'; (before + bytes) as usize]).unwrap();
        }
        room
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
        assert_eq!(write(&disk, &dir, "a", 1), Room::Anew);
        assert_eq!(write(&disk, &dir, "b", BLOCK), Room::Anew);
        assert_eq!(write(&disk, &dir, "b", 1), Room::Further);
        assert_eq!(write(&disk, &dir, "a", BLOCK - 1), Room::Further);
        assert_eq!((disk.used(), disk.is_full()), (3 * BLOCK, false));
        assert_eq!(write(&disk, &dir, "a", 2 * BLOCK), Room::None);
        assert_eq!(write(&disk, &dir, "c", 1), Room::Anew, "there is room for this");
        assert_eq!((disk.used(), disk.is_full()), (4 * BLOCK, true));
        let left_out = DiskCounts { left_out: 2 * BLOCK, ..DiskCounts::default() };
        assert_eq!(disk.counts(), left_out);
    }

    #[test]
    fn what_was_written_longest_ago_goes_first() {
        let dir = TempDir::new().unwrap();
        let disk = Disk::new(3 * BLOCK, WhenFull::DropOldest);
        for name in ["a", "b", "c"] {
            assert_eq!(write(&disk, &dir, name, 10), Room::Anew);
        }
        assert_eq!(write(&disk, &dir, "a", 10), Room::Further);
        assert_eq!(write(&disk, &dir, "d", 10), Room::Anew);
        assert_eq!(names(&dir), ["a", "c", "d"]);
        assert_eq!(write(&disk, &dir, "e", 2 * BLOCK), Room::Anew);
        assert_eq!(names(&dir), ["d", "e"]);
        assert_eq!(write(&disk, &dir, "a", 5), Room::Anew);
        assert_eq!(names(&dir), ["a", "e"]);
        // One that grows takes all, and then its own beginning.
        assert_eq!(write(&disk, &dir, "e", BLOCK), Room::Further);
        assert_eq!(write(&disk, &dir, "e", BLOCK), Room::Anew);
        assert_eq!((names(&dir), disk.used()), (vec!["e".into()], BLOCK));
        let removed = DiskCounts { removed_files: 6, removed_bytes: 55 + 3 * BLOCK, left_out: 0 };
        assert_eq!(disk.counts(), removed);
        assert_eq!(write(&disk, &dir, "f", 4 * BLOCK), Room::None);
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
}
