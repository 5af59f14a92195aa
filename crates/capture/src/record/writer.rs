//! The thread that writes, and what its files are called.

use super::{RecordError, Rotation};
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};
use wire::Timestamp;

/// What the thread is sent.
pub(super) enum Message {
    /// The next file begins, with a packet of this time.
    Next(Timestamp),
    /// What comes next in the file.
    Piece(Vec<u8>),
    /// Is anybody there?
    Nothing,
}

/// The names of files, and those that are there.
pub(super) struct Names {
    path: PathBuf,
    rotation: Rotation,
    zone: TimeZone,
    /// How many there were.
    number: u64,
    files: VecDeque<PathBuf>,
}

impl Names {
    pub(super) fn new(path: &Path, rotation: Rotation, utc: bool) -> Self {
        // Where the local zone is not known, UTC is it, as for the files of connections.
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Self { path: path.into(), rotation, zone, number: 0, files: VecDeque::new() }
    }

    /// Creates the one file that there is. Where there is one after the other, looks only whether any can be
    /// created there.
    pub(super) fn open_first(&self) -> Result<Option<File>, RecordError> {
        let failed = |error| RecordError::new("create", &self.path, error);
        if !self.rotation.is_wanted() {
            return File::create(&self.path).map(Some).map_err(failed);
        }
        // A name that nobody else has.
        let trial = self.named(&format!("_trial_{}", std::process::id()));
        File::create_new(&trial).and_then(|_| fs::remove_file(&trial)).map_err(failed)?;
        Ok(None)
    }

    /// Creates the next file, and removes the oldest where there are too many.
    fn open_next(&mut self, time: &Timestamp) -> Result<File, RecordError> {
        let time = jiff::Timestamp::from_second(time.secs()).unwrap_or_default();
        let time = self.zone.to_datetime(time).strftime("%Y%m%d%H%M%S").to_string();
        let (path, file) = loop {
            self.number += 1;
            let path = self.named(&format!("_{:05}_{time}", self.number));
            match File::create_new(&path) {
                Ok(file) => break (path, file),
                // It is of an earlier run.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RecordError::new("create", &path, error)),
            }
        };
        self.files.push_back(path);
        while self.rotation.count.is_some_and(|most| self.files.len() > most) {
            let Some(oldest) = self.files.pop_front() else { break };
            match fs::remove_file(&oldest) {
                // Somebody took it away.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(RecordError::new("remove", &oldest, error));
                }
                _ => {}
            }
        }
        Ok(file)
    }

    /// The path with something before its extension.
    fn named(&self, what: &str) -> PathBuf {
        let mut name = OsString::from(self.path.file_stem().unwrap_or_default());
        name.push(what);
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }

    /// The file that is written.
    fn current(&self) -> &Path {
        self.files.back().unwrap_or(&self.path)
    }
}

/// What the thread does until there are no more messages, or something fails.
pub(super) fn write(
    mut names: Names,
    mut file: Option<File>,
    messages: &Receiver<Message>,
    returns: &Sender<Vec<u8>>,
) -> Result<(), RecordError> {
    for message in messages {
        match message {
            Message::Nothing => {}
            Message::Next(time) => {
                // Closed before, so that there is one open at most.
                drop(file.take());
                file = Some(names.open_next(&time)?);
            }
            Message::Piece(mut piece) => {
                let failed = |error: io::Error| RecordError::new("write", names.current(), error);
                file.as_mut().map_or(Ok(()), |file| file.write_all(&piece)).map_err(failed)?;
                piece.clear();
                // Where nobody takes it back, the recording is over.
                let _ = returns.send(piece);
            }
        }
    }
    Ok(())
}
