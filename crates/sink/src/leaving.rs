//! Files on their way out: created, written and closed in turns.

use crate::SinkError;
use crate::buffer::Buffer;
use crate::store::Store;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A file that is to be written and closed. Few wait, so that their bytes count against no budget.
pub(crate) struct Leaving {
    pub(crate) name: String,
    pub(crate) bytes: Buffer,
    pub(crate) file: Option<File>,
    /// Was it created before, so that the bytes are appended?
    pub(crate) created: bool,
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

/// Held by the worker whose turn it is to create files.
static TURN: Mutex<()> = Mutex::new(());

impl Store {
    /// Lets a file wait for its turn.
    pub(crate) fn leave(&mut self, leaving: Leaving) -> Result<(), SinkError> {
        self.leaving.push(leaving);
        if self.leaving.len() < self.together() { Ok(()) } else { self.write_turns(false) }
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

    /// The turn to create files, for the first of a list. `None` where they may wait for it instead: others
    /// use it, or a full turn may still come together.
    fn turn(&self, leaving: &[Leaving], all: bool) -> Option<MutexGuard<'static, ()>> {
        // Poisoned or not: nothing is kept behind it.
        let wait = || TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if all {
            return Some(wait());
        }
        if leaving.len() < self.together() {
            return None;
        }
        let bytes = || leaving.iter().map(|leaving| leaving.bytes.len()).sum::<usize>();
        match TURN.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => {
                (leaving.len() >= WAITING || bytes() >= WAITING_BYTES).then(wait)
            }
        }
    }

    /// Creates, writes and closes what waits for it: all, or as much as there are turns for now.
    fn write_turns(&mut self, all: bool) -> Result<(), SinkError> {
        let mut leaving = std::mem::take(&mut self.leaving);
        let (mut from, mut result) = (0, Ok(()));
        if self.has_bound() {
            // One by one: whoever makes room must not wait for others.
            for gone in leaving.drain(..) {
                if !result.as_ref().is_err_and(SinkError::is_disk_full) {
                    result = result.and(self.write_if_room(gone));
                }
            }
        }
        while from < leaving.len() {
            let rest = &mut leaving[from..];
            let Some(turn) = self.turn(rest, all) else { break };
            let together = self.together().min(rest.len());
            let rest = &mut rest[..together];
            let (opened, error) = self.open_leaving(rest, turn);
            for gone in &mut rest[..opened] {
                let full = result.as_ref().is_err_and(SinkError::is_disk_full);
                let written = if full { self.take_back(gone) } else { self.write_away(gone) };
                result = result.and(written);
            }
            from += opened;
            if let Some(error) = error {
                result = result.and(Err(error));
                from += 1;
            }
        }
        for mut gone in leaving.drain(..from) {
            self.pool.take_back(&mut gone.bytes);
            self.pool.take_back_name(gone.name);
        }
        self.leaving = leaving;
        result
    }

    /// Opens the files of a list in a turn: how many, and why not the next one. Where descriptors are short,
    /// those before it must be closed first.
    fn open_leaving(
        &mut self,
        leaving: &mut [Leaving],
        _turn: MutexGuard<'static, ()>,
    ) -> (usize, Option<SinkError>) {
        while self.open.len() + leaving.len() > self.max_open && self.close_one() {}
        for (opened, Leaving { name, file, created, .. }) in leaving.iter_mut().enumerate() {
            if file.is_some() {
                continue;
            }
            match self.open_file(name, *created) {
                Ok(new) => *file = Some(new),
                Err(error) if opened > 0 && error.is_out_of_descriptors() => return (opened, None),
                Err(error) => return (opened, Some(error)),
            }
        }
        (leaving.len(), None)
    }

    pub(crate) fn write_away(&self, leaving: &mut Leaving) -> Result<(), SinkError> {
        let Some(mut file) = leaving.file.take() else { return Ok(()) };
        leaving.bytes.write_to(&mut file).map_err(|e| self.failed("write", &leaving.name, e))
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
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut leave = |n: usize| {
            let (name, bytes) = (n.to_string(), vec![7; 100].into());
            store.leave(Leaving { name, bytes, file: None, created: false }).unwrap();
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        (1..WAITING).for_each(&mut leave);
        assert_eq!(files(), 0);
        drop(turn);
        leave(WAITING);
        assert_eq!(files(), WAITING / 9 * 9, "as many as full turns have");
        store.write_leaving().unwrap();
        assert_eq!(files(), WAITING);
        assert!(store.leaving.is_empty());
    }
}
