//! Values at small numbers, in one piece.
//!
//! For few: a value is found with one look less than [in pages](crate::paged), and every packet waits for that.

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

    /// Keeps a value; its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.values[number as usize] = Some(value);
            return number;
        }
        let number = self.values.len();
        assert!(number < u32::MAX as usize, "no machine holds 2^32 of them, at 50 bytes each");
        self.values.push(Some(value));
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
