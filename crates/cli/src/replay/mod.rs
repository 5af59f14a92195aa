//! `pcap2conn replay`: one side of recorded connections, played to a program.

mod args;
mod list;
mod plan;
mod recordings;

use crate::notes::Notes;
use crate::progress::{Progress, one_line, say};
use crate::stop::Stop;
use crate::{FAILED, INCOMPLETE, USAGE};
use args::{Args, Report};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use recordings::Refused;
use replay::{Ending, NetEvent, Options, Played, Role, Store, report};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write, stdout};
use std::process::ExitCode;
use std::rc::Rc;

/// The word that asks for it.
pub(crate) const NAME: &str = "replay";

/// A peer diverged, took too long or left early, or somebody was not played to.
const DIVERGED: u8 = 4;

/// Runs it with what was typed after the word.
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("pcap2conn replay")).chain(words);
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    if args.dumps.is_empty() && args.input_file.is_empty() {
        usage("nothing to play: name a dump, a folder of dumps, or a capture with -r".into());
    }
    let mut notes = Notes::new(Progress::none(), false);
    match replay(&args, &mut notes) {
        Ok(code) => code,
        Err(Refused::Filter) => ExitCode::from(USAGE),
        Err(Refused::Because(error)) => {
            say(format_args!("pcap2conn: {}\n", one_line(&format!("{error:#}"))));
            ExitCode::from(FAILED)
        }
    }
}

/// Says what is wrong with the command line, and ends.
fn usage(message: String) -> ! {
    Args::command().error(ErrorKind::ValueValidation, message).exit()
}

fn replay(args: &Args, notes: &mut Notes) -> Result<ExitCode, Refused> {
    let chosen = plan::chosen(args).unwrap_or_else(|message| usage(message));
    let rules = plan::rules(args).unwrap_or_else(|message| usage(message));
    let pace = plan::pace(args).unwrap_or_else(|message| usage(message));
    plan::at_once(args).unwrap_or_else(|message| usage(message));
    let tls = plan::tls(args).map_err(anyhow::Error::msg)?;
    let stop = Stop::watch()?;
    let recordings = match args.dumps.is_empty() {
        true => recordings::of_captures(args, &chosen, notes, &stop)?,
        false => recordings::of_dumps(args, &chosen, notes)?,
    };
    if recordings.is_empty() {
        return Err(anyhow::anyhow!("no connection to play; --list shows those there are").into());
    }
    if args.list {
        list::list(&recordings, args.report == Report::Json)?;
        return Ok(status(notes, true));
    }
    let role = plan::role(args, rules, recordings).map_err(anyhow::Error::msg)?;
    let most = Descriptors::for_role(&role, args.at_once);
    let store = (!args.no_store).then(|| args.output_dir.clone());
    let options = Options {
        pace,
        tls,
        store: Store::new(store, args.utc, most.files, args.repeat),
        repeat: args.repeat,
        in_order: args.in_order,
        at_once: most.connections,
    };
    let tally = Rc::new(RefCell::new(Tally::default()));
    let (counting, quiet, json) = (tally.clone(), args.quiet, args.report == Report::Json);
    let tell = Box::new(move |event| counting.borrow_mut().take(&event, quiet, json));
    replay::run(role, options, tell, move || stop.is_wanted())?;
    let tally = tally.borrow();
    Ok(tally.status(notes, args.repeat))
}

fn status(notes: &Notes, matched: bool) -> ExitCode {
    match (matched, notes.incomplete()) {
        (false, _) => ExitCode::from(DIVERGED),
        (true, true) => ExitCode::from(INCOMPLETE),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// What became of all plays.
#[derive(Debug, Default)]
struct Tally {
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
    fn take(&mut self, event: &NetEvent, quiet: bool, json: bool) {
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

    fn status(&self, notes: &Notes, repeat: bool) -> ExitCode {
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

/// Descriptors, shared out.
#[derive(Clone, Copy, Debug)]
struct Descriptors {
    connections: usize,
    /// Of what was said.
    files: usize,
}

impl Descriptors {
    /// What a run may have at once, if more is asked for than the system has.
    const MOST_FILES: usize = 100;
    /// The standard streams, an event loop, sockets that listen, a directory.
    const OTHERS: usize = 16;
    /// So many connections a client makes at once, unless told.
    const AT_ONCE: usize = 1000;

    fn for_role(role: &Role, at_once: Option<usize>) -> Self {
        let (wanted, doors) = match role {
            Role::Connect(_, scripts) => (scripts.len().min(at_once.unwrap_or(Self::AT_ONCE)), 0),
            // Anybody may come.
            Role::Listen(doors) => (at_once.unwrap_or(usize::MAX), 2 * doors.len()),
        };
        let others = Self::OTHERS + doors;
        let most = descriptor_limit(wanted.saturating_add(Self::MOST_FILES + others));
        let files = Self::MOST_FILES.min(most / 4).max(1);
        let connections = wanted.min(most.saturating_sub(files + others)).max(1);
        Self { connections, files }
    }
}

/// How many descriptors this process may have; the system gives more to whoever asks for them.
#[cfg(target_os = "linux")]
fn descriptor_limit(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    let current = limit.current.unwrap_or(u64::MAX);
    let needed = wanted.min(maximum);
    let limit = match current < needed
        && setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).is_ok()
    {
        true => needed,
        false => current,
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// What systems usually give.
#[cfg(not(target_os = "linux"))]
fn descriptor_limit(_: usize) -> usize {
    256
}
