//! Which connection is the newest of each key.

use crate::FlowKey;
use crate::key::Seed;
use hashbrown::HashTable;

/// Numbers of connections, found by the hash of their keys; whoever asks knows the keys themselves.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    table: HashTable<u32>,
    seed: Seed,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self { table: HashTable::new(), seed: Seed::random() }
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
        self.table.find(hash, is).copied()
    }

    /// Takes it out.
    pub(crate) fn take(&mut self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        self.table.find_entry(hash, is).ok().map(|found| found.remove().0)
    }

    /// Puts a connection in, which is not there. `key_of` gives the keys of all that are.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        index: u32,
        key_of: impl Fn(u32) -> Option<FlowKey>,
    ) {
        let seed = self.seed;
        let hash_of = |&i: &u32| key_of(i).map_or(0, |key| key.hash(&seed));
        self.table.insert_unique(hash, index, hash_of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn what_is_put_in_is_found_until_it_is_taken_out() {
        let end = |port| Endpoint { addr: [10, 0, 0, 1].into(), port };
        let key_of = |index: u32| FlowKey::new(6, end(index as u16), end(80)).0;
        let mut keys = KeyIndex::default();
        for index in 0..300 {
            let hash = keys.hash(&key_of(index));
            keys.insert(hash, index, |i| Some(key_of(i)));
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
