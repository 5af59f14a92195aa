//! Values at small numbers, in one piece.
//!
//! A value is found with one look less than [in pages](crate::paged), and every packet waits for that. For what is not by
//! the million: what grows is copied now and then, each value twice in all.

/// There is room for at least so many more when there was none. Where nobody was, it takes no memory.
const LEAST: usize = 1024;

/// Values at numbers from 0. The number of a removed value is given to a later one.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    values: Vec<Option<T>>,
    /// Numbers given free.
    free: Vec<u32>,
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Packed<T> {
    /// How many values there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    /// Keeps a value that is made where it will stand; its number.
    ///
    /// It is not copied there: to copy it in pieces that are not those in which it was written a moment ago, a processor
    /// waits until everything is written, also what was written before to where no near cache has it.
    #[inline(always)]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce() -> T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| self.next_number());
        let place = &mut self.values[number as usize];
        if place.is_some() {
            // It never is. Known here, nothing has to be dropped while there is a new value.
            *place = None;
        }
        *place = Some(make());
        number
    }

    /// A number that was not given out, with a place for its value.
    #[cold]
    fn next_number(&mut self) -> u32 {
        let number = self.values.len();
        assert!(number < u32::MAX as usize, "no machine holds 2^32 of them, at 190 bytes each");
        if number == self.values.capacity() {
            // Half of it may stand empty, of which the system gives what is used.
            self.values.reserve_exact((number / 2).max(LEAST));
        }
        self.values.push(None);
        number as u32
    }

    /// Drops a value where it stands.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(value) = self.values.get_mut(number as usize)
            && value.is_some()
        {
            *value = None;
            self.free.push(number);
        }
    }

    /// The value with a number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)?.as_ref()
    }

    /// The same, to change.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.values.get_mut(number as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut packed = Packed::default();
        for n in 0..3000 {
            assert_eq!(packed.insert_with(|| n), n);
            assert!(packed.values.capacity() <= packed.values.len() * 3 / 2 + LEAST);
        }
        for number in [70, 70, 5000] {
            packed.forget(number);
        }
        assert_eq!((packed.len(), packed.get(70), packed.get(71)), (2999, None, Some(&71)));
        assert_eq!((packed.insert_with(|| 7), packed.insert_with(|| 8)), (70, 3000));
        if let Some(value) = packed.get_mut(70) {
            *value += 1;
        }
        assert_eq!((packed.get(70), packed.get(9999), packed.len()), (Some(&8), None, 3001));
    }
}
