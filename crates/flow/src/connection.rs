//! One connection as sinks see it.

use crate::arrival::shard_of;
use crate::key::{KeptKey, KeyRef};
use crate::{Endpoint, FlowKey, Side, Source};
use wire::VlanIds;

/// Who talks to whom, and since when.
#[derive(Clone, Debug)]
pub struct Connection {
    key: KeptKey,
    first: Source,
    /// The index in the key of the initiator, 0 or 1. (In four bytes: a connection has none that mean nothing, which would
    /// be copied along with what stands beside.)
    initiator: u32,
}

impl Connection {
    /// A connection whose first packet is `first` and whose side 0 is `initiator` (0 or 1, an index
    /// into the key's ends).
    #[inline]
    pub fn new(key: FlowKey, initiator: usize, first: Source) -> Self {
        Self::of(key.view(), initiator, first)
    }

    /// The same, of a key where it stands.
    #[inline]
    pub(crate) fn of(key: KeyRef<'_>, initiator: usize, first: Source) -> Self {
        Self { key: key.into(), first, initiator: u32::from(initiator != 0) }
    }

    /// The same, read number by number: see [`Label::again`](crate::arrival::Label::again).
    #[inline(always)]
    pub(crate) fn again(self) -> Self {
        let Self { key, first, initiator } = self;
        Self { key: key.again(), first: first.again(), initiator }
    }

    /// The key, the same for both directions.
    #[inline]
    pub fn key(&self) -> FlowKey {
        self.key.get()
    }

    /// Is this the key?
    #[inline]
    pub(crate) fn has_key(&self, key: &FlowKey) -> bool {
        self.key.is(key)
    }

    /// The IP protocol number.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.key.view().protocol()
    }

    /// The VLANs that tell it from others with the same ends.
    pub fn vlans(&self) -> VlanIds {
        self.key.view().vlans()
    }

    /// The shard that has it, below [`SHARDS`](crate::SHARDS).
    pub fn shard(&self) -> usize {
        shard_of(self.fixed_hash())
    }

    /// The key's [fixed hash](FlowKey::fixed_hash).
    #[inline]
    pub fn fixed_hash(&self) -> u64 {
        self.key.view().fixed_hash()
    }

    /// Are both ends [the same](FlowKey::ends_are_equal)?
    #[inline]
    pub fn ends_are_equal(&self) -> bool {
        self.key.view().ends_are_equal()
    }

    /// The end that is `side`.
    #[inline]
    pub fn end(&self, side: Side) -> Endpoint {
        self.key.view().end(self.index(side))
    }

    /// The first packet.
    #[inline]
    pub fn first(&self) -> Source {
        self.first
    }

    /// Is the key's end 1 the initiator?
    pub(crate) fn is_swapped(&self) -> bool {
        self.initiator != 0
    }

    /// The index that `side` has in the key.
    #[inline]
    pub(crate) fn index(&self, side: Side) -> usize {
        side.index() ^ self.initiator as usize
    }

    /// The side that the key's end `index` is.
    pub(crate) fn side(&self, index: usize) -> Side {
        Side::BOTH[(index ^ self.initiator as usize) & 1]
    }

    /// The key's end `index` turned out to be the initiator.
    pub(crate) fn set_initiator(&mut self, index: usize) {
        self.initiator = u32::from(index != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_0_is_the_initiator_whichever_end_is_lower() {
        let low = Endpoint { addr: "10.0.0.1".parse().unwrap(), port: 80 };
        let high = Endpoint { addr: "10.0.0.2".parse().unwrap(), port: 4000 };
        let (key, from) = FlowKey::new(6, high, low);
        let mut connection = Connection::new(key, from, Source::default());
        assert_eq!((connection.end(Side::Zero), connection.end(Side::One)), (high, low));
        assert_eq!((connection.side(1), connection.side(0)), (Side::Zero, Side::One));
        connection.set_initiator(0);
        assert_eq!((connection.end(Side::Zero), connection.index(Side::Zero)), (low, 0));
    }
}
