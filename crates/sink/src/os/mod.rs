//! How files are opened: the part that differs by operating system.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::{Dir, Pen, descriptor_limit, is_out_of_descriptors, is_removed};
#[cfg(unix)]
pub(crate) use unix::{Dir, Pen, descriptor_limit, is_out_of_descriptors, is_removed};

use std::io;

/// The error for a name at which something other than a plain file stands.
fn not_a_plain_file() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "it is a link or a special file; remove it or choose another output directory",
    )
}
