//! What was typed.

use clap::{ArgAction, Parser, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Turns packets into connections: every byte of every direction, in order.
#[derive(Parser, Debug)]
#[command(
    name = "pcap2conn",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    override_usage = "pcap2conn [-hvlcmsdj] [-r FILE...]... [-i INTERFACE] [-o DIR] [-e FILTER] [-f N] [OPTIONS]",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// Capture to read, pcap or pcapng; may be repeated and may name several files. `-` is standard
    /// input. A connection may go on from one file to the next
    #[arg(short = 'r', long, value_name = "FILE", num_args = 1.., help_heading = INPUT)]
    pub(crate) input_file: Vec<PathBuf>,

    /// Capture live on an interface, given by its name or one of its addresses; `any` is all of them. It ends
    /// with SIGINT or SIGTERM, and all is written then
    #[arg(short, long, value_name = "INTERFACE", help_heading = INPUT)]
    pub(crate) interface: Option<String>,

    /// Only packets that this BPF filter matches (pcap-filter(7)); it sees packets as captured
    #[arg(short = 'e', long, value_name = "FILTER", help_heading = INPUT)]
    pub(crate) filter: Option<String>,

    /// In which order files are read
    #[arg(long, value_enum, default_value_t = Order::Time, value_name = "ORDER", help_heading = INPUT)]
    pub(crate) order: Order,

    /// List the interfaces and exit; with -j as JSON, a line for each
    #[arg(short, long, help_heading = INPUT)]
    pub(crate) list_interfaces: bool,

    /// Bytes captured of each packet
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, requires = "interface", help_heading = LIVE)]
    pub(crate) snaplen: u32,

    /// The kernel's ring for packets that were not read yet, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "interface", help_heading = LIVE)]
    pub(crate) buffer_size: usize,

    /// Only packets that are for this machine
    #[arg(long, requires = "interface", help_heading = LIVE)]
    pub(crate) no_promiscuous: bool,

    /// Stop after this time
    #[arg(long, value_name = "SECONDS", requires = "interface", help_heading = LIVE)]
    pub(crate) duration: Option<u64>,

    /// Stop after so many packets
    #[arg(long, value_name = "N", requires = "interface", help_heading = LIVE)]
    pub(crate) max_packets: Option<u64>,

    /// Stop after packets of so many bytes, as captured
    #[arg(long, value_name = "N", requires = "interface", help_heading = LIVE)]
    pub(crate) max_bytes: Option<u64>,

    /// Bytes of connections that go on are written at the latest after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, requires = "interface", help_heading = LIVE)]
    pub(crate) flush_interval: f64,

    /// End a TCP connection that was silent for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "interface", help_heading = LIVE)]
    pub(crate) tcp_timeout: u64,

    /// The same, as long as its handshake is not complete
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "interface", help_heading = LIVE)]
    pub(crate) half_open_timeout: u64,

    /// The same, when one end has sent a FIN
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "interface", help_heading = LIVE)]
    pub(crate) closing_timeout: u64,

    /// Remember a TCP connection that is over for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "interface", help_heading = LIVE)]
    pub(crate) linger: u64,

    /// End a UDP connection that was silent for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "interface", help_heading = LIVE)]
    pub(crate) udp_timeout: u64,

    /// The same for other protocols
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "interface", help_heading = LIVE)]
    pub(crate) other_timeout: u64,

    /// Rings, each with a thread that reads it; the kernel shares packets out by a hash of their addresses
    /// and ports (PACKET_FANOUT). Fragments and tunnels are shared out by their outermost headers (Linux)
    #[arg(long, value_name = "N", default_value_t = 1, requires = "interface", help_heading = LIVE)]
    pub(crate) rings: usize,

    /// Record the packets as they were captured, too
    #[arg(long, value_name = "FILE", requires = "interface", help_heading = LIVE)]
    pub(crate) write_pcapng: Option<PathBuf>,

    /// Go on with the next file before one would be larger; their names have a number and a time
    #[arg(long, value_name = "MIB", requires = "write_pcapng", help_heading = LIVE)]
    pub(crate) rotate_size: Option<usize>,

    /// Go on with the next file when one began so long ago, by the times of packets
    #[arg(long, value_name = "SECONDS", requires = "write_pcapng", help_heading = LIVE)]
    pub(crate) rotate_time: Option<u64>,

    /// Keep the newest N recorded files, and remove those before
    #[arg(long, value_name = "N", requires = "write_pcapng", help_heading = LIVE)]
    pub(crate) rotate_count: Option<usize>,

    /// Become this user when the interface is open; directories and files that are made before belong to the
    /// user (Unix)
    #[arg(long, value_name = "USER", requires = "interface", help_heading = LIVE)]
    pub(crate) relinquish_privileges: Option<String>,

    /// See nothing of the file system but what is in this directory when the interface is open: all other
    /// paths begin there (Unix)
    #[arg(long, value_name = "DIR", requires = "interface", help_heading = LIVE)]
    pub(crate) chroot: Option<PathBuf>,

    /// Say on standard error now and then how it goes: packets, drops, connections
    #[arg(long, value_name = "SECONDS", requires = "interface", help_heading = LIVE)]
    pub(crate) stats_interval: Option<u64>,

    /// Answer Prometheus at this address and port, which must be of this machine alone, as 127.0.0.1:9100
    #[arg(long, value_name = "ADDR:PORT", requires = "interface", help_heading = LIVE)]
    pub(crate) metrics: Option<SocketAddr>,

    /// Where files go; created when missing
    #[arg(short, long, value_name = "DIR", default_value = ".", help_heading = OUTPUT)]
    pub(crate) output_dir: PathBuf,

    /// Everything to standard output, nothing to files
    #[arg(short = 'c', long, help_heading = OUTPUT)]
    pub(crate) write_to_console: bool,

    /// A metadata file for each connection
    #[arg(short = 'm', long, help_heading = OUTPUT)]
    pub(crate) write_metadata: bool,

    /// Each side of each connection in its own file
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) separate_sides: bool,

    /// A header before each chunk
    #[arg(short = 'd', long, help_heading = OUTPUT)]
    pub(crate) chunks_header: bool,

    /// Chunks and metadata as JSON, one line a chunk
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Put the files of every N connections in a numbered folder of their own
    #[arg(long, value_name = "N", help_heading = OUTPUT)]
    pub(crate) bin_dirs: Option<u32>,

    /// How missing bytes show in raw output: not at all, as a marker, or as zero bytes
    #[arg(long, value_enum, default_value_t = Gap::Skip, value_name = "HOW", help_heading = OUTPUT)]
    pub(crate) gap: Gap,

    /// Times of file names in UTC instead of the local zone
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) utc: bool,

    /// Most output files open at once
    #[arg(short = 'f', long, value_name = "N", default_value_t = 500, help_heading = OUTPUT)]
    pub(crate) max_file_desc: usize,

    /// Do everything but open output files
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) dry_run: bool,

    /// Whose bytes count where two segments differ, as long as neither is delivered
    #[arg(long, value_enum, default_value_t = Overlap::First, value_name = "WHICH", help_heading = ENGINE)]
    pub(crate) overlap: Overlap,

    /// What tells connections apart beside protocol, addresses and ports: VLAN ids, the outermost first
    #[arg(long, value_enum, value_name = "PART", help_heading = ENGINE)]
    pub(crate) key: Vec<KeyPart>,

    /// End a connection when its next packet comes later than this after the last one; captured files
    /// are not cut by time unless this is given
    #[arg(long, value_name = "SECONDS", help_heading = ENGINE)]
    pub(crate) idle_timeout: Option<u64>,

    /// Threads that follow connections and write; as many as there are cores unless this is given, at most
    /// as -f and 64. The output is the same for any number
    #[arg(long, value_name = "N", help_heading = ENGINE)]
    pub(crate) workers: Option<usize>,

    /// Most connections held at once; the least recently active ones are ended and written. Each of 64
    /// parts of the connections gets a 64th, at least 1
    #[arg(long, value_name = "N", default_value_t = 2 << 20, help_heading = LIMITS)]
    pub(crate) max_connections: usize,

    /// Memory for TCP segments that wait for others, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = LIMITS)]
    pub(crate) max_buffered: usize,

    /// Memory for one direction's segments that wait for others, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8, help_heading = LIMITS)]
    pub(crate) max_buffered_per_direction: usize,

    /// Memory for IP fragments that wait for others, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, help_heading = LIMITS)]
    pub(crate) max_fragments: usize,

    /// How long IP fragments wait for others, by their own times; 30 s, for IPv6 60 s, unless this is given
    #[arg(long, value_name = "SECONDS", help_heading = LIMITS)]
    pub(crate) fragment_timeout: Option<u64>,

    /// Connections that are over but remembered for stragglers; each of 64 parts gets a 64th, at least 1
    #[arg(long, value_name = "N", default_value_t = 65_536, help_heading = LIMITS)]
    pub(crate) max_lingering: usize,

    /// Connections with the same protocol, addresses and ports held at once
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = LIMITS)]
    pub(crate) max_same_ends: usize,

    /// TCP segments more than 64 MiB ahead of their stream that one direction keeps
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = LIMITS)]
    pub(crate) max_far_ahead: usize,

    /// Headers in one another: VLAN tags, MPLS labels and extension headers are counted
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = LIMITS)]
    pub(crate) max_headers: usize,

    /// Memory for bytes that wait to be written, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, help_heading = LIMITS)]
    pub(crate) write_buffer: usize,

    /// Disk for the files of connections, in MiB. See --when-full
    #[arg(long, value_name = "MIB", conflicts_with = "write_to_console", help_heading = LIMITS)]
    pub(crate) max_disk: Option<usize>,

    /// What to do then: stop, or remove the files that were written longest ago
    #[arg(long, value_enum, default_value_t = WhenFull::Stop, value_name = "WHAT", requires = "max_disk",
        help_heading = LIMITS)]
    pub(crate) when_full: WhenFull,

    /// Write the summary as JSON to a file; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = MESSAGES)]
    pub(crate) summary_json: Option<PathBuf>,

    /// No summary, no progress; errors only
    #[arg(short, long, conflicts_with = "verbose", help_heading = MESSAGES)]
    pub(crate) quiet: bool,

    /// Say for each packet that could not be decoded why, and what is read
    #[arg(long, help_heading = MESSAGES)]
    pub(crate) verbose: bool,

    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version, help_heading = MESSAGES)]
    version: (),

    /// Print this help and exit
    #[arg(short, long, action = ArgAction::HelpShort, help_heading = MESSAGES)]
    help: (),
}

