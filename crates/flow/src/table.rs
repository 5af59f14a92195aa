//! The connections of a shard, by key and by age.

use crate::connection::Connection;
use crate::index::{KeyIndex, Which};
use crate::ledger::Ledger;
use crate::paged::Paged;
use crate::tcp::{Tcp, Tombstone};
use crate::{Arrival, Began, Ended, FlowKey, Report, Side, Source};
use std::borrow::Borrow;
use std::time::Duration;
use wire::Timestamp;

/// No entry.
const NONE: u32 = u32::MAX;

/// A connection and what is known of every one. 120 bytes; TCP's own state is kept beside.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) connection: Connection,
    pub(crate) handle: H,
    pub(crate) ledger: Ledger,
    pub(crate) last: Source,
    transport: Transport,
    /// The number of the frame that opened it.
    opened: u64,
    /// Whole seconds, rounded up, by which `last` lies behind the latest time of this connection;
    /// counted only where time can end it.
    behind: u16,
    /// A SYN says who the initiator is, so that no later one can.
    pub(crate) initiator_known: bool,
    /// The list it is in.
    list: List,
    /// Its neighbours in that list, the older and the newer one.
    links: [u32; 2],
    /// The connection of the same key that was opened before it.
    older: u32,
}

/// Where what the transport needs is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Transport {
    /// Nothing is needed: every datagram is a message.
    Message,
    /// TCP.
    Live(u32),
    /// TCP that is over.
    Over(u32),
}

impl<H> Entry<H> {
    /// A packet belongs to it.
    #[inline]
    pub(crate) fn note_packet(&mut self, arrival: &Arrival<'_>) {
        self.last = arrival.source;
        self.ledger.add_packets(arrival.from, arrival.frames);
    }

    /// Was another connection of its key opened before it, and is still held?
    #[inline]
    pub(crate) fn has_older(&self) -> bool {
        self.older != NONE
    }

    /// Is a packet of this time later than `idle` after all that came before? To be asked of each
    /// packet: it notes how far the times step back, so that the next one is not taken for late.
    ///
    /// Steps back of more than 18 hours are not measured: until the times are back where they were,
    /// nothing is late.
    pub(crate) fn was_idle(&mut self, now: Timestamp, idle: Duration) -> bool {
        const SECOND: i128 = 1_000_000_000;
        let quiet = now.nanos_since(self.last.time) - i128::from(self.behind) * SECOND;
        let lost = self.behind == u16::MAX;
        self.behind = match u16::try_from(-quiet.div_euclid(SECOND)) {
            _ if quiet >= 0 => 0,
            Ok(seconds) if !lost => seconds,
            _ => u16::MAX,
        };
        !lost && quiet > i128::try_from(idle.as_nanos()).unwrap_or(i128::MAX)
    }

    /// All that is known, now that it has ended.
    fn report(&self, began: Began, ended: Ended) -> Report {
        Report {
            protocol: self.connection.protocol(),
            vlans: self.connection.vlans(),
            ends: Side::BOTH.map(|side| self.connection.end(side)),
            first: self.connection.first(),
            last: self.last,
            began,
            ended,
            sides: Side::BOTH.map(|side| self.ledger.stats(self.connection.index(side))),
        }
    }
}

/// The TCP state of a connection, to look at.
pub(crate) enum TcpView<'a> {
    Live(&'a Tcp),
    Over(Box<Tcp>),
}

impl Borrow<Tcp> for TcpView<'_> {
    fn borrow(&self) -> &Tcp {
        match self {
            Self::Live(tcp) => tcp,
            Self::Over(tcp) => tcp,
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
    entries: Paged<Entry<H>>,
    live: Paged<Tcp>,
    over: Paged<Tombstone>,
    /// The newest connection of each key.
    keys: KeyIndex,
    lists: [Ends; 2],
}

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self {
            entries: Paged::default(),
            live: Paged::default(),
            over: Paged::default(),
            keys: KeyIndex::default(),
            lists: [EMPTY; 2],
        }
    }
}

impl<H> Table<H> {
    /// Connections held.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
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
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Entry<H>> {
        self.entries.get(index)
    }

