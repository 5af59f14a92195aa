//! What was typed about a live capture.

use super::{at_least_one, mib};
use crate::args::Args;
use capture::Rotation;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A live capture.
#[derive(Debug)]
pub(crate) struct Live {
    /// The interface's name, or one of its addresses.
    pub(crate) interface: String,
    pub(crate) snap_length: u32,
    /// The kernel's ring, in bytes.
    pub(crate) buffer_size: u32,
    pub(crate) promiscuous: bool,
    pub(crate) rings: usize,
    /// When to stop.
    pub(crate) duration: Option<Duration>,
    pub(crate) max_packets: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    /// How long bytes may wait to be written.
    pub(crate) flush_interval: Duration,
    pub(crate) record: Option<Record>,
    pub(crate) privileges: Privileges,
    /// How often it is said how it goes.
    pub(crate) stats_interval: Option<Duration>,
    /// Where Prometheus is answered.
    pub(crate) metrics: Option<SocketAddr>,
}

/// A recording of all packets.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Rotation,
}

/// What is given up when the interface is open.
#[derive(Debug, Default)]
pub(crate) struct Privileges {
    /// The user to become.
    pub(crate) user: Option<String>,
    /// The directory that is the root of the file system from then on.
    pub(crate) root: Option<PathBuf>,
}

pub(super) fn live(args: &Args, interface: &str) -> Result<Live, String> {
    at_least_one("--snaplen", args.snaplen as usize)?;
    at_least_one("--rings", args.rings)?;
    for (option, value) in [
        ("--max-packets", args.max_packets),
        ("--max-bytes", args.max_bytes),
        ("--duration", args.duration),
        ("--stats-interval", args.stats_interval),
    ] {
        at_least_one(option, usize::from(value != Some(0)))?;
    }
    let too_many = || format!("--rings {}: at most {MAX_RINGS}", args.rings);
    let rings = Some(args.rings).filter(|&rings| rings <= MAX_RINGS).ok_or_else(too_many)?;
    if rings > 1 && args.write_to_console {
        return Err("--rings and -c: the console has one order, which one ring keeps".into());
    }
    let too_large = || format!("--buffer-size {}: at most 2047", args.buffer_size);
    let buffer_size = mib("--buffer-size", args.buffer_size)?;
    let buffer_size = i32::try_from(buffer_size).map_err(|_| too_large())?;
    let seconds = args.flush_interval;
    let flush_interval = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|interval| *interval >= SHORTEST_FLUSH)
        .ok_or_else(|| format!("--flush-interval {seconds}: a time of at least 0.5 s is needed"))?;
    Ok(Live {
        interface: interface.to_owned(),
        snap_length: args.snaplen,
        buffer_size: buffer_size.unsigned_abs(),
        promiscuous: !args.no_promiscuous,
        rings,
        duration: args.duration.map(Duration::from_secs),
        max_packets: args.max_packets,
        max_bytes: args.max_bytes,
        flush_interval,
        record: record(args)?,
        privileges: privileges(args)?,
        stats_interval: args.stats_interval.map(Duration::from_secs),
        metrics: metrics(args)?,
    })
}

/// The kernel keeps packets for a tenth of a second.
const SHORTEST_FLUSH: Duration = Duration::from_millis(500);

/// So many who ask for figures are served at once.
pub(crate) const MOST_SERVED: usize = 8;

/// How many descriptors a live capture needs: its rings, what wakes their threads, what the interface lost; a
/// recording; whoever asks for figures.
pub(super) fn descriptors(args: &Args) -> usize {
    let rings = args.interface.as_ref().map_or(0, |_| args.rings.min(MAX_RINGS) * 6);
    let recording = args.write_pcapng.as_ref().map_or(0, |_| 2);
    let metrics = args.metrics.map_or(0, |_| 1 + MOST_SERVED);
    rings + recording + metrics
}

/// So many threads that read have nothing to do but to wait for one another.
const MAX_RINGS: usize = 64;

fn record(args: &Args) -> Result<Option<Record>, String> {
    let Some(path) = &args.write_pcapng else { return Ok(None) };
    at_least_one("--rotate-time", usize::from(args.rotate_time != Some(0)))?;
    at_least_one("--rotate-count", args.rotate_count.unwrap_or(1))?;
    let size = args.rotate_size.map(|size| mib("--rotate-size", size)).transpose()?;
    let rotation = Rotation {
        size: size.map(|size| size as u64),
        time: args.rotate_time.map(Duration::from_secs),
        count: args.rotate_count,
    };
    if rotation.count.is_some() && !rotation.is_wanted() {
        return Err("--rotate-count: needs --rotate-size or --rotate-time".into());
    }
    if args.summary_json.as_ref() == Some(path) {
        return Err(format!("--write-pcapng and --summary-json: both would be {}", path.display()));
    }
    if path.file_name().is_none_or(|name| name == "-") {
        return Err(format!("--write-pcapng {}: a file is needed", path.display()));
    }
    Ok(Some(Record { path: path.clone(), rotation }))
}

fn privileges(args: &Args) -> Result<Privileges, String> {
    let privileges =
        Privileges { user: args.relinquish_privileges.clone(), root: args.chroot.clone() };
    let wanted = privileges.user.is_some() || privileges.root.is_some();
    if wanted && !cfg!(unix) {
        return Err("--relinquish-privileges and --chroot: there is no such thing here".into());
    }
    Ok(privileges)
}

/// Whoever may read the figures can read the traffic's outlines, so that they are for this machine.
fn metrics(args: &Args) -> Result<Option<SocketAddr>, String> {
    match args.metrics {
        Some(address) if !address.ip().is_loopback() => Err(format!(
            "--metrics {address}: an address of this machine alone is needed, as 127.0.0.1"
        )),
        metrics => Ok(metrics),
    }
}

/// Captured files are not cut by time unless that is asked for.
pub(super) fn timeouts(args: &Args) -> Option<flow::Timeouts> {
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

#[cfg(test)]
mod tests {
    use crate::config::From;
    use crate::config::tests::config;
    use std::time::Duration;

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
            "--flush-interval 0.4",
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
    fn what_goes_with_a_recording_is_checked() {
        for (line, said) in [
            ("--write-pcapng a --rotate-count 2", "--rotate-count: needs"),
            ("--write-pcapng a --rotate-count 0 --rotate-size 1", "--rotate-count 0"),
            ("--write-pcapng a --rotate-size 0", "--rotate-size 0"),
            ("--write-pcapng a --rotate-time 0", "--rotate-time 0"),
            ("--write-pcapng /", "--write-pcapng /: a file"),
            ("--write-pcapng -", "--write-pcapng -: a file"),
            ("--metrics 192.0.2.1:9100", "--metrics 192.0.2.1:9100: an address of this machine"),
            ("--write-pcapng a --summary-json a", "--write-pcapng and --summary-json: both"),
            ("--rings 0", "--rings 0"),
            ("--rings 65", "--rings 65: at most 64"),
            ("--rings 2 -c", "--rings and -c"),
            ("--stats-interval 0", "--stats-interval 0"),
            ("--max-disk 0", "--max-disk 0"),
        ] {
            let error = config(&format!("-i a {line}")).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        let config =
            config("-i a --write-pcapng b --rotate-size 2 --rotate-time 3 --rotate-count 4");
        let From::Interface(live) = config.unwrap().from else { panic!("it is live") };
        let rotation = live.record.unwrap().rotation;
        assert_eq!((rotation.size, rotation.count), (Some(2 << 20), Some(4)));
        assert_eq!(rotation.time, Some(Duration::from_secs(3)));
    }
}
