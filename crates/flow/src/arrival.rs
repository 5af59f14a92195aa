//! Datagrams on their way to the shard of their connection.

use crate::Source;
use crate::key::FlowKey;
use wire::{Body, Datagram};

/// How many shards there are: the same in every run, so that what is found does not depend on how many
/// threads share them. Enough for 64 cores; few enough that a 64th of every limit is still useful.
pub const SHARDS: usize = 64;

/// The shard that keys with this [fixed hash](FlowKey::fixed_hash) belong to.
#[inline]
pub(crate) fn shard_of(hash: u64) -> usize {
    (hash % SHARDS as u64) as usize
}

/// A whole datagram on its way to its shard.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub(crate) key: FlowKey,
    /// The key's [fixed hash](FlowKey::fixed_hash).
    pub(crate) hash: u64,
    /// Which end of the key sent it.
    pub(crate) from: usize,
    pub(crate) body: Body<'a>,
    pub(crate) source: Source,
    /// The datagram's number, over all inputs in the order in which they are read. No two have the same, but
    /// the captured runs of one.
    pub(crate) serial: u64,
    /// Captured frames that it is made of; 0 where another datagram in its frame counts that.
    pub(crate) frames: u64,
}

impl<'a> Arrival<'a> {
    #[inline(always)]
    pub(crate) fn new(source: Source, serial: u64, frames: u64, datagram: &Datagram<'a>) -> Self {
        let Datagram { ends, protocol, src_port, dst_port, vlans, .. } = *datagram;
        let (key, from) = FlowKey::between(protocol, ends, [src_port, dst_port], vlans);
        let hash = key.fixed_hash();
        Self { key, hash, from, body: datagram.body, source: source.again(), serial, frames }
    }

    /// The shard that takes it, below [`SHARDS`].
    #[inline]
    pub fn shard(&self) -> usize {
        shard_of(self.hash)
    }
}
