//! The connections of a shard, by key and by age.

use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::outlet::Outlet;
use crate::tcp::Tcp;
use crate::{Began, Books, Ended, FlowKey, Report, Side, Sink, Source, Totals};
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// No entry.
const NONE: u32 = u32::MAX;

/// A connection and all that is known of it.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) connection: Connection,
    pub(crate) handle: H,
    pub(crate) ledger: Ledger,
    pub(crate) last: Source,
    /// TCP only.
    pub(crate) tcp: Option<Box<Tcp>>,
    /// The number of the frame that opened it.
    opened: u64,
    /// A SYN says who the initiator is, so that no later one can.
    pub(crate) initiator_known: bool,
    /// The list it is in.
    list: List,
    /// Its neighbours in that list, the older and the newer one.
    links: [u32; 2],
    /// The connection of the same key that was opened before it.
    older: u32,
}

impl<H: Copy> Entry<H> {
    /// The TCP state, and the way for what comes out of it.
    pub(crate) fn outlet<'a, S: Sink<Handle = H>>(
        &'a mut self,
        books: &'a mut Books,
        totals: &'a mut Totals,
        sink: &'a mut S,
    ) -> (Option<&'a mut Tcp>, Outlet<'a, S>) {
        let Self { handle, connection, ledger, last, tcp, .. } = self;
        let (handle, now) = (*handle, *last);
        (tcp.as_deref_mut(), Outlet { sink, handle, connection, ledger, books, totals, now })
    }
}

impl<H> Entry<H> {
    /// How it ended, seen from what the ends said; `otherwise` where they said nothing.
    pub(crate) fn ended(&self, otherwise: Ended) -> Ended {
        match &self.tcp {
            Some(tcp) if tcp.is_settled() => Ended::Fin,
            Some(tcp) if tcp.is_reset() => Ended::Rst,
            _ => otherwise,
        }
    }

    /// All that is known, now that it has ended.
    pub(crate) fn report(&self, ended: Ended) -> Report {
        let began = match &self.tcp {
            Some(tcp) if tcp.syn_seen() => Began::Syn,
            Some(_) => Began::MidStream,
            None => Began::FirstPacket,
        };
        Report {
            protocol: self.connection.protocol(),
            ends: Side::BOTH.map(|side| self.connection.end(side)),
            first: self.connection.first(),
            last: self.last,
            began,
            ended,
            sides: Side::BOTH.map(|side| self.ledger.stats(self.connection.index(side))),
        }
    }
}

/// The lists by age: a connection is in one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    /// Those that may go on, the least recently active first.
    Active,
    /// Those that are over and wait for stragglers, likewise.
    Lingering,
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
    len: usize,
}

const EMPTY: Ends = Ends { oldest: NONE, newest: NONE, len: 0 };

/// Connections in a slab, found by key, ordered by activity.
#[derive(Debug)]
pub(crate) struct Table<H> {
    slots: Vec<Option<Entry<H>>>,
    free: Vec<u32>,
    /// The newest connection of each key.
    by_key: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    lists: [Ends; 2],
}

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            lists: [EMPTY; 2],
        }
    }
}

impl<H> Table<H> {
    /// Connections held.
    pub(crate) fn len(&self) -> usize {
        self.lists[0].len + self.lists[1].len
    }

    /// Connections in a list.
    pub(crate) fn count(&self, list: List) -> usize {
        self.lists[list as usize].len
    }

    /// The least recently active connection of a list.
    pub(crate) fn oldest(&self, list: List) -> Option<u32> {
        Some(self.lists[list as usize].oldest).filter(|&index| index != NONE)
    }

    /// The connection at `index`.
    pub(crate) fn get(&self, index: u32) -> Option<&Entry<H>> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// The same, to change.
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Entry<H>> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// The connections of a key, the newest first.
    pub(crate) fn of_key(&self, key: &FlowKey) -> impl Iterator<Item = u32> {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let newest = self.by_key.find(hash, |&index| key_at(slots, index) == Some(key)).copied();
        let older = move |&index: &u32| Some(self.get(index)?.older).filter(|&older| older != NONE);
        std::iter::successors(newest, older)
    }

    /// Adds a connection, the newest of its key and the most recently active.
    pub(crate) fn insert(
        &mut self,
        connection: Connection,
        opened: u64,
        handle: H,
        tcp: bool,
    ) -> u32 {
        let key = *connection.key();
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        let hash = self.hasher.hash_one(key);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let mut older = NONE;
        match self.by_key.find_mut(hash, |&index| key_at(slots, index) == Some(&key)) {
            Some(newest) => older = std::mem::replace(newest, index),
            None => {
                let rehash = |&i: &u32| key_at(slots, i).map_or(0, |key| hasher.hash_one(key));
                self.by_key.insert_unique(hash, index, rehash);
            }
        }
        let entry = Entry {
            last: connection.first(),
            connection,
            handle,
            ledger: Ledger::default(),
            tcp: tcp.then(Box::default),
            opened,
            initiator_known: false,
            list: List::Active,
            links: [NONE; 2],
            older,
        };
        match self.slots.get_mut(index as usize) {
            Some(slot) => *slot = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        self.link(index, List::Active);
        index
    }

    /// Takes a connection out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<Entry<H>> {
        self.unlink(index);
        self.leave_key(index);
        let entry = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(entry)
    }

