//! What is made of connections: files, headers, JSON lines, metadata, the console, and the summary
//! of a run.
//!
//! A sink takes the engine's events and writes them down, in formats that are fixed to the byte. It
//! never decides what a connection is, in which order bytes come or what is missing; and nothing
//! that a packet contains can choose a file outside the output directory.
//!
//! ```
//! use flow::{Chunk, Connection, Endpoint, FlowKey, Side, Sink, Source};
//! use sink::{Output, OutputConfig};
//!
//! let dir = tempfile::tempdir()?;
//! let config = OutputConfig { dir: dir.path().into(), utc: true, ..OutputConfig::default() };
//! let mut output = Output::new(&config, Box::new(std::io::sink()), Box::new(std::io::sink()));
//! output.prepare()?;
//!
//! let client = Endpoint { addr: [10, 0, 0, 1].into(), port: 40_000 };
//! let server = Endpoint { addr: [10, 0, 0, 2].into(), port: 23 };
//! let (key, initiator) = FlowKey::new(6, client, server);
//! let source = Source::new(wire::Timestamp::new(0, 0), 1, 1);
//! let telnet = Connection::new(key, initiator, source);
//!
//! let handle = output.opened(&telnet)?;
//! output.data(handle, &telnet, &Chunk { side: Side::Zero, offset: 0, bytes: b"ls\n", source })?;
//! output.settled(handle, &telnet)?;
//! output.finish()?;
//!
//! let name = "19700101000000-TCP-10.0.0.1.40000-10.0.0.2.23.txt";
//! assert_eq!(std::fs::read(dir.path().join(name))?, b"ls\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod allowance;
mod bins;
mod buffer;
mod console;
mod disk;
mod error;
mod escape;
mod files;
mod format;
mod leaving;
mod metadata;
mod name;
mod null;
mod os;
mod output;
mod protocol;
mod recency;
mod room;
#[cfg(test)]
mod samples;
mod slab;
mod slots;
mod store;
mod summary;
mod text;
mod time;
mod turn;
mod used;

pub use console::ConsoleSink;
pub use disk::{Disk, DiskCounts, WhenFull};
pub use error::SinkError;
pub use files::FileSink;
pub use format::{Format, GapStyle};
pub use name::Names;
pub use null::NullSink;
pub use output::{Output, OutputConfig};
pub use protocol::protocol_name;
pub use summary::{Dropped, InputSummary, Summary};
pub use time::time_zone_problem;
pub use turn::Turn;
