//! The lists by age, of all connections but TCP that is active: each is in one of them.

use crate::paged::Paged;
use crate::slot::{Aged, List, Slot};

/// Nothing on this side of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// The lists. A connection is told by its number, and its slot has its neighbours.
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
    pub(crate) fn len(&self, list: Aged) -> usize {
        self.0[list as usize].len
    }

    /// The least recently active of a list.
    pub(crate) fn oldest(&self, list: Aged) -> Option<u32> {
        Some(self.0[list as usize].oldest).filter(|&index| index != NONE)
    }

    /// Is it the most recently active of the list?
    #[inline]
    pub(crate) fn is_newest(&self, index: u32, list: Aged) -> bool {
        self.0[list as usize].newest == index
    }

    /// Puts a connection in as the most recently active of a list.
    pub(crate) fn push<H>(&mut self, all: &mut Paged<Slot<H>>, index: u32, list: Aged) {
        let ends = &mut self.0[list as usize];
        let newest = std::mem::replace(&mut ends.newest, index);
        ends.len += 1;
        if newest == NONE {
            ends.oldest = index;
        }
        if let Some(slot) = all.get_mut(index) {
            (slot.list, slot.links) = (List::Aged(list), [newest, NONE]);
        }
        if let Some(slot) = all.get_mut(newest) {
            slot.links[1] = index;
        }
    }

    /// Takes a connection out of its list.
    pub(crate) fn remove<H>(&mut self, all: &mut Paged<Slot<H>>, index: u32, list: Aged) {
        let Some(slot) = all.get(index) else { return };
        let [older, newer] = slot.links;
        let ends = &mut self.0[list as usize];
        match all.get_mut(older) {
            Some(slot) => slot.links[1] = newer,
            None => ends.oldest = newer,
        }
        match all.get_mut(newer) {
            Some(slot) => slot.links[0] = older,
            None => ends.newest = older,
        }
        ends.len -= 1;
    }
}