    /// Makes a connection the most recently active of `list`.
    pub(crate) fn touch(&mut self, index: u32, list: List) {
        let Some(entry) = self.get(index) else { return };
        if entry.list == list && self.lists[list as usize].newest == index {
            return;
        }
        self.unlink(index);
        self.link(index, list);
    }

    /// All connections in the order of their first packets.
    pub(crate) fn by_first_packet(&self) -> Vec<u32> {
        let held = |&index: &u32| self.get(index).is_some();
        let mut all: Vec<u32> = (0..self.slots.len() as u32).filter(held).collect();
        all.sort_unstable_by_key(|&index| self.opened(index));
        all
    }

    /// The number of the frame that opened the connection at `index`: each opens one at most.
    pub(crate) fn opened(&self, index: u32) -> u64 {
        self.get(index).map_or(u64::MAX, |entry| entry.opened)
    }

    fn leave_key(&mut self, index: u32) {
        let Some(entry) = self.get(index) else { return };
        let (key, older) = (*entry.connection.key(), entry.older);
        let newer = self.of_key(&key).find(|&i| self.get(i).is_some_and(|e| e.older == index));
        if let Some(newer) = newer.and_then(|newer| self.get_mut(newer)) {
            newer.older = older;
            return;
        }
        let hash = self.hasher.hash_one(key);
        if let Ok(mut found) = self.by_key.find_entry(hash, |&i| i == index) {
            if older == NONE {
                found.remove();
            } else {
                *found.get_mut() = older;
            }
        }
    }

    fn link(&mut self, index: u32, list: List) {
        let ends = &mut self.lists[list as usize];
        let newest = std::mem::replace(&mut ends.newest, index);
        ends.len += 1;
        if newest == NONE {
            ends.oldest = index;
        }
        if let Some(entry) = self.get_mut(index) {
            entry.list = list;
            entry.links = [newest, NONE];
        }
        if let Some(entry) = self.get_mut(newest) {
            entry.links[1] = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.get(index) else { return };
        let ([older, newer], list) = (entry.links, entry.list);
        match self.get_mut(older) {
            Some(entry) => entry.links[1] = newer,
            None => self.lists[list as usize].oldest = newer,
        }
        match self.get_mut(newer) {
            Some(entry) => entry.links[0] = older,
            None => self.lists[list as usize].newest = older,
        }
        self.lists[list as usize].len -= 1;
    }
}

fn key_at<H>(slots: &[Option<Entry<H>>], index: u32) -> Option<&FlowKey> {
    Some(slots.get(index as usize)?.as_ref()?.connection.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    fn connection(port: u16) -> Connection {
        let end = |port| Endpoint { addr: "10.0.0.1".parse().unwrap(), port };
        let (key, from) = FlowKey::new(6, end(port), end(1));
        Connection::new(key, from, Source::default())
    }

    fn of(table: &Table<()>, port: u16) -> Vec<u32> {
        table.of_key(connection(port).key()).collect()
    }

    #[test]
    fn connections_of_one_key_are_a_chain_the_newest_first() {
        let mut table = Table::default();
        let a = table.insert(connection(5), 1, (), true);
        let other = table.insert(connection(6), 2, (), true);
        let b = table.insert(connection(5), 3, (), true);
        let c = table.insert(connection(5), 4, (), true);
        assert_eq!((of(&table, 5), of(&table, 6)), (vec![c, b, a], vec![other]));
        table.remove(b);
        assert_eq!(of(&table, 5), [c, a]);
        table.remove(c);
        assert_eq!(of(&table, 5), [a]);
        table.remove(a);
        assert_eq!((of(&table, 5), of(&table, 6), table.len()), (vec![], vec![other], 1));
        assert_eq!(table.insert(connection(5), 9, (), true), a, "slots are used again");
    }

    #[test]
    fn the_least_recently_active_is_first() {
        let mut table = Table::default();
        let [a, b, c] = [5, 6, 7].map(|port| table.insert(connection(port), 1, (), false));
        assert_eq!(table.oldest(List::Active), Some(a));
        table.touch(a, List::Active);
        assert_eq!(table.oldest(List::Active), Some(b));
        table.touch(b, List::Lingering);
        table.touch(a, List::Lingering);
        assert_eq!((table.oldest(List::Active), table.oldest(List::Lingering)), (Some(c), Some(b)));
        assert_eq!((table.count(List::Active), table.count(List::Lingering)), (1, 2));
        table.remove(c);
        assert_eq!((table.oldest(List::Active), table.count(List::Active)), (None, 0));
        table.touch(b, List::Active);
        assert_eq!((table.oldest(List::Active), table.oldest(List::Lingering)), (Some(b), Some(a)));
    }

    #[test]
    fn first_packets_give_an_order_over_slots_used_again() {
        let mut table = Table::default();
        let a = table.insert(connection(5), 10, (), true);
        let b = table.insert(connection(6), 20, (), true);
        table.remove(a);
        let c = table.insert(connection(7), 30, (), true);
        assert!(c < b);
        assert_eq!(table.by_first_packet(), [b, c]);
    }
}
