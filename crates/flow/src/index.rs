//! Which connection is the newest of each key.
//!
//! Connections are by far more than a near cache has room for, so what it costs to find one is how many
//! cache lines are waited for. Here it is one: numbers are in chunks of a line each, as in F14 tables,
//! with a mark that tells most others apart. (`hashbrown` has marks and values apart: two lines, one after the other.)

use crate::key::{KeyRef, Seed};
use prefetch_index::prefetch_index;

/// Numbers in a chunk: with their marks and a count they fill a cache line.
const PLACES: usize = 12;

/// Numbers a chunk beyond which there are to be twice as many chunks. With so many on average, one chunk in
/// eight has sent some on to the next one.
const FULL: usize = 9;

/// Numbers of connections, found by the hash of their keys; whoever asks knows the keys themselves.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    /// None, or a power of two. A number is in the chunk that its hash names, or in one of the next ones if
    /// that was full.
    chunks: Vec<Chunk>,
    len: usize,
    seed: Seed,
}

/// The keys of connections, by their numbers.
pub(crate) trait Keys {
    /// That of a connection.
    fn key(&self, number: u32) -> Option<KeyRef<'_>>;

    /// It will be asked for soon.
    fn fetch_key(&self, number: u32);
}

#[derive(Clone, Debug, Default)]
#[repr(C, align(64))]
struct Chunk {
    /// Eight bits of the hash of each number, never 0, and 0 where there is none.
    marks: [u8; PLACES],
    /// How many numbers are in a later chunk because this one was full.
    sent_on: u32,
    numbers: [u32; PLACES],
}

impl Chunk {
    /// All numbers.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let all = self.marks.iter().zip(&self.numbers);
        all.filter(|&(&mark, _)| mark > 0).map(|(_, &number)| number)
    }

    /// The places with this mark.
    #[inline]
    fn places(&self, mark: u8) -> Places {
        const ONES: u128 = (u128::MAX / 255) >> (8 * (16 - PLACES));
        const LOW: u128 = ONES * 0x7f;
        let mut marks = [0; 16];
        marks[..PLACES].copy_from_slice(&self.marks);
        let different = u128::from_le_bytes(marks) ^ (ONES * u128::from(mark));
        // The highest bit of a byte is set here if any bit of it was: no sum goes beyond its byte.
        let any = ((different & LOW) + LOW) | different | LOW;
        Places(!any)
    }
}

/// Places in a chunk: the highest bit of the byte of each.
struct Places(u128);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0.wrapping_sub(1);
        (place < PLACES).then_some(place)
    }
}

#[inline]
fn mark_of(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, seed: Seed::random() }
    }
}

impl KeyIndex {
    /// The hash of a key, which is another one in every run.
    #[inline]
    pub(crate) fn hash(&self, key: KeyRef<'_>) -> u64 {
        key.hash(&self.seed)
    }

