//! What the engine can be told.

use crate::Timeouts;
use std::time::Duration;

/// Which bytes count where two segments bring different ones for the same place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overlap {
    /// The first captured.
    #[default]
    First,
    /// The last captured, as long as the place was not delivered.
    Last,
}

/// How much may be held. Every total is divided by the number of shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections held at once, over all shards.
    pub connections: usize,
    /// Bytes held out of order by one direction of a connection, bookkeeping included.
    pub buffered_per_direction: usize,
    /// Bytes held out of order by all connections, bookkeeping included.
    pub buffered: usize,
    /// Bytes of IP fragments held, bookkeeping included.
    pub fragments: usize,
    /// How long fragments wait for others, by their own times. `None`: 30 s for IPv4, 60 s for IPv6.
    pub fragment_wait: Option<Duration>,
    /// Connections that are over but kept for stragglers, over all shards.
    pub lingering: usize,
    /// Connections with the same ends held at once.
    pub per_key: usize,
    /// Segments far ahead of their stream that a direction keeps.
    pub far_ahead: usize,
    /// Headers in one another: tags, labels and extension headers are counted.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Measured, names included, with nearly all of them asleep: 160 bytes for a TCP connection, 100
            // for one of UDP. 2 Mi of them are 0.2 to 0.4 GB: more than a laptop's capture has, less than its
            // memory. What they hold out of order comes on top, up to `buffered`.
            connections: 2 << 20,
            // Twice the 4 MiB of payload that prove a hole (`tcp::PAST_HOLE`), so that only
            // bookkeeping for tiny segments gets here.
            buffered_per_direction: 8 << 20,
            // 16 MiB in each shard: two directions at their own limit.
            buffered: 1 << 30,
            // A thousand datagrams of the largest size.
            fragments: 64 << 20,
            // What hosts do: see `defrag::PATIENCE_V4`.
            fragment_wait: None,
            // 1024 in each shard.
            lingering: 1 << 16,
            // Each segment is compared with all of them, so a flood of SYNs between two ports must not
            // make the list long.
            per_key: 16,
            // Each waits for a single other one near it or for the peer's acknowledgement, so a few are
            // enough; a flood of them replaces the oldest.
            far_ahead: 8,
            headers: wire::MAX_HEADERS,
        }
    }
}

/// What the engine can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Whose bytes count.
    pub overlap: Overlap,
    /// When time ends connections; `None` for captured files.
    pub timeouts: Option<Timeouts>,
    /// Do VLAN ids tell flows apart? Mirror ports often tag the two directions differently.
    pub vlan_keys: bool,
    /// How much may be held.
    pub limits: Limits,
    /// How many connections that may go on are kept ready for their next packet, over all shards: those
    /// most recently active. The others sleep in a quarter of the memory (of UDP, half), and wake up when they
    /// speak. What comes out is the same.
    pub awake: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            overlap: Overlap::default(),
            timeouts: None,
            vlan_keys: false,
            limits: Limits::default(),
            // 25 MB of TCP connections, 60 where none is orderly. To fall asleep and to wake up takes as long as five
            // packets do, so it should be seldom: few captures have so many connections that speak in turn.
            awake: 1 << 17,
        }
    }
}
