//! The last few connections that are over.

/// So many.
const MOST: usize = 4;

/// Connections that are over since not long ago: none falls asleep while its last acknowledgements are still to come.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// The newest is the last of these.
    indexes: [u32; MOST],
    len: usize,
}

impl Fresh {
    /// Is this the newest?
    #[inline(always)]
    pub(crate) fn is_newest(&self, index: u32) -> bool {
        self.len > 0 && self.indexes[self.len - 1] == index
    }

    /// Makes a connection the newest of at most `most`; the one that has no place among them any more.
    pub(crate) fn push(&mut self, index: u32, most: usize) -> Option<u32> {
        if let Some(place) = self.indexes[..self.len].iter().position(|&other| other == index) {
            self.indexes[place..self.len].rotate_left(1);
            return None;
        }
        let rested = if self.len >= most.min(MOST) { self.pop() } else { None };
        if most == 0 {
            return Some(index);
        }
        self.indexes[self.len] = index;
        self.len += 1;
        rested
    }

    /// Takes the newest out.
    pub(crate) fn drop_newest(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// The oldest, which is in it no longer.
    fn pop(&mut self) -> Option<u32> {
        let oldest = *self.indexes[..self.len].first()?;
        self.indexes.rotate_left(1);
        self.len -= 1;
        Some(oldest)
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay() {
        let mut fresh = Fresh::default();
        assert!(!fresh.is_newest(0));
        let pushed = [7, 8, 7, 9, 10, 11, 8].map(|index| fresh.push(index, MOST));
        assert_eq!(pushed, [None, None, None, None, None, Some(8), Some(7)]);
        assert!(fresh.is_newest(8) && !fresh.is_newest(11));
        fresh.drop_newest();
        assert!(fresh.is_newest(11));
        fresh.clear();
        assert!(!fresh.is_newest(11));
        fresh.drop_newest();
        assert_eq!(fresh.push(5, MOST), None);
    }

    #[test]
    fn fewer_stay_where_fewer_may() {
        let mut fresh = Fresh::default();
        assert_eq!([5, 6, 6].map(|index| fresh.push(index, 1)), [None, Some(5), None]);
        let mut fresh = Fresh::default();
        assert_eq!([5, 6].map(|index| fresh.push(index, 0)), [Some(5), Some(6)]);
    }
}
