//! Opening files where `open(2)` has its flags.

use super::not_a_plain_file;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Opens a file for appending that this run did not write before. A plain file left by an earlier
/// run is emptied; a link, a second name of a file, or a special file is an error: names come from
/// packets, and whoever sent those must not choose what is overwritten.
///
/// # Errors
/// The system's own, or `AlreadyExists` for anything but a plain file.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(libc::O_NOFOLLOW);
    match options.clone().create_new(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        done => return done,
    }
    let file = open_plain(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// Opens a file for appending that this run created.
///
/// # Errors
/// The system's own (`NotFound` if somebody removed it), or `AlreadyExists` if somebody put something
/// else in its place.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    open_plain(path)
}

fn open_plain(path: &Path) -> io::Result<File> {
    // O_NONBLOCK: opening a FIFO would wait for a reader.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().append(true).custom_flags(flags).open(path) {
        Err(e) if is_not_plain(&e) => return Err(not_a_plain_file()),
        done => done?,
    };
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 { Ok(file) } else { Err(not_a_plain_file()) }
}

/// What `open` says of a link, of a FIFO that nobody reads, of a socket and of a directory. Systems
/// differ in what they say of a link.
fn is_not_plain(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ELOOP | libc::EMLINK | libc::ENXIO | libc::EOPNOTSUPP | libc::EISDIR)
    )
}

/// Did opening fail for want of descriptors, so that closing one helps?
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode};
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn refused(path: &Path) {
        for opened in [create(path), append(path)] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(error.to_string().contains("link or a special file"), "{error}");
        }
    }

    #[test]
    fn a_leftover_is_replaced_then_appended_to() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "left by an earlier run").unwrap();
        create(&path).unwrap().write_all(b"one").unwrap();
        append(&path).unwrap().write_all(b" two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
    }

    #[test]
    fn what_is_appended_to_must_be_there() {
        let dir = TempDir::new().unwrap();
        let error = append(&dir.path().join("a")).unwrap_err();
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
        let read = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        let _reader = rustix::fs::open(&fifo, read, Mode::empty()).unwrap();
        refused(&fifo);
    }
}
