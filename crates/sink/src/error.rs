//! Why output cannot go on.

use crate::os;
use std::io;
use std::path::PathBuf;

/// What messages call the stream.
pub(crate) const STDOUT: &str = "standard output";

/// Output failed; it always says where. The reason is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file or the output directory.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: `create`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A stream of the console.
    #[error("cannot write to {stream}")]
    Console {
        /// `standard output` or `standard error`.
        stream: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl SinkError {
    /// Is there no room for anything else either?
    pub fn is_disk_full(&self) -> bool {
        let (Self::File { source, .. } | Self::Console { source, .. }) = self;
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Did opening fail for want of descriptors?
    pub(crate) fn is_out_of_descriptors(&self) -> bool {
        matches!(self, Self::File { source, .. } if os::is_out_of_descriptors(source))
    }

    /// Did whoever reads standard output stop reading, as `head` does? That is an end, not a failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Console { stream, source }
            if *stream == STDOUT && source.kind() == io::ErrorKind::BrokenPipe)
    }
}
