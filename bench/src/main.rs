//! `make-capture`: writes captures to measure on, the same bytes for the same arguments.
//!
//! | kind | what a mirror port would see |
//! |---|---|
//! | `long` | a few long downloads side by side |
//! | `web` | many short HTTP connections, some hundred at a time: a handshake, a request, a response in full segments under slow start, delayed acknowledgements, an orderly end |
//! | `messy` | the same, but for packets that are lost, moved, repeated, or cut so that they overlap |
//! | `dns` | questions and answers over UDP, each pair with a port of its own |
//! | `alive` | many TCP connections that are all open at once and speak in turn |
//!
//! Only what is open is kept in memory, so captures of any size can be made.

mod alive;
mod checksum;
mod conversation;
mod disorder;
mod dns;
mod frame;
mod mix;
mod random;
#[cfg(test)]
mod testing;
mod writer;

use std::fs::File;
use std::io::{self, BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::alive::Alive;
use crate::disorder::{Disorder, Rates};
use crate::dns::Dns;
use crate::frame::MAX_CONNECTIONS;
use crate::mix::{Bodies, Mix};
use crate::writer::{Made, Writer};

/// What was typed.
#[derive(Parser)]
#[command(version, about = "Writes a pcap file to measure on")]
struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Long downloads side by side; the defaults make 300 MB
    Long(Long),
    /// Short HTTP connections; the defaults make 300 MB
    Web(Web),
    /// Short HTTP connections with packets lost, moved, repeated and overlapping
    Messy(Messy),
    /// DNS questions and answers; the defaults make 310 MB
    Dns(DnsArguments),
    /// TCP connections that are all open at once; the defaults make 420 MB
    Alive(AliveArguments),
}

#[derive(Args)]
struct Common {
    /// Where the capture goes; - is standard output
    output: PathBuf,
    /// Another seed makes another capture
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct Long {
    #[command(flatten)]
    common: Common,
    /// How many connections
    #[arg(long, default_value_t = 8, value_parser = number(1, 10_000))]
    flows: u32,
    /// Bytes that each of them brings
    #[arg(long, default_value_t = 34_500_000, value_parser = number(1, 3_000_000_000))]
    body: u32,
    /// Bytes of all values rather than printable text
    #[arg(long)]
    binary: bool,
}

#[derive(Args)]
struct Web {
    #[command(flatten)]
    common: Common,
    /// How many connections
    #[arg(long, default_value_t = 40_000, value_parser = number(1, MAX_CONNECTIONS))]
    connections: u32,
    /// Mean size of a response's body in bytes; 5700 makes 300 MB of 40 000 connections
    #[arg(long, default_value_t = 5700, value_parser = number(1, 100_000_000))]
    mean_body: u32,
    /// Most connections open at once
    #[arg(long, default_value_t = 500, value_parser = number(1, 100_000))]
    at_once: u32,
}

#[derive(Args)]
struct Messy {
    #[command(flatten)]
    web: Web,
    /// Percent of the packets that are not in the capture; they are acknowledged all the same
    #[arg(long, default_value_t = 1.0, value_parser = percent)]
    lost: f64,
    /// Percent that come later than they should
    #[arg(long, default_value_t = 2.0, value_parser = percent)]
    moved: f64,
    /// Percent that come twice
    #[arg(long, default_value_t = 1.0, value_parser = percent)]
    repeated: f64,
    /// By how many packets of the capture those come later, at most
    #[arg(long, default_value_t = 12, value_parser = number(1, 100_000))]
    places: u32,
    /// Percent that come as two that overlap in part
    #[arg(long, default_value_t = 0.5, value_parser = percent)]
    overlapping: f64,
}

#[derive(Args)]
struct DnsArguments {
    #[command(flatten)]
    common: Common,
    /// How many questions, each with an answer
    #[arg(long, default_value_t = 1_350_000, value_parser = number(1, MAX_CONNECTIONS))]
    pairs: u32,
}

#[derive(Args)]
struct AliveArguments {
    #[command(flatten)]
    common: Common,
    /// How many connections, all open at once
    #[arg(long, default_value_t = 100_000, value_parser = number(1, MAX_CONNECTIONS))]
    connections: u32,
    /// Requests with a response, in each of them
    #[arg(long, default_value_t = 3, value_parser = number(1, 100_000))]
    exchanges: u32,
}

/// A whole number from `least` to `most`.
fn number(least: u32, most: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("not a number from 0 to 100".into()),
    }
}

impl Long {
    fn mix(&self) -> Mix {
        Mix {
            connections: self.flows,
            bodies: Bodies::Exactly(self.body),
            binary: self.binary,
            at_once: self.flows,
            seed: self.common.seed,
        }
    }
}

impl Web {
    fn mix(&self) -> Mix {
        Mix {
            connections: self.connections,
            bodies: Bodies::Around(self.mean_body),
            binary: false,
            at_once: self.at_once,
            seed: self.common.seed,
        }
    }
}

impl Kind {
    fn common(&self) -> &Common {
        match self {
            Self::Long(long) => &long.common,
            Self::Web(web) => &web.common,
            Self::Messy(messy) => &messy.web.common,
            Self::Dns(dns) => &dns.common,
            Self::Alive(alive) => &alive.common,
        }
    }

    fn write(&self, out: impl Write) -> io::Result<Made> {
        let mut writer = Writer::new(out)?;
        match self {
            Self::Long(long) => long.mix().write(&mut writer)?,
            Self::Web(web) => web.mix().write(&mut writer)?,
            Self::Messy(messy) => {
                let rates = Rates {
                    lost: messy.lost,
                    moved: messy.moved,
                    repeated: messy.repeated,
                    places: messy.places,
                    overlapping: messy.overlapping,
                };
                let mut disorder = Disorder::new(writer, rates, messy.web.common.seed);
                messy.web.mix().write(&mut disorder)?;
                writer = disorder.finish()?;
            }
            Self::Dns(dns) => {
                Dns { pairs: dns.pairs, seed: dns.common.seed }.write(&mut writer)?;
            }
            Self::Alive(alive) => Alive {
                connections: alive.connections,
                exchanges: alive.exchanges,
                seed: alive.common.seed,
            }
            .write(&mut writer)?,
        }
        writer.finish()
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Write>> {
    Ok(if path.as_os_str() == "-" { Box::new(stdout()) } else { Box::new(File::create(path)?) })
}

fn main() -> Result<()> {
    let kind = Arguments::parse().kind;
    let Common { output, seed } = kind.common();
    let name = output.display();
    let out = open(output).with_context(|| format!("{name}: cannot create"))?;
    let out = BufWriter::with_capacity(1 << 20, out);
    let made = kind.write(out).with_context(|| format!("{name}: cannot write"))?;
    eprintln!(
        "{name}: {} packets, {} payload bytes, {} bytes in all, seed {seed}",
        made.packets, made.payload, made.bytes
    );
    Ok(())
}
