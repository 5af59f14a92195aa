//! `web-mix`: writes a capture of many short HTTP connections, the same for the same arguments.
//!
//! The traffic is what a mirror port in front of web servers sees: a few hundred connections at a
//! time, each with a handshake, a request, a response in full segments under slow start, delayed
//! acknowledgements and an orderly end. Nothing is lost, repeated or out of order: the capture is
//! for measuring speed, not for testing judgement. It keeps the open connections in memory and
//! nothing else, so a capture of any size can be made.

mod checksum;
mod conversation;
mod frame;
mod mix;
mod random;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::mix::{MAX_CONNECTIONS, Mix};

/// What was typed.
#[derive(Parser)]
#[command(version, about = "Writes a pcap file of many short HTTP connections")]
struct Arguments {
    /// Where the capture goes
    output: PathBuf,
    /// How many connections
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONNECTIONS)))]
    connections: u32,
    /// Mean size of a response's body in bytes; 5700 makes 300 MB of 40 000 connections
    #[arg(long, default_value_t = 5700, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    mean_body: u32,
    /// Most connections open at once
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    at_once: u32,
    /// Another seed makes another capture
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let name = arguments.output.display();
    let file = File::create(&arguments.output).with_context(|| format!("{name}: cannot create"))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mix = Mix {
        connections: arguments.connections,
        mean_body: arguments.mean_body,
        at_once: arguments.at_once,
        seed: arguments.seed,
    };
    let made = mix.write(&mut out).with_context(|| format!("{name}: cannot write"))?;
    out.flush().with_context(|| format!("{name}: cannot write"))?;
    eprintln!(
        "{name}: {} connections, {} packets, {} payload bytes, {} bytes in all, seed {}",
        arguments.connections, made.packets, made.payload, made.bytes, arguments.seed
    );
    Ok(())
}
