//! Files on their way out: created, written and closed in turns.

use crate::SinkError;
use crate::buffer::Buffer;
use crate::os::Pen;
use crate::store::Store;
use prefetch_index::prefetch_index;
use std::fs::File;
use std::sync::MutexGuard;

/// A file that is to be written and closed. Their bytes count against no budget, so that few may wait:
/// [`WAITING_BYTES`].
pub(crate) struct Leaving {
    pub(crate) name: String,
    pub(crate) bytes: Buffer,
    pub(crate) file: Option<File>,
    /// Was it created before, so that the bytes are appended?
    pub(crate) created: bool,
}

impl Leaving {
    /// Has the name fetched, which was made a while ago.
    fn fetch_name(&self) {
        prefetch_index(self.name.as_bytes(), 0);
        prefetch_index(self.name.as_bytes(), self.name.len());
    }
}

/// So many files are opened one after the other, then written and closed.
///
/// The system lets one thread at a time create a file in a directory. Two workers that create, write and
/// close one file at a time meet there for every file, and wait by spinning: 1.35 million files took
/// 13.9 s. In turns of 32, one creates while the other writes.
const TOGETHER: usize = 32;

/// While it is another worker's turn, files wait, and this one goes on with something else, until there
/// are so many of them, or their bytes are so many.
pub(crate) const WAITING: usize = 8 * TOGETHER;
const WAITING_BYTES: usize = 1 << 20;

impl Store {
    /// Lets a file wait for its turn.
    pub(crate) fn leave(&mut self, mut leaving: Leaving) -> Result<(), SinkError> {
        if leaving.file.is_some() {
            // It needs no turn, and its descriptor counts; nothing of it waits: that was written before it was opened.
            if self.has_bound() {
                return self.write_if_room(leaving);
            }
            let written = self.write_away(&mut leaving);
            self.forget(leaving);
            return written;
        }
        self.leaving_bytes += leaving.bytes.len();
        self.leaving.push(leaving);
        let few = self.leaving.len() < self.together() && self.leaving_bytes < WAITING_BYTES;
        if few { Ok(()) } else { self.write_turns(false) }
    }

    /// Creates, writes and closes all that waits for it. Whatever fails, the others are written, unless there
    /// is no room; the first failure is told.
    pub(crate) fn write_leaving(&mut self) -> Result<(), SinkError> {
        self.write_turns(true)
    }

    /// How many are opened in a turn. Files that are open already count, too.
    fn together(&self) -> usize {
        TOGETHER.min(self.max_open)
    }

    /// Creates, writes and closes what waits for it: all, or as much as need not wait for a turn.
    fn write_turns(&mut self, all: bool) -> Result<(), SinkError> {
        let mut leaving = std::mem::take(&mut self.leaving);
        let (mut from, mut result) = (0, Ok(()));
        if self.has_bound() {
            // One by one: whoever makes room must not wait for others.
            self.leaving_bytes = 0;
            for gone in leaving.drain(..) {
                if !result.as_ref().is_err_and(SinkError::is_disk_full) {
                    result = result.and(self.write_if_room(gone));
                }
            }
        }
        while from < leaving.len() {
            let rest = &mut leaving[from..];
            let together = self.together().min(rest.len());
            let many = rest.len() >= WAITING || self.leaving_bytes >= WAITING_BYTES;
            if !all && !many && together < self.together() {
                break;
            }
            while self.open.len() + together > self.max_open && self.close_one() {}
            let turn = self.turn.clone();
            let Some(turn) = turn.take(all || many) else { break };
            let rest = &mut rest[..together];
            let (opened, error) = self.open_leaving(rest, &turn);
            drop(turn);
            for i in 0..opened {
                if let Some(next) = rest.get(i + 1) {
                    next.bytes.fetch();
                }
                let gone = &mut rest[i];
                self.leaving_bytes -= gone.bytes.len();
                let full = result.as_ref().is_err_and(SinkError::is_disk_full);
                let written = if full { self.take_back(gone) } else { self.write_away(gone) };
                result = result.and(written);
            }
            from += opened;
            if let Some(error) = error {
                result = result.and(Err(error));
                self.leaving_bytes -= leaving[from].bytes.len();
                from += 1;
            }
        }
        leaving.drain(..from).for_each(|gone| self.forget(gone));
        self.leaving = leaving;
        result
    }

