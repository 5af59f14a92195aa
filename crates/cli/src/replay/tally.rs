//! What became of all plays.

use super::DIVERGED;
use crate::notes::Notes;
use crate::progress::{one_line, say};
use crate::{FAILED, INCOMPLETE};
use replay::{Ending, NetEvent, Played, report};
use std::io::{self, Write, stdout};
use std::process::ExitCode;

/// The exit status of a run whose peers did as recorded, or did not.
pub(crate) fn status(notes: &Notes, matched: bool) -> ExitCode {
    match (matched, notes.incomplete()) {
        (false, _) => ExitCode::from(DIVERGED),
        (true, true) => ExitCode::from(INCOMPLETE),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// What became of all plays.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    played: u64,
    matched: u64,
    failed: u64,
    not_played: u64,
    /// Peers that were not played to, for their own fault.
    faults: u64,
    /// Standard output cannot be written to.
    deaf: Option<io::Error>,
}

impl Tally {
    /// Takes it in, and tells of it.
    pub(crate) fn take(&mut self, event: &NetEvent, quiet: bool, json: bool) {
        match event {
            NetEvent::Listening(address, transport, recordings) if !quiet => say(format_args!(
                "pcap2conn: listening on {address} ({transport}), recordings: {recordings}\n"
            )),
            NetEvent::Listening(..) => {}
            NetEvent::Note(note) => say(format_args!("pcap2conn: {}\n", one_line(note))),
            NetEvent::Dismissed { peer, why } => {
                self.faults += u64::from(why.is_fault());
                match (json, quiet && !why.is_fault()) {
                    (_, true) => {}
                    (true, _) => self.print(&report::dismissed(peer, why)),
                    (false, _) => {
                        say(format_args!("pcap2conn: {}\n", one_line(&format!("{peer}: {why}"))));
                    }
                }
            }
            NetEvent::Played(played) => self.take_played(played, quiet, json),
        }
    }

    fn take_played(&mut self, played: &Played, quiet: bool, json: bool) {
        let matched = played.outcome.matched();
        self.played += 1;
        self.matched += u64::from(matched);
        self.failed += u64::from(matches!(played.outcome.ending, Ending::Failed(_)));
        self.not_played += u64::from(played.outcome.ending == Ending::NotPlayed);
        if quiet && matched {
            return;
        }
        if json {
            self.print(&report::json(played));
            return;
        }
        for (n, line) in report::lines(played).iter().enumerate() {
            let head = if n == 0 { "pcap2conn: " } else { "" };
            say(format_args!("{head}{}\n", one_line(line)));
        }
    }

    /// A line on standard output.
    fn print(&mut self, line: &str) {
        let written = stdout().write_all(format!("{line}\n").as_bytes());
        self.deaf = self.deaf.take().or(written.err());
    }

    /// The exit status.
    pub(crate) fn status(&self, notes: &Notes, repeat: bool) -> ExitCode {
        let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        if let Some(error) = self.deaf.as_ref().filter(|error| !closed(error)) {
            say(format_args!("pcap2conn: standard output: {error}\n"));
            return ExitCode::from(FAILED);
        }
        if self.failed > 0 {
            return ExitCode::from(FAILED);
        }
        // Who plays again and again may be stopped before all had their turn.
        let excused = if repeat { self.not_played } else { 0 };
        // Without it, a recording that nobody got tells of peers that were not played to.
        let blamed = if repeat { self.faults } else { 0 };
        status(notes, self.matched + excused == self.played && blamed == 0)
    }
}
