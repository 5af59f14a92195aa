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
