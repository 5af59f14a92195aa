//! How often a name was given away.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

/// Counts names, each known by a 64-bit hash alone.
///
/// A run may see a hundred million connections and must remember every name, so a name seen once
/// costs 9 bytes over the table's load: 10 to 21, 15 on average. Two names with one hash (once in
/// ten billion runs of a million connections) cost a suffix that was not needed, nothing more.
#[derive(Default)]
pub(crate) struct Used {
    /// Hashes seen.
    once: HashTable<u64>,
    /// How often those were seen that were seen again.
    again: HashMap<u64, u32, RandomState>,
    /// Where a hash stands in `once` depends on a seed of this run, so that nobody can choose
    /// addresses that make the table slow.
    seed: RandomState,
}

impl Used {
    /// Counts the name with this hash: 1 when it is new. Stays at the largest number.
    pub(crate) fn count(&mut self, hash: u64) -> u32 {
        let seed = &self.seed;
        let place = |h: &u64| seed.hash_one(h);
        match self.once.entry(place(&hash), |&h| h == hash, place) {
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(hash);
                1
            }
            hashbrown::hash_table::Entry::Occupied(_) => {
                let times = self.again.entry(hash).or_insert(1);
                *times = times.saturating_add(1);
                *times
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hash_has_its_own_count() {
        let mut used = Used::default();
        assert_eq!([7, 8, 7, 7, 8, 9].map(|h| used.count(h)), [1, 1, 2, 3, 2, 1]);
    }

    #[test]
    fn a_name_costs_no_more_than_promised() {
        let mut used = Used::default();
        let mut bytes_per_name = Vec::new();
        for n in 0..300_000_u64 {
            used.count(n);
            if n >= 1000 && n % 1000 == 0 {
                bytes_per_name.push(used.once.allocation_size() as f64 / n as f64);
            }
        }
        let mean = bytes_per_name.iter().sum::<f64>() / bytes_per_name.len() as f64;
        assert!(mean < 16.0, "{mean}");
        assert!(used.again.is_empty());
    }
}