const INPUT: &str = "Input";
const LIVE: &str = "Live capture";
const OUTPUT: &str = "Output";
const ENGINE: &str = "Connections";
const LIMITS: &str = "Limits";
const MESSAGES: &str = "Messages";

const EXAMPLES: &str = "Examples:
  pcap2conn -r capture.pcap -o out        each connection in a file of its own in out/
  pcap2conn -r cap* -o out -s -m          each side in a file, and metadata
  pcap2conn -r capture.pcapng -c -j       JSON lines on standard output
  pcap2conn -r data.pcapng -e 'tcp port 23' -j
  tcpdump -w - | pcap2conn -r - -c        from another program
  pcap2conn -i eth0 -e 'port 53' -o out   live, until SIGINT
  pcap2conn replay --help                 play one side of recorded connections to a program

Exit status:
  0  all inputs were read to their end
  1  no input was readable, or output failed
  2  the command line or the filter is wrong
  3  something was read, but an input was missing, cut, corrupt or of an unknown link type";

/// What can be made a part of a flow's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum KeyPart {
    /// The VLAN ids.
    Vlan,
}

/// What to do when the disk that files may take is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum WhenFull {
    /// Stop.
    Stop,
    /// Remove the files that were written longest ago.
    DropOldest,
}

/// In which order files are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Order {
    /// By the time of their first packets.
    Time,
    /// As on the command line.
    Given,
}

/// How missing bytes show in raw output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Gap {
    /// Not at all.
    Skip,
    /// As `[N bytes missing]`.
    Marker,
    /// As zero bytes, at most 1 GiB a gap.
    Zero,
}

/// Whose bytes count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Overlap {
    /// The first captured.
    First,
    /// The last captured.
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_r_takes_several_files_and_may_be_repeated() {
        let line = "pcap2conn -r a b -csj -r c --input-file d -o out";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(args.input_file, ["a", "b", "c", "d"].map(PathBuf::from));
        assert!(args.write_to_console && args.separate_sides && args.json && !args.chunks_header);
        assert_eq!(args.output_dir, PathBuf::from("out"));
    }
}