    /// The same, to change, with its TCP state where it has one that is live.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<(&mut Entry<H>, Option<&mut Tcp>)> {
        let entry = self.entries.get_mut(index)?;
        let tcp = match entry.transport {
            Transport::Live(number) => self.live.get_mut(number),
            Transport::Message | Transport::Over(_) => None,
        };
        Some((entry, tcp))
    }

    /// The TCP state of the connection at `index`, where it is live.
    #[inline]
    pub(crate) fn live(&self, index: u32) -> Option<&Tcp> {
        match self.entries.get(index)?.transport {
            Transport::Live(number) => self.live.get(number),
            Transport::Message | Transport::Over(_) => None,
        }
    }

    /// The TCP state of the connection at `index`, live or not.
    pub(crate) fn view(&self, index: u32) -> Option<TcpView<'_>> {
        match self.entries.get(index)?.transport {
            Transport::Live(number) => self.live.get(number).map(TcpView::Live),
            Transport::Over(number) => {
                self.over.get(number).map(|tombstone| TcpView::Over(Box::new(tombstone.revive())))
            }
            Transport::Message => None,
        }
    }

    /// Makes the TCP state of a connection live, if it was not.
    pub(crate) fn revive(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index)
            && let Transport::Over(number) = entry.transport
            && let Some(tombstone) = self.over.remove(number)
        {
            entry.transport = Transport::Live(self.live.insert(tombstone.revive()));
            self.move_key(index, Which::Active);
        }
    }

    /// Keeps no more than a tombstone of a connection that is over, if that can be.
    pub(crate) fn entomb(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index)
            && let Transport::Live(number) = entry.transport
            && let Some(tombstone) = self.live.get_mut(number).and_then(Tcp::entomb)
        {
            self.live.forget(number);
            entry.transport = Transport::Over(self.over.insert(tombstone));
            self.move_key(index, Which::Remembered);
        }
    }

    /// Moves a connection to another table of keys, if it is the newest of its key.
    fn move_key(&mut self, index: u32, which: Which) {
        let Some(hash) = self.hash_at(index) else { return };
        if self.keys.take(hash, |&i| i == index).is_some() {
            self.keys.insert(which, hash, index, key_of(&self.entries));
        }
    }

    /// The hash of the key of the connection at `index`.
    fn hash_at(&self, index: u32) -> Option<u64> {
        Some(self.keys.hash(&self.entries.get(index)?.connection.key()))
    }

    /// The newest connection of a key.
    #[inline]
    pub(crate) fn newest(&self, key: &FlowKey) -> Option<u32> {
        self.keys.find(self.keys.hash(key), has_key(&self.entries, key))
    }

    /// The connection of the same key that was opened before the one at `index`.
    #[inline]
    pub(crate) fn older(&self, index: u32) -> Option<u32> {
        Some(self.entries.get(index)?.older).filter(|&older| older != NONE)
    }

    /// The connections of a key, the newest first.
    pub(crate) fn of_key(&self, key: &FlowKey) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest(key), |&index| self.older(index))
    }

    /// Adds a connection, the newest of its key and the most recently active.
    pub(crate) fn insert(
        &mut self,
        connection: Connection,
        opened: u64,
        handle: H,
        tcp: bool,
    ) -> u32 {
        let key = connection.key();
        let transport = match tcp {
            true => Transport::Live(self.live.insert(Tcp::default())),
            false => Transport::Message,
        };
        let index = self.entries.insert(Entry {
            last: connection.first(),
            connection,
            handle,
            ledger: Ledger::default(),
            transport,
            opened,
            behind: 0,
            initiator_known: false,
            list: List::Active,
            links: [NONE; 2],
            older: NONE,
        });
        let older = self.make_newest(&key, index);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.older = older;
        }
        self.link(index, List::Active);
        index
    }

    /// Makes a connection the newest of its key; the one that was.
    fn make_newest(&mut self, key: &FlowKey, index: u32) -> u32 {
        let hash = self.keys.hash(key);
        let older = self.keys.take(hash, has_key(&self.entries, key));
        self.keys.insert(Which::Active, hash, index, key_of(&self.entries));
        older.unwrap_or(NONE)
    }

    /// Forgets all connections.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, index: u32) {
        self.unlink(index);
        self.leave_key(index);
        match self.entries.get(index).map(|entry| entry.transport) {
            Some(Transport::Live(number)) => self.live.forget(number),
            Some(Transport::Over(number)) => self.over.forget(number),
            Some(Transport::Message) | None => {}
        }
        self.entries.forget(index);
    }

    /// What is to be said of the connection at `index`, and the sink's handle of it. `ended` is how it
    /// ended where its ends did not say it.
    pub(crate) fn report(&self, index: u32, ended: Ended) -> Option<(H, Report)>
    where
        H: Copy,
    {
        let entry = self.entries.get(index)?;
        let (syn_seen, said) = match entry.transport {
            Transport::Message => {
                return Some((entry.handle, entry.report(Began::FirstPacket, ended)));
            }
            Transport::Live(number) => {
                let tcp = self.live.get(number)?;
                (tcp.syn_seen(), tcp.ended())
            }
            Transport::Over(number) => {
                let tombstone = self.over.get(number)?;
                (tombstone.syn_seen(), Some(tombstone.ended()))
            }
        };
        let began = if syn_seen { Began::Syn } else { Began::MidStream };
        Some((entry.handle, entry.report(began, said.unwrap_or(ended))))
    }

    /// Makes a connection the most recently active of `list`.
    #[inline]
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
        // Four bytes each: this is when a run holds the most. They are in order but for those in slots that
        // were used again.
        let mut all = Vec::with_capacity(self.len());
        all.extend(self.entries.iter().map(|(index, _)| index));
        all.sort_by_key(|&index| self.opened(index));
        all
    }

    /// The number of the frame that opened the connection at `index`: each opens one at most.
    pub(crate) fn opened(&self, index: u32) -> u64 {
        self.get(index).map_or(u64::MAX, |entry| entry.opened)
    }

    fn leave_key(&mut self, index: u32) {
        let (Some(entry), Some(hash)) = (self.get(index), self.hash_at(index)) else { return };
        let (key, older) = (entry.connection.key(), entry.older);
        if self.keys.take(hash, |&i| i == index).is_some() {
            let which = match self.get(older).map(|entry| entry.transport) {
                None => return,
                Some(Transport::Over(_)) => Which::Remembered,
                Some(Transport::Live(_) | Transport::Message) => Which::Active,
            };
            return self.keys.insert(which, hash, older, key_of(&self.entries));
        }
        let newer = self.of_key(&key).find(|&i| self.get(i).is_some_and(|e| e.older == index));
        if let Some(newer) = newer.and_then(|newer| self.entries.get_mut(newer)) {
            newer.older = older;
        }
    }

    fn link(&mut self, index: u32, list: List) {
        let ends = &mut self.lists[list as usize];
        let newest = std::mem::replace(&mut ends.newest, index);
        ends.len += 1;
        if newest == NONE {
            ends.oldest = index;
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.list = list;
            entry.links = [newest, NONE];
        }
        if let Some(entry) = self.entries.get_mut(newest) {
            entry.links[1] = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.get(index) else { return };
        let ([older, newer], list) = (entry.links, entry.list);
        match self.entries.get_mut(older) {
            Some(entry) => entry.links[1] = newer,
            None => self.lists[list as usize].oldest = newer,
        }
        match self.entries.get_mut(newer) {
            Some(entry) => entry.links[0] = older,
            None => self.lists[list as usize].newest = older,
        }
        self.lists[list as usize].len -= 1;
    }
}

