//! Values kept at numbers that are used again.

use std::ops::{Index, IndexMut};

/// Values at small numbers; the number of a removed value is given to a later one.
pub(crate) struct Slab<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    /// Keeps `item` and returns its number, which is never `u32::MAX`.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.items[number as usize] = item;
            return number;
        }
        let number = u32::try_from(self.items.len()).ok().filter(|&n| n != u32::MAX);
        let number = number.expect("no machine holds 2^32 connections, at 200 bytes each");
        self.items.push(item);
        number
    }

    /// Takes out what is kept at `number`.
    pub(crate) fn remove(&mut self, number: u32) -> T {
        self.free.push(number);
        std::mem::take(&mut self.items[number as usize])
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, number: u32) -> &T {
        &self.items[number as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.items[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab = Slab::default();
        assert_eq!((slab.insert("a"), slab.insert("b"), slab.insert("c")), (0, 1, 2));
        assert_eq!(slab.remove(1), "b");
        assert_eq!(slab.insert("d"), 1);
        assert_eq!((slab[0], slab[1], slab[2]), ("a", "d", "c"));
        assert_eq!(slab.insert("e"), 3);
    }
}
