//! What a live capture gives up when its interface is open.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::give_up;
#[cfg(unix)]
pub(crate) use unix::give_up;

use std::path::Path;

/// Where files go, which must be there, or be made, for the user.
pub(crate) struct Places<'a> {
    /// The output directory, where there is one.
    pub(crate) dir: Option<&'a Path>,
    /// Files that are to be written.
    pub(crate) files: Vec<&'a Path>,
}
