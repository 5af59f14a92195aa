//! What is kept of each connection, be there ever so many.

use crate::slab::Slab;

/// No stream.
pub(crate) const NONE: u32 = u32::MAX;

/// What is kept of a connection: 8 bytes, since millions may be held whose bytes are written and that say
/// no more.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// The owner's own number.
    tag: u32,
    /// The number of the pair of its streams, [`NO_PAIR`] where it has none; and above it, a bit for each
    /// file that was created.
    rest: u32,
}

/// Bits of the number of a pair. A stream of either costs at least a hundred bytes, so that 2^30 of them
/// are in no memory.
const PAIR_BITS: u32 = 30;

/// The number of no pair.
const NO_PAIR: u32 = (1 << PAIR_BITS) - 1;

impl Slot {
    fn pair(self) -> Option<u32> {
        Some(self.rest & NO_PAIR).filter(|&pair| pair != NO_PAIR)
    }

    fn set_pair(&mut self, pair: u32) {
        self.rest = self.rest & !NO_PAIR | pair;
    }
}

/// Connections, each with two files, of which each may have a stream.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Slab<Slot>,
    /// The streams of those that have any.
    pairs: Slab<Pair>,
}

/// The streams of both files, or `NONE`.
struct Pair([u32; 2]);

impl Default for Pair {
    fn default() -> Self {
        Self([NONE; 2])
    }
}

impl Slots {
    /// Makes a place for a connection, with a number of its owner's own.
    pub(crate) fn insert(&mut self, tag: u32) -> u32 {
        self.slots.insert(Slot { tag, rest: NO_PAIR })
    }

    /// Forgets a connection, which must have no stream.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.slots.remove(slot);
    }

    /// The owner's number.
    pub(crate) fn tag(&self, slot: u32) -> u32 {
        self.slots[slot].tag
    }

    /// The streams of both files, `NONE` where there is none.
    pub(crate) fn streams(&self, slot: u32) -> [u32; 2] {
        self.slots[slot].pair().map_or([NONE; 2], |pair| self.pairs[pair].0)
    }

    /// The stream of file `index` is `id` from now on; it may be `NONE`.
    pub(crate) fn set_stream(&mut self, slot: u32, index: usize, id: u32) {
        let slot = &mut self.slots[slot];
        let pair = slot.pair().unwrap_or_else(|| self.pairs.insert(Pair::default()));
        let streams = &mut self.pairs[pair].0;
        streams[index] = id;
        let none = *streams == [NONE; 2];
        if none {
            self.pairs.remove(pair);
        }
        slot.set_pair(if none { NO_PAIR } else { pair });
    }

    /// Was file `index` created, so that more bytes are appended?
    pub(crate) fn was_created(&self, slot: u32, index: usize) -> bool {
        self.slots[slot].rest >> PAIR_BITS >> index & 1 == 1
    }

    /// Says whether file `index` is created.
    pub(crate) fn set_created(&mut self, slot: u32, index: usize, created: bool) {
        let bit = 1 << PAIR_BITS << index;
        let rest = &mut self.slots[slot].rest;
        *rest = if created { *rest | bit } else { *rest & !bit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_files_come_and_go_each_for_itself() {
        let mut slots = Slots::default();
        let [a, b] = [7, u32::MAX].map(|tag| slots.insert(tag));
        assert_eq!((slots.tag(a), slots.tag(b)), (7, u32::MAX));
        assert_eq!(slots.streams(a), [NONE; 2]);
        slots.set_stream(a, 1, 30);
        slots.set_stream(b, 0, 40);
        slots.set_created(a, 1, true);
        assert_eq!((slots.streams(a), slots.streams(b)), ([NONE, 30], [40, NONE]));
        slots.set_stream(a, 0, 31);
        slots.set_stream(a, 1, NONE);
        assert_eq!(slots.streams(a), [31, NONE]);
        slots.set_stream(a, 0, NONE);
        slots.set_created(b, 0, true);
        slots.set_created(a, 0, true);
        slots.set_created(a, 0, false);
        assert_eq!((slots.streams(a), slots.streams(b)), ([NONE; 2], [40, NONE]));
        let created = [a, b].map(|slot| [0, 1].map(|index| slots.was_created(slot, index)));
        assert_eq!(created, [[false, true], [true, false]]);
        slots.set_stream(a, 0, NONE);
        assert_eq!(slots.streams(a), [NONE; 2]);
        slots.remove(a);
        let c = slots.insert(9);
        assert_eq!((c, slots.streams(c), slots.was_created(c, 1)), (a, [NONE; 2], false));
        assert_eq!((slots.tag(b), slots.tag(c), slots.streams(b)), (u32::MAX, 9, [40, NONE]));
    }

    #[test]
    fn a_connection_that_says_no_more_takes_8_bytes() {
        assert_eq!(size_of::<Slot>(), 8);
    }
}
