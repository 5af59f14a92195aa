//! Which connection is the newest of each key.

use crate::FlowKey;
use crate::key::Seed;
use hashbrown::HashTable;

/// Numbers of connections, found by the hash of their keys; whoever asks knows the keys themselves.
///
/// In two tables: nearly every packet belongs to one of a few hundred connections, whose table stays in
/// the cache. With the 1024 remembered ones of each shard in the same table, a look-up took 44 ns
/// instead of 15.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    active: HashTable<u32>,
    remembered: HashTable<u32>,
    seed: Seed,
}

/// One of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// Of connections that may go on.
    Active,
    /// Of those that are over.
    Remembered,
}

impl Default for KeyIndex {
    fn default() -> Self {
        let (active, remembered) = (HashTable::new(), HashTable::new());
        Self { active, remembered, seed: Seed::random() }
    }
}

impl KeyIndex {
    /// The hash of a key, which is another one in every run.
    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        key.hash(&self.seed)
    }

    /// The connection with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        self.active.find(hash, &is).or_else(|| self.remembered.find(hash, &is)).copied()
    }

    /// Takes it out.
    pub(crate) fn take(&mut self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        for table in [&mut self.active, &mut self.remembered] {
            if let Ok(found) = table.find_entry(hash, &is) {
                return Some(found.remove().0);
            }
        }
        None
    }

    /// Puts a connection in, which is in neither table. `key_of` gives the keys of all that are in one.
    pub(crate) fn insert(
        &mut self,
        which: Which,
        hash: u64,
        index: u32,
        key_of: impl Fn(u32) -> Option<FlowKey>,
    ) {
        let seed = self.seed;
        let table = match which {
            Which::Active => &mut self.active,
            Which::Remembered => &mut self.remembered,
        };
        table.insert_unique(hash, index, |&i| key_of(i).map_or(0, |key| key.hash(&seed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn what_is_put_in_is_found_in_either_table_until_it_is_taken_out() {
        let end = |port| Endpoint { addr: [10, 0, 0, 1].into(), port };
        let key_of = |index: u32| FlowKey::new(6, end(index as u16), end(80)).0;
        let mut keys = KeyIndex::default();
        for index in 0..300 {
            let which = if index % 3 == 0 { Which::Active } else { Which::Remembered };
            let hash = keys.hash(&key_of(index));
            keys.insert(which, hash, index, |i| Some(key_of(i)));
        }
        for index in 0..300 {
            let hash = keys.hash(&key_of(index));
            assert_eq!(keys.find(hash, |&i| i == index), Some(index));
            assert_eq!(keys.take(hash, |&i| i == index), Some(index));
            assert_eq!(keys.find(hash, |&i| i == index), None);
            assert_eq!(keys.take(hash, |&i| i == index), None);
        }
    }
}
