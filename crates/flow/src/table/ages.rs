//! Which connections of a table were active last.

use super::Table;
use crate::entry::Entry;
use crate::lives::Lives;
use crate::slot::{Aged, List, Place};
use std::cmp::Reverse;

/// How it stands.
impl<H: Copy> Table<H> {
    /// Are more active connections awake than may be?
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.active + self.lists.len(Aged::Messages) > self.most_awake
    }

    /// Connections in a list.
    pub(crate) fn count(&self, list: Aged) -> usize {
        self.lists.len(list)
    }

    /// Does a connection stand here?
    pub(crate) fn is_in(&self, index: u32, list: List) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.list == list)
    }

    /// Is a connection the last that came to those who linger?
    #[inline(always)]
    pub(crate) fn rests_newest(&self, index: u32) -> bool {
        self.lists.is_newest(index, Aged::Lingering)
    }

    /// The least recently active connection of a list.
    pub(crate) fn oldest(&self, list: Aged) -> Option<u32> {
        self.lists.oldest(list)
    }

    /// The least recently active of those that are active.
    pub(crate) fn least_recently_active(&mut self, lives: &mut Lives<H>) -> Option<u32> {
        let touched = |(entry, _): (&mut Entry<H>, _)| entry.touched;
        let message = self.lists.oldest(Aged::Messages);
        let message =
            message.and_then(|index| Some((self.awake(lives, index).map(touched)?, index)));
        let mut tcp = self.next_by_age(lives);
        // All of TCP were active since they were put in order: after a message that was before that.
        let is_after = message.is_some_and(|(touched, _)| touched <= self.sorted_at);
        if tcp.is_none() && self.active > 0 && !is_after {
            self.put_in_order(lives);
            tcp = self.next_by_age(lives);
        }
        Some(message.into_iter().chain(tcp).min()?.1)
    }

    /// Puts those of TCP in order that are active. It looks at every slot of the shard, 40 bytes each, once for as many
    /// retirements as are active: with two million connections, 16 slots for each.
    ///
    /// They are told one after the other then, until none is left that was not active since. So what each packet adds to
    /// the work is a part of putting in order, and nothing where nobody asks. (With a list in which every segment moves
    /// its connection, that took 3 ns a packet. Where every connection is moved at most once, as those of messages are, a
    /// list is better: putting in order took 8 % more of DNS.)
    fn put_in_order(&mut self, lives: &Lives<H>) {
        let Self { by_age, slots, sorted_at, .. } = self;
        let active =
            slots.iter().filter(|(_, slot)| slot.list == List::Active && slot.place == Place::Tcp);
        by_age.clear();
        by_age.extend(
            active.filter_map(|(index, slot)| Some((lives.get(slot.number)?.entry.touched, index))),
        );
        by_age.sort_unstable_by_key(|&(touched, _)| Reverse(touched));
        *sorted_at = lives.clock();
    }

    /// The least recently active of TCP of those that were put in order, and when it was active.
    fn next_by_age(&mut self, lives: &mut Lives<H>) -> Option<(u64, u32)> {
        while let Some(&(touched, index)) = self.by_age.last() {
            let is_same = |(entry, _): (&mut Entry<H>, _)| entry.touched == touched;
            if self.is_in(index, List::Active) && self.awake(lives, index).is_some_and(is_same) {
                return Some((touched, index));
            }
            self.by_age.pop();
        }
        None
    }
}

/// What changes it.
impl<H: Copy> Table<H> {
    /// Makes a connection the most recently active. It is awake.
    pub(crate) fn touch(&mut self, lives: &mut Lives<H>, index: u32) {
        let now = lives.tick();
        match self.awake(lives, index) {
            Some((entry, None)) => {
                entry.touched = now;
                self.move_to(index, Aged::Messages);
            }
            Some((entry, Some(_))) => {
                entry.touched = now;
                self.make_active(index);
            }
            None => {}
        }
    }

    /// A connection of TCP is active.
    fn make_active(&mut self, index: u32) {
        if self.is_in(index, List::Active) {
            return;
        }
        self.leave_list(index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.list = List::Active;
            self.active += 1;
        }
    }