    /// The connection with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let (at, place) = self.place(hash, is)?;
        Some(self.chunks[at].numbers[place])
    }

    /// Has the line fetched in which a connection with this hash is, or will be: it will be asked for soon.
    #[inline]
    pub(crate) fn fetch(&self, hash: u64) {
        prefetch_index(&self.chunks, self.home(hash));
    }

    /// Takes it out.
    pub(crate) fn take(&mut self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let (at, place) = self.place(hash, is)?;
        let mut passed = self.home(hash);
        while passed != at {
            self.chunks[passed].sent_on -= 1;
            passed = self.after(passed);
        }
        self.chunks[at].marks[place] = 0;
        self.len -= 1;
        Some(self.chunks[at].numbers[place])
    }

    /// Puts a connection in, which is not there. `keys` has the keys of all that are.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, keys: &impl Keys) {
        if self.len >= self.chunks.len() * FULL {
            self.grow(keys);
        }
        self.put(hash, number);
        self.len += 1;
    }

    /// The chunk and the place in it of the connection with this hash for which `is` holds.
    #[inline]
    fn place(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<(usize, usize)> {
        let mut at = self.home(hash);
        // Every chunk may have sent something on, so the search ends where it began.
        for _ in 0..self.chunks.len() {
            let chunk = &self.chunks[at];
            let mut places = chunk.places(mark_of(hash));
            if let Some(place) = places.find(|&place| is(chunk.numbers[place])) {
                return Some((at, place));
            }
            if chunk.sent_on == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Puts a number where there is room for it.
    fn put(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        loop {
            let chunk = &mut self.chunks[at];
            if let Some(place) = chunk.places(0).next() {
                (chunk.marks[place], chunk.numbers[place]) = (mark_of(hash), number);
                return;
            }
            chunk.sent_on += 1;
            at = self.after(at);
        }
    }

    #[cold]
    fn grow(&mut self, keys: &impl Keys) {
        let chunks = (self.chunks.len() * 2).max(1);
        let before = std::mem::replace(&mut self.chunks, vec![Chunk::default(); chunks]);
        for (i, chunk) in before.iter().enumerate() {
            if let Some(later) = before.get(i + 1) {
                later.numbers().for_each(|number| keys.fetch_key(number));
            }
            for number in chunk.numbers() {
                let key = keys.key(number);
                debug_assert!(key.is_some(), "who is not there any more was taken out");
                self.put(key.map_or(0, |key| key.hash(&self.seed)), number);
            }
        }
    }

    /// The chunk that a hash names, if there are any.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.chunks.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.chunks.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, FlowKey};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn key_of(number: u32) -> KeyRef<'static> {
        let end = |port| Endpoint { addr: [10, 0, 0, 1].into(), port };
        match FlowKey::new(6, end(number as u16), end(80)).0.view() {
            KeyRef::Narrow(narrow) => KeyRef::Narrow(narrow),
            KeyRef::Wide(_) => panic!("IPv4 without VLANs"),
        }
    }

    /// Each number has the key that is made of it.
    struct Numbered;

    impl Keys for Numbered {
        fn key(&self, number: u32) -> Option<KeyRef<'_>> {
            Some(key_of(number))
        }

        fn fetch_key(&self, _: u32) {}
    }

    #[test]
    fn a_chunk_is_a_cache_line() {
        assert_eq!((size_of::<Chunk>(), align_of::<Chunk>()), (64, 64));
    }

    #[test]
    fn what_is_put_in_is_found_until_it_is_taken_out() {
        let mut keys = KeyIndex::default();
        for index in 0..3000 {
            let hash = keys.hash(key_of(index));
            assert_eq!(keys.find(hash, |i| i == index), None);
            keys.insert(hash, index, &Numbered);
        }
        for index in 0..3000 {
            let hash = keys.hash(key_of(index));
            assert_eq!(keys.find(hash, |i| i == index), Some(index));
            assert_eq!(keys.take(hash, |i| i == index), Some(index));
            assert_eq!(keys.find(hash, |i| i == index), None);
            assert_eq!(keys.take(hash, |i| i == index), None);
        }
        assert!(keys.chunks.iter().all(|chunk| chunk.sent_on == 0));
    }

    proptest! {
        /// It grows and empties while keys come and go.
        #[test]
        fn nothing_is_lost_where_it_grows(
            steps in prop::collection::vec((0..5u32, 0..400u32), 0..1500),
        ) {
            let (mut keys, mut known) = (KeyIndex::default(), BTreeSet::new());
            for (kind, number) in steps {
                let hash = keys.hash(key_of(number));
                if kind == 0 {
                    prop_assert_eq!(keys.take(hash, |i| i == number).is_some(), known.remove(&number));
                } else if known.insert(number) {
                    keys.insert(hash, number, &Numbered);
                }
            }
            for number in 0..400 {
                let found = keys.find(keys.hash(key_of(number)), |i| i == number);
                prop_assert_eq!(found.is_some(), known.contains(&number));
            }
            for &number in &known {
                prop_assert_eq!(keys.take(keys.hash(key_of(number)), |i| i == number), Some(number));
            }
            prop_assert!(keys.chunks.iter().all(|chunk| chunk.sent_on == 0 && chunk.marks == [0; PLACES]));
        }

        /// Whatever the hashes are, and however many are the same. (They never change while nothing grows.)
        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec((any::<bool>(), 0..60u32), 0..400),
            hashes in prop::collection::vec(prop_oneof![Just(5u64), 0..4u64, any::<u64>()], 60),
        ) {
            let (mut keys, mut known) = (KeyIndex::default(), BTreeMap::new());
            keys.chunks = vec![Chunk::default(); 8];
            for (puts_in, number) in steps {
                let hash = hashes[number as usize];
                if puts_in && !known.contains_key(&number) {
                    keys.insert(hash, number, &Numbered);
                    known.insert(number, hash);
                } else {
                    let taken = keys.take(hash, |i| i == number);
                    prop_assert_eq!(taken, known.remove(&number).map(|_| number));
                }
                for (number, &hash) in (0..).zip(&hashes) {
                    let found = keys.find(hash, |i| i == number);
                    prop_assert_eq!(found, known.get(&number).map(|_| number));
                }
                prop_assert_eq!(keys.len, known.len());
            }
        }
    }
}
