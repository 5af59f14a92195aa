//! Opening files where `open(2)` has its flags.

use super::not_a_plain_file;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory of files.
pub(crate) struct Dir {
    path: PathBuf,
    /// Opened with the first file: the system then need not walk the whole path for each.
    handle: Option<OwnedFd>,
    /// The folder in it that the last file in one was opened in.
    folder: Option<(Box<str>, OwnedFd)>,
}

/// What a folder gets that is created.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);

/// How a folder is opened. A link to one is none: names come from packets.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a file gets that is created; the process's mask takes from it.
const MODE: Mode = Mode::from_raw_mode(0o666);

impl Dir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, handle: None, folder: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for appending that this run did not write before. A plain file left by an earlier
    /// run is emptied; a link, a second name of a file, or a special file is an error: names come from
    /// packets, and whoever sent those must not choose what is overwritten.
    ///
    /// # Errors
    /// The system's own, or `AlreadyExists` for anything but a plain file.
    pub(crate) fn create(&mut self, name: &str) -> io::Result<File> {
        match self.open(name, OFlags::CREATE | OFlags::EXCL) {
            Err(Errno::EXIST) => {}
            opened => return Ok(opened?),
        }
        let file = self.open_plain(name)?;
        file.set_len(0)?;
        Ok(file)
    }

    /// Opens a file for appending that this run created.
    ///
    /// # Errors
    /// The system's own (`NotFound` if somebody removed it), or `AlreadyExists` if somebody put something
    /// else in its place.
    pub(crate) fn append(&mut self, name: &str) -> io::Result<File> {
        self.open_plain(name)
    }

    /// Removes a file that this run created.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        let (folder, file) = self.place(name)?;
        unlinkat(folder, file, AtFlags::empty())?;
        if let Some((folder, _)) = name.split_once('/') {
            // If it was the last one in there.
            let _ = unlinkat(self.handle()?, folder, AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// Is there a file of this name?
    pub(crate) fn has(&mut self, name: &str) -> bool {
        // Folders that are not there are not made for this.
        let found = self.handle().and_then(|dir| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW));
        !found.is_err_and(|error| error == Errno::NOENT)
    }

    /// Removes a file that this run created, and gives its bytes free although it may still be open. `false` where
    /// it was not there any more. What has another name too keeps its bytes; what is no plain file is not ours.
    ///
    /// # Errors
    /// The system's own.
    pub(crate) fn empty_and_remove(&mut self, name: &str) -> io::Result<bool> {
        let file = match self.open(name, OFlags::NONBLOCK) {
            Err(error) if error == Errno::NOENT || is_not_plain(error) => return Ok(false),
            // Somebody has changed its mode.
            Err(Errno::ACCESS) => None,
            opened => Some(opened?),
        };
        if let Some(file) = file {
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(false);
            }
            if metadata.nlink() == 1 {
                file.set_len(0)?;
            }
        }
        match self.remove(name) {
            // Somebody was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    fn open_plain(&mut self, name: &str) -> io::Result<File> {
        // NONBLOCK: opening a FIFO would wait for a reader.
        let file = match self.open(name, OFlags::NONBLOCK) {
            Err(error) if is_not_plain(error) => return Err(not_a_plain_file()),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.nlink() == 1 { Ok(file) } else { Err(not_a_plain_file()) }
    }

    fn open(&mut self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let opened =
                self.place(name).and_then(|(place, file)| openat(place, file, flags, MODE));
            match opened {
                // Its folder was empty, and another worker removed it.
                Err(Errno::NOENT)
                    if flags.contains(OFlags::CREATE) && self.folder.take().is_some() => {}
                opened => return opened.map(File::from),
            }
        }
    }

    /// The folder of a file, and its name there.
    fn place<'n>(&mut self, name: &'n str) -> Result<(BorrowedFd<'_>, &'n str), Errno> {
        // A folder has a number of six to ten digits, and what follows has no `/`.
        let mut ends = 6..name.len().min(11);
        let slash = ends.find(|&at| name.as_bytes()[at] == b'/');
        match slash {
            Some(at) => Ok((self.folder(&name[..at])?, &name[at + 1..])),
            None => Ok((self.handle()?, name)),
        }
    }

    fn handle(&mut self) -> Result<BorrowedFd<'_>, Errno> {
        let handle = match self.handle.take() {
            Some(handle) => handle,
            // This one the user chose, so that it may be a link.
            None => openat(CWD, &self.path, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty())?,
        };
        let handle: &OwnedFd = self.handle.insert(handle);
        Ok(handle.as_fd())
    }

    /// A folder in this directory, created when it is missing.
    fn folder(&mut self, name: &str) -> Result<BorrowedFd<'_>, Errno> {
        let last = self.folder.take().filter(|(last, _)| **last == *name);
        let folder = match last {
            Some(folder) => folder,
            None => (name.into(), open_folder(self.handle()?, name)?),
        };
        let (_, folder) = &*self.folder.insert(folder);
        Ok(folder.as_fd())
    }
}

