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
    /// So many names of earlier seconds are remembered at least, where not all are.
    most: usize,
    /// The names of seconds before this one are forgotten.
    known_from: i64,
    /// The largest number that was given to any name.
    highest: u32,
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
            most: usize::MAX,
            known_from: i64::MIN,
            highest: 1,
        }
    }
}

impl Used {
    /// One that remembers the latest `most` names, and up to twice as many.
    pub(crate) fn remembering(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

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
                match self.counts.get(&(second, hash)) {
                    None => 1,
                    Some(_) => self.count_known(second, hash, 0),
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
            if self.sealed.len() / 2 > self.most {
                self.forget_old();
            }
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
        if second < self.known_from {
            self.highest = self.highest.saturating_add(1);
            return self.highest;
        }
        let before = u32::from(self.of_second(second).contains(&hash));
        self.count_known(second, hash, before)
    }

    /// One more of a name that was given away `before` times, if nothing else is known.
    #[cold]
    fn count_known(&mut self, second: i64, hash: u64, before: u32) -> u32 {
        let times = self.counts.entry((second, hash)).or_insert(before);
        *times = times.saturating_add(1);
        let times = *times;
        self.highest = self.highest.max(times);
        if self.counts.len() > self.most {
            self.forget_all();
        }
        times
    }

    /// Forgets the earliest seconds, so that about as many names are left as are to be remembered.
    #[cold]
    fn forget_old(&mut self) {
        let least = self.sealed.len() - self.most;
        // The second in which the first name lies that is to be remembered, with all of it.
        let first = self.seconds.partition_point(|&(_, start)| start <= least).saturating_sub(1);
        let Some(&(second, start)) = self.seconds.get(first) else { return };
        self.sealed.drain(..start);
        self.seconds.drain(..first);
        self.seconds.iter_mut().for_each(|(_, at)| *at -= start);
        self.known_from = second;
        self.counts.retain(|&(counted, _), _| counted >= second);
    }

    /// Forgets all names up to now, as it must be where a clock was set back for long. That of the next second
    /// are new.
    #[cold]
    fn forget_all(&mut self) {
        let (most, highest) = (self.most, self.highest);
        let now = self.now.saturating_add(1);
        *self = Self { most, highest, now, known_from: now, ..Self::default() };
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

    #[test]
    fn a_run_of_weeks_remembers_the_latest_names_and_gives_none_twice() {
        let mut used = Used::remembering(1000);
        let mut given = std::collections::HashSet::new();
        let mut give = |used: &mut Used, second: i64, hash: u64| {
            let number = used.count(second, hash);
            assert!(given.insert((second, hash, number)), "{second} {hash}: {number} once more");
            number
        };
        for second in 0..5000_i64 {
            for hash in 0..10 {
                assert_eq!(give(&mut used, second, hash), 1);
            }
            give(&mut used, second, 3);
            assert!(used.sealed.len() <= 2100, "{}", used.sealed.len());
            assert!(used.counts.len() <= 500, "{}", used.counts.len());
            // A straggler of a second that is remembered, and one that is not.
            assert_eq!(give(&mut used, second, 3), 3);
            give(&mut used, second / 2, 4);
        }
        // The clock is set back by a minute, or an hour.
        assert_eq!(give(&mut used, 4940, 77), 1);
        assert!(give(&mut used, 1400, 77) > 2000);
        // For as long as it takes, all names are given a number, and no memory grows.
        for n in 0..20_000 {
            give(&mut used, 4900 + n / 200, 1000 + n as u64);
            assert!(used.counts.len() <= 1001, "{}", used.counts.len());
        }
        assert_eq!(give(&mut used, 5001, 5), 1);
        assert_eq!(give(&mut used, 5001, 5), 2);
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
