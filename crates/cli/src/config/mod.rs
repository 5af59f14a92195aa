//! What was typed, checked and turned into what the libraries want.

mod live;

use crate::args::{self, Args};
use capture::Inputs;
use sink::{Disk, Format, GapStyle, OutputConfig, Turn};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use live::{Live, MOST_SERVED, Privileges, Record};

/// Each header of a frame may cost a few hundred bytes of stack.
const MAX_HEADERS: usize = 1000;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Read captures.
    Read(Box<Config>),
    /// List the interfaces.
    List {
        /// For programs.
        as_json: bool,
    },
}

/// Where packets come from.
#[derive(Debug)]
pub(crate) enum From {
    /// Captures.
    Files(Inputs),
    /// An interface.
    Interface(Box<Live>),
}

/// A run over captures, or a live one.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) from: From,
    pub(crate) filter: Option<String>,
    pub(crate) engine: flow::Config,
    /// Threads that follow connections; 1 is the one that reads.
    pub(crate) workers: usize,
    pub(crate) output: OutputConfig,
    pub(crate) summary_json: Option<PathBuf>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

/// Checks the arguments; an error is a line for people, about the command line.
pub(crate) fn action(args: Args) -> Result<Action, String> {
    source_is_one(&args)?;
    if args.list_interfaces {
        return Ok(Action::List { as_json: args.json });
    }
    let (from, several) = match &args.interface {
        Some(interface) => {
            (From::Interface(Box::new(live::live(&args, interface)?)), args.rings > 1)
        }
        None => {
            let inputs = inputs(&args)?;
            let several = inputs.len() > 1;
            (From::Files(inputs), several)
        }
    };
    Ok(Action::Read(Box::new(Config {
        engine: engine(&args)?,
        workers: workers(&args)?,
        output: output(&args, several)?,
        from,
        filter: args.filter,
        summary_json: args.summary_json,
        quiet: args.quiet,
        verbose: args.verbose,
    })))
}

/// Where packets come from must be said, once.
fn source_is_one(args: &Args) -> Result<(), String> {
    let of_interfaces = args.list_interfaces || args.interface.is_some();
    match (of_interfaces, args.input_file.is_empty()) {
        (true, false) => {
            Err("-r reads files, -i and -l look at interfaces: give one of them".into())
        }
        (false, true) => {
            Err("nothing to read: name a capture with -r, or an interface with -i".into())
        }
        _ => Ok(()),
    }
}

fn inputs(args: &Args) -> Result<Inputs, String> {
    let order = match args.order {
        args::Order::Time => capture::Order::FirstPacket,
        args::Order::Given => capture::Order::Given,
    };
    let inputs = Inputs::order(&args.input_file, order).map_err(|error| error.to_string())?;
    let most = flow::Source::MAX_FILE;
    if inputs.len() > most as usize {
        return Err(format!("{} inputs: at most {most} can be one run", inputs.len()));
    }
    Ok(inputs)
}

fn output(args: &Args, several_inputs: bool) -> Result<OutputConfig, String> {
    at_least_one("-f", args.max_file_desc)?;
    at_least_one("--bin-dirs", args.bin_dirs.map_or(1, |n| n as usize))?;
    Ok(OutputConfig {
        dir: args.output_dir.clone(),
        console: args.write_to_console,
        metadata: args.write_metadata,
        separate_sides: args.separate_sides,
        format: match (args.json, args.chunks_header) {
            (true, _) => Format::Json,
            (false, true) => Format::Headers,
            (false, false) => Format::Raw,
        },
        gap: match args.gap {
            args::Gap::Skip => GapStyle::Skip,
            args::Gap::Marker => GapStyle::Marker,
            args::Gap::Zero => GapStyle::Zero,
        },
        utc: args.utc,
        several_inputs,
        bin_dirs: args.bin_dirs,
        max_open: args.max_file_desc,
        reserved: live::descriptors(args),
        write_budget: mib("--write-buffer", args.write_buffer)?,
        dry_run: args.dry_run,
        disk: disk(args)?,
        turn: Turn::default(),
        endless: args.interface.is_some(),
    })
}

fn disk(args: &Args) -> Result<Option<Disk>, String> {
    let when_full = match args.when_full {
        args::WhenFull::Stop => sink::WhenFull::Stop,
        args::WhenFull::DropOldest => sink::WhenFull::DropOldest,
    };
    let most = args.max_disk.map(|most| mib("--max-disk", most)).transpose()?;
    Ok(most.map(|most| Disk::new(most as u64, when_full)))
}

