//! The engine that follows connections: it puts IP fragments together, knows who talks to whom,
//! orders the bytes of each direction, and says what is missing.
//!
//! No I/O, no clock, no threads, no logging: time comes from packets alone, and everything that is
//! found is pushed to a [`Sink`]. The rules of TCP reassembly are numbered in the project's
//! ARCHITECTURE.md and stand in the modules that carry them out.
//!
//! ```
//! use flow::{Chunk, Config, Connection, Engine, Sink, Source};
//! use std::convert::Infallible;
//! use wire::{Frame, LinkType, Timestamp};
//!
//! /// Keeps what it is given.
//! #[derive(Default)]
//! struct Bytes(Vec<u8>);
//!
//! impl Sink for Bytes {
//!     type Handle = ();
//!     type Error = Infallible;
//!     fn opened(&mut self, _: &Connection) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!     fn data(&mut self, _: (), _: &Connection, chunk: &Chunk<'_>) -> Result<(), Infallible> {
//!         self.0.extend_from_slice(chunk.bytes);
//!         Ok(())
//!     }
//! }
//!
//! // TCP 10.0.0.1:1024 -> 10.0.0.2:23 as raw IP: the data "ls\n", sequence number 100.
//! let mut packet = [0; 43];
//! packet[..4].copy_from_slice(&[0x45, 0, 0, 43]);
//! packet[8..20].copy_from_slice(&[64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
//! packet[20..34].copy_from_slice(&[4, 0, 0, 23, 0, 0, 0, 100, 0, 0, 0, 0, 0x50, 0x10]);
//! packet[40..].copy_from_slice(b"ls\n");
//!
//! let (mut engine, mut sink) = (Engine::new(Config::default()), Bytes::default());
//! let frame = Frame { link: LinkType::RAW, bytes: &packet, wire_len: 43 };
//! let source = Source::new(Timestamp::new(0, 0), 1, 1);
//! engine.handle_packet(source, &frame, &mut sink)?;
//! assert!(sink.0.is_empty(), "no SYN was seen: bytes from before this one may still come");
//! engine.finish(&mut sink)?;
//! assert_eq!(sink.0, b"ls\n");
//! assert!(engine.books().balance());
//! # Ok::<(), Infallible>(())
//! ```
#![forbid(unsafe_code)]

mod arrival;
mod assembled;
mod batch;
mod books;
mod cells;
mod census;
mod config;
mod connection;
mod defrag;
mod engine;
mod entry;
mod fresh;
mod further;
mod index;
mod intake;
mod key;
mod ledger;
mod lists;
mod lives;
mod msdu;
mod outlet;
mod packed;
mod paged;
mod parcel;
mod pieces;
mod shard;
mod shards;
mod short;
mod silence;
mod sink;
mod slot;
mod source;
mod stats;
mod table;
mod tcp;
#[cfg(test)]
mod testing;
mod timeouts;
mod unpacker;
mod varint;

pub use arrival::{Arrival, SHARDS};
pub use batch::Batch;
pub use books::{Books, Limit, Reason, Totals};
pub use census::Census;
pub use config::{Config, Limits, Overlap};
pub use connection::Connection;
pub use engine::Engine;
pub use intake::Intake;
pub use key::{Endpoint, FlowKey};
pub use shards::Shards;
pub use sink::{Began, Chunk, Conflict, End, EndFlag, Ended, Gap, Report, Side, Sink};
pub use source::{InFile, Source};
pub use stats::SideStats;
pub use timeouts::Timeouts;
