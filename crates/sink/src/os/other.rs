//! Opening files where the standard library is all there is (Windows among them).

use super::not_a_plain_file;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

/// A directory of files.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens a file for appending that this run did not write before. A plain file left by an earlier
    /// run is emptied; a link or anything else is an error.
    ///
    /// # Errors
    /// The system's own, or `AlreadyExists` for anything but a plain file.
    pub(crate) fn create(&mut self, name: &str) -> io::Result<File> {
        let path = self.0.join(name);
        if let Some((folder, _)) = name.split_once('/') {
            std::fs::create_dir_all(self.0.join(folder))?;
        }
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
        if !path.symlink_metadata()?.is_file() {
            return Err(not_a_plain_file());
        }
        // Appending alone does not give the right to shorten a file here.
        OpenOptions::new().write(true).truncate(true).open(&path)?;
        self.append(name)
    }

    /// Opens a file for appending that this run created.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn append(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.0.join(name))
    }

    /// Removes a file that this run created.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    /// Is there a file of this name?
    pub(crate) fn has(&mut self, name: &str) -> bool {
        self.0.join(name).symlink_metadata().is_ok()
    }

    /// Removes a file that this run created; `false` where it was not there any more.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn empty_and_remove(&mut self, name: &str) -> io::Result<bool> {
        match self.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }
}

/// Writes to a file.
pub(crate) struct Pen<'a>(&'a File);

impl<'a> Pen<'a> {
    /// At the end of a file.
    pub(crate) fn at_end(file: &'a File) -> Self {
        Self(file)
    }

    /// In a file that is empty.
    pub(crate) fn in_empty(file: &'a File) -> Self {
        Self(file)
    }
}

impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Has an open file no name any more? Not known here.
pub(crate) fn is_removed(_file: &File) -> bool {
    false
}

/// How many descriptors this process may have: not known here.
pub(crate) fn descriptor_limit() -> Option<usize> {
    None
}

/// Did opening fail for want of descriptors, so that closing one helps? Not known here; the limit
/// given to the program is what counts.
pub(crate) fn is_out_of_descriptors(_error: &io::Error) -> bool {
    false
}
