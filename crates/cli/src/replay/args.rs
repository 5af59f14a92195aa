//! What was typed after `replay`.

use clap::{ArgAction, ArgGroup, Parser, ValueEnum};
use replay::{Address, Echo, Mask, Pattern, Wait};
use std::net::IpAddr;
use std::path::PathBuf;

/// Plays one side of recorded connections to a program, as the captured peer did.
#[derive(Parser, Debug)]
#[command(
    name = "pcap2conn replay",
    disable_help_flag = true,
    disable_version_flag = true,
    override_usage = "pcap2conn replay DUMP...|-r FILE... (--listen ADDR:PORT | --connect ADDR:PORT) [OPTIONS]",
    after_help = EXAMPLES,
    max_term_width = 100,
    group = ArgGroup::new("role").required(true).args(["listen", "listen_all", "connect", "list"])
)]
pub(crate) struct Args {
    /// JSON lines of recorded connections (-j, or -c -j), or a folder of such files; `-` is standard input
    #[arg(value_name = "DUMP", help_heading = INPUT)]
    pub(crate) dumps: Vec<PathBuf>,

    /// Captures to take connections from, pcap or pcapng; `-` is standard input
    #[arg(short = 'r', long, value_name = "FILE", num_args = 1.., conflicts_with = "dumps", help_heading = INPUT)]
    pub(crate) input_file: Vec<PathBuf>,

    /// Only packets of captures that this BPF filter matches (pcap-filter(7))
    #[arg(short = 'e', long, value_name = "FILTER", conflicts_with = "dumps", help_heading = INPUT)]
    pub(crate) filter: Option<String>,

    /// Only this connection: its number from 1, as --list has it, numbers from N to M, or its name. May be repeated
    #[arg(long, value_name = "N|N-M|NAME", help_heading = INPUT)]
    pub(crate) connection: Vec<String>,

    /// Play TCP connections alone; dumps that do not tell are of TCP
    #[arg(long, conflicts_with = "udp", help_heading = INPUT)]
    pub(crate) tcp: bool,

    /// The same for UDP
    #[arg(long, help_heading = INPUT)]
    pub(crate) udp: bool,

    /// Bytes that were not captured are zeros, or left out; without this, recordings that lack some are not played
    #[arg(long, value_enum, value_name = "HOW", help_heading = INPUT)]
    pub(crate) fill: Option<Fill>,

    /// Memory for recordings, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = INPUT)]
    pub(crate) max_memory: usize,

    /// List the connections, and play nothing
    #[arg(long, help_heading = INPUT)]
    pub(crate) list: bool,

    /// Play the server, side 1, to whoever connects here: ADDR:PORT, PORT alone for 127.0.0.1, or unix:PATH. Clients
    /// get the recording that begins with what they say; where the server speaks first, the next one
    #[arg(long, value_name = "ADDR:PORT", help_heading = ROLE)]
    pub(crate) listen: Option<Address>,

    /// The same at each port that our side had
    #[arg(long, value_name = "ADDR", help_heading = ROLE)]
    pub(crate) listen_all: Option<IpAddr>,

    /// Play the client, side 0: connect to ADDR:PORT, PORT of 127.0.0.1, or unix:PATH, once for each recording
    #[arg(long, value_name = "ADDR:PORT", help_heading = ROLE)]
    pub(crate) connect: Option<Address>,