fn open_folder(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    match openat(dir, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => match mkdirat(dir, name, FOLDER_MODE) {
            // Another worker may have been faster.
            Ok(()) | Err(Errno::EXIST) => openat(dir, name, FOLDER, Mode::empty()),
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

/// Writes to a file.
///
/// On Linux the system is called directly: where there are several threads, the C library's own `write` first sees to
/// it that the thread can be cancelled meanwhile, which takes about 50 ns.
pub(crate) struct Pen<'a> {
    file: BorrowedFd<'a>,
    /// Where to write, if that is known. To write at a file's own position takes a lock where there are several threads.
    at: Option<u64>,
}

impl<'a> Pen<'a> {
    /// At the end of a file.
    pub(crate) fn at_end(file: &'a File) -> Self {
        Self { file: file.as_fd(), at: None }
    }

    /// In a file that is empty.
    pub(crate) fn in_empty(file: &'a File) -> Self {
        Self { file: file.as_fd(), at: Some(0) }
    }

    fn wrote(&mut self, len: usize) -> usize {
        self.at = self.at.map(|at| at + len as u64);
        len
    }
}

impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.at {
            Some(at) => rustix::io::pwrite(self.file, bytes, at),
            None => rustix::io::write(self.file, bytes),
        };
        Ok(self.wrote(written?))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match self.at {
            Some(at) => rustix::io::pwritev(self.file, pieces, at),
            None => rustix::io::writev(self.file, pieces),
        };
        Ok(self.wrote(written?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `open` says of a link, of a FIFO that nobody reads, of a socket and of a directory. Systems
/// differ in what they say of a link.
fn is_not_plain(error: Errno) -> bool {
    [Errno::LOOP, Errno::MLINK, Errno::NXIO, Errno::OPNOTSUPP, Errno::ISDIR].contains(&error)
}

/// Has an open file no name any more?
pub(crate) fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// How many descriptors this process may have; `None` where there is no bound.
pub(crate) fn descriptor_limit() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Did opening fail for want of descriptors, so that closing one helps?
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::MFILE, Errno::NFILE].iter().any(|&wanted| errno == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::FileType;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn dir(dir: &TempDir) -> Dir {
        Dir::new(dir.path().into())
    }

    fn refused(path: &Path) {
        let mut dir = Dir::new(path.parent().unwrap().into());
        let name = path.file_name().unwrap().to_str().unwrap();
        for opened in [dir.create(name), dir.append(name)] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(error.to_string().contains("link or a special file"), "{error}");
        }
    }

    #[test]
    fn a_leftover_is_replaced_then_appended_to() {
        let temp = TempDir::new().unwrap();
        let path = temp.path().join("a");
        std::fs::write(&path, "left by an earlier run").unwrap();
        dir(&temp).create("a").unwrap().write_all(b"one").unwrap();
        dir(&temp).append("a").unwrap().write_all(b" two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
    }

    #[test]
    fn what_is_appended_to_must_be_there() {
        let temp = TempDir::new().unwrap();
        let error = dir(&temp).append("a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn links_are_refused_and_what_they_name_stays() {
        let dir = TempDir::new().unwrap();
        let precious = dir.path().join("precious");
        std::fs::write(&precious, "keep").unwrap();
        let (soft, hard) = (dir.path().join("soft"), dir.path().join("hard"));
        symlink(&precious, &soft).unwrap();
        std::fs::hard_link(&precious, &hard).unwrap();
        let dangling = dir.path().join("dangling");
        symlink(dir.path().join("nothing"), &dangling).unwrap();
        for path in [&soft, &hard, &dangling] {
            refused(path);
        }
        assert_eq!(std::fs::read(&precious).unwrap(), b"keep");
        assert!(!dir.path().join("nothing").exists());
    }

    #[test]
    fn special_files_are_refused_without_waiting() {
        let dir = TempDir::new().unwrap();
        let (fifo, socket) = (dir.path().join("fifo"), dir.path().join("socket"));
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        for path in [&fifo, &socket, &dir.path().join("dir")] {
            refused(path);
        }
        // Somebody reads the FIFO, so that opening it succeeds.
        let read = OFlags::RDONLY | OFlags::NONBLOCK;
        let _reader = rustix::fs::open(&fifo, read, Mode::empty()).unwrap();
        refused(&fifo);
    }
}
