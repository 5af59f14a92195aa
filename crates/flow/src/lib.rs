//! The engine that follows connections: it puts IP fragments together, knows who talks to whom,
//! orders the bytes of each direction, and says what is missing.
//!
//! No I/O, no clock, no threads, no logging: time comes from packets alone, and everything that is
//! found is pushed to a [`Sink`]. The rules of TCP reassembly are in [ARCHITECTURE.md] and in the
//! modules that carry them out.
#![forbid(unsafe_code)]

mod books;
mod config;
mod connection;
mod defrag;
mod engine;
mod intake;
mod key;
mod ledger;
mod outlet;
mod pieces;
mod shard;
mod sink;
mod source;
mod stats;
mod table;
mod tcp;

pub use books::{Books, Limit, Reason, Totals};
pub use config::{Config, Limits, Overlap};
pub use connection::Connection;
pub use engine::Engine;
pub use intake::Intake;
pub use key::{Endpoint, FlowKey};
pub use shard::{Arrival, OpenConnections, Opened, SHARDS, Shard};
pub use sink::{Began, Chunk, Conflict, Ended, Gap, Report, Side, Sink};
pub use source::Source;
pub use stats::SideStats;
