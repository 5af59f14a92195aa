//! Values kept at numbers that are used again.

use std::ops::{Index, IndexMut};

/// Values in a page: they stay where they are, and no half of a vector stands empty.
const PAGE: usize = 1024;

/// Values at small numbers; the number of a removed value is given to a later one.
pub(crate) struct Slab<T> {
    pages: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), free: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    /// Keeps `item` and returns its number, which is never `u32::MAX`.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self[number] = item;
            return number;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let last = self.pages.len() - 1;
        let number = last * PAGE + self.pages[last].len();
        let number = u32::try_from(number).ok().filter(|&n| n != u32::MAX);
        let number = number.expect("no machine holds 2^32 connections, at 200 bytes each");
        self.pages[last].push(item);
        number
    }

    /// All that there are, with their numbers; where one was taken out, the default.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.pages.iter_mut().flatten().enumerate().map(|(number, item)| (number as u32, item))
    }

    /// Takes out what is kept at `number`.
    pub(crate) fn remove(&mut self, number: u32) -> T {
        self.free.push(number);
        std::mem::take(&mut self[number])
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        &self.pages[number as usize / PAGE][number as usize % PAGE]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.pages[number as usize / PAGE][number as usize % PAGE]
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
        assert!((4..5000).all(|number| slab.insert("f") == number));
        assert_eq!((slab[3], slab[4], slab[4999]), ("e", "f", "f"));
    }
}
