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
    give_descriptors(&role, args.at_once);
    let store = (!args.no_store).then(|| args.output_dir.clone());
    let options = Options {
        pace,
        tls,
        store: Store::new(store, args.utc, STORED_AT_ONCE),
        repeat: args.repeat,
        in_order: args.in_order,
        at_once: args.at_once,
    };
    let tally = Rc::new(RefCell::new(Tally::default()));
    let (counting, quiet, json) = (tally.clone(), args.quiet, args.report == Report::Json);
    let tell = Box::new(move |event| counting.borrow_mut().take(event, quiet, json));
    replay::run(role, options, tell, move || stop.is_wanted())?;
    let tally = tally.borrow();
    Ok(tally.status(notes, args.repeat))
}

/// So many files of what was said are open at once.
const STORED_AT_ONCE: usize = 100;

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
    /// Standard output cannot be written to.
    deaf: Option<io::Error>,
}

impl Tally {
    fn take(&mut self, event: NetEvent, quiet: bool, json: bool) {
        match event {
            NetEvent::Listening(address, transport, recordings) => {
                if !quiet {
                    say(format_args!(
                        "pcap2conn: listening on {address} ({transport}), recordings: {recordings}\n"
                    ));
                }
            }
            NetEvent::Note(note) => say(format_args!("pcap2conn: {}\n", one_line(&note))),
            NetEvent::Played(played) => self.take_played(&played, quiet, json),
        }
    }

    fn take_played(&mut self, played: &Played, quiet: bool, json: bool) {
        let matched = played.outcome.matched();
        self.played += 1;
        self.matched += u64::from(matched);
        self.failed += u64::from(matches!(played.outcome.ending, Ending::Failed(_)));
        self.not_played += u64::from(played.outcome.ending == Ending::NotPlayed);
        if json {
            let written = stdout().write_all((report::json(played) + "\n").as_bytes());
            self.deaf = self.deaf.take().or(written.err());
        } else if !quiet || !matched {
            for line in report::text(played).lines() {
                let head = if line.starts_with(' ') { "" } else { "pcap2conn: " };
                say(format_args!("{head}{}\n", one_line(line)));
            }
        }
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
        status(notes, self.matched + excused == self.played)
    }
}

/// Sockets need descriptors; the system gives more to whoever asks.
#[cfg(target_os = "linux")]
fn give_descriptors(role: &Role, at_once: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let plays = match role {
        Role::Connect(_, scripts) => scripts.len().min(at_once),
        // Anybody may come.
        Role::Listen(_) => usize::MAX,
    };
    let needed = u64::try_from(plays.saturating_add(STORED_AT_ONCE + 32)).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < needed.min(maximum)) {
        // Where it may not be, what cannot be opened is said then.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(needed.min(maximum)), ..limit });
    }
}

#[cfg(not(target_os = "linux"))]
fn give_descriptors(_: &Role, _: usize) {}