    /// A file is written, or never will be: what it was made of is used again.
    pub(crate) fn forget(&mut self, mut gone: Leaving) {
        self.pool.take_back(&mut gone.bytes);
        self.pool.take_back_name(gone.name);
    }

    /// Opens the files of a list, as it is this one's turn: how many, and why not the next one. Where descriptors
    /// are short, those before it must be closed first.
    fn open_leaving(
        &mut self,
        leaving: &mut [Leaving],
        _turn: &MutexGuard<'_, ()>,
    ) -> (usize, Option<SinkError>) {
        for opened in 0..leaving.len() {
            if let Some(next) = leaving.get(opened + 1) {
                next.fetch_name();
            }
            let Leaving { name, file, created, .. } = &mut leaving[opened];
            match self.open_file(name, *created) {
                Ok(new) => *file = Some(new),
                Err(error) if opened > 0 && error.is_out_of_descriptors() => return (opened, None),
                Err(error) => return (opened, Some(error)),
            }
        }
        (leaving.len(), None)
    }

    pub(crate) fn write_away(&self, leaving: &mut Leaving) -> Result<(), SinkError> {
        let Some(file) = leaving.file.take() else { return Ok(()) };
        let mut pen = if leaving.created { Pen::at_end(&file) } else { Pen::in_empty(&file) };
        leaving.bytes.write_to(&mut pen).map_err(|e| self.failed("write", &leaving.name, e))
    }

    /// There is no room for its bytes: a file that was created for them is taken away again.
    fn take_back(&mut self, leaving: &mut Leaving) -> Result<(), SinkError> {
        leaving.file = None;
        if leaving.created {
            return Ok(());
        }
        self.dir.remove(&leaving.name).map_err(|e| self.failed("remove", &leaving.name, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn files_wait_while_it_is_another_workers_turn() {
        let dir = TempDir::new().unwrap();
        let mut store = Store::new(dir.path().into(), 9, 1 << 20);
        let others = store.turn.clone();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut leave = |n: usize| {
            let (name, bytes) = (n.to_string(), vec![7; 100].into());
            store.leave(Leaving { name, bytes, file: None, created: false }).unwrap();
        };
        let turn = others.take(true).unwrap();
        (1..WAITING).for_each(&mut leave);
        assert_eq!(files(), 0);
        drop(turn);
        leave(WAITING);
        assert_eq!(files(), WAITING / 9 * 9, "as many as full turns have");
        store.write_leaving().unwrap();
        assert_eq!(files(), WAITING);
        assert!(store.leaving.is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn those_that_leave_count_among_the_open_files() {
        let dir = TempDir::new().unwrap();
        let mut store = Store::new(dir.path().into(), 40, 1 << 30);
        let open_files = || {
            let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
            let targets = descriptors.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
            targets.filter(|to| to.parent() == Some(dir.path())).count()
        };
        let slots: Vec<u32> = (0..71).map(|n| store.insert(n)).collect();
        let write = |store: &mut Store, n: usize, bytes: &[u8]| {
            let name = |text: &mut String| text.push_str(&n.to_string());
            store.append(slots[n], 0, name, bytes.len(), |out| out.extend(bytes)).unwrap();
        };
        // Large ones have a file open; small ones have something that waits.
        (0..40).for_each(|n| write(&mut store, n, &[7; 200 << 10]));
        assert_eq!(open_files(), 40);
        (0..71).for_each(|n| write(&mut store, n, b"a little"));
        let others = store.turn.clone();
        let turn = others.take(true).unwrap();
        for &slot in slots.iter().rev() {
            store.settle(slot).unwrap();
            assert!(open_files() <= 40);
        }
        assert_eq!(open_files(), 0, "what is open needs no turn");
        drop(turn);
        store.finish().unwrap();
        let lens: Vec<u64> =
            (0..71).map(|n| dir.path().join(n.to_string()).metadata().unwrap().len()).collect();
        assert!(lens[..40].iter().all(|&len| len == (200 << 10) + 8));
        assert!(lens[40..].iter().all(|&len| len == 8));
    }
}
