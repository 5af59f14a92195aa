//! Values at small numbers, in pages.
//!
//! A `Vec` that grows doubles, so that up to half of it is memory for nothing, and at the moment of
//! growing the old half stands beside it; with millions of connections in 64 shards those were
//! 100 MB. Pages stay where they are, and at most one of each table was never full.

use prefetch_index::prefetch_index;

/// Values in a page.
const PAGE: usize = 64;

/// Values at numbers from 0, each below 2^32 - 1. The number of a removed value is given to a later
/// one.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pages: Vec<Page<T>>,
    /// Numbers given free.
    free: Vec<u32>,
    /// Numbers given out up to now.
    used: u32,
}

/// Of known length, so that a value in it is found with one look at the list of pages.
type Page<T> = Box<[Option<T>; PAGE]>;

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), free: Vec::new(), used: 0 }
    }
}

impl<T> Paged<T> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    /// Keeps a value; its number.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.insert_with(|| value)
    }

    /// Keeps a value that is made where it will stand, see [`Packed`](crate::packed::Packed::insert_with); its number.
    #[inline(always)]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce() -> T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| self.next_number());
        let (page, place) = split(number);
        let place = &mut self.pages[page][place];
        if place.is_some() {
            *place = None;
        }
        *place = Some(make());
        number
    }

    /// A number that was not given out, with a page for its value.
    #[cold]
    fn next_number(&mut self) -> u32 {
        let number = self.used;
        assert!(number < u32::MAX, "no machine holds 2^32 of them, at 50 bytes each");
        self.used += 1;
        if self.pages.len() == number as usize / PAGE {
            let page: Box<[Option<T>]> = (0..PAGE).map(|_| None).collect();
            self.pages.extend(Page::try_from(page));
        }
        number
    }

    /// Drops a value where it stands.
    pub(crate) fn forget(&mut self, number: u32) {
        let (page, place) = split(number);
        if let Some(page) = self.pages.get_mut(page)
            && page[place].is_some()
        {
            page[place] = None;
            self.free.push(number);
        }
    }

    /// The value with a number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (page, place) = split(number);
        self.pages.get(page)?[place].as_ref()
    }

    /// The same, to change.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (page, place) = split(number);
        self.pages.get_mut(page)?[place].as_mut()
    }

    /// Has the line fetched in which the value with a number begins: it will be asked for soon.
    #[inline]
    pub(crate) fn fetch(&self, number: u32) {
        let (page, place) = split(number);
        if let Some(page) = self.pages.get(page) {
            prefetch_index(page.as_slice(), place);
        }
    }

    /// All values with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let slots = self.pages.iter().flat_map(|page| page.iter()).enumerate();
        slots.filter_map(|(number, slot)| Some((number as u32, slot.as_ref()?)))
    }
}

#[inline]
fn split(number: u32) -> (usize, usize) {
    (number as usize / PAGE, number as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_no_page_is_left_out() {
        let mut paged = Paged::default();
        let numbers: Vec<u32> = (0..200).map(|n| paged.insert(n)).collect();
        assert!(numbers.iter().copied().eq(0..200));
        assert_eq!(paged.get(70), Some(&70));
        for number in [70, 70, 5000] {
            paged.forget(number);
        }
        assert_eq!((paged.len(), paged.get(70), paged.get(71)), (199, None, Some(&71)));
        assert_eq!(paged.insert(-1), 70);
        assert_eq!(paged.insert(-2), 200);
        assert!(paged.iter().map(|(number, _)| number).eq(0..201));
        if let Some(value) = paged.get_mut(70) {
            *value = -3;
        }
        assert_eq!((paged.get(70), paged.len()), (Some(&-3), 201));
    }

    #[test]
    fn numbers_are_given_without_holes_after_removals() {
        let mut paged = Paged::default();
        for n in 0..100 {
            paged.insert(n);
        }
        for n in 0..100 {
            paged.forget(n);
        }
        assert_eq!(paged.len(), 0);
        let again: Vec<u32> = (0..150).map(|n| paged.insert(n)).collect();
        assert!(again[..100].iter().all(|&n| n < 100));
        assert!(again[100..].iter().copied().eq(100..150));
    }
}
