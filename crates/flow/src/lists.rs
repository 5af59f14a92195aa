//! The lists by age: a connection is in one of them.

use crate::paged::Paged;

/// Nothing on this side of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// A list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    /// Connections that may go on and spoke last, the least recently active first. They are awake.
    Active,
    /// Those that may go on and have not spoken since; likewise. They sleep, but for those that hold bytes.
    Dormant,
    /// Those that are over and wait for stragglers, likewise.
    Lingering,
}

/// What is in lists. It keeps where it is itself, in as few bytes as there is room for.
pub(crate) trait Linked {
    /// Its list.
    fn list(&self) -> List;
    /// The same, to change.
    fn list_mut(&mut self) -> &mut List;
    /// Its neighbours there, the older and the newer one.
    fn neighbours(&self) -> [u32; 2];
    /// The same, to change.
    fn neighbours_mut(&mut self) -> &mut [u32; 2];
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// The lists. What is in them is told by its number, and kept by others.
#[derive(Debug)]
pub(crate) struct Lists([Ends; 3]);

impl Default for Lists {
    fn default() -> Self {
        Self([Ends { oldest: NONE, newest: NONE, len: 0 }; 3])
    }
}

impl Lists {
    /// How many are in a list.
    #[inline]
    pub(crate) fn len(&self, list: List) -> usize {
        self.0[list as usize].len
    }

    /// The least recently active of a list.
    pub(crate) fn oldest(&self, list: List) -> Option<u32> {
        Some(self.0[list as usize].oldest).filter(|&index| index != NONE)
    }

    /// Is it the most recently active of the list?
    #[inline]
    pub(crate) fn is_newest(&self, index: u32, list: List) -> bool {
        self.0[list as usize].newest == index
    }

    /// Puts something in as the most recently active of a list.
    pub(crate) fn push<T: Linked>(&mut self, all: &mut Paged<T>, index: u32, list: List) {
        let ends = &mut self.0[list as usize];
        let newest = std::mem::replace(&mut ends.newest, index);
        ends.len += 1;
        if newest == NONE {
            ends.oldest = index;
        }
        if let Some(item) = all.get_mut(index) {
            *item.list_mut() = list;
            *item.neighbours_mut() = [newest, NONE];
        }
        if let Some(item) = all.get_mut(newest) {
            item.neighbours_mut()[1] = index;
        }
    }

    /// Takes something out of its list.
    pub(crate) fn remove<T: Linked>(&mut self, all: &mut Paged<T>, index: u32) {
        let Some(item) = all.get(index) else { return };
        let [older, newer] = item.neighbours();
        let ends = &mut self.0[item.list() as usize];
        match all.get_mut(older) {
            Some(item) => item.neighbours_mut()[1] = newer,
            None => ends.oldest = newer,
        }
        match all.get_mut(newer) {
            Some(item) => item.neighbours_mut()[0] = older,
            None => ends.newest = older,
        }
        ends.len -= 1;
    }
}
