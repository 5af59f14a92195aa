//! Short runs of bytes at small numbers, in cells of a few sizes.
//!
//! An allocation of its own would cost each of millions 16 bytes and more beside what it holds.

use crate::paged::Paged;
use prefetch_index::prefetch_index;

/// How long the cells of each class are, in bytes. Of connections that sleep, those of UDP take 23 to 30 in
/// ordinary captures, and those of TCP 54 to 64; 10 more where times are in nanoseconds.
const SIZES: [usize; 5] = [32, 48, 64, 80, 112];

/// Bytes in a page of cells, about.
const PAGE: usize = 4096;

/// The size of a cell: its number among [`SIZES`], or the one behind those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    C0,
    C1,
    C2,
    C3,
    C4,
    /// None is large enough: the bytes have their own allocation.
    Own,
}

const CLASSES: [Class; SIZES.len()] = [Class::C0, Class::C1, Class::C2, Class::C3, Class::C4];

impl Class {
    /// The smallest that holds `len` bytes.
    fn of(len: usize) -> Self {
        let fits = CLASSES.into_iter().zip(SIZES).find(|&(_, size)| len <= size);
        fits.map_or(Self::Own, |(class, _)| class)
    }
}

/// Runs of bytes; each is found by its class and its number.
#[derive(Debug)]
pub(crate) struct Cells {
    cells: [SizedCells; SIZES.len()],
    own: Paged<Box<[u8]>>,
}

impl Default for Cells {
    fn default() -> Self {
        Self { cells: SIZES.map(SizedCells::new), own: Paged::default() }
    }
}

impl Cells {
    /// Keeps bytes. They may come back with more behind them.
    pub(crate) fn insert(&mut self, bytes: &[u8]) -> (Class, u32) {
        let class = Class::of(bytes.len());
        match self.cells.get_mut(class as usize) {
            Some(cells) => (class, cells.insert(bytes)),
            None => (class, self.own.insert(bytes.into())),
        }
    }

    /// The bytes of a cell that is in use.
    pub(crate) fn get(&self, class: Class, number: u32) -> &[u8] {
        match self.cells.get(class as usize) {
            Some(cells) => cells.get(number),
            None => self.own.get(number).map_or(&[], |bytes| bytes),
        }
    }

    /// Has the line fetched in which a cell begins: it will be asked for soon.
    pub(crate) fn fetch(&self, class: Class, number: u32) {
        if let Some(cells) = self.cells.get(class as usize) {
            let (page, start) = cells.place(number);
            if let Some(page) = cells.pages.get(page) {
                prefetch_index(page, start);
            }
        }
    }

    /// Gives a cell free that is in use.
    pub(crate) fn forget(&mut self, class: Class, number: u32) {
        match self.cells.get_mut(class as usize) {
            Some(cells) => cells.free.push(number),
            None => self.own.forget(number),
        }
    }
}

/// Cells of one size.
#[derive(Debug)]
struct SizedCells {
    size: usize,
    pages: Vec<Box<[u8]>>,
    /// Numbers given free.
    free: Vec<u32>,
    /// Numbers given out up to now.
    used: u32,
}

impl SizedCells {
    fn new(size: usize) -> Self {
        Self { size, pages: Vec::new(), free: Vec::new(), used: 0 }
    }

    /// The page of a cell, and where in the page it begins.
    #[inline]
    fn place(&self, number: u32) -> (usize, usize) {
        let in_page = PAGE / self.size;
        (number as usize / in_page, number as usize % in_page * self.size)
    }

    fn insert(&mut self, bytes: &[u8]) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let (page, start) = self.place(number);
        if page == self.pages.len() {
            self.pages.push(vec![0; PAGE / self.size * self.size].into());
        }
        self.pages[page][start..start + bytes.len()].copy_from_slice(bytes);
        number
    }

    #[inline]
    fn get(&self, number: u32) -> &[u8] {
        let (page, start) = self.place(number);
        self.pages.get(page).and_then(|page| page.get(start..start + self.size)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that no other run of this test begins with.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n % 130).map(|i| (n + 7 * i) as u8).collect()
    }

    #[test]
    fn runs_of_any_length_come_back() {
        let mut cells = Cells::default();
        let mut kept: Vec<(usize, (Class, u32))> =
            (0..3000).map(|n| (n, cells.insert(&bytes(n)))).collect();
        for round in 0..3 {
            for (n, place) in &mut kept {
                let expected = bytes(*n);
                assert_eq!(cells.get(place.0, place.1)[..expected.len()], expected);
                if *n % 3 == round {
                    cells.forget(place.0, place.1);
                    *n += 3000;
                    *place = cells.insert(&bytes(*n));
                }
            }
        }
        for (n, (class, number)) in kept {
            assert_eq!(cells.get(class, number)[..n % 130], bytes(n));
        }
    }

    #[test]
    fn cells_are_used_again() {
        let mut cells = Cells::default();
        for n in 0..10_000 {
            let (class, number) = cells.insert(&bytes(n % 110));
            assert_eq!(number, 0);
            cells.forget(class, number);
        }
        assert!(cells.cells.iter().all(|cells| cells.pages.len() == 1));
    }

    #[test]
    fn a_class_is_the_smallest_that_fits() {
        assert_eq!([0, 32, 33, 80, 112, 113].map(Class::of), {
            [Class::C0, Class::C0, Class::C1, Class::C3, Class::C4, Class::Own]
        });
    }
}