    /// Play this side
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..2), help_heading = ROLE)]
    pub(crate) side: Option<u8>,

    /// Play recordings again and again, until SIGINT or SIGTERM; else each is played once
    #[arg(long, conflicts_with = "connect", help_heading = ROLE)]
    pub(crate) repeat: bool,

    /// Clients get recordings in order, whatever they say
    #[arg(long, conflicts_with = "connect", help_heading = ROLE)]
    pub(crate) in_order: bool,

    /// Most connections at once; with --connect 1000 unless given, else as many as the system lets a program have
    #[arg(long, value_name = "N", help_heading = ROLE)]
    pub(crate) at_once: Option<usize>,

    /// What the peer must send before we go on: as many bytes as recorded (length), the same (bytes), anything
    /// (any), what ends a turn (regex:REGEX) as often as recorded, or nothing (none). Where something may differ
    /// (--mask, --ignore) it is bytes unless given, else length
    #[arg(long, value_name = "WHAT", help_heading = TURNS)]
    pub(crate) wait: Option<Wait>,

    /// Bytes of the peer that may differ: from OFFSET of what it sends, or from turn:OFFSET of each of its turns. May be
    /// repeated, as the next two
    #[arg(long, value_name = "OFFSET:LEN", help_heading = TURNS)]
    pub(crate) mask: Vec<Mask>,

    /// What the peer may send otherwise, as long as it matches this regular expression
    #[arg(long, value_name = "REGEX", value_parser = pattern, help_heading = TURNS)]
    pub(crate) ignore: Vec<Pattern>,

    /// Bytes of the peer's turns that came back in ours: what it sends there now comes back now (DNS ids: 0:2)
    #[arg(long, value_name = "OFFSET:LEN", help_heading = TURNS)]
    pub(crate) echo: Vec<Echo>,

    /// What the group of this regular expression matched in the peer's turn comes back in ours, wherever we said the
    /// same in the recording: session ids, as 'sid=([0-9a-f]+)'. What matches may differ, as with --ignore
    #[arg(long, value_name = "REGEX", value_parser = pattern_with_group, help_heading = TURNS)]
    pub(crate) carry: Vec<Pattern>,

    /// A file of such rules, one a line: mask OFFSET:LEN, ignore REGEX, echo OFFSET:LEN, carry REGEX
    #[arg(long, value_name = "FILE", help_heading = TURNS)]
    pub(crate) rules: Vec<PathBuf>,

    /// How much longer than recorded a turn may take; 0 is for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, help_heading = TIMES)]
    pub(crate) timeout: f64,

    /// So many times faster than recorded
    #[arg(long, value_name = "X", default_value_t = 1.0, conflicts_with = "no_delay", help_heading = TIMES)]
    pub(crate) speed: f64,

    /// Without the recorded delays
    #[arg(long, help_heading = TIMES)]
    pub(crate) no_delay: bool,

    /// How long the peer has to close when all is said
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, help_heading = TIMES)]
    pub(crate) linger: f64,

    /// When our side of a dump ends: after its own last turn, or after all turns. Captures have it recorded
    #[arg(long, value_enum, default_value_t = Close::Ours, value_name = "AFTER", help_heading = TIMES)]
    pub(crate) close: Close,

    /// Speak TLS around the recorded bytes, as client
    #[arg(long, conflicts_with_all = ["listen", "listen_all"], help_heading = TLS)]
    pub(crate) tls: bool,

    /// The server's name; the address unless given
    #[arg(long, value_name = "NAME", requires = "tls", help_heading = TLS)]
    pub(crate) tls_name: Option<String>,

    /// Believe servers with certificates from the authorities in this file (PEM), not the system's
    #[arg(long, value_name = "FILE", requires = "tls", conflicts_with = "tls_insecure", help_heading = TLS)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Believe any server
    #[arg(long, requires = "tls", help_heading = TLS)]
    pub(crate) tls_insecure: bool,

    /// Speak TLS around the recorded bytes, as server, with this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "connect", help_heading = TLS)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS)]
    pub(crate) tls_key: Option<PathBuf>,

    /// Protocol to offer in TLS (ALPN), as http/1.1; may be repeated
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, help_heading = TLS)]
    pub(crate) tls_alpn: Vec<String>,

    /// Where what was said is stored, as JSON lines, a file for each connection
    #[arg(short, long, value_name = "DIR", default_value = ".", help_heading = OUTPUT)]
    pub(crate) output_dir: PathBuf,

    /// Store nothing, whatever -o says
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) no_store: bool,

    /// Times of file names in UTC instead of the local zone
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) utc: bool,

    /// What became of each connection: a line on standard error, or JSON lines on standard output
    #[arg(long, value_enum, default_value_t = Report::Text, value_name = "HOW", help_heading = OUTPUT)]
    pub(crate) report: Report,

    /// Tell only of what did not match
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,

    /// Print this help and exit
    #[arg(short, long, action = ArgAction::HelpShort, help_heading = OUTPUT)]
    help: (),
}

const INPUT: &str = "Recordings";
const ROLE: &str = "Role";
const TURNS: &str = "Turns";
const TIMES: &str = "Times";
const TLS: &str = "TLS";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "Examples:
  pcap2conn replay dump.json --listen 2323          the server's side, to whoever connects to 127.0.0.1:2323
  pcap2conn replay dump.json --connect 127.0.0.1:80 the client's side, to a server
  pcap2conn replay -r capture.pcap --connection 3 --connect 8080
  pcap2conn replay -r dns.pcap --udp --listen 5300 --echo 0:2 --repeat
  pcap2conn replay -r capture.pcap --list

Exit status:
  0  all recordings were played, and the peers did as recorded
  1  nothing could be read, listened on or connected to, or output failed
  2  the command line, a rule or the filter is wrong
  3  all went well, but an input was missing, cut, corrupt or of an unknown link type
  4  a peer diverged, took too long, or left early, or a recording was not played";

/// What to do about bytes that were not captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Fill {
    /// Zero bytes are sent for them, and any bytes awaited.
    Zero,
    /// They are neither sent nor awaited.
    Skip,
}

/// When our side of a dump ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Close {
    /// After its own last turn.
    Ours,
    /// After all turns.
    All,
}

/// How to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Report {
    /// Lines for people.
    Text,
    /// JSON lines.
    Json,
}

fn protocol(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 => Ok(text.into()),
        _ => Err("a name of 1 to 255 bytes is needed".into()),
    }
}

fn pattern_with_group(text: &str) -> Result<Pattern, String> {
    Pattern::with_group(text).map_err(|error| error.to_string())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| error.to_string())
}
