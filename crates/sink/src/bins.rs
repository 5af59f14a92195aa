//! Folders for connections, where there are too many for one.

use flow::{Connection, SHARDS};
use hashbrown::HashMap;
use std::hash::RandomState;

/// Numbers connections, and puts so many with neighbouring numbers in a folder.
///
/// A connection's number is made of its shard's and of its place among those of its shard, so that it
/// does not depend on how many workers there are. Where shards have alike many connections, numbers go
/// up with time, and folders are full.
pub(crate) struct Bins {
    size: u32,
    /// How many connections each shard has had.
    counts: [u32; SHARDS],
    /// The suffix numbers of connections that have one, by the connection's number.
    suffixes: HashMap<u32, u32, RandomState>,
}

impl Bins {
    /// Folders of at most `size` connections, at least one.
    pub(crate) fn new(size: u32) -> Self {
        Self { size: size.max(1), counts: [0; SHARDS], suffixes: HashMap::default() }
    }

    /// Gives a connection its number, and remembers its suffix.
    pub(crate) fn number(&mut self, connection: &Connection, suffix: u32) -> u32 {
        let shard = connection.shard();
        let place = self.counts[shard];
        self.counts[shard] = place.saturating_add(1);
        let number = place.saturating_mul(SHARDS as u32).saturating_add(shard as u32);
        if suffix > 1 {
            self.suffixes.insert(number, suffix);
        }
        number
    }

    /// The folder of the connection with a number.
    pub(crate) fn folder(&self, number: u32) -> u32 {
        number / self.size
    }

    /// The suffix of the connection with a number.
    pub(crate) fn suffix(&self, number: u32) -> u32 {
        self.suffixes.get(&number).copied().unwrap_or(1)
    }

    /// A connection is over.
    pub(crate) fn forget(&mut self, number: u32) {
        if !self.suffixes.is_empty() {
            self.suffixes.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::connection;
    use std::collections::HashMap;

    #[test]
    fn no_folder_has_too_many_and_no_number_comes_twice() {
        let mut bins = Bins::new(10);
        let mut folders: HashMap<u32, u32> = HashMap::new();
        let mut numbers = std::collections::HashSet::new();
        for port in 0..5000 {
            let c = connection(17, &format!("10.0.0.1:{port}"), "10.0.0.2:53", 9);
            let suffix = 1 + port % 3;
            let number = bins.number(&c, suffix);
            assert!(numbers.insert(number));
            assert_eq!(bins.suffix(number), suffix);
            *folders.entry(bins.folder(number)).or_default() += 1;
            if port % 2 == 0 {
                bins.forget(number);
                assert_eq!(bins.suffix(number), 1);
            }
        }
        assert!(folders.values().all(|&count| count <= 10));
        // Shards are about alike, so that most folders are full.
        assert!(folders.len() < 700, "{}", folders.len());
    }
}
