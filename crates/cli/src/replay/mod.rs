//! `pcap2conn replay`: one side of recorded connections, played to a program.

mod args;
mod descriptors;
mod list;
mod plan;
mod recordings;
mod tally;

use crate::notes::Notes;
use crate::progress::{Progress, one_line, say};
use crate::stop::Stop;
use crate::{FAILED, USAGE};
use args::{Args, Report};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use descriptors::Descriptors;
use recordings::Refused;
use replay::{Options, Store};
use std::cell::RefCell;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use tally::{Tally, status};

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
    // While dumps are read, there is nothing that a signal must leave in order.
    let dumps = match args.dumps.is_empty() {
        true => None,
        false => Some(recordings::of_dumps(args, &chosen, notes)?),
    };
    let stop = Stop::watch()?;
    let recordings = match dumps {
        Some(recordings) => recordings,
        None => recordings::of_captures(args, &chosen, notes, &stop)?,
    };
    plan::all_are_there(&chosen, &recordings).map_err(anyhow::Error::msg)?;
    let recordings = recordings::with_turns(recordings, notes);
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
