//! What was typed, checked and turned into what the libraries want.

use crate::args::{self, Args};
use capture::Inputs;
use sink::{Format, GapStyle, OutputConfig};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

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
    Interface(Live),
}

/// A live capture.
#[derive(Debug)]
pub(crate) struct Live {
    /// The interface's name, or one of its addresses.
    pub(crate) interface: String,
    pub(crate) snap_length: u32,
    /// The kernel's ring, in bytes.
    pub(crate) buffer_size: u32,
    pub(crate) promiscuous: bool,
    /// When to stop.
    pub(crate) duration: Option<Duration>,
    pub(crate) max_packets: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    /// How long bytes may wait to be written.
    pub(crate) flush_interval: Duration,
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
        Some(interface) => (From::Interface(live(&args, interface)?), false),
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

fn live(args: &Args, interface: &str) -> Result<Live, String> {
    at_least_one("--snaplen", args.snaplen as usize)?;
    for (option, value) in [
        ("--max-packets", args.max_packets),
        ("--max-bytes", args.max_bytes),
        ("--duration", args.duration),
    ] {
        at_least_one(option, usize::from(value != Some(0)))?;
    }
    let too_large = || format!("--buffer-size {}: at most 2047", args.buffer_size);
    let buffer_size = mib("--buffer-size", args.buffer_size)?;
    let buffer_size = i32::try_from(buffer_size).map_err(|_| too_large())?;
    let seconds = args.flush_interval;
    let flush_interval = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|interval| !interval.is_zero())
        .ok_or_else(|| format!("--flush-interval {seconds}: a time in seconds is needed"))?;
    Ok(Live {
        interface: interface.to_owned(),
        snap_length: args.snaplen,
        buffer_size: buffer_size.unsigned_abs(),
        promiscuous: !args.no_promiscuous,
        duration: args.duration.map(Duration::from_secs),
        max_packets: args.max_packets,
        max_bytes: args.max_bytes,
        flush_interval,
    })
}

/// Captured files are not cut by time unless that is asked for.
fn timeouts(args: &Args) -> Option<flow::Timeouts> {
    let idle = args.idle_timeout.map(Duration::from_secs);
    if args.interface.is_none() {
        return idle.map(flow::Timeouts::all);
    }
    let of = |secs: u64| idle.unwrap_or(Duration::from_secs(secs));
    Some(flow::Timeouts {
        half_open: of(args.half_open_timeout),
        established: of(args.tcp_timeout),
        closing: of(args.closing_timeout),
        linger: Duration::from_secs(args.linger),
        udp: of(args.udp_timeout),
        other: of(args.other_timeout),
        ..flow::Timeouts::LIVE
    })
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
        write_budget: mib("--write-buffer", args.write_buffer)?,
        dry_run: args.dry_run,
    })
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
    let timeouts = timeouts(args);
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
mod tests {
    use super::*;
    use clap::Parser;

    fn config(line: &str) -> Result<Config, String> {
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
    fn time_ends_connections_of_interfaces_and_of_files_where_it_is_asked_for() {
        assert_eq!(config("-r a").unwrap().engine.timeouts, None);
        let asked = config("-r a --idle-timeout 7").unwrap().engine.timeouts;
        assert_eq!(asked, Some(flow::Timeouts::all(Duration::from_secs(7))));
        assert_eq!(config("-i a").unwrap().engine.timeouts, Some(flow::Timeouts::LIVE));
        let timeouts = config("-i a --udp-timeout 5 --linger 1").unwrap().engine.timeouts.unwrap();
        assert_eq!((timeouts.udp.as_secs(), timeouts.linger.as_secs()), (5, 1));
        assert!(timeouts.quiet.is_some());
    }

    #[test]
    fn limits_of_live_capture_are_checked() {
        for line in [
            "--buffer-size 2048",
            "--buffer-size 0",
            "--duration 0",
            "--max-packets 0",
            "--max-bytes 0",
            "--snaplen 0",
            "--flush-interval 0",
            "--flush-interval -1",
            "--flush-interval nan",
        ] {
            let option = line.split(' ').next().unwrap();
            let line = line.replace("l -", "l=-");
            let error = config(&format!("-i a {line}")).unwrap_err();
            assert!(error.starts_with(option), "{error}");
        }
    }

    #[test]
    fn limits_are_mebibytes() {
        let limits = config("-r a --max-buffered 64 --max-fragments 2").unwrap().engine.limits;
        assert_eq!((limits.buffered, limits.fragments), (64 << 20, 2 << 20));
    }
}