/// Has a connection this key?
#[inline]
fn has_key<H>(entries: &Paged<Entry<H>>, key: &FlowKey) -> impl Fn(&u32) -> bool {
    move |&index| entries.get(index).is_some_and(|entry| entry.connection.has_key(key))
}

/// The keys of all connections.
fn key_of<H>(entries: &Paged<Entry<H>>) -> impl Fn(u32) -> Option<FlowKey> {
    move |index| Some(entries.get(index)?.connection.key())
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
        table.of_key(&connection(port).key()).collect()
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

    #[test]
    fn what_a_connection_takes() {
        assert_eq!(size_of::<Option<Entry<u32>>>(), 120);
        assert_eq!(size_of::<Option<Tombstone>>(), 60);
        assert!(size_of::<Tombstone>() <= 64);
    }

    #[test]
    fn time_is_counted_from_the_latest_packet() {
        let mut table = Table::default();
        let a = table.insert(connection(5), 1, (), false);
        let (entry, _) = table.get_mut(a).unwrap();
        let mut late = |secs| {
            let time = Timestamp::new(secs, 0);
            let late = entry.was_idle(time, Duration::from_secs(30));
            entry.last = Source::new(time, 1, 1);
            late
        };
        assert_eq!([100, 130, 60, 160].map(&mut late), [true, false, false, false]);
        assert_eq!([100, 50, 191].map(&mut late), [false, false, true]);
        // Out of 1970 and back.
        let now = 1_700_000_000;
        assert_eq!(
            [now, 0, 3, now + 900, now + 931].map(&mut late),
            [true, false, false, false, true]
        );
    }
}
