//! TCP connections that are awake: those of all shards of a worker.
//!
//! Nearly every segment finds its connection here, by the hash of its key, without a look at its shard: of a shard's
//! lines, which every 64th packet needs, none is in the nearest cache. And whoever is opened takes the place of the one
//! that fell asleep last, of whatever shard, which still is in one.

use crate::entry::Entry;
use crate::lists::NONE;
use crate::packed::Packed;
use crate::tcp::State;
use crate::{FlowKey, SHARDS};

/// How many are found by the hash of their key: as many as speak at the same time in nearly all captures.
pub(crate) const RECENT: usize = 128 * SHARDS;

/// A TCP connection that is awake. Three cache lines: anywhere else it would be in four.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Live<H> {
    pub(crate) entry: Entry<H>,
    pub(crate) tcp: State,
}

/// The TCP connections of some shards that are awake.
#[derive(Debug)]
pub(crate) struct Lives<H> {
    /// Counts on with everything that may make a connection active.
    clock: u64,
    all: Packed<Live<H>>,
    /// The number of one that packets came for lately and that is the only one of its key, by the fixed hash of that.
    ///
    /// Those that go leave their numbers here: the key tells whose they are. Whoever gets a number writes the place of
    /// its key, and so does whoever makes another one of its key not the only one.
    recent: Box<[u32; RECENT]>,
}

impl<H> Default for Lives<H> {
    fn default() -> Self {
        Self { clock: 0, all: Packed::default(), recent: Box::new([NONE; RECENT]) }
    }
}

impl<H> Lives<H> {
    /// How often something came that may make a connection active.
    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// A connection may become active; what is counted then.
    #[inline(always)]
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Keeps a connection, which is [made where it will stand](Packed::insert_with); its number.
    #[inline(always)]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce() -> Live<H>) -> u32 {
        self.all.insert_with(make)
    }

    /// Drops a connection where it stands.
    pub(crate) fn forget(&mut self, number: u32) {
        self.all.forget(number);
    }

    /// The connection with a number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&Live<H>> {
        self.all.get(number)
    }

    /// The same, to change.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Live<H>> {
        self.all.get_mut(number)
    }

    /// The connection of a key whose [fixed hash](FlowKey::fixed_hash) is `hash`, to change, if it is the only one, awake,
    /// and packets came for it lately.
    #[inline(always)]
    pub(crate) fn recent(&mut self, key: &FlowKey, hash: u64) -> Option<&mut Live<H>> {
        let live = self.all.get_mut(self.recent[place_of::<RECENT>(hash)])?;
        live.entry.connection.has_key(key).then_some(live)
    }

    /// The connection with this number is the one that is found by this hash from now on; or none, as there is another
    /// one of its key.
    #[inline]
    pub(crate) fn set_recent(&mut self, hash: u64, number: Option<u32>) {
        self.recent[place_of::<RECENT>(hash)] = number.unwrap_or(NONE);
    }
}

/// The place among `N` recent ones of a key with this fixed hash, whose low bits are the same in all of a shard.
#[inline]
pub(crate) fn place_of<const N: usize>(hash: u64) -> usize {
    (hash / SHARDS as u64) as usize % N
}