/// As many as there are cores, unless told. Each opens files, so there are at most `-f`. The console
/// has one order, which one worker keeps.
fn workers(args: &Args) -> Result<usize, String> {
    at_least_one("--workers", args.workers.unwrap_or(1))?;
    if args.write_to_console && !args.dry_run {
        return Ok(1);
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Ok(args.workers.unwrap_or(cores).min(args.max_file_desc).min(flow::SHARDS))
}

fn engine(args: &Args) -> Result<flow::Config, String> {
    let overlap = match args.overlap {
        args::Overlap::First => flow::Overlap::First,
        args::Overlap::Last => flow::Overlap::Last,
    };
    let timeouts = live::timeouts(args);
    let vlan_keys = args.key.contains(&args::KeyPart::Vlan);
    let limits = limits(args)?;
    Ok(flow::Config { overlap, timeouts, vlan_keys, limits, ..flow::Config::default() })
}

fn limits(args: &Args) -> Result<flow::Limits, String> {
    at_least_one("--max-connections", args.max_connections)?;
    at_least_one("--max-lingering", args.max_lingering)?;
    at_least_one("--max-same-ends", args.max_same_ends)?;
    at_least_one("--max-far-ahead", args.max_far_ahead)?;
    at_least_one("--max-headers", args.max_headers)?;
    if args.max_headers > MAX_HEADERS {
        return Err(format!("--max-headers {}: at most {MAX_HEADERS}", args.max_headers));
    }
    let per_direction = "--max-buffered-per-direction";
    Ok(flow::Limits {
        connections: args.max_connections,
        buffered_per_direction: mib(per_direction, args.max_buffered_per_direction)?,
        buffered: mib("--max-buffered", args.max_buffered)?,
        fragments: mib("--max-fragments", args.max_fragments)?,
        fragment_wait: args.fragment_timeout.map(Duration::from_secs),
        lingering: args.max_lingering,
        per_key: args.max_same_ends,
        far_ahead: args.max_far_ahead,
        headers: args.max_headers,
    })
}

fn at_least_one(option: &str, value: usize) -> Result<(), String> {
    if value == 0 { Err(format!("{option} 0: at least 1 is needed")) } else { Ok(()) }
}

/// Mebibytes in bytes.
fn mib(option: &str, value: usize) -> Result<usize, String> {
    at_least_one(option, value)?;
    value
        .checked_mul(1 << 20)
        .ok_or_else(|| format!("{option} {value}: more than this machine can address"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::Parser;

    pub(in crate::config) fn config(line: &str) -> Result<Config, String> {
        let words = std::iter::once("pcap2conn").chain(line.split_whitespace());
        match action(Args::try_parse_from(words).unwrap())? {
            Action::Read(config) => Ok(*config),
            Action::List { .. } => Err("a list".into()),
        }
    }

    #[test]
    fn json_overrides_headers() {
        assert_eq!(config("-r a -d").unwrap().output.format, Format::Headers);
        assert_eq!(config("-r a -dj").unwrap().output.format, Format::Json);
        assert_eq!(config("-r a").unwrap().output.format, Format::Raw);
    }

    #[test]
    fn zeros_that_make_no_sense_are_refused() {
        for option in ["-f", "--workers", "--max-connections", "--max-buffered", "--write-buffer"] {
            let error = config(&format!("-r a {option} 0")).unwrap_err();
            assert!(error.starts_with(option), "{error}");
        }
        assert!(config("-r a --max-buffered 99999999999999999").is_err());
    }

    #[test]
    fn files_interfaces_or_neither() {
        assert!(config("").unwrap_err().contains("-r"));
        assert!(config("-r a -i eth0").unwrap_err().contains("one of them"));
        assert!(matches!(config("-i eth0").unwrap().from, From::Interface(_)));
        assert!(config("-r a -l").unwrap_err().contains("one of them"));
        assert_eq!(config("-l").unwrap_err(), "a list");
        assert!(config("-r - -r -").unwrap_err().contains("standard input"));
    }

    #[test]
    fn limits_are_mebibytes() {
        let limits = config("-r a --max-buffered 64 --max-fragments 2").unwrap().engine.limits;
        assert_eq!((limits.buffered, limits.fragments), (64 << 20, 2 << 20));
    }
}
