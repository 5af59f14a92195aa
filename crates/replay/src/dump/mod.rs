//! Recordings from the JSON lines that pcap2conn writes, or the classic program wrote, or somebody by hand.
//!
//! All is read before anything is played, so that a mistake on the last line stops it before the first byte.

mod draft;
mod error;
mod lines;
mod metadata;
mod name;
mod paths;
mod reader;
mod record;
#[cfg(test)]
mod samples;
mod sides;
mod time;
mod value;

use crate::{Recording, Transport};
use draft::Fate;
pub use error::DumpError;
use error::{Reason, Shown};
use reader::{Reader, unknown};
use std::fmt;
use std::path::PathBuf;

/// How dumps are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DumpOptions {
    /// What connections are for which neither their name nor their metadata tells it; those that are known to
    /// be something else are left out.
    pub transport: Option<Transport>,
    /// How many bytes of memory all recordings may take together, as [`Recording::cost`] counts. While they
    /// are read it may be twice as much, and three times the longest line.
    pub most: usize,
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dumps {
    /// At least one, in the order in which their first records stand.
    pub recordings: Vec<Recording>,
    /// The number of each among all connections, those that are left out too; from 1.
    pub numbers: Vec<u64>,
    /// Connections that cannot be replayed, or were not asked for.
    pub left_out: Vec<LeftOut>,
}

/// A connection that is not replayed. It is shown as one line, `NAME: reason`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// What it is called, as [`Recording::name`].
    pub name: String,
    /// Why it is left out.
    pub reason: String,
    /// Was another transport asked for?
    pub by_choice: bool,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Shown(&self.name), Shown(&self.reason))
    }
}

/// Reads dumps.
///
/// A path is a file, `-` (standard input), or a folder, which stands for all `*.json` in it and in the folders
/// in it, without metadata. A dump has one connection, or several that its lines name. The two files of a
/// connection that was written with a file for each side make one recording.
///
/// Protocol and ends are those that the connection's name tells, else its metadata.
///
/// # Errors
/// When something cannot be read or understood, when it is not known how a connection's ends talked, when more
/// memory would be needed than allowed, and when nothing is left to replay.
pub fn read_dumps(paths: &[PathBuf], options: &DumpOptions) -> Result<Dumps, DumpError> {
    let mut reader = Reader::new(options);
    for input in paths::inputs(paths)? {
        reader.read(&input)?;
    }
    let mut dumps = Dumps { recordings: Vec::new(), numbers: Vec::new(), left_out: Vec::new() };
    for (number, whole) in (1..).zip(sides::join(reader.into_drafts())) {
        match whole.draft.fate() {
            Fate::Replayed(transport) => {
                dumps.recordings.push(whole.into_recording(transport));
                dumps.numbers.push(number);
            }
            Fate::LeftOut(reason) => {
                let by_choice = whole.draft.is_unwanted();
                dumps.left_out.push(LeftOut { name: whole.draft.name, reason, by_choice });
            }
            Fate::Unknown => return Err(unknown(&whole.draft)),
        }
    }
    match dumps.left_out.first() {
        Some(first) if dumps.recordings.is_empty() => {
            let (first, more) = (first.clone(), dumps.left_out.len() - 1);
            Err(DumpError::general(Reason::NothingLeft { first, more }))
        }
        _ => Ok(dumps),
    }
}
