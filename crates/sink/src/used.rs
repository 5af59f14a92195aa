//! How often a name was given away.

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use std::hash::{BuildHasher, RandomState};

/// Counts names, each known by the second it shows and a 64-bit hash of the rest.
///
/// A run may see a hundred million connections and must remember every name. Connections come nearly
/// in the order of time, so only the names of the latest second are kept in a table, which is small
/// and stays in the cache; when a later second begins they are moved to the end of a list, 8 bytes
/// each. One table for all names took 15 bytes a name, and 200 ns to look into.
///
/// Two names with one hash (once in ten billion runs of a million connections) cost a suffix that
/// was not needed, nothing more.
pub(crate) struct Used {
    /// The latest second, and the hashes of its names.
    now: i64,
    table: HashTable<u64>,
    /// Where a hash stands in the table depends on a seed of this run, so that nobody can choose
    /// addresses that make it slow.
    seed: u64,
    /// The hashes of the names of earlier seconds, second by second.
    sealed: Vec<u64>,
    /// Each earlier second in order, and where its hashes begin.
    seconds: Vec<(i64, usize)>,
    /// How often those names were given away that were more than once, or out of the order of time.
    counts: HashMap<(i64, u64), u32, RandomState>,
    /// Names in a row that lay too far ahead.
    ahead: u32,
}

/// A second further ahead than this is not believed at once: one packet dated 2061 must not make all
/// that come after it late, since late names take 30 bytes.
const DAY: i64 = 86_400;

/// So many names in a row that lie ahead are believed.
const BELIEVED: u32 = 64;

impl Default for Used {
    fn default() -> Self {
        Self {
            now: i64::MIN,
            table: HashTable::new(),
            seed: RandomState::new().hash_one(0),
            sealed: Vec::new(),
            seconds: Vec::new(),
            counts: HashMap::default(),
            ahead: 0,
        }
    }
}

impl Used {
    /// Counts the name that shows `second` and has this hash: 1 when it is new. Stays at the largest
    /// number.
    #[inline]
    pub(crate) fn count(&mut self, second: i64, hash: u64) -> u32 {
        if second != self.now && !self.turn_to(second) {
            return self.count_late(second, hash);
        }
        self.ahead = 0;
        let seed = self.seed;
        let place = |h: &u64| (h ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.table.entry(place(&hash), |&h| h == hash, place) {
            Entry::Vacant(vacant) => {
                vacant.insert(hash);
                // It may have come before its second was believed.
                match self.counts.get_mut(&(second, hash)) {
                    None => 1,
                    Some(times) => {
                        *times = times.saturating_add(1);
                        *times
                    }
                }
            }
            Entry::Occupied(_) => self.count_known(second, hash, 1),
        }
    }

    /// Makes `second` the latest, if it can be that.
    fn turn_to(&mut self, second: i64) -> bool {
        if second < self.now {
            return false;
        }
        if self.now != i64::MIN && second.saturating_sub(self.now) > DAY && self.ahead < BELIEVED {
            self.ahead += 1;
            return false;
        }
        if !self.table.is_empty() {
            self.seconds.push((self.now, self.sealed.len()));
            // An eighth more at a time: what doubles is half empty, and for a moment there three times.
            let (len, more) = (self.sealed.len(), self.table.len());
            if self.sealed.capacity() - len < more {
                self.sealed.reserve_exact(more.max(len / 8));
            }
            self.sealed.extend(self.table.drain());
        }
        if self.table.capacity() > 1024 {
            // The table of a second with many names is not carried through seconds with few.
            self.table = HashTable::new();
        }
        self.now = second;
        true
    }

    /// A name whose second is over, or not believed.
    #[cold]
    fn count_late(&mut self, second: i64, hash: u64) -> u32 {
        let before = u32::from(self.of_second(second).contains(&hash));
        self.count_known(second, hash, before)
    }

    /// One more of a name that was given away `before` times, if nothing else is known.
    #[cold]
    fn count_known(&mut self, second: i64, hash: u64, before: u32) -> u32 {
        let times = self.counts.entry((second, hash)).or_insert(before);
        *times = times.saturating_add(1);
        *times
    }

    /// The hashes of an earlier second.
    fn of_second(&self, second: i64) -> &[u64] {
        let Ok(at) = self.seconds.binary_search_by_key(&second, |&(second, _)| second) else {
            return &[];
        };
        let end = self.seconds.get(at + 1).map_or(self.sealed.len(), |&(_, start)| start);
        &self.sealed[self.seconds[at].1..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_hash_has_its_own_count() {
        let mut used = Used::default();
        assert_eq!([7, 8, 7, 7, 8, 9].map(|h| used.count(5, h)), [1, 1, 2, 3, 2, 1]);
    }

    #[test]
    fn one_name_of_the_future_costs_the_others_nothing() {
        let mut used = Used::default();
        let now = 1_700_000_000;
        used.count(now, 1);
        used.count(now + (35 << 25), 2);
        for second in 0..1000 {
            assert_eq!(used.count(now + second, 3), 1);
        }
        assert_eq!((used.counts.len(), used.sealed.len()), (1, 1000));
        // A gap of years is believed after a while.
        for second in 0..1000 {
            assert_eq!(used.count(now + (1 << 30) + second, 3), 1);
        }
        assert!(used.counts.len() < 100);
    }

    #[test]
    fn a_name_costs_no_more_than_promised() {
        let mut used = Used::default();
        for n in 0..300_000_u64 {
            used.count((n / 100) as i64, n);
        }
        let bytes = used.sealed.capacity() * 8 + used.seconds.capacity() * 16;
        let bytes = bytes + used.table.allocation_size() + used.counts.allocation_size();
        assert!(bytes < 300_000 * 10, "{bytes}");
        assert!(used.counts.is_empty());
    }

    proptest! {
        /// In whatever order seconds come, names are counted as a plain map counts them.
        #[test]
        fn it_counts_as_a_map_does(
            names in prop::collection::vec(
                (prop_oneof![0..4i64, Just(100_000), Just(i64::MAX), Just(i64::MIN + 1)], 0..4u64),
                0..400,
            ),
        ) {
            let mut used = Used::default();
            let mut map = std::collections::HashMap::new();
            for (second, hash) in names {
                let times = map.entry((second, hash)).or_insert(0);
                *times += 1;
                prop_assert_eq!(used.count(second, hash), *times);
            }
        }
    }
}
