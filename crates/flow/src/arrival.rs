//! Datagrams on their way to the shard of their connection.

use crate::Source;
use crate::key::FlowKey;
use wire::{Body, Datagram, Payload, Segment};

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
    pub(crate) label: Label,
    pub(crate) body: Body<'a>,
}

/// What stands on a datagram: whose it is, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) key: FlowKey,
    /// The key's [fixed hash](FlowKey::fixed_hash).
    pub(crate) hash: u64,
    pub(crate) source: Source,
    /// The datagram's number, over all inputs in the order in which they are read. No two have the same, but
    /// the captured runs of one.
    pub(crate) serial: u64,
    /// Captured frames that it is made of; 0 where another datagram in its frame counts that.
    pub(crate) frames: u32,
    /// See [`Self::from`].
    pub(crate) from: u8,
}

impl Label {
    /// Which end of the key sent it, 0 or 1.
    #[inline(always)]
    pub(crate) fn from(&self) -> usize {
        usize::from(self.from & 1)
    }

    /// The same, read number by number.
    ///
    /// A copy in one piece is made in pieces that are not those in which the numbers were written a moment ago, and
    /// a processor waits for such a piece until everything is written.
    #[inline(always)]
    pub(crate) fn again(&self) -> Self {
        let &Self { hash, serial, frames, from, .. } = self;
        Self { key: self.key.again(), hash, source: self.source.again(), serial, frames, from }
    }

    /// The shard that takes it.
    #[inline(always)]
    pub(crate) fn shard(&self) -> usize {
        shard_of(self.hash)
    }
}

impl<'a> Arrival<'a> {
    #[inline(always)]
    pub(crate) fn new(source: Source, serial: u64, frames: u64, datagram: &Datagram<'a>) -> Self {
        let Datagram { ends, protocol, src_port, dst_port, vlans, .. } = *datagram;
        let (key, from) = FlowKey::between(protocol, ends, [src_port, dst_port], vlans);
        let (hash, source) = (key.fixed_hash(), source.again());
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let label = Label { key, hash, source, serial, frames, from: from as u8 };
        Self { label, body: datagram.body }
    }

    /// The same, read number by number, to be lent out: the original can stay in registers.
    #[inline(always)]
    pub(crate) fn again(&self) -> Self {
        let payload = self.body.payload();
        let payload = Payload { bytes: payload.bytes, len: payload.len };
        let body = match self.body {
            Body::Message(_) => Body::Message(payload),
            Body::Tcp(Segment { seq, ack, flags, window, .. }) => {
                Body::Tcp(Segment { seq, ack, flags, window, payload })
            }
        };
        Self { label: self.label.again(), body }
    }

    /// The shard that takes it, below [`SHARDS`].
    #[inline]
    pub fn shard(&self) -> usize {
        self.label.shard()
    }
}