    /// Makes a connection the newest of a list.
    pub(crate) fn move_to(&mut self, index: u32, list: Aged) {
        // Whoever is the newest of a list is in that list.
        if !self.lists.is_newest(index, list) {
            self.leave_list(index);
            self.lists.push(&mut self.slots, index, list);
        }
    }

    pub(super) fn leave_list(&mut self, index: u32) {
        match self.slots.get(index).map(|slot| slot.list) {
            Some(List::Aged(list)) => self.lists.remove(&mut self.slots, index, list),
            Some(List::Active) => self.active -= 1,
            None => {}
        }
    }

    /// The least recently active connection is dormant from now on.
    #[inline(never)]
    pub(crate) fn retire(&mut self, lives: &mut Lives<H>) {
        let Some(index) = self.least_recently_active(lives) else { return };
        self.move_to(index, Aged::Dormant);
        self.sleep(lives, index);
        self.fetch_retiring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::{add, connection};
    use proptest::prelude::*;

    #[test]
    fn the_least_recently_active_is_first() {
        let (mut table, mut lives) = (Table::new(0), Lives::default());
        let [a, b, c] =
            [5, 6, 7].map(|port| add((&mut table, &mut lives), connection(17, port), 1, ()));
        assert_eq!(table.least_recently_active(&mut lives), Some(a));
        table.touch(&mut lives, a);
        assert_eq!(table.least_recently_active(&mut lives), Some(b));
        table.move_to(b, Aged::Lingering);
        table.move_to(a, Aged::Lingering);
        assert_eq!(
            (table.least_recently_active(&mut lives), table.oldest(Aged::Lingering)),
            (Some(c), Some(b))
        );
        assert_eq!(
            (table.active + table.count(Aged::Messages), table.count(Aged::Lingering)),
            (1, 2)
        );
        table.remove(&mut lives, c);
        assert_eq!((table.least_recently_active(&mut lives), table.active), (None, 0));
        table.touch(&mut lives, b);
        assert_eq!(
            (table.least_recently_active(&mut lives), table.oldest(Aged::Lingering)),
            (Some(b), Some(a))
        );
    }

    proptest! {
        /// Whoever asks for the least recently active is told as if all were kept in order.
        #[test]
        fn those_that_are_active_are_told_in_order(
            steps in prop::collection::vec((0..6u8, any::<prop::sample::Index>()), 1..200),
        ) {
            let (mut table, mut lives) = (Table::new(0), Lives::default());
            // Those of another shard are among the same that are awake.
            let mut other = Table::new(0);
            // Those that are active, the least recently first, with what to know them by.
            let mut known: Vec<u32> = Vec::new();
            for (opened, (step, which)) in (1..).zip(steps) {
                let chosen = (!known.is_empty()).then(|| which.index(known.len()));
                let _ = add((&mut other, &mut lives), connection(6, opened as u16), opened, ());
                if step % 3 == 0 {
                    other.retire(&mut lives);
                }
                match (step, chosen) {
                    (0, _) | (_, None) => {
                        let protocol = if opened % 3 == 0 { 17 } else { 6 };
                        known.push(add((&mut table, &mut lives), connection(protocol, opened as u16), opened, ()));
                    }
                    (1, Some(_)) => {
                        table.retire(&mut lives);
                        known.remove(0);
                    }
                    (2, Some(chosen)) => table.remove(&mut lives, known.remove(chosen)),
                    (3, Some(chosen)) => table.move_to(known.remove(chosen), Aged::Lingering),
                    (_, Some(chosen)) => {
                        let index = known.remove(chosen);
                        table.touch(&mut lives, index);
                        known.push(index);
                    }
                }
                prop_assert_eq!(table.active + table.count(Aged::Messages), known.len());
                if step % 2 == 0 {
                    prop_assert_eq!(table.least_recently_active(&mut lives), known.first().copied());
                }
            }
            for &index in &known {
                prop_assert_eq!(table.least_recently_active(&mut lives), Some(index));
                table.retire(&mut lives);
            }
            prop_assert_eq!(table.least_recently_active(&mut lives), None);
        }
    }
}
