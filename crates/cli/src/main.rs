//! `pcap2conn`: packets in, connections out.
//!
//! Arguments become a checked configuration ([`config`]), the configuration a run ([`run`]), and what
//! the run met becomes an exit status. What another front end would need lies in the libraries.

mod args;
mod config;
mod list;
mod live;
mod notes;
mod progress;
mod replay;
mod run;
mod stop;
mod workers;

use args::Args;
use capture::LiveError;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use config::{Action, Config};
use progress::{one_line, say};
use std::process::ExitCode;

/// No input was readable, or output failed.
const FAILED: u8 = 1;
/// The command line or the filter is wrong.
const USAGE: u8 = 2;
/// Something was read, but not everything that was asked for.
const INCOMPLETE: u8 = 3;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == replay::NAME) {
        return replay::main(words);
    }
    let matches = Args::command().get_matches();
    let args = match Args::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match config::action(args) {
        Ok(Action::Read(config)) => read(&config),
        Ok(Action::List { as_json }) => match list::list(as_json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Err(message) => Args::command().error(ErrorKind::ValueValidation, message).exit(),
    }
}

fn read(config: &Config) -> ExitCode {
    match run::run(config) {
        Ok(status) => status.into(),
        Err(error) => failed(&error),
    }
}

/// Says what failed.
fn failed(error: &anyhow::Error) -> ExitCode {
    say(format_args!("pcap2conn: {}\n", one_line(&format!("{error:#}"))));
    match error.downcast_ref() {
        Some(LiveError::NoLibpcap) => ExitCode::from(USAGE),
        _ => ExitCode::from(FAILED),
    }
}
